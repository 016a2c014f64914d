"""Outcomes and receipts over real sockets: from a transport or a user's function to the broker's counters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np
import zmq

from tests.roles.peers import settled, totals, urls
from tests.roles.waiting import DEADLINE_S, letters_of, until
from zsms import Broker, Message, Outcome, Producer, Sender
from zsms.core.broker import BrokerLimits
from zsms.core.outcomes import Finished, Receipts
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.message import Delivery
from zsms.roles.sender_link import SenderLink
from zsms.stats.failures import Failure
from zsms.wire.frames import Receipt, Who

QUICK = BrokerLimits(max_attempts=2, retry_base=0.001, retry_cap=0.01)


class Gateway:
    """A transport in columns: message 6k + i ends as outcome i says, and what is sent has a receipt."""

    concurrency = 100
    busy = 0
    failures: Sequence[Failure] = ()
    blocked_s = None

    def __init__(self) -> None:
        self.times = SendTimes.empty()
        self._done: deque[Finished] = deque()
        self._receipts: deque[Receipts] = deque()

    def room(self, waiting: int) -> int | None:
        return None

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def start(self, waiting: Waiting, now: float) -> None:
        batch = waiting.batch
        codes = (batch.seqs % np.uint64(6)).astype(np.uint8)
        first = waiting.attempt == 1
        # Whatever is not first tried, or was throttled, is taken now.
        sent = (codes == 0) if first else np.ones(len(batch), dtype=bool)
        failed = ~sent
        told = codes[failed]
        self._done.append(Finished(waiting.handles[sent], waiting.handles[failed], told, told, tuple("-abcdef")))
        count = int(np.count_nonzero(sent))
        producer = batch.producer if first else 0  # type: ignore[union-attr]
        self._receipts.append(
            Receipts(
                np.full(count, producer, dtype=np.uint64),
                batch.seqs[sent],
                np.full(count, Delivery.DELIVERED.value, dtype=np.uint8),
                np.full(count, 0.25, dtype=np.float32),
            )
        )
        self._wake()

    def finished(self, now: float) -> Finished | None:
        return self._done.popleft() if self._done else None

    def receipts(self) -> Receipts | None:
        return self._receipts.popleft() if self._receipts else None

    def next_time(self) -> float | None:
        return 0.0 if self._done or self._receipts else None

    def close(self) -> None:
        pass


def test_a_transport_s_columns_reach_the_accounts(run, address) -> None:
    broker = run(Broker(address(), limits=QUICK))
    run(Sender(broker.endpoint, transport=Gateway()))
    run(Producer(broker.endpoint, messages=600))
    until(lambda: settled(broker.core) == 600, "600 messages settled")
    # 1 temporary, 2 throttled, 5 unanswered: taken the second time. 3 rejected and 4 uncertain: final.
    assert totals(broker.core)["sent"] == 400 and totals(broker.core)["dead"] == 200
    counters = broker.core.counters
    assert (counters.temporary, counters.throttled, counters.rejected, counters.uncertain) == (100, 100, 100, 200)
    assert counters.retried == 300 and counters.failed_sends == 0
    until(lambda: counters.receipts_delivered == 400, "the receipts")
    until(lambda: broker.core.delivery_times.count == 400, "their times")
    assert broker.core.delivery_times.mean == 0.25
    reasons = Counter()
    for letter in letters_of(broker):
        reasons[letter.reason] += letter.lot.size
    assert reasons == {"rejected: c": 100, "uncertain: d": 100}


def test_a_function_s_outcomes_are_what_they_say(run, address) -> None:
    calls: Counter[int] = Counter()

    async def send(message: Message) -> Outcome:
        calls[message.id.seq] += 1
        if calls[message.id.seq] > 1:
            assert message.attempt == (1 if message.id.seq % 7 == 3 else 2)
            return Outcome.SENT
        if message.id.seq % 7 == 6:
            raise ValueError("no")
        return list(Outcome)[message.id.seq % 7]

    broker = run(Broker(address(), limits=BrokerLimits(max_attempts=3, retry_base=0.001, retry_cap=0.01)))
    run(Sender(broker.endpoint, concurrency=10, send=send))
    run(Producer(broker.endpoint, messages=70))
    until(lambda: settled(broker.core) == 70, "70 messages settled")
    assert totals(broker.core)["dead"] == 20 and totals(broker.core)["sent"] == 50
    assert {seq for seq, count in calls.items() if count == 1} == {s for s in range(70) if s % 7 in (0, 4, 5)}
    assert {letter.reason for letter in letters_of(broker)} == {"rejected", "uncertain"}
    counters = broker.core.counters
    assert (counters.failed_sends, counters.temporary, counters.throttled) == (20, 10, 10)
    assert (counters.rejected, counters.uncertain) == (10, 10)


def test_what_a_function_raises_names_its_dead_letters(run, address) -> None:
    async def send(message: Message) -> bool:
        if message.id.seq % 2:
            raise KeyError(message.id.seq)
        return False

    broker = run(Broker(address(), limits=QUICK))
    run(Sender(broker.endpoint, concurrency=10, send=send))
    run(Producer(broker.endpoint, messages=20))
    until(lambda: settled(broker.core) == 20, "20 messages settled")
    assert {letter.reason for letter in letters_of(broker)} == {
        "failed 2 times",
        "failed 2 times: raised KeyError",
    }


def test_receipts_of_a_stranger_count_nothing_and_those_of_a_sender_do(run, address, raw) -> None:
    broker = run(Broker(address()))
    ones = np.ones(2, dtype="u8"), np.ones(2, dtype="u8"), np.array([0, 9], dtype="u1"), np.ones(2, dtype="f4")
    peer = raw(zmq.DEALER, urls(broker.endpoint)[1])
    peer.say(Receipt(7, *ones))
    peer.hear(Who)
    peer.join(broker, 7, 1)
    peer.say(Receipt(8, *ones))
    peer.hear(Who)
    peer.say(Receipt(7, *ones))
    peer.settle_down()
    assert (broker.core.counters.receipts_delivered, broker.core.counters.receipts_unknown) == (1, 1)


def test_receipts_that_no_pipe_has_room_for_are_told_before_a_sender_leaves(run, address, monkeypatch) -> None:
    broker = run(Broker(address(), limits=QUICK))
    sender = run(Sender(broker.endpoint, transport=Gateway()))
    refused: list[Receipts] = []
    leaving: list[bool] = []
    told = SenderLink.send_receipts

    def tell(way: SenderLink, receipts: Receipts) -> bool:
        if len(refused) > 3:
            return told(way, receipts)
        if leaving:
            refused.append(receipts)
        return False

    monkeypatch.setattr(SenderLink, "send_receipts", tell)
    monkeypatch.setattr("zsms.roles.receipts.FORWARD_S", 60.0)
    run(Producer(broker.endpoint, messages=60))
    until(lambda: settled(broker.core) == 60, "60 messages settled")
    leaving.append(True)
    sender.stop()
    assert sender.join(DEADLINE_S)
    until(lambda: broker.core.counters.receipts_delivered == 40, "the receipts")
    assert sender.receipts.lost == 0
