"""A histogram of durations that merges by addition.

The bucket of a positive float32 is the top bits of its own representation: 8 bits of exponent and `SUBBITS` of the
mantissa, so a shift of the float's bits is the whole computation, and buckets are 2**-SUBBITS wide relative to
their octave. (The idea of Gil Tene's HdrHistogram, log-linear buckets, taken from the number format itself.)

`count`, `sum`, `min` and `max` are exact. A quantile is interpolated inside its bucket, as if the bucket's durations
stood evenly in it, so it is at most a bucket's width (1/64 of the value) off, far less where a bucket holds many, and
never outside `min` and `max`. Nothing recorded is None, not 0.
"""

from __future__ import annotations

from math import floor, inf
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

SUBBITS = 6
_SHIFT = 23 - SUBBITS
_LOWEST = int(np.float32(2.0**-20).view(np.int32)) >> _SHIFT
_HIGHEST = int(np.float32(2.0**17).view(np.int32)) >> _SHIFT
BUCKETS = _HIGHEST - _LOWEST + 1
"""From under a microsecond (bucket 0, with zero and everything below) to above 36 hours (the last)."""

_MOST_SECONDS = 1e30
_LONGEST_S = 1e10
"""No single duration is longer (3 centuries)."""
_ROUNDING = 1e-6
_MOST_COUNT = 2**48 - 1
"""What comes from elsewhere is not above these, and a merged histogram is cut to them: it can be said on, and nothing
overflows however many are merged."""

QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The percentiles that are told, by the names that reports give them."""


def _index(value: float) -> int:
    bits = int(np.float32(value).view(np.int32)) >> _SHIFT
    return min(max(bits - _LOWEST, 0), BUCKETS - 1)


def bucket_bounds(index: int) -> tuple[float, float]:
    """Lowest value of the bucket and of the next one, in seconds."""

    def lower(i: int) -> float:
        return float(np.int32((i + _LOWEST) << _SHIFT).view(np.float32)) if i else 0.0

    return lower(index), lower(index + 1)


class Histogram:
    """Counts of durations in seconds."""

    __slots__ = ("counts", "max", "min", "sum")

    def __init__(self) -> None:
        self.counts = np.zeros(BUCKETS, dtype=np.int64)
        self.sum = 0.0
        self.min = inf
        self.max = 0.0

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return int(self.counts.sum())

    def record(self, values: F32) -> None:
        """Record float32[n] durations in seconds; negative ones count as 0."""
        if not len(values):
            return
        values = np.maximum(values, np.float32(0))
        # Counted by the bits as they are, and cut to the range of the buckets afterwards: there are fewer counts.
        counts = np.bincount(values.view(np.int32) >> _SHIFT)
        self.counts[0] += counts[: _LOWEST + 1].sum()
        middle = counts[_LOWEST + 1 : _HIGHEST + 1]
        self.counts[1 : len(middle) + 1] += middle
        self.counts[-1] += counts[_HIGHEST + 1 :].sum()
        self.sum += float(values.sum(dtype=np.float64))
        self.min = min(self.min, float(values.min()))
        self.max = max(self.max, float(values.max()))

    def record_one(self, value: float, times: int = 1) -> None:
        """Record one duration (seconds; a negative one counts as 0), `times` times."""
        value = max(value, 0.0)
        self.counts[_index(value)] += times
        self.sum += value * times
        self.min = min(self.min, value)
        self.max = max(self.max, value)

    def merge(self, other: Histogram) -> None:
        """Add the other's counts to this one's."""
        self.counts += other.counts
        np.minimum(self.counts, _MOST_COUNT, out=self.counts)
        self.sum = min(self.sum + other.sum, _MOST_SECONDS)
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    def since(self, before: Histogram) -> Histogram:
        """What was recorded after `before`, an earlier state of this one; `min` and `max` are of all, so bounds."""
        recent = Histogram()
        recent.counts = np.maximum(self.counts - before.counts, 0)
        recent.sum, recent.min, recent.max = max(0.0, self.sum - before.sum), self.min, self.max
        return recent

    @property
    def mean(self) -> float | None:
        """The exact mean in seconds; None when nothing was recorded."""
        count = self.count
        return self.sum / count if count else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation in seconds, about: each duration taken for the middle of its bucket; None for none."""
        count, mean = self.count, self.mean
        if not count or mean is None:
            return None
        filled = np.flatnonzero(self.counts)
        middles = np.array([sum(bucket_bounds(index)) / 2 for index in filled.tolist()])
        square = float(self.counts[filled] @ (np.clip(middles, self.min, self.max) - mean) ** 2) / count
        return float(square**0.5)

    def quantile(self, q: float) -> float | None:
        """The q-quantile in seconds (0 <= q <= 1); None when nothing was recorded.

        Between two durations it is interpolated, so the median of two is their middle (type 7 of R. J. Hyndman and
        Y. Fan, "Sample quantiles in statistical packages", 1996: what numpy and R say unless asked otherwise).
        """
        cumulative = np.cumsum(self.counts)
        total = int(cumulative[-1])
        if not total:
            return None
        place = q * (total - 1)
        rank = floor(place)
        low = self._ranked(cumulative, rank)
        if rank == place:
            return low
        return low + (place - rank) * (self._ranked(cumulative, rank + 1) - low)

    def _ranked(self, cumulative: npt.NDArray[np.int64], rank: int) -> float:
        """About the duration that has `rank` shorter ones."""
        index = int(np.searchsorted(cumulative, rank, side="right"))
        low, high = bucket_bounds(index)
        if index == BUCKETS - 1:
            high = inf  # everything greater is in it
        if rank == 0 and low <= self.min < high:
            return self.min
        if rank == int(cumulative[-1]) - 1 and low <= self.max < high:
            return self.max
        held = int(self.counts[index])
        low, high = max(low, min(self.min, self.max)), min(high, self.max)
        return low + (rank - (int(cumulative[index]) - held) + 0.5) / held * (high - low)

    def below(self, bounds: F32) -> npt.NDArray[np.int64]:
        """int64[n]: how many durations were below each of float32[n] seconds; exact where a bucket begins."""
        first = np.clip((bounds.view(np.int32) >> _SHIFT) - _LOWEST, 0, BUCKETS - 1)
        below: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(self.counts)))[first]
        return below

    def summary(self) -> dict[str, float | None]:
        """mean, min, the percentiles of `QUANTILES` and max in seconds, each None when nothing was recorded."""
        some = bool(self.counts.any())
        return {
            "mean": self.mean,
            "min": self.min if some else None,
            **{name: self.quantile(q) for name, q in QUANTILES.items()},
            "max": self.max if some else None,
        }

    def to_wire(self) -> dict[str, Any]:
        """A small map: only the buckets that hold something."""
        filled = np.flatnonzero(self.counts)
        return {
            "i": filled.astype("<u2").tobytes(),
            "n": self.counts[filled].astype("<u8").tobytes(),
            "sum": self.sum,
            "min": self.min if len(filled) else 0.0,
            "max": self.max,
        }

    @classmethod
    def from_wire(cls, body: Any, *, checked: bool = False) -> Histogram:
        """The histogram that `to_wire` described. Raises ValueError for anything else.

        `checked`: its count, sum and maximum have to agree, too, as those of one process do; of many merged ones each
        may have been cut.
        """
        histogram = cls()
        try:
            index = np.frombuffer(body["i"], dtype="<u2")
            counts = np.frombuffer(body["n"], dtype="<u8").astype(np.int64)
            histogram.sum, histogram.max = float(body["sum"]), float(body["max"])
            least = float(body.get("min", 0.0))
            if len(index) != len(counts) or len(index) > BUCKETS or (counts >> 48).any():
                raise ValueError("index and counts disagree")
            if (index[1:] <= index[:-1]).any():
                raise ValueError("index is not strictly ascending")
            if (
                not all(0 <= told <= _LONGEST_S for told in (least, histogram.max))
                or not 0 <= histogram.sum <= _MOST_SECONDS
            ):
                raise ValueError("sum, min or max is out of all bounds")
            histogram.counts[index] = counts
            if checked and histogram.sum > histogram.count * histogram.max * (1 + _ROUNDING):
                raise ValueError("count, sum and max disagree")
            if counts.any():
                histogram.min = least
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise ValueError(f"not a histogram: {error}") from None
        return histogram
