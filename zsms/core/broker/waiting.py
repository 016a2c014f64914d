"""Messages that wait for a time, in places by when it is: nothing is done for each of them.

    put --> places of 64**k ticks --its time begins--> smaller places --half of a tick is over--> due

Those of one tick come out together, in no order: as much too early as too late. (A hierarchical timing wheel: G.
Varghese, T. Lauck, SOSP 1987.)
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import pairwise
from math import floor, inf

import numpy as np
import numpy.typing as npt

from zsms.core.broker.copying import TOGETHER
from zsms.core.broker.lot import I64
from zsms.message import Mixed

F64 = npt.NDArray[np.float64]

_SMALL = 64
"""Parts of so many messages are not made one any more."""
_RATIO = 64
"""A place of the next level is so many times as long."""


class Waiting:
    """Messages, mixed; the time of each is its row's `queued`."""

    def __init__(self, tick: float, early: float) -> None:
        """Messages come out `early` seconds before the `tick` ends that they are due in; also in seconds."""
        self.nbytes = 0
        """Bytes of all that is kept here."""
        self._tick = tick
        self._early = early
        self._places: dict[tuple[int, int], list[Mixed]] = {}
        """By level and index: waiting messages, the longest first, each part at least twice as long as the next."""
        self._order: list[tuple[float, int, int]] = []
        """When each place is looked at, its level and index; a heap."""
        self._now = -(2**62)
        """The first tick that is not out: what belongs before it is due."""
        self._due: list[Mixed] = []

    def ticks(self, at: F64, now: float) -> tuple[I64, I64]:
        """In which tick each of these times is, those until `now` in one that is out; and their order by ticks."""
        if np.isfinite(now):
            self._now = max(self._now, floor(now / self._tick))
        ticks = np.floor(at / self._tick).astype(np.int64)
        ticks[(at <= now) | (ticks < self._now)] = self._now - 1
        keys = ticks - (self._now - 1)
        few = int(keys.max()) <= 0xFFFF
        return ticks, np.argsort(keys.astype(np.uint16) if few else keys, kind="stable")

    def put(self, mixed: Mixed, ticks: I64) -> None:
        """These, in the order of their ticks: into the places."""
        begin, end = 0, int(np.searchsorted(ticks, self._now))
        if end:
            self._due.append(mixed.slice(0, end))
            self.nbytes += self._due[-1].nbytes
        level, span = 0, 1
        while end < len(ticks):
            begin, span = end, span * _RATIO
            end = int(np.searchsorted(ticks, self._now + span, "right"))
            if end > begin:
                self._spread(level, mixed, ticks[begin:end] // (span // _RATIO), begin)
            level += 1

    def _spread(self, level: int, mixed: Mixed, index: I64, begin: int) -> None:
        """Into the places of one level: those from `begin` on, to each of these."""
        cuts = [0, *(np.flatnonzero(index[1:] != index[:-1]) + 1).tolist(), len(index)]
        for first, end in pairwise(cuts):
            part = mixed.slice(begin + first, begin + end)
            if level:
                part = part.copy()  # what waits for longer is not to keep those in memory that it came with
            key = level, int(index[first])
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = []
                when = key[1] * _RATIO**level * self._tick
                heappush(self._order, (when if level else when + self._tick - self._early, *key))
            place.append(part)
            self.nbytes += part.nbytes
            while len(place) > 1 and len(place[-2]) < _SMALL and len(place[-1]) * 2 > len(place[-2]):
                last, before = place.pop(), place.pop()
                place.append(Mixed.join([before, last]))
                self.nbytes += place[-1].nbytes - before.nbytes - last.nbytes

    def poll(self, now: float) -> None:
        """What waits in places whose time has come goes into smaller ones, or is due."""
        while self._order and self._order[0][0] <= now:
            _, level, index = heappop(self._order)
            parts = self._places.pop((level, index))
            if not level:
                self._now = max(self._now, index + 1)
                self._due += parts
                continue
            self.nbytes -= sum(part.nbytes for part in parts)
            self._now = max(self._now, index * _RATIO**level)
            for mixed in _together(parts):
                ticks, order = self.ticks(mixed.rows["queued"], -inf)
                for begin in range(0, len(order), TOGETHER):
                    own = order[begin : begin + TOGETHER]
                    self.put(mixed.take(own), ticks[own])

    def due(self) -> list[Mixed]:
        """Take out what is due."""
        due, self._due = self._due, []
        self.nbytes -= sum(part.nbytes for part in due)
        return due

    def next_time(self) -> float:
        """When there is something to look at, or something was due; `inf`: never."""
        times = [float(part.rows["queued"].min()) for part in self._due]
        return min(times + [when for when, *_ in self._order[:1]], default=inf)

    def everything(self) -> list[Mixed]:
        """All that waits, in no particular order."""
        return [part for place in [*self._places.values(), self._due] for part in place]


def _together(parts: list[Mixed]) -> Iterator[Mixed]:
    """All of these, a good many at a time."""
    some: list[Mixed] = []
    for part in parts:
        some.append(part)
        if sum(map(len, some)) >= 4 * TOGETHER:
            yield Mixed.join(some)
            some = []
    if some:
        yield Mixed.join(some)
