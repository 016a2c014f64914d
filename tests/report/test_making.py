"""What a report says of a run with an arrival rate that was stopped for a while, and is slow nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.snapshots import snapshot, times
from zsms.report.making import Course, make_report
from zsms.report.report import Report
from zsms.stats.book import StatsBook
from zsms.stats.series import Series
from zsms.stats.view import View

RATE, SECONDS, SEND = 400.0, 7.5, 0.2


def stopped(**steady: float | None) -> Report:
    """400 messages a second for 7.5 s, their sender stopped from 1 to 5 s: what was in its slots took four seconds
    longer, what came meanwhile was sent at once afterwards."""
    book, series, total = StatsBook(), Series(), int(RATE * SECONDS)
    for seq in range(1, 33):
        now = 0.25 * seq
        sent = int(RATE * min(SECONDS, max(0.0, (1.0 if 1.0 < now < 5.2 else now) - SEND)))
        counters: dict[str, int] = {"accepted": total, "sent": sent, "sends": sent}
        gauges: dict[str, Any] = {"first_accepted_at": 1e-9, "busy_s": SECONDS + SEND, "queued": 0.0, "in_flight": 0.0}
        book.put(snapshot("broker", "broker", seq, counters=counters, gauges=gauges), now)
        gauges = {"rate": RATE, "arrivals": float(total), "arrivals_s": SECONDS}
        book.put(snapshot("producer", "p", seq, counters={"produced": total}, gauges=gauges), now)
        took = times(*[SEND] * (sent - 80), *[4.0 + SEND] * min(80, sent))
        gauges = {"slots": 200, "mean_s": SEND, "sd_s": 0.02, "delay_model": 1.0, "worked_s": SEND * sent, **steady}
        gauges["asked_s"] = SEND * sent
        gauges = {name: value for name, value in gauges.items() if value is not None}
        book.put(
            snapshot("sender", "s", seq, counters={"sent": sent}, gauges=gauges, histograms={"send_time": took}), now
        )
        series.add(View.of(book.answer("totals", now), now))
    return make_report(book.answer("all", 8.0), Course(config={}, completed=True, series=series))


def test_what_had_piled_up_while_a_sender_was_stopped_is_no_rate_reached() -> None:
    rate = stopped().rate
    assert rate is not None and rate.asked_per_s == pytest.approx(RATE)
    assert rate.reached_per_s == pytest.approx(RATE, rel=0.03)


def test_what_had_piled_up_makes_nothing_steady() -> None:
    assert stopped(steady_s=0.8, steady_worked_s=160.0, steady_slot_s=160.0).steady["sends_per_s"] is None
    longer = stopped(steady_s=4.0, steady_worked_s=760.0, steady_slot_s=800.0)
    assert longer.steady["efficiency"] == pytest.approx(0.95)
    assert longer.rate is not None and longer.rate.reached_per_s == longer.steady["throughput_per_s"]


def test_a_function_that_returns_at_once_sends_no_faster_than_its_slots_come_round() -> None:
    window = {"steady_s": 4.0, "steady_worked_s": 760.0, "steady_slot_s": 800.0}
    function = stopped(**window, mean_s=1e-6, delay_model=None)
    assert function.steady["sends_per_s"] == pytest.approx(stopped(**window).steady["sends_per_s"])


def test_sends_that_a_killed_sender_has_not_told_are_counted_as_the_broker_has_them() -> None:
    book = StatsBook()
    counters = {"accepted": 90, "sent": 70, "dead": 20, "failed_sends": 60, "retried": 40, "sends": 130}
    book.put(snapshot("broker", "broker", 1, counters=counters), 1.0)
    book.put(snapshot("sender", "killed", 1, counters={"sent": 60, "failed": 35}), 1.0)
    sends = make_report(book.answer("all", 1.0), Course(config={})).sends
    assert (sends.ended, sends.failed, sends.retried) == (130, 60, 40)
    # and those of messages that others were given meanwhile as the senders have them
    book.put(snapshot("sender", "late", 1, counters={"sent": 50}), 1.0)
    assert make_report(book.answer("all", 1.0), Course(config={})).sends.ended == 145


def test_the_time_that_a_send_was_asked_to_take_is_of_the_starts_that_told_it() -> None:
    book = StatsBook()
    slots = {"slots": 10, "asked_s": 50.0}
    book.put(
        snapshot("broker", "broker", 1, counters={"accepted": 200, "sent": 200, "sends": 200}, gauges={"busy_s": 20.0}),
        1.0,
    )
    for start in (1, 2):
        book.put(snapshot("sender", "s", 1, start=start, counters={"sent": 100}, gauges=slots), 1.0)
    report = make_report(book.answer("all", 1.0), Course(config={}))
    assert report.sends.ended == 200 and report.asked_time_s == 0.5
    assert report.efficiency == pytest.approx(200 * 0.5 / (10 * 20.0))
