"""Where the fields of a submit_sm or deliver_sm stand, and whether many of them have theirs at the same places.

What one client sends has addresses of the same lengths again and again, and so the same layout up to its text: the
first of n PDUs is read by itself, the others are compared with it octet by octet, and then no field is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.frames import HEADER, Frames
from zsms.core.smpp.strings import I64, U8, Bools, Strings, every, windows

_STRING = rb"([^\0]{0,%d})\0"
_BODY = re.compile(
    b"".join(_STRING % most if most else b"." for most in (5, 0, 0, 20, 0, 0, 20, 0, 0, 0, 16, 16)) + b".....",
    re.DOTALL,
)
"""service_type, two numbers, the source, two, the destination, three, two times, five (4.4.1)."""
_LONGEST = 5 + 20 + 20 + 16 + 16 + 5 + 12
_NUMBERS = (1, 1, 2, 2, 3, 3, 3, 5, 5, 5, 5, 5)
"""Behind how many strings each field of one octet stands."""


class Layout(NamedTuple):
    """Where fields stand, in octets from the beginning of the PDU."""

    begins: I64
    """Of the five strings."""
    lengths: I64
    """Of the same, without their NULs."""
    numbers: tuple[int, ...]
    """Of the twelve fields of one octet, of which the last is sm_length."""
    width: int
    """Of all that stands before the short_message."""
    inside: I64
    """The octets that the strings and their NULs are."""
    ends: Bools
    """Which of those are NULs."""


class Fields(NamedTuple):
    """Of n PDUs: the five strings, and the twelve fields of one octet."""

    strings: Sequence[Strings]
    numbers: Sequence[U8]
    behind: I64
    """Where the short_message of each begins."""


@lru_cache(256)
def _layout(lengths: tuple[int, ...]) -> Layout:
    begins: list[int] = []
    numbers: list[int] = []
    at = HEADER
    for place, length in enumerate(lengths, 1):
        begins.append(at)
        at += length + 1
        count = _NUMBERS.count(place)
        numbers += range(at, at + count)
        at += count
    inside = np.concatenate([np.arange(a, a + n + 1) for a, n in zip(begins, lengths, strict=True)])
    ends = np.zeros(len(inside), np.bool_)
    ends[np.cumsum(np.array(lengths) + 1) - 1] = True
    return Layout(np.array(begins)[:, None], np.array(lengths)[:, None], tuple(numbers), at, inside=inside, ends=ends)


def fields_alike(frames: Frames) -> Fields | None:
    """The fields of PDUs that all have the layout of the first one; None where they differ."""
    buffer, begins = frames.buffer, frames.begins
    if not len(begins):
        return None
    first = int(begins[0]) + HEADER
    found = _BODY.match(buffer[first : first + _LONGEST].tobytes())
    if found is None:
        return None
    layout = _layout(tuple(map(len, found.groups())))
    heads: npt.NDArray[np.uint8] = windows(buffer, layout.width)[begins]
    if len(begins) > 1 and not every((heads[:, layout.inside] == 0) == layout.ends):
        return None
    places = layout.begins + begins
    lengths = np.empty_like(places)
    lengths[:] = layout.lengths
    strings = [Strings(buffer, places[n], lengths[n]) for n in range(5)]
    return Fields(strings, [heads[:, at] for at in layout.numbers], begins + layout.width)
