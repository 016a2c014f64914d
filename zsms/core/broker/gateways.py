"""Which senders have binds of the same account at a gateway, and what is on its way to each.

    spoke(session, account, read) -> whether it is new there    it said that it has binds, and what it has read
    senders(account) -> sessions                                those that have
    has_room(session) -> bool                                   whether a frame of receipts may go to it

A gateway gives the receipts of an account to any of its binds, and so to a sender that did not send the message. The
broker hands those on and keeps nothing: who has `MOST_UNREAD` of them to read gets no more.
"""

from __future__ import annotations

from zsms.core.broker.session import Session

MOST_UNREAD = 1 << 16
"""Others' receipts that a sender may have unread; what comes then is dropped. It is seconds of the fastest."""


class GatewayAccounts:
    """The senders by account."""

    def __init__(self) -> None:
        self._senders: dict[int, dict[int, Session]] = {}

    def __len__(self) -> int:
        """Accounts that some sender has binds of."""
        return len(self._senders)

    def spoke(self, session: Session, account: int, read: int) -> bool:
        """It has binds of that account, and has read so many receipts since it joined; whether that account is news."""
        session.read = max(session.read, min(read, session.handed))
        if session.gateway == account:
            return False
        self.forget(session)
        session.gateway = account
        self._senders.setdefault(account, {})[session.token] = session
        return True

    def senders(self, account: int) -> list[Session]:
        """Those that have binds of that account."""
        return list(self._senders.get(account, {}).values())

    def has_room(self, session: Session) -> bool:
        """Whether a frame of receipts may go to it; what does is counted in `handed`."""
        return session.handed - session.read < MOST_UNREAD

    def forget(self, session: Session) -> None:
        """It has gone, or has joined again and will say anew what it has."""
        if session.gateway is not None:
            senders = self._senders[session.gateway]
            del senders[session.token]
            if not senders:
                del self._senders[session.gateway]
        session.gateway, session.handed, session.read = None, 0, 0
