"""Octets of connections, cut into PDUs.

    octets --Stream.feed--> Frames: begins, ends, command, status, sequence, a row a PDU, nothing copied twice
    octets of many connections in one buffer --walk_together--> Together: the same, and whose each PDU is

A length that can't be ends a stream (`Stream.broken`), for nothing behind it can be found. No more is ever allocated
than came. Where all PDUs of a connection are as long as its first one, as answers often are, no Python statement is
executed for each; where they differ, only the one that adds up lengths.

Source: SMPP Protocol Specification v3.4, issue 1.2; section 3.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.strings import I64, U8, U32, Bools, Strings, every, rows_of, some, windows

Octets = bytes | bytearray | memoryview
HEADER = 16
"""Octets of a header, and so the shortest PDU."""
MAX_PDU = 131_072
"""Longest PDU that is read: the longest message_payload, and as much again."""
PAD = 512
"""Zeros behind a received buffer, so that fixed widths can be copied from anywhere in it."""


class Run(NamedTuple):
    """PDUs of one command and one status that are numbered one after the other."""

    command: int
    status: int
    sequence: int
    """Of the first."""


@dataclass(slots=True)
class Frames:
    """Whole PDUs in one buffer, a row each: `begins` and `ends` int64[n], and the header's uint32[n] columns."""

    buffer: U8
    """What came, and zeros behind it."""
    begins: I64
    ends: I64
    command: U32
    status: U32
    sequence: U32
    length: int = 0
    """Of each, where all stand one behind the other and are as long; 0: they do not, or nobody looked."""
    run: Run | None = None
    """What they are, where they are one; None: they are not, or nobody looked."""

    def __len__(self) -> int:
        return len(self.begins)

    def take(self, rows: npt.NDArray[np.int64] | Bools | slice) -> Frames:
        """Some of them."""
        return Frames(
            self.buffer,
            self.begins[rows],
            self.ends[rows],
            command=self.command[rows],
            status=self.status[rows],
            sequence=self.sequence[rows],
        )

    def matrix(self, width: int) -> U8:
        """The first `width` octets of each, uint8[n, width]; what is behind the end of one is void."""
        if self.length:
            at = int(self.begins[0])
            return np.ndarray((len(self.begins), width), np.uint8, self.buffer.data, at, (self.length, 1))
        found: U8 = windows(self.buffer, width)[self.begins]
        return found

    def octets(self, row: int) -> bytes:
        """One PDU, header and body."""
        return self.buffer[int(self.begins[row]) : int(self.ends[row])].tobytes()

    @property
    def pdus(self) -> Strings:
        """All of them as strings."""
        return Strings(self.buffer, self.begins, self.ends - self.begins)


_UNSIGNED = struct.Struct(">I")
_HEADER = struct.Struct(">IIII")
_PADDING = bytes(PAD)
_COUNTED = np.zeros((1 << 12, 4), np.uint32)
_COUNTED[:, 3] = np.arange(len(_COUNTED))
"""What headers that are alike but for their numbers, one more each, have more than the first one."""
_FEW_HEADS = 128


def _walk(data: Octets, most: int) -> tuple[I64, int, int | None]:
    """Where whole PDUs begin, where the last one ends, and the length that can't be, if one is next."""
    parts: list[I64] = []
    at, end, look = 0, len(data), _LOOK
    while True:
        run, length = _run(data, at, end, look)
        if run >= _LOOK and HEADER <= length <= most:
            parts.append(np.arange(at, at + run * length, length, dtype=np.int64))
            at += run * length
            look *= 4
            continue
        look = _LOOK
        starts, at, wrong = _steps(data, at, end, most)
        parts.append(np.array(starts, dtype=np.int64))
        if wrong is not None or len(starts) < _STEPS:
            return parts[0] if len(parts) == 1 else np.concatenate(parts), at, wrong


_LOOK = 16
_STEPS = 256


def _even(data: Octets, most: int) -> Frames | None:
    """These octets, where they are whole PDUs that are as long; else None."""
    end = len(data)
    if end < HEADER:
        return None
    length, *first = _HEADER.unpack_from(data)
    if not HEADER <= length <= most or end % length:
        return None
    rows = end // length
    heads = _heads(data, rows, length)
    run = None
    if _counted(heads):
        run = Run(*first)
    elif not every(heads[:, 0] == length):
        return None
    return _in_step(_padded(data), heads, length, run)


def _in_step(buffer: U8, heads: U32, length: int, run: Run | None = None) -> Frames:
    """PDUs with these headers uint32[n, 4], one behind the other from the beginning of the buffer."""
    rows = len(heads)
    begins, ends = _few_places(rows, length) if rows <= _FEW_HEADS else _places(rows, length)
    command, status, sequence = heads[:, 1], heads[:, 2], heads[:, 3]
    return Frames(buffer, begins, ends, command=command, status=status, sequence=sequence, length=length, run=run)


def _heads(data: Octets, rows: int, length: int) -> U32:
    """The headers uint32[n, 4] of PDUs that are as long."""
    return np.ndarray((rows, 4), ">u4", data, 0, (length, 4)).astype(np.uint32)


def _counted(heads: U32) -> bool:
    """Whether headers uint32[n, 4] are all the same but for their numbers, one more each."""
    rows = len(heads)
    if rows > len(_COUNTED):
        return False
    rest = heads - _COUNTED[:rows]
    if rows <= _FEW_HEADS:  # octets are compared at a fifth of what numpy's two calls cost
        octets = rest.tobytes()
        return octets == octets[:HEADER] * rows
    return every(rest == rest[0])


def _places(rows: int, length: int) -> tuple[I64, I64]:
    """Where PDUs of one length begin and end."""
    begins = rows_of(rows) * length
    return begins, begins + length


@lru_cache(1_024)
def _few_places(rows: int, length: int) -> tuple[I64, I64]:
    """The same, kept; not to be written to."""
    begins, ends = _places(rows, length)
    begins.flags.writeable = ends.flags.writeable = False
    return begins, ends


def _padded(data: Octets) -> U8:
    """A copy, with `PAD` behind it."""
    return np.frombuffer(b"".join((data, _PADDING)), np.uint8)


def _run(data: Octets, at: int, end: int, most: int) -> tuple[int, int]:
    """How many whole PDUs, of at most so many, are as long as the first one, and how long that is.

    Answers often all are: a look at every `length` octets finds them together.
    """
    if at + 4 > end:
        return 0, 0
    (length,) = _UNSIGNED.unpack_from(data, at)
    count = min((end - at) // length, most) if length >= HEADER else 0
    if count < _LOOK:
        return 0, length
    other = np.ndarray((count,), ">u4", data, at, (length,)) != length
    return (int(other.argmax()) if some(other) else count), length


def _steps(data: Octets, at: int, end: int, most: int) -> tuple[list[int], int, int | None]:
    """The same by adding lengths up, for `_STEPS` PDUs at most."""
    starts: list[int] = []
    add, unpack, last = starts.append, _UNSIGNED.unpack_from, end - 4
    for _ in range(_STEPS):
        if at > last:
            break
        (length,) = unpack(data, at)
        following = at + length
        if following > end or not HEADER <= length <= most:
            return starts, at, None if HEADER <= length <= most else length
        add(at)
        at = following
    return starts, at, None


class Stream:
    """Cuts what comes on a connection into PDUs."""

    def __init__(self, most: int = MAX_PDU) -> None:
        """`most` is the longest PDU that is read, in octets."""
        self.most = most
        self.broken: int | None = None
        """The command_length that ended the stream; None while it is whole."""
        self.header = b""
        """What there is of the header of the PDU that ended it."""
        self.rest = bytearray()
        """Octets of a PDU that is not whole yet."""
        self._wanted = 4

    def take_rest(self) -> bytearray:
        """Those octets, which are the caller's now: what comes next is to be fed behind them."""
        rest, self.rest, self._wanted = self.rest, bytearray(), 4
        return rest

    def feed(self, data: Octets) -> Frames | None:
        """The PDUs that are whole with these octets, None if none is. Whatever follows a broken one is dropped."""
        if self.broken is not None:
            return None
        if self.rest:
            self.rest += data
            if len(self.rest) < self._wanted:
                return None
            data = self.rest
        even = _even(data, self.most)
        if even is not None:
            if self.rest:
                self._keep(data, len(data))
            return even
        begins, end, wrong = _walk(data, self.most)
        if wrong is not None:
            self.broken, self.header = wrong, bytes(data[end : end + HEADER])
        if end < len(data) or self.rest:
            self._keep(data, end)
        return frames_at(_padded(memoryview(data)[:end]), begins) if len(begins) else None

    def _keep(self, data: Octets, end: int) -> None:
        """What is behind there is a PDU that is not whole."""
        self._wanted = 4
        if len(data) - end >= 4 and self.broken is None:
            (self._wanted,) = _UNSIGNED.unpack_from(data, end)
        if end or data is not self.rest:
            self.rest = bytearray(data[end:])


# -- many connections at once ----------------------------------------------------------------------------------------


class Together(NamedTuple):
    """The whole PDUs of n connections' octets."""

    frames: Frames
    owner: I64
    """Whose each PDU is, int64[m], ascending."""
    ends: I64
    """Where the last whole PDU of each connection ends, int64[n]."""
    good: Bools
    """False of a connection whose next length can't be: none of its PDUs is among them. bool[n]."""


_MANY = 16
"""From so many connections on their PDUs are walked side by side, not one connection after the other."""


def walk_together(buffer: U8, begins: I64, ends: I64, most: int = MAX_PDU) -> Together:
    """Cut what came on n connections, each from `begins` to `ends` in one buffer, in order, with `PAD` octets behind.

    The frames are places in that buffer.
    """
    first = _lengths(buffer, begins)
    able = (ends - begins >= 4) & (first >= HEADER) & (first <= most)
    count: I64 = np.where(able, (ends - begins) // np.maximum(first, HEADER), 0)
    owner = np.repeat(rows_of(len(begins)), count)
    starts = begins[owner] + (rows_of(len(owner)) - np.repeat(np.cumsum(count) - count, count)) * first[owner]
    last: I64 = begins + count * first
    following = _lengths(buffer, last)
    uneven = (following >= HEADER) & (last + following <= ends)  # a shorter one comes behind those that are alike
    uneven[owner[_lengths(buffer, starts) != first[owner]]] = True
    if some(uneven):
        odd = uneven.nonzero()[0]
        kept = ~uneven[owner]
        each = _side_by_side if len(odd) >= _MANY else _one_by_one
        more, whose, last[odd] = each(buffer, begins[odd], ends[odd], most)
        starts, owner = np.concatenate([starts[kept], more]), np.concatenate([owner[kept], odd[whose]])
        order = np.argsort(starts)
        starts, owner = starts[order], owner[order]
        following = _lengths(buffer, last)
    good = (ends - last < 4) | ((following >= HEADER) & (following <= most))
    if not every(good):
        starts, owner = starts[good[owner]], owner[good[owner]]
    return Together(frames_at(buffer, starts), owner, last, good)


def even_frames(buffer: U8, length: int) -> Frames:
    """The same of PDUs that are as long, one behind the other from the beginning of the buffer to its `PAD`."""
    rows = (len(buffer) - PAD) // length
    return _in_step(buffer, _heads(buffer.data, rows, length), length)


def frames_at(buffer: U8, begins: I64) -> Frames:
    """The PDUs that begin there; they are whole."""
    heads = windows(buffer, HEADER)[begins].view(">u4").reshape(-1, 4).astype(np.uint32)
    return Frames(buffer, begins, begins + heads[:, 0], command=heads[:, 1], status=heads[:, 2], sequence=heads[:, 3])


def _lengths(buffer: U8, at: I64) -> I64:
    """What stands there as a command_length."""
    found: I64 = windows(buffer, 4)[at].view(">u4").reshape(-1).astype(np.int64)
    return found


def _side_by_side(buffer: U8, begins: I64, ends: I64, most: int) -> tuple[I64, I64, I64]:
    """Where PDUs begin, whose each is, and where each connection's last one ends: a step for the n-th of each."""
    at, active = begins.copy(), np.arange(len(begins))
    starts, owners = [begins[:0]], [active[:0]]
    while len(active):
        here = at[active]
        length = _lengths(buffer, here)
        following = here + length
        whole = (length >= HEADER) & (length <= most) & (following <= ends[active])
        active, here, following = active[whole], here[whole], following[whole]
        starts.append(here)
        owners.append(active)
        at[active] = following
        active = active[following < ends[active]]
    return np.concatenate(starts), np.concatenate(owners), at


def _one_by_one(buffer: U8, begins: I64, ends: I64, most: int) -> tuple[I64, I64, I64]:
    """The same, a connection after the other."""
    starts, counts, last = [], [], []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        found, stop, _ = _walk(buffer[begin:end].tobytes(), most)
        starts.append(found + begin)
        counts.append(len(found))
        last.append(begin + stop)
    return np.concatenate(starts), np.repeat(np.arange(len(begins)), counts), np.array(last, np.int64)
