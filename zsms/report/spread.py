"""A figure over replications: its median and where most of them lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import NamedTuple

Point = tuple[tuple[str, str], ...]
"""The settings that vary, and their values there."""


class Spread(NamedTuple):
    """A figure over replications: where a tenth, half and nine tenths of them lie at or below; of fewer than ten, the
    least and the greatest. None where it was not measured in any."""

    low: float | None
    median: float | None
    high: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread:
        """Over these; those that were not measured are left out."""
        known = sorted(value for value in values if value is not None)
        if not known:
            return cls(None, None, None)
        cut = len(known) // 10
        return cls(known[cut], median(known), known[-1 - cut])


NOT_MEASURED = Spread(None, None, None)


def names_of(figures: Iterable[Mapping[str, Spread]]) -> list[str]:
    """The figures that any of the points has, in order: not each is asked the same."""
    return list(dict.fromkeys(name for each in figures for name in each))


def cell_of(spread: Spread) -> str:
    """A figure with half of its spread, for people."""
    if spread.median is None:
        return "-"
    text = f"{spread.median:,.0f}" if abs(spread.median) >= 1_000 else f"{spread.median:.4g}"
    if spread.low is None or spread.high is None or spread.low == spread.high:
        return text
    half = max(spread.high - spread.median, spread.median - spread.low)
    return f"{text} ±{half:,.3g}"
