"""Messages that wait for a time, in places by when it is: nothing is done for each of them.

    put --> places of 64**k ticks --its time begins--> smaller places --half of a tick is over--> due

Those of one tick come out together, in no order: as much too early as too late. (A hierarchical timing wheel: G.
Varghese, T. Lauck, SOSP 1987.)
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf

import numpy as np
import numpy.typing as npt

from zsms.core.broker.lot import I64
from zsms.core.broker.records import Records

F64 = npt.NDArray[np.float64]

_SMALL = 256
"""Parts of so many messages are not made one any more."""
_RATIO = 64
"""A place of the next level is so many times as long."""


class Waiting:
    """Messages of one width of text; the time of each is its row's `queued`."""

    def __init__(self, tick: float, early: float) -> None:
        """Messages come out `early` seconds before the `tick` ends that they are due in; also in seconds."""
        self.nbytes = 0
        """Bytes of all that is kept here."""
        self._tick = tick
        self._early = early
        self._places: dict[tuple[int, int], list[Records]] = {}
        """By level and index: waiting messages, the longest first, each part at least twice as long as the next."""
        self._order: list[tuple[float, int, int]] = []
        """When each place is looked at, its level and index; a heap."""
        self._ended = -inf
        """Places of one tick that ended until then are out: what belongs there is due."""
        self._due: list[Records] = []

    def put(self, records: Records, order: I64, now: float = -inf) -> None:
        """Sort those at `order`, by which they are sorted by time, into the places; until `now` they are due."""
        at = records.rows["queued"][order]
        begin = max(int(np.searchsorted(at, self._ended, "left")), int(np.searchsorted(at, now, "right")))
        if begin:
            self._due.append(records.take(order[:begin]))
            self.nbytes += self._due[-1].nbytes
        level, span = 0, self._tick
        while begin < len(at):
            horizon = max(self._ended, float(at[begin])) + _RATIO * span
            end = int(np.searchsorted(at, horizon, "left"))
            if end > begin:
                self._spread(level, span, at[begin:end], records, order[begin:end])
                begin = end
            level, span = level + 1, span * _RATIO

    def _spread(self, level: int, span: float, at: F64, records: Records, order: I64) -> None:
        """Into the places of one level."""
        index = np.floor(at / span).astype(np.int64)
        cuts = [0, *(np.flatnonzero(index[1:] != index[:-1]) + 1).tolist(), len(at)]
        for begin, part in zip(cuts, records.split(order, cuts), strict=False):
            key = level, int(index[begin])
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = []
                when = key[1] * span if level else self._end(key[1]) - self._early
                heappush(self._order, (when, *key))
            place.append(part)
            self.nbytes += part.nbytes
            while len(place) > 1 and len(place[-2]) < _SMALL and len(place[-1]) * 2 > len(place[-2]):
                last, before = place.pop(), place.pop()
                place.append(Records.join([before, last]))
                self.nbytes += place[-1].nbytes - before.nbytes - last.nbytes

    def _end(self, index: int) -> float:
        """When a place of one tick ends."""
        return (index + 1) * self._tick

    def look(self, now: float) -> None:
        """What waits in places whose time has come goes into smaller ones, or is due."""
        while self._order and self._order[0][0] <= now:
            _, level, index = heappop(self._order)
            parts = self._places.pop((level, index))
            if not level:
                self._ended = max(self._ended, self._end(index))
                self._due += parts
                continue
            self.nbytes -= sum(part.nbytes for part in parts)
            records = Records.join(parts)
            self.put(records, np.argsort(records.rows["queued"]))

    def due(self) -> list[Records]:
        """Take out what is due."""
        due, self._due = self._due, []
        self.nbytes -= sum(part.nbytes for part in due)
        return due

    def next_time(self) -> float:
        """When there is something to look at, or something was due; `inf`: never."""
        times = [float(part.rows["queued"].min()) for part in self._due]
        return min(times + [when for when, *_ in self._order[:1]], default=inf)

    def everything(self) -> list[Records]:
        """All that waits, in no particular order."""
        return [part for place in [*self._places.values(), self._due] for part in place]
