"""When a failed send is tried again: capped exponential backoff with full jitter.

Before attempt k + 1 a message waits a uniform time from 0 to ``min(cap, base * 2**(k - 1))`` seconds. (M.
Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015: full jitter spreads the retries of a common
failure best.) Whose gateway was throttling keeps its attempt, and waits for up to `THROTTLED_S` if that is longer.

    add --> inbox --a tick or a few parts later: copied out, times drawn--> Waiting
            due <--what is due, in one mixed lot------------------------------+

Nothing is done for each message: an acknowledgement's failures are copied out of their lots together, and what becomes
due between two looks is one lot.
"""

from __future__ import annotations

from math import floor, inf
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.core.broker.copying import Copies
from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.lot import I64, OVERHEAD, Lot, Part, mixed_lots
from zsms.core.broker.waiting import F64, Waiting
from zsms.core.outcomes import THROTTLED_S
from zsms.core.seeds import Seed
from zsms.message import Mixed

Spent = bool | npt.NDArray[np.bool_]
TICK_S = 0.005, 0.025
"""Seconds between two times at which messages become due, once any have: a fortieth of `base` between these.
What falls due between is one lot: small ones cost the broker, and each sender, most of what a retry costs. It becomes
due at the nearest of those times, so on average when it was drawn to, and waits for a slot from then on."""
DEFER = 0.1
"""Seconds that failures may wait to be copied out, so that those of one batch are copied together."""
_ROUNDING = 1e-6
_FEW = 16
"""So many lots' failures are copied out at once."""
_MANY = 4_096
"""Of so many it is not looked at each when it is due."""
_BYTES = 64
"""What a message costs beside its text that is not copied out yet, about."""


class Retries:
    """Messages that wait for their next attempt."""

    def __init__(
        self, base: float, cap: float, seed: Seed = None, sources: list[ProducerAccount] | None = None
    ) -> None:
        """`base` and `cap` in seconds; `sources` are the broker's accounts by their index."""
        self.base = base
        self.cap = cap
        self.messages = 0
        self._sources = [] if sources is None else sources
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self._inbox: list[tuple[list[Lot], list[int], I64, F64 | float, Spent]] = []
        """Lots, how many of each, their places; when they failed, and whether that spent an attempt."""
        self._inbox_bytes = 0
        self._inbox_lots = 0
        self._inbox_since = inf
        """When the first of them failed."""
        self._last_due = -inf
        """When the last one of those whose times are drawn is due."""
        self._next_due = -inf
        """Before that nothing becomes due any more."""
        self.tick = min(max(base / 40, TICK_S[0]), TICK_S[1])
        self._waiting = self._place()
        self._ceilings = np.array([self.ceiling(attempt) for attempt in range(62)])

    def _place(self) -> Waiting:
        return Waiting(self.tick, early=self.tick / 2 if self.base else 0.0)

    @property
    def nbytes(self) -> int:
        """Bytes of all that waits."""
        return self._inbox_bytes + self._waiting.nbytes

    def ceiling(self, attempt: int) -> float:
        """The longest wait, in seconds, after attempt number `attempt` failed."""
        return float(min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)))

    def add(self, lot: Lot, positions: I64, now: float, spent: bool = True) -> None:
        """Schedule the next send of the messages at `positions` of the lot, each at a time of its own.

        `spent`: the one that failed was an attempt.
        """
        self.add_all([lot], [len(positions)], positions + lot.begin, now, spent)

    def add_all(
        self, lots: list[Lot], counts: list[int], places: I64, failed: F64 | float, spent: Spent = True
    ) -> None:
        """The same for several lots: counts[i] messages of lots[i], all their places in `whole` one after the other.

        `failed` is when they did, and `spent` whether that was an attempt, all or each.
        """
        nbytes = OVERHEAD
        for lot, count in zip(lots, counts, strict=True):
            nbytes += (_BYTES + lot.whole.text.nbytes // len(lot.whole)) * count
        self._inbox.append((lots, counts, places, failed, spent))
        self._inbox_since = min(self._inbox_since, float(np.min(failed)))
        self._inbox_bytes += nbytes
        self._inbox_lots += len(lots)
        self.messages += len(places)

    # -- from the inbox to where they wait ----------------------------------------------------------------------

    def _sort(self, now: float = inf) -> None:
        """Copy the failures of the inbox out and draw their times, unless they can wait for more."""
        inbox = self._inbox
        if not inbox or (self._inbox_lots > _FEW and now < self._sort_at):
            return
        parts, order = self._parts()
        failed = np.concatenate([np.broadcast_to(at, len(places)) for _, _, places, at, _ in inbox])[order]
        spent = np.concatenate([np.broadcast_to(spent, len(places)) for _, _, places, _, spent in inbox])[order]
        self._inbox = []
        self._inbox_bytes = self._inbox_lots = 0
        self._inbox_since = inf
        copies = Copies(parts, self._sources)
        due = self._schedule(copies.rows, failed, spent)
        ticks, order = self._waiting.ticks(due, float(failed.max()))
        ticks = ticks[order]
        done = 0
        for mixed in copies.ordered(order):
            self._waiting.put(mixed, ticks[done : done + len(mixed)])
            done += len(mixed)

    def _parts(self) -> tuple[list[Part], I64]:
        """The inbox, uniform lots first; `order` says which message of it each is.

        Those of one batch come together, whatever acknowledgements they came by: each lot has the rank of its batch.
        """
        inbox = self._inbox
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
        if not all(lot.attempt for lot in lots):
            last = np.argsort([not lot.attempt for lot in lots], kind="stable")
            lots, ranks = [lots[i] for i in last.tolist()], np.argsort(last)[ranks].tolist()
        counts = [count for _, some, *_ in inbox for count in some]
        places = np.concatenate([places for _, _, places, *_ in inbox])
        each = np.repeat(np.array(ranks), counts)
        order = np.argsort(each.astype(np.uint16) if len(lots) <= 0xFFFF else each, kind="stable")
        places = places[order]
        ends = np.cumsum(np.bincount(each, minlength=len(lots))).tolist()
        cuts = zip(lots, [0, *ends[:-1]], ends, strict=True)
        return [(lot, places[begin:end]) for lot, begin, end in cuts if end > begin], order

    def _schedule(self, rows: npt.NDArray[Any], failed: F64, spent: npt.NDArray[np.bool_]) -> F64:
        """Draw when each of these is due, and write it down."""
        attempts = rows["attempt"]
        ceilings = self._ceilings.take(attempts, mode="clip")
        if not spent.all():
            ceilings[~spent] = np.maximum(ceilings[~spent], min(THROTTLED_S, self.cap))
        due: F64 = failed + self._rng.random(len(rows)) * ceilings
        rows["attempt"] = attempts + spent
        rows["queued"] = due
        self._last_due = max(self._last_due, float(due.max()))
        return due

    @property
    def _sort_at(self) -> float:
        return self._inbox_since + min(DEFER, self.base / 10)

    # -- out ----------------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[Lot]:
        """Remove and return the messages whose time has come."""
        self._sort(now)
        self._waiting.poll(now)
        if self.base and now < self._next_due:
            return []
        parts = self._waiting.due()
        if not parts:
            return []
        # The middle of the next tick. Counted from `now`, a look that is late would make all those after it later.
        self._next_due = (floor(now / self.tick + 0.5 + _ROUNDING) + 0.5 + _ROUNDING) * self.tick
        mixed = Mixed.join(parts) if len(parts) > 1 else parts[0].copy()  # which shares memory with what waits on
        mixed.rows["queued"] = now
        self.messages -= len(mixed)
        return mixed_lots(mixed)

    def everything(self) -> list[Lot]:
        """Remove and return whatever waits."""
        lots = self.lots()
        self._waiting, self._last_due = self._place(), -inf
        self.messages = 0
        return lots

    def span(self) -> tuple[float, float] | None:
        """When the first and the last of those that wait are due; None where none has a time yet. Of many, it is
        when the first is looked at."""
        if not self._waiting.nbytes:
            return None
        if self.messages > _MANY:
            return min(self._waiting.next_time(), self._last_due), self._last_due
        return min(float(part.rows["queued"].min()) for part in self._waiting.everything()), self._last_due

    def lots(self) -> list[Lot]:
        """Everything that waits, in no particular order; nothing is removed."""
        self._sort()
        parts = self._waiting.everything()
        return mixed_lots(Mixed.join(parts)) if parts else []

    def next_time(self) -> float | None:
        """When the next message is due, or failures are to be sorted."""
        self._sort(-inf)
        first = self._waiting.next_time()
        if self._inbox:
            first = min(first, self._sort_at)
        if self.base:
            first = max(first, self._next_due)
        return first if self.messages else None
