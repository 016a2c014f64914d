from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.sender.cap import Cap
from zsms.errors import UsageError


def spent(cap: Cap, looks: list[float], segments: int = 1) -> list[tuple[float, int]]:
    """(when, segments) of a sender that always has something to send, and looks at these times."""
    found = []
    for now in looks:
        if count := cap.room(now):
            cap.spend(count * segments, now)
            found.append((now, count * segments))
    return found


def most_in_a_second(done: list[tuple[float, int]]) -> int:
    times = np.repeat([now for now, _ in done], [count for _, count in done])
    return int(max((np.searchsorted(times, times + 0.98, "left") - np.arange(len(times))).max(initial=0), 0))


@pytest.mark.parametrize("rate", [1, 3, 100, 4_500, 50_000])
def test_every_second_has_what_the_cap_says(rate: int) -> None:
    done = spent(Cap(rate), np.arange(0, 12, 0.001).tolist())
    for second in range(10):
        count = sum(segments for now, segments in done if second + 0.05 <= now < second + 1.05)
        assert abs(count - rate) <= max(1, rate * 0.011)
    assert most_in_a_second(done) <= rate


@given(st.lists(st.floats(0.0001, 0.4), min_size=5, max_size=300), st.sampled_from([2.0, 50.0, 1_000.0]))
def test_looks_that_come_late_are_caught_up_and_no_second_has_more(gaps: list[float], rate: float) -> None:
    looks = (1e5 + np.cumsum(gaps)).tolist()
    done = spent(Cap(rate), looks)
    assert most_in_a_second(done) <= rate
    if max(gaps) < 0.09:
        assert sum(count for _, count in done) >= 0.98 * rate * (looks[-1] - looks[0]) - 1


def test_a_debt_is_paid_first() -> None:
    cap = Cap(10)
    assert cap.room(5.0) == 1
    cap.spend(4, 5.0)
    assert cap.room(5.2) == 0
    assert cap.next_time(5.2) == pytest.approx(5.4, abs=0.011)
    assert cap.room(5.41) == 1


def test_a_burst_goes_at_once_after_a_rest() -> None:
    cap = Cap(10, burst=50)
    assert cap.room(0.0) == 50
    cap.spend(50, 0.0)
    assert cap.room(0.05) == 0 and cap.room(0.15) == 1 and cap.room(60.0) == 50


def test_the_rate_changes_from_now_on() -> None:
    cap = Cap(1_000)
    spent(cap, np.arange(0, 1, 0.001).tolist())
    cap.change(10, 1.0)
    looks = np.arange(2, 4, 0.001).tolist()
    assert sum(count for _, count in spent(cap, looks)) in range(18, 22)


@pytest.mark.parametrize(("rate", "burst"), [(0, 0), (-1, 0), (float("nan"), 0), (float("inf"), 0), (1, -1)])
def test_what_can_not_be_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(UsageError):
        Cap(rate, burst)
