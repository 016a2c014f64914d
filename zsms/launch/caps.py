"""Caps, budgets and hours that senders of a mesh share: kept in one file on this machine, by the clock of the run.

caps of groups, accounts ---> CapFile <--- senders look, each in its turn
                                 ^
              budgets anew, hours begin and end: `CapKeeper.keep`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from zsms.core.sender.cap import CLOSED, HELD, OPEN, Cap, fresh, room_for
from zsms.core.sender.route import RouteLaw, fresh_route
from zsms.errors import UsageError
from zsms.roles.caps import CapFile
from zsms.scenario import MeshConfig, SenderGroup
from zsms.scenario.caps import SharedCap

_AHEAD_S = 0.02
"""Senders ask for no more so many seconds before they may begin no more."""


class CapKeeper:
    """The file of a run's caps, and what the clock changes in it."""

    def __init__(
        self,
        path: str,
        caps: Sequence[SharedCap],
        groups: Sequence[tuple[str, int]],
        routes: Mapping[str, RouteLaw] | None = None,
    ) -> None:
        """`groups`: each one's name and how many senders it has, in the order of the senders' numbers; `routes`: by
        group, those that have a queue."""
        self._path = path
        self._of_group = {name: [place for place, cap in enumerate(caps) if name in cap.groups] for name, _ in groups}
        members = sum(senders for _, senders in groups)
        states = [
            fresh(members, c.rate, c.burst, budget=inf if c.budget is None else c.budget, gate=c.gate) for c in caps
        ]
        senders, laws = dict(groups), routes or {}
        queues = [np.resize(fresh_route(law, senders[name]), room_for(members)) for name, law in laws.items()]
        self._route_of = {name: len(caps) + place for place, name in enumerate(laws)}
        self._file = CapFile.make(path, [*states, *queues], members)
        self._caps = [Cap.of(state, 0) for state in self._file.states[: len(caps)]]
        self._events: list[tuple[float, int, int | None, float | None]] = []
        """When, at which cap: its gate or its budget from then on."""
        for place, cap in enumerate(caps):
            self._events += [(at, place, None, cap.budget) for at in cap.renewed if at > 0]
            for at, is_open in cap.hours:
                if at > 0 and not is_open:
                    self._events.append((at - _AHEAD_S, place, HELD, None))
                if at > 0:
                    self._events.append((at, place, OPEN if is_open else CLOSED, None))
        self._events.sort(key=lambda event: event[:2])
        self._done = 0
        ends = [min((caps[place].ends for place in places), default=inf) for places in self._of_group.values()]
        self.ends = max(ends, default=inf)
        """When the last of the groups closes for good."""

    def options(self, group: str, number: int) -> list[str]:
        """Those of sender `number` (from 1 on) of that group."""
        places, route = self._of_group[group], self._route_of.get(group, "")
        words = f"{self._path}:{number - 1}:{','.join(map(str, places))}:{route}"
        return ["--caps", words] if places or route != "" else []

    def keep(self, since: float) -> float:
        """Do what is due so many seconds after the start; seconds until there is more."""
        with self._file.alone():
            while self._done < len(self._events) and self._events[self._done][0] <= since:
                _, place, gate, budget = self._events[self._done]
                self._caps[place].set(gate=gate, budget=budget)
                self._done += 1
        return self._events[self._done][0] - since if self._done < len(self._events) else inf

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def keeper_of(config: MeshConfig, path: str) -> CapKeeper | None:
    """Who keeps the caps of a run on this machine, in a file of that name; None where there are none."""
    capped = [group for group in config.groups if group.cap]
    own = [SharedCap(each.name, (each.name,), each.cap, each.burst) for each in capped if each.queue is None]
    routes = {each.name: RouteLaw(each.cap, each.queue) for each in capped if each.queue is not None}
    caps = [*config.caps, *own]
    if not caps and not routes:
        return None
    return CapKeeper(path, caps, [(group.name, group.senders) for group in config.groups], routes)


def part_of(config: MeshConfig, group: SenderGroup) -> tuple[float | None, float]:
    """Where senders share no memory: the fixed part of a cap, by slots, and of its burst, of each sender of a group.
    Raises UsageError for daily caps and hours."""
    found = (inf if group.cap is None else group.cap, group.burst)
    for cap in config.caps:
        if group.queue is not None and group.name in cap.groups:
            raise UsageError(f"group {group.name!r}: a route's queue beside an account's cap: on one machine only")
        if cap.budget is not None or cap.hours:
            raise UsageError(f"{cap.name}: daily caps and hours are kept on one machine, not on a cluster")
        if group.name in cap.groups and cap.rate is not None:
            slots = {each.name: each.senders * each.concurrency for each in config.groups}
            part = slots[group.name] / sum(slots[name] for name in cap.groups)
            found = min(found, (cap.rate * part, cap.burst * part))
    return (None, 0.0) if found[0] == inf else (found[0] / group.senders, found[1] / group.senders)
