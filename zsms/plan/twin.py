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

import numpy as np
import numpy.typing as npt

from zsms.core.seeds import Seed, stream
from zsms.plan.design import Design
from zsms.plan.exits import Exits
from zsms.plan.limits import Limits
from zsms.plan.outcome import Limit, Outcome, Tally
from zsms.plan.rings import Ring
from zsms.plan.share import deal, fill
from zsms.plan.supply import Supply
from zsms.plan.timetable import Timetable, keep_hours
from zsms.plan.units import Units

I64 = npt.NDArray[np.int64]


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
        """What is in slots, by unit, queue, replication and attempt."""
        self.units = Units(design)
        self._kinds = (np.arange(units) * len(Limit))[:, None]
        self.limits = Limits(design, self.units, replications, self.rng)
        self.supply = Supply(design, replications, self.rng)
        self.tally = Tally(design, replications)
        self.exits = Exits(design, self.units, self.limits, self.supply, self.tally, rng=self.rng)
        self.table = Timetable(design)
        self.silent = self.supply.silent
        self._unreported: I64 | None = None
        """What has ended meanwhile of queues whose broker is silent, as `shape` has it."""
        self._kept = np.zeros((units, replications), np.int64)
        """Idle slots that silent brokers have been promised: nobody can take that back."""
        self.tick = 0
        self._ended = False
        keep_hours(design, self.units, self.limits, self.table)

    def end(self) -> None:
        """Nothing more happens."""
        self._ended = True

    def run(self) -> Outcome:
        """To the end, or as far as the design looks."""
        last = self.design.most_ticks
        steps, passed = 0, 0
        while steps < last:
            self.table.happen(self.tick)
            if self._ended:
                break
            self.limits.refill(passed)
            self.supply.join(self.tick)  # first: who fails now is not due again before the next tick
            settled = self._settle(passed)
            started = self._start(passed)
            self.tally.occupied(self._in_slots())
            self.tally.note(self.tick)
            steps += 1
            if not self.ring.count and self.tally.over:
                break
            passed = 1
            if not (settled or started) and (jump := self._jump()) != 1:
                if not jump:
                    break
                self.ring.skip(jump - 1)
                self.supply.waiting.skip(jump - 1)
                passed = jump
            self.tick += passed
            if self.tick > self.design.ticks(self.design.until):
                break
        return self.tally.outcome()

    def _jump(self) -> int:
        """Ticks in which nothing can happen; 0: nothing ever will."""
        if self.ring.count or self.supply.waiting.count or self.exits.kept.any():
            return 1
        blocked = self.limits.blocked()
        may = self.units.may & (self.silent == 0)
        if self.supply.any and not (blocked[:, None] | ~may).all():
            return 1
        ahead = [] if self.table.next is None else [self.table.next]
        arrives = self.supply.next_arrival(self.tick)
        if arrives is not None and arrives < np.inf:
            ahead.append(self.design.ticks(arrives))
        return max(1, min(ahead) - self.tick) if ahead else 0

    # -- sends end ----------------------------------------------------------------------------------------------------

    def _settle(self, passed: int) -> bool:
        """What is finished leaves its slots; whether anything was there."""
        busy = self.ring.count or self._unreported is not None
        ended = self._reported(self.ring.take().reshape(self.shape))
        if not busy:
            self.exits.pass_on(None, passed)
            return False
        if not ended.any():
            self.exits.pass_on(None, passed)
            return False
        if self.units.paused.any():
            for unit in np.flatnonzero(self.units.paused).tolist():
                if ended[unit].any():
                    self.ring.put(unit * self.rows, ended[unit].ravel(), 1)
                    ended[unit] = 0
        done, late = ended[..., : self.attempts], ended[..., self.attempts]
        if late.any():
            self.tally.duplicates += late.sum(axis=(0, 1))
        self.exits.ended(done, passed)
        return True

    def _reported(self, ended: I64) -> I64:
        """What brokers hear of: of those that are silent nothing, until they are back."""
        silent = self.silent > 0
        if not silent.any() and self._unreported is None:
            return ended
        if self._unreported is None:
            self._unreported = np.zeros(self.shape, np.int64)
        self._unreported[:, silent] += ended[:, silent]
        ended[:, silent] = 0
        ended[:, ~silent] += self._unreported[:, ~silent]
        self._unreported[:, ~silent] = 0
        if not silent.any():
            self._unreported = None
        return ended

    def silence(self, queues: list[int], step: int) -> None:
        """The brokers of these queues say nothing more, or are back (`step` 1 or -1). Where none had more than it could
        hand out, each had been promised as many slots as any other."""
        if step > 0 and not self.supply.any:
            used = self.ring.total.reshape(self.shape)[:, queues].sum(axis=(1, 3))
            self._kept += np.maximum(self.units.slots[:, None] // self.scenario.brokers - used, 0)
        self.silent[queues] += step
        if not self.silent.any():
            self._kept[:] = 0

    def forget(self, unit: int) -> I64:
        """What a unit has done and nobody has heard of, int64[rows]: it is gone with it."""
        if self._unreported is None:
            return np.zeros(self.rows, np.int64)
        gone: I64 = self._unreported[unit].ravel().copy()
        self._unreported[unit] = 0
        return gone

    # -- sends begin --------------------------------------------------------------------------------------------------

    def _in_slots(self) -> I64:
        """int64[units, r]; what a silent broker has not heard of counts: the slots' credit is still its own."""
        found: I64 = self.ring.total.reshape(self.shape).sum(axis=(1, 3))
        return found if self._unreported is None else found + self._unreported.sum(axis=(1, 3)) + self._kept

    def _start(self, passed: int) -> bool:
        """Free slots take what waits; whether any did."""
        in_slots = self._in_slots()
        self.tally.work(passed)
        waiting, may = self.supply.ready(), self.units.may
        if self.silent.any():
            waiting, may = waiting * (self.silent == 0)[:, None], may & (self.silent == 0)
        if not waiting.any():
            return False
        want, reason = self.limits.wanted(in_slots, self.tick, passed, waiting, may=may)
        starts = self._share(want, waiting, may)
        left = waiting.sum(axis=0) > starts.sum(axis=(0, 1))
        if left.any():
            at = (reason + self._kinds).ravel()
            weights = np.broadcast_to(left, reason.shape).ravel()
            self.tally.limited += np.bincount(at, weights, self.tally.limited.size).reshape(-1, len(Limit))
        if not starts.any():
            return False
        self.limits.spend(starts)
        rows = np.zeros(self.shape, np.int64)
        for queue in range(len(self.design.queues)):
            taken = self.supply.take(queue, starts[:, queue].sum(axis=0))
            alike = taken.shape[1] == 1
            rows[:, queue, :, : self.attempts] = (
                starts[:, queue][:, :, None] if alike else deal(taken, starts[:, queue], self.tick)
            )
        self._begin(rows)
        return True

    def _begin(self, rows: I64) -> None:
        """These are in slots from now on, as `shape` has it; units of one law are drawn for together."""
        laws = self.units.law
        firsts = [unit for unit in range(len(rows)) if not unit or laws[unit] is not laws[unit - 1]]
        begins = [unit * self.rows for unit in (*firsts, len(rows))]
        self.ring.spread_each(begins, rows.ravel(), [laws[unit] for unit in firsts], self.rng)

    def _share(self, want: I64, waiting: I64, may: npt.NDArray[np.bool_]) -> I64:
        """Messages that each unit begins, by queue: int64[units, queues, r]."""
        processes = self.units.processes
        if len(self.design.queues) == 1:
            enough = want.sum(axis=0) <= waiting[0]
            given = want if enough.all() else fill(want, waiting[0], processes, self.rng)
            return given[:, None]
        starts = np.zeros((len(want), *waiting.shape), np.int64)
        left, still = waiting.copy(), want.copy()
        for even in (True, True, False):
            # As senders share their slots out over brokers: each that has work has as much as any other.
            having = np.maximum(((left > 0)[None] & may[:, :, None]).sum(axis=1), 1)
            part = -(-still // having) if even else None
            for step in range(len(waiting)):
                queue = (step + self.tick) % len(waiting)
                asked = still if part is None else np.minimum(part, still)
                given = fill(np.where(may[:, queue, None], asked, 0), left[queue], processes, self.rng)
                starts[:, queue] += given
                left[queue] -= given.sum(axis=0)
                still -= given
        return starts
