"""Every socket: its options, its address, its errors. Nothing else in zsms sets a socket option.

ZeroMQ's defaults lose messages in silence and hang at the end, so each of these is set on purpose:

    LINGER         0: what must arrive is confirmed by the protocol, and a process must be able to end
    SNDHWM/RCVHWM  finite: they count frames for each peer, and 0 would be unbounded memory
    MAXMSGSIZE     bound sockets refuse an oversized frame before it is read
    ROUTER_MANDATORY, or a ROUTER drops to unknown and to full peers without a word
    TCP_KEEPALIVE_*, TCP_MAXRT  a half-open connection is found, whether something is sent on it or not; but a PUSH
                   whose peer reads nothing for long is only pressed back, and has no MAXRT
    HEARTBEAT_*    off: a reader with a full pipe answers none, so that its peers would break off when they are only
                   pressed back; and libzmq (4.3.5) aborts a process when one is due on a connection that broke while
                   what came on it waited to be read
    HANDSHAKE_IVL  a connection that never speaks is closed
    RECONNECT_IVL_MAX  back-off, so that a thousand senders do not hammer a broker that restarts
    REQ_RELAXED, REQ_CORRELATE  a lost answer does not lock the asker
    CURVE_*, ZAP_DOMAIN  with keys, both sides prove who they are, and :mod:`zsms.security.zap` says who gets in
"""

from __future__ import annotations

import errno
import itertools
import resource
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import zmq

from zsms.errors import NO_THREADS, UsageError, ZsmsError
from zsms.security.keys import Keys
from zsms.security.zap import DOMAINS, EVENTS, Gate, Handshakes
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import MAX_FRAME_BYTES
from zsms.wire.lookup import Lookup, listens

_BIND_TRIES = 64
_THREADS = 3
"""Those of a context, and one to spare."""
_LEAST_DESCRIPTORS = 24
"""For the streams, a context, its sockets and a name that is looked up."""
_MONITORS = itertools.count(1)
_COUNTERPART = {zmq.PULL: zmq.PUSH, zmq.ROUTER: zmq.DEALER, zmq.SUB: zmq.PUB}
_SERVER_OF = {zmq.PUSH: "broker", zmq.DEALER: "broker", zmq.PUB: "stats", zmq.REQ: "stats"}
"""Whose key the other side of a connecting socket has to have."""


class Sockets:
    """Makes the sockets of one role, and closes them."""

    def __init__(self, context: zmq.Context[Any] | None = None, io_threads: int = 1, keys: Keys | None = None) -> None:
        """With a context of the caller's, only the sockets are closed at the end. With `keys`, all of them use them."""
        _check_descriptors()
        self.keys = keys
        self.gate: Gate | None = None
        """Who lets others in, once a pair is bound with keys."""
        self._own_context = context is None
        self.context = zmq.Context(io_threads) if context is None else context
        self._open: list[zmq.Socket[bytes]] = []
        self._monitors: dict[zmq.Socket[bytes], zmq.Socket[bytes]] = {}
        self._connected: dict[zmq.Socket[bytes], tuple[Endpoint, str, Endpoint]] = {}
        self._lookups: dict[Endpoint, Lookup] = {}
        self._turns: dict[Endpoint, int] = {}
        """Which of its places an endpoint with several is looked for at."""

    def make(self, kind: int, *, hwm: int = 1_000, ipv6: bool = False) -> zmq.Socket[bytes]:
        """A socket of this kind with the options above; `hwm` frames each way for each peer."""
        if self._own_context and not self._open:
            _check_threads()
        made: zmq.Socket[bytes] = self.context.socket(kind)
        self._open.append(made)
        made.linger = 0
        made.sndhwm = made.rcvhwm = hwm
        made.maxmsgsize = MAX_FRAME_BYTES
        made.ipv6 = ipv6
        made.handshake_ivl = 3_000
        made.reconnect_ivl = 50
        made.reconnect_ivl_max = 2_000
        made.tcp_keepalive = 1
        made.tcp_keepalive_idle = made.tcp_keepalive_intvl = 2
        made.tcp_keepalive_cnt = 2
        if kind != zmq.PUSH:
            made.tcp_maxrt = 6_000
        if kind == zmq.ROUTER:
            made.router_mandatory = True
        if kind == zmq.REQ:
            made.req_relaxed = True
            made.req_correlate = True
        if kind == zmq.SUB:
            made.subscribe(b"")
        return made

    def connect(
        self, kind: int, endpoint: Endpoint, which: str, *, hwm: int = 1_000, strict: bool = False
    ) -> zmq.Socket[bytes]:
        """A socket connected to the `which` ("first" or "second") socket of `endpoint`.

        A host that nobody knows yet may come: libzmq asks again with each attempt. Raises UsageError for it if
        `strict`, and for what is no address at all.
        """
        for place in endpoint.places:
            _check_goal(place)
        ipv6, to = False, self.place(endpoint)
        if to.scheme == "tcp":
            look = Lookup(to, which)
            look.run()
            if (strict and look.ipv6 is None) or look.is_no_name:
                raise UsageError(f"{look.why}: check the name, or give an address")
            ipv6, to = bool(look.ipv6), replace(to, host=look.host)
        made = self.make(kind, hwm=hwm, ipv6=ipv6)
        self._connected[made] = endpoint, which, to
        if self.keys is not None:
            own = self.keys.own
            made.curve_serverkey = self.keys.server(_SERVER_OF[zmq.SocketType(kind)])
            made.curve_publickey, made.curve_secretkey = own.public, own.secret
        try:
            made.connect(getattr(to, which))
        except zmq.ZMQError as error:
            raise UsageError(f"can't connect to {endpoint}: {error}") from None
        return made

    def resolve_again(self, endpoint: Endpoint, patience: float = 0.05) -> str:
        """Nobody answers there: look for its addresses again, and go over the family that answers. Why nothing has come
        of it so far, as far as that is known in `patience` seconds, for people.
        """
        if endpoint.scheme == "inproc":
            return ""
        look = self._lookups.get(endpoint)
        if look is None:
            look = self._lookups[endpoint] = Lookup(self.place(endpoint), "second", self._wanted(endpoint))
            look.begin()
        if not look.known.is_set():
            return f"host {self.place(endpoint).host!r} is being looked for"
        if look.ipv6 is not None and not look.is_used:
            look.is_used = True
            self._connect_to(endpoint, replace(self.place(endpoint), host=look.host), look.ipv6)
        if not look.is_over(patience):
            return look.why
        del self._lookups[endpoint]
        return ", ".join(filter(None, (look.why, look.there)))

    def _wanted(self, endpoint: Endpoint) -> str:
        """What is to be looked for there. Not where keys are on: there the handshake says what is wrong, and whoever
        listens counts those that come without a key."""
        kinds = [zmq.SocketType(int(made.type)) for made, (whom, *_) in self._connected.items() if whom == endpoint]
        return _SERVER_OF[kinds[0]] if kinds and self.keys is None else ""

    def _connect_to(self, endpoint: Endpoint, to: Endpoint, ipv6: bool) -> None:
        for made, (whom, which, before) in list(self._connected.items()):
            if whom == endpoint and (made.ipv6 != ipv6 or before != to):
                made.disconnect(getattr(before, which))
                made.ipv6 = ipv6
                made.connect(getattr(to, which))
                self._connected[made] = whom, which, to

    def place(self, endpoint: Endpoint) -> Endpoint:
        """Where an endpoint is looked for at the moment."""
        return endpoint.places[self._turns.get(endpoint, 0)]

    def turn(self, endpoint: Endpoint) -> None:
        """Look for an endpoint at the next of its places. What its sockets had not sent, or got, is dropped."""
        self._turns[endpoint] = (self._turns.get(endpoint, 0) + 1) % len(endpoint.places)
        self._lookups.pop(endpoint, None)
        to = self.place(endpoint)
        for made, (whom, which, before) in list(self._connected.items()):
            if whom == endpoint:
                made.disconnect(getattr(before, which))
                made.ipv6 = ":" in to.host
                made.connect(getattr(to, which))
                self._connected[made] = whom, which, to
        self.resolve_again(endpoint)

    def find(self, endpoint: Endpoint) -> None:
        """Begin with the place of an endpoint at which somebody listens, if there is one; before it is connected to."""
        for number, place in enumerate(endpoint.places):
            if endpoint.others and place.scheme == "tcp" and listens(place):
                self._turns[endpoint] = number
                return

    def handshakes(self, socket: zmq.Socket[bytes]) -> Handshakes:
        """Tells why a socket that was just connected does not get through."""
        return Handshakes(self._monitor(socket), self.keys)

    def _monitor(self, socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
        address = f"inproc://zsms-monitor-{next(_MONITORS)}"
        socket.monitor(address, EVENTS)
        monitor: zmq.Socket[bytes] = self.context.socket(zmq.PAIR)
        monitor.linger = 0
        monitor.rcvhwm = (
            0  # at a mark libzmq's own thread would wait for us; what it reports is small, and read each turn
        )
        monitor.connect(address)
        self._monitors[socket] = monitor
        return monitor

    def bind_pair(
        self,
        kinds: tuple[int, int],
        endpoint: Endpoint,
        option: str,
        *,
        hwm: tuple[int, int],
        insecure: bool = False,
    ) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes], Endpoint]:
        """Two sockets bound beside each other, and where: port 0 takes any two free neighbours.

        With keys, the gate is up before anything is bound, and is seen to refuse strangers after. Without them, an
        address that other machines can reach is refused unless `insecure` says that this is meant.

        Raises UsageError that names `option` when the address can't be had, ZsmsError when a stranger gets in.
        """
        if self.keys is None and not insecure and not endpoint.is_local:
            raise UsageError(
                f"{option} {endpoint}: others could reach it, and anybody may take and make messages where there are "
                f"no keys: give --keys (`zsms keys new` makes them), or --insecure if you trust that whole network"
            )
        if self.keys is None:
            return self._bind_pair(kinds, endpoint, option, hwm)
        if not self._own_context:
            raise UsageError(
                "with keys, whoever listens needs a ZeroMQ context of its own, because there is one authenticator for "
                "all of a context's sockets: leave out `context`"
            )
        self.gate = Gate(self.make(zmq.REP), self.keys)
        first, second, bound = self._bind_pair(kinds, endpoint, option, hwm)
        self.gate.watch(self._monitor(first))
        self.gate.watch(self._monitor(second))
        self._self_test(self.gate, self.keys, kinds, bound)
        return first, second, bound

    def _self_test(self, gate: Gate, keys: Keys, kinds: tuple[int, int], bound: Endpoint) -> None:
        """Be a stranger to each of the two sockets, once with a fresh key and once with none."""
        reached = replace(
            bound, host={"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound.host, bound.host)
        )
        strangers = Sockets()
        try:
            monitors = []
            for kind, which in zip(kinds, (reached.first, reached.second), strict=True):
                for what in ("a fresh key", "a client without a key"):
                    stranger = strangers.make(_COUNTERPART[zmq.SocketType(kind)], ipv6=reached.needs_ipv6)
                    stranger.reconnect_ivl = -1  # one connection each, so that its refusals can be waited for
                    if what == "a fresh key":
                        stranger.curve_serverkey = keys.own.public
                        stranger.curve_publickey, stranger.curve_secretkey = zmq.curve_keypair()
                    monitors.append((f"{what} on {which}", strangers._monitor(stranger)))
                    stranger.connect(which)
            gate.self_test(monitors)
        finally:
            strangers.close_all()

    def _bind_pair(
        self, kinds: tuple[int, int], endpoint: Endpoint, option: str, hwm: tuple[int, int]
    ) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes], Endpoint]:
        ipv6 = endpoint.needs_ipv6
        for _ in range(_BIND_TRIES):
            first = self.make(kinds[0], hwm=hwm[0], ipv6=ipv6)
            second = self.make(kinds[1], hwm=hwm[1], ipv6=ipv6)
            if self.keys is not None:
                for made, domain in zip((first, second), DOMAINS[kinds[0]], strict=True):
                    self.guard(made, domain, self.keys)
            try:
                if endpoint.scheme == "tcp" and not endpoint.port:
                    first.bind(endpoint.first.removesuffix("0") + "*")
                    last = first.getsockopt_string(zmq.LAST_ENDPOINT)
                    bound = replace(endpoint, port=int(last.rpartition(":")[2]))
                else:
                    bound = endpoint
                    _refuse_if_served(bound)
                    first.bind(bound.first)
                second.bind(bound.second)
                return first, second, bound
            except zmq.ZMQError as error:
                self.close(first, second)
                if endpoint.scheme == "tcp" and not endpoint.port and error.errno == errno.EADDRINUSE:
                    continue  # the neighbour of the port that we were given is taken: ask for another
                raise UsageError(_why_not_bound(endpoint, option, error)) from None
        raise ZsmsError(f"no two free ports beside each other on {endpoint.host} in {_BIND_TRIES} tries")

    def guard(self, socket: zmq.Socket[bytes], domain: str, keys: Keys) -> None:
        """Before it is bound: whoever connects has to have a key."""
        socket.curve_server = True
        socket.curve_secretkey = keys.own.secret
        socket.zap_domain = domain.encode()

    def close(self, *sockets: zmq.Socket[bytes]) -> None:
        """Close these sockets."""
        for each in sockets:
            if each in self._monitors:
                each.disable_monitor()
                self._monitors.pop(each).close()
            self._connected.pop(each, None)
            each.close(linger=0)
            self._open.remove(each)

    def close_all(self) -> None:
        """Close every socket, and the context unless it is the caller's."""
        self.close(*list(self._open))
        if self._own_context:
            self.context.term()


def plain_send(socket: Any) -> Callable[..., Any]:
    """A socket's `send` without what pyzmq adds for kinds of sockets that are not used here."""
    plain: Callable[..., Any] = super(zmq.Socket, socket).send if isinstance(socket, zmq.Socket) else socket.send
    return plain


def _check_descriptors() -> None:
    """Raises ZsmsError where there are so few that libzmq would abort the process."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and limit < _LEAST_DESCRIPTORS:
        raise ZsmsError(f"this process may have {limit} file descriptors, which are too few: raise `ulimit -n`")


def _check_threads() -> None:
    """Raises ZsmsError where libzmq, which starts its own with the first socket, would abort the process."""
    go, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(_THREADS):
            thread = threading.Thread(target=go.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        raise ZsmsError(NO_THREADS) from None
    finally:
        go.set()
        for thread in started:
            thread.join()


def _check_goal(place: Endpoint) -> None:
    """Raises UsageError for what one can only listen at."""
    if place.scheme == "tcp" and (place.host == "*" or not place.port):
        what = "port 0 is any that is free" if place.host != "*" else "* is every address of this machine"
        raise UsageError(f"can't connect to {place}: {what}, for who listens there; give the one that it says it has")


def _refuse_if_served(endpoint: Endpoint) -> None:
    """Raise ZMQError (EADDRINUSE) when someone listens on this ipc path: binding would take it from them in silence."""
    if endpoint.scheme != "ipc" or endpoint.host.startswith("@"):
        return
    for url in (endpoint.first, endpoint.second):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(url.removeprefix("ipc://"))
            except OSError:
                continue  # nobody there: a file at most, left behind by one that was killed
        raise zmq.ZMQError(errno.EADDRINUSE)


def _why_not_bound(endpoint: Endpoint, option: str, error: zmq.ZMQError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{endpoint} is in use, or the port above it: stop what listens there, or choose another with {option}"
    if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
        return f"{endpoint} is no address of this machine: give one of its own with {option}"
    if error.errno == errno.EACCES:
        return f"{endpoint}: permission denied; ports below 1024 need privileges, choose another with {option}"
    return f"can't listen on {endpoint}: {error}; choose another with {option}"
