"""When the messages of an open-loop producer are due.

Message k is due at ``t0 + k / rate``, whatever became of the messages before it. A producer that was held up
makes the late ones at once and keeps their due times, so that a stall shows in their total times (the
"coordinated omission" of G. Tene, "How not to measure latency", is to leave that out).
"""

from __future__ import annotations

from math import floor


class Pace:
    """A constant arrival rate that can be changed under way."""

    def __init__(self, rate: float, now: float) -> None:
        """`rate` in messages a second, above 0."""
        self.rate = rate
        self._origin = now
        self._made_before = 0

    def due(self, made: int, now: float) -> int:
        """How many messages are due now, of which `made` have been made."""
        count = self._made_before + floor((now - self._origin) * self.rate) + 1
        if self.time_of(count) <= now:  # the product was rounded down: a caller that waited for just then gets it
            count += 1
        return max(0, count - made)

    def time_of(self, index: int) -> float:
        """When message `index` is due."""
        return self._origin + (index - self._made_before) / self.rate

    @property
    def step(self) -> float:
        """Seconds between two messages."""
        return 1.0 / self.rate

    def change(self, rate: float, made: int) -> None:
        """From message `made` on, another rate."""
        self._origin, self._made_before, self.rate = self.time_of(made), made, rate
