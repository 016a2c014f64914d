"""The law of counts: a run of any number of messages in virtual time, several replications at once.

    source --room in the broker--> queue (first in first out) --free slots, caps--> slots --their time is up-->
                                     ^                                               |
                                     +-- jitter of the backoff <-- failed, attempts left
                                     +-- liveness <-- killed, or stopped for longer          --> accepted, failed

Slots of a unit are alike and messages are alike, so how many are where is all that there is to know. In each tick:

    finishing counts leave their slots          failures are binomial
    those with attempts left wait               multinomial over the ticks of their jitter
    arrivals and what is due again join         the queue holds as much as a broker does, the rest waits with producers
    free slots take from the front              as the broker deals: each process in turn, none more than it has slots
    the delays of what starts                   multinomial over the ticks of the delay model

so the cost is that of ticks x units x the ticks that a delay spreads over, whatever the number of messages. A group
whose processes faults strike differently is several units, each with a ring of its own: what a killed process had in
flight is exactly what its ring holds. Pure: no clock, no process, no file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush
from math import inf

import numpy as np
import numpy.typing as npt

from zsms.core.seeds import Seed, stream
from zsms.errors import UsageError
from zsms.plan.buckets import Bucket
from zsms.plan.design import MAX_S, Arrivals, Design, daily, law
from zsms.plan.rings import Fifo, Ring
from zsms.plan.share import deal, fill, portion
from zsms.plan.spread import of_jitter
from zsms.scenario import Fault

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
_MANY = np.int64(2**62)


class Limit(IntEnum):
    """What keeps a group from sending more while messages wait."""

    SLOTS = 0
    CAP = 1
    ACCOUNT = 2
    DAILY = 3
    CLOSED = 4
    FAULT = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a block of replications. r: replications, g: groups, t: ticks that were looked at."""

    messages: int
    at: F64
    """float64[t]: seconds."""
    reached: I64
    """int64[t, r]: messages delivered by then."""
    by_group: F64
    """float64[t, g]: the same by route, mean over the replications."""
    accepted: I64
    """int64[r], as the next ones: messages that a gateway took."""
    failed: I64
    """Given up."""
    expired: I64
    """Accepted, and lost in a route's full queue."""
    undelivered: I64
    """Accepted, and not delivered to the handset."""
    retried: I64
    """Sends that were tried again."""
    redelivered: I64
    """Messages that came back from a process that was lost."""
    duplicates: I64
    """Sends of messages that others have had since."""
    sends: I64
    """int64[g, r]: sends that ended, as far as they count."""
    segments: F64
    """float64[g, r]: segments accepted."""
    busy_s: F64
    """float64[g]: slot seconds, mean."""
    limited_s: F64
    """float64[g, len(Limit)]: seconds in which messages waited and the group sent no more because of that, mean."""
    first_s: F64
    """float64[r]: when the first was delivered, nan if none."""


class Twin:
    """One block of replications of a scenario."""

    def __init__(self, design: Design, replications: int = 1, seed: Seed = None) -> None:
        """`replications` are computed side by side, from one seed."""
        self.design = design
        self.scenario = design.scenario
        self.rng = stream(seed, "plan")
        self.r = replications
        self.attempts = design.scenario.retries.attempts
        self.width = self.attempts + 1  # the last: sends whose messages others have since
        units, queues = len(design.units), len(design.queues)
        self.shape = (units, queues, replications, self.width)
        self.rows = queues * replications * self.width
        self.ring = Ring(units * self.rows, max(spread.last for spread in design.law) * 2)
        retries = design.scenario.retries
        self.jitter = [of_jitter(retries.ceiling(a + 1), design.tick) for a in range(self.attempts - 1)]
        self.waiting = Ring(self.attempts * queues * replications, max([s.last for s in self.jitter], default=1))
        self.fifo = [Fifo(replications, self.attempts) for _ in range(queues)]
        self.front = np.zeros((queues, replications, self.attempts), np.int64)
        self.source = np.zeros((queues, replications), np.int64)
        self.made = np.zeros((queues, replications), np.int64)
        self._units()
        self._counts()
        self._arrivals()
        self.tick = 0
        self.ended = False
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._buckets()
        self._schedule()

    # -- what there is ----------------------------------------------------------------------------------------------

    def _units(self) -> None:
        units, groups = self.design.units, self.design.groups
        self.group_of = np.array([unit.group for unit in units])
        self.processes = np.array([float(unit.processes) for unit in units])
        self.slots = np.array([unit.processes * groups[unit.group].concurrency for unit in units], dtype=np.int64)
        self.ramp = np.array([self.scenario.ramp_of(groups[unit.group]) for unit in units]) / self.design.tick
        self.alive = np.ones(len(units), bool)
        self.paused = np.zeros(len(units), np.int64)
        self.closed = np.zeros(len(units), np.int64)
        self.opened = np.zeros(len(units), np.int64)
        """The tick at which each began to open its slots."""
        self.law = list(self.design.law)
        self.slow: list[list[float]] = [[] for _ in units]
        self.failing: list[list[float]] = [[] for _ in units]
        self.again_rate = np.array([groups[u.group].failure_rate + groups[u.group].throttled_rate for u in units])
        self.final_rate = np.array([groups[u.group].permanent_rate for u in units])
        self.may = np.array([[unit.group in queue.groups for queue in self.design.queues] for unit in units])
        self.segments = np.array([queue.segments for queue in self.design.queues])
        self.kept = np.zeros((len(groups), self.r), np.int64)
        """Messages in routes' own queues."""
        self.kept_segments = np.zeros((len(groups), self.r))

    def _counts(self) -> None:
        r, groups = self.r, len(self.design.groups)
        self.delivered = np.zeros((groups, r), np.int64)
        self.accepted, self.failed, self.expired, self.undelivered = np.zeros((4, r), np.int64)
        self.retried, self.redelivered, self.duplicates = np.zeros((3, r), np.int64)
        self.away = np.zeros(r, np.int64)
        """Messages of lost processes that nobody has taken back yet."""
        self.sends = np.zeros((groups, r), np.int64)
        self.paid = np.zeros((groups, r))
        self.busy = np.zeros(groups)
        self._in_slots: F64 = np.zeros(groups)
        self.limited = np.zeros((len(self.design.units), len(Limit)))
        self._at: list[int] = []
        self._curve: list[I64] = []

    def _arrivals(self) -> None:
        self.open_loop = bool(self.scenario.stages)
        self.parts = np.array([q.messages for q in self.design.queues], dtype=np.int64)
        if self.open_loop:
            self.arrive = Arrivals(self.scenario.stages)
            self.share = self.parts / max(1, self.design.messages)
        else:
            self.source += self.parts[:, None]
            self.made += self.parts[:, None]

    def _buckets(self) -> None:
        design, tick, r = self.design, self.design.tick, self.r
        members: dict[int, list[int]] = {}
        for number, unit in enumerate(design.units):
            members.setdefault(unit.group, []).append(number)
        self.members = members
        self.buckets: list[Bucket] = []
        self.drains: dict[int, Bucket] = {}
        for number, group in enumerate(design.groups):
            if group.cap is not None:
                bucket = Bucket(Limit.CAP, members[number], group.cap * tick, group.burst, r)
                if group.queue is None:
                    self.buckets.append(bucket)
                else:
                    self.drains[number] = bucket
            if group.daily_cap is not None:
                bucket = Bucket(Limit.DAILY, members[number], 0.0, 0.0, r, day=group.daily_cap)
                self.buckets.append(bucket)
                self._renew(bucket, group.zone, group.daily_reset)
        for account in self.scenario.accounts:
            all_of = [u for n, g in enumerate(design.groups) if g.account == account.name for u in members[n]]
            if account.cap is not None:
                self.buckets.append(Bucket(Limit.ACCOUNT, all_of, account.cap * tick, account.burst, r))
            if account.daily_cap is not None:
                bucket = Bucket(Limit.DAILY, all_of, 0.0, 0.0, r, day=account.daily_cap)
                self.buckets.append(bucket)
                self._renew(bucket, account.zone, account.daily_reset)
        self.little: list[Bucket | None] = []
        """Of units whose slots are a rate, that rate: a bucket that is full at first, in messages."""
        for number, fluid in enumerate(design.fluid):
            mean = design.groups[design.units[number].group].mean
            rate = self.slots[number] * tick / mean if mean else inf
            full = float(self.slots[number])
            self.little.append(Bucket(Limit.SLOTS, [number], rate, full, r) if fluid else None)

    # -- what happens at which time -----------------------------------------------------------------------------------

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Let something happen at the tick nearest to that time."""
        if seconds < inf:
            heappush(self._events, (self.design.ticks(seconds), self._number, do))
            self._number += 1

    _number = 0

    def _renew(self, bucket: Bucket, zone: str, reset: float) -> None:
        assert self.scenario.start is not None
        for at in daily(self.scenario.start, zone, reset, MAX_S):
            if at > 0:
                self.at(at, bucket.renew)

    def _schedule(self) -> None:
        for number, group in enumerate(self.design.groups):
            units = self.members[number]
            if group.begins:
                self._close(units, 1)
                self.at(group.begins, lambda units=units: self._close(units, -1, anew=True))  # type: ignore[misc]
            if group.ends is not None:
                self.at(group.ends, lambda units=units: self._close(units, 1))  # type: ignore[misc]
            if group.quiet is not None and self.scenario.start is not None:
                begins, ends = (daily(self.scenario.start, group.zone, s, MAX_S) for s in group.quiet)
                if begins[0] > ends[0]:
                    self._close(units, 1)
                for when, step in ((begins, 1), (ends, -1)):
                    for at in when:
                        if at > 0:
                            self.at(at, lambda units=units, step=step: self._close(units, step))  # type: ignore[misc]
        for place, fault in enumerate(self.scenario.faults):
            self._schedule_fault(place, fault)

    def _close(self, units: list[int], step: int, anew: bool = False) -> None:
        self.closed[units] += step
        if anew:
            self.opened[units] = self.tick

    def _schedule_fault(self, place: int, fault: Fault) -> None:
        units = [number for number, unit in enumerate(self.design.units) if place in unit.faults]
        if fault.whom == "collector":
            return  # it has the figures, and no message
        if not units:
            self._schedule_broker(fault)
            return
        at, until, live = fault.at, fault.until, self.scenario.liveness
        match fault.what:
            case "kill" | "restart":
                self.at(at, lambda: self._kill(units))
                self.at(until, lambda: self._revive(units))
            case "stop":
                self.at(at, lambda: self._pause(units, 1))
                self.at(until, lambda: self._pause(units, -1))
                if until - at >= live:
                    self.at(at + live, lambda: self._disown(units, 0.0))
            case "slow":
                self.at(at, lambda: self._slow(units, fault.factor or 1.0, True))
                self.at(until, lambda: self._slow(units, fault.factor or 1.0, False))
            case "fail":
                # Whether a send fails is decided when it starts; here it is drawn when it ends.
                mean = self.design.groups[self.design.units[units[0]].group].mean
                self.at(at + mean, lambda: self._fail(units, fault.rate or 0.0, True))
                self.at(until + mean, lambda: self._fail(units, fault.rate or 0.0, False))
            case _:
                self._throttle(units, fault)

    def _schedule_broker(self, fault: Fault) -> None:
        if self.scenario.brokers > 1:
            raise UsageError(f"fault {fault}: the plan knows faults of a mesh with one broker only")
        everyone = list(range(len(self.design.units)))
        if fault.what == "kill":
            self.at(fault.at, self._end)
            return
        self.at(fault.at, lambda: self._pause(everyone, 1))
        if fault.what == "restart":  # what it had granted it has in its journal, and grants again
            self.at(fault.at, lambda: self._disown(everyone, fault.until - fault.at))
        self.at(fault.until, lambda: self._pause(everyone, -1))

    def _end(self) -> None:
        self.ended = True

    def _held(self, unit: int, counts: I64) -> I64:
        """By queue, replication and attempt, what rows of a unit hold as messages that count."""
        return counts.reshape(self.shape[1:])[:, :, : self.attempts].copy()

    def _come_back(self, held: I64, after: float) -> None:
        self.away += held.sum(axis=(0, 2))

        def back() -> None:
            self.front += held
            self.away -= held.sum(axis=(0, 2))
            self.redelivered += held.sum(axis=(0, 2))

        self.at(self.tick * self.design.tick + after, back)

    def _kill(self, units: list[int]) -> None:
        for unit in units:
            self.alive[unit] = False
            removed = self.ring.remove(unit * self.rows, (unit + 1) * self.rows)
            self._come_back(self._held(unit, removed), self.scenario.liveness)

    def _revive(self, units: list[int]) -> None:
        self.alive[units] = True
        self.opened[units] = self.tick

    def _pause(self, units: list[int], step: int) -> None:
        self.paused[units] += step

    def _disown(self, units: list[int], after: float) -> None:
        """Others are to have what these hold; they go on with it all the same."""
        for unit in units:
            begin, end = unit * self.rows, (unit + 1) * self.rows
            held = self._held(unit, self.ring.total[begin:end])
            self.ring.disown(begin, end, self.width)
            self._come_back(held, after)

    def _slow(self, units: list[int], factor: float, on: bool) -> None:
        for unit in units:
            self.slow[unit].append(factor) if on else self.slow[unit].remove(factor)
            whole = float(np.prod(self.slow[unit])) if self.slow[unit] else 1.0
            group = self.design.groups[self.design.units[unit].group]
            self.law[unit] = law(group.model, self.design.tick, whole)
            little = self.little[unit]
            if little is not None and group.mean:
                little.rate = self.slots[unit] * self.design.tick / group.mean / whole

    def _fail(self, units: list[int], rate: float, on: bool) -> None:
        for unit in units:
            self.failing[unit].append(rate) if on else self.failing[unit].remove(rate)
            group = self.design.groups[self.design.units[unit].group]
            own = group.failure_rate + group.throttled_rate
            self.again_rate[unit] = self.failing[unit][-1] if self.failing[unit] else own
            self.final_rate[unit] = min(group.permanent_rate, 1 - self.again_rate[unit])

    def _throttle(self, units: list[int], fault: Fault) -> None:
        number = self.design.units[units[0]].group
        group = self.design.groups[number]
        part = float(self.processes[units].sum()) / group.senders
        cap = fault.cap if fault.cap is not None else (group.cap or 0.0) * part * (fault.factor or 1.0)
        rate = cap * self.design.tick
        if number in self.drains:
            drain = self.drains[number]
            usual = drain.rate
            self.at(fault.at, lambda: setattr(drain, "rate", min(usual, rate)))
            self.at(fault.until, lambda: setattr(drain, "rate", usual))
            return
        bucket = Bucket(Limit.FAULT, units, rate, 0.0, self.r)
        bucket.active = False
        self.buckets.append(bucket)
        self.at(fault.at, lambda: setattr(bucket, "active", True))
        self.at(fault.until, lambda: setattr(bucket, "active", False))

    # -- a tick -----------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """To the end, or as far as the design looks."""
        last = self.design.most_ticks
        steps, passed = 0, 0
        while steps < last:
            self._happen()
            if self.ended:
                break
            for bucket in self.buckets:
                bucket.refill(passed)
            settled = self._settle(passed)
            self._join()
            started = self._start(passed)
            self._look()
            self._note()
            steps += 1
            if self._is_over():
                break
            passed = 1
            if not (settled or started) and (jump := self._jump()) != 1:
                if not jump:
                    break
                self.ring.skip(jump - 1)
                self.waiting.skip(jump - 1)
                passed = jump
            self.tick += passed
            if self.tick > self.design.ticks(self.design.until):
                break
        return self._outcome()

    def _happen(self) -> None:
        while self._events and self._events[0][0] <= self.tick:
            heappop(self._events)[2]()

    def _is_over(self) -> bool:
        done = self.delivered.sum(axis=0) + self.failed + self.expired + self.undelivered
        return bool((done == self.design.messages).all())

    def _jump(self) -> int:
        """Ticks in which nothing can happen; 0: nothing ever will."""
        if self.ring.total.any() or self.waiting.total.any() or self.kept.any():
            return 1
        waits = any(f.size.any() for f in self.fifo) or self.front.any() or self.source.any()
        blocked = ~self.alive | (self.paused > 0) | (self.closed > 0)
        for bucket in self.buckets:
            if bucket.day is not None and not bucket.room(float(self.segments.min())).any():
                blocked[bucket.members] = True
        if waits and not (blocked[:, None] | ~self.may).all():
            return 1
        ahead = [self._events[0][0]] if self._events else []
        if self.open_loop and (self.made < self.parts[:, None]).any():
            at = self.arrive.next_change(self.tick * self.design.tick)
            if at < inf:
                ahead.append(self.design.ticks(at))
        return max(1, min(ahead) - self.tick) if ahead else 0

    def _settle(self, passed: int) -> bool:
        """What is finished leaves its slots; whether anything was there."""
        ended = self.ring.take().reshape(self.shape)
        self._freed = ended
        if not ended.any():
            self._drain(np.zeros((len(self.design.groups), len(self.segments), self.r), np.int64), passed)
            return False
        if self.paused.any():
            for unit in np.flatnonzero(self.paused).tolist():
                if ended[unit].any():
                    self.ring.put(unit * self.rows, ended[unit].ravel(), 1)
                    ended[unit] = 0
        done, late = ended[..., : self.attempts], ended[..., self.attempts]
        if late.any():
            self.duplicates += late.sum(axis=(0, 1))
        ok, again = done, None
        if self.again_rate.any() or self.final_rate.any():
            rates = self.again_rate[:, None, None, None]
            again = self.rng.binomial(done, rates)
            ok = done - again
            if self.final_rate.any():
                rest = np.minimum(self.final_rate / np.maximum(1 - self.again_rate, 1e-300), 1.0)
                final = self.rng.binomial(ok, rest[:, None, None, None])
                ok = ok - final
                self.failed += final.sum(axis=(0, 1, 3))
        for number, units in self.members.items():
            self.sends[number] += done[units].sum(axis=(0, 1, 3))
        accepted = np.stack([ok[units].sum(axis=(0, 3)) for units in self.members.values()])
        self._keep(accepted, ok, again, passed)
        return True

    def _keep(self, accepted: I64, ok: I64, again: I64 | None, passed: int) -> None:
        """What gateways took goes on to handsets, or into a route's own queue, as far as that has room."""
        for number, drain in self.drains.items():
            group = self.design.groups[number]
            assert group.queue is not None and group.cap is not None
            segments = (accepted[number] * self.segments[:, None]).sum(axis=0)
            room = drain.rate / self.design.tick * group.queue - self.kept_segments[number]
            over = np.maximum(np.ceil((segments - room) / max(self.design.segments, 1e-9)), 0).astype(np.int64)
            if not over.any():
                continue
            units = self.members[number]
            if group.when_full == "expire":
                lost = portion(accepted[number], over)
                self.accepted += lost.sum(axis=0)
                self.expired += lost.sum(axis=0)
                self.paid[number] += (lost * self.segments[:, None]).sum(axis=0)
                accepted[number] -= lost
                continue
            own = np.moveaxis(ok[units], 2, -1)  # the replications last
            refused = portion(own.reshape(-1, self.r), over).reshape(own.shape)
            accepted[number] -= refused.sum(axis=(0, 2))
            again = np.zeros_like(ok) if again is None else again
            again[units] += np.moveaxis(refused, -1, 2)
        if again is not None:
            self._try_again(again.sum(axis=0))
        self.accepted += accepted.sum(axis=(0, 1))
        self.paid += (accepted * self.segments[None, :, None]).sum(axis=1)
        self._drain(accepted, passed)

    def _try_again(self, again: I64) -> None:
        """int64[queues, r, attempts]: failed sends."""
        for attempt, jitter in enumerate(self.jitter):
            counts = again[:, :, attempt]
            if counts.any():
                self.retried += counts.sum(axis=0)
                begin = (attempt + 1) * counts.size
                self.waiting.spread(begin, counts.ravel(), jitter, self.rng)
        self.failed += again[:, :, self.attempts - 1].sum(axis=0)

    def _drain(self, accepted: I64, passed: int) -> None:
        """Deliver what was accepted, through the routes' own queues."""
        counts = accepted.sum(axis=1)
        for number, bucket in self.drains.items():
            bucket.refill(passed)
            self.kept[number] += counts[number]
            self.kept_segments[number] += (accepted[number] * self.segments[:, None]).sum(axis=0)
            each = self.kept_segments[number] / np.maximum(self.kept[number], 1)
            out = np.minimum(self.kept[number], bucket.room(np.maximum(each, 1e-9)))
            bucket.spend(out * each)
            self.kept[number] -= out
            self.kept_segments[number] -= out * each
            counts[number] = out
        for number, group in enumerate(self.design.groups):
            if group.delivered < 1 and counts[number].any():
                arrived = self.rng.binomial(counts[number], group.delivered)
                self.undelivered += counts[number] - arrived
                counts[number] = arrived
        self.delivered += counts

    def _join(self) -> None:
        """Arrivals, retries that are due, and what the broker has room for come into the queue."""
        due = self.waiting.take().reshape(self.attempts, *self.source.shape)
        if self.open_loop:
            self._arrive()
        if self.attempts == 1:
            return
        due = np.moveaxis(due, 0, -1).copy()
        held = sum(fifo.size for fifo in self.fifo) + self.waiting.total.reshape(-1, self.r).sum(axis=0)
        room = np.maximum(self.scenario.max_messages * self.scenario.brokers - held - due.sum(axis=(0, 2)), 0)
        self.room = room > 0
        taken = self.source if (self.source.sum(axis=0) <= room).all() else portion(self.source, room)
        if taken.any() or due.any():
            due[:, :, 0] += taken
            self.source = self.source - taken
            for fifo, lot in zip(self.fifo, due, strict=True):
                fifo.push(lot)

    def _arrive(self) -> None:
        now = (self.tick + 0.5) * self.design.tick
        before = (self.tick - 0.5) * self.design.tick if self.tick else 0.0
        if self.scenario.poisson:
            mean = (self.arrive.by(now) - self.arrive.by(before)) * self.share
            come = self.rng.poisson(mean[:, None], self.made.shape)
            new = np.minimum(come, self.parts[:, None] - self.made)
        else:
            upto = np.floor(self.arrive.by(now) * self.share + 1e-9).astype(np.int64) + 1
            new = np.minimum(upto, self.parts)[:, None] - self.made
            np.maximum(new, 0, out=new)
        self.made += new
        self.source = self.source + new

    def _start(self, passed: int) -> bool:
        """Free slots take what waits; whether any did."""
        totals = self.ring.total.reshape(self.shape)
        in_slots = totals.sum(axis=(1, 3))
        self._integrate(passed)
        front = self.front.sum(axis=2)
        waiting = front + self.source
        if self.attempts > 1:
            direct = self.source * self.room
            waiting = front + direct + np.stack([fifo.size for fifo in self.fifo])
        if not waiting.any():
            return False
        want, reason = self._wanted(in_slots, passed, waiting)
        starts = self._share(want, waiting)
        left = waiting.sum(axis=0) > starts.sum(axis=(0, 1))
        if left.any():
            for unit, reasons in enumerate(reason):
                self.limited[unit] += np.bincount(reasons, left, len(Limit))
        if not starts.any():
            return False
        self._spend(starts)
        for queue in range(len(self.segments)):
            taken = self._take(queue, starts[:, queue].sum(axis=0))
            dealt = deal(taken, starts[:, queue], self.tick) if self.attempts > 1 else starts[:, queue][:, :, None]
            for unit in range(len(starts)):
                if dealt[unit].any():
                    rows = np.zeros((self.r, self.width), np.int64)
                    rows[:, : self.attempts] = dealt[unit]
                    begin = unit * self.rows + queue * self.r * self.width
                    self.ring.spread(begin, rows.ravel(), self.law[unit], self.rng)
        return True

    def _integrate(self, passed: int) -> None:
        """Add what was in slots since the last tick."""
        self.busy += self._in_slots * passed

    def _look(self) -> None:
        whole = self.ring.total.reshape(self.shape).sum(axis=(1, 3)).mean(axis=1)
        self._in_slots = np.bincount(self.group_of, whole, len(self.busy)).astype(np.float64)

    def _wanted(self, in_slots: I64, passed: int, waiting: I64) -> tuple[I64, I64]:
        """How many messages each unit could begin, int64[units, r], and what keeps it from more."""
        age = self.tick - self.opened
        part = np.where(self.ramp > 0, np.minimum((age + 1) / np.maximum(self.ramp, 1e-9), 1.0), 1.0)
        want = np.maximum((self.slots * part).astype(np.int64)[:, None] - in_slots, 0)
        reason = np.zeros(want.shape, np.int64)
        for number, bucket in enumerate(self.little):
            if bucket is not None:
                bucket.refill(passed)
                want[number] = np.minimum(bucket.room(1.0), _MANY)
        for off, why in ((self.closed > 0, Limit.CLOSED), (~self.alive | (self.paused > 0), Limit.FAULT)):
            want[off] = 0
            reason[off] = why
        want = np.minimum(want, (waiting[None] * self.may[:, :, None]).sum(axis=1))
        for bucket in self.buckets:
            if not bucket.active:
                continue
            own = want[bucket.members]
            room = bucket.room(self._mean_segments(waiting))
            whole = own.sum(axis=0)
            over = whole > room
            if over.any():
                less = room[None] if len(own) == 1 else fill(own, room, self.processes[bucket.members], self.rng)
                want[bucket.members] = np.where(over, less, own)
                reason[bucket.members] = np.where(over & (reason[bucket.members] < bucket.kind), bucket.kind,
                                                  reason[bucket.members])  # fmt: skip
        return want, reason

    def _mean_segments(self, waiting: I64) -> F64 | float:
        if len(self.segments) == 1:
            return float(self.segments[0])
        whole = waiting.sum(axis=0)
        mean: F64 = (waiting * self.segments[:, None]).sum(axis=0) / np.maximum(whole, 1)
        return np.where(whole > 0, mean, self.segments.min())

    def _share(self, want: I64, waiting: I64) -> I64:
        """Messages that each unit begins, by queue: int64[units, queues, r]."""
        if len(self.segments) == 1:
            enough = want.sum(axis=0) <= waiting[0]
            given = want if enough.all() else fill(want, waiting[0], self.processes, self.rng)
            return given[:, None]
        starts = np.zeros((len(want), *waiting.shape), np.int64)
        left, still = waiting.copy(), want.copy()
        weights = waiting[None] * self.may[:, :, None]
        parts = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1)
        for proportional in (True, False):
            for step in range(len(waiting)):
                queue = (step + self.tick) % len(waiting)
                asked = np.ceil(want * parts[:, queue]).astype(np.int64) if proportional else still
                asked = np.minimum(np.where(self.may[:, queue, None], asked, 0), still)
                given = fill(asked, left[queue], self.processes, self.rng)
                starts[:, queue] += given
                left[queue] -= given.sum(axis=0)
                still -= given
        return starts

    def _spend(self, starts: I64) -> None:
        segments = (starts * self.segments[None, :, None]).sum(axis=1)
        for bucket in self.buckets:
            if bucket.active:
                bucket.spend(segments[bucket.members].sum(axis=0))
        for unit, little in enumerate(self.little):
            if little is not None:
                little.spend(starts[unit].sum(axis=0).astype(np.float64))

    def _take(self, queue: int, counts: I64) -> I64:
        """So many messages of a queue, by attempt: what came back first, then in turn, then straight from producers."""
        if self.attempts == 1:
            back = np.minimum(self.front[queue, :, 0], counts)
            self.front[queue, :, 0] -= back
            self.source[queue] = self.source[queue] - (counts - back)
            return counts[:, None]
        front = self.front[queue]
        first = portion(front.T, counts).T if front.any() else np.zeros_like(front)
        self.front[queue] = front - first
        rest = counts - first.sum(axis=1)
        queued = np.minimum(rest, self.fifo[queue].size)
        taken = first + self.fifo[queue].pop(queued)
        taken[:, 0] += rest - queued
        self.source[queue] = self.source[queue] - (rest - queued)
        return taken

    # -- the answer ---------------------------------------------------------------------------------------------------

    def _note(self) -> None:
        self._at.append(self.tick)
        self._curve.append(self.delivered.copy())

    def _outcome(self) -> Outcome:
        tick, groups = self.design.tick, len(self.design.groups)
        curve = np.array(self._curve) if self._curve else np.zeros((0, groups, self.r), np.int64)
        at = np.array(self._at, dtype=np.float64) * tick
        reached: I64 = curve.sum(axis=1)
        first = np.full(self.r, np.nan)
        for replication in range(self.r):
            hit = int(np.searchsorted(reached[:, replication], 1))
            if hit < len(at):
                first[replication] = at[hit]
        limited = np.zeros((groups, len(Limit)))
        np.add.at(limited, self.group_of, self.limited / self.r * self.processes[:, None])
        limited /= np.array([group.senders for group in self.design.groups])[:, None]
        return Outcome(
            messages=self.design.messages,
            at=at,
            reached=reached,
            by_group=curve.mean(axis=2),
            accepted=self.accepted,
            failed=self.failed,
            expired=self.expired,
            undelivered=self.undelivered,
            retried=self.retried,
            redelivered=self.redelivered,
            duplicates=self.duplicates,
            sends=self.sends,
            segments=self.paid,
            busy_s=self.busy * tick,
            limited_s=limited * tick,
            first_s=first,
        )


def replicate(design: Design, replications: int = 1, seed: Seed = None) -> Outcome:
    """A block of replications."""
    return Twin(design, replications, seed).run()
