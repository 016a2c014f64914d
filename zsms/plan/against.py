"""A plan beside a run's report, point by point."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from zsms.errors import UsageError
from zsms.plan.planner import Plan
from zsms.reading import json_of
from zsms.words import many

_WORDS = {"p50": "50 %", "p90": "90 %", "p99": "99 %", "p100": "all"}


@dataclass(frozen=True, slots=True)
class Row:
    """When one share was reached."""

    what: str
    planned_s: float | None
    measured_s: float | None
    difference: float | None
    """Of the measured time from the planned one, as a share of that."""
    within: bool | None
    """Whether the run lies between the plan's 10th and 90th percentile."""


def read_report(path: str) -> dict[str, Any]:
    """The report of a run. Raises UsageError for what is none."""
    try:
        body = json_of(path)
    except OSError as error:
        raise UsageError(f"can't read the report {path}: {error.strerror}") from None
    except UsageError as error:
        raise UsageError(f"{path} is no report of a run: {error}") from None
    if not isinstance(body, dict) or not isinstance(body.get("reach_s"), dict) or not _counts(body):
        raise UsageError(f"{path} is no report of a run: it has no reach_s and no messages")
    before = 0.0
    for name in _WORDS:
        told = body["reach_s"].get(name)
        if told is None:
            continue
        if isinstance(told, bool) or not isinstance(told, int | float) or not before <= told < inf:
            raise UsageError(
                f"{path} is no report of a run: reach_s.{name} = {str(told)[:40]} is no time after the others"
            )
        before = told
    return body


def _counts(body: dict[str, Any]) -> bool:
    messages = body.get("messages")
    produced = messages.get("produced") if isinstance(messages, dict) else None
    return isinstance(produced, int) and not isinstance(produced, bool) and produced >= 0


def _slots(body: dict[str, Any]) -> int | None:
    """Slots of the run, if its report says so."""
    try:
        return sum(int(each["senders"]) * int(each["concurrency"]) for each in body["config"]["groups"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None


def compared(plan: Plan, report: dict[str, Any]) -> tuple[Row, ...]:
    """Each share's time as it was planned (the median) and measured. Raises UsageError for a run of other messages
    or slots."""
    produced = report["messages"]["produced"]
    if produced != plan.messages:
        raise UsageError(
            f"the report is of {many(produced, 'message')}, the plan of {plan.messages:,}: give it the same file"
        )
    slots = _slots(report)
    if slots is not None and slots != plan.slots:
        raise UsageError(f"the report is of {slots:,} slots, the plan of {plan.slots:,}: give it the same file")
    rows = []
    for name, words in _WORDS.items():
        band, told = plan.accepted_s[name], report["reach_s"].get(name)
        measured = None if told is None else float(told)
        off, within = None, None
        if measured is not None and band.p50:
            off = round(measured / band.p50 - 1, 6)
            within = (band.p10 or 0.0) <= measured <= (band.p90 if band.p90 is not None else float("inf"))
        rows.append(Row(words, band.p50, measured, off, within))
    return tuple(rows)
