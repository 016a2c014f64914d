"""What a mesh needs of wherever its processes run: to start them, give them orders, look at them and hear them.

place.open(roles, keys)                          what is to come, so that it can be spread
place.start(role, name, options, tell) -> Child
place.address(child)                             where it listens, once it does
place.check(addresses)                           whether the others will reach that, before they are started
place.close()
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zsms.errors import UsageError

Tell = Callable[[bytes], str]
"""Takes a line of a process's stderr; returns what it says, for people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A process that is to come."""

    role: str
    name: str
    slots: int = 0
    apart_from: tuple[str, ...] = ()
    """Names of those that should not end with the same machine."""
    place: str | None = None
    """What its worker has to have; None: any will do."""
    reads: str | None = None
    """A file of this machine that has to be the same where it runs."""


class Child:
    """A process of a mesh. Its end is the end of its orders: whoever goes away takes it along."""

    def __init__(self, role: str, name: str, host: str) -> None:
        self.role = role
        self.name = name
        self.host = host
        self.pid = 0
        self.returncode: int | None = None
        """Negative for a signal; None while it runs, as far as is known."""
        self.said: list[str] = []
        """Its last lines on stderr."""
        self.cpu_s = 0.0
        self.rss_max = 0
        self.noticed = False
        """Its end has been dealt with."""

    def listen(self) -> None:
        """From now on hear what it says."""

    def wait_for_last_words(self, timeout: float) -> None:
        """Wait until its last words were heard, at most that many seconds."""

    def sample(self) -> None:
        """Look at what it costs, while it lives."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        raise NotImplementedError

    def wait(self, timeout: float) -> int:
        """Wait for its end. Raises TimeoutError."""
        raise NotImplementedError

    def order(self, what: str) -> bool:
        """Give it an order; whether that could be done. It may have ended."""
        raise NotImplementedError

    def leave(self) -> None:
        """Make it end without draining: end its orders."""
        raise NotImplementedError

    def terminate(self) -> None:
        """SIGTERM."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL, and wait."""
        raise NotImplementedError

    def signal(self, number: int) -> None:
        """Send it a signal. Raises UsageError where that can't be done."""
        raise UsageError(f"{self.name} runs where no signal can be sent to it: only kill, slow, fail and throttle work")

    def ending(self) -> str:
        """How it ended, in words."""
        code = self.returncode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        last = f": {self.said[-1]}" if code > 0 and self.said else ""
        return f"{self.name} (pid {self.pid}) {how}{last}"

    def handle(self, text: str) -> None:
        """It has said that."""
        if text:
            self.said += text.splitlines()
            del self.said[:-20]


class Place(Protocol):
    """Where they run."""

    secure: bool
    """Whether they need keys there."""
    asked: Callable[[], int]
    """How often somebody has asked the run to end: what takes long to open or start looks there, and raises Stopped."""

    def open(self, roles: Sequence[Wanted], keys: Path | None) -> None:
        """These are to come, with the keys of that folder. Raises ZsmsError for a place that can't be used, or where
        they would not reach one another.
        """

    def bind(self, name: str, *, known: bool = False) -> str:
        """Where the broker or collector of that name is to listen; with `known`, no port that it chooses itself."""

    def start(self, role: str, name: str, options: Sequence[str], tell: Tell, keep: Sequence[int] = ()) -> Child:
        """Start ``zsms ROLE --name NAME OPTIONS``, which is given the descriptors `keep` of this process. Raises
        ZsmsError.
        """

    def address(self, child: Child) -> str:
        """Where it listens. Raises ZsmsError when it does not in time."""

    def latecomers(self, wanted: Callable[[frozenset[str]], str | None]) -> list[str]:
        """Names of roles that can now be started where there was nothing before; at a new worker, which has that by
        name, `wanted` says the name of a role that is to run there, or None.
        """

    def close(self) -> None:
        """Let go of it; what runs there ends."""
