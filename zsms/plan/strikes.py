"""What faults do to slots in flight, to the queues and to the limits."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from zsms.plan.twin import Twin
from zsms.scenario import Fault

I64 = npt.NDArray[np.int64]


class Strikes:
    """Puts the faults of a scenario into the timetable of a twin, and carries them out on it."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._design = twin.design
        for place, fault in enumerate(twin.scenario.faults):
            units = [number for number, unit in enumerate(twin.design.units) if place in unit.faults]
            if units:
                self._of_senders(units, fault)
            elif fault.whom != "collector":  # that has the figures, and no message
                self._of_broker(fault)

    def _of_senders(self, units: list[int], fault: Fault) -> None:
        at, until, live = fault.at, fault.until, self._twin.scenario.liveness
        own, when = self._twin.units, self._twin.table.at
        match fault.what:
            case "kill" | "restart":
                when(at, partial(self._kill, units))
                when(until, partial(self._revive, units))
            case "stop":
                when(at, partial(self._pause, units, 1))
                when(until, partial(self._pause, units, -1))
                if until - at >= live:
                    when(at + live, partial(self._disown, units, self._all, 0.0))
            case "slow":
                for time, on in ((at, True), (until, False)):
                    when(time, partial(self._slow, units, fault.factor or 1.0, on))
            case "fail":
                # Whether a send fails is decided when it starts; here it is drawn when it ends.
                mean = self._design.groups[self._design.units[units[0]].group].mean
                for time, on in ((at, True), (until, False)):
                    when(time + mean, partial(own.fail, units, fault.rate or 0.0, on))
            case _:
                self._throttle(units, fault)

    @property
    def _all(self) -> list[int]:
        return list(range(len(self._design.queues)))

    def _of_broker(self, fault: Fault) -> None:
        """Of one alone, or of one of several: its queues are those of its number."""
        twin, when = self._twin, self._twin.table.at
        several = twin.scenario.brokers > 1
        number = int(fault.whom.rpartition("-")[2]) - 1 if several else 0
        own = [place for place, queue in enumerate(self._design.queues) if not several or queue.broker == number]
        everyone = list(range(len(self._design.units)))
        if fault.what == "kill":
            when(fault.at, partial(self._lose, own) if several else twin.end)
            return
        quiet = partial(twin.silence, own) if several else partial(self._pause, everyone)
        when(fault.at, partial(quiet, 1))
        if fault.what == "restart":  # what it had granted it has in its journal, and grants again
            when(fault.at, partial(self._disown, everyone, own, fault.until - fault.at))
        when(fault.until, partial(quiet, -1))

    # -- what is done -------------------------------------------------------------------------------------------------

    def _come_back(self, held: I64, after: float) -> None:
        """int64[q, r, a]: those that somebody held, others are to have them."""
        twin, count = self._twin, held.sum(axis=(0, 2))
        twin.tally.away += count

        def back() -> None:
            twin.supply.front += held
            twin.tally.away -= count
            twin.tally.redelivered += count

        twin.table.after(after, back)

    def _kill(self, units: list[int]) -> None:
        twin = self._twin
        for unit in units:
            twin.units.alive[unit] = False
            removed = twin.ring.remove(unit * twin.rows, (unit + 1) * twin.rows) + twin.forget(unit)
            self._come_back(removed.reshape(twin.shape[1:])[:, :, : twin.attempts].copy(), twin.scenario.liveness)

    def _revive(self, units: list[int]) -> None:
        self._twin.units.alive[units] = True
        self._twin.units.begin(units, self._twin.table.tick)

    def _pause(self, units: list[int], step: int) -> None:
        self._twin.units.paused[units] += step

    def _disown(self, units: list[int], queues: list[int], after: float) -> None:
        """Others are to have what these hold of those queues; they go on with it all the same."""
        twin = self._twin
        size = twin.rows // len(self._design.queues)
        held = np.zeros((*twin.shape[1:3], twin.attempts), np.int64)
        for unit in units:
            for queue in queues:
                begin = unit * twin.rows + queue * size
                own = twin.ring.total[begin : begin + size].reshape(twin.r, twin.width)
                held[queue] += own[:, : twin.attempts]
                twin.ring.disown(begin, begin + size, twin.width)
        self._come_back(held, after)

    def _lose(self, queues: list[int]) -> None:
        """A broker is gone with all that it had, and nobody hears of what senders have of it."""
        twin = self._twin
        size = twin.rows // len(self._design.queues)
        for queue in queues:
            twin.tally.lost += twin.supply.lose(queue)
            for unit in range(len(self._design.units)):
                begin = unit * twin.rows + queue * size
                own = twin.ring.total[begin : begin + size].reshape(twin.r, twin.width)
                twin.tally.lost += own[:, : twin.attempts].sum(axis=1)
                twin.ring.disown(begin, begin + size, twin.width)

    def _slow(self, units: list[int], factor: float, on: bool) -> None:
        self._twin.units.slow(units, factor, on)
        self._twin.limits.slowed(units)

    def _throttle(self, units: list[int], fault: Fault) -> None:
        twin = self._twin
        number = self._design.units[units[0]].group
        group = self._design.groups[number]
        part = float(twin.units.processes[units].sum()) / group.senders
        cap = fault.cap if fault.cap is not None else (group.cap or 0.0) * part * (fault.factor or 1.0)
        if number in twin.limits.drains:
            drain, rate = twin.limits.drains[number], cap * self._design.tick
            usual = drain.rate
            twin.table.at(fault.at, partial(setattr, drain, "rate", min(usual, rate)))
            twin.table.at(fault.until, partial(setattr, drain, "rate", usual))
            return
        bucket = twin.limits.throttle(units, cap)
        for time, on in ((fault.at, True), (fault.until, False)):
            twin.table.at(time, partial(setattr, bucket, "active", on))
