"""The live progress of `zsms run`: a rich line on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

import click

from zsms.roles.monitor import line_of

if TYPE_CHECKING:
    from zsms.core.view import View

PLAIN_S = 1.0
"""Seconds between two plain lines."""


def short(count: float) -> str:
    """A count in at most five characters: 999, 1.23k, 12.3k, 123k, 1.23M."""
    for unit in ("", "k", "M"):
        if count < 999.5:
            return f"{count:.0f}" if not unit else f"{count:.3g}{unit}"
        count /= 1_000
    return f"{count:.3g}G"


class Progress:
    """Shows views as they come, and what is said in between."""

    def __init__(self, quiet: bool) -> None:
        self.total: int | None = None
        """Messages to come in all, if that is known."""
        self._quiet = quiet
        self._live: Any = None
        self._task: Any = None
        self._before: View | None = None
        self._rate = 0.0

    def __enter__(self) -> Self:
        if self._quiet:
            return self
        from rich.console import Console
        from rich.progress import Progress as Bars
        from rich.progress import TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Bars(
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(compact=True),
                console=console,
            )
            self._live.start()
            self._task = self._live.add_task("", total=None, figures="starting")
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def show(self, view: View, first: View | None) -> None:
        """A new view."""
        before = self._before
        if self._quiet or (before is not None and view.at - before.at < (0.25 if self._live else PLAIN_S)):
            return
        if before is not None:
            self._rate = view.rate_since(before)
        self._before = view
        if self._live is None:
            click.echo(f"{time.strftime('%H:%M:%S')} {line_of(view, before)}", err=True)
            return
        total = self.total if self.total is not None else view.produced if view.producers_done else None
        figures = (
            f"{short(view.settled)} settled  {short(self._rate)}/s  "
            f"{short(view.queued)} queued  {short(view.in_flight)} in flight"
        )
        if view.failed or view.dead:
            figures += f"  {short(view.failed + view.dead)} failed"
        self._live.update(self._task, total=total, completed=view.settled, figures=figures)

    def say(self, text: str) -> None:
        """Something worth a line of its own."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None
