"""The broker's decisions: who holds which message, and what became of it.

A message is in exactly one place:

    put --> queued --grant--> in flight --sent-------------------> sent
              ^  ^               |  |
              |  |               |  +--throttled, or failed with attempts left--> waits (queued) --> queued
              |  |               |  +--failed, none left-----> failed, or dead when it had several
              |  |               |  +--rejected, uncertain---> the same at once
              |  +--wire lost it-+                                |
              +--sender died, fell silent, lease ran out ---------+  (delivery + 1; dead after max_deliveries)

    ready message:        purged    dead, for the reason "purged"

The parts that decide: accounts (producers and their batches), sessions (senders), dispatch (whose turn it is), settling
and failures (what an acknowledgement says), redelivery (what is taken back), letters (the dead ones).

Methods are events, named for what happened; they take `now` and return what to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from zsms.core.broker.accounts import Accounts, Put
from zsms.core.broker.books import Books
from zsms.core.broker.dispatch import Dispatch, Granted
from zsms.core.broker.events import Event, Events
from zsms.core.broker.failures import Failed, Failures
from zsms.core.broker.incoming import Acknowledgement, ProducerJoin, Receipts, SenderJoin
from zsms.core.broker.journal import Group, Journal
from zsms.core.broker.ledger import Counters, ProducerAccount
from zsms.core.broker.letters import PURGED, Letters
from zsms.core.broker.limits import BrokerLimits
from zsms.core.broker.lot import DeadLetter, Lot
from zsms.core.broker.peers import Known, Peers
from zsms.core.broker.progress import Progress
from zsms.core.broker.receipts import ReceiptBook
from zsms.core.broker.redelivery import Redelivery
from zsms.core.broker.retries import Retries
from zsms.core.broker.session import Session
from zsms.core.broker.sessions import LEFT, Sessions
from zsms.core.broker.settling import Settling
from zsms.core.seeds import Seed
from zsms.message import Batch


class BrokerCore:
    """One broker's state."""

    def __init__(self, limits: BrokerLimits | None = None, seed: Seed = None, journal: Journal | None = None) -> None:
        """With a `journal`, batches are confirmed once the group that has them was `committed`."""
        self.limits = limits = limits or BrokerLimits()
        self.journal = journal
        self.counters = counters = Counters()
        self._receipts = ReceiptBook(counters)
        self.delivery_times = self._receipts.times
        """From a gateway's acceptance to the receipt that tells of a delivery, since this start of the broker."""
        self.progress = progress = Progress()
        self.peers = Peers()
        self._events = events = Events()
        self._accounts = Accounts(counters, events, journal)
        self.producers = self._accounts.producers
        """The account of the latest start of each producer."""
        self.closed_accounts = self._accounts.closed
        self.sources = sources = self._accounts.sources
        """Accounts by their index, by which the rows of mixed messages name them."""
        self.retries = Retries(limits.retry_base, limits.retry_cap, seed, sources)
        self._letters = letters = Letters(sources, journal)
        self._dispatch = Dispatch(journal)
        self.queue = self._dispatch.queue
        books = Books(sources, counters, progress, journal)
        self._settling = Settling(books, events)
        self._failures = Failures(limits, self.retries, letters, books)
        redelivery = Redelivery(limits.max_deliveries, self._dispatch, letters, books, self._failures)
        self._sessions = Sessions(limits, self._dispatch, redelivery, peers=self.peers, books=books, events=events)
        self.sessions, self.gateways = self._sessions.open, self._sessions.gateways

    @property
    def slots(self) -> int:
        """Of all senders that have joined."""
        return self._dispatch.slots

    # -- producers ------------------------------------------------------------------------------------------

    def producer_joined(self, peer: bytes, join: ProducerJoin, now: float) -> ProducerAccount | None:
        """A producer introduced itself. Its account, or None when a later start of it has fenced this one."""
        before = self.producers.get(join.producer)
        account = self._accounts.joined(join, now)
        if account is None:
            return None
        if before is not None:
            self.peers.forget(before)
        self.peers.speaks(peer, account)
        if self._accounts.crowded:
            self._accounts.fold(self._letters.sources())
        return account

    def latest_epoch(self, producer: int, epoch: int) -> int:
        """The latest epoch of that producer that is known here; `epoch` when none is later."""
        return self._accounts.latest_epoch(producer, epoch)

    def put(self, batch: Batch, now: float) -> Put:
        """A batch arrived."""
        put = self._accounts.judged(batch)
        if put is not Put.ACCEPTED:
            return put
        self.progress.accepted(now)
        self._dispatch.arrived(now)
        account = self.producers[batch.producer]
        lot = Lot(batch, account, now)
        self._accounts.accepted(account, lot.size)
        self.queue.put(lot)
        if self.journal is not None:
            self.journal.accepted(lot)
        return put

    @property
    def full(self) -> bool:
        """Whether the queue is at a high-water mark: read no more until it is not."""
        full = self.queue.messages + self._failures.messages >= self.limits.max_messages
        return full or self.queue.nbytes + self.retries.nbytes >= self.limits.max_bytes

    def confirms(self) -> list[ProducerAccount]:
        """The producers to be told what they can be confirmed, each once."""
        return self._accounts.confirms()

    def committed(self, group: Group) -> None:
        """A group of the journal is durable: its batches can be confirmed."""
        self._accounts.committed(group)

    # -- senders --------------------------------------------------------------------------------------------

    def sender_joined(self, peer: bytes, join: SenderJoin, now: float) -> Session | None:
        """A sender introduced itself. Its session, or None when that session was given up before."""
        return self._sessions.joined(peer, join, now)

    def acknowledged(self, peer: bytes, ack: Acknowledgement, now: float, how: Failed | None = None) -> Session | None:
        """An acknowledgement of a session arrived; None when the sender must join (again).

        `how` says how each of those that failed did; None: plainly.

        It must come from the peer that joined last: what a connection held back before it broke is said again
        after the next join, in order.
        """
        session = self.sessions.get(ack.session)
        sent, failed = ack.sent, ack.failed
        if session is None or session.peer != peer:
            self._sessions.refused(peer, ack.session, len(sent) + len(failed), now)
            return None
        session.last_seen, session.reachable = now, True
        number = ack.number
        if number != session.acked:
            if number > session.acked and session.granted:
                # One before it was refused or lost on its way: the sender says all of them again when it has joined.
                # Those that are on their way by then ask for nothing more; its next sign of life does.
                if session.asked == session.generation:
                    return session
                session.asked = session.generation
                self._events.complain(now, "acknowledgements missing", session.name, 0)
                return None
            if number < session.acked:
                self._dispatch.line_up(session)
                return session  # the sender sent it again after a reconnect, and it had arrived
        session.acked = number + 1
        session.limit = ack.limit
        base = ack.base if ack.base < session.granted else session.granted  # above all are unknown; it fits an int64
        if (count := len(sent)) == 1:
            self._settling.sent_one(session, base + sent.item(0), now)
        elif count:
            self._settling.sent(session, sent.astype(np.int64) + base, now)
        if len(failed):
            numbers = self._settling.known(session, failed.astype(np.int64) + base)
            self._failures.settle(session, numbers, how, now)
        self._dispatch.line_up(session)
        return session

    def received(self, peer: bytes, told: Receipts, now: float) -> bool:
        """Receipts of a session arrived, or of one that was given up: they are counted, and change nothing else.

        False when the sender must join (again).
        """
        if self.is_ended(told.session):
            self._receipts.add(told)
        session = self.sessions.get(told.session)
        if session is None or session.peer != peer:
            return False
        session.last_seen, session.reachable = now, True
        self._receipts.add(told)
        return True

    def is_ended(self, token: int) -> bool:
        """Whether that session was given up."""
        return self._sessions.has_ended(token)

    def alive(self, peer: bytes, now: float) -> Known | None:
        """Any other word of a peer; None when the peer must join (again) first."""
        known = self.peers.get(peer)
        if isinstance(known, Session):  # a producer may be silent for ever
            known.last_seen = now
            known.reachable = True
            if known.asked == known.generation:
                return None
            self._dispatch.line_up(known)
        return known

    def left(self, peer: bytes, now: float) -> None:
        """A peer said goodbye."""
        known = self.peers.get(peer)
        if isinstance(known, Session):
            self._sessions.end(known, now, LEFT)
        elif known is not None:
            del self.peers[peer]
            known.gone = True

    # -- granting -------------------------------------------------------------------------------------------

    def grants(self, now: float) -> Iterator[Granted]:
        """Grant while there is work and credit: what the wire has to take, or to say that it can't."""
        return self._dispatch.grants(now)

    def unreachable(self, granted: Granted) -> None:
        """The wire knows no way to that sender: the grant is undone, and there are no more until it speaks."""
        self._dispatch.unreachable(granted)

    def blocked(self, granted: Granted, until: float) -> None:
        """The wire's pipe to that sender is full: the grant is undone and costs no credit."""
        self._dispatch.blocked(granted, until)

    def lines(self) -> dict[str, list[int]]:
        """Tokens of the sessions that are "idle", "prefetch" or "blocked", first to last."""
        return self._dispatch.lines()

    # -- time -----------------------------------------------------------------------------------------------

    def poll(self, now: float) -> None:
        """Call after reading what waited and before granting: moves retries that are due, judges the silent."""
        for lot in self._failures.due(now):
            self.queue.put(lot)
        self._letters.poll(now)
        self._sessions.poll(now)

    def next_time(self, now: float) -> float:
        """When `poll` must be called at the latest, in the caller's clock."""
        return min(now + self.limits.liveness / 5, self._dispatch.next_time(now), self._failures.next_time())

    # -- what people do with it -------------------------------------------------------------------------------

    @property
    def dead_letters(self) -> deque[DeadLetter]:
        """Those that are kept, the oldest first."""
        return self._letters.letters()

    @property
    def dead_bytes(self) -> int:
        """Bytes of the dead letters that are kept."""
        self._letters.letters()
        return self._letters.nbytes

    def kick(self, now: float, reason: str = "", limit: int = 0) -> int:
        """Queue dead letters again, the oldest first, as if they were new; returns how many messages.

        Only those with this `reason` ("": any), at most `limit` messages (0: all). The queue may then be above its
        high-water mark, by no more than the dead letters that are kept.
        """
        kicked = 0
        for lot in self._letters.kicked(reason, limit, now):
            self.queue.put(lot)
            kicked += lot.size
        self._note(now, "dead letters kicked", reason or "any reason", kicked)
        return kicked

    def purge_dead(self, now: float, reason: str = "") -> int:
        """Let go of dead letters (with this reason); they stay counted as dead. Returns how many messages."""
        purged = self._letters.let_go(reason)
        self._note(now, "dead letters purged", reason or "any reason", purged)
        return purged

    def purge_ready(self, now: float) -> int:
        """Give up everything that waits for a sender or its next attempt; returns how many messages."""
        lots = self._failures.everything()
        while self.queue:
            lots.append(self.queue.take(self.queue.messages))
        purged = self._letters.purge(lots)
        if purged:
            self.progress.given_up(now)
        self._note(now, "queue purged", PURGED, purged)
        return purged

    def _note(self, now: float, kind: str, which: str, messages: int) -> None:
        if messages:
            self._events.note(now, kind, which, messages)

    # -- from and for a journal -------------------------------------------------------------------------------

    @property
    def books(self) -> dict[str, Any]:
        """Figures of the broker as a whole, plain values: what a journal keeps beside messages and accounts."""
        return {
            "next_letter": self._letters.next_number,
            "first_accepted": self.progress.first_accepted,
            "last_settled": self.progress.last_settled,
            "sends": self.progress.sends,
            "counters": asdict(self.counters),
        }

    def restore(self, books: Mapping[str, Any], accounts: Iterable[ProducerAccount]) -> None:
        """Go on from `books` and these accounts, of which the starts of one producer come in their order."""
        self._letters.next_number = books.get("next_letter", 0)
        for name, value in books.get("counters", {}).items():
            setattr(self.counters, name, value)
        self._accounts.restore(accounts)
        self.progress.restore(books, sent=sum(account.sent for account in self.accounts()))

    def restore_ready(self, lot: Lot) -> None:
        """These wait for a sender."""
        self._dispatch.restore(lot)

    def restore_dead(self, letter: DeadLetter) -> None:
        """This is a dead letter, counted already."""
        self._letters.remember(letter)

    # -- what it amounts to -----------------------------------------------------------------------------------

    def accounts(self) -> Iterator[ProducerAccount]:
        """Every producer's account, earlier starts included."""
        self._failures.decide()
        return iter(self._accounts)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or in flight. Asked each turn, so not of the accounts, which may be many."""
        return not (self.queue or self._failures.messages or any(s.in_flight for s in self.sessions.values()))

    def totals(self) -> dict[str, int]:
        """The accounts added up."""
        self._failures.decide()
        return self._accounts.totals()

    @property
    def events(self) -> deque[Event]:
        """What happened last."""
        return self._events.last

    def new_events(self) -> list[Event]:
        """What happened since the last call."""
        return self._events.new()
