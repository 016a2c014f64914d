"""A scenario as a live run carries it out: groups with caps, faults, retries, stages of arrivals, and expectations.

What a plan knows and a run can't do is refused by name, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from zsms.core.stages import Stage
from zsms.core.strikes import Fault
from zsms.errors import UsageError
from zsms.fields import settings_of
from zsms.plan.design import MAX_S, daily
from zsms.scenario import Account, Group, Scenario, SenderGroup
from zsms.scenario import Fault as PlannedFault
from zsms.scenario.caps import SharedCap
from zsms.scenario.lines import Line, lines_of
from zsms.sources.mix import of_segments

_SHARES = {0.5: "p50", 0.9: "p90", 0.99: "p99", 0.999: "p999", 1.0: "p100"}


@dataclass(frozen=True, slots=True)
class Carried:
    """What a run takes from a scenario."""

    groups: tuple[SenderGroup, ...]
    caps: tuple[SharedCap, ...]
    lines: tuple[Line, ...]
    """(): all groups may send all messages."""
    faults: tuple[Fault, ...]
    stages: tuple[Stage, ...]
    thresholds: tuple[str, ...]
    texts: tuple[str, ...]
    """Random texts that are as many segments as the scenario says; (): of one each."""


def carried(scenario: Scenario, where: str) -> Carried:
    """Raises UsageError for what a run can't carry out."""
    lines = _lines(scenario)
    return Carried(
        groups=tuple(_group(group) for group in scenario.groups),
        caps=tuple(_caps(scenario)),
        lines=lines,
        faults=tuple(each for fault in scenario.faults for each in _faults(fault, scenario, max(1, len(lines)))),
        stages=tuple(Stage(s.lasts, s.rate, s.rate if s.to is None else s.to) for s in scenario.stages),
        thresholds=tuple(_threshold(e.share, e.deadline, scenario.lead, where) for e in scenario.expectations),
        texts=_texts(scenario),
    )


def _lines(scenario: Scenario) -> tuple[Line, ...]:
    found = lines_of(scenario)
    if len(found) == 1 and len(next(iter(found))) == len(scenario.groups):
        return ()
    return tuple(
        Line(groups, sum(part.messages for part in parts), of_segments([(p.messages, p.segments) for p in parts]))
        for groups, parts in found.items()
    )


def _faults(fault: PlannedFault, scenario: Scenario, lines: int) -> Iterator[Fault]:
    """What strikes a broker strikes that of every line."""
    found = _fault(fault, scenario)
    if lines == 1 or scenario.struck(fault) or fault.whom == "collector":
        yield found
        return
    first = 1 if scenario.brokers == 1 else int(fault.whom.rpartition("-")[2])
    for line in range(lines):
        yield replace(found, whom=f"broker-{first + line * scenario.brokers}")


def _fault(fault: PlannedFault, scenario: Scenario) -> Fault:
    """A throttle by a factor is one to a part of the group's cap."""
    cap = fault.cap
    if fault.what == "throttle" and cap is None and fault.factor is not None:
        cap = fault.factor * sum(scenario.group(name).cap or 0.0 for name in scenario.struck(fault)) or None
    factor = fault.factor if fault.what == "slow" else None
    return Fault(fault.at, fault.what, fault.whom, fault.lasts, factor, rate=fault.rate, cap=cap, share=fault.share)


def _group(group: Group) -> SenderGroup:
    return SenderGroup(**{each.field.name: getattr(group, each.field.name) for each in settings_of(SenderGroup)})


def _caps(scenario: Scenario) -> Iterator[SharedCap]:
    """What groups share, and what changes with the hour; a group's own rate is not in it."""
    for account in scenario.accounts:
        members = tuple(group.name for group in scenario.groups if group.account == account.name)
        if account.cap is not None:
            yield SharedCap(account.name, members, account.cap, account.burst)
        if account.daily_cap is not None:
            yield _daily(account, members, scenario)
    for group in scenario.groups:
        if group.daily_cap is not None:
            yield _daily(group, (group.name,), scenario)
        hours = [(group.begins, True)] if group.begins else []
        if group.ends is not None:
            hours.append((group.ends, False))
        if hours:
            yield SharedCap(group.name, (group.name,), hours=tuple(hours))
        if group.quiet is not None and scenario.start is not None:
            times = [daily(scenario.start, group.zone, second, MAX_S) for second in group.quiet]
            quiet = [(at, is_open) for each, is_open in zip(times, (False, True), strict=True) for at in each]
            yield SharedCap(group.name, (group.name,), hours=tuple(sorted(quiet)))


def _daily(what: Group | Account, groups: tuple[str, ...], scenario: Scenario) -> SharedCap:
    assert scenario.start is not None and what.daily_cap is not None
    renewed = tuple(at for at in daily(scenario.start, what.zone, what.daily_reset, MAX_S) if at > 0)
    return SharedCap(what.name, groups, budget=float(what.daily_cap), renewed=renewed)


def _texts(scenario: Scenario) -> tuple[str, ...]:
    parts = [part for parts in lines_of(scenario).values() for part in parts]
    return of_segments([(part.messages or 1, part.segments) for part in parts])


def _threshold(share: float, deadline: float, lead: float, where: str) -> str:
    name = _SHARES.get(share)
    if name is None:
        raise UsageError(f"{where}: [[expect]]: share {share:g}: a run can tell {', '.join(f'{s:g}' for s in _SHARES)}")
    return f"reach_s.{name}<={deadline - lead:g}"
