from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.pace import Pace


def test_messages_are_due_from_the_start_on_at_the_rate():
    pace = Pace(10.0, now=100.0)
    assert pace.step == 0.1
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


def test_another_rate_holds_from_the_next_message_on():
    pace = Pace(10.0, now=0.0)
    pace.change(100.0, made=20)
    assert pace.time_of(20) == 2.0 and pace.time_of(21) == pytest.approx(2.01)
    assert pace.due(20, 2.1) == 11
    pace.change(1.0, made=31)
    assert pace.time_of(31) == pytest.approx(2.11) and pace.time_of(32) == pytest.approx(3.11)


@given(
    st.floats(0, 1e6),
    st.floats(0.01, 1e6),
    st.integers(0, 10**7),
    st.none() | st.tuples(st.floats(0.01, 1e6), st.integers(0, 10**5)),
)
def test_a_message_is_due_at_its_time_and_not_before(origin, rate, made, change):
    pace = Pace(rate, origin)
    if change is not None:
        pace.change(*change)
        made += change[1]
    at = pace.time_of(made)
    assert pace.due(made, at) >= 1  # a caller that waits until just then must not wait for nothing
    assert pace.due(made, at - max(0.01 * pace.step, 1e-8)) == 0
