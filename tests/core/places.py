"""Where every single message of a broker is, read off its insides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from zsms.core.broker import BrokerCore
from zsms.core.broker.lot import Lot
from zsms.message import Batch, MessageId, Mixed


@dataclass
class Fate:
    """Where a message is: "queued", (session, number) while in flight, or "sent", "failed", "dead"."""

    place: str | tuple[int, int] = "queued"
    attempt: int = 1
    delivery: int = 1


class Held(NamedTuple):
    """Messages that are in one place."""

    batch: Batch | Mixed
    attempt: int
    delivery: int
    places: list[str] | list[tuple[int, int]]
    """One of each message."""


def held(core: BrokerCore) -> Iterator[Held]:
    """All that the broker holds."""

    def queued(lot: Lot) -> Held:
        return Held(lot.batch, lot.attempt, lot.delivery, ["queued"] * lot.size)

    for lot in (*core.queue.lots(), *core.retries.lots()):
        yield queued(lot)
    for session in core.sessions.values():
        for piece in filter(lambda piece: piece.open, session.pieces()):
            positions = session.open_in(piece)
            numbers = [(session.token, number) for number in (piece.base + positions).tolist()]
            yield Held(piece.lot.batch.take(positions), piece.lot.attempt, piece.lot.delivery, numbers)
        old = session.old()
        if old is not None:
            yield Held(old[0].batch, 0, 0, [(session.token, number) for number in old[1].tolist()])


def places(core: BrokerCore) -> Iterator[tuple[MessageId, Fate]]:
    """Every message that the broker holds."""
    for batch, attempt, delivery, each in held(core):
        for message, place in zip(batch.messages(attempt, delivery), each, strict=True):
            yield message.id, Fate(place, message.attempt, message.delivery)
