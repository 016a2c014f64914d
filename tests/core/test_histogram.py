from __future__ import annotations

from itertools import pairwise

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.stats.histogram import BUCKETS, QUANTILES, Histogram, bucket_bounds

IN_RANGE = st.floats(bucket_bounds(1)[0], bucket_bounds(BUCKETS - 1)[0], width=32)
DURATIONS = st.lists(st.floats(0.0, 1e9, width=32), max_size=50)


def of(values) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(values, dtype=np.float32))
    return histogram


def same(a: Histogram, b: Histogram) -> bool:
    return bool((a.counts == b.counts).all()) and a.sum == pytest.approx(b.sum) and (a.min, a.max) == (b.min, b.max)


@given(st.lists(IN_RANGE, min_size=1, max_size=80), st.floats(0, 1))
def test_a_quantile_is_numpy_s_to_within_a_bucket_and_the_rest_is_exact(values, q):
    histogram = of(values)
    true = float(np.quantile(np.array(values, dtype=np.float64), q))
    assert histogram.quantile(q) == pytest.approx(true, rel=1 / 64)
    assert histogram.count == len(values)
    assert histogram.mean == pytest.approx(sum(values) / len(values))
    assert min(values) == histogram.min <= histogram.quantile(q) <= histogram.max == max(values)


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], [0.1, 7.0], [0.0, 0.0, 5.0], [0.0, 5.0], [4e5, 8e5]])
def test_of_a_few_the_ends_are_exact_and_the_median_is_the_middle(values):
    histogram = of(values)
    assert histogram.quantile(0) == np.float32(values[0]) and histogram.quantile(1) == np.float32(values[-1])
    if len(values) < 3:
        assert histogram.quantile(0.5) == pytest.approx(sum(values) / len(values))


def test_durations_all_alike_have_that_one_for_every_percentile():
    summary = of([1.0123] * 5_000).summary()
    assert set(summary) == {"mean", "min", *QUANTILES, "max"}
    assert all(value == pytest.approx(1.0123, rel=1e-6) for value in summary.values())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "draw", [lambda r, n: r.normal(1, 0.1, n), lambda r, n: r.exponential(1, n), lambda r, n: r.lognormal(0, 1, n)]
)
def test_of_many_a_percentile_is_right_to_a_thousandth_or_five_in_the_tail(draw, seed):
    values = draw(np.random.default_rng(seed), 300_000).astype(np.float32)
    histogram = of(values)
    for q in QUANTILES.values():
        assert histogram.quantile(q) == pytest.approx(float(np.quantile(values, q)), rel=1e-3 if q < 0.99 else 5e-3)


def test_nothing_recorded_is_none_and_not_zero():
    assert set(of([]).summary().values()) == {None} and of([]).quantile(0.5) is of([]).mean is None
    read = Histogram.from_wire(of([]).to_wire())
    read.merge(of([2.0]))
    assert read.min == 2.0 == read.quantile(0.5)


@given(DURATIONS, DURATIONS)
def test_merging_is_recording_everything_in_one(some, more):
    merged = of(some)
    merged.merge(of(more))
    assert same(merged, of(some + more))
    one_by_one = Histogram()
    for value in some:
        one_by_one.record_one(value)
    assert same(one_by_one, of(some))
    assert same(Histogram.from_wire(msgpack.unpackb(msgpack.packb(merged.to_wire()))), merged)


def test_what_lies_outside_the_buckets_counts_in_the_first_or_the_last():
    outside = of([-1.0, 0.0, 1e-9, 1e-7, 2.0**18, 1e9, np.inf])
    assert outside.counts[0] == 4 and outside.counts[-1] == 3 and outside.count == 7
    for value in (-1.0, 0.0, 1e-9, 1e9, float("inf")):
        outside.record_one(value)
    assert outside.counts[0] == 7 and outside.counts[-1] == 5
    assert outside.min == 0.0


def test_the_buckets_cover_the_line_without_gap_or_overlap():
    bounds = [bucket_bounds(index) for index in range(BUCKETS)]
    assert bounds[0][0] == 0.0
    assert all(high == low for (_, high), (low, _) in pairwise(bounds))
    for index, (low, high) in enumerate(bounds[1:], 1):
        below = np.nextafter(np.float32(high), np.float32(0))
        assert of([low, below]).counts[index] == 2


def test_record_one_counts_repeats():
    histogram = Histogram()
    histogram.record_one(0.5, 3)
    assert same(histogram, of([0.5, 0.5, 0.5]))


@pytest.mark.parametrize(
    "change",
    [
        {"i": b"\xff\xff"},  # no such bucket
        {"i": b"\0\0\0\0"},  # two buckets, one count
        {"i": b"\0"},
        {"i": b"\5\0\5\0", "n": bytes(16)},  # one bucket twice: their sum could be anything
        {"n": (2**63).to_bytes(8, "little")},  # negative when read as signed
        {"n": 1},
        {"sum": float("nan")},
        {"max": float("inf")},
        {"max": "one"},
        {"min": -1.0},
        {"min": float("nan")},
        {"sum": None},
    ],
)
def test_what_is_no_histogram_is_refused(change):
    wire = of([1.0]).to_wire()
    with pytest.raises(ValueError, match="not a histogram"):
        Histogram.from_wire({**wire, **change})
    for body in (None, 7, [], "text", {}):
        with pytest.raises(ValueError, match="not a histogram"):
            Histogram.from_wire(body)


@given(DURATIONS, DURATIONS)
def test_what_was_recorded_since_is_the_difference(before, later):
    earlier, now = of(before), of(before)
    now.merge(of(later))
    recent = now.since(earlier)
    assert (recent.counts == of(later).counts).all()
    assert recent.sum == pytest.approx(of(later).sum, rel=1e-6, abs=1e-6 * now.sum)
    assert recent.max == now.max


def test_a_sum_of_the_largest_can_be_said_on():
    """Or whoever asks a collector for the totals would refuse its answer."""
    largest = Histogram.from_wire({"i": b"\5\0", "n": (2**48 - 1).to_bytes(8, "little"), "sum": 1e30, "max": 1e10})
    merged = Histogram()
    for _ in range(70_000):  # past the range of an int64, were they added up
        merged.merge(largest)
    assert same(Histogram.from_wire(merged.to_wire()), merged)
    assert merged.count == 2**48 - 1 and merged.sum == 1e30
