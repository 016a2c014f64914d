"""A broker from what a journal holds: everything unsettled is ready again, and the ledger is the one of the last group.

    place of an entry      settled ----------------------------> gone
                           given to its first sender ----------> ready, delivery + 1
                           waited, or given to a later sender -> ready, as it was

What a sender held is given to another one, as if the sender had died: it is told to begin a new session, and its
acknowledgements of the old one count as unknown. So a message that was sent, but whose acknowledgement was in no group
yet, is sent again; the accounts count it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite

import numpy as np

from zsms.core.broker.core import BrokerCore
from zsms.core.broker.entry import Entry
from zsms.core.broker.journal import (
    GRANTED,
    RETRIED,
    SETTLED,
    AccountRow,
    Journal,
    Stored,
    StoredChange,
    StoredEntry,
    StoredLetter,
)
from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.limits import BrokerLimits
from zsms.core.broker.lot import DeadLetter, Lot, gather, mixed_lot, mixed_lots
from zsms.core.seeds import Seed
from zsms.errors import JournalError
from zsms.message import Batch, Mixed, Source


def rebuild(
    kept: Stored, limits: BrokerLimits | None = None, seed: Seed = None, now: float = inf, shift: float = 0.0
) -> BrokerCore:
    """The broker that kept this, with nobody joined; what rebuilding changes is in its journal's open group.

    `shift` (seconds) is added to every time: 0 unless the clock that they were read from is gone. No time is later than
    `now` then, for some may have been read from a clock that was gone before. Raises JournalError when the content
    contradicts itself.
    """
    books = kept.books
    journal = Journal(books.get("next_entry", 0), books.get("next_row", 0))
    core = BrokerCore(limits, seed, journal)
    accounts = {(row.producer, row.epoch): _account(row) for row in sorted(kept.accounts, key=lambda row: row.epoch)}
    moved = {name: min(books[name] + shift, now) for name in _TIMES if books.get(name) is not None}
    core.restore({**books, **moved}, accounts.values())
    changes: dict[int, list[StoredChange]] = {}
    for change in kept.changes:
        changes.setdefault(change.entry, []).append(change)
    for entry in kept.entries:
        whole = _whole(core, accounts, entry, f"batch {entry.number}")
        lot = _moved(whole, shift, now)
        for rest in _lots(core, entry, changes.get(entry.number, []), lot, now):
            core.restore_ready(rest)
    for letter in kept.letters:
        lot = _moved(_whole(core, accounts, letter, f"dead letter {letter.number}"), shift, now)
        dead = gather([(lot, np.arange(lot.size))], core.sources)
        dead.kept = None
        core.restore_dead(DeadLetter(mixed_lot(dead), letter.reason, letter.number))
    for account in accounts.values():
        if not account.balanced:
            raise JournalError(
                f"the account of producer {account.name} does not balance: {account.accepted} accepted, but "
                f"{account.settled} settled and {account.queued} held"
            )
    return core


_TIMES = ("first_accepted", "last_settled")
"""The books' times of the broker's clock."""


def _account(row: AccountRow) -> ProducerAccount:
    account = ProducerAccount(row.producer, row.epoch, row.name, b"", next=row.next, durable_through=row.next)
    account.accepted, account.sent, account.failed, account.dead = row.accepted, row.sent, row.failed, row.dead
    return account


def _account_of(accounts: dict[tuple[int, int], ProducerAccount], source: Source, what: str) -> ProducerAccount:
    account = accounts.get((source.producer, source.epoch))
    if account is None:
        raise JournalError(f"{what} is of producer {source.producer:x}, which has no account")
    return account


def _whole(
    core: BrokerCore, accounts: dict[tuple[int, int], ProducerAccount], kept: StoredEntry | StoredLetter, what: str
) -> Lot:
    """What is kept as a lot, its mixed messages with the accounts of this broker."""
    batch = kept.batch
    if isinstance(batch, Batch):
        return Lot(batch, _account_of(accounts, batch, what), kept.accepted, kept.attempt, kept.delivery)
    rows = batch.rows.copy()
    for source in np.unique(batch.rows["source"]).tolist():
        rows["source"][batch.rows["source"] == source] = _account_of(accounts, batch.sources[source], what).index
    return mixed_lot(Mixed(rows, batch.text, core.sources))


def _moved(lot: Lot, shift: float, now: float) -> Lot:
    """The lot by the clock of today."""
    if isinstance(lot.whole, Mixed):
        each = np.minimum(shift, now - lot.rows["queued"])
        lot.whole.rows["queued"] += each
        lot.whole.rows["due"] += each
        return lot
    by = min(shift, now - lot.queued)
    if by:
        lot.queued += by
        lot.whole.due += by
        lot.whole.frame = None  # it says another time
    return lot


def _lots(core: BrokerCore, kept: StoredEntry, changes: list[StoredChange], lot: Lot, now: float) -> Iterator[Lot]:
    """What is left of an entry."""
    size = lot.size
    is_open = np.ones(size, dtype=bool)
    rows = None if lot.attempt else lot.rows
    attempt = np.full(size, lot.attempt, dtype=np.int64) if rows is None else rows["attempt"].astype(np.int64)
    delivery = np.full(size, lot.delivery, dtype=np.int64) if rows is None else rows["delivery"].astype(np.int64)
    first = np.stack((attempt, delivery))
    given = 0
    for change in changes:
        if len(change.places) and int(change.places.max()) >= size:
            raise JournalError(
                f"a change to message {int(change.places.max())} of batch {kept.number}, which has {size}"
            )
        if change.kind == SETTLED:
            is_open[change.places] = False
        elif change.kind == GRANTED:
            given = max(given, change.value)
        else:
            of = attempt if change.kind == RETRIED else delivery
            of[change.places] = np.maximum(of[change.places], change.value)
    journal = core.journal
    assert journal is not None
    entry = lot.whole.origin = Entry.of(kept.number, lot.whole, tuple(account for account, _ in lot.accounts()))
    entry.open, entry.granted = int(np.count_nonzero(is_open)), given
    journal.known(entry, sorted({change.row for change in changes}))
    if not entry.open:
        raise JournalError(f"batch {kept.number} is kept, but all of it is settled")
    out = is_open & (np.arange(size) < given) & (np.stack((attempt, delivery)) == first).all(axis=0)
    core.counters.redelivered += int(np.count_nonzero(out))
    same = is_open & ~out & (np.stack((attempt, delivery)) == first).all(axis=0)
    touched = np.flatnonzero(is_open & ~same)
    if len(touched):
        mixed = gather([(lot, touched)], core.sources)
        mixed.rows["attempt"], mixed.rows["delivery"] = attempt[touched], delivery[touched] + out[touched]
        if isfinite(now):
            mixed.rows["queued"] = now
        if out.any():
            again = np.flatnonzero(out[touched])
            journal.taken_back(mixed_lot(mixed.take(again)))
        yield from mixed_lots(mixed)
    rest = np.flatnonzero(same)
    if len(rest) and len(rest) == int(rest[-1]) - int(rest[0]) + 1:
        yield lot.part(int(rest[0]), int(rest[-1]) + 1)  # what nobody was given
    elif len(rest):
        yield from mixed_lots(gather([(lot, rest)], core.sources))
