"""Rules from a TOML file: a key each field of :class:`zsms.smsc.rules.Rules`, tables for accounts, outcomes, faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.reading import toml_of
from zsms.smsc.rules import Account, Fault, Outcome, Rules
from zsms.stats.delay import DelayModel

_TABLES: dict[str, tuple[str, type[Account | Outcome | Fault]]] = {
    "account": ("accounts", Account),
    "outcome": ("outcomes", Outcome),
    "fault": ("faults", Fault),
}
_DELAYS = ("answer", "receipt")
_WEIGHTS = ("statuses", "states")


def read_rules(path: str | Path, base: Rules | None = None) -> Rules:
    """The rules in a file, over those of `base`. Raises UsageError that says what is wrong, and where."""
    try:
        table = toml_of(str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    try:
        return rules_of(table, base)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def rules_of(table: Mapping[str, Any], base: Rules | None = None) -> Rules:
    """The rules that a TOML table describes, over those of `base`. Raises UsageError."""
    known = {each.name for each in fields(Rules)} - {name for name, _ in _TABLES.values()}
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in _TABLES:
            field, kind = _TABLES[name]
            rows = value if isinstance(value, list) else [value]
            found[field] = tuple(_row(kind, row, f"[[{key}]] {n}") for n, row in enumerate(rows, 1))
        elif name not in known:
            raise UsageError(f"no setting {key!r}{nearest(name, sorted([*known, *_TABLES]))}")
        elif name in _DELAYS:
            found[name] = _delay(value, name)
        elif name in _WEIGHTS:
            found[name] = _weights(value, name)
        else:
            found[name] = _typed(value, getattr(Rules(), name), key)
    return replace(base or Rules(), **found)


def _row(kind: type[Account | Outcome | Fault], row: Any, where: str) -> Any:
    if not isinstance(row, Mapping):
        raise UsageError(f"{where}: write a table")
    names = [each.name for each in fields(kind)]
    values = {key.replace("-", "_"): value for key, value in row.items()}
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"{where}: no setting {name!r}{nearest(name, names)}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UsageError(f"{where}: {name} {value!r} is neither a number nor text")
    try:
        return kind(**values)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _delay(value: Any, name: str) -> DelayModel:
    """Seconds, or {delay = "lognormal", mean = 0.1, sd = 0.2}."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _model(name, "constant", float(value))
    if not isinstance(value, Mapping) or set(value) - {"delay", "mean", "sd"}:
        raise UsageError(f"{name} {value!r}: write seconds, or {{delay = ..., mean = ..., sd = ...}}")
    for key in ("mean", "sd"):
        if isinstance(each := value.get(key, 0.0), bool) or not isinstance(each, int | float):
            raise UsageError(f"{name}: {key} {each!r} is no number")
    sd = value.get("sd")
    return _model(
        name, str(value.get("delay", "normal")), float(value.get("mean", 1.0)), None if sd is None else float(sd)
    )


def _model(name: str, *law: Any) -> DelayModel:
    try:
        return DelayModel(*law)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _weights(value: Any, name: str) -> tuple[tuple[Any, float], ...]:
    """{"0" = 95, "0x58" = 5}, or {DELIVRD = 80, UNDELIV = 15, none = 5}."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{name}: write a table of weights")
    found: list[tuple[Any, float]] = []
    for key, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise UsageError(f"{name}: the weight {weight!r} of {key} is no number")
        try:
            found.append((int(key, 0) if name == "statuses" else key, float(weight)))
        except ValueError:
            raise UsageError(f"{name}: {key!r} is no status: write 0, 0x58, ...") from None
    return tuple(found)


def _typed(value: Any, default: Any, name: str) -> Any:
    wanted = type(default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        kinds = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise UsageError(f"{name} {value!r}: give {kinds.get(wanted, wanted.__name__)}")
    return value
