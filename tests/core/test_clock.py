from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.clock import ClockOffset

ROUND = st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1))


@given(st.floats(-1e5, 1e5), st.lists(ROUND, min_size=1, max_size=16))
def test_the_estimate_is_as_good_as_the_fastest_answer(true, rounds):
    clock, now = ClockOffset(), 50.0
    for there, back in rounds:
        clock.sample(now, now + there + true, now + there + back)
        now += there + back
    best = min(there + back for there, back in rounds)
    if clock.seconds:
        assert abs(clock.seconds - true) <= best / 2 + 1e-9
    else:  # what can't be told from zero is zero
        assert abs(true) <= best + 1e-9


@given(st.floats(0.61, 3), st.sampled_from([-1, 1]), st.floats(1e-4, 1), st.floats(0.4, 0.6))
def test_an_offset_of_more_than_half_a_round_trip_is_told(times, sign, rtt, way):
    clock, true = ClockOffset(), sign * times * rtt
    clock.sample(50.0, 50.0 + way * rtt + true, 50.0 + rtt)
    assert abs(clock.seconds - true) <= rtt / 2 + 1e-9


def test_on_one_host_the_offset_is_exactly_zero():
    clock = ClockOffset()
    for there, back in [(0.1, 0.0001), (0.0001, 0.2), (0.003, 0.001)]:
        clock.sample(7.0, 7.0 + there, 7.0 + there + back)
    assert clock.seconds == 0.0


def test_an_answer_to_the_future_is_not_believed():
    clock = ClockOffset()
    clock.sample(10.0, 500.0, 9.0)
    assert clock.seconds == 0.0


def test_old_answers_are_forgotten_so_that_drift_is_followed():
    clock = ClockOffset(samples=4)
    clock.sample(0.0, 100.0, 0.001)
    for second in range(1, 5):
        clock.sample(second, second + 103.0, second + 0.1)
    assert clock.seconds == pytest.approx(103.0, abs=0.05)


def test_times_translate_both_ways():
    clock = ClockOffset()
    clock.sample(10.0, 110.0, 10.002)
    assert clock.to_remote(1.0) == pytest.approx(101.0, abs=0.002)
    assert clock.to_remote(1.0) - clock.seconds == pytest.approx(1.0)


def test_a_clock_that_jumps_is_followed_with_the_next_answer():
    clock = ClockOffset()
    clock.sample(100.0, 100.0, 100.0005)
    clock.sample(200.0, 864_200.0, 200.0020)  # the other machine moved on while ours was suspended, or is another one
    assert abs(clock.seconds - 864_000) < 0.01
    clock.sample(201.0, 864_201.5, 202.0)  # slow, and nothing else is known by it
    assert abs(clock.seconds - 864_000) < 0.01
