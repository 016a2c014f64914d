"""Counts that wait: for a tick (`Ring`), and for their turn (`Fifo`). Rows are replications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from zsms.plan.spread import Spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_HORIZON = 4_096
"""Ticks ahead that have a place of their own; what comes later is kept by its tick."""
_ROOM = 2_048
_FEW = 2
"""Up to so many for each tick of a law, counts are drawn one by one, which is cheaper then."""
_TOGETHER = 4
"""From so many laws on, what is few of all of them is drawn at once, which is cheaper then."""


@dataclass(frozen=True, slots=True)
class _Laws:
    """Laws on end, to draw from all of them at once."""

    laws: tuple[Spread, ...]
    begins: I64
    """Where each begins in `cumulated`, and where the last one ends."""
    cumulated: F64
    """The number of the law plus its cumulated shares."""

    @classmethod
    def of(cls, laws: Sequence[Spread]) -> _Laws:
        begins = np.cumsum([0, *(len(law.whole) for law in laws)])
        return cls(tuple(laws), begins, np.concatenate([number + law.whole for number, law in enumerate(laws)]))

    def same(self, laws: Sequence[Spread]) -> bool:
        return len(laws) == len(self.laws) and all(a is b for a, b in zip(laws, self.laws, strict=True))

    def draw(self, numbers: I64, rng: np.random.Generator) -> I64:
        """A tick for each number of a law, int64[n]."""
        found = np.searchsorted(self.cumulated, numbers + rng.random(len(numbers)))
        inside = np.maximum(found - self.begins[numbers], 0)
        ticks: I64 = inside + np.array([law.first for law in self.laws])[numbers]
        return ticks


class Ring:
    """Counts, int64[rows], by the tick at which they come out."""

    def __init__(self, rows: int, longest: int) -> None:
        """`longest`: the most ticks ahead that anything is put, as far as that is known."""
        self._horizon = min(longest + 2, _HORIZON)
        self._counts = np.zeros((self._horizon + _ROOM, rows), np.int64)
        self._at = 0
        self.tick = 0
        self.total = np.zeros(rows, np.int64)
        """What waits, by row,"""
        self.count = 0
        """and in all."""
        self._late: dict[int, I64] = {}
        self._laws: _Laws | None = None

    def take(self) -> I64:
        """What comes out now, int64[rows]; and go on to the next tick."""
        now: I64 = self._counts[self._at].copy()
        if self.count:
            self._counts[self._at] = 0
            self.total -= now
            self.count -= int(np.add.reduce(now))
        self.skip(1)
        return now

    def skip(self, ticks: int) -> None:
        """Go on; nothing may come out meanwhile."""
        self.tick += ticks
        if ticks < _ROOM:
            self._at += ticks
        else:
            self._at = 0  # empty: any place will do
        if self._at >= _ROOM:
            kept = self._counts[self._at :].copy()
            self._counts[: len(kept)] = kept
            self._counts[len(kept) :] = 0
            self._at = 0
        if self._late:
            for tick in [tick for tick in self._late if tick < self.tick + self._horizon]:
                self._counts[self._at + tick - self.tick] += self._late.pop(tick)

    def put(self, begin: int, counts: I64, ticks: int) -> None:
        """`counts` of the rows from `begin` on, so many ticks (from 1) after the tick that was taken last."""
        self.total[begin : begin + len(counts)] += counts
        self.count += int(counts.sum())
        self._column(ticks - 1)[begin : begin + len(counts)] += counts

    def _column(self, ahead: int) -> I64:
        if ahead < self._horizon:
            near: I64 = self._counts[self._at + ahead]
            return near
        column = self._late.get(self.tick + ahead)
        if column is None:
            column = self._late[self.tick + ahead] = np.zeros(self._counts.shape[1], np.int64)
        return column

    def spread(self, begin: int, counts: I64, law: Spread, rng: np.random.Generator) -> None:
        """Draw for each of `counts`, of the rows from `begin` on, how many ticks after the last one it comes out."""
        whole = int(np.add.reduce(counts))
        if not whole:
            return
        self.count += whole
        self.total[begin : begin + len(counts)] += counts
        if whole <= _FEW * len(law.whole):
            self._singly(begin, counts, law.first, law.whole, rng)
            return
        if law.tail_share:
            far = rng.binomial(counts, law.tail_share)
            self._singly(begin, far, law.tail_first, law.tail, rng)
            counts = counts - far
        drawn = rng.multinomial(counts, law.body).T
        ahead = law.first - 1
        fits = min(max(self._horizon - ahead, 0), len(drawn))
        place = self._at + ahead
        self._counts[place : place + fits, begin : begin + len(counts)] += drawn[:fits]
        for k in range(fits, len(drawn)):
            if drawn[k].any():
                self._column(ahead + k)[begin : begin + len(counts)] += drawn[k]

    def spread_each(self, begins: Sequence[int], counts: I64, laws: Sequence[Spread], rng: np.random.Generator) -> None:
        """`spread` of parts: the rows from each of `begins` to the next (the last is where they end) by a law of their
        own. What is few of all of them is drawn at once.
        """
        few = []
        for number, (begin, end) in enumerate(pairwise(begins)):
            whole = int(np.add.reduce(counts[begin:end]))
            if 0 < whole <= _FEW * len(laws[number].whole):
                few.append(number)
            elif whole:
                self.spread(begin, counts[begin:end], laws[number], rng)
        if len(few) < _TOGETHER:
            for number in few:
                self.spread(begins[number], counts[begins[number] : begins[number + 1]], laws[number], rng)
            return
        if self._laws is None or not self._laws.same(laws):
            self._laws = _Laws.of(laws)
        of = np.repeat(np.arange(len(laws)), np.diff(begins))
        rows = np.flatnonzero(np.isin(of, few) & (counts > 0))
        each = counts[rows]
        self.count += int(np.add.reduce(each))
        self.total[rows] += each
        rows = np.repeat(rows, each)
        self._place(rows, self._laws.draw(of[rows], rng) - 1)

    def _singly(self, begin: int, counts: I64, first: int, cumulated: F64, rng: np.random.Generator) -> None:
        rows = np.repeat(np.arange(begin, begin + len(counts)), counts)
        self._place(rows, np.searchsorted(cumulated, rng.random(len(rows))) + (first - 1))

    def _place(self, rows: I64, ahead: I64) -> None:
        """One more of each row, so many ticks ahead."""
        late = ahead >= self._horizon
        if late.any():
            for row, ticks in zip(rows[late].tolist(), ahead[late].tolist(), strict=True):
                self._column(ticks)[row] += 1
            rows, ahead = rows[~late], ahead[~late]
        np.add.at(self._counts, (self._at + ahead, rows), 1)

    def remove(self, begin: int, end: int) -> I64:
        """Take out all that waits in these rows, int64[end - begin]."""
        found: I64 = self.total[begin:end].copy()
        self.count -= int(found.sum())
        self._counts[self._at :, begin:end] = 0
        for column in self._late.values():
            column[begin:end] = 0
        self.total[begin:end] = 0
        return found

    def disown(self, begin: int, end: int, width: int) -> None:
        """Of each `width` rows from begin to end, add what waits in all to the last, at the same ticks."""
        late = [column[None] for column in self._late.values()]
        for counts in (self._counts, self.total[None], *late):
            rows = counts[:, begin:end].reshape(len(counts), -1, width)
            rows[:, :, -1] += rows[:, :, :-1].sum(axis=2)
            rows[:, :, :-1] = 0
            counts[:, begin:end] = rows.reshape(len(counts), -1)


class Fifo:
    """A queue of counts by attempt, first in first out, int64[replications, attempts]."""

    def __init__(self, replications: int, attempts: int) -> None:
        self._ends = np.zeros((_ROOM, replications), np.int64)
        """By lot: messages up to where it begins."""
        self._sums = np.zeros((_ROOM, replications, attempts), np.int64)
        self._lots = 0
        self._rows = np.arange(replications)
        self._at = np.zeros(replications, np.int64)
        """The lot that each replication is in,"""
        self._taken = np.zeros(replications, np.int64)
        """and how many it has taken in all."""
        self._taken_sums = np.zeros((replications, attempts), np.int64)

    @property
    def size(self) -> I64:
        """Messages that wait, int64[replications]."""
        size: I64 = self._ends[self._lots] - self._taken
        return size

    def push(self, counts: I64) -> None:
        """Append a lot; in it later attempts come first."""
        if self._lots + 1 == len(self._ends):
            self._make_room()
        lot = self._lots
        self._ends[lot + 1] = self._ends[lot] + counts.sum(axis=1)
        self._sums[lot + 1] = self._sums[lot] + counts
        self._lots = lot + 1

    def _make_room(self) -> None:
        gone = int(self._at.min())
        if gone < len(self._ends) // 2:
            self._ends = np.concatenate([self._ends, np.zeros_like(self._ends)])
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
            return
        self._lots -= gone
        self._at -= gone
        self._ends[: self._lots + 1] = self._ends[gone : gone + self._lots + 1].copy()
        self._sums[: self._lots + 1] = self._sums[gone : gone + self._lots + 1].copy()

    def pop(self, counts: I64) -> I64:
        """Take the first `counts` (int64[replications]), none more than there are: by attempt."""
        rows = self._rows
        until = self._taken + counts
        while True:
            on = (self._at < self._lots - 1) & (self._ends[self._at + 1, rows] <= until)
            if not on.any():
                break
            self._at += on
        at, nxt = self._at, np.minimum(self._at + 1, self._lots)
        lot = self._sums[nxt, rows] - self._sums[at, rows]
        reversed_ends = np.cumsum(lot[:, ::-1], axis=1)
        inside = np.minimum(reversed_ends, (until - self._ends[at, rows])[:, None])
        inside[:, 1:] -= inside[:, :-1].copy()
        sums = self._sums[at, rows] + inside[:, ::-1]
        taken: I64 = sums - self._taken_sums
        self._taken, self._taken_sums = until, sums
        return taken
