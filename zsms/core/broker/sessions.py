"""The senders of a broker: who has joined, who is there still, and what is taken from those that are not.

    join (new)         --> open --bye, silence, unreachable and silent--> ended
    join (known token) --> open again under a new peer; grants that it did not receive come back
    any frame of an ended session: its acknowledgements count as duplicates, and it is told

Every silence is measured from the last word of any kind, and nobody is given up in the `liveness` seconds after the
broker itself was late.
"""

from __future__ import annotations

from collections import OrderedDict

from zsms.core.broker.books import Books
from zsms.core.broker.dispatch import Dispatch
from zsms.core.broker.events import Events
from zsms.core.broker.gateways import GatewayAccounts
from zsms.core.broker.incoming import SenderJoin
from zsms.core.broker.limits import BrokerLimits
from zsms.core.broker.peers import Peers
from zsms.core.broker.redelivery import Redelivery
from zsms.core.broker.session import Session

REMEMBERED = 4_096
_JUDGE_S = 0.05
"""Seconds, at most, from one look through all sessions to the next."""
LEFT = "sender left"


class Sessions:
    """The senders' sessions, by their tokens."""

    def __init__(
        self,
        limits: BrokerLimits,
        dispatch: Dispatch,
        redelivery: Redelivery,
        *,
        peers: Peers,
        books: Books,
        events: Events,
    ) -> None:
        self.open: dict[int, Session] = {}
        self.gateways = GatewayAccounts()
        self._limits = limits
        self._dispatch = dispatch
        self._redelivery = redelivery
        self._peers = peers
        self._sources, self._counters = books.sources, books.counters
        self._events = events
        self._ended: OrderedDict[int, str] = OrderedDict()
        self._looked: float | None = None
        self._judge_after = 0.0

    def joined(self, peer: bytes, join: SenderJoin, now: float) -> Session | None:
        """A sender introduced itself. Its session, or None when that session was given up before."""
        session = self.open.get(join.session)
        if session is None:
            if join.session in self._ended or join.received:
                # It was given up, or belongs to an earlier start of this broker: what it holds is not ours to settle.
                return None
            session = Session(join.session, join.name, join.slots, peer, now, sources=self._sources)
            self.open[join.session] = session
            self._dispatch.opened(session)
            self._events.note(now, "sender joined", join.name, 0)
        elif join.generation <= session.generation:
            return session  # of a connection that broke, and read after the join that followed
        else:
            self._redelivery.failures.decide(session)
            try:
                lots = session.rewind(join.received)
            except ValueError:
                self.end(session, now, "sender disagreed")
                return None
            for lot in lots:
                self._dispatch.requeue(lot)
        self.gateways.forget(session)
        session.generation, session.last_seen = join.generation, now
        longest = max(self._limits.max_lease, self._limits.lease)
        session.lease = min(max(join.lease, self._limits.lease), longest)
        session.reachable = True
        session.limit = session.granted  # its next frame says how much it wants
        self._peers.speaks(peer, session)
        return session

    def refused(self, peer: bytes, token: int, count: int, now: float) -> None:
        """So many acknowledgements came from a peer that does not speak for that session: count them."""
        session = self.open.get(token)
        if session is not None:
            self._counters.foreign += count
            # Whoever has joined nothing may well be that sender, whose connection broke: no reason for alarm.
            kind = "foreign acknowledgements" if peer in self._peers else "acknowledgements without a join"
            self._events.complain(now, kind, session.name, count)
        elif token in self._ended:
            self._counters.duplicates += count
        else:
            self._counters.unknown += count

    def has_ended(self, token: int) -> bool:
        """Whether that session was given up."""
        return token in self._ended

    def end(self, session: Session, now: float, why: str) -> None:
        """It is over, and what it holds goes to others."""
        held = session.in_flight
        self._redelivery.failures.decide(session)
        self._redelivery.take_back(session, session.pieces(), None, now)
        del self.open[session.token]
        self._peers.forget(session)
        self.gateways.forget(session)
        self._dispatch.ended(session)
        self._ended[session.token] = session.name
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        if why != LEFT:
            self._counters.sessions_ended += 1
        self._events.note(now, why, session.name, held)

    # -- time -------------------------------------------------------------------------------------------------

    def poll(self, now: float) -> None:
        """Judge the silent, and take back what has outlasted its lease.

        When the last look is long ago the broker itself was stopped, and silence proves nothing.
        """
        liveness = self._limits.liveness
        if self._looked is not None and now - self._looked > liveness / 2:
            self._judge_after = now + liveness
        self._looked = now
        if now < self._judge_after:
            return
        self._judge_after = now + min(liveness / 50, _JUDGE_S)
        for session in list(self.open.values()):
            if now - session.last_seen > liveness:
                self.end(session, now, "sender lost")
            else:
                self._expire_leases(session, now)

    def _expire_leases(self, session: Session, now: float) -> None:
        pieces, late = session.expired(session.lease, now)
        if session.held and (pieces or late):
            self._redelivery.failures.decide(session)
            pieces, late = session.expired(session.lease, now)
        if pieces or late:
            count = self._redelivery.take_back(session, pieces, late, now)
            self._dispatch.line_up(session)  # its slots count as free again
            self._events.note(now, "lease expired", session.name, count)
