"""What a broker has to keep so that another one can take its place: collected here, stored elsewhere.

    events of the core --> the open group --close--> Group --a store commits it--> committed: its batches are confirmed
                                ^                      |
                                +------ refused -------+   no room: its content goes into the next one

    what a store holds (Stored) --zsms.core.broker.replay--> a BrokerCore

A group is what one transaction makes durable: it leads from one consistent ledger to the next. What is kept of a batch
is an *entry*: its frame as it was accepted, and changes to some of its messages, named by their places 0..n-1 in it:

    GRANTED   up to place `value` it was given to senders (places is empty)
    SETTLED   sent, failed or dead: done with
    RETRIED   the next attempt is number `value`
    TAKEN     the next delivery is number `value`

A change says where its messages are now and never how they came there, so that changes may be applied in any order:
SETTLED wins, otherwise the greatest value. The changes of one group are a row; a row goes when the last entry that it
mentions is gone, and an entry goes when its last message is settled. Of a batch that comes and goes within one group
nothing is kept but the accounts. Per message there are two bytes and no Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.broker.entry import Entry
from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.lot import DeadLetter, Lot
from zsms.core.broker.window import Settled
from zsms.message import Batch, Mixed

I64 = npt.NDArray[np.int64]
PLACE = np.dtype("<u2")
"""A place in an entry: a batch has 65,536 messages at most."""

GRANTED, SETTLED, RETRIED, TAKEN = range(4)


class Change(NamedTuple):
    """What is new about some messages of an entry."""

    kind: int
    entry: Entry
    value: int
    places: npt.NDArray[np.uint16]


class AccountRow(NamedTuple):
    """A producer's account and its sequence mark, as kept. What is queued or in flight follows from the entries."""

    producer: int
    epoch: int
    name: str
    next: int
    accepted: int
    sent: int
    failed: int
    dead: int


@dataclass(slots=True)
class Group:
    """What one transaction makes durable."""

    number: int
    """The row of its changes. Grows."""
    accepted: list[tuple[Entry, Lot]]
    changes: list[Change]
    gone: list[int]
    """Entries to be let go; some may never have been kept."""
    rows_gone: list[int]
    """Rows of changes to be let go."""
    letters: list[DeadLetter]
    letters_gone: list[int]
    accounts: list[AccountRow]
    """Of the producers that this group concerns."""
    books: dict[str, Any]
    """Figures of the broker as a whole, plain values."""
    marks: list[tuple[ProducerAccount, int]]
    """Up to which batch each producer can be confirmed once the group is durable."""
    nbytes: int
    """Bytes of the batches accepted."""


class StoredEntry(NamedTuple):
    """An entry as a store holds it. `accepted` is a time of the broker's clock."""

    number: int
    batch: Batch | Mixed
    accepted: float
    attempt: int
    delivery: int


class StoredChange(NamedTuple):
    """A change as a store holds it."""

    row: int
    kind: int
    entry: int
    value: int
    places: npt.NDArray[np.uint16]


class StoredLetter(NamedTuple):
    """A dead letter as a store holds it."""

    number: int
    batch: Batch | Mixed
    accepted: float
    attempt: int
    delivery: int
    reason: str


@dataclass(slots=True)
class Stored:
    """Everything that a store holds, in the order of the numbers. Empty for a new journal."""

    books: dict[str, Any] = field(default_factory=dict)
    accounts: list[AccountRow] = field(default_factory=list)
    entries: list[StoredEntry] = field(default_factory=list)
    changes: list[StoredChange] = field(default_factory=list)
    letters: list[StoredLetter] = field(default_factory=list)

    @property
    def latest(self) -> float | None:
        """The latest time in it, None when it has none."""
        times = [entry.accepted for entry in self.entries] + [letter.accepted for letter in self.letters]
        times += [at for name in ("first_accepted", "last_settled") if (at := self.books.get(name)) is not None]
        return max(times, default=None)


class Journal:
    """The group that is open, and what must be known of the entries that are kept."""

    def __init__(self, next_entry: int = 0, next_row: int = 0) -> None:
        self.nbytes = 0
        """Bytes of the batches in the open group."""
        self._next_entry = next_entry
        self._next_row = next_row
        self.entries: dict[int, Entry] = {}
        """Those that are not done with, by number."""
        self._mentions: dict[int, int] = {}
        """How many living entries each row mentions."""
        self._begin()

    def _begin(self) -> None:
        self._accepted: dict[int, tuple[Entry, Lot]] = {}
        self._settled: list[tuple[Lot, I64 | None]] = []
        self._moved: list[tuple[int, Lot, I64 | None]] = []
        """(RETRIED or TAKEN, lot, positions)"""
        self._granted: dict[int, Entry] = {}
        self._letters: dict[int, DeadLetter] = {}
        self._letters_gone: list[int] = []
        self._accounts: dict[int, ProducerAccount] = {}
        """By identity: a producer's earlier starts have accounts too."""
        self._again: list[Change] = []
        self._gone: list[int] = []
        self._rows_gone: list[int] = []
        self.nbytes = 0

    @property
    def empty(self) -> bool:
        """Whether the open group has nothing to keep."""
        return not (
            self._accepted
            or self._settled
            or self._moved
            or self._granted
            or self._letters
            or self._letters_gone
            or self._accounts
            or self._again
            or self._gone
        )

    # -- events -------------------------------------------------------------------------------------------------

    def joined(self, account: ProducerAccount) -> None:
        """A producer's start is new, or its mark has moved without a batch."""
        self._accounts[id(account)] = account

    def accepted(self, lot: Lot) -> None:
        """A whole batch was accepted; also a dead letter that is to be sent after all, which becomes a new entry."""
        batch = lot.whole
        accounts = tuple(account for account, _ in lot.accounts())
        entry = batch.origin = Entry.of(self._next_entry, batch, accounts)
        self._next_entry += 1
        self.entries[entry.number] = entry
        self._accepted[entry.number] = (entry, lot)
        self.nbytes += batch.nbytes

    def known(self, entry: Entry, rows: list[int]) -> None:
        """An entry that the store holds already, and the rows that mention it."""
        entry.rows = rows
        self.entries[entry.number] = entry
        for row in rows:
            self._mentions[row] = self._mentions.get(row, 0) + 1

    def granted(self, lot: Lot) -> None:
        """A sender is given the lot. Only for messages that nobody was given before is that worth a note."""
        batch = lot.whole
        entry: Entry | None = batch.origin
        if entry is None or lot.attempt > 1 or lot.delivery > 1:
            return
        if isinstance(batch, Mixed):
            assert batch.kept is not None
            end = int(batch.kept["place"][lot.end - 1]) + 1
        elif batch.offsets is None:
            end = batch.first - entry.first + lot.end
        else:
            end = int(entry.places(lot, np.array([lot.size - 1]))[0]) + 1
        if end > entry.granted:
            entry.granted = end
            self._granted[entry.number] = entry

    def settled(self, lot: Lot, positions: I64 | None = None) -> None:
        """The messages at `positions` of the lot (None: all) are sent, failed, dead or purged."""
        self._settled.append((lot, positions))

    def acknowledged(self, settled: Settled) -> None:
        """A column of an acknowledgement settled these."""
        self._settled += settled.positions()

    def retried(self, lot: Lot, positions: I64) -> None:
        """The messages at `positions` of the lot failed, and get another attempt."""
        self._moved.append((RETRIED, lot, positions))

    def taken_back(self, lot: Lot) -> None:
        """The lot was taken back from a sender, and has its next `delivery` now."""
        self._moved.append((TAKEN, lot, None))

    def buried(self, letter: DeadLetter) -> None:
        """A dead letter is new, or the rest of one."""
        self._letters[letter.number] = letter

    def letter_gone(self, number: int) -> None:
        """A dead letter is kept no longer."""
        if self._letters.pop(number, None) is None:
            self._letters_gone.append(number)

    # -- groups -------------------------------------------------------------------------------------------------

    def close(self, books: Mapping[str, Any]) -> Group:
        """What the next transaction is to make durable: everything since the last one. Begins a new group.

        `books` are the figures of the broker as a whole.
        """
        touched = self._accounts
        done: list[Entry] = []
        changes: list[Change] = []
        for entry, joined in self._places_settled():
            entry.open -= len(joined)
            for account in entry.accounts:
                touched[id(account)] = account
            if entry.open:
                changes.append(Change(SETTLED, entry, 0, joined.astype(PLACE)))
            else:
                done.append(entry)
                del self.entries[entry.number]
        changes += self._changes_moved()
        changes += [Change(GRANTED, e, e.granted, _NOWHERE) for e in self._granted.values() if e.open]
        changes += [change for change in self._again if change.entry.open]
        for entry in done:
            if self._accepted.pop(entry.number, None) is None:
                self._gone.append(entry.number)
            for row in entry.rows:
                self._mentions[row] -= 1
                if not self._mentions[row]:
                    del self._mentions[row]
                    self._rows_gone.append(row)
        mentioned = {change.entry.number: change.entry for change in changes}
        for entry in mentioned.values():
            entry.rows.append(self._next_row)
        if mentioned:
            self._mentions[self._next_row] = len(mentioned)
        for entry, _ in self._accepted.values():
            for account in entry.accounts:
                touched[id(account)] = account
        group = Group(
            number=self._next_row,
            accepted=list(self._accepted.values()),
            changes=changes,
            gone=self._gone,
            rows_gone=self._rows_gone,
            letters=list(self._letters.values()),
            letters_gone=self._letters_gone,
            accounts=[AccountRow(*(getattr(a, name) for name in AccountRow._fields)) for a in touched.values()],
            books={
                "next_entry": self._next_entry,
                "next_row": self._next_row + 1,
                **books,
            },
            marks=[(account, account.next) for account in touched.values()],
            nbytes=sum(lot.whole.nbytes for _, lot in self._accepted.values()),
        )
        self._next_row += 1
        self._begin()
        return group

    def _places_settled(self) -> Iterator[tuple[Entry, I64]]:
        """The places settled in each entry."""
        settled: dict[int, list[I64]] = {}
        mixed: list[npt.NDArray[Any]] = []
        for lot, positions in self._settled:
            if isinstance(lot.whole, Mixed):
                mixed.append(_kept(lot, positions))
            else:
                entry: Entry = lot.whole.origin
                settled.setdefault(entry.number, []).append(entry.places(lot, positions))
        if mixed:
            kept = np.concatenate(mixed)
            for number, _, places in _grouped(kept, np.zeros(len(kept), dtype=np.int64)):
                settled.setdefault(number, []).append(places)
        for number, found in settled.items():
            yield self.entries[number], found[0] if len(found) == 1 else np.concatenate(found)

    def _changes_moved(self) -> Iterator[Change]:
        """What was retried or taken back."""
        for kind, of, more in ((RETRIED, "attempt", 1), (TAKEN, "delivery", 0)):
            mixed: list[npt.NDArray[Any]] = []
            values: list[I64] = []
            for moved, lot, positions in self._moved:
                if moved != kind:
                    continue
                if isinstance(lot.whole, Mixed):
                    mixed.append(_kept(lot, positions))
                    value = lot.rows[of] if positions is None else lot.rows[of][positions]
                    values.append(value.astype(np.int64) + more)
                    continue
                entry: Entry = lot.whole.origin
                if entry.open:
                    yield Change(kind, entry, getattr(lot, of) + more, entry.places(lot, positions).astype(PLACE))
            if mixed:
                for number, step, places in _grouped(np.concatenate(mixed), np.concatenate(values)):
                    if number in self.entries:
                        yield Change(kind, self.entries[number], step, places.astype(PLACE))

    def refused(self, group: Group) -> None:
        """The store had no room for the group: what of it is still to be kept goes into the open one.

        No other group may have been closed since.
        """
        self._accepted = {entry.number: (entry, lot) for entry, lot in group.accepted} | self._accepted
        self.nbytes += group.nbytes
        self._again = group.changes + self._again
        self._gone = group.gone + self._gone
        self._rows_gone = group.rows_gone + self._rows_gone
        gone = set(self._letters_gone)
        buried = {letter.number: letter for letter in group.letters}
        self._letters = {n: letter for n, letter in buried.items() if n not in gone} | self._letters
        self._letters_gone = group.letters_gone + [n for n in self._letters_gone if n not in buried]
        for account, _ in group.marks:
            self._accounts[id(account)] = account


_NOWHERE = np.zeros(0, dtype=PLACE)


def _kept(lot: Lot, positions: I64 | None) -> npt.NDArray[Any]:
    """Where the messages at `positions` of a mixed lot (None: all) are kept."""
    assert isinstance(lot.whole, Mixed) and lot.whole.kept is not None
    kept = lot.whole.kept[lot.begin : lot.end]
    return kept if positions is None else kept[positions]


def _grouped(kept: npt.NDArray[Any], values: I64) -> Iterator[tuple[int, int, I64]]:
    """The places of each entry and value."""
    entries = kept["entry"]
    order = np.lexsort((values, entries))
    entries, values, places = entries[order], values[order], kept["place"][order]
    cuts = np.flatnonzero((entries[1:] != entries[:-1]) | (values[1:] != values[:-1])) + 1
    begins = [0, *cuts.tolist()]
    ends = [*begins[1:], len(places)]
    for begin, end in zip(begins, ends, strict=True):
        yield int(entries[begin]), int(values[begin]), places[begin:end]
