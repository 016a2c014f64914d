"""Caps: what may be sent, in segments, for each replication at once."""

from __future__ import annotations

from math import inf

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Bucket:
    """A token bucket that some units share: `rate` a tick, and `burst` after a pause. Empty at first but for that.

    So within t ticks no more than burst + rate t goes, and in every tick from the first on.
    """

    def __init__(
        self, kind: int, members: list[int], rate: float, burst: float, *, replications: int, day: float | None = None
    ) -> None:
        """`day`: a daily cap, which has no rate and is `renew`ed."""
        self.kind = kind
        self.members = np.array(members)
        self.rate = rate
        self.burst = burst
        self.day = day
        self.active = True
        self.tokens: F64 = np.full(replications, float(burst if day is None else day))

    def refill(self, ticks: int) -> None:
        """So many ticks have gone by."""
        if self.day is None:
            if ticks > 1:
                self.tokens += self.rate * (ticks - 1)
            if ticks:
                np.minimum(self.tokens, max(self.burst, 1.0), out=self.tokens)
                self.tokens += self.rate

    def renew(self) -> None:
        """A day begins."""
        if self.day is not None:
            self.tokens[:] = self.day

    def room(self, segments: F64 | float) -> I64:
        """Messages of so many segments that may go: where the rate has room for one, a whole message, as a debt."""
        if self.rate == inf:
            return np.full(len(self.tokens), 2**62)
        debt = np.maximum(segments, 1.0) - 1.0 if self.day is None else 0.0
        return np.maximum(np.floor((self.tokens + debt) / segments + 1e-9), 0.0).astype(np.int64)

    def spend(self, segments: F64) -> None:
        """So many went (float64[replications])."""
        if self.rate != inf:
            self.tokens -= segments
