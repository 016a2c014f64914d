"""One turn of a producer: how many messages are to be made now, when they are due, and for which broker they are.

size    how many to take from the source: a whole batch, or in the open loop what is due by now
most_room    for which broker: of those that can take it, the one with the most room in its window
made    so many were; what is due next is looked at from there on
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from zsms.core.producer.pace import Pace, PoissonPace
from zsms.core.seeds import Seed

_PACE_S = 0.001
"""An open-loop producer gathers what is due within this time into one batch."""


class Way(Protocol):
    """A way to a broker."""

    @property
    def ready(self) -> bool:
        """Whether there is room, and everything made so far is on its way."""

    @property
    def room(self) -> int:
        """Messages that may be made for this broker now."""


W = TypeVar("W", bound=Way)


def most_room(ways: Iterable[W]) -> W | None:
    """Where the next batch goes: of those that can take it, to the one with the most room."""
    return max((way for way in ways if way.ready), key=lambda way: way.room, default=None)


class Turn:
    """A producer's turns."""

    def __init__(self, batch: int, rate: float | None, arrivals: str, seed: Seed) -> None:
        """`batch` messages at most are made at once; `rate` (messages a second) and `arrivals` are those of the open
        loop, whose arrivals `seed` draws; without a rate they are made as fast as there is room.
        """
        self.rate = rate
        """May be set to another one from any thread; followed with the next turn."""
        self.produced = 0
        self._batch = batch
        self._arrivals = arrivals
        self._seed = seed
        self._pace: Pace | PoissonPace | None = None
        self._next = 0.0

    def poll(self, now: float) -> None:
        """Follow the rate."""
        rate = self.rate
        if rate is not None and self._pace is not None and rate != self._pace.rate:
            self._pace.change(rate, now)

    def size(self, now: float) -> int:
        """How many messages to make now."""
        if self.rate is not None and self._pace is None:
            poisson = self._arrivals == "poisson"
            self._pace = PoissonPace(self.rate, now, self._seed) if poisson else Pace(self.rate, now)
        if self._pace is None:
            return self._batch
        if now < self._next:
            return 0
        size = min(self._batch, self._pace.due(self.produced, now))
        if size:
            self._next = now + _PACE_S if size < self._batch else now
        return size

    def due(self, count: int, now: float) -> tuple[float, float]:
        """When the first of the next `count` is due, and the time from one to the next."""
        if self._pace is None:
            return now, 0.0
        return self._pace.time_of(self.produced), self._pace.step_at(self.produced, count)

    def made(self, count: int, now: float) -> None:
        """So many were made."""
        self.produced += count
        if self._pace is not None and self._pace.time_of(self.produced) <= now:
            self._next = now  # there are more of the past, of another stretch

    def next_time(self, now: float) -> float:
        """When there is something to make, if there is room for it."""
        return now if self._pace is None else max(self._pace.time_of(self.produced), self._next)

    def asked(self, at: float) -> tuple[float | None, float | None, float | None]:
        """The arrival rate, and what it came to at that time over how many seconds; None where there is none."""
        pace = self._pace
        return (self.rate, None, None) if pace is None else (pace.rate, pace.expected(at), at - pace.began)
