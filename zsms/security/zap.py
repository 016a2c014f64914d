"""Who gets in where keys are on: the answer to ZeroMQ's question about each connection, before anything is bound.

    connection --CURVE--> libzmq --ZAP request--> Gate.look --200, User-Id = the public key--> libzmq --> frames
                                                     |--400 not listed, or not for this socket
                                                     |--300 too many new connections of this key; it may try again

ZAP is https://rfc.zeromq.org/spec/27/. Each bound socket is a domain of its own, which says the roles that a key
needs; what a key may say on a socket that several roles share is the business of :mod:`zsms.roles.permissions`.

The gate has no thread: whoever owns it polls `sockets` and calls `poll`. It also counts what never reaches ZAP
(no key at all, another mechanism, noise) by the handshakes that libzmq reports as failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import zmq
from zmq.utils import z85

from zsms.errors import ZsmsError
from zsms.security.keys import REFRESH_S, Keys

ADDRESS = "inproc://zeromq.zap.01"
DOMAINS: dict[int, tuple[str, str]] = {zmq.PULL: ("ingest", "dispatch"), zmq.SUB: ("stats in", "stats out")}
"""The domains of a pair of bound sockets, by the kind of the first."""
ROLES: dict[str, frozenset[str]] = {
    "ingest": frozenset({"producer"}),
    "dispatch": frozenset({"producer", "sender", "operator"}),
    "stats in": frozenset({"broker", "producer", "sender", "smsc"}),
    "stats out": frozenset({"broker", "producer", "sender", "smsc", "monitor", "operator"}),
}
"""By domain, the roles that it is for."""
NEW_CONNECTIONS = 4_000
"""Connections that one key may open at one process, in `WINDOW_S` seconds."""
WINDOW_S = 60.0

_AT_ONCE = 64
_SETTLED = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
EVENTS = int(_SETTLED | _FAILED | zmq.EVENT_DISCONNECTED)
"""What a monitor of a socket has to report."""

SELF_TEST_S = 5.0
"""How long the proof may take on a machine that is busy; it takes some milliseconds."""

_log = logging.getLogger("zsms.security.zap")


class Gate:
    """Answers libzmq for one context."""

    def __init__(self, zap: zmq.Socket[bytes], keys: Keys) -> None:
        """`zap` is a REP of a context that has no authenticator yet, not bound."""
        self.keys = keys
        self.refused = 0
        """Connections refused, whatever the reason."""
        self.tell: Callable[[str, str], object] = lambda kind, why: None
        """Told of every refusal: a constant name for its kind, and why."""
        self.sockets: list[zmq.Socket[bytes]] = [zap]
        """To be polled; when one is readable, `poll`."""
        self._zap = zap
        self._opened: dict[bytes, tuple[float, int]] = {}
        self._refresh_at = 0.0
        zap.bind(ADDRESS)

    def watch(self, monitor: zmq.Socket[bytes]) -> None:
        """Also count what this monitor of a bound socket reports as failed."""
        self.sockets.append(monitor)

    def poll(self, now: float) -> None:
        """Answer what is asked, count what has failed, and read the list of keys again when it is time."""
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH_S
            before = self.keys.listed
            for problem in self.keys.refresh():
                _log.error("%s", problem)
            if self.keys.listed is not before:
                _log.warning("the list of keys has changed: it has %d", len(self.keys.listed))
        for _ in range(_AT_ONCE):
            try:
                request = self._zap.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._zap.send_multipart(self._answer(request, now))
        for monitor in self.sockets[1:]:
            self.count_failures(monitor)

    def _answer(self, request: list[bytes], now: float) -> list[bytes]:
        """The reply to a request of [version, id, domain, address, routing id, mechanism, credentials...]."""
        version, number, domain, address = request[:4] if len(request) >= 7 else (b"1.0", b"", b"", b"")
        point = request[6] if len(request) == 7 and request[5] == b"CURVE" and len(request[6]) == 32 else None
        status, text, name = self.judge(None if point is None else z85.encode(point), domain, now)
        if status != b"200":
            self.refused += 1
            self.tell(text, f"{text} (key {name or 'unknown'}, {domain.decode()}, from {address.decode() or 'here'})")
        user = z85.encode(point) if point is not None and status == b"200" else b""
        return [version, number, status, text.encode(), user, b""]

    def judge(self, public: bytes | None, domain: bytes, now: float) -> tuple[bytes, str, str]:
        """Status, its text, and the key's name."""
        key = None if public is None else self.keys.listed.get(public)
        if public is None or key is None:
            return b"400", "this key is not listed", "" if public is None else public.decode()[:8] + "..."
        if not ROLES.get(domain.decode("latin-1"), frozenset()).intersection(key.roles):
            return b"400", "this key is not for that", key.name
        began, count = self._opened.get(public, (now, 0))
        if now - began >= WINDOW_S:
            began, count = now, 0
        if count >= NEW_CONNECTIONS:
            return b"300", f"over {NEW_CONNECTIONS} new connections in {WINDOW_S:.0f} s", key.name
        self._opened[public] = began, count + 1
        return b"200", "OK", key.name

    def count_failures(self, monitor: zmq.Socket[bytes]) -> None:
        """Clients whose handshake failed before it came to their key."""
        for _ in range(_AT_ONCE):
            event = read_event(monitor)
            if event is None:
                return
            if event[0] & _FAILED:
                self.refused += 1
                self.tell("no handshake", "no proper CURVE handshake: a stranger, or one with another server's key")

    def self_test(self, strangers: list[tuple[str, zmq.Socket[bytes]]]) -> None:
        """See that nobody gets in without a listed key, before anybody else can try: each of `strangers` is a monitor
        of a socket that connects here without one, once. Raises ZsmsError when one gets in, or isn't refused in
        `SELF_TEST_S` s.

        A stranger may know that it is refused before this side has counted it. What is not counted here yet would
        be counted against the first real peers, so both words are waited for.
        """
        expected = len(strangers)
        poller = zmq.Poller()
        waiting = {monitor: what for what, monitor in strangers}
        for socket in (*self.sockets, *waiting):
            poller.register(socket, zmq.POLLIN)
        deadline = time.monotonic() + SELF_TEST_S
        while waiting or self.refused < expected:
            left = deadline - time.monotonic()
            poller.poll(max(0, int(left * 1_000)))  # and read, however late it is: this process may have been stopped
            self.poll(time.monotonic())
            for monitor in list(waiting):
                event = read_event(monitor)
                if event is None:
                    continue
                if event[0] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    raise ZsmsError(f"keys are on, but {waiting[monitor]} was let in: not safe to run")
                del waiting[monitor]
                poller.unregister(monitor)
            if waiting and left <= 0:
                raise ZsmsError(
                    f"keys are on, but {', '.join(waiting.values())} was not refused in {SELF_TEST_S:.0f} s"
                )
            if left <= 0:
                break  # they are refused; what this side has not counted it will count late
        self.refused = 0


def read_event(monitor: zmq.Socket[bytes]) -> tuple[int, int] | None:
    """The next event of a socket's monitor and its value, None when there is none."""
    try:
        head, _ = monitor.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return None
    return int.from_bytes(head[:2], "little"), int.from_bytes(head[2:6], "little")


_MISMATCH = int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)


class Handshakes:
    """Why a client's connection does not come about: CURVE alone would be silent."""

    def __init__(self, monitor: zmq.Socket[bytes], keys: Keys | None) -> None:
        self._monitor = monitor
        self._keys = keys
        self.succeeded = False
        """One has come about, as far as `failed` has read."""
        self._broken = False

    def failed(self) -> tuple[str, bool] | None:
        """What went wrong since the last time, for people, and whether ZeroMQ gives up for good; None if nothing."""
        found = None
        while (event := read_event(self._monitor)) is not None:
            kind, value = event
            self._broken |= kind == zmq.EVENT_DISCONNECTED
            if kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                found, self.succeeded = None, True
            elif kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value != 300:
                name = "" if self._keys is None else f" {self._keys.own.name!r}"
                found = f"the key{name} was refused: it is not listed there, or not for this", True
            elif kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == _MISMATCH:
                wants = "it wants no keys" if self._keys else "it wants a key: give --keys"
                found = f"no agreement with the other side: {wants}", True
            elif self._keys is not None and kind & (_FAILED | zmq.EVENT_HANDSHAKE_FAILED_AUTH):
                found = "the handshake failed: is it the one whose key is listed here?", False
        return found

    def broken(self) -> bool:
        """Whether a connection has broken since the last time."""
        self.failed()
        broken, self._broken = self._broken, False
        return broken
