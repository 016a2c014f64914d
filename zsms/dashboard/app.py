"""The pages and the JSON behind them, as an ASGI application; docs/API.md is its public form.

    /                the page             /api/v1/now      everything about this moment
    /static/...      its parts            /api/v1/series   the figures over time
    /healthz         whether it answers   /api/v1/events   what happened
                                          /api/v1/stream   server-sent events: /api/v1/now, again and again

- Nothing can be changed here: there is only GET (and HEAD).
- An event is encoded once for everyone. A browser that reads slowly skips events; none is kept for it.
- A request must name this machine in its Host header, so that no web page elsewhere can point a name of its own at it
  (DNS rebinding), and, where there is a token, know it.
- Scripts and styles come from here only, and none stand in the page (Content-Security-Policy).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import platform
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from zsms.dashboard.picture import API, MOST_ROWS, Picture

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("zsms.dashboard")

MOST_STREAMS = 256
"""Browsers that may look at once."""
RETRY_MS = 1_000
"""When a browser that lost its stream asks for another."""
_OPEN_PATHS = ("/healthz",)
_SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Stream:
    """The newest event. Whoever is not back in time for one gets the next."""

    def __init__(self) -> None:
        self.readers = 0
        self.closed = False
        self._event = b""
        self._number = 0
        self._changed = asyncio.Event()

    def publish(self, name: str, value: Any) -> None:
        """Take the place of the event before."""
        self._number += 1
        self._event = b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), self._number, _encode(value))
        self._wake()

    def close(self) -> None:
        """Let all readers go, once they have the newest event."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def after(self, number: int) -> tuple[int, bytes]:
        """The newest event and its number, as soon as it is another than `number`; no bytes when there will be none."""
        while number == self._number:
            if self.closed:
                return number, b""
            await self._changed.wait()
        return self._number, self._event


class Pages:
    """What is served, around one `Picture`. Everything happens in the event loop that serves."""

    def __init__(self, watch: Picture, clock: Callable[[], float] = time.monotonic) -> None:
        self.watch = watch
        self.stream = Stream()
        self._clock = clock
        self._series_told: dict[str, tuple[int, bytes]] = {}

    def handle(self, answer: dict[str, Any] | None, at: float) -> None:
        """An answer of the collector's, or None for its silence; everyone who looks is told."""
        if answer is None:
            self.watch.silent(at)
        else:
            try:
                self.watch.take(answer, at)
            except (KeyError, TypeError, ValueError) as error:
                _log.warning("the collector's answer makes no sense: %r", error)
        self.publish()

    def publish(self) -> None:
        """Send everyone who looks a picture of now."""
        self.stream.publish("now", self.watch.picture(self._clock(), MOST_ROWS))

    # -- the routes -----------------------------------------------------------------------------------------------

    def routes(self) -> list[Route | Mount]:
        """Where everything is."""
        static = files("zsms.dashboard").joinpath("static")
        return [
            Route("/", self._page),
            Mount("/static", StaticFiles(directory=str(static))),
            Route("/healthz", self._health),
            Route(f"/api/v{API}/now", self._now),
            Route(f"/api/v{API}/series", self._series),
            Route(f"/api/v{API}/events", self._events),
            Route(f"/api/v{API}/stream", _Streaming(self)),
        ]

    async def _page(self, request: Request) -> Response:
        return FileResponse(str(files("zsms.dashboard").joinpath("static", "index.html")), media_type="text/html")

    async def _health(self, request: Request) -> Response:
        return _json({"status": "ok", "collector": "answering" if self.watch.answering else "silent"})

    async def _now(self, request: Request) -> Response:
        return _json(self.watch.picture(self._clock()))

    async def _series(self, request: Request) -> Response:
        span = request.query_params.get("span", "recent")
        if span not in ("recent", "whole"):
            return PlainTextResponse("span is recent or whole\n", 400)
        number, told = self._series_told.get(span, (-1, b""))
        if number != self.watch.points:  # encoded once for everyone, like an event
            told = _encode(self.watch.columns(span))
            self._series_told[span] = (self.watch.points, told)
        return _json(told)

    async def _events(self, request: Request) -> Response:
        return _json({"api": API, "events": self.watch.events()})


class _Streaming:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._pages.stream
        if stream.readers >= MOST_STREAMS:
            busy = PlainTextResponse(f"{MOST_STREAMS} browsers look already\n", 503, {"retry-after": "10"})
            await busy(scope, receive, send)
            return
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        stream.readers += 1
        left = asyncio.ensure_future(_left(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(_body(b"retry: %d\n\n" % RETRY_MS))
            number = -1
            while True:
                # Sending waits while the browser's buffers are full: what is published meanwhile passes it by.
                following = asyncio.ensure_future(stream.after(number))
                await asyncio.wait((following, left), return_when=asyncio.FIRST_COMPLETED)
                if left.done():
                    following.cancel()
                    return
                number, event = following.result()
                if not event and stream.closed:
                    break
                await send(_body(event))
            await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()
            stream.readers -= 1


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _json(value: Any) -> Response:
    body = value if isinstance(value, bytes) else _encode(value)
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


# -- who may look -----------------------------------------------------------------------------------------------


class Access:
    """Lets through who names this machine and, where there is a token, knows it."""

    def __init__(self, app: ASGIApp, token: str | None, hosts: Iterable[str], cookie: str) -> None:
        self._app = app
        self._token = token
        self._hosts = {host.lower() for host in (*hosts, "localhost", platform.node(), socket.gethostname())}
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._judge(scope) or self._app
        await answer(scope, receive, _with_headers(send))

    def _judge(self, scope: Scope) -> Response | None:
        """What to answer instead of the application."""
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("there is nothing to change here: only GET\n", 405, {"allow": "GET, HEAD"})
        host = headers.get("host", "")
        if not self._knows_host(host):
            return PlainTextResponse(
                f"{host[:100]!r} is no name of this machine; if it is, start the dashboard with --allow-host\n", 421
            )
        if self._token is None or scope["path"] in _OPEN_PATHS:
            return None
        if scope["path"] == "/" and scope["query_string"]:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
            if self._is_token(given):
                # From now on the cookie knows it, and the address and the history of the browser don't.
                answer = RedirectResponse("./", 303)
                answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
                return answer
        if any(self._is_token(given) for given in self._given(headers)):
            return None
        return PlainTextResponse(
            "this needs the token: open the address that was printed when the dashboard started, "
            "or send it as `Authorization: Bearer TOKEN`\n",
            401,
            {"www-authenticate": "Bearer"},
        )

    def _given(self, headers: Headers) -> list[str]:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        found = [bearer.strip()] if kind.lower() == "bearer" else []
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return found
        return [*found, cookies[self._cookie].value] if self._cookie in cookies else found

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _knows_host(self, header: str) -> bool:
        """An address can't be made to point elsewhere; a name must be one of this machine's."""
        host = header.rpartition("]")[0].lstrip("[") if header.startswith("[") else header.partition(":")[0]
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host.lower().rstrip(".") in self._hosts
        return True


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(_SECURITY)
            headers.setdefault("cache-control", "no-cache")
        await send(message)

    return sending


def make_app(pages: Pages, *, token: str | None = None, hosts: Iterable[str] = (), cookie: str = "zsms") -> ASGIApp:
    """The application: `hosts` are names of this machine beside those that it knows of itself."""
    return Access(Starlette(routes=pages.routes()), token, hosts, cookie)
