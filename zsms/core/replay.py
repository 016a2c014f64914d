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
from dataclasses import replace
from math import inf

import numpy as np

from zsms.core.broker import BrokerCore, BrokerLimits, DeadLetter
from zsms.core.journal import GRANTED, RETRIED, SETTLED, AccountRow, Entry, Journal, Kept, KeptChange, KeptEntry
from zsms.core.ledger import Counters, ProducerAccount
from zsms.core.session import Lot
from zsms.errors import JournalError
from zsms.message import Batch


def rebuild(
    kept: Kept, limits: BrokerLimits | None = None, seed: int | None = None, now: float = inf, shift: float = 0.0
) -> BrokerCore:
    """The broker that kept this, with nobody joined; what rebuilding changes is in its journal's open group.

    `shift` (seconds) is added to every time: 0 unless the clock that they were read from is gone. No time is later than
    `now` then, for some may have been read from a clock that was gone before. Raises JournalError when the content
    contradicts itself.
    """
    books = kept.books
    journal = Journal(books.get("next_entry", 0), books.get("next_row", 0))
    core = BrokerCore(limits, seed, journal)
    accounts = _open_accounts(core, kept.accounts)
    core.next_letter = books.get("next_letter", 0)
    core.counters = Counters(**books.get("counters", {}))
    core.sends = books.get("sends", 0)
    core.first_accepted, core.last_settled = (
        None if books.get(name) is None else min(books[name] + shift, now)
        for name in ("first_accepted", "last_settled")
    )
    changes: dict[int, list[KeptChange]] = {}
    for change in kept.changes:
        changes.setdefault(change.entry, []).append(change)
    for entry in kept.entries:
        account = _account_of(accounts, entry.batch, f"batch {entry.number}")
        by = min(shift, now - entry.accepted)
        for lot in _lots(journal, entry, changes.get(entry.number, []), account, by, core.counters):
            account.queued += lot.size
            core.queue.put(lot)
    for letter in kept.letters:
        account = _account_of(accounts, letter.batch, f"dead letter {letter.number}")
        by = min(shift, now - letter.accepted)
        lot = Lot(_moved(letter.batch, by), account, letter.accepted + by, letter.attempt, letter.delivery)
        core.remember(DeadLetter(lot, letter.reason, letter.number))
    for account in accounts.values():
        if not account.balanced:
            raise JournalError(
                f"the account of producer {account.name} does not balance: {account.accepted} accepted, but "
                f"{account.settled} settled and {account.queued} held"
            )
    return core


def _open_accounts(core: BrokerCore, rows: list[AccountRow]) -> dict[tuple[int, int], ProducerAccount]:
    accounts = {}
    for row in sorted(rows, key=lambda row: row.start):
        account = ProducerAccount(row.producer, row.start, row.name, b"", next=row.next, held=row.next)
        account.accepted, account.sent, account.failed, account.dead = row.accepted, row.sent, row.failed, row.dead
        accounts[row.producer, row.start] = account
        earlier = core.producers.get(row.producer)
        if earlier is not None:
            core.closed_accounts.append(earlier)
        core.producers[row.producer] = account
    return accounts


def _account_of(accounts: dict[tuple[int, int], ProducerAccount], batch: Batch, what: str) -> ProducerAccount:
    account = accounts.get((batch.producer, batch.start))
    if account is None:
        raise JournalError(f"{what} is of producer {batch.producer:x}, which has no account")
    return account


def _moved(batch: Batch, shift: float) -> Batch:
    """The batch by the clock of today."""
    if shift:
        batch.due += shift
        batch.frame = None  # it says another time
    return batch


def _lots(
    journal: Journal,
    kept: KeptEntry,
    changes: list[KeptChange],
    account: ProducerAccount,
    shift: float,
    counters: Counters,
) -> Iterator[Lot]:
    """What is left of an entry, a lot for each history."""
    batch, size = kept.batch, len(kept.batch)
    is_open = np.ones(size, dtype=bool)
    attempt = np.full(size, kept.attempt, dtype=np.int64)
    delivery = np.full(size, kept.delivery, dtype=np.int64)
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
    entry = batch.origin = Entry.of(kept.number, batch, account)
    entry.open, entry.granted = int(np.count_nonzero(is_open)), given
    journal.known(entry, sorted({change.row for change in changes}))
    if not entry.open:
        raise JournalError(f"batch {kept.number} is kept, but all of it is settled")
    batch = _moved(batch, shift)
    out = is_open & (np.arange(size) < given) & (attempt == kept.attempt) & (delivery == kept.delivery)
    delivery[out] += 1
    counters.redelivered += int(np.count_nonzero(out))
    history = np.stack((attempt[is_open], delivery[is_open]))
    histories, first = np.unique(history, axis=1, return_index=True)
    for attempt_, delivery_ in histories.T[np.argsort(first)].tolist():
        indices = np.flatnonzero(is_open & (attempt == attempt_) & (delivery == delivery_))
        begin, end = int(indices[0]), int(indices[-1]) + 1
        lot = Lot(batch, account, kept.accepted + shift, attempt_, delivery_, begin, end)
        if lot.size > len(indices):
            lot = replace(lot, whole=batch.take(indices), begin=0, end=-1)
        if out[indices].any():
            journal.taken_back(lot)
        yield lot
