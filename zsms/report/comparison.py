"""Two sets of reports against each other: what differs, and whether that is more than chance.

Significance is that of the permutation test (R. A. Fisher, "The Design of Experiments", 1935; E. J. G. Pitman, 1937;
M. D. Ernst, "Permutation methods: a basis for exact inference", 2004): if the runs of both sets were alike, any
division of all runs into two sets of these sizes would have been as likely as the one at hand. It assumes no
distribution, and is exact for few runs; but few runs have few divisions, and so a smallest p that they can show at all.

Many figures are many chances to be wrong, so p is corrected for their number by the step-down maximum statistic (P. H.
Westfall, S. S. Young, "Resampling-based multiple testing", 1993): a figure's p is the share of divisions in which *any*
of the figures that stand out no more than it does stands out as much. The statistic is the correlation of the figure
with the side that a run is on, which for one figure orders divisions as the difference of means does, and for several
makes them comparable. Of sets that are alike, at most `SIGNIFICANT` of the comparisons find anything at all.

What needs no such test (`CERTAIN`): a message that was lost is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, islice
from math import comb, isfinite
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt

from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.report.thresholds import fields_of

SIGNIFICANT = 0.05
STEADY_S = 1.0
"""Steady figures of less than this are made by chance, and left out."""
_MOST_DIVISIONS = 200_000
"""More than these are drawn, not enumerated."""
_DRAWN = 50_000
"""So many are drawn then."""
_CHUNK = 2_000
"""Divisions that are looked at together."""
_LARGEST = 1e300
"""Nothing is measured beyond this, and a sum of such values would overflow."""
_ROUNDING = 1e-9
"""Correlations that are closer than this are equal."""

F64 = npt.NDArray[np.float64]


class Figure(NamedTuple):
    """Something that is compared."""

    name: str
    better: int
    """1: more is better; -1: less is; 0: neither."""
    unit: str
    """s, /s, messages, sends, bytes, runs or nothing."""


_TIMES = ("mean", "p50", "p90", "p99", "max")
FIGURES = (
    Figure("throughput_per_s", 1, "/s"),
    Figure("efficiency", 1, ""),
    Figure("steady.throughput_per_s", 1, "/s"),
    Figure("steady.efficiency", 1, ""),
    Figure("rate.reached_per_s", 1, "/s"),
    *(Figure(f"rate.late_s.{key}", -1, "s") for key in _TIMES),
    Figure("wall_s", -1, "s"),
    Figure("elapsed_s", -1, "s"),
    Figure("first_message_s", -1, "s"),
    *(Figure(f"{time}_time_s.{key}", -1, "s") for time in ("send", "queue", "total") for key in _TIMES),
    *(Figure(f"slot_error_s.{key}", -1, "s") for key in ("p50", "p99", "max")),
    *(Figure(f"messages.{name}", 0, "messages") for name in ("produced", "sent")),
    *(Figure(f"messages.{name}", -1, "messages") for name in ("failed", "dead", "unsettled", "lost", "duplicates")),
    Figure("messages.redelivered", -1, "messages"),
    *(Figure(f"sends.{name}", -1, "sends") for name in ("ended", "failed", "retried")),
    Figure("processor_s", -1, "s"),
    Figure("memory_bytes", -1, "bytes"),
    Figure("unbalanced", -1, "runs"),
)
CERTAIN = ("messages.lost", "messages.unsettled", "unbalanced")
"""Figures that are 0 in a run that is in order: any increase is worse, however few the runs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in both sets."""

    figure: Figure
    base: tuple[float, ...]
    new: tuple[float, ...]
    p: float | None
    """The probability that chance makes this figure or another one stand out as much; None where that is not judged:
    one of `CERTAIN`, or too few runs."""

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
    def certain(self) -> bool:
        """Whether it is judged without a test."""
        return self.figure.name in CERTAIN

    @property
    def verdict(self) -> str:
        """better, worse, or other where neither is meant; "same" when equal, when chance would do, and when there are
        too few runs to tell."""
        if not self.change or not (self.certain or (self.p is not None and self.p <= SIGNIFICANT)):
            return "same"
        more = self.change > 0
        if self.certain:  # below 0 nothing is lost either, but what was settled was made by nobody
            before, after = (sum(map(abs, values)) / len(values) for values in (self.base, self.new))
            if before == after:
                return "same"
            more = after > before
        side = self.figure.better * (1 if more else -1)
        return {1: "better", -1: "worse", 0: "other"}[side]

    def worse_than(self, share: float) -> bool:
        """Whether it has become worse by more than that share of before; of a `certain` one, at all."""
        return self.verdict == "worse" and (self.certain or abs(self.change) > share)


def figures_of(report: dict[str, Any]) -> dict[str, float]:
    """The figures of a report's JSON that can be compared, by name: what was measured, and is a finite number.

    Raises UsageError for what is no report.
    """
    for part, kind in (("messages", dict), ("processes", list), ("senders", list), ("config", dict)):
        if not isinstance(report.get(part, kind()), kind):
            raise UsageError(f"no report: its `{part}` is no {'object' if kind is dict else 'list'}")
    try:
        known = fields_of(report)
        if rows := report["processes"]:
            known["processor_s"] = sum(row["cpu_s"] for row in rows)
            known["memory_bytes"] = sum(row["rss_max_bytes"] for row in rows)
        known["unbalanced"] = float(not report["balanced"])
    except KeyError as error:
        raise UsageError(f"no report: it has no `{error.args[0]}`") from None
    except (TypeError, OverflowError):
        raise UsageError("no report: a figure in it is no number that a run can have") from None
    if not (known.get("steady.seconds") or 0) >= STEADY_S:
        known = {name: value for name, value in known.items() if not name.startswith("steady.")}
    return {figure.name: float(value) for figure in FIGURES if _measured(value := known.get(figure.name))}


def _measured(value: Any) -> TypeGuard[float]:
    """Whether it is a number that can be added and compared."""
    return isinstance(value, int | float) and -_LARGEST < value < _LARGEST and isfinite(value)


def check_names(names: Sequence[str]) -> None:
    """Raises UsageError for a name that is no figure, with the nearest one."""
    known = [figure.name for figure in FIGURES]
    for name in names:
        if name not in known:
            raise UsageError(f"no figure {name!r} to compare{nearest(name, known)}")


def compare(
    base: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]], names: Sequence[str] = ()
) -> list[Difference]:
    """Every figure that all reports have, or those of `names` and `CERTAIN`; p is corrected for how many they are.

    Raises UsageError for a name that is no figure, and for what is no report.
    """
    check_names(names)
    before, after = [[figures_of(report) for report in reports] for reports in (base, new)]
    found = []
    for figure in FIGURES:
        if names and figure.name not in (*names, *CERTAIN):
            continue
        if all(figure.name in each for each in (*before, *after)):
            one, other = (tuple(each[figure.name] for each in side) for side in (before, after))
            found.append(Difference(figure, one, other, p=None))
    if smallest_p(len(base), len(new)) > SIGNIFICANT:
        return found
    judged = [each for each in found if not each.certain and not each.equal]
    columns = np.array([[*each.base, *each.new] for each in judged], dtype=np.float64).T
    chances = dict(zip((each.figure for each in judged), permutation_ps(columns, len(base)), strict=True))
    return [replace(each, p=1.0 if each.equal else chances.get(each.figure)) for each in found]


def not_in_all(reports: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> list[str]:
    """Figures that some of the reports have and others have not; of `names`, also those that none has."""
    known = [set(figures_of(report)) for report in reports]
    some = {*names} or set().union(*known)
    return [figure.name for figure in FIGURES if figure.name in some and not all(figure.name in each for each in known)]


def permutation_ps(columns: F64, n: int, seed: int = 0) -> list[float]:
    """The two-sided p of each column of float64[runs, figures], the first `n` runs being one side.

    Corrected for the number of columns, none of which may be of one value only. Over 200,000 divisions 50,000 are
    drawn at random, by the seed, and the one at hand counts as one of them, so that p is never 0 (B. Phipson, G. K.
    Smyth, "Permutation p-values should never be zero", 2010).
    """
    runs, figures = columns.shape if columns.size else (0, 0)
    if not figures:
        return []
    scores = columns / np.abs(columns).max(axis=0)
    scores -= scores.mean(axis=0)
    scores /= np.sqrt((scores**2).sum(axis=0))
    here = np.abs(scores[:n].sum(axis=0))
    order = np.argsort(-here, kind="stable")
    scores, here = scores[:, order], here[order]
    divisions, as_far = 0, np.zeros(figures, dtype=np.int64)
    exact = comb(runs, n) <= _MOST_DIVISIONS
    for sides in _all_divisions(runs, n) if exact else _drawn_divisions(runs, n, seed):
        apart = np.abs(sides @ scores)
        # Each against what stands out no more than it does: the largest from its place on.
        apart = np.maximum.accumulate(apart[:, ::-1], axis=1)[:, ::-1]
        as_far += (apart >= here - _ROUNDING).sum(axis=0)
        divisions += len(sides)
    shares = as_far / divisions if exact else (as_far + 1) / (divisions + 1)
    found = np.empty(figures)
    found[order] = np.maximum.accumulate(shares)
    return [float(p) for p in found]


def _all_divisions(runs: int, n: int) -> Iterator[F64]:
    """Every division, as rows of 1 and 0 (float64[some, runs]), `n` of them 1."""
    every = combinations(range(runs), n)
    while some := list(islice(every, _CHUNK)):
        sides = np.zeros((len(some), runs))
        chosen = np.fromiter(chain.from_iterable(some), dtype=np.intp, count=len(some) * n).reshape(-1, n)
        np.put_along_axis(sides, chosen, 1.0, axis=1)
        yield sides


def _drawn_divisions(runs: int, n: int, seed: int) -> Iterator[F64]:
    rng = np.random.default_rng(seed)
    one = np.repeat((1.0, 0.0), (n, runs - n))
    for _ in range(_DRAWN // _CHUNK):
        yield rng.permuted(np.tile(one, (_CHUNK, 1)), axis=1)


def smallest_p(n: int, m: int) -> float:
    """The smallest p that sets of n and m runs can have."""
    return (2 if n == m else 1) / comb(n + m, n)


def without_any(base: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[str]:
    """Figures that every report of `base` has and none of `new`: what they would have been, nobody can say."""
    before = set.intersection(*(set(figures_of(report)) for report in base))
    after = set().union(*(figures_of(report) for report in new))
    return [figure.name for figure in FIGURES if figure.name in before - after]


def unlike(base: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[str]:
    """What runs were asked differently from the first one of `base`, or had under them; the seed may differ."""
    return list(dict.fromkeys(line for other in (*new, *base[1:]) for line in settings_apart(base[0], other)))


def settings_apart(base: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What two runs were asked differently, or had under them; the seed may differ."""
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
