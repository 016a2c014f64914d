"""The log in a JetStream stream, over nats-py (asyncio): :class:`zsms.journal.fence.Stream`.

    stream NAME, subjects zsms.NAME.state and zsms.NAME.data; file storage, as many copies as there are servers, 3 at
    most; nothing is ever discarded but by us

What the servers do is in docs/RELIABILITY.md. A client stays with a server that is frozen, so after two requests
without an answer this one goes to another server. A message above the servers' limit would end a client for good, so
none is made.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
import urllib.request
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.errors import AuthorizationError, ConnectionClosedError, NoRespondersError, SecureConnWantedError
from nats.errors import Error as NatsError
from nats.js.api import DEFAULT_PREFIX, Header

from zsms import extras
from zsms.errors import UsageError
from zsms.journal.address import COPIES, Address
from zsms.journal.fence import Ends, Record, Unavailable
from zsms.journal.store import NeverTaken

_HEADROOM = 4 * 1024
"""Bytes of a message beside what it carries: its subject and headers take a few hundred."""
_MOST_BYTES = 8 * 2**20
_LEAST_BYTES = 4 * _HEADROOM
"""Of the servers' max_payload."""
REQUEST_S = 2.0
APPEND_S = 5.0
_CONNECT_S = 2.0
FIRST_S = 30.0
"""So long the first answer may take: a cluster that has just started takes some seconds."""
_MONITOR_S = 0.5
_SILENT_NS = 3_000_000_000
"""So long one copy is not heard by the leader (they say something every second), and counts as gone."""
_AT_ONCE = 16
"""Parts of a group on their way at the same time."""
_PART = "Zsms-Part"
_NOT_FOUND = (404,)
_NO_PEERS = 10005
"""JetStream's error: a stream of so many copies needs servers that are not there."""
_NOT_LAST = (10070, 10071)
"""JetStream's errors: the stream does not end where the condition says."""
_NEVER = (10027, 10065)
"""JetStream's errors: the account has as many streams as it may; another stream has its subjects."""
_FIT: dict[str, tuple[object, ...]] = {
    "retention": ("limits",),
    "discard": ("new",),
    "max_msgs": (-1, 0),
    "max_bytes": (-1, 0),
    "max_age": (0,),
    "max_msg_size": (-1, 0),
    "max_msgs_per_subject": (-1, 0),
    "storage": ("file",),
    "sealed": (False,),
    "deny_purge": (False,),
    "no_ack": (False,),
    "persist_mode": ("default", ""),  # or what is acknowledged need not be written
    "first_seq": (0, 1),
    "allow_direct": (True,),
    "mirror": (None,),
    "sources": (None,),
    "subject_transform": (None,),
}
"""Settings of a stream that may be so, the default first: with others it would lose records, or take none."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_log = logging.getLogger("zsms.journal")


class Look(NamedTuple):
    """What a stream is like at a moment."""

    unfit: str
    """Why it can't be a journal as it is set up, and what to do; empty when it can."""
    first: int
    """The place of its first record."""
    deleted: int
    """Records that are missing behind that."""


class Refused(Unavailable):
    """A server does not let this process in, or is none that it could use."""


class _Client(Client):  # type: ignore[misc]
    """A client that says no word in the clear to a server that is to be spoken to by TLS, and whose questions end with
    its connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self._over = asyncio.Event()

    async def ask(self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout: float) -> Any:
        """As `request`, which would wait on for an answer that can't come any more. Raises what that does."""
        asked = asyncio.ensure_future(self.request(subject, payload, timeout=timeout, headers=headers))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((asked, over), return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise ConnectionClosedError
            return asked.result()
        finally:
            asked.cancel()
            over.cancel()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self._over.set()
        await super()._close(status, do_cbs)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        if server is not None and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise SecureConnWantedError
        await super()._process_info(info, initial_connection=initial_connection)


class JetStream:
    """Used in one event loop."""

    def __init__(self, address: Address) -> None:
        logging.getLogger("asyncio").addFilter(_is_of_use)
        self._address = address
        self._client: _Client | None = None
        self._silent = 0
        """Requests in a row that nobody answered."""
        self._turn = 0
        self.copies = 0
        """How many the servers keep of each record."""
        self.payload = 0
        """Most bytes of a record."""
        self.refused = ""
        """Why the servers stored nothing of what was last published, in their words."""
        self._domain: object = None
        """That of the servers which have the stream."""
        self._failures: list[Exception] = []
        """Why the last client could not connect, which it tells nobody else."""
        self._complaints: dict[str, str] = {}
        """What a server has said of its own accord: permissions that are missing, by subject ("": for any answer)."""

    # -- the connection ---------------------------------------------------------------------------------------------

    async def open(self, create: bool, leaves: Callable[[], bool] = bool) -> None:
        """Connect, and make the stream if it is not there and `create`. Raises UsageError, Unavailable, and NeverTaken
        when the process `leaves` before.
        """
        began, said = self.now(), ""
        self._how()  # raises UsageError
        while not leaves():
            try:
                await self._connected()
                await self._find_stream(create, patient=self.now() < began + FIRST_S / 2)
                return
            except Refused:
                raise
            except Unavailable as error:
                if self.now() > began + FIRST_S:
                    raise
                if str(error) != said:
                    said = str(error)
                    _log.warning("%s; trying on for %.0f s", error, FIRST_S)
                await self.sleep(0.5)
        raise NeverTaken

    async def _connected(self) -> _Client:
        if self._client is not None and self._client.is_connected and self._silent < 2:
            return self._client
        await self._disconnect()
        servers = self._address.servers
        turned = [servers[(self._turn + number) % len(servers)] for number in range(len(servers))]
        self._turn += 1
        whys: dict[str, Exception] = {}
        for server in turned:
            client, self._failures = _Client(), []
            try:
                await asyncio.wait_for(client.connect([server], **self._how()), _CONNECT_S + 0.5)
                if client.max_payload < _LEAST_BYTES:
                    await client.close()
                    raise Refused(f"its max_payload of {client.max_payload:,} bytes is less than {_LEAST_BYTES:,}")
            except (OSError, NatsError, TimeoutError, ValueError, Refused, UsageError) as error:
                whys[self._address.shown(server)] = self._why(error)
                continue
            self._client, self._silent = client, 0
            self._complaints.clear()
            self.payload = min(client.max_payload, _MOST_BYTES) - _HEADROOM
            return client
        told = "; ".join(f"{server}: {_words(error)}{_hint(error)}" for server, error in whys.items())
        if all(map(_is_final, whys.values())):
            raise Refused(f"no NATS server can be used: {told}")
        raise Unavailable(f"no NATS server answers: {told}")

    def _why(self, error: Exception) -> Exception:
        """Why a client could not connect, which ended with that error."""
        return self._failures[-1] if self._failures else error

    def _how(self) -> dict[str, Any]:
        """What a client connects with, its files as they are now. Raises UsageError."""
        address = self._address
        if {"creds", "nkey"} & address.files.keys() and find_spec("nkeys") is None:
            raise extras.missing("creds and nkey of a journal on NATS servers need nkeys", "jetstream")
        return {
            **address.credentials(),
            "name": "zsms",
            # Its own search for another server is off: it would stay with one that is frozen.
            "allow_reconnect": False,
            # Nor is it to ask a server that is not there for two minutes.
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0.05,
            "connect_timeout": int(_CONNECT_S),
            "tls": address.tls(),
            "tls_handshake_first": address.tls_first,
            "error_cb": self._on_error,
            "pending_size": 64 * 2**20,
            "ping_interval": 5,
        }

    async def _on_error(self, error: Exception) -> None:
        """What a server says of its own accord, and why none is there; what breaks is seen by the requests that
        break."""
        self._failures.append(error)
        if "permissions" in (text := str(error).lower()):
            self._complaints[text.split('"')[1] if "for publish" in text else ""] = str(error)

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                await asyncio.wait_for(client.close(), 0.5)
            except (OSError, NatsError, TimeoutError):
                pass

    async def close(self) -> None:
        """Let go of the connection."""
        await self._disconnect()

    async def _request(
        self, subject: str, payload: bytes, headers: dict[str, str] | None = None, timeout: float = REQUEST_S
    ) -> Any:
        client = await self._connected()
        try:
            answer = await client.ask(subject, payload, headers, timeout)
        except (NatsError, OSError, TimeoutError) as error:
            self._silent += isinstance(error, TimeoutError)
            if complaint := self._complaints.pop(subject.lower(), "") or self._complaints.get(""):
                raise Refused(f"the NATS servers do not answer: {complaint}") from None
            if isinstance(error, NoRespondersError):
                raise _nobody(subject, self._address.api) from None
            raise Unavailable(f"the NATS servers do not answer ({_words(error)})") from None
        self._silent = 0
        return answer

    async def ask(self, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """An answer of JetStream's own, from the stream's leader. Raises Unavailable."""
        payload = b"" if body is None else json.dumps(body).encode()
        answer = await self._request(f"{self._address.api}.{what}", payload)
        found: dict[str, Any] = json.loads(answer.data)
        error = found.get("error")
        if error is not None and error.get("code") not in _NOT_FOUND:
            raise Unavailable(f"the NATS servers say: {error.get('description')}")
        return found

    # -- the stream -------------------------------------------------------------------------------------------------

    async def _find_stream(self, create: bool, patient: bool) -> None:
        """`patient`: a server that is not there yet may come. Raises UsageError, Unavailable."""
        name = self._address.name
        found = await self.ask(f"STREAM.INFO.{name}")
        if "error" in found:
            if not create:
                raise UsageError(f"no journal {name} at {', '.join(self._address.servers)}")
            for copies in range(COPIES, 0, -1):
                found = await self._make_stream(copies)
                if "error" not in found:
                    break
                if patient and copies <= len(self._address.servers) and found["error"].get("err_code") == _NO_PEERS:
                    raise Unavailable(f"not all of the NATS servers that are to keep {copies} copies are there")
            else:
                refused = Refused if found["error"].get("err_code") in _NEVER else Unavailable
                raise refused(f"the NATS servers make no stream {name}: {found['error'].get('description')}")
        config = found["config"]
        if why := _unfit(config):
            raise UsageError(f"{why}, or give another name")
        self.copies = int(config.get("num_replicas", 1))

    async def look(self) -> Look:
        """What somebody else may have done to the stream. Raises Unavailable."""
        found = await self.ask(f"STREAM.INFO.{self._address.name}")
        if "error" in found:
            raise Unavailable(f"the stream {self._address.name} is gone")
        state, self.copies = found["state"], int(found["config"].get("num_replicas", 1))
        return Look(_unfit(found["config"]), state["first_seq"], state.get("num_deleted", 0))

    async def _make_stream(self, copies: int) -> dict[str, Any]:
        name = self._address.name
        config = {
            "name": name,
            "subjects": [f"zsms.{name}.*"],
            "storage": "file",
            "num_replicas": copies,
            "retention": "limits",
            "discard": "new",  # a full stream says so
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "allow_direct": True,
        }
        answer = await self._request(
            f"{self._address.api}.STREAM.CREATE.{name}", json.dumps(config).encode(), timeout=APPEND_S
        )
        found: dict[str, Any] = json.loads(answer.data)
        return found

    async def append(self, last: int, records: Sequence[Record]) -> bool:
        """As of :class:`zsms.journal.fence.Stream`."""
        for begin in range(0, len(records), _AT_ONCE):
            some = [self.publish(last + begin + at, record) for at, record in enumerate(records[begin:][:_AT_ONCE])]
            if not all(await asyncio.gather(*some)):
                return False
        return True

    async def publish(self, last: int, record: Record) -> bool:
        """Append one record behind the place `last`; whether it is there."""
        headers = {
            Header.EXPECTED_LAST_SEQUENCE.value: str(last),
            Header.MSG_ID.value: record.id,
            _PART: f"{record.part}/{record.parts}",
        }
        try:
            answer = await self._request(
                f"zsms.{self._address.name}.{record.kind}", record.payload, headers, timeout=APPEND_S
            )
            found = json.loads(answer.data)
        except (Unavailable, ValueError) as error:
            self.refused = str(error) if isinstance(error, Refused) else ""
            return False
        said = found.get("error") or {}
        self.refused = "" if said.get("err_code") in _NOT_LAST else said.get("description", "")
        if not said and found.get("domain") != self._domain:
            self.refused = f"a stream in another domain, {found.get('domain')}, takes the same subjects"
            return False
        return bool(found.get("seq") == last + 1)  # one that came twice is told where it is, too

    async def ends(self) -> Ends:
        """As of :class:`zsms.journal.fence.Stream`."""
        found = await self.ask(f"STREAM.INFO.{self._address.name}")
        if "error" in found:
            raise Unavailable(f"the stream {self._address.name} is gone")
        self._domain = found.get("domain")
        # A leader that has lost the others answers for ten seconds more, and knows of nothing new.
        others = (found.get("cluster") or {}).get("replicas") or []
        heard = sum(not other.get("offline") and other.get("active", 0) < _SILENT_NS for other in others)
        if 2 * (1 + heard) <= 1 + len(others):
            raise Unavailable(f"of {1 + len(others)} NATS servers that have the journal {1 + heard} can be heard")
        return Ends(found["state"]["first_seq"], found["state"]["last_seq"])

    async def state(self) -> Record | None:
        """As of :class:`zsms.journal.fence.Stream`."""
        return await self._get({"last_by_subj": f"zsms.{self._address.name}.state"})

    async def read(self, place: int) -> Record | None:
        """As of :class:`zsms.journal.fence.Stream`."""
        return await self._get({"seq": place})

    async def _get(self, which: dict[str, Any]) -> Record | None:
        """From the leader: another server may not have it yet."""
        from base64 import b64decode

        found = (await self.ask(f"STREAM.MSG.GET.{self._address.name}", which)).get("message")
        if found is None:
            return None
        lines = b64decode(found.get("hdrs", "")).decode("utf-8", "replace").split("\r\n")
        headers = {key: value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
        return _record(found["subject"], headers, b64decode(found.get("data", "")))

    async def fetch(self, place: int) -> Record | None:
        """As `read`, from whichever server answers: what a place once holds does not change. Faster."""
        answer = await self._request(
            f"{self._address.api}.DIRECT.GET.{self._address.name}",
            json.dumps({"seq": place}).encode(),
            timeout=APPEND_S,
        )
        headers = answer.headers or {}
        if "Nats-Subject" not in headers:
            return await self.read(place)
        return _record(headers["Nats-Subject"], headers, answer.data)

    async def cut(self, below: int) -> None:
        """As of :class:`zsms.journal.fence.Stream`."""
        await self.ask(f"STREAM.PURGE.{self._address.name}", {"seq": below})

    async def sleep(self, seconds: float) -> None:
        """As of :class:`zsms.journal.fence.Stream`."""
        await asyncio.sleep(seconds)

    def now(self) -> float:
        """As of :class:`zsms.journal.fence.Stream`: it goes on while the machine sleeps, too."""
        return time.clock_gettime(_CLOCK)

    # -- what is told -----------------------------------------------------------------------------------------------

    async def describe(self) -> str:
        """How many copies there are, and when the servers sync them, in words."""
        servers = len(self._address.servers)
        copies = f"{self.copies} copies" if self.copies > 1 else "one copy"
        fewer = "" if self.copies >= COPIES else f" (fewer than {COPIES}, for want of servers or as it was made)"
        syncs = await asyncio.gather(
            *(asyncio.to_thread(_sync_of, url, self._domain) for url in self._address.monitors)
        )
        known = sorted({sync for sync in syncs if sync})
        told = f"synced {' and '.join(known)}" if known else "how often they are synced is not known"
        if known and len(list(filter(None, syncs))) < servers:
            told += f", as {len(list(filter(None, syncs)))} of {servers} servers say"
        return f"{copies}{fewer}, {told}"


def _nobody(subject: str, api: str) -> Unavailable:
    """Nobody is there to answer what was asked there."""
    if not subject.startswith(api):
        return Refused(f"nobody takes {subject}: there is no leader at the moment, or it is not passed on from here")
    where = "(on a leaf node: ?domain=NAME of the servers that have it)" if api == DEFAULT_PREFIX else f"at {api}"
    return Unavailable(f"the NATS servers have no JetStream {where}, or no leader at the moment")


def _is_of_use(record: logging.LogRecord) -> bool:
    """Whether what asyncio says is: not that of each TLS connection's end, as nats-py makes them."""
    return "eof_received() has no effect" not in str(record.msg)


def _unfit(config: dict[str, Any]) -> str:
    """Why a stream that is set up so can't be a journal, and what to do; empty when it can."""
    name = config["name"]
    if config.get("subjects") != [f"zsms.{name}.*"]:
        return f"the stream {name} is no journal of zsms, whose subjects are zsms.{name}.*: mend that"
    unfit = [f"{key} {config[key]}" for key, fit in _FIT.items() if config.get(key, fit[0]) not in fit]
    if not unfit:
        return ""
    return f"the stream {name} can't be a journal as it is set up ({', '.join(unfit)}): mend that (`nats stream edit`)"


def _record(subject: str, headers: Any, payload: bytes) -> Record:
    """One without an id is somebody else's, and of no kind."""
    part, _, parts = headers.get(_PART, "0/1").partition("/")
    own = headers.get(Header.MSG_ID.value, "")
    return Record(subject.rpartition(".")[2] if own else "", own, payload, int(part), int(parts))


def _sync_of(url: str, domain: object) -> str:
    """When a server of that domain syncs, in words, by its monitoring; empty when that can't be asked."""
    try:
        with urllib.request.urlopen(url, timeout=_MONITOR_S) as answer:
            config = json.load(answer)["jetstream"]["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if config.get("domain") != domain:
        return ""  # it keeps nothing of the journal, and only leads there
    if config.get("sync_always"):
        return "with every write (sync_interval: always)"
    return f"every {config.get('sync_interval', 0) / 1e9:g} s (sync_interval)"


def _words(error: BaseException) -> str:
    """An error in a line, and what to do where that is not plain."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, SecureConnWantedError):
        return "it does not offer TLS, which tls:// asks for"
    if "no ssl context" in text:
        return "it wants TLS: write tls://"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message.rstrip('.')}: {_MENDS.get(error.verify_code, _OWN_CA)}"
    if isinstance(error, ssl.SSLError) and error.reason:
        said = error.reason.replace("_", " ").lower()
        return f"{said}: {next((how for what, how in _TLS_MENDS.items() if what in said), 'TLS can not begin')}"
    return text


def _hint(error: BaseException) -> str:
    """What may help with a server that says nothing at all."""
    waits = isinstance(error, TimeoutError) or "expecting INFO" in str(error)
    return " (if it waits for TLS to begin: ?tls=first)" if waits else ""


_OWN_CA = "give the certificate of who signed its own (?ca=FILE)"
_OTHER_NAME = "write the host as it stands in the server's certificate"
_NOT_NOW = "the server needs a new certificate, or a clock is off"
_MENDS = {62: _OTHER_NAME, 63: _OTHER_NAME, 64: _OTHER_NAME, 9: _NOT_NOW, 10: _NOT_NOW}
"""By OpenSSL's codes: the name is another; not valid yet, or no longer."""
_TLS_MENDS = {
    "certificate required": "it wants a certificate of this side: ?cert=FILE&key=FILE",
    "wrong version number": "it does not speak TLS there: leave out tls=first",
    "alert": "it does not take the certificate of this side (?cert=FILE&key=FILE)",
}


def _is_final(error: BaseException) -> bool:
    """Whether trying again would be of no use."""
    if isinstance(error, (Refused, UsageError, SecureConnWantedError, AuthorizationError)):
        return True
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return True
    return any(word in str(error).lower() for word in ("authorization violation", "authentication", "no ssl context"))
