"""Reading a scenario from the tables of a file, with a line for whatever can't be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, replace
from datetime import date, time
from typing import Any, TypeVar

from zsms import kinds
from zsms.carriers import profiles
from zsms.carriers.profiles import Profile
from zsms.core.broker import BrokerLimits
from zsms.errors import UsageError
from zsms.fields import Setting, nearest, settings_of, tables_of
from zsms.scenario.contradictions import check
from zsms.scenario.group import SenderGroup
from zsms.scenario.run import MeshConfig
from zsms.scenario.tables import Account, Audience, Expectation, Fault, Group, Head, Retries, Stage
from zsms.scenario.whole import Scenario

T = TypeVar("T")


TABLES = ("scenario", "audience", "arrival", "group", "account", "retries", "faults", "expect")
"""What a file may have beside a table a command."""


def keys_of(cls: type) -> dict[str, Setting]:
    """The settings of a table by their keys; one of two keys stands twice."""
    found = {}
    for each in settings_of(cls):
        found[each.entry.key or each.field.name] = each
        if each.entry.also is not None:
            found[each.entry.also] = each
    return found


def table(cls: type[T], values: Any, where: str, base: T | None = None) -> T:
    """A table from that of a file; what it leaves out is that of `base`, if there is one. Raises UsageError."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: write it as a table")
    keys = keys_of(cls)
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in keys:
            like = {word: key for key, each in keys.items() for word in each.entry.like}
            raise UsageError(f"{where}: unknown key {key!r}{nearest(name, keys, like=like)}")
        each = keys[name]
        if each.field.name in found:
            raise UsageError(f"{where}: {key} is given twice, by another name too")
        found[each.field.name] = value if value is None else _read(each.entry.kind, value, f"{where}: {key}")
    if base is not None:
        return replace(base, **found)  # type: ignore[type-var]
    for key, each in keys.items():
        if each.field.default is MISSING and each.field.name not in found:
            raise UsageError(f"{where}: {key!r} is missing")
    return cls(**found)


def options_set(cls: type, values: Mapping[str, Any]) -> dict[str, str]:
    """The options, without their dashes, whose place a table of a file takes, each with its key there; a profile says
    what its figures are."""
    keys = [str(key).replace("-", "_") for key in values]
    if isinstance(values.get("profile"), str):
        with suppress(UsageError):  # who reads it says what is wrong, and where
            keys += profiles.find(values["profile"]).fields
    known = keys_of(cls)
    found = [known[key] for key in keys if key in known]
    return {each.option: each.entry.key or each.field.name for each in found}


def load(path: str) -> Scenario:
    """The scenario of a file. Raises UsageError."""
    return read(tables_of(path), path)


def read(tables: Mapping[str, Any], where: str = "scenario") -> Scenario:
    """The scenario of a file's tables (or of the same as Python values), checked. Raises UsageError."""
    return _Reader(tables, where).scenario()


def check_profile(profile: Profile) -> Profile:
    """The carrier profile, when its figures are fields of a group. Raises UsageError."""
    table(Group, profile.fields, profile.name)
    return profile


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

    def from_run(self, cls: type, names: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Values that [run] has of fields of a table; `names`: by field, how they are called there."""
        found = {}
        for each in settings_of(cls):
            name = names.get(each.field.name) if names is not None else each.parameter if each.entry.on else None
            if name is not None and self.run.get(name) is not None:
                found[each.field.name] = _read(each.entry.kind, self.run[name], self.at(f"[run]: {name}"))
        return found

    def of_run(self) -> dict[str, Any]:
        """What a scenario takes from [run] as it is."""
        found = self.from_run(MeshConfig, {name: name for name in ("messages", "brokers", "seed")})
        return found | self.from_run(BrokerLimits, {name: name for name in ("max_messages", "liveness")})

    def scenario(self) -> Scenario:
        """Everything, checked."""
        head = table(Head, self.tables.get("scenario", {}), self.at("[scenario]"))
        retries = self.retries()
        found = Scenario(
            name=head.name,
            start=head.start,
            lead=head.lead,
            segments=_segments_of(head, self.at("[scenario]")) or self.of_texts() or 1.0,
            groups=self.groups(),
            accounts=self.several("account", Account),
            audiences=self.several("audience", Audience),
            retries=retries,
            faults=self.several("faults", Fault),
            expectations=self.several("expect", Expectation),
            relied_on=tuple(self.relied_on),
            **self.of_run(),
        )
        found = self.arrivals(found, head)
        found = self.counted(found)
        check(found, self.where)
        return found

    def of_texts(self) -> float | None:
        """Segments of a message on average, where [run] says what texts there are."""
        texts = self.run.get("texts")
        if not texts:
            return None
        from zsms.sources.random import mean_segments

        try:
            return mean_segments([texts] if isinstance(texts, str) else texts)
        except UsageError as error:
            raise UsageError(self.at(f"[run]: {error}")) from None

    def retries(self) -> Retries:
        """[retries], or what [run] says of them."""
        base = Retries(**self.from_run(Retries, {"attempts": "max_attempts", "base": "retry_base", "cap": "retry_cap"}))
        return table(Retries, self.tables.get("retries", {}), self.at("[retries]"), base)

    def groups(self) -> tuple[Group, ...]:
        """[[group]] or [[run.groups]], each with what [run] says where it says nothing."""
        base = Group(**self.from_run(SenderGroup))
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
        _read(kinds.TEXT, name, where)
        try:
            profile = check_profile(profiles.find(name))
        except UsageError as error:
            raise UsageError(f"{where} = {name!r}: {error}") from None
        self.relied_on.append(profile.sources)
        return table(Group, profile.fields, where, group)

    def arrivals(self, found: Scenario, head: Head) -> Scenario:
        """The stages, of [[arrival]] or of a rate; and how many messages they are."""
        stages = self.several("arrival", Stage)
        rate = self.run.get("rate")
        lasts = head.duration if self.run.get("duration") is None else self.run["duration"]
        if stages and (rate is not None or lasts is not None):
            both = "rate" if rate is not None else "duration"
            raise UsageError(self.at(f"[[arrival]] and a {both}: the stages say that, give one or the other"))
        where = self.at("[run]")
        if rate is not None:
            rate = _read(kinds.ABOVE_0, rate, f"{where}: rate")
        elif lasts is not None:
            raise UsageError(f"{where}: a duration needs a rate")
        given = self.run.get("messages") is not None and "messages" not in self.run.get("defaults", ())
        if rate is not None:
            if lasts is not None and given:
                raise UsageError(f"{where}: messages and a duration: give one or the other")
            if lasts is None:
                lasts = max(found.messages, 1) / rate
            stages = (Stage(_read(kinds.SOME_SECONDS, lasts, f"{where}: duration"), rate),)
        if not stages:
            return found
        expected = sum(stage.messages for stage in stages)
        if not expected:
            raise UsageError(self.at("[[arrival]]: no stage has a rate above 0, so nothing ever arrives"))
        if rate is None or lasts is not None:
            if round(expected) < 1:
                by = "[[arrival]]: the stages bring" if rate is None else "[run]: the rate and the duration bring"
                raise UsageError(self.at(f"{by} {expected:g} messages in all: not one"))
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
        raise UsageError(f"{where} = {_as_written(value)}: {error}") from None


def _as_written(value: Any) -> str:
    """A value as TOML has it, or nearly."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date | time) else repr(value)


def _segments_of(what: Head | Audience, where: str) -> float | None:
    """Segments of a message, from its text or as given."""
    if what.text is None:
        return what.segments
    if what.segments is not None:
        raise UsageError(f"{where}: text and segments: give one or the other")
    from zsms.carriers.segments import count

    raw = what.text.encode("utf-8", "replace")
    return float(count(raw, [len(raw)]).segments[0])
