"""Which sender gets the next messages: the queue, and the lines in which senders wait for their turn.

    line        who stands in it                                          is served
    idle        wants messages and has a slot free for them               first, each in turn
    prefetch    wants messages to wait behind its busy slots              when nobody is idle, and no slot elsewhere
                                                                          could take what is left
    none        wants nothing, or its connection is gone

A sender whose pipe is full keeps its place and is passed over until it may be tried again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from zsms.core.broker.journal import Journal
from zsms.core.broker.lot import Lot
from zsms.core.broker.pieces import Piece
from zsms.core.broker.queue import ReadyQueue
from zsms.core.broker.session import Session

_STREAM_S = 0.1
"""Batches that have come for so long, with no gap of that length and none since, are taken for a stream."""


class Granted(NamedTuple):
    """A piece that `session` was granted and the wire has still to take."""

    session: Session
    piece: Piece
    more: bool = False
    """Whether others wait in the queue still."""


class Dispatch:
    """Hands the queue out by credit."""

    def __init__(self, journal: Journal | None) -> None:
        self.queue = ReadyQueue()
        self._journal = journal
        self._idle: OrderedDict[int, Session] = OrderedDict()
        """In turn, by token; a session is in one line at most."""
        self._prefetch: OrderedDict[int, Session] = OrderedDict()
        self._blocked: dict[int, Session] = {}
        self.slots = 0
        """Of all sessions."""
        self._stream_since = self._stream_last = -inf
        """When the batches that come without a gap began to come, and the last one."""

    def arrived(self, now: float) -> None:
        """A batch came."""
        if now - self._stream_last > _STREAM_S:
            self._stream_since = now
        self._stream_last = now

    def opened(self, session: Session) -> None:
        """A session is new."""
        self.slots += session.slots

    def ended(self, session: Session) -> None:
        """A session is over."""
        self.slots -= session.slots
        for line in (self._idle, self._prefetch, self._blocked):
            line.pop(session.token, None)

    def requeue(self, lot: Lot) -> None:
        """Messages in flight come back to the front of the queue."""
        for account, count in lot.accounts():
            account.in_flight -= count
            account.queued += count
        self.queue.put_back(lot)

    def restore(self, lot: Lot) -> None:
        """These waited before the broker was started again."""
        for account, count in lot.accounts():
            account.queued += count
        self.queue.put(lot)

    def lines(self) -> dict[str, list[int]]:
        """Who waits for what, first to last: tokens of sessions."""
        return {"idle": list(self._idle), "prefetch": list(self._prefetch), "blocked": list(self._blocked)}

    # -- whose turn it is -------------------------------------------------------------------------------------

    def line_up(self, session: Session) -> None:
        """Put the session in the line that it belongs to."""
        if session.limit <= session.granted:
            return
        line, other = self._idle, self._prefetch
        if session.slots <= session.in_flight:
            line, other = other, line
        token = session.token
        if token not in line:
            other.pop(token, None)
            line[token] = session

    def _may_prefetch(self, session: Session, now: float) -> int:
        """How many may wait behind its busy slots: unless more is coming, none that slots elsewhere could take.

        None before its first send has ended: until then all its slots are as busy as they will be, and the slots of
        others, which may only just be joining, could take the last messages sooner.
        """
        if not (session.sent or session.failed):
            return 0
        if now - self._stream_last <= _STREAM_S < self._stream_last - self._stream_since:
            return session.wants
        return min(session.wants, self.queue.messages - (self.slots - session.slots))

    def _next_in_line(self, now: float) -> tuple[Session, int] | None:
        """Whose turn it is, and how many messages it may be given."""
        for line in (self._idle, self._prefetch):
            for _ in range(len(line)):
                token, session = line.popitem(last=False)
                wants = session.limit - session.granted
                if wants <= 0 or not session.reachable:
                    continue
                if session.blocked_until > now:
                    line[token] = session
                    continue
                free = session.slots - session.in_flight
                if free > 0:
                    return session, (free if free < wants else wants)
                most = 0 if line is self._idle else self._may_prefetch(session, now)
                if most > 0:
                    return session, most
                self._prefetch[token] = session
        return None

    def grants(self, now: float) -> Iterator[Granted]:
        """Grant while there is work and credit: in turn, each at most what is left of the front batch.

        A message goes first to a sender that has an idle slot for it, then to one that prefetches.
        """
        queue = self.queue
        while queue.messages:
            turn = self._next_in_line(now)
            if turn is None:
                return
            session, most = turn
            lot = queue.take(most)
            account = lot.account
            if account is not None:
                account.queued -= lot.size
                account.in_flight += lot.size
            else:
                for account, count in lot.accounts():
                    account.queued -= count
                    account.in_flight += count
            if self._journal is not None:
                self._journal.granted(lot)
            piece = session.grant(lot, now)
            self.line_up(session)
            yield Granted(session, piece, queue.messages > 0)

    # -- what the wire did not take ---------------------------------------------------------------------------

    def unreachable(self, granted: Granted) -> None:
        """The wire knows no way to that sender: the grant is undone, and there are no more until it speaks."""
        granted.session.reachable = False
        self.undo(granted)

    def blocked(self, granted: Granted, until: float) -> None:
        """The wire's pipe to that sender is full: the grant is undone and costs no credit."""
        granted.session.blocked_until = until
        self._blocked[granted.session.token] = granted.session
        self.undo(granted)

    def undo(self, granted: Granted) -> None:
        """A grant did not leave: its messages are ready again."""
        lot = granted.session.undo()
        if lot is not None:
            self.requeue(lot)
        self.line_up(granted.session)  # the grant may have been all that it wanted

    def next_time(self, now: float) -> float:
        """When somebody who is passed over may be tried again; inf when there is nothing for them."""
        if not self.queue:
            return inf
        self._blocked = {t: s for t, s in self._blocked.items() if s.blocked_until > now}
        return min((s.blocked_until for s in self._blocked.values()), default=inf)
