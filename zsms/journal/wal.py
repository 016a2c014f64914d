"""What SQLite's write-ahead log holds, to tell an unfinished end from damage.

SQLite reads its log up to the last group before the first frame whose checksum does not fit, and takes everything
behind that for rubbish. After a crash this is right, because a group is only begun once the one before it is on the
disk: at most the last one can be torn. But when a bit has flipped further in front, whole groups that were confirmed
stand behind it, and they would be skipped in silence. So the log is read here first.

    log     header (32 bytes): magic, version, page size, sequence, salt 1, salt 2, checksum 1, checksum 2
    frame   header (24 bytes): page, pages of the database if the frame ends a group else 0, salts, checksums; a page

The checksums run on from frame to frame: s1 += word + s2, s2 += next word + s1, modulo 2**32, over the header's first
eight bytes and the page. Written out, that is the sum of the words weighted by Fibonacci numbers, which numpy does at
memory speed. (https://www.sqlite.org/fileformat2.html#walformat)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zsms.errors import JournalError
from zsms.words import many

U32 = npt.NDArray[np.uint32]

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682
_WORDS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Log:
    """A log: what SQLite will read of it, and what it will not."""

    size: int = 0
    """Bytes of the file."""
    read: int = 0
    """Bytes up to the end of the last group that SQLite reads."""
    behind: int = 0
    """Frames behind that which belong to this log and not to an earlier one, whose place it took."""
    groups_behind: int = 0
    """Ends of groups among them."""
    there: bool = True

    @property
    def state(self) -> str:
        """How much of it there is, in a word."""
        return "missing" if not self.there else "empty" if self.size <= _HEADER.size else "short"

    @classmethod
    def of(cls, path: Path) -> Log:
        """The log in a file; an empty one when there is none. Raises JournalError when its header is damaged."""
        there = path.exists()
        size = path.stat().st_size if there else 0
        if size <= _HEADER.size:
            return cls(size, there=there)
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
            magic, _, page, _, *salts = _HEADER.unpack(head)[:6]
            sums = _HEADER.unpack(head)[6:]
            order = ">" if magic & 1 else "<"
            checksum = _Checksum(order)
            if magic & ~1 != _MAGIC or checksum.add(head[:24]) != sums:
                raise JournalError(f"{path} is damaged: the groups in it can't be read, its header is not what it was")
            fits, read, behind, groups_behind = True, file.tell(), 0, 0
            while len(frame := file.read(_FRAME.size + page)) >= _FRAME.size:
                _, ends_group, one, two, *sums_ = _FRAME.unpack_from(frame)
                same_log = [one, two] == salts
                whole = len(frame) == _FRAME.size + page
                fits = fits and same_log and whole
                fits = fits and (checksum.add(frame[:8]), checksum.add(frame[_FRAME.size :]))[1] == tuple(sums_)
                behind += same_log
                groups_behind += same_log and bool(ends_group)
                if fits and ends_group:
                    read, behind, groups_behind = file.tell(), 0, 0
        return cls(size, read, behind, groups_behind)

    def check(self, path: Path) -> str:
        """What will be left out, in words; empty when nothing is. Raises JournalError for more than one group."""
        if self.groups_behind > 1:
            raise JournalError(
                f"{path} is damaged at or after byte {self.read:,}: {many(self.groups_behind, 'group')} behind it "
                "can't be read; restore the folder from a copy, or delete that file to go on without them"
            )
        if not self.behind:
            return ""
        return f"the last group, unfinished or damaged, from byte {self.read:,} of {path} on"


class _Checksum:
    """The running checksum of a log whose words are in this byte order."""

    def __init__(self, order: str) -> None:
        self._dtype = np.dtype(f"{order}u4")
        self._sums = (0, 0)
        self._weights: dict[int, U32] = {}

    def add(self, data: bytes) -> tuple[int, int]:
        """The checksums with these bytes, of which there are a multiple of eight."""
        words = np.frombuffer(data, self._dtype).astype(np.uint32)
        count = len(words)
        weights = self._weights.get(count)
        if weights is None:
            weights = self._weights[count] = _fibonacci(count + 2)
        a, b = self._sums
        before = [int(number) for number in weights[-3:]]  # F(n-1), F(n), F(n+1)
        one = int((words * weights[count - 1 :: -1][:count]).sum(dtype=np.uint32)) if count else 0
        two = int((words * weights[count:0:-1]).sum(dtype=np.uint32)) if count else 0
        self._sums = (
            (before[0] * a + before[1] * b + one) & _WORDS,
            (before[1] * a + before[2] * b + two) & _WORDS,
        )
        return self._sums


def _fibonacci(count: int) -> U32:
    """F(0)..F(count - 1), modulo 2**32."""
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append((numbers[-1] + numbers[-2]) & _WORDS)
    return np.array(numbers[:count], dtype=np.uint32)
