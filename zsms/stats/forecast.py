"""How long until all is sent: the law of counts, from what is in the slots now to the last send.

    slots that are alike:  sends by when they will end   [ 40 | 55 | 12 | ... | 1 ]
                             what ends makes room, and as many begin while any wait:  + n x law of their times

Expected counts are stepped, not single sends, so that it costs the same for ten slots and for ten million. It is right
in the mean for any law of send times, for slots that began together and still end together, and for slots of several
kinds on one queue; and the end is where less than one send is expected to be left. Far from the end it is enough that
all slots work: what waits / the rate, and the tail of sends in the middle of their times (D. R. Cox, "Renewal theory",
1962).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log10
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.stats.delay import MODELS, DelayModel

F64 = npt.NDArray[np.float64]

_STEPS = 300
_FAR = 8.0
"""So many mean sends ahead it does not matter in which places of their times the sends are."""
_LAST = 0.56
"""The last of many is expected when so many are left: exp(-Euler's constant)."""
_SAMPLES, _TAIL, _THIN = 2**20, 2**13, 64
"""Draws that a law is made of: the longest one by one, of the others each 64th, which stands for as many."""
_MOST_AGES = 4_096
"""Steps back that are told apart."""
OLDEST = 12.0
"""How many means of starts are to be known."""


@dataclass(frozen=True, slots=True)
class Law:
    """How long sends take."""

    name: str
    variation: float
    """Standard deviation / mean."""
    mean: float

    @classmethod
    def of(cls, name: str, mean: float, sd: float) -> Law:
        """That of a delay model; the variation to two digits, so that few laws have to be drawn."""
        variation = sd / mean if mean > 0 else 0.0
        if name == "constant" or variation < 0.01:
            return cls("constant", 0.0, mean)
        digits = 1 - int(np.floor(log10(variation)))
        return cls(name if name in MODELS else "lognormal", min(round(variation, digits), 100.0), mean)

    def times(self) -> tuple[F64, F64]:
        """Send times, ascending, and the share of sends that each stands for."""
        times, weights = _times(self.name, self.variation)
        return times * self.mean, weights

    def quantile(self, q: float) -> float:
        """The time that the share `q` of sends takes at most, seconds."""
        times, weights = self.times()
        return float(times[min(int(np.searchsorted(np.cumsum(weights), q)), len(times) - 1)])


@dataclass(frozen=True, slots=True)
class Kind:
    """Slots that are alike."""

    law: Law
    slots: float
    busy: float
    starts: Sequence[tuple[F64, F64]]
    """Of each sender: times up to now, ascending, seconds from now (0 and less); and how many sends it had begun."""


@lru_cache(maxsize=128)
def _times(name: str, variation: float) -> tuple[F64, F64]:
    """Send times of mean 1."""
    times = DelayModel(name, 1.0, variation).sampler()(np.random.Generator(np.random.SFC64(7)), _SAMPLES)
    times.sort()
    body = times[:-_TAIL].reshape(-1, _THIN).mean(axis=1, dtype=np.float64)
    weights = np.concatenate([np.full(len(body), _THIN / _SAMPLES), np.full(_TAIL, 1 / _SAMPLES)])
    return np.concatenate([body, times[-_TAIL:].astype(np.float64)]), weights


@lru_cache(maxsize=128)
def _residual(name: str, variation: float) -> tuple[F64, F64]:
    """Times, and the share of sends in the middle of their times that still need more than that."""
    times, weights = _times(name, variation)
    # Of those that are longer, the sum of their times less what has passed.
    longer = np.cumsum(weights[::-1])[::-1]
    rest = np.cumsum((times * weights)[::-1])[::-1] - times * longer
    shares = np.clip(rest / max(float(times @ weights), 1e-9), 0.0, 1.0)
    return np.concatenate([[0.0], times]), np.concatenate([[1.0], shares])


def last_of(sends: Sequence[tuple[Law, float]]) -> float:
    """When the last of these sends, so many of each law in the middle of their times, is expected to end (seconds)."""
    sends = [(law, count) for law, count in sends if count > 0 and law.mean > 0]
    if not sends:
        return 0.0
    low, high = 0.0, max(float(law.times()[0][-1]) for law, _ in sends)
    for _ in range(40):
        middle = (low + high) / 2
        left = 0.0
        for law, count in sends:
            times, shares = _residual(law.name, law.variation)
            left += count * float(np.interp(middle / law.mean, times, shares, right=0.0))
        low, high = (middle, high) if left > _LAST else (low, middle)
    return high


def seconds_left(kinds: Sequence[Kind], waiting: float) -> float | None:
    """Seconds until what is in slots and `waiting` sends more have ended, if slots lose no time; None without slots.

    Those that wait are there: none of them is still to arrive.
    """
    kinds = [kind for kind in kinds if kind.slots > 0]
    if not kinds:
        return None
    if any(kind.law.mean <= 0 for kind in kinds):
        return 0.0
    rate = sum(kind.slots / kind.law.mean for kind in kinds)
    slots = sum(kind.slots for kind in kinds)
    if waiting > _FAR * slots:
        return waiting / rate + last_of([(kind.law, kind.slots) for kind in kinds])
    return _stepped(kinds, waiting, (waiting + slots) / rate * 1.2 + max(_end_of(kind) for kind in kinds))


def _end_of(kind: Kind) -> float:
    """No send of the kind is expected to take longer."""
    times, weights = kind.law.times()
    rank = int(np.searchsorted(np.cumsum(weights[::-1]), 0.1 / max(kind.slots, 1.0)))
    return float(times[len(times) - 1 - min(rank, len(times) - 1)])


def _stepped(kinds: Sequence[Kind], waiting: float, horizon: float) -> float:
    """The end, by steps of `horizon` / `_STEPS` seconds."""
    step = max(horizon, 1e-9) / _STEPS
    laws = [_shares(kind.law, step) for kind in kinds]
    ahead = [_in_slots(kind, law, step) for kind, law in zip(kinds, laws, strict=True)]
    idle = [max(0.0, kind.slots - kind.busy) for kind in kinds]
    left = waiting + sum(kind.busy for kind in kinds)
    for now in range(_STEPS):
        done = [float(ends[now]) for ends in ahead]
        before, left = left, left - sum(done)
        if left <= _LAST:
            part = (before - _LAST) / (before - left) if before > left else 1.0
            return max(0.0, (now - 0.5 + part) * step)
        idle = [free + ended for free, ended in zip(idle, done, strict=True)]
        room = sum(idle)
        if waiting > 0 and room > 0:
            share = min(1.0, waiting / room)
            waiting -= share * room
            for law, ends, free in zip(laws, ahead, idle, strict=True):
                size = min(len(law), _STEPS - now)
                ends[now + 1 : now + 1 + size] += share * free * law[:size]
            idle = [free * (1 - share) for free in idle]
    return horizon


def _shares(law: Law, step: float) -> F64:
    """The shares of sends that end 1, 2, ... steps after they began; each is parted between the two steps beside its
    end, so that the mean is exact."""
    times, weights = law.times()
    places = np.minimum(times / step, float(_STEPS + _MOST_AGES))
    whole = np.floor(places).astype(np.int64)
    part: F64 = places - whole
    size = int(whole[-1]) + 2
    shares: Any = np.bincount(whole, (1 - part) * weights, size) + np.bincount(whole + 1, part * weights, size)
    shares[1] += shares[0]
    later: F64 = shares[1:]
    return later


def _in_slots(kind: Kind, shares: F64, step: float) -> F64:
    """How many of the busy ones end in each of the steps ahead."""
    ends = np.zeros(_STEPS + 1)
    edges = -step * (np.arange(int(min(OLDEST * kind.law.mean / step, _MOST_AGES)) + 2) - 0.5)
    edges[0] = 0.0
    began = np.zeros(len(edges) - 1)
    for times, counts in kind.starts:
        began -= np.diff(np.interp(edges, times, counts))
    for age in np.flatnonzero(began > 0).tolist():
        # A send ends k steps after it began with shares[k - 1]; `age` of them are over.
        rest = shares[max(age - 1, 0) :]
        at = 0 if age else 1
        size = min(len(rest), _STEPS + 1 - at)
        ends[at : at + size] += began[age] * rest[:size]
    some = float(ends.sum())
    if not some or some < 1e-9 * kind.busy:
        ends[0] = kind.busy  # they should have ended by now
        return ends
    scaled: F64 = ends * (kind.busy / some)
    return scaled
