"""What a session can be, and what it tells: sides, states, timers, counts, events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from zsms.core.smpp.pdu import Answers, Command, Messages
from zsms.core.smpp.record import Pdu
from zsms.core.smpp.window import F64, U64

BINDS = (Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER)
UNANSWERED_COMMANDS = (Command.OUTBIND, Command.ALERT_NOTIFICATION)
"""Requests that have no answer."""


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

    def __init__(self, words: str) -> None:
        self.submits = words in ("bound as transmitter", "bound as transceiver")
        """Whether an ESME may submit."""
        self.receives = words in ("bound as receiver", "bound as transceiver")
        """Whether an SMSC may deliver."""
        self.bound = self.submits or self.receives


BOUND_BY = {
    Command.BIND_TRANSMITTER: State.BOUND_TX,
    Command.BIND_RECEIVER: State.BOUND_RX,
    Command.BIND_TRANSCEIVER: State.BOUND_TRX,
}
"""The state that a bind leads to."""


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
