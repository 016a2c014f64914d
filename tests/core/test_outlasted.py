"""What has outlasted a sender's window: in how many parts it lies, and that it is found there."""

from __future__ import annotations

import numpy as np

from tests.core.making import make_account, make_lot
from zsms.core.broker.lot import gather, mixed_lot
from zsms.core.broker.outlasted import Old, Outlasted

EACH, TIMES = 500, 200


def aged(number: int) -> Old:
    """Messages that were granted in one piece, and have outlasted the window together."""
    account = make_account()
    lot = make_lot(EACH, account=account)
    mixed = gather([(lot, np.arange(EACH))], {account.index: account})
    return Old(mixed_lot(mixed), number + np.arange(EACH), np.array([number]), np.array([1.0]))


def test_there_are_few_parts_and_none_that_is_joined_is_a_large_part_of_all(monkeypatch):
    """A part that is joined is there twice for a moment: the memory's peak must not follow all of it."""
    outlasted = Outlasted()
    joined: list[float] = []
    join = Old.joined.__func__

    def counted(cls: type[Old], olds: list[Old]) -> Old:
        whole = join(cls, olds)
        joined.append(len(whole.numbers) / (len(added) * EACH))
        return whole

    monkeypatch.setattr(Old, "joined", classmethod(counted))
    added: list[int] = []
    most = 0
    for index in range(TIMES):
        added.append(index)
        outlasted.add(aged(index * EACH))
        most = max(most, len(outlasted.everything()))
    assert most <= 40
    assert max(joined[len(joined) // 2 :]) <= 1 / 8
    assert sum(len(positions) for _, positions in outlasted.everything()) == TIMES * EACH


def test_what_lies_in_many_parts_is_settled_once():
    outlasted = Outlasted()
    for index in range(TIMES):
        outlasted.add(aged(index * EACH))
    rng = np.random.default_rng(1)
    order = rng.permutation(TIMES * EACH).reshape(-1, 1_000)
    for some in order:
        numbers = np.sort(some)
        assert sum(len(positions) for _, positions in outlasted.settle(numbers)) == len(numbers)
        assert not outlasted.settle(numbers)
    assert not outlasted
