"""A file with some of its fields changed: ``NAME.FIELD=VALUE``, of a group, an account or an audience."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.scenario.reading import keys_of
from zsms.scenario.tables import Account, Audience, Group

_NAMED: dict[str, type] = {"group": Group, "account": Account, "audience": Audience}


def changed(tables: Mapping[str, Any], changes: Iterable[str], where: str, option: str = "--set") -> dict[str, Any]:
    """A scenario's tables with those fields changed, as an `option` asks for it. Raises UsageError.

    A value is what the file would have, quotes left out: ``2e3``, ``10m``, ``21:00-08:00``, ``true``.
    """
    found = {**tables, **{kind: [dict(each) for each in _listed(tables, kind)] for kind in _NAMED if kind in tables}}
    for change in changes:
        path, equals, value = change.partition("=")
        name, dot, field = path.strip().rpartition(".")
        if not (equals and dot and name and field and value.strip()):
            raise UsageError(f"{option} {change}: write NAME.FIELD=VALUE, such as sender.cap=500")
        kind, values = _table(found, name, f"{option} {change}", where)
        key, keys = field.replace("-", "_"), keys_of(_NAMED[kind])
        if key not in keys or key == "name":
            known = sorted(set(keys) - {"name"})
            raise UsageError(f"{option} {change}: no field of a [[{kind}]] that could be set{nearest(key, known)}")
        for other in [other for other in values if keys.get(other.replace("-", "_")) is keys[key]]:
            del values[other]
        values[key] = _value(value.strip())
        try:
            keys[key].entry.kind(values[key])
        except ValueError as error:
            raise UsageError(f"{option} {change}: {error}") from None
    return found


def names_of(tables: Mapping[str, Any], kind: str) -> list[str]:
    """The names of a file's groups, accounts or audiences; those that have none are numbered."""
    return [str(each.get("name", f"{kind}{number}")) for number, each in enumerate(_listed(tables, kind), 1)]


def _listed(tables: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    listed = tables.get(kind, [])
    whole = isinstance(listed, list) and all(isinstance(each, Mapping) for each in listed)
    return listed if whole else []  # who reads them says what is wrong


def _table(tables: dict[str, Any], name: str, what: str, where: str) -> tuple[str, dict[str, Any]]:
    found = [
        (kind, values)
        for kind in _NAMED
        for called, values in zip(names_of(tables, kind), _listed(tables, kind), strict=True)
        if called == name
    ]
    if len(found) == 1:
        kind, values = found[0]
        assert isinstance(values, dict)
        return kind, values
    if found:
        kinds = " and ".join(f"[[{kind}]]" for kind, _ in found)
        raise UsageError(f"{what}: {where} has that name in {kinds}: give one of them another")
    known = [each for kind in _NAMED for each in names_of(tables, kind)]
    raise UsageError(
        f"{what}: {where} has no group, account or audience {name!r}{nearest(name, known) if known else ''}"
    )


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
