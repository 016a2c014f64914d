"""A sender that stood still, as after SIGSTOP: what is it to do first?

Its brokers may have given it up meanwhile, and what it holds is others' then. So before it ends or begins anything it
asks them, and waits for their word; who does not answer in `WORD_S` is not waited for, and what ends meanwhile counts
for nothing (:mod:`zsms.core.sender.leases`).
"""

from __future__ import annotations

from collections.abc import Sequence

from zsms.roles.sender_link import SenderLink

WORD_S = 1.0
"""How long the brokers' word is waited for."""


class Standstill:
    """Sees whether the loop of a sender has stood still."""

    def __init__(self, ways: Sequence[SenderLink]) -> None:
        """`ways` to its brokers; there may be more of them later."""
        self.until: float | None = None
        """Until when their word is waited for; None: it is not."""
        self._ways = ways
        self._turned_at: float | None = None
        self._since = 0.0
        """When the last standstill began after which their word was asked for."""

    def poll(self, before: float, until: float, now: float) -> float:
        """A turn begins `now`, after the last one ended at `before` and it was to wait `until` then; since when it has
        done nothing that it was to do."""
        turned = before if self._turned_at is None else self._turned_at
        self._turned_at = now
        since = now - (before - turned) - (now - max(before, min(until, now)))
        asked = [way.stood_still(since, now) for way in self._ways]
        if any(asked):
            self.until = now + WORD_S
            self._since = since
        return since if self.until is None else self._since

    def waits(self, now: float) -> bool:
        """Whether a broker's word is still waited for."""
        if self.until is not None and (now >= self.until or not any(way.in_doubt for way in self._ways)):
            self.until = None
        return self.until is not None
