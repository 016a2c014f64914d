"""What happens at which tick: hours, days, and what goes wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf

from zsms.plan.design import MAX_S, Design, daily
from zsms.plan.limits import Limits
from zsms.plan.units import Units


class Timetable:
    """Things to do, each at its tick; those of one tick in the order in which they were put in."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._things: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()
        self.tick = 0
        """The tick that it is."""

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Let something happen at the tick nearest to that time; never, where it is infinite."""
        if seconds < inf:
            heappush(self._things, (self._design.ticks(seconds), next(self._numbers), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """The same, so many seconds from now."""
        self.at(self.tick * self._design.tick + seconds, do)

    def happen(self, tick: int) -> None:
        """Do what is due."""
        self.tick = tick
        while self._things and self._things[0][0] <= tick:
            heappop(self._things)[2]()

    @property
    def next(self) -> int | None:
        """When there is more to do, a tick."""
        return self._things[0][0] if self._things else None


def keep_hours(design: Design, units: Units, limits: Limits, table: Timetable) -> None:
    """Days begin, groups open and close."""
    scenario = design.scenario
    for bucket, zone, reset in limits.days:
        assert scenario.start is not None
        for at in daily(scenario.start, zone, reset, MAX_S):
            if at > 0:
                table.at(at, bucket.renew)
    for number, group in enumerate(design.groups):
        members = units.members[number]
        if group.begins:
            units.closed[members] += 1
            table.at(group.begins, partial(_change, units, members, -1, table))
        if group.ends is not None:
            table.at(group.ends, partial(_change, units, members, 1))
        if group.quiet is not None and scenario.start is not None:
            begins, ends = (daily(scenario.start, group.zone, second, MAX_S) for second in group.quiet)
            if begins[0] > ends[0]:
                units.closed[members] += 1
            for when, step in ((begins, 1), (ends, -1)):
                for at in when:
                    if at > 0:
                        table.at(at, partial(_change, units, members, step))


def _change(units: Units, members: list[int], step: int, anew: Timetable | None = None) -> None:
    units.closed[members] += step
    if anew is not None:
        units.begin(members, anew.tick)
