"""What has outlasted a sender's window: messages so slow that all their neighbours are settled, copied out of it.

They are kept by number in some columns: as soon as four that follow each other are small beside those before, they
become one, unless that were a large part of all. So there are few, each message is copied a few times at most, and no
copy needs much room beside what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.core.broker.lot import I64, Lot, Part, mixed_lot
from zsms.message import Mixed

F64 = npt.NDArray[np.float64]

_TOGETHER = 4
_SMALL = 4_096
_SHARE = 8
"""So many messages or fewer, or such a share of all, become one: while they do, they take their memory twice."""
_DENSE = 0.6
"""Where fewer than so many of the messages are open, they are copied once more."""


class Old:
    """Messages that have outlasted the window: their numbers (ascending), and the pieces in which they were granted."""

    def __init__(self, lot: Lot, numbers: I64, bases: I64, granted_at: F64) -> None:
        """`bases` (ascending) and `granted_at` are of the pieces: where each began, and when it was granted."""
        self.lot = lot
        self.numbers = numbers
        self._bases = bases
        self._granted_at = granted_at
        self.is_open = np.ones(len(numbers), dtype=bool)
        self.open = len(numbers)

    def bases(self) -> I64:
        """Where the pieces of what is open began."""
        return self._bases[np.unique(self._piece_of(self.numbers[self.is_open]))]

    def granted_at(self) -> F64:
        """When each was granted."""
        return self._granted_at[self._piece_of(self.numbers)]

    def _piece_of(self, numbers: I64) -> I64:
        found: I64 = np.searchsorted(self._bases, numbers, "right") - 1
        return found

    def find(self, numbers: I64) -> I64:
        """Where those of `numbers` stand that are open."""
        at = np.searchsorted(self.numbers, numbers)
        at[at == len(self.numbers)] = 0
        found: I64 = at[(self.numbers[at] == numbers) & self.is_open[at]]
        return found

    def close(self, positions: I64) -> None:
        """These are settled or taken back."""
        self.is_open[positions] = False
        self.open -= len(positions)

    def remaining(self) -> Old:
        """The same without what is closed, in memory of its own."""
        left = np.flatnonzero(self.is_open)
        whole = self.lot.whole
        assert isinstance(whole, Mixed)
        numbers = self.numbers[left]
        pieces = np.unique(self._piece_of(numbers))
        return Old(mixed_lot(whole.take(left)), numbers, self._bases[pieces], self._granted_at[pieces])

    @classmethod
    def joined(cls, olds: Sequence[Old]) -> Old:
        """All of these; the numbers of each are greater than those before."""
        parts = [old.remaining() if old.open < len(old.numbers) else old for old in olds]
        whole: Any = Mixed.join([part.lot.whole for part in parts])  # type: ignore[misc]
        return cls(
            mixed_lot(whole),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("numbers", "_bases", "_granted_at")),
        )

    def expired(self, lease: float, now: float) -> I64:
        """What is open and was granted longer ago than `lease` seconds; the oldest come first."""
        pieces = int(np.count_nonzero(self._granted_at + lease <= now))
        if not pieces:
            return np.zeros(0, dtype=np.int64)
        end = (
            len(self.numbers) if pieces == len(self._bases) else int(np.searchsorted(self.numbers, self._bases[pieces]))
        )
        return np.flatnonzero(self.is_open[:end])


Late = list[tuple[Old, I64]]
"""Messages that have outlasted the window, by their positions."""


class Outlasted:
    """All of one session."""

    def __init__(self) -> None:
        self._olds: list[Old] = []
        """By number."""

    def __bool__(self) -> bool:
        return bool(self._olds)

    def add(self, old: Old) -> None:
        """These have outlasted the window now; their numbers are greater than all others here."""
        olds = self._olds
        olds.append(old)
        most = max(_SMALL, sum(each.open for each in olds) // _SHARE)
        while True:
            small = sum(1 for _ in takewhile(lambda each: each.open <= 2 * olds[-1].open, reversed(olds)))
            for first in range(len(olds) - small, len(olds) - _TOGETHER + 1):
                some = slice(first, first + _TOGETHER)
                if sum(each.open for each in olds[some]) <= most:
                    olds[some] = [Old.joined(olds[some])]
                    break
            else:
                return

    def settle(self, numbers: I64) -> list[Part]:
        """Close those of these that are open here: their lots, and the positions in them."""
        late: Late = []
        for old in self._olds:
            begin, end = np.searchsorted(numbers, (old.numbers[0], old.numbers[-1] + 1))
            if begin == end:
                continue
            positions = old.find(numbers[begin:end])
            if len(positions):
                late.append((old, positions))
        return self.close(late) if late else []

    def close(self, late: Late) -> list[Part]:
        """Close these, and let go of what is settled: their lots, and the positions in them."""
        for old, positions in late:
            old.close(positions)
        self._olds = [
            old if old.open >= len(old.numbers) * _DENSE else old.remaining() for old in self._olds if old.open
        ]
        return [(old.lot, positions) for old, positions in late]

    def everything(self) -> Late:
        """All that is open."""
        return [(old, np.flatnonzero(old.is_open)) for old in self._olds]

    def expired(self, lease: float, now: float) -> Late:
        """What is open and was granted longer ago than `lease` seconds."""
        return _some([(old, old.expired(lease, now)) for old in self._olds])

    def numbered_from(self, number: int) -> Late:
        """What is open from that number on."""
        return _some([(old, np.flatnonzero((old.numbers >= number) & old.is_open)) for old in self._olds])

    def begins(self, number: int) -> bool:
        """Whether something open was granted in a piece that began there."""
        return any(number in old.bases() for old in self._olds)

    def forget_closed(self) -> None:
        """Keep nothing of what is closed: its numbers will be others'."""
        self._olds = [old.remaining() for old in self._olds]

    @property
    def oldest_grant(self) -> float | None:
        """When the oldest open message was granted; None when there is none."""
        return min((float(old.granted_at()[old.is_open].min()) for old in self._olds[:1]), default=None)

    def shown(self) -> tuple[Lot, I64, F64] | None:
        """What is open: a lot, the numbers of its messages, and when each was granted."""
        if not self._olds:
            return None
        whole = Old.joined(self._olds)
        return whole.lot, whole.numbers, whole.granted_at()


def _some(late: Sequence[tuple[Old, I64]]) -> Late:
    return [each for each in late if len(each[1])]
