"""Kinds of values: how a value of a file is read, and what JSON Schema says of it.

A time is a number of seconds or a text such as "90s", "10m", "1h30m", "200ms" or "2d". What can't be read is a
ValueError that says what to give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

MAX_COUNT = 10**12
"""The most messages, segments or slots."""
MAX_SECONDS = 366 * 86_400.0

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value."""

    read: Callable[[Any], Any]
    """From what stands in a file. Raises ValueError."""
    bounds: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of JSON Schema for it."""

    def __call__(self, value: Any) -> Any:
        """The same as `read`."""
        return self.read(value)

    @property
    def choices(self) -> tuple[str, ...] | None:
        """All values that it may have, if they are few."""
        return tuple(self.bounds["enum"]) if "enum" in self.bounds else None


def seconds(value: Any) -> float:
    """Seconds of a number, or of a text such as "1h30m". Raises ValueError."""
    if isinstance(value, str):
        text = value.strip()
        parts = _PART.findall(text)
        sizes = [_UNIT[unit] for _, unit in parts]
        if not parts or _PART.sub("", text).strip() or sizes != sorted({*sizes}, reverse=True):
            raise ValueError('give a time, such as 90, "90s", "10m" or "1h30m"')
        value = sum(float(number) * _UNIT[unit] for number, unit in parts)
    found = _number(value)
    if not 0 <= found <= MAX_SECONDS:
        raise ValueError("give seconds from 0 to a year")
    return found


def clock(value: Any) -> float:
    """Seconds since midnight of a text such as "07:30". Raises ValueError."""
    if isinstance(value, time):
        value = value.isoformat()
    found = re.fullmatch(r"(\d\d):(\d\d)(?::(\d\d))?", value) if isinstance(value, str) else None
    if not found or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 59:
        raise ValueError('give a time of day, such as "07:30"')
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)


def whole(value: Any) -> Any:
    """A whole number that was written with an exponent or underscores, 1e6 or 1_000_000; anything else as it is."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[\d_]+(\.\d+)?[eE]\+?\d{1,2}", value.strip()):
        value = float(value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value


def one_of(*names: str) -> Kind:
    """One of these texts."""

    def read(value: Any) -> str:
        if value not in names:
            raise ValueError(f"choose one of {', '.join(names)}")
        return str(value)

    return Kind(read, {"enum": list(names)})


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise ValueError("give a number")
    return float(value)


def _above(value: Any) -> float:
    found = _number(value)
    if not 0 < found <= MAX_COUNT:
        raise ValueError(f"give a number above 0, up to {MAX_COUNT:,}")
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
    found = whole(value)
    if not isinstance(found, int) or isinstance(value, bool) or not 0 <= found <= MAX_COUNT:
        raise ValueError(f"give a whole number from 0 to {MAX_COUNT:,}")
    return found


def _count(value: Any) -> int:
    found = whole(value)
    if not isinstance(found, int) or isinstance(value, bool) or not 1 <= found <= MAX_COUNT:
        raise ValueError(f"give a whole number from 1 to {MAX_COUNT:,}")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give a text in quotes")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("give true or false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(each) for each in (value if isinstance(value, list) else [value]))


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("give a date and time with its offset, such as 2026-11-28T09:00:00-05:00")
    return value


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


TEXT = Kind(_text)
TEXTS = Kind(_texts)
FLAG = Kind(_flag)
WHOLE = Kind(_whole, {"minimum": 0})
COUNT = Kind(_count, {"minimum": 1})
SECONDS = Kind(seconds, {"minimum": 0})
SOME_SECONDS = Kind(_some_seconds, {"exclusiveMinimum": 0})
ABOVE_0 = Kind(_above, {"exclusiveMinimum": 0})
FROM_0 = Kind(_from_0, {"minimum": 0})
SHARE = Kind(_share, {"minimum": 0, "maximum": 1})
SOME_SHARE = Kind(_some, {"exclusiveMinimum": 0, "maximum": 1})
MOMENT = Kind(_moment)
CLOCK = Kind(clock)
HOURS = Kind(_hours)
ZONE = Kind(_zone)
ROUTES = Kind(_routes)
