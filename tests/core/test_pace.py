from __future__ import annotations

import pickle
from math import floor, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.producer.pace import BUNDLE_S, Pace, PoissonPace


def test_messages_are_due_from_the_start_on_at_the_rate():
    pace = Pace(10.0, now=100.0)
    assert pace.step_at(0) == 0.1
    assert pace.due(0, 99.9) == 0
    assert pace.due(0, 100.0) == 1  # the first at once
    assert pace.due(1, 100.05) == 0 and pace.due(1, 100.1) == 1
    assert pace.due(1, 101.0) == 10
    assert pace.time_of(10) == 101.0


def test_a_late_producer_owes_everything_with_its_due_times_unchanged():
    pace = Pace(1_000.0, now=0.0)
    assert pace.due(1, 5.0) == 5_000
    assert pace.time_of(1) == 0.001  # not 5.0: the wait shows in its total time
    assert pace.due(6_000, 5.0) == 0  # ahead of time: never negative


def test_another_rate_goes_on_from_where_the_first_one_was():
    pace = Pace(10.0, now=0.0)
    pace.change(100.0, now=1.95)  # half-way between messages 19 and 20
    assert pace.rate == 100.0
    assert pace.time_of(19) == 1.9
    assert pace.time_of(20) == pytest.approx(1.955)  # half of the new step, not of the old one
    assert pace.due(20, 2.0) == 5
    pace.change(1.0, now=2.0)
    assert pace.due(25, 2.0) == 0 and pace.due(25, 2.99) == 1


def test_a_change_neither_hurries_nor_puts_off_what_was_due_before_it():
    pace = Pace(100.0, now=0.0)
    pace.change(1_000.0, now=10.0)  # the producer was held up all the time: it has made nothing
    assert pace.due(0, 10.0) == 1_001
    assert pace.step_at(0) == 0.01 and pace.time_of(500) == 5.0
    assert pace.due(0, 10.1) == 1_001  # what follows has another step: another batch
    assert pace.due(1_001, 10.1) == 100
    assert pace.step_at(1_001) == 0.001


def test_changing_often_before_anything_is_due_keeps_one_stretch():
    pace, sizes = Pace(0.01, now=0.0), set()
    for _ in range(1_000):
        pace.change(pace.rate * 1.01, now=1.0)
        sizes.add(len(pickle.dumps(pace)))
    assert len(sizes) == 1
    assert pace.due(1, 2.0) == floor(1.0 * pace.rate)


@given(
    st.floats(0, 1e6),
    st.floats(0.01, 1e6),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 1e6)), max_size=6),
)
def test_however_the_rate_changes_as_many_come_as_its_integral_says(origin, rate, changes):
    pace, now, position = Pace(rate, origin), origin, 0.0
    for wait, changed in changes:
        now += wait
        position += wait * rate
        pace.change(changed, now)
        rate = changed
    position += 5 * rate
    made, batches = 0, 0
    times = []
    while due := pace.due(made, now + 5):
        times += [pace.time_of(made), pace.time_of(made + due - 1)]
        assert times[-1] == pytest.approx(times[-2] + (due - 1) * pace.step_at(made))
        made += due
        batches += 1
    assert made == pytest.approx(position + 1, abs=1.01 + 1e-6 * position)  # origin may be large
    assert times == sorted(times) and batches <= len(changes) + 1


@given(
    st.floats(0, 1e6),
    st.floats(0.01, 1e6),
    st.integers(0, 10**5),
    st.none() | st.tuples(st.floats(0.01, 1e6), st.floats(0, 1e5)),
)
def test_a_message_is_due_at_its_time_and_not_before(origin, rate, made, change):
    pace = Pace(rate, origin)
    if change is not None:
        pace.change(change[0], origin + change[1])
    at = pace.time_of(made)
    assert pace.due(made, at) >= 1  # a caller that waits until just then must not wait for nothing
    assert pace.due(made, at - max(0.01 * pace.step_at(made), 1e-8)) == 0


def made(pace, until, look=0.001):
    """The due times of the batches that a producer makes of a pace until then, as (exact, told)."""
    exact, told, count, now = [], [], 0, 0.0
    while now < until:
        while due := pace.due(count, now):
            first, step = pace.time_of(count), pace.step_at(count, due)
            told += [first + k * step for k in range(due)]
            exact += [pace.time_of(count + k) for k in range(due)]
            count += due
        now += look
    return np.array(exact), np.array(told)


@pytest.mark.parametrize("rate", [20.0, 2_000.0, 20_000.0])
@pytest.mark.parametrize("look", [0.001, 0.3])
def test_poisson_arrivals_have_exponential_gaps_and_due_times_right_to_the_millisecond(rate, look):
    until = min(8_000 / rate, 100.0)
    exact, told = made(PoissonPace(rate, 0.0, seed=5), until, look)
    n = len(exact)
    assert n == pytest.approx(rate * exact[-1], abs=5 * sqrt(n))
    assert np.abs(exact - told).max() <= BUNDLE_S
    assert np.all(np.diff(told) >= 0) and told[-1] <= until
    gaps = np.diff(exact) * rate
    for at in (0.1, 0.5, 1.0, 3.0):
        share = np.exp(-at)
        assert np.mean(gaps > at) == pytest.approx(share, abs=5 * sqrt(share * (1 - share) / n))


def test_poisson_arrivals_follow_another_rate_from_when_it_changes():
    pace = PoissonPace(100.0, 0.0, seed=1)
    owed = pace.time_of(3)
    pace.change(1_000.0, 20.0)
    assert pace.rate == 1_000.0 and pace.time_of(3) == owed
    exact, _ = made(pace, 30.0)
    assert np.sum(exact < 20) == pytest.approx(2_000, abs=5 * sqrt(2_000))
    assert np.sum((exact >= 20) & (exact < 30)) == pytest.approx(10_000, abs=5 * sqrt(10_000))
