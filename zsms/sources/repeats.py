"""Which recipients have come before, as columns: sorted numbers in runs, each at least twice as long as the next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zsms.message import U64

MOST = 2**24
"""Numbers that are remembered where repeats are only counted, 8 bytes each."""


class Repeats:
    """Remembers `most` recipients (None: all, 8 bytes each); what comes first after that is not known to come again."""

    def __init__(self, most: int | None = MOST) -> None:
        self._most = most
        self._runs: list[U64] = []
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether numbers are let go, so that a count is the least that it can be."""
        return self._most is not None and self._size >= self._most

    def seen_before(self, recipients: U64) -> npt.NDArray[np.bool_]:
        """For each of these whether it has come before, in an earlier look or in this one; they count as come then."""
        again = np.ones(len(recipients), dtype=np.bool_)
        if not len(recipients):
            return again
        fresh, places = np.unique(recipients, return_index=True)
        new = np.ones(len(fresh), dtype=np.bool_)
        for run in self._runs:
            new &= run[np.minimum(np.searchsorted(run, fresh), len(run) - 1)] != fresh
        again[places[new]] = False
        if not self.full:
            self._remember(fresh[new])
        return again

    def _remember(self, fresh: U64) -> None:
        if not len(fresh):
            return
        self._size += len(fresh)
        while self._runs and len(self._runs[-1]) < 2 * len(fresh):
            fresh = np.sort(np.concatenate((self._runs.pop(), fresh)), kind="stable")
        self._runs.append(fresh)
