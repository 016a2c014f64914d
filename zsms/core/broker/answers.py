"""What a broker answers an operator, read by somebody who does not trust whoever is at that address."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from zsms.message import MAX_TEXT_BYTES

_MOST = 2**63
_MOST_ROWS = 10_000


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise ValueError("a count that is none")
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError("a time that is none")
    return float(value)


def _text(value: Any) -> str:
    if type(value) is not str or len(value) > MAX_TEXT_BYTES:
        raise ValueError("a text that is none, or too long")
    return value


def _words(value: Any) -> str:
    text = _text(value)
    if not text.isprintable():
        raise ValueError("words that can't be printed")
    return text


def _rows(row: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def read(value: Any) -> list[Any]:
        if type(value) is not list or len(value) > _MOST_ROWS:
            raise ValueError("rows that are no list, or too many")
        return [row(each) for each in value]

    return read


def _map(of: dict[str, Callable[[Any], Any]], optional: tuple[str, ...] = ()) -> Callable[[Any], dict[str, Any]]:
    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise ValueError("what should be a map is none")
        missing = [name for name in of if name not in value and name not in optional]
        if missing:
            raise ValueError(f"it does not say {missing[0]!r}")
        return {name: check(value[name]) for name, check in of.items() if name in value}

    return read


def _by_reason(value: Any) -> dict[str, int]:
    if type(value) is not dict or len(value) > _MOST_ROWS:
        raise ValueError("reasons that are no map, or too many")
    return {_words(reason): _count(count) for reason, count in value.items()}


_letter = _map(
    {
        "recipient": _words,
        "text": _text,
        "length": _count,
        "attempt": _count,
        "delivery": _count,
        "age_s": _seconds,
        "producer": _words,
        "seq": _count,
        "reason": _words,
    },
    optional=("reason",),
)
_sender = _map(
    {
        "name": _words,
        "slots": _count,
        "messages": _count,
        "sent": _count,
        "failed": _count,
        "oldest_s": _seconds,
        "silent_s": _seconds,
    }
)
_part = {"messages": _count, "bytes": _count, "oldest_s": _seconds, "letters": _rows(_letter)}

held = _map(
    {
        "broker": _words,
        "ready": _map({**_part, "retrying": _count}),
        "in_flight": _map(
            {"messages": _count, "oldest_s": _seconds, "senders": _rows(_sender), "more": _count},
        ),
        "dead": _map({**_part, "kept": _count, "reasons": _by_reason}),
    }
)
"""The map of :func:`zsms.core.broker.holdings.holdings`, with nothing in it that can't be. Raises ValueError."""
kicked = _map({"kicked": _count})
purged = _map({"purged_ready": _count, "purged_dead": _count})
