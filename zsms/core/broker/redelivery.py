"""What is taken back from a sender, and given to another one: or to the dead, when it came back too often."""

from __future__ import annotations

import numpy as np

from zsms.core.broker.books import Books
from zsms.core.broker.dispatch import Dispatch
from zsms.core.broker.failures import Failures
from zsms.core.broker.letters import Letters
from zsms.core.broker.lot import Lot, gather, mixed_lot, mixed_lots
from zsms.core.broker.outlasted import Late
from zsms.core.broker.pieces import Piece
from zsms.core.broker.session import Session

_KEEP_RANGE = 256
"""A range of a batch of which nothing is settled is taken back as it is from that size on, others are copied out."""


class Redelivery:
    """Takes messages back from senders that died, fell silent or ran out of their lease."""

    def __init__(self, most: int, dispatch: Dispatch, letters: Letters, books: Books, failures: Failures) -> None:
        """`most` senders may have had a message before it counts as poison."""
        self.failures = failures
        """To be decided on before anything is taken back."""
        self._most = most
        self._dispatch = dispatch
        self._letters = letters
        self._sources, self._counters, self._progress, self._journal = books

    def take_back(self, session: Session, pieces: list[Piece], late: Late | None, now: float) -> int:
        """Take these pieces, oldest first, and messages that have outlasted the window; how many messages that was.

        They come to the front of the queue in their order. Long ranges stay what they are, the rest is copied out.
        """
        parts = session.take_old(late)
        lots: list[Lot] = []
        for piece in pieces:
            part = session.take_part(piece)
            if part is None:
                continue
            if len(part[1]) == part[0].size >= _KEEP_RANGE and part[0].attempt:
                if parts:
                    lots += mixed_lots(gather(parts, self._sources))
                parts = []
                lots.append(part[0])
            else:
                parts.append(part)
        if parts:
            lots += mixed_lots(gather(parts, self._sources))
        for lot in reversed(lots):
            self._deliver_again(lot, now)
        return sum(lot.size for lot in lots)

    def _deliver_again(self, lot: Lot, now: float) -> None:
        """To the front of the queue, or to the dead what came back too often."""
        self._counters.redelivered += lot.size
        if (lot.delivery or int(lot.rows["delivery"].max())) >= self._most:
            left = self._without_poison(lot, now)
            if left is None:
                return
            lot = left
        lot = lot.again(now)
        if self._journal is not None:
            self._journal.taken_back(lot)
        self._dispatch.requeue(lot)

    def _without_poison(self, lot: Lot, now: float) -> Lot | None:
        """Bury what came back too often; the rest, if there is one."""
        everything = np.arange(lot.size)
        poison = everything if lot.attempt else np.flatnonzero(lot.rows["delivery"] >= self._most)
        dead = gather([(lot, poison)], self._sources)
        for account, count in lot.accounts(poison):
            account.in_flight -= count
            account.dead += count
        self._letters.bury_by("delivery", "taken back from", "sender", dead)
        self._progress.given_up(now)  # and not one send more
        if len(poison) == lot.size:
            return None
        return mixed_lot(gather([(lot, np.setdiff1d(everything, poison))], self._sources))
