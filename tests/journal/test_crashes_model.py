"""The broker against its model, with a journal: it may crash at the end of any group, and a group may find no room.

Everything that the model of tests/core checks holds after a crash too, for the ledger as it was when the last group was
committed: each message is in one place, with its attempt and delivery, and the accounts and counters agree.
"""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.core.places import Fate
from tests.core.test_ledger_model import Ledger
from tests.journal.memory import MemoryStore
from zsms.core.broker.journal import Journal
from zsms.core.broker.lot import Lot
from zsms.core.broker.replay import rebuild
from zsms.message import MessageId, Mixed
from zsms.wire.frames import JoinProducer


class Crashes(Ledger):
    @initialize(attempts=st.sampled_from([1, 3]), deliveries=st.sampled_from([2, 20]))
    def begin(self, attempts: int, deliveries: int) -> None:
        super().begin(attempts, deliveries)
        self.store = MemoryStore()
        self.given: set[MessageId] = set()
        self.save()

    def journal(self) -> Journal:
        return Journal()

    def save(self) -> None:
        """A group, and what the model says at that moment."""
        journal = self.core.journal
        assert journal is not None
        group = journal.close(self.core.books)
        self.store.commit(group)
        self.core.committed(group)
        self.note_given()
        self.saved = deepcopy((self.fates, self.expected, self.starts, self.given))

    def note_given(self) -> None:
        """A message whose grant the wire undid counts as given: it may have arrived. One that was kicked does not."""
        self.given = set()
        for account in self.core.accounts():
            assert account.durable_through <= account.next
        journal = self.core.journal
        assert journal is not None
        for lot in self.lots():
            for message, (number, place) in zip(lot.messages(), self.kept(lot), strict=True):
                if number in journal.entries and place < journal.entries[number].granted:
                    self.given.add(message.id)

    def kept(self, lot: Lot) -> list:
        """The entry and the place there of each message."""
        if isinstance(lot.whole, Mixed):
            return lot.whole.kept[lot.begin : lot.end].tolist()
        entry = lot.whole.origin
        return [(entry.number, place) for place in entry.places(lot, None).tolist()]

    def lots(self) -> list:
        lots = [*self.core.queue.lots(), *self.core.retries.lots()]
        for session in self.core.sessions.values():
            lots += [piece.lot for piece in session.pieces() if piece.open]
            old = session.old()
            lots += [] if old is None else [old[0]]
        # What is settled of a piece may be of an entry that is gone.
        journal = self.core.journal
        return [lot for lot in lots if isinstance(lot.whole, Mixed) or lot.whole.origin.number in journal.entries]

    @rule()
    def commit(self) -> None:
        self.save()
        assert all(account.durable_through == account.next for account in self.core.accounts())

    @rule()
    def find_no_room(self) -> None:
        journal = self.core.journal
        assert journal is not None
        before = [account.durable_through for account in self.core.accounts()]
        journal.refused(journal.close(self.core.books))
        assert [account.durable_through for account in self.core.accounts()] == before

    @rule()
    def crash(self) -> None:
        self.fates, self.expected, self.starts, self.given = deepcopy(self.saved)
        self.core = rebuild(self.store.load(), self.limits, seed=1)
        self.senders, self.gone = {}, []
        self.looked, self.judge_after = None, self.now
        for message, fate in self.fates.items():
            if fate.place not in ("sent", "failed", "dead"):
                again = message in self.given and fate == Fate(fate.place)
                fate.place, fate.delivery = "queued", fate.delivery + again
                self.expected["redelivered"] += again
        for producer, start in self.starts.items():
            account = self.core.producers[producer]
            assert account.epoch == start and account.durable_through == account.next
            join = JoinProducer(producer, start, "producer", 0, 0.0)
            self.core.producer_joined(b"p%d" % producer, join, self.now)

    @invariant()
    def no_confirm_comes_before_its_group(self) -> None:
        durable = {(row.producer, row.epoch): row.next for row in self.store.load().accounts}
        for account in self.core.confirms():
            assert account.durable_through <= durable.get((account.producer, account.epoch), 0)

    @invariant()
    def a_store_keeps_no_more_than_it_must(self) -> None:
        kept = self.store.load()
        entries = {entry.number for entry in kept.entries}
        rows = {change.row for change in kept.changes if change.entry in entries}
        assert {change.row for change in kept.changes} == rows, "a row that mentions only what is gone"


TestCrashes = Crashes.TestCase
TestCrashes.pytestmark = [pytest.mark.timeout(120)]
