"""A network of stubs that the real roles talk over: as bad as ZeroMQ over TCP can be, and in one respect worse.

    Process -- Dealer or Push --[ outbox ]--==wire up==> inbox -- Router or Pull -- Process
                            inbox <==wire down==

The sockets do what zsms asks of ZeroMQ's, no more: a frame or several parts at once, never blocking. A connection is
two wires. Frames of one wire arrive in order, each a while after it was sent, unless the wire

    stalls    nothing arrives for a while; what is sent meanwhile waits, and the pipe may fill (zmq.Again)
    breaks    some first frames still arrive, maybe late, after what the peer says on its next connection. Some are
              lost. The last ones, which had not left the peer's own pipe, go out on its next connection. The broker's
              side learns of it after a while (then EHOSTUNREACH), and the peer not at all
    repeats   a frame arrives twice. TCP does not do that

A peer that connects again has another routing id. Every draw comes from the world's one generator.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import zmq

from zsms.wire.codec import decode
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import Ack

if TYPE_CHECKING:
    from tests.simulation.processes import Process
    from tests.simulation.world import World

_SNDMORE = int(zmq.SNDMORE)
_POLLIN, _POLLOUT = int(zmq.POLLIN), int(zmq.POLLOUT)
_AGAIN = zmq.Again()
"""One for all: making it takes longer than everything else that a stub does."""
Parts = list[bytes]


class Part:
    """A frame that was received without a copy."""

    __slots__ = ("bytes", "more")

    def __init__(self, data: bytes, more: bool) -> None:
        self.bytes = data
        self.more = more

    @property
    def buffer(self) -> memoryview:
        return memoryview(self.bytes)

    def __len__(self) -> int:
        return len(self.bytes)


class Wire:
    """One direction of a connection."""

    def __init__(self, world: World, source: Socket, sink: Socket, routing_id: bytes) -> None:
        self.world = world
        self.source = source
        self.sink = sink
        self.routing_id = routing_id
        self.queue: deque[Parts] = deque()
        self.unread = 0
        """Frames that arrived and were not read yet."""
        self.refused = False
        """Whether it was full when its source wanted to send."""
        self.broken = False
        self.stalled_until = 0.0
        self._last = 0.0

    @property
    def full(self) -> bool:
        """A broken wire takes everything, until its end is known."""
        return not self.broken and len(self.queue) + self.unread >= self.world.plan.pipe

    def send(self, parts: Parts) -> None:
        if self.broken:
            self.world.say("  lost in a dead wire", self.source, self.sink, parts)
            return
        world, plan = self.world, self.world.plan
        twice = plan.repeats and world.rng.random() < plan.repeats
        for _ in range(2 if twice else 1):
            self.queue.append(parts)
            self._last = max(self._last, world.now + world.rng.random() * plan.latency)
            world.at(self._last, self._arrive)

    def _arrive(self) -> None:
        if self.broken:
            return
        if self.world.now < self.stalled_until:
            self.world.at(self.stalled_until, self._arrive)
            return
        self.unread += 1
        self.sink.arrived(self, self.queue.popleft())

    def break_off(self) -> tuple[list[Parts], list[Parts]]:
        """End: what still arrives, and what had not left; what was between the two is lost."""
        self.broken = True
        frames = list(self.queue)
        self.queue.clear()
        rng = self.world.rng
        first, second = sorted((rng.randint(0, len(frames)), rng.randint(0, len(frames))))
        return frames[:first], frames[second:]


class Socket:
    """What the stubs have in common: parts that wait to be read."""

    def __init__(self, world: World, owner: Process) -> None:
        self.world = world
        self.owner = owner
        self.closed = False
        self._inbox: deque[tuple[Wire, Parts]] = deque()
        self._parts: list[bytes] = []
        self._sending: Parts = []

    def arrived(self, wire: Wire, parts: Parts) -> None:
        if self.closed:
            return
        self._inbox.append((wire, parts))
        self.owner.wake()

    def _next(self) -> Parts:
        while self._inbox:
            wire, parts = self._inbox.popleft()
            wire.unread -= 1
            if not (wire.world.ending and wire.source.owner.name == "operator"):
                break  # whoever kicks when all is done and over is not heard
        else:
            raise _AGAIN.with_traceback(None)
        self.world.say("hears", wire.source, self, parts)
        if wire.refused:
            wire.refused = False
            wire.source.owner.wake()
        return parts

    def recv(self, flags: int = 0, copy: bool = True) -> Any:
        if not self._parts:
            self._parts = list(self._next())
        data = self._parts.pop(0)
        return data if copy else Part(data, bool(self._parts))

    def recv_multipart(self, flags: int = 0, copy: bool = True) -> list[Any]:
        parts, self._parts = self._parts or self._next(), []
        return list(parts) if copy else [Part(data, index < len(parts) - 1) for index, data in enumerate(parts)]

    def getsockopt(self, option: int) -> int:
        assert option == zmq.RCVMORE
        return int(bool(self._parts))

    def poll(self, timeout: int, flags: int) -> int:
        return self.ready() & int(flags)

    def send_multipart(self, parts: Iterable[bytes], flags: int = 0, copy: bool = True) -> None:
        self._check()
        self._send(list(parts))

    def send(self, data: Any, flags: int = 0, copy: bool = True) -> None:
        if not self._sending:
            self._check(data)
        self._sending.append(bytes(data))
        if not flags & _SNDMORE:
            parts, self._sending = self._sending, []
            self._send(parts)

    def _check(self, first: Any = None) -> None:
        """Raise zmq.Again when the pipe is full."""

    def _send(self, parts: Parts) -> None:
        raise NotImplementedError

    def ready(self) -> int:
        return _POLLIN if self._inbox or self._parts else 0

    def close(self) -> None:
        self.closed = True
        self._inbox.clear()


class Peer(Socket):
    """DEALER or PUSH: the side that connects, and connects again."""

    def __init__(self, world: World, owner: Process, endpoint: Endpoint, which: str) -> None:
        super().__init__(world, owner)
        self.endpoint = endpoint
        self.which = which
        self.outbox: deque[Parts] = deque()
        self.up: Wire | None = None
        self.down: Wire | None = None

    def __str__(self) -> str:
        return f"{self.owner.name}.{self.which}"

    @property
    def _full(self) -> bool:
        return len(self.outbox) >= self.world.plan.pipe if self.up is None else self.up.full

    def _check(self, first: Any = None) -> None:
        if self._full:
            if self.up is not None:
                self.up.refused = True
            raise _AGAIN.with_traceback(None)

    def _send(self, parts: Parts) -> None:
        if self.up is None:
            self.outbox.append(parts)
        else:
            self.up.send(parts)

    def ready(self) -> int:
        return super().ready() | (0 if self._full else _POLLOUT)


class Bound(Socket):
    """ROUTER or PULL."""

    def __init__(self, world: World, owner: Process, which: str) -> None:
        super().__init__(world, owner)
        self.which = which
        self.connections: dict[bytes, Peer] = {}
        self.routes: dict[bytes, Wire] = {}
        """Where a ROUTER can send, as far as it knows."""
        self._route: Wire | None = None

    def __str__(self) -> str:
        return f"{self.owner.name}.{self.which}"

    def arrived(self, wire: Wire, parts: Parts) -> None:
        super().arrived(wire, [wire.routing_id, *parts] if self.which == "second" else parts)

    def _find(self, routing_id: bytes) -> Wire:
        route = self.routes.get(routing_id)
        if route is None:
            raise zmq.ZMQError(errno.EHOSTUNREACH)
        if route.full:
            raise _AGAIN.with_traceback(None)
        return route

    def _check(self, first: Any = None) -> None:
        if first is None:
            return
        try:
            self._find(bytes(first))
        except zmq.ZMQError:
            self.owner.book.refused(bytes(first))
            raise

    def _send(self, parts: Parts) -> None:
        self._find(parts[0]).send(parts[1:])


class Sockets:
    """In place of :class:`zsms.wire.sockets.Sockets`, for one process."""

    def __init__(self, world: World, owner: Process) -> None:
        self._world = world
        self._owner = owner
        self.open: list[Socket] = []

    def connect(self, kind: int, endpoint: Endpoint, which: str, *, hwm: int = 1_000) -> Peer:
        made = Peer(self._world, self._owner, endpoint, which)
        self.open.append(made)
        self._world.network.connect_soon(made)
        return made

    gate = None

    def resolve_again(self, endpoint: Endpoint) -> str:
        """Names do not change here."""
        return ""

    def handshakes(self, socket: Any) -> Any:
        """Without keys there is nothing to watch."""
        return self

    def failed(self) -> None:
        """No handshake ever fails."""

    def bind_pair(
        self, kinds: tuple[int, int], endpoint: Endpoint, option: str, *, hwm: tuple[int, int], insecure: bool = False
    ) -> tuple[Bound, Bound, Endpoint]:
        first, second = (Bound(self._world, self._owner, which) for which in ("first", "second"))
        self.open += [first, second]
        self._world.network.listen(endpoint, first, second)
        return first, second, endpoint


class Network:
    """Who listens where, and who is connected."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listening: dict[str, Bound] = {}
        self._ids = 0
        self.late_acknowledgements = 0
        """Numbers in acknowledgements of broken connections, of gentle plans."""

    def listen(self, endpoint: Endpoint, first: Bound, second: Bound) -> None:
        self._listening[endpoint.first] = first
        self._listening[endpoint.second] = second

    def connect_soon(self, peer: Peer, seconds: float = 0.05) -> None:
        self._world.at(self._world.now + self._world.rng.random() * seconds, self._connect, peer)

    def _connect(self, peer: Peer) -> None:
        if peer.closed or peer.up is not None:
            return
        bound = self._listening.get(peer.endpoint.first if peer.which == "first" else peer.endpoint.second)
        if bound is None or bound.closed:
            self.connect_soon(peer, 0.5)
            return
        self._ids += 1
        routing_id = b"%d" % self._ids
        self._world.say(f"connects as {self._ids}", peer, bound)
        bound.connections[routing_id] = peer
        peer.up = Wire(self._world, peer, bound, routing_id)
        if peer.which == "second":
            peer.down = bound.routes[routing_id] = Wire(self._world, bound, peer, routing_id)
        while peer.outbox:
            peer.up.send(peer.outbox.popleft())
        peer.owner.wake()

    def connected(self) -> list[Peer]:
        """The peers' ends of all connections."""
        return [peer for bound in self._listening.values() for peer in bound.connections.values()]

    def stall(self, peer: Peer, seconds: float) -> None:
        for wire in (peer.up, peer.down):
            if wire is not None:
                wire.stalled_until = self._world.now + seconds

    def cut(self, peer: Peer, away: float) -> None:
        """Break a connection; the peer tries again within `away` seconds."""
        world, up, down = self._world, peer.up, peer.down
        assert up is not None
        bound = up.sink
        assert isinstance(bound, Bound)
        del bound.connections[up.routing_id]
        late, kept = up.break_off()
        self._deliver_late(up, late)
        if not peer.closed:
            peer.outbox.extend(kept)
        if down is not None:
            self._deliver_late(down, down.break_off()[0])
            notices = world.rng.random() * world.plan.notices
            world.at(world.now + notices, bound.routes.pop, up.routing_id, None)
        peer.up = peer.down = None
        if not peer.closed:
            self.connect_soon(peer, away)

    def _deliver_late(self, wire: Wire, frames: list[Parts]) -> None:
        at = self._world.now + self._world.rng.random() * self._world.rng.choice((0.1, 2.0))
        for parts in frames:
            self._world.at(at, self._read_late, wire, parts)

    def _read_late(self, wire: Wire, parts: Parts) -> None:
        if self._world.plan.gentle and wire.source.owner.name.startswith("sender"):
            frame = decode(parts[0])
            if isinstance(frame, Ack):
                self.late_acknowledgements += len(frame.sent) + len(frame.failed)
        wire.unread += 1
        wire.sink.arrived(wire, parts)

    def vanish(self, sockets: Sockets) -> None:
        """The sockets' process is gone."""
        for socket in sockets.open:
            socket.close()
            if isinstance(socket, Peer):
                if socket.up is not None:
                    self.cut(socket, 0.0)
            elif isinstance(socket, Bound):
                for peer in list(socket.connections.values()):
                    self.cut(peer, 1.0)
