"""Figures from consecutive answers: rates by difference, shares, who is slow, recent send times, what happened."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.stats.histogram import Histogram
from zsms.stats.trends import BARS, Bars, Standing, Track, Trends, natural
from zsms.stats.view import View

STEPS = st.lists(st.tuples(st.floats(0.01, 4), st.integers(0, 10**6)), min_size=1, max_size=30)


def row(role: str, name: str, counters: dict | None = None, gauges: dict | None = None, **more: Any) -> dict[str, Any]:
    plain = {"role": role, "name": name, "state": "running", "age": 0.0, "interval": 0.25, "events": []}
    return {**plain, "counters": counters or {}, "gauges": gauges or {}, **more}


def sender(name: str, sent: int, failed: int = 0, slots: int = 100, **more: Any) -> dict[str, Any]:
    return row("sender", name, {"sent": sent, "failed": failed}, {"slots": slots, "busy": slots}, **more)


def broker(queued: int = 1_000, **counters: Any) -> dict[str, Any]:
    return row("broker", "broker", counters, {"queued": queued})


def view(at: float, *rows: dict[str, Any], times: Histogram | None = None) -> View:
    totals: dict[str, dict[str, int]] = {}
    for each in rows:
        for name, value in each["counters"].items():
            of = totals.setdefault(each["role"], {})
            of[name] = of.get(name, 0) + value
    answer: dict[str, Any] = {"totals": totals, "processes": list(rows)}
    if times is not None:
        answer["histograms"] = {"sender": {"send_time": times.to_wire()}}
    return View.of(answer, at)


# -- rates -------------------------------------------------------------------------------------------------------


@given(STEPS, st.floats(0.1, 20))
def test_a_rate_is_that_of_the_line_between_the_points(steps, seconds):
    track, at, count, points = Track(1_000.0), 0.0, 0, [(0.0, 0)]
    track.add(0.0, 0)
    for wait, more in steps:
        at, count = at + wait, count + more
        track.add(at, count)
        points.append((at, count))
    begin = max(0.0, at - seconds)
    expected = (count - np.interp(begin, *zip(*points, strict=True))) / (at - begin)
    assert track.rate(seconds) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert track.span(seconds) == pytest.approx(at - begin)


@given(STEPS)
def test_the_bars_add_up_to_what_was_counted(steps):
    bars, at, count = Bars(0.5), 0.0, 0
    bars.add(0.0, 0)
    counts = [(0.0, 0)]
    for wait, more in steps:
        at, count = at + wait, count + more
        bars.add(at, count)
        counts.append((at, count))
    assert at / 0.5 - 1 < len(bars.rates) <= at / 0.5 < BARS
    edge = np.interp(0.5 * len(bars.rates), *zip(*counts, strict=True))
    assert sum(bars.rates) * 0.5 == pytest.approx(edge, rel=1e-6, abs=1e-6)
    assert min(bars.rates, default=0.0) >= 0


def test_a_count_that_falls_begins_anew_and_a_long_gap_is_no_row_of_bars():
    track, bars = Track(60.0), Bars(0.5)
    for at, count in ((0.0, 0), (1.0, 1_000), (2.0, 10), (3.0, 30), (3.0, 40)):
        track.add(at, count)
        bars.add(at, count)
    assert track.rate(10.0) == 20.0  # of the new start alone
    assert list(bars.rates) == [1_000.0, 1_000.0, 20.0, 20.0]
    bars.add(1e9, 50)
    assert len(bars.rates) == 4


def test_a_rate_is_of_when_the_broker_said_it_not_of_when_the_answer_came():
    watch = Trends(bar_s=0.5)
    figures = None
    for turn in range(30):  # a snapshot a second, looked at ten times a second
        at = turn / 10
        figures = watch.take(view(at, {**broker(sent=100 * int(at)), "age": at % 1.0}))
        if at >= 1.0:
            assert figures.rate == pytest.approx(100.0)
    assert figures is not None and figures.bars == pytest.approx([100.0] * 4)
    assert figures.watched_s == pytest.approx(2.9)


def test_progress_needs_a_total_and_a_rate():
    producer = row("producer", "p", {"produced": 500}, {"total": 0.0})
    watch = Trends()
    watch.take(view(0.0, broker(sent=0), producer))
    figures = watch.take(view(1.0, broker(sent=100), producer))
    assert figures.total is None and figures.left_s is None  # a file of unknown length
    producer["gauges"]["total"] = 1_100.0
    assert watch.take(view(2.0, broker(sent=200), producer)).left_s == pytest.approx(9.0)
    producer["state"] = "done"
    assert watch.take(view(3.0, broker(sent=300), producer)).total == 500
    assert Trends(700).take(view(0.0, broker())).left_s is None
    assert Trends(700).take(view(0.0, broker())).total == 700


# -- send times --------------------------------------------------------------------------------------------------


def test_send_times_are_those_of_the_last_seconds():
    watch, times = Trends(), Histogram()
    assert watch.take(view(0.0, times=times)).send_time is None
    for at in range(1, 31):
        times.record_one(0.1 if at <= 15 else 3.0, 100)
        figures = watch.take(view(float(at), times=times))
        assert watch.take(view(at + 0.1)).send_time is not None  # an answer without histograms changes nothing
        if at == 15:
            assert figures.send_time.quantile(0.99) == pytest.approx(0.1, rel=0.01)
    assert figures.send_time.count == 1_000 and figures.send_time.quantile(0.01) == pytest.approx(3.0, rel=0.01)
    fewer = Histogram()  # the collector was started again
    fewer.record_one(0.5, 10)
    assert watch.take(view(31.0, times=fewer)).send_time.count == 10


# -- senders -----------------------------------------------------------------------------------------------------


def after(seconds: int, *speeds: int, queued: int = 1_000, slots: tuple[int, ...] = (), **more: Any) -> Standing:
    """How it looks when senders have worked at these speeds for some time."""
    watch, slots = Trends(), slots or (100,) * len(speeds)
    for turn in range(4 * seconds + 1):
        rows = [
            sender(f"sender-{i}", speed * turn // 4, slots=slots[i], **(more if i == 0 else {}))
            for i, speed in enumerate(speeds)
        ]
        figures = watch.take(view(turn / 4, broker(queued, sent=sum(speeds) * turn // 4), *rows))
    return figures


def slow(figures: Standing) -> dict[str, float]:
    return {row.name: pytest.approx(row.pace) for row in figures.senders if row.pace is not None}


def test_a_sender_that_does_less_than_half_of_what_its_like_do_is_slow():
    assert slow(after(10, 100, 100, 30, 60)) == {"sender-2": 0.3}
    assert slow(after(10, 100, 40)) == {"sender-1": 0.4}  # of two as well
    assert slow(after(10, 100, 0, 0, 100, 100)) == {"sender-1": 0.0, "sender-2": 0.0}


def test_it_is_not_slow_when_it_is_small_alone_or_had_nothing_to_do():
    assert slow(after(10, 100, 10, slots=(100, 10))) == {}
    assert slow(after(10, 100, 10, queued=0)) == {}
    assert slow(after(2, 100, 10)) == {}  # too early to tell
    assert slow(after(10, 2, 0)) == {}  # too few to tell
    assert slow(after(10, 0, 100, state="draining")) == {}
    assert slow(after(10, 0, 100, 100, age=9.0)) == {}  # silent says more


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=8))
def test_at_most_half_of_the_equals_are_slow_and_none_of_those_is_fast(speeds):
    figures = after(4, *speeds)
    paces = slow(figures)
    assert len(paces) <= len(speeds) // 2 + len(speeds) % 2
    for found in figures.senders:
        if found.name in paces:
            assert found.rate < max(speeds) / 2


def test_a_row_says_who_did_how_much_and_when_it_was_heard():
    rows = [
        sender("b-10", 60, 20, age=0.1),
        sender("b-9", 0, age=9.0),
        sender("b-8", 20, state="done", age=9.0),
        sender("b-7", 0, state="starting"),
    ]
    figures = Trends().take(view(0.0, broker(), *rows))
    assert [row.name for row in figures.senders] == ["b-7", "b-8", "b-9", "b-10"]
    assert [row.state for row in figures.senders] == ["starting", "left", "silent", "running"]
    last = figures.senders[-1]
    assert (last.share, last.errors, last.heard, last.busy, last.slots) == (0.8, 0.25, 0.1, 1.0, 100)
    assert figures.busy == 200 and figures.senders[2].busy == 0.0


def test_names_are_sorted_as_people_do():
    names = ["s-10", "s-9", "s", "10", "9", "s-9b"]
    assert sorted(names, key=natural) == ["9", "10", "s", "s-9", "s-9b", "s-10"]


# -- events ------------------------------------------------------------------------------------------------------


def test_events_are_told_with_their_time_the_newest_first():
    watch = Trends()
    events = [[5.0, "sender joined", "a", 0], [1.0, "sender lost", "a", 70]]
    figures = watch.take(view(100.0, {**broker(retried=0), "events": events, "age": 0.5}))
    assert [tuple(event) for event in figures.events] == [
        (98.5, "sender lost", "a", 70),
        (94.5, "sender joined", "a", 0),
    ]
    figures = watch.take(view(101.0, broker(retried=7)))
    assert [tuple(event) for event in figures.events] == [(101.0, "retry", "failed sends", 7)]
    silent = row("producer", "p", age=30.0)
    figures = watch.take(view(130.0, broker(retried=7), silent))
    assert [event.kind for event in figures.events] == ["retry", "producer silent"]


def test_figures_are_stale_as_soon_as_a_word_is_overdue():
    watch = Trends()
    fresh = watch.take(view(0.0, {**broker(sent=10), "interval": 1.0, "age": 1.3}))
    assert not fresh.stale and not fresh.frozen
    stale = watch.take(view(1.0, {**broker(sent=10), "interval": 1.0, "age": 1.4}))
    assert stale.stale == "broker silent for 1 s" and stale.frozen
    two = watch.take(view(2.0, {**broker(sent=10), "age": 3.0}, row("broker", "b", {})))
    assert two.stale == "broker silent for 3 s" and not two.frozen
    left = watch.take(view(3.0, {**broker(sent=10), "state": "left"}))
    assert left.stale == "broker left" and left.frozen
    assert not Trends().take(view(0.0)).stale


def test_senders_that_left_are_not_kept():
    watch, sizes = Trends(), []
    for number in range(1_000, 2_000):
        figures = watch.take(view(float(number), sender(f"sender-{number}", 10), sender("gone", 5, state="left")))
        sizes.append(len(pickle.dumps(watch)))
    assert sizes[-1] <= 1.01 * sizes[500]
    assert [row.state for row in figures.senders] == ["left", "running"]


def test_what_a_dead_sender_or_producer_last_said_is_shown_as_old_within_two_seconds():
    def standing(age: float, interval: float = 1.0) -> Standing:
        maker = row("producer", "p", {"produced": 9}, {"rate": 50.0}, age=age, interval=interval)
        return Trends().take(view(9.0, broker(), sender("s", 10, age=age, interval=interval), maker))

    for interval in (0.25, 1.0):
        fresh, old = standing(1.3, interval), standing(1.4, interval)
        assert (fresh.stale, fresh.busy, fresh.view.asked_per_s, fresh.senders[0].state) == ("", 100, 50.0, "running")
        assert (old.stale, old.busy, old.view.asked_per_s, old.senders[0].state) == (
            "p silent for 1 s",
            0,
            None,
            "silent",
        )
        assert old.senders[0].trouble is not None and old.senders[0].busy == 0.0 and not old.frozen
    assert not standing(4.0, 5.0).stale, "it speaks every five seconds"
    assert not standing(60.0).stale, "for so long there is an event of it"
