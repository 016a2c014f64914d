"""Requests that wait for their answers, of any number of sessions, in columns.

    Windows(n)                                   n sessions, a ring of places each
      add(rows, counts, handles, now)            requests were sent by these sessions; their sequence numbers
      match(owner, sequence) -> Matched          answers came: whose they are, in any order, and which are nobody's
      expired(row, before) -> handles            requests sent before then, which no answer will be waited for
    Window(windows, row)                         the same of one session

A serial counts the requests of a session from 0 and never wraps; its sequence number is ``serial % 0x7FFFFFFF + 1``. A
request stands at the place of its serial in its session's ring. One that is still open when the ring comes round to it
moves aside to the stragglers, so one that is never answered holds up no other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.pdu import MAX_SEQUENCE
from zsms.core.smpp.strings import I64, U32, Bools, every, rows_of, some

U64 = npt.NDArray[np.uint64]
F64 = npt.NDArray[np.float64]

_ROOM = 64
_SERIALS = 44
"""Bits of a straggler's key that are its serial."""


def sequence_of(serials: I64) -> U32:
    """The sequence numbers of serials, uint32[n]."""
    return (serials % MAX_SEQUENCE + 1).astype(np.uint32)


class Matched(NamedTuple):
    """Answers that are of requests in a window."""

    rows: I64
    """Which of the answers, int64[m], ascending."""
    handles: U64
    """Of their requests, uint64[m]."""
    sent: F64
    """When those were sent, in seconds, float64[m]."""


class Windows:
    """The open requests of n sessions."""

    def __init__(self, sessions: int = 1) -> None:
        self.open = np.zeros(sessions, np.int64)
        """Requests without an answer, by session."""
        self.serial = np.zeros(sessions, np.int64)
        """The next request's serial, by session."""
        self.size = 0
        """Places of each session's ring."""
        self._held = np.zeros(0, np.int64)
        """By session and place: the serial and 1 of the request that stands there, 0: none."""
        self._handle = np.zeros(0, np.uint64)
        self._sent = np.zeros(0)
        self._claim = np.zeros(0, np.int64)
        self._make_rings(_ROOM)
        self._late = _Stragglers(_NONE_I, _NONE_U, np.zeros(0))

    def lengthen(self, sessions: int) -> None:
        """Have room for so many sessions, of which the first are those that there were."""
        more = sessions - len(self.open)
        if more <= 0:
            return
        self.open = np.concatenate([self.open, np.zeros(more, np.int64)])
        self.serial = np.concatenate([self.serial, np.zeros(more, np.int64)])
        self._make_rings(self.size)

    def _make_rings(self, size: int) -> None:
        """Rings of so many places (a power of two) each, with what is open in them."""
        old, at = self.size, np.flatnonzero(self._held)
        held, handle, sent = self._held[at], self._handle[at], self._sent[at]
        total = size * len(self.open)
        self.size, self._claim = size, np.zeros(total, np.int64)
        self._held, self._handle, self._sent = np.zeros(total, np.int64), np.zeros(total, np.uint64), np.zeros(total)
        if len(at):
            place = at // old * size + ((held - 1) & (size - 1))
            self._held[place], self._handle[place], self._sent[place] = held, handle, sent

    def add(self, rows: I64, counts: I64, handles: U64, now: float) -> U32:
        """Requests sent at `now`: `counts[i]` of the session `rows[i]` (each named once), whose handles follow each
        other. Their sequence numbers, uint32[n]."""
        if len(rows) == 1 and (sequence := self._add_in_row(int(rows[0]), handles, now)) is not None:
            return sequence
        starts = self.serial[rows] - (np.cumsum(counts) - counts)
        serials = np.repeat(starts, counts) + rows_of(len(handles))
        flat = (serials & (self.size - 1)) + np.repeat(rows * self.size, counts)
        if 2 * int((self.open[rows] + counts).max(initial=0)) > self.size:
            self._grow(rows, counts)
            return self.add(rows, counts, handles, now)
        if some(self._held[flat]):
            self._set_aside(flat[self._held[flat] != 0])
        self._held[flat] = serials + 1
        self._handle[flat] = handles
        self._sent[flat] = now
        self.serial[rows] += counts
        self.open[rows] += counts
        return sequence_of(serials)

    def _add_in_row(self, row: int, handles: U64, now: float) -> U32 | None:
        """The same of one session whose places are free and beside each other; None where they are not."""
        count, first = len(handles), int(self.serial[row])
        begin, number = first & (self.size - 1), first % MAX_SEQUENCE
        end = begin + count
        if end > self.size or 2 * (int(self.open[row]) + count) > self.size or number + count > MAX_SEQUENCE:
            return None
        places = slice(row * self.size + begin, row * self.size + end)
        held = self._held[places]
        if some(held):
            return None
        held[:] = np.arange(first + 1, first + 1 + count)
        self._handle[places] = handles
        self._sent[places] = now
        self.serial[row] += count
        self.open[row] += count
        return np.arange(number + 1, number + 1 + count, dtype=np.uint32)

    def skip(self, row: int) -> None:
        """A session's next serial is that of a request that is not kept; nothing older stands at its place then."""
        place = row * self.size + (int(self.serial[row]) & (self.size - 1))
        if self._held[place]:
            self._set_aside(np.array([place]))
        self.serial[row] += 1

    def _grow(self, rows: I64, counts: I64) -> None:
        size = self.size
        while size < 2 * int((self.open[rows] + counts).max()):
            size *= 2
        self._make_rings(2 * size)

    def _set_aside(self, flat: I64) -> None:
        owner, held = flat // self.size, self._held[flat]
        self._late = self._late.joined(_key(owner, held - 1), self._handle[flat], self._sent[flat])
        self._held[flat] = 0

    def match(self, owner: I64 | int, sequence: U32, *, in_order: bool = False) -> Matched:
        """The requests that answers with these sequence numbers are of; `owner` is their session, one or int64[n].

        They are closed. An answer that comes twice counts once. `in_order`: they are known to follow each other.
        """
        count = len(sequence)
        if isinstance(owner, int) and count and (found := self._match_in_row(owner, sequence, in_order)) is not None:
            return found
        numbers = sequence.astype(np.int64)
        last = self.serial[owner] - 1
        wanted = last - (last + 1 - numbers) % MAX_SEQUENCE
        flat = (wanted & (self.size - 1)) + owner * self.size
        good = (self._held[flat] == wanted + 1) & (numbers > 0) & (numbers <= MAX_SEQUENCE) & (wanted >= 0)
        rows = rows_of(count)
        if not every(good):
            rows = good.nonzero()[0]
            flat = flat[rows]
        if len(flat) > 1 and not every(flat[1:] > flat[:-1]):
            self._claim[flat[::-1]] = rows[::-1]  # of several at one place the first stays
            first = self._claim[flat] == rows
            rows, flat = rows[first], flat[first]
        found = Matched(rows, self._handle[flat], self._sent[flat])
        self._held[flat] = 0
        if isinstance(owner, int):
            self.open[owner] -= len(rows)
        else:
            self.open -= np.bincount(owner[rows], minlength=len(self.open))
        if len(self._late.keys) and len(rows) < count:
            return self._match_late(owner, wanted, good, found)
        return found

    def _match_in_row(self, row: int, sequence: U32, in_order: bool) -> Matched | None:
        """The same of one session whose requests are answered in the order that they have; None where they are not."""
        if not (in_order or every(sequence - rows_of(len(sequence)) == sequence[0])):
            return None
        count, first = len(sequence), int(sequence[0])
        last = int(self.serial[row]) - 1
        wanted = last - (last + 1 - first) % MAX_SEQUENCE
        begin = wanted & (self.size - 1)
        if wanted < 0 or begin + count > self.size or first == 0 or first + count > MAX_SEQUENCE:
            return None
        places = slice(row * self.size + begin, row * self.size + begin + count)
        held = self._held[places]
        # What stands at a place is the newest request of that place, if any: it is the one that is answered, unless
        # that is a ring older.
        if last - wanted >= self.size or not every(held):
            return None
        found = Matched(rows_of(count), self._handle[places].copy(), self._sent[places].copy())
        held[:] = 0
        self.open[row] -= count
        return found

    def _match_late(self, owner: I64 | int, wanted: I64, good: Bools, found: Matched) -> Matched:
        """Those that are of stragglers, too."""
        left = np.flatnonzero(~good)
        owners = np.full(len(left), owner) if isinstance(owner, int) else owner[left]
        at, hit = self._late.places(_key(owners, wanted[left]))
        at, first = np.unique(at[hit], return_index=True)
        if not len(at):
            return found
        rows = np.concatenate([found.rows, left[hit][first]])
        order = np.argsort(rows)
        handles = np.concatenate([found.handles, self._late.handles[at]])[order]
        sent = np.concatenate([found.sent, self._late.sent[at]])[order]
        self.open -= np.bincount(owners[hit][first], minlength=len(self.open))
        self._late = self._late.without(at)
        return Matched(rows[order], handles, sent)

    def _ring(self, row: int) -> slice:
        return slice(row * self.size, (row + 1) * self.size)

    def oldest(self, row: int) -> float | None:
        """When the oldest open request of a session was sent; None when none is open."""
        if not self.open[row]:
            return None
        ring = self._ring(row)
        found = float(np.where(self._held[ring] != 0, self._sent[ring], np.inf).min())
        late = self._late.of(row)
        return min(found, float(self._late.sent[late].min())) if len(late) else found

    def expired(self, row: int, before: float) -> U64:
        """The handles of a session's open requests that were sent before then, oldest first; they are given up."""
        ring = self._ring(row)
        at = np.flatnonzero((self._held[ring] != 0) & (self._sent[ring] < before)) + ring.start
        at = at[np.argsort(self._held[at])]
        handles: U64 = self._handle[at]
        self._held[at] = 0
        late = self._late.of(row)
        late = late[self._late.sent[late] < before]
        if len(late):
            handles = np.concatenate([self._late.handles[late], handles])
            self._late = self._late.without(late)
        self.open[row] -= len(handles)
        return handles


class _Stragglers(NamedTuple):
    """Open requests that are older than a ring is long, by session and serial."""

    keys: I64
    handles: U64
    sent: F64

    def joined(self, keys: I64, handles: U64, sent: F64) -> _Stragglers:
        """With these."""
        every = np.concatenate([self.keys, keys])
        order = np.argsort(every)
        return _Stragglers(
            every[order], np.concatenate([self.handles, handles])[order], np.concatenate([self.sent, sent])[order]
        )

    def without(self, at: I64) -> _Stragglers:
        """Without those at these places."""
        return _Stragglers(np.delete(self.keys, at), np.delete(self.handles, at), np.delete(self.sent, at))

    def places(self, keys: I64) -> tuple[I64, Bools]:
        """Where each of these is, and whether it is."""
        at = np.minimum(np.searchsorted(self.keys, keys), max(0, len(self.keys) - 1))
        return at, self.keys[at] == keys

    def of(self, row: int) -> I64:
        """Where those of a session are, by serial."""
        first, last = np.searchsorted(self.keys, [row << _SERIALS, (row + 1) << _SERIALS]).tolist()
        return np.arange(first, last)


def _key(owner: I64 | int, serial: I64) -> I64:
    return owner << _SERIALS | serial


class Window:
    """The open requests of one session."""

    def __init__(self, windows: Windows | None = None, row: int = 0) -> None:
        self._windows = windows or Windows()
        self._row = row
        self._rows, self._count = np.array([row], np.int64), np.zeros(1, np.int64)

    @property
    def open(self) -> int:
        """Requests without an answer."""
        return int(self._windows.open[self._row])

    def coming(self, count: int) -> U32:
        """The sequence numbers that the next requests will have."""
        return sequence_of(rows_of(count) + self._windows.serial[self._row])

    def skip(self) -> None:
        """The next sequence number goes to a request that is not kept here."""
        self._windows.skip(self._row)

    def start_at(self, serial: int) -> None:
        """Let the next request have this serial; for tests."""
        self._windows.serial[self._row] = serial

    def add(self, handles: U64, now: float) -> U32:
        """Requests sent at `now`; their sequence numbers, uint32[n]."""
        self._count[0] = len(handles)
        return self._windows.add(self._rows, self._count, handles, now)

    def match(self, sequence: U32, *, in_order: bool = False) -> Matched:
        """See `Windows.match`."""
        return self._windows.match(self._row, sequence, in_order=in_order)

    def oldest(self) -> float | None:
        """See `Windows.oldest`."""
        return self._windows.oldest(self._row)

    def expired(self, before: float) -> U64:
        """See `Windows.expired`."""
        return self._windows.expired(self._row, before)

    def everything(self) -> U64:
        """All that are open, which are given up."""
        return self.expired(np.inf)


_NONE_I, _NONE_U = np.zeros(0, np.int64), np.zeros(0, np.uint64)
