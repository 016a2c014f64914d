"""Granted messages that wait for a slot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.message import Batch, Mixed

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U64 = npt.NDArray[np.uint64]
Moments = F64 | float
"""Of each of some messages, or one for all: seconds of our own clock."""


@dataclass(slots=True)
class Waiting:
    """Granted messages that wait for a slot; times in seconds of our own clock."""

    handle: int
    """Of the first message; the others follow."""
    batch: Batch | Mixed
    queued: float
    """Since when they waited in the broker's queue; mixed ones say it themselves, as their attempt."""
    clock: float
    """The broker's clock minus ours, for `batch.due`."""
    attempt: int
    delivery: int
    attempts: int = 1
    """Sends of a message before a failure is final."""
    arrived: float = -inf
    """When they came here."""

    @property
    def last(self) -> npt.NDArray[np.bool_] | bool:
        """Whether a failure of each message would be final, bool[n]: one answer for all that are alike."""
        if isinstance(self.batch, Mixed):
            last: npt.NDArray[np.bool_] = self.batch.rows["attempt"] >= self.attempts
            return last
        return self.attempt >= self.attempts

    @property
    def handles(self) -> U64:
        """A handle a message, uint64[n]."""
        return np.arange(self.handle, self.handle + len(self.batch), dtype=np.uint64)

    def ages(self, at: Moments) -> F32 | float:
        """How long each message had been due at its moment, in seconds: one figure when it was the same for all."""
        batch = self.batch
        if isinstance(batch, Mixed):
            return _narrow(at + self.clock - batch.rows["due"])
        age = at - (batch.due - self.clock)
        if not batch.step:
            return _narrow(age)
        offsets = np.arange(len(batch)) if batch.offsets is None else batch.offsets
        return _narrow(age - offsets * batch.step)

    def late(self, at: Moments) -> F32 | float:
        """`ages` of the messages that no sender had before, the only ones that a slot was late for."""
        if isinstance(self.batch, Mixed):
            rows = self.batch.rows
            ages = at + self.clock - rows["due"]
            return _narrow(ages[(rows["attempt"] == 1) & (rows["delivery"] == 1)])
        return self.ages(at) if self.attempt == self.delivery == 1 else np.zeros(0, dtype=np.float32)

    def waited(self, at: Moments) -> F32 | float:
        """How long each message had been queued at its moment, in seconds: one figure when it was the same for all."""
        if isinstance(self.batch, Mixed):
            return _narrow(np.maximum(at + self.clock - self.batch.rows["queued"], 0.0))
        return max(0.0, at - self.queued) if isinstance(at, float) else _narrow(np.maximum(at - self.queued, 0.0))

    def part(self, begin: int, end: int) -> Waiting:
        """Messages begin..end-1."""
        return replace(self, handle=self.handle + begin, batch=self.batch.slice(begin, end))


def _narrow(seconds: Any) -> F32 | float:
    return seconds if isinstance(seconds, float) else seconds.astype(np.float32)
