"""What the twin computes with: the length of a tick, the units of slots that are alike, and how messages arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil, inf, log
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import THROTTLED_S
from zsms.plan.spread import Spread, of_delay
from zsms.scenario import Fault, Group, Scenario, Stage
from zsms.scenario.lines import lines_of
from zsms.stats.delay import DelayModel

F64 = npt.NDArray[np.float64]

DAY_S = 86_400.0
MAX_S = 60 * DAY_S
"""No plan looks further ahead."""
_TICKS = 1_500
"""About so many ticks a run is cut into, if its sends allow that."""
_FINE, _COARSE = 100, 20
"""Ticks of the shortest mean send: as few as `_COARSE` in a long run, as many as `_FINE` in a short one."""
_FRAME = 16_384
"""Messages of a frame of a producer that makes all that it can."""
_LEAST_TICKS = 8
"""A send of fewer ticks than that is not followed slot by slot: its slots are a rate (Little's law)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Processes of a group whose fate is one."""

    group: int
    processes: int
    faults: tuple[int, ...]
    """Those of the scenario that strike it, by their place."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages that the same groups may send."""

    messages: int
    segments: float
    """Of a message, on average."""
    groups: tuple[int, ...]
    broker: int = 0
    """Where it is, counted from 0; of brokers that nothing strikes alone all are one."""


@lru_cache(256)
def law(model: DelayModel, tick: float, factor: float) -> Spread:
    """`of_delay`, remembered."""
    return of_delay(model, tick, factor)


class Design:
    """A scenario made ready for ticks."""

    def __init__(self, scenario: Scenario, coarseness: float = 1.0, until: float = MAX_S) -> None:
        """`coarseness` above 1 makes longer ticks: quicker, and rougher. Nothing after `until` seconds is looked at."""
        self.scenario = scenario
        self.until = min(until, MAX_S)
        self.groups = scenario.groups
        self.units = _units(scenario)
        self.queues = _by_broker(_queues(scenario), scenario)
        self.messages = sum(queue.messages for queue in self.queues)
        self.segments = float(
            np.average([q.segments for q in self.queues], weights=[max(q.messages, 1) for q in self.queues])
        )
        self.horizon = self._horizon()
        self.tick = self._tick(coarseness)
        self.fluid = np.array([self.groups[u.group].mean < _LEAST_TICKS * self.tick for u in self.units])
        self.law = [law(self.groups[u.group].model, self.tick, 1.0) for u in self.units]
        self.most_ticks = 80 * _TICKS

    def ticks(self, at: float) -> int:
        """The tick nearest to a time, seconds."""
        return max(0, round(at / self.tick))

    @property
    def capacity(self) -> float:
        """Messages a second that all groups could send, caps minded and faults not."""
        return sum(self.rates(group)["all"] for group in self.groups)

    def rates(self, group: Group) -> dict[str, float]:
        """Sends a second that each limit of a group alone allows, by its name; `all`: the least of them.

        An account's rate is shared by its groups' slots. A daily cap that all messages together do not use up is none.
        """
        wanted = self.messages * _sends(self.scenario) * self.segments
        found = {"slots": group.slots / group.mean if group.mean else inf}
        if group.cap is not None:
            found["cap"] = group.cap / self.segments
        for account in self.scenario.accounts:
            if account.name != group.account:
                continue
            members = [each for each in self.groups if each.account == account.name]
            part = group.slots / sum(each.slots for each in members)
            if account.cap is not None:
                found["account"] = part * account.cap / self.segments
            if account.daily_cap is not None and account.daily_cap < wanted:
                found["daily cap"] = part * account.daily_cap / DAY_S / self.segments
        if group.daily_cap is not None and group.daily_cap < wanted:
            own = group.daily_cap / DAY_S / self.segments
            found["daily cap"] = min(own, found.get("daily cap", inf))
        found["all"] = min(rate for name, rate in found.items() if name != "daily cap")
        return found

    def _horizon(self) -> float:
        """About how long something happens, seconds: times of waiting for another day cost nothing."""
        scenario = self.scenario
        work = self.messages * _sends(scenario)
        arrival = sum(stage.lasts for stage in scenario.stages)
        lasts = max(work / max(self.capacity, 1e-9), arrival)
        lasts += max(group.mean + 3 * group.model.spread for group in self.groups)
        if any(group.failure_rate + group.throttled_rate for group in self.groups):
            lasts += sum(scenario.retries.ceiling(a) for a in range(1, min(scenario.retries.attempts, 4)))
        if often := max(group.throttled_rate for group in self.groups):  # up to the last one in a hundred thousand
            lasts += THROTTLED_S / 2 * log(1e-5) / log(often)
        lasts = max([lasts, *(fault.until for fault in scenario.faults if fault.until < inf)])
        lasts += max(group.begins for group in self.groups)
        return float(min(max(lasts, 1e-3), self.until))

    def _tick(self, coarseness: float) -> float:
        mean = min([group.mean for group in self.groups if group.mean > 0], default=0.0)
        wanted = self.horizon / _TICKS * coarseness
        deadlines = [e.deadline for e in self.scenario.expectations]
        if deadlines:
            wanted = min(wanted, max(min(deadlines) / 200, self.horizon / (20 * _TICKS)))
        if any(group.throttled_rate for group in self.groups):  # many short waits are many roundings
            wanted = min(wanted, max(THROTTLED_S / 20, self.horizon / (20 * _TICKS)))
        if not mean or wanted > mean / _LEAST_TICKS:
            return wanted
        parts = min(max(mean / wanted, _COARSE / coarseness), _FINE)
        return mean / ceil(parts)  # a whole part of the mean: constant sends end on ticks


def _sends(scenario: Scenario) -> float:
    """Sends a message, on average over slots."""
    slots = scenario.slots
    failing = sum(g.slots * (g.failure_rate + g.throttled_rate) for g in scenario.groups) / slots
    return sum(failing**k for k in range(scenario.retries.attempts))


def _units(scenario: Scenario) -> list[Unit]:
    """Each group's processes, put together where the same faults strike them."""
    units = []
    for number, group in enumerate(scenario.groups):
        struck: list[list[int]] = [[] for _ in range(group.senders)]
        for place, fault in enumerate(scenario.faults):
            if group.name not in scenario.struck(fault):
                continue
            for process in _which(group, fault, scenario):
                struck[process].append(place)
        fates = [tuple(places) for places in struck]
        units += [Unit(number, fates.count(fate), fate) for fate in sorted(set(fates))]
    return units


def _which(group: Group, fault: Fault, scenario: Scenario) -> range:
    if fault.whom == group.name:
        return range(scenario.struck(fault)[group.name])
    process = group.processes.index(fault.whom)
    return range(process, process + 1)


def _queues(scenario: Scenario) -> list[Queue]:
    """One for each line."""
    names = [group.name for group in scenario.groups]
    found = []
    for groups, parts in lines_of(scenario).items():
        messages = sum(part.messages for part in parts)
        segments = sum(part.messages * part.segments for part in parts) / max(messages, 1)
        allowed = tuple(names.index(name) for name in groups)
        found.append(Queue(messages, segments or parts[0].segments, allowed))
    return found


def _by_broker(queues: list[Queue], scenario: Scenario) -> list[Queue]:
    """A queue for each broker, where a fault strikes one of several."""
    struck = [fault for fault in scenario.faults if fault.whom != "collector" and not scenario.struck(fault)]
    if scenario.brokers == 1 or not struck:
        return queues
    parts = [_parts(queue.messages, scenario) for queue in queues]
    return [
        replace(queue, messages=part, broker=number)
        for queue, counts in zip(queues, parts, strict=True)
        for number, part in enumerate(counts)
    ]


def _parts(messages: int, scenario: Scenario) -> list[int]:
    """So many messages by broker: evenly as they arrive, else in whole frames, each to the one that has least."""
    brokers = scenario.brokers
    if scenario.stages:
        ends = [messages * (number + 1) // brokers for number in range(brokers)]
        return [end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    frames, rest = divmod(messages, _FRAME)
    parts = [(frames // brokers + (number < frames % brokers)) * _FRAME for number in range(brokers)]
    parts[frames % brokers] += rest
    return parts


class Arrivals:
    """How many messages have come by when, expected: a stretch of straight and of parabolic pieces."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.begins = np.cumsum([0.0, *(stage.lasts for stage in stages)])
        self.sums = np.cumsum([0.0, *(stage.messages for stage in stages)])
        self._rates = np.array([stage.rate for stage in stages])
        ends = np.array([stage.rate if stage.to is None else stage.to for stage in stages])
        self._slopes = (ends - self._rates) / np.diff(self.begins)
        self._last = float(ends[-1])

    def by(self, at: float) -> float:
        """Messages expected by then; past the last stage its rate goes on."""
        if at <= 0:
            return 0.0
        place = int(np.searchsorted(self.begins, at, side="right")) - 1
        since = at - float(self.begins[place])
        before = float(self.sums[place])
        if place == len(self._rates):
            return before + self._last * since
        return before + since * (float(self._rates[place]) + float(self._slopes[place]) * since / 2)

    def next_change(self, at: float) -> float:
        """When the next arrival can be, of a stretch in which there are none; infinite when there is none."""
        place = int(np.searchsorted(self.begins, at, side="right")) - 1
        while place < len(self._rates):
            if self._rates[place] or self._slopes[place]:
                return max(at, float(self.begins[place]))
            place += 1
        return inf


def daily(start: datetime, zone: str, second: float, until: float) -> list[float]:
    """When that second of the day comes in that zone, seconds from `start`: the last one before it, and all until then.

    A time that a change of clocks leaves out comes when the clock that was would have shown it.
    """
    local = start.astimezone(ZoneInfo(zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    found = []
    for day in range(-1, ceil(until / DAY_S) + 2):
        wall = midnight + timedelta(days=day, seconds=second)
        at = wall.replace(tzinfo=ZoneInfo(zone)).timestamp() - start.timestamp()
        if at <= until:
            found.append(at)
    before = [at for at in found if at <= 0]
    return [*before[-1:], *(at for at in found if at > 0)]
