"""A small mesh in the threads of one process, over real sockets: everything is settled, once, and everyone agrees."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests.roles.peers import totals
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, DelayModel, Message, Monitor, Producer, Sender, StatsCollector
from zsms.core.broker import BrokerLimits
from zsms.sources.random import RandomSource

MESSAGES = 3_000
QUICK = DelayModel("exponential", 0.002)


@pytest.mark.parametrize("where", ["tcp", "ipc"])
def test_a_mesh_settles_everything(run, address, where):
    listen = (lambda: "127.0.0.1:0") if where == "tcp" else address
    collector = run(StatsCollector(listen()))
    told = {"stats": collector.endpoint, "stats_interval": 0.05}
    broker = run(Broker(listen(), seed=1, limits=BrokerLimits(max_attempts=3, retry_base=0.01), **told))
    monitor = run(Monitor(collector.endpoint, interval=0.05, until_done=True))
    reached = {"broker": broker.endpoint, **told}
    senders = [
        run(Sender(concurrency=200, delay=QUICK, failure_rate=0.3, seed=1, **reached)),
        run(Sender(concurrency=50, delay=QUICK, seed=2, **reached)),
        run(Sender(concurrency=1, delay=QUICK, seed=3, **reached)),
    ]
    producers = [
        run(Producer(source=RandomSource(MESSAGES, 5, share=(index, 2)), batch=97, window=500, **reached))
        for index in range(2)
    ]
    until(lambda: not monitor.running, "the end of all work")

    for producer in producers:
        assert producer.join(DEADLINE_S) and producer.produced == producer.window.confirmed_messages == MESSAGES // 2
    for account in broker.core.accounts():
        assert account.balanced and account.settled == account.accepted == MESSAGES // 2
    done, counters = totals(broker.core), broker.core.counters
    assert done["sent"] + done["dead"] == MESSAGES and not done["failed"]
    assert counters.retried and not counters.redelivered and not counters.duplicates and not counters.unknown
    # The sends that the senders count are those that the broker was told of.
    for sender in reversed(senders):
        sender.stop()
        assert sender.join(DEADLINE_S) and not sender.core.held
    sends = [(sender.turn.sent, sender.turn.failed) for sender in senders]
    assert all(sent for sent, _ in sends)
    assert sum(map(sum, sends)) == broker.core.progress.sends == MESSAGES + counters.retried
    # And so does the collector.
    seen = monitor.view
    assert seen.done and seen.balanced and seen.produced == MESSAGES
    assert (seen.sent, seen.dead, seen.retried) == (done["sent"], done["dead"], counters.retried)
    assert broker.refused_frames == collector.refused_frames == sum(s.refused_frames for s in senders) == 0


def test_each_message_is_sent_once_as_it_was_made(run, address):
    """Whoever sends it, and however the batches are divided."""
    taken: Counter[tuple[int, str, str]] = Counter()
    lock = threading.Lock()

    async def send(message: Message) -> bool:
        assert (message.attempt, message.delivery) == (1, 1)
        with lock:
            taken[message.id.seq, message.recipient, message.text] += 1
        return True

    broker = run(Broker(address()))
    for concurrency in (1, 7, 100):
        run(Sender(broker.endpoint, concurrency=concurrency, send=send))
    run(Producer(broker.endpoint, messages=1_000, seed=9, batch=64, window=300))
    until(lambda: totals(broker.core)["sent"] == 1_000, "1,000 messages sent")

    made = RandomSource(1_000, 9).take(1_000)
    expected, begin = Counter(), 0
    for seq, (recipient, length) in enumerate(zip(made.recipients.tolist(), made.lengths.tolist(), strict=True)):
        text = made.text[begin : begin + length].tobytes().decode()
        expected[seq, f"+{recipient}", text] = 1
        begin += length
    assert taken == expected


def test_roles_find_each_other_in_any_order(run, address, monkeypatch):
    """Senders, a producer and a monitor that are there before the broker and the collector."""
    monkeypatch.setattr("zsms.roles.base.FINAL_S", 0.3)  # the producer ends before there is a collector
    at, stats = address(), address()
    sender = run(Sender(at, concurrency=10, delay=QUICK, stats=stats, stats_interval=0.05))
    producer = run(Producer(at, messages=100, stats=stats, stats_interval=0.05))
    monitor = run(Monitor(stats, interval=0.05))
    until(lambda: sender.ways[0].link.next_time() and producer.ways[0].link.next_time(), "their first knock")
    broker = run(Broker(at, stats=stats, stats_interval=0.05))
    assert producer.join(DEADLINE_S)
    until(lambda: totals(broker.core)["sent"] == 100, "100 messages sent")
    run(StatsCollector(stats))
    until(lambda: monitor.view is not None and monitor.view.sent == 100, "the broker's figures")
    until(lambda: monitor.view.senders_alive == 1, "the sender's")


def test_roles_of_one_process_have_names_of_their_own():
    """Accounts are kept by name: two producers of one name would be two starts of one, and one be fenced."""
    roles = [Sender(), Sender(), Producer(), Producer(), Broker("127.0.0.1:0")]
    assert len({role.name for role in roles}) == len(roles)
    for role in roles:
        role.waker.close()
