"""A cap in segments a second, kept in every second from the first on.

    room(now) -> messages that may begin         spend(segments, now)         next_time(now)

A token bucket that fills in `_SMOOTH_S` seconds, so that a look that comes late loses nothing, and a count of the last
second, so that what it catches up never makes more than the cap in any second. With a burst, so many segments may go at
once after a rest, and the second's count allows for them.
"""

from __future__ import annotations

from math import isfinite

from zsms.errors import UsageError

_BINS = 100
"""A second of them is counted: the one that runs, and those before it."""
_SMOOTH_S = 0.1


class Cap:
    """Of one sender process."""

    def __init__(self, rate: float, burst: float = 0.0) -> None:
        """`rate` in segments a second, `burst` in segments. Raises UsageError."""
        if not (isfinite(rate) and rate > 0):
            raise UsageError(f"cap {rate}: give segments a second, above 0")
        if not (isfinite(burst) and burst >= 0):
            raise UsageError(f"burst {burst}: give segments, 0 or more")
        self.rate = rate
        self.burst = burst
        self._tokens = max(1.0, burst)
        self._at: float | None = None
        self._bins = [0] * _BINS
        self._bin = 0

    def _look(self, now: float) -> None:
        if self._at is None:
            self._at, self._bin = now, int(now * _BINS)
        most = max(1.0, self.burst, self.rate * _SMOOTH_S)
        self._tokens = min(most, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = max(now, self._at)
        current = int(self._at * _BINS)
        for passed in range(self._bin + 1, min(current, self._bin + _BINS) + 1):
            self._bins[passed % _BINS] = 0
        if current > self._bin + _BINS:
            self._bins = [0] * _BINS
        self._bin = max(current, self._bin)

    def room(self, now: float) -> int:
        """Messages of one segment that may begin now."""
        self._look(now)
        second = max(1.0, self.rate) + self.burst - sum(self._bins)
        return max(0, int(min(self._tokens, second) + 1e-9))

    def spend(self, segments: int, now: float) -> None:
        """So many segments begin. More than there was room for are a debt, which is paid before anything else."""
        self._look(now)
        self._tokens -= segments
        self._bins[self._bin % _BINS] += segments

    def next_time(self, now: float) -> float:
        """When there may be room for one more; `now` when there is."""
        if self.room(now):
            return now
        missing = max(0.0, 1.0 - self._tokens) / self.rate
        return now + max(missing, 1.0 / _BINS if sum(self._bins) + 1 > max(1.0, self.rate) + self.burst else 0.0)

    def change(self, rate: float, now: float) -> None:
        """Another rate from now on. Raises UsageError."""
        other = Cap(rate, self.burst)
        self._look(now)
        self.rate = other.rate
        self._tokens = min(self._tokens, max(1.0, self.burst, rate * _SMOOTH_S))

    def ahead(self, waiting: int) -> int:
        """How many more messages are worth asking for, when so many wait."""
        return max(0, int(self.rate * _SMOOTH_S) + 2 + int(self.burst) - waiting)
