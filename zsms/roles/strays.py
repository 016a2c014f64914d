"""Receipts that a gateway gave to another sender of its account, by way of a broker.

    transport of A --strays--> Relay --STRAY--> broker --STRAY--> Relay --> transport of B, which knows the message

Who joins a broker tells it at which account it has binds, and hears how many others have: with none there are no
strays.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Protocol

from zsms.core.outcomes import Strays
from zsms.roles.link import Link
from zsms.wire.frames import Stray

AT_ONCE = 4_096
"""Receipts of a frame, at most."""


class Sharing(Protocol):
    """A transport's `sharing`: receipts that come to the wrong one of an account's senders."""

    @property
    def account(self) -> int | None:
        """Names the account."""

    def share(self, others: bool) -> None:
        """Whether other senders have binds of it, and take strays."""

    def strays(self, most: int) -> Strays | None:
        """Up to so many receipts of no message here, None when there are none."""

    def unbinds(self, now: float) -> bool:
        """Leave the gateway; whether something may still come from it, or has come and is not dealt with."""

    def take_strays(self, told: Strays, now: float) -> None:
        """Receipts that came to others."""


class Relay:
    """By way of one broker."""

    def __init__(self, sharing: Sharing | None) -> None:
        """`sharing` is the transport's; None: it has none."""
        self._sharing = sharing
        self.others = 0
        """Other senders that have as well."""
        self._came: deque[Strays] = deque()
        self._read = 0
        self._due = False
        """The broker does not know yet what it has to."""

    def welcomed(self) -> None:
        """The broker knows nothing of the account any more."""
        self.others = self._read = 0
        self._due = self._sharing is not None

    def heard(self, frame: Stray, *, current: bool) -> None:
        """What the broker says; `current`: to this session, else only the receipts in it are worth something."""
        if self._sharing is None or frame.account != self._sharing.account:
            return
        if current:
            self.others = frame.others
        if len(frame.lengths):
            self._came.append(Strays(frame.lengths, frame.ids, frame.outcomes))
            self._read += len(frame.lengths)
            self._due = True

    def turn(self, link: Link, session: int) -> None:
        """Give the transport what has come, and the broker what the transport has for others."""
        sharing = self._sharing
        if sharing is None or sharing.account is None:
            return
        while self._came:
            sharing.take_strays(self._came.popleft(), monotonic())
        if not link.joined:
            return
        account = sharing.account
        while self.others and link.has_room and (strays := sharing.strays(AT_ONCE)) is not None:
            self._due = not link.send(Stray(session, account, 0, self._read, *strays))
        if self._due and link.has_room:
            self._due = not link.send(Stray(session, account, 0, self._read))
