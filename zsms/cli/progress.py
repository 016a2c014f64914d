"""How a mesh is shown while it runs: a live panel, a line an interval, or not at all; always on stderr.

--ui     what there is
live     zsms.cli.panel
plain    a line every interval under a header that comes again, or a log line where logs are JSON
none     nothing
auto     live on a terminal that can do it, and that is ours; else plain
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Self

import click

from zsms import logs
from zsms.errors import UsageError
from zsms.formats import count, short
from zsms.roles.monitor import line_of, made_of
from zsms.stats.trends import staleness
from zsms.words import many

if TYPE_CHECKING:
    from zsms.cli.panel.live import LivePanel
    from zsms.stats.trends import Trends
    from zsms.stats.view import View

PLAIN_S = 1.0
"""Seconds between two plain lines."""
HEADER_LINES = 20
"""Lines between two headers."""


class Silent:
    """Shows nothing; what the others are, too."""

    detail_s = inf
    """How often the views should have histograms, seconds."""

    def __init__(self) -> None:
        self.control: Any = None
        """What the keys stop, or whose rate they change: a mesh, or a monitor."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def show(self, view: View, before: View | None) -> None:
        """A new view."""

    def end(self) -> None:
        """Leave the terminal as it was; the end of the block does it too."""


class Plain(Silent):
    """A line an interval."""

    def __init__(self, interval: float = PLAIN_S) -> None:
        super().__init__()
        self._interval = interval
        self._before: View | None = None
        self._lines = 0
        self._noted = ""
        self._watch: Trends | None = None
        self._log = logging.getLogger("zsms.progress") if logs.as_json() else None

    def show(self, view: View, before: View | None) -> None:
        """A new view."""
        before = self._before
        if before is not None and view.at - before.at < 0.95 * self._interval:
            return
        self._before = view
        if self._log is not None:
            from zsms.stats.trends import Trends

            self._watch = self._watch or Trends()
            self._log.info("%s", line_of(view, before, self._watch.take(view).left_s))
            return
        if self._lines % HEADER_LINES == 0:
            click.echo(HEADER, err=True)
        self._lines += 1
        click.echo(row_of(view, before), err=True)
        self._note(view)

    def _note(self, view: View) -> None:
        """What the row can't say: once, and again when it has changed."""
        note = f"missing: {many(view.missing, 'confirmed message')} that no broker answers for" if view.missing else ""
        if view.untold:
            note += f"{'; ' if note else ''}produced: {made_of(view)}, for {view.untold}"
        stale, frozen = staleness(view)
        if frozen and stale:
            note += f"{'; ' if note else ''}{stale.partition(' for ')[0]}: these are its last figures"
        if note and note != self._noted:
            click.echo(f"         ! {note}", err=True)
        self._noted = note


HEADER = (
    f"{'time':>8}{'produced':>12}{'sent':>12}{'failed':>7}{'mean s':>7}"
    f"{'rate/s':>10}{'queued':>8}{'in flight':>10}{'alive':>6}"
)
"""`alive` counts senders."""


def row_of(view: View, before: View | None) -> str:
    """A line of figures under `HEADER`, in 80 columns; what is too long for its column is short: 153k."""
    counts = ((view.made, 12), (view.sent, 12), (view.failed + view.dead, 7))
    others = ((view.rate_since(before), 10), (view.queued, 8), (view.in_flight, 10), (view.senders_alive, 6))
    return f"{time.strftime('%H:%M:%S')}{_cells(counts)}{view.mean_s:>7.3f}{_cells(others)}"


def _cells(counts: Sequence[tuple[float, int]]) -> str:
    """Counts, each to the right of so many columns, with a space before it."""
    texts = ((count(value), value, width) for value, width in counts)
    return "".join(f"{text if len(text) < width else short(value):>{width}}" for text, value, width in texts)


def make(ui: str, title: str, leave: str, *, total: int | None = None, interval: float = PLAIN_S) -> Silent | LivePanel:
    """What `--ui` asks for, as a block. Raises UsageError when there can't be a live panel.

    `leave` says what the key q does, `total` how many messages there will be, `interval` how many seconds are between
    two lines.
    """
    why = _why_not_live()
    if ui == "live" and why:
        raise UsageError(f"--ui live: {why}")
    if ui == "live" or (ui == "auto" and not why and not logs.as_json()):
        from zsms.cli.panel.live import LivePanel

        return LivePanel(title, leave, total=total, bar_s=max(1.0, interval))
    return Silent() if ui == "none" else Plain(interval)


def _why_not_live() -> str | None:
    if not sys.stderr.isatty():
        return "standard error is no terminal"
    if (os.environ.get("TERM") or "dumb") in ("dumb", "unknown"):
        return "this terminal can't move its cursor (TERM)"
    from zsms.cli.panel.keys import in_foreground

    return None if in_foreground(sys.stderr.fileno()) else "this process is in the background"
