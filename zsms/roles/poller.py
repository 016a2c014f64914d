"""Waiting to a fraction of a millisecond."""

from __future__ import annotations

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
            time.sleep(left)
            events = super().poll(0)
        return events
