"""Batches whose messages can be told apart by every column, so that a mix-up of columns shows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.lot import Lot
from zsms.message import Batch, Mixed

NOTHING = np.zeros(0, dtype=np.uint32)


def column(numbers: Iterable[int]) -> np.ndarray:
    return np.array(sorted(numbers), dtype=np.uint32)


def row(producer: int, seq: int) -> tuple[str, str]:
    """Recipient and text of message `seq` of a producer."""
    return f"+{producer * 10**9 + seq}", "é" * (seq % 3) + str(seq)


def make_batch(count: int, *, producer: int = 1, epoch: int = 1, number: int = 0, first: int = 0) -> Batch:
    rows = [row(producer, seq) for seq in range(first, first + count)]
    return Batch.of(rows, producer=producer, epoch=epoch, number=number, first=first)


def make_lot(count: int, first: int = 0, account: ProducerAccount | None = None) -> Lot:
    account = account or make_account()
    return Lot(make_batch(count, producer=account.producer, epoch=account.epoch, first=first), account, 0.0)


def make_account(producer: int = 1) -> ProducerAccount:
    return ProducerAccount(producer, 1, f"producer-{producer}", b"p", index=producer)


def histories(lot: Lot) -> set[tuple[int, int]]:
    """(attempt, delivery) of its messages."""
    return {(message.attempt, message.delivery) for message in lot.messages()}


def seqs(batch: Batch | Mixed) -> list[int]:
    """The messages' numbers, once it is sure that each still has its own recipient and text."""
    messages = list(batch.messages())
    for message in messages:
        assert (message.recipient, message.text) == row(message.id.producer, message.id.seq)
    return [message.id.seq for message in messages]
