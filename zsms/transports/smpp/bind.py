"""One connection to an SMSC: it is made, bound, kept, and made again when it is lost.

    idle --its time--> resolving --> connecting --> (TLS) --> binding --accepted--> bound
      ^                    |              |           |          |                    |
      +----- back-off -----+--------------+-----------+----------+-- lost, refused ---+

Nothing here waits: sockets are non-blocking, and names are looked up in a thread of their own.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from enum import Enum

import numpy as np

from zsms.core.smpp.flow import Flow
from zsms.core.smpp.session import Bound, Ended, Event, Session, Side, Timers
from zsms.core.smpp.statuses import FINAL_BINDS, name_of
from zsms.core.smpp.window import U64
from zsms.transports.smpp.settings import SmppSettings

_log = logging.getLogger("zsms.sender")

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
"""A connection is tried again after a time drawn from 0 to twice the one before, from the first to the last."""
_READ_OCTETS = 1 << 18
_READS = 8
_FEW_PARTS = 4
MOST_OUTPUT = 1 << 20
"""Octets that the other side has not taken, above which nothing more is submitted."""


class Phase(Enum):
    """Where a connection stands."""

    IDLE = "not connected"
    RESOLVING = "looking the name up"
    CONNECTING = "connecting"
    TLS = "agreeing on TLS"
    BINDING = "binding"
    BOUND = "bound"


class Bind:
    """One of a gateway's connections."""

    def __init__(
        self,
        settings: SmppSettings,
        command: int,
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
        rng: np.random.Generator,
    ) -> None:
        self.settings = settings
        self.command = command
        self.flow = Flow(settings.bind_rate)
        self.phase = Phase.IDLE
        self.session = self._new_session()
        self.connections = 0
        """Connections that were bound."""
        self.refused: int | None = None
        """The status of the last bind, if it was refused."""
        self.trouble = ""
        """Why the last connection failed or ended."""
        self.lost: list[tuple[U64, str]] = []
        """What had no answer when a connection ended, and why it did; the owner takes it."""
        self._selector = selector
        self._wake = wake
        self._rng = rng
        self._sock: socket.socket | None = None
        self._resolved: list[tuple[int, tuple[object, ...]]] | str | None = None
        self._addresses: list[tuple[int, tuple[object, ...]]] = []
        self._tries = 0
        self._next_try = 0.0
        self._deadline = 0.0
        self._out: list[memoryview] = []
        self._out_octets = 0
        self._mask = 0
        self._context = settings.context() if settings.tls else None
        self.more = False
        """There is more to be read than was."""
        self.leaving = False

    def _new_session(self) -> Session:
        timers = Timers(response=self.settings.response_s, enquire_link=self.settings.enquire_link_s)
        return Session(Side.ESME, self.settings.window, timers)

    # -- what the owner asks -----------------------------------------------------------------------------------------

    @property
    def bound(self) -> bool:
        """Whether messages can go out, or receipts come in."""
        return self.phase is Phase.BOUND

    def room(self, now: float) -> int:
        """Segments that may be submitted now."""
        if self.phase is not Phase.BOUND or self._out_octets > MOST_OUTPUT:
            return 0
        room = self.session.room
        return min(room, self.flow.cap.allowed(now)) if room else 0

    def next_time(self) -> float:
        """When `look` is worth calling."""
        if self.phase is Phase.IDLE:
            return self._next_try
        if self.phase is Phase.BOUND:
            at = self.session.next_time()
            return float("inf") if at is None else at
        at = self.session.next_time() if self.phase is Phase.BINDING else None
        return self._deadline if at is None else min(at, self._deadline)

    def look(self, now: float) -> list[Event]:
        """Time passes."""
        if self.phase is Phase.IDLE:
            if now >= self._next_try:
                self._resolve(now)
            return []
        if self.phase is Phase.RESOLVING and self._resolved is not None:
            self._take_addresses(now)
        if self.phase in (Phase.RESOLVING, Phase.CONNECTING, Phase.TLS) and now >= self._deadline:
            self._failed(f"not connected within {self.settings.connect_s:g} s ({self.phase.value})", now)
        if self.phase in (Phase.BINDING, Phase.BOUND):
            return self._acted_on(self.session.look(now), now)
        return []

    # -- connecting --------------------------------------------------------------------------------------------------

    def _resolve(self, now: float) -> None:
        self.phase, self._deadline, self._resolved = Phase.RESOLVING, now + self.settings.connect_s, None
        host, port = self.settings.host, self.settings.port
        try:
            self._resolved = _addresses(host, port, socket.AI_NUMERICHOST)
        except OSError:
            threading.Thread(target=self._look_up, args=(host, port), name="zsms-resolve", daemon=True).start()
            return
        self._take_addresses(now)

    def _look_up(self, host: str, port: int) -> None:
        try:
            self._resolved = _addresses(host, port, 0)
        except (OSError, UnicodeError) as error:
            self._resolved = f"the name {host} has no address: {getattr(error, 'strerror', None) or error}"
        self._wake()

    def _take_addresses(self, now: float) -> None:
        found, self._resolved = self._resolved, None
        if isinstance(found, str):
            self._failed(found, now)
            return
        if not found:
            self._failed("the name has no address", now)
            return
        self._addresses = list(found)
        self._connect(now)

    def _connect(self, now: float) -> None:
        family, address = self._addresses.pop(0)
        self.phase, self._deadline = Phase.CONNECTING, now + self.settings.connect_s
        sock = socket.socket(family, socket.SOCK_STREAM)
        self._sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._unconnected(code, now)
            return
        self._mask = selectors.EVENT_WRITE
        self._selector.register(sock, self._mask, self)

    def _unconnected(self, code: int, now: float) -> None:
        if self._addresses:
            self._close()
            self._connect(now)
        else:
            self._failed(errno.errorcode.get(code, str(code)) + f": {_words(code)}", now)

    def _connected(self, now: float) -> None:
        assert self._sock is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._unconnected(code, now)
            return
        if self._context is None:
            self._say_bind(now)
            return
        self._selector.unregister(self._sock)
        try:
            self._sock = self._context.wrap_socket(
                self._sock, do_handshake_on_connect=False, server_hostname=self.settings.host
            )
        except (OSError, ValueError) as error:
            self._sock, self._mask = None, 0
            self._failed(f"TLS: {error}", now)
            return
        self._selector.register(self._sock, self._mask, self)
        self.phase = Phase.TLS
        self._shake_hands(now)

    def _shake_hands(self, now: float) -> None:
        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._want(selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._want(selectors.EVENT_WRITE)
        except (OSError, ValueError) as error:
            reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or error
            self._failed(f"TLS: {reason}", now)
        else:
            self._say_bind(now)

    def _say_bind(self, now: float) -> None:
        settings = self.settings
        self.phase = Phase.BINDING
        self.session = self._new_session()
        self.session.connected(now)
        self.session.bind(
            self.command,
            now,
            system_id=settings.system_id.encode(),
            password=settings.password.encode(),
            system_type=settings.system_type.encode(),
        )
        self._deadline = now + settings.response_s
        self._want(selectors.EVENT_READ)
        self.flush(now)

    # -- octets ------------------------------------------------------------------------------------------------------

    def ready(self, mask: int, now: float) -> list[Event]:
        """The socket can be read or written."""
        if self.phase is Phase.CONNECTING:
            self._connected(now)
            return []
        if self.phase is Phase.TLS:
            self._shake_hands(now)
            return []
        events: list[Event] = []
        if mask & selectors.EVENT_READ:
            events = self.read(now)
        if self._out:
            self.flush(now)
        return events

    def read(self, now: float) -> list[Event]:
        """What the other side has said."""
        events: list[Event] = []
        self.more = False
        for _ in range(_READS):
            if self._sock is None:
                return events
            try:
                data = self._sock.recv(_READ_OCTETS)
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return events
            except OSError as error:
                self._lost(error.strerror or str(error), now)
                return events
            if not data:
                self._lost("the gateway has closed the connection", now)
                return events
            events += self._acted_on(self.session.receive(data, now), now)
            if len(data) < _READ_OCTETS and self._context is None:
                return events
        self.more = True
        return events

    def _acted_on(self, events: list[Event], now: float) -> list[Event]:
        """Events that are not the connection's own."""
        for event in events:
            if isinstance(event, Bound):
                self.phase, self.refused, self._tries = Phase.BOUND, None, 0
                self.connections += 1
            elif isinstance(event, Ended):
                if event.status is not None:
                    self.refused = event.status
                self.flush(now)
                why = event.reason if event.status is None else f"{event.reason}: {name_of(event.status)}"
                self._lost(why, now)
        return [event for event in events if not isinstance(event, Bound | Ended)]

    def flush(self, now: float) -> None:
        """Write what waits."""
        if self.session.output_octets:
            parts = self.session.take_output()
            views = [part.data if isinstance(part, np.ndarray) else memoryview(part) for part in parts]
            self._out += views if len(views) < _FEW_PARTS else [memoryview(b"".join(views))]
            self._out_octets += sum(map(len, views))
        while self._out and self._sock is not None:
            try:
                count = self._sock.send(self._out[0])
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                self._lost(error.strerror or str(error), now)
                return
            self._out_octets -= count
            if count == len(self._out[0]):
                self._out.pop(0)
            else:
                self._out[0] = self._out[0][count:]
        if self._sock is not None:
            self._want(selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0))

    def _want(self, mask: int) -> None:
        if mask != self._mask and self._sock is not None:
            self._mask = mask
            self._selector.modify(self._sock, mask, self)

    # -- the end of it -----------------------------------------------------------------------------------------------

    @property
    def refused_for_good(self) -> bool:
        """Whether the account is wrong: another try would be refused as well."""
        return self.refused in FINAL_BINDS

    def _failed(self, why: str, now: float) -> None:
        """No connection came about."""
        self._lost(why, now)

    def _lost(self, why: str, now: float) -> None:
        was = self.phase
        self._close()
        self.phase = Phase.IDLE
        self.trouble = why
        handles = self.session.lost()
        if len(handles):
            self.lost.append((handles, why))
        self._tries = 0 if was is Phase.BOUND and self._tries == 0 else self._tries
        longest = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._tries, 10))
        self._next_try = now + (0.5 + 0.5 * float(self._rng.random())) * longest
        level = logging.WARNING if self._tries == 0 else logging.INFO
        self._tries += 1
        if self.leaving:
            return
        _log.log(level, "%s: %s; trying again in %.1f s", self.settings.address, why, self._next_try - now)

    def _close(self) -> None:
        sock, self._sock = self._sock, None
        self._out, self._out_octets, self._mask, self.more = [], 0, 0, False
        if sock is not None:
            try:
                self._selector.unregister(sock)
            except (KeyError, ValueError):
                pass  # it was not registered yet
            sock.close()

    def leave(self, now: float) -> None:
        """Say goodbye; the connection ends when that is answered."""
        self.leaving = True
        if self.bound:
            self.session.unbind(now)
            self.flush(now)

    def close(self) -> None:
        """Leave without another word."""
        self._close()
        self.phase = Phase.IDLE
        self._next_try = float("inf")


def _addresses(host: str, port: int, flags: int) -> list[tuple[int, tuple[object, ...]]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(int(family), address) for family, _, _, _, address in found]


def _words(code: int) -> str:
    return os.strerror(code)
