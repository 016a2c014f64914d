"""Waiting to a fraction of a millisecond."""

from __future__ import annotations

import select
import time

import zmq


class Poller(zmq.Poller):
    """A poller that is on time: zmq_poll counts whole milliseconds only, and whoever waits by it is half of one late.

    What comes in the last part of a millisecond waits for its end, when there is something to do anyway.
    """

    def poll(self, timeout: float | None = None) -> list[tuple[zmq.Socket[bytes], int]]:
        """As of zmq.Poller; `timeout` in milliseconds, with its fraction."""
        if timeout is None or timeout < 0 or timeout == int(timeout):
            return super().poll(None if timeout is None else int(timeout))
        until = time.monotonic() + timeout / 1_000
        events = super().poll(int(timeout))
        if not events and (left := until - time.monotonic()) > 0:
            # Not time.sleep: it waits for a moment of the clock, a wrong one where the clock is made to jump.
            select.select((), (), (), left)
            events = super().poll(0)
        return events
