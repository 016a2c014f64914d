"""The one way in which these tests wait: for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from zsms import Broker
from zsms.core.broker.lot import DeadLetter

DEADLINE_S = 25.0
"""Long enough for a busy machine; a test that passes waits for a fraction of it."""


def until(condition: Callable[[], Any], what: str = "it", seconds: float = DEADLINE_S) -> Any:
    """Wait until `condition()` is true and return what it returned; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} has not come about in {seconds:.0f} s"
        time.sleep(0.002)


def letters_of(broker: Broker) -> list[DeadLetter]:
    """The dead letters of a broker that has nothing left to do, once it has ended: to look at them writes those that
    wait, which before is its own thread's business."""
    broker.stop()
    assert broker.join(DEADLINE_S)
    return list(broker.core.dead_letters)
