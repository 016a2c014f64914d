"""A timing wheel for arrays: entries go in by the thousand and come out by the tick.

    add(now, delays, records)      each record waits for its own delay
    advance(now) -> records        those whose tick has come

Time is cut into ticks of `tick` seconds, and an entry belongs to the tick nearest to the time it asked for: it comes
out at most half a tick early or late, plus the caller's own lateness, and on average not at all. Adding n entries
sorts them by tick once and cuts them into one piece a tick, so the cost a message is that of a small-integer
sort, and the number of Python statements is that of the ticks touched. (Hashed wheels: G. Varghese and T.
Lauck, "Hashed and hierarchical timing wheels", 1987. Here the hash is a dict, so there is no horizon.)
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]

_INDEX_BITS = 14
_CHUNK = 1 << _INDEX_BITS
_SPAN = 1 << (32 - _INDEX_BITS)


class TimingWheel:
    """Records of `width` uint64 words, waiting. The caller decides what the words mean."""

    def __init__(self, tick: float, width: int) -> None:
        if not tick > 0:
            raise ValueError(f"a tick of {tick} seconds")
        self.tick = tick
        self._ticks_per_second = 1.0 / tick
        self._width = width
        self._buckets: dict[int, list[U64]] = {}
        self._order: list[int] = []
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, now: float, delays: F32, records: U64) -> None:
        """Let records[i] (uint64[n, width]) wait for delays[i] seconds (float32, not negative) from `now`."""
        for begin in range(0, len(delays), _CHUNK):
            self._add(now, delays[begin : begin + _CHUNK], records[begin : begin + _CHUNK])

    def _add(self, now: float, delays: F32, records: U64) -> None:
        count = len(delays)
        self._waiting += count
        base = int(now * self._ticks_per_second)
        # Ticks after `base`, rounded to nearest. The fraction of `now` is added in float64 and only then narrowed,
        # because a float32 can't hold a monotonic clock's seconds to the millisecond.
        fraction = now * self._ticks_per_second - base + 0.5
        ticks = (delays * np.float32(self._ticks_per_second) + np.float32(fraction)).astype(np.int64)
        if float(delays.min()) <= 0.0:
            ticks[delays <= 0.0] = 0  # no delay at all: due now, not at the nearest tick
        first, last = int(ticks.min()), int(ticks.max())
        if first == last:
            self._put(base + first, records)
            return
        if last - first < _SPAN:
            # Tick and position in one uint32: sorting it is twice as fast as an argsort of the ticks.
            keys = (ticks - first).astype(np.uint32)
            keys <<= np.uint32(_INDEX_BITS)
            keys |= np.arange(count, dtype=np.uint32)
            keys.sort()
            order = (keys & np.uint32(_CHUNK - 1)).astype(np.int64)
            sorted_ticks = (keys >> np.uint32(_INDEX_BITS)).astype(np.int64)
            sorted_ticks += first
        else:
            order = np.argsort(ticks, kind="stable")
            sorted_ticks = ticks[order]
        records = records.take(order, axis=0)
        cuts = (np.flatnonzero(sorted_ticks[1:] != sorted_ticks[:-1]) + 1).tolist()
        begins = [0, *cuts]
        names = sorted_ticks[begins].tolist()
        for tick, begin, end in zip(names, begins, [*cuts, count], strict=True):
            self._put(base + tick, records[begin:end])

    def _put(self, tick: int, piece: U64) -> None:
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = [piece]
            heappush(self._order, tick)
        else:
            bucket.append(piece)

    def advance(self, now: float) -> U64 | None:
        """Take out every record whose tick has begun by `now`, uint64[n, width]; None when there is none."""
        current = int(now * self._ticks_per_second)
        pieces: list[U64] = []
        while self._order and self._order[0] <= current:
            pieces += self._buckets.pop(heappop(self._order))
        if not pieces:
            return None
        records = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        self._waiting -= len(records)
        return records

    def next_time(self) -> float | None:
        """When the next tick with an entry begins, in the caller's clock; None when nothing waits."""
        return self._order[0] * self.tick if self._order else None
