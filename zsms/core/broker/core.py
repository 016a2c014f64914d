"""The broker's decisions: who holds which message, and what became of it.

A message is in exactly one place:

    put --> queued --grant--> in flight --sent-------------------> sent
              ^  ^               |  |
              |  |               |  +--throttled, or failed with attempts left--> waits (queued) --> queued
              |  |               |  +--failed, none left-----> failed, or dead when it had several
              |  |               |  +--rejected, uncertain---> the same at once
              |  +--wire lost it-+                                |
              +--sender died, fell silent, lease ran out ---------+  (delivery + 1; dead after max_deliveries)

    batch of a producer:  number == next      accepted, next + 1, to be confirmed
                          number <  next      repeated: confirmed again, nothing else
                          number >  next      skipped: the producer sends from `next` again
                          earlier start       fenced; a producer that has not joined: strange

    dead letter:          kicked    queued again as if new: dead - n, queued + n
                          purged    let go; it stays counted as dead
    ready message:        purged    dead, for the reason "purged"

    session of a sender:  join (new) --> open --bye, silence, unreachable and silent--> ended
                          join (known token) --> open again under a new peer; grants that it did not receive come back
                          any frame of an ended session: its acknowledgements count as duplicates, and it is told

Methods are events, named for what happened; they take `now` and return what to do. Every silence is measured from the
last word of any kind, and nobody is given up in the `liveness` seconds after the broker itself was late.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.broker.journal import Group, Journal
from zsms.core.broker.ledger import Counters, ProducerAccount
from zsms.core.broker.lot import OVERHEAD, Lot, Part, gather, mixed_lot, mixed_lots
from zsms.core.broker.queue import ReadyQueue
from zsms.core.broker.retries import Retries
from zsms.core.broker.session import Late, Piece, Session, Settled
from zsms.core.seeds import Seed
from zsms.errors import UsageError, check_types
from zsms.message import MAX_REASON, Batch, Delivery, Mixed, Outcome
from zsms.stats.histogram import Histogram
from zsms.stats.reach import Reach

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

_FAILED, _THROTTLED, _REJECTED, _UNCERTAIN = (
    outcome.code for outcome in (Outcome.FAILED, Outcome.THROTTLED, Outcome.REJECTED, Outcome.UNCERTAIN)
)
_COUNTED = {
    _FAILED: "failed_sends",
    Outcome.TEMPORARY.code: "temporary",
    _THROTTLED: "throttled",
    _REJECTED: "rejected",
    _UNCERTAIN: "uncertain",
    Outcome.UNANSWERED.code: "uncertain",
}
"""The counters of outcomes, by their codes."""

_REMEMBERED_SESSIONS = 4_096
_DEAD_LETTERS = 100_000
"""Messages kept as dead letters at most."""
_DEAD_BYTES = 64 * 2**20
"""And their bytes."""
_JOINED_LETTERS = 1_024
"""Dead letters of one reason that follow each other are made one, up to so many messages."""
_KEEP_RANGE = 256
"""A range of a batch of which nothing is settled is taken back as it is from that size on, others are copied out."""
_JUDGE_S = 0.05
"""Seconds, at most, from one look through all sessions to the next."""
_COMPLAIN_S = 1.0
"""Seconds, at least, between two events about acknowledgements of one kind that can't be: a peer may say a thousand."""
_FOLD_FROM = 1_000
"""Accounts from which on those of producers that are finished are added up."""
_REMEMBERED_STARTS = 65_536
LEAST_LIVENESS_S = 0.25
"""Five pings, which come every 0.05 s at most."""
_STREAM_S = 0.1
"""Batches that have come for so long, with no gap of that length and none since, are taken for a stream."""
PURGED = "purged"
"""The reason of dead letters that somebody purged from the queue."""


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What bounds a broker. Times in seconds. Raises UsageError for what can't be."""

    max_messages: int = 500_000
    """High-water mark of the queue, in messages."""
    max_bytes: int = 256 * 2**20
    """High-water mark of the queue, in bytes of columns."""
    max_attempts: int = 1
    """Sends of a message before it is given up; 1: a failed send is final."""
    max_deliveries: int = 20
    """Senders that a message may be taken back from before it counts as poison."""
    retry_base: float = 0.5
    retry_cap: float = 60.0
    lease: float = 60.0
    """How long a sender may hold a message, unless it asked for longer."""
    max_lease: float = 43_200.0
    """The longest that a sender may ask for."""
    liveness: float = 5.0
    """How long a sender may be silent."""
    uncertain: str = "fail"
    """What becomes of a send without an answer: "fail", it is final, or "resend", it is tried again as one that failed,
    so that the message may arrive twice."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("max_messages", "max_bytes", "max_attempts", "max_deliveries"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give at least 1")
        if self.uncertain not in UNCERTAIN:
            raise UsageError(f"uncertain {self.uncertain!r}: give one of {', '.join(UNCERTAIN)}")
        for name in ("retry_base", "retry_cap"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give seconds from 0 on")
        for name in ("lease", "max_lease", "liveness"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give seconds above 0")
        if self.liveness < LEAST_LIVENESS_S:
            raise UsageError(
                f"liveness {self.liveness:g}: give at least {LEAST_LIVENESS_S:g} s, for nobody pings more "
                f"often than that asks for"
            )

    def warnings(self) -> list[str]:
        """What contradicts itself and yet can be."""
        if self.max_attempts == 1 or self.retry_cap >= self.retry_base:
            return []
        cap, base = f"{self.retry_cap:g}", f"{self.retry_base:g}"
        return [
            f"retry cap {cap} s is below retry base {base} s: no wait is longer than the cap, the first one neither"
        ]


UNCERTAIN = ("fail", "resend")
"""What may become of a send without an answer."""


class Put(Enum):
    """What became of a batch."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    SKIPPED = "skipped"
    FENCED = "fenced"
    STRANGE = "strange"


class Failed(NamedTuple):
    """How the failures of an acknowledgement failed: columns of one entry each, or of none.

    `outcomes` are codes of :class:`zsms.message.Outcome` (none: plain failures), `reasons` places in `names` (none:
    nothing is to be said of any).
    """

    outcomes: U8
    reasons: U8
    names: Sequence[str]

    def groups(self, count: int) -> Iterator[tuple[int, str, Any]]:
        """Of the first `count`: outcome, reason, and which of them have both, as an index of columns."""
        outcomes = np.where(self.outcomes < len(Outcome) - 1, self.outcomes, _FAILED)[:count]
        if not len(self.reasons):
            keys = outcomes.astype(np.int64) << 8
        else:
            keys = self.reasons[:count].astype(np.int64)
            if len(outcomes):
                keys += outcomes.astype(np.int64) << 8
        for key in np.unique(keys).tolist():
            yield key >> 8, self.names[key & 255] if len(self.reasons) else "", keys == key


class Granted(NamedTuple):
    """A piece that `session` was granted and the wire has still to take."""

    session: Session
    piece: Piece
    more: bool = False
    """Whether others wait in the queue still."""


class Event(NamedTuple):
    """Something that a person would want to know. `messages` is how many it concerned."""

    at: float
    kind: str
    subject: str
    messages: int


class DeadLetter(NamedTuple):
    """Messages given up, and why: a mixed lot that keeps nothing else. `number` tells it from every other one."""

    lot: Lot
    reason: str
    number: int


def _latest(lot: Lot) -> int:
    """The greatest attempt of what a mixed lot is part of."""
    assert isinstance(lot.whole, Mixed)
    return lot.whole.latest_attempt


def _said(what: str, why: str) -> str:
    """What happened, and why where anybody has said so."""
    return f"{what}: {why}"[:MAX_REASON] if why else what


class BrokerCore:
    """One broker's state."""

    def __init__(self, limits: BrokerLimits | None = None, seed: Seed = None, journal: Journal | None = None) -> None:
        """With a `journal`, batches are confirmed once the group that has them was `committed`."""
        self.limits = limits or BrokerLimits()
        self.journal = journal
        self.queue = ReadyQueue()
        self.finished = ProducerAccount(0, 0, "finished producers", b"")
        """The sum of the accounts of producers that are gone and have nothing left here, so that those don't grow."""
        self.sources: list[ProducerAccount] = [self.finished]
        """Accounts by their index, by which the rows of mixed messages name them."""
        self.retries = Retries(self.limits.retry_base, self.limits.retry_cap, seed, self.sources)
        self.producers: dict[int, ProducerAccount] = {}
        self.closed_accounts: list[ProducerAccount] = []
        """Accounts of earlier starts: still in the totals."""
        self.sessions: dict[int, Session] = {}
        self.peers: dict[bytes, Session | ProducerAccount] = {}
        self.counters = Counters()
        self.events: deque[Event] = deque(maxlen=256)
        self.dead_letters: deque[DeadLetter] = deque()
        self.next_letter = 0
        """The number of the next dead letter."""
        self.delivery_times = Histogram()
        """From a gateway's acceptance to the receipt that tells of a delivery, since this start of the broker."""
        self.reach = Reach()
        self.sends = 0
        """Sends that ended, all in all."""
        self.first_accepted: float | None = None
        self.last_settled: float | None = None
        self._dead_kept = 0
        self._dead_bytes = 0
        self._free_indices: list[int] = []
        self._new_events: deque[Event] = deque(maxlen=256)
        self._ended: OrderedDict[int, str] = OrderedDict()
        self._idle: OrderedDict[int, Session] = OrderedDict()
        """In turn, by token: senders that want messages and have a slot free; a session is in one line at most."""
        self._topup: OrderedDict[int, Session] = OrderedDict()
        """Those that only prefetch."""
        self._slots = 0
        """Of all sessions."""
        self._stream_since = self._stream_last = -inf
        """When the batches that come without a gap began to come, and the last one."""
        self._unconfirmed: dict[int, ProducerAccount] = {}
        self._looked: float | None = None
        self._judge_after = 0.0
        self._blocked: dict[int, Session] = {}
        self._complained: dict[str, tuple[float, int]] = {}
        self._fold_at = _FOLD_FROM
        self._folded_starts: OrderedDict[int, int] = OrderedDict()

    # -- producers ------------------------------------------------------------------------------------------

    def producer_joined(
        self, peer: bytes, producer: int, start: int, name: str, oldest: int, now: float
    ) -> ProducerAccount | None:
        """A producer introduced itself. Its account, or None when a later start of it has fenced this one.

        A start that is new here is taken up from batch `oldest`, the oldest that the producer still has. So is one of
        which earlier batches are missing here: they were confirmed, so a disk or its machine has lost them since.
        """
        account = self.producers.get(producer)
        if start < self.later_start(producer, start):
            return None
        if account is not None:
            self._forget(account)
        if account is None or start > account.start:
            if account is not None:
                self.closed_accounts.append(account)
                self._note(now, "producer fenced", account.name, account.queued + account.in_flight)
            account = self.opened(ProducerAccount(producer, start, name, peer, next=oldest, held=oldest))
            self.producers[producer] = account
            if self.journal is not None:
                self.journal.joined(account)
            elif len(self.producers) + len(self.closed_accounts) >= self._fold_at:
                self._fold()  # a journal has a row for each of them
        elif oldest > account.next:
            self._note(now, "confirmed batches missing", f"{name}, {oldest - account.next} of them", 0)
            account.next = account.held = oldest
            if self.journal is not None:
                self.journal.joined(account)
        account.peer, account.gone = peer, False
        self.peers[peer] = account
        return account

    def opened(self, account: ProducerAccount) -> ProducerAccount:
        """Give a new account its index."""
        if self._free_indices:
            account.index = self._free_indices.pop()
            self.sources[account.index] = account
        else:
            account.index = len(self.sources)
            self.sources.append(account)
        return account

    def later_start(self, producer: int, start: int) -> int:
        """The latest start of that producer that is known here; `start` when none is later."""
        account = self.producers.get(producer)
        known = self._folded_starts.get(producer, 0) if account is None else account.start
        return max(start, known)

    def _forget(self, whom: Session | ProducerAccount) -> None:
        """Nobody speaks for them until the next join; the connection may have become another one's since."""
        if self.peers.get(whom.peer) is whom:
            del self.peers[whom.peer]

    def _fold(self) -> None:
        """Add up the accounts of producers that are gone or fenced and have nothing left here.

        Called when their number has doubled, so that it costs each account a moment.
        """
        kept: list[ProducerAccount] = []
        folded: list[ProducerAccount] = []
        named = {index for letter in self.dead_letters for index in np.unique(letter.lot.rows["source"]).tolist()}
        for account in self.closed_accounts:
            (kept if account.queued or account.in_flight or account.index in named else folded).append(account)
        for account in list(self.producers.values()):
            if account.gone and not (account.queued or account.in_flight or account.index in named):
                del self.producers[account.producer]
                folded.append(account)
                # An earlier start of it that comes back has to be fenced all the same.
                self._folded_starts[account.producer] = account.start
                if len(self._folded_starts) > _REMEMBERED_STARTS:
                    self._folded_starts.popitem(last=False)
        self.closed_accounts = kept
        for account in folded:
            self.finished.add(account)
            self.sources[account.index] = self.finished
            self._free_indices.append(account.index)
        self._fold_at = max(_FOLD_FROM, 2 * (len(self.producers) + len(kept)))

    def put(self, batch: Batch, now: float) -> Put:
        """A batch arrived."""
        account = self.producers.get(batch.producer)
        if account is None or batch.start > account.start:
            self.counters.strange_batches += 1
            return Put.STRANGE
        if batch.start < account.start:
            self.counters.fenced_batches += 1
            return Put.FENCED
        if batch.number != account.next:
            self._unconfirmed[account.producer] = account
            account.told = -1  # say it again: the producer seems not to know
            if batch.number < account.next:
                self.counters.repeated_batches += 1
                return Put.REPEATED
            self.counters.skipped_batches += 1
            return Put.SKIPPED
        if self.first_accepted is None:
            self.first_accepted = now
        if now - self._stream_last > _STREAM_S:
            self._stream_since = now
        self._stream_last = now
        lot = Lot(batch, account, now)
        account.next += 1
        account.accepted += lot.size
        account.queued += lot.size
        self.queue.put(lot)
        if self.journal is None:
            account.held = account.next
            self._unconfirmed[account.producer] = account
        else:
            self.journal.accepted(lot)
        return Put.ACCEPTED

    @property
    def full(self) -> bool:
        """Whether the queue is at a high-water mark: read no more until it is not."""
        return (
            self.queue.messages + self.retries.messages >= self.limits.max_messages
            or self.queue.nbytes + self.retries.nbytes >= self.limits.max_bytes
        )

    def confirms(self) -> list[ProducerAccount]:
        """The producers to be told their `held`, each once."""
        accounts = [a for a in self._unconfirmed.values() if a.told != a.held]
        for account in accounts:
            account.told = account.held
        self._unconfirmed.clear()
        return accounts

    def committed(self, group: Group) -> None:
        """A group of the journal is durable: its batches can be confirmed."""
        for account, mark in group.marks:
            account.held = max(account.held, mark)
            if self.producers.get(account.producer) is account:
                self._unconfirmed[account.producer] = account

    # -- senders --------------------------------------------------------------------------------------------

    def sender_joined(
        self,
        peer: bytes,
        token: int,
        join: int,
        name: str,
        slots: int,
        received: int,
        lease: float,
        now: float,
    ) -> Session | None:
        """A sender introduced itself. Its session, or None when that session was given up before."""
        session = self.sessions.get(token)
        if session is None:
            if token in self._ended or received:
                # It was given up, or belongs to an earlier start of this broker: what it holds is not ours to settle.
                return None
            session = Session(token, name, slots, peer, now, self.sources)
            self.sessions[token] = session
            self._slots += slots
            self._note(now, "sender joined", name, 0)
        elif join <= session.join:
            return session  # of a connection that broke, and read after the join that followed
        else:
            try:
                lots = session.rewind(received)
            except ValueError:
                self._end(session, now, "sender disagreed")
                return None
            for lot in lots:
                self._requeue(lot)
            self._forget(session)
        session.peer, session.join, session.last_seen = peer, join, now
        session.lease = min(max(lease, self.limits.lease), max(self.limits.max_lease, self.limits.lease))
        session.reachable = True
        session.limit = session.granted  # its next frame says how much it wants
        self.peers[peer] = session
        return session

    def acknowledged(
        self,
        peer: bytes,
        token: int,
        number: int,
        limit: int,
        base: int,
        sent: npt.NDArray[np.uint32],
        failed: npt.NDArray[np.uint32],
        now: float,
        how: Failed | None = None,
    ) -> Session | None:
        """Acknowledgement frame `number` of a session arrived; None when the sender must join (again).

        `how` says how each of `failed` did; None: plainly.

        It must come from the peer that joined last: what a connection held back before it broke is said again
        after the next join, in order.
        """
        session = self.sessions.get(token)
        if session is None or session.peer != peer:
            count = len(sent) + len(failed)
            if token in self._ended:
                self.counters.duplicates += count
            elif session is None:
                self.counters.unknown += count
            else:
                self.counters.foreign += count
                # Whoever has joined nothing may well be that sender, whose connection broke: no reason for alarm.
                kind = "foreign acknowledgements" if peer in self.peers else "acknowledgements without a join"
                self._complain(now, kind, session.name, count)
            return None
        session.last_seen = now
        session.reachable = True
        if number != session.acked:
            if number > session.acked and session.granted:
                # One before it was refused or lost on its way: the sender says all of them again when it has joined.
                # Those that are on their way by then ask for nothing more; its next sign of life does.
                if session.asked == session.join:
                    return session
                session.asked = session.join
                self._complain(now, "acknowledgements missing", session.name, 0)
                return None
            if number < session.acked:
                self._stand_in_line(session)
                return session  # the sender sent it again after a reconnect, and it had arrived
        session.acked = number + 1
        session.limit = limit
        base = min(base, session.granted)  # whatever is above is as unknown, and it fits an int64
        if len(sent) == 1:
            self._settle_one(session, base + sent.item(0), now)
        elif len(sent):
            self._settle_sent(session, sent.astype(np.int64) + base, now)
        if len(failed):
            self._settle_all_failed(session, failed.astype(np.int64) + base, how, now)
        self._stand_in_line(session)
        return session

    def _known(self, session: Session, numbers: I64) -> I64:
        """`numbers` without those that the session was never granted (they are ascending)."""
        if numbers[-1] < session.granted:
            return numbers
        known = numbers[: int(np.searchsorted(numbers, session.granted))]
        unknown = len(numbers) - len(known)
        self.counters.unknown += unknown
        self._complain(session.last_seen, "unknown acknowledgements", session.name, unknown)
        return known

    def _settle_sent(self, session: Session, numbers: I64, now: float) -> None:
        numbers = self._known(session, numbers)
        settled = session.settle(numbers, counted=session.account is not None and self.journal is None)
        self.counters.duplicates += settled.repeated
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
        self._reached(fresh, now)
        if self.journal is not None:
            self.journal.acknowledged(settled)
        session.thin()
        self._finished(fresh, now)

    def _settle_one(self, session: Session, number: int, now: float) -> None:
        """`_settle_sent` for one number: the same, without arrays."""
        if number >= session.granted:
            self._known(session, np.array([number]))
            return
        settled = session.settle_one(number)
        if settled is None:
            self.counters.duplicates += 1
            return
        lot, position = settled
        account = lot.account
        if account is None:
            account = self.sources[lot.rows["source"].item(position)]
        account.in_flight -= 1
        account.sent += 1
        session.sent += 1
        self._reached(1, now)
        self.sends += 1
        self.last_settled = now
        if self.journal is not None:
            self.journal.settled(lot, np.array([position]))
        if not session.granted & 255:
            session.thin()

    def _settle_all_failed(self, session: Session, numbers: I64, how: Failed | None, now: float) -> None:
        """By outcome and reason: a frame has few of them."""
        numbers = self._known(session, numbers)
        groups = [(_FAILED, "", slice(None))] if how is None else how.groups(len(numbers))
        for outcome, reason, own in groups:
            fresh = self._settle_failed(session, numbers[own], outcome, reason, now)
            counter = _COUNTED[outcome]
            setattr(self.counters, counter, getattr(self.counters, counter) + fresh)

    def _settle_failed(self, session: Session, numbers: I64, outcome: int, reason: str, now: float) -> int:
        """Close these, all of which have failed in the same way; how many were open."""
        settled = session.settle(numbers)
        self.counters.duplicates += settled.repeated
        dead: list[Part] = []
        most = self.limits.max_attempts
        if outcome == _THROTTLED:
            for lot, positions in settled.positions():
                self._try_again(lot, positions, now, spent=False)
        elif self._is_final(outcome):
            dead = [part for part in settled.positions() if len(part[1])]
        elif session.account is not None and self.journal is None and most > 1 and not settled.old:
            self._try_most_again(session.account, settled, dead, now)
        else:
            for lot, positions in settled.positions():
                spent = positions >= 0 if lot.attempt else lot.rows["attempt"][positions] >= most
                if lot.attempt and lot.attempt < most:
                    self._try_again(lot, positions, now)
                    continue
                dead.append((lot, positions[spent]))
                if not spent.all():
                    self._try_again(lot, positions[~spent], now)
            dead = [part for part in dead if len(part[1])]
        if dead and most == 1:
            self._fail(dead)
        elif dead:
            for lot, positions in dead:
                for account, count in lot.accounts(positions):
                    account.in_flight -= count
                    account.dead += count
            buried = gather(dead, self.sources)
            if self._is_final(outcome):
                self._bury(buried, _said(_COUNTED[outcome], reason))
            else:
                self._bury_by("attempt", "failed {} times", buried, reason)
        fresh = settled.fresh
        session.failed += fresh
        session.thin()
        self._finished(fresh, now)
        return fresh

    def _is_final(self, outcome: int) -> bool:
        return outcome == _REJECTED or (outcome == _UNCERTAIN and self.limits.uncertain == "fail")

    def _try_most_again(self, account: ProducerAccount, settled: Settled, dead: list[Part], now: float) -> None:
        """`_try_again` for whatever has attempts left, of one producer: nothing but the dead is looked at by lot."""
        lots, counts = settled.lots, settled.counts
        shifts = [lot.begin - base for lot, base in zip(lots, settled.bases, strict=True)]
        places = settled.numbers + np.repeat(np.array(shifts, dtype=np.int64), counts)
        kept = None
        most = self.limits.max_attempts
        left = list(counts)
        ending = [i for i, lot in enumerate(lots) if (lot.attempt or _latest(lot)) >= most]
        begins = np.cumsum([0, *counts]).tolist() if ending else []
        for index in ending:
            lot, begin, end = lots[index], begins[index], begins[index + 1]
            own = places[begin:end]
            spent = lot.whole.rows["attempt"][own] >= most if isinstance(lot.whole, Mixed) else own >= 0
            gone = int(np.count_nonzero(spent))
            if gone:
                kept = np.ones(len(places), dtype=bool) if kept is None else kept
                kept[begin:end] = ~spent
                left[index] -= gone
                dead.append((lot, own[spent] - lot.begin))
        if kept is not None:
            places = places[kept]
        again = len(places)
        account.in_flight -= again
        account.queued += again
        self.counters.retried += again
        if again:
            self.retries.add_all(lots, left, places, now)

    def _try_again(self, lot: Lot, positions: I64, now: float, spent: bool = True) -> None:
        """`spent`: the send that failed was an attempt."""
        for account, count in lot.accounts(positions):
            account.in_flight -= count
            account.queued += count
        self.counters.retried += len(positions)
        self.retries.add(lot, positions, now, spent)
        if self.journal is not None and spent:  # else nothing has changed that a restart must know
            self.journal.retried(lot, positions)

    def _fail(self, parts: list[Part]) -> None:
        """A failed send is final."""
        for lot, positions in parts:
            for account, count in lot.accounts(positions):
                account.in_flight -= count
                account.failed += count
            if self.journal is not None:
                self.journal.settled(lot, positions)

    def _reached(self, messages: int, now: float) -> None:
        if messages:
            self.reach.add(messages, now - (now if self.first_accepted is None else self.first_accepted))

    def _finished(self, sends: int, now: float) -> None:
        if sends:
            self.sends += sends
            self.last_settled = now

    def received(self, peer: bytes, token: int, outcomes: U8, took: F32, now: float) -> bool:
        """Receipts of a session arrived: codes of :class:`zsms.message.Delivery`, and seconds (below 0: not known).

        They are counted, and change nothing else. False when the sender must join (again).
        """
        session = self.sessions.get(token)
        if session is None or session.peer != peer:
            return False
        session.last_seen = now
        session.reachable = True
        unknown = Delivery.UNKNOWN.value
        counts = np.bincount(np.minimum(outcomes, unknown), minlength=unknown + 1).tolist()
        counters = self.counters
        counters.receipts_delivered += counts[Delivery.DELIVERED.value]
        counters.receipts_undelivered += counts[Delivery.UNDELIVERED.value]
        counters.receipts_expired += counts[Delivery.EXPIRED.value]
        counters.receipts_rejected += counts[Delivery.REJECTED.value]
        counters.receipts_unknown += counts[unknown]
        self.delivery_times.record(took[(outcomes == Delivery.DELIVERED.value) & (took >= 0)])
        return True

    def is_ended(self, token: int) -> bool:
        """Whether that session was given up."""
        return token in self._ended

    def heard(self, peer: bytes, now: float) -> Session | ProducerAccount | None:
        """Any other word of a peer; None when the peer must join (again) first."""
        known = self.peers.get(peer)
        if isinstance(known, Session):  # a producer may be silent for ever
            known.last_seen = now
            known.reachable = True
            if known.asked == known.join:
                return None
            self._stand_in_line(known)
        return known

    def left(self, peer: bytes, now: float) -> None:
        """A peer said goodbye."""
        known = self.peers.get(peer)
        if isinstance(known, Session):
            self._end(known, now, "sender left")
        elif known is not None:
            del self.peers[peer]
            known.gone = True

    def unreachable(self, granted: Granted) -> None:
        """The wire knows no way to that sender: the grant is undone, and there are no more until it speaks."""
        granted.session.reachable = False
        self._undo(granted)

    def blocked(self, granted: Granted, until: float) -> None:
        """The wire's pipe to that sender is full: the grant is undone and costs no credit."""
        granted.session.blocked_until = until
        self._blocked[granted.session.token] = granted.session
        self._undo(granted)

    def _undo(self, granted: Granted) -> None:
        lot = granted.session.undo()
        if lot is not None:
            self._requeue(lot)
        self._stand_in_line(granted.session)  # the grant may have been all that it wanted

    # -- granting -------------------------------------------------------------------------------------------

    def _stand_in_line(self, session: Session) -> None:
        """Put the session in the line that it belongs to: senders with idle slots before those that prefetch."""
        if session.limit <= session.granted:
            return
        line, other = self._idle, self._topup
        if session.slots <= session.in_flight:
            line, other = other, line
        token = session.token
        if token not in line:
            other.pop(token, None)
            line[token] = session

    def _leave_the_line(self, session: Session) -> None:
        self._idle.pop(session.token, None)
        self._topup.pop(session.token, None)

    def _may_prefetch(self, session: Session, now: float) -> int:
        """How many may wait behind its busy slots: unless more is coming, none that slots elsewhere could take.

        None before its first send has ended: until then all its slots are as busy as they will be, and the slots of
        others, which may only just be joining, could take the last messages sooner.
        """
        if not (session.sent or session.failed):
            return 0
        if now - self._stream_last <= _STREAM_S < self._stream_last - self._stream_since:
            return session.wants
        return min(session.wants, self.queue.messages - (self._slots - session.slots))

    def _next_in_line(self, now: float) -> Session | None:
        for line in (self._idle, self._topup):
            for _ in range(len(line)):
                token, session = line.popitem(last=False)
                if session.limit <= session.granted or not session.reachable:
                    continue
                if session.blocked_until > now:
                    line[token] = session
                    continue
                if line is self._idle and session.slots <= session.in_flight:
                    self._stand_in_line(session)
                    continue
                if line is self._topup and self._may_prefetch(session, now) <= 0:
                    line[token] = session
                    continue
                return session
        return None

    def grants(self, now: float) -> Iterator[Granted]:
        """Grant while there is work and credit: in turn, each at most what is left of the front batch.

        A message goes first to a sender that has an idle slot for it, then to one that prefetches.
        """
        while self.queue:
            session = self._next_in_line(now)
            if session is None:
                return
            idle = session.idle
            lot = self.queue.take(idle if idle > 0 else self._may_prefetch(session, now))
            account = lot.account
            if account is not None:
                account.queued -= lot.size
                account.in_flight += lot.size
            else:
                for account, count in lot.accounts():
                    account.queued -= count
                    account.in_flight += count
            if self.journal is not None:
                self.journal.granted(lot)
            piece = session.grant(lot, now)
            self._stand_in_line(session)
            yield Granted(session, piece, bool(self.queue))

    def _requeue(self, lot: Lot) -> None:
        for account, count in lot.accounts():
            account.in_flight -= count
            account.queued += count
        self.queue.put_back(lot)

    # -- time -----------------------------------------------------------------------------------------------

    def looked(self, now: float) -> None:
        """Call after reading what waited and before granting: moves retries that are due, judges the silent.

        When the last look is long ago the broker itself was stopped, and silence proves nothing.
        """
        liveness = self.limits.liveness
        if self._looked is not None and now - self._looked > liveness / 2:
            self._judge_after = now + liveness
        self._looked = now
        for lot in self.retries.due(now):
            self.queue.put(lot)
        if now < self._judge_after:
            return
        self._judge_after = now + min(liveness / 50, _JUDGE_S)
        for session in list(self.sessions.values()):
            if now - session.last_seen > liveness:
                self._end(session, now, "sender lost")
            else:
                self._expire_leases(session, now)

    def _expire_leases(self, session: Session, now: float) -> None:
        pieces, late = session.expired(now)
        if pieces or late:
            count = self._take_back(session, pieces, late, now)
            self._note(now, "lease expired", session.name, count)

    def _end(self, session: Session, now: float, why: str) -> None:
        held = session.in_flight
        self._take_back(session, session.pieces(), None, now)
        del self.sessions[session.token]
        self._slots -= session.slots
        self._forget(session)
        self._leave_the_line(session)
        self._blocked.pop(session.token, None)
        self._ended[session.token] = session.name
        if len(self._ended) > _REMEMBERED_SESSIONS:
            self._ended.popitem(last=False)
        if why != "sender left":
            self.counters.sessions_ended += 1
        self._note(now, why, session.name, held)

    def _take_back(self, session: Session, pieces: list[Piece], late: Late | None, now: float) -> int:
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
                    lots += mixed_lots(gather(parts, self.sources))
                parts = []
                lots.append(part[0])
            else:
                parts.append(part)
        if parts:
            lots += mixed_lots(gather(parts, self.sources))
        for lot in reversed(lots):
            self._deliver_again(lot, now)
        return sum(lot.size for lot in lots)

    def _deliver_again(self, lot: Lot, now: float) -> None:
        """To the front of the queue, or to the dead what came back too often."""
        self.counters.redelivered += lot.size
        most = self.limits.max_deliveries
        if (lot.delivery or int(lot.rows["delivery"].max())) >= most:
            everything = np.arange(lot.size)
            poison = everything if lot.attempt else np.flatnonzero(lot.rows["delivery"] >= most)
            dead = gather([(lot, poison)], self.sources)
            for account, count in lot.accounts(poison):
                account.in_flight -= count
                account.dead += count
            self._bury_by("delivery", "taken back from {} senders", dead)
            self.last_settled = now  # given up, and not one send more
            if len(poison) == lot.size:
                return
            lot = mixed_lot(gather([(lot, np.setdiff1d(everything, poison))], self.sources))
        lot = lot.again(now)
        if self.journal is not None:
            self.journal.taken_back(lot)
        self._requeue(lot)

    def _bury_by(self, name: str, reason: str, dead: Mixed, why: str = "") -> None:
        """Bury these; the value of that field of each is part of its reason, and so is `why`."""
        values = dead.rows[name]
        first = int(values[0])
        if (values == first).all():
            self._bury(dead, _said(reason.format(first), why))
            return
        for value in np.unique(values).tolist():
            self._bury(dead.take(np.flatnonzero(values == value)), _said(reason.format(value), why))

    def _bury(self, dead: Mixed, reason: str) -> None:
        for lot in mixed_lots(dead):
            if self.journal is not None:
                self.journal.settled(lot)
            assert isinstance(lot.whole, Mixed)
            whole = lot.whole if len(lot.whole) == len(dead) else lot.whole.copy()
            # A letter a message would cost more than the message: each is copied a few times at most.
            while self.dead_letters and self.dead_letters[-1].reason == reason:
                last = self.dead_letters[-1].lot
                if last.size + len(whole) > _JOINED_LETTERS or 2 * len(whole) <= last.size:
                    break
                self._drop(self.dead_letters.pop())
                assert isinstance(last.whole, Mixed)
                whole = Mixed.join([last.whole, Mixed(whole.rows, whole.text, self.sources)])
            letter = DeadLetter(mixed_lot(Mixed(whole.rows, whole.text, self.sources)), reason, self.next_letter)
            self.next_letter += 1
            if self.journal is not None:
                self.journal.buried(letter)
            self.remember(letter)

    def _drop(self, letter: DeadLetter) -> None:
        """A letter that was kept is kept no longer."""
        self._dead_kept -= letter.lot.size
        self._dead_bytes -= letter.lot.whole.nbytes + OVERHEAD
        if self.journal is not None:
            self.journal.letter_gone(letter.number)

    def remember(self, letter: DeadLetter) -> None:
        """Keep a dead letter; past the bound, the oldest ones go."""
        self._keep(letter)
        while len(self.dead_letters) > 1 and (self._dead_kept > _DEAD_LETTERS or self._dead_bytes > _DEAD_BYTES):
            self._drop(self.dead_letters.popleft())

    def _keep(self, letter: DeadLetter) -> None:
        self.dead_letters.append(letter)
        self._dead_kept += letter.lot.size
        self._dead_bytes += letter.lot.whole.nbytes + OVERHEAD

    def next_time(self, now: float) -> float:
        """When `looked` must be called at the latest, in the caller's clock."""
        times = [now + self.limits.liveness / 5]
        due = self.retries.next_time()
        if due is not None:
            times.append(due)
        if self.queue:
            self._blocked = {t: s for t, s in self._blocked.items() if s.blocked_until > now}
            times += [s.blocked_until for s in self._blocked.values()]
        return min(times)

    # -- what people do with it -------------------------------------------------------------------------------

    def kick(self, now: float, reason: str = "", limit: int = 0) -> int:
        """Queue dead letters again, the oldest first, as if they were new; returns how many messages.

        Only those with this `reason` ("": any), at most `limit` messages (0: all). The queue may then be above its
        high-water mark, by no more than the dead letters that are kept.
        """
        kicked = 0
        for lot in self._unbury(reason, limit):
            rows = lot.rows.copy()
            rows["attempt"] = rows["delivery"] = 1
            rows["queued"] = now
            part = lot.batch
            assert isinstance(part, Mixed)
            again = mixed_lot(Mixed(rows, part.text, part.sources))
            for account, count in again.accounts():
                account.dead -= count
                account.queued += count
            self.queue.put(again)
            if self.journal is not None:
                self.journal.accepted(again)
            kicked += again.size
        if kicked:
            self._note(now, "dead letters kicked", reason or "any reason", kicked)
        return kicked

    def purge_dead(self, now: float, reason: str = "") -> int:
        """Let go of dead letters (with this reason); they stay counted as dead. Returns how many messages."""
        purged = sum(lot.size for lot in self._unbury(reason, 0))
        if purged:
            self._note(now, "dead letters purged", reason or "any reason", purged)
        return purged

    def purge_ready(self, now: float) -> int:
        """Give up everything that waits for a sender or its next attempt; returns how many messages."""
        lots = self.retries.everything()
        while self.queue:
            lots.append(self.queue.take(self.queue.messages))
        for lot in lots:
            for account, count in lot.accounts():
                account.queued -= count
                account.dead += count
            self._bury(gather([(lot, np.arange(lot.size))], self.sources), PURGED)
        purged = sum(lot.size for lot in lots)
        if purged:
            self._note(now, "queue purged", PURGED, purged)
            self.last_settled = now
        return purged

    def _unbury(self, reason: str, limit: int) -> list[Lot]:
        """Take dead letters with this reason ("": any) out, `limit` messages at most (0: all)."""
        taken: list[Lot] = []
        letters, self.dead_letters = self.dead_letters, deque()
        room = limit or self._dead_kept
        self._dead_kept = self._dead_bytes = 0
        for letter in letters:
            lot = letter.lot
            if not room or (reason and letter.reason != reason):
                self._keep(letter)
                continue
            if self.journal is not None:
                self.journal.letter_gone(letter.number)
            if lot.size > room:
                left = lot.part(room, lot.size).batch
                assert isinstance(left, Mixed)
                rest = DeadLetter(mixed_lot(left.copy()), letter.reason, self.next_letter)
                self.next_letter += 1
                self._keep(rest)
                if self.journal is not None:
                    self.journal.buried(rest)
                lot = lot.part(0, room)
            room -= lot.size
            taken.append(lot)
        return taken

    # -- what it amounts to -----------------------------------------------------------------------------------

    def accounts(self) -> Iterator[ProducerAccount]:
        """Every producer's account, earlier starts included."""
        yield from self.producers.values()
        yield from self.closed_accounts
        if self.finished.accepted:
            yield self.finished

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or in flight. Asked each turn, so not of the accounts, which may be many."""
        return not (self.queue or self.retries.messages or any(s.in_flight for s in self.sessions.values()))

    def totals(self) -> dict[str, int]:
        """The accounts added up."""
        totals = dict.fromkeys(("accepted", "queued", "in_flight", "sent", "failed", "dead"), 0)
        for account in self.accounts():
            for name in totals:
                totals[name] += getattr(account, name)
        return totals

    def _note(self, now: float, kind: str, subject: str, messages: int) -> None:
        event = Event(now, kind, subject, messages)
        self.events.append(event)
        self._new_events.append(event)

    def _complain(self, now: float, kind: str, subject: str, messages: int) -> None:
        """`_note` what a peer can bring about as often as it likes: once a second, with what was kept back since."""
        at, kept = self._complained.get(kind, (-inf, 0))
        if now - at < _COMPLAIN_S:
            self._complained[kind] = (at, kept + messages)
        else:
            self._complained[kind] = (now, 0)
            self._note(now, kind, subject, kept + messages)

    def new_events(self) -> list[Event]:
        """What happened since the last call."""
        events = list(self._new_events)
        self._new_events.clear()
        return events
