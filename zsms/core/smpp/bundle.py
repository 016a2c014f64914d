"""What many sessions receive in one turn, walked, read and matched together, and their answers, encoded together.

    octets of n sessions in one buffer --Bundle.receive--> BundleEvents
        answered    of all of them, in columns, and whose each is
        received    the same of messages
        apart       (session, events): those that had something else than messages and their answers

A turn then costs a number of numpy calls for all sessions, and a few Python statements for each that had something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from zsms.core.smpp.events import Answered, Event, Received, Side
from zsms.core.smpp.frames import PAD, Frames, walk_together
from zsms.core.smpp.pdu import (
    RESPONSE,
    Command,
    answers,
    encode_answers_in_parts,
    messages,
)
from zsms.core.smpp.session import Session
from zsms.core.smpp.strings import I64, U8, U32, Strings
from zsms.core.smpp.window import Windows

READ_OCTETS = 1 << 18
"""Octets that are read at once from one connection, at most."""
_BUFFER = 1 << 20
_LEAST_READ = 4_096
_KINDS = {
    Side.ESME: (Command.SUBMIT_SM_RESP, Command.DELIVER_SM),
    Side.SMSC: (Command.DELIVER_SM_RESP, Command.SUBMIT_SM),
}


class BundleEvents(NamedTuple):
    """What came; sessions are named by their place among those that were given."""

    answered: tuple[I64, Answered] | None
    """Whose each is, int64[m] ascending, and the answers."""
    received: tuple[I64, Received] | None
    apart: list[tuple[int, list[Event]]]
    """Of sessions whose octets were dealt with by themselves."""


@dataclass(slots=True)
class Bundle:
    """What has come for n sessions of one side in a turn."""

    sessions: Sequence[Session]
    windows: Windows
    rows: I64
    """The sessions' rows in `windows`, int64[n]."""
    buffer: U8
    """All octets, with `PAD` behind them; what `receive` tells are places in it."""
    begins: I64
    """Where each session's octets begin: with what it had as a rest (`Session.take_rest`). int64[n]."""
    ends: I64

    def receive(self, now: float) -> BundleEvents:
        """Take it all in."""
        apart = [place for place, session in enumerate(self.sessions) if not session.gathers]
        joined = np.arange(len(self.sessions)) if not apart else np.delete(np.arange(len(self.sessions)), apart)
        if not len(joined):
            return BundleEvents(None, None, [self._alone(place, now) for place in apart])
        walked = walk_together(self.buffer, self.begins[joined], self.ends[joined])
        frames, owner = walked.frames, walked.owner
        answer, message = _KINDS[self.sessions[0].side]
        odd = ~walked.good
        is_answer = frames.command == answer
        strange = ~is_answer & (frames.command != message)
        if strange.any():
            odd[owner[strange]] = True
        if odd.any():
            kept = ~odd[owner]
            frames, owner, is_answer = frames.take(kept), owner[kept], is_answer[kept]
            apart += joined[odd].tolist()
        self._note(joined[~odd], walked.ends[~odd], np.bincount(owner, minlength=len(joined))[~odd], now)
        owner = joined[owner]
        answered = received = None
        if is_answer.all():
            answered = self._answered(frames, owner, now) if len(owner) else None
        elif not is_answer.any():
            received = self._received(message, frames, owner)
        else:
            answered = self._answered(frames.take(is_answer), owner[is_answer], now)
            received = self._received(message, frames.take(~is_answer), owner[~is_answer])
        return BundleEvents(answered, received, [self._alone(place, now) for place in apart])

    def _alone(self, place: int, now: float) -> tuple[int, list[Event]]:
        octets = self.buffer[self.begins[place] : self.ends[place]].tobytes()
        return place, self.sessions[place].receive(octets, now)

    def _note(self, places: I64, stops: I64, pdus: I64, now: float) -> None:
        """Let the sessions know, and keep what is not whole yet."""
        ends = self.ends[places]
        for place, count in zip(places.tolist(), pdus.tolist(), strict=True):
            self.sessions[place].noted(count, now)
        for at in np.flatnonzero(stops < ends).tolist():
            rest = self.buffer[stops[at] : ends[at]].tobytes()
            self.sessions[places[at]].receive(rest, now)

    def _answered(self, frames: Frames, owner: I64, now: float) -> tuple[I64, Answered] | None:
        found = answers(frames)
        matched = self.windows.match(self.rows[owner], found.sequence)
        if len(matched.rows) < len(found):
            unmatched = np.bincount(owner, minlength=len(self.sessions))
            unmatched -= np.bincount(owner[matched.rows], minlength=len(self.sessions))
            for place in np.flatnonzero(unmatched).tolist():
                self.sessions[place].counts.strange_answers += int(unmatched[place])
            found, owner = found.take(matched.rows), owner[matched.rows]
        if (long := found.long_ids) is not None:
            for place in owner[long].tolist():
                self.sessions[place].counts.long_ids += 1
        return (owner, Answered(matched.handles, found, now - matched.sent)) if len(owner) else None

    def _received(self, command: int, frames: Frames, owner: I64) -> tuple[I64, Received] | None:
        found = messages(frames)
        assert found.problem is not None
        if found.problem.any():
            bad = found.problem != 0
            for place in np.unique(owner[bad]).tolist():
                own = bad & (owner == place)
                self.sessions[place].refuse(command, frames.sequence[own], found.problem[own])
            if bad.all():
                return None
            found, owner = messages(frames.take(~bad)), owner[~bad]
        return owner, Received(command, found)


class Gather:
    """A buffer that what comes on many connections is read into, one after the other."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._buffer: U8 = np.zeros(_BUFFER, np.uint8)
        self._view = self._buffer.data
        self._sessions: list[Session] = []
        self._bounds: list[int] = []
        """Where each begins and ends, and its row in the windows."""
        self._at = self._share = 0

    def begin(self, sessions: int) -> None:
        """So many sessions are read at most."""
        self._share = max(_LEAST_READ, min(READ_OCTETS, _BUFFER // max(1, sessions)))
        self._sessions, self._bounds, self._at = [], [], 0

    def read(self, session: Session, row: int, read: Callable[[memoryview], int | None]) -> bool:
        """What `read` has for this session, behind what that has of a PDU; `row` is the session's in the windows.

        False: it has said None, the connection is gone.
        """
        begin = at = self._at
        rest = session.take_rest() if session.waiting else b""
        if at + len(rest) + self._share + PAD > len(self._buffer):
            self._grow(len(rest))
        if rest:
            at += len(rest)
            self._view[begin:at] = rest
        octets = read(self._view[at : at + self._share])
        if octets is None:
            return False
        self._at = at = at + octets
        self._sessions.append(session)
        self._bounds += (begin, at, row)
        return True

    def _grow(self, more: int) -> None:
        grown = np.zeros(2 * len(self._buffer) + more, np.uint8)
        grown[: self._at] = self._buffer[: self._at]
        self._buffer, self._view = grown, grown.data

    def bundle(self) -> Bundle | None:
        """What was read, None if nothing was."""
        if not self._sessions:
            return None
        self._buffer[self._at : self._at + PAD] = 0
        buffer = self._buffer[: self._at + PAD]
        begins, ends, rows = np.array(self._bounds, np.int64).reshape(-1, 3).T
        return Bundle(self._sessions, self._windows, rows, buffer=buffer, begins=begins, ends=ends)


def places_of(owner: I64) -> list[int]:
    """The sessions that `owner` int64[m], ascending, names at least once."""
    found: list[int] = _counted(owner)[0].tolist()
    return found


def _counted(owner: I64) -> tuple[I64, list[int]]:
    """The same as a column, and how often it names each."""
    first = np.flatnonzero(owner[1:] != owner[:-1]) + 1
    bounds = [0, *first.tolist(), len(owner)]
    return owner[bounds[:-1]], [end - begin for begin, end in pairwise(bounds)]


def answer_together(
    sessions: Sequence[Session],
    owner: I64,
    command: int,
    *,
    sequence: U32,
    status: int | U32 = 0,
    ids: Strings | None = None,
) -> list[Session]:
    """Answer submit_sm or deliver_sm (`command` is theirs) of n sessions; `owner` int64[m], ascending, names them.

    Those that have something to say now.
    """
    places, counts = _counted(owner)
    octets = encode_answers_in_parts(command | RESPONSE, sequence, status, ids, counts)
    asked = [sessions[place] for place in places.tolist()]
    for session, part in zip(asked, octets, strict=True):
        session.write(part)
    return asked
