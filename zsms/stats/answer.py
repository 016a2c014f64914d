"""A collector's answer as somebody reads it who does not trust the collector.

What is no answer at all is refused. A row, a histogram or a figure in it that can't be costs itself only: rows that are
dropped count as left out, as those do for which the collector had no room.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from zsms.stats.failures import MOST_KINDS
from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import MAX_HISTOGRAMS, ROLES, Snapshot

MAX_ROWS = 10_000
MAX_TOTAL = 2**62
"""Above this a total is no count of messages."""
MAX_AGE_S = 1e12


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """The answer (:meth:`zsms.stats.book.StatsBook.answer`) with nothing in it that can't be. Raises ValueError."""
    rows = body.get("processes", [])
    if not isinstance(rows, list) or len(rows) > MAX_ROWS:
        raise ValueError("an answer whose processes are no list, or too long a one")
    kept = [row for row in map(_row, rows) if row is not None]
    answer: dict[str, Any] = {
        "totals": {role: _counts(counters) for role, counters in _by_role(body, "totals")},
        "processes": kept,
        "rows_left_out": _count(body.get("rows_left_out", 0)) + len(rows) - len(kept),
        "finished": {role: _count(count) for role, count in _by_role(body, "finished")},
        "unheard": {role: _count(count) for role, count in _by_role(body, "unheard")},
        "failures": _failures(body.get("failures", [])),
    }
    if "histograms" in body:
        answer["histograms"] = {role: _histograms(given) for role, given in _by_role(body, "histograms")}
    return answer


def _by_role(body: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise ValueError(f"{name} of an answer are no map")
    return [(role, of) for role, of in value.items() if role in ROLES]


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < MAX_TOTAL else 0


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("totals that are no map")
    return {name: n for name, n in value.items() if type(name) is str and type(n) is int and 0 <= n < MAX_TOTAL}


def _valid(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ValueError, TypeError, KeyError):
        return None


def _row(row: Any) -> dict[str, Any] | None:
    if not isinstance(row, dict):
        return None
    age: Any = row.get("age")
    ended, confirmed = row.get("ended", False), row.get("confirmed")
    wire = {**row, "histograms": {}, "failures": [], "reach": None}
    snapshot: Snapshot | None = _valid(lambda: Snapshot.from_wire(wire))
    if snapshot is None or not all(map(str.isprintable, (snapshot.name, snapshot.host, snapshot.state))):
        return None
    if type(age) not in (int, float) or not isfinite(age) or not 0 <= age <= MAX_AGE_S or type(ended) is not bool:
        return None
    read = {**snapshot.row(), "age": float(age), "ended": ended}
    if confirmed is not None:
        if type(confirmed) is not int or not confirmed >= 0:
            return None
        read["confirmed"] = confirmed
    return read


def _histograms(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("histograms that are no map")
    good = [
        (name, body)
        for name, body in list(value.items())[:MAX_HISTOGRAMS]
        if type(name) is str and _valid(lambda body=body: Histogram.from_wire(body)) is not None  # type: ignore[misc]
    ]
    return dict(good)


def _failures(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("failures that are no list")
    wire = {"role": "sender", "name": "x", "start": 0, "seq": 0, "host": "h", "pid": 0, "state": "running"}
    wire |= {"interval": 1.0, "counters": {}, "gauges": {}, "histograms": {}, "events": []}
    read: Snapshot | None = _valid(lambda: Snapshot.from_wire({**wire, "failures": value[: MOST_KINDS + 1]}))
    return [] if read is None else [list(failure) for failure in read.failures]
