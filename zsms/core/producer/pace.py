"""When the messages of an open-loop producer are due.

Message k is due at ``t0 + k / rate``, whatever became of the messages before it. A producer that was held up
makes the late ones at once and keeps their due times, so that a stall shows in their total times (the
"coordinated omission" of G. Tene, "How not to measure latency", is to leave that out).

    position   |               ,--'     the rate may change under way: the position, a real number that grows with the
               |        ___,--'         rate, goes on from where it is, so that there is neither a burst nor a gap, and
               |  ,--'''                the messages that it has passed keep the due times of their stretch
               '--------------- time
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import floor

import numpy as np

from zsms.core.seeds import Seed
from zsms.errors import UsageError
from zsms.message import MAX_BATCH_MESSAGES

ARRIVALS = ("even", "poisson")
"""How arrivals of one rate lie in time."""
LEAST_RATE, MOST_RATE = 1e-6, 1_000_000_000
"""Messages a second: what is slower is due after longer than frames can say."""

BUNDLE_S = 0.001
"""Poisson arrivals within this time are made as one batch, their due times spread evenly from the first to the last."""


def check_pushing(rate: float | None, batch: int | None, window: int | None) -> None:
    """Raises UsageError for a rate, batch or window (None: the default) that can't be."""
    if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
        raise UsageError(f"rate {rate}: give messages a second, above 0: from {LEAST_RATE:.6f} to {MOST_RATE:,}")
    if batch is not None and not 1 <= batch <= MAX_BATCH_MESSAGES:
        raise UsageError(f"batch {batch}: give 1 to {MAX_BATCH_MESSAGES} messages")
    if window is not None and window < 1:
        raise UsageError(f"window {window}: give at least 1 message")


def check_arrivals(arrivals: str) -> None:
    """Raises UsageError unless it is one of `ARRIVALS`."""
    if arrivals not in ARRIVALS:
        raise UsageError(f"arrivals {arrivals!r}: give one of {', '.join(ARRIVALS)}")


@dataclass(slots=True)
class _Stretch:
    """A time of one rate."""

    first: int
    """The first message that is due in it."""
    origin: float
    """When that one is due."""
    rate: float

    def time_of(self, index: int) -> float:
        return self.origin + (index - self.first) / self.rate

    def position(self, now: float) -> float:
        return self.first + (now - self.origin) * self.rate


class Pace:
    """A constant arrival rate that can be changed under way."""

    def __init__(self, rate: float, now: float) -> None:
        """`rate` in messages a second, above 0."""
        self._stretches = deque([_Stretch(0, now, rate)])
        self.began = now
        """When the first message was due."""

    @property
    def rate(self) -> float:
        """Messages a second, now."""
        return self._stretches[-1].rate

    def expected(self, now: float) -> float:
        """How many messages were asked for up to `now`, which is no earlier than the last change: rate x time."""
        return self._stretches[-1].position(now)

    def due(self, made: int, now: float) -> int:
        """How many messages are due now, of which `made` have been made; all of one `step`."""
        stretches = self._stretches
        while len(stretches) > 1 and stretches[1].first <= made:
            stretches.popleft()
        count = floor(stretches[0].position(now)) + 1
        if stretches[0].time_of(count) <= now:  # the product was rounded down: who waited for just then gets it
            count += 1
        if len(stretches) > 1:
            count = min(count, stretches[1].first)
        return max(0, count - made)

    def time_of(self, index: int) -> float:
        """When message `index` is due."""
        return self._of(index).time_of(index)

    def step_at(self, index: int, count: int = 1) -> float:
        """Seconds between each of `count` messages of one stretch, from `index` on, and the next one."""
        return 1.0 / self._of(index).rate

    def _of(self, index: int) -> _Stretch:
        return next((s for s in reversed(self._stretches) if s.first <= index), self._stretches[0])

    def change(self, rate: float, now: float) -> None:
        """From `now` on, another rate; what is due already stays due when it was."""
        last = self._stretches[-1]
        position = last.position(now)
        first = max(floor(position) + 1, last.first)
        if first == last.first:  # nothing was due at the last rate
            self._stretches.pop()
        self._stretches.append(_Stretch(first, now + (first - position) / rate, rate))


class PoissonPace:
    """Arrivals with exponential gaps: those of independent people. Several of them together are Poisson as well.

    Message k is due when the expected number of arrivals reaches the k-th point of a Poisson process of rate 1, so
    that the rate may change under way (the time change of an inhomogeneous Poisson process).
    """

    def __init__(self, rate: float, now: float, seed: Seed = None) -> None:
        """`rate` in messages a second, above 0."""
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self.began = now
        self._stretches = deque([(0.0, now, rate)])
        """Of each time of one rate: the expected number where it begins, when that is, and the rate."""
        self._points = np.zeros(0)
        self._first = 0
        """The message of the first point that is kept."""
        self._last = 0.0

    @property
    def rate(self) -> float:
        """Messages a second, now."""
        return self._stretches[-1][2]

    def expected(self, now: float) -> float:
        """How many messages were asked for up to `now`, on average: rate x time."""
        return self._position(now)

    def due(self, made: int, now: float) -> int:
        """How many messages are due now, of which `made` have been made; those within `BUNDLE_S` of the first."""
        begins = self.time_of(made)
        if begins > now:
            return 0
        self._forget(made)
        until = self._position(min(now, begins + BUNDLE_S))
        while self._points[-1] <= until:
            self._draw()
        return max(1, int(np.searchsorted(self._points, until, side="right")) + self._first - made)

    def time_of(self, index: int) -> float:
        """When message `index`, one that is not yet made or was among the last, is due."""
        while index - self._first >= len(self._points):
            self._draw()
        point = float(self._points[index - self._first])
        position, origin, rate = next((s for s in reversed(self._stretches) if s[0] <= point), self._stretches[0])
        return origin + (point - position) / rate

    def step_at(self, index: int, count: int = 1) -> float:
        """Seconds from each of `count` messages to the next one, so that the first and the last are exact."""
        return (self.time_of(index + count - 1) - self.time_of(index)) / (count - 1) if count > 1 else 0.0

    def change(self, rate: float, now: float) -> None:
        """From `now` on, another rate; what is due already stays due when it was."""
        self._stretches.append((self._position(now), now, rate))

    def _position(self, at: float) -> float:
        position, origin, rate = next((s for s in reversed(self._stretches) if s[1] <= at), self._stretches[0])
        return position + (at - origin) * rate

    def _draw(self) -> None:
        points = self._last + np.cumsum(self._rng.standard_exponential(4096))
        self._last = float(points[-1])
        self._points = np.concatenate([self._points, points])

    def _forget(self, made: int) -> None:
        if made - self._first >= 4096:
            self._points = self._points[made - self._first :].copy()
            self._first = made
        while len(self._stretches) > 1 and self._stretches[1][0] <= self._points[made - self._first]:
            self._stretches.popleft()
