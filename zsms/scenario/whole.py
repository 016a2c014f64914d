"""A scenario as a whole, and what contradicts itself in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from zsms.core.sender.asking import check_asking
from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.options import checked
from zsms.scenario.contradictions import check_faults_together, check_parts
from zsms.scenario.group import ramp_of
from zsms.scenario.lines import lines_of
from zsms.scenario.tables import Account, Audience, Expectation, Fault, Group, Retries, Stage

MAX_FACTOR = 10_000.0
"""Times as long as before that sends take by a fault, at most."""


@checked
@dataclass(frozen=True, slots=True)
class Scenario:
    """All of it. Times in seconds."""

    name: str = "scenario"
    messages: int = 100_000
    start: datetime | None = None
    """When it begins by the clock, which daily caps and quiet hours need."""
    lead: float = 0.0
    """The time that people take before the first message is made."""
    segments: float = 1.0
    """Of a message, unless its audience says otherwise."""
    stages: tuple[Stage, ...] = ()
    poisson: bool = False
    groups: tuple[Group, ...] = (Group(),)
    accounts: tuple[Account, ...] = ()
    audiences: tuple[Audience, ...] = ()
    retries: Retries = Retries()  # noqa: RUF009  # it is frozen
    faults: tuple[Fault, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    brokers: int = 1
    max_messages: int = 500_000
    """High-water mark of the queue of each broker."""
    liveness: float = 5.0
    """How long a sender may be silent before its messages go to others."""
    seed: int | None = None
    relied_on: tuple[str, ...] = ()
    """Profiles that figures come from, with their dates."""

    @property
    def slots(self) -> int:
        """Of all groups."""
        return sum(group.slots for group in self.groups)

    def group(self, name: str) -> Group:
        """The group of that name. Raises KeyError."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)

    def ramp_of(self, group: Group) -> float:
        """Seconds over which the group opens its slots, as a live mesh does."""
        return ramp_of(group, self.slots)

    def struck(self, fault: Fault) -> dict[str, int]:
        """How many processes of which group a fault strikes. Raises ValueError for nobody."""
        for group in self.groups:
            if fault.whom == group.name:
                several = group.senders * fault.share
                if abs(several - round(several)) > 1e-9:
                    raise ValueError(f"{fault.share:g} of {group.senders} processes is no whole number of them")
                return {group.name: round(several)}
            if fault.whom in group.processes:
                return {group.name: 1}
        if fault.whom == "collector" or fault.whom in self._brokers:
            return {}
        known = [group.name for group in self.groups]
        known += [name for group in self.groups for name in group.processes[:3]]
        raise ValueError(f"there is no {fault.whom!r}{nearest(fault.whom, [*known, *self._brokers, 'collector'])}")

    @property
    def _brokers(self) -> list[str]:
        """What they are called, as far as a fault may strike one."""
        return ["broker"] if self.brokers == 1 else [f"broker-{number + 1}" for number in range(self.brokers)]


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
    check_parts(scenario, where)
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
    check_faults_together(scenario, where)
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
