"""Whatever snapshot the collector takes, everybody who watches can show it, and the answer can be said."""

from __future__ import annotations

import json
import logging

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zsms.cli.panel.look import Panel
from zsms.dashboard.app import Pages
from zsms.dashboard.picture import Picture
from zsms.dashboard.prometheus import families
from zsms.report.making import Course, make_report
from zsms.report.summary import summary_lines
from zsms.roles.monitor import line_of
from zsms.stats import book as statsbook
from zsms.stats.book import StatsBook
from zsms.stats.histogram import BUCKETS, Histogram
from zsms.stats.series import Series
from zsms.stats.snapshot import (
    MAX_COUNT,
    MAX_FIGURES,
    MAX_GAUGE,
    MAX_HISTOGRAMS,
    MAX_INTERVAL_S,
    MAX_ROW_BYTES,
    MIN_INTERVAL_S,
    Snapshot,
)
from zsms.stats.trends import Trends
from zsms.stats.view import View
from zsms.wire.codec import decode, encode
from zsms.wire.frames import MAX_FRAME_BYTES, MAX_MAP_ITEMS, Answer

EDGES = [0.0, 1e-300, 0.5, 1e15, -1e15, 1e16, 1e300, 1e308, -1e308, float("inf"), float("nan"), 2**53, 2**62]
NUMBER = st.sampled_from(EDGES) | st.floats(-2 * MAX_GAUGE, 2 * MAX_GAUGE)
COUNT = st.sampled_from([0, 1, MAX_COUNT - 1, MAX_COUNT]) | st.integers(0, MAX_COUNT)
GAUGES = [
    "queued",
    "in_flight",
    "slots",
    "busy",
    "waiting",
    "prefetch",
    "asked_s",
    "took_s",
    "unconfirmed",
    "unreachable",
    "exhausted",
    "total",
    "queue_bytes",
    "retrying",
    "senders",
    "full",
    "steady_s",
    "steady_slot_s",
    "first_accepted_at",
    "first_accepted_ago",
    "busy_s",
    "balanced",
    "cpu_s",
    "rss_max_bytes",
]
COUNTERS = [
    "accepted",
    "sent",
    "failed",
    "dead",
    "produced",
    "confirmed",
    "retried",
    "redelivered",
    "duplicates",
    "started",
    "sends",
    "steady_sends",
    "refused_frames",
    "refused_connections",
]
HISTOGRAM = st.fixed_dictionaries(
    {
        "i": st.lists(st.integers(0, BUCKETS - 1), max_size=4, unique=True).map(
            lambda at: np.array(sorted(at), "<u2").tobytes()
        ),
        "n": st.lists(st.sampled_from([0, 1, 2**48 - 1]), max_size=4).map(lambda n: np.array(n, "<u8").tobytes()),
        "sum": NUMBER,
        "max": NUMBER,
    }
)
BODY = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["broker", "producer", "sender"]),
        "name": st.sampled_from(["a", "b-2", "c10"]),
        "start": st.sampled_from([0, 1, 2**64 - 1]),
        "seq": st.sampled_from([0, 1, 2**64 - 1]),
        "host": st.just("h"),
        "pid": st.sampled_from([0, 2**64 - 1]),
        "state": st.sampled_from(["starting", "running", "draining", "done", "", "?"]),
        "interval": st.sampled_from([0.01, 1.0, 3600.0]),
        "counters": st.dictionaries(st.sampled_from(COUNTERS), COUNT, max_size=8),
        "gauges": st.dictionaries(st.sampled_from(GAUGES), NUMBER, max_size=8),
        "histograms": st.dictionaries(
            st.sampled_from(["send_time", "queue_time", "total_time", "slot_error"]), HISTOGRAM, max_size=2
        ),
        "events": st.lists(st.tuples(NUMBER, st.just("sender lost"), st.just("x"), COUNT).map(list), max_size=2),
    }
)


def show_everywhere(book: StatsBook, answers: list[dict]) -> None:
    """Everything that reads an answer, over two of them."""
    watch, page, series = Trends(), Picture("here", 1.0, 0.0), Series()
    pages, before = Pages(page, lambda: 3.0), None
    for at, answer in enumerate(answers, 1):
        assert len(encode(Answer(0, answer))) <= MAX_FRAME_BYTES
        answer = decode(encode(Answer(0, answer))).body
        view = View.of(answer, float(at))
        json.dumps(view.to_json(before), allow_nan=False)
        line_of(view, before)
        Panel("zsms", watch.take(view), width=80, height=24).lines()
        pages.handle(answer, float(at))
        json.dumps(page.picture(3.0), allow_nan=False)
        json.dumps(page.columns("recent"), allow_nan=False)
        list(families(answer))
        series.add(view, Histogram(), last=at == 2)
        before = view
    report = make_report(answers[-1], Course(config={}, elapsed_s=1.0, completed=True, series=series))
    json.dumps(report.to_json(), allow_nan=False)
    summary_lines(report)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(BODY, min_size=1, max_size=6))
def test_every_watcher_can_show_whatever_the_collector_takes(caplog, bodies):
    caplog.clear()
    book, answers = StatsBook(), []
    for half in (bodies[: len(bodies) // 2], bodies[len(bodies) // 2 :]):
        for body in half:
            try:
                book.put(Snapshot.from_wire(msgpack.unpackb(msgpack.packb(body))), 0.5)
            except ValueError:
                pass
        answers.append(book.answer("all", 1.0))
    show_everywhere(book, answers)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def body(**changed: object) -> dict:
    return {**Snapshot("sender", "s", 1, 1, "h", 1, "running", 1.0).to_wire(), **changed}


def histogram(**changed: object) -> dict:
    times = Histogram()
    times.record(np.array([1.0, 2.0], np.float32))
    return {"histograms": {"send_time": {**times.to_wire(), **changed}}}


@pytest.mark.parametrize(
    "changed",
    [
        *({"gauges": {"queued": value}} for value in (1e308, -1e308, 1.1 * MAX_GAUGE, float("inf"), float("nan"))),
        *({"interval": value} for value in (1e300, 1e308, MAX_INTERVAL_S * 1.01, 0.0, MIN_INTERVAL_S / 2, -5.0)),
        *({name: -1} for name in ("start", "seq", "pid")),
        *(histogram(sum=value) for value in (-1e9, -1e-9, 1e31, float("nan"), 100.0)),
        *(histogram(max=value) for value in (-1.0, 1e11, float("inf"), float("nan"), 0.0)),
        {"counters": {"sent": MAX_COUNT}},
        {"counters": {"sent": -1}},
        {"events": [[1e11, "kind", "subject", 1]]},
        {"histograms": {f"h{i}": Histogram().to_wire() for i in range(MAX_HISTOGRAMS + 1)}},
        {"counters": {f"{i:03}{'x' * 200}": 1 for i in range(MAX_FIGURES)}},
        {"events": [[0.0, "x" * 200, "y" * 200, 1]] * 60},
        {"gauges": {"\udc80": 1.0}},
    ],
)
def test_numbers_and_rows_out_of_bounds_are_refused_where_they_come_in(changed):
    with pytest.raises(ValueError, match=r"where|disagree|out of all bounds|over|a count of"):
        Snapshot.from_wire(body(**changed))


def test_a_figure_that_is_a_hair_below_zero_is_zero():
    taken = Snapshot.from_wire(body(gauges={"busy_s": -1e-9}, events=[[-0.001, "kind", "x", 1]]))
    assert taken.gauges == {"busy_s": 0.0} and taken.events[0][0] == 0.0
    times = Histogram()
    times.record(np.array([-0.5, 1.0], np.float32))
    times.record_one(-3.0)
    assert times.sum == 1.0 and times.count == 3 and times.max == 1.0


def test_an_own_snapshot_leaves_out_its_oldest_events_rather_than_be_refused():
    full = Snapshot("broker", "b", 1, 1, "h", 1, "running", 1.0)
    full.events = [[0.0, "sender lost", f"{i:02}" + "\U00010000" * 62, 1] for i in range(100)]
    taken = Snapshot.from_wire(full.to_wire())
    assert 30 < len(taken.events) < 100 and taken.events[-1][2].startswith("99")
    assert len(msgpack.packb(taken.row())) <= MAX_ROW_BYTES


def test_rows_that_an_answer_has_no_room_for_are_left_out_and_counted(monkeypatch):
    book = StatsBook()
    long = {f"{i:03}{'x' * 61}": 1 for i in range(127)}
    for i in range(1_500):
        book.put(Snapshot.from_wire(body(name=f"{i}", counters={**long, "sent": 1})), 0.0)
    book.put(Snapshot.from_wire(body(name="short", counters={"sent": 1})), 0.0)
    events = [[0.0, "sender lost", "x" * 60, 1]] * 50
    book.put(Snapshot.from_wire(body(role="broker", name="b", events=events)), 0.0)
    answer = book.answer("all", 0.0)
    names = {row["name"] for row in answer["processes"]}
    assert {"b", "short"} <= names and 1_000 < len(names) < 1_400
    assert answer["rows_left_out"] == 1_502 - len(names) and answer["totals"]["sender"]["sent"] == 1_501
    assert len(encode(Answer(0, answer))) <= MAX_FRAME_BYTES
    assert statsbook.MAX_PROCESSES <= MAX_MAP_ITEMS


def test_a_row_is_never_longer_on_the_wire_than_was_reckoned():
    full = Snapshot(
        "sender", "n" * 64, 2**64 - 1, 2**64 - 1, "h" * 64, 2**32, "running", 3600.0,
        {f"c{i}": 2**61 for i in range(128)}, {f"g{i}": 1.5e14 for i in range(128)}, {},
        [[1.5, "k", "é" * 9, 2**61]] * 20,
    )  # fmt: skip
    assert len(msgpack.packb({**full.row(), "age": 1.5})) <= full.row_bytes
