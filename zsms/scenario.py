"""What is to be sent, by what, and what goes wrong meanwhile: one file for `zsms run` and `zsms plan`.

    [run]          as ever: messages, rate, max-attempts ...         [[group]]    slots, cap, price ... of a route
    [scenario]     name, start, text or segments, lead               [[account]]  a cap that groups share
    [[audience]]   who is to be reached, by which groups             [[faults]]   at, what, whom
    [[arrival]]    for, rate, to: stages of an open loop             [[expect]]   deadline, share
    [retries]      attempts, base, cap

The fields of each table are those of its dataclass below; in a file `-` and `_` are alike. A time is a number of
seconds or a text such as "90s", "10m", "1h30m", "200ms" or "2d"; a cap is in segments a second. Whatever can't be is a
UsageError of one line that says what, and where in which file.

Pure: no socket, no clock. `load` opens the one file that it is told.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import datetime, time
from difflib import get_close_matches
from math import isfinite
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from zsms.errors import UsageError
from zsms.stats.delay import MODELS, DelayModel

T = TypeVar("T")
MAX_COUNT = 10**12
"""The most messages, segments or slots."""
MAX_SECONDS = 366 * 86_400.0
ANY_END = 86_400.0

# -- kinds of values -----------------------------------------------------------------------------------------------

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(value: Any) -> float:
    """Seconds of a number, or of a text such as "1h30m". Raises ValueError."""
    if isinstance(value, str):
        text = value.strip()
        parts = _PART.findall(text)
        if not parts or _PART.sub("", text).strip():
            raise ValueError('give a time, such as 90, "90s", "10m" or "1h30m"')
        value = sum(float(number) * _UNIT[unit] for number, unit in parts)
    found = _number(value)
    if not 0 <= found <= MAX_SECONDS:
        raise ValueError("give seconds from 0 to a year")
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise ValueError("give a number")
    return float(value)


def _above(value: Any) -> float:
    found = _number(value)
    if not 0 < found <= MAX_COUNT:
        raise ValueError("give a number above 0")
    return found


def _some_seconds(value: Any) -> float:
    found = seconds(value)
    if not found:
        raise ValueError("give a time above 0")
    return found


def _from_0(value: Any) -> float:
    found = _number(value)
    if not 0 <= found <= MAX_COUNT:
        raise ValueError("give a number from 0 on")
    return found


def _share(value: Any) -> float:
    found = _number(value)
    if not 0 <= found <= 1:
        raise ValueError("give a share from 0 to 1")
    return found


def _some(value: Any) -> float:
    found = _share(value)
    if not found:
        raise ValueError("give a share above 0, up to 1")
    return found


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise ValueError("give a whole number from 0 on")
    return value


def _count(value: Any) -> int:
    found = _whole(value)
    if not found:
        raise ValueError("give a whole number from 1 on")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give a text in quotes")
    return value


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("give a date and time with its offset, such as 2026-11-28T09:00:00-05:00")
    return value


def clock(value: Any) -> float:
    """Seconds since midnight of a text such as "07:30". Raises ValueError."""
    if isinstance(value, time):
        value = value.isoformat()
    found = re.fullmatch(r"(\d\d):(\d\d)(?::(\d\d))?", value) if isinstance(value, str) else None
    if not found or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 59:
        raise ValueError('give a time of day, such as "07:30"')
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)


def _hours(value: Any) -> tuple[float, float]:
    if not isinstance(value, str) or value.count("-") != 1:
        raise ValueError('give hours such as "21:00-08:00"')
    begin, end = (clock(part.strip()) for part in value.split("-"))
    if begin == end:
        raise ValueError("the hours begin when they end")
    return begin, end


def _zone(value: Any) -> str:
    try:
        return ZoneInfo(_text(value)).key
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        raise ValueError('give a time zone, such as "America/Los_Angeles"') from None


def _routes(value: Any) -> tuple[tuple[str, float | None], ...]:
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return tuple((name, None) for name in value)
    if isinstance(value, dict) and value:
        parts = tuple((name, _some(share)) for name, share in value.items())
        if abs(sum(share for _, share in parts) - 1) > 1e-6:
            raise ValueError(f"the shares add up to {sum(share for _, share in parts):g}, not to 1")
        return parts
    raise ValueError('give names of groups, such as ["a", "b"], or their shares, such as {a = 0.7, b = 0.3}')


def _one_of(*names: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in names:
            raise ValueError(f"choose one of {', '.join(names)}")
        return str(value)

    return read


def _of(kind: Callable[[Any], Any], default: Any = MISSING, key: str | None = None, **more: Any) -> Any:
    """A field of a table: how its value is read, what stands when it is not given, and its key in the file."""
    return field(default=default, metadata={"kind": kind, "key": key, **more})


# -- the tables ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """A route: sender processes that are alike, and what it may be given."""

    name: str = _of(_text, "sender")
    senders: int = _of(_count, 2, also="processes")
    """Processes."""
    concurrency: int = _of(_count, 5_000, also="slots")
    """Slots of each process."""
    delay: str = _of(_one_of(*MODELS), "normal")
    mean: float = _of(seconds, 1.0)
    sd: float | None = _of(seconds, None)
    failure_rate: float = _of(_share, 0.0)
    """Share of sends that fail for now, and are tried again while attempts are left."""
    throttled_rate: float = _of(_share, 0.0)
    """Share of sends that the gateway throttles: tried again as well."""
    permanent_rate: float = _of(_share, 0.0)
    """Share of sends that are refused for good."""
    delivered: float = _of(_some, 1.0)
    """Share of accepted messages that reach their handset."""
    tick: float | None = _of(_some_seconds, None)
    prefetch: int | None = _of(_whole, None)
    ramp: float | None = _of(seconds, None)
    profile: str | None = _of(_text, None)
    """A carrier profile that says what is not given here (`zsms carriers list`)."""
    cap: float | None = _of(_above, None)
    """Segments a second, all its processes together."""
    burst: float = _of(_from_0, 0.0)
    """Segments that may go at once after a pause."""
    account: str | None = _of(_text, None)
    """The [[account]] whose caps it shares."""
    daily_cap: int | None = _of(_count, None)
    """Segments a day."""
    daily_reset: float = _of(clock, 0.0)
    """When the day begins, in `zone`."""
    zone: str = _of(_zone, "UTC")
    quiet: tuple[float, float] | None = _of(_hours, None)
    """Hours of the day, in `zone`, in which nothing may be sent."""
    queue: float | None = _of(_some_seconds, None)
    """Seconds of its cap that the route keeps waiting: it accepts at once and sends at its cap. None: it keeps
    nothing, and we send no more than the cap."""
    when_full: str = _of(_one_of("reject", "expire"), "reject")
    """A full queue refuses (which is tried again), or accepts and loses."""
    price: float = _of(_from_0, 0.0)
    """Of a segment."""
    begins: float = _of(seconds, 0.0, "from")
    """It opens so many seconds after the start,"""
    ends: float | None = _of(_some_seconds, None, "until")
    """and closes then: None, never."""

    @property
    def model(self) -> DelayModel:
        """How the time of a send is drawn. Raises UsageError."""
        return DelayModel(self.delay, self.mean, self.sd)

    @property
    def slots(self) -> int:
        """All of its slots."""
        return self.senders * self.concurrency

    @property
    def processes(self) -> list[str]:
        """The names of its processes."""
        return [f"{self.name}-{number + 1}" for number in range(self.senders)]


@dataclass(frozen=True, slots=True)
class Account:
    """Caps that several groups share."""

    name: str = _of(_text)
    cap: float | None = _of(_above, None)
    burst: float = _of(_from_0, 0.0)
    daily_cap: int | None = _of(_count, None)
    daily_reset: float = _of(clock, 0.0)
    zone: str = _of(_zone, "UTC")


@dataclass(frozen=True, slots=True)
class Audience:
    """People who are to be reached."""

    name: str = _of(_text)
    messages: int | None = _of(_whole, None)
    share: float | None = _of(_some, None)
    """Of the run's messages."""
    text: str | None = _of(_text, None)
    segments: float | None = _of(_above, None)
    routes: tuple[tuple[str, float | None], ...] = _of(_routes, ())
    """Groups, with their fixed shares or without; (): all of them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of an open loop: arrivals go from `rate` to `to`, in messages a second."""

    lasts: float = _of(_some_seconds, MISSING, "for")
    rate: float = _of(_from_0)
    to: float | None = _of(_from_0, None)

    @property
    def messages(self) -> float:
        """Arrivals in it."""
        return self.lasts * (self.rate + (self.rate if self.to is None else self.to)) / 2


@dataclass(frozen=True, slots=True)
class Retries:
    """Who is tried again, and when: full jitter up to min(cap, base 2^(attempt - 1)) seconds."""

    attempts: int = _of(_count, 1)
    base: float = _of(seconds, 0.5)
    cap: float = _of(seconds, 60.0)

    def ceiling(self, attempt: int) -> float:
        """The longest wait after that attempt failed."""
        return float(min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)))


FAULTS = ("kill", "stop", "restart", "slow", "fail", "throttle")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, when, and with whom: a process, a group, a part of a group, a broker or the collector."""

    at: float = _of(seconds)
    what: str = _of(_one_of(*FAULTS))
    whom: str = _of(_text)
    lasts: float | None = _of(_some_seconds, None, "for")
    """None: to the end; needed for a stop and a restart."""
    factor: float | None = _of(_above, None)
    """Of the delay (slow) or of the cap (throttle)."""
    rate: float | None = _of(_share, None)
    """The failure rate (fail)."""
    cap: float | None = _of(_above, None)
    """Segments a second (throttle)."""
    share: float = _of(_some, 1.0)
    """The part of a group's processes that it strikes."""

    @property
    def until(self) -> float:
        """When it is over; infinite when it is not."""
        return float("inf") if self.lasts is None else self.at + self.lasts

    def __str__(self) -> str:
        some = "" if self.share == 1 else f"{self.share:.0%} of "
        lasts = "" if self.lasts is None else f" for {self.lasts:g} s"
        return f"{self.what} {some}{self.whom} at {self.at:g} s{lasts}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """So many of all messages within that time."""

    deadline: float = _of(_some_seconds)
    share: float = _of(_some, 0.99)


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
    retries: Retries = Retries()
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
        if group.ramp is not None:
            return group.ramp
        return min(group.mean, 60.0) if self.slots >= RAMP_FROM else 0.0

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
        if fault.whom in BROKERS and self.brokers == 1:
            return {}
        if fault.whom == "collector" or re.fullmatch(rf"broker-[1-{min(self.brokers, 9)}]", fault.whom):
            return {}
        known = [group.name for group in self.groups]
        known += [name for group in self.groups for name in group.processes[:3]]
        raise ValueError(f"there is no {fault.whom!r}{nearest(fault.whom, [*known, 'broker', 'collector'])}")


BROKERS = ("broker",)
RAMP_FROM = 100_000
"""Slots of a mesh from which on they are not all opened at once, unless asked for."""
TABLES = ("scenario", "audience", "arrival", "group", "account", "retries", "faults", "expect")
"""What a file may have beside a table a command."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, or at all of them."""
    known = list(known)
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


# -- reading -------------------------------------------------------------------------------------------------------


def _keys(cls: type) -> dict[str, Field[Any]]:
    """The fields of a table by their keys."""
    found = {}
    for each in fields(cls):
        found[each.metadata["key"] or each.name] = each
        if "also" in each.metadata:
            found[each.metadata["also"]] = each
    return found


def table(cls: type[T], values: Any, where: str, base: T | None = None) -> T:
    """A dataclass of this module from a table of a file; what it leaves out is that of `base`, if there is one."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: write it as a table")
    keys = _keys(cls)
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in keys:
            raise UsageError(f"{where}: unknown key {key!r}{nearest(name, keys)}")
        each = keys[name]
        if each.name in found:
            raise UsageError(f"{where}: {key} is given twice, by another name too")
        found[each.name] = value if value is None else _value(each, value, f"{where}: {key}")
    if base is not None:
        return replace(base, **found)  # type: ignore[type-var]
    for key, each in keys.items():
        if each.default is MISSING and each.name not in found:
            raise UsageError(f"{where}: {key!r} is missing")
    return cls(**found)


def _value(each: Field[Any], value: Any, where: str) -> Any:
    try:
        return each.metadata["kind"](value)
    except ValueError as error:
        raise UsageError(f"{where} = {value!r}: {error}") from None


def tables_of(path: str) -> dict[str, Any]:
    """The tables of a file. Raises UsageError for one that can't be read or parsed."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"can't read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def load(path: str) -> Scenario:
    """The scenario of a file. Raises UsageError."""
    return read(tables_of(path), path)


def read(tables: Mapping[str, Any], where: str = "scenario") -> Scenario:
    """The scenario of a file's tables (or of the same as Python values), checked. Raises UsageError."""
    return _Reader(tables, where).scenario()


OF_RUN = ("name", "senders", "concurrency", "delay", "mean", "sd", "failure_rate", "tick", "prefetch", "ramp")
"""What [run] says of a group that says nothing itself."""


class _Reader:
    """One file."""

    def __init__(self, tables: Mapping[str, Any], where: str) -> None:
        self.tables = tables
        self.where = where
        run = tables.get("run", {})
        if not isinstance(run, Mapping):
            raise UsageError(f"{where}: run is a value; settings belong in a table [run]")
        self.run = {str(key).replace("-", "_"): value for key, value in run.items()}
        self.relied_on: list[str] = []

    def at(self, part: str) -> str:
        """Where something stands."""
        return f"{self.where}: {part}"

    def several(self, name: str, cls: type[T]) -> tuple[T, ...]:
        """The tables of one name."""
        found = self.tables.get(name, [])
        if not isinstance(found, list):
            raise UsageError(self.at(f"[[{name}]]: write each as a table [[{name}]]"))
        return tuple(table(cls, values, self.at(f"[[{name}]] {number}")) for number, values in enumerate(found, 1))

    def from_run(self, cls: type[T], **names: str) -> dict[str, Any]:
        """Values of fields of a table that [run] has, by the names that they have there."""
        found = {}
        for each in fields(cls):  # type: ignore[arg-type]
            key = names.get(each.name, each.name)
            if self.run.get(key) is not None:
                found[each.name] = _value(each, self.run[key], self.at(f"[run]: {key}"))
        return found

    def scenario(self) -> Scenario:
        """Everything, checked."""
        head = table(_Head, self.tables.get("scenario", {}), self.at("[scenario]"))
        retries = self.retries()
        found = Scenario(
            name=head.name,
            start=head.start,
            lead=head.lead,
            segments=_segments_of(head, self.at("[scenario]")) or 1.0,
            groups=self.groups(),
            accounts=self.several("account", Account),
            audiences=self.several("audience", Audience),
            retries=retries,
            faults=self.several("faults", Fault),
            expectations=self.several("expect", Expectation),
            relied_on=tuple(self.relied_on),
            **self.from_run(_Run),
        )
        found = self.arrivals(found, head)
        found = self.counted(found)
        check(found, self.where)
        return found

    def retries(self) -> Retries:
        """[retries], or what [run] says of them."""
        base = Retries(**self.from_run(Retries, attempts="max_attempts", base="retry_base", cap="retry_cap"))
        return table(Retries, self.tables.get("retries", {}), self.at("[retries]"), base)

    def groups(self) -> tuple[Group, ...]:
        """[[group]] or [[run.groups]], each with what [run] says where it says nothing."""
        own_of_run = {each.name: "" for each in fields(Group) if each.name not in OF_RUN[1:]}
        base = Group(**self.from_run(Group, **own_of_run))
        own, old = self.tables.get("group"), self.run.get("groups")
        if own is not None and old is not None:
            raise UsageError(
                self.at("[[group]] and [[run.groups]] are the same: write all of them as one or the other")
            )
        name = "[[group]]" if own is not None else "[[run.groups]]"
        listed = old if own is None else own
        if listed is None:
            return (base,)
        if not isinstance(listed, list) or not listed:
            raise UsageError(self.at(f"{name}: write each group as a table {name}"))
        found = []
        for number, values in enumerate(listed, 1):
            where = self.at(f"{name} {number}")
            default = replace(base, name=f"group{number}")
            if isinstance(values, Mapping) and "profile" in values:
                default = self.profiled(default, values["profile"], f"{where}: profile")
            found.append(table(Group, values, where, default))
        return tuple(found)

    def profiled(self, group: Group, name: Any, where: str) -> Group:
        """The group with what a carrier profile says."""
        from zsms.carriers import profiles

        _read(_text, name, where)
        try:
            profile = profiles.find(name)
        except UsageError as error:
            raise UsageError(f"{where} = {name!r}: {error}") from None
        self.relied_on.append(profile.sources)
        return table(Group, profile.fields, where, group)

    def arrivals(self, found: Scenario, head: _Head) -> Scenario:
        """The stages, of [[arrival]] or of a rate; and how many messages they are."""
        stages = self.several("arrival", Stage)
        rate = self.run.get("rate")
        lasts = self.run.get("duration", head.duration)
        if stages and (rate is not None or lasts is not None):
            both = "rate" if rate is not None else "duration"
            raise UsageError(self.at(f"[[arrival]] and a {both}: the stages say that, give one or the other"))
        where = self.at("[run]")
        if rate is not None:
            rate = _read(_above, rate, f"{where}: rate")
        elif lasts is not None:
            raise UsageError(f"{where}: a duration needs a rate")
        given = self.run.get("messages") is not None and "messages" not in self.run.get("defaults", ())
        if rate is not None:
            if lasts is not None and given:
                raise UsageError(f"{where}: messages and a duration: give one or the other")
            if lasts is None:
                lasts = max(found.messages, 1) / rate
            stages = (Stage(_read(_some_seconds, lasts, f"{where}: duration"), rate),)
        if not stages:
            return found
        expected = sum(stage.messages for stage in stages)
        if not expected:
            raise UsageError(self.at("[[arrival]]: no stage has a rate above 0, so nothing ever arrives"))
        if rate is None or lasts is not None:
            expected = round(expected)
            if rate is None and given and found.messages > expected + 1:
                what = f"{found.messages} messages, but the stages of [[arrival]] bring {expected}"
                raise UsageError(self.at(f"[run]: {what}"))
            found = found if rate is None and given else replace(found, messages=int(expected))
        return replace(found, stages=stages, poisson=self.run.get("arrivals", "even") == "poisson")

    def counted(self, found: Scenario) -> Scenario:
        """The audiences with their messages and segments."""
        if not found.audiences:
            return found
        shares = [audience.share for audience in found.audiences]
        counts = [audience.messages for audience in found.audiences]
        where = self.at("[[audience]]")
        if any(share is not None for share in shares):
            if any(share is None for share in shares) or any(count is not None for count in counts):
                raise UsageError(f"{where}: give all of them a share, or all of them messages")
            total = sum(share or 0.0 for share in shares)
            if abs(total - 1) > 1e-6:
                raise UsageError(f"{where}: the shares add up to {total:g}, not to 1")
            ends = [round(found.messages * sum(s or 0 for s in shares[: k + 1])) for k in range(len(shares))]
            counts = [end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
        elif any(count is None for count in counts):
            raise UsageError(f"{where}: give all of them a share, or all of them messages")
        total_messages = sum(count or 0 for count in counts)
        given = self.run.get("messages") is not None and "messages" not in self.run.get("defaults", ())
        if (given or found.stages) and total_messages != found.messages:
            raise UsageError(f"{where}: they have {total_messages} messages, the run has {found.messages}")
        audiences = []
        for number, (audience, count) in enumerate(zip(found.audiences, counts, strict=True), 1):
            own = _segments_of(audience, f"{where} {number}")
            audiences.append(replace(audience, messages=count, segments=own or found.segments))
        return replace(found, audiences=tuple(audiences), messages=total_messages)


def _read(kind: Callable[[Any], T], value: Any, where: str) -> T:
    try:
        return kind(value)
    except ValueError as error:
        raise UsageError(f"{where} = {value!r}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Head:
    """The table [scenario]."""

    name: str = _of(_text, "scenario")
    start: datetime | None = _of(_moment, None)  # noqa: RUF009  # datetimes are immutable
    lead: float = _of(seconds, 0.0)
    text: str | None = _of(_text, None)
    segments: float | None = _of(_above, None)
    duration: float | None = _of(_some_seconds, None)


@dataclass(frozen=True, slots=True)
class _Run:
    """What a scenario takes from [run] as it is."""

    messages: int = _of(_whole, 100_000)
    brokers: int = _of(_count, 1)
    max_messages: int = _of(_count, 500_000)
    liveness: float = _of(_some_seconds, 5.0)
    seed: int | None = _of(_whole, None)


def _segments_of(what: _Head | Audience, where: str) -> float | None:
    """Segments of a message, from its text or as given."""
    if what.text is None:
        return what.segments
    if what.segments is not None:
        raise UsageError(f"{where}: text and segments: give one or the other")
    from zsms.carriers.segments import count

    raw = what.text.encode("utf-8", "replace")
    return float(count(raw, [len(raw)]).segments[0])


# -- checking ------------------------------------------------------------------------------------------------------


def check(scenario: Scenario, where: str = "scenario") -> None:
    """Raise UsageError for what contradicts itself."""
    names = [group.name for group in scenario.groups]
    for what, each in (("group", names), ("account", [a.name for a in scenario.accounts]),
                       ("audience", [a.name for a in scenario.audiences])):  # fmt: skip
        twice = next((name for name in each if each.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"{where}: two [[{what}]] are called {twice!r}")
    for number, group in enumerate(scenario.groups, 1):
        _check_group(scenario, group, f"{where}: [[group]] {number} ({group.name})")
    used = {group.account for group in scenario.groups}
    for account in scenario.accounts:
        at = f"{where}: [[account]] {account.name!r}"
        if account.name not in used:
            raise UsageError(f"{at}: no group has it as its account")
        if account.cap is None and account.daily_cap is None:
            raise UsageError(f"{at}: give it a cap or a daily_cap")
        if account.daily_cap is not None and scenario.start is None:
            raise UsageError(f"{at}: a daily_cap needs the [scenario]'s start, a date and time")
    for number, audience in enumerate(scenario.audiences, 1):
        for name, _ in audience.routes:
            if name not in names:
                at = f"{where}: [[audience]] {number} ({audience.name}): routes"
                raise UsageError(f"{at}: there is no group {name!r}{nearest(name, names)}")
    if scenario.retries.attempts > 100:
        raise UsageError(f"{where}: {scenario.retries.attempts} attempts: give 1 to 100")
    for number, fault in enumerate(scenario.faults, 1):
        _check_fault(scenario, fault, f"{where}: [[faults]] {number}")
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
    if group.burst and group.cap is None:
        raise UsageError(f"{at}: a burst needs a cap")
    if group.queue is not None and group.cap is None:
        raise UsageError(f"{at}: a queue in seconds needs a cap, in segments a second")
    if group.ends is not None and group.ends <= group.begins:
        raise UsageError(f"{at}: it closes (until = {group.ends:g} s) before it opens (from = {group.begins:g} s)")
    most = max([scenario.segments, *(a.segments or 0 for a in scenario.audiences)])
    if group.daily_cap is not None and group.daily_cap < most:
        raise UsageError(f"{at}: daily_cap = {group.daily_cap}: less than one message of {most:g} segments")
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
    if fault.what == "kill" and fault.lasts is not None:
        raise UsageError(f"{at}: a kill is for ever; with 'for' it is a restart")
    if fault.what == "throttle" and (fault.factor is None) == (fault.cap is None):
        raise UsageError(f"{at}: a throttle needs a 'factor' or a 'cap'")
    if fault.what in ("slow", "fail", "throttle") and not struck:
        raise UsageError(f"{at}: only senders can be struck by a {fault.what}, not {fault.whom!r}")
    if fault.what == "throttle" and fault.cap is None and scenario.group(next(iter(struck))).cap is None:
        raise UsageError(f"{at}: {fault.whom!r} has no cap that a factor could change: give a 'cap'")
    if fault.share != 1 and fault.whom not in [group.name for group in scenario.groups]:
        raise UsageError(f"{at}: a share is of a group, not of {fault.whom!r}")
