"""What is grave: said once, for the panel, the page and whoever else shows events and senders."""

from __future__ import annotations

import re
from typing import NamedTuple

FAILING = 0.05
"""A sender of whose sends more than this share fail is in trouble."""
_WORDS = ("lost", "expired", "silent", "no word", "missing", "foreign", "unknown", "without a join", "fenced", "full")
_GRAVE = re.compile(rf"\b({'|'.join([*_WORDS, 'warning', 'error'])})\b")


class Trouble(NamedTuple):
    """What is wrong with a sender."""

    words: str
    grave: bool
    """More than slow."""


def is_grave(kind: str) -> bool:
    """Whether an event of this kind means that something is wrong."""
    return _GRAVE.search(kind) is not None


def trouble(state: str, errors: float | None, pace: float | None) -> Trouble | None:
    """What is wrong with a sender in this state, of whose sends a share of `errors` failed; `pace` is that of a slow
    one."""
    if state == "silent":
        return Trouble("silent", True)
    if state == "left":
        return None
    if errors is not None and errors >= FAILING:
        return Trouble("failing", True)
    return None if pace is None else Trouble(f"slow {round(100 * pace)} %", False)
