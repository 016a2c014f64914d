"""A broker that comes back with another clock: no time is longer than the run, and none is cut to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.roles.waiting import until
from zsms import Broker, Producer, Sender
from zsms.core.broker import BrokerLimits
from zsms.stats.delay import DelayModel

Clock = Callable[[], float]
AHEAD_S = 100_000.0
MEAN_S = 0.02


def ahead() -> float:
    return time.monotonic() + AHEAD_S


@pytest.mark.parametrize(("first", "second"), [(ahead, time.monotonic), (time.monotonic, ahead)], ids=["back", "forth"])
def test_times_are_right_whatever_clock_the_broker_comes_back_with(first: Clock, second: Clock) -> None:
    began = time.monotonic()
    broker = Broker("tcp://127.0.0.1:0", limits=BrokerLimits(max_messages=20), clock=first).start()
    address = broker.endpoint
    sender = Sender(address, concurrency=10, delay=DelayModel("constant", MEAN_S)).start()
    producer = Producer(address, rate=2_000, messages=600, batch=10).start()
    try:
        until(lambda: sender.transport.times.total.count > 20 and producer.unconfirmed > 50, "a broker that is full")
        for _ in range(2):
            broker.stop()
        broker.join()
        assert producer.unconfirmed > 50, "made by the clock of a broker that is gone"
        broker = Broker(address, clock=second).start()
        assert producer.join(20)
        until(lambda: broker.core.idle, "all of it settled")
        total, queue = sender.transport.times.total, sender.turn.queue_times
        assert total.count >= 500
        assert total.min > 0.9 * MEAN_S and total.max < time.monotonic() - began
        assert queue.max <= total.max and sender.turn.late.max <= total.max
    finally:
        for role in (producer, broker, sender):
            role.stop()
            role.stop()
            role.join()
