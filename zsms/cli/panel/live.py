"""The panel on a terminal: the screen, the keys, and the way back.

    with LivePanel("zsms run", control=mesh) as panel:
        mesh.run()                            calls panel.show(view, first)

It has the alternate screen while the block runs, so that what was on the terminal is there again afterwards, however
the block ends. What is logged meanwhile is shown among the events, and written when the screen is back. Ctrl-Z gives
the screen back until the process is in the foreground again; in the background nothing is drawn.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from contextlib import ExitStack
from logging import LogRecord
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live

from zsms import logs
from zsms.cli.panel.keys import Keyboard, in_foreground, terminal_input
from zsms.cli.panel.look import EVENTS, Panel, columns
from zsms.errors import UsageError
from zsms.stats.trends import Event, Standing, Trends

if TYPE_CHECKING:
    from zsms.stats.view import View

REFRESH_S = 0.25
"""Seconds between two looks."""
SILENT_S = 1.5
"""Seconds without a new view after which the last one is shown as stale."""
RATE_STEP = 1.1
"""What a key changes the arrival rate by."""


class LivePanel:
    """Shows views, and lets keys control what makes them."""

    detail_s = REFRESH_S
    """How often the views should have histograms."""

    def __init__(self, title: str, leave: str, *, total: int | None = None, bar_s: float = 1.0) -> None:
        """`leave` says what the key q does; `total` and `bar_s` are those of :class:`zsms.stats.trends.Trends`."""
        self.control: Any = None
        """What the keys stop, and whose rate they change: a mesh, or a monitor."""
        self._title, self._leave = title, leave
        self._console = Console(stderr=True)
        self._watch = Trends(total, bar_s)
        self._figures: Standing | None = None
        self._sort = self._page = 0
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._shown: ExitStack | None = None
        self._drawing = self._pause_wanted = self._ended = False
        self._live: Live
        self._has_keys = False
        self._records: deque[LogRecord] = deque()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._records = stack.enter_context(logs.diverted(self._draw))
            if threading.current_thread() is threading.main_thread():
                before = signal.signal(signal.SIGTSTP, self._pause)
                stack.callback(signal.signal, signal.SIGTSTP, before)
            stack.callback(self._end)
            self._draw()
            threading.Thread(target=self._redraw_stale, name="panel", daemon=True).start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """Leave the terminal as it was, and write what was logged."""
        self._stack.close()

    def show(self, view: View, before: View | None) -> None:
        """A new view."""
        if self._figures is not None and view.at - self._figures.view.at < 0.9 * REFRESH_S:
            return
        with self._lock:
            self._figures = self._watch.take(view)
        self._draw()

    # -- the screen -----------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        # Whoever finds another one drawing leaves it at that: the next look is soon, and nobody waits for anybody.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._drawing = threading.current_thread() is threading.main_thread()
            if not self._ended and in_foreground(sys.stderr.fileno()):
                if self._shown is None:
                    self._unhide()
                self._live.update(Group(*self._lines()), refresh=True)
        finally:
            self._drawing = False
            self._lock.release()
        if self._pause_wanted and threading.current_thread() is threading.main_thread():
            self._pause_now()

    def _unhide(self) -> None:
        with ExitStack() as stack:
            fd = terminal_input()
            self._has_keys = fd is not None
            if fd is not None:
                stack.enter_context(Keyboard(fd, self.press))
            self._live = Live(
                console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
            stack.enter_context(self._live)
            self._shown = stack.pop_all()

    def _hide(self) -> None:
        with self._lock:
            shown, self._shown = self._shown, None
            if shown is not None:
                shown.close()

    def _end(self) -> None:
        self._ended = True
        self._over.set()
        self._hide()

    def _pause(self, number: int, frame: object) -> None:
        # A signal comes between any two instructions; half a screen must not be written after the way back.
        self._pause_wanted = True
        if not self._drawing:
            self._pause_now()

    def _pause_now(self) -> None:
        self._pause_wanted = False
        self._hide()
        os.kill(os.getpid(), signal.SIGSTOP)  # goes on from here when the shell says so

    def _lines(self) -> Any:
        width, height = self._console.size
        rate = getattr(self.control, "rate", None)
        return Panel(
            self._title,
            self._figures,
            width=width,
            height=height,
            state=("", "draining, q again ends at once", "ending")[min(getattr(self.control, "stops", 0), 2)],
            keys=self._keys_line(rate is not None),
            sort=self._sort,
            asked=rate,
            stale=self._silence(),
            notes=[_note(record) for record in list(self._records)[-EVENTS:]],
            ascii_only=self._console.options.ascii_only,
            page=self._page,
        ).lines()

    def _silence(self) -> str:
        """Why the last figures are old, if they are: nobody has brought newer ones."""
        if self._figures is None:
            return ""
        silent = time.monotonic() - self._figures.view.at
        return f"no word from the collector for {silent:.0f} s" if silent > SILENT_S else ""

    def _redraw_stale(self) -> None:
        """Draw now and then even if nothing comes, for what is shown gets old."""
        while not self._over.wait(2 * REFRESH_S):
            if self._silence():
                self._draw()

    # -- the keys -------------------------------------------------------------------------------------------------

    def _keys_line(self, open_loop: bool) -> str:
        if not self._has_keys:
            return ""
        stops = getattr(self.control, "stops", 0)
        leave = self._leave if not stops else "end at once" if stops == 1 else "ending"
        return f"q {leave}   s sort{'   + - arrival rate by 10 %' if open_loop else ''}"

    def press(self, key: str) -> None:
        """What a key does."""
        rate = getattr(self.control, "rate", None)
        if key == "s":
            shown = columns(self._console.width)
            self._sort = next((column for column in shown if column > self._sort), 0)
        elif key == "n":
            self._page += 1
        elif key == "q" and self.control is not None:
            self.control.stop()
        elif key in "+-" and rate is not None:
            try:
                self.control.set_rate(rate * RATE_STEP if key == "+" else rate / RATE_STEP)
            except UsageError:
                return  # it has come out of the range of numbers
        else:
            return
        self._draw()


def _note(record: LogRecord) -> Event:
    """What was logged as an event, by the panel's own clock."""
    return Event(record.__dict__["heard_at"], record.levelname.lower(), record.getMessage(), 0)
