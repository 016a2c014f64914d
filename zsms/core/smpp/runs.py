"""Rows by the hash of an id, in sorted runs that are joined two by two as they grow.

There are few of them, then (a log-structured merge, P. O'Neil et al., 1996). 24 octets a row: an id is kept as a hash
of 64 bits (two of a million share one with a probability of 3e-8).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.ids import U64
from zsms.core.smpp.strings import I64, U32, Bools

F32 = npt.NDArray[np.float32]

_GONE = np.uint32(0xFFFFFFFF)
MOST_IN_RUN = 1 << 17
"""Rows of a run, about, above which it is joined with no other: joining needs room for both once more."""


class _Run(NamedTuple):
    """Ascending by key."""

    keys: U64
    seqs: U64
    sources: U32
    """`_GONE`: it was taken."""
    at: F32


class Taken(NamedTuple):
    """Rows that were taken out, a column each."""

    sources: U32
    seqs: U64
    at: F32


class Runs:
    """The table."""

    def __init__(self) -> None:
        self.waiting = 0
        """Rows that nobody has taken."""
        self._runs: list[_Run] = []
        """The largest first."""

    def __len__(self) -> int:
        """Rows that are kept, with those that were taken and are not forgotten yet."""
        return sum(len(run.keys) for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Octets that are kept."""
        return sum(column.nbytes for run in self._runs for column in run)

    def add(self, keys: U64, sources: U32, seqs: U64, at: float) -> None:
        """These came at `at` seconds."""
        order = np.argsort(keys, kind="stable")
        times = np.full(len(keys), at, np.float32)
        self._runs.append(_Run(keys[order], seqs[order], sources[order].astype(np.uint32), times))
        self.waiting += len(keys)
        while len(self._runs) > 1:
            last, before = len(self._runs[-1].keys), len(self._runs[-2].keys)
            if 2 * last <= before or last + before > MOST_IN_RUN:
                break
            newer = self._runs.pop()
            self._runs[-1] = _joined(self._runs[-1], newer)

    def places(self, keys: U64, able: Bools | None = None) -> I64:
        """Where each is, of several the newest; -1: nowhere, or it is not `able`. Good until the next `add`."""
        places = np.full(len(keys), -1, np.int64)
        left = np.arange(len(keys)) if able is None else np.flatnonzero(able)
        for number in range(len(self._runs) - 1, -1, -1):
            run = self._runs[number]
            if not len(left):
                break
            wanted = keys[left]
            at = np.searchsorted(run.keys, wanted, side="right") - 1
            hit = (at >= 0) & (run.keys[at] == wanted) & (run.sources[at] != _GONE)
            places[left[hit]] = number << 40 | at[hit]
            left = left[~hit]
        return places

    def take(self, places: I64) -> Taken:
        """Take the rows at these places out, each named once."""
        count = len(places)
        taken = Taken(np.zeros(count, np.uint32), np.zeros(count, np.uint64), np.zeros(count, np.float32))
        numbers_of, at = places >> 40, places & ((1 << 40) - 1)
        for number in np.unique(numbers_of).tolist():
            run = self._runs[number]
            mine = numbers_of == number
            where = at[mine]
            taken.sources[mine], taken.seqs[mine], taken.at[mine] = run.sources[where], run.seqs[where], run.at[where]
            run.sources[where] = _GONE
        self.waiting -= count
        return taken

    def give_up(self, before: float) -> int:
        """Let those that came until then go; how many that are."""
        runs, given_up = [], 0
        for run in self._runs:
            there = run.sources != _GONE
            kept = there & (run.at > before)
            given_up += int(there.sum()) - int(kept.sum())
            if kept.all():
                runs.append(run)
            elif kept.any():
                runs.append(_Run(*(column[kept] for column in run)))
        self._runs = sorted(runs, key=lambda run: -len(run.keys))
        self.waiting -= given_up
        return given_up

    def middle(self) -> float:
        """When half of them had come."""
        return float(np.median(np.concatenate([run.at[run.sources != _GONE] for run in self._runs])))


def _joined(first: _Run, second: _Run) -> _Run:
    """Both in one, without what has gone; of alike keys the second's comes last. A column at a time, for memory."""
    keys = np.concatenate([first.keys, second.keys])
    sources = np.concatenate([first.sources, second.sources])
    there = np.flatnonzero(sources != _GONE)
    order = there[np.argsort(keys[there], kind="stable")]
    keys, sources = keys[order], sources[order]
    seqs = np.concatenate([first.seqs, second.seqs])[order]
    return _Run(keys, seqs, sources, np.concatenate([first.at, second.at])[order])
