"""When so many messages had been sent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.reach import SHARES, STEP_S, Reach


def of(times: list[float]) -> Reach:
    reach = Reach()
    for at in times:
        reach.add(1, at)
    return reach


@given(st.lists(st.floats(0, 400), min_size=1, max_size=300), st.integers(0, 50))
def test_a_share_is_reached_within_ten_milliseconds_of_the_message_that_completes_it(
    times: list[float], missing: int
) -> None:
    times = sorted(times)
    messages = len(times) + missing
    found = of(times).times(messages)
    for name, share in SHARES.items():
        number = math.ceil(round(messages * share, 6))
        if number > len(times):
            assert found[name] is None
        else:
            exact = times[number - 1]
            told = found[name]
            assert told is not None and exact - 1e-9 <= told <= exact + STEP_S + 1e-9


def test_hours_are_as_exact_and_hold_little() -> None:
    rng = np.random.default_rng(1)
    reach, all_ = Reach(), np.sort(rng.uniform(0, 7_200, 100_000))
    for at in all_.tolist():
        reach.add(1, at)
    found = reach.times(100_000)
    for name, share in SHARES.items():
        assert found[name] == pytest.approx(all_[math.ceil(share * 100_000) - 1], abs=0.0101)
    assert reach.nbytes < 16 * 2 * 7_200 / STEP_S


def test_nothing_sent_reaches_nobody() -> None:
    assert set(Reach().times(0).values()) == set(Reach().times(5).values()) == {None}
