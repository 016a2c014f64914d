from __future__ import annotations

import gc
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.making import histories, make_account, make_lot, seqs
from zsms.core.broker.retries import DEFER, Retries
from zsms.core.broker.waiting import Waiting

SOURCES = [make_account(0), make_account(1)]


def all_of(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64)


def test_the_longest_wait_doubles_up_to_the_cap():
    retries = Retries(base=0.5, cap=3.0)
    assert [retries.ceiling(attempt) for attempt in (1, 2, 3, 4, 5, 5_000)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_each_message_comes_back_once_at_a_time_of_its_own_with_its_history():
    retries = Retries(base=1.0, cap=60.0, seed=1, sources=SOURCES)
    lot = replace(make_lot(5_000), attempt=3, delivery=2)
    chosen = np.flatnonzero(np.arange(5_000) % 2)
    retries.add(lot, chosen, now=10.0)
    assert retries.messages == 2_500 and retries.nbytes > 0
    waits: dict[int, float] = {}
    while (at := retries.next_time()) is not None:
        assert retries.due(np.nextafter(at - retries.tick, 0)) == []
        lots = retries.due(at)
        assert lots
        for again in lots:
            assert histories(again) == {(4, 2)} and again.oldest == lot.batch.due
            assert (again.rows["queued"] == at).all()  # it waits for a slot from then on
            assert again.account is SOURCES[1]
            for seq in seqs(again.batch):
                assert waits.setdefault(seq, at - 10.0) == at - 10.0
    assert sorted(waits) == chosen.tolist() and retries.messages == retries.nbytes == 0
    times = np.array(list(waits.values()))
    assert times.min() >= -retries.tick / 2 and times.max() <= 4.0 + retries.tick / 2
    # Full jitter is uniform from 0: not around the ceiling, not all at once.
    assert np.quantile(times, [0.1, 0.5, 0.9]) == pytest.approx([0.4, 2.0, 3.6], abs=0.1)
    assert np.diff(np.unique(times)).min() >= retries.tick * 0.999


@pytest.mark.parametrize("late", [0.0, 0.0004])
def test_on_average_messages_come_back_when_they_were_drawn_to(late):
    """However late each look is: the next one is no later for it."""
    early = []
    for seed in range(20):
        retries = Retries(base=2.0, cap=60.0, seed=seed, sources=SOURCES)
        retries.add(make_lot(2_000), all_of(2_000), now=10.0)
        drawn = sum(float(lot.rows["queued"].sum()) for lot in retries.lots())
        came = 0.0
        while (at := retries.next_time()) is not None:
            came += (at + late) * sum(lot.size for lot in retries.due(at + late))
        early.append((came - drawn) / 2_000)
    assert abs(np.mean(early) - late) < retries.tick / 20  # it was half a tick late


@pytest.mark.parametrize("count", [1, 300, 10_000])
def test_it_is_known_when_the_first_and_the_last_of_those_that_wait_are_due(count):
    retries = Retries(base=8.0, cap=60.0, seed=3, sources=SOURCES)
    assert retries.span() is None
    retries.add(make_lot(count), all_of(count), now=10.0)
    assert retries.span() is None  # their times are not drawn yet
    came = retries.due(12.0)
    while retries.messages:
        due = np.concatenate([lot.rows["queued"] for lot in retries.lots()])
        first, last = retries.span()
        assert last == due.max()
        assert first == due.min() if retries.messages <= 4_096 else due.min() - 8.0 <= first <= due.min() + retries.tick
        came = retries.due(retries.next_time())
    assert count == 1 or came
    assert retries.span() is None
    retries.add(make_lot(3), all_of(3), now=50.0)
    retries.everything()
    retries.add(make_lot(1), all_of(1), now=10.0)
    retries.due(10.0)
    assert retries.span() is None or retries.span()[1] < 18.0  # not that of those that were taken out


def test_where_many_wait_their_span_is_told_without_a_look_at_each_part():
    """A broker's snapshot tells it several times a second."""
    retries = Retries(base=60.0, cap=60.0, seed=1, sources=SOURCES)
    retries.add(make_lot(5_000), all_of(5_000), now=10.0)
    retries.due(12.0)
    with patch.object(Waiting, "everything", side_effect=AssertionError("looked at")):
        first, last = retries.span()
    assert first < last


def test_without_a_base_a_retry_is_due_at_once():
    retries = Retries(base=0.0, cap=60.0, sources=SOURCES)
    retries.add(make_lot(3), all_of(3), now=7.0)
    assert retries.next_time() == 7.0
    assert [seqs(lot.batch) for lot in retries.due(7.0)] == [[0, 1, 2]]


def test_the_earliest_comes_first_whatever_was_added_first():
    retries = Retries(base=0.001, cap=0.001, sources=SOURCES)
    for now in (5.0, 1.0, 3.0):
        retries.add(make_lot(1, first=int(now)), all_of(1), now)
    assert [seqs(lot.batch) for lot in retries.due(3.5)] == [[1, 3]]
    assert retries.messages == 1


def test_the_seed_decides():
    times = []
    for seed in (1, 1, 2):
        retries = Retries(1.0, 60.0, seed, SOURCES)
        retries.add(make_lot(10), all_of(10), 0.0)
        times.append(retries.next_time())
    assert times[0] == times[1] != times[2]


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40), st.integers(1, 9)), min_size=1, max_size=60),
    st.sampled_from([0.01, 0.3, 20.0]),
    st.booleans(),
)
def test_nothing_is_early_late_or_lost_however_failures_come(failures, base, looks):
    """Against a dict of when each message failed, and with what ceiling."""
    retries = Retries(base, 500.0, seed=1, sources=SOURCES)
    waiting: dict[int, tuple[float, float]] = {}
    now = 0.0
    made = 0

    def take() -> None:
        for lot in retries.due(now):
            for seq in seqs(lot.batch):
                since, ceiling = waiting.pop(seq)
                assert now >= since and (not looks or now <= since + ceiling + 3 + DEFER)

    for step, count, attempt in failures:
        now += step
        lot = replace(make_lot(count, first=made), attempt=attempt)
        retries.add(lot, all_of(count), now)
        waiting |= {made + place: (now, retries.ceiling(attempt)) for place in range(count)}
        made += count
        if looks:
            take()
        assert retries.messages == len(waiting)
    assert sorted(seq for lot in retries.lots() for seq in seqs(lot.batch)) == sorted(waiting)
    looks = False
    while (at := retries.next_time()) is not None:
        assert at > now - 1e-9 or waiting
        now = max(now, at)
        take()
    assert not waiting and retries.nbytes == 0


def test_failures_of_many_acknowledgements_wait_in_a_bounded_number_of_objects():
    retries = Retries(base=1.0, cap=60.0, seed=1, sources=SOURCES)
    lot = make_lot(4_000)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(4_000):
        retries.add(lot, np.array([number]), number / 4_000)
        retries.due(-1.0)
    assert retries.messages == 4_000
    assert len(gc.get_objects()) - before < 1_000
