"""`zsms compare`."""

from __future__ import annotations

import os
import sys
from glob import glob
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zsms.cli import places
from zsms.cli.outputs import Output, annotate_error
from zsms.errors import UsageError
from zsms.reading import json_of
from zsms.words import many, writable

if TYPE_CHECKING:
    from zsms.report.comparison import Difference

TOO_FEW = 2
"""The exit code when there is too little to judge."""


@click.command(
    "compare",
    epilog="""\b
Examples:
  zsms compare before.json after.json            one run each: nothing but losses is judged
  zsms compare before/ after/                    folders of repeated runs
  zsms compare 'before-*.json' 'after-*.json'    the same by pattern
  zsms compare before/ after/ --figure throughput_per_s --fail-if-worse 5""",
)
@click.argument("base", type=places.READ)
@click.argument("new", type=places.READ)
@click.option("--figure", metavar="FIELD", multiple=True, help="Compare only this figure of the report; repeatable.")
@click.option(
    "--fail-if-worse",
    metavar="PERCENT",
    type=click.FloatRange(min=0),
    help="Exit with 1 when a figure is significantly worse, and by more than that, or when more is lost, unsettled or "
    "unbalanced at all; with 2 when there are too few runs to judge, or what is to be judged was not measured.",
)
@click.option(
    "--html",
    metavar="PATH",
    type=places.WRITTEN,
    help="Write the comparison as a page too, one file that needs no network.",
)
def command(base: str, new: str, figure: tuple[str, ...], fail_if_worse: float | None, html: str | None) -> int:
    """Print how the reports of NEW differ from those of BASE.

    Each is a report (`zsms run --json`), a folder of reports of repeated runs, or a quoted pattern of files. p is the
    probability that chance makes any of the figures stand out as much (permutation test, corrected for the number of
    figures), and up to 0.05 a figure counts as better or worse. It takes 4 and 4 runs to say so. What is lost needs no
    such test. Times are in seconds.
    """
    from zsms.report.comparison import CERTAIN, compare, not_in_all, unlike, without_any

    if fail_if_worse is not None and not isfinite(fail_if_worse):
        raise UsageError(f"--fail-if-worse {fail_if_worse}: give a percentage")
    output = None if html is None else Output("html", html)
    if output is not None:
        output.check()
    before, after = _reports(base), _reports(new)
    differences = compare(before, after, figure)
    apart = [f"not alike: {line}" for line in unlike(before, after)]
    not_measured = not_in_all([*before, *after], figure)
    remarks = _remarks(differences, ((base, before), (new, after)), not_measured)
    # Written first: whoever reads standard output may have left.
    written = output is None or _write(output, differences, ((base, before), (new, after)), apart + remarks)
    for line in apart:
        click.echo(line, err=True)
    for line in [*_lines(differences, len(before), len(after)), *remarks]:
        click.echo(line)
    needed = {*figure, *CERTAIN} if figure else {*CERTAIN, *without_any(before, after)}
    missing = [name for name in not_measured if name in needed]
    runs = (len(before), len(after))
    return (0 if fail_if_worse is None else _judge(differences, fail_if_worse, runs, missing)) or int(not written)


_Sets = tuple[tuple[str, list[dict[str, Any]]], tuple[str, list[dict[str, Any]]]]


def _remarks(differences: list[Difference], sets: _Sets, not_measured: list[str]) -> list[str]:
    """What is said below the table."""
    from zsms.report.comparison import SIGNIFICANT, smallest_p

    lines = []
    equal = [each.figure.name for each in differences if each.equal]
    if equal:
        lines.append(f"equal in all runs: {', '.join(equal)}")
    n, m = (len(reports) for _, reports in sets)
    if smallest_p(n, m) > SIGNIFICANT:
        lines.append(f"too few runs to judge: {n} and {m} can't show a difference at p = {SIGNIFICANT}, 4 and 4 can")
    for name, reports in sets:
        unbalanced = sum(not report["balanced"] for report in reports)
        if unbalanced:
            lines.append(f"{name}: {unbalanced} of {many(len(reports), 'run')} not balanced")
    if not_measured:
        lines.append(f"not measured in every run, so not compared: {', '.join(not_measured)}")
    return lines


def _write(output: Output, differences: list[Difference], sets: _Sets, remarks: list[str]) -> bool:
    """Write the page; whether it arrived."""
    from zsms.dashboard.compare_page import render

    (base, before), (new, after) = sets
    rows = _rows(differences, len(before), len(after))
    page = render(differences, (before, after), (writable(base), writable(new)), rows=rows, remarks=remarks)
    why = output.write(page.encode("utf-8", "backslashreplace"))
    if why is not None:
        click.echo(f"zsms compare: {why}", err=True)
    return why is None


def _judge(differences: list[Difference], percent: float, runs: tuple[int, int], missing: list[str]) -> int:
    """The exit code: 1 worse, 2 can't be judged, 0 neither; and why, on stderr."""
    from zsms.report.comparison import SIGNIFICANT, smallest_p

    worse = [each for each in differences if each.worse_than(percent / 100)]
    for each in worse:
        how = "" if each.certain else f" by more than {percent:g} %"
        click.echo(f"zsms compare: {each.figure.name} is worse{how}", err=True)
        annotate_error(f"{each.figure.name} is worse{how}")
    if worse:
        return 1
    if smallest_p(*runs) > SIGNIFICANT:
        click.echo(f"zsms compare: {runs[0]} and {runs[1]} runs are too few to judge; 4 and 4 are enough", err=True)
        return TOO_FEW
    if missing:
        click.echo(f"zsms compare: not measured in every run, so not judged: {', '.join(missing)}", err=True)
        return TOO_FEW
    return 0


def _reports(where: str) -> list[dict[str, Any]]:
    """The reports of a file, a folder or a pattern, by name. Raises UsageError when there is none."""
    path = Path(where)
    if path.is_dir():
        found = [_read(each) for each in sorted(path.glob("*.json"))]
        reports = [report for report in found if isinstance(report, dict)]
        if not reports:
            raise UsageError(f"{where}: no report in this folder; write them with zsms run --json {where}/1.json")
        return reports
    paths = [path] if path.exists() or not any(c in where for c in "*?[") else sorted(map(Path, glob(where)))
    if not paths:
        raise UsageError(f"{where}: no file of such a name")
    reports = []
    for each in paths:
        report = _read(each)
        if isinstance(report, str):
            raise UsageError(f"{each}: {report}")
        reports.append(report)
    return reports


def _read(path: Path) -> dict[str, Any] | str:
    """A report without its series, of which a hundred would fill the memory; or why there is none in this file."""
    from zsms.report.comparison import figures_of
    from zsms.report.report import SCHEMA

    try:
        body = json_of(str(path))
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except UsageError as error:
        return f"no report: {str(error).removeprefix(f'{path} ')}"
    schema = body.get("schema") if isinstance(body, dict) else None
    if isinstance(schema, str) and schema.startswith("zsms-plan/"):
        return "no report, but a plan: zsms plan --against REPORT sets a run beside one"
    if not isinstance(body, dict) or schema != SCHEMA:
        told = f"{schema[:40]!r}, not" if isinstance(schema, str) else "not"
        return f"no report: its `schema` is {told} {SCHEMA}"
    body.pop("series", None)
    title, tags = body.get("title", ""), body.get("tags", {})
    if not isinstance(tags, dict) or not all(isinstance(each, str) for each in (title, *tags.values())):
        return "no report: its title or its tags are no texts"
    try:
        figures_of(body)
    except UsageError as error:
        return str(error)
    return body


def _rows(differences: list[Difference], n: int, m: int) -> list[tuple[str, ...]]:
    """The cells of the table, a heading first."""
    rows: list[tuple[str, ...]] = [("figure", f"base ({n})", f"new ({m})", "change", "p", "")]
    for each in (each for each in differences if not each.equal):
        rows.append(
            (
                each.figure.name,
                _mean(each.base, each.figure.unit),
                _mean(each.new, each.figure.unit),
                _change(each.change),
                "" if each.p is None else f"{each.p:.3f}",
                {"same": "", "other": ""}.get(each.verdict, each.verdict),
            )
        )
    return rows


def _lines(differences: list[Difference], n: int, m: int) -> list[str]:
    rows = _rows(differences, n, m)
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in range(1, 5))]
        verdict = click.style(row[5], fg="red" if row[5] == "worse" else "green") if colour else row[5]
        lines.append("  ".join([*cells, verdict]).rstrip())
    return lines


def _mean(values: tuple[float, ...], unit: str) -> str:
    """The mean, and of several runs their standard deviation."""
    from statistics import fmean, stdev

    def write(value: float, digits: int = 4) -> str:
        if unit == "bytes":
            return f"{value / 2**20:,.1f} MiB"
        whole = abs(value) >= 1_000 or (unit in ("messages", "runs") and value == int(value))
        return f"{value:,.0f}" if whole else f"{value:.{digits}g}"

    return write(fmean(values)) + (f" ± {write(stdev(values), 2)}" if len(values) > 1 else "")


def _change(change: float) -> str:
    return f"{change:+.1%}" if abs(change) != float("inf") else "from 0"
