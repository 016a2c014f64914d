"""When so many messages had been sent: reach, exact to 10 ms for hours, and in bounded memory however long it lasts.

    at 0.00 s  0.01  0.02  ...                counts of messages sent, by the 10 ms in which their sending was settled
       [  0  |  12 |  40 |  55 | ... ]

A share of all that will ever be asked for is at least that share of what is sent by now. So what lies before half of
what is sent can never again be where a half is reached: it is added up and dropped. Where what is left still has more
steps than `MOST_STEPS` (some 3 hours of 10 ms), two steps become one of twice the length.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

STEP_S = 0.01
MOST_STEPS = 2**20
SHARES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "p999": 0.999, "p100": 1.0}
"""The shares that are told, by their names in reports."""
SPOKEN = {"p50": "50 %", "p90": "90 %", "p99": "99 %", "p999": "99.9 %", "p100": "all"}
"""What people call them."""
_LEAST = min(SHARES.values())
_ROOM = 4_096


class Reach:
    """Messages sent, by the time since the first that was accepted."""

    def __init__(self, sent: int = 0) -> None:
        """`sent` messages were sent before, and nobody knows when: a broker goes on from its journal."""
        self.sent = sent
        self.step_s = STEP_S
        self._before = sent
        """Sent before `_first`, or at times that are not known."""
        self._first = 0
        """The step of the first count that is kept."""
        self._counts = np.zeros(_ROOM, np.int64)
        self._used = 0

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self._counts.nbytes

    def add(self, count: int, at: float) -> None:
        """`count` messages were sent, `at` seconds from the start; earlier than what is kept counts as before."""
        self.sent += count
        place = int(at / self.step_s) - self._first
        if place >= len(self._counts):
            self._make_room(at)
            place = int(at / self.step_s) - self._first
        if place < 0:
            self._before += count
            return
        self._counts[place] += count
        self._used = max(self._used, place + 1)

    def _make_room(self, at: float) -> None:
        kept = self._counts[: self._used]
        gone = int(np.searchsorted(self._before + np.cumsum(kept), _LEAST * self.sent))
        gone = min(gone, len(kept))
        self._before += int(kept[:gone].sum())
        self._first += gone
        kept = kept[gone:]
        if not len(kept):
            self._first = int(at / self.step_s)  # nothing lies between, however long that was
        while int(at / self.step_s) - self._first >= MOST_STEPS:
            kept = self._halved(kept)
        needed = int(at / self.step_s) - self._first + 1
        grown = np.zeros(min(max(_ROOM, 2 * needed), MOST_STEPS), np.int64)
        grown[: len(kept)] = kept
        self._counts, self._used = grown, len(kept)

    def _halved(self, kept: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Steps of twice the length."""
        odd = self._first % 2
        pairs = np.zeros((odd + len(kept) + 1) // 2 * 2, np.int64)
        pairs[odd : odd + len(kept)] = kept
        self._first //= 2
        self.step_s *= 2
        halved: npt.NDArray[np.int64] = pairs.reshape(-1, 2).sum(axis=1)
        return halved

    def times(self, messages: int) -> dict[str, float | None]:
        """When each of `SHARES` of `messages` had been sent, seconds to `step_s`.

        None where it was not, or at a time that nobody knows: before the counts begin.
        """
        counts: npt.NDArray[np.int64] = self._before + np.cumsum(self._counts[: self._used])
        found: dict[str, float | None] = {}
        for name, share in SHARES.items():
            wanted = ceil(round(messages * share, 6))
            step = self._first + int(np.searchsorted(counts, wanted)) + 1
            found[name] = round(step * self.step_s, 2) if self._before < wanted <= self.sent else None
        return found
