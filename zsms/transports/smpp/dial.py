"""A connection to an SMSC comes about: its name is looked up, TCP connects, TLS is agreed on.

    idle --begin--> resolving --> connecting --> (TLS) --> connected
                        |              |           |
                        +--------------+-----------+--- NotConnected

Nothing here waits: sockets are non-blocking, and names are looked up in a thread of their own.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from enum import Enum

from zsms.transports.smpp.settings import SmppSettings

Address = tuple[int, tuple[object, ...]]


class Phase(Enum):
    """Where a connection stands."""

    IDLE = "not connected"
    RESOLVING = "looking the name up"
    CONNECTING = "connecting"
    TLS = "agreeing on TLS"
    BINDING = "binding"
    BOUND = "bound"


class NotConnected(Exception):
    """No connection came about; why, in words."""


class Dial:
    """One try to connect."""

    def __init__(
        self, settings: SmppSettings, selector: selectors.BaseSelector, owner: object, wake: Callable[[], None]
    ) -> None:
        """`owner` is what the selector tells with the socket; `wake` is called from a thread once a name is known."""
        self.phase = Phase.IDLE
        self.sock: socket.socket | None = None
        self.deadline = 0.0
        self.connected = False
        self._settings = settings
        self._selector = selector
        self._owner = owner
        self._wake = wake
        self._mask = 0
        self._context = settings.context() if settings.tls else None
        self._resolved: list[Address] | str | None = None
        self._addresses: list[Address] = []

    def begin(self, now: float) -> None:
        """Try. This and the other methods raise NotConnected."""
        host, port = self._settings.host, self._settings.port
        self.connected, self._resolved = False, None
        self.phase, self.deadline = Phase.RESOLVING, now + self._settings.connect_s
        try:
            self._resolved = _addresses(host, port, socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            threading.Thread(target=self._resolve, args=(host, port), name="zsms-resolve", daemon=True).start()
            return
        self.poll(now)

    def _resolve(self, host: str, port: int) -> None:
        try:
            self._resolved = _addresses(host, port, 0)
        except (OSError, UnicodeError) as error:
            self._resolved = f"the name {host} has no address: {getattr(error, 'strerror', None) or error}"
        self._wake()

    def poll(self, now: float) -> None:
        """A name may be known, and time passes."""
        if self.phase is Phase.RESOLVING and self._resolved is not None:
            found, self._resolved = self._resolved, None
            if isinstance(found, str):
                raise NotConnected(found)
            if not found:
                raise NotConnected("the name has no address")
            self._addresses = list(found)
            self._connect(now)
        elif now >= self.deadline and self.phase is Phase.CONNECTING and self._addresses:
            self.close()
            self._connect(now)
        elif now >= self.deadline:
            raise NotConnected(f"not connected within {self._settings.connect_s:g} s ({self.phase.value})")

    def _connect(self, now: float) -> None:
        code = errno.EADDRNOTAVAIL
        while self._addresses:
            family, address = self._addresses.pop(0)
            self.phase, self.deadline = Phase.CONNECTING, now + self._settings.connect_s
            try:
                sock = self.sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:  # no such family here, or no descriptor left
                code = error.errno or errno.EIO
            else:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                code = sock.connect_ex(address)
                if code in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                    self._selector.register(sock, selectors.EVENT_WRITE, self._owner)
                    self._mask = selectors.EVENT_WRITE
                    return
            self.close()
        raise NotConnected(f"{errno.errorcode.get(code, str(code))}: {os.strerror(code)}")

    def ready(self, now: float) -> None:
        """The socket can be read or written."""
        assert self.sock is not None
        if self.phase is Phase.TLS:
            self._shake_hands()
            return
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.close()
            if not self._addresses:
                raise NotConnected(f"{errno.errorcode.get(code, str(code))}: {os.strerror(code)}")
            self._connect(now)
        elif self._context is None:
            self.connected = True
        else:
            self._begin_tls(self._context)

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        assert self.sock is not None
        self._selector.unregister(self.sock)
        plain, self.sock = self.sock, None
        try:
            self.sock = context.wrap_socket(plain, do_handshake_on_connect=False, server_hostname=self._settings.host)
        except (OSError, ValueError) as error:
            plain.close()
            raise NotConnected(f"TLS: {error}") from None
        self._selector.register(self.sock, self._mask, self._owner)
        self.phase = Phase.TLS
        self._shake_hands()

    def _shake_hands(self) -> None:
        assert isinstance(self.sock, ssl.SSLSocket)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self.want(selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self.want(selectors.EVENT_WRITE)
        except (OSError, ValueError) as error:
            reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or error
            raise NotConnected(f"TLS: {reason}") from None
        else:
            self.connected = True

    def want(self, mask: int) -> None:
        """What the selector is to tell of the socket."""
        if mask != self._mask and self.sock is not None:
            self._mask = mask
            self._selector.modify(self.sock, mask, self._owner)

    def close(self) -> None:
        """Let go of the socket."""
        sock, self.sock, self._mask, self.connected = self.sock, None, 0, False
        self.phase = Phase.IDLE
        if sock is not None:
            try:
                self._selector.unregister(sock)
            except (KeyError, ValueError):
                pass  # it was not registered yet
            sock.close()


def _addresses(host: str, port: int, flags: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(int(family), address) for family, _, _, _, address in found]
