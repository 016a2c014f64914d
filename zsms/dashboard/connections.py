"""HTTP connections that cost no more than a place: bounded in number, and in the time that they may say nothing.

uvicorn bounds only the rest between two requests. Whoever opens connections and never finishes a request would keep
them for ever, and with them the descriptors that browsers need.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 512
"""Connections at once. One more takes the place of the one that has gone longest without asking anything."""
REQUEST_S = 5.0
"""How long a request may take to arrive, and a connection to make one."""


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, which closes a connection that does not ask."""

    _watch: asyncio.TimerHandle | None = None
    _quiet_since = 0.0

    def connection_made(self, transport: Any) -> None:
        """A browser, or whoever, has connected."""
        super().connection_made(transport)
        self._quiet_since = self.loop.time()
        if len(self.connections) > MOST_CONNECTIONS:
            quiet: list[BoundedProtocol] = [
                other for other in self.connections if isinstance(other, BoundedProtocol) and not other._asks
            ]
            min(quiet, key=lambda other: other._quiet_since, default=self).transport.abort()
        self._watch = self.loop.call_later(REQUEST_S, self._poll)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """What was asked is answered: the time for the next request begins."""
        self._quiet_since = self.loop.time()
        super().on_response_complete()

    @property
    def _asks(self) -> bool:
        """Whether a request is here that is not answered yet."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _poll(self) -> None:
        left = REQUEST_S - (self.loop.time() - self._quiet_since)
        if left <= 0 and not self._asks:
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(max(left, 0.1 * REQUEST_S), self._poll)
