"""Waiting for sockets, and not asleep where clients say something at once again."""

from __future__ import annotations

import os
import select
import time

from zsms.core.awake import MOST_S, Awake


class Waiting:
    """Waits by an epoll."""

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll
        self._awake = Awake()

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """What there is, as of select.epoll, or comes within `timeout` seconds (None: without end)."""
        ready = self._stay_awake() if timeout is None or timeout > MOST_S else []
        ready = ready or self._epoll.poll(timeout)
        if ready:
            self._awake.came(time.monotonic())
        return ready

    def _stay_awake(self) -> list[tuple[int, int]]:
        while self._awake.stays(time.monotonic()):
            if ready := self._epoll.poll(0):
                return ready
            os.sched_yield()
        return []
