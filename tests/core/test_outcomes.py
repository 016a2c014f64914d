"""How sends end beyond sent and failed, and receipts: columns from a transport to the broker's accounts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.core.making import column, histories, make_batch, seqs
from tests.core.test_broker import Sender, broker, granted, put, sender, totals
from zsms.core.broker import BrokerCore, BrokerLimits, Failed
from zsms.core.broker.holdings import holdings
from zsms.core.broker.retries import THROTTLED_S, Retries
from zsms.core.outcomes import MOST_RECEIPTS, Finished, ReceiptQueue, Receipts, final
from zsms.core.sender import SenderCore
from zsms.errors import UsageError
from zsms.message import MAX_BATCH_MESSAGES, Delivery, Outcome
from zsms.wire.frames import Ack, Grant, Receipt


def codes(*outcomes: Outcome) -> np.ndarray:
    return np.array([outcome.code for outcome in outcomes], dtype=np.uint8)


def fail(
    peer: Sender, numbers: Sequence[int], outcomes: Sequence[Outcome], why: Sequence[str] = (), now: float = 0.0
) -> None:
    """Acknowledge these as failed, each with its outcome and, if there are any, its reason."""
    names = sorted(set(why))
    reasons = np.array([names.index(name) for name in why], dtype=np.uint8)
    ack = Ack(peer.token, peer.number, 1_000, 0, column(()), column(numbers))
    peer.core.acknowledged(peer.peer, ack, now, Failed(codes(*outcomes), reasons, names))
    peer.number += 1


def letters(core: BrokerCore) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for letter in core.dead_letters:
        found.setdefault(letter.reason, []).extend(seqs(letter.lot.batch))
    return found


FINAL = [Outcome.REJECTED, Outcome.UNCERTAIN]


@pytest.mark.parametrize("outcome", FINAL)
def test_rejected_and_uncertain_are_final_at_once(outcome: Outcome) -> None:
    core = broker(max_attempts=5)
    put(core, 3)
    peer = sender(core)
    granted(core)
    fail(peer, [0, 2], [outcome] * 2)
    assert totals(core) == {"in_flight": 1, "dead": 2} and core.counters.retried == 0
    assert letters(core) == {outcome.value: [0, 2]}
    assert getattr(core.counters, outcome.value) == 2 and core.progress.sends == 2


@pytest.mark.parametrize("outcome", FINAL)
def test_with_one_attempt_a_final_failure_is_failed(outcome: Outcome) -> None:
    core = broker()
    put(core, 2)
    peer = sender(core)
    granted(core)
    fail(peer, [0, 1], [outcome, Outcome.FAILED])
    assert totals(core) == {"failed": 2} and not core.dead_letters
    assert (getattr(core.counters, outcome.value), core.counters.failed_sends) == (1, 1)


def test_uncertain_is_sent_again_where_the_user_says_so() -> None:
    core = broker(max_attempts=2, uncertain="resend", retry_base=1.0, liveness=1_000.0)  # type: ignore[arg-type]
    put(core, 2)
    peer = sender(core)
    granted(core)
    fail(peer, [0, 1], [Outcome.UNCERTAIN] * 2)
    assert totals(core) == {"queued": 2} and core.counters.uncertain == 2
    core.poll(1.0)
    granted(core, 1.0)
    fail(peer, [2, 3], [Outcome.UNCERTAIN] * 2, now=1.0)
    assert totals(core) == {"dead": 2}
    assert {reason: sorted(found) for reason, found in letters(core).items()} == {"failed 2 times": [0, 1]}
    with pytest.raises(UsageError, match="uncertain 'perhaps': give one of fail, resend"):
        BrokerLimits(uncertain="perhaps")


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TEMPORARY, Outcome.UNANSWERED])
def test_others_are_tried_again_while_attempts_are_left(outcome: Outcome) -> None:
    core = broker(max_attempts=2)
    put(core, 1)
    peer = sender(core)
    granted(core)
    fail(peer, [0], [outcome])
    assert totals(core) == {"queued": 1} and core.counters.retried == 1


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_throttled_message_waits_and_spends_no_attempt(attempts: int) -> None:
    core = broker(max_attempts=attempts, retry_base=0.001, liveness=1_000.0)
    put(core, 4)
    peer = sender(core, slots=100)
    granted(core)
    number, now = 0, 0.0
    for _ in range(5):
        fail(peer, range(number, number + 4), [Outcome.THROTTLED] * 4, now=now)
        assert totals(core) == {"queued": 4}
        number, now = number + 4, now + THROTTLED_S
        core.poll(now)
        assert sum(len(numbers) for _, numbers in granted(core, now)) == 4
        assert {h for piece in peer.session.pieces() if piece.open for h in histories(piece.lot)} == {(1, 1)}
    assert core.counters.throttled == core.counters.retried == 20 and core.counters.failed_sends == 0


def test_a_throttled_message_waits_a_second_even_where_failures_are_tried_at_once() -> None:
    core = broker()
    put(core, 1_000)
    retries = Retries(0.0, 60.0, 1, core.sources)
    lot = core.queue.take(1_000)
    retries.add(lot, np.arange(500), 0.0)
    retries.add(lot, np.arange(500, 1_000), 0.0, spent=False)
    at_once = retries.due(0.0)
    assert {h for each in at_once for h in histories(each)} == {(2, 1)} and sum(each.size for each in at_once) == 500
    half = sum(each.size for each in retries.due(THROTTLED_S / 2))
    assert 150 < half < 350
    assert half + sum(each.size for each in retries.due(THROTTLED_S)) == 500
    capped = Retries(0.0, 0.1, 1, core.sources)
    capped.add(lot, np.arange(500), 0.0, spent=False)
    assert sum(each.size for each in capped.due(0.1)) == 500


def test_a_frame_of_everything_is_told_apart_and_reasons_name_the_dead() -> None:
    core = broker(max_attempts=2, retry_base=1.0, liveness=1_000.0)
    put(core, 8)
    peer = sender(core, slots=100)
    granted(core)
    told = [Outcome.REJECTED, Outcome.THROTTLED, Outcome.REJECTED, Outcome.FAILED, Outcome.UNCERTAIN, Outcome.TEMPORARY]
    why = ["no such number", "busy", "barred", "", "late", "x" * 64]
    peer.core.acknowledged(peer.peer, Ack(1, peer.number, 1_000, 0, column([6]), column(())), 0.0)
    peer.number += 1
    fail(peer, [0, 1, 2, 3, 4, 5], told, why)
    assert totals(core) == {"sent": 1, "in_flight": 1, "dead": 3, "queued": 3}
    assert letters(core) == {"rejected: barred": [2], "rejected: no such number": [0], "uncertain: late": [4]}
    core.poll(1.0)
    numbers = [number for _, found in granted(core, 1.0) for number in found]
    assert sorted(numbers) == [1, 3, 5]
    fail(peer, [8, 9, 10], [Outcome.FAILED] * 3, ["x" * 64] * 3, now=1.0)
    assert totals(core)["dead"] == 5 and totals(core)["queued"] == 1  # the throttled one has an attempt left
    (said,) = letters(core).keys() - {"rejected: barred", "rejected: no such number", "uncertain: late"}
    assert said.startswith("failed 2 times: xxx") and len(said) == 64
    assert core.kick(1.0, "rejected: barred") == 1


def test_what_was_closed_before_counts_no_outcome() -> None:
    core = broker(max_attempts=2)
    put(core, 2)
    peer = sender(core)
    granted(core)
    fail(peer, [0], [Outcome.REJECTED])
    fail(peer, [0, 1, 99], [Outcome.REJECTED] * 3)
    assert core.counters.rejected == 2 and core.counters.duplicates == 1 and core.counters.unknown == 1


def test_many_reasons_of_dead_letters_are_told_as_the_most_frequent_and_others() -> None:
    core = broker(max_attempts=2)
    put(core, 1_100)
    peer = sender(core, slots=2_000)
    granted(core)
    for number in range(1_100):
        fail(peer, [number], [Outcome.REJECTED], [f"reason {number}"])
    reasons = holdings(core, 0.0)["dead"]["reasons"]
    assert len(reasons) == 1_001 and reasons["others"] == 100 and sum(reasons.values()) == 1_100


# -- a sender's side -----------------------------------------------------------------------------------------------


def test_each_failure_keeps_its_outcome_and_reason_in_whatever_order_it_ends() -> None:
    core = SenderCore(100, 0, 1)
    core.joining()
    core.welcomed(0)
    core.granted(Grant(core.token, core.generation, 0, 1, 1, 0.0, 0, False), make_batch(6), 0.0, 0.0)
    (waiting,) = core.take(6)
    handles = waiting.handles
    order = np.array([5, 1, 3])
    done = Finished(
        handles[[4, 0]], handles[order], order.astype(np.uint8), order.astype(np.uint8) - np.uint8(1), tuple("abcde")
    )
    (frame,) = core.finished(done)
    assert frame.sent.tolist() == [0, 4] and frame.failed.tolist() == [1, 3, 5]
    assert (
        frame.outcomes.tolist() == [1, 3, 5] and frame.reasons.tolist() == [0, 2, 4] and frame.names == tuple("abcde")
    )


def test_which_failures_are_final() -> None:
    last = np.array([False, True] * 6)
    told = np.repeat(np.arange(6, dtype=np.uint8), 2)
    assert final(last, told).tolist() == [False, True, False, True, False, False, True, True, True, True, False, True]
    assert final(last).tolist() == last.tolist()


def receipts(count: int) -> Receipts:
    numbers = np.arange(count)
    return Receipts(numbers.astype("u8"), numbers.astype("u8"), (numbers % 5).astype("u1"), numbers.astype("f4"))


def test_receipts_wait_in_frames_and_too_many_are_dropped_and_counted() -> None:
    queue = ReceiptQueue()
    queue.add(receipts(MAX_BATCH_MESSAGES + 3))
    first = queue.first()
    assert first is not None and len(first.outcomes) == MAX_BATCH_MESSAGES
    queue.sent()
    second = queue.first()
    assert second is not None and second.seqs.tolist() == [MAX_BATCH_MESSAGES + i for i in range(3)]
    queue.sent()
    assert queue.first() is None and queue.lost == 0
    for _ in range(10):
        queue.add(receipts(MAX_BATCH_MESSAGES))
    assert queue.lost == 3 * MAX_BATCH_MESSAGES >= 10 * MAX_BATCH_MESSAGES - MOST_RECEIPTS


NO_IDS = np.zeros(0, dtype=np.uint64)


def test_receipts_are_counted_outside_of_the_accounts() -> None:
    core = broker()
    peer = sender(core)
    put(core, 3)
    before = core.totals()
    outcomes = np.array([0, 0, 0, 1, 2, 3, 4, 200], dtype=np.uint8)
    took = np.array([1.0, 3.0, -1.0, 9.0, 9.0, 9.0, 9.0, 9.0], dtype=np.float32)
    told = Receipt(1, NO_IDS, NO_IDS, outcomes, took)
    assert core.received(peer.peer, told, 7.0)
    counters = core.counters
    assert (counters.receipts_delivered, counters.receipts_undelivered, counters.receipts_expired) == (3, 1, 1)
    assert (counters.receipts_rejected, counters.receipts_unknown) == (1, 2)
    assert core.delivery_times.count == 2 and core.delivery_times.mean == 2.0  # of one it is not known
    assert core.totals() == before and peer.session.last_seen == 7.0
    assert not core.received(b"stranger", told, 7.0)
    assert not core.received(peer.peer, told._replace(session=2), 7.0)
    assert counters.receipts_delivered == 3


def test_the_codes_on_the_wire_are_those_of_the_document() -> None:
    assert [outcome.code for outcome in list(Outcome)[1:]] == list(range(6))
    assert [delivery.value for delivery in Delivery] == list(range(5))
