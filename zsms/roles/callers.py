"""Producers that a broker keeps waiting until senders are there: the time of a run begins with its first message."""

from __future__ import annotations

from collections.abc import Iterator

from zsms.core.broker import BrokerCore
from zsms.wire.frames import JoinProducer

AWAIT_SLOTS_S = 10.0
"""Producers are kept waiting for slots no longer than this."""


class Callers:
    """They are welcomed when senders with so many slots have joined, or when it has been long enough."""

    def __init__(self, core: BrokerCore, slots: int) -> None:
        self._core = core
        self._slots = slots
        self._until: float | None = None
        self._callers: dict[bytes, tuple[JoinProducer, float]] = {}
        """By peer: what they said last, and when."""

    def waits(self, peer: bytes, join: JoinProducer, now: float) -> bool:
        """Whether that one waits from now on. Once one has been welcomed none does."""
        if not self._wait(now):
            return False
        self._callers[peer] = join, now
        return True

    def _wait(self, now: float) -> bool:
        if self._until is None:
            self._until = now + AWAIT_SLOTS_S
        if self._slots and (self._core.producers or now >= self._until or self._core.slots >= self._slots):
            self._slots = 0
        return self._slots > 0

    def due(self) -> float | None:
        """When to look again at those that wait; None when none does."""
        return self._until if self._callers else None

    def welcomed(self, now: float) -> Iterator[tuple[bytes, JoinProducer]]:
        """Those that wait no longer, and what they said."""
        if not self._callers or self._wait(now):
            return
        callers, self._callers = self._callers, {}
        for peer, (join, heard) in callers.items():
            # As if it had been said just now, or the answer would seem to have been under way for so long.
            yield peer, join._replace(sent_at=join.sent_at + now - heard)
