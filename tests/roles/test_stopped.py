"""A sender that stands still, as after SIGSTOP, and goes on: what others have sent meanwhile is in no histogram of its.

Its clock stands while the broker's goes on, so that it says nothing, and then jumps.
"""

from __future__ import annotations

import time

import pytest

from tests.roles.holding import Gate
from tests.roles.peers import totals
from tests.roles.waiting import until
from zsms import Broker, DelayModel, Producer, Sender
from zsms.core.broker import BrokerLimits

MESSAGES, SLOTS = 40, 10


class Clock:
    """That of this machine; or it stands still."""

    def __init__(self) -> None:
        self.stopped_at: float | None = None

    def __call__(self) -> float:
        return time.monotonic() if self.stopped_at is None else self.stopped_at


def measured(sender: Sender) -> list[int]:
    times = sender.transport.times
    return [times.send.count, times.total.count, sender.turn.late.count, sender.turn.queue_times.count]


@pytest.mark.parametrize("brokers", [1, 2])
@pytest.mark.parametrize("called", [False, True], ids=["simulated", "called"])
@pytest.mark.parametrize(
    "limits",
    [BrokerLimits(liveness=0.5), BrokerLimits(liveness=5.0, lease=0.5)],
    ids=["longer than liveness", "longer than the lease"],
)
def test_what_others_sent_while_it_stood_still_is_measured_by_them(run, address, limits, called, brokers) -> None:
    clock, gate = Clock(), Gate()
    meshes = [run(Broker(address(), limits=limits)) for _ in range(brokers)]
    cores = [broker.core for broker in meshes]
    at = [broker.endpoint for broker in meshes]
    slots = {"send": gate.send} if called else {"delay": DelayModel("constant", 1.0), "lease": 0.5}
    stopped = run(Sender(at, concurrency=SLOTS, prefetch=2, clock=clock, **slots))
    until(lambda: all(way.core.live for way in stopped.ways), "it has joined")
    run(Producer(at, messages=MESSAGES))
    until(lambda: stopped.transport.busy == SLOTS, "all its slots busy")
    began, clock.stopped_at = time.monotonic(), time.monotonic()
    other = run(Sender(at, concurrency=SLOTS, delay=DelayModel("constant", 0.01)))
    until(lambda: sum(totals(core)["sent"] for core in cores) == MESSAGES, "the other one sends all")
    gone = sum(core.counters.redelivered for core in cores)
    assert gone >= SLOTS
    lasted = time.monotonic() - began
    until(lambda: time.monotonic() > began + lasted + 0.2, "more than that")
    if not called:
        stopped.transport.slow(0.01)  # what begins from now on
    clock.stopped_at = None
    gate.let_go()
    until(lambda: not stopped.shares.held, "nothing left in its hands")
    assert measured(stopped)[:2] == [0, 0]
    assert measured(other)[:2] == [MESSAGES, MESSAGES]
    assert stopped.turn.queue_times.max < lasted and stopped.turn.late.max < lasted
    assert sum(totals(core)["sent"] for core in cores) == MESSAGES
    run(Producer(at, messages=MESSAGES))
    until(lambda: sum(totals(core)["sent"] for core in cores) == 2 * MESSAGES, "both work on")
    until(lambda: measured(stopped)[1] + measured(other)[1] == 2 * MESSAGES, "each message measured once")


def test_what_nobody_was_given_while_it_stood_still_counts(run, address) -> None:
    clock = Clock()
    broker = run(Broker(address(), limits=BrokerLimits(liveness=25.0)))
    sender = run(Sender(broker.endpoint, concurrency=SLOTS, clock=clock, delay=DelayModel("constant", 0.4)))
    until(lambda: sender.ways[0].core.live, "it has joined")
    run(Producer(broker.endpoint, messages=MESSAGES))
    until(lambda: sender.transport.busy, "a busy slot")
    clock.stopped_at = time.monotonic()
    until(lambda: time.monotonic() > clock.stopped_at + 0.5, "half a second")
    sender.transport.slow(0.1)  # what begins from now on
    clock.stopped_at = None
    until(lambda: totals(broker.core)["sent"] == MESSAGES, "all sent")
    until(lambda: measured(sender) == [MESSAGES] * 4, "all measured")
    assert sender.transport.times.total.max > 0.5
