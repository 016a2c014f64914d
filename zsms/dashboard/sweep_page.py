"""A sweep as one page, whole in itself: each figure over one setting as a curve with its spread, or over two as a map.

    render(title, points, done) -> HTML     needs no network, no server and no JavaScript

What a user can name is escaped, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from zsms.dashboard.axes import STYLES, Axes, svg
from zsms.dashboard.report_page import head, table
from zsms.report.spread import NOT_MEASURED, Point, Spread, cell_of, names_of
from zsms.words import many

MOST_MAPS = 24
"""Of one figure; a sweep of more than two settings has one for each combination of the others."""
_AXES = Axes(620, 240, left=78, right=40, top=20, below=42)
_LOG_FROM = 20.0
"""Settings whose greatest value is so many times the least are drawn on a logarithmic axis."""
_STYLES = (
    STYLES
    + """
svg .dot { fill: var(--sent); }
.heat { border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums; }
.heat td { padding: 6px 10px; text-align: right; border-radius: 4px; }
.heat th { padding: 4px 8px; text-align: right; font-weight: 500; color: var(--soft); }
.heat caption { text-align: left; color: var(--soft); font-size: 0.85rem; padding-bottom: 4px; }
"""
)


def render(title: str, points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> str:
    """The page of the points that are done."""
    found = [point for point in points if point in done]
    missing = len(points) - len(found)
    aside = f"{many(len(found), 'point')}" + (f", {missing} more are not done" if missing else "")
    parts = [
        head(title, _STYLES)
        + f'<body>\n<main>\n<header><h1>{escape(title)}</h1><span class="aside">{escape(aside)}</span></header>'
    ]
    if found:
        for figure in names_of(done[point] for point in found):
            spreads = {point: done[point][figure] for point in found if figure in done[point]}
            drawn = _curve(spreads) if len(found[0]) == 1 else "".join(_maps(spreads))
            if drawn:
                parts.append(f"<h2>{escape(figure)}</h2>\n{drawn}")
        parts.append(f'<h2>Every point</h2>\n<div class="panel">{_table(found, done)}</div>')
    parts.append("</main>\n</body>\n</html>\n")
    return "\n".join(parts)


def _table(found: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> str:
    names = [name for name, _ in found[0]]
    figures = names_of(done[point] for point in found)
    rows = [
        [
            *(escape(value) for _, value in point),
            *(escape(cell_of(done[point].get(name, NOT_MEASURED))) for name in figures),
        ]
        for point in found
    ]
    return table(map(escape, [*names, *figures]), rows, range(len(names), len(names) + len(figures)))


# -- over one setting ------------------------------------------------------------------------------------------------


def _curve(spreads: Mapping[Point, Spread]) -> str:
    """A curve with its spread; nothing where the setting's values are no numbers, or nothing was measured."""
    try:
        known = sorted((float(point[0][1]), spread) for point, spread in spreads.items() if spread.median is not None)
    except ValueError:
        return ""
    xs = [x for x, _ in known]
    if not all(map(math.isfinite, xs)) or len(set(xs)) < 2:
        return ""
    medians = [spread.median or 0.0 for _, spread in known]
    lows = [median if each.low is None else each.low for median, (_, each) in zip(medians, known, strict=True)]
    highs = [median if each.high is None else each.high for median, (_, each) in zip(medians, known, strict=True)]
    step = step_of(max(0.0, *highs) or 1.0)
    log = xs[0] > 0 and xs[-1] / xs[0] >= _LOG_FROM
    scaled = [math.log(x) for x in xs] if log else xs
    along = [(x - scaled[0]) / (scaled[-1] - scaled[0]) for x in scaled]

    def line(values: Sequence[float]) -> list[tuple[float, float]]:
        return [(x, value / (4 * step)) for x, value in zip(along, values, strict=True)]

    name = next(iter(spreads))[0][0]
    drawn = [_AXES.grid([f"{step * part:,.4g}" for part in range(5)]), _AXES.area(line(lows), line(highs))]
    drawn.append(_AXES.line(line(medians)))
    for x, (share, up) in zip(xs, line(medians), strict=True):
        drawn.append(f'<circle class="dot" cx="{_AXES.x(share):.1f}" cy="{_AXES.y(up):.1f}" r="3.5"/>')
        drawn.append(_AXES.label(share, f"{x:,.6g}", above=22))
    drawn.append(_AXES.label(0.5, name, above=4))
    return svg(f"a curve over {name}", "".join(drawn), _AXES.wide, _AXES.high)


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
    caption = f"<caption>{escape(caption)}</caption>"
    return f'<div class="panel"><table class="heat">{caption}<tr><td></td>{head}</tr>\n{lines}</table></div>\n'


def _cell(spread: Spread | None, least: float, most: float) -> str:
    """The darker the greater; the number says it, too."""
    if spread is None or spread.median is None:
        return "<td>-</td>"
    share = (spread.median - least) / (most - least) if most > least else 0.0
    colour = f"color-mix(in srgb, var(--sent) {8 + 52 * share:.0f}%, var(--card))"
    return f'<td style="background:{colour}">{escape(cell_of(spread))}</td>'
