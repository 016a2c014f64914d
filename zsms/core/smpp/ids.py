"""Ids of messages as gateways write them: their hash, and the forms in which a receipt may have that of an answer.

Gateways write the id of an answer and that of its receipt alike, or one in decimal and the other in hexadecimal. Case
and zeros before a number count for nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.strings import Bools, Strings, digits, numbers

U64 = npt.NDArray[np.uint64]
Keys = dict[int, tuple[U64, Bools]]
"""By place in `FORMS`: the hash of each id in that form, and whether the id has it."""

_SEED = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(32)
FORMS = ("alike", "hexadecimal of a decimal", "decimal of a hexadecimal")
"""How a receipt's id may have to be read to be that of the answer."""


def normal(ids: Strings) -> Strings:
    """Without zeros before them; the buffer is shared."""
    matrix = ids.matrix()
    if not matrix.shape[1] or not (matrix[:, 0] == 0x30).any():
        return ids
    zero = (matrix == 0x30) & (np.arange(matrix.shape[1]) < ids.lengths[:, None])
    skip = np.where(zero.all(axis=1), ids.lengths - 1, np.argmin(zero, axis=1))
    skip = np.clip(skip, 0, np.maximum(ids.lengths - 1, 0))
    return Strings(ids.buffer, ids.begins + skip, ids.lengths - skip)


def hashes(ids: Strings) -> U64:
    """64 bits of each, uint64[n], that depend on neither case nor zeros before it."""
    own = normal(ids)
    words = max(1, -(-int(own.lengths.max(initial=0)) // 8))
    matrix = own.matrix(8 * words)
    inside = np.arange(8 * words) < own.lengths[:, None]
    letters = np.where((matrix >= 0x41) & (matrix <= 0x5A), matrix | 0x20, matrix)
    columns = np.ascontiguousarray(np.where(inside, letters, 0).astype(np.uint8)).view("<u8")
    found = own.lengths.astype(np.uint64) * _SEED
    for place in range(words):
        mixed = (found ^ columns[:, place]) * _STEP
        mixed = (mixed ^ mixed >> _SHIFT) * _SEED
        mixed ^= mixed >> np.uint64(29)
        # Only the words that a string has, or its hash would depend on how long the others are.
        found = mixed if not place else np.where(own.lengths > 8 * place, mixed, found)
    return found


_HEX = np.frombuffer("".join(f"{number:04x}" for number in range(0x10000)).encode(), "<u4")


def hexadecimals(values: U64) -> Strings:
    """Numbers in hexadecimal digits, without zeros before them."""
    rows = len(values)
    matrix = np.empty((rows, 4), "<u4")
    for place in range(4):
        matrix[:, place] = _HEX[((values >> np.uint64(48 - 16 * place)) & np.uint64(0xFFFF)).astype(np.int64)]
    begins = np.arange(rows, dtype=np.int64) * 16
    full = Strings(matrix.view(np.uint8).reshape(-1), begins, np.full(rows, 16, np.int64))
    return normal(full)


_NIBBLE = np.full(256, 255, np.uint8)
for _value, _letter in enumerate(b"0123456789abcdef"):
    _NIBBLE[_letter] = _value
for _value, _letter in enumerate(b"ABCDEF"):
    _NIBBLE[_letter] = 10 + _value


def from_hexadecimals(ids: Strings) -> tuple[U64, Bools]:
    """Strings of 1 to 16 hexadecimal digits as numbers, uint64[n], and which of them are ones."""
    matrix = _NIBBLE[ids.matrix(16)]
    inside = np.arange(16) < ids.lengths[:, None]
    good = (ids.lengths >= 1) & (ids.lengths <= 16) & ((matrix < 16) | ~inside).all(axis=1)
    found = np.zeros(len(ids), np.uint64)
    for place in range(16):
        found = np.where(inside[:, place], found << np.uint64(4) | (matrix[:, place] & np.uint8(15)), found)
    return np.where(good, found, np.uint64(0)), good


def in_form(ids: Strings, form: int) -> tuple[U64, Bools]:
    """The hash of each in one of `FORMS`, and whether it has that form."""
    if form == 0:
        return hashes(ids), np.ones(len(ids), np.bool_)
    bare = normal(ids)  # of twenty digits and more, too, if zeros fill them up
    if form == 1:
        value, able = numbers(bare)
        return hashes(hexadecimals(value)), able
    value, able = from_hexadecimals(bare)
    return hashes(digits(value)), able


def in_forms(ids: Strings) -> Keys:
    """The same in each of `FORMS`."""
    return {form: in_form(ids, form) for form in range(len(FORMS))}


_DIGIT, _LETTER, _OTHER = 0, 1, 2
_KIND = np.full(256, _OTHER, np.uint8)
_KIND[0x30:0x3A] = _DIGIT
_KIND[0x41:0x47] = _KIND[0x61:0x67] = _LETTER
ENOUGH = 32
"""Ids of two digits and more, of answers and of receipts each, that tell the form: of serial numbers in hexadecimal ten
in a row may have no letter."""
_MOST_SEEN = 4_096


class FormEvidence:
    """In which form receipts have the ids of answers, by the octets of both: letters in the one and none in the other.

    What ids are known, and so what fits, says little where the receipts of others come, too.
    """

    def __init__(self) -> None:
        self._seen = [[0, 0, 0], [0, 0, 0]]
        """Of answers and receipts, how many are decimal, hexadecimal by a letter, and neither."""
        self.form: int | None = None
        """A place in `FORMS`; None: too few have been seen."""

    @property
    def answers(self) -> int:
        """Ids of answers that were seen."""
        return sum(self._seen[0])

    def _found(self) -> int | None:
        if min(map(sum, self._seen)) < ENOUGH:
            return None
        if any(2 * seen[_OTHER] > sum(seen) for seen in self._seen):
            return 0
        # A few that are like no others prove nothing: of serial numbers three in eight have a letter at least.
        answers, receipts = (16 * seen[_LETTER] > seen[_LETTER] + seen[_DIGIT] for seen in self._seen)
        return 0 if answers == receipts else 1 if answers else 2

    def see(self, ids: Strings, *, receipts: bool) -> None:
        """These came."""
        seen = self._seen[receipts]
        if sum(seen) >= _MOST_SEEN:
            return
        own = normal(ids)
        matrix = own.matrix()
        inside = np.arange(matrix.shape[1]) < own.lengths[:, None]
        kinds = np.where(inside, _KIND[matrix], 0).max(axis=1, initial=0)[own.lengths > 1]
        for kind, count in enumerate(np.bincount(kinds, minlength=3).tolist()):
            seen[kind] += count
        self.form = self._found()
