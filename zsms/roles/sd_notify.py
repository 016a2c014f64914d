"""A word to the service manager: sd_notify(3), a datagram to the Unix socket that it names in the environment.

    READY=1      the sockets are open: whoever is ordered after us may start
    WATCHDOG=1   the loop turns, every half of the time after which the manager would kill us
    STOPPING=1   we were told to stop, or are done

The words come from the role's own loop, so a process that is stopped or hangs says nothing. A producer or sender is
ready before it has found its broker: to wait for one is its work, and must not hold up the start of a machine; whether
it has joined is for `zsms health` to tell.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping


class Notifier:
    """What one process says to its service manager."""

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        """`address` is a path, or a name after an @ (Linux's abstract ones); `watchdog_s` is the manager's patience."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._pause = None if watchdog_s is None else watchdog_s / 2
        self._next = 0.0
        self._said_stopping = False

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier | None:
        """The one that the variables of sd_notify(3) and sd_watchdog_enabled(3) ask for, None when they don't.

        They are taken out, for they are for this process and not for those that it starts.
        """
        address = environ.pop("NOTIFY_SOCKET", "")
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if not address.startswith(("/", "@")):
            return None
        watched = usec.isdigit() and int(usec) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if watched else None)

    def ready(self) -> None:
        """The sockets are open."""
        self._send(b"READY=1")

    def turn(self, now: float, until: float | None) -> float | None:
        """The loop turns and would wait until then: say so when it is time; returns until when it may wait."""
        if self._pause is None:
            return until
        if now >= self._next:
            self._next = now + self._pause
            self._send(b"WATCHDOG=1")
        return self._next if until is None else min(until, self._next)

    def stopping(self) -> None:
        """We end, or have been told to; said once."""
        if not self._said_stopping:
            self._said_stopping = True
            self._send(b"STOPPING=1")

    def close(self) -> None:
        """Nothing more is to be said."""
        self._socket.close()

    def _send(self, words: bytes) -> None:
        try:
            self._socket.sendto(words, self._address)
        except OSError:
            pass  # the manager is gone or busy; that is no reason to fail
