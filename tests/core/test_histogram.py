from __future__ import annotations

from itertools import pairwise
from math import ceil

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.histogram import BUCKETS, Histogram, bucket_bounds

IN_RANGE = st.floats(bucket_bounds(1)[0], bucket_bounds(BUCKETS - 1)[0], width=32)
DURATIONS = st.lists(st.floats(0.0, 1e9, width=32), max_size=50)


def of(values) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(values, dtype=np.float32))
    return histogram


def same(a: Histogram, b: Histogram) -> bool:
    return bool((a.counts == b.counts).all()) and a.sum == pytest.approx(b.sum) and a.max == b.max


@given(st.lists(IN_RANGE, min_size=1, max_size=80), st.floats(0, 1))
def test_a_quantile_is_within_a_128th_and_the_rest_is_exact(values, q):
    histogram = of(values)
    true = sorted(values)[max(ceil(q * len(values)), 1) - 1]
    assert abs(histogram.quantile(q) - true) <= true / 128
    assert histogram.count == len(values)
    assert histogram.mean == pytest.approx(sum(values) / len(values))
    assert histogram.max == max(values) >= histogram.quantile(q)


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
    assert of([]).quantile(0.5) == of([]).mean == 0.0


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
