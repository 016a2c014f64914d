"""The tables of states of producers and senders in docs/PROTOCOL.md: each row is played, and does what it says."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pytest
import zmq

from tests.core.making import make_batch
from tests.wire.tables import Row, Scenarios, StubSocket, StubSockets, rows
from zsms.core.outcomes import Finished
from zsms.core.producer.window import Window
from zsms.core.sender import SenderCore
from zsms.errors import ZsmsError
from zsms.roles.link import Link, end_if_refused
from zsms.roles.producer_link import ProducerLink
from zsms.roles.sender_link import SenderLink
from zsms.wire.codec import encode_batch, moved_batch
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import Bye, Confirm, Ended, Fenced, Grant, Hold, Pong, Refused, Welcome, Who

BROKER = 1
NONE = np.zeros(0, dtype=np.uint64)
ENDPOINT = Endpoint("inproc", "broker")


def says(row: Row) -> set[str]:
    """The kinds of frames that it names as said."""
    return set(re.findall(r"say ([A-Z_]+)", row.do)) | ({"ACK"} if "say the others again" in row.do else set())


def welcome(expected: int = 0, echo: float = 0.0) -> Welcome:
    return Welcome(BROKER, expected, echo, 0.0, 1.0, 60.0, "memory")


class Peer:
    """What both have in common: a link over a stub."""

    way: Any

    def __init__(self) -> None:
        self.stub = StubSockets()
        self.socket: StubSocket = self.stub.socket
        self.refused: list[str] = []
        self.now = 0.0

    def make_link(self, make_join: Any) -> Link:
        sockets: Any = self.stub
        return Link(sockets, ENDPOINT, logging.getLogger("zsms.test"), make_join, alone=True)

    def refuse(self, where: str, why: object, now: float) -> None:
        self.refused.append(str(why))

    def hear(self, *frames: Any) -> Peer:
        self.socket.hear(*frames)
        self.way.read(self.now)
        return self

    def tick(self, at: float) -> None:
        self.now = at
        self.way.tick(at)

    def joined(self) -> Any:
        self.tick(0.0)
        self.hear(welcome())
        self.socket.kinds()
        return self

    def state(self) -> str:
        try:
            end_if_refused([self.way.link])
        except ZsmsError:
            return "left"
        return "joined" if self.way.link.joined else "joining"

    def ending(self) -> tuple[str, set[str]]:
        return self.state(), set(self.socket.kinds())


class Sender(Peer):
    def __init__(self) -> None:
        super().__init__()
        self.core = SenderCore(4, 2, seed=1)
        self.way: SenderLink = SenderLink(self.core, self.make_link, self.refuse, name="s", lease=0.0)

    def state(self) -> str:
        return "left" if self.way.left else super().state()

    def grant(self, count: int, *, base: int | None = None, acked: int = 0) -> None:
        core = self.core
        base = core.received if base is None else base
        head = Grant(core.token, core.generation, base, 1, 1, 0.0, acked, False)
        self.hear(head, make_batch(count, first=base))

    def finish(self, count: int) -> None:
        handles = np.concatenate([NONE, *[waiting.handles for waiting in self.core.take(count)]])
        self.way.acknowledge(self.core.finished(Finished(handles, NONE)))


sender = Scenarios()


@sender.row("joining", "every 0.5 s")
def _() -> Any:
    peer = Sender()
    for at, said in ((0.0, ["JOIN_SENDER"]), (0.4, []), (0.6, ["JOIN_SENDER"]), (0.9, [])):
        peer.tick(at)
        assert peer.socket.kinds() == said
    assert peer.core.generation == 2
    peer.tick(1.2)
    return peer.ending()


@sender.row("joining", "WELCOME(next)")
def _() -> Any:
    peer = Sender().joined()
    peer.grant(4)
    peer.finish(2)
    peer.finish(2)
    peer.hear(Who(BROKER)).tick(1.0)
    before = [frame for frame in peer.socket.said if hasattr(frame, "limit")]
    assert [frame.number for frame in before] == [1, 2]
    peer.socket.kinds()
    peer.hear(welcome(2, 1.0))
    assert [frame.number for frame in peer.socket.said] == [2, 3]
    return peer.ending()


@sender.row("joined", "GRANT(session, generation, base) with all three as expected")
def _() -> Any:
    peer = Sender().joined()
    peer.grant(5)
    assert (peer.core.received, peer.core.waiting_messages) == (5, 5)
    return peer.ending()


@sender.row("joined", "any other GRANT")
def _() -> Any:
    peer = Sender().joined()
    head = Grant(peer.core.token, peer.core.generation - 1, 0, 1, 1, 0.0, 0, False)
    peer.hear(head, make_batch(2))
    assert peer.core.received == 0 and peer.core.refused_grants == 1
    return peer.ending()


@sender.row("joined", "GRANT(acked), PONG(next)")
def _() -> Any:
    peer = Sender().joined()
    assert [frame.number for frame in peer.core.unacknowledged] == [0]
    peer.grant(2, acked=1)
    assert not peer.core.unacknowledged
    peer.finish(1)
    peer.socket.kinds()
    peer.hear(Pong(BROKER, peer.core.token, 2, False, 0.0, 0.0))
    assert not peer.core.unacknowledged
    return peer.ending()


@sender.row("joined", "slots are done")
def _() -> Any:
    peer = Sender().joined()
    peer.grant(4)
    peer.finish(3)
    assert peer.socket.said[-1].limit == 4 + 2 + 3
    return peer.ending()


@sender.row("joined", "the credit has changed, nothing else was said")
def _() -> Any:
    peer = Sender().joined()
    peer.way.ask(0.0)
    assert not peer.socket.said
    peer.core.prefetch += 1
    peer.way.ask(0.0)
    assert not len(peer.socket.said[-1].sent) and peer.socket.said[-1].limit == 4 + 3
    return peer.ending()


@sender.row("joined", "`interval` s since the last PING")
def _() -> Any:
    peer = Sender().joined()
    peer.tick(0.9)
    assert not peer.socket.said
    peer.tick(1.0)
    return peer.ending()


@sender.row("joined", "WHO")
def _() -> Any:
    return Sender().joined().hear(Who(BROKER)).ending()


@sender.row("any", "REFUSED, final")
def _() -> Any:
    joining = Sender()
    joining.tick(0.0)
    assert joining.hear(Refused(BROKER, True, "why")).state() == "left"
    return Sender().joined().hear(Refused(BROKER, True, "why")).ending()


@sender.row("any", "any other REFUSED")
def _() -> Any:
    peers = [Sender(), Sender().joined()]
    before = [peer.state() for peer in peers]
    after = [peer.hear(Refused(BROKER, False, "why")).state() for peer in peers]
    assert all(peer.refused == ["the broker refused: why"] for peer in peers)
    return "unchanged" if before == after else "changed", set()


@sender.row("any", "ENDED(this session)")
def _() -> Any:
    peer = Sender().joined()
    peer.grant(4)
    (held,) = peer.core.take(1)
    token = peer.core.token
    peer.hear(Ended(BROKER, token))
    assert peer.core.token != token and (peer.core.generation, peer.core.waiting_messages) == (0, 0)
    peer.way.acknowledge(peer.core.finished(Finished(held.handles, NONE)))
    assert peer.socket.said[-1].session == token
    return peer.state(), set()


@sender.row("joined", "told to stop")
def _() -> Any:
    peer = Sender().joined()
    peer.grant(2)
    peer.core.draining = True
    peer.way.ask(0.0)
    assert peer.socket.said[-1].limit == 2
    peer.finish(2)
    peer.socket.kinds()
    return "leaving" if peer.way.goodbye() else peer.state(), set(peer.socket.kinds())


@sender.row("leaving", "BYE, or 1 s")
def _() -> Any:
    peer = Sender().joined()
    assert peer.way.goodbye()
    peer.socket.kinds()
    return peer.hear(Bye(BROKER, peer.core.token)).ending()


class StubPush:
    """A PUSH with room."""

    def __init__(self) -> None:
        self.pushed: list[bytes] = []

    def send(self, data: bytes, flags: int, copy: bool) -> None:
        self.pushed.append(data)


class Producer(Peer):
    def __init__(self) -> None:
        super().__init__()
        self.window = Window(100, 5.0, moved_batch)
        self.push = StubPush()
        push: Any = self.push
        self.way: ProducerLink = ProducerLink(
            self.window, self.make_link, push, Nowhere(), self.refuse, producer=1, epoch=9, name="p"
        )

    def make(self, *counts: int) -> None:
        for count in counts:
            batch = make_batch(count, epoch=self.way.epoch, number=self.window.next_number)
            self.window.add(encode_batch(batch), count, self.now)
        self.way.push(self.now)

    def state(self) -> str:
        return super().state()


class Nowhere(zmq.Poller):
    """Polls nothing."""

    def register(self, *args: Any) -> None:
        pass


producer = Scenarios()


@producer.row("joining", "every 0.5 s")
def _() -> Any:
    peer = Producer()
    for at, said in ((0.0, ["JOIN_PRODUCER"]), (0.4, []), (0.6, ["JOIN_PRODUCER"]), (0.9, [])):
        peer.tick(at)
        assert peer.socket.kinds() == said
    peer.tick(1.2)
    return peer.ending()


@producer.row("joining", "WELCOME(next)")
def _() -> Any:
    peer = Producer().joined()
    peer.make(5, 5)
    peer.hear(Who(BROKER)).tick(1.0)
    peer.socket.kinds()
    peer.hear(welcome(1, 1.0))
    assert (peer.window.oldest, peer.window.messages) == (1, 5)
    peer.way.push(1.0)
    assert len(peer.push.pushed) == 3
    return peer.ending()


@producer.row("joined", "room in the window")
def _() -> Any:
    peer = Producer().joined()
    assert peer.way.ready
    peer.make(5)
    assert len(peer.push.pushed) == 1
    return peer.ending()


@producer.row("joined", "CONFIRM(next) or PONG(next) for this start")
def _() -> Any:
    peer = Producer().joined()
    peer.make(5, 5)
    peer.hear(Confirm(BROKER, 9, 1, False, "memory"))
    assert peer.window.messages == 5
    peer.hear(Confirm(BROKER, 8, 2, False, "memory"))
    assert peer.window.messages == 5
    peer.hear(Pong(BROKER, 9, 2, False, 0.0, 0.0))
    assert peer.window.messages == 0
    return peer.ending()


@producer.row("joined", "a `next` below the oldest batch, from a start that never said more")
def _() -> Any:
    peer = Producer().joined()
    peer.make(5, 5)
    peer.hear(Confirm(BROKER, 9, 1, False, "memory"))
    peer.hear(Who(BROKER)).tick(1.0)
    peer.hear(welcome(0, 1.0)._replace(instance=2))
    state = peer.state()
    peer.socket.kinds()
    peer.tick(2.0)
    assert peer.socket.said[-1].oldest == 1
    return state, set(peer.socket.kinds())


@producer.row("joined", "no batch confirmed for `resend_after` s, `full` not said")
def _() -> Any:
    peer = Producer().joined()
    peer.make(5, 5)
    peer.way.push(4.9)
    assert len(peer.push.pushed) == 2
    peer.way.push(5.1)
    assert len(peer.push.pushed) == 4
    return peer.ending()


@producer.row("joined", "`interval` s since the last PING")
def _() -> Any:
    peer = Producer().joined()
    peer.tick(0.9)
    assert not peer.socket.said
    peer.tick(1.0)
    return peer.ending()


@producer.row("joined", "WHO")
def _() -> Any:
    return Producer().joined().hear(Who(BROKER)).ending()


@producer.row("joined", "HOLD(reason) for this start")
def _() -> Any:
    peer = Producer().joined()
    peer.make(5)
    peer.hear(Hold(BROKER, 9, "the disk is full"))
    assert peer.way.full
    peer.way.push(5.1)
    assert len(peer.push.pushed) == 1  # it would be pushed again, if the broker took anything
    return peer.ending()


@producer.row("joining, never welcomed", "FENCED(epoch)")
def _() -> Any:
    peer = Producer()
    peer.tick(0.0)
    peer.hear(Fenced(BROKER, 20))
    assert peer.way.epoch > 20
    peer.socket.kinds()
    return peer.ending()


@producer.row("any, once welcomed", "FENCED")
def _() -> Any:
    peer = Producer().joined()
    with pytest.raises(ZsmsError, match="fenced"):
        peer.hear(Fenced(BROKER, 20))
    return "left", set()


@producer.row("any", "REFUSED, final")
def _() -> Any:
    joining = Producer()
    joining.tick(0.0)
    assert joining.hear(Refused(BROKER, True, "why")).state() == "left"
    return Producer().joined().hear(Refused(BROKER, True, "why")).ending()


@producer.row("joined", "all is made and confirmed")
def _() -> Any:
    peer = Producer().joined()
    peer.way.goodbye()
    return "left", set(peer.socket.kinds())


TABLES = {"The producer's link": producer, "The sender's session": sender}


@pytest.mark.parametrize("title", TABLES)
def test_every_row_of_a_peer_is_played(title: str) -> None:
    assert [(row.state, row.event) for row in rows(title)] == list(TABLES[title])


@pytest.mark.parametrize(
    ("title", "row"),
    [pytest.param(title, row, id=f"{title}: {row.state}: {row.event}") for title in TABLES for row in rows(title)],
)
def test_a_peer_does_what_its_row_says(title: str, row: Row) -> None:
    state, said = TABLES[title][row.state, row.event]()

    assert state == row.after and said == says(row)
