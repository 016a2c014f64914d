"""What keeps units from sending more: slots that are a rate, caps of groups and accounts, daily caps, throttles."""

from __future__ import annotations

from math import inf

import numpy as np
import numpy.typing as npt

from zsms.plan.buckets import Bucket
from zsms.plan.design import Design
from zsms.plan.outcome import Limit
from zsms.plan.share import fill
from zsms.plan.units import Units

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
_MANY = np.int64(2**62)


class Limits:
    """The buckets of a design."""

    def __init__(self, design: Design, units: Units, replications: int, rng: np.random.Generator) -> None:
        self._design, self._units, self._r, self._rng = design, units, replications, rng
        self.buckets: list[Bucket] = []
        self.drains: dict[int, Bucket] = {}
        """Of groups whose route has a queue of its own: it sends at the cap what it has taken."""
        self.days: list[tuple[Bucket, str, float]] = []
        """Daily caps, each with the zone and the second of its day's begin."""
        self.segments = np.array([queue.segments for queue in design.queues])
        for number, group in enumerate(design.groups):
            members = units.members[number]
            if group.cap is not None:
                bucket = self._bucket(Limit.CAP, members, group.cap, group.burst)
                if group.queue is None:
                    self.buckets.append(bucket)
                else:
                    self.drains[number] = bucket
            if group.daily_cap is not None:
                self._day(members, group.daily_cap, group.zone, group.daily_reset)
        for account in design.scenario.accounts:
            members = [u for n, g in enumerate(design.groups) if g.account == account.name for u in units.members[n]]
            if account.cap is not None:
                self.buckets.append(self._bucket(Limit.ACCOUNT, members, account.cap, account.burst))
            if account.daily_cap is not None:
                self._day(members, account.daily_cap, account.zone, account.daily_reset)
        self.little = [self._of_slots(number) if fluid else None for number, fluid in enumerate(design.fluid)]
        """Of units whose slots are a rate, that rate: a bucket that is full at first, in messages."""

    def _bucket(self, kind: Limit, members: list[int], cap: float, burst: float) -> Bucket:
        return Bucket(kind, members, cap * self._design.tick, burst, replications=self._r)

    def _day(self, members: list[int], cap: int, zone: str, reset: float) -> None:
        bucket = Bucket(Limit.DAILY, members, 0.0, 0.0, replications=self._r, day=cap)
        self.buckets.append(bucket)
        self.days.append((bucket, zone, reset))

    def _rate_of_slots(self, unit: int) -> float:
        mean = self._design.groups[int(self._units.group_of[unit])].mean
        return float(self._units.slots[unit] * self._design.tick / mean / self._units.slower[unit]) if mean else inf

    def _of_slots(self, unit: int) -> Bucket:
        full = float(self._units.slots[unit])
        return Bucket(Limit.SLOTS, [unit], self._rate_of_slots(unit), full, replications=self._r)

    def slowed(self, units: list[int]) -> None:
        """The sends of these take longer, or no longer do."""
        for unit in units:
            if (little := self.little[unit]) is not None:
                little.rate = self._rate_of_slots(unit)

    def throttle(self, units: list[int], cap: float) -> Bucket:
        """A cap that a fault will bring; it is not yet `active`."""
        bucket = self._bucket(Limit.FAULT, units, cap, 0.0)
        bucket.active = False
        self.buckets.append(bucket)
        return bucket

    def refill(self, ticks: int) -> None:
        """So many ticks have gone by."""
        for bucket in self.buckets:
            bucket.refill(ticks)

    def blocked(self) -> npt.NDArray[np.bool_]:
        """Units that can begin nothing until something happens, bool[units]."""
        found = self._units.down | (self._units.closed > 0)
        for bucket in self.buckets:
            if bucket.day is not None and not bucket.room(float(self.segments.min())).any():
                found[bucket.members] = True
        return found

    def wanted(self, in_slots: I64, tick: int, passed: int, waiting: I64, may: I64) -> tuple[I64, I64]:
        """How many messages each unit could begin, int64[units, r], and what keeps it from more.

        `in_slots` int64[units, r]; `waiting` int64[queues, r], of which each unit `may` send (bool[units, queues]).
        """
        units = self._units
        want = np.maximum(units.open_slots(tick)[:, None] - in_slots, 0)
        reason = np.zeros(want.shape, np.int64)
        for number, bucket in enumerate(self.little):
            if bucket is not None:
                bucket.refill(passed)
                want[number] = np.minimum(bucket.room(1.0), _MANY)
        for off, why in ((units.closed > 0, Limit.CLOSED), (units.down, Limit.FAULT)):
            want[off] = 0
            reason[off] = why
        want = np.minimum(want, (waiting[None] * may[:, :, None]).sum(axis=1))
        for bucket in self.buckets:
            if bucket.active:
                self._bound(bucket, want, reason, self._mean_segments(waiting))
        return want, reason

    def _bound(self, bucket: Bucket, want: I64, reason: I64, segments: F64 | float) -> None:
        """No more than a bucket has room for, by its members as they are asked in turn."""
        own = want[bucket.members]
        room = bucket.room(segments)
        over = own.sum(axis=0) > room
        if not over.any():
            return
        weights = self._units.processes[bucket.members]
        less = room[None] if len(own) == 1 else fill(own, room, weights, self._rng)
        want[bucket.members] = np.where(over, less, own)
        before = reason[bucket.members]
        reason[bucket.members] = np.where(over & (before < bucket.kind), bucket.kind, before)

    def _mean_segments(self, waiting: I64) -> F64 | float:
        if len(self.segments) == 1:
            return float(self.segments[0])
        whole = waiting.sum(axis=0)
        mean: F64 = (waiting * self.segments[:, None]).sum(axis=0) / np.maximum(whole, 1)
        return np.where(whole > 0, mean, self.segments.min())

    def spend(self, starts: I64) -> None:
        """So many begin, int64[units, queues, r]."""
        segments = (starts * self.segments[None, :, None]).sum(axis=1)
        for bucket in self.buckets:
            if bucket.active:
                bucket.spend(segments[bucket.members].sum(axis=0))
        for unit, little in enumerate(self.little):
            if little is not None:
                little.spend(starts[unit].sum(axis=0).astype(np.float64))
