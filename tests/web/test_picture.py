"""`web.picture`: from answers of a collector to what the page shows; the numbers stay the collector's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.snapshots import broker, mesh, sender, snapshot, times
from zsms.dashboard.picture import Picture
from zsms.stats.book import StatsBook
from zsms.stats.series import MOST_POINTS
from zsms.stats.view import View

DAY = 1_000_000.0


def watching() -> Picture:
    return Picture("tcp://there:1", 1.0, DAY)


def test_the_figures_are_those_of_the_view() -> None:
    watch, book = watching(), StatsBook()
    mesh(book, 5, 10.0)
    answer = book.answer("all", 10.5)
    watch.take(answer, 20.5)
    picture, view = watch.picture(20.6), View.of(answer, 20.5)
    told = view.to_json() | {"rate_per_s": None, "accepted": 1_000, "retried": 5, "settled": 104, "expected": 1_000}
    assert told.items() <= picture["figures"].items()
    assert picture["totals"] == answer["totals"]
    assert picture["send_time_s"]["whole"]["mean"] == 1.0
    assert [row["sends"] for row in picture["senders"]] == [50, 50]
    assert picture["at"] == DAY + 20.6
    assert picture["collector"] == {"endpoint": "tcp://there:1", "answering": True, "heard_at": DAY + 20.5}


def test_what_nobody_has_said_is_unknown_and_not_0() -> None:
    watch = watching()
    picture = watch.picture(1.0)
    assert picture["figures"] is None and picture["point"] is None and not watch.answering
    watch.take(StatsBook().answer("all", 0.0), 2.0)
    picture = watch.picture(2.0)
    assert picture["figures"]["expected"] is None
    assert picture["figures"]["rate_per_s"] is None
    assert picture["reach"]["share"] is None and picture["send_time_s"]["whole"] is None


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 0.99), min_size=4, max_size=9))
def test_rates_do_not_depend_on_when_one_asks(phases: list[float]) -> None:
    watch, book = watching(), StatsBook()
    for second, phase in enumerate(phases, 1):
        mesh(book, second, float(second))  # everyone reports at the full second
        watch.take(book.answer("all", second + phase), second + phase)
    picture = watch.picture(len(phases) + 1.0)
    assert picture["figures"]["rate_per_s"] == pytest.approx(20, rel=0.01)
    assert [row["rate_per_s"] for row in picture["senders"]] == [pytest.approx(10, abs=0.2)] * 2
    assert watch.columns("recent")["columns"]["rate_per_s"][1:] == [pytest.approx(20, rel=0.01) for _ in phases[1:]]


def test_a_sender_that_fell_silent_has_no_rate() -> None:
    watch, book = watching(), StatsBook()
    for second in (1, 2, 3):
        mesh(book, second, float(second))
        watch.take(book.answer("all", float(second)), float(second))
    for second in range(4, 10):
        book.put(sender("sender-1", second, 10 * second), float(second))
        watch.take(book.answer("all", float(second)), float(second))
    first, second_ = watch.picture(9.0)["senders"]
    assert first["alive"] and first["rate_per_s"] == pytest.approx(10)
    assert not second_["alive"] and second_["rate_per_s"] == 0
    assert watch.picture(9.0)["figures"]["rate_per_s"] is None, "the broker is silent too"
    assert watch.picture(9.0)["figures"]["sender_slots"] == 10


def test_percentiles_wait_until_a_new_collector_has_heard_of_everyone() -> None:
    watch, book = watching(), StatsBook()
    slow, fast = times(*[9.0] * 1_000), times(*[1.0] * 10)
    book.put(broker(1, 1), 1.0)
    book.put(sender("slow", 1, 1_000, took=slow), 1.0)
    book.put(sender("fast", 1, 10, took=fast), 1.0)
    watch.take(book.answer("all", 1.0), 1.0)

    fast.merge(times(1.0))
    anew = StatsBook()
    anew.put(broker(2, 2), 2.0)
    anew.put(sender("fast", 2, 11, took=fast), 2.0)
    watch.take(anew.answer("all", 2.0), 2.0)
    assert watch.picture(2.0)["send_time_s"]["now"]["p50"] is None, "slow is still missing"

    anew.put(broker(3, 3), 3.0)
    anew.put(sender("slow", 3, 1_000, took=slow), 3.0)
    watch.take(anew.answer("all", 3.0), 3.0)
    assert watch.picture(3.0)["send_time_s"]["now"]["p99"] == pytest.approx(1, rel=0.02), "not all of slow's past"


@given(st.lists(st.floats(0.0, 0.9), min_size=2, max_size=10))
def test_an_event_keeps_its_time_however_often_it_is_told(delays: list[float]) -> None:
    watch, book, seen = watching(), StatsBook(), set()
    for second, delay in enumerate(delays, 10):
        events = [[second - 5.0, "sender lost", "sender-2", 7], [second - 8.0, "sender lost", "sender-2", 7]]
        book.put(broker(second, 1, events=events), float(second))
        watch.take(book.answer("all", float(second)), second + delay)  # the answer takes its time
        seen |= {(event["at"], event["kind"], event["messages"]) for event in watch.events()}
        assert len(watch.events()) == 2
    assert len(seen) == 2


def test_the_collector_s_silence_is_an_event_and_its_return_another() -> None:
    watch, book = watching(), StatsBook()
    watch.silent(1.0)
    assert not watch.events(), "it was never there"
    mesh(book, 1, 2.0)
    watch.take(book.answer("all", 2.0), 2.0)
    for now in (5.0, 6.0, 7.0):
        watch.silent(now)
    assert not watch.picture(7.0)["collector"]["answering"]
    watch.take(book.answer("all", 8.0), 8.0)
    assert [(event["kind"], event["at"] - DAY) for event in watch.events()] == [
        ("collector answers again", 8.0),
        ("no word from the collector", 2.0),
    ]


def test_the_reach_is_reckoned_from_the_first_message_on() -> None:
    watch, book = watching(), StatsBook()
    for minute in range(1, 13):
        now = 60.0 * minute
        book.put(broker(minute, 50 * minute, busy_s=now - 30), now)  # the first message came at 30 s
        watch.take(book.answer("all", now), now + 0.25)
    reach = watch.picture(now)["reach"]
    assert reach["began_at"] == pytest.approx(DAY + 30.25)
    assert reach["share"] == 0.6
    assert reach["share_after"]["600"] == pytest.approx(50 * 10.5 / 1_000, abs=1e-3)
    assert reach["share_after"]["900"] is None, "that is to come"
    book.put(broker(13, 600, busy_s=now - 30), now + 600)  # nothing was settled for ten minutes
    watch.take(book.answer("all", now + 600), now + 600)
    assert watch.picture(now + 600)["reach"]["began_at"] == reach["began_at"]


def test_a_broker_that_starts_again_begins_anew() -> None:
    watch, book = watching(), StatsBook()
    book.put(broker(1, 10, busy_s=50.0), 100.0)
    watch.take(book.answer("all", 100.0), 100.0)
    book.put(broker(1, 10, busy_s=5.0, start=2), 200.0)
    watch.take(book.answer("all", 200.0), 200.0)
    assert watch.picture(200.0)["reach"]["began_at"] == DAY + 195.0


def test_history_is_bounded() -> None:
    watch, book = Picture("", 10.0, DAY), StatsBook()
    for second in range(1, 3_001):
        book.put(broker(second, 1), 10.0 * second)
        watch.take(book.answer("all", 10.0 * second), 10.0 * second)
    recent, whole = watch.columns("recent"), watch.columns("whole")
    assert len(recent["columns"]["t_s"]) == 179 and recent["every_s"] == 10
    assert recent["columns"]["t_s"][-1] == DAY + 30_000
    assert len(whole["columns"]["t_s"]) < MOST_POINTS and whole["columns"]["t_s"][0] < DAY + 100
    assert recent["number"] == 3_000 == watch.picture(30_000.0)["point"]["number"]


def test_the_end_of_the_work_is_a_point_however_soon_it_comes() -> None:
    watch, book = watching(), StatsBook()
    done = snapshot("producer", "p", 1, state="done", counters={"produced": 100, "confirmed": 100})
    book.put(done, 0.5, True)
    for seq, at, sent in ((1, 1.0, 40), (2, 2.0, 90), (3, 2.1, 100)):  # the last word comes at the end, not in time
        figures = {"queued": 100.0 - sent, "in_flight": 0.0, "balanced": 1.0, "first_accepted_at": 0.5}
        book.put(snapshot("broker", "broker", seq, counters={"accepted": 100, "sent": sent}, gauges=figures), at)
        watch.take(book.answer("all", at), at)
    for later in (3.0, 4.0):
        watch.take(book.answer("all", later), later)
    assert watch.view is not None and watch.view.done
    for span in ("recent", "whole"):
        assert watch.columns(span)["columns"]["sent"] == [40, 100], span
    assert watch.points == 3 and watch.picture(4.0)["point"]["sent"] == 100


def test_only_the_busiest_senders_travel_and_the_rest_are_counted() -> None:
    watch, book = watching(), StatsBook()
    for second in (1, 2, 3):
        for number in range(1, 13):
            failed = 0 if number > 9 else second
            book.put(sender(f"s-{number}", second, number * second - failed, failed=failed), float(second))
        watch.take(book.answer("all", float(second)), float(second))
    picture = watch.picture(3.0, most_rows=3)
    assert [row["name"] for row in picture["senders"]] == ["s-10", "s-11", "s-12"]
    assert picture["senders_left_out"] == 9 and picture["senders_left_out_in_trouble"] == 9
    everyone = watch.picture(3.0)
    assert picture["senders_rate_per_s"] == everyone["senders_rate_per_s"] == 78.0
    assert sum(row["rate_per_s"] for row in everyone["senders"]) == 78.0
    assert [row["name"] for row in watch.picture(3.0)["senders"]] == [f"s-{n}" for n in range(1, 13)]


def test_an_answer_that_makes_no_sense_is_refused_whole() -> None:
    watch, book = watching(), StatsBook()
    book.put(snapshot("sender", "s", 1, gauges={"slots": 1}), 1.0)
    answer = book.answer("all", 1.0)
    answer["histograms"] = {"sender": {"send_time": {"i": b"\0", "n": b"", "sum": 0, "max": 0}}}
    with pytest.raises(ValueError, match="histogram"):
        watch.take(answer, 1.0)
    assert watch.view is None
