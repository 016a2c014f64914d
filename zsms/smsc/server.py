"""The fake SMSC as a role: it listens, serves its sessions in one loop, and tells the collector what it did.

    sockets --epoll--> Connection.read --events--> Desk --answers, receipts--> Connection.flush --> sockets

It has a life as every other role: `with FakeSmsc(...)`, `run`, `start`, `stop`, `serve`. A stop unbinds nobody: who
has no answer yet gets it within the drain time, then connections are closed.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Unpack

import zmq

from zsms import saving
from zsms.core.seeds import Seed
from zsms.core.smpp.bundle import READ_OCTETS, Gather
from zsms.core.smpp.events import Timers
from zsms.core.smpp.window import Windows
from zsms.errors import UsageError
from zsms.options import checked
from zsms.roles.base import Role, RoleOptions
from zsms.smsc.connection import Connection
from zsms.smsc.desk import Desk
from zsms.smsc.faults import Schedule
from zsms.smsc.record import Recorder
from zsms.smsc.rules import Rules
from zsms.smsc.waiting import Waiting
from zsms.stats.figures import Figures, Gauge
from zsms.stats.snapshot import Snapshot

PORT = 2775
"""The port that IANA lists for SMPP."""
MOST_CONNECTIONS = 10_000
_BACKLOG = 512
_ROWS = 16
_TIMERS_S = 0.1
"""How often sessions' timers are looked at."""
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Why a connection that has come can't be accepted now."""
LISTEN_AGAIN_S = 0.5


class FakeSmsc(Role):
    """An SMSC that accepts, refuses, delays and forgets as it is told."""

    role = "smsc"

    @checked
    def __init__(
        self,
        rules: Rules | None = None,
        *,
        bind: str | Sequence[str] = "127.0.0.1:0",
        seed: Seed = None,
        record: str | Path | None = None,
        certificate: str | Path | None = None,
        private_key: str | Path | None = None,
        http: str | None = None,
        **common: Unpack[RoleOptions],
    ) -> None:
        """`bind`: HOST:PORT, or several (port 0: a free one). `record`: a CSV file of every submit_sm.

        `http`: HOST:PORT where it takes messages over HTTP, too (`zsms.smsc.http`).
        With `certificate` (and `private_key`, where that is another file), PEM, all connections are TLS. Raises
        UsageError.
        """
        super().__init__(**common)
        self.rules = rules or Rules()
        self._binds = [_address(each) for each in ([bind] if isinstance(bind, str) else bind)]
        self._seed = seed
        self._record = None if record is None else Path(record)
        if private_key is not None and certificate is None:
            raise UsageError(f"the private key {str(private_key)!r}: give the certificate whose key it is, too")
        self._tls = None if certificate is None else _tls(certificate, private_key)
        self._listeners: dict[int, socket.socket] = {}
        self._by_fd: dict[int, Connection] = {}
        self._windows = Windows(_ROWS)
        self._rows = list(range(_ROWS - 1, -1, -1))
        """Rows of the windows that no connection has."""
        self._gather = Gather(self._windows)
        self._scratch = memoryview(bytearray(READ_OCTETS))
        self._number = 0
        self._timers_at = 0.0
        self._full = False
        """The last connection that came had no room."""
        self._listen_at = inf
        """When listeners are looked at again; inf: they are."""
        self._began = 0.0
        self._recorder: Recorder | None = None
        self._http = None
        if http is not None:
            from zsms.smsc.http import HttpSide

            self._http = HttpSide(_address(http), self.wake)
        self.desk: Desk

    @property
    def port(self) -> int:
        """The first port that it listens on. Known once it has started."""
        return self.addresses[0][1]

    @property
    def http_port(self) -> int:
        """Where it takes messages over HTTP; 0: nowhere. Known once it has started."""
        return 0 if self._http is None else self._http.port

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [each.getsockname()[:2] for each in self._listeners.values()]

    def summary(self) -> list[str]:
        """What it has done, in lines for people."""
        told, sent = self.desk.model.counts, self.desk.counts
        return [
            f"submits     {told.submitted:,}: {told.accepted:,} accepted, {told.throttled:,} above a limit, "
            f"{told.queue_full:,} for a full queue, {told.rejected:,} otherwise refused",
            f"segments    {told.segments:,} accepted",
            f"duplicates  {told.duplicates:,} (source, destination and body of one before, accepted or refused)",
            f"receipts    {sent.receipts_sent:,} sent, {sent.receipts_answered:,} acknowledged, "
            f"{sent.receipts_refused:,} refused, {sent.receipts_unanswered + sent.receipts_given_up:,} unanswered",
            f"binds       {sent.binds:,}, {sent.binds_refused:,} refused",
        ]

    def _open(self) -> None:
        self._epoll = select.epoll()
        self._waiting = Waiting(self._epoll)
        if self._record is not None:
            self._recorder = self._open_record(self._record)
        self._began = self._clock()
        self.desk = Desk(self.rules, self._seed, self._began, self._recorder)
        self._faults = Schedule(self.rules.faults)
        for host, port in self._binds:
            listener = _listen(host, port)
            self._listeners[listener.fileno()] = listener
            self._epoll.register(listener.fileno(), select.EPOLLIN)
            self.log.info("%s: listening on %s:%d", self.name, *listener.getsockname()[:2])
        self._epoll.register(self.waker.fileno(), select.EPOLLIN)
        self._poller.register(self._epoll.fileno(), zmq.POLLIN)
        if self._http is not None:
            self._http.open()
            self.log.info("%s: HTTP on port %d", self.name, self._http.port)

    def step(self) -> bool:
        """See `Role.step`."""
        now = self._clock()
        times = [self._publisher.due(), self.desk.next_time(), self._faults.next_time(now), now + _TIMERS_S]
        if not self._by_fd and not self.rules.faults and not self._full:
            times.pop()
        ready = self._pause(min((at for at in times if at is not None), default=None), now)
        now, wall = self._clock(), time.time()
        if self.rules.faults:
            self._wrong(now)
        self._read(ready, now, wall)
        if self._http is not None:  # behind what takes its wake-ups: what is asked from now on wakes the next turn
            self._http.answer(self.desk.model, self._recorder, now, wall, silent=self.desk.silent)
        self.desk.poll(now, wall)
        self._poll_timers(now, wall)
        for fd, connection in list(self._by_fd.items()):
            if connection.session.output_octets or connection.ending:
                self._flush(fd, connection)
        self.desk.model.seen.catch_up()
        self._publisher.tick(now)
        return not self._stopping

    def _pause(self, until: float | None, now: float) -> list[tuple[int, int]]:
        """Wait until something happens or the time has come; what sockets have to say."""
        if self.notifier is not None:
            self._wait(until, now)
            until = now
        return self._waiting.wait(None if until is None else max(0.0, until - now))

    def _read(self, ready: list[tuple[int, int]], now: float, wall: float) -> None:
        """What sockets have said; of sessions that are bound together."""
        together: list[tuple[int, Connection]] = []
        for fd, happened in ready:
            if (connection := self._by_fd.get(fd)) is None:
                if fd in self._listeners:
                    self._accept(self._listeners[fd], now)
                elif fd == self.waker.fileno():
                    self.waker.drain()
            elif happened == select.EPOLLIN and connection.gathers:
                together.append((fd, connection))
            else:
                self._serve(connection, happened, now, wall)
        if len(together) == 1:
            self._serve(together[0][1], select.EPOLLIN, now, wall)
        elif together:
            self._serve_together(together, now, wall)

    def _serve_together(self, together: list[tuple[int, Connection]], now: float, wall: float) -> None:
        self._gather.begin(len(together))
        heard: list[Connection] = []
        read = self._gather.read
        for fd, connection in together:
            if read(connection.session, connection.row, connection.read_into):
                heard.append(connection)
            else:
                self._drop(fd, connection)
        bundle = self._gather.bundle()
        if bundle is not None:
            self.desk.received_together(heard, bundle.receive(now), now, wall)

    def _wrong(self, now: float) -> None:
        """What the schedule of faults says."""
        since = now - self._began
        holding = self._faults.holding(since)
        refusing = [fault.status for fault in holding if fault.what == "refuse"]
        self.desk.refusing = refusing[0] if refusing else None
        self.desk.silent = any(fault.what == "silent" for fault in holding)
        self.desk.model.slower = max((fault.factor for fault in holding if fault.what == "slow"), default=1.0)
        if self._faults.cuts(since):
            self.cut()

    def cut(self) -> None:
        """Close all connections at once, whatever is on its way. Within the loop, or before a client knows of it."""
        for fd, connection in list(self._by_fd.items()):
            self._drop(fd, connection)

    def _accept(self, listener: socket.socket, now: float) -> None:
        for _ in range(_BACKLOG):
            try:
                sock, _ = listener.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._listen_later(error, now)
                else:
                    self._full = False
                return
            if len(self._by_fd) >= MOST_CONNECTIONS:
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._number += 1
            timers = Timers(self.rules.response, self.rules.enquire_link, self.rules.inactivity, self.rules.init)
            place = self._windows, self._free_row()
            connection = Connection(sock, self._number, self.rules.window, timers, now, place=place)
            self._by_fd[sock.fileno()] = self.desk.connections[self._number] = connection
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _listen_later(self, error: OSError, now: float) -> None:
        """Who waits to be accepted stays there; to be told of it without end would cost all the processor."""
        if not self._full:
            self.log.warning("%s: %s: new connections wait", self.name, error.strerror)
        self._full = True
        for fd in self._listeners:
            self._epoll.modify(fd, 0)
        self._listen_at = now + LISTEN_AGAIN_S

    def _listen_again(self) -> None:
        for fd in self._listeners:
            self._epoll.modify(fd, select.EPOLLIN)
        self._listen_at = inf

    def _free_row(self) -> int:
        if not self._rows:
            have = len(self._windows.open)
            self._windows.lengthen(2 * have)
            self._rows = list(range(2 * have - 1, have - 1, -1))
        return self._rows.pop()

    def _serve(self, connection: Connection, happened: int, now: float, wall: float) -> None:
        fd = connection.sock.fileno()
        if happened & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            events = connection.read(self._scratch, now)
            if events is None:
                self._drop(fd, connection)
                return
            self.desk.happened(connection, events, now, wall)
        if happened & select.EPOLLOUT or connection.session.output_octets:  # who waits for an answer has it first
            self._flush(fd, connection)

    def _flush(self, fd: int, connection: Connection) -> None:
        was = connection.writing
        if self.desk.silent and connection.session.output_octets:
            connection.session.take_output()
        if not connection.flush() or (connection.ending and not connection.writing):
            self._drop(fd, connection)
        elif connection.writing != was:
            self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if connection.writing else 0))

    def _drop(self, fd: int, connection: Connection) -> None:
        del self._by_fd[fd]
        self._epoll.unregister(fd)
        connection.close()
        self.desk.gone(connection)
        self._rows.append(connection.row)
        if not self._by_fd and self._recorder is not None:
            self._recorder.flush()  # nothing may happen for long

    def _poll_timers(self, now: float, wall: float) -> None:
        if now < self._timers_at:
            return
        self._timers_at = now + _TIMERS_S
        if now >= self._listen_at:
            self._listen_again()
        if self._recorder is not None:
            self._recorder.flush()
        for connection in list(self._by_fd.values()):
            if connection.look_at <= now and not connection.ending:
                self.desk.happened(connection, connection.session.poll(now), now, wall)
                connection.look_at = connection.next_look(now)

    def _close(self) -> None:
        if self._http is not None:
            self._http.close()
        for fd, connection in list(self._by_fd.items()):
            connection.flush()
            self._drop(fd, connection)
        for listener in self._listeners.values():
            listener.close()
        self._epoll.close()
        if self._recorder is not None:
            self._recorder.close()

    def _open_record(self, path: Path) -> Recorder:
        def failed(why: str) -> None:
            self.log.warning("%s: the record in %s is not whole: %s", self.name, path, why)

        try:
            place = saving.open_special(str(path)) if saving.is_special(str(path)) else path
            file = open(place, "wb", buffering=1 << 20)  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"can't record to {path}: {error.strerror}") from None
        return Recorder(file, failed)

    def snapshot(self, now: float) -> Snapshot:
        """See `Role.snapshot`."""
        model, counts = self.desk.model, asdict(self.desk.model.counts)
        by_status = counts.pop("by_status")
        told = {f"status_{status:#x}": times for status, times in sorted(by_status.items())[:_STATUSES]}
        figures = SmscFigures(
            counts={**counts, **asdict(self.desk.counts), **told},
            connections=float(len(self._by_fd)),
            binds_now=float(sum(each.session.bound for each in self._by_fd.values())),
            messages_waiting=float(model.waiting),
            receipts_waiting=float(self.desk.waiting_receipts),
        )
        return self._make_snapshot("running", figures, {"receipt_answer": self.desk.delivery})


@dataclass(slots=True, kw_only=True)
class SmscFigures(Figures):
    """What the fake SMSC has; the counters of statuses have names of their own."""

    connections: Gauge = None
    binds_now: Gauge = None
    messages_waiting: Gauge = None
    receipts_waiting: Gauge = None
    counts: dict[str, int] = field(default_factory=dict)

    def to_wire(self) -> tuple[dict[str, int], dict[str, float]]:
        """Counters and gauges by name."""
        counters, gauges = Figures.to_wire(self)
        return {**self.counts, **counters}, gauges


_STATUSES = 64


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.removeprefix("smpp://").rpartition(":")
    if not host and (text.startswith(":") or port.isdigit()):
        raise UsageError(f"address {text!r}: write HOST:PORT, such as 127.0.0.1:{port.strip(':') or PORT}")
    if not host:
        host, port = port, str(PORT)
    if not (port.isascii() and port.isdigit() and int(port) < 65_536):
        raise UsageError(f"address {text!r}: write HOST:PORT, with a port from 0 (any) to 65535")
    return host.strip("[]"), int(port)


def check_public(address: str, insecure: bool) -> None:
    """Raise UsageError for an address that other hosts can reach, unless that was said to be meant."""
    host, _ = _address(address)
    if insecure or host == "localhost" or host.startswith("127.") or host == "::1":
        return
    raise UsageError(f"other hosts can reach {address}, and SMPP has no keys: add --insecure if that is meant")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, UnicodeError) as error:  # a name that no host can have
        raise UsageError(f"can't listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from None
    listener.setblocking(False)
    return listener


def _tls(certificate: str | Path, private_key: str | Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"the certificate {str(certificate)!r}: {why}") from None
    return context
