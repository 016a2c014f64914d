"""The pieces of a sender's window: what was granted at a time, where each ends, and how many of it are open."""

from __future__ import annotations

from array import array
from bisect import bisect_right

import numpy as np

from zsms.core.broker.lot import I64, Lot

_NO_LOT: Lot = None  # type: ignore[assignment]  # of a piece that is settled: nobody looks


class Piece:
    """A granted lot: numbers base..end-1 of its session."""

    __slots__ = ("_of", "base", "end", "granted_at", "lot", "serial")

    def __init__(self, of: Pieces, serial: int, lot: Lot, base: int, now: float) -> None:
        self.lot = lot
        """Let go of when the last message is settled: what is left then is only its place in the window."""
        self.base = base
        self.end = base + lot.size
        self.granted_at = now
        self.serial = serial
        """Counts the pieces of its session."""
        self._of = of

    @property
    def open(self) -> int:
        """How many of its messages are not settled, taken back or copied out."""
        return self._of.left_in(self.serial)


class Pieces:
    """The pieces by their index, oldest first; those before `first` are settled and wait to be cut off."""

    def __init__(self) -> None:
        self.all: list[Piece] = []
        self.first = 0
        self._cut = 0
        """Pieces that were cut off before the first of these."""
        self._make_columns(64)

    def _make_columns(self, room: int) -> None:
        """Where each piece ends and how many are open in it: for one at a time, and the same for many at once."""
        self.ends, self.left = array("q", bytes(8 * room)), array("q", bytes(8 * room))
        self.end_column = np.frombuffer(self.ends, dtype=np.int64)
        self.left_column = np.frombuffer(self.left, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.all)

    def append(self, lot: Lot, base: int, now: float) -> Piece:
        """A piece more, from number `base` on."""
        index = len(self.all)
        if index == len(self.ends):
            ends, left = self.end_column, self.left_column
            self._make_columns(2 * index)
            self.end_column[:index], self.left_column[:index] = ends, left
        piece = Piece(self, self._cut + index, lot, base, now)
        self.all.append(piece)
        self.ends[index] = piece.end
        self.left[index] = lot.size
        return piece

    def index_of(self, piece: Piece) -> int:
        """Where that piece stands."""
        return piece.serial - self._cut

    def find(self, number: int, begin: int = 0) -> int:
        """The index of the piece that has this number, from index `begin` on."""
        return bisect_right(self.ends, number, max(begin, self.first), len(self.all))

    def left_in(self, serial: int) -> int:
        """How many messages are open in that piece."""
        index = serial - self._cut
        return self.left[index] if 0 <= index < len(self.all) else 0

    def close(self, index: int, messages: int) -> bool:
        """So many more of a piece are closed. True when it is settled: what was granted in it is let go of."""
        left = self.left[index] = self.left[index] - messages
        if left:
            return False
        self.all[index].lot = _NO_LOT
        return True

    def close_many(self, indices: I64, closed: I64) -> None:
        """`close` so many of each of these pieces."""
        left = self.left_column[indices] - closed
        self.left_column[indices] = left
        for index in indices[left == 0].tolist():
            self.all[index].lot = _NO_LOT

    def let_go(self, index: int) -> Lot:
        """Close a piece, whatever is open in it; its lot."""
        piece = self.all[index]
        lot, piece.lot = piece.lot, _NO_LOT
        self.left[index] = 0
        return lot

    def pop(self) -> Piece:
        """Forget the newest."""
        return self.all.pop()

    def move_up(self) -> int | None:
        """Let go of the oldest that are settled: from where on there are pieces now, None when nothing has changed."""
        first, left = self.first, self.left
        count = len(self.all)
        while first < count and not left[first]:
            first += 1
        if first == self.first:
            return None
        if first == count or first > max(64, count // 2):
            low = self.ends[first - 1]
            self.cut_off(first)
            return low
        self.first = first
        return self.ends[first - 1]

    def cut_off(self, count: int) -> None:
        """Forget the oldest pieces."""
        left = len(self.all) - count
        del self.all[:count]
        if left:
            for column in (self.end_column, self.left_column):
                column[:left] = column[count : count + left]
        self._cut += count
        self.first = 0
