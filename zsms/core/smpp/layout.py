"""Where the fields of a submit_sm or deliver_sm stand, and whether many of them have theirs at the same places.

What one client sends has addresses of the same lengths again and again, and so the same layout up to its text: the
first of n PDUs is read by itself, the others are compared with it octet by octet, and then no field is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from zsms.core.smpp.frames import HEADER, PAD, Frames, even_frames
from zsms.core.smpp.strings import I64, U8, Bools, Strings, some

_STRING = rb"([^\0]{0,%d})\0"
_BODY = re.compile(
    b"".join(_STRING % most if most else b"." for most in (5, 0, 0, 20, 0, 0, 20, 0, 0, 0, 16, 16)) + b".....",
    re.DOTALL,
)
"""service_type, two numbers, the source, two, the destination, three, two times, five (4.4.1)."""
_LONGEST = 5 + 20 + 20 + 16 + 16 + 5 + 12
_NUMBERS = (1, 1, 2, 2, 3, 3, 3, 5, 5, 5, 5, 5)
"""Behind how many strings each field of one octet stands."""


STRINGS = ("service_type", "source", "destination", "schedule", "validity")
NUMBERS = (
    "source_ton",
    "source_npi",
    "destination_ton",
    "destination_npi",
    "esm_class",
    "protocol_id",
    "priority",
    "registered_delivery",
    "replace_if_present",
    "data_coding",
    "default_message_id",
    "length",
)
"""The fields of one octet, the last of which is sm_length, in their order."""


@dataclass(slots=True)
class Layout:
    """Where fields stand, in octets from the beginning of the PDU."""

    strings: dict[str, tuple[int, int]]
    """Where each begins, and how long it is without its NUL."""
    numbers: dict[str, int]
    width: int
    """Of all that stands before the short_message."""
    inside: Bools
    """Which octets behind the header are of strings and their NULs,"""
    ends: Bools
    """and which are those NULs."""
    usual: bytes = b""
    """Which octets behind the header are 0, and which not, of a PDU that came and fits: as most that follow it."""


@lru_cache(256)
def _layout(lengths: tuple[int, ...]) -> Layout:
    strings: dict[str, tuple[int, int]] = {}
    numbers: dict[str, int] = {}
    inside: list[int] = []
    ends: list[int] = []
    at = HEADER
    for place, (name, length) in enumerate(zip(STRINGS, lengths, strict=True), 1):
        strings[name] = at, length
        inside += range(at, at + length + 1)
        at += length + 1
        ends.append(at - 1)
        for _ in range(_NUMBERS.count(place)):
            numbers[NUMBERS[len(numbers)]] = at
            at += 1
    masks = np.zeros((2, at - HEADER), np.bool_)
    masks[0, np.array(inside) - HEADER] = masks[1, np.array(ends) - HEADER] = True
    return Layout(strings, numbers, at, *masks)


class Alike:
    """n PDUs whose fields stand at the same places."""

    def __init__(self, frames: Frames, layout: Layout, heads: U8) -> None:
        """`heads` are their octets before the short_message, uint8[n, width]."""
        self._frames = frames
        self.layout = layout
        self._heads = heads

    def elsewhere(self, short: Strings) -> Alike:
        """Of other PDUs with this layout, which have these short_messages."""
        begins, none = short.begins - self.layout.width, np.zeros(0, np.uint32)
        ends = short.begins + short.lengths
        frames = Frames(short.buffer, begins, ends, command=none, status=none, sequence=none)
        return Alike(frames, self.layout, frames.matrix(self.layout.width))

    @classmethod
    def joined(cls, several: Sequence[Alike]) -> Alike | None:
        """PDUs that have one layout, as one; None where they are not all as long."""
        parts, layout = [each._frames for each in several], several[0].layout
        length = parts[0].length
        if not length or any(each.length != length for each in parts):
            return None
        octets = [each.buffer[(at := int(each.begins[0])) : at + len(each) * length] for each in parts]
        frames = even_frames(np.concatenate([*octets, np.zeros(PAD, np.uint8)]), length)
        return cls(frames, layout, frames.matrix(layout.width))

    @property
    def texts(self) -> Strings | None:
        """The short_messages of PDUs that are as long and end with them; None where they do not."""
        frames, width = self._frames, self.layout.width
        length = frames.length - width
        if not 0 <= length <= 255 or self.number("length").tobytes() != bytes((length,)) * len(frames):
            return None
        return self._evenly(width, length)

    def _evenly(self, at: int, length: int) -> Strings:
        """What stands so many octets behind the beginning of each; they are as long."""
        frames = self._frames
        first = int(frames.begins[0]) + at
        return Strings.evenly(frames.buffer, first, frames.length, length=length, rows=len(frames))

    @property
    def behind(self) -> I64:
        """Where the short_message of each begins."""
        return self._frames.begins + self.layout.width

    def number(self, name: str) -> U8:
        """One of `NUMBERS`, uint8[n]. Raises KeyError."""
        found: U8 = self._heads[:, self.layout.numbers[name]]
        return found

    def column(self, name: str) -> Strings | U8:
        """One of `STRINGS` or `NUMBERS`. Raises KeyError."""
        if name in self.layout.numbers:
            return self.number(name)
        at, length = self.layout.strings[name]
        if self._frames.length:
            return self._evenly(at, length)
        lengths = np.empty(len(self._heads), np.int64)
        lengths.fill(length)
        return Strings(self._frames.buffer, self._frames.begins + at, lengths)


def alike(frames: Frames) -> Alike | None:
    """The fields of PDUs that all have the layout of the first one; None where they differ."""
    begins = frames.begins
    if not len(begins):
        return None
    for layout in _latest:  # what comes now mostly is as what came last
        heads = frames.matrix(layout.width)
        if _fits(heads, layout):
            return Alike(frames, layout, heads)
    first = int(begins[0]) + HEADER
    found = _BODY.match(frames.buffer[first : first + _LONGEST].tobytes())
    if found is None:
        return None
    layout = _layout(tuple(map(len, found.groups())))
    heads = frames.matrix(layout.width)
    if len(begins) > 1 and not _fits(heads, layout):
        return None
    _latest[:] = [layout]
    return Alike(frames, layout, heads)


_latest: list[Layout] = []
"""The layout of what came last, by which nothing is decided: others are looked for."""


def _fits(heads: U8, layout: Layout) -> bool:
    zeros = heads[:, HEADER:] == 0
    if layout.usual and zeros.tobytes() == layout.usual * len(heads):
        return True
    if some((zeros != layout.ends) & layout.inside):
        return False
    layout.usual = zeros[0].tobytes()
    return True
