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

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be sent: messages by attempt, counted from 0. The defaults are those of sends that never fail."""

    queue: Sequence[tuple[int, float]]
    """Attempts and how many wait for a slot, first to last."""
    busy: Sequence[float] = (1.0,)
    """Of those in slots, the share of each attempt."""
    resting: Sequence[float] = (0.0,)
    """How many wait for the time of each attempt."""
    fails: float = 0.0
    """The share of sends that fail."""
    waits: Sequence[float] = ()
    """The longest wait after each attempt but the last, seconds; each is even up to it."""
    due: tuple[float, float] | None = None
    """In how many seconds the first and the last of those `resting` are due; None: nobody knows."""

    @property
    def sends_each(self) -> F64:
        """How many sends a message takes from each attempt on."""
        left = np.arange(len(self.waits) + 1, 0, -1)
        return np.array([float((self.fails ** np.arange(count)).sum()) for count in left])

    def sends(self, busy: float) -> float:
        """Sends that are still to begin, when `busy` slots are."""
        each = self.sends_each
        waiting = sum(count * each[attempt] for attempt, count in self.queue)
        return float(waiting + np.dot(self.resting, each) + busy * (np.dot(self.busy, each) - 1.0))

    def without(self, sends: float) -> Work:
        """The same without so many sends of those that wait, the first ones first."""
        each, queue = self.sends_each, []
        for attempt, count in self.queue:
            gone = min(count, sends / each[attempt])
            sends -= gone * each[attempt]
            queue.append((attempt, count - gone))
        return replace(self, queue=queue)


def seconds_left(kinds: Sequence[Kind], work: Work) -> float | None:
    """Seconds until what is in slots and all that `work` has has been sent, if slots lose no time; None without slots.

    Those that wait are there: none of them is still to arrive.
    """
    kinds = [kind for kind in kinds if kind.slots > 0]
    if not kinds:
        return None
    if any(kind.law.mean <= 0 for kind in kinds):
        return 0.0
    rate = sum(kind.slots / kind.law.mean for kind in kinds)
    slots, busy = sum(kind.slots for kind in kinds), sum(kind.busy for kind in kinds)
    sends = work.sends(busy)
    if sends > _FAR * slots and not work.waits:
        return sends / rate + last_of([(kind.law, kind.slots) for kind in kinds])
    skipped = min(max(0.0, sends - _FAR * slots), 0.95 * sum(count for _, count in work.queue))
    horizon = (sends - skipped + slots) / rate * 1.2 + max(_end_of(kind) for kind in kinds) * (1 + len(work.waits))
    work, horizon = work.without(skipped), horizon + sum(work.waits)
    left = _stepped(kinds, work, horizon)
    if left < horizon / 3:  # again in smaller steps
        sooner = _stepped(kinds, work, 1.5 * left)
        left = sooner if sooner < 1.5 * left else left
    return skipped / rate + left


def _end_of(kind: Kind) -> float:
    """No send of the kind is expected to take longer."""
    times, weights = kind.law.times()
    rank = int(np.searchsorted(np.cumsum(weights[::-1]), 0.1 / max(kind.slots, 1.0)))
    return float(times[len(times) - 1 - min(rank, len(times) - 1)])


def _stepped(kinds: Sequence[Kind], work: Work, horizon: float) -> float:
    """The end, by steps of `horizon` / `_STEPS` seconds."""
    step = max(horizon, 1e-9) / _STEPS
    laws = [_shares(kind.law, step) for kind in kinds]
    # By attempt: those that end, of each kind, and those that may be sent again, in each of the steps ahead.
    ahead = np.array([np.outer(work.busy, _in_slots(each, law, step)) for each, law in zip(kinds, laws, strict=True)])
    again = np.zeros((len(work.busy), _STEPS + 1))
    for attempt, (count, wait) in enumerate(zip(work.resting[1:], work.waits, strict=True), 1):
        places, shares = _rests(wait, work, step)
        np.add.at(again[attempt], places, count * shares)
    queue = deque(work.queue)
    idle = np.array([max(0.0, kind.slots - kind.busy) for kind in kinds], dtype=np.float64)
    left = sum(count for _, count in queue) + sum(work.resting) + sum(kind.busy for kind in kinds)
    for now in range(_STEPS):
        done = ahead[:, :, now]
        failed = done.sum(axis=0)[:-1] * work.fails
        for attempt, (count, wait) in enumerate(zip(failed.tolist(), work.waits, strict=True), 1):
            end = now + 1 + max(1, round(wait / step))
            again[attempt, now + 1 : end] += count / (end - now - 1)
        before, left = left, left - float(done.sum() - failed.sum())
        if left <= _LAST:
            part = (before - _LAST) / (before - left) if before > left else 1.0
            return max(0.0, (now - 0.5 + part) * step)
        idle += done.sum(axis=1)
        queue.extend((attempt, count) for attempt, count in enumerate(again[:, now].tolist()) if count)
        room = float(idle.sum())
        for attempt, count in _taken(queue, room):
            for law, ends, share in zip(laws, ahead[:, attempt], (idle / room).tolist(), strict=True):
                size = min(len(law), _STEPS - now)
                ends[now + 1 : now + 1 + size] += share * count * law[:size]
            left_idle = room - count
            idle, room = idle * (left_idle / room), left_idle
    return horizon


def _rests(wait: float, work: Work, step: float) -> tuple[npt.NDArray[np.int64], F64]:
    """Steps at which those resting for an attempt are due, and the share of them at each.

    While some may wait longer than `wait`, these are in the middle of waits that are even up to it: what is left of
    them is short rather than long. Else they are even between the first and the last that is known.
    """
    if work.due is None or work.due[1] > wait:
        places = np.arange(1, max(2, min(int(wait / step), _STEPS) + 1))
        shorter = places[::-1]
        return places, shorter / shorter.sum()
    count = int(min(max(1.0, sum(work.resting)), _STEPS))
    places = np.clip(np.rint(np.linspace(*work.due, count) / step), 0, _STEPS).astype(np.int64)
    return places, np.full(count, 1 / count)


def _taken(queue: deque[tuple[int, float]], room: float) -> Iterator[tuple[int, float]]:
    """Take from the front of the queue what there is room for."""
    while queue and room > 1e-9:
        attempt, count = queue.popleft()
        taken = min(count, room)
        if count > taken:
            queue.appendleft((attempt, count - taken))
        room -= taken
        if taken > 0:
            yield attempt, taken


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
