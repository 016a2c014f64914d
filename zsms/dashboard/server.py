"""The dashboard as a server: here until it is stopped, or in a thread beside a run.

Dashboard(bind=...)      listens: an address that can't be had is told at once
.watch(stats)            whom to ask; before that the page says that it waits
.run()                   here
.start(); ...; .end(answer)   in a thread; the last answer of a run that is over is shown before it leaves
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import platform
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from zsms import extras
from zsms.dashboard import DEFAULT_BIND
from zsms.dashboard.picture import Picture
from zsms.dashboard.reader import Reader
from zsms.errors import UsageError, ZsmsError
from zsms.wire.endpoint import STATS_PORT, Endpoint

PORT = int(DEFAULT_BIND.rpartition(":")[2])
_LEAVE_S = 2.0
"""How long a browser may take to hear the last word."""


class Dashboard:
    """One page about one mesh."""

    def __init__(
        self,
        *,
        bind: str = DEFAULT_BIND,
        interval: float = 0.5,
        token: str | None = None,
        hosts: Iterable[str] = (),
    ) -> None:
        """`token` guards the page; off the loopback interface one is made if none is given. `hosts` are more names by
        which browsers may call this machine. Raises UsageError.
        """
        need_web()
        if not 0.1 <= interval <= 60:
            raise UsageError(f"interval {interval}: give seconds from 0.1 to 60")
        endpoint = Endpoint.parse(f"127.0.0.1:{bind}" if bind.isdigit() else bind, PORT)
        if endpoint.scheme != "tcp":
            raise UsageError(f"{bind!r}: a browser needs HOST:PORT")
        self._socket = _listen(endpoint, bind)
        address, self.port = self._socket.getsockname()[:2]
        self._token_is_known = token is not None
        if token is None and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            token = secrets.token_urlsafe(24)
        self.token = token
        self._host = platform.node() if ipaddress.ip_address(address).is_unspecified else endpoint.host
        self._hosts = (*hosts, endpoint.host)
        self._interval = interval
        self._reader: Reader | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop
        self._make_server()

    def _make_server(self) -> None:
        import uvicorn

        from zsms.dashboard.app import Pages, make_app
        from zsms.dashboard.connections import BoundedProtocol

        self._watch = Picture("", self._interval, time.time() - time.monotonic())
        self.pages = pages = Pages(self._watch)
        app = make_app(pages, token=self.token, hosts=self._hosts, cookie=f"zsms-{self.port}")

        class Server(uvicorn.Server):
            """Leaves signals to whoever runs it, and lets streams go before it waits for them to end."""

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                pages.stream.close()
                await super().shutdown(sockets)

        self._server = Server(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=int(_LEAVE_S),
            )
        )

    @property
    def url(self) -> str:
        """What to open in a browser, with the token if it was made up here; one that was given is not repeated."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/" + (
            "" if self.token is None or self._token_is_known else f"?token={self.token}"
        )

    def watch(self, stats: str, keys: str | None = None) -> None:
        """Begin to ask the collector at `stats`, once; with `keys` as a monitor does. Raises UsageError.

        Where this is not beside a run, whose end the collector's is, its silence is said in the log too.
        """
        if self._reader is None:
            self._watch.endpoint = str(Endpoint.parse(stats, STATS_PORT))
            self._reader = Reader(stats, self._interval, self._handle, quiet=self._thread is not None, keys=keys)
            self._reader.start()

    def _handle(self, answer: dict[str, Any] | None, at: float) -> None:
        """In the reader's thread."""
        self._ready.wait()
        try:
            self.loop.call_soon_threadsafe(self.pages.handle, answer, at)
        except RuntimeError:
            pass  # the loop is closed: we are leaving
        if self._reader is not None and self._reader.refused:
            self.stop()

    def run(self) -> None:
        """Serve here until `stop`. Raises ZsmsError for a collector that refuses to answer."""
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()
            if self._reader is not None:
                self._reader.stop()
                self._reader.join()
            self._socket.close()
        if self._reader is not None and self._reader.refused and self._thread is None:
            raise ZsmsError(self._reader.refused)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.pages.publish()
        self._ready.set()
        await self._server.serve([self._socket])

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="dashboard", daemon=True)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Leave; from any thread and from a signal handler."""
        self._server.should_exit = True

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    def end(self, answer: dict[str, Any] | None = None) -> None:
        """The run is over: show its last answer, and leave."""
        if self._reader is not None:
            self._reader.stop()
            self._reader.join()

        def last() -> None:
            self._watch.ended = True
            self.pages.handle(answer, time.monotonic()) if answer else self.pages.publish()

        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(last)
        self.stop()
        self.join()


def need_web() -> None:
    """Raises UsageError when what serves pages is missing."""
    try:
        import starlette  # noqa: F401  # asked for, not used
        import uvicorn  # noqa: F401
    except ImportError:
        raise extras.missing("the dashboard needs starlette and uvicorn", "web") from None


def _listen(endpoint: Endpoint, bind: str) -> socket.socket:
    host = "" if endpoint.host == "*" else endpoint.host
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=64)
    except (OSError, UnicodeError) as error:  # a name that no host can have
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"can't listen on {bind}: {why}; choose another address, or port 0 for any") from None
