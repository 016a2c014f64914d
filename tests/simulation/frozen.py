"""What a broker's state was at one moment: cheap to take, and spelled out only when somebody compares it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from zsms.core.broker import BrokerCore, DeadLetter
from zsms.core.broker.lot import Lot
from zsms.core.broker.pieces import Piece
from zsms.core.broker.session import Session
from zsms.message import Batch, Mixed

Message = tuple[int, int]
Columns = tuple[int, int, int, int]
"""Accepted, sent, failed, dead."""


class History(NamedTuple):
    """Of a message that the broker holds."""

    attempt: int
    delivery: int
    out: bool
    """In flight."""


class Letter(NamedTuple):
    """A dead letter, for comparison."""

    messages: tuple[Message, ...]
    reason: str
    histories: tuple[tuple[int, int], ...]
    """Attempt and delivery of each."""


class Frozen(NamedTuple):
    """The state; nothing in it changes any more."""

    accounts: dict[int, Columns]
    """By start."""
    marks: dict[int, int]
    """The next batch expected, by start."""
    waiting: list[Lot]
    """In the queue and for their next attempt."""
    pieces: list[tuple[Lot, bytes]]
    """In flight, and of each message whether it is open."""
    dead: list[DeadLetter]
    purged: frozenset[Message]
    """Dead letters that were let go."""

    def held(self, messages_of: Callable[[Batch | Mixed], list[Message]]) -> Iterator[tuple[Message, History]]:
        """Every message that is not settled."""
        for lot in self.waiting:
            for message, each in zip(messages_of(lot.batch), lot.messages(), strict=True):
                yield message, History(each.attempt, each.delivery, False)
        for lot, flags in self.pieces:
            for message, each, is_open in zip(messages_of(lot.batch), lot.messages(), flags, strict=True):
                if is_open:
                    yield message, History(each.attempt, each.delivery, True)

    def letters(self, messages_of: Callable[[Batch | Mixed], list[Message]]) -> dict[int, Letter]:
        """The dead letters, by number."""
        return {
            number: Letter(
                tuple(messages_of(lot.batch)), reason, tuple((m.attempt, m.delivery) for m in lot.messages())
            )
            for lot, reason, number in self.dead
        }


def _flags(session: Session, piece: Piece) -> bytes:
    """Of each message of a piece whether it is open."""
    flags = bytearray(piece.lot.size)
    for position in session.open_in(piece).tolist():
        flags[position] = 1
    return bytes(flags)


def freeze(core: BrokerCore, purged: frozenset[Message]) -> Frozen:
    """The state of this broker now; `purged` are the dead letters that it has let go."""
    pieces = []
    for session in core.sessions.values():
        if session.in_flight:
            pieces += [(piece.lot, _flags(session, piece)) for piece in session.pieces() if piece.open]
            old = session.old()
            if old is not None:
                pieces.append((old[0], bytes([1]) * old[0].size))
    accounts = [*core.producers.values(), *core.closed_accounts]
    return Frozen(
        accounts={a.epoch: (a.accepted, a.sent, a.failed, a.dead) for a in accounts},
        marks={a.epoch: a.next for a in accounts},
        waiting=[*core.queue.lots(), *core.retries.lots()],
        pieces=pieces,
        dead=list(core.dead_letters),
        purged=purged,
    )
