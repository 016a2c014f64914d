"""`core.series`: whatever is left out, the counts and the percentiles add up to the whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.stats.histogram import Histogram
from zsms.stats.series import COLUMNS, Series, moment
from zsms.stats.view import View


def view(at: float, sent: int = 0, *, age: float = 0.0, produced: int = 1_000_000) -> View:
    broker = {
        "role": "broker",
        "name": "broker",
        "state": "running",
        "age": age,
        "interval": 0.25,
        "counters": {},
        "gauges": {"queued": 7},
    }
    totals = {"broker": {"accepted": produced, "sent": sent}, "producer": {"produced": produced}}
    return View.of({"totals": totals, "processes": [broker]}, at)


def times(*seconds: float) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(seconds, dtype=np.float32))
    return histogram


def test_a_rate_is_reckoned_with_the_time_of_the_snapshot_not_of_the_answer() -> None:
    series = Series()
    series.add(view(11.2, 100, age=0.2))  # true at 11.0
    series.add(view(12.0, 300, age=0.0))
    assert series.columns(10.0)["t_s"] == [1.0, 2.0]
    assert series.columns(10.0)["rate_per_s"] == [100.0, 200.0]
    assert series.columns()["rate_per_s"] == [None, 200.0]


def test_percentiles_are_of_the_sends_since_the_point_before() -> None:
    series, total = Series(), times(1.0, 1.0)
    series.add(view(1, 2), total)
    total.merge(times(3.0, 3.0, 3.0))
    series.add(view(2, 5), total)
    series.add(view(3, 5), total)
    columns = series.columns(0.0)
    assert columns["send_time_p50_s"][:2] == [pytest.approx(1, rel=1 / 64), pytest.approx(3, rel=1 / 64)]
    assert columns["send_time_p99_s"][2] is None, "no send ended"


def test_a_collector_that_counts_from_0_again_gives_no_figure_below_0() -> None:
    series = Series()
    series.add(view(1, 100), times(*[1.0] * 100))
    series.add(view(2, 10), times(*[2.0] * 10))
    columns = series.columns(0.0)
    assert columns["rate_per_s"] == [100.0, 0.0]
    assert columns["send_time_p50_s"][1] == pytest.approx(2, rel=1 / 64)


def test_the_last_point_takes_the_place_of_one_just_before_it() -> None:
    series = Series(every=1.0)
    series.add(view(1, 10))
    series.add(view(2, 20))
    series.add(view(2.1, 21), last=True)
    assert series.columns(0.0)["sent"] == [10, 21]
    series.add(view(2.1, 22), last=True)  # the same snapshot again
    assert series.columns(0.0)["sent"] == [10, 22]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.sampled_from([4, 6, 10]))
def test_points_are_bounded_and_nothing_is_lost_from_sight(sends: list[int], most: int) -> None:
    series, total, sent = Series(most, every=1.0), Histogram(), 0
    for second, number in enumerate(sends, 1):
        now = view(float(second), sent + number, age=0.0)
        sent += number
        total.merge(times(*[1.0] * number))
        if series.due(now):
            series.add(now, total)
    series.add(view(len(sends) + 1.0, sent), total, last=True)
    columns = series.columns(0.0)
    assert tuple(columns) == COLUMNS
    t, rate = columns["t_s"], columns["rate_per_s"]
    assert 0 < len(t) < most and len({len(column) for column in columns.values()}) == 1
    assert t[-1] == len(sends) + 1 and t == sorted(t)
    assert max((b - a for a, b in pairwise(t[:-1])), default=0) <= series.every, "evenly spaced"
    settled = sum(r * (b - a) for r, a, b in zip(rate, [0.0, *t], t, strict=False))
    assert settled == pytest.approx(sent, abs=0.06 * len(sends) + 0.1)  # rates are rounded to a tenth
    assert columns["sent"][-1] == sent


def test_a_point_is_due_a_little_early_and_not_before() -> None:
    series = Series(every=1.0)
    assert series.due(view(5.0))
    series.add(view(5.0))
    assert [series.due(view(at)) for at in (5.1, 5.8, 5.95, 6.5)] == [False, False, True, True]


def test_the_moment_of_several_brokers_is_that_of_the_newest() -> None:
    both = view(10.0, age=0.5)
    both.brokers.append(replace(both.brokers[0], name="other", age=0.1))
    assert moment(both) == 9.9
    assert moment(View.of({}, 3.0)) == 3.0


def test_without_thinning_the_oldest_points_go_and_the_others_stay_as_they_were() -> None:
    series, whole, total = Series(4, 1.0, thin=False), Series(100, 1.0), Histogram()
    for second in range(1, 11):
        total.merge(times(*[float(second)] * second))
        for each in (series, whole):
            each.add(view(float(second), 10 * second), total)
    kept, all_of_them = series.columns(), whole.columns()
    assert len(series) == 3 and series.first_at == 8.0 and series.every == 1.0
    assert kept["sent"] == all_of_them["sent"][-3:]
    assert kept["send_time_p50_s"] == all_of_them["send_time_p50_s"][-3:]
    newest = series.columns(newest=1)
    assert {name: values[-1:] for name, values in kept.items()} == newest
    assert series.columns(newest=5) == kept


def test_a_point_without_times_leaves_its_sends_to_the_next() -> None:
    series, total = Series(every=1.0), times(1.0)
    series.add(view(1, 1), total)
    series.add(view(2, 2))
    total.merge(times(3.0))
    series.add(view(3, 3), total)
    assert series.columns()["send_time_p50_s"][1:] == [None, pytest.approx(3, rel=1 / 64)]
