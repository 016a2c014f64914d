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

    @property
    def rate(self) -> float:
        """Messages a second, now."""
        return self._stretches[-1].rate

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

    def step_at(self, index: int) -> float:
        """Seconds between message `index` and the next one of its stretch."""
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
