"""How far the broker's monotonic clock is from ours.

Times on the wire are the broker's clock, because monotonic clocks of two hosts share no zero. A peer learns the
offset from a question and its answer (F. Cristian, "Probabilistic clock synchronization", 1989): an answer that took
`rtt` seconds and said `remote` means an offset of ``remote - midpoint``, off by at most rtt / 2. Of the last
answers the one that took least is believed. Two answers that can't both be right mean that a machine was suspended
between them (its monotonic clock stood still), and then the later one is.

On one host the clocks are the same, and an estimate that can't be told from zero is taken as zero, so that
figures of one machine carry no error at all.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

SLACK_S = 0.1
"""Clocks drift: two answers may differ by so many seconds more than the time that they took explains."""
STILL_S = 0.5
"""Who did nothing for longer stood still; and after so many seconds it has read what came meanwhile."""


class ClockOffset:
    """The broker's clock minus ours, in seconds."""

    def __init__(self, samples: int = 16) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=samples)
        self.seconds = 0.0

    def sample(self, sent: float, remote: float, received: float) -> None:
        """Take in one answer: asked at `sent`, answered at `remote` (their clock), read at `received`."""
        rtt = received - sent
        if rtt < 0:
            return  # an echo of somebody else's question
        offset = remote - (sent + received) / 2
        if self._samples:
            best_rtt, best = min(self._samples)
            if abs(offset - best) > (rtt + best_rtt) / 2 + SLACK_S:
                self._samples.clear()  # one of the two clocks stood still or jumped: what was known before is void
        self._samples.append((rtt, offset))
        best_rtt, offset = min(self._samples)
        self.seconds = 0.0 if abs(offset) <= best_rtt / 2 else offset

    def to_remote(self, local: float) -> float:
        """Our time in the broker's clock."""
        return local + self.seconds


class Standstills:
    """When a process stood still, as after SIGSTOP: of what it reads just after, nobody knows when it came."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque(maxlen=64)

    def __bool__(self) -> bool:
        return bool(self._spans)

    def add(self, since: float, now: float) -> None:
        """It did nothing from `since` until `now`; short pauses are not kept."""
        if now - since <= STILL_S:
            return
        if self._spans and since <= self._spans[-1][1]:
            since = min(since, self._spans.pop()[0])
        self._spans.append((since, now + STILL_S))

    def hide(self, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which of these times, at which something was read, tell nothing of when it came: bool of their shape."""
        at = np.asarray(times)
        hidden = np.zeros(at.shape, np.bool_)
        for since, until in self._spans:
            hidden |= (at > since) & (at <= until)
        return hidden
