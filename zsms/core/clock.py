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

SLACK_S = 0.1
"""Clocks drift: two answers may differ by so many seconds more than the time that they took explains."""


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
