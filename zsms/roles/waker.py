"""What wakes a role's loop from outside: another thread, a signal handler, a signal itself."""

from __future__ import annotations

import signal
import socket


class Waker:
    """A pair of sockets: one is waited for, a byte into the other ends the wait."""

    def __init__(self) -> None:
        self._in, self._out = socket.socketpair()
        self._in.setblocking(False)
        self._out.setblocking(False)
        self._by_signals = False

    def fileno(self) -> int:
        """What to wait for."""
        return self._out.fileno()

    def wake(self) -> None:
        """End the wait, or the next one. From any thread or signal handler."""
        try:
            self._in.send(b"\0")
        except (BlockingIOError, OSError):
            pass  # it is awake already, or over

    def drain(self) -> None:
        """It has woken up: what woke it is dealt with."""
        try:
            self._out.recv(4096)
        except BlockingIOError:
            pass

    def wake_on_signals(self) -> None:
        """Let signals wake it; only in the main thread.

        Python's own handlers are not enough: they run between two instructions, so a signal that comes just before
        the loop begins to wait would be dealt with after the wait.
        """
        signal.set_wakeup_fd(self._in.fileno(), warn_on_full_buffer=False)
        self._by_signals = True

    def close(self) -> None:
        """Nobody waits any more."""
        if self._by_signals:
            signal.set_wakeup_fd(-1)
        self._in.close()
        self._out.close()
