"""`zsms compare`."""

from __future__ import annotations

import json
import os
import sys
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zsms.errors import UsageError

if TYPE_CHECKING:
    from zsms.comparison import Difference


@click.command(
    "compare",
    epilog="""\b
Examples:
  zsms compare before.json after.json            one run each: no significance
  zsms compare before/ after/                    folders of repeated runs
  zsms compare 'before-*.json' 'after-*.json'    the same by pattern
  zsms compare before/ after/ --figure throughput_per_s --fail-if-worse 5""",
)
@click.argument("base")
@click.argument("new")
@click.option("--figure", metavar="FIELD", multiple=True, help="Compare only this figure of the report; repeatable.")
@click.option(
    "--fail-if-worse",
    metavar="PERCENT",
    type=click.FloatRange(min=0),
    help="Exit with 1 when a figure is worse by more than that, and, of repeated runs, significantly so.",
)
def command(base: str, new: str, figure: tuple[str, ...], fail_if_worse: float | None) -> int:
    """Print how the reports of NEW differ from those of BASE.

    Each is a report (`zsms run --json`), a folder of reports of repeated runs, or a quoted pattern of files. With
    repeats, p is the probability of such a difference by chance (permutation test, exact for few runs), and up to
    0.05 a figure counts as better or worse; of twenty figures, one is so by chance. Times are in seconds.
    """
    from zsms.comparison import compare, settings_apart

    before, after = _reports(base), _reports(new)
    differences = compare(before, after, figure)
    for line in settings_apart(before[0], after[0]):
        click.echo(f"not alike: {line}", err=True)
    for line in _lines(differences, len(before), len(after)):
        click.echo(line)
    for name, reports in ((base, before), (new, after)):
        unbalanced = sum(not report["balanced"] for report in reports)
        if unbalanced:
            click.echo(f"{name}: {unbalanced} of {len(reports)} runs not balanced")
    if fail_if_worse is None:
        return 0
    worse = [each for each in differences if each.worse_by() * 100 > fail_if_worse]
    for each in worse:
        click.echo(f"zsms compare: {each.figure.name} is worse by more than {fail_if_worse:g} %", err=True)
    return 1 if worse else 0


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
    """A report, or why there is none in this file."""
    from zsms.report import SCHEMA

    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except ValueError:
        return "no report: it is not JSON"
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        return f"no report: its `schema` is not {SCHEMA}"
    return body


def _lines(differences: list[Difference], n: int, m: int) -> list[str]:
    from zsms.comparison import SIGNIFICANT, smallest_p

    rows = [("figure", f"base ({n})", f"new ({m})", "change", "p", "")]
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
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in range(1, 5))]
        verdict = click.style(row[5], fg="red" if row[5] == "worse" else "green") if colour else row[5]
        lines.append("  ".join([*cells, verdict]).rstrip())
    equal = [each.figure.name for each in differences if each.equal]
    if equal:
        lines.append(f"equal in all runs: {', '.join(equal)}")
    if n + m == 2:
        lines.append("no repeats: no significance")
    elif smallest_p(n, m) > SIGNIFICANT:
        lines.append(f"{n} and {m} runs can't show a difference at p = {SIGNIFICANT}: 4 and 4 can")
    return lines


def _mean(values: tuple[float, ...], unit: str) -> str:
    """The mean, and of several runs their standard deviation."""
    from statistics import fmean, stdev

    def write(value: float, digits: int = 4) -> str:
        if unit == "bytes":
            return f"{value / 2**20:,.1f} MiB"
        return f"{value:,.0f}" if unit == "messages" or abs(value) >= 1_000 else f"{value:.{digits}g}"

    return write(fmean(values)) + (f" ± {write(stdev(values), 2)}" if len(values) > 1 else "")


def _change(change: float) -> str:
    return f"{change:+.1%}" if abs(change) != float("inf") else "from 0"
