"""An SMPP 3.4 session as a state machine: octets and `now` in, events and octets out. Either side: ESME or SMSC.

    connected(now)             the connection stands; an ESME then says bind(...)
    receive(octets, now)       -> events; enquire_link, unbind and what can't be are answered here
    send(command, messages, handles, now)    submit_sm of an ESME, deliver_sm of an SMSC: at most `room`
    answer(...), answer_bind(...), reply(...)                answers to what came
    look(now) -> events        time passes; worth calling at next_time()
    take_output() -> octets    what to send, in order
    lost() -> handles          the connection is gone: what had no answer

    OPEN --bind--> BOUND_TX | BOUND_RX | BOUND_TRX --unbind--> UNBOUND --> CLOSED         (2.2 of the specification)
      \\---------------- refused, broken, silent, unbound before: Ended(reason) -----------> CLOSED

After `Ended` the owner sends what `take_output` has and closes the connection; nothing is read any more.

Messages and their answers are columns: those of one `receive` come as one event a kind, in the order of each kind's
first PDU. Everything else is an event a PDU, and what came before it is told before it. Answers may come in any order,
late, twice or never; receipts may come before the answer that has their id. Octets of any kind are a sign of life.

Timers in seconds (7.2): `response` after which a request counts as unanswered; `enquire_link` of silence after which
the peer is asked, and `response` later given up; `inactivity` without a message after which the session ends; `init` in
which a peer must have bound (an SMSC's). 0: never.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from zsms.core.smpp.pdu import (
    MAX_MESSAGE_ID,
    MAX_PDU,
    RESPONSE,
    Answers,
    Command,
    Frames,
    Messages,
    Status,
    Stream,
    Tag,
    answers,
    encode_answers,
    encode_messages,
    messages,
)
from zsms.core.smpp.record import LAYOUTS, Pdu, PduError, decode, encode
from zsms.core.smpp.strings import U8, U32, Strings
from zsms.core.smpp.window import F64, U64, Window, sequence_of

BINDS = (Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER)
_HOT = (Command.SUBMIT_SM_RESP, Command.DELIVER_SM, Command.SUBMIT_SM, Command.DELIVER_SM_RESP)
_COLD = np.ones(256, np.bool_)
_COLD[[command & 0xFF for command in _HOT]] = False
_UNANSWERED_COMMANDS = (Command.OUTBIND, Command.ALERT_NOTIFICATION)


class Side(Enum):
    """Which end of the session this is."""

    ESME = "ESME"
    SMSC = "SMSC"


class State(Enum):
    """2.2 of the specification."""

    OPEN = "open"
    BOUND_TX = "bound as transmitter"
    BOUND_RX = "bound as receiver"
    BOUND_TRX = "bound as transceiver"
    UNBOUND = "unbound"
    CLOSED = "closed"


_BOUND = {
    Command.BIND_TRANSMITTER: State.BOUND_TX,
    Command.BIND_RECEIVER: State.BOUND_RX,
    Command.BIND_TRANSCEIVER: State.BOUND_TRX,
}
SUBMITS = frozenset({State.BOUND_TX, State.BOUND_TRX})
"""States in which an ESME may submit."""
RECEIVES = frozenset({State.BOUND_RX, State.BOUND_TRX})
"""States in which an SMSC may deliver."""


@dataclass(frozen=True, slots=True)
class Timers:
    """In seconds; 0: never."""

    response: float = 60.0
    enquire_link: float = 30.0
    inactivity: float = 0.0
    init: float = 0.0


@dataclass(slots=True)
class Counts:
    """What a session has seen, in PDUs."""

    pdus_in: int = 0
    malformed: int = 0
    """Requests whose body can't be read; they were answered with a status."""
    unknown_commands: int = 0
    nacks: int = 0
    """generic_nack that came."""
    strange_answers: int = 0
    """Answers to nothing that is open: late, repeated, or never asked."""
    long_ids: int = 0
    """Answers whose message_id is longer than 64 octets."""
    out_of_place: int = 0
    """Requests that the state of the session, or this side, does not allow."""


class Bound(NamedTuple):
    """An ESME's bind was accepted; the answer has the SMSC's system_id and version."""

    answer: Pdu


class BindAsked(NamedTuple):
    """An ESME wants to bind: `answer_bind`."""

    request: Pdu


class Received(NamedTuple):
    """submit_sm (at an SMSC) or deliver_sm (at an ESME) that can be read: `answer` each."""

    command: int
    messages: Messages


class Answered(NamedTuple):
    """Requests of `send` were answered, in columns."""

    handles: U64
    answers: Answers
    took: F64
    """Seconds from request to answer, float64[n]."""


class Unanswered(NamedTuple):
    """The response timer of these requests of `send` has run out."""

    handles: U64


class Asked(NamedTuple):
    """A rare request, such as a query_sm, or one that asks for no answer: `reply`."""

    request: Pdu


class Replied(NamedTuple):
    """A request of `ask` was answered; None: not in time."""

    handle: int
    answer: Pdu | None


class Ended(NamedTuple):
    """The session is over; send what there is and close. `status` is there when the peer gave one."""

    reason: str
    status: int | None = None


Event = Bound | BindAsked | Received | Answered | Unanswered | Asked | Replied | Ended


@dataclass(slots=True)
class _Request:
    """A rare request that waits for its answer."""

    command: int
    handle: int
    sent: float


_BIND = -1
_UNBIND = -2
_LINK = -3


class Session:
    """One connection's session."""

    def __init__(self, side: Side, window: int = 10, timers: Timers | None = None, most: int = MAX_PDU) -> None:
        """`window` is how many messages of ours may be unanswered, `most` the longest PDU in octets that is read."""
        self.side = side
        self.window = window
        self.timers = timers or Timers()
        self.state: State = State.OPEN
        self.counts = Counts()
        self.peer_version: int | None = None
        """interface_version of the peer, as far as it has said."""
        self._stream = Stream(most)
        self._window = Window()
        self._serial = 0
        self._requests: dict[int, _Request] = {}
        """Rare ones, by sequence number."""
        self._out: list[U8 | bytes] = []
        self.output_octets = 0
        """Octets that wait in `take_output`."""
        self._heard = self._messaged = self._connected = 0.0
        self._link_asked: float | None = None
        self._command_out = Command.SUBMIT_SM if side is Side.ESME else Command.DELIVER_SM

    # -- what is sent ------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """The connection stands."""
        self._heard = self._messaged = self._connected = now

    @property
    def open(self) -> int:
        """Messages of ours that are not answered."""
        return self._window.open

    @property
    def bound(self) -> bool:
        """Whether a bind was accepted and nobody has left."""
        return self.state in SUBMITS or self.state in RECEIVES

    @property
    def _closed(self) -> bool:
        return self.state is State.CLOSED

    @property
    def room(self) -> int:
        """Messages that may be sent now."""
        able = SUBMITS if self.side is Side.ESME else RECEIVES
        return max(0, self.window - self._window.open) if self.state in able else 0

    @property
    def idle(self) -> bool:
        """Whether nothing of ours is unanswered."""
        return not self._window.open and not self._requests

    def send(self, message: Messages, handles: U64, now: float) -> None:
        """submit_sm (ESME) or deliver_sm (SMSC) of these; their sequence numbers are given here.

        Raises UsageError for fields that SMPP has no room for, and ValueError for more messages than `room`.
        """
        serial = self._serial
        message.sequence = sequence_of(np.arange(serial, serial + len(handles), dtype=np.int64))
        octets = encode_messages(self._command_out, message)
        self.reserve(handles, now)
        self._say(octets)

    def reserve(self, handles: U64, now: float) -> U32:
        """The sequence numbers of messages that the owner encodes, together with others', and then says with `say`.

        Raises ValueError for more messages than `room`.
        """
        count = len(handles)
        if count > self.room:
            raise ValueError(f"{count} messages where {self.room} have room")
        serials = np.arange(self._serial, self._serial + count, dtype=np.int64)
        self._serial += count
        self._window.add(serials, handles, now)
        self._messaged = now
        return sequence_of(serials)

    def bind(
        self,
        command: int,
        now: float,
        *,
        system_id: bytes,
        password: bytes = b"",
        system_type: bytes = b"",
        address_range: bytes = b"",
        ton: int = 0,
        npi: int = 0,
        version: int = 0x34,
    ) -> None:
        """An ESME's first word; `command` is one of `BINDS`. Raises UsageError for a field that is too long."""
        fields = {
            "system_id": system_id,
            "password": password,
            "system_type": system_type,
            "interface_version": version,
            "addr_ton": ton,
            "addr_npi": npi,
            "address_range": address_range,
        }
        self.ask(Pdu(command, fields=fields), _BIND, now)

    def ask(self, request: Pdu, handle: int, now: float) -> None:
        """Send a rare request; `Replied` tells of it by this handle, from 0 on. Its sequence number is given here."""
        sequence = self._serial % 0x7FFFFFFF + 1
        request.sequence = sequence
        octets = encode(request)
        self._serial += 1
        if request.command not in _UNANSWERED_COMMANDS:
            self._requests[sequence] = _Request(request.command, handle, now)
        self._say(octets)

    def unbind(self, now: float) -> None:
        """Leave; `Ended` follows the answer. Nothing may be sent after this."""
        if self.bound:
            self.state = State.UNBOUND
            self.ask(Pdu(Command.UNBIND), _UNBIND, now)

    def answer(
        self,
        command: int,
        sequence: U32,
        status: int | U32 = 0,
        ids: Strings | None = None,
        *,
        always_body: bool = False,
    ) -> None:
        """Answer submit_sm or deliver_sm (`command` is the request's), uint32[n] each; see `pdu.encode_answers`."""
        if len(sequence):
            self._say(encode_answers(command | RESPONSE, sequence, status, ids, always_body=always_body))

    def answer_bind(self, request: Pdu, status: int = 0, system_id: bytes = b"", version: int | None = 0x34) -> None:
        """Accept a bind (status 0) or refuse it; the owner closes the connection of one that it has refused."""
        fields = {} if status else {"system_id": system_id}
        answer = Pdu(request.command | RESPONSE, request.sequence, status, fields)
        if not status and version is not None:
            answer.tlvs.append((Tag.SC_INTERFACE_VERSION, bytes([version])))
        if not status and self.state is State.OPEN:
            self.state = _BOUND[Command(request.command)]
            self.peer_version = request["interface_version"]
        self._say(encode(answer))

    def reply(self, answer: Pdu) -> None:
        """The answer to a rare request, with that one's sequence number."""
        self._say(encode(answer))

    def nack(self, sequence: int, status: int) -> None:
        """A generic_nack."""
        self._say(encode(Pdu(Command.GENERIC_NACK, min(sequence, 0x7FFFFFFF), status)))

    def say(self, octets: bytes | U8) -> None:
        """Send octets as they are: PDUs of a `reserve`, or for tests of others whatever they may be."""
        self._say(octets)

    def _say(self, octets: bytes | U8) -> None:
        self._out.append(octets)
        self.output_octets += len(octets)

    def take_output(self) -> list[U8 | bytes]:
        """What is to be sent, in order; it is forgotten here."""
        out, self._out, self.output_octets = self._out, [], 0
        return out

    # -- what comes --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """The peer has sent this."""
        events: list[Event] = []
        if self._closed or not len(data):
            return events
        self._heard, self._link_asked = now, None
        frames = self._stream.feed(data)
        if frames is not None:
            self.counts.pdus_in += len(frames)
            self._frames(frames, now, events)
        if self._stream.broken is not None and not self._closed:
            header = self._stream.header
            self.nack(int.from_bytes(header[12:16], "big") if len(header) == 16 else 0, Status.INVCMDLEN)
            self._end(f"a command_length of {self._stream.broken}, which can't be", events)
        return events

    def _frames(self, frames: Frames, now: float, events: list[Event]) -> None:
        command = frames.command
        cold = np.flatnonzero(_COLD[command & 0xFF] | ((command & 0x7FFFFF00) != 0))
        if not len(cold):
            self._hot(frames, now, events)
            return
        begin = 0
        for row in cold.tolist():
            if row > begin:
                self._hot(frames.take(slice(begin, row)), now, events)
            begin = row + 1
            self._one(frames, row, now, events)
            if self._closed:
                return
        if begin < len(frames):
            self._hot(frames.take(slice(begin, len(frames))), now, events)

    def _hot(self, frames: Frames, now: float, events: list[Event]) -> None:
        """Messages and their answers only."""
        self._messaged = now
        command = frames.command
        first = int(command[0])
        if (command == first).all():
            self._kind(first, frames, now, events)
            return
        kinds, places = np.unique(command, return_index=True)
        for kind in kinds[np.argsort(places)].tolist():
            self._kind(kind, frames.take(command == kind), now, events)

    def _kind(self, command: int, frames: Frames, now: float, events: list[Event]) -> None:
        if command & RESPONSE:
            self._answered(frames, now, events)
            return
        if not self._takes(command):
            self.counts.out_of_place += len(frames)
            self.answer(command, frames.sequence, Status.INVBNDSTS)
            return
        found = messages(frames)
        assert found.problem is not None
        if found.problem.any():
            bad = found.problem != 0
            self.counts.malformed += int(bad.sum())
            self.answer(command, frames.sequence[bad], found.problem[bad])
            if bad.all():
                return
            found = messages(frames.take(~bad))
        events.append(Received(command, found))

    def _takes(self, command: int) -> bool:
        if self.side is Side.SMSC:
            return command == Command.SUBMIT_SM and self.state in SUBMITS
        # An SMSC that is glad may deliver before its answer to the bind.
        return command == Command.DELIVER_SM and self.state is not State.CLOSED

    def _answered(self, frames: Frames, now: float, events: list[Event]) -> None:
        found = answers(frames)
        matched = self._window.match(found.sequence)
        count = len(matched.rows)
        self.counts.strange_answers += len(found) - count
        if not count:
            return
        if count < len(found) or (matched.rows[1:] < matched.rows[:-1]).any():
            found = found.take(matched.rows)
        self.counts.long_ids += int((found.ids.lengths > MAX_MESSAGE_ID).sum())
        events.append(Answered(matched.handles, found, now - matched.sent))

    def _one(self, frames: Frames, row: int, now: float, events: list[Event]) -> None:
        """A PDU that is neither a message nor its answer."""
        command, sequence = int(frames.command[row]), int(frames.sequence[row])
        if command == Command.GENERIC_NACK:
            self.counts.nacks += 1
            self._nacked(frames, row, now, events)
            return
        if command not in LAYOUTS:
            self.counts.unknown_commands += 1
            if not command & RESPONSE:
                self.nack(sequence, Status.INVCMDID)
            return
        try:
            pdu = decode(frames.octets(row))
        except PduError as error:
            self.counts.malformed += 1
            self._unreadable(command, sequence, int(frames.status[row]), error, events)
            return
        if command & RESPONSE:
            self._replied(pdu, events)
        else:
            self._asked(pdu, now, events)

    def _unreadable(self, command: int, sequence: int, status: int, error: PduError, events: list[Event]) -> None:
        if command & RESPONSE:  # what it says of the request is in its header
            self._replied(Pdu(command, sequence, status), events)
        elif command not in _UNANSWERED_COMMANDS:
            self._say(encode(Pdu(command | RESPONSE, sequence, error.status)))

    def _nacked(self, frames: Frames, row: int, now: float, events: list[Event]) -> None:
        sequence, status = int(frames.sequence[row]), int(frames.status[row])
        if sequence in self._requests:
            self._replied(Pdu(Command.GENERIC_NACK, sequence, status or Status.SYSERR), events)
            return
        only = frames.take(slice(row, row + 1))
        only.status = np.array([status or Status.SYSERR], np.uint32)
        self._answered(only, now, events)

    def _replied(self, pdu: Pdu, events: list[Event]) -> None:
        request = self._requests.get(pdu.sequence)
        if request is None or pdu.command not in (request.command | RESPONSE, Command.GENERIC_NACK):
            self.counts.strange_answers += 1
            return
        del self._requests[pdu.sequence]
        if request.handle == _BIND:
            self._bind_answered(request, pdu, events)
        elif request.handle == _UNBIND:
            self._end("unbound", events)
        elif request.handle != _LINK:
            events.append(Replied(request.handle, pdu))

    def _bind_answered(self, request: _Request, pdu: Pdu, events: list[Event]) -> None:
        if pdu.status not in (Status.OK, Status.ALYBND):
            self._end("the bind was refused", events, pdu.status)
            return
        if self.state is State.OPEN:
            self.state = _BOUND[Command(request.command)]
        version = pdu.tlv(Tag.SC_INTERFACE_VERSION)
        self.peer_version = version[0] if version else None
        events.append(Bound(pdu))

    def _asked(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        command = pdu.command
        if command == Command.ENQUIRE_LINK:
            self._say(encode(Pdu(Command.ENQUIRE_LINK_RESP, pdu.sequence)))
        elif command == Command.UNBIND:
            self._say(encode(Pdu(Command.UNBIND_RESP, pdu.sequence)))
            self._end("the peer has unbound", events)
        elif command in BINDS and self.side is Side.SMSC:
            if self.bound:
                self.counts.out_of_place += 1
                self.answer_bind(pdu, Status.ALYBND)
            else:
                events.append(BindAsked(pdu))
        elif command in _UNANSWERED_COMMANDS:
            events.append(Asked(pdu))
        elif not self.bound or command in BINDS:
            self.counts.out_of_place += 1
            self._say(encode(Pdu(command | RESPONSE, pdu.sequence, Status.INVBNDSTS)))
        else:
            self._messaged = now
            events.append(Asked(pdu))

    # -- time --------------------------------------------------------------------------------------------------------

    def look(self, now: float) -> list[Event]:
        """Act on the timers that have run out."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        timers = self.timers
        if timers.response > 0:
            self._look_at_answers(now - timers.response, events)
        if self.state is State.OPEN and 0 < timers.init <= now - self._connected:
            self._end(f"no bind within {timers.init:g} s", events)
        if self.bound and 0 < timers.inactivity <= now - self._messaged:
            self._end(f"no message for {timers.inactivity:g} s", events)
        if self.bound and timers.enquire_link > 0 and self._link_asked is None:
            if now - self._heard >= timers.enquire_link:
                self._link_asked = now
                self.ask(Pdu(Command.ENQUIRE_LINK), _LINK, now)
        elif self._link_asked is not None and 0 < timers.response <= now - self._link_asked:
            self._end(f"nothing heard for {now - self._heard:.0f} s, enquire_link unanswered", events)
        return events

    def _look_at_answers(self, before: float, events: list[Event]) -> None:
        oldest = self._window.oldest()
        if oldest is not None and oldest <= before:
            events.append(Unanswered(self._window.expired(np.nextafter(before, np.inf))))
        late = [sequence for sequence, request in self._requests.items() if request.sent <= before]
        for sequence in late:
            request = self._requests.pop(sequence)
            if request.handle == _BIND:
                self._end(f"the bind was not answered within {self.timers.response:g} s", events)
            elif request.handle == _UNBIND:
                self._end("unbound, without an answer", events)
            elif request.handle != _LINK:
                events.append(Replied(request.handle, None))

    def next_time(self) -> float | None:
        """When `look` is worth calling; None: when something has come or was sent."""
        if self.state is State.CLOSED:
            return None
        timers, times = self.timers, []
        if timers.response > 0:
            oldest = self._window.oldest()
            sent = [] if oldest is None else [oldest]
            sent += [request.sent for request in self._requests.values()]
            sent += [] if self._link_asked is None else [self._link_asked]
            times += [min(sent) + timers.response] if sent else []
        if self.state is State.OPEN and timers.init > 0:
            times.append(self._connected + timers.init)
        if self.bound and timers.inactivity > 0:
            times.append(self._messaged + timers.inactivity)
        if self.bound and timers.enquire_link > 0 and self._link_asked is None:
            times.append(self._heard + timers.enquire_link)
        return min(times, default=None)

    def lost(self) -> U64:
        """The connection is gone, whoever ended it: the handles of `send` that have no answer, uint64[n]."""
        self.state = State.CLOSED
        self._requests.clear()
        return self._window.everything()

    def _end(self, reason: str, events: list[Event], status: int | None = None) -> None:
        self.state = State.CLOSED
        events.append(Ended(reason, status))
