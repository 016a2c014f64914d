"""A report as CSV files: its figures, how it went over time, and its senders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zsms.report.thresholds import fields_of

_NO_FIGURES = ("config.", "senders.", "processes.", "machine.")
_SENDER = ("name", "slots", "sends", "failed_sends", "send_time_s")
TABLES = ("summary", "history", "senders")


def csv_text(table: str, report: dict[str, Any]) -> str:
    """The text of one of `TABLES`, from a report's JSON.

    `summary` has a row for each figure, named as a threshold names it; `history` one for each point of the series,
    empty where a figure is unknown; `senders` one for each sender.
    """
    if table == "summary":
        figures = [(name, value) for name, value in fields_of(report).items() if not name.startswith(_NO_FIGURES)]
        told = [(name, report[name]) for name in ("schema", "version", "started")]
        return csv_of(("figure", "value"), told + figures)
    if table == "history":
        return csv_of(report["series"], zip(*report["series"].values(), strict=True))
    return csv_of(_SENDER, ([sender[name] for name in _SENDER] for sender in report["senders"]))


def csv_of(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows of texts, numbers, truth values and None (an empty cell), comma-separated."""
    return "".join(",".join(map(cell, row)) + "\n" for row in (head, *rows))


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", *"\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet take a cell for one, behind spaces too; the last four are the wide = + - and @."""
_QUOTED = frozenset(',;"\t\r\n')


def cell(value: Any) -> str:
    """One cell. No text is a formula, whichever of comma, semicolon and tab a spreadsheet divides cells by."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    text = f"'{value}" if value.lstrip(" \u00a0\ufeff").startswith(_FORMULA) else value
    return '"' + text.replace('"', '""') + '"' if text.strip() != text or not _QUOTED.isdisjoint(text) else text
