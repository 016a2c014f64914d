from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.stats import book as statsbook
from zsms.stats.book import StatsBook
from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import Snapshot


def snapshot(name: str, start: int, seq: int, sent: int, role: str = "sender") -> Snapshot:
    times = Histogram()
    times.record(np.ones(sent, dtype=np.float32))
    return Snapshot(role, name, start, seq, "host", 1, "running", 1.0, {"sent": sent}, {"busy": 1}, {"time": times})


def total(book: StatsBook) -> int:
    sent = book.answer("totals", 0.0)["totals"].get("sender", {}).get("sent", 0)
    times = book.histograms().get("sender", {}).get("time", Histogram())
    assert times.count == sent  # counters and histograms tell the same story
    return sent


ARRIVALS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(0, 5)), max_size=40)


@given(ARRIVALS)
def test_totals_never_fall_and_count_each_start_once_whatever_is_lost_repeated_or_late(arrivals):
    book = StatsBook()
    before = 0
    for name, start, seq in arrivals:
        book.put(snapshot(name, start, seq, sent=start + seq), 0.0)
        assert total(book) >= before
        before = total(book)
    # Of each start counts the newest that was known when the next start was first heard of.
    newest: dict[tuple[str, int], int] = {}
    latest: dict[str, int] = {}
    for name, start, seq in arrivals:
        latest[name] = max(latest.get(name, 0), start)
        if start == latest[name]:
            newest[name, start] = max(newest.get((name, start), 0), start + seq)
    assert total(book) == sum(newest.values())


def test_the_newest_snapshot_of_each_process_is_a_row_with_its_age():
    book = StatsBook()
    assert book.put(snapshot("a", 1, 0, 5), 10.0) and book.put(snapshot("a", 1, 1, 6), 12.0)
    assert not book.put(snapshot("a", 1, 1, 6), 13.0)
    assert not book.put(snapshot("a", 1, 0, 5), 14.0)
    book.put(snapshot("a", 1, 0, 2, role="producer"), 14.0)  # another process, for all the name
    answer = book.answer("all", 15.0)
    assert [(row["role"], row["name"], row["seq"], row["age"]) for row in answer["processes"]] == [
        ("sender", "a", 1, 3.0),
        ("producer", "a", 0, 1.0),
    ]
    assert answer["totals"] == {"sender": {"sent": 6}, "producer": {"sent": 2}}
    assert Histogram.from_wire(answer["histograms"]["sender"]["time"]).count == 6
    assert "histograms" not in book.answer("totals", 15.0)
    assert (book.taken, book.stale) == (3, 2)


def test_asking_changes_nothing():
    book = StatsBook()
    book.put(snapshot("a", 1, 0, 5), 0.0)
    book.put(snapshot("a", 2, 0, 1), 0.0)
    assert book.answer("all", 1.0) == book.answer("all", 1.0)
    assert total(book) == total(book) == 6


def test_a_start_below_the_known_one_is_newer_when_that_one_is_over():
    """Row 25: the wall clock was set back between two starts."""
    book = StatsBook()
    book.put(snapshot("a", 9, 5, 5), 0.0)
    assert not book.put(snapshot("a", 4, 0, 1), 1.0)  # it may be late, of an earlier start that nobody heard of
    assert book.put(snapshot("a", 4, 1, 2), 5.0) and total(book) == 7
    assert not book.put(snapshot("a", 9, 6, 6), 5.0)  # late now, or another process of that name
    assert book.put(snapshot("a", 4, 2, 3), 5.0) and total(book) == 8
    assert book.put(snapshot("a", 4, 3, 3), 5.0, last=True)
    assert book.put(snapshot("a", 3, 0, 1), 5.0) and total(book) == 9  # at once, for the other has ended


def test_processes_that_are_over_make_room_and_stay_in_the_totals(monkeypatch):
    monkeypatch.setattr(statsbook, "MAX_PROCESSES", 3)
    book = StatsBook()
    book.put(snapshot("crashed", 1, 0, 1), 0.0)
    book.put(snapshot("lives", 1, 0, 10), 400.0)
    book.put(snapshot("ended", 1, 0, 100), 400.0, last=True)
    for name, over in (("new", "crashed"), ("newer", "ended")):
        assert book.put(snapshot(name, 1, 0, 1_000), 401.0)
        rows = {row["name"] for row in book.answer("totals", 401.0)["processes"]}
        assert over not in rows and "lives" in rows and len(rows) == 3
    assert total(book) == 2_111
    assert not book.put(snapshot("crashed", 1, 1, 2), 402.0)  # it was only silent: what it says would count twice
    assert total(book) == 2_111
    with pytest.raises(ValueError, match="more than 3 processes"):
        book.put(snapshot("newest", 1, 0, 1), 402.0)
    monkeypatch.setattr(statsbook, "MAX_PROCESSES", 4)
    assert book.put(snapshot("crashed", 2, 0, 1), 402.0)
    assert total(book) == 2_112


def test_processes_are_bounded(monkeypatch):
    monkeypatch.setattr(statsbook, "MAX_PROCESSES", 2)
    book = StatsBook()
    for name in "ab":
        book.put(snapshot(name, 1, 0, 1), 0.0)
    with pytest.raises(ValueError, match="more than 2 processes"):
        book.put(snapshot("c", 1, 0, 1), 0.0)
    assert book.put(snapshot("b", 2, 0, 1), 0.0)


def test_a_broker_s_last_counts_of_reach_are_told_and_bounded() -> None:
    book = StatsBook()
    wire = {"step_s": 0.01, "first": 0, "before": 0, "n": bytes(2**19)}
    for number in range(10):
        for role in ("broker", "sender"):
            book.put(Snapshot(role, f"{role}-{number}", 1, 1, "h", 1, "left", 1.0, reach=dict(wire)), 1.0, last=True)
    told = book.answer("all", 1.0)["reach"]
    assert set(told) == {f"broker-{number}" for number in range(6)} and told["broker-0"] == wire
    assert "reach" not in book.answer("totals", 1.0)
