"""A scenario as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from zsms.fields import nearest
from zsms.options import checked
from zsms.scenario.group import ramp_of
from zsms.scenario.tables import Account, Audience, Expectation, Fault, Group, Retries, Stage


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
