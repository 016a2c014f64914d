"""What contradicts itself between the parts of a scenario: names, segments, and faults that strike what is struck."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from zsms.carriers.segments import MOST as MOST_SEGMENTS
from zsms.core.sender.cap import Cap
from zsms.core.sender.shares import MAX_BROKERS
from zsms.errors import UsageError

if TYPE_CHECKING:
    from zsms.scenario.tables import Account, Fault, Group
    from zsms.scenario.whole import Scenario

_YEARS = 1970, 9_000
_OTHERS = re.compile(r"(broker|producer)(-\d+)?|stats|collector")
"""What processes that send nothing are called."""
_STATES = ("kill", "stop", "restart")
"""Faults after which a process is not there for a while."""


def check_parts(scenario: Scenario, where: str) -> None:
    """Raise UsageError for what can't be."""
    if not 1 <= scenario.brokers <= MAX_BROKERS:
        raise UsageError(f"{where}: brokers = {scenario.brokers}: give 1 to {MAX_BROKERS}")
    if scenario.start is not None:
        _check_start(scenario.start, f"{where}: [scenario]")
    each = [(where, scenario.segments)]
    each += [(f"{where}: [[audience]] {n} ({a.name})", a.segments or 1.0) for n, a in enumerate(scenario.audiences, 1)]
    for at, segments in each:
        if not 1 <= segments <= MOST_SEGMENTS:
            raise UsageError(f"{at}: a message of {segments:g} segments: 1 to {MOST_SEGMENTS} can be")
    _check_names(scenario, where)
    most = max(segments for _, segments in each)
    for account in scenario.accounts:
        _check_caps(account, f"{where}: [[account]] {account.name!r}", most)
    for number, group in enumerate(scenario.groups, 1):
        _check_caps(group, f"{where}: [[group]] {number} ({group.name})", most)


def _check_start(start: datetime, at: str) -> None:
    if not _YEARS[0] <= start.year <= _YEARS[1]:
        raise UsageError(f"{at}: start = {start.isoformat()}: give a year from {_YEARS[0]} to {_YEARS[1]}")


def _check_names(scenario: Scenario, where: str) -> None:
    """A fault must be able to tell them apart."""
    of_groups = {name: group.name for group in scenario.groups for name in group.processes}
    for number, group in enumerate(scenario.groups, 1):
        at = f"{where}: [[group]] {number}: name = {group.name!r}"
        try:
            group.check_name()
        except UsageError as error:
            raise UsageError(f"{where}: [[group]] {number}: {error}") from None
        if _OTHERS.fullmatch(group.name):
            raise UsageError(f"{at}: that is what other processes are called")
        if group.name in of_groups:
            raise UsageError(f"{at}: a process of the group {of_groups[group.name]!r} is called that")


def _check_caps(what: Group | Account, at: str, segments: float) -> None:
    if what.cap is not None:
        try:
            Cap(what.cap, what.burst)
        except UsageError as error:
            raise UsageError(f"{at}: {error}") from None
    elif what.burst:
        raise UsageError(f"{at}: a burst needs a cap")
    if what.daily_cap is not None and what.daily_cap < segments:
        raise UsageError(f"{at}: daily_cap = {what.daily_cap}: less than one message of {segments:g} segments")


def check_faults_together(scenario: Scenario, where: str) -> None:
    """Raise UsageError for faults of processes that are not there at that time."""
    for number, fault in enumerate(scenario.faults, 1):
        at = f"{where}: [[faults]] {number}: {fault.what} of {fault.whom!r} at {fault.at:g} s"
        struck = set(_processes(scenario, fault))
        dead: set[str] = set()
        for other_number, other in enumerate(scenario.faults, 1):
            both = struck.intersection(_processes(scenario, other))
            earlier = (other.at, other_number) < (fault.at, number)
            if not (both and earlier and other.what in _STATES and fault.at < other.until):
                continue
            if other.what == "kill":
                dead |= both
            elif fault.what in _STATES:
                raise UsageError(f"{at}: the {other.what} of {other.whom!r} at {other.at:g} s is not over by then")
        if struck and dead == struck:
            raise UsageError(f"{at}: it was killed before")


def _processes(scenario: Scenario, fault: Fault) -> Iterator[str]:
    struck = scenario.struck(fault)
    for name, count in struck.items():
        group = scenario.group(name)
        yield from group.processes[:count] if fault.whom == name else [fault.whom]
    if not struck:
        yield fault.whom
