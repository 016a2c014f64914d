"""What contradicts itself in a scenario, between its parts too: names, segments, faults that strike what is struck."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from zsms.carriers.segments import MOST as MOST_SEGMENTS
from zsms.core.sender.asking import check_asking
from zsms.core.sender.cap import Cap
from zsms.core.sender.shares import MAX_BROKERS
from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.scenario.lines import lines_of
from zsms.scenario.tables import Account, Fault, Group
from zsms.scenario.whole import Scenario

MAX_FACTOR = 10_000.0
"""Times as long as before that sends take by a fault, at most."""
_YEARS = 1970, 9_000
_OTHERS = re.compile(r"(broker|producer)(-\d+)?|stats|collector")
"""What processes that send nothing are called."""
_STATES = ("kill", "stop", "restart")
"""Faults after which a process is not there for a while."""


def check(scenario: Scenario, where: str = "scenario") -> None:
    """Raise UsageError for what contradicts itself."""
    if not scenario.groups:
        raise UsageError(f"{where}: no groups: give one at least, which sends")
    names = [group.name for group in scenario.groups]
    for what, each in (("group", names), ("account", [a.name for a in scenario.accounts]),
                       ("audience", [a.name for a in scenario.audiences])):  # fmt: skip
        twice = next((name for name in each if each.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"{where}: two [[{what}]] are called {twice!r}")
    _check_parts(scenario, where)
    for number, group in enumerate(scenario.groups, 1):
        _check_group(scenario, group, f"{where}: [[group]] {number} ({group.name})")
    held = {group.account for group in scenario.groups}
    for account in scenario.accounts:
        at = f"{where}: [[account]] {account.name!r}"
        if account.name not in held:
            raise UsageError(f"{at}: no group has it as its account")
        if account.cap is None and account.daily_cap is None:
            raise UsageError(f"{at}: give it a cap or a daily_cap")
        if account.daily_cap is not None and scenario.start is None:
            raise UsageError(f"{at}: a daily_cap needs the [scenario]'s start, a date and time")
    for number, audience in enumerate(scenario.audiences, 1):
        routes = [name for name, _ in audience.routes]
        for name in routes:
            if routes.count(name) > 1:
                at = f"{where}: [[audience]] {number} ({audience.name}): routes"
                raise UsageError(f"{at}: {name!r} is there twice")
            if name not in names:
                at = f"{where}: [[audience]] {number} ({audience.name}): routes"
                raise UsageError(f"{at}: there is no group {name!r}{nearest(name, names)}")
    used = {name for line in lines_of(scenario) for name in line}
    for number, group in enumerate(scenario.groups, 1):
        if group.name not in used:
            raise UsageError(f"{where}: [[group]] {number} ({group.name}): no audience's messages go by it")
    if scenario.retries.attempts > 100:
        raise UsageError(f"{where}: {scenario.retries.attempts} attempts: give 1 to 100")
    for number, fault in enumerate(scenario.faults, 1):
        _check_fault(scenario, fault, f"{where}: [[faults]] {number}")
    _check_faults_together(scenario, where)
    first = first_send(scenario)
    for number, expectation in enumerate(scenario.expectations, 1):
        if expectation.deadline <= first:
            at = f"{where}: [[expect]] {number}: deadline = {expectation.deadline:g} s"
            raise UsageError(f"{at}: before the first send, which is at {first:g} s at the earliest")


def first_send(scenario: Scenario) -> float:
    """When the first send can begin at the earliest, seconds: people's lead, arrivals and opening times."""
    arrives = 0.0
    for stage in scenario.stages:
        if stage.messages:
            break
        arrives += stage.lasts
    return scenario.lead + max(arrives, min(group.begins for group in scenario.groups))


def _check_group(scenario: Scenario, group: Group, at: str) -> None:
    try:
        model = group.model
    except UsageError as error:
        raise UsageError(f"{at}: {error}") from None
    del model
    if group.senders > 1_000:
        raise UsageError(f"{at}: senders = {group.senders}: give 1 to 1000 processes")
    if group.slots > 10**9:
        raise UsageError(f"{at}: {group.slots} slots: give at most 1,000,000,000")
    failing = group.failure_rate + group.throttled_rate + group.permanent_rate
    if failing > 1 + 1e-9:
        raise UsageError(f"{at}: failure_rate, throttled_rate and permanent_rate add up to {failing:g}: more than 1")
    if group.account is not None and group.account not in [a.name for a in scenario.accounts]:
        hint = nearest(group.account, [a.name for a in scenario.accounts]) if scenario.accounts else ""
        raise UsageError(f"{at}: account: there is no [[account]] {group.account!r}{hint}")
    if group.throttled_rate >= 1:
        raise UsageError(f"{at}: throttled_rate = {group.throttled_rate:g}: it would be tried again for ever")
    try:
        check_asking(group.prefetch, group.ramp)
        group.check_route()
    except UsageError as error:
        raise UsageError(f"{at}: {error}") from None
    if group.ends is not None and group.ends <= group.begins:
        raise UsageError(f"{at}: it closes (until = {group.ends:g} s) before it opens (from = {group.begins:g} s)")
    most = max([scenario.segments, *(a.segments or 0 for a in scenario.audiences)])
    if group.queue is not None and (group.cap or 0.0) * group.queue < most:
        raise UsageError(f"{at}: queue = {group.queue:g} s of the cap: less than one message of {most:g} segments")
    for what in ("daily_cap", "quiet"):
        if getattr(group, what) is not None and scenario.start is None:
            raise UsageError(f"{at}: {what} needs the [scenario]'s start, a date and time")


_NEEDS = {"stop": "for", "restart": "for", "slow": "factor", "fail": "rate"}
_TAKES = {"slow": {"factor"}, "fail": {"rate"}, "throttle": {"factor", "cap"}}


def _check_fault(scenario: Scenario, fault: Fault, at: str) -> None:
    try:
        struck = scenario.struck(fault)
    except ValueError as error:
        raise UsageError(f"{at}: whom = {fault.whom!r}: {error}") from None
    needed = _NEEDS.get(fault.what)
    given = {"for": fault.lasts, "factor": fault.factor, "rate": fault.rate, "cap": fault.cap}
    if needed is not None and given[needed] is None:
        raise UsageError(f"{at}: a {fault.what} needs {needed!r}")
    for key in ("factor", "rate", "cap"):
        if given[key] is not None and key not in _TAKES.get(fault.what, ()):
            raise UsageError(f"{at}: {key} says nothing of a {fault.what}")
    if fault.what == "slow" and (fault.factor or 0.0) > MAX_FACTOR:
        raise UsageError(f"{at}: factor = {fault.factor:g}: give one up to {MAX_FACTOR:,.0f}")
    if fault.what == "kill" and fault.lasts is not None:
        raise UsageError(f"{at}: a kill is for ever; with 'for' it is a restart")
    if fault.what == "throttle" and (fault.factor is None) == (fault.cap is None):
        raise UsageError(f"{at}: a throttle needs a 'factor' or a 'cap'")
    if fault.what in ("slow", "fail", "throttle") and not struck:
        raise UsageError(f"{at}: only senders can be struck by a {fault.what}, not {fault.whom!r}")
    if fault.what == "throttle" and (fault.share != 1 or fault.whom not in struck):
        name = next(iter(struck))
        if scenario.group(name).queue is not None:
            raise UsageError(f"{at}: the queue of {name!r} is one: only the whole group can be throttled")
    if fault.what == "throttle" and fault.cap is None and scenario.group(next(iter(struck))).cap is None:
        raise UsageError(f"{at}: {fault.whom!r} has no cap that a factor could change: give a 'cap'")
    if fault.share != 1 and fault.whom not in [group.name for group in scenario.groups]:
        raise UsageError(f"{at}: a share is of a group, not of {fault.whom!r}")


def _check_parts(scenario: Scenario, where: str) -> None:
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


def _check_faults_together(scenario: Scenario, where: str) -> None:
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
