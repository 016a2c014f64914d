"""A sweep as one page, whole in itself: each figure over one setting as a curve with its spread, or over two as a map.

    render(title, points, done) -> HTML     needs no network, no server and no JavaScript

What a user can name is escaped, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from zsms.dashboard.report_page import asset, head, table
from zsms.report.spread import Point, Spread, cell_of
from zsms.words import many

MOST_MAPS = 24
"""Of one figure; a sweep of more than two settings has one for each combination of the others."""
_WIDE, _HIGH, _LEFT, _BELOW, _RIGHT = 620, 240, 78, 42, 40
_LOG_FROM = 20.0
"""Settings whose greatest value is so many times the least are drawn on a logarithmic axis."""
_STYLES = """
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .grid { stroke: var(--grid); } svg .line { fill: none; stroke: var(--reach); stroke-width: 2; }
svg .band { fill: var(--reach-fill); } svg .dot { fill: var(--reach); } svg .axis { fill: var(--muted); }
.heat { border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums; }
.heat td { padding: 6px 10px; text-align: right; border-radius: 4px; }
.heat th { padding: 4px 8px; text-align: right; font-weight: 500; color: var(--muted); }
.heat caption { text-align: left; color: var(--muted); font-size: 0.85rem; padding-bottom: 4px; }
"""


def render(title: str, points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> str:
    """The page of the points that are done."""
    found = [point for point in points if point in done]
    missing = len(points) - len(found)
    aside = f"{many(len(found), 'point')}" + (f", {missing} more are not done" if missing else "")
    parts = [
        head(title, asset("static/report.css") + _STYLES)
        + f'<body>\n<main>\n<header><h1>{escape(title)}</h1><span class="aside">{escape(aside)}</span></header>'
    ]
    if found:
        for figure in done[found[0]]:
            spreads = {point: done[point][figure] for point in found if figure in done[point]}
            drawn = "".join(_curve(spreads) if len(found[0]) == 1 else _maps(spreads))
            if drawn:
                parts.append(f'<h2>{escape(figure)}</h2>\n<div class="panel">{drawn}</div>')
        parts.append(f'<h2>Every point</h2>\n<div class="panel">{_table(found, done)}</div>')
    parts.append("</main>\n</body>\n</html>\n")
    return "\n".join(parts)


def _table(found: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> str:
    names = [name for name, _ in found[0]]
    figures = list(done[found[0]])
    rows = [
        [*(escape(value) for _, value in point), *(escape(cell_of(done[point][name])) for name in figures)]
        for point in found
    ]
    return table(map(escape, [*names, *figures]), rows, range(len(names), len(names) + len(figures)))


# -- over one setting ------------------------------------------------------------------------------------------------


def _curve(spreads: Mapping[Point, Spread]) -> Iterator[str]:
    """A curve with its spread; nothing where the setting's values are no numbers, or nothing was measured."""
    try:
        known = sorted((float(point[0][1]), spread) for point, spread in spreads.items() if spread.median is not None)
    except ValueError:
        return
    if len(known) < 2:
        return
    xs = [x for x, _ in known]
    lows = [spread.median if spread.low is None else spread.low for _, spread in known]
    highs = [spread.median if spread.high is None else spread.high for _, spread in known]
    medians = [spread.median for _, spread in known]
    step = step_of(max(0.0, *(value for value in highs if value is not None)) or 1.0)
    top = 4 * step
    log = xs[0] > 0 and xs[-1] / xs[0] >= _LOG_FROM
    begin, end = (math.log(xs[0]), math.log(xs[-1])) if log else (xs[0], xs[-1])

    def at(x: float, y: float | None) -> str:
        along = ((math.log(x) if log else x) - begin) / (end - begin)
        up = (y or 0.0) / top
        return f"{_LEFT + along * (_WIDE - _LEFT - _RIGHT):.1f},{_HIGH - _BELOW - up * (_HIGH - _BELOW - 20):.1f}"

    name = next(iter(spreads))[0][0]
    yield f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="a curve over {escape(name)}">'
    for part in range(5):
        value = step * part
        y = at(xs[0], value).partition(",")[2]
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{_LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{value:,.4g}</text>'
    there, back = map(at, xs, highs), reversed(list(map(at, xs, lows)))
    yield f'<polygon class="band" points="{" ".join([*there, *back])}"/>'
    yield f'<polyline class="line" points="{" ".join(map(at, xs, medians))}"/>'
    for x, median in zip(xs, medians, strict=True):
        across, up = at(x, median).split(",")
        yield f'<circle class="dot" cx="{across}" cy="{up}" r="3.5"/>'
        yield f'<text x="{across}" y="{_HIGH - 22}" text-anchor="middle">{x:,.6g}</text>'
    yield f'<text class="axis" x="{_WIDE / 2}" y="{_HIGH - 4}" text-anchor="middle">{escape(name)}</text></svg>'


def step_of(most: float) -> float:
    """Of a scale in four round steps that reaches so far."""
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next(
        power * each for each in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 20.0) if power * each * 4 >= most
    )


# -- over two and more -----------------------------------------------------------------------------------------------


def _maps(spreads: Mapping[Point, Spread]) -> Iterator[str]:
    """A map of the first two settings for each combination of the others."""
    others = list(dict.fromkeys(point[2:] for point in spreads))
    known = [spread.median for spread in spreads.values() if spread.median is not None]
    if not known:
        return
    for other in others[:MOST_MAPS]:
        yield _map({point: spread for point, spread in spreads.items() if point[2:] == other}, min(known), max(known))
    if len(others) > MOST_MAPS:
        yield f"<p>{many(len(others) - MOST_MAPS, 'more combination is', 'more combinations are')} in the table.</p>"


def _map(spreads: Mapping[Point, Spread], least: float, most: float) -> str:
    first = next(iter(spreads))
    (down, _), (across, _) = first[:2]
    rows = list(dict.fromkeys(point[0][1] for point in spreads))
    columns = list(dict.fromkeys(point[1][1] for point in spreads))
    at = {(point[0][1], point[1][1]): spread for point, spread in spreads.items()}
    rest = ", ".join(f"{name} {value}" for name, value in first[2:])
    caption = f"{down} downwards, {across} to the right" + (f"; {rest}" if rest else "")
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = []
    for row in rows:
        cells = "".join(_cell(at.get((row, column)), least, most) for column in columns)
        body.append(f'<tr><th scope="row">{escape(row)}</th>{cells}</tr>')
    lines = "\n".join(body)
    return f'<table class="heat"><caption>{escape(caption)}</caption><tr><td></td>{head}</tr>\n{lines}</table>\n'


def _cell(spread: Spread | None, least: float, most: float) -> str:
    """The darker the greater; the number says it, too."""
    if spread is None or spread.median is None:
        return "<td>-</td>"
    share = (spread.median - least) / (most - least) if most > least else 0.0
    colour = f"color-mix(in srgb, var(--reach) {8 + 52 * share:.0f}%, var(--panel))"
    return f'<td style="background:{colour}">{escape(cell_of(spread))}</td>'
