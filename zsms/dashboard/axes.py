"""What curves of pages without scripts are drawn on, as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLES = """
svg { display: block; width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .grid { stroke: currentColor; opacity: .15; } svg .line { fill: none; stroke: var(--sent); stroke-width: 2; }
svg .band { fill: var(--sent); opacity: .25; }
"""

Pairs = Iterable[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axes:
    """A drawing of this size in units, with margins around the curves; these are given as shares of both axes."""

    wide: int
    high: int
    left: int
    right: int
    top: int
    below: int

    def x(self, along: float) -> float:
        """Where a share of the lower axis is."""
        return self.left + along * (self.wide - self.left - self.right)

    def y(self, up: float) -> float:
        """Where a share of the upright axis is."""
        return self.top + (1 - up) * (self.high - self.top - self.below)

    def points(self, pairs: Pairs) -> str:
        """A line's, for SVG."""
        return " ".join(f"{self.x(along):.1f},{self.y(up):.1f}" for along, up in pairs)

    def line(self, pairs: Pairs) -> str:
        """A curve."""
        return f'<polyline class="line" points="{self.points(pairs)}"/>'

    def area(self, low: Pairs, high: Pairs, attributes: str = 'class="band"', inside: str = "") -> str:
        """What is between two curves."""
        return f'<polygon {attributes} points="{self.points([*high, *reversed(list(low))])}">{inside}</polygon>'

    def grid(self, words: Sequence[str]) -> str:
        """Lines at even distances with these words, from the bottom to the top."""
        drawn = []
        for number, text in enumerate(words):
            y = self.y(number / (len(words) - 1))
            drawn.append(
                f'<line class="grid" x1="{self.left}" x2="{self.wide - self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            drawn.append(f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>')
        return "".join(drawn)

    def label(self, along: float, text: str, *, above: float, anchor: str = "middle") -> str:
        """Words below the axis, so far above the edge."""
        at = f'x="{self.x(along):.1f}" y="{self.high - above:.1f}" text-anchor="{anchor}"'
        return f"<text {at}>{escape(text)}</text>"


def svg(title: str, inside: str, wide: float, high: float) -> str:
    """A drawing."""
    size = f'viewBox="0 0 {wide:.0f} {high:.0f}"'
    return f'<div class="panel"><svg {size} role="img" aria-label="{escape(title)}">{inside}</svg></div>'
