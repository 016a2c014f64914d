"""A sweep: the same scenario at each combination of some settings, again and again; what came of it, with its spread.

    --vary concurrency=1e3,1e4 --vary failure-rate=0,0.05  -->  4 points, each so many replications  -->  a row a point

A point is one or several ordinary commands, `zsms plan` or `zsms run`, each a process of its own, here or on a worker.
What has come of a point is written down at once, so that a sweep that was interrupted goes on with the others.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zsms.core.seeds import sequence
from zsms.errors import UsageError, ZsmsError
from zsms.launch import children
from zsms.report.spread import Point, Spread, cell_of

MAX_POINTS = 10_000
_FORMAT = 1


def parse_vary(texts: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Names and values of `NAME=VALUE,VALUE,...` texts; 1e5 is written 100000. Raises UsageError."""
    found: list[tuple[str, list[str]]] = []
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().lstrip("-").replace("_", "-")
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
    """A whole number in digits, whatever it was written as."""
    try:
        number = float(value)
    except ValueError:
        return value
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else value


def points_of(varied: Sequence[tuple[str, Sequence[str]]]) -> list[Point]:
    """Every combination, the last one varying fastest. Raises UsageError for too many."""
    names = [name for name, _ in varied]
    points = [tuple(zip(names, values, strict=True)) for values in itertools.product(*(each for _, each in varied))]
    if len(points) > MAX_POINTS:
        raise UsageError(f"{len(points):,} points: {MAX_POINTS:,} at most")
    return points


def commands_of(point: Point, fixed: Sequence[str], replications: int, live: bool, seed: int) -> list[list[str]]:
    """What is run for a point: one plan with its replications, or so many runs, each with a seed of its own."""
    options = [part for name, value in point for part in (f"--{name}", value)]
    if not live:
        said = ["--replications", str(replications), "--jobs", "1", "--no-variants", "--quiet"]
        return [["plan", *fixed, *options, "--seed", str(seed), *said, "--json", "-"]]
    said = ["--ui", "none", "--quiet", "--json", "-"]
    seeds = [int(sequence(seed, "sweep", number).generate_state(1)[0]) for number in range(replications)]
    return [["run", *fixed, *options, "--seed", str(each), *said] for each in seeds]


def execute(commands: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """The reports of these commands, one after the other. Raises ZsmsError when one fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ZSMS_")}
    found = []
    for command in commands:
        done = subprocess.run(
            [*children.COMMAND, *command],
            env=children.with_this_package(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise ZsmsError(f"zsms {' '.join(command)} exited with {done.returncode}: {lines[-1] if lines else ''}")
        found.append(json.loads(done.stdout))
    return found


def figures_of(reports: Sequence[Mapping[str, Any]], live: bool) -> dict[str, Spread]:
    """What a point's reports say."""
    if not live:
        (plan,) = reports
        bands = {f"reach_{name}_s": Spread(*list(band.values())[:3]) for name, band in plan["reach_s"].items()}
        counts = plan["counts"]
        names = [name for name in ("delivered", "failed", "unsent") if name in counts]
        means = {name: Spread(None, round(counts[name], 3) + 0.0, None) for name in names}
        return {**bands, **means}
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


class Record:
    """What has come of points so far, a JSON object a line; or nothing that is kept, without a path."""

    def __init__(self, path: str | None, settings: Mapping[str, Any]) -> None:
        """Raises UsageError when the file is of another sweep, or can't be had."""
        self.done: dict[Point, dict[str, Spread]] = {}
        self.trouble = ""
        """Why nothing more is kept; empty when all is well."""
        self._path = None if path is None else Path(path)
        if self._path is None:
            return
        head = {"sweep": _FORMAT, **settings}
        if self._path.exists() and not self._path.is_file():
            raise UsageError(f"--record {path}: that is no file")
        try:
            lines = self._path.read_text().splitlines() if self._path.exists() else []
            if not lines:
                self._path.write_text(json.dumps(head) + "\n")
        except OSError as error:
            raise UsageError(f"--record {path}: {error.strerror}") from None
        if lines:
            self._take(lines, head)

    def _take(self, lines: list[str], head: dict[str, Any]) -> None:
        whole = lines[:-1] + [line for line in lines[-1:] if line.endswith("}")]
        if len(whole) < len(lines):  # it was cut when the sweep was interrupted
            assert self._path is not None
            self._path.write_text("".join(f"{line}\n" for line in whole))
        try:
            first, *rest = map(json.loads, whole)
        except ValueError:
            raise UsageError(f"--record {self._path}: that is no record of a sweep") from None
        if first != head:
            other = sorted(key for key in head if first.get(key) != head[key])
            raise UsageError(
                f"--record {self._path} is of another sweep ({', '.join(other)} differ): give another file"
            )
        for line in rest:
            point = tuple((str(name), str(value)) for name, value in line["point"])
            self.done[point] = {name: Spread(*values) for name, values in line["figures"].items()}

    def add(self, point: Point, figures: dict[str, Spread]) -> None:
        """Keep what came of a point; in memory in any case."""
        self.done[point] = figures
        if self._path is None or self.trouble:
            return
        try:
            with self._path.open("a") as file:
                file.write(json.dumps({"point": point, "figures": figures}) + "\n")
        except OSError as error:
            self.trouble = f"--record {self._path}: {error.strerror}; this sweep can't be gone on with from here"


def rows_of(points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> Iterator[tuple[Point, Any]]:
    """The points that are done, in order."""
    return ((point, done[point]) for point in points if point in done)


def to_csv(points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> str:
    """A row a point: its settings, and each figure with its spread."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    for number, (point, figures) in enumerate(rows_of(points, done)):
        if not number:
            heads = [f"{name}{part}" for name in figures for part in ("_low", "", "_high")]
            table.writerow([*(name for name, _ in point), *heads])
        cells = [value for spread in figures.values() for value in spread]
        table.writerow([*(value for _, value in point), *("" if cell is None else f"{cell:.9g}" for cell in cells)])
    return out.getvalue()


def to_lines(points: Sequence[Point], done: Mapping[Point, Mapping[str, Spread]]) -> list[str]:
    """A table for people: the medians of each point, and how far its replications lie apart."""
    found = list(rows_of(points, done))
    if not found:
        return []
    names = [name for name, _ in found[0][0]]
    figures = list(found[0][1])
    cells = [[*names, *figures]]
    for point, spreads in found:
        cells.append([*(value for _, value in point), *(cell_of(spreads[name]) for name in figures)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells]
