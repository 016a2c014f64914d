"""What is in a list: good and bad rows, repeats, and what its texts cost, without sending anything."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from zsms.carriers import segments
from zsms.lists.files import EXAMPLES, FileSource
from zsms.sources.numbers import is_valid, plans
from zsms.sources.random import Columns
from zsms.words import lines_named, many

JUDGED = 100_000
"""Good rows whose numbers are looked up in the plans: that takes some 10 us each."""
MAX_REASONS = 50
"""Kinds of reasons that are told apart."""

_VALUE = re.compile(r"^(recipient|text) (?:'(?:[^'\\]|\\.)*?(?:'|\.\.\.)|\"(?:[^\"\\]|\\.)*?(?:\"|\.\.\.)|[^ ]+) ")
_PLACE = re.compile(r" \((?:lines [0-9]+ to [0-9]+|U\+[0-9A-F]+|[.-][0-9]+)\)| at column [0-9]+| in line [0-9]+,?")


@dataclass(slots=True)
class Reason:
    """Bad rows of one kind."""

    reason: str
    rows: int = 0
    lines: list[int] = field(default_factory=list)
    """Where the first of them begin."""
    example: str = ""
    """What is wrong with the first of them."""


@dataclass(slots=True)
class Findings:
    """What is in a list."""

    good: int = 0
    bad_rows: int = 0
    bad_lines: int = 0
    reasons: list[Reason] = field(default_factory=list)
    repeated_rows: int = 0
    repeated_lines: list[int] = field(default_factory=list)
    repeated_is_least: bool = False
    segments: int = 0
    """Of all good rows."""
    most_segments: int = 0
    """Of one text."""
    gsm7: int = 0
    """Texts."""
    ucs2: int = 0
    judge: str | None = None
    """What knows which numbers there are; None without the extra `numbers`."""
    judged: int = 0
    not_in_use: int = 0
    """Of those that were judged, in no range that is known to be in use."""
    not_in_use_example: str | None = None

    @property
    def rows(self) -> int:
        """All of them."""
        return self.good + self.bad_rows

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        found = asdict(self)
        return {
            "rows": self.rows,
            "good": self.good,
            "bad": {"rows": self.bad_rows, "lines": self.bad_lines, "reasons": found["reasons"]},
            "repeated": {
                "rows": self.repeated_rows,
                "at_least": self.repeated_is_least,
                "lines": self.repeated_lines,
            },
            "segments": {
                "total": self.segments,
                "most": self.most_segments,
                "gsm7_texts": self.gsm7,
                "ucs2_texts": self.ucs2,
            },
            "numbers": {
                "judge": self.judge,
                "judged": self.judged if self.judge else None,
                "not_in_use": self.not_in_use if self.judge else None,
                "example": self.not_in_use_example,
            },
        }


def check(path: str, input_format: str | None = None) -> Findings:
    """Read all of a list. Raises UsageError for one that can't be read or holds no rows."""
    findings = Findings(judge=plans())
    reasons: dict[str, Reason] = {}

    def note(line: int, why: str) -> None:
        kind = kind_of(why)
        if kind not in reasons and len(reasons) >= MAX_REASONS:
            kind = "other reasons"
        reason = reasons.setdefault(kind, Reason(kind, example=why))
        reason.rows += 1
        if len(reason.lines) < EXAMPLES:
            reason.lines.append(line)

    source = FileSource(path, format=input_format, skip_bad_rows=True, on_bad=note)
    for columns in source.whole():
        _add(findings, columns)
    findings.bad_rows, findings.bad_lines = source.skipped, source.skipped_lines
    findings.reasons = sorted(reasons.values(), key=lambda reason: (-reason.rows, reason.lines))
    findings.repeated_rows, findings.repeated_lines = source.repeated, source.repeated_lines
    findings.repeated_is_least = source.repeated_is_least
    return findings


def _add(findings: Findings, columns: Columns) -> None:
    findings.good += len(columns)
    counted = segments.count(columns.text.tobytes(), columns.lengths)
    findings.segments += int(counted.segments.sum())
    findings.most_segments = max(findings.most_segments, int(counted.segments.max()))
    wide = int(np.count_nonzero(counted.encoding == segments.UCS2))
    findings.ucs2 += wide
    findings.gsm7 += len(columns) - wide
    if findings.judge is None:
        return
    looked_at = columns.recipients[: JUDGED - findings.judged].tolist()
    findings.judged += len(looked_at)
    for number in looked_at:
        if not is_valid(number):
            findings.not_in_use += 1
            findings.not_in_use_example = findings.not_in_use_example or f"+{number}"


def kind_of(reason: str) -> str:
    """A reason without what is only so in its row."""
    kind = _PLACE.sub("", _VALUE.sub(r"\1 ", reason))
    return re.sub(r"^[0-9]+ fields? where the header has", "not as many fields as the header, which has", kind)


def lines_of(findings: Findings, name: str) -> list[str]:
    """The findings for people."""
    f = findings
    told = [("list", name), ("rows", f"{f.rows:,}")]
    told.append(("good", f"{f.good:,}" + ("" if f.bad_rows else ", all of them")))
    if f.bad_rows:
        told.append(("bad", f"{f.bad_rows:,} on {many(f.bad_lines, 'line')}"))
        for reason in f.reasons:
            where = lines_named(reason.rows, reason.lines)
            told.append(("", f"{reason.rows:,}: {reason.example if reason.rows == 1 else reason.reason} ({where})"))
    if f.repeated_rows:
        least = "at least " if f.repeated_is_least else ""
        where = lines_named(f.repeated_rows, f.repeated_lines)
        told.append(("repeated", f"{least}{many(f.repeated_rows, 'row')} to a recipient that came before ({where})"))
    if f.good:
        most = f"at most {f.most_segments} a text; {many(f.gsm7, 'text')} in GSM-7, {f.ucs2:,} in UCS-2"
        told.append(("segments", f"{f.segments:,} in all, {most}"))
    told.append(("numbers", _about_numbers(f)))
    return [f"{label:<9} {text}" for label, text in told]


def _about_numbers(findings: Findings) -> str:
    f = findings
    if f.judge is None:
        return "judged by form only; with phonenumbers (the extra `numbers`) by their countries' plans too"
    if not f.judged:
        return "none that could be judged"
    of = f"of the first {many(f.judged, 'good row')}" if f.judged < f.good else "of the good rows"
    if not f.not_in_use:
        return f"{of} all are in ranges in use, says {f.judge}"
    where = f"possible but in no range in use, such as {f.not_in_use_example}, says {f.judge}"
    return f"{of} {f.not_in_use:,} {'is' if f.not_in_use == 1 else 'are'} {where}"
