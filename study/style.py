"""How the figures look, and the way to matplotlib, which is an extra.

Colours are Okabe and Ito's, which people with any colour vision tell apart (M. Okabe, K. Ito, "Color universal
design", 2008); designs differ by marker too. Sizes are for a page about 900 pixels wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from study.ladder import BASELINE, MESH
from zsms import extras
from zsms.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY, FAINT = "#222222", "#6b6b6b", "#e4e4e4"

COLOUR = {MESH: BLUE, BASELINE: VERMILION}
MARKER = {MESH: "o", BASELINE: "s"}
NAME = {MESH: "zsms mesh", BASELINE: "asyncio baseline"}

WIDTH_IN, HEIGHT_IN, DPI = 9.0, 5.4, 200
_LEFT, _BOTTOM, _WIDTH, _HEIGHT = 0.092, 0.145, 0.701, 0.70
"""Of a chart's axes, in shares of the figure: the margin on the right is for the curves' names."""
_LINE = 0.052
"""Height of a line of a name, in shares of the axes."""

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "savefig.dpi": DPI,
    "savefig.facecolor": "white",
}


def need_matplotlib() -> None:
    """Raises UsageError when it is missing: better told before an hour of measuring than after."""
    try:
        import matplotlib  # noqa: F401  # asked for, not used
    except ImportError:
        raise extras.missing("drawing the figures needs matplotlib", "plots") from None


@contextmanager
def style() -> Iterator[None]:
    """Figures that are made inside look as above; the caller's own settings are untouched."""
    from matplotlib.style import context

    with context(["default", _SETTINGS]):
        yield


def save(figure: Figure, path: Path) -> Path:
    """Write the picture; the same figure gives the same bytes. Raises UsageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", metadata={"Software": None})
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}") from None
    return path


def new_axes(title: str, subtitle: str, source: str) -> tuple[Figure, Axes]:
    """A figure of one chart: a title that says the finding, what is shown, and below where it comes from."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN))
    axes = figure.add_axes((_LEFT, _BOTTOM, _WIDTH, _HEIGHT))
    figure.text(0.02, 0.945, title, fontsize=14, fontweight="bold", va="center")
    figure.text(0.02, 0.89, subtitle, fontsize=10.5, color=GREY, va="center")
    figure.text(0.02, 0.022, source, fontsize=7.5, color=GREY, va="center")
    return figure, axes


class Label(NamedTuple):
    """A curve's name: `height` is where it ends, in data; the first line of `text` is set in bold."""

    height: float
    text: str
    colour: str


def name_curves(axes: Axes, labels: Iterable[Label]) -> None:
    """Write the names beside the axes, at their curves' heights, or a little off where they would overlap."""
    labels = list(labels)
    to_share = axes.transData + axes.transAxes.inverted()
    middle = [float(to_share.transform((axes.get_xlim()[0], label.height))[1]) for label in labels]
    half = [_LINE * (label.text.count("\n") + 1) / 2 + 0.012 for label in labels]
    upwards = sorted(range(len(labels)), key=middle.__getitem__)
    floor = -0.02
    for each in upwards:
        middle[each] = max(middle[each], floor + half[each])
        floor = middle[each] + half[each]
    ceiling = 1.02
    for each in reversed(upwards):
        middle[each] = min(middle[each], ceiling - half[each])
        ceiling = middle[each] - half[each]
    for label, height, reach in zip(labels, middle, half, strict=True):
        first, _, rest = label.text.partition("\n")
        top = height + reach - 0.012
        axes.text(1.02, top, first, color=label.colour, fontweight="bold", va="top", transform=axes.transAxes)
        axes.text(
            1.02,
            top - _LINE,
            rest,
            color=label.colour,
            fontsize=10,
            va="top",
            linespacing=1.3,
            transform=axes.transAxes,
        )


def slope(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> float:
    """The angle, in degrees, at which the line between two points of the data is seen: for text along it."""
    (x0, y0), (x1, y1) = axes.transData.transform([start, end])
    return math.degrees(math.atan2(y1 - y0, x1 - x0))
