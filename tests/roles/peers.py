"""The other side, played by the test: raw sockets that say what no role would, and a broker that does as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack
import numpy as np
import zmq

from tests.roles.waiting import DEADLINE_S, until
from zsms.core.broker import BrokerCore
from zsms.message import Batch
from zsms.roles.broker import Broker
from zsms.wire.codec import decode, encode
from zsms.wire.frames import Ack, Grant, JoinProducer, JoinSender, Ping, Pong, Welcome

WAIT_MS = int(DEADLINE_S * 1_000)


def urls(endpoint: str) -> tuple[str, str]:
    """The two addresses of an endpoint, without the code under test."""
    if endpoint.startswith("tcp"):
        host, _, port = endpoint.rpartition(":")
        return endpoint, f"{host}:{int(port) + 1}"
    return f"{endpoint}.1", f"{endpoint}.2"


def totals(core: BrokerCore) -> dict[str, int]:
    """The accounts added up, from another thread than the broker's."""
    accounts = [*core.producers.copy().values(), *core.closed_accounts]
    return {name: sum(getattr(a, name) for a in accounts) for name in (
        "accepted", "queued", "in_flight", "sent", "failed", "dead")}  # fmt: skip


def settled(core: BrokerCore) -> int:
    now = totals(core)
    return now["sent"] + now["failed"] + now["dead"]


def gives_up(broker: Broker, token: int) -> None:
    """Wait until the broker has given this session up. Its last word is made an old one: a short `liveness` could be
    outlasted by those who live, too, on a machine that is busy."""

    def given_up() -> bool:
        session = broker.core.sessions.get(token)
        if session is not None:
            session.last_seen -= 1_000
            broker.wake()
        return session is None

    until(given_up, "a session given up")


class RawPeer:
    """One raw socket with a context of its own."""

    def __init__(
        self, kind: int, url: str, curve: tuple[bytes, bytes, bytes] | None = None, routing_id: bytes | None = None
    ) -> None:
        """`curve`: with this public and secret key, to the holder of that public one."""
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        self.socket.linger = 0
        self.socket.sndtimeo = self.socket.rcvtimeo = WAIT_MS
        if curve is not None:
            self.socket.curve_publickey, self.socket.curve_secretkey, self.socket.curve_serverkey = curve
        if routing_id is not None:
            self.socket.routing_id = routing_id
        self.socket.connect(url)

    def close(self) -> None:
        self.context.destroy(linger=0)

    def send(self, *parts: bytes) -> None:
        self.socket.send_multipart(parts)

    def say(self, frame: Any) -> None:
        self.send(encode(frame))

    def hear(self, kind: type) -> Any:
        """The next frame of this kind; a GRANT comes as (grant, batch). Others are passed over."""
        while True:
            parts = [decode(part) for part in self.socket.recv_multipart()]
            if type(parts[0]) is kind:
                return parts[0] if len(parts) == 1 else tuple(parts)

    def hear_any(self) -> Any:
        """The next frame, of whatever kind."""
        return decode(self.socket.recv_multipart()[0])

    def settle_down(self) -> None:
        """Return when the broker has acted on everything said so far: it reads a peer's frames in order."""
        self.say(Ping(0, 0.0))
        pong, who = 9, 10
        while msgpack.unpackb(self.socket.recv_multipart()[0])[1] not in (pong, who):
            pass

    # -- as a sender ---------------------------------------------------------------------------------------------

    def join(self, broker: Broker, session: int, slots: int, *, name: str = "raw") -> None:
        """Join as a sender and give credit for as many messages as there are slots."""
        self.say(JoinSender(session, 1, name, slots, 0, 0.0, 0.0))
        self.hear(Welcome)
        self.say(ack(session, 0, slots))

    def granted(self, count: int) -> list[tuple[Grant, Batch]]:
        """Grants until they are `count` messages in all."""
        grants: list[tuple[Grant, Batch]] = []
        while sum(len(batch) for _, batch in grants) < count:
            grants.append(self.hear(Grant))
        return grants


def ack(
    session: int,
    number: int,
    limit: int,
    sent: Sequence[int] = (),
    failed: Sequence[int] = (),
    base: int = 0,
    outcomes: Sequence[int] = (),
) -> Ack:
    columns = (np.array(numbers, dtype="<u4") for numbers in (sent, failed))
    return Ack(session, number, limit, base, *columns, np.array(outcomes, dtype="u1"))


class FakeBroker:
    """ROUTER and PULL, and nothing behind them."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.context = zmq.Context()
        self.pull, self.router = self.context.socket(zmq.PULL), self.context.socket(zmq.ROUTER)
        for socket, url in zip((self.pull, self.router), urls(endpoint), strict=True):
            socket.linger = 0
            socket.rcvtimeo = WAIT_MS
            socket.bind(url)
        self.peer = b""

    def close(self) -> None:
        self.context.destroy(linger=0)

    def hear(self, kind: type) -> Any:
        """The next frame of this kind, from whoever says it; others are passed over."""
        while True:
            self.peer, data = self.router.recv_multipart()
            frame = decode(data)
            if type(frame) is kind:
                return frame

    def say(self, frame: Any, *more: Any) -> None:
        """To the peer that was heard last."""
        self.router.send_multipart([self.peer, encode(frame), *map(encode, more)])

    def welcome_producer(self, expected: int = 0, interval: float = 0.05) -> JoinProducer:
        """Wait for a producer to join and take it in."""
        join: JoinProducer = self.hear(JoinProducer)
        self.say(Welcome(1, expected, join.sent_at, join.sent_at, interval, 0.0, "memory"))
        return join

    def pong(self, next_: int, *, full: bool) -> None:
        """Answer the next PING."""
        ping: Ping = self.hear(Ping)
        self.say(Pong(1, ping.subject, next_, full, ping.sent_at, ping.sent_at))

    def batch(self) -> Batch:
        """The next batch that is pushed."""
        data = self.pull.recv()
        batch = decode(data)
        assert isinstance(batch, Batch)
        return batch

    @property
    def has_batch(self) -> bool:
        return bool(self.pull.poll(0))
