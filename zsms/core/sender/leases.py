"""Which messages of a session are still the sender's own, as far as it can know.

    granted longer ago than a lease                     others'
    all of it, while the sender has stood still for     in doubt, until the broker has said that the session is still
    so long that it may have been given up              there

What is others' goes on in its slot and is acknowledged, but it is in no histogram: the times of that message are those
of whoever has it now.
"""

from __future__ import annotations

from collections import deque
from math import inf

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_STEPS = 64
"""Grants of so small a part of a lease are taken for one, as old as the first of them."""


class Leases:
    """The leases of one session; times in seconds of the sender's clock."""

    def __init__(self) -> None:
        self.lease = inf
        """How long the broker bears a message here."""
        self.away_since: float | None = None
        """It stood still from then on, and the session may have been given up."""
        self.outlasted = 0
        """Whatever is numbered below was granted longer ago than a lease."""
        self._granted: deque[tuple[int, float]] = deque()
        """Of some of the grants, the oldest first: the number after their last message, and when they came."""

    def renew(self) -> None:
        """Another session begins."""
        self.away_since, self.outlasted = None, 0
        self._granted.clear()

    def granted(self, end: int, now: float) -> None:
        """Messages below `end` were granted; those that are read after a standstill came at some time in it."""
        at, granted = now if self.away_since is None else self.away_since, self._granted
        if granted and at < granted[-1][1] + self.lease / _STEPS:
            at = granted.pop()[1]
        granted.append((end, at))

    def stood_still(self, since: float) -> None:
        """The sender did nothing from then on until now."""
        if self.away_since is None:
            self.away_since = since

    def poll(self, now: float) -> None:
        """Time passes."""
        while self._granted and self._granted[0][1] + self.lease <= now:
            self.outlasted = self._granted.popleft()[0]

    def ours(self, handles: U64, begin: int, end: int) -> npt.NDArray[np.bool_] | None:
        """Which of these are still the sender's own, bool[n] (None: all): the session's are those from `begin` on."""
        if self.away_since is not None:
            return np.zeros(len(handles), dtype=np.bool_)
        ours = (handles >= np.uint64(begin + self.outlasted)) & (handles < np.uint64(end))
        return None if ours.all() else ours

    @property
    def all_good(self) -> bool:
        """Whether nothing that was granted can be others'."""
        return self.away_since is None and not self.outlasted
