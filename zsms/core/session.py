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

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile

import numpy as np
import numpy.typing as npt

from zsms.core.ledger import ProducerAccount
from zsms.message import Batch

I64 = npt.NDArray[np.int64]

_FEW = 8
"""Up to this many acknowledgements plain ints beat arrays."""


@dataclass(slots=True)
class Lot:
    """Messages that share their history: the unit that the broker queues and grants.

    They are messages begin..end-1 of the batch `whole`, which is only divided when somebody asks for `batch`.
    """

    whole: Batch
    account: ProducerAccount
    accepted: float
    attempt: int = 1
    delivery: int = 1
    begin: int = 0
    end: int = -1
    size: int = field(init=False)

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = len(self.whole)
        self.size = self.end - self.begin

    @property
    def batch(self) -> Batch:
        """The messages."""
        return self.whole.slice(self.begin, self.end)

    def part(self, begin: int, end: int) -> Lot:
        """Messages begin..end-1 with the same history."""
        first = self.begin
        return Lot(self.whole, self.account, self.accepted, self.attempt, self.delivery, first + begin, first + end)


@dataclass(slots=True)
class Piece:
    """A granted lot: numbers base..end-1 of its session."""

    lot: Lot
    """Let go of when the last message is settled: what is left then is only its place in the window."""
    base: int
    end: int
    open: int
    granted_at: float


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
    """The numbers closed, ascending: those of the first piece, those of the second, ..."""
    repeated: int
    """Numbers that were closed before."""

    def positions(self) -> Iterator[tuple[Lot, I64]]:
        """Each lot touched, with the positions in it that were closed."""
        begin = 0
        for lot, base, count in zip(self.lots, self.bases, self.counts, strict=True):
            yield lot, self.numbers[begin : begin + count] - base
            begin += count


class Session:
    """One sender's window and credit."""

    def __init__(self, token: int, name: str, slots: int, peer: bytes, now: float) -> None:
        self.token = token
        self.name = name
        self.slots = slots
        self.peer = peer
        self.last_seen = now
        self.join = 0
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
        self._ends: list[int] = []
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
        """The oldest number that may still be open."""
        return self._low

    def pieces(self) -> list[Piece]:
        """The window's pieces, oldest first."""
        return self._pieces[self._first :]

    def grant(self, lot: Lot, now: float) -> Piece:
        """Append the lot to the window."""
        size = lot.size
        if self._low == self.granted:
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
        piece = Piece(lot, self.granted, self.granted + size, size, now)
        self._pieces.append(piece)
        self._ends.append(piece.end)
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

    def settle(self, numbers: I64) -> Settled:
        """Close `numbers`, int64 strictly ascending, all below `granted` (the caller has checked that)."""
        if len(numbers) <= _FEW:
            return self._settle_few(numbers)
        repeated = int(np.searchsorted(numbers, self._low))
        numbers = numbers[repeated:]
        places = numbers + (self._head - self._low)
        flags = self._open[places]
        if not flags.all():
            is_open = flags.astype(bool)
            repeated += int(len(numbers) - np.count_nonzero(is_open))
            numbers, places = numbers[is_open], places[is_open]
        self._open[places] = 0
        self.in_flight -= len(numbers)
        settled = Settled([], [], [], numbers, repeated)
        if len(numbers):
            for index, count in self._touched(numbers):
                self._close(self._pieces[index], count, settled)
            self._move_up()
        return settled

    def _touched(self, numbers: I64) -> list[tuple[int, int]]:
        """The pieces that these numbers of the window are in, as indices: how many are in each.

        The cost is that of the pieces between the first and the last number, or of the numbers, whichever is less.
        """
        begin = bisect_right(self._ends, int(numbers[0]), self._first)
        end = bisect_left(self._ends, int(numbers[-1]) + 1, begin) + 1
        if end - begin <= 4 * len(numbers) + 16:
            cuts = np.searchsorted(numbers, np.array(self._ends[begin:end], dtype=np.int64))
            closed = np.diff(cuts, prepend=0)
            touched = np.flatnonzero(closed)
            return list(zip((touched + begin).tolist(), closed[touched].tolist(), strict=True))
        found: list[tuple[int, int]] = []
        plain, place = numbers.tolist(), 0
        while place < len(plain):
            begin = bisect_right(self._ends, plain[place], begin)
            after = bisect_left(plain, self._ends[begin], place)
            found.append((begin, after - place))
            place = after
        return found

    def _close(self, piece: Piece, count: int, settled: Settled) -> None:
        """Close `count` messages of a piece, and let go of what was granted in it with the last one."""
        settled.lots.append(piece.lot)
        settled.bases.append(piece.base)
        settled.counts.append(count)
        piece.open -= count
        if not piece.open:
            piece.lot = _NO_LOT

    def settle_one(self, number: int) -> tuple[Lot, int] | None:
        """Close one number below `granted`; its lot and place in that, or None when it was closed before."""
        if number < self._low:
            return None
        place = number + self._head - self._low
        flags = self._flags
        if not flags[place]:
            return None
        flags[place] = 0
        first = self._first
        pieces = self._pieces
        piece = pieces[first]
        if number >= piece.end:
            piece = pieces[bisect_right(self._ends, number, first)]
        self.in_flight -= 1
        piece.open -= 1
        lot = piece.lot
        if not piece.open:
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
            self._close(self._pieces[bisect_right(self._ends, number, self._first)], 1, settled)
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
        while first < len(pieces) and not pieces[first].open:
            first += 1
        if first == self._first:
            return
        low = self._ends[first - 1]
        self._head += low - self._low
        self._low = low
        if (first > 64 and first > len(pieces) // 2) or first == len(pieces):
            del pieces[:first]
            del self._ends[:first]
            first = 0
        self._first = first

    def take_back(self, piece: Piece) -> Lot | None:
        """Close what is open in the piece and return it, or None when nothing is. The history is unchanged."""
        if not piece.open:
            return None
        begin = self._head + piece.base - self._low
        flags = self._open[begin : begin + piece.end - piece.base]
        lot = piece.lot
        if piece.open < lot.size:
            chosen = lot.whole.take(np.flatnonzero(flags) + lot.begin)
            lot = Lot(chosen, lot.account, lot.accepted, lot.attempt, lot.delivery)
        flags[:] = 0
        self.in_flight -= piece.open
        piece.open = 0
        piece.lot = _NO_LOT
        return lot

    def expired(self, now: float) -> list[Piece]:
        """The pieces, oldest first, that were granted longer ago than the lease and are not settled."""
        self._move_up()
        pieces = takewhile(lambda piece: piece.granted_at + self.lease <= now, islice(self._pieces, self._first, None))
        return [piece for piece in pieces if piece.open]

    def undo(self) -> Lot | None:
        """Forget the newest grant as if it had never been made, and return what was open of it."""
        piece = self._pieces[-1]
        lot = self.take_back(piece)
        self._pieces.pop()
        self._ends.pop()
        self.granted = piece.base
        return lot

    def rewind(self, received: int) -> list[Lot]:
        """Forget every grant from number `received` on, newest first: the wire lost them.

        Raises ValueError unless `received` is where a piece of the window begins, or `granted`.
        """
        if received != self.granted and received not in [piece.base for piece in self.pieces()]:
            raise ValueError(f"received {received}, but no grant ended there")
        lots = []
        while self.granted > received:
            lot = self.undo()
            if lot is not None:
                lots.append(lot)
        return lots


_NO_LOT: Lot = None  # type: ignore[assignment]  # of a piece that is settled: nobody looks
