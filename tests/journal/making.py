"""A broker over a real store, driven by hand: what a test says to it, and what a store holds."""

from __future__ import annotations

from pathlib import Path

from tests.core.making import column, histories, make_batch, seqs
from zsms.core.broker import BrokerCore, BrokerLimits, Put
from zsms.core.broker.journal import Group
from zsms.core.broker.replay import rebuild
from zsms.journal import Store, open_journal
from zsms.wire.frames import Ack, JoinProducer, JoinSender

LIMITS = BrokerLimits(max_attempts=2)


class Hand:
    """One producer and one sender of ten slots around a broker."""

    def __init__(self, store: Store, limits: BrokerLimits = LIMITS, name: str = "P") -> None:
        self.store = store
        self.core: BrokerCore = rebuild(store.load(), limits, seed=1)
        self.core.producer_joined(b"p", JoinProducer(1, 1, name, 0, 0.0), 0.0)
        self._acks = 0
        self.core.sender_joined(b"s", JoinSender(7, 1, "S", 10, 0, 0.0, 0.0), 0.0)

    def put(self, count: int) -> None:
        account = self.core.producers[1]
        assert self.core.put(make_batch(count, number=account.next, first=account.accepted), 0.0) is Put.ACCEPTED

    def grant(self, limit: int) -> None:
        self.acknowledge(limit=limit)
        list(self.core.grants(0.0))

    def acknowledge(self, sent: range | list[int] = (), failed: list[int] = (), *, limit: int = 0) -> None:
        self.core.acknowledged(b"s", Ack(7, self._acks, limit, 0, column(sent), column(failed)), 0.0)
        self._acks += 1

    def close(self) -> Group:
        assert self.core.journal is not None
        return self.core.journal.close(self.core.books)

    def commit(self) -> None:
        group = self.close()
        self.store.commit(group)
        self.core.committed(group)


def content(core: BrokerCore) -> dict:
    """What a broker holds, to be compared."""
    return {
        "totals": core.totals(),
        "next": {account.name: account.durable_through for account in core.accounts()},
        "ready": [(seqs(lot.batch), sorted(histories(lot))) for lot in core.queue.lots()],
        "dead": [(seqs(letter.lot.batch), letter.reason, letter.number) for letter in core.dead_letters],
    }


def held(directory: Path) -> dict:
    """What the journal in a folder holds. Raises JournalError."""
    with open_journal(directory, create=False) as store:
        return content(rebuild(store.load(), LIMITS))
