"""What was measured: a row a run in scaling.csv, and the medians over repeats that the charts show.

The file is written anew, and renamed into place, after every run: whatever ends a study, the rows of the runs that
were made are there, whole, and the next study goes on from them.
"""

from __future__ import annotations

import csv
import os
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from study.ladder import BASELINE, MESH, Step
from zsms.errors import UsageError

STEADY_S = 1.0
"""A steady window below this many seconds is not used,"""
STEADY_SHARE = 1 / 2
"""nor one below this share of the run."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run. The fields are the columns of the file, in order; None is an empty cell: not measured."""

    design: str
    slots: int
    messages: int
    repeat: int
    processes: int
    """Sender processes."""
    wall_s: float
    """From the first message accepted to the last one settled."""
    elapsed_s: float
    """With the processes' start and end."""
    throughput_per_s: float
    efficiency: float
    steady_s: float | None
    """Length of the steady window."""
    steady_throughput_per_s: float | None
    steady_efficiency: float | None
    slot_error_p99_s: float | None
    rss_max_bytes: int
    """All processes together. Linux never tells less of a process than its parent held when it started it."""
    cpu_s: float
    """All processes together."""
    lost: int
    balanced: bool
    at: str
    """When it ended, ISO 8601."""
    version: str
    """Of zsms."""

    @property
    def step(self) -> Step:
        """Which step of a study this was."""
        return Step(self.design, self.slots, self.messages, self.repeat)

    @property
    def is_steady(self) -> bool:
        """Whether its steady window stands for the run (see the package's docstring)."""
        if not self.steady_throughput_per_s or not self.steady_efficiency or not self.steady_s:
            return False
        return self.steady_s >= max(STEADY_S, STEADY_SHARE * self.wall_s)

    @property
    def rate(self) -> float:
        """The throughput that counts, messages a second."""
        return self.figures(self.is_steady)[0]

    @property
    def share(self) -> float:
        """The efficiency that counts."""
        return self.figures(self.is_steady)[1]

    def figures(self, steady: bool) -> tuple[float, float]:
        """Messages a second and efficiency, in the steady window or over the whole run."""
        if steady:
            return self.steady_throughput_per_s or 0.0, self.steady_efficiency or 0.0
        return self.throughput_per_s, self.efficiency


def run_of(step: Step, report: dict[str, Any], *, elapsed_s: float, at: str, version: str) -> Run:
    """The row of a run, from the JSON that either design prints. Raises KeyError or TypeError for other JSON."""
    steady = report["steady"]
    if step.design == MESH:
        processes = report["processes"]
        own = {
            "steady_s": steady["seconds"],
            "slot_error_p99_s": report["slot_error_s"]["p99"],
            "rss_max_bytes": sum(process["rss_max_bytes"] for process in processes),
            "cpu_s": sum(process["cpu_s"] for process in processes),
            "lost": report["messages"]["lost"] + step.messages - report["messages"]["produced"],
            "balanced": report["balanced"] and report["messages"]["sent"] == step.messages,
        }
    else:
        lost = step.messages - report["messages"]
        own = {
            "steady_s": steady["seconds"],
            "slot_error_p99_s": None,
            "rss_max_bytes": report["rss_max_bytes"],
            "cpu_s": report["cpu_s"],
            "lost": lost,
            "balanced": lost == 0,
        }
    return Run(
        design=step.design,
        slots=step.slots,
        messages=step.messages,
        repeat=step.repeat,
        processes=step.processes,
        wall_s=report["wall_s"],
        elapsed_s=elapsed_s,
        throughput_per_s=report["throughput_per_s"],
        efficiency=report["efficiency"],
        steady_throughput_per_s=steady["throughput_per_s"],
        steady_efficiency=steady["efficiency"],
        at=at,
        version=version,
        **own,
    )


COLUMNS = tuple(field.name for field in fields(Run))
_OF_TEXT: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "float | None": lambda text: float(text) if text else None,
    "bool": {"true": True, "false": False}.__getitem__,
}


def _text(value: Any) -> str:
    """A cell. Six digits are more than a measurement holds, and make rows that people can read."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def read(path: Path) -> list[Run]:
    """The rows of the file; none when there is no file. Raises UsageError for a file that is not ours."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                raise UsageError(f"{path}: its columns are not those of a study: move it away, or give --fresh")
            try:
                return [Run(**{f.name: _OF_TEXT[str(f.type)](row[f.name]) for f in fields(Run)}) for row in rows]
            except (KeyError, TypeError, ValueError) as error:
                raise UsageError(
                    f"{path}, line {rows.line_num}: no row of a study ({error}); mend or remove it"
                ) from None
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read {path}: {error}") from None


def write(path: Path, runs: Iterable[Run]) -> None:
    """Write every row, in place of what is there, whole or not at all. Raises UsageError."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows([_text(getattr(run, name)) for name in COLUMNS] for run in runs)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the repeats of a step."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Point:
    """A step of one design, over its repeats."""

    slots: int
    runs: int
    rate: Spread
    """Messages a second."""
    share: Spread
    """Efficiency."""
    slot_error_p99_s: Spread | None
    rss_max_bytes: Spread
    cpu_s: Spread


def points(runs: Iterable[Run], design: str) -> list[Point]:
    """The curve of a design, by ascending slots."""
    by_slots: dict[int, list[Run]] = {}
    for run in runs:
        if run.design == design:
            by_slots.setdefault(run.slots, []).append(run)
    return [_point(slots, by_slots[slots]) for slots in sorted(by_slots)]


def _point(slots: int, runs: list[Run]) -> Point:
    # One estimator for all repeats of a step: a median over two kinds of figure would be neither.
    steady = all(run.is_steady for run in runs)
    errors = [run.slot_error_p99_s for run in runs if run.slot_error_p99_s is not None]
    return Point(
        slots,
        len(runs),
        Spread.of(run.figures(steady)[0] for run in runs),
        Spread.of(run.figures(steady)[1] for run in runs),
        slot_error_p99_s=Spread.of(errors) if errors else None,
        rss_max_bytes=Spread.of(run.rss_max_bytes for run in runs),
        cpu_s=Spread.of(run.cpu_s for run in runs),
    )


def plateau(curve: list[Point]) -> Point | None:
    """The highest point of a curve that levels off: a later rung is no higher, or twice the slots and more brought
    hardly anything (`_HARDLY`). None while it still rises, or is the ideal."""
    best = highest(curve)
    if best is None or curve[-1].share.median > 0.9:
        return None
    level = next(point for point in curve if point.rate.median * _HARDLY >= best.rate.median)
    return best if best is not curve[-1] or curve[-1].slots >= 2 * level.slots else None


_HARDLY = 1.05


def highest(curve: list[Point]) -> Point | None:
    """The point of the highest median throughput; None of an empty curve."""
    return max(curve, key=lambda point: point.rate.median, default=None)


def table(runs: Iterable[Run]) -> list[str]:
    """The medians as lines of text, a line a step."""
    runs = list(runs)
    form = "{:<9} {:>10} {:>5} {:>13} {:>27} {:>11} {:>10} {:>9} {:>9}"
    lines = [
        form.format(
            "design", "slots", "runs", "messages/s", "lowest to highest", "efficiency", "error p99", "MiB", "cpu s"
        )
    ]
    for design in (MESH, BASELINE):
        for point in points(runs, design):
            rate, error = point.rate, point.slot_error_p99_s
            lines.append(
                form.format(
                    design,
                    f"{point.slots:,}",
                    point.runs,
                    f"{rate.median:,.1f}" if rate.median < 1_000 else f"{rate.median:,.0f}",
                    f"{rate.low:,.1f} to {rate.high:,.1f}"
                    if rate.high < 1_000
                    else f"{rate.low:,.0f} to {rate.high:,.0f}",
                    f"{point.share.median:.3f}",
                    f"{error.median * 1e3:.1f} ms" if error else "-",
                    f"{point.rss_max_bytes.median / 2**20:,.0f}",
                    f"{point.cpu_s.median:,.1f}",
                )
            )
    return lines
