"""A table of settings: a frozen dataclass whose fields are entries, of which everything else is made.

    failure_rate: float = entry(0.0, "Share of sends that fail, 0 to 1.", kinds.SHARE, on=("run", "sender"))

    type and default   the dataclass               kind   how a file's value is read, bounds in the report's schema
    help, unless       options, schema, documents  on     which commands have it as an option: a role is started with it

So a new setting is one entry. Options are made by :mod:`zsms.cli.options`; nothing here knows how they look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from zsms.errors import UsageError
from zsms.reading import toml_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a field beside its name, type and default."""

    help: str
    """A sentence or two, with units."""
    kind: Any
    """A :class:`zsms.kinds.Kind`."""
    unless: str = ""
    """What happens where it is None."""
    on: tuple[str, ...] = ()
    """Commands that have it as an option."""
    differs: Mapping[str, Mapping[str, Any]] | None = None
    """By command: the `help`, `default` or `unless` that it has there."""
    key: str | None = None
    """Its key in a file, where that is not its name."""
    also: str | None = None
    """Another key for it."""
    like: tuple[str, ...] = ()
    """What else people call it, for hints."""
    option: str | None = None
    """The option's name, where that is not its own."""
    metavar: str | None = None
    completes: str | None = None
    """What a shell offers for it: "file" or "folder"."""
    strict: bool = False
    """Whether the option itself refuses what the kind's bounds exclude."""
    of: type | None = None
    """The table of which this field holds one, or several."""
    reported: bool = False
    """Whether a report always has a value for it."""

    def at(self, command: str) -> Mapping[str, Any]:
        """What differs there."""
        return (self.differs or {}).get(command, {})


class Setting(NamedTuple):
    """A field with its entry."""

    field: Field[Any]
    entry: Entry

    @property
    def option(self) -> str:
        """The option, without its dashes."""
        return (self.entry.option or self.field.name).replace("_", "-")

    @property
    def parameter(self) -> str:
        """The option's name in settings files and in code."""
        return self.option.replace("-", "_")

    @property
    def type(self) -> str:
        """int, float, str, bool or tuple, as the annotation says."""
        return re.split(r"\W", str(self.field.type), maxsplit=1)[0]

    @property
    def optional(self) -> bool:
        """Whether it may be None."""
        return str(self.field.type).endswith("| None")


def entry(default: Any, help: str, kind: Any, /, **more: Any) -> Any:  # noqa: A002  # as options have it
    """A field of a table: its default (MISSING: it must be given), a sentence, and what :class:`Entry` has."""
    return field(default=default, metadata={"entry": Entry(help, kind, **more)})


def table_entry(of: type, help: str, /, default: Any = MISSING, factory: Any = MISSING) -> Any:  # noqa: A002
    """A field that holds another table, or several."""
    metadata = {"entry": Entry(help, None, of=of)}
    return field(default=default, default_factory=factory, metadata=metadata)


def settings_of(table: type) -> Iterator[Setting]:
    """The fields of a table that are entries, in their order."""
    for each in fields(table):
        if "entry" in each.metadata:
            yield Setting(each, each.metadata["entry"])


def options_of(command: str, table: type) -> Iterator[Setting]:
    """The settings that a command has as options, those of inner tables in their places."""
    for setting in settings_of(table):
        if setting.entry.of is not None:
            yield from options_of(command, setting.entry.of)
        elif command in setting.entry.on:
            yield setting


def chosen(table: type[T], command: str, options: dict[str, Any], **more: Any) -> T:
    """A table of a command's options, which are taken out of `options`; `more` are other fields. Raises UsageError."""
    known = [each for each in settings_of(table) if command in each.entry.on and each.parameter in options]
    return table(**{each.field.name: options.pop(each.parameter) for each in known}, **more)


def arguments(values: Any, command: str) -> list[str]:
    """The options with which a command is given what a table says (not its inner tables); None is left out."""
    found: list[str] = []
    for setting in settings_of(type(values)):
        if command not in setting.entry.on:
            continue
        value = getattr(values, setting.field.name)
        name = f"--{setting.option}"
        if isinstance(value, bool):
            found += [name] if value else []
        elif isinstance(value, tuple):
            found += [part for each in value for part in (name, str(each))]
        elif value is not None:
            found += [name, str(value)]
    return found


_MOST_TOLD = 30
"""More names than that are no hint."""


def nearest(name: str, known: Iterable[str], *, like: Mapping[str, str] | None = None, cutoff: float = 0.6) -> str:
    """A hint at the nearest known name, or at all of them. `like` has known names by what else people call them."""
    known, others = list(known), like or {}
    words = [*known, *others]
    near = get_close_matches(name, words, 1, cutoff) or get_close_matches(name.casefold(), words, 1, cutoff)
    if near:
        return perhaps([others.get(near[0], near[0])])
    return f"; there are {', '.join(known)}" if 0 < len(known) <= _MOST_TOLD else ""


def perhaps(names: Iterable[str]) -> str:
    """A hint at names that may have been meant."""
    told = " or ".join(map(repr, names))
    return f"; did you mean {told}?" if told else ""


def tables_of(path: str) -> dict[str, Any]:
    """The tables of a file. Raises UsageError for one that can't be read or parsed."""
    try:
        return toml_of(path)
    except OSError as error:
        raise UsageError(f"can't read the settings file {path}: {error.strerror}") from None


# -- the schema of a report's configuration --------------------------------------------------------------------------

_JSON = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}


def schema_of(table: type, description: str) -> dict[str, Any]:
    """JSON Schema of a table as a report has it, by its fields' names."""
    settings = list(settings_of(table))
    return {
        "type": "object",
        "description": description,
        "properties": {each.field.name: _schema(each) for each in settings},
        "required": [each.field.name for each in settings],
    }


def _schema(setting: Setting) -> dict[str, Any]:
    entry = setting.entry
    if entry.of is not None and is_dataclass(entry.of):
        if setting.type == "tuple":
            return {"type": "array", "description": entry.help, "items": schema_of(entry.of, _about(entry.of))}
        return schema_of(entry.of, entry.help)
    described = in_report(entry.help)
    if setting.type == "tuple":
        inner = re.match(r"tuple\[(\w+)", str(setting.field.type))
        items = _JSON.get(inner[1], "array") if inner is not None else "string"
        return {"type": "array", "items": {"type": items}, "description": described}
    found: dict[str, Any] = {"type": _JSON[setting.type], **entry.kind.bounds}
    if setting.optional and not entry.reported:
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
        described += f" Null: {in_report(entry.unless)}."
    return {**found, "description": described}


def _about(table: type) -> str:
    return (table.__doc__ or "").partition("\n")[0]


def in_report(text: str) -> str:
    """A sentence about options, for the report, whose fields have other names."""
    return re.sub(r"--([a-z-]+)", lambda found: f"`{found[1].replace('-', '_')}`", text)


# -- documents -------------------------------------------------------------------------------------------------------


def document(table: type, command: str | None = None) -> str:
    """A table in Markdown: each key, its default, and what it is; of a command's options only, or of all fields."""
    settings = settings_of(table) if command is None else options_of(command, table)
    rows = ["| key | default | |", "| --- | --- | --- |"]
    for each in settings:
        if each.entry.of is not None:
            continue
        key = each.parameter if command is not None else each.entry.key or each.field.name
        keys = [key, *([] if each.entry.also is None or command is not None else [each.entry.also])]
        shown = " or ".join(f"`{key.replace('_', '-')}`" for key in keys)
        told = each.entry.at(command or "").get("help", each.entry.help)
        rows.append(f"| {shown} | {_default(each, command)} | {cell(told)} |")
    return "\n".join(rows) + "\n"


def _default(setting: Setting, command: str | None) -> str:
    default = setting.entry.at(command or "").get("default", setting.field.default)
    if default is MISSING:
        return "must be given"
    if default is None or default == ():
        return cell(setting.entry.unless) or "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:,}" if isinstance(default, int) else f"{default}"


def cell(text: str) -> str:
    """A text as a cell of a table."""
    return text.replace("|", "\\|")
