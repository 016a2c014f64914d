"""A plan as one page, whole in itself: its curve, its routes and what changes would do, drawn as SVG, and its tables.

    render(plan JSON) -> HTML     needs no network, no server and no JavaScript

What a user can name is escaped, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from math import ceil
from typing import Any

from zsms.dashboard.axes import STYLES, Axes, svg
from zsms.dashboard.report_page import head, seconds, table
from zsms.report.planned import chance, counts_of, effect_of, solution_of
from zsms.words import many

_AXES = Axes(900, 260, left=52, right=10, top=10, below=24)
_COLOURS = ("#2f6fb2", "#d08a2e", "#4c9a5a", "#a24f8f", "#7a7a7a", "#b5483a", "#3f9c9c", "#8b6f3d")
_STYLES = (
    STYLES
    + """
.panel { overflow-x: auto; } svg { min-width: 40rem; } svg .deadline { stroke: #b5483a; stroke-dasharray: 5 4; }
svg .fault { stroke: #7a7a7a; stroke-dasharray: 2 3; } svg .later { fill: #b5483a; } svg .earlier { fill: #4c9a5a; }
"""
)


def render(plan: dict[str, Any]) -> str:
    """The page of a plan's JSON (docs/plan.schema.json)."""
    title = f"{plan['scenario']}: {many(plan['messages'], 'message')}"
    limit = f"The limit that binds: {plan['binds']}" + (f"; the next: {plan['next']}" if plan["next"] else "")
    aside = f"{many(plan['replications'], 'replication')}, seed {plan['seed']}, zsms {plan['version']}"
    parts = [
        f"{head(title, _STYLES)}<body>\n<main>",
        f'<header><h1>{escape(title)}</h1><span class="aside">{escape(aside)}</span></header>',
        f'<p class="panel">{escape(limit)}<br>{counts_of(plan)}</p>',
        _section("Reach", _reach(plan), _reach_table(plan)),
        _section("Routes", _stacked(plan), _route_table(plan)),
    ]
    for title, rows in (("What faults cost", "faults"), ("What changes would do", "sensitivity")):
        if plan[rows]:
            parts.append(_section(title, _tornado(plan, rows), ""))
    if plan["solution"] is not None:
        told = escape(solution_of(plan["solution"], seconds))
        parts.append(_section("What would do", f'<p class="panel">{told}</p>', ""))
    if plan["against"]:
        parts.append(_section("Beside the run", "", _against_table(plan["against"])))
    if plan["relied_on"]:
        listed = "".join(f"<li>{escape(each)}</li>" for each in plan["relied_on"])
        parts.append(_section("Relied on", f'<ul class="panel">{listed}</ul>', ""))
    body = json.dumps(plan, separators=(",", ":")).replace("<", "\\u003c")
    parts.append(f'<script type="application/json" id="plan">{body}</script>\n</main>\n</body>\n</html>\n')
    return "\n".join(parts)


def _section(title: str, chart: str, rows: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{chart}\n{rows}</section>"


# -- charts ------------------------------------------------------------------------------------------------------------


class _Curve:
    """Seconds to the right, shares upwards."""

    def __init__(self, plan: dict[str, Any]) -> None:
        at = plan["curve"]["at_s"]
        latest = max([at[-1], *(each["deadline_s"] - plan["lead_s"] for each in plan["deadlines"])])
        self.last = max(at[-1], min(latest, 4 * at[-1])) or 1.0
        self.at = at

    def of(self, shares: Sequence[float]) -> list[tuple[float, float]]:
        """A curve, which stays where it ends."""
        return [*((at / self.last, share) for at, share in zip(self.at, shares, strict=True)), (1.0, shares[-1])]

    def frame(self) -> str:
        drawn = [_AXES.grid(["0 %", "25 %", "50 %", "75 %", "100 %"])]
        step = _round_step(self.last)
        for number in range(int(self.last / step + 1e-9) + 1):
            along = number * step / self.last
            anchor = "end" if along > 0.96 else "middle"
            drawn.append(_AXES.label(along, _time(number * step, step), above=6, anchor=anchor))
        return "".join(drawn)

    def mark(self, kind: str, at: float, words: str, row: int) -> str:
        if at > self.last:
            return ""
        x, side = _AXES.x(at / self.last), "end" if at > self.last / 2 else "start"
        shift = -4 if side == "end" else 4
        return (
            f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_AXES.y(1)}" y2="{_AXES.y(0)}"/>'
            f'<text x="{x + shift:.1f}" y="{24 + 14 * row}" text-anchor="{side}">{escape(words)}</text>'
        )


_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
"""Seconds between two figures of an axis that people read with ease."""


def _round_step(last: float) -> float:
    """The least of them, or of their tenths and so on, that makes at most seven parts of so many seconds."""
    wanted = last / 7
    if wanted > _STEPS[-1]:
        return _STEPS[-1] * ceil(wanted / _STEPS[-1])
    scale = 1.0
    while wanted * scale <= 0.5 and scale < 1e6:
        scale *= 10
    return next(step for step in _STEPS if step >= wanted * scale) / scale


def _time(at: float, step: float) -> str:
    """A time of an axis, in the unit of its steps."""
    unit, name = next((pair for pair in ((86_400, "d"), (3_600, "h"), (60, "min")) if step % pair[0] == 0), (1, "s"))
    return f"{at / unit:.6g} {name}"


def _svg(title: str, inside: str, high: float = _AXES.high) -> str:
    return svg(title, inside, _AXES.wide, high)


def _reach(plan: dict[str, Any]) -> str:
    axes, curve = _Curve(plan), plan["curve"]
    marks = [
        axes.mark("deadline", each["deadline_s"] - plan["lead_s"], _deadline(each, plan["lead_s"]), row)
        for row, each in enumerate(plan["deadlines"])
    ]
    begin = len(marks)
    marks += [axes.mark("fault", each["at_s"], each["fault"], begin + row) for row, each in enumerate(plan["struck"])]
    band = _AXES.area(axes.of(curve["p10"]), axes.of(curve["p90"]))
    inside = f"{axes.frame()}{band}{_AXES.line(axes.of(curve['p50']))}{''.join(marks)}"
    return _svg("Share delivered by the time: median, and 10th to 90th percentile", inside)


def _deadline(wish: dict[str, Any], lead: float) -> str:
    since = " from the decision" if lead else ""
    return f"deadline: {wish['share'] * 100:.6g} % in {seconds(wish['deadline_s'])}{since}"


def _stacked(plan: dict[str, Any]) -> str:
    axes = _Curve(plan)
    below = [0.0] * len(axes.at)
    areas = []
    for number, (name, shares) in enumerate(plan["curve"]["routes"].items()):
        above = [min(1.0, low + own) for low, own in zip(below, shares, strict=True)]
        colour = _COLOURS[number % len(_COLOURS)]
        words = f"<title>{escape(name)}</title>"
        areas.append(_AXES.area(axes.of(below), axes.of(above), f'fill="{colour}"', words))
        y = 15 + 14 * number
        areas.append(f'<rect fill="{colour}" x="{_AXES.left + 4}" y="{y}" width="10" height="10"/>')
        areas.append(f'<text x="{_AXES.left + 18}" y="{y + 9}">{escape(name)}</text>')
        below = above
    return _svg("Share delivered by the time, by route", axes.frame() + "".join(areas))


def _tornado(plan: dict[str, Any], rows: str) -> str:
    effects = [(row["change"], effect_of(plan, row, rows == "faults")) for row in plan[rows]]
    effects.sort(key=lambda pair: -abs(pair[1].later_s or 0))
    most = max(abs(effect.later_s or 0) for _, effect in effects) or 1.0
    middle, half = 560.0, 220.0
    bars = [f'<line class="grid" x1="{middle}" x2="{middle}" y1="4" y2="{12 + 24 * len(effects)}"/>']
    for number, (change, (share, later, _, never)) in enumerate(effects):
        y = 8 + 24 * number
        bars.append(f'<text x="300" y="{y + 13}" text-anchor="end">{escape(change)}</text>')
        if later is None:
            bars.append(f'<text x="{middle}" y="{y + 13}">{never}</text>')
            continue
        wide = half * abs(later) / most
        kind, x = ("later", middle) if later > 0 else ("earlier", middle - wide)
        words = "the same" if abs(later) < 1e-9 else f"{'+' if later > 0 else '-'}{seconds(abs(later))}"
        bars.append(f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="16"/>')
        words = words if share == "99 %" else f"{words} ({share})"
        bars.append(f'<text x="{middle + half + 8}" y="{y + 13}">{words}</text>')
    shares = " or ".join(sorted({effect.share for _, effect in effects}))
    return _svg(f"How much later or earlier {shares} are reached", "".join(bars), 16 + 24 * len(effects))


# -- tables ------------------------------------------------------------------------------------------------------------


def _or_never(value: float | None) -> str:
    return "never" if value is None else seconds(value)


def _reach_table(plan: dict[str, Any]) -> str:
    names = (("p50", "50 %"), ("p90", "90 %"), ("p99", "99 %"), ("p100", "all"))
    rows = [
        [words, *(_or_never(plan["reach_s"][name][part]) for part in ("p10", "p50", "p90"))] for name, words in names
    ]
    for each in plan["deadlines"]:
        reached = [f"{(each['reached'][part] or 0) * 100:.2f} %" for part in ("p10", "p50", "p90")]
        rows.append([f"by {seconds(each['deadline_s'])}, {chance(each['probability'])} make it", *reached])
    if plan["lead_s"]:
        rows.append(["before, until people let it begin", "", seconds(plan["lead_s"]), ""])
    return table(("delivered", "10 %", "median", "90 % of the replications"), rows, (1, 2, 3), "reach")


def _route_table(plan: dict[str, Any]) -> str:
    rows = [
        [
            escape(each["name"]),
            f"{each['slots']:,}",
            f"{each['delivered']:,.0f}",
            f"{each['segments']:,.0f}",
            "-" if each["use"] is None else f"{each['use'] * 100:.1f} %",
            f"{each['cost']:,.2f}" if each["cost"] else "-",
            escape(each["binds"] or "none"),
            escape(each["next"] or "-"),
        ]
        for each in plan["routes"]
    ]
    head = ("route", "slots", "delivered", "segments", "use of slots", "cost", "limit", "next")
    return table(head, rows, (1, 2, 3, 4, 5), "routes")


def _against_table(rows: list[dict[str, Any]]) -> str:
    cells = [
        [
            escape(row["what"]),
            _or_never(row["planned_s"]),
            seconds(row["measured_s"]),
            "-" if row["difference"] is None else f"{row['difference'] * 100:+.1f} %",
        ]
        for row in rows
    ]
    return table(("reached", "planned", "measured", "difference"), cells, (1, 2, 3), "against")
