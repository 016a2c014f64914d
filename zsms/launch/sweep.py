"""A sweep: the same scenario at each combination of some settings, again and again; what came of it, with its spread.

    --vary concurrency=1e3,1e4 --vary failure-rate=0,0.05  -->  4 points, each so many replications  -->  a row a point

A point is one or several ordinary commands, `zsms plan` or `zsms run`, each a process of its own, here or on a worker.
What has come of a point is written down at once, so that a sweep that was interrupted goes on with the others.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from zsms.core.seeds import sequence
from zsms.errors import UsageError
from zsms.report.spread import NOT_MEASURED, Point, Spread, cell_of, names_of

MAX_POINTS = 10_000
OWN = {"seed", "replications", "jobs", "no-variants", "quiet", "json", "ui", "html", "csv", "cluster", "dry-run"}
"""Options of `zsms plan` and `zsms run` that a sweep sets itself, or has of its own."""


def parse_vary(texts: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Names and values of `NAME=VALUE,VALUE,...` texts; 1e5 is written 100000. Raises UsageError."""
    found: list[tuple[str, list[str]]] = []
    for text in texts:
        name, equals, values = text.partition("=")
        owner, dot, field = name.strip().lstrip("-").rpartition(".")
        name = owner + dot + field.replace("_", "-")
        if not equals or not name:
            raise UsageError(f"--vary {text}: write NAME=VALUE,VALUE, such as concurrency=1e3,1e4")
        if name in dict(found):
            raise UsageError(f"--vary {text}: {name} varies already")
        listed = [_plain(value.strip()) for value in values.split(",")]
        if "" in listed or len(set(listed)) < len(listed):
            raise UsageError(f"--vary {text}: give each value once, and none that is empty")
        found.append((name, listed))
    return found


def _plain(value: str) -> str:
    """A whole number in digits, if it was written with a point or an exponent; 007 and +1 may be no numbers."""
    try:
        number = float(value if set(value) & set(".eE") else "nan")
    except ValueError:
        return value
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else value


def points_of(varied: Sequence[tuple[str, Sequence[str]]]) -> list[Point]:
    """Every combination, the last one varying fastest. Raises UsageError for too many."""
    count = math.prod(len(values) for _, values in varied)
    if count > MAX_POINTS:
        raise UsageError(f"{count:,} points: {MAX_POINTS:,} at most")
    names = [name for name, _ in varied]
    return [tuple(zip(names, values, strict=True)) for values in itertools.product(*(each for _, each in varied))]


def commands_of(point: Point, fixed: Sequence[str], replications: int, live: bool, seed: int) -> list[list[str]]:
    """What is run for a point: one plan with its replications, or so many runs, each with a seed of its own."""
    options = [
        part
        for name, value in point
        for part in (("--set", f"{name}={value}") if "." in name else (f"--{name}", value))
    ]
    if not live:
        said = ["--replications", str(replications), "--jobs", "1", "--no-variants", "--quiet"]
        return [["plan", *fixed, *options, "--seed", str(seed), *said, "--json", "-"]]
    said = ["--ui", "none", "--quiet", "--json", "-"]
    seeds = [int(sequence(seed, "sweep", number).generate_state(1)[0]) for number in range(replications)]
    return [["run", *fixed, *options, "--seed", str(each), *said] for each in seeds]


def figures_of(reports: Sequence[Mapping[str, Any]], live: bool) -> dict[str, Spread]:
    """What a point's reports say."""
    if not live:
        (plan,) = reports
        bands = {f"reach_{name}_s": Spread(*list(band.values())[:3]) for name, band in plan["reach_s"].items()}
        counts = plan["counts"]
        names = [name for name in ("delivered", "failed", "unsent") if name in counts]
        means = {name: Spread(None, round(counts[name], 3) + 0.0, None) for name in names}
        return {**bands, **means, **_asked_of(plan)}
    of: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
        "throughput_per_s": lambda report: report["throughput_per_s"],
        "efficiency": lambda report: report["efficiency"],
        "reach_p50_s": lambda report: report["reach_s"]["p50"],
        "reach_p99_s": lambda report: report["reach_s"]["p99"],
        "reach_p100_s": lambda report: report["reach_s"]["p100"],
        "total_time_p99_s": lambda report: (report["total_time_s"] or {}).get("p99"),
        "sent": lambda report: report["messages"]["sent"],
        "lost": lambda report: report["messages"]["lost"],
    }
    return {name: Spread.of([figure(report) for report in reports]) for name, figure in of.items()}


def _asked_of(plan: Mapping[str, Any]) -> dict[str, Spread]:
    """What a plan says of its first deadline, and of --solve."""
    found = {}
    for first in plan["deadlines"][:1]:
        found["reached_at_deadline"] = Spread(*list(first["reached"].values())[:3])
        found["probability"] = Spread(None, first["probability"], None)
    if plan["solution"] is not None:
        found[f"least_{plan['solution']['what']}"] = Spread(None, plan["solution"]["least"], None)
    return found


def rows_of(points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> Iterator[tuple[Point, Any]]:
    """The points that are done, in order."""
    return ((point, done[point]) for point in points if point in done)


def to_csv(points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> str:
    """A row a point: its settings, and each figure with its spread."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    found = list(rows_of(points, done))
    figures = names_of(spreads for _, spreads in found)
    for number, (point, spreads) in enumerate(found):
        if not number:
            heads = [f"{name}{part}" for name in figures for part in ("_low", "", "_high")]
            table.writerow([*(name for name, _ in point), *heads])
        cells = [value for name in figures for value in spreads.get(name, NOT_MEASURED)]
        table.writerow([*(value for _, value in point), *("" if cell is None else f"{cell:.9g}" for cell in cells)])
    return out.getvalue()


def to_lines(points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> list[str]:
    """A table for people: the medians of each point, and how far its replications lie apart."""
    found = list(rows_of(points, done))
    if not found:
        return []
    names = [name for name, _ in found[0][0]]
    figures = names_of(spreads for _, spreads in found)
    cells = [[*names, *figures]]
    for point, spreads in found:
        own = (cell_of(spreads.get(name, NOT_MEASURED)) for name in figures)
        cells.append([*(value for _, value in point), *own])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells]
