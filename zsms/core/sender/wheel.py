"""A timing wheel for arrays: entries go in by the thousand and come out by the tick.

    add(now, delays, records)      each record waits for its own delay
    advance(now) -> records        those whose tick has come
    count(until)                   how many will come by then

Time is cut into ticks of `tick` seconds. An entry that asked for a time between two of them belongs to the later one
with the probability of the part of the tick that has gone by then, else to the earlier one: it comes out less than a
tick early or late, plus the caller's own lateness, and on average not at all, even where all delays are alike and all
begin on a tick, so that rounding to the nearest would err the same way each time. (Dither: L. Schuchman, "Dither
signals and their effect on quantization noise", 1964.)

Adding n entries sorts them by tick once and cuts them into one piece a tick, so the cost a message is that of a
small-integer sort, and the number of Python statements is that of the ticks touched. (Hashed wheels: G. Varghese and
T. Lauck, "Hashed and hierarchical timing wheels", 1987. Here the hash is a dict, so there is no horizon.)
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf, nextafter

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]

_INDEX_BITS = 14
_CHUNK = 1 << _INDEX_BITS
_SPAN = 4_096
"""Ticks over which one addition may spread and still be sorted the quick way."""
_POSITIONS = np.arange(_CHUNK, dtype=np.uint32)
_FIRSTS = np.arange(_SPAN, dtype=np.uint32) << np.uint32(_INDEX_BITS)


class TimingWheel:
    """Records of `width` uint64 words, waiting. The caller decides what the words mean."""

    def __init__(self, tick: float, width: int, rng: np.random.Generator | None = None) -> None:
        """`tick` in seconds; `rng` draws the fractions, by default from the operating system."""
        if not tick > 0:
            raise ValueError(f"a tick of {tick} seconds")
        self.tick = tick
        self._ticks_per_second = 1.0 / tick
        self._width = width
        self._rng = np.random.Generator(np.random.SFC64()) if rng is None else rng
        self._buckets: dict[int, list[U64]] = {}
        self._counts: dict[int, int] = {}
        """Entries by tick."""
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
        # Ticks after `base`, of which the drawn fraction rounds up as many as it should. The fraction of `now` is taken
        # in float64 and only then narrowed: a float32 can't hold a monotonic clock's seconds to the millisecond.
        ticks = self._rng.random(count, dtype=np.float32)
        ticks += np.float32(now * self._ticks_per_second - base)
        ticks += delays * np.float32(self._ticks_per_second)
        keys = ticks.astype(np.int32)
        if float(delays.min()) <= 0.0:
            keys[delays <= 0.0] = 0  # no delay at all: due now, not at the nearest tick
        first = int(keys.min())
        groups = int(keys.max()) - first + 1
        if groups == 1:
            self._put(base + first, records)
            return
        keys -= first
        if groups <= _SPAN:
            # Tick and position in one integer: sorting it, in place, is twice as fast as an argsort of the ticks.
            packed = keys.view(np.uint32)
            packed <<= np.uint32(_INDEX_BITS)
            packed |= _POSITIONS[:count]
            packed.sort()
            begins = packed.searchsorted(_FIRSTS[:groups]).tolist()
            names = range(base + first, base + first + groups)
            packed &= np.uint32(_CHUNK - 1)
            records = records.take(packed, axis=0)
        else:
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            cuts = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist()]
            begins, names = cuts, (keys[cuts] + np.int64(base + first)).tolist()
            records = records.take(order, axis=0)
        for tick, begin, end in zip(names, begins, [*begins[1:], count], strict=True):
            if begin != end:
                self._put(tick, records[begin:end])

    def _put(self, tick: int, piece: U64) -> None:
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = [piece]
            self._counts[tick] = len(piece)
            heappush(self._order, tick)
        else:
            bucket.append(piece)
            self._counts[tick] += len(piece)

    def advance(self, now: float) -> U64 | None:
        """Take out every record whose tick has begun by `now`, uint64[n, width]; None when there is none."""
        current = int(now * self._ticks_per_second)
        pieces: list[U64] = []
        while self._order and self._order[0] <= current:
            tick = heappop(self._order)
            pieces += self._buckets.pop(tick)
            del self._counts[tick]
        if not pieces:
            return None
        records = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        self._waiting -= len(records)
        return records

    def count(self, until: float) -> int:
        """How many entries `advance(until)` would take out."""
        last = int(until * self._ticks_per_second)
        if not self._order or self._order[0] > last:
            return 0
        counts = self._counts
        if last - self._order[0] >= len(counts):
            return sum(entries for tick, entries in counts.items() if tick <= last)
        return sum(counts.get(tick, 0) for tick in range(self._order[0], last + 1))

    def next_time(self) -> float | None:
        """When the next tick with an entry begins, in the caller's clock; None when nothing waits."""
        if not self._order:
            return None
        at = self._order[0] * self.tick
        while int(at * self._ticks_per_second) < self._order[0]:  # rounded down: `advance(at)` would find nothing
            at = nextafter(at, inf)
        return at
