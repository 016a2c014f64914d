"""Where every single message of a broker is, read off its insides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from zsms.core.broker import BrokerCore
from zsms.core.session import Lot
from zsms.message import Batch, MessageId


@dataclass
class Fate:
    """Where a message is: "queued", (session, number) while in flight, or "sent", "failed", "dead"."""

    place: str | tuple[int, int] = "queued"
    attempt: int = 1
    delivery: int = 1


class Held(NamedTuple):
    """Messages that are in one place and share their history."""

    batch: Batch
    attempt: int
    delivery: int
    places: list[str] | list[tuple[int, int]]
    """One of each message."""


def held(core: BrokerCore) -> Iterator[Held]:
    """All that the broker holds."""

    def queued(lot: Lot) -> Held:
        return Held(lot.batch, lot.attempt, lot.delivery, ["queued"] * lot.size)

    for index, lot in enumerate(core.queue._lots):
        yield queued(lot.part(core.queue._begin, lot.size) if index == 0 else lot)
    for _, _, lot in core.retries._heap:
        yield queued(lot)
    for session in core.sessions.values():
        for piece in filter(lambda piece: piece.open, session.pieces()):
            begin = session._head + piece.base - session._low
            positions = np.flatnonzero(session._open[begin : begin + piece.end - piece.base])
            numbers = [(session.token, number) for number in (piece.base + positions).tolist()]
            yield Held(piece.lot.batch.take(positions), piece.lot.attempt, piece.lot.delivery, numbers)


def places(core: BrokerCore) -> Iterator[tuple[MessageId, Fate]]:
    """Every message that the broker holds."""
    for batch, attempt, delivery, each in held(core):
        for message, place in zip(batch.messages(), each, strict=True):
            yield message.id, Fate(place, attempt, delivery)
