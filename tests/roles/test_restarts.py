"""Roles that die and come back on the same address or under the same name are taken back, and nothing is lost by it."""

from __future__ import annotations

import time

import pytest

from tests.roles.holding import Gate
from tests.roles.peers import gives_up, settled, totals
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, DelayModel, Monitor, Producer, Sender, StatsCollector, ZsmsError
from zsms.core.broker import BrokerLimits
from zsms.roles.base import Role
from zsms.wire.frames import JoinSender, Welcome, Who


def crash(role: Role) -> None:
    """The nearest to a kill that a thread allows: the role leaves at once, without a goodbye."""
    role.stop()
    role.stop()
    assert role.join(DEADLINE_S)


def test_a_broker_that_restarts_takes_everyone_back(run, address):
    """It keeps its queue in memory: what it had confirmed is gone with it, all that was not arrives at the next one."""
    at, messages = address(), 10_000
    first = run(Broker(at, limits=BrokerLimits(max_messages=2_000, liveness=1.0)))
    sender = run(Sender(at, concurrency=50, delay=DelayModel("constant", 0.005)))
    producer = run(Producer(at, messages=messages, batch=100, window=5_000))
    until(lambda: totals(first.core)["accepted"] > 3_000 and producer.window.messages > 1_000, "a broker that is full")
    session = sender.core.token
    confirmed = producer.window.confirmed_messages
    crash(first)

    second = run(Broker(at, limits=BrokerLimits(liveness=1.0)))
    assert producer.join(DEADLINE_S)
    until(lambda: settled(second.core) == totals(second.core)["accepted"], "the rest settled")
    assert producer.window.confirmed_messages == messages
    lost_with_the_first = messages - totals(second.core)["accepted"]
    assert confirmed <= lost_with_the_first <= totals(first.core)["accepted"]
    (account,) = second.core.accounts()
    assert account.balanced and account.next == messages / 100
    assert sender.core.token != session  # the new broker does not know the old session, and a new one was begun
    until(lambda: [s.name for s in second.core.sessions.copy().values()] == [sender.name], "the sender alone")


def test_a_broker_that_was_only_out_of_reach_goes_on_where_it_was(run, fake_broker):
    """A sender whose broker says WHO joins again under the same session, with what it has received."""
    sender = run(Sender(fake_broker.endpoint, concurrency=5))
    first = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, first.sent_at, first.sent_at, 1.0, 0.0, "memory"))
    until(lambda: sender.ways[0].link.joined, "the sender has joined")
    known = sender.core.generation
    fake_broker.say(Who(1))
    again = fake_broker.hear(JoinSender)
    while again.generation <= known:  # said before it was welcomed
        again = fake_broker.hear(JoinSender)
    assert (again.session, again.generation, again.received) == (first.session, known + 1, 0)


def test_a_sender_that_dies_and_restarts_with_its_name(run, address):
    """What it held goes to others, itself among them; to the collector it is one process with two starts."""
    gate, stats = Gate(), address()
    collector = run(StatsCollector(stats))
    told = {"stats": stats, "stats_interval": 0.05}
    broker = run(Broker(address(), **told))
    opened = Gate(open=True)
    first = run(Sender(broker.endpoint, name="s", concurrency=20, prefetch=5, send=gate.send, **told))
    run(Producer(broker.endpoint, messages=100, **told))
    until(lambda: gate.holds == 20, "20 messages in its slots")
    gate.let_go(7)
    until(lambda: totals(broker.core)["sent"] == 7, "7 of them sent")
    until(lambda: first.core.held == 25, "its slots and its prefetch full again")
    crash(first)
    (session,) = broker.core.sessions  # it said no goodbye
    gives_up(broker, session)

    second = run(Sender(broker.endpoint, name="s", concurrency=20, send=opened.send, **told))
    until(lambda: totals(broker.core)["sent"] == 100, "100 messages sent")
    assert broker.core.counters.redelivered == 25
    assert broker.core.counters.duplicates == broker.core.counters.unknown == 0
    assert sorted(m.delivery for m in opened.seen) == [1] * 68 + [2] * 25
    assert {m.id for m in opened.seen}.isdisjoint({m.id for m in gate.passed})
    assert [s.name for s in broker.core.sessions.values()] == ["s"]
    assert "sender lost" in [event.kind for event in broker.core.events]

    def whole() -> bool:
        answer = collector.book.answer("totals", 0.0)
        rows = [row for row in answer["processes"] if row["role"] == "sender"]
        return len(rows) == 1 and answer["totals"]["sender"]["sent"] == 100

    until(whole, "both starts in the totals")
    second.stop()
    assert second.join(DEADLINE_S)


def test_a_sender_that_was_given_up_begins_a_new_session(run, address):
    """As after a SIGSTOP: silent for too long, then back. Its late acknowledgements are duplicates."""
    gate, opened = Gate(), Gate(open=True)
    frozen = [time.monotonic()]  # a sender that feels no time pass never pings
    broker = run(Broker(address()))
    clock = lambda: frozen[0] or time.monotonic()  # noqa: E731
    silent = run(Sender(broker.endpoint, concurrency=10, prefetch=0, send=gate.send, clock=clock))
    run(Producer(broker.endpoint, messages=10))
    until(lambda: gate.holds == 10, "10 messages in its slots")
    session = silent.core.token
    gives_up(broker, session)
    run(Sender(broker.endpoint, concurrency=10, send=opened.send))
    until(lambda: totals(broker.core)["sent"] == 10, "another one sends all 10")
    frozen[0] = 0.0
    until(lambda: silent.core.token != session and len(broker.core.sessions) == 2 and silent.core.live, "a new session")
    gate.let_go(10)  # sooner, and nobody would be there to hear of it
    until(lambda: broker.core.counters.duplicates == 10, "10 late acknowledgements")
    assert totals(broker.core)["sent"] == 10 and broker.core.counters.redelivered == 10


def test_a_collector_that_restarts_knows_everything_again(run, address):
    """Row 30. Snapshots are cumulative, so one of each process makes the totals whole."""
    stats, messages = address(), 1_500
    first = run(StatsCollector(stats))
    told = {"stats": stats, "stats_interval": 0.05}
    broker = run(Broker(address(), **told))
    run(Sender(broker.endpoint, concurrency=100, delay=DelayModel("constant", 0.005), **told))
    producer = run(Producer(broker.endpoint, messages=messages, rate=1_000, **told))
    until(lambda: first.book.taken > 10 and totals(broker.core)["sent"] > 300, "a mesh that reports")
    crash(first)

    second = run(StatsCollector(stats))
    until(lambda: len(second.book.answer("totals", 0.0)["processes"]) == 3, "all three report again")
    seen = second.book.answer("totals", 0.0)["totals"]
    assert seen["producer"]["produced"] > 300 and seen["broker"]["sent"] > 300 and seen["sender"]["sent"] > 300
    monitor = run(Monitor(stats, interval=0.05, until_done=True))
    assert producer.join(DEADLINE_S)
    until(lambda: not monitor.running, "the end of all work")
    assert monitor.view.produced == monitor.view.sent == messages


def test_a_producer_that_restarts_with_its_name_fences_its_earlier_start(run, address):
    """Both starts stay in the accounts, and the old one is told instead of going on in vain."""
    broker = run(Broker(address(), limits=BrokerLimits(max_messages=100)))
    old = Producer(broker.endpoint, name="p", messages=10_000, batch=50, window=500).start()
    until(lambda: broker.core.full and old.window.messages, "a broker that is full")
    new = Producer(broker.endpoint, name="p", messages=200, batch=50)
    run(new)
    with pytest.raises(ZsmsError, match="a later start"):
        old.join(DEADLINE_S)
    accepted = totals(broker.core)["accepted"]
    run(Sender(broker.endpoint, concurrency=50, delay=DelayModel("constant", 0.001)))
    assert new.join(DEADLINE_S)
    until(lambda: settled(broker.core) == accepted + 200, "both starts settled")
    assert [account.accepted for account in broker.core.accounts()] == [200, accepted]
    assert broker.core.counters.fenced_batches or old.window.messages
