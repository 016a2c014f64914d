"""How many segments may go out now: caps to the segment, and a link that is slowed where the gateway throttles.

    EvenCap   a rate that no second exceeds by 1 %, and that is spread over it
    Accepted  what links had accepted in the last second
    Flow      the rate that a gateway bears, found as TCP finds it: down at once, up again bit by bit

Both take `now` in seconds and know no clock.
"""

from __future__ import annotations

from collections import deque
from math import ceil, inf

import numpy as np
import numpy.typing as npt

SECOND = 0.99
"""So long a time has its cap's number of segments at most: a second is within 1 % of it where turns come late."""
SPREAD_S = 0.02
"""A turn that comes late may make up for this much time at once."""
IDLE_S = 0.1
"""After so long there was nothing to be sent, and nothing is made up for."""
DECREASE = 0.8
"""A throttled link goes on at this part of what was accepted."""
HOLD_S = 1.0
"""What was sent before the link was slowed is still answered: for so long nothing is concluded from that."""
INCREASE = 0.1
"""Then the rate grows by this part of itself a second."""
FREE_S = 30.0
"""Without a throttled answer for so long the link is not bounded any more."""
_TENTHS = 10
_MOST_LATER = 64
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
SLOWEST = 0.5
"""Segments a second that are tried whatever the gateway says: slowed, not stopped."""


class EvenCap:
    """`rate` segments a second, evenly. (The generic cell rate algorithm, ITU-T I.371, with a count.)"""

    def __init__(self, rate: float = inf) -> None:
        """`rate` in segments a second; inf: no cap."""
        self.rate = rate
        self._next = -inf
        """When the next segment is due, were all sent in their time."""
        self._sent: deque[tuple[float, int]] = deque()
        self._in_second = 0

    def allowed(self, now: float) -> int:
        """Segments that may go out now."""
        if self.rate == inf:
            return 1 << 30
        while self._sent and self._sent[0][0] <= now - SECOND:
            self._in_second -= self._sent.popleft()[1]
        late = now - self._next
        if late < -1e-9:
            return 0
        late = 0.0 if late > IDLE_S else min(late, SPREAD_S)
        spread = 1 + int(late * self.rate + 1e-9)
        return max(0, min(spread, ceil(self.rate) - self._in_second))

    def take(self, segments: int, now: float) -> None:
        """So many go out now."""
        if self.rate == inf or not segments:
            return
        begin = now if now - self._next > IDLE_S else max(self._next, now - SPREAD_S)
        self._next = begin + segments / self.rate
        self._sent.append((now, segments))
        self._in_second += segments

    def next_time(self, now: float) -> float | None:
        """When more may go out; None: now."""
        if self.allowed(now):
            return None
        at = self._next
        if self._in_second >= ceil(self.rate):
            at = max(at, self._sent[0][0] + SECOND)
        return max(at, now + 1e-4)


class Accepted:
    """Segments that n links had accepted in the last second, in columns: a count for each tenth of it."""

    def __init__(self, links: int) -> None:
        self._counts = np.zeros((_TENTHS + 1, links), np.int64)
        self._began = np.full(links, inf)
        """When each was first answered."""
        self._tenth = 0
        self._later: list[tuple[I64 | int, Bools | int]] = []
        """What was added in this tenth and is not counted yet: much costs less together."""
        self._all_began = False

    def add(self, links: I64 | int, accepted: Bools | int, now: float) -> None:
        """The links of answers, int64[n], and which of those accept; or one link, and how many do."""
        if int(now * _TENTHS) != self._tenth:
            self._turn_to(now)
        self._later.append((links, accepted))
        if not self._all_began or len(self._later) == _MOST_LATER:
            self._count(now)

    def _count(self, now: float) -> None:
        counts = self._counts[self._tenth % len(self._counts)]
        columns = [(links, accepted) for links, accepted in self._later if not isinstance(links, int)]
        if columns:
            links = np.concatenate([each for each, _ in columns])
            weights = np.concatenate([np.broadcast_to(accepted, len(each)) for each, accepted in columns])
            counts += np.bincount(links, weights, len(counts)).astype(np.int64)
        for link, accepted in self._later:
            if isinstance(link, int):
                counts[link] += accepted
        self._later.clear()
        if not self._all_began:
            self._began[(counts > 0) & (self._began == inf)] = now
            self._all_began = bool((self._began < inf).all())

    def _turn_to(self, now: float) -> None:
        if self._later:
            self._count(now)
        tenth = int(now * _TENTHS)
        for passed in range(max(self._tenth + 1, tenth - _TENTHS), tenth + 1):
            self._counts[passed % len(self._counts)] = 0
        self._tenth = tenth

    def rate(self, link: int, now: float) -> float:
        """Of one of them, a second."""
        self._turn_to(now)
        older = self._counts[(self._tenth + 1) % len(self._counts), link]
        count = float(self._counts[:, link].sum() - older)
        # The tenth that has begun is there in part, and so is the one that a second ago was in.
        count += float(older) * (1.0 - (now * _TENTHS - self._tenth))
        return count / min(1.0, max(now - float(self._began[link]), 0.05))


class Flow:
    """What one link bears."""

    def __init__(self, rate: float = inf) -> None:
        """`rate` in segments a second, the user's cap."""
        self.most = rate
        self.cap = EvenCap(rate)
        self.slowed = 0
        """How often the link was slowed."""
        self._slowed = -inf
        self._grown = -inf
        self._throttled = -inf

    @property
    def bounded(self) -> bool:
        """Whether the gateway has made it slower than the user asked for."""
        return self.cap.rate < self.most

    def throttled(self, rate: float, now: float) -> None:
        """Segments were refused because they were too many, of so many a second that were accepted (`Accepted`)."""
        self._throttled = now
        if now - self._slowed >= HOLD_S:
            self.cap.rate = max(SLOWEST, DECREASE * min(rate, self.cap.rate))
            self._slowed = self._grown = now
            self.slowed += 1

    def poll(self, now: float) -> None:
        """Time passes: a slowed link grows faster again."""
        if not self.bounded:
            return
        if now - self._throttled >= FREE_S:
            self.cap.rate = self.most
        elif now - self._slowed >= HOLD_S:
            self.cap.rate = min(self.most, self.cap.rate * (1 + INCREASE * (now - self._grown)))
            self._grown = now
