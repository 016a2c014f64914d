"""The real roles as processes of a simulated world: stubs in place of sockets, poller and clock, and nothing else.

A role's turn is: decide until when to wait; poll; read; decide; write. What it does before it polls changes nothing, so
a process that has nothing to do is taken out of its turn at that point (`Asleep`) and begins the turn again when a
frame has come or the time has.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import zmq

from tests.simulation.network import Socket, Sockets
from tests.simulation.plan import Size
from tests.simulation.transport import DrawnTransport
from zsms.core.sender import SenderCore
from zsms.errors import ZsmsError
from zsms.roles.base import Role
from zsms.roles.broker import Broker
from zsms.roles.producer import Producer
from zsms.roles.sender import Sender
from zsms.sources.random import Columns
from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import Answer, Inspect, Kick, Purge

if TYPE_CHECKING:
    from tests.simulation.world import World

DRAIN_S = 3.0
_MOST_TURNS = 300
"""A process that takes more turns in a row without waiting is spinning."""


class Asleep(BaseException):  # no error: a role must not catch it
    """The process waits until this time, or for a frame."""

    def __init__(self, until: float) -> None:
        self.until = until


class Poller:
    """In place of zmq.Poller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._watched: dict[Socket, int] = {}
        self._until: float | None = None

    def register(self, socket: Any, flags: int = 1) -> None:
        self._watched[socket] = int(flags)

    def unregister(self, socket: Any) -> None:
        del self._watched[socket]

    def interrupt(self) -> None:
        """Let the next poll return at once."""
        self._until = -inf

    def poll(self, timeout: int | None) -> list[tuple[Socket, int]]:
        now = self._world.now
        if self._until is None:
            self._until = inf if timeout is None else now + timeout / 1_000
        events = [(socket, flags & socket.ready()) for socket, flags in self._watched.items()]
        events = [event for event in events if event[1]]
        if not events and now < self._until:
            raise Asleep(self._until)
        self._until = None
        return events


class Process:
    """One process: alive or not, running or stopped, and a role."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.world = world
        self.alive = True
        self.left = False
        """Of its own accord."""
        self.stopped_until = 0.0
        self._due: float | None = None
        shift = world.rng.uniform(0, 1_000) if world.plan.clocks else 0.0
        self.role = self._make(name=name, clock=lambda: world.now + shift, drain_timeout=DRAIN_S)
        self.sockets = Sockets(world, self)
        self.poller = Poller(world)
        world.processes.append(self)
        world.opening = self
        role: Any = self.role
        role.log = world.log
        role.begin(self.sockets, self.poller)
        self._opened()
        self.wake()

    def _opened(self) -> None:
        """Its role is ready, and has done nothing yet."""

    def _make(self, **common: Any) -> Role:
        raise NotImplementedError

    def check(self) -> None:
        """Look whether the process keeps its bounds; after every turn."""

    def check_reason(self, error: ZsmsError) -> None:
        """Look whether the role may give up for this reason."""

    def wake(self) -> None:
        """Something has happened that it could see."""
        world = self.world
        if self.alive:
            self._run_at(world.now + world.rng.random() * world.plan.reaction)

    def _run_at(self, at: float) -> None:
        at = max(at, self.stopped_until)
        if at < inf and (self._due is None or at < self._due):
            self._due = at
            self.world.at(at, self._run, at)

    def _run(self, at: float) -> None:
        if not self.alive or at != self._due:
            return
        self._due = None
        if at < self.stopped_until:
            self._run_at(self.stopped_until)
            return
        try:
            for _ in range(_MOST_TURNS):
                goes_on = self.role.step()
                self.check()
                if not goes_on:
                    self.left = True
                    self.end("leaves")
                    return
        except Asleep as asleep:
            self._run_at(asleep.until)
            return
        except ZsmsError as error:
            self.check_reason(error)
            self.end(f"gives up: {error}")
            return
        raise AssertionError(f"{self.name} spins")

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT that many seconds later."""
        self.world.say(f"stopped for {seconds:.2f} s", self.name)
        self.stopped_until = max(self.stopped_until, self.world.now + seconds)

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self.world.say("asked to stop", self.name)
        self.role.stop()
        self.poller.interrupt()
        self.wake()

    def end(self, why: str) -> None:
        """The process is gone, and its connections with it."""
        self.world.say(why, self.name)
        self.alive = False
        self.world.network.vanish(self.sockets)
        self.role.waker.close()
        self.world.ended(self)


class BrokerProcess(Process):
    role: Broker

    def __init__(self, world: World, index: int) -> None:
        self.index = index
        self.book = world.books.brokers[index]
        self.disk = world.disks[index] if world.plan.journal else None
        super().__init__(world, f"broker {index}")

    def _make(self, **common: Any) -> Broker:
        plan, journal = self.world.plan, self.name if self.disk else None
        return Broker(plan.endpoints[self.index], limits=plan.limits, seed=plan.seed, journal=journal, **common)

    def _opened(self) -> None:
        self.book.open(self.role.core, self.disk)

    @property
    def durable(self) -> bool:
        """Whether its disk has all that it knows."""
        return self.role.durable

    def check(self) -> None:
        self.book.check()

    def check_reason(self, error: ZsmsError) -> None:
        assert self.disk is not None and self.disk.failed, f"{self.name} gives up: {error}"


class SenderProcess(Process):
    role: Sender

    def __init__(self, world: World, name: str, size: Size) -> None:
        self.size = size
        super().__init__(world, name)

    def _make(self, **common: Any) -> Sender:
        transport = DrawnTransport(self.world, self.size.slots)
        plan = self.world.plan
        return Sender(
            plan.endpoints, transport=transport, prefetch=self.size.prefetch, seed=plan.seed, ramp=0.0, **common
        )

    def check(self) -> None:
        shares, room = self.role.shares, self.size.slots + self.size.prefetch
        assert sum(core.in_slots for core in shares.cores) == self.role.transport.busy
        held = shares.held
        assert held <= room, "a sender holds more than it has room for"
        if len(shares.cores) > 1:
            may_come = sum(map(self._may_come, shares.cores, self.world.brokers))
            assert held + may_come <= room, f"{self.name}: {held} held, {may_come} may come, room for {room}"

    def _may_come(self, core: SenderCore, broker: BrokerProcess) -> int:
        """Messages that the broker may still give, or has given and that are on their way, as it sees it."""
        session = broker.role.core.sessions.get(core.token)
        if session is None or session.generation != core.generation:
            return 0  # nothing of it would be taken
        most = max(session.granted, session.limit) if broker.alive else session.granted
        return max(most - core.received, 0)


class Numbered:
    """A source whose every message can be told apart."""

    skipped = 0

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0

    def take(self, n: int) -> Columns:
        begin, self._taken = self._taken, min(self._taken + n, self.total)
        numbers = range(begin, self._taken)
        return Columns.of([recipient(number) for number in numbers], [b"%d" % number for number in numbers])


def recipient(number: Any) -> Any:
    return number + 13_705_550_000


class ProducerProcess(Process):
    role: Producer

    def __init__(self, world: World, name: str, messages: int) -> None:
        self.messages = messages
        self.number = len(world.producers)
        """Nobody else's, ever."""
        self.confirmed = [0] * world.plan.brokers
        """Batches, by broker."""
        super().__init__(world, name)

    def _opened(self) -> None:
        self._tell_starts()

    def _make(self, **common: Any) -> Producer:
        plan = self.world.plan
        return Producer(
            plan.endpoints,
            source=Numbered(self.messages),
            rate=plan.rate,
            batch=plan.batch,
            window=plan.window,
            resend_after=plan.resend_after,
            **common,
        )

    @property
    def finished(self) -> bool:
        """Whether it left because everything that it made was confirmed."""
        return self.left and not self.role.unconfirmed

    def _tell_starts(self) -> None:
        for way in self.role.ways:
            self.world.books.begins(way.epoch, self.number)

    def check(self) -> None:
        self._tell_starts()
        for index, way in enumerate(self.role.ways):
            window = way.window
            bound = window.max_messages + self.world.plan.batch
            assert window.messages < bound, "the window does not bound the producer"
            if window.oldest != self.confirmed[index]:
                self.world.books.brokers[index].let_go(way.epoch, self.confirmed[index], window.oldest)
                self.confirmed[index] = window.oldest


class Operator:
    """Somebody who says one thing to a broker, and hears what it answers."""

    def __init__(self, world: World, endpoint: Endpoint, frame: Inspect | Kick | Purge) -> None:
        self.name = "operator"
        self._world, self._frame = world, frame
        self._socket = Sockets(world, self).connect(zmq.DEALER, endpoint, "second")
        self._socket.send(encode(frame))

    def wake(self) -> None:
        """It is connected, or an answer has come."""
        socket = self._socket
        while socket.ready() & zmq.POLLIN:
            answer = decode(socket.recv_multipart()[0])
            assert isinstance(answer, Answer), f"{self._frame} is answered with {answer}"
            self._world.answered += 1


def same(recipients: Any, seqs: Any) -> bool:
    """Whether these are the recipients of the messages with these numbers."""
    return bool((recipients == recipient(seqs.astype(np.uint64))).all())
