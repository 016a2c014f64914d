"""The fake SMSC over HTTP: Kannel's sendsms, and POST of JSON or a form, decided by the same model as submit_sm.

    GET  /cgi-bin/sendsms?username=&password=&from=&to=&text=      202, 403, 400, 429, 503
    POST anything else: {"to", "from", "text"}, or To, From, Body   201 {"sid": ..., "status": "queued"}

POST takes Basic and Bearer. Requests are read by an event loop in a thread of its own; the role's thread decides.
Receipts have no way back here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zsms import extras
from zsms.core.smpp.frames import Stream
from zsms.core.smpp.pdu import Command, Messages, Status, Tag, Tlv, encode_messages, messages
from zsms.errors import UsageError
from zsms.listening import Listener, fields_of
from zsms.smsc.ids import ids_of
from zsms.smsc.limits import Bucket
from zsms.smsc.model import Model, Origin, Party
from zsms.smsc.record import Recorder

MAX_TEXT = 16_384
_BUSY = (Status.THROTTLED, Status.MSGQFUL)
_LATER = (Status.SYSERR, Status.X_T_APPN)
START_S = 10.0


@dataclass(slots=True)
class Asked:
    """A message that somebody wants to be sent."""

    username: str
    password: str
    bearer: bool
    source: str
    destination: str
    text: str


@dataclass(slots=True)
class Decided:
    """What it is answered with."""

    status: int
    """A command_status; -1: nobody may send so."""
    message_id: str = ""
    delay_s: float = 0.0
    lost: bool = False


class HttpSide:
    """Listens, and hands what it is asked to the role."""

    def __init__(self, address: tuple[str, int], wake: Callable[[], None]) -> None:
        """Raises UsageError when aiohttp is missing."""
        try:
            import aiohttp.web
        except ImportError:
            raise extras.missing("a fake SMSC over HTTP needs aiohttp", "http") from None
        self._web = aiohttp.web
        self._address = address
        self._wake = wake
        self._asked: deque[tuple[Asked, asyncio.Future[Decided]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread
        self._listener = Listener(
            ("GET", "/cgi-bin/sendsms", self._sendsms), ("POST", "/{any:.*}", self._post), cancels=True
        )
        self._bucket: Bucket | None = None
        self.port = 0

    def open(self) -> None:
        """Listen. Raises UsageError for an address that can't be had."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="zsms-smsc-http", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listener.open(*self._address), self._loop).result(START_S)
        except OSError as error:
            self.close()
            host, port = self._address
            raise UsageError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
        self.port = self._listener.port

    def close(self) -> None:
        """End; what is not answered never is."""
        loop = self._loop
        if loop is None:
            return

        async def stop() -> None:
            for _, future in self._asked:
                future.cancel()
            await self._listener.close()

        try:
            asyncio.run_coroutine_threadsafe(stop(), loop).result(START_S)
        except TimeoutError:
            pass
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(START_S)
        if not self._thread.is_alive():
            loop.close()
        self._loop = None

    # -- the role's thread -------------------------------------------------------------------------------------------

    def answer(self, model: Model, recorder: Recorder | None, now: float, wall: float, *, silent: bool) -> None:
        """Decide on what was asked; `silent`: and say nothing."""
        rate = model.rules.bind_segments
        if self._bucket is None and rate:
            self._bucket = Bucket(rate, 1.0, now)
        while self._asked:
            asked, future = self._asked.popleft()
            decided = self._decide(asked, model, recorder, now, wall)
            decided.lost |= silent
            future.get_loop().call_soon_threadsafe(_settle, future, decided)

    def _decide(self, asked: Asked, model: Model, recorder: Recorder | None, now: float, wall: float) -> Decided:
        party = _party(asked, model)
        if party is None:
            return Decided(-1)
        submitted = _submit(asked)
        verdict = model.submitted(submitted, Origin(party, self._bucket), now, wall)
        if recorder is not None:
            recorder.put(
                submitted, asked.username or party.account.system_id, verdict.status, serials=verdict.serials, wall=wall
            )
        status = int(verdict.status[0])
        delay = 0.0 if verdict.delays is None else float(verdict.delays[0])
        lost = verdict.copies is not None and not verdict.copies[0]
        named = "" if status else ids_of(verdict.serials, model.rules.ids).tolist()[0].decode()
        return Decided(status, named, delay, lost)

    # -- the loop's thread -------------------------------------------------------------------------------------------

    async def _sendsms(self, request: Any) -> Any:
        query = request.query
        asked = Asked(
            username=query.get("username", ""),
            password=query.get("password", ""),
            bearer=False,
            source=query.get("from", ""),
            destination=query.get("to", ""),
            text=query.get("text", ""),
        )
        decided = await self._ask(asked)
        if decided is None:
            return self._web.Response(status=400, text="no number, or no text")
        code, headers = _code(decided.status, 202)
        said = {202: "0: Accepted for delivery", 403: "Authorization failed for sendsms"}
        return self._web.Response(
            status=code, headers=headers, text=said.get(code, "Temporal failure, try again later.")
        )

    async def _post(self, request: Any) -> Any:
        try:
            asked = _read(request.headers.get("Authorization", ""), await fields_of(request))
        except (LookupError, RecursionError):  # of a charset, or a JSON, that nobody has
            return self._web.json_response({"code": 400, "message": "the body can't be read"}, status=400)
        except ValueError as error:
            return self._web.json_response({"code": 400, "message": f"{error}"}, status=400)
        decided = await self._ask(asked)
        if decided is None:
            return self._web.json_response({"code": 400, "message": "no number, or no text"}, status=400)
        code, headers = _code(decided.status, 201)
        if code == 201:
            body: dict[str, Any] = {"sid": decided.message_id, "status": "queued", "to": asked.destination}
        else:
            body = {"code": max(decided.status, 0), "message": f"refused with status {decided.status:#x}"}
        return self._web.json_response(body, status=code, headers=headers)

    async def _ask(self, asked: Asked) -> Decided | None:
        number = asked.destination.removeprefix("+")
        if not (number.isascii() and number.isdigit() and len(number) <= 20) or not asked.source.isascii():
            return None
        if len(asked.source) > 20 or "\0" in asked.source or len(asked.text) > MAX_TEXT:
            return None
        future: asyncio.Future[Decided] = asyncio.get_running_loop().create_future()
        self._asked.append((asked, future))
        self._wake()
        decided = await future
        if decided.lost:
            await asyncio.get_running_loop().create_future()  # until the client has had enough
        await asyncio.sleep(decided.delay_s)
        return decided


def _settle(future: asyncio.Future[Decided], decided: Decided) -> None:
    if not future.done():
        future.set_result(decided)


def _code(status: int, good: int) -> tuple[int, dict[str, str]]:
    if status == Status.OK:
        return good, {}
    if status < 0:
        return (403 if good == 202 else 401), {}
    if status in _BUSY:
        return 429, {"Retry-After": "1"}
    return (503 if status in _LATER else 400), {}


def _read(authorization: str, fields: dict[str, Any]) -> Asked:
    kind, _, rest = authorization.partition(" ")
    username, password = "", rest.strip()
    if kind.lower() == "basic":
        try:
            username, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("Authorization can't be read") from None
    fields = {str(name).lower(): value for name, value in fields.items()}
    said = [fields.get("from", ""), fields.get("to", ""), fields.get("text", fields.get("body", ""))]
    if not all(isinstance(each, str) for each in said):
        raise ValueError("to, from and text are texts")
    return Asked(username, password, kind.lower() == "bearer", *said)


def _party(asked: Asked, model: Model) -> Party | None:
    name = asked.username
    if asked.bearer:
        accounts = (each for each in model.rules.accounts if asked.password and each.password == asked.password)
        name = next((each.system_id for each in accounts), "")
    found = model.party(name, asked.password)
    return found if isinstance(found, Party) else None


def _submit(asked: Asked) -> Messages:
    """As the submit_sm that it would be."""
    plain = asked.text.isascii()
    octets = asked.text.encode("ascii" if plain else "utf-16-be", "replace")
    short = len(octets) <= 254
    made = Messages(
        np.ones(1, np.uint32),
        source=asked.source.removeprefix("+").encode(),
        destination=asked.destination.removeprefix("+").encode(),
        data_coding=0 if plain else 8,
        short_message=octets if short else b"",
        tlvs=[] if short else [Tlv(Tag.MESSAGE_PAYLOAD, octets)],
    )
    frames = Stream().feed(encode_messages(Command.SUBMIT_SM, made).tobytes())
    assert frames is not None
    return messages(frames)
