"""The errors that zsms raises on purpose, by consequence.

A command exits with the error's `exit_code` and prints its text without a traceback; a program that
embeds zsms catches :class:`ZsmsError`.
"""

from __future__ import annotations

from dataclasses import fields
from numbers import Integral, Real
from typing import Any


class ZsmsError(Exception):
    """Something failed that the user must know of; a command exits with 1."""

    exit_code = 1


class UsageError(ZsmsError):
    """The user asked for something that can't be; a command exits with 2."""

    exit_code = 2


class JournalError(ZsmsError):
    """A journal can't be used: damaged, held by another broker, or its disk has failed."""


class WireError(ZsmsError):
    """One frame was refused. It never brings a role down: the frame is counted, logged and dropped."""


_KINDS: dict[str, tuple[type, str]] = {
    "int": (Integral, "a whole number"),
    "float": (Real, "a number"),
    "str": (str, "text"),
    "bool": (bool, "True or False"),
}


def check_types(settings: Any) -> None:
    """Raise UsageError, which names the field, for a plain field of a dataclass that has a value of another type."""
    for each in fields(settings):
        kind, _, none = str(each.type).partition(" | ")
        value = getattr(settings, each.name)
        if kind not in _KINDS or none not in ("", "None") or (value is None and none):
            continue
        wanted, told = _KINDS[kind]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise UsageError(f"{each.name.replace('_', ' ')} {value!r}: give {told}")
