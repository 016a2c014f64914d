"""What a mesh is to run: messages, processes, slots, limits. Each field is an entry (:mod:`zsms.fields`), of which the
options of `zsms run`, its children's and the report's `config` are made.

`check` finds what contradicts itself. What only this machine knows (files, functions, gateways) is checked, and filled
in, by :mod:`zsms.launch.ready`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from zsms import kinds
from zsms.core.broker import BrokerLimits
from zsms.core.broker.durability import DURABILITIES, check_durability, hidden, is_on_servers
from zsms.core.producer.pace import ARRIVALS, check_arrivals, check_pushing
from zsms.core.sender.asking import lease_warning
from zsms.core.sender.shares import MAX_BROKERS
from zsms.core.stages import Stage
from zsms.core.strikes import Fault, Strikes
from zsms.errors import UsageError
from zsms.fields import entry, settings_of, table_entry
from zsms.options import checked
from zsms.scenario import tables
from zsms.scenario.caps import SharedCap
from zsms.scenario.group import SenderGroup, ramp_of
from zsms.scenario.lines import Line
from zsms.sources.choice import MADE, MessageSettings, check_messages
from zsms.sources.random import check_total
from zsms.stats.arrivals import rate_warnings

if TYPE_CHECKING:
    from zsms.transports.calls import Send

_SENT = ("run", "plan", "sender")


@checked
@dataclass(frozen=True, slots=True)
class MeshConfig(MessageSettings):
    """What a mesh is to do. Times in seconds; None leaves a figure to the role."""

    rate: float | None = entry(
        None,
        "Open-loop arrival rate, messages a second, of all producers together.",
        kinds.ABOVE_0,
        unless="as fast as the window allows",
        on=MADE,
    )
    arrivals: str = entry(
        "even",
        "How those of --rate lie in time. Even: waits are far shorter than those of real (poisson) arrivals.",
        kinds.one_of(*ARRIVALS),
        on=MADE,
    )
    stages: tuple[Stage, ...] = table_entry(
        tables.Stage, "How the arrival rate was to go over time; empty: it stayed what it was.", default=()
    )
    """`rate` is then that of the beginning."""
    batch: int | None = entry(None, "Most messages in a frame.", kinds.COUNT, unless="16384", on=MADE)
    window: int | None = entry(
        None, "Most unconfirmed messages of a producer, at each broker.", kinds.COUNT, unless="200000", on=MADE
    )
    producers: int = entry(1, "Producer processes.", kinds.COUNT, on=("run",))
    brokers: int = entry(1, "Broker processes; everyone uses all of them.", kinds.COUNT, on=("run", "plan"))
    groups: tuple[SenderGroup, ...] = table_entry(SenderGroup, "The senders, by group.", default=(SenderGroup(),))
    transport: str | Send | None = entry(
        None,
        "MODULE:FUNCTION, an `async def FUNCTION(message)` that senders call instead of sleeping.",
        kinds.TEXT,
        unless="slots sleep",
        on=_SENT,
        metavar="MODULE:FUNCTION",
    )
    """Or the function itself, which must be one that other processes can import."""
    yes_really_send: bool = entry(
        False,
        "A gateway that is not this machine is meant: people may get what is sent, and you may pay for it.",
        kinds.FLAG,
        on=_SENT,
    )
    limits: BrokerLimits = table_entry(BrokerLimits, "What bounds each broker.", factory=BrokerLimits)
    journal: str | None = entry(
        None,
        "Keep what is confirmed in this folder, so that it outlasts the broker; or with NATS servers, so that it "
        "outlasts its machine: nats://HOST,HOST,HOST/NAME.",
        kinds.TEXT,
        unless="nothing is kept",
        on=("run", "broker"),
        metavar="DIR|URL",
        completes="folder",
    )
    durability: str | None = entry(
        None,
        "What a confirm means: with most of the NATS servers; on the disk; with the operating system, safe from a "
        "crash of the broker but not of the machine; in memory.",
        kinds.one_of(*DURABILITIES),
        unless="majority or fsync with a journal, else memory",
        on=("run", "broker"),
        reported=True,
    )
    standby: bool = entry(
        False,
        "A second process for each broker, to take its place; with --journal nats://...",
        kinds.FLAG,
        on=("run", "broker"),
        differs={
            "broker": {
                "help": "Wait, without listening, until the broker that has this journal (NATS) is gone, then take "
                "its place."
            }
        },
    )
    broker_place: str | None = entry(
        None,
        "Run brokers on workers that have a resource of this name; with --cluster.",
        kinds.TEXT,
        unless="on any worker",
        on=("run",),
        metavar="NAME",
    )
    secure: bool = entry(
        False, "Encrypt everything, with keys that are thrown away at the end.", kinds.FLAG, on=("run",)
    )
    drain_timeout: float = entry(
        30.0,
        "Seconds that a first Ctrl-C waits for work to end; a second one ends at once.",
        kinds.SECONDS,
        on=("run",),
    )
    caps: tuple[SharedCap, ...] = table_entry(
        SharedCap, "What groups may begin together, or until when; each group's own cap stands with it.", default=()
    )
    lines: tuple[Line, ...] = table_entry(
        Line,
        "Messages by the groups that may send them, with brokers and producers of their own in this order; empty: any.",
        default=(),
    )
    faults: tuple[Fault, ...] = table_entry(tables.Fault, "What was to go wrong on purpose, and when.", default=())
    transport_folder: str | None = None
    """Where `transport` is found, if not in the current folder."""

    def check(self) -> None:
        """Raises UsageError for what contradicts itself."""
        check_total(self.messages)
        if not 1 <= self.brokers <= MAX_BROKERS:
            raise UsageError(f"brokers {self.brokers}: give 1 to {MAX_BROKERS} processes")
        if not 1 <= self.producers <= 1_000:
            raise UsageError(f"producers {self.producers}: give 1 to 1000 processes")
        if not self.groups:
            raise UsageError("a mesh needs at least one group of senders")
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise UsageError(f"two groups of senders have the same name: {', '.join(names)}")
        for group in self.groups:
            group.check(len(self.brokers_of(group)))
            if group.gateway is not None and self.transport is not None:
                raise UsageError("give either a function (--transport) or a gateway, not both")
        for cap in self.caps:
            cap.check(names)
        if self.lines and self.input is not None:
            raise UsageError("routes of an audience beside --input: a list does not say which audience a row is of")
        self.strikes()
        if not 0 <= self.drain_timeout <= 86_400:
            raise UsageError(f"drain timeout {self.drain_timeout}: give seconds from 0 to 86400")
        check_durability(self.journal, self.durability)
        if self.standby and not is_on_servers(self.journal):
            raise UsageError("standby: a broker stands by for a journal on NATS servers (nats://HOST,HOST,HOST/NAME)")
        check_pushing(self.rate, self.batch, self.window)
        check_arrivals(self.arrivals)
        check_messages(self)

    def strikes(self) -> Strikes:
        """When which fault strikes which process. Raises UsageError for a fault that can't be."""
        groups = {group.name: group.processes for group in self.groups}
        return Strikes(self.faults, groups, [*self.broker_names, *self.producer_names, "stats"])

    @property
    def slots(self) -> int:
        """Of all groups."""
        return sum(group.slots for group in self.groups)

    def ramp_of(self, group: SenderGroup) -> float:
        """Seconds over which a sender of the group opens its slots; at once where a function is called."""
        return ramp_of(group, self.slots if self.transport is None else 0)

    def warnings(self) -> list[str]:
        """What contradicts itself and yet can be run."""
        found = self.limits.warnings() + self._idle()
        if self.transport is not None or any(group.gateway is not None for group in self.groups):
            return found
        found += [warning for group in self.groups for warning in group.warnings()]
        return found + self._lease_warnings() + self._rate_warnings()

    def _lease_warnings(self) -> list[str]:
        """Which groups' sends may take longer than a lease."""
        longest = max(self.limits.lease, self.limits.max_lease)
        found = []
        for group in self.groups:
            if why := lease_warning(longest, group.model):
                found.append(
                    f"group {group.name!r}: {why}, and max lease forbids a longer one: what takes longer is given to "
                    "others and sent again"
                )
            elif self.limits.lease != BrokerLimits().lease and (why := lease_warning(self.limits.lease, group.model)):
                found.append(f"group {group.name!r}: {why}; its senders ask for a longer one")
        return found

    def _idle(self) -> list[str]:
        """Settings that mean nothing without another one."""
        of_a_list = {"input format": self.input_format, "skip bad rows": self.skip_bad_rows, "unique": self.unique}
        found = [f"{name} is about a list, and there is none: give --input" for name, on in of_a_list.items() if on]
        if self.input is not None:
            found = []
        if self.arrivals != "even" and self.rate is None and not self.stages:
            found.append(f"arrivals {self.arrivals}: means nothing without a rate: give --rate")
        found += [
            f"group {each.name!r}: a burst of {each.burst:g} means nothing without a cap: give --cap"
            for each in self.groups
            if each.burst and each.cap is None
        ]
        return found

    def _rate_warnings(self) -> list[str]:
        """What an arrival rate near the capacity of the slots means; failures take slots again."""
        if self.rate is None or not all(group.mean for group in self.groups):
            return []
        sends = [group.slots / group.mean for group in self.groups]
        failing = sum(each * group.failure_rate for each, group in zip(sends, self.groups, strict=True)) / sum(sends)
        attempts = sum(failing**attempt for attempt in range(min(self.limits.max_attempts, 1_000)))
        return rate_warnings(self.rate, sum(sends) / attempts, self.slots / sum(sends))

    def journal_of(self, broker: str) -> str | None:
        """That broker's journal: the folder that was given, or one in it where there are several brokers; of a stream,
        that one, or one beside it.
        """
        if self.journal is None or len(self.broker_names) == 1:
            return self.journal
        if is_on_servers(self.journal):
            place, question, how = self.journal.partition("?")
            return f"{place}-{broker}{question}{how}"
        return f"{self.journal.removesuffix('/')}/{broker}"

    @property
    def broker_names(self) -> list[str]:
        """Of the brokers' processes, line by line."""
        brokers = self.brokers * max(1, len(self.lines))
        return ["broker"] if brokers == 1 else [f"broker-{index + 1}" for index in range(brokers)]

    @property
    def producer_names(self) -> list[str]:
        """Of the producers' processes, line by line."""
        return [f"producer-{index + 1}" for index in range(self.producers * max(1, len(self.lines)))]

    def brokers_of(self, group: SenderGroup) -> list[str]:
        """The brokers whose messages the group may send."""
        if not self.lines:
            return self.broker_names
        return [
            name
            for index, name in enumerate(self.broker_names)
            if group.name in self.lines[index // self.brokers].groups
        ]

    def part_of(self, producer: str) -> float:
        """The share of all messages that this producer makes."""
        if not self.lines:
            return 1 / self.producers
        line = self.lines[self.producer_names.index(producer) // self.producers]
        return line.messages / sum(each.messages for each in self.lines) / self.producers

    @property
    def sender_names(self) -> list[str]:
        """Of the senders' processes, group by group."""
        return [name for group in self.groups for name in group.processes]

    def group_of(self, sender: str) -> SenderGroup:
        """The group of the sender of that name. Raises KeyError."""
        for group in self.groups:
            if sender in group.processes:
                return group
        raise KeyError(sender)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the report: of each entry, by its field's name."""
        values: dict[str, Any] = _plain(self)
        values["messages"] = self.total
        values["transport"] = self.transport if self.transport is None else _name_of(self.transport)
        for plain, group in zip(values["groups"], self.groups, strict=True):
            plain["sd"] = group.model.deviation
        values["durability"] = check_durability(self.journal, self.durability)
        values["journal"] = None if self.journal is None else hidden(self.journal)
        return values


def _plain(table: Any) -> Any:
    """A table's settings as JSON has them."""
    if isinstance(table, tuple):
        return [_plain(each) for each in table]
    if not is_dataclass(table) or isinstance(table, type):
        return table
    names = [each.field.name for each in settings_of(type(table))] or [each.name for each in fields(table)]
    return {name: _plain(getattr(table, name)) for name in names}


def _name_of(transport: str | Send) -> str:
    return transport if isinstance(transport, str) else f"{transport.__module__}:{transport.__qualname__}"


def config_from(**options: Any) -> MeshConfig:
    """A `MeshConfig` of its own fields and those of a single `SenderGroup`. Raises UsageError for any other."""
    of_group = {each.field.name for each in settings_of(SenderGroup)} - {"name"}
    group = {name: options.pop(name) for name in list(options) if name in of_group}
    unknown = [name for name in options if name not in MeshConfig.__dataclass_fields__]
    if unknown:
        raise UsageError(f"a mesh has no option {unknown[0]!r}")
    if group and "groups" in options:
        raise UsageError(f"give either groups of senders or {', '.join(sorted(group))}")
    if "groups" not in options:
        options["groups"] = (SenderGroup(**group),)
    return MeshConfig(**options)
