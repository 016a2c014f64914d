"""Which worker gets which role. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from zsms.errors import UsageError
from zsms.launch.place import Wanted
from zsms.words import many

_OF_SENDERS = {"producer": 2.0, "broker": 0.6}
"""What all processes of a role take of processors, beside all senders (docs/PERFORMANCE.md)."""
_BASE_SLOTS = 20_000
"""What a process takes all the same, in slots."""


class Worker(NamedTuple):
    """A worker of a cluster."""

    threads: int
    resources: frozenset[str] = frozenset()
    """What it was started with, by name (`dask worker --resources`)."""


def spread(roles: Sequence[Wanted], workers: Mapping[str, Worker]) -> dict[str, str]:
    """The worker of each role, by their names: the heaviest first, each to the worker with the least for its threads.

    A role that wants a place goes to workers that have a resource of that name. Raises UsageError when none has it.
    """
    load = dict.fromkeys(workers, 0.0)
    slots = sum(role.slots for role in roles)
    count = Counter(role.role for role in roles)
    weight = {
        role.name: _BASE_SLOTS + role.slots + _OF_SENDERS.get(role.role, 0.0) * slots / count[role.role]
        for role in roles
    }
    found: dict[str, str] = {}
    for role in sorted(roles, key=lambda role: -weight[role.name]):
        fit = [name for name, worker in workers.items() if role.place is None or role.place in worker.resources]
        if not fit:
            raise UsageError(
                f"{role.name} is to run in the place {role.place!r}, and none of {many(len(workers), 'worker')} has "
                f"it: start one with `dask worker --resources '{role.place}=1'`"
            )
        apart = {found.get(name, "") for name in role.apart_from}
        apart |= {found.get(other.name, "") for other in roles if role.name in other.apart_from}
        worker = min(
            [name for name in fit if name not in apart] or fit,
            key=lambda name: (load[name] + weight[role.name]) / workers[name].threads,
        )
        load[worker] += weight[role.name]
        found[role.name] = worker
    return found


class Arrivals:
    """Workers that come while a run goes on, told of once, and again when they left and are back at their address."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = set(known)

    def new(self, workers: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Those that take tasks and were not there, or took none, at the looks before; all that are there now."""
        self._known &= workers.keys()
        found = {
            name: worker
            for name, worker in workers.items()
            if name not in self._known and worker.get("status", "running") == "running"
        }
        self._known |= found.keys()
        return found
