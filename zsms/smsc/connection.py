"""One connection of a fake SMSC: its socket, its session, what waits to be written and to be delivered."""

from __future__ import annotations

import socket
import ssl
from collections import deque

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.events import Event, Side, Timers
from zsms.core.smpp.session import Session
from zsms.core.smpp.window import Window, Windows
from zsms.smsc.limits import Bucket
from zsms.smsc.model import Party

Rows = npt.NDArray[np.void]

_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
MOST_WAITING = 8 << 20
"""Octets that wait to be written, above which nothing more is delivered: who doesn't read gets its receipts later."""


class Connection:
    """What a client has opened."""

    def __init__(
        self,
        sock: socket.socket,
        number: int,
        window: int,
        timers: Timers,
        now: float,
        place: tuple[Windows, int] | None = None,
    ) -> None:
        """`place` is where its requests stand among those of all connections, by default they stand alone."""
        self.sock = sock
        self.number = number
        self.row = 0 if place is None else place[1]
        requests = Window() if place is None else Window(*place)
        requests.start_at(0)
        self.session = Session(Side.SMSC, window, timers, requests=requests)
        self.session.connected(now)
        self.party: Party | None = None
        self.bucket: Bucket | None = None
        self.system_id = ""
        self.receipts: deque[Rows] = deque()
        """For this bind, until its window has room."""
        self.look_at = now
        """When the session's timers are worth looking at, at the earliest."""
        self.writing = False
        """Whether something waits until the socket takes more."""
        self.ending = False
        """Write what waits, then close."""
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._out: deque[memoryview] = deque()
        self._waiting = 0

    @property
    def receives(self) -> bool:
        """Whether receipts can go here."""
        return self.session.state.receives and not self.ending

    @property
    def room(self) -> int:
        """Messages that may be delivered now."""
        return 0 if self._waiting > MOST_WAITING else self.session.room

    @property
    def gathers(self) -> bool:
        """Whether what comes may be read together with what comes on others."""
        return self.party is not None and not self._tls and not self.ending

    def next_look(self, now: float) -> float:
        """When `poll` is worth calling, whatever is sent until then: that is due later."""
        timers = self.session.timers
        due = self.session.next_time()
        times = [now + each for each in (timers.response, timers.enquire_link, timers.inactivity) if each > 0]
        return min([*times, *([] if due is None else [due])], default=now + 1.0)

    def read_into(self, view: memoryview) -> int | None:
        """What came, as octets into `view`: how many; None when the connection is gone."""
        try:
            return self.sock.recv_into(view) or None
        except BlockingIOError:
            return 0
        except OSError:
            return None

    def read(self, scratch: memoryview, now: float) -> list[Event] | None:
        """What came, as events; None when the connection is gone. `scratch` is where octets may stand meanwhile."""
        events: list[Event] = []
        try:
            while True:
                count = self.sock.recv_into(scratch)
                if not count:
                    return events or None
                events += self.session.receive(scratch[:count], now)
                if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
                    return events
        except _LATER:
            return events
        except OSError:
            return events or None

    def flush(self) -> bool:
        """Write what can be; False when the connection is gone."""
        parts = self.session.take_output() if self.session.output_octets else []
        if len(parts) == 1 and not self._out:  # as nearly always
            octets = parts[0]
            try:
                count = self.sock.send(octets)  # type: ignore[arg-type]  # an array is a buffer
            except _LATER:
                count = 0
            except OSError:
                return False
            if count == len(octets):
                return True
            parts[0] = octets[count:]
        for octets in parts:
            self._out.append(memoryview(octets))  # type: ignore[arg-type]
            self._waiting += len(octets)
        while self._out:
            part = self._out[0]
            try:
                count = self.sock.send(part)
            except _LATER:
                break
            except OSError:
                return False
            self._waiting -= count
            if count < len(part):
                self._out[0] = part[count:]
            else:
                self._out.popleft()
        self.writing = bool(self._out)
        return True

    def close(self) -> None:
        """Let go of the socket."""
        try:
            self.sock.close()
        except OSError:
            pass
