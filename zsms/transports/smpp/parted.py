"""Messages in several parts of which each has a receipt of its own: what they say of the message together.

It is delivered when its last part is, and failed with the first part that failed: nobody can read it then. Columns, a
row a message; a row is used again when all receipts of its message have come, or would be too old.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.strings import I64, U8, U32, Bools
from zsms.message import Delivery

U64 = npt.NDArray[np.uint64]
_DELIVERED = Delivery.DELIVERED.value
_ROW, _AGE = np.uint64(0xFFFFFFFF), np.uint64(32)


class Decided(NamedTuple):
    """Messages that are known to have ended: which receipts decided it, and of whom they are."""

    receipts: I64
    sources: U32
    seqs: U64


class Parted:
    """The messages whose parts' receipts are still to come."""

    def __init__(self) -> None:
        self._sources: U32 = np.zeros(0, np.uint32)
        self._seqs: U64 = np.zeros(0, np.uint64)
        self._left = np.zeros(0, np.int64)
        """Parts whose receipt has not come; 0: nobody has that row."""
        self._told: Bools = np.zeros(0, np.bool_)
        self._at = np.zeros(0)
        self._uses = np.zeros(0, np.uint32)
        """How often each row was used: what names a row of long ago names nothing."""
        self._free: I64 = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._left) - len(self._free)

    def add(self, sources: U32, seqs: U64, parts: I64, now: float) -> U64:
        """Messages of so many parts each, int64[n]; what names them here, uint64[n]."""
        count = len(seqs)
        if count > len(self._free):
            self._grow(count)
        rows, self._free = self._free[:count], self._free[count:]
        self._sources[rows], self._seqs[rows], self._left[rows] = sources, seqs, parts
        self._told[rows], self._at[rows] = False, now
        self._uses[rows] += 1
        return rows.astype(np.uint64) | self._uses[rows].astype(np.uint64) << _AGE

    def _grow(self, count: int) -> None:
        size = len(self._left)
        more = max(size, count, 64)
        for name in ("_sources", "_seqs", "_left", "_told", "_at", "_uses"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(more, column.dtype)]))
        self._free = np.concatenate([self._free, np.arange(size, size + more)])

    def received(self, names: U64, outcome: U8) -> Decided:
        """Receipts of parts of these messages have come, in this order, with such codes of `Delivery`."""
        rows = (names & _ROW).astype(np.int64)
        places = np.flatnonzero((self._uses[rows] == names >> _AGE) & (self._left[rows] > 0))
        rows, outcome = rows[places], outcome[places]
        known, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True)
        self._left[known] = np.maximum(0, self._left[known] - counts)
        last, failed = np.full(len(known), -1), np.full(len(known), len(rows))
        np.maximum.at(last, inverse, np.arange(len(rows)))
        bad = np.flatnonzero(outcome != _DELIVERED)
        np.minimum.at(failed, inverse[bad], bad)
        ended = ~self._told[known] & ((failed < len(rows)) | (self._left[known] == 0))
        which = np.where(failed < len(rows), failed, last)[ended]
        of = known[ended]
        found = Decided(places[which], self._sources[of], self._seqs[of])
        self._told[of] = True
        self._free = np.concatenate([self._free, known[self._left[known] == 0]])
        return found

    def forget(self, before: float) -> None:
        """Those that were added before then have no receipts to come any more."""
        old = np.flatnonzero((self._left > 0) & (self._at < before))
        self._left[old] = 0
        self._free = np.concatenate([self._free, old])
