"""Small senders beside a large one: never idle while there is work, and never holding more than they asked for."""

from __future__ import annotations

import time

from tests.roles.holding import Gate
from tests.roles.peers import totals
from tests.roles.waiting import until
from zsms import Broker, DelayModel, Producer, Sender
from zsms.transports.callable import CallableTransport


class Watched(Sender):
    """Notes, at the end of each turn of its loop, how many messages it holds and how long its slots stood empty."""

    def watch(self, broker: Broker) -> Watched:
        self.broker = broker
        self.most = 0
        self.most_extra = 0
        self.most_in_flight = 0
        self.idle_s = 0.0
        self.watched_s = 0.0
        self._noted: float | None = None
        self._free = 0
        return self

    def step(self) -> bool:
        goes_on = super().step()
        self.note()
        return goes_on

    def note(self) -> None:
        core, now = self.core, time.monotonic()
        self.most = max(self.most, core.held)
        self.most_extra = max(self.most_extra, core.extra)
        session = self.broker.core.sessions.get(core.token)
        if session is not None:
            self.most_in_flight = max(self.most_in_flight, session.in_flight)
        if not self.broker.core.queue or self.transport.times.send.count < core.slots:
            self._noted = None  # no work, or not begun
            return
        if self._noted is not None:
            passed = min(now - self._noted, 0.05)  # a machine that pauses says nothing of who has work
            self.idle_s += self._free * passed
            self.watched_s += passed
        self._noted, self._free = now, core.slots - self.transport.busy


def test_one_slot_and_ten_beside_many(run, address):
    broker = run(Broker(address()))
    sizes = (1, 10, 2_000)
    # Sends of 0.1 s: a round trip to the broker is short beside them, and is what the prefetch is to cover.
    delay = DelayModel("normal", 0.1, 0.01)
    senders = [
        run(Watched(broker.endpoint, concurrency=slots, delay=delay, seed=slots).watch(broker)) for slots in sizes
    ]
    until(lambda: len(broker.core.sessions) == 3, "three senders")
    run(Producer(broker.endpoint, messages=50_000, seed=1))
    until(lambda: totals(broker.core)["sent"] == 50_000, "50,000 messages sent")
    for slots, sender in zip(sizes, senders, strict=True):
        allowed = slots + sender.core.prefetch + sender.most_extra  # no more than slots that are about to be free
        assert sender.core.prefetch + sender.most_extra <= slots
        assert slots <= sender.most <= allowed
        assert sender.most_in_flight <= allowed
        assert sender.watched_s > 1.5
        # A hundredth where nobody else has work to do; who is starved by the large one idles nearly always.
        assert sender.idle_s / (slots * sender.watched_s) < 0.3, f"{slots} slots idle while there was work"
    # And so each has sent its share, a slot's worth a slot.
    sent = [sender.turn.sent for sender in senders]
    assert sent[0] > 15 and sent[1] > 150
    assert broker.core.counters.redelivered == broker.core.counters.duplicates == 0


def test_a_slow_sender_holds_no_more_than_its_slots(run, address):
    """Row 8. It takes a batch of a thousand no more than one of ten: the message is what is scheduled.

    And it prefetches nothing before its first send has ended.
    """
    broker = run(Broker(address()))
    slow = run(Watched(broker.endpoint, concurrency=3, prefetch=2, delay=DelayModel("constant", 60.0)).watch(broker))
    quick = run(Watched(broker.endpoint, concurrency=50, delay=DelayModel("constant", 0.002)).watch(broker))
    until(lambda: len(broker.core.sessions) == 2, "both senders")
    run(Producer(broker.endpoint, messages=2_000, batch=1_000))
    until(lambda: totals(broker.core)["sent"] == 1_997, "everything but what the slow one holds")
    assert slow.most == slow.core.held == 3 and quick.most <= 50 + quick.core.prefetch
    assert totals(broker.core)["in_flight"] == 3 and not broker.core.queue


class Eager(CallableTransport):
    """Asks for all that it has room for before it knows how fast its function begins."""

    def room(self, waiting):
        return None


def test_who_has_an_idle_slot_comes_before_who_only_prefetches(run, address):
    broker = run(Broker(address()))
    gates = Gate(), Gate()
    greedy = run(Sender(broker.endpoint, transport=Eager(gates[0].send, 1), prefetch=100))
    until(lambda: [s.limit for s in broker.core.sessions.values()] == [101], "the credit of the first")
    run(Producer(broker.endpoint, messages=1))
    until(lambda: gates[0].holds == 1, "its only slot taken")
    modest = run(Sender(broker.endpoint, transport=Eager(gates[1].send, 10), prefetch=0))
    until(lambda: sorted(s.limit for s in broker.core.sessions.values()) == [10, 101], "the credit of the second")
    run(Producer(broker.endpoint, messages=8))
    until(lambda: gates[1].holds == 8, "8 messages where a slot is free for each")
    assert greedy.core.held == 1 and modest.core.held == 8
    run(Producer(broker.endpoint, messages=5))
    until(lambda: gates[1].holds == 10, "2 more of them")
    gates[1].let_go(3)
    until(lambda: len(gates[1].seen) == 13, "and the rest where slots became free")
    assert greedy.core.held == 1, "nothing waited behind its busy slot"
