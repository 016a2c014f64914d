"""Granted messages that wait for a slot."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from zsms.message import Batch, Mixed

F32 = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]


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
    whole: Waiting | None = None
    """What these are a part of, as it was granted; None: these are all of it."""
    begin: int = 0
    """Where in it the first one stands."""

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

    def ages(self, now: float) -> F32 | float:
        """How long ago each message was due, in seconds: one figure when all were due at once.

        None came before it was due: where the clocks' offset, which is an estimate, says so, the age is 0, so that
        no total time is shorter than the send in it.
        """
        batch = self.batch
        if isinstance(batch, Mixed):
            ages: F32 = np.maximum(now + self.clock - batch.rows["due"], 0.0).astype(np.float32)
            return ages
        age = now - (batch.due - self.clock)
        if not batch.step:
            return max(0.0, age)
        offsets = np.arange(len(batch)) if batch.offsets is None else batch.offsets
        each: F32 = np.maximum(age - offsets * batch.step, 0.0).astype(np.float32)
        return each

    def late(self, now: float) -> F32 | float:
        """`ages` of the messages that no sender had before, the only ones that a slot was late for."""
        if isinstance(self.batch, Mixed):
            rows = self.batch.rows
            late: F32 = np.asarray(self.ages(now))[(rows["attempt"] == 1) & (rows["delivery"] == 1)]
            return late
        return self.ages(now) if self.attempt == self.delivery == 1 else np.zeros(0, dtype=np.float32)

    def waited(self, now: float) -> F32 | float:
        """How long ago each message was queued, in seconds: one figure when it was all at once."""
        if isinstance(self.batch, Mixed):
            waited: F32 = np.maximum(now + self.clock - self.batch.rows["queued"], 0.0).astype(np.float32)
            return waited
        return max(0.0, now - self.queued)

    def part(self, begin: int, end: int) -> Waiting:
        """Messages begin..end-1."""
        whole = self if self.whole is None else self.whole
        first = self.begin + begin
        part = whole.batch.slice(first, self.begin + end)  # of the whole, which knows where its texts end
        return Waiting(  # a quarter of the time of dataclasses.replace, once a turn of a small window
            self.handle + begin,
            part,
            self.queued,
            self.clock,
            self.attempt,
            delivery=self.delivery,
            attempts=self.attempts,
            arrived=self.arrived,
            whole=whole,
            begin=first,
        )
