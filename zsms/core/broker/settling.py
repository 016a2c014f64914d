"""What acknowledgements settle: the numbers that a sender says were sent, closed in its window and in the accounts."""

from __future__ import annotations

import numpy as np

from zsms.core.broker.books import Books
from zsms.core.broker.events import Events
from zsms.core.broker.lot import I64
from zsms.core.broker.session import Session


class Settling:
    """Settles what was sent. What failed is the business of :class:`zsms.core.broker.failures.Failures`."""

    def __init__(self, books: Books, events: Events) -> None:
        self._sources, self._counters, self._progress, self._journal = books
        self._events = events

    def known(self, session: Session, numbers: I64) -> I64:
        """`numbers` without those that the session was never granted (they are ascending)."""
        if numbers[-1] < session.granted:
            return numbers
        known = numbers[: int(np.searchsorted(numbers, session.granted))]
        unknown = len(numbers) - len(known)
        self._counters.unknown += unknown
        self._events.complain(session.last_seen, "unknown acknowledgements", session.name, unknown)
        return known

    def sent(self, session: Session, numbers: I64, now: float) -> None:
        """These messages were sent; int64, ascending."""
        numbers = self.known(session, numbers)
        settled = session.settle(numbers, counted=session.account is not None and self._journal is None)
        self._counters.duplicates += settled.repeated
        fresh = settled.fresh
        if session.account is not None:
            session.account.in_flight -= fresh
            session.account.sent += fresh
        else:
            for lot, positions in settled.positions():
                for account, count in lot.accounts(positions):
                    account.in_flight -= count
                    account.sent += count
        session.sent += fresh
        self._progress.sent(fresh, now)
        if self._journal is not None:
            self._journal.acknowledged(settled)
        session.thin()

    def sent_one(self, session: Session, number: int, now: float) -> None:
        """`sent` for one number: the same, without arrays."""
        if number >= session.granted:
            self.known(session, np.array([number]))
            return
        settled = session.settle_one(number)
        if settled is None:
            self._counters.duplicates += 1
            return
        lot, position = settled
        account = lot.account
        if account is None:
            account = self._sources[lot.rows["source"].item(position)]
        account.in_flight -= 1
        account.sent += 1
        session.sent += 1
        self._progress.sent(1, now)
        if self._journal is not None:
            self._journal.settled(lot, np.array([position]))
        if not session.granted & 255:
            session.thin()
