"""The one that asks: a thread that puts the same question to the collector at a fixed interval.

However many browsers look, the mesh has one more monitor and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zmq

from zsms.errors import WireError
from zsms.roles.base import Role
from zsms.roles.monitor import ANSWER_S, Asker, Silence
from zsms.wire.endpoint import STATS_PORT, Endpoint

SILENT_S = 0.95
"""Seconds (or an interval, if that is longer) without an answer after which the collector is told as silent: with the
question before it, within two seconds of its end."""


class Reader(Role):
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
        super().__init__(**common)
        self.refused = ""
        """Why the collector never will answer, which ends the reader."""
        self._tell = self.log.debug if quiet else self.log.warning
        self._interval = interval
        self._hear = hear
        self._endpoint = Endpoint.parse(stats, STATS_PORT)
        self._next_ask = 0.0
        self._asked_at: float | None = None
        """When the question was put that has no answer yet."""
        self._asker: Asker
        self._silence: Silence

    def _open(self) -> None:
        self._asker = Asker(self._sockets, self._endpoint)
        self._silence = Silence(self._asker, self._sockets, self._tell)
        self._poller.register(self._asker.socket, zmq.POLLIN)

    def step(self) -> bool:
        """See `Role.step`."""
        now = self._clock()
        events = self._wait(self._next_ask, now)
        now = self._clock()
        if self._asker.socket in events:
            self._read(now)
        if now >= self._next_ask:
            self._ask(now)
        return not (self._stopping or self.refused)

    def _ask(self, now: float) -> None:
        self._next_ask = max(self._next_ask + self._interval, now)
        self.refused = self._silence.refused(now)
        if self._silence.asks(now) >= max(SILENT_S, self._interval) or self.refused:
            self._sockets.look_again(self._endpoint)
            self._hear(None, now)
        # A question that waits is not repeated at once: a slow collector would never get its answer through.
        if self._asked_at is None or now - self._asked_at >= ANSWER_S:
            self._asked_at = now
            self._asker.ask("all")

    def _read(self, now: float) -> None:
        try:
            answer = self._asker.read()
        except WireError as error:
            self._refuse("stats out", error, now)
            return
        if answer is not None:
            self._asked_at = None
            self._silence.ends()
            self._hear(answer, now)
