"""How many segments a text is: GSM 7-bit or UCS-2, in columns.

    text --all in GSM-7?--yes--> septets: 1 a character, 2 for one of the extension table    160, or 153 a part
                         --no--> UCS-2 code units: 1, or 2 for a character beyond U+FFFF       70, or  67 a part

A text that fits one segment has all of it. A longer one is cut into parts that each begin with a user data header, of 6
octets with an 8-bit reference (153 and 67 above) or of 7 with a 16-bit one (152 and 66). Neither an escape and the
character behind it nor the two halves of a surrogate pair are ever divided, so a part may be one unit short.

Source: 3GPP TS 23.038, 6.2.1 and 6.2.1.1 (the tables), TS 23.040, 9.2.3.24.1 and 9.2.3.24.8 (the headers). No national
language tables: without a shift in the header every receiver knows these two only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zsms.errors import UsageError
from zsms.message import Batch, Mixed, ragged
from zsms.options import checked

GSM7, UCS2 = 0, 1
"""Codes of the encodings in `Segments.encoding`."""
NAMES = ("GSM-7", "UCS-2")

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet by code. 0x1B is the escape to the extension table and no character of a text."""
EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}

SINGLE = (160, 70)
"""Units of a text in one segment, by encoding."""
PART = {8: (153, 67), 16: (152, 66)}
"""Units of a part, by bits of the reference and by encoding."""

MOST = 255
"""Parts that one text can be sent in: they are counted in an octet (TS 23.040, 9.2.3.24.1)."""

_WIDE = 3
_NOT_GSM = 2
_FAR = 0x20AD  # beyond the euro sign, the last character of either table


def _classes() -> npt.NDArray[np.uint8]:
    """By code point, `_FAR` for all beyond: 0 in the default alphabet, 1 in the extension table, 2 in neither."""
    classes = np.full(_FAR + 1, _NOT_GSM, np.uint8)
    for character in BASIC.replace("\x1b", ""):
        classes[ord(character)] = 0
    for character in EXTENSION:
        classes[ord(character)] = 1
    return classes


_CLASS = _classes()
_ASCII = bytes(_CLASS[:128]) + bytes([_WIDE]) * 128
"""The same by octet of UTF-8; `_WIDE` where the octet alone does not say."""


@dataclass(frozen=True, slots=True)
class Segments:
    """A row a text."""

    encoding: npt.NDArray[np.uint8]
    """`GSM7` or `UCS2`."""
    units: npt.NDArray[np.int64]
    """Septets or UCS-2 code units of the whole text."""
    segments: npt.NDArray[np.int64]
    """Parts that are sent and paid; an empty text is one."""


@checked
def count(text: bytes | memoryview, lengths: npt.ArrayLike, reference_bits: int = 8) -> Segments:
    """The segments of many texts at once.

    `text` is their UTF-8 one after the other, `lengths` the octets of each (int[n]). Raises UsageError for octets that
    are no UTF-8, lengths that do not add up to the text, and a reference of neither 8 nor 16 bits.
    """
    if reference_bits not in PART:
        raise UsageError(f"a reference of {reference_bits} bits: give 8 or 16")
    try:
        octets = np.asarray(lengths, dtype=np.int64)
        octets = octets.reshape(len(octets))
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"lengths {lengths!r:.80}: give whole numbers, the octets of each text") from None
    ends = np.cumsum(octets)
    if (octets < 0).any() or int(octets.sum()) != len(text):
        raise UsageError(f"texts of {int(octets.sum())} octets in all, but {len(text)} octets of text")
    classes = np.frombuffer(bytes(text).translate(_ASCII), np.uint8)
    # What is not in the default alphabet is rare in most lists: the rest is counted by its octets.
    at = np.flatnonzero(classes)
    kinds, owners = classes[at], np.searchsorted(ends, at, side="right")
    encoding = np.zeros(len(octets), np.uint8)
    encoding[owners[kinds == _NOT_GSM]] = UCS2
    double = np.bincount(owners[kinds == 1], minlength=len(octets)) * (encoding == GSM7)
    units = octets + double
    decoded = np.unique(owners[kinds == _WIDE])
    if len(decoded):
        points, stops = _points(text, octets, ends, decoded)
        encoding[decoded], units[decoded], double[decoded] = _measured(points, stops)
    most = np.array(PART[reference_bits])[encoding]
    segments = np.where(units <= np.array(SINGLE)[encoding], 1, -(-units // most))
    # A part may be one unit short, where a character of two would straddle. Where that could make one part more, look.
    unclear = np.flatnonzero((segments > 1) & (double > 0) & (-(-units // (most - 1)) > segments))
    if len(unclear):
        points, stops = _points(text, octets, ends, unclear)
        segments[unclear] = _parts(points, stops, encoding[unclear], most[unclear])
    return Segments(encoding, units, segments)


def segments_of(batch: Batch | Mixed) -> npt.NDArray[np.int64]:
    """The segments of each message of a batch."""
    if isinstance(batch, Mixed):
        lengths = batch.rows["length"].astype(np.int64)
        begins = (batch.ends - batch.words) * 8
        text = batch.text.view(np.uint8)[ragged(begins, lengths, 1)]
    else:
        lengths, text = batch.lengths.astype(np.int64), batch.text
    return count(text.tobytes(), lengths).segments


def _points(
    text: bytes | memoryview, octets: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], which: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """The code points of the texts `which`, one after the other, and where each text stops. None of them is empty."""
    sizes = octets[which]
    stops = np.cumsum(sizes)
    raw = np.frombuffer(text, np.uint8)
    if len(which) < len(octets):
        raw = raw[np.arange(int(stops[-1])) + np.repeat(ends[which] - stops, sizes)]
    begins_character = (raw & 0xC0) != 0x80
    if not begins_character[stops - sizes].all():
        raise UsageError("a text begins in the middle of a UTF-8 character: the lengths do not fit the text")
    try:
        points = np.frombuffer(raw.tobytes().decode("utf-8").encode("utf-32-le"), "<u4")
    except UnicodeDecodeError as error:
        raise UsageError(f"a text is no UTF-8: {error.reason} at octet {error.start}") from None
    return points, np.cumsum(np.add.reduceat(begins_character, stops - sizes, dtype=np.int64))


def _measured(
    points: npt.NDArray[np.uint32], stops: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Encoding, units, and characters of two units, of texts of these code points."""
    starts = np.concatenate(([0], stops[:-1]))
    classes = _CLASS[np.minimum(points, _FAR)]
    wide = np.maximum.reduceat(classes, starts) == _NOT_GSM
    twice = np.add.reduceat(classes == 1, starts, dtype=np.int64)
    beyond = np.add.reduceat(points > 0xFFFF, starts, dtype=np.int64)
    double = np.where(wide, beyond, twice)
    return wide.astype(np.uint8), stops - starts + double, double


def _parts(
    points: npt.NDArray[np.uint32],
    stops: npt.NDArray[np.int64],
    encoding: npt.NDArray[np.uint8],
    most: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Parts of each text, cut as late as whole characters allow: a step a part, over all texts that have one more."""
    starts = np.concatenate(([0], stops[:-1]))
    of_text = np.repeat(encoding, stops - starts)
    twice = np.where(of_text == UCS2, points > 0xFFFF, _CLASS[np.minimum(points, _FAR)] == 1)
    reached = np.concatenate(([0], np.cumsum(1 + twice.astype(np.int64))))
    parts = np.zeros(len(starts), np.int64)
    left, at = np.arange(len(starts)), starts
    while len(left):
        parts[left] += 1
        at = np.searchsorted(reached, reached[at] + most[left], side="right") - 1
        more = at < stops[left]
        left, at = left[more], at[more]
    return parts


@checked
def split(text: str, reference_bits: int = 8) -> list[str]:
    """The parts of one text, in order. Raises UsageError for a lone surrogate, which no encoding carries."""
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("the text has half of a surrogate pair, or octets that are no UTF-8") from None
    found = count(raw, [len(raw)], reference_bits)
    if int(found.segments[0]) == 1:
        return [text]
    code = int(found.encoding[0])
    most = PART[reference_bits][code]
    parts, begin, used = [], 0, 0
    for index, character in enumerate(text):
        width = 1 + (ord(character) > 0xFFFF if code == UCS2 else character in EXTENSION)
        if used + width > most:
            parts.append(text[begin:index])
            begin, used = index, 0
        used += width
    return [*parts, text[begin:]]
