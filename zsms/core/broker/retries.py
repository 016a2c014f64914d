"""When a failed send is tried again: capped exponential backoff with full jitter.

Before attempt k + 1 a message waits a uniform time from 0 to ``min(cap, base * 2**(k - 1))`` seconds. (M.
Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015: full jitter spreads the retries of a common
failure best.) Whose gateway was throttling keeps its attempt, and waits for up to `THROTTLED_S` if that is longer.

    add --> inbox --a tick or a few parts later: copied out, times drawn--> places of 4**k quarter seconds
                                                                                |  its time begins
            due <--what is due, in one mixed lot-- runs, sorted by time <-------+--> smaller places

Nothing is done for each message: an acknowledgement's failures are copied out of their lots together, and what becomes
due between two looks is one lot. (A hierarchical timing wheel: G. Varghese, T. Lauck, SOSP 1987.)
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import inf

import numpy as np
import numpy.typing as npt

from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.lot import I64, OVERHEAD, Lot, gather, mixed_lots
from zsms.core.seeds import Seed
from zsms.message import MAX_BATCH_MESSAGES, Mixed

F64 = npt.NDArray[np.float64]

TICK_S = 0.005, 0.025
"""Seconds, at least, between two times at which messages become due, once any have: a fortieth of `base` between these.
What falls due between is one lot: small ones cost the broker, and each sender, most of what a retry costs. It becomes
due at the nearest of those times, so on average when it was drawn to, and waits for a slot from then on."""
THROTTLED_S = 1.0
"""Seconds that a throttled message may wait at least, below the cap: what gateways count by."""
DEFER = 0.1
"""Seconds that failures may wait to be copied out, so that those of one batch are copied together."""
_FEW = 16
"""So many lots' failures are copied out at once."""
_SMALL = 256
"""Parts of so many messages are not made one any more."""
_BYTES = 64
"""What a message costs beside its text that is not copied out yet, about."""
_PLACE_S = 0.25
_ROUNDING_S = 1e-9
_RATIO = 16
"""A place of the next level is so many times as long."""


class _Run:
    """Messages by the time at which they are due, from `begin` on."""

    def __init__(self, at: F64, mixed: Mixed) -> None:
        self.at = at
        self.mixed = mixed
        self.begin = 0

    @property
    def left(self) -> int:
        return len(self.at) - self.begin

    def rest(self) -> tuple[F64, Mixed]:
        """What is left of it."""
        return self.at[self.begin :], self.mixed.slice(self.begin, len(self.at))


def _sorted(parts: Sequence[tuple[F64, Mixed]]) -> tuple[F64, Mixed]:
    """All of these by time, in memory of their own."""
    at = np.concatenate([part[0] for part in parts])
    order = np.argsort(at, kind="stable")
    return at[order], Mixed.join([part[1] for part in parts]).take(order)


class Retries:
    """Messages that wait for their next attempt."""

    def __init__(
        self, base: float, cap: float, seed: Seed = None, sources: list[ProducerAccount] | None = None
    ) -> None:
        """`base` and `cap` in seconds; `sources` are the broker's accounts by their index."""
        self.base = base
        self.cap = cap
        self.messages = 0
        self.nbytes = 0
        self._sources = [] if sources is None else sources
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self._inbox: list[tuple[list[Lot], list[int], I64, float, bool]] = []
        """Lots, how many of each, their places; when they failed, and whether that spent an attempt."""
        self._inbox_bytes = 0
        self._places: dict[tuple[int, int], list[tuple[F64, Mixed]]] = {}
        """By level and index: waiting messages, the longest first, each part at least twice as long as the next."""
        self._order: list[tuple[float, int, int]] = []
        """When each place begins, its level and index; a heap."""
        self._begun = -inf
        """Places that begin until then are in runs."""
        self._runs: list[_Run] = []
        self._fell_due = -inf
        self.tick = min(max(base / 40, TICK_S[0]), TICK_S[1])
        self._early = self.tick / 2 if base else 0.0

    def ceiling(self, attempt: int) -> float:
        """The longest wait, in seconds, after attempt number `attempt` failed."""
        return float(min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)))

    def add(self, lot: Lot, positions: I64, now: float, spent: bool = True) -> None:
        """Schedule the next send of the messages at `positions` of the lot, each at a time of its own.

        `spent`: the one that failed was an attempt.
        """
        self.add_all([lot], [len(positions)], positions + lot.begin, now, spent)

    def add_all(self, lots: list[Lot], counts: list[int], places: I64, now: float, spent: bool = True) -> None:
        """The same for several lots: counts[i] messages of lots[i], all their places in `whole` one after the other."""
        nbytes = OVERHEAD
        for lot, count in zip(lots, counts, strict=True):
            nbytes += (_BYTES + lot.whole.text.nbytes // len(lot.whole)) * count
        self._inbox.append((lots, counts, places, now, spent))
        self._inbox_bytes += nbytes
        self.messages += len(places)
        self.nbytes += nbytes

    # -- from the inbox to a place ------------------------------------------------------------------------------

    def _sort(self, now: float = inf) -> None:
        """Copy the failures of the inbox out and draw their times, unless they can wait for more."""
        inbox = self._inbox
        if not inbox or (sum(len(lots) for lots, *_ in inbox) > _FEW and now < self._sort_at):
            return
        self._inbox = []
        self.nbytes -= self._inbox_bytes
        self._inbox_bytes = 0
        # Those of one batch together, whatever acknowledgements they came by: each lot has the rank of its batch.
        lots: list[Lot] = []
        ranks: list[int] = []
        known: dict[tuple[int, int, int], int] = {}
        for some, *_ in inbox:
            for lot in some:
                key = id(lot.whole), lot.attempt, lot.delivery
                rank = known.get(key)
                if rank is None:
                    rank = known[key] = len(lots)
                    lots.append(Lot(lot.whole, lot.account, lot.queued, lot.attempt, lot.delivery))
                ranks.append(rank)
        counts = [count for _, some, *_ in inbox for count in some]
        places = np.concatenate([places for _, _, places, *_ in inbox])
        each = np.repeat(np.array(ranks), counts)
        order = np.argsort(each * MAX_BATCH_MESSAGES + places, kind="stable")
        places = places[order]
        ends = np.cumsum(np.bincount(each, minlength=len(lots))).tolist()
        parts = [
            (lot, places[begin:end]) for lot, begin, end in zip(lots, [0, *ends[:-1]], ends, strict=True) if end > begin
        ]
        is_mixed = np.array([not lot.attempt for lot in lots])[each[order]]
        if is_mixed.any() and not is_mixed.all():  # uniform ones first, which is the cheaper order to copy them in
            parts.sort(key=lambda part: not part[0].attempt)
            order = np.concatenate([order[~is_mixed], order[is_mixed]])
        sizes = [len(places) for _, _, places, *_ in inbox]
        failed = np.repeat([at for *_, at, _ in inbox], sizes)[order]
        spent = np.repeat([spent for *_, spent in inbox], sizes)[order]
        mixed = gather(parts, self._sources)
        self.nbytes += mixed.nbytes
        attempts = mixed.rows["attempt"]
        ceilings = self.base * np.exp2(np.minimum(attempts.astype(np.float64) - 1, 60))
        if not spent.all():
            np.maximum(ceilings, THROTTLED_S, out=ceilings, where=~spent)
        np.minimum(ceilings, self.cap, out=ceilings)
        due: F64 = failed + self._rng.random(len(mixed)) * ceilings
        mixed.rows["attempt"] = attempts + spent
        mixed.rows["queued"] = due
        self._put(*_sorted([(due, mixed)]))

    def _put(self, at: F64, mixed: Mixed) -> None:
        """Sort these, which are sorted by time, into the runs and the places."""
        begin = int(np.searchsorted(at, self._begun, "left")) if self._begun > -inf else 0
        if begin:
            self._run(at[:begin], mixed.slice(0, begin).copy())
        level, span = 0, _PLACE_S
        origin = max(self._begun, float(at[0]))
        while begin < len(at):
            horizon = origin + _RATIO * span
            end = int(np.searchsorted(at, horizon, "left")) if float(at[-1]) >= horizon else len(at)
            if end > begin:
                self._spread(level, span, at[begin:end], mixed.slice(begin, end))
                begin = end
            level, span = level + 1, span * _RATIO

    def _spread(self, level: int, span: float, at: F64, mixed: Mixed) -> None:
        """Into the places of one level."""
        index = np.floor(at / span).astype(np.int64)
        cuts = [0, *(np.flatnonzero(index[1:] != index[:-1]) + 1).tolist(), len(at)]
        for begin, end in pairwise(cuts):
            key = level, int(index[begin])
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = []
                heappush(self._order, (key[1] * span, *key))
            part = mixed.slice(begin, end)
            place.append((at[begin:end], part.copy() if level or len(mixed) > 8 * len(part) + _SMALL else part))
            while len(place) > 1 and len(place[-2][0]) < _SMALL and len(place[-1][0]) * 2 > len(place[-2][0]):
                last, before = place.pop(), place.pop()
                both = np.concatenate([before[0], last[0]]), Mixed.join([before[1], last[1]])
                place.append(both)

    def _run(self, at: F64, mixed: Mixed) -> None:
        """A run more; short ones are made one."""
        runs = self._runs
        runs.append(_Run(at, mixed))
        while len(runs) > 1 and runs[-1].left * 2 > runs[-2].left:
            parts = [run.rest() for run in (runs.pop(), runs.pop()) if run.left]
            if parts:
                runs.append(_Run(*_sorted(parts)))

    def _begin(self, now: float) -> None:
        """The places whose time has begun come into runs, or into smaller places."""
        while self._order and self._order[0][0] <= now:
            begins, level, index = heappop(self._order)
            at, mixed = _sorted(self._places.pop((level, index)))
            span = _PLACE_S * _RATIO**level
            if level:
                self._put(at, mixed)
            else:
                self._begun = max(self._begun, begins + span)
                self._run(at, mixed)

    @property
    def _sort_at(self) -> float:
        return self._inbox[0][3] + min(DEFER, self.base / 10)

    # -- out ----------------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[Lot]:
        """Remove and return the messages whose time has come."""
        self._sort(now)
        until = now + self._early + _ROUNDING_S
        self._begin(until)
        if self.base and now < self._fell_due + self.tick:
            return []
        parts = []
        for run in self._runs:
            end = int(np.searchsorted(run.at, until, "right"))
            if end > run.begin:
                parts.append(run.mixed.slice(run.begin, end))
                run.begin = end
        self._runs = [run for run in self._runs if run.left]
        if not parts:
            return []
        self._fell_due = now
        mixed = Mixed.join(parts)
        if len(parts) == 1:
            mixed = mixed.copy()  # or it would keep all of its run
        mixed.rows["queued"] = now
        self.messages -= len(mixed)
        self.nbytes -= mixed.nbytes
        return mixed_lots(mixed)

    def everything(self) -> list[Lot]:
        """Remove and return whatever waits."""
        lots = self.lots()
        self._places, self._order, self._runs = {}, [], []
        self.messages = self.nbytes = 0
        return lots

    def lots(self) -> list[Lot]:
        """Everything that waits, in no particular order; nothing is removed."""
        self._sort()
        parts = [part for place in self._places.values() for part in place]
        parts += [run.rest() for run in self._runs]
        return [lot for _, mixed in parts if len(mixed) for lot in mixed_lots(mixed)]

    def next_time(self) -> float | None:
        """When the next message is due, or failures are to be sorted."""
        self._sort(-inf)
        times = [float(run.at[run.begin]) - self._early for run in self._runs if run.left]
        if self._inbox:
            times.append(self._sort_at)
        if self._order:
            begins, level, index = self._order[0]
            earliest = min(float(at.min()) for at, _ in self._places[level, index])
            times.append((begins if level else earliest) - self._early)
        return max(min(times), self._fell_due + self.tick) if times else None
