"""Texts of many messages as SMPP has them: octets and data_coding, cut into parts, in columns.

    UTF-8 --encode--> Encoded: GSM-7 an octet a septet (data_coding 0), UCS-2 (8) or Latin-1 (3), a row a text
                         |--split--> Parts: a row a segment; whose it is, which of how many, its octets
                                       with a UDH of 8 or 16 bits before each, or bare (SAR, message_payload)

A text in the GSM 7-bit alphabet takes 160 septets, or 153 a part (152 with a 16-bit reference), UCS-2 70 code units or
67 (66), Latin-1 140 octets or 134 (133). Neither an escape and its character nor a surrogate pair are ever cut apart.

Source: 3GPP TS 23.038, TS 23.040 9.2.3.24.1 and 9.2.3.24.8; the same rules as `zsms.carriers.segments`, which counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from zsms.carriers.segments import BASIC, EXTENSION, UCS2
from zsms.carriers.segments import count as count_segments
from zsms.core.smpp.strings import I64, U8, Block, Bools, Strings, big_endian, join, ones_of, rows_of

CODING_GSM7, CODING_LATIN1, CODING_UCS2 = 0x00, 0x03, 0x08
"""data_coding (5.2.19)."""
ESCAPE = 0x1B
MAX_PARTS = 255
"""Parts of a message that a UDH or SAR parameters can number."""


class Alphabet(Enum):
    """How texts are encoded: as small as each allows, or always alike."""

    AUTO = "auto"
    """GSM-7 where a text has no other characters, else UCS-2."""
    UCS2 = "ucs2"
    LATIN1 = "latin1"
    """Latin-1 where a text has no other characters, else UCS-2."""


class Long(Enum):
    """How a text that is longer than a segment goes out."""

    UDH8 = "udh8"
    """In parts, with an 8-bit reference in a user data header."""
    UDH16 = "udh16"
    SAR = "sar"
    """In parts, with sar_msg_ref_num and its like as optional parameters."""
    PAYLOAD = "payload"
    """In one piece, as message_payload: the SMSC cuts it."""


_UDH = {Long.UDH8: 6, Long.UDH16: 7, Long.SAR: 0, Long.PAYLOAD: 0}
_SINGLE = {CODING_GSM7: 160, CODING_LATIN1: 140, CODING_UCS2: 140}
"""Octets of a text in one segment, as they stand in SMPP, by data_coding."""
_ALWAYS_WHOLE = min(_SINGLE.values())
_PART = {
    Long.UDH8: {CODING_GSM7: 153, CODING_LATIN1: 134, CODING_UCS2: 134},
    Long.UDH16: {CODING_GSM7: 152, CODING_LATIN1: 133, CODING_UCS2: 132},
    Long.SAR: {CODING_GSM7: 153, CODING_LATIN1: 134, CODING_UCS2: 134},
}


def _gsm_codes() -> npt.NDArray[np.uint16]:
    """By code point up to the euro sign: the octet, or escape and octet as 0x1Bxx; 0xFFFF for what has none."""
    codes = np.full(0x20AD, 0xFFFF, np.uint16)
    for code, character in enumerate(BASIC):
        if code != ESCAPE:
            codes[ord(character)] = code
    for character, code in EXTENSION.items():
        codes[ord(character)] = ESCAPE << 8 | code
    return codes


_CODES = _gsm_codes()
_TWICE = 0x80
_TRANSLATE = bytes(
    code if code < _TWICE else 0xFF if code == 0xFFFF else (code & 0xFF) | _TWICE for code in _CODES[:128].tolist()
).ljust(256, b"\xff")
"""Octets of UTF-8 to octets of GSM-7: those behind an escape with the highest bit, 0xFF where there is none."""


@dataclass(slots=True)
class Encoded:
    """A row a text."""

    octets: Strings
    coding: U8
    """data_coding, uint8[n]."""


def encode(text: U8, lengths: npt.NDArray[np.integer], alphabet: Alphabet = Alphabet.AUTO) -> Encoded:
    """Texts in UTF-8 (uint8[...], one after the other, `lengths` octets each) as they go out.

    Raises UsageError for what is no UTF-8.
    """
    sizes = lengths.astype(np.int64, copy=False)
    ends = np.cumsum(sizes)
    coding = np.zeros(len(sizes), np.uint8)
    if alphabet is Alphabet.AUTO:
        octets = np.frombuffer(text.tobytes().translate(_TRANSLATE), np.uint8)
        odd = np.flatnonzero(octets >= _TWICE)
        if not len(odd):
            return Encoded(Strings(octets, ends - sizes, sizes), coding)
        if int(octets[odd].max()) < 0xFF:
            return Encoded(_escaped(octets, ends, sizes, odd), coding)
        odd = odd[octets[odd] == 0xFF]
        rows = np.unique(np.searchsorted(ends, odd, side="right"))
    else:
        octets, rows = text, np.arange(len(sizes))
    if alphabet is Alphabet.AUTO:  # rows that only have escapes are dealt with here, others by their characters
        twice = np.flatnonzero((octets >= _TWICE) & (octets < 0xFF))
        plain = _escaped(octets, ends, sizes, twice) if len(twice) else Strings(octets, ends - sizes, sizes)
    else:
        plain = Strings(octets, ends - sizes, sizes)
    others = Strings(text, ends - sizes, sizes).take(rows)
    return _merge(plain, coding, rows, *_encode(others, alphabet))


def _escaped(octets: U8, ends: I64, sizes: I64, at: I64) -> Strings:
    """Texts with an escape before each of the octets `at`, which have the highest bit set."""
    keep = np.ones((len(octets), 2), np.bool_)
    keep[:, 0] = False
    keep[at, 0] = True
    pairs = np.empty((len(octets), 2), np.uint8)
    pairs[:, 0] = ESCAPE
    np.bitwise_and(octets, 0x7F, out=pairs[:, 1])
    more = np.bincount(np.searchsorted(ends, at, side="right"), minlength=len(sizes))
    return Strings.packed(pairs[keep], sizes + more)


def _merge(plain: Strings, coding: U8, rows: I64, others: Strings, codes: U8) -> Encoded:
    """Texts that were encoded apart in their places again."""
    begins, lengths = plain.begins.copy(), plain.lengths.copy()
    begins[rows] = others.begins + len(plain.buffer)
    lengths[rows] = others.lengths
    coding[rows] = codes
    return Encoded(Strings(np.concatenate([plain.buffer, others.buffer]), begins, lengths), coding)


def _encode(texts: Strings, alphabet: Alphabet) -> tuple[Strings, U8]:
    """Texts with characters that are more than an octet in either encoding."""
    raw = texts.compact()
    found = count_segments(raw.tobytes(), texts.lengths)  # raises for what is no UTF-8
    points = np.frombuffer(raw.tobytes().decode("utf-8").encode("utf-32-le"), "<u4")
    begins_character = np.concatenate(([0], np.cumsum((raw & 0xC0) != 0x80)))
    ends = begins_character[np.cumsum(texts.lengths)]
    counts = np.diff(ends, prepend=0)
    owners = np.repeat(np.arange(len(texts)), counts)
    if alphabet is Alphabet.AUTO:
        wide, code = found.encoding == UCS2, CODING_GSM7
    elif alphabet is Alphabet.UCS2:
        wide, code = np.ones(len(texts), np.bool_), CODING_UCS2
    else:
        wide, code = np.bincount(owners, points > 0xFF, len(texts)) > 0, CODING_LATIN1
    is_wide = wide[owners]
    narrow_points = points[~is_wide]
    if alphabet is Alphabet.LATIN1:
        narrow, twice = narrow_points.astype(np.uint8), np.zeros(len(narrow_points), np.bool_)
    else:
        narrow, twice = _gsm(narrow_points)
    far = (points > 0xFFFF) & is_wide
    units = np.where(is_wide, 2, 1).astype(np.int64)
    units[far] = 4
    units[np.flatnonzero(~is_wide)[twice]] = 2
    lengths = np.bincount(owners, units, len(texts)).astype(np.int64)
    # Both kinds one after the other, each in the order of its texts.
    utf16 = points[is_wide].astype("<u4").tobytes().decode("utf-32-le").encode("utf-16-be")
    buffer = np.concatenate([narrow, np.frombuffer(utf16, np.uint8)])
    short = np.where(wide, 0, lengths)
    long = np.where(wide, lengths, 0)
    begins = np.where(wide, len(narrow) + np.cumsum(long) - long, np.cumsum(short) - short)
    return Strings(buffer, begins, lengths), np.where(wide, CODING_UCS2, code).astype(np.uint8)


def _gsm(points: npt.NDArray[np.uint32]) -> tuple[U8, Bools]:
    """Octets of code points that all are in the alphabet, and which of those take two."""
    codes = _CODES[points]
    twice = codes > 0xFF
    if not twice.any():
        return codes.astype(np.uint8), twice
    pairs = big_endian(codes, 2)
    keep = np.ones(pairs.shape, np.bool_)
    keep[:, 0] = twice
    return pairs[keep], twice


# -- parts ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Parts:
    """A row a segment, those of one text beside each other."""

    owner: I64
    """Whose it is, int64[m]."""
    number: I64
    """Which part, from 1."""
    total: I64
    """Of how many; 1 for a text that is whole."""
    octets: Strings
    """With its user data header, if it has one."""
    coding: U8

    def __len__(self) -> int:
        return len(self.owner)


def limits(coding: U8, single: bool, long: Long) -> I64:
    """Octets of a whole text (`single`) or of a part without its header, by data_coding, int64[n]."""
    table = np.zeros(16, np.int64)
    for code, octets in (_SINGLE if single else _PART[long]).items():
        table[code] = octets
    found: I64 = table[coding]
    return found


def split(encoded: Encoded, long: Long, references: I64) -> Parts:
    """Every text in parts; `references` int64[n] number those that have several (cut to 8 or 16 bits).

    With `Long.PAYLOAD` nothing is cut. A text of more than 255 parts is cut into as many as it needs all the same: look
    at `total`.
    """
    octets, coding = encoded.octets, encoded.coding
    rows, ones = rows_of(len(octets)), ones_of(len(octets))
    if long is Long.PAYLOAD or octets.longest <= _ALWAYS_WHOLE:
        return Parts(rows, ones, ones, octets, coding)
    several = np.flatnonzero(octets.lengths > limits(coding, True, long))
    if not len(several):
        return Parts(rows, ones, ones, octets, coding)
    owner, begins, ends = _cut(octets, coding, several, long)
    total = ones.copy()
    total[several] = np.bincount(owner, minlength=len(octets))[several]
    alone = np.ones(len(octets), np.bool_)
    alone[several] = False
    owner = np.concatenate([rows[alone], owner])
    order = np.argsort(owner, kind="stable")
    owner = owner[order]
    begins = np.concatenate([octets.begins[alone], begins])[order]
    ends = np.concatenate([(octets.begins + octets.lengths)[alone], ends])[order]
    first = np.searchsorted(owner, owner)
    number = np.arange(len(owner)) - first + 1
    bare = Parts(owner, number, total[owner], Strings(octets.buffer, begins, ends - begins), coding[owner])
    return _with_headers(bare, long, references) if _UDH[long] else bare


def _cut(octets: Strings, coding: U8, rows: I64, long: Long) -> tuple[I64, I64, I64]:
    """Where the parts of these texts begin and end: a step a part, over all texts that have one more."""
    most = limits(coding[rows], False, long)
    at, stop = octets.begins[rows], (octets.begins + octets.lengths)[rows]
    code = coding[rows]
    owners, begins, ends = [], [], []
    while len(rows):
        end = np.minimum(at + most, stop)
        inside = end < stop
        before = octets.buffer[end - 1]
        end -= (inside & (code == CODING_GSM7) & (before == ESCAPE)).astype(np.int64)
        unit = octets.buffer[np.maximum(end - 2, 0)]  # the first octet of the last code unit: D8 to DB begins a pair
        end -= 2 * (inside & (code == CODING_UCS2) & (unit >= 0xD8) & (unit <= 0xDB)).astype(np.int64)
        owners.append(rows)
        begins.append(at)
        ends.append(end)
        more = end < stop
        rows, at, stop, most, code = rows[more], end[more], stop[more], most[more], code[more]
    return np.concatenate(owners), np.concatenate(begins), np.concatenate(ends)


def _with_headers(parts: Parts, long: Long, references: I64) -> Parts:
    size = _UDH[long]
    head = np.zeros((len(parts), size), np.uint8)
    reference = references[parts.owner]
    if long is Long.UDH8:
        head[:, :3] = 5, 0, 3
        head[:, 3] = reference & 0xFF
    else:
        head[:, :3] = 6, 8, 4
        head[:, 3:5] = big_endian(reference & 0xFFFF, 2)
    head[:, -2], head[:, -1] = np.minimum(parts.total, 255), np.minimum(parts.number, 255)
    headed = np.where(parts.total > 1, size, 0)
    blocks = [Block(head, headed), Block(parts.octets.matrix(), parts.octets.lengths)]
    octets = Strings.packed(join(len(parts), blocks), headed + parts.octets.lengths)
    return Parts(parts.owner, parts.number, parts.total, octets, parts.coding)
