"""An SMPP 3.4 session as a state machine: octets and `now` in, events and octets out. Either side: ESME or SMSC.

    connected(now)             the connection stands; an ESME then says bind(...)
    receive(octets, now)       -> events; enquire_link, unbind and what can't be are answered here
    send(command, messages, handles, now)    submit_sm of an ESME, deliver_sm of an SMSC: at most `room`
    answer(...), answer_bind(...), reply(...)                answers to what came
    poll(now) -> events        time passes; worth calling at next_time()
    take_output() -> octets    what to send, in order
    lost() -> handles          the connection is gone: what had no answer

    OPEN --bind--> BOUND_TX | BOUND_RX | BOUND_TRX --unbind--> UNBOUND --> CLOSED         (2.2 of the specification)
      \\---------------- refused, broken, silent, unbound before: Ended(reason) -----------> CLOSED

After `Ended` the owner sends what `take_output` has and closes the connection; nothing is read any more. What comes on
many connections in one turn is read together by :mod:`zsms.core.smpp.bundle`.

Messages and their answers are columns: those of one `receive` come as one event a kind, in the order of each kind's
first PDU. Everything else is an event a PDU, and what came before it is told before it. Answers may come in any order,
late, twice or never; receipts may come before the answer that has their id. Octets of any kind are a sign of life.

Timers in seconds (7.2): `response` after which a request counts as unanswered; `enquire_link` of silence after which
the peer is asked, and `response` later given up; `inactivity` without a message after which the session ends; `init` in
which a peer must have bound (an SMSC's). 0: never.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zsms.core.smpp.events import (
    Answered,
    Event,
    Received,
    Side,
    State,
    Timers,
    Unanswered,
)
from zsms.core.smpp.frames import MAX_PDU, Frames, Stream
from zsms.core.smpp.link import Link
from zsms.core.smpp.pdu import (
    RESPONSE,
    Command,
    Messages,
    Status,
    answers,
    encode_messages,
    messages,
)
from zsms.core.smpp.record import Pdu
from zsms.core.smpp.strings import U32, Bools, every, some
from zsms.core.smpp.window import U64, Window

HOT = frozenset(
    {
        Command.SUBMIT_SM_RESP,
        Command.DELIVER_SM,
        Command.SUBMIT_SM,
        Command.DELIVER_SM_RESP,
        Command.GENERIC_NACK,
    }
)
_COLD = np.ones(256, np.bool_)
_COLD[[command & 0xFF for command in HOT]] = False


class Session(Link):
    """One connection's session."""

    def __init__(
        self,
        side: Side,
        window: int = 10,
        timers: Timers | None = None,
        most: int = MAX_PDU,
        requests: Window | None = None,
    ) -> None:
        """`window` is how many messages of ours may be unanswered, `most` the longest PDU in octets that is read.

        `requests` is where they stand, by default a window of its own.
        """
        super().__init__(side, timers or Timers(), requests or Window())
        self.window = window
        self._stream = Stream(most)
        self._command_out = Command.SUBMIT_SM if side is Side.ESME else Command.DELIVER_SM

    # -- what is sent ------------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """Messages of ours that are not answered."""
        return self._window.open

    @property
    def able(self) -> bool:
        """Whether messages of ours may be sent at all."""
        return self.state.submits if self.side is Side.ESME else self.state.receives

    @property
    def room(self) -> int:
        """Messages that may be sent now."""
        return max(0, self.window - self._window.open) if self.able else 0

    @property
    def idle(self) -> bool:
        """Whether nothing of ours is unanswered."""
        return not self._window.open and not self._due.requests

    def send(self, message: Messages, handles: U64, now: float) -> None:
        """submit_sm (ESME) or deliver_sm (SMSC) of these; their sequence numbers are given here.

        Raises UsageError for fields that SMPP has no room for, and ValueError for more messages than `room`.
        """
        count = len(handles)
        if count > self.room:
            raise ValueError(f"{count} messages where {self.room} have room")
        message.sequence = self._window.coming(count)
        octets = encode_messages(self._command_out, message)
        self._window.add(handles, now)
        self._due.messaged = now
        self.write(octets)

    # -- what comes --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """The peer has sent this."""
        events: list[Event] = []
        if self.over() or not len(data):
            return events
        self._due.heard, self._due.link_asked = now, None
        frames = self._stream.feed(data)
        if frames is not None:
            self.counts.pdus_in += len(frames)
            first = int(frames.command[0])
            if first in HOT and (frames.run is not None or every(frames.command == first)):  # as nearly always
                self._kind(first, frames, now, events)
            else:
                self._sort(frames, now, events)
        if self._stream.broken is not None and not self.over():
            header = self._stream.header
            self.nack(int.from_bytes(header[12:16], "big") if len(header) == 16 else 0, Status.INVCMDLEN)
            self._end(f"a command_length of {self._stream.broken}, which can't be", events)
        return events

    def _sort(self, frames: Frames, now: float, events: list[Event]) -> None:
        """PDUs of several kinds."""
        for piece, row in _pieces(frames.command):
            if row is None:
                part = frames.take(piece)
                self._kind(int(part.command[0]), part, now, events)
                continue
            self._one(frames, row, now, events)
            if self.over():
                break

    @property
    def waiting(self) -> int:
        """Octets of a PDU that is not whole yet."""
        return len(self._stream.rest)

    def take_rest(self) -> bytearray:
        """What has come of a PDU that is not whole: its owner feeds it again, before what comes next."""
        return self._stream.take_rest()

    def noted(self, pdus: int, now: float) -> None:
        """So many messages, or answers to some, have come, which the owner deals with."""
        due = self._due
        due.heard = due.messaged = now
        due.link_asked = None
        self.counts.pdus_in += pdus

    @property
    def gathers(self) -> bool:
        """Whether what comes may be read together with others' octets."""
        return self.state.bound and (self.side is Side.ESME or self.state.submits)

    def refuse(self, command: int, sequence: U32, problem: U32) -> None:
        """Answer messages that can't be read."""
        self.counts.malformed += len(sequence)
        self.answer(command, sequence, problem)

    def _kind(self, command: int, frames: Frames, now: float, events: list[Event]) -> None:
        self._due.messaged = now
        if command == Command.GENERIC_NACK:
            self._nacked(frames, now, events)
            return
        if command & RESPONSE:
            self._answered(frames, now, events)
            return
        if not self.takes(command):
            self.counts.out_of_place += len(frames)
            self.answer(command, frames.sequence, Status.INVBNDSTS)
            return
        found = messages(frames)
        assert found.problem is not None
        if some(found.problem):
            bad = found.problem != 0
            self.refuse(command, frames.sequence[bad], found.problem[bad])
            if every(bad):
                return
            found = messages(frames.take(~bad))
        events.append(Received(command, found))

    def takes(self, command: int) -> bool:
        """Whether such a message may come now."""
        if self.side is Side.SMSC:
            return command == Command.SUBMIT_SM and self.state.submits
        # An SMSC that is glad may deliver before its answer to the bind.
        return command == Command.DELIVER_SM and not self.over()

    def _answered(self, frames: Frames, now: float, events: list[Event]) -> None:
        if int(frames.command[0]) not in (self._command_out | RESPONSE, Command.GENERIC_NACK):
            self.counts.strange_answers += len(frames)  # of the other side's messages: it answers none of ours
            return
        found = answers(frames)
        matched = self._window.match(found.sequence, in_order=frames.run is not None)
        count = len(matched.rows)
        self.counts.strange_answers += len(found) - count
        if not count:
            return
        if count < len(found):
            found = found.take(matched.rows)
        if (long := found.long_ids) is not None:
            self.counts.long_ids += int(long.sum())
        events.append(Answered(matched.handles, found, now - matched.sent))

    def _nacked(self, frames: Frames, now: float, events: list[Event]) -> None:
        self.counts.nacks += len(frames)
        status = np.where(frames.status != 0, frames.status, Status.SYSERR).astype(np.uint32)
        for sequence in list(self._due.requests):
            for row in np.flatnonzero(frames.sequence == sequence)[:1].tolist():
                self._replied(Pdu(Command.GENERIC_NACK, sequence, int(status[row])), events)
                frames, status = frames.take(frames.sequence != sequence), status[frames.sequence != sequence]
        if len(frames):
            frames.status = status
            self._answered(frames, now, events)

    # -- time --------------------------------------------------------------------------------------------------------

    def poll(self, now: float) -> list[Event]:
        """Act on the timers that have run out."""
        events: list[Event] = []
        if self.over():
            return events
        if self.timers.response > 0:
            before = now - self.timers.response
            oldest = self._window.oldest()
            if oldest is not None and oldest <= before:
                events.append(Unanswered(self._window.expired(np.nextafter(before, np.inf))))
        self._poll_link(now, events)
        return events

    def next_time(self) -> float | None:
        """When `poll` is worth calling; None: when something has come or was sent."""
        if self.over():
            return None
        return self._due.next_time(self.state, self._window.oldest() if self.timers.response > 0 else None)

    def lost(self) -> U64:
        """The connection is gone, whoever ended it: the handles of `send` that have no answer, uint64[n]."""
        self.state = State.CLOSED
        self._due.requests.clear()
        return self._window.everything()


def _pieces(command: U32) -> Iterator[tuple[slice | Bools, int | None]]:
    """PDUs in order: messages and their answers by kind, as those that one slice or mask takes; others by row."""
    cold = np.flatnonzero(_COLD[command & 0xFF] | ((command & 0x7FFFFF00) != 0) | (command == 0))
    begin = 0
    for row in [*cold.tolist(), len(command)]:
        if row > begin:
            yield from ((piece, None) for piece in _kinds(command, begin, row))
        begin = row + 1
        if row < len(command):
            yield slice(row, begin), row


def _kinds(command: U32, begin: int, end: int) -> list[slice | Bools]:
    part = command[begin:end]
    if (part == part[0]).all():
        return [slice(begin, end)]
    kinds, places = np.unique(part, return_index=True)
    masks = []
    for kind in kinds[np.argsort(places)].tolist():
        mask = command == kind
        mask[:begin] = mask[end:] = False
        masks.append(mask)
    return masks
