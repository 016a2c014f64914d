"""How far a broker has come: when its work began, what was settled last, and by when how much was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zsms.stats.reach import Reach


class Progress:
    """Times are of the broker's clock, None before there is one."""

    def __init__(self) -> None:
        self.first_accepted: float | None = None
        self.last_settled: float | None = None
        self.sends = 0
        """Sends that ended, all in all."""
        self.reach = Reach()

    def restore(self, books: Mapping[str, Any], sent: int) -> None:
        """Go on from what a journal holds: so many messages were sent before, and nobody knows when."""
        self.first_accepted, self.last_settled = books.get("first_accepted"), books.get("last_settled")
        self.sends = books.get("sends", 0)
        self.reach = Reach(sent)

    def accepted(self, now: float) -> None:
        """A batch was accepted."""
        if self.first_accepted is None:
            self.first_accepted = now

    def sent(self, messages: int, now: float) -> None:
        """So many messages were settled as sent, by as many sends."""
        if messages:
            self.reach.add(messages, now - (now if self.first_accepted is None else self.first_accepted))
            self.sends += messages
            self.last_settled = now

    def failed(self, sends: int, now: float) -> None:
        """So many sends failed, whatever becomes of their messages."""
        if sends:
            self.sends += sends
            self.last_settled = now

    def given_up(self, now: float) -> None:
        """Messages were given up, without one send more."""
        self.last_settled = now
