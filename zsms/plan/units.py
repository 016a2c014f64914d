"""The units of slots, as they are at a time: who lives, how slow, how often they fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zsms.plan.design import Design, law
from zsms.plan.spread import Spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Units:
    """All units of a design, a row each."""

    def __init__(self, design: Design) -> None:
        units, groups = design.units, design.groups
        own = [groups[unit.group] for unit in units]
        self._design = design
        self._own = own
        self.group_of = np.array([unit.group for unit in units])
        self.members: dict[int, list[int]] = {}
        """The units of each group."""
        for number, unit in enumerate(units):
            self.members.setdefault(unit.group, []).append(number)
        self.processes = np.array([float(unit.processes) for unit in units])
        sizes = [unit.processes * group.concurrency for unit, group in zip(units, own, strict=True)]
        self.slots = np.array(sizes, dtype=np.int64)
        self._ramp = np.array([design.scenario.ramp_of(group) for group in own]) / design.tick
        self.alive = np.ones(len(units), bool)
        self.paused = np.zeros(len(units), np.int64)
        self.closed = np.zeros(len(units), np.int64)
        self._opened = np.zeros(len(units), np.int64)
        """The tick at which each began to open its slots."""
        self.law: list[Spread] = list(design.law)
        self.slower = np.ones(len(units))
        """How many times as long their sends take."""
        self._slow: list[list[float]] = [[] for _ in units]
        self._failing: list[list[float]] = [[] for _ in units]
        self.fails = np.array([group.failure_rate for group in own])
        """Shares of sends: failed for now, throttled, and refused for good."""
        self.throttled = np.array([group.throttled_rate for group in own])
        self.refused = np.array([group.permanent_rate for group in own])
        self.may = np.array([[unit.group in queue.groups for queue in design.queues] for unit in units])
        """Which may send of which queue."""

    @property
    def down(self) -> npt.NDArray[np.bool_]:
        """Those that nothing can begin at, by a fault."""
        found: npt.NDArray[np.bool_] = ~self.alive | (self.paused > 0)
        return found

    def open_slots(self, tick: int) -> I64:
        """Slots that are open by then, int64[units]."""
        age = tick - self._opened
        part = np.where(self._ramp > 0, np.minimum((age + 1) / np.maximum(self._ramp, 1e-9), 1.0), 1.0)
        return (self.slots * part).astype(np.int64)

    def begin(self, units: Sequence[int], tick: int) -> None:
        """These begin anew to open their slots."""
        self._opened[units] = tick

    def slow(self, units: Sequence[int], factor: float, on: bool) -> None:
        """Their sends take `factor` times as long from now on, or no longer do."""
        for unit in units:
            self._slow[unit].append(factor) if on else self._slow[unit].remove(factor)
            self.slower[unit] = float(np.prod(self._slow[unit])) if self._slow[unit] else 1.0
            self.law[unit] = law(self._own[unit].model, self._design.tick, float(self.slower[unit]))

    def fail(self, units: Sequence[int], rate: float, on: bool) -> None:
        """That share of their sends fails for now, or no longer does."""
        for unit in units:
            self._failing[unit].append(rate) if on else self._failing[unit].remove(rate)
            group = self._own[unit]
            self.fails[unit] = self._failing[unit][-1] if self._failing[unit] else group.failure_rate
            self.throttled[unit] = min(group.throttled_rate, 1 - self.fails[unit])
            self.refused[unit] = min(group.permanent_rate, 1 - self.fails[unit] - self.throttled[unit])
