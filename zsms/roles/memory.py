"""Memory that the allocator keeps although nothing is in it, given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

EVERY_S = 1.0
"""Batches come and go in another order where sends take different times, and leave holes: of a megabyte each, so that
this is worth more than it costs. Four times as often a broker holds no less, and where sends fail, what it copies them
into is given back and asked for again all the time."""


def _malloc_trim() -> Callable[[int], Any] | None:
    """glibc's; None with another C library."""
    try:
        trim: Callable[[int], Any] = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):
        return None
    return trim


class Memory:
    """Gives memory back, now and then."""

    def __init__(self) -> None:
        self._trim = _malloc_trim()
        self._due = 0.0

    def poll(self, now: float) -> None:
        """Give it back when it is time."""
        if now >= self._due and self._trim is not None:
            self._due = now + EVERY_S
            self._trim(0)
