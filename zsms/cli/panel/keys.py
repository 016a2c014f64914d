"""Keys as they are pressed, from the terminal on standard input.

Only where that is a terminal and this process is in its foreground: to read it, or to change its settings, from the
background would stop the process. Signals by key (Ctrl-C, Ctrl-Z) stay what they are.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self


def in_foreground(fd: int) -> bool:
    """Whether `fd` is a terminal that this process may use."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def terminal_input() -> int | None:
    """The descriptor of standard input if keys can be read from it."""
    try:
        fd = sys.stdin.fileno()
    except (AttributeError, ValueError, OSError):
        return None
    return fd if os.isatty(fd) and in_foreground(fd) else None


class Keyboard:
    """Calls `pressed(key)` for each key while the block runs, from a thread of its own."""

    def __init__(self, fd: int, pressed: Callable[[str], None]) -> None:
        self._fd = fd
        self._pressed = pressed
        self._settings: list[Any]

    def __enter__(self) -> Self:
        self._settings = termios.tcgetattr(self._fd)
        self._wake_out, self._wake_in = os.pipe()
        tty.setcbreak(self._fd, termios.TCSANOW)
        self._thread = threading.Thread(target=self._read, name="keys", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        os.write(self._wake_in, b"\0")
        self._thread.join()
        os.close(self._wake_in)
        os.close(self._wake_out)
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._settings)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd, self._wake_out], [], [])
            if self._wake_out in ready or not in_foreground(self._fd):
                return
            try:
                keys = os.read(self._fd, 64)
            except OSError:
                return  # the terminal is gone
            if not keys:
                return
            for key in keys.decode("ascii", "ignore"):
                self._pressed(key)
