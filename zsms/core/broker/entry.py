"""What is kept of a batch, or of mixed messages, until all are settled: see :mod:`zsms.core.broker.journal`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from zsms.core.broker.ledger import ProducerAccount
from zsms.message import KEPT, Batch, Mixed

I64 = npt.NDArray[np.int64]


class Range(Protocol):
    """Messages begin..end-1 of `whole`, as a :class:`zsms.core.broker.lot.Lot` is."""

    whole: Batch | Mixed
    begin: int
    end: int


@dataclass(slots=True, eq=False)
class Entry:
    """A batch, or mixed messages, kept until the last message is settled."""

    number: int
    accounts: tuple[ProducerAccount, ...]
    first: int
    offsets: npt.NDArray[np.uint32] | None
    open: int
    """Messages that are not settled in any group that was closed."""
    granted: int = 0
    rows: list[int] = field(default_factory=list)
    """The rows of changes that mention it."""

    @classmethod
    def of(cls, number: int, whole: Batch | Mixed, accounts: tuple[ProducerAccount, ...]) -> Entry:
        """The entry of what was accepted whole; mixed messages learn their places in it."""
        if isinstance(whole, Batch):
            return cls(number, accounts, whole.first, whole.offsets, len(whole))
        whole.kept = np.empty(len(whole), dtype=KEPT)
        whole.kept["entry"] = number
        whole.kept["place"] = np.arange(len(whole))
        return cls(number, accounts, 0, None, len(whole))

    def places(self, lot: Range, positions: I64 | None) -> I64:
        """Where the messages at `positions` of the lot (None: all) stand in this entry, int64."""
        batch = lot.whole
        assert isinstance(batch, Batch)
        at = np.arange(lot.begin, lot.end) if positions is None else positions + lot.begin
        if batch.offsets is not None:
            at = batch.offsets[at].astype(np.int64)
        at = at + (batch.first - self.first)
        return at if self.offsets is None else np.searchsorted(self.offsets, at)
