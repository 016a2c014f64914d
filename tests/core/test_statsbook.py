from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core import statsbook
from zsms.core.histogram import Histogram
from zsms.core.snapshot import Snapshot
from zsms.core.statsbook import StatsBook


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


def test_processes_are_bounded(monkeypatch):
    monkeypatch.setattr(statsbook, "MAX_PROCESSES", 2)
    book = StatsBook()
    for name in "ab":
        book.put(snapshot(name, 1, 0, 1), 0.0)
    with pytest.raises(ValueError, match="more than 2 processes"):
        book.put(snapshot("c", 1, 0, 1), 0.0)
    assert book.put(snapshot("b", 2, 0, 1), 0.0)
