"""Where every single message of a broker is, read off its insides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zsms.core.broker import BrokerCore
from zsms.core.session import Lot
from zsms.message import MessageId


@dataclass
class Fate:
    """Where a message is: "queued", (session, number) while in flight, or "sent", "failed", "dead"."""

    place: str | tuple[int, int] = "queued"
    attempt: int = 1
    delivery: int = 1


def places(core: BrokerCore) -> Iterator[tuple[MessageId, Fate]]:
    """Every message that the broker holds."""

    def of(lot: Lot) -> Iterator[tuple[MessageId, Fate]]:
        for message in lot.batch.messages():
            yield message.id, Fate("queued", lot.attempt, lot.delivery)

    for index, lot in enumerate(core.queue._lots):
        yield from of(lot.part(core.queue._begin, lot.size) if index == 0 else lot)
    for _, _, lot in core.retries._heap:
        yield from of(lot)
    for session in core.sessions.values():
        for piece in session.pieces():
            begin = session._head + piece.base - session._low
            positions = np.flatnonzero(session._open[begin : begin + piece.end - piece.base])
            messages = piece.lot.batch.take(positions).messages()
            for number, message in zip((piece.base + positions).tolist(), messages, strict=True):
                yield message.id, Fate((session.token, number), piece.lot.attempt, piece.lot.delivery)
