"""A terminal of the size one likes, with a command in it that thinks somebody looks at it and presses keys.

with Terminal("run", "--messages", 10, columns=80, rows=24) as terminal:
    terminal.wait_for("sent")       in a line of the screen as it is
    terminal.press("q")
    terminal.end() -> exit code
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

from tests.mesh.processes import WITHIN_S, environment, start

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
"""To the alternate screen and back."""
PICTURE = re.compile(rb"(?<=.)(?=\x1b\[H|\x1b\[\?1049l)", re.DOTALL)
"""Where one ends: before the next, or the way back."""
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A command in a terminal of its own. Its standard output goes there too, unless a file is given for it."""

    def __init__(
        self,
        *arguments: object,
        columns: int = 80,
        rows: int = 24,
        env: dict[str, str] | None = None,
        stdin: int | None = None,
        stdout: Path | None = None,
    ) -> None:
        self._ours, self._its = pty.openpty()
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.settings_before = self.settings()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._unshown = b""
        out = self._its if stdout is None else os.open(stdout, os.O_WRONLY | os.O_CREAT)
        self.popen = start(
            *map(str, arguments),
            env=environment({"TERM": "xterm-256color", **(env or {})}),
            streams=(self._its if stdin is None else stdin, out, self._its),
            terminal=True,
        )
        if stdout is not None:
            os.close(out)

    def settings(self) -> list[Any]:
        """How the terminal is set, as `stty` would say; the control characters included."""
        return termios.tcgetattr(self._its)

    def read(self, seconds: float = 0.05) -> None:
        """Take in what is written."""
        self._receive(seconds)
        self._stream.feed(self._unshown)
        self._unshown = b""

    def _receive(self, seconds: float) -> None:
        while select.select([self._ours], [], [], seconds)[0]:
            data = os.read(self._ours, 65_536)
            self.raw += data
            self._unshown += data
            seconds = 0.0

    def _show_next(self) -> bool:
        """Take in the next picture that was drawn; False when there is none. A test that is held up misses none."""
        first, *rest = PICTURE.split(self._unshown, maxsplit=1)
        self._stream.feed(first)
        self._unshown = b"".join(rest)
        return bool(first)

    @property
    def lines(self) -> list[str]:
        """The screen."""
        return [line.rstrip() for line in self.screen.display]

    def wait_for(self, pattern: str, within: float = WITHIN_S) -> re.Match[str]:
        """The first match in a line of the screen."""
        deadline = time.monotonic() + within
        while True:
            ended = self.popen.poll() is not None
            self._receive(0.05)
            shown = True
            while shown:
                for line in self.lines:
                    if found := re.search(pattern, line):
                        return found
                shown = self._show_next()
            assert not ended, f"it ended with {self.popen.returncode} and without {pattern!r}"
            assert time.monotonic() < deadline, f"waited {within} s in vain for {pattern!r}"

    def press(self, keys: str) -> None:
        """Press keys; \\x03 is Ctrl-C."""
        os.write(self._ours, keys.encode())

    def end(self, within: float = WITHIN_S) -> int:
        """Wait for its end; the exit code."""
        deadline = time.monotonic() + within
        while self.popen.poll() is None:
            self.read()
            assert time.monotonic() < deadline, f"it did not end within {within} s"
        self.read()
        return self.popen.returncode

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was: its settings, the screen, and the cursor."""
        return (
            self.settings() == self.settings_before
            and self.raw.rfind(ENTER) <= self.raw.rfind(LEAVE)
            and self.raw.rfind(HIDE_CURSOR) <= self.raw.rfind(SHOW_CURSOR)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
        print("\n".join(["--- the screen", *self.lines, "---"]))  # shown when a test fails
        os.close(self._ours)
        os.close(self._its)
