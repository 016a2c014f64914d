"""When so many messages had been sent: reach, exact to 10 ms for hours, and in bounded memory however long it lasts.

    at 0.00 s  0.01  0.02  ...                counts of messages sent, by the 10 ms in which their sending was settled
       [  0  |  12 |  40 |  55 | ... ]

A share of all that will ever be asked for is at least that share of what is sent by now. So what lies before half of
what is sent can never again be where a half is reached: of a long run it is added up and dropped. Where what is left
still has more steps than `MOST_STEPS` (some 3 hours of 10 ms), two steps become one of twice the length.

Counts of several brokers merge by addition, each from the time of its own first message (`merged_times`).
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from math import ceil, inf
from typing import Any, NamedTuple

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
_KEEP = 2**18
"""Up to so many steps (44 minutes of 10 ms) nothing is dropped."""
MAX_REACH_BYTES = 2**19
"""Bytes of the counts of one broker on the wire; steps are made longer until they fit."""


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
        self._counts = array("q", bytes(8 * _ROOM))
        self._used = 0
        self._at, self._place = -inf, -1
        """When something was sent last, and the count of it."""

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self._counts.itemsize * len(self._counts)

    def add(self, count: int, at: float) -> None:
        """`count` messages were sent, `at` seconds from the start; earlier than what is kept counts as before."""
        self.sent += count
        if at != self._at:  # acknowledgements that are read together are of one time
            self._at, self._place = at, self._find(at)
        if self._place < 0:
            self._before += count
        else:
            self._counts[self._place] += count

    def _find(self, at: float) -> int:
        """Which count has what is sent then, below 0: none that is kept."""
        if int(at / self.step_s) - self._first >= len(self._counts):
            self._make_room(at)
        place = int(at / self.step_s) - self._first
        self._used = max(self._used, place + 1)
        return place

    @property
    def _kept(self) -> npt.NDArray[np.int64]:
        return np.frombuffer(self._counts, np.int64)[: self._used]

    def _make_room(self, at: float) -> None:
        kept = self._kept
        gone = 0
        if int(at / self.step_s) - self._first >= _KEEP:
            gone = min(int(np.searchsorted(self._before + np.cumsum(kept), _LEAST * self.sent)), len(kept))
        self._before += int(kept[:gone].sum())
        self._first += gone
        kept = kept[gone:]
        if not len(kept):
            self._first = int(at / self.step_s)  # nothing lies between, however long that was
        while int(at / self.step_s) - self._first >= MOST_STEPS:
            kept = self._halved(kept)
        needed = int(at / self.step_s) - self._first + 1
        grown = array("q", bytes(8 * min(max(_ROOM, 2 * needed), MOST_STEPS)))
        self._counts, self._used = grown, len(kept)
        self._kept[:] = kept

    def _halved(self, kept: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Steps of twice the length."""
        odd = self._first % 2
        pairs = np.zeros((odd + len(kept) + 1) // 2 * 2, np.int64)
        pairs[odd : odd + len(kept)] = kept
        self._first //= 2
        self.step_s *= 2
        halved: npt.NDArray[np.int64] = pairs.reshape(-1, 2).sum(axis=1)
        return halved

    def to_wire(self) -> dict[str, Any]:
        """A map of plain values."""
        counts, first, step_s = self._kept, self._first, self.step_s
        while True:
            packed = zlib.compress(counts.astype("<u8").tobytes(), 1)
            if len(packed) <= MAX_REACH_BYTES:
                return {"step_s": step_s, "first": first, "before": self._before, "n": packed}
            odd = first % 2
            counts = np.pad(counts, (odd, (odd + len(counts)) % 2)).reshape(-1, 2).sum(axis=1)
            first, step_s = first // 2, 2 * step_s

    def times(self, messages: int) -> dict[str, float | None]:
        """When each of `SHARES` of `messages` had been sent, seconds to `step_s`.

        None where it was not, or at a time that nobody knows: before the counts begin.
        """
        return merged_times([Part(self._before, self._first, self.step_s, self._kept)], messages)


class Part(NamedTuple):
    """Counts of one broker."""

    before: int
    """Sent before the first step, or at times that are not known."""
    first: int
    step_s: float
    counts: npt.NDArray[np.int64]
    origin: float = 0.0
    """When its first message was accepted, seconds from the first of all brokers."""

    @classmethod
    def of_wire(cls, body: Any, origin: float) -> Part:
        """What `Reach.to_wire` described. Raises ValueError for anything else."""
        try:
            step_s, first, before = float(body["step_s"]), int(body["first"]), int(body["before"])
            unpacking = zlib.decompressobj()
            counts = np.frombuffer(unpacking.decompress(body["n"], 8 * MOST_STEPS), dtype="<u8").astype(np.int64)
            if unpacking.unconsumed_tail or not STEP_S <= step_s <= 1e6 or not (0 <= first < 2**40 and before >= 0):
                raise ValueError("out of all bounds")
        except (TypeError, KeyError, OverflowError, ValueError, zlib.error) as error:
            raise ValueError(f"no counts of reach: {error}") from None
        return cls(before, first, step_s, counts, origin)


def merged_times(parts: Sequence[Part], messages: int) -> dict[str, float | None]:
    """When each of `SHARES` of `messages` had been sent by all brokers together, seconds to the longest step.

    None where it was not, or at a time that nobody knows: what was sent before a broker's counts begin is known only
    where there is one broker, and then as far as it was sent after them.
    """
    before = sum(part.before for part in parts)
    ends = np.concatenate([p.origin + p.step_s * (p.first + np.arange(1, len(p.counts) + 1)) for p in parts])
    counts = np.concatenate([part.counts for part in parts])
    order = np.argsort(ends, kind="stable") if len(parts) > 1 else slice(None)
    ends, reached = ends[order], before + np.cumsum(counts[order])
    found: dict[str, float | None] = {}
    for name, share in SHARES.items():
        wanted = ceil(round(messages * share, 6))
        index = int(np.searchsorted(reached, wanted))
        known = before < wanted and index < len(reached)
        found[name] = round(float(ends[index]), 2) if known else None
    return found
