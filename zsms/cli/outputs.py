"""Where a run's report goes, and what is expected of it: the options of `zsms run` that have to do with its end."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from zsms import saving
from zsms.cli import places, streams
from zsms.cli.common import together
from zsms.errors import UsageError

if TYPE_CHECKING:
    from zsms.report.report import Report

_log = logging.getLogger("zsms.report")


class _Expectation(click.types.StringParamType):
    """A threshold. Several in one environment variable stand side by side, each with or without spaces in it."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Each of them; text that is none stays whole, to be complained of."""
        from zsms.report.thresholds import split

        return split(rv)


class _Tag(click.ParamType["tuple[str, str]"]):
    name = "text"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Each of them, which may have blanks in its text."""
        return re.split(r"\s+(?=[^\s=]+=)", rv.strip())

    def convert(self, value: object, parameter: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r}: write NAME=VALUE", parameter, ctx)
        return name.strip(), text.strip()


def tags_of(given: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The tags by name. Raises UsageError for one that is given twice."""
    names = [name for name, _ in given]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"--tag {twice[0]} is given twice")
    return dict(given)


options = together(
    [
        click.option(
            "--json", metavar="PATH", type=places.WRITTEN, help="Write the report there; - for standard output."
        ),
        click.option(
            "--html",
            metavar="PATH",
            type=places.WRITTEN,
            help="Write the report as a page with charts, one file that needs no network.",
        ),
        click.option(
            "--csv",
            metavar="PREFIX",
            type=places.REPORT_CSV,
            help="Write PREFIX-summary.csv, PREFIX-history.csv and PREFIX-senders.csv.",
        ),
        click.option(
            "--junit",
            metavar="PATH",
            type=places.WRITTEN,
            help="Write as JUnit's XML whether the ledger balances and which thresholds hold. In a workflow of GitHub, "
            "those that don't are its annotations too.",
        ),
        click.option("--title", default="", help="What this run is called in its summary, report and page."),
        click.option(
            "--tag",
            metavar="NAME=VALUE",
            type=_Tag(),
            multiple=True,
            help="What else is to be known of this run, in the same places; repeatable.",
        ),
        click.option("--dry-run", is_flag=True, help="Check everything, say what would be started, and leave."),
        click.option(
            "--threshold",
            metavar="EXPECTATION",
            type=_Expectation(),
            multiple=True,
            help="What must be true of the report, such as 'send_time_s.p99<1.5', in its units; repeatable. "
            "Operators: < <= > >= == !=. Exits with 99 when one fails.",
        ),
        click.option("--allow-failures", is_flag=True, help="Exit with 0 even if nothing at all could be sent."),
        click.option(
            "--abort-on-fail", is_flag=True, help="Drain and end as soon as a threshold can't be kept any more."
        ),
    ]
)

STDOUT = "-"
FORMS = ("json", "html", "csv", "junit")
"""What a report is written as, each by an option."""


class Output:
    """One file that was asked for, or standard output."""

    def __init__(self, what: str, path: str) -> None:
        self.what = what
        """json, html, junit, or what the name of the CSV file ends with."""
        self.path = STDOUT if path == STDOUT or saving.descriptor_of(path) == 1 else path

    @property
    def ending(self) -> str:
        """Of a file that takes its place."""
        return {"json": "report.json", "html": "report.html", "junit": "junit.xml"}.get(
            self.what, f"report-{self.what}.csv"
        )

    def check(self) -> None:
        """Raises UsageError when it can't be written, before the work."""
        if self.path == STDOUT:
            return
        try:
            saving.check(self.path)
        except OSError as error:
            raise UsageError(f"can't write the report to {self.path or repr('')}: {error.strerror}") from None

    @property
    def is_stream(self) -> bool:
        """Whether somebody else decides how long writing takes."""
        return self.path == STDOUT or (os.path.exists(self.path) and not os.path.isfile(self.path))

    def write(self, data: bytes) -> str | None:
        """Returns what went wrong, in words; a reader that has left is nothing wrong."""
        try:
            if self.path != STDOUT:
                saving.save(self.path, data)
                return None
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            if (error := streams.take_error()) is None:
                return None
            raise error
        except BrokenPipeError:
            return None
        except OSError as error:
            where = "standard output" if self.path == STDOUT else self.path
            return f"can't write the report to {where}: {error.strerror or error}"


class Outputs:
    """Everywhere that a report goes to. What is there stays until there is something to take its place."""

    def __init__(
        self, *, json: str | None = None, html: str | None = None, csv: str | None = None, junit: str | None = None
    ) -> None:
        """Raises UsageError for what can't be written, or for one file that is to be two."""
        paths = {"json": json, "html": html, "junit": junit}
        if csv is not None:
            if os.path.basename(csv) in ("", STDOUT):
                raise UsageError(f"--csv {csv!r}: give what the names of its files begin with")
            paths |= {part: f"{csv}-{part}.csv" for part in ("summary", "history", "senders")}
        self._outputs = [Output(what, path) for what, path in paths.items() if path is not None]
        seen: dict[str, str] = {}
        for output in self._outputs:
            output.check()
            whole = STDOUT if output.path == STDOUT else os.path.realpath(output.path)
            if whole in seen and (whole == STDOUT or not output.is_stream):
                raise UsageError(f"{output.path} can't be both the {seen[whole]} and the {output.what} of the report")
            seen[whole] = output.what

    @property
    def names(self) -> list[str]:
        """Where it goes, for people."""
        return [
            f"{output.what} to {'standard output' if output.path == STDOUT else output.path}"
            for output in self._outputs
        ]

    @property
    def on_stdout(self) -> bool:
        """Whether standard output is the report's."""
        return any(output.path == STDOUT for output in self._outputs)

    def write(self, report: Report) -> bool:
        """In every form that was asked for, files first; whether all of it arrived.

        Each that can't be written is a line on standard error, and kept somewhere else where that can be.
        """
        texts = _texts(report)
        well = True
        for output in sorted(self._outputs, key=lambda output: output.is_stream):
            if output.is_stream:
                _can_be_interrupted()
            try:
                data = texts[output.what]().encode("utf-8", "backslashreplace")
            except Exception as error:  # whatever is wrong with this one, the others are written
                _log.debug("%s", output.what, exc_info=True)
                why: str | None = f"can't make the {output.what} of the report: {type(error).__name__}: {error}"
            else:
                why = output.write(data)
                if why is not None:
                    why += self._kept(output, data)
            if why is not None:
                well = False
                _log.error("%s", why)
        return well

    def _kept(self, output: Output, data: bytes) -> str:
        """Where the report is, if it is not where it should be."""
        kept = saving.save_elsewhere(output.ending, data)
        if kept is not None:
            return f"; it is in {os.path.abspath(kept)}"
        if output.what == "json" and not self.on_stdout:
            click.echo(data.decode(), nl=False)
            if streams.take_error() is None:
                return "; it is on standard output"
        return ", nor anywhere else"


def _texts(report: Report) -> dict[str, Callable[[], str]]:
    """How each form is made."""
    from zsms.dashboard.report_page import render
    from zsms.report import verdicts
    from zsms.report.csv import TABLES, csv_text

    def table(what: str) -> Callable[[], str]:
        return lambda: csv_text(what, report.to_json())

    return {
        "json": report.dumps,
        "html": lambda: render(report.to_json()),
        "junit": lambda: verdicts.junit(report.to_json()),
        **{what: table(what) for what in TABLES},
    }


def _can_be_interrupted() -> None:
    """The files are written: from here on nobody has to wait for a reader that does not read."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _in_workflow() -> bool:
    """Whether this is a step of a workflow of GitHub, whose runners look for commands in what their steps write."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotate(report: Report, *, on_stderr: bool) -> None:
    """Tell GitHub of what is not as it should be."""
    if _in_workflow():
        from zsms.report.verdicts import workflow_commands

        for line in workflow_commands(report.to_json()):
            click.echo(line, err=on_stderr)


def annotate_error(text: str) -> None:
    """The same of one error, for another command."""
    if _in_workflow():
        from zsms.report.verdicts import annotation

        click.echo(annotation("zsms compare", text), err=True)


def show_summary(lines: list[str], *, on_stderr: bool) -> None:
    """The last thing; that nobody can read it changes nothing of the run."""
    _can_be_interrupted()
    if _in_workflow():  # nothing that a title or a gateway says is a command
        token = secrets.token_hex(16)
        lines = [f"::stop-commands::{token}", *lines, f"::{token}::"]
    for line in lines:
        click.echo(line, err=on_stderr)
    if (error := streams.take_error()) is not None:
        _log.error("can't write the summary to standard output: %s", error.strerror)
