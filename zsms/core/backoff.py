"""When a failed send is tried again: capped exponential backoff with full jitter.

Before attempt k + 1 a message waits a uniform time from 0 to ``min(cap, base * 2**(k - 1))`` seconds. (M.
Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015: full jitter spreads the retries of a common
failure best.)
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count

import numpy as np
import numpy.typing as npt

from zsms.core.session import Lot

_GROUPS = 64
"""Each failure's messages are spread over at most this many moments, so that retrying costs a statement a group."""


class Retries:
    """Lots that wait for their next attempt."""

    def __init__(self, base: float, cap: float, seed: int | None = None) -> None:
        self.base = base
        self.cap = cap
        self.messages = 0
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self._heap: list[tuple[float, int, Lot]] = []
        self._tie = count()

    def ceiling(self, attempt: int) -> float:
        """The longest wait, in seconds, after attempt number `attempt` failed."""
        return float(min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)))

    def add(self, lot: Lot, positions: npt.NDArray[np.int64], now: float) -> None:
        """Schedule the next attempt of the messages at `positions` of the lot, each at a time of its own."""
        ceiling = self.ceiling(lot.attempt)
        waits = self._rng.random(len(positions)) * ceiling
        groups = (waits * (_GROUPS / ceiling)).astype(np.int64) if ceiling else np.zeros(len(waits), np.int64)
        for group in np.unique(groups).tolist():
            chosen = positions[groups == group]
            again = Lot(
                lot.batch.take(chosen),
                lot.account,
                lot.accepted,
                attempt=lot.attempt + 1,
                delivery=lot.delivery,
            )
            due = now + float(waits[groups == group].mean())
            heappush(self._heap, (due, next(self._tie), again))
            self.messages += again.size

    def due(self, now: float) -> list[Lot]:
        """Remove and return the lots whose time has come."""
        lots = []
        while self._heap and self._heap[0][0] <= now:
            lot = heappop(self._heap)[2]
            self.messages -= lot.size
            lots.append(lot)
        return lots

    def lots(self) -> list[Lot]:
        """Everything that waits, in no particular order; nothing is removed."""
        return [lot for _, _, lot in self._heap]

    def next_time(self) -> float | None:
        """When the next lot is due."""
        return self._heap[0][0] if self._heap else None
