"""What has outlasted a sender's window: messages so slow that all their neighbours are settled, copied out of it.

They are kept by number in a few columns, each with more than twice as many open messages as the next: so there are few,
and each message is copied a few times at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.core.broker.lot import I64, Lot, Part, mixed_lot
from zsms.message import Mixed

F64 = npt.NDArray[np.float64]


class Old:
    """Messages that have outlasted the window: their numbers (ascending), when and from where on each was granted."""

    def __init__(self, lot: Lot, numbers: I64, bases: I64, granted_at: F64) -> None:
        self.lot = lot
        self.numbers = numbers
        self.bases = bases
        self.granted_at = granted_at
        self.is_open = np.ones(len(numbers), dtype=bool)
        self.open = len(numbers)

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
        return Old(mixed_lot(whole.take(left)), self.numbers[left], self.bases[left], self.granted_at[left])

    def joined(self, other: Old) -> Old:
        """Both; the other's numbers are greater."""
        parts = [old.remaining() if old.open < len(old.numbers) else old for old in (self, other)]
        whole: Any = Mixed.join([part.lot.whole for part in parts])  # type: ignore[misc]
        return Old(
            mixed_lot(whole),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("numbers", "bases", "granted_at")),
        )


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
        while len(olds) > 1 and olds[-2].open <= 2 * olds[-1].open:
            newest = olds.pop()
            olds[-1] = olds[-1].joined(newest)

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
        self._olds = [old if old.open >= len(old.numbers) // 2 else old.remaining() for old in self._olds if old.open]
        return [(old.lot, positions) for old, positions in late]

    def everything(self) -> Late:
        """All that is open."""
        return [(old, np.flatnonzero(old.is_open)) for old in self._olds]

    def expired(self, lease: float, now: float) -> Late:
        """What is open and was granted longer ago than `lease` seconds."""
        return _some([(old, np.flatnonzero((old.granted_at + lease <= now) & old.is_open)) for old in self._olds])

    def numbered_from(self, number: int) -> Late:
        """What is open from that number on."""
        return _some([(old, np.flatnonzero((old.numbers >= number) & old.is_open)) for old in self._olds])

    def begins(self, number: int) -> bool:
        """Whether something open was granted in a piece that began there."""
        return any(number in old.bases[old.is_open] for old in self._olds)

    def forget_closed(self) -> None:
        """Keep nothing of what is closed: its numbers will be others'."""
        self._olds = [old.remaining() for old in self._olds]

    @property
    def oldest_grant(self) -> float | None:
        """When the oldest open message was granted; None when there is none."""
        return min((float(old.granted_at[old.is_open].min()) for old in self._olds[:1]), default=None)

    def shown(self) -> tuple[Lot, I64, F64] | None:
        """What is open: a lot, the numbers of its messages, and when each was granted."""
        if not self._olds:
            return None
        whole = self._olds[0].remaining()
        for old in self._olds[1:]:
            whole = whole.joined(old)
        return whole.lot, whole.numbers, whole.granted_at


def _some(late: Sequence[tuple[Old, I64]]) -> Late:
    return [each for each in late if len(each[1])]
