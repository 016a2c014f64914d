"""When so many messages had been sent: reach, exact to 10 ms however long the run.

    at 0.00 s  0.01  0.02  ...                counts of messages sent, by the 10 ms in which their sending was settled
       [  0  |  12 |  40 |  55 | ... ]

A share of all that will ever be asked for is at least that share of what is sent by now. So what lies before half of
what is sent can never again be where a half is reached: it is added up and dropped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STEP_S = 0.01
SHARES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "p999": 0.999, "p100": 1.0}
"""The shares that are told, by their names in reports."""
_LEAST = min(SHARES.values())
_ROOM = 4_096


class Reach:
    """Messages sent, by the time since the first that was accepted."""

    def __init__(self) -> None:
        self.sent = 0
        self._before = 0
        """Sent before `_first`."""
        self._first = 0
        """The step of the first count that is kept."""
        self._counts = np.zeros(_ROOM, np.int64)
        self._used = 0

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self._counts.nbytes

    def add(self, count: int, at: float) -> None:
        """`count` messages were sent, `at` seconds from the start; times never fall by more than what is kept."""
        place = int(at / STEP_S) - self._first
        self.sent += count
        if place < 0:
            self._before += count
            return
        if place >= len(self._counts):
            place = self._make_room(place)
        self._counts[place] += count
        self._used = max(self._used, place + 1)

    def _make_room(self, place: int) -> int:
        kept = self._counts[: self._used]
        gone = int(np.searchsorted(np.cumsum(kept) + self._before, _LEAST * self.sent))
        gone = min(gone, len(kept))
        self._before += int(kept[:gone].sum())
        self._first += gone
        place -= gone
        grown = np.zeros(max(_ROOM, 2 * (place + 1)), np.int64)
        grown[: len(kept) - gone] = kept[gone:]
        self._counts, self._used = grown, len(kept) - gone
        return place

    def times(self, messages: int) -> dict[str, float | None]:
        """When each of `SHARES` of `messages` had been sent, seconds to 10 ms; None where it was not."""
        counts: npt.NDArray[np.int64] = self._before + np.cumsum(self._counts[: self._used])
        found: dict[str, float | None] = {}
        for name, share in SHARES.items():
            wanted = -(-int(messages * share * 1_000_000) // 1_000_000) if share < 1 else messages
            reached = messages > 0 and 0 < wanted <= self.sent
            step = self._first + int(np.searchsorted(counts, wanted)) + 1
            found[name] = round(step * STEP_S, 2) if reached else None
        return found
