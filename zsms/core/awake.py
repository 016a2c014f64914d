"""Whether to look again instead of falling asleep, where what is waited for comes as soon as one would be asleep.

Two processes that answer each other in a tenth of a millisecond take twice as long when both sleep in between: they are
woken late, and slower at first. Who stays awake uses a core, so it is done only where waits are no longer than twice
the work before them, time and again, and not while others want that core.
"""

from __future__ import annotations

from math import inf

ENOUGH = 8
"""So many waits more must have been short than twice as many as were long, of late."""
TIMES = 2.0
"""A wait is short that takes so many times as long as the work before it, at most,"""
MOST_S = 0.001
"""and never longer than this."""
TAKEN_S = 0.0002
"""From one look to the next; if it takes longer, others have had the core."""
REST_S = 0.5
"""They have it for so long then."""


class Awake:
    """One side's waits. Times in seconds, of one clock."""

    def __init__(self) -> None:
        self._short = 0
        self._waits = False
        self._came = self._until = self._rests = -inf
        self._looked = inf
        """When it was decided to look again."""

    def came(self, now: float) -> None:
        """What was waited for is there, and there is something to do."""
        if now < self._until or not self._waits:
            self._short = min(self._short + 1, 2 * ENOUGH)
        else:
            self._short = max(self._short - ENOUGH // 2, 0)
        self._waits, self._came, self._looked = False, now, inf

    def stays(self, now: float) -> bool:
        """There is nothing to do: whether to let others have the core who want it, and then to look again."""
        if not self._waits:
            self._waits, self._until = True, now + min(TIMES * (now - self._came), MOST_S)
        if now - self._looked > TAKEN_S:
            self._rests = now + REST_S
        stays = self._short >= ENOUGH and self._rests <= now < self._until
        self._looked = now if stays else inf
        return stays
