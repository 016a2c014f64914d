"""Many octet strings as columns, and rows of them joined into one buffer.

    Strings   where n strings stand in one buffer: begins int64[n], lengths int64[n]
    Block     one field of n rows as a matrix uint8[n, width], of which each row has the first lengths[i] octets
    join      the fields of each row one after the other, the rows one after the other: uint8[...]

A row is copied as a whole width and cut by a mask, so nothing is done for each row or octet. Rows of very different
lengths are joined in portions, so that what is made besides the result is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_PORTION = 1 << 19
"""Octets of the rows that are joined at once, about: they stay in the processor's cache."""


FEW = 32
"""Rows of which so many are dealt with faster one by one."""


def some(column: npt.NDArray[Any]) -> bool:
    """Whether any of them is true or not 0: a third of what `any` costs where there are few."""
    if column.dtype.char == "?" and column.size <= _SHORT:
        return 1 in column.tobytes()
    return bool(np.count_nonzero(column))


def every(column: npt.NDArray[Any]) -> bool:
    """Whether all of them are."""
    if column.dtype.char == "?" and column.size <= _SHORT:
        return 0 not in column.tobytes()
    return bool(np.count_nonzero(column) == column.size)


_SHORT = 1_024
"""Truths of which a copy is looked at by bytes: a quarter of what a numpy call costs."""


def windows(buffer: U8, width: int) -> U8:
    """The `width` octets from each octet on, as an overlapping view, uint8[len(buffer) - width + 1, width]."""
    return np.ndarray((max(0, len(buffer) - width + 1), width), np.uint8, buffer.data, 0, (1, 1))


_ROWS = np.arange(1 << 16, dtype=np.int64)
_ROWS.flags.writeable = False
_ONES = np.ones(1 << 16, np.int64)
_ONES.flags.writeable = False


def rows_of(count: int) -> I64:
    """0, 1, ... count - 1, int64; not to be written to."""
    return _ROWS[:count] if count <= len(_ROWS) else np.arange(count, dtype=np.int64)


def ones_of(count: int) -> I64:
    """`count` times 1, int64; not to be written to."""
    return _ONES[:count] if count <= len(_ONES) else np.ones(count, np.int64)


_ZEROS = np.zeros(1 << 12, np.uint32)
_ZEROS.flags.writeable = False


def zeros_of(count: int) -> U32:
    """`count` times 0, uint32; not to be written to."""
    return _ZEROS[:count] if count <= len(_ZEROS) else np.zeros(count, np.uint32)


class Strings:
    """n octet strings in one buffer, uint8[...]; string i is the `lengths[i]` octets from `begins[i]` on."""

    __slots__ = ("_longest", "begins", "buffer", "lengths", "step")

    def __init__(self, buffer: U8, begins: I64, lengths: I64) -> None:
        self.buffer = buffer
        self.begins = begins
        self.lengths = lengths
        self._longest: int | None = None
        self.step = 0
        """From the beginning of each to that of the next, where all are as long; 0: they are not, or nobody looked."""

    def __len__(self) -> int:
        return len(self.begins)

    @property
    def longest(self) -> int:
        """Octets of the longest; 0 of none."""
        if self._longest is None:
            self._longest = int(self.lengths.max()) if len(self.lengths) else 0
        return self._longest

    def __repr__(self) -> str:
        return f"<Strings: {len(self)}>"

    @classmethod
    def of(cls, strings: Sequence[bytes]) -> Strings:
        """From Python's; for tests and small inputs."""
        return cls.packed(np.frombuffer(b"".join(strings), np.uint8), [len(each) for each in strings])

    @classmethod
    def packed(cls, data: U8, lengths: npt.ArrayLike) -> Strings:
        """Strings of these lengths that stand in `data` one after the other."""
        each = np.asarray(lengths, dtype=np.int64)
        return cls(data, np.cumsum(each) - each, each)

    @classmethod
    def evenly(cls, buffer: U8, first: int, step: int, *, length: int, rows: int) -> Strings:
        """Strings as long, the first from `first` on and each `step` octets behind the one before."""
        lengths = np.empty(rows, np.int64)
        lengths.fill(length)
        found = cls(buffer, rows_of(rows) * step + first, lengths)
        found.step, found._longest = step, length
        return found

    @classmethod
    def fixed(cls, column: npt.NDArray[np.bytes_]) -> Strings:
        """From an S column: octets up to the zeros that fill each up."""
        width = column.itemsize
        matrix = np.ascontiguousarray(column).view(np.uint8).reshape(len(column), width)
        filled = matrix != 0
        full = bool(filled.all())
        lengths = np.full(len(column), width) if full else width - np.argmax(filled[:, ::-1], axis=1)
        if not full:
            lengths[~filled.any(axis=1)] = 0
        return cls(matrix.reshape(-1), np.arange(len(column), dtype=np.int64) * width, lengths.astype(np.int64))

    @classmethod
    def joined(cls, parts: Sequence[Strings]) -> Strings:
        """All of these, at least one, in their order; their buffers are copied into one."""
        if len(parts) == 1:
            return parts[0]
        offsets = np.cumsum([0, *(len(part.buffer) for part in parts[:-1])])
        begins = [part.begins + offset for part, offset in zip(parts, offsets.tolist(), strict=True)]
        buffer = np.concatenate([part.buffer for part in parts])
        return cls(buffer, np.concatenate(begins), np.concatenate([part.lengths for part in parts]))

    @classmethod
    def repeated(cls, string: bytes, rows: int) -> Strings:
        """The same string `rows` times."""
        return cls(np.frombuffer(string, np.uint8), np.zeros(rows, np.int64), np.full(rows, len(string), np.int64))

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Strings:
        """Those of some rows; the buffer is shared."""
        return Strings(self.buffer, self.begins[rows], self.lengths[rows])

    def matrix(self, width: int | None = None) -> U8:
        """uint8[n, width], by default as wide as the longest: row i begins with string i, what is behind it is void."""
        if width is None:
            width = self.longest
        if not width or not len(self):
            return np.zeros((len(self), width), np.uint8)
        buffer = self.buffer
        if self.step and int(self.begins[-1]) + width <= len(buffer) and buffer.flags.c_contiguous:
            return np.ndarray((len(self), width), np.uint8, buffer.data, int(self.begins[0]), (self.step, 1))
        beyond = int(self.begins.max()) + width - len(buffer)
        if beyond > 0 or not buffer.flags.c_contiguous:
            buffer = np.concatenate([buffer, np.zeros(max(0, beyond), np.uint8)])
        found: U8 = windows(buffer, width)[self.begins]
        return found

    def column(self, width: int | None = None) -> npt.NDArray[np.bytes_]:
        """As an S column, cut at `width` (by default none is); zeros at an end are lost, as in every S column."""
        matrix = self.matrix(width)
        if not matrix.shape[1]:
            return np.zeros(len(self), "S1")
        short = self.lengths < matrix.shape[1]
        if short.any():
            matrix = np.where(np.arange(matrix.shape[1]) < self.lengths[:, None], matrix, 0).astype(np.uint8)
        return matrix.view(f"S{matrix.shape[1]}").reshape(-1)

    def compact(self) -> U8:
        """The strings' octets one after the other, uint8[lengths.sum()]."""
        return join(len(self), [Block(self.matrix(), self.lengths)])

    def tolist(self) -> list[bytes]:
        """Python's, one by one: for few, for tests and people."""
        if len(self) <= FEW:
            buffer, ends = self.buffer, (self.begins + self.lengths).tolist()
            return [buffer[a:b].tobytes() for a, b in zip(self.begins.tolist(), ends, strict=True)]
        raw = self.buffer.tobytes()
        return [raw[a : a + n] for a, n in zip(self.begins.tolist(), self.lengths.tolist(), strict=True)]


Text = bytes | Strings
"""A field of n rows: one value for all, or one each."""


class Block(NamedTuple):
    """A field of n rows: uint8[n, width], or uint8[1, width] for all alike."""

    matrix: U8
    lengths: I64 | None = None
    """Octets of each row, int64[n]; None: the whole width."""


def constant(octets: bytes) -> Block:
    """The same octets in each row."""
    return Block(np.frombuffer(octets, np.uint8).reshape(1, -1))


def block(text: Text) -> Block:
    """A string each, or one for all."""
    if isinstance(text, bytes):
        return constant(text)
    lengths, width = text.lengths, text.longest
    even = bool(text.step) or not len(lengths) or int(lengths.min()) == width
    return Block(text.matrix(width), None if even else lengths)


def sizes(rows: int, blocks: Sequence[Block]) -> int | I64:
    """Octets of each row, int64[rows], or one figure when all rows are as long."""
    fixed = sum(int(each.matrix.shape[1]) for each in blocks if each.lengths is None)
    ragged = [each.lengths for each in blocks if each.lengths is not None]
    if not ragged:
        return fixed
    total = np.full(rows, fixed, np.int64)
    for lengths in ragged:
        total += lengths
    return total


def join(rows: int, blocks: Sequence[Block]) -> U8:
    """The blocks of each row one after the other, the rows one after the other, uint8[...]."""
    width = sum(each.matrix.shape[1] for each in blocks)
    if rows * width > _PORTION and rows > 1:
        step = max(1, _PORTION // width)
        parts = [_joined(min(step, rows - at), _rows(blocks, at, at + step), width) for at in range(0, rows, step)]
        return np.concatenate(parts)
    return _joined(rows, blocks, width)


def _rows(blocks: Sequence[Block], begin: int, end: int) -> list[Block]:
    return [
        Block(
            each.matrix if len(each.matrix) == 1 else each.matrix[begin:end],
            None if each.lengths is None else each.lengths[begin:end],
        )
        for each in blocks
    ]


def _joined(rows: int, blocks: Sequence[Block], width: int) -> U8:
    out = np.empty((rows, width), np.uint8)
    keep: Bools | None = None
    at = 0
    for matrix, lengths in blocks:
        end = at + matrix.shape[1]
        out[:, at:end] = matrix
        if lengths is not None:
            if keep is None:
                keep = np.ones((rows, width), np.bool_)
            np.less(np.arange(end - at), lengths[:, None], out=keep[:, at:end])
        at = end
    return out.reshape(-1) if keep is None else out[keep]


def big_endian(values: npt.ArrayLike, octets: int) -> U8:
    """Unsigned integers of 1, 2, 4 or 8 octets, uint8[n, octets]."""
    column = np.asarray(values).astype(f">u{octets}")
    return column.view(np.uint8).reshape(len(column), octets)


def folded(strings: Strings, start: npt.NDArray[np.uint64], most: int) -> npt.NDArray[np.uint64]:
    """64 bits of each, uint64[n], that depend on `start` uint64[n] and on its length and first `most` octets.

    A word of eight octets at a time, by the multiplications and shifts of SplitMix64. (Steele, Lea and Flood, 2014.)
    """
    width = min(most, strings.longest)
    words = -(-width // 8)
    found = (start ^ strings.lengths.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    if not words:
        return found
    matrix = np.ascontiguousarray(strings.matrix(8 * words))
    columns = matrix.view("<u8")
    whole = min(most, int(strings.lengths.min()))
    alike = whole == width
    """All are as long, or longer than what is looked at."""
    for at, word in zip(range(0, 8 * words, 8), columns.T, strict=True):
        if at + 8 <= whole:
            found = _mixed(found, word)
        elif alike:
            found = _mixed(found, word & _FIRST[whole - at])
        else:  # octets that are another's, or too many
            left = np.clip(np.minimum(strings.lengths, most) - at, 0, 8)
            found = np.where(left > 0, _mixed(found, word & _FIRST[left]), found)
    return found


def _mixed(found: npt.NDArray[np.uint64], word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = (found ^ word) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(32)
    return mixed


_FIRST = np.array([(1 << 8 * octets) - 1 for octets in range(9)], np.uint64)
"""Of a little-endian word its first octets, by how many."""


def integers(values: npt.ArrayLike, octets: int) -> Strings:
    """The same as strings."""
    matrix = big_endian(values, octets)
    rows = len(matrix)
    return Strings(matrix.reshape(-1), np.arange(rows, dtype=np.int64) * octets, np.full(rows, octets, np.int64))


_FOUR = np.frombuffer("".join(f"{number:04}" for number in range(10_000)).encode(), "<u4")
"""Four digits by number."""
_POWERS = np.array([10**power for power in range(1, 20)], np.uint64)


def digits(numbers: npt.NDArray[np.uint64]) -> Strings:
    """Numbers in decimal digits, without zeros before them; 0 is "0"."""
    rows = len(numbers)
    if rows <= FEW:
        return Strings.of([b"%d" % each for each in numbers.tolist()])
    most, least = int(numbers.max()), int(numbers.min())
    length = len(str(most))
    groups = max(1, -(-length // 4))
    matrix = np.empty((rows, groups), "<u4")
    if most // 10_000 == least // 10_000 and len(str(least)) == length:  # as serial numbers mostly are
        high = most // 10_000
        matrix[:, :-1] = np.frombuffer(f"{high:0{4 * groups}}".encode(), "<u4")[1:]
        matrix[:, -1] = _FOUR[(numbers - np.uint64(10_000 * high)).astype(np.int64)]
        octets = matrix.view(np.uint8).reshape(-1)
        return Strings.evenly(octets, 4 * groups - length, 4 * groups, length=length, rows=rows)
    left = numbers
    for place in range(groups - 1, -1, -1):
        rest = left // np.uint64(10_000)
        matrix[:, place] = _FOUR[(left - rest * np.uint64(10_000)).astype(np.int64)]
        left = rest
    lengths = np.searchsorted(_POWERS, numbers, "right") + 1
    ends = np.arange(1, rows + 1, dtype=np.int64) * (4 * groups)
    return Strings(matrix.view(np.uint8).reshape(-1), ends - lengths, lengths.astype(np.int64))


def numbers(strings: Strings) -> tuple[npt.NDArray[np.uint64], Bools]:
    """Strings of 1 to 19 decimal digits as numbers, uint64[n], and which of them are ones, bool[n]; 0 for others."""
    width = 19
    matrix = strings.matrix(width)
    inside = np.arange(width) < strings.lengths[:, None]
    value = np.where(inside, matrix.astype(np.int16) - 48, 0)
    good = (strings.lengths >= 1) & (strings.lengths <= width) & ((value >= 0) & (value <= 9)).all(axis=1)
    found = np.zeros(len(strings), np.uint64)
    longest = int(strings.lengths[good].max()) if good.any() else 0
    for place in range(longest):
        found = np.where(inside[:, place], found * np.uint64(10) + value[:, place].astype(np.uint64), found)
    return np.where(good, found, np.uint64(0)), good
