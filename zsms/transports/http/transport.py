"""The transport: as many requests at once as it has connections, over aiohttp.

A request leaves once. aiohttp would send a GET again, unasked, when a kept connection ends instead of answering; a
message may then be two SMS, so what ends so is told as uncertain, and the user's policy decides.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from zsms import extras
from zsms.carriers.segments import BASIC, EXTENSION
from zsms.core.outcomes import Receipts
from zsms.message import Message, Outcome
from zsms.stats.failures import printable
from zsms.transports.callable import CallableTransport
from zsms.transports.http.answers import MAX_ANSWER, outcome, retry_after
from zsms.transports.http.callbacks import Callbacks
from zsms.transports.http.settings import HttpSettings, filled, without_callbacks
from zsms.transports.judging import FailedSend

if TYPE_CHECKING:
    import aiohttp

START_S = 10.0
"""Seconds that it may take to listen for callbacks."""
WAIT_S = 5.0
"""A message in hand waits so long at most for a gateway that has asked for a pause, then goes back to the broker."""
FIRST_PAUSE_S = 0.5
"""After a 429 that does not say how long to wait; twice as long after each that follows."""
_CONNECT_SHARE = 0.9
"""Of the time until an answer: what has no connection by then was not sent, and is not uncertain."""

_GSM = frozenset(BASIC.replace("\x1b", "")) | frozenset(EXTENSION)


class _EndedUnansweredError(Exception):
    """The connection was lost after the request had left."""


class HttpTransport(CallableTransport):
    """`settings.connections` messages at a time."""

    def __init__(self, settings: HttpSettings) -> None:
        """Raises UsageError when aiohttp is missing."""
        try:
            import aiohttp
        except ImportError:
            raise extras.missing("a gateway over HTTP needs aiohttp", "http") from None
        super().__init__(self.deliver, settings.connections)  # type: ignore[arg-type]
        self.settings = settings
        self.pauses = 0
        """How often the gateway has asked for one."""
        self._http = aiohttp
        self._session: aiohttp.ClientSession | None = None
        self._paused_until = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._callbacks: Callbacks | None = None
        listens = bool(settings.callback)
        self._query = settings.query if listens else without_callbacks(settings.query)
        self._content = settings.content if listens else without_callbacks(settings.content)
        self._fixed = {
            "mask": "3",
            "callback": "",
            "sender": settings.sender,
            "username": settings.username,
            "password": settings.password,
            "basic": base64.b64encode(f"{settings.username}:{settings.password}".encode()).decode(),
        }

    def open(self, wake: Callable[[], None]) -> None:
        """Begin; where callbacks are asked for, listen. Raises UsageError for an address that can't be had."""
        super().open(wake)
        if self.settings.callback:
            assert self._loop is not None
            self._callbacks = Callbacks(self.settings.callback, wake)
            asyncio.run_coroutine_threadsafe(self._callbacks.open(), self._loop).result(START_S)

    def stood_still(self, since: float, now: float) -> None:
        """The process did nothing from `since` until `now`."""
        if self._callbacks is not None:
            self._callbacks.stood_still(since, now)

    def receipts(self) -> Receipts | None:
        """What callbacks have told."""
        return None if self._callbacks is None else self._callbacks.receipts()

    @property
    def awaited(self) -> int:
        """Messages whose callback may still come."""
        return 0 if self._callbacks is None else self._callbacks.awaited

    @property
    def linger_s(self) -> float:
        """Seconds for which they are worth waiting for."""
        return self.settings.receipt_wait_s

    @property
    def figures(self) -> Mapping[str, int]:
        """What is counted of them."""
        return {} if self._callbacks is None else self._callbacks.figures

    def room(self, waiting: int) -> int | None:
        """Nothing while the gateway has asked for a pause."""
        return 0 if monotonic() < self._paused_until else super().room(waiting)

    def next_time(self) -> float | None:
        """The end of a pause is worth a look, too."""
        at, pause = super().next_time(), self._paused_until
        if pause <= monotonic():
            return at
        return pause if at is None else min(at, pause)

    # -- in the loop's thread ----------------------------------------------------------------------------------------

    def _open_session(self) -> aiohttp.ClientSession:
        http, settings = self._http, self.settings

        async def once(request: Any, handler: Any) -> Any:
            try:
                return await handler(request)
            except (http.ClientConnectorError, http.ServerTimeoutError):
                raise
            except (http.ClientOSError, http.ServerDisconnectedError) as error:
                raise _EndedUnansweredError(f"{error}") from error

        return http.ClientSession(
            connector=http.TCPConnector(limit=settings.connections, ssl=settings.context()),
            cookie_jar=http.DummyCookieJar(),
            middlewares=(once,),
            timeout=http.ClientTimeout(
                total=settings.timeout_s,
                connect=min(settings.connect_s, _CONNECT_SHARE * settings.timeout_s),
                ceil_threshold=inf,
            ),
        )

    def request_of(self, message: Message) -> tuple[str, dict[str, str], dict[str, Any]]:
        """The address, the headers and the body of a message's request; a plus in a query is %2B."""
        settings, name = self.settings, _name(message)
        values = {
            **self._fixed,
            **({} if self._callbacks is None else {"callback": self._callbacks.url(name)}),
            "recipient": message.recipient,
            "digits": message.recipient.removeprefix("+"),
            "text": message.text,
            "id": name,
            "attempt": f"{message.attempt}",
            "coding": "0" if _is_gsm(message.text) else "2",
        }
        parts = urlsplit(settings.url)
        asked = {name: value for name, value in filled(self._query, values).items() if value}
        query = urlencode(asked, quote_via=quote, safe="")
        url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query)))))
        body: dict[str, Any] = {}
        content = filled(self._content, values)
        headers = filled(settings.headers, values)
        if settings.body == "json":
            body["json"] = content
        elif settings.body == "form":
            body["data"] = urlencode(content, quote_via=quote, safe="").encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", **headers}
        return url, headers, body

    async def deliver(self, message: Message) -> Outcome | FailedSend:
        """Send one message, and say what became of it."""
        callbacks = self._callbacks
        if callbacks is None:
            return await self._deliver(message)
        name = _name(message)
        callbacks.await_one(name, message.id)
        said = await self._deliver(message)
        if (said.outcome if isinstance(said, FailedSend) else said) is not Outcome.SENT:
            callbacks.forget(name)
        return said

    async def _deliver(self, message: Message) -> Outcome | FailedSend:
        while (left := self._paused_until - monotonic()) > 0:
            if left > WAIT_S:
                return FailedSend(Outcome.THROTTLED, "the gateway has asked for a pause", None)
            await asyncio.sleep(left)
        http = self._http
        if self._session is None:
            self._session = self._open_session()
        from yarl import URL

        url, headers, body = self.request_of(message)
        try:
            async with self._session.request(
                self.settings.method.upper(),
                URL(url, encoded=True),
                headers=headers,
                allow_redirects=False,
                **body,
            ) as response:
                status, asked = response.status, response.headers.get("Retry-After")
                date = response.headers.get("Date")
                said, broken = await self._read(response)
        except (http.ClientConnectorError, http.ConnectionTimeoutError) as error:
            return FailedSend(Outcome.TEMPORARY, f"not connected: {type(error).__name__}", printable(f"{error}", 200))
        except TimeoutError:
            return FailedSend(Outcome.UNCERTAIN, f"no answer within {self.settings.timeout_s:g} s", None)
        except http.ClientResponseError as error:
            return FailedSend(Outcome.UNCERTAIN, "an answer that is no HTTP", printable(error.message, 200))
        except (_EndedUnansweredError, http.ClientError) as error:
            return FailedSend(Outcome.UNCERTAIN, "the connection ended without an answer", printable(f"{error}", 200))
        if status == 429 or (status == 503 and asked is not None):
            self._pause(asked, date)
        else:
            self._pause_s = FIRST_PAUSE_S
        return outcome(self.settings, status, said, pause=asked is not None, broken=broken)

    async def _read(self, response: aiohttp.ClientResponse) -> tuple[bytes, str]:
        """The answer's first octets, and why there are no more, if that is known; the rest of a longer one is left, and
        its connection with it.
        """
        parts, count, broken = [], 0, ""
        try:
            async for part in response.content.iter_chunked(MAX_ANSWER):
                parts.append(part)
                count += len(part)
                if count >= MAX_ANSWER:
                    response.close()
                    break
        except (self._http.ClientError, TimeoutError) as error:  # its status stands all the same
            broken = printable(f"{error}" or "the rest did not come in time", 200)
        return b"".join(parts)[:MAX_ANSWER], broken

    def _pause(self, asked: str | None, date: str | None) -> None:
        pause = retry_after(asked, date)
        if pause is None:
            pause, self._pause_s = self._pause_s, min(2 * self._pause_s, self.settings.retry_after_s)
        until = monotonic() + min(pause, self.settings.retry_after_s)
        if until > self._paused_until:
            self.pauses += 1
            self._paused_until = until

    async def _cancel(self) -> None:
        await super()._cancel()
        if self._callbacks is not None:
            await self._callbacks.close()
        await self.disconnect()

    async def disconnect(self) -> None:
        """End its connections; in the loop's thread."""
        if self._session is not None:
            await self._session.close()


def _name(message: Message) -> str:
    """What names it towards a gateway."""
    return f"{message.id.producer:x}-{message.id.epoch:x}-{message.id.seq}"


def _is_gsm(text: str) -> bool:
    """Whether GSM-7 has all of its characters."""
    return _GSM.issuperset(text)
