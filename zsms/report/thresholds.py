"""What is expected of a run: `send_time_s.p99<1.5`, judged at its end and, where that can be, before.

    FIELD OPERATOR VALUE     FIELD is the path of a number or a truth value in the report, its names joined by dots:
                             messages.lost == 0, balanced == true, senders.sender-1.failed < 100

Rows of a list go by their `name`. Before the end of a run a threshold can only be broken, never kept:

- an upper bound on what only grows (`GROWING`), once it is passed;
- an upper bound on a time (`TIMES`), as it stands, once `ENOUGH` messages are settled.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from zsms.errors import UsageError
from zsms.fields import perhaps

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
GROWING = (
    *(f"messages.{name}" for name in ("produced", "sent", "failed", "dead", "settled")),
    *(f"messages.{name}" for name in ("duplicates", "redelivered", "skipped_rows", "skipped_lines", "repeated_rows")),
    *("wall_s", "elapsed_s", "first_message_s", "*_time_s.max", "slot_error_s.max"),
    "rate.late_s.max",
    *("sends.*", "senders.*.sends", "senders.*.failed_sends", "processes.*.cpu_s", "processes.*.rss_max_bytes"),
)
TIMES = ("*_time_s.mean", "*_time_s.p??*", "slot_error_s.p??", "rate.late_s.mean", "rate.late_s.p??*")
ENOUGH = 1_000

_FORM = re.compile(r"\s*(?P<field>[^<>=!\s]+)\s*(?P<operator><=|>=|==|!=|<|>)\s*(?P<value>[^<>=!\s]+)\s*")
_NO_FIELDS = ("series", "thresholds", "warnings", "problems", "plan")
"""Of a report, what is no figure of the whole run."""


@dataclass(slots=True)
class Verdict:
    """A threshold, and what was measured."""

    threshold: str
    value: float | bool | None
    """None when nothing was measured: the report's field is null, or of a sender that never reported."""
    ok: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """One expectation."""

    field: str
    operator: str
    value: float | bool

    def __str__(self) -> str:
        value = str(self.value).lower() if isinstance(self.value, bool) else f"{self.value:.12g}"
        return f"{self.field} {self.operator} {value}"

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Raises UsageError for what has another form."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise UsageError(f"threshold {text!r}: write FIELD OPERATOR VALUE, such as send_time_s.p99<1.5")
        written = found["value"]
        if written in ("true", "false"):
            if found["operator"] not in ("==", "!="):
                raise UsageError(f"threshold {text!r}: {written} can be compared by == and != only")
            return cls(found["field"], found["operator"], written == "true")
        try:
            value = float(written)
        except ValueError:
            raise UsageError(f"threshold {text!r}: {written!r} is no number, and not true or false") from None
        if not math.isfinite(value):  # always true, or never
            raise UsageError(f"threshold {text!r}: {written} is no bound; give a finite number")
        return cls(found["field"], found["operator"], value)

    def holds(self, value: float | bool) -> bool:
        """Whether a value is as expected."""
        return OPERATORS[self.operator](value, self.value)

    def judge(self, report: dict[str, Any]) -> Verdict:
        """At the end, by the report's JSON."""
        value = fields_of(report).get(self.field)
        return Verdict(str(self), value, value is not None and self.holds(value))

    def broken(self, report: dict[str, Any]) -> bool:
        """Whether a run that has got so far can't be as expected any more, or is not, as far as one can tell."""
        value = fields_of(report).get(self.field)
        if value is None or self.holds(value):
            return False
        if any(fnmatchcase(self.field, pattern) for pattern in GROWING):
            return self.operator in ("<", "<=") or (self.operator == "==" and value > self.value)
        return (
            self.operator in ("<", "<=")
            and report["messages"]["settled"] >= ENOUGH
            and any(fnmatchcase(self.field, pattern) for pattern in TIMES)
        )


def parse_all(texts: Iterable[str], blank: Callable[[], dict[str, Any]]) -> tuple[Threshold, ...]:
    """Thresholds over the fields of reports like the one that `blank` makes.

    Raises UsageError for another form, and for a field that no such report has, with the nearest one that it has.
    """
    thresholds = tuple(Threshold.parse(text) for text in texts)
    if not thresholds:
        return ()
    known = fields_of(blank())
    for threshold in thresholds:
        if threshold.field not in known:
            raise UsageError(
                f"threshold '{threshold}': a report has no figure {threshold.field!r}{_hint(threshold, known)}"
            )
        value = known[threshold.field]  # None, where nothing has been measured yet: what is measured is a number
        if isinstance(value, bool) is not isinstance(threshold.value, bool):
            kind = "true or false" if isinstance(value, bool) else "a number"
            raise UsageError(f"threshold '{threshold}': {threshold.field} is {kind}")
    return thresholds


def _hint(threshold: Threshold, known: dict[str, Any]) -> str:
    last = threshold.field.rpartition(".")[2]
    near = get_close_matches(threshold.field, known, 1) or [name for name in known if name.endswith(f".{last}")][:3]
    return perhaps(near)


def split(text: str) -> list[str]:
    """Several thresholds that stand side by side, apart; the whole text when it is anything else."""
    found = [each[0].strip() for each in _FORM.finditer(text)]
    return found if found and "".join(text.split()) == "".join("".join(found).split()) else [text]


def fields_of(value: Any, path: str = "") -> dict[str, float | bool | None]:
    """Every number and truth value of a JSON object by its path; rows of a list by their names. None: not measured."""
    if isinstance(value, bool | int | float):
        return {path: value}
    if value is None:  # in the config it is a text that was not given, and a run without a rate has no such figures
        return {} if path == "rate" or path.startswith("config") else {path: None}
    if isinstance(value, list):
        value = {row["name"]: row for row in value if isinstance(row, dict) and "name" in row}
    fields: dict[str, float | bool | None] = {}
    if isinstance(value, dict):
        for name, inner in value.items():
            if path or name not in _NO_FIELDS:
                fields |= fields_of(inner, f"{path}.{name}" if path else name)
    return fields
