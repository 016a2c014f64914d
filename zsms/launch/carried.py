"""A scenario as a live run carries it out: groups with caps, faults, retries, stages of arrivals, and expectations.

What a plan knows and a run can't do is refused by name, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zsms.core.stages import Stage
from zsms.core.strikes import Fault
from zsms.errors import UsageError
from zsms.fields import settings_of
from zsms.scenario import Account, Group, Scenario, SenderGroup
from zsms.scenario import Fault as PlannedFault

_SHARES = {0.5: "p50", 0.9: "p90", 0.99: "p99", 0.999: "p999", 1.0: "p100"}


@dataclass(frozen=True, slots=True)
class Carried:
    """What a run takes from a scenario."""

    groups: tuple[SenderGroup, ...]
    faults: tuple[Fault, ...]
    stages: tuple[Stage, ...]
    thresholds: tuple[str, ...]


def carried(scenario: Scenario, where: str) -> Carried:
    """Raises UsageError for what a run can't carry out."""
    for number, group in enumerate(scenario.groups, 1):
        for each in settings_of(Group):
            if each.entry.planned and getattr(group, each.field.name) != each.field.default:
                key = (each.entry.key or each.field.name).replace("_", "-")
                raise UsageError(f"{where}: [[group]] {number}: {key}: a run can't carry that out; `zsms plan` can")
    for account in scenario.accounts:
        if account.daily_cap is not None:
            raise UsageError(f"{where}: [[account]] {account.name}: daily-cap: a run can't carry that out")
    if any(audience.routes for audience in scenario.audiences):
        raise UsageError(f"{where}: [[audience]]: routes: a run's groups share all messages; `zsms plan` knows routes")
    return Carried(
        tuple(_group(group, scenario) for group in scenario.groups),
        tuple(_fault(fault, scenario) for fault in scenario.faults),
        tuple(Stage(s.lasts, s.rate, s.rate if s.to is None else s.to) for s in scenario.stages),
        tuple(_threshold(e.share, e.deadline, scenario.lead, where) for e in scenario.expectations),
    )


def _fault(fault: PlannedFault, scenario: Scenario) -> Fault:
    """A throttle by a factor is one to a part of the group's cap."""
    cap = fault.cap
    if fault.what == "throttle" and cap is None and fault.factor is not None:
        cap = fault.factor * sum(scenario.group(name).cap or 0.0 for name in scenario.struck(fault)) or None
    factor = fault.factor if fault.what == "slow" else None
    return Fault(fault.at, fault.what, fault.whom, fault.lasts, factor, fault.rate, cap, fault.share)


def _group(group: Group, scenario: Scenario) -> SenderGroup:
    values = {each.field.name: getattr(group, each.field.name) for each in settings_of(SenderGroup)}
    if group.account is not None:
        account = next(each for each in scenario.accounts if each.name == group.account)
        values["cap"], values["burst"] = _shared(group, account, scenario.groups)
    return SenderGroup(**values)


def _shared(group: Group, account: Account, groups: Sequence[Group]) -> tuple[float | None, float]:
    """A group's fixed part of its account's cap, by slots: live senders don't know of one another."""
    if account.cap is None:
        return group.cap, group.burst
    slots = sum(each.slots for each in groups if each.account == account.name)
    part = account.cap * group.slots / slots
    return (part if group.cap is None else min(part, group.cap)), account.burst * group.slots / slots


def _threshold(share: float, deadline: float, lead: float, where: str) -> str:
    name = _SHARES.get(share)
    if name is None:
        raise UsageError(f"{where}: [[expect]]: share {share:g}: a run can tell {', '.join(f'{s:g}' for s in _SHARES)}")
    return f"reach_s.{name}<={deadline - lead:g}"
