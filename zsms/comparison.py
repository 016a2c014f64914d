"""Two sets of reports against each other: what differs, and whether that is more than chance.

Significance is that of the permutation test of the difference of means (R. A. Fisher, "The Design of Experiments",
1935; E. J. G. Pitman, 1937; M. D. Ernst, "Permutation methods: a basis for exact inference", 2004): if the runs of both
sets were alike, any division of all runs into two sets of these sizes would have been as likely as the one at hand, so
p is the share of divisions whose means differ at least as much. It assumes no distribution, and is exact for few runs;
but few runs have few divisions, and so a smallest p that they can show at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np

from zsms.errors import UsageError
from zsms.thresholds import fields_of

SIGNIFICANT = 0.05
STEADY_S = 1.0
"""Steady figures of less than this are made by chance, and left out."""
_MOST_DIVISIONS = 200_000
"""More than these are drawn, not enumerated."""


class Figure(NamedTuple):
    """Something that is compared."""

    name: str
    better: int
    """1: more is better; -1: less is; 0: neither."""
    unit: str
    """s, /s, messages, bytes or nothing."""


_TIMES = ("mean", "p50", "p90", "p99", "max")
FIGURES = (
    Figure("throughput_per_s", 1, "/s"),
    Figure("efficiency", 1, ""),
    Figure("steady.throughput_per_s", 1, "/s"),
    Figure("steady.efficiency", 1, ""),
    Figure("wall_s", -1, "s"),
    Figure("elapsed_s", -1, "s"),
    Figure("first_message_s", -1, "s"),
    *(Figure(f"{time}_time_s.{key}", -1, "s") for time in ("send", "queue", "total") for key in _TIMES),
    *(Figure(f"slot_error_s.{key}", -1, "s") for key in ("p50", "p99", "max")),
    *(Figure(f"messages.{name}", 0, "messages") for name in ("produced", "sent")),
    *(Figure(f"messages.{name}", -1, "messages") for name in ("failed", "dead", "unsettled", "lost", "duplicates")),
    *(Figure(f"messages.{name}", -1, "messages") for name in ("redelivered", "retried")),
    Figure("processor_s", -1, "s"),
    Figure("memory_bytes", -1, "bytes"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in both sets."""

    figure: Figure
    base: tuple[float, ...]
    new: tuple[float, ...]
    p: float | None
    """The probability of such a difference by chance; None without repeats."""

    @property
    def base_mean(self) -> float:
        """Of the first set."""
        return sum(self.base) / len(self.base)

    @property
    def new_mean(self) -> float:
        """Of the second set."""
        return sum(self.new) / len(self.new)

    @property
    def equal(self) -> bool:
        """Whether it was the same in every run."""
        return len({*self.base, *self.new}) == 1

    @property
    def change(self) -> float:
        """The second mean against the first: 0.1 is a tenth more; infinite from 0."""
        before, after = self.base_mean, self.new_mean
        if before == after:
            return 0.0
        return (after - before) / abs(before) if before else float("inf") if after > 0 else float("-inf")

    @property
    def verdict(self) -> str:
        """better, worse, or other where neither is meant; "same" when equal, or when chance would do."""
        if not self.change or (self.p is not None and self.p > SIGNIFICANT):
            return "same"
        side = self.figure.better * (1 if self.change > 0 else -1)
        return {1: "better", -1: "worse", 0: "other"}[side]

    def worse_by(self) -> float:
        """How much worse it has become, as a share of before; 0 when it has not, or not significantly."""
        return abs(self.change) if self.verdict == "worse" else 0.0


def figures_of(report: dict[str, Any]) -> dict[str, float]:
    """The figures of a report's JSON that can be compared, by name."""
    known = fields_of(report)
    if known["steady.seconds"] < STEADY_S:
        del known["steady.throughput_per_s"], known["steady.efficiency"]
    known["processor_s"] = sum(row["cpu_s"] for row in report["processes"])
    known["memory_bytes"] = sum(row["rss_max_bytes"] for row in report["processes"])
    return {figure.name: float(known[figure.name]) for figure in FIGURES if figure.name in known}


def compare(
    base: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]], names: Sequence[str] = ()
) -> list[Difference]:
    """Every figure that all reports have, or those of `names`. Raises UsageError for a name that is no figure."""
    known = [figure.name for figure in FIGURES]
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, 1)
            raise UsageError(f"no figure {name!r} to compare{f'; did you mean {near[0]}?' if near else ''}")
    sides = [[figures_of(report) for report in reports] for reports in (base, new)]
    differences = []
    for figure in FIGURES:
        if (names and figure.name not in names) or any(figure.name not in each for side in sides for each in side):
            continue
        before, after = (tuple(each[figure.name] for each in side) for side in sides)
        repeated = len(before) + len(after) > 2
        differences.append(Difference(figure, before, after, permutation_p(before, after) if repeated else None))
    return differences


def permutation_p(one: Sequence[float], other: Sequence[float], seed: int = 0) -> float:
    """The two-sided p of the permutation test; over 200,000 divisions as many are drawn at random, by the seed.

    The drawn p counts the division at hand as one of them, so it is never 0 (B. Phipson, G. K. Smyth, "Permutation
    p-values should never be zero", 2010).
    """
    pooled = np.array([*one, *other], dtype=np.float64)
    n, total = len(one), pooled.sum()
    exact = comb(len(pooled), n) <= _MOST_DIVISIONS
    if exact:
        chosen = np.array(list(combinations(range(len(pooled)), n)))
    else:
        rng = np.random.default_rng(seed)
        chosen = rng.permuted(np.tile(np.arange(len(pooled)), (_MOST_DIVISIONS, 1)), axis=1)[:, :n]
    sums = pooled[chosen].sum(axis=1)
    apart = np.abs(sums / n - (total - sums) / len(other))
    here = abs(sum(one) / n - sum(other) / len(other))
    as_far = int((apart >= here - 1e-12 * np.abs(pooled).max()).sum())
    return as_far / len(chosen) if exact else (as_far + 1) / (len(chosen) + 1)


def smallest_p(n: int, m: int) -> float:
    """The smallest p that sets of n and m runs can have."""
    return (2 if n == m else 1) / comb(n + m, n)


def settings_apart(base: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What the first reports of both sets were asked differently, or had under them; the seed may differ."""
    said = []
    for part in ("config", "machine", "versions"):
        if part not in base or part not in new:  # a report of an earlier version
            continue
        before, after = (_leaves(report[part]) for report in (base, new))
        for name in {**before, **after}:
            if name != "seed" and before.get(name) != after.get(name):
                said.append(f"{part}.{name}: {before.get(name)} and {after.get(name)}")
    return said


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        rows: Any = value.items()
    elif isinstance(value, list) and any(isinstance(row, dict) for row in value):
        rows = enumerate(value)
    else:
        return {path: value}
    leaves: dict[str, Any] = {}
    for name, inner in rows:
        leaves |= _leaves(inner, f"{path}.{name}" if path else f"{name}")
    return leaves
