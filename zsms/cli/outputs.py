"""Where a run's report goes, and what is expected of it: the options of `zsms run` that have to do with its end."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Self

import click

from zsms.cli.common import together
from zsms.errors import UsageError

if TYPE_CHECKING:
    from zsms.report import Report


class _Expectation(click.types.StringParamType):
    """A threshold. Several in one environment variable stand side by side, each with or without spaces in it."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Each of them; text that is none stays whole, to be complained of."""
        from zsms.thresholds import split

        return split(rv)


options = together(
    click.option("--json", metavar="PATH", help="Write the report there; - for standard output."),
    click.option(
        "--html", metavar="PATH", help="Write the report as a page with charts, one file that needs no network."
    ),
    click.option(
        "--csv", metavar="PREFIX", help="Write PREFIX-summary.csv, PREFIX-history.csv and PREFIX-senders.csv."
    ),
    click.option(
        "--threshold",
        metavar="EXPECTATION",
        type=_Expectation(),
        multiple=True,
        help="What must be true of the report, such as 'send_time_s.p99<1.5', in its units; repeatable. "
        "Operators: < <= > >= == !=. Exits with 99 when one fails.",
    ),
    click.option("--allow-failures", is_flag=True, help="Exit with 0 even if nothing at all could be sent."),
    click.option("--abort-on-fail", is_flag=True, help="Drain and end as soon as a threshold can't be kept any more."),
)


class Outputs:
    """Opens the files before the run, so that a path that can't be written is told before the work."""

    def __init__(self, *, json: str | None, html: str | None, csv: str | None) -> None:
        self._paths = {"json": json, "html": html}
        if csv is not None:
            self._paths |= {part: f"{csv}-{part}.csv" for part in ("summary", "history", "senders")}
        self._files: dict[str, IO[str]] = {}
        self._stack = ExitStack()

    @property
    def on_stdout(self) -> bool:
        """Whether standard output is the report's."""
        return "-" in self._paths.values()

    def __enter__(self) -> Self:
        with self._stack as opened:
            for what, path in self._paths.items():
                if path == "-":
                    self._files[what] = sys.stdout
                elif path is not None:
                    self._files[what] = opened.enter_context(self._open(path))
            self._stack = opened.pop_all()
        return self

    def _open(self, path: str) -> IO[str]:
        try:
            return open(path, "w", encoding="utf-8", newline="")
        except OSError as error:
            raise UsageError(f"can't write the report to {path}: {error.strerror}") from None

    def write(self, report: Report) -> None:
        """In every form that was asked for."""
        from zsms.tables import csv_texts
        from zsms.web.report_page import render

        if not self._files:
            return
        body = report.to_json()
        tables = csv_texts(body)
        for what, file in self._files.items():
            file.write(report.dumps() if what == "json" else render(body) if what == "html" else tables[what])

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
