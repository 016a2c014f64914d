"""A session without its messages: binds, unbinds, signs of life, rare requests, and the timers of these."""

from __future__ import annotations

from zsms.core.smpp.events import (
    BINDS,
    BOUND_BY,
    UNANSWERED_COMMANDS,
    Asked,
    BindAsked,
    Bound,
    Counts,
    Ended,
    Event,
    Replied,
    Side,
    State,
    Timers,
)
from zsms.core.smpp.frames import Frames
from zsms.core.smpp.output import Output, bind_answer
from zsms.core.smpp.pdu import RESPONSE, Command, Status, Tag
from zsms.core.smpp.record import LAYOUTS, Pdu, PduError, decode, encode
from zsms.core.smpp.timers import Deadlines, Request
from zsms.core.smpp.window import Window

_BIND, _UNBIND, _LINK = -1, -2, -3
"""Handles of our own rare requests."""


class Link(Output):
    """What `zsms.core.smpp.session.Session` is made on."""

    def __init__(self, side: Side, timers: Timers, requests: Window) -> None:
        super().__init__()
        self.side = side
        self.state: State = State.OPEN
        self.counts = Counts()
        self.peer_version: int | None = None
        """interface_version of the peer, as far as it has said."""
        self._window = requests
        self._due = Deadlines(timers)

    def connected(self, now: float) -> None:
        """The connection stands."""
        self._due.connected(now)

    @property
    def timers(self) -> Timers:
        """As they were given."""
        return self._due.timers

    @property
    def bound(self) -> bool:
        """Whether a bind was accepted and nobody has left."""
        return self.state.bound

    def over(self) -> bool:
        """Whether nothing is read any more."""
        return self.state is State.CLOSED

    def bind(self, command: int, now: float, *, version: int = 0x34, **fields: bytes | int) -> None:
        """An ESME's first word; `command` is one of `BINDS`.

        `fields` are those of a bind (`zsms.core.smpp.record.LAYOUTS`): system_id, password, system_type, addr_ton,
        addr_npi, address_range. Raises UsageError for a field that is too long.
        """
        self.ask(Pdu(command, fields={"interface_version": version, **fields}), _BIND, now)

    def ask(self, request: Pdu, handle: int, now: float) -> None:
        """Send a rare request; `Replied` tells of it by this handle, from 0 on. Its sequence number is given here."""
        request.sequence = int(self._window.coming(1)[0])
        octets = encode(request)
        self._window.skip()
        if request.command not in UNANSWERED_COMMANDS:
            self._due.requests[request.sequence] = Request(request.command, handle, now)
        self.write(octets)

    def unbind(self, now: float) -> None:
        """Leave; `Ended` follows the answer. Nothing may be sent after this."""
        if self.bound:
            self.state = State.UNBOUND
            self.ask(Pdu(Command.UNBIND), _UNBIND, now)

    def answer_bind(self, request: Pdu, status: int = 0, system_id: bytes = b"", version: int | None = 0x34) -> None:
        """Accept a bind (status 0) or refuse it; the owner closes the connection of one that it has refused."""
        answer = bind_answer(request, status, system_id, version)
        if not status and self.state is State.OPEN:
            self.state = BOUND_BY[Command(request.command)]
            self.peer_version = request["interface_version"]
        self.reply(answer)

    # -- what comes --------------------------------------------------------------------------------------------------

    def _one(self, frames: Frames, row: int, now: float, events: list[Event]) -> None:
        """A PDU that is neither a message nor its answer."""
        command, sequence = int(frames.command[row]), int(frames.sequence[row])
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
        elif command not in UNANSWERED_COMMANDS:
            self.reply(Pdu(command | RESPONSE, sequence, error.status))

    def _replied(self, pdu: Pdu, events: list[Event]) -> None:
        request = self._due.requests.get(pdu.sequence)
        if request is None or pdu.command not in (request.command | RESPONSE, Command.GENERIC_NACK):
            self.counts.strange_answers += 1
            return
        del self._due.requests[pdu.sequence]
        if request.handle == _BIND:
            self._bind_answered(request, pdu, events)
        elif request.handle == _UNBIND:
            self._end("unbound", events)
        elif request.handle != _LINK:
            events.append(Replied(request.handle, pdu))

    def _bind_answered(self, request: Request, pdu: Pdu, events: list[Event]) -> None:
        if pdu.status:  # 0x05, too: this connection has bound nothing before, so it is another one that is
            self._end("the bind was refused", events, pdu.status)
            return
        if self.state is State.OPEN:
            self.state = BOUND_BY[Command(request.command)]
        version = pdu.tlv(Tag.SC_INTERFACE_VERSION)
        self.peer_version = version[0] if version else None
        events.append(Bound(pdu))

    def _asked(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        command = pdu.command
        if command == Command.ENQUIRE_LINK:
            self.reply(Pdu(Command.ENQUIRE_LINK_RESP, pdu.sequence))
        elif command == Command.UNBIND:
            self.reply(Pdu(Command.UNBIND_RESP, pdu.sequence))
            self._end("the peer has unbound", events)
        elif command in BINDS and self.side is Side.SMSC:
            if self.bound:
                self.counts.out_of_place += 1
                self.answer_bind(pdu, Status.ALYBND)
            else:
                events.append(BindAsked(pdu))
        elif command in UNANSWERED_COMMANDS:
            events.append(Asked(pdu))
        elif not self.bound or command in BINDS:
            self.counts.out_of_place += 1
            self.reply(Pdu(command | RESPONSE, pdu.sequence, Status.INVBNDSTS))
        else:
            self._due.messaged = now
            events.append(Asked(pdu))

    def _poll_link(self, now: float, events: list[Event]) -> None:
        """Act on the timers that have run out."""
        for request in self._due.late(now):
            if request.handle == _BIND:
                self._end(f"the bind was not answered within {self.timers.response:g} s", events)
            elif request.handle == _UNBIND:
                self._end("unbound, without an answer", events)
            elif request.handle != _LINK:
                events.append(Replied(request.handle, None))
        if not self.over() and (reason := self._due.reason(self.state, now)) is not None:
            self._end(reason, events)
        elif self._due.asks_for_life(self.state, now):
            self._due.link_asked = now
            self.ask(Pdu(Command.ENQUIRE_LINK), _LINK, now)

    def _end(self, reason: str, events: list[Event], status: int | None = None) -> None:
        self.state = State.CLOSED
        events.append(Ended(reason, status))
