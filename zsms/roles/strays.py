"""Receipts that a gateway gave to another sender of its account, by way of a broker.

    transport of A --strays--> Relay --STRAY--> broker --STRAY--> Relay --> transport of B, which knows the message

Who joins a broker tells it at which account it has binds, and hears how many others have: with none there are no
strays.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from zsms.core.outcomes import NO_CODES, Strays
from zsms.roles.link import Link
from zsms.wire.frames import Stray

AT_ONCE = 4_096
"""Receipts of a frame, at most."""


class Relay:
    """By way of one broker."""

    def __init__(self, account: int | None) -> None:
        """`account` names the gateway's account at which this sender has binds; None: at none."""
        self.account = account
        self.others = 0
        """Other senders that have as well."""
        self._came: deque[Strays] = deque()
        self._read = 0
        self._due = False
        """The broker does not know yet what it has to."""

    def welcomed(self) -> None:
        """The broker knows nothing of the account any more."""
        self.others = self._read = 0
        self._due = self.account is not None

    def heard(self, frame: Stray) -> None:
        """What the broker says."""
        if frame.account != self.account:
            return
        self.others = frame.others
        if len(frame.lengths):
            self._came.append(Strays(frame.lengths, frame.ids, frame.outcomes))
            self._read += 1
            self._due = True

    def turn(self, link: Link, session: int, transport: Any) -> None:
        """Give the transport what has come, and the broker what the transport has for others."""
        while self._came:
            transport.take_strays(self._came.popleft())
        if not link.joined or self.account is None:
            return
        while self.others and link.has_room and (strays := transport.strays(AT_ONCE)) is not None:
            self._due = not link.send(Stray(session, self.account, 0, self._read, *strays))
        if self._due and link.has_room:
            self._due = not link.send(Stray(session, self.account, 0, self._read, NO_CODES, NO_CODES, NO_CODES))
