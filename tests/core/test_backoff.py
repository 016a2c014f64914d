from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.core.making import make_lot, seqs
from zsms.core.backoff import Retries


def all_of(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64)


def test_the_longest_wait_doubles_up_to_the_cap():
    retries = Retries(base=0.5, cap=3.0)
    assert [retries.ceiling(attempt) for attempt in (1, 2, 3, 4, 5, 5_000)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_each_message_comes_back_once_at_a_time_of_its_own_with_its_history():
    retries = Retries(base=1.0, cap=60.0, seed=1)
    lot = replace(make_lot(5_000), attempt=3, delivery=2)
    chosen = np.flatnonzero(np.arange(5_000) % 2)
    retries.add(lot, chosen, now=10.0)
    assert retries.messages == 2_500
    waits: dict[int, float] = {}
    while (at := retries.next_time()) is not None:
        assert retries.due(np.nextafter(at, 0)) == []
        lots = retries.due(at)
        assert lots
        for again in lots:
            assert (again.attempt, again.delivery, again.accepted) == (4, 2, lot.accepted)
            assert again.account is lot.account
            for seq in seqs(again.batch):
                assert waits.setdefault(seq, at - 10.0) == at - 10.0
    assert sorted(waits) == chosen.tolist() and retries.messages == 0
    times = np.array(list(waits.values()))
    assert times.min() >= 0 and times.max() <= 4.0
    # Full jitter is uniform from 0: not around the ceiling, not all at once.
    assert np.quantile(times, [0.1, 0.5, 0.9]) == pytest.approx([0.4, 2.0, 3.6], abs=0.25)
    assert len(set(times)) <= 64


def test_without_a_base_a_retry_is_due_at_once():
    retries = Retries(base=0.0, cap=60.0)
    retries.add(make_lot(3), all_of(3), now=7.0)
    assert retries.next_time() == 7.0
    assert [seqs(lot.batch) for lot in retries.due(7.0)] == [[0, 1, 2]]


def test_the_earliest_comes_first_whatever_was_added_first():
    retries = Retries(base=0.001, cap=0.001)
    for now in (5.0, 1.0, 3.0):
        retries.add(make_lot(1, first=int(now)), all_of(1), now)
    assert [seqs(lot.batch) for lot in retries.due(3.5)] == [[1], [3]]
    assert retries.messages == 1


def test_the_seed_decides():
    times = []
    for seed in (1, 1, 2):
        retries = Retries(1.0, 60.0, seed)
        retries.add(make_lot(10), all_of(10), 0.0)
        times.append(retries.next_time())
    assert times[0] == times[1] != times[2]
