"""A broker, senders and producers joined by a fake network, under a virtual clock and one seed.

    Producer (Window) ==batches==> |        |
    Producer          <--frames--> | Broker | <--frames--> Sender (SenderCore, Slots)

The ends do what the roles in zsms/roles do, around the same core objects and with frames that go through `encode` and
`decode`. The network is as bad as ZeroMQ over TCP can be, and worse:

    cut       a connection breaks: what is on its way in both directions is lost, and the peer goes on under a new
              name. Some of what it had said may be read late, after what it says under the new name
    slow      every frame takes a time of its own; those of one connection and direction stay in order
    full      a pipe takes only so many frames
    twice     a frame comes twice (TCP does not do that)
    sleep     a peer, or the broker, does nothing for a while
    death     a sender is gone for good, and another takes its place
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from tests.core.making import make_batch, seqs
from tests.core.places import places
from zsms.core.broker import BrokerCore, BrokerLimits, Put
from zsms.core.clock import ClockOffset
from zsms.core.delay import DelayModel
from zsms.core.sender import AckFrame, SenderCore
from zsms.core.slots import Slots
from zsms.core.window import Window
from zsms.message import Batch, MessageId
from zsms.protocol import (
    Ack,
    Confirm,
    Ended,
    Frame,
    Grant,
    JoinProducer,
    JoinSender,
    Ping,
    Pong,
    Welcome,
    Who,
    decode,
    encode,
    encode_batch,
)

STEP = 0.02
"""Seconds between two turns of everyone."""
RETRY = 0.3
INSTANCE = 77


@dataclass(frozen=True)
class Faults:
    """How often each thing happens: a share of the frames for `twice`, times a second for the others."""

    cut: float = 0.0
    twice: float = 0.0
    sleep: float = 0.0
    death: float = 0.0
    pipe: int = 1_000
    """Frames that a pipe takes."""


class Pipe:
    """One direction of one connection: frames arrive in order, each a while after it was sent."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._frames: deque[tuple[float, list[bytes]]] = deque()

    @property
    def full(self) -> bool:
        return len(self._frames) >= self._world.faults.pipe

    def send(self, *parts: bytes) -> None:
        for _ in range(2 if self._world.happens("twice") else 1):
            due = self._world.now + self._world.rng.random() * 0.06
            self._frames.append((max(due, self._frames[-1][0] if self._frames else 0.0), list(parts)))

    def read(self) -> Iterator[list[bytes]]:
        while self._frames and self._frames[0][0] <= self._world.now:
            yield self._frames.popleft()[1]

    def cut(self) -> None:
        """What is on its way is lost, but the first few frames may be read late."""
        late = list(self._frames)[: self._world.rng.integers(4)]
        self._frames = deque((self._world.now + 0.3, frame) for _, frame in late)


class Connection:
    """Both pipes between a peer and the broker, under the name that the broker knows it by."""

    def __init__(self, world: World, name: bytes) -> None:
        self.name = name
        self.up, self.down = Pipe(world), Pipe(world)
        self.alive = True


class Link:
    """A peer's way to the broker, as zsms/roles/link.py has it."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._names = (f"{name}/{number}".encode() for number in count())
        self.clock = ClockOffset()
        self.joined = False
        self._next_join = self._next_ping = 0.0
        self.connection = world.connect(next(self._names))

    def cut(self) -> None:
        """The peer does not notice; it goes on under another name."""
        self.close()
        self.connection = self._world.connect(next(self._names))

    def close(self) -> None:
        self.connection.alive = False
        self.connection.up.cut()

    def say(self, frame: Frame) -> bool:
        """False when the pipe is full."""
        if self.connection.up.full:
            return False
        self.connection.up.send(encode(frame))
        return True

    def read(self, now: float) -> Iterator[tuple[Any, list[bytes]]]:
        for parts in self.connection.down.read():
            frame = decode(parts[0])
            if isinstance(frame, Welcome):
                self.joined = True
                self._next_ping = now + frame.interval
            if isinstance(frame, (Welcome, Pong)):
                self.clock.sample(frame.echo, frame.now, now)
            yield frame, parts

    def tick(self, now: float, subject: int, make_join: Any) -> None:
        if not self.joined:
            if now >= self._next_join:
                self._next_join = now + RETRY
                self.say(make_join(now))
        elif now >= self._next_ping:
            self._next_ping = now + 0.2
            self.say(Ping(subject, now))


class BrokerEnd:
    """zsms/roles/broker.py around a BrokerCore."""

    def __init__(self, world: World, limits: BrokerLimits) -> None:
        self.core = BrokerCore(limits, seed=1)
        self.awake_at = 0.0
        self._world = world

    def turn(self, now: float) -> None:
        for connection in self._world.in_some_order(self._world.connections.values()):
            for [data] in connection.up.read():
                answer = self._hear(connection.name, decode(data), now)
                if answer is not None:
                    self._say(connection.name, answer)
        for producer in self._world.producers:
            for [data] in () if self.core.full else producer.push.read():
                batch = decode(data)
                batch.frame = data
                assert self.core.put(batch, now) is not Put.FENCED
        self.core.looked(now)
        self._grant(now)
        for account in self.core.confirms():
            self._say(account.peer, Confirm(account.start, account.next, self.core.full, "memory"))

    def _hear(self, peer: bytes, frame: Any, now: float) -> Frame | None:
        core = self.core
        match frame:
            case Ack():
                if core.acknowledged(peer, *frame, now) is None:
                    return Ended(frame.session) if core.is_ended(frame.session) else Who(INSTANCE)
                return None
            case Ping():
                known = core.heard(peer, now)
                if known is None:
                    return Who(INSTANCE)
                expected = known.acked if hasattr(known, "acked") else known.next
                return Pong(frame.subject, expected, core.full, frame.sent_at, now)
            case JoinSender(token, join, name, slots, received, lease, sent_at):
                session = core.sender_joined(peer, token, join, name, slots, received, lease, now)
                return Ended(token) if session is None else self._welcome(session.acked, sent_at, now)
            case JoinProducer(producer, start, name, oldest, sent_at):
                account = core.producer_joined(peer, producer, start, name, oldest, now)
                assert account is not None
                return self._welcome(account.next, sent_at, now)
        raise AssertionError(f"{frame} has no business here")

    def _welcome(self, expected: int, echo: float, now: float) -> Welcome:
        return Welcome(INSTANCE, expected, echo, now, 0.2, "memory")

    def _say(self, peer: bytes, frame: Frame) -> None:
        connection = self._world.connections[peer]
        if connection.alive:
            connection.down.send(encode(frame))

    def _grant(self, now: float) -> None:
        for granted in self.core.grants(now):
            session, piece = granted
            lot = piece.lot
            connection = self._world.connections[session.peer]
            if not connection.alive:
                self.core.unreachable(granted)
                continue
            if connection.down.full:
                self.core.blocked(granted, now + STEP)
                continue
            head = Grant(
                session.token, session.join, piece.base, lot.attempt, lot.delivery, lot.accepted, session.acked
            )
            connection.down.send(encode(head), lot.batch.frame or encode_batch(lot.batch))


class SenderEnd:
    """zsms/roles/sender.py around a SenderCore and simulated slots."""

    def __init__(self, world: World, name: str, slots: int, prefetch: int, failure_rate: float) -> None:
        seed = int(world.rng.integers(2**32))
        self.name = name
        self.core = SenderCore(slots, prefetch, seed)
        self.link = Link(world, name)
        self.awake_at = 0.0
        self._world = world
        self._slots = Slots(slots, DelayModel("gamma", 0.4, 0.3), failure_rate=failure_rate, tick=0.01, seed=seed)

    def turn(self, now: float) -> None:
        for frame, parts in self.link.read(now):
            self._hear(frame, parts)
        done = self._slots.advance(now)
        if done is not None:
            self._say(self.core.finished(done.sent, done.failed))
        for waiting in self.core.take(self._slots.free):
            assert -0.1 < now - waiting.accepted < now + 0.1
            self._world.started.update(message.id for message in waiting.batch.messages())
            self._slots.start(waiting.handles, waiting.ages(now), now)
        if self.link.joined:
            credit = self.core.credit()
            if credit is not None:
                self._say([credit])
        self.link.tick(now, self.core.token, self._make_join)
        assert self.core.in_slots == self._slots.busy
        assert self.core.held <= self.core.slots + self.core.prefetch

    def _say(self, acks: list[AckFrame]) -> None:
        for ack in acks:
            # After one that the pipe did not take, no other may be said before the next join.
            if not self.link.joined or not self.link.say(Ack(*ack)):
                self.link.joined = False
                return

    def _make_join(self, now: float) -> JoinSender:
        core = self.core
        core.joining()
        return JoinSender(core.token, core.join, self.name, core.slots, core.received, 0.0, now)

    def _hear(self, frame: Any, parts: list[bytes]) -> None:
        core = self.core
        match frame:
            case Grant():
                core.acknowledged(frame.acked)
                batch = decode(parts[1])
                assert isinstance(batch, Batch) and seqs(batch)
                ours = core.granted(
                    frame.session,
                    frame.join,
                    frame.base,
                    frame.attempt,
                    frame.delivery,
                    self.link.clock.to_local(frame.accepted),
                    self.link.clock.seconds,
                    batch,
                )
                if not ours and (frame.session, frame.join) == (core.token, core.join):
                    self.link.joined = False
            case Welcome():
                self._say(core.welcomed(frame.next))
            case Pong():
                if frame.subject == core.token:
                    core.acknowledged(frame.next)
            case Who():
                self.link.joined = False
            case Ended():
                if frame.session == core.token:
                    core.renew()
                    self.link.joined = False
            case _:
                raise AssertionError(f"{frame} has no business here")


class ProducerEnd:
    """zsms/roles/producer.py around a Window."""

    def __init__(self, world: World, producer: int, messages: int) -> None:
        self.id = producer
        self.window = Window(60, resend_after=0.5)
        self.link = Link(world, f"producer {producer}")
        self.push = Pipe(world)
        self.awake_at = 0.0
        self.produced = 0
        self._messages = messages
        self._full = False
        self._world = world

    @property
    def done(self) -> bool:
        return self.produced == self._messages and not len(self.window)

    def turn(self, now: float) -> None:
        for frame, _ in self.link.read(now):
            self._hear(frame, now)
        if self.link.joined:
            self._make(now)
            if self.window.overdue(now, self._full):
                self.window.rewind(now)
            while not self.push.full and (frame := self.window.next_frame()) is not None:
                self.push.send(frame)
                self.window.pushed()
        self.link.tick(now, 1, self._make_join)

    def _make_join(self, now: float) -> JoinProducer:
        return JoinProducer(self.id, 1, f"producer {self.id}", self.window.oldest, now)

    def _make(self, now: float) -> None:
        size = min(int(self._world.rng.integers(1, 20)), self._messages - self.produced, self.window.room)
        if size and self.window.next_frame() is None:
            number = self.window.next_number
            batch = make_batch(size, producer=self.id, number=number, first=self.produced)
            self.window.add(encode_batch(batch), size, now)
            self.produced += size

    def _hear(self, frame: Any, now: float) -> None:
        match frame:
            case Confirm():
                self._full = frame.full
                self.window.confirmed(frame.next, now)
            case Pong():
                self._full = frame.full
                self.window.confirmed(frame.next, now)
            case Welcome():
                self.window.confirmed(frame.next, now)
                self.window.rewind(now)
            case Who():
                self.link.joined = False
            case _:
                raise AssertionError(f"{frame} has no business here")


class World:
    """Everyone, and the time."""

    def __init__(
        self, seed: int, faults: Faults, limits: BrokerLimits, failure_rate: float, messages: int = 300
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.faults = faults
        self.now = 0.0
        self.connections: dict[bytes, Connection] = {}
        self.started: Counter[MessageId] = Counter()
        """How often each message began to be sent."""
        self._settled: set[MessageId] = set()
        self._failure_rate = failure_rate
        self.broker = BrokerEnd(self, limits)
        self.producers = [ProducerEnd(self, producer, messages) for producer in (1, 2)]
        self.senders = [self._new_sender(index, *size) for index, size in enumerate([(1, 1), (5, 2), (20, 5)])]
        self._born = len(self.senders)

    def _new_sender(self, index: int, slots: int, prefetch: int) -> SenderEnd:
        return SenderEnd(self, f"sender {index}", slots, prefetch, self._failure_rate)

    def connect(self, name: bytes) -> Connection:
        self.connections[name] = Connection(self, name)
        return self.connections[name]

    def in_some_order(self, things: Any) -> list[Any]:
        things = list(things)
        return [things[i] for i in self.rng.permutation(len(things))]

    def happens(self, what: str, seconds: float = 1.0) -> bool:
        rate = getattr(self.faults, what) * seconds
        return bool(rate) and self.rng.random() < rate

    def run(self, trouble: float, patience: float) -> None:
        """Let things go wrong for `trouble` seconds and then wait until all is done, at most `patience` seconds."""
        turn = 0
        while self.now < trouble or not self.done:
            if self.now >= trouble:
                self.faults = Faults()
            assert self.now < trouble + patience, f"not done: {self.broker.core.totals()}"
            self.now += STEP
            self._cause_trouble()
            for end in self.in_some_order([self.broker, *self.producers, *self.senders]):
                if self.now >= end.awake_at:
                    end.turn(self.now)
            assert all(account.balanced for account in self.broker.core.accounts())
            turn += 1
            if turn % 20 == 0:
                self.check_that_nothing_settled_comes_back()
        self.check_that_nothing_settled_comes_back()

    def _cause_trouble(self) -> None:
        for peer in [*self.producers, *self.senders]:
            if self.happens("cut", STEP):
                peer.link.cut()
            if isinstance(peer, ProducerEnd) and self.happens("cut", STEP):
                peer.push.cut()
        for end in [self.broker, *self.senders]:
            if self.happens("sleep", STEP):
                end.awake_at = self.now + self.rng.random() * 3.0
        for index, sender in enumerate(self.senders):
            if self.happens("death", STEP):
                sender.link.close()
                self.senders[index] = self._new_sender(self._born, sender.core.slots, sender.core.prefetch)
                self._born += 1

    @property
    def done(self) -> bool:
        totals = self.broker.core.totals()
        return all(producer.done for producer in self.producers) and not totals["queued"] + totals["in_flight"]

    @property
    def produced(self) -> list[MessageId]:
        return [MessageId(p.id, 1, seq) for p in self.producers for seq in range(p.produced)]

    def check_that_nothing_settled_comes_back(self) -> None:
        found = [message for message, _ in places(self.broker.core)]
        assert len(set(found)) == len(found)
        assert not self._settled & set(found)
        for account in self.broker.core.accounts():
            accepted = {MessageId(account.producer, account.start, seq) for seq in range(account.accepted)}
            self._settled |= accepted - set(found)
