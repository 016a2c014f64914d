"""The numbers that one sender was granted, and which of them are open.

A session numbers the messages it was granted 0, 1, 2, ... whatever producers they came from, and a sender
acknowledges by these numbers. So a sender can't name what another one holds, a message is in flight in at most one
place, and "settled once" needs no memory of messages gone by: one byte for each number in the window tells whether it
is open.

      low                        granted          limit
       |  0 1 1 0 0 1 1 1 1 1 1 1 |  ............. |
       |<------ the window ------>|<--- credit --->|

    grant(lot)        append a piece to the window
    settle(numbers)   close numbers; a number that is not open any more counts as repeated and changes nothing
    take_back(piece)  close what is open in a piece and return it as a lot that others can be given

The window's pieces are (part of) batches. A piece that is wholly settled lets go of its batch, and when the oldest are
the window moves up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile

import numpy as np
import numpy.typing as npt

from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.lot import I64, Lot, Part, gather, mixed_lot
from zsms.core.broker.outlasted import Late, Old, Outlasted
from zsms.core.broker.pieces import Piece, Pieces
from zsms.message import Sources

_SPARSE = 1.5
"""A window of so many times the open messages (and `SPARSE_FROM` more) is cut: what is open of the oldest pieces is
copied out, where it takes twice as much."""
_SPARED = 1.4
"""To so many times, and half of the rest: little at once, for the copies need room before there is any."""
SPARSE_FROM = 1_024
FEW = 8
"""Up to this many acknowledgements plain ints beat arrays."""


@dataclass(slots=True)
class Settled:
    """What one column of an acknowledgement did."""

    numbers: I64
    """The numbers closed in the window, ascending: those of the first piece, those of the second, ..."""
    repeated: int
    """Numbers that were closed before."""
    old: Sequence[Part] = ()
    """What was closed of those that have outlasted the window."""
    lots: list[Lot] = field(default_factory=list)
    """What was granted in the pieces touched, oldest first."""
    bases: list[int] = field(default_factory=list)
    """The first number of each."""
    counts: list[int] = field(default_factory=list)
    """How many numbers were closed in each."""

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

    def touch(self, piece: Piece, count: int) -> None:
        """So many numbers are being closed in that piece."""
        self.lots.append(piece.lot)
        self.bases.append(piece.base)
        self.counts.append(count)


class Window:
    """What was granted, numbered, and what of it is open."""

    def __init__(self, sources: Sources) -> None:
        """`sources` are the broker's accounts by their index."""
        self._sources = sources
        self.granted = 0
        """The next number."""
        self.in_flight = 0
        """Numbers that are open."""
        self.held = 0
        """Numbers that are closed, but count as open in their pieces still."""
        self.account: ProducerAccount | None = None
        """The producer of every piece in the window, None when there are several."""
        self._low = 0
        self._flags = bytearray(1024)
        self._open = np.frombuffer(self._flags, dtype=np.bool_)
        """The same, for many at once."""
        self._head = 0
        """Where `_low` stands in `_open`."""
        self._pieces = Pieces()
        self._outlasted = Outlasted()

    @property
    def low(self) -> int:
        """Where the window begins: only what has outlasted it may be open below."""
        return self._low

    def old(self) -> tuple[Lot, I64, npt.NDArray[np.float64]] | None:
        """What has outlasted the window and is open: a lot, the numbers of its messages, and when each was granted."""
        return self._outlasted.shown()

    @property
    def oldest_grant(self) -> float | None:
        """When the oldest message that is open was granted; None when there is none."""
        times = [piece.granted_at for piece in self.pieces() if piece.open][:1]
        oldest = self._outlasted.oldest_grant
        return min(times if oldest is None else [*times, oldest], default=None)

    def pieces(self) -> list[Piece]:
        """The window's pieces, oldest first."""
        return self._pieces.all[self._pieces.first :]

    def open_in(self, piece: Piece) -> I64:
        """Which messages of a piece of the window are open: their positions in its lot."""
        begin = self._head + piece.base - self._low
        return np.flatnonzero(self._open[begin : begin + piece.end - piece.base])

    # -- granting ---------------------------------------------------------------------------------------------

    def grant(self, lot: Lot, now: float) -> Piece:
        """Append the lot to the window."""
        size = lot.size
        if not (self.in_flight or self.held):
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
        piece = self._pieces.append(lot, self.granted, now)
        self.granted += size
        self.in_flight += size
        return piece

    def _make_room(self, size: int) -> int:
        """Move the window to the front of its array, of twice the size if need be; return where its tail is."""
        window = self.granted - self._low
        old = self._open[self._head : self._head + window]
        if window + size > len(self._open) // 2:
            self._flags = bytearray(2 * (window + size))
            self._open = np.frombuffer(self._flags, dtype=np.bool_)
        self._open[:window] = old
        self._head = 0
        return window

    def undo(self) -> Lot | None:
        """Forget the newest grant as if it had never been made, and return what was open of it."""
        piece = self._pieces.all[-1]
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
        if not known and not self._outlasted.begins(received):
            raise ValueError(f"received {received}, but no grant ended there")
        lots = []
        while self.granted > max(received, self._low):
            lot = self.undo()
            if lot is not None:
                lots.append(lot)
        if self._outlasted and received < self._low:
            parts = self._close_old(self._outlasted.numbered_from(received))
            lots += [mixed_lot(gather([part], self._sources)) for part in reversed(parts)]
            self._outlasted.forget_closed()
            self.granted = self._low = received
            self._pieces.cut_off(len(self._pieces))
        return lots

    # -- settling ---------------------------------------------------------------------------------------------

    def settle(self, numbers: I64, counted: bool = False) -> Settled:
        """Close `numbers`, int64 strictly ascending, all below `granted` (the caller has checked that).

        `counted`: of the window's it is enough to be told how many they were, and not what was granted in their pieces.
        """
        if len(numbers) <= FEW and not self._outlasted:
            return self._settle_few(numbers)
        settled = self.close(numbers)
        self.count(settled, counted)
        return settled

    def close(self, numbers: I64) -> Settled:
        """`settle`, but for the pieces: they keep what was granted in them until it is `count`ed there."""
        below = int(numbers.searchsorted(self._low)) if len(numbers) and numbers.item(0) < self._low else 0
        old = self._settle_old(numbers[:below]) if below else []
        repeated = below - sum(len(positions) for _, positions in old)
        numbers = numbers[below:]
        places = numbers + (self._head - self._low)
        is_open = self._open.take(places)
        if np.count_nonzero(is_open) < len(numbers):
            repeated += len(numbers) - int(np.count_nonzero(is_open))
            numbers, places = numbers[is_open], places[is_open]
        self._open[places] = False
        self.in_flight -= len(numbers)
        self.held += len(numbers)
        return Settled(numbers, repeated, old)

    def count(self, settled: Settled, counted: bool = False) -> None:
        """Count what was closed in its pieces."""
        self.held -= len(settled.numbers)
        if len(settled.numbers):
            self._close_in_pieces(settled.numbers, settled, counted)
            self._move_up()

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
        self.in_flight -= 1
        pieces = self._pieces
        index = pieces.first
        if number >= pieces.ends[index]:
            index = pieces.find(number)
        piece = pieces.all[index]
        lot, position = piece.lot, number - piece.base
        if not (self.in_flight or self.held):  # nothing is open: begin again
            pieces.cut_off(len(pieces))
            self._head, self._low = 0, self.granted
        elif pieces.close(index, 1) and index == pieces.first:
            self._move_up()
        return lot, position

    def _settle_few(self, numbers: I64) -> Settled:
        """`settle` for a handful: the same, without the arrays' overhead."""
        settled = Settled(numbers, 0)
        closed: list[int] = []
        pieces = self._pieces
        flags, low, shift = self._open, self._low, self._head - self._low
        for number in numbers.tolist():
            if number < low or not flags[number + shift]:
                continue
            flags[number + shift] = 0
            index = pieces.find(number)
            settled.touch(pieces.all[index], 1)
            pieces.close(index, 1)
            closed.append(number)
        settled.repeated = len(numbers) - len(closed)
        self.in_flight -= len(closed)
        self._move_up()
        if settled.repeated:
            settled.numbers = np.array(closed, dtype=np.int64)
        return settled

    def _settle_old(self, numbers: I64) -> list[Part]:
        """Close those of these that have outlasted the window."""
        parts = self._outlasted.settle(numbers)
        self.in_flight -= sum(len(positions) for _, positions in parts)
        return parts

    def _close_in_pieces(self, numbers: I64, settled: Settled, counted: bool) -> None:
        """Count these numbers of the window as closed in their pieces, and let go of what was granted in settled ones.

        The cost is that of the pieces between the first and the last number, or of the numbers, whichever is less.
        """
        pieces = self._pieces
        begin = pieces.find(int(numbers[0]))
        end = pieces.find(int(numbers[-1]), begin) + 1
        ends = pieces.end_column[begin:end]
        if end - begin <= 4 * len(numbers) + 16:
            cuts = np.searchsorted(numbers, ends)
            cuts[1:] -= cuts[:-1].copy()
            touched = np.flatnonzero(cuts)
            closed = cuts[touched]
        else:
            at = np.searchsorted(ends, numbers, "right")
            first = np.flatnonzero(np.diff(at, prepend=-1))
            touched = at[first]
            closed = np.diff(first, append=len(numbers))
        touched += begin
        if not counted:
            for index, count in zip(touched.tolist(), closed.tolist(), strict=True):
                settled.touch(pieces.all[index], count)
        pieces.close_many(touched, closed)

    def _move_up(self) -> None:
        """Let go of the oldest pieces that are wholly settled."""
        low = self._pieces.move_up()
        if low is not None:
            self._head += low - self._low
            self._low = low

    def thin(self) -> None:
        """Cut the window when few of its messages are open: what is open of the oldest pieces is copied out.

        So the memory follows what is open, and not the age of the oldest of it.
        """
        window = self.granted - self._low
        if window <= _SPARSE * self.in_flight + SPARSE_FROM or self.held:
            return
        enough = window - int(_SPARED * self.in_flight) - SPARSE_FROM // 2
        pieces, last = self._pieces.all, self._pieces.first
        parts: list[Part] = []
        numbers: list[I64] = []
        bases: list[int] = []
        times: list[float] = []
        while last < len(pieces) and pieces[last].base - self._low < enough:
            piece = pieces[last]
            last += 1
            if not self._pieces.left[last - 1]:
                continue
            parts.append(self._close_piece(last - 1))
            numbers.append(parts[-1][1] + piece.base)
            bases.append(piece.base)
            times.append(piece.granted_at)
        if parts:
            lot = mixed_lot(gather(parts, self._sources))
            self._outlasted.add(Old(lot, np.concatenate(numbers), np.array(bases), np.array(times)))
        self._move_up()

    # -- taking back ------------------------------------------------------------------------------------------

    def _close_piece(self, index: int) -> Part:
        """Close what is open in a piece, but for `in_flight`; its lot and the positions there."""
        piece = self._pieces.all[index]
        positions = self.open_in(piece)
        begin = self._head + piece.base - self._low
        self._open[begin : begin + piece.end - piece.base] = 0
        return self._pieces.let_go(index), positions

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
        part = self._close_piece(self._pieces.index_of(piece))
        self.in_flight -= len(part[1])
        return part

    def take_old(self, late: Late | None = None) -> list[Part]:
        """Close these (None: all) of what has outlasted the window: their lots and the positions in them."""
        return self._close_old(self._outlasted.everything() if late is None else late)

    def _close_old(self, late: Late) -> list[Part]:
        self.in_flight -= sum(len(positions) for _, positions in late)
        return self._outlasted.close(late)

    def expired(self, lease: float, now: float) -> tuple[list[Piece], Late]:
        """What was granted longer ago than `lease` seconds and is open: pieces, oldest first, and older messages.

        The latter for `take_old`.
        """
        self._move_up()
        pieces = self._pieces
        found = takewhile(lambda piece: piece.granted_at + lease <= now, islice(pieces.all, pieces.first, None))
        return [piece for piece in found if piece.open], self._outlasted.expired(lease, now)
