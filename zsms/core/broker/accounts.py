"""The producers of a broker: which start of each is the latest, which batch is next, and the books.

    batch of a producer:  number == next      accepted, next + 1, to be confirmed
                          number <  next      repeated: confirmed again, nothing else
                          number >  next      skipped: the producer sends from `next` again
                          earlier start       fenced; a producer that has not joined: strange

The accounts of earlier starts stay, and so do those of producers that have left. When there are many, those that have
nothing left here are added up and forgotten (`fold`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from enum import Enum

from zsms.core.broker.events import Events
from zsms.core.broker.incoming import ProducerJoin
from zsms.core.broker.journal import Group, Journal
from zsms.core.broker.ledger import Counters, ProducerAccount
from zsms.message import Batch

FOLD_FROM = 1_000
"""Accounts from which on those of producers that are finished are added up."""
_REMEMBERED_EPOCHS = 65_536


class Put(Enum):
    """What became of a batch."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    SKIPPED = "skipped"
    FENCED = "fenced"
    UNKNOWN_PRODUCER = "unknown producer"


class Accounts:
    """Every producer's account."""

    def __init__(self, counters: Counters, events: Events, journal: Journal | None) -> None:
        self.producers: dict[int, ProducerAccount] = {}
        """The account of the latest start of each."""
        self.closed: list[ProducerAccount] = []
        """Those of earlier starts: still in the totals."""
        self.finished = ProducerAccount(0, 0, "finished producers", b"")
        """The sum of those that were forgotten, so that the accounts don't grow."""
        self.sources: list[ProducerAccount] = [self.finished]
        """Accounts by their index, by which the rows of mixed messages name them."""
        self._counters = counters
        self._events = events
        self._journal = journal
        self._unconfirmed: dict[int, ProducerAccount] = {}
        self._free_indices: list[int] = []
        self._fold_at = FOLD_FROM
        self._folded_epochs: OrderedDict[int, int] = OrderedDict()

    def joined(self, join: ProducerJoin, now: float) -> ProducerAccount | None:
        """A start of a producer introduced itself. Its account, or None when a later start of it has fenced this one.

        A start that is new here is taken up from the oldest batch that the producer still has. So is one of
        which earlier batches are missing here: they were confirmed, so a disk or its machine has lost them since.
        """
        account = self.producers.get(join.producer)
        if join.epoch < self.latest_epoch(join.producer, join.epoch):
            return None
        if account is None or join.epoch > account.epoch:
            if account is not None:
                self.closed.append(account)
                self._events.note(now, "producer fenced", account.name, account.queued + account.in_flight)
            account = ProducerAccount(
                join.producer, join.epoch, join.name, b"", next=join.oldest, durable_through=join.oldest
            )
            self.producers[join.producer] = self.opened(account)
            if self._journal is not None:
                self._journal.joined(account)
        elif join.oldest > account.next:
            missing = f"{join.name}, {join.oldest - account.next} of them"
            self._events.note(now, "confirmed batches missing", missing, 0)
            account.next = account.durable_through = join.oldest
            if self._journal is not None:
                self._journal.joined(account)
        account.gone = False
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

    def latest_epoch(self, producer: int, epoch: int) -> int:
        """The latest epoch of that producer that is known here; `epoch` when none is later."""
        account = self.producers.get(producer)
        known = self._folded_epochs.get(producer, 0) if account is None else account.epoch
        return max(epoch, known)

    def restore(self, accounts: Iterable[ProducerAccount]) -> None:
        """Go on from these, of which the starts of one producer come in their order."""
        for account in accounts:
            self.opened(account)
            earlier = self.producers.get(account.producer)
            if earlier is not None:
                self.closed.append(earlier)
            self.producers[account.producer] = account

    # -- batches ----------------------------------------------------------------------------------------------

    def judged(self, batch: Batch) -> Put:
        """What is to become of a batch: only an accepted one is to be queued. Others are counted."""
        account = self.producers.get(batch.producer)
        if account is None or batch.epoch > account.epoch:
            self._counters.strange_batches += 1
            return Put.UNKNOWN_PRODUCER
        if batch.epoch < account.epoch:
            self._counters.fenced_batches += 1
            return Put.FENCED
        if batch.number == account.next:
            return Put.ACCEPTED
        self._unconfirmed[account.producer] = account
        account.confirmed_through = -1  # say it again: the producer seems not to know
        if batch.number < account.next:
            self._counters.repeated_batches += 1
            return Put.REPEATED
        self._counters.skipped_batches += 1
        return Put.SKIPPED

    def accepted(self, account: ProducerAccount, messages: int) -> None:
        """A batch of so many messages was queued."""
        account.next += 1
        account.accepted += messages
        account.queued += messages
        if self._journal is None:
            account.durable_through = account.next
            self._unconfirmed[account.producer] = account

    def committed(self, group: Group) -> None:
        """A group of the journal is durable: its batches can be confirmed."""
        for account, mark in group.marks:
            account.durable_through = max(account.durable_through, mark)
            if self.producers.get(account.producer) is account:
                self._unconfirmed[account.producer] = account

    def confirms(self) -> list[ProducerAccount]:
        """The producers to be told what they can be confirmed, each once."""
        accounts = [a for a in self._unconfirmed.values() if a.confirmed_through != a.durable_through]
        for account in accounts:
            account.confirmed_through = account.durable_through
        self._unconfirmed.clear()
        return accounts

    # -- the books --------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ProducerAccount]:
        yield from self.producers.values()
        yield from self.closed
        if self.finished.accepted:
            yield self.finished

    def totals(self) -> dict[str, int]:
        """Added up, by column."""
        totals = dict.fromkeys(("accepted", "queued", "in_flight", "sent", "failed", "dead"), 0)
        for account in self:
            for name in totals:
                totals[name] += getattr(account, name)
        return totals

    @property
    def crowded(self) -> bool:
        """Whether their number has doubled since the last `fold`. With a journal never: it has a row for each."""
        return self._journal is None and len(self.producers) + len(self.closed) >= self._fold_at

    def fold(self, named: Iterable[int]) -> None:
        """Add up the accounts of producers that are gone or fenced and have nothing left here.

        Those with an index in `named` are named by messages that are kept.
        """
        kept_for = set(named)
        kept: list[ProducerAccount] = []
        folded: list[ProducerAccount] = []
        for account in self.closed:
            (kept if account.queued or account.in_flight or account.index in kept_for else folded).append(account)
        for account in list(self.producers.values()):
            if account.gone and not (account.queued or account.in_flight or account.index in kept_for):
                del self.producers[account.producer]
                folded.append(account)
                # An earlier start of it that comes back has to be fenced all the same.
                self._folded_epochs[account.producer] = account.epoch
                if len(self._folded_epochs) > _REMEMBERED_EPOCHS:
                    self._folded_epochs.popitem(last=False)
        self.closed[:] = kept
        for account in folded:
            self.finished.add(account)
            self.sources[account.index] = self.finished
            self._free_indices.append(account.index)
        self._fold_at = max(FOLD_FROM, 2 * (len(self.producers) + len(kept)))
