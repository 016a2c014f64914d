"""What one sender holds, as the broker sees it.

A session numbers the messages it was granted 0, 1, 2, ... whatever producers they came from, and a sender
acknowledges by these numbers. So a sender can't name what another one holds, a message is in flight in at most one
place, and "settled once" needs no memory of messages gone by: one byte for each number in the window tells whether it
is open.

      low                        granted          limit
       |  0 1 1 0 0 1 1 1 1 1 1 1 |  ............. |
       |<------ the window ------>|<--- credit --->|

    granted(lot)      append a piece to the window
    settle(numbers)   close numbers; a number that is not open any more counts as repeated and changes nothing
    take_back(piece)  close what is open in a piece and return it as a lot that others can be given

The window's pieces are (part of) batches. A piece that is wholly settled lets go of its batch, and when the oldest are
the window moves up.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.lot import I64, Lot, Part, gather, mixed_lot
from zsms.message import Mixed, Sources

_SPARSE = 2
"""A window of so many times the open messages (and `_SPARSE_FROM` more) is cut: what is open of the oldest pieces is
copied out."""
_SPARSE_FROM = 1_024
_FEW = 8
"""Up to this many acknowledgements plain ints beat arrays."""


class Piece:
    """A granted lot: numbers base..end-1 of its session."""

    __slots__ = ("_of", "base", "end", "granted_at", "lot", "serial")

    def __init__(self, of: Session, serial: int, lot: Lot, base: int, now: float) -> None:
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


@dataclass(slots=True)
class Settled:
    """What one column of an acknowledgement did."""

    lots: list[Lot]
    """What was granted in the pieces touched, oldest first."""
    bases: list[int]
    """The first number of each."""
    counts: list[int]
    """How many numbers were closed in each."""
    numbers: I64
    """The numbers closed in them, ascending: those of the first piece, those of the second, ..."""
    repeated: int
    """Numbers that were closed before."""
    old: Sequence[Part] = ()
    """What was closed of those that have outlasted the window."""

    @property
    def fresh(self) -> int:
        """How many numbers were closed."""
        return len(self.numbers) + sum(len(positions) for _, positions in self.old)

    def positions(self) -> Iterator[Part]:
        """Each lot touched, with the positions in it that were closed."""
        yield from self.old
        begin = 0
        for lot, base, count in zip(self.lots, self.bases, self.counts, strict=True):
            yield lot, self.numbers[begin : begin + count] - base
            begin += count


class _Old:
    """Messages that have outlasted the window: their numbers (ascending), when and from where on each was granted."""

    def __init__(self, lot: Lot, numbers: I64, bases: I64, granted_at: npt.NDArray[np.float64]) -> None:
        self.lot = lot
        self.numbers = numbers
        self.bases = bases
        self.granted_at = granted_at
        self.is_open = np.ones(len(numbers), dtype=bool)
        self.open = len(numbers)

    def find(self, numbers: I64) -> I64:
        """Where those of `numbers` stand that are open."""
        at = np.searchsorted(self.numbers, numbers)
        at[at == len(self.numbers)] = 0
        found: I64 = at[(self.numbers[at] == numbers) & self.is_open[at]]
        return found

    def close(self, positions: I64) -> None:
        """These are settled or taken back."""
        self.is_open[positions] = False
        self.open -= len(positions)

    def remaining(self) -> _Old:
        """The same without what is closed, in memory of its own."""
        left = np.flatnonzero(self.is_open)
        whole = self.lot.whole
        assert isinstance(whole, Mixed)
        return _Old(mixed_lot(whole.take(left)), self.numbers[left], self.bases[left], self.granted_at[left])

    def joined(self, other: _Old) -> _Old:
        """Both; the other's numbers are greater."""
        parts = [old.remaining() if old.open < len(old.numbers) else old for old in (self, other)]
        whole: Any = Mixed.join([part.lot.whole for part in parts])  # type: ignore[misc]
        return _Old(
            mixed_lot(whole),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("numbers", "bases", "granted_at")),
        )


Late = list[tuple[_Old, I64]]
"""Messages that have outlasted the window, by their positions."""


class Session:
    """One sender's window and credit."""

    def __init__(
        self, token: int, name: str, slots: int, peer: bytes, now: float, sources: Sources | None = None
    ) -> None:
        """`sources` are the broker's accounts by their index."""
        self._sources: Sources = [] if sources is None else sources
        self._olds: list[_Old] = []
        """By number; each has more than twice as many open as the next, so that they are few."""
        self.token = token
        self.name = name
        self.slots = slots
        self.peer = peer
        self.last_seen = now
        self.join = 0
        self.asked = 0
        """The join in which it was asked to join again, because an acknowledgement is missing; 0: in none."""
        self.lease = 0.0
        self.limit = 0
        self.granted = 0
        self.acked = 0
        """The next acknowledgement frame expected."""
        self.in_flight = 0
        self.sent = 0
        self.failed = 0
        self.reachable = True
        self.blocked_until = 0.0
        self._low = 0
        self._flags = bytearray(1024)
        self._open = np.frombuffer(self._flags, dtype=np.uint8)
        """The same, for many at once."""
        self._head = 0
        """Where `_low` stands in `_open`."""
        self._pieces: list[Piece] = []
        self._cut = 0
        """Pieces that were cut off before the first of these."""
        self._make_columns(64)
        self.account: ProducerAccount | None = None
        """The producer of every piece in the window, None when there are several."""
        self._first = 0
        """Pieces before this are settled and wait to be cut off."""

    @property
    def wants(self) -> int:
        """Messages that may be granted now."""
        return self.limit - self.granted

    @property
    def idle(self) -> int:
        """Of `wants`, those that would start to be sent at once."""
        return min(self.wants, self.slots - self.in_flight)

    @property
    def low(self) -> int:
        """Where the window begins: only what has outlasted it may be open below."""
        return self._low

    def old(self) -> tuple[Lot, I64, npt.NDArray[np.float64]] | None:
        """What has outlasted the window and is open: a lot, the numbers of its messages, and when each was granted."""
        if not self._olds:
            return None
        whole = self._olds[0].remaining()
        for old in self._olds[1:]:
            whole = whole.joined(old)
        return whole.lot, whole.numbers, whole.granted_at

    @property
    def oldest_grant(self) -> float | None:
        """When the oldest message that is open was granted; None when there is none."""
        times = [float(old.granted_at[old.is_open].min()) for old in self._olds[:1]]
        times += [piece.granted_at for piece in self._pieces[self._first :] if piece.open][:1]
        return min(times, default=None)

    def pieces(self) -> list[Piece]:
        """The window's pieces, oldest first."""
        return self._pieces[self._first :]

    def left_in(self, serial: int) -> int:
        """How many messages are open in that piece."""
        index = serial - self._cut
        return self._left[index] if 0 <= index < len(self._pieces) else 0

    def _make_columns(self, room: int) -> None:
        """Where each piece ends and how many are open in it: for one at a time, and the same for many at once."""
        self._ends, self._left = array("q", bytes(8 * room)), array("q", bytes(8 * room))
        self._end_column = np.frombuffer(self._ends, dtype=np.int64)
        self._left_column = np.frombuffer(self._left, dtype=np.int64)

    def _append(self, lot: Lot, now: float) -> Piece:
        index = len(self._pieces)
        if index == len(self._ends):
            ends, left = self._end_column, self._left_column
            self._make_columns(2 * index)
            self._end_column[:index], self._left_column[:index] = ends, left
        piece = Piece(self, self._cut + index, lot, self.granted, now)
        self._pieces.append(piece)
        self._ends[index] = piece.end
        self._left[index] = lot.size
        return piece

    def _cut_off(self, count: int) -> None:
        """Forget the oldest pieces."""
        left = len(self._pieces) - count
        del self._pieces[:count]
        for column in (self._end_column, self._left_column):
            column[:left] = column[count : count + left]
        self._cut += count
        self._first = 0

    def grant(self, lot: Lot, now: float) -> Piece:
        """Append the lot to the window."""
        size = lot.size
        if not self.in_flight:
            self.account = lot.account
        elif self.account is not lot.account:
            self.account = None
        tail = self._head + (self.granted - self._low)
        if tail + size > len(self._flags):
            tail = self._make_room(size)
        if size == 1:
            self._flags[tail] = 1
        else:
            self._open[tail : tail + size] = 1
        piece = self._append(lot, now)
        self.granted += size
        self.in_flight += size
        return piece

    def _make_room(self, size: int) -> int:
        """Move the window to the front of its array, of twice the size if need be; return where its tail is."""
        window = self.granted - self._low
        old = self._open[self._head : self._head + window]
        if window + size > len(self._open) // 2:
            self._flags = bytearray(2 * (window + size))
            self._open = np.frombuffer(self._flags, dtype=np.uint8)
        self._open[:window] = old
        self._head = 0
        return window

    def settle(self, numbers: I64, counted: bool = False) -> Settled:
        """Close `numbers`, int64 strictly ascending, all below `granted` (the caller has checked that).

        `counted`: of the window's it is enough to be told how many they were, and not what was granted in their pieces.
        """
        if len(numbers) <= _FEW and not self._olds:
            return self._settle_few(numbers)
        below = int(np.searchsorted(numbers, self._low))
        old = self._settle_old(numbers[:below]) if below else []
        repeated = below - sum(len(positions) for _, positions in old)
        numbers = numbers[below:]
        places = numbers + (self._head - self._low)
        flags = self._open[places]
        if not flags.all():
            is_open = flags.astype(bool)
            repeated += int(len(numbers) - np.count_nonzero(is_open))
            numbers, places = numbers[is_open], places[is_open]
        self._open[places] = 0
        self.in_flight -= len(numbers)
        settled = Settled([], [], [], numbers, repeated, old)
        if len(numbers):
            self._close_in_pieces(numbers, settled, counted)
            self._move_up()
        return settled

    def _settle_old(self, numbers: I64) -> list[Part]:
        """Close those of these that have outlasted the window."""
        parts: list[Part] = []
        for old in self._olds:
            begin, end = np.searchsorted(numbers, (old.numbers[0], old.numbers[-1] + 1))
            if begin == end:
                continue
            positions = old.find(numbers[begin:end])
            if len(positions):
                parts.append((old.lot, positions))
                self._close_old(old, positions)
        if parts:
            self._tidy()
        return parts

    def _close_old(self, old: _Old, positions: I64) -> None:
        old.close(positions)
        self.in_flight -= len(positions)

    def _tidy(self) -> None:
        """Let go of what is settled of those that have outlasted the window."""
        self._olds = [old if old.open >= len(old.numbers) // 2 else old.remaining() for old in self._olds if old.open]

    def thin(self) -> None:
        """Cut the window when few of its messages are open: what is open of the oldest pieces is copied out.

        So the memory follows what is open, and not the age of the oldest of it.
        """
        window = self.granted - self._low
        if window <= _SPARSE * self.in_flight + _SPARSE_FROM:
            return
        enough = window - int(3 * _SPARSE * self.in_flight + 2 * _SPARSE_FROM) // 4
        pieces, last = self._pieces, self._first
        parts: list[Part] = []
        numbers, bases, times = [], [], []
        begin = self._low
        while last < len(pieces) and pieces[last].base - begin < enough:
            piece = pieces[last]
            last += 1
            if not self._left[last - 1]:
                continue
            part = self._close_piece(last - 1)
            positions = part[1]
            parts.append(part)
            numbers.append(positions + piece.base)
            bases.append(np.full(len(positions), piece.base, dtype=np.int64))
            times.append(np.full(len(positions), piece.granted_at))
        if parts:
            lot = mixed_lot(gather(parts, self._sources))
            olds = self._olds
            olds.append(_Old(lot, np.concatenate(numbers), np.concatenate(bases), np.concatenate(times)))
            while len(olds) > 1 and olds[-2].open <= 2 * olds[-1].open:
                newest = olds.pop()
                olds[-1] = olds[-1].joined(newest)
        self._move_up()

    def _close_piece(self, index: int) -> Part:
        """Close what is open in a piece, but for `in_flight`; its lot and the positions there."""
        piece = self._pieces[index]
        begin = self._head + piece.base - self._low
        flags = self._open[begin : begin + piece.end - piece.base]
        positions = np.flatnonzero(flags)
        flags[:] = 0
        part = piece.lot, positions
        self._left[index], piece.lot = 0, _NO_LOT
        return part

    def _close_in_pieces(self, numbers: I64, settled: Settled, counted: bool) -> None:
        """Count these numbers of the window as closed in their pieces, and let go of what was granted in settled ones.

        The cost is that of the pieces between the first and the last number, or of the numbers, whichever is less.
        """
        pieces, count = self._pieces, len(self._pieces)
        begin = bisect_right(self._ends, int(numbers[0]), self._first, count)
        end = bisect_left(self._ends, int(numbers[-1]) + 1, begin, count) + 1
        if end - begin <= 4 * len(numbers) + 16:
            cuts = np.searchsorted(numbers, self._end_column[begin:end])
            closed = cuts.copy()
            closed[1:] -= cuts[:-1]
            left = self._left_column[begin:end]
            left -= closed
            touched = np.flatnonzero(closed)
            if not counted:
                lots = [pieces[index].lot for index in (touched + begin).tolist()]
                self._touch(settled, lots, (touched + begin).tolist(), closed[touched].tolist())
            for index in touched[left[touched] == 0].tolist():
                pieces[begin + index].lot = _NO_LOT
            return
        plain, place = numbers.tolist(), 0
        while place < len(plain):
            begin = bisect_right(self._ends, plain[place], begin, count)
            after = bisect_left(plain, self._ends[begin], place)
            self._touch(settled, [pieces[begin].lot], [begin], [after - place])
            self._left[begin] -= after - place
            if not self._left[begin]:
                pieces[begin].lot = _NO_LOT
            place = after

    def _touch(self, settled: Settled, lots: list[Lot], indices: list[int], counts: list[int]) -> None:
        settled.lots += lots
        settled.bases += [self._pieces[index].base for index in indices]
        settled.counts += counts

    def settle_one(self, number: int) -> tuple[Lot, int] | None:
        """Close one number below `granted`; its lot and place in that, or None when it was closed before."""
        if number < self._low:
            old = self._settle_old(np.array([number]))
            return (old[0][0], int(old[0][1][0])) if old else None
        place = number + self._head - self._low
        flags = self._flags
        if not flags[place]:
            return None
        flags[place] = 0
        index = self._first
        pieces = self._pieces
        if number >= pieces[index].end:
            index = bisect_right(self._ends, number, index, len(pieces))
        piece = pieces[index]
        self.in_flight -= 1
        left = self._left[index] = self._left[index] - 1
        lot = piece.lot
        if not left:
            piece.lot = _NO_LOT
            self._move_up()
        return lot, number - piece.base

    def _settle_few(self, numbers: I64) -> Settled:
        """`settle` for a handful: the same, without the arrays' overhead."""
        settled = Settled([], [], [], numbers, 0)
        closed: list[int] = []
        flags, low, shift = self._open, self._low, self._head - self._low
        for number in numbers.tolist():
            if number < low or not flags[number + shift]:
                continue
            flags[number + shift] = 0
            index = bisect_right(self._ends, number, self._first, len(self._pieces))
            self._touch(settled, [self._pieces[index].lot], [index], [1])
            self._left[index] -= 1
            if not self._left[index]:
                self._pieces[index].lot = _NO_LOT
            closed.append(number)
        settled.repeated = len(numbers) - len(closed)
        self.in_flight -= len(closed)
        self._move_up()
        if settled.repeated:
            settled.numbers = np.array(closed, dtype=np.int64)
        return settled

    def _move_up(self) -> None:
        """Let go of the oldest pieces that are wholly settled."""
        pieces, first = self._pieces, self._first
        left = self._left
        while first < len(pieces) and not left[first]:
            first += 1
        if first == self._first:
            return
        low = self._ends[first - 1]
        self._head += low - self._low
        self._low = low
        if (first > 64 and first > len(pieces) // 2) or first == len(pieces):
            self._cut_off(first)
        else:
            self._first = first

    def take_back(self, piece: Piece) -> Lot | None:
        """Close what is open in the piece and return it, or None when nothing is. The history is unchanged."""
        part = self.take_part(piece)
        if part is None or len(part[1]) == part[0].size:
            return None if part is None else part[0]
        return mixed_lot(gather([part], self._sources))

    def take_part(self, piece: Piece) -> Part | None:
        """Close what is open in the piece: its lot and the positions there, or None when nothing is."""
        if not piece.open:
            return None
        part = self._close_piece(piece.serial - self._cut)
        self.in_flight -= len(part[1])
        return part

    def take_old(self, late: Late | None = None) -> list[Part]:
        """Close these (None: all) of what has outlasted the window: their lots and the positions in them."""
        if late is None:
            late = [(old, np.flatnonzero(old.is_open)) for old in self._olds]
        for old, positions in late:
            self._close_old(old, positions)
        self._tidy()
        return [(old.lot, positions) for old, positions in late]

    def expired(self, now: float) -> tuple[list[Piece], Late]:
        """What was granted longer ago than the lease and is not settled: pieces, oldest first, and older messages.

        The latter for `take_old`.
        """
        self._move_up()
        pieces = takewhile(lambda piece: piece.granted_at + self.lease <= now, islice(self._pieces, self._first, None))
        each = [(old, np.flatnonzero((old.granted_at + self.lease <= now) & old.is_open)) for old in self._olds]
        return [piece for piece in pieces if piece.open], [late for late in each if len(late[1])]

    def undo(self) -> Lot | None:
        """Forget the newest grant as if it had never been made, and return what was open of it."""
        piece = self._pieces[-1]
        lot = self.take_back(piece)
        self._pieces.pop()
        self.granted = piece.base
        return lot

    def rewind(self, received: int) -> list[Lot]:
        """Forget every grant from number `received` on, newest first: the wire lost them.

        Raises ValueError unless `received` is where a piece of the window begins, or an older one with anything open,
        or `granted`.
        """
        known = received == self.granted or received in [piece.base for piece in self.pieces()]
        if not known and not any(received in old.bases[old.is_open] for old in self._olds):
            raise ValueError(f"received {received}, but no grant ended there")
        lots = []
        while self.granted > max(received, self._low):
            lot = self.undo()
            if lot is not None:
                lots.append(lot)
        if self._olds and received < self._low:
            late = [(old, np.flatnonzero((old.numbers >= received) & old.is_open)) for old in self._olds]
            parts = self.take_old([each for each in late if len(each[1])])
            lots += [mixed_lot(gather([part], self._sources)) for part in reversed(parts)]
            self._olds = [old.remaining() for old in self._olds]  # the numbers from `received` on will be others
            self.granted = self._low = received
            self._cut_off(len(self._pieces))
        return lots


_NO_LOT: Lot = None  # type: ignore[assignment]  # of a piece that is settled: nobody looks
