"""The one that asks: a thread that puts the same question to the collector at a fixed interval.

However many browsers look, the mesh has one more monitor and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from zsms.roles.asker import Asking

SILENT_S = 0.95
"""Seconds (or an interval, if that is longer) without an answer after which the collector is told as silent: with the
question before it, within two seconds of its end."""


class Reader(Asking):
    """Asks every `interval` seconds, and hands on what it hears."""

    role = "dashboard"
    key_role = "monitor"

    def __init__(
        self,
        stats: str,
        interval: float,
        hear: Callable[[dict[str, Any] | None, float], None],
        *,
        quiet: bool = False,
        **common: Any,
    ) -> None:
        """`hear(answer or None, when)` is called from the reader's thread: with each answer, and with None at every
        interval in which the collector is silent. It is said in the log too, unless `quiet`. `common` are the options
        of :class:`Role`. Raises UsageError.
        """
        super().__init__(stats, interval, **common)
        self.refused = ""
        """Why the collector never will answer, which ends the reader."""
        self._tell = self.log.debug if quiet else self.log.warning
        self._heard = hear

    def _unanswered(self, silent: float, refused: str, now: float) -> float:
        self.refused = refused
        self._finished = bool(refused)
        if silent >= max(SILENT_S, self._interval) or refused:
            self._sockets.resolve_again(self._endpoint)
            self._heard(None, now)
        return inf

    def _handle(self, answer: dict[str, Any], now: float) -> None:
        self._heard(answer, now)
