from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.sender.cap import Cap, fresh
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


# -- shared by several --------------------------------------------------------------------------------------------


def share(rate: float | None, demands: list[list[int]], budget: float | None = None) -> list[list[int]]:
    """What each member takes in each hundredth of a second, of so much that waits for it anew in each."""
    members = len(demands)
    state = fresh(members, rate, budget=budget)
    caps = [Cap.of(state, member) for member in range(members)]
    waiting = [0] * members
    taken: list[list[int]] = [[] for _ in range(members)]
    for step in range(len(demands[0])):
        now = 50 + step / 100
        for member in np.roll(np.arange(members), step).tolist():
            waiting[member] += demands[member][step]
            count = min(caps[member].room(now, waiting[member]), waiting[member]) if waiting[member] else 0
            if count:
                caps[member].spend(count, now)
            waiting[member] -= count
            taken[member].append(count)
    return taken


def test_a_shared_cap_is_kept_by_all_together_and_what_one_leaves_the_others_have() -> None:
    steps = 1_000
    greedy, modest = [100] * steps, [1] * steps
    taken = np.array(share(1_000.0, [greedy, greedy, modest]))
    per_second = taken.sum(axis=0).reshape(-1, 100).sum(axis=1)
    assert (per_second <= 1_000).all() and (per_second >= 985).all()
    one, other, little = taken.sum(axis=1)
    assert little == pytest.approx(1_000, abs=30) and one == pytest.approx(other, rel=0.02)


def test_one_that_comes_later_has_its_part_from_then_on_and_one_that_is_gone_leaves_it() -> None:
    steps = 900
    always, middle = [100] * steps, [0] * 300 + [100] * 300 + [0] * 300
    one, other = np.array(share(1_000.0, [always, [min(each, 5) for each in middle]]))
    assert one[:300].sum() == pytest.approx(3_000, rel=0.01)
    assert one[320:600].sum() == pytest.approx(other[320:600].sum(), rel=0.03)
    assert one[660:].sum() == pytest.approx(2_400, rel=0.02)


def test_who_shares_a_cap_asks_for_its_part_ahead() -> None:
    state = fresh(9, 500.0)
    caps = [Cap.of(state, member) for member in range(9)]
    assert [cap.ahead(0) for cap in caps[:2]] == [27, 27]  # nobody knows of others yet
    for now in (1.0, 1.001):
        for cap in caps[:2]:
            cap.spend(min(cap.room(now, 100), 5), now)
    assert [cap.ahead(0) for cap in caps[:2]] == [14, 14] and caps[0].ahead(10) == 4 and caps[0].ahead(90) == 0


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=300, max_size=300), min_size=1, max_size=4), st.integers(1, 3_000)
)
def test_no_second_of_a_shared_cap_has_more(demands: list[list[int]], rate: int) -> None:
    whole = np.array(share(float(rate), demands)).sum(axis=0)
    windows = np.convolve(whole, np.ones(99, np.int64))
    assert windows.max() <= max(1, rate)


def test_a_budget_is_spent_to_the_segment_and_no_further() -> None:
    taken = np.array(share(None, [[7] * 100, [3] * 100, [50] * 100], budget=1_234.0))
    assert taken.sum() == 1_234 and (taken.sum(axis=1) > 50).all()
