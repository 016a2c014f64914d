"""How the panel looks, without a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from zsms.cli.panel.look import COLUMNS, WIDEST, Panel, sort_rows, spark
from zsms.cli.progress import HEADER, row_of
from zsms.stats.histogram import Histogram
from zsms.stats.trends import Event, SenderRow, Standing
from zsms.stats.view import View


def figures(number: int = 3, **changed: Any) -> Standing:
    """A run that has lost a sender and has a slow one."""
    times = Histogram()
    times.record(np.full(1_000, 1.01, dtype=np.float32))
    view = replace(
        View.of({}, 100.0), produced=100_000, sent=61_234, failed=12, queued=28_554, in_flight=10_200, redelivered=4_998
    )
    rows = [
        SenderRow(f"sender-{i}", 4_940.2, 0.25, 5_000, 0.99, 0.001 * i, 0.2, "running", None)
        for i in range(1, number + 1)
    ]
    if number > 2:
        rows[1] = replace(rows[1], pace=0.22, rate=1_100.0)
        rows[2] = replace(rows[2], state="silent", rate=0.0, busy=0.0, heard=12.0)
    events = [Event(98.0, "sender lost", "sender-3", 4_998), Event(90.0, "sender joined", "sender-3", 0)]
    plain = Standing(
        view, 12.3, 100_000, 7.2, 9_870.0, [0.0, 2_500.0, 5_000.0, 10_000.0], 0.5, times, 9_900, rows, events
    )
    return replace(plain, **changed)


def drawn(shown: Standing | None, width: int = 80, height: int = 24, **how: Any) -> list[str]:
    return [line.plain.rstrip() for line in Panel("zsms run", shown, width=width, height=height, **how).lines()]


AT_80 = """\
 zsms run  draining                                                        0:12
 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌   61 %     0:07 left

 rate            9,870/s   ▂▄█                                    peak 10,000/s
 sent             61,234     send time p50          1.01 s
 failed               12     send time p90          1.01 s
 queued           28,554     send time p99          1.01 s
 in flight        10,200     slots busy     99 % of 10,000
 ledger         balanced  100,000 produced  4,998 redelivered

 sender▴        rate   share      slots   busy  errors   heard
 sender-1    4,940/s  25.0 %      5,000   99 %   0.1 %   0.2 s
 sender-2    1,100/s  25.0 %      5,000   99 %   0.2 %   0.2 s  ! slow 22 %
 sender-3        0/s  25.0 %      5,000    0 %   0.3 %    12 s  ! silent

   2.0 s ago  sender lost    sender-3, 4,998 messages
    10 s ago  sender joined  sender-3






 q drain and leave"""

AT_60 = """\
 zsms run                                              0:12
 ━━━━━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌   61 %     0:07 left
 rate            9,870/s   ▂▄█                peak 10,000/s
 sent             61,234     send time p50          1.01 s
 failed               12     send time p90          1.01 s
 queued           28,554     send time p99          1.01 s
 in flight        10,200     slots busy     1 % of 990,000
 ledger         balanced  100,000 produced  4,998 redelive…
 sender▴          rate   share  errors   heard
 sender-1      4,940/s  25.0 %   0.1 %   0.2 s
 sender-2      1,100/s  25.0 %   0.2 %   0.2 s  ! slow 22 %
 and 197 more, 1 of them silent, 150 of them failing
   2.0 s ago  sender lost    sender-3, 4,998 messages
    10 s ago  sender joined  sender-3
 q drain and leave   n next senders"""


def test_it_looks_like_this_on_80_columns() -> None:
    assert "\n".join(drawn(figures(), state="draining", keys="q drain and leave")) == AT_80


def test_it_looks_like_this_on_60_columns_and_15_rows_with_many_senders() -> None:
    assert "\n".join(drawn(figures(199), 60, 15, keys="q drain and leave")) == AT_60


def test_a_wide_terminal_is_not_filled_for_its_own_sake() -> None:
    lines = drawn(figures(), 200)
    assert max(map(len, lines)) == WIDEST - 1
    assert lines[4:9] == drawn(figures())[4:9], "figures stay beside their labels"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(20, 200),
    st.integers(4, 60),
    st.integers(0, 300),
    st.integers(0, 2**62),
    st.text(min_size=1, max_size=40),
    st.booleans(),
)
def test_nothing_is_ever_wider_or_higher_than_the_terminal(
    width: int, height: int, senders: int, large: int, name: str, ascii_only: bool
) -> None:
    shown = figures(senders)
    row = SenderRow(name, float(large), 1.0, large, 1.0, 1.0, 1e6, "silent", None)
    shown = replace(
        shown,
        view=replace(shown.view, sent=large, queued=large, produced=large, duplicates=large, retried=large),
        senders=[row, *shown.senders],
        left_s=float(large),
        events=[Event(0.0, name, name, large)] * 9,
    )
    lines = Panel(name, shown, width=width, height=height, keys=name, asked=float(large), ascii_only=ascii_only).lines()
    assert len(lines) <= height
    assert max(line.cell_len for line in lines) <= width


def printed(width: int, **how: Any) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, height=24, force_terminal=True, color_system="standard", **how)
    for line in Panel("zsms run", figures(), width=width, height=24).lines():
        console.print(line, no_wrap=True)
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_colour_says_nothing_that_words_do_not_say(width: int) -> None:
    coloured, plain = printed(width), printed(width, no_color=True)
    assert re.search(r"\x1b\[[0-9;]*3[1-6]m", coloured)
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]", plain)
    bare = [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in (coloured, plain)]
    assert bare[0] == bare[1]
    assert "! slow 22 %" in bare[0] and "! silent" in bare[0]
    assert "NOT BALANCED" in "".join(drawn(figures(view=replace(View.of({}, 0.0), balanced=False))))


def test_a_terminal_without_unicode_gets_none() -> None:
    assert all(line.isascii() for line in drawn(figures(199), ascii_only=True))


def test_before_the_first_figures_it_says_what_it_waits_for_and_what_was_logged() -> None:
    lines = drawn(None, notes=[Event(1.0, "warning", "no answer from a collector", 0)])
    assert "waiting for the first figures" in lines[2]
    assert any("warning" in line and "no answer from a collector" in line for line in lines)


def test_what_was_logged_is_not_told_twice() -> None:
    said = Event(98.1, "warning", "broker: sender lost: sender-3, 4998 messages", 0)
    text = "\n".join(drawn(figures(), notes=[said]))
    assert text.count("4998 messages") + text.count("4,998 messages") == 1
    assert "sender joined" in text


def test_a_name_can_not_write_to_the_terminal() -> None:
    evil = "\x1b[2J\nboo"
    rows = [replace(row, name=evil) for row in figures().senders]
    events = [Event(99.0, evil, evil, 0)]
    lines = drawn(figures(senders=rows, events=events), notes=[Event(99.0, "warning", evil, 0)])
    assert not any("\x1b" in line or "\n" in line for line in lines)
    assert sum("?[2J" in line for line in lines) == 5


def test_an_unknown_total_is_no_progress() -> None:
    line = drawn(figures(total=None, left_s=None))[1]
    assert "total unknown" in line and "━" not in line and "%" not in line
    line = drawn(figures(total=61_247, left_s=0.0))[1]
    assert " 99 %" in line, "100 % before the last message"


def test_the_rate_that_was_asked_for_is_shown_beside_the_rate() -> None:
    assert drawn(figures(), asked=11_000.0)[3].endswith("11,000/s asked for")


def test_senders_are_sorted_by_any_column() -> None:
    rows = [
        SenderRow("s-10", 5.0, 0.1, 3, 0.5, 0.0, 2.0, "running", None),
        SenderRow("s-9", 7.0, 0.2, 9, 0.5, 0.5, 1.0, "running", None),
        SenderRow("s-8", 5.0, 0.7, 1, 0.1, 0.0, 9.0, "running", None),
    ]
    orders = {column.title: [row.name for row in sort_rows(rows, i)] for i, column in enumerate(COLUMNS)}
    assert orders["sender"] == ["s-8", "s-9", "s-10"]
    assert orders["rate"] == ["s-9", "s-8", "s-10"]
    assert orders["share"] == ["s-8", "s-9", "s-10"]
    assert orders["busy"] == ["s-9", "s-10", "s-8"]
    assert orders["heard"] == ["s-8", "s-10", "s-9"]
    assert "▾rate" in drawn(figures(), sort=1)[10]


def test_bars_are_the_last_rates_and_little_is_not_nothing() -> None:
    assert spark([0, 1, 5, 10], 3, " .:#") == ".:#"
    assert spark([0, 0], 3, " .:#") == ""


def test_old_figures_are_marked_at_the_top_and_have_no_rate() -> None:
    for shown, how in (
        (figures(stale="broker silent for 3 s", frozen=True), {}),
        (figures(), {"stale": "no word from the collector for 3 s"}),
    ):
        lines = drawn(shown, **how)
        assert "! " in lines[0] and "for 3 s" in lines[0]
        assert "-:-- left" in lines[1] and "9,870/s" not in lines[3] and lines[3].split()[:2] == ["rate", "-"]
    one_of_two = drawn(figures(stale="broker-2 silent for 3 s"))
    assert "broker-2 silent" in one_of_two[0] and "9,870/s" in one_of_two[3]


def test_what_is_missing_or_not_told_stands_in_the_ledger() -> None:
    view = replace(figures().view, confirmed=100_000, accepted=100_000, sent=100, queued=0, in_flight=0)
    ledger = next(line for line in drawn(figures(view=replace(view, balanced=False))) if line.startswith(" ledger"))
    assert "NOT BALANCED" in ledger and "99,888 MISSING" in ledger
    ledger = next(
        line for line in drawn(figures(view=replace(view, untold="p is silent"))) if line.startswith(" ledger")
    )
    assert "at least 100,000 produced" in ledger


def test_those_that_left_are_one_line_and_those_that_are_there_come_first() -> None:
    shown = figures(26)
    rows = [replace(row, state="left", pace=None) for row in shown.senders[:24]]
    rows += [replace(shown.senders[24], state="silent"), replace(shown.senders[25], name="sender-99")]
    lines = [line for line in drawn(replace(shown, senders=rows)) if "sender-" in line and "ago" not in line]
    assert [line.split()[0] for line in lines] == ["sender-99", "sender-25"] and "silent" in lines[1]
    assert any(line.strip() == "24 left" for line in drawn(replace(shown, senders=rows)))
    assert len(drawn(replace(shown, senders=rows[:24]))) == 24  # nobody is there any more


def test_senders_that_have_no_room_are_on_the_next_pages() -> None:
    shown = figures(12)
    pages = [drawn(shown, 60, 20, page=page, keys="q leave") for page in range(4)]
    seen = [{line.split()[0] for line in lines if line.startswith(" sender-")} for lines in pages]
    assert set.union(*seen[:3]) == {f"sender-{i}" for i in range(1, 13)}
    assert all("n next senders" in lines[-1] for lines in pages)
    assert "n next senders" not in drawn(figures(3), 60, 20, keys="q leave")[-1]


def test_what_is_wrong_with_senders_that_have_no_room_is_counted() -> None:
    shown = figures(40)
    rows = [replace(row, errors=0.5) if at >= 30 else row for at, row in enumerate(shown.senders)]
    rows[39] = replace(rows[39], state="silent")
    (line,) = [line for line in drawn(replace(shown, senders=rows), 80, 24) if " more" in line]
    assert "2 of them silent, 9 of them failing" in line and "slow" not in line


def test_how_late_arrivals_are_served_is_shown_with_a_rate() -> None:
    late = Histogram()
    late.record(np.full(1_000, 0.006, dtype=np.float32))
    assert any("late p50" in line and "6.00 ms" in line for line in drawn(figures(late=late), asked=450.0))
    assert not any("late" in line for line in drawn(figures(late=late)))


@pytest.mark.parametrize("size", [1, 99_999, 100_000, 9_999_999, 10_000_000, 340_000_000, 10**12])
def test_figures_of_a_line_stay_apart(size: int) -> None:
    zeros = View.of({}, 100.0)
    view = replace(zeros, produced=size, sent=size, failed=size, dead=size, queued=size, in_flight=size)
    row = row_of(replace(view, at=101.0), zeros)
    assert len(row.split()) == len(HEADER.replace("mean s", "mean").replace("in flight", "flight").split())
    assert len(row) == len(HEADER) == 80
