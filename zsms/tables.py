"""A report as CSV files: its figures, how it went over time, and its senders."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from zsms.thresholds import fields_of

_NO_FIGURES = ("config.", "senders.", "processes.", "machine.")


def csv_texts(report: dict[str, Any]) -> dict[str, str]:
    """The texts of the files by what they are, from a report's JSON.

    `summary` has a row for each figure, named as a threshold names it; `history` one for each point of the series,
    empty where a figure is unknown; `senders` one for each sender.
    """
    figures = [(name, value) for name, value in fields_of(report).items() if not name.startswith(_NO_FIGURES)]
    told = [(name, report[name]) for name in ("schema", "version", "started")]
    series, senders = report["series"], report["senders"]
    columns = ("name", "slots", "sends", "failed_sends", "send_time_s")
    return {
        "summary": _csv(("figure", "value"), told + figures),
        "history": _csv(series, zip(*series.values(), strict=True)),
        "senders": _csv(columns, ([sender[name] for name in columns] for sender in senders)),
    }


def _csv(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in row])
    return text.getvalue()
