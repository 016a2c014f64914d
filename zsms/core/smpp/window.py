"""Requests that wait for their answers, in columns.

    add(serials, handles, now)     requests were sent; serials grow
    match(sequence) -> Matched     answers came: whose they are, in any order, and which are nobody's
    expired(before) -> handles     requests sent before then, which no answer will be waited for

A serial counts the requests of a session from 0 and never wraps; its sequence number is ``serial % 0x7FFFFFFF + 1``. An
answer is looked up among the serials that are open, so one request that is never answered holds up no other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.pdu import MAX_SEQUENCE
from zsms.core.smpp.strings import I64, U32

U64 = npt.NDArray[np.uint64]
F64 = npt.NDArray[np.float64]

_ROOM = 64


def sequence_of(serials: I64) -> U32:
    """The sequence numbers of serials, uint32[n]."""
    return (serials % MAX_SEQUENCE + 1).astype(np.uint32)


class Matched(NamedTuple):
    """Answers that are of requests in the window."""

    rows: I64
    """Which of the answers, int64[m]."""
    handles: U64
    """Of their requests, uint64[m]."""
    sent: F64
    """When those were sent, in seconds, float64[m]."""


class Window:
    """The open requests of one session."""

    def __init__(self) -> None:
        self.open = 0
        """Requests without an answer."""
        self._head = self._tail = 0
        self._serial = np.zeros(_ROOM, np.int64)
        self._handle = np.zeros(_ROOM, np.uint64)
        self._sent = np.zeros(_ROOM)
        self._is_open = np.zeros(_ROOM, np.bool_)

    def add(self, serials: I64, handles: U64, now: float) -> None:
        """Requests sent at `now`; their serials are ascending and above all before."""
        count = len(serials)
        if self._tail + count > len(self._serial):
            self._make_room(count)
        place = slice(self._tail, self._tail + count)
        self._serial[place] = serials
        self._handle[place] = handles
        self._sent[place] = now
        self._is_open[place] = True
        self._tail += count
        self.open += count

    def _make_room(self, count: int) -> None:
        """Drop what is answered, and grow where that is not enough."""
        kept = np.flatnonzero(self._is_open[self._head : self._tail]) + self._head
        size = max(_ROOM, 2 * (len(kept) + count))
        for name in ("_serial", "_handle", "_sent", "_is_open"):
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[: len(kept)] = old[kept]
            setattr(self, name, new)
        self._head, self._tail = 0, len(kept)

    def match(self, sequence: U32) -> Matched:
        """The requests that answers with these sequence numbers are of. They are closed."""
        head, tail = self._head, self._tail
        if head == tail:
            return _NONE
        serials = self._serial[head:tail]
        numbers = sequence.astype(np.int64)
        base = int(serials[0])
        wanted = base + (numbers - 1 - base) % MAX_SEQUENCE
        at = np.searchsorted(serials, wanted)
        # An answer in its turn is the next one that is open; most are.
        at[at == len(serials)] = 0
        good = (serials[at] == wanted) & self._is_open[head:tail][at] & (numbers > 0) & (numbers <= MAX_SEQUENCE)
        rows = np.flatnonzero(good)
        at = at[rows]
        if len(at) > 1 and not (at[1:] > at[:-1]).all():
            at, first = np.unique(at, return_index=True)  # an answer that comes twice counts once
            rows = rows[first]
        at += head
        matched = Matched(rows, self._handle[at], self._sent[at])
        self._close(at)
        return matched

    def _close(self, at: I64) -> None:
        self._is_open[at] = False
        self.open -= len(at)
        if not self.open:
            self._head = self._tail = 0
        elif not self._is_open[self._head]:
            self._head += int(self._is_open[self._head : self._tail].argmax())

    def oldest(self) -> float | None:
        """When the oldest open request was sent; None when none is open."""
        return float(self._sent[self._head]) if self.open else None

    def expired(self, before: float) -> U64:
        """The handles of the open requests that were sent before then, which are given up."""
        end = int(np.searchsorted(self._sent[self._head : self._tail], before, "left")) + self._head
        at = np.flatnonzero(self._is_open[self._head : end]) + self._head
        handles = self._handle[at]
        if len(at):
            self._close(at)
        return handles

    def everything(self) -> U64:
        """All that are open, which are given up."""
        return self.expired(np.inf)


_NONE = Matched(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0))
