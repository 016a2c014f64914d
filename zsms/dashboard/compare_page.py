"""Two sets of reports against each other as one page, whole in itself: every figure that differs, run by run.

render(...) -> HTML     needs no network, no server and no JavaScript
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from zsms.dashboard.report_page import asset, table
from zsms.dashboard.report_page import head as page_head

if TYPE_CHECKING:
    from zsms.report.comparison import Difference

_WIDE, _HIGH = 240, 26
_COLOURS = ("#7a869a", "#2a6fdb")


def render(
    differences: Sequence[Difference],
    reports: Sequence[Sequence[dict[str, Any]]],
    names: Sequence[str],
    *,
    rows: Sequence[Sequence[str]],
    remarks: Sequence[str],
) -> str:
    """The page. `reports` and `names` are of base and new; `rows` are the table's cells for those of the `differences`
    that are not equal, a heading first; `remarks` is what else there is to say."""
    head, *lines = rows
    apart = [each for each in differences if not each.equal]
    body = [
        (f"<code>{escape(line[0])}</code>", *map(escape, line[1:5]), _verdict(line[5]), strip(each.base, each.new))
        for line, each in zip(lines, apart, strict=True)
    ]
    sets = [_set(*each) for each in zip(_SIDES, names, reports, strict=True)]
    said = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    return Template(asset("templates/compare.html")).substitute(
        head=page_head(f"zsms compare: {names[0]} and {names[1]}"),
        sets=table(("", "reports", "runs", "titles"), sets),
        remarks=f'<div class="panel"><ul id="remarks">{said}</ul></div>' if said else "",
        figures=table((*map(escape, head[:5]), "verdict", "each run"), body, range(1, 5), "figures"),
    )


_SIDES = ("base", "new")


def _set(side: str, name: str, reports: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """A row of what is compared, ready HTML."""
    marks = " · ".join(dict.fromkeys(filter(None, map(_mark, reports))))
    dot = f'<svg width="10" height="10"><circle cx="5" cy="5" r="4" fill="{_COLOURS[_SIDES.index(side)]}"/></svg>'
    return f"{dot} {side}", escape(name), str(len(reports)), escape(marks)


def _mark(report: dict[str, Any]) -> str:
    tags = [f"{name}={value}" for name, value in report.get("tags", {}).items()]
    return " ".join(filter(None, [report.get("title", ""), *tags]))


def _verdict(word: str) -> str:
    mood = {"better": "good", "worse": "bad"}.get(word)
    return escape(word) if mood is None else f'<span class="{mood}">{escape(word)}</span>'


def strip(base: Sequence[float], new: Sequence[float]) -> str:
    """Both sets as dots on one scale, from the smallest value to the largest."""
    low, high = min(*base, *new), max(*base, *new)
    dots = []
    for values, y, colour in ((base, 8, _COLOURS[0]), (new, 18, _COLOURS[1])):
        for value in values:
            # Halves: the span of two finite numbers may be none.
            part = (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
            dots.append(f'<circle cx="{6 + part * (_WIDE - 12):.1f}" cy="{y}" r="4" fill="{colour}" opacity="0.7"/>')
    return f'<svg width="{_WIDE}" height="{_HIGH}" role="img" aria-label="each run">{"".join(dots)}</svg>'
