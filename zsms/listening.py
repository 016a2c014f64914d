"""HTTP that others ask, with aiohttp: its connections cost no more than a place, as the dashboard's do.

aiohttp itself lets a connection say nothing for an hour, and a body come for ever.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

MOST_CONNECTIONS = 512
"""Connections at once. One more takes the place of the one that has gone longest without asking anything."""
REQUEST_S = 5.0
"""How long a first request may take to come, and the body of any."""
KEEP_S = 75.0
"""How long a connection may rest between two requests: gateways keep theirs."""
CONNECTED_S = 0.05
"""A connection that came has a transport by then."""
MAX_BODY = 65_536


class Listener:
    """Listens for requests, in the running loop."""

    def __init__(self, *routes: tuple[str, str, Callable[[Any], Awaitable[Any]]], cancels: bool = False) -> None:
        """`routes`: method, path and handler of each; with `cancels` one ends when its client leaves.

        Raises ImportError without aiohttp.
        """
        import aiohttp.web

        async def noting(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            self._connected.pop(request.protocol, None)
            self._connected[request.protocol] = True  # the last to have asked
            return await handler(request)

        app = aiohttp.web.Application(client_max_size=MAX_BODY, middlewares=[aiohttp.web.middleware(noting)])
        for route in routes:
            app.router.add_route(*route)
        self._runner = aiohttp.web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=cancels,
            keepalive_timeout=KEEP_S,
            logger=_logger(),
            shutdown_timeout=0.1,
        )
        self._connected: dict[Any, bool] = {}
        """Of each connection, the oldest first, whether it has asked anything."""
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Begin; port 0 takes a free one. Raises OSError for an address that can't be had."""
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(self._connection, host, port)
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> Any:
        # Without a transport is also who is only just being connected, and has asked nothing.
        self._connected = {c: asks for c, asks in self._connected.items() if not asks or c.transport is not None}
        if len(self._connected) >= MOST_CONNECTIONS:
            self._drop(min(self._connected, key=self._connected.__getitem__))
        server: Any = self._runner.server
        connection = server()
        self._connected[connection] = False
        asyncio.get_running_loop().call_later(REQUEST_S, self._judge, connection)
        return connection

    def _judge(self, connection: Any) -> None:
        if not self._connected.get(connection, True):
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        self._connected.pop(connection, None)
        asyncio.get_running_loop().call_later(CONNECTED_S, _abort, connection)  # it may have no transport yet


def _abort(connection: Any) -> None:
    if connection.transport is not None:
        connection.transport.abort()


async def fields_of(request: Any) -> dict[str, Any]:
    """What a body in JSON, or a form, says. Raises ValueError, LookupError or RecursionError for one that can't be
    read, or that does not come."""
    try:
        async with asyncio.timeout(REQUEST_S):
            if request.content_type != "application/json":
                return dict(await request.post())
            found = json.loads(await request.text())
    except TimeoutError:
        raise ValueError("the body does not come") from None
    if not isinstance(found, dict):
        raise ValueError("the body is no object")
    return found


def _logger() -> logging.Logger:
    from aiohttp.http import HttpProcessingError

    def plainly(record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
            record.msg = "a request that is no HTTP, from %s"
        return True

    logger = logging.getLogger("zsms.http")
    if not logger.filters:
        logger.addFilter(plainly)
    return logger
