"""A report in a dozen lines, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from zsms.formats import exact_seconds, size
from zsms.report.report import Report, Sends
from zsms.report.thresholds import Verdict
from zsms.stats.arrivals import Rate
from zsms.stats.failures import SIMULATED
from zsms.stats.reach import SPOKEN
from zsms.words import in_line, many, writable

WIDTH = 80
"""Columns of a summary."""
_LABEL = 12


def summary_lines(report: Report) -> list[str]:
    """The report in a dozen lines, for people."""
    m, steady = report.messages, report.steady
    skipped = many(m.skipped_lines, "line")

    def times(figures: dict[str, float | None]) -> str:
        told = ((name, value) for name in _SUMMED if (value := figures.get(name)) is not None)
        return "  ".join(f"{name} {exact_seconds(value)}" for name, value in told) or _NOTHING

    rows = [("title", report.title)] if report.title else []
    if report.tags:
        rows.append(("tags", "  ".join(f"{name}={value}" for name, value in report.tags.items())))
    if report.interrupted or report.aborted:
        rows.append(("run", _early_end(report)))
    rows += [
        (
            "messages",
            f"{m.produced:,} produced, {m.sent:,} sent, {m.failed:,} failed, {m.dead:,} dead"
            + (f"; {many(m.skipped_rows, 'bad row')} ({skipped}) left out" if m.skipped_rows else "")
            + (f"; {many(m.repeated_rows, 'row')} to a recipient that came before" if m.repeated_rows else ""),
        ),
        (
            "ledger",
            f"{'balanced' if report.balanced else 'NOT BALANCED'}: {m.lost:,} lost, {m.unsettled:,} unsettled, "
            f"{m.redelivered:,} redelivered, {many(m.duplicates, 'duplicate')}",
        ),
        *_sends_rows(report.sends),
        *_rate_rows(report.rate, times),
        ("wall", _NOTHING if report.wall_s is None else f"{report.wall_s:.2f} s from the first message to the last"),
        ("throughput", _rate(report.throughput_per_s, report.efficiency)),
    ]
    if steady["seconds"] is not None:
        rows.append(("steady", f"{_rate(steady['throughput_per_s'], steady['efficiency'])}, {steady['seconds']:.1f} s"))
    if report.reach_s["p50"] is not None:
        parts = (f"{SPOKEN[name]} {at:.2f} s" for name, at in report.reach_s.items() if at is not None)
        rows.append(("reach", "  ".join(parts)))
    cpu = sum(process.cpu_s for process in report.processes)
    memory = sum(process.rss_max_bytes for process in report.processes)
    rows += [
        ("send time", times(report.send_time_s)),
        ("queue time", times(report.queue_time_s)),
        ("total time", times(report.total_time_s)),
        *_gateway_rows(report, times),
        ("slot error", times(report.slot_error_s)),
        (
            "processes",
            f"{len(report.processes)}, {cpu:.1f} s of processor, at most {size(memory)} in all",
        ),
    ]
    rows += [("failures", _failure(row)) for row in report.failures if row["reason"] != SIMULATED]
    rows += [("warning", warning) for warning in report.warnings]
    rows += [("threshold", _verdict(verdict)) for verdict in report.thresholds]
    rows += [("problem", problem) for problem in report.problems]
    return [line for label, text in rows for line in wrapped(label, text)]


def wrapped(label: str, text: str) -> list[str]:
    """A row in lines of at most `WIDTH`; only a word that is longer, such as a path, goes beyond. A number stays with
    its unit, and a figure with its name."""
    lines = textwrap.wrap(
        f"{label:<{_LABEL}}{_in_figures(in_line(' '.join(writable(text).splitlines())))}",
        WIDTH,
        subsequent_indent=" " * _LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_HELD, " ") for line in lines]


def _in_figures(text: str) -> str:
    """Where figures stand two spaces apart, lines are broken between them and not inside."""
    figures = text.split("  ")
    if len(figures) == 1 or max(map(len, figures)) > WIDTH - _LABEL:
        return text
    return "  ".join(figure.replace(" ", _HELD) for figure in figures)


_HELD = "\0"
"""A space at which no line is broken: no text has it."""


def _sends_rows(sends: Sends) -> list[tuple[str, str]]:
    """Where there are more sends than messages, or failed ones."""
    if not sends.failed:
        return []
    return [("sends", f"{sends.ended:,}, {sends.failed:,} of them failed, {sends.retried:,} of these sent again")]


def _rate_rows(rate: Rate | None, times: Callable[[dict[str, float | None]], str]) -> list[tuple[str, str]]:
    """The headline of a run with an arrival rate."""
    if rate is None:
        return []
    reached = (
        "too short to say what was reached" if rate.reached_per_s is None else f"{rate.reached_per_s:,.6g}/s reached"
    )
    return [("rate", f"{rate.asked_per_s:,.6g} messages/s asked for, {reached}"), ("late", times(rate.late_s))]


def _gateway_rows(report: Report, times: Callable[[dict[str, float | None]], str]) -> list[tuple[str, str]]:
    """The lines on outcomes beyond sent and failed, and on receipts, where there are any."""
    rows = []
    beyond = {name: count for name, count in report.outcomes.items() if count and name not in ("sent", "failed")}
    if beyond:
        rows.append(("outcomes", ", ".join(f"{count:,} {name}" for name, count in report.outcomes.items() if count)))
    if any(report.receipts.values()):
        rows.append(("receipts", ", ".join(f"{count:,} {name}" for name, count in report.receipts.items() if count)))
        rows.append(("delivery", times(report.delivery_time_s)))
    return rows


def _early_end(report: Report) -> str:
    who = "interrupted" if report.interrupted else "ended early by a threshold"
    left = report.messages.unsettled
    rest = f"{many(left, 'message was', 'messages were')} not settled" if left else "all that had been made was settled"
    return f"{who} after {report.elapsed_s:.1f} s; {rest}"


def _failure(row: dict[str, Any]) -> str:
    return f"{row['sends']:,} {row['reason']}" + (f", such as: {row['example']}" if row["example"] else "")


_NOTHING = "nothing measured"
_SUMMED = ("mean", "p50", "p90", "p99", "max")
"""Of the percentiles, those that a line of 80 characters has room for."""


def _rate(messages: float | None, efficiency: float | None) -> str:
    if messages is None:
        return _NOTHING
    share = "" if efficiency is None else f", efficiency {efficiency:.3f}"
    return f"{messages:,.0f} messages/s{share}"


def _verdict(verdict: Verdict) -> str:
    value = verdict.value
    measured = (
        "nothing measured" if value is None else str(value).lower() if isinstance(value, bool) else f"{value:,.6g}"
    )
    return f"{'pass' if verdict.ok else 'FAIL'}  {verdict.threshold}: {measured}"
