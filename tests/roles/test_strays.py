"""Receipts that come to another sender of their account: by way of a broker to the one that knows the message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.core.making import make_batch
from zsms.core.broker import BrokerCore, BrokerLimits, gateways
from zsms.core.smpp.strings import Strings
from zsms.roles.desk import Desk
from zsms.roles.strays import Relay
from zsms.transports.smpp import SmppSettings
from zsms.transports.smpp.receipts import Awaited
from zsms.wire.codec import decode, encode
from zsms.wire.frames import Bye, Ended, JoinSender, Stray, Who

BROKER = 9
MOST_UNREAD = 16


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "MOST_UNREAD", MOST_UNREAD)


class Mesh:
    """A broker's desk and senders' relays; each says and hears whole frames."""

    def __init__(self) -> None:
        self.core = BrokerCore(BrokerLimits(liveness=5.0, lease=60.0), seed=1)
        self.senders: dict[bytes, Sender] = {}
        self.desk = Desk(
            self.core,
            "b",
            BROKER,
            "memory",
            clock=lambda: 0.0,
            full=lambda: False,
            waits=lambda: "",
            send=self.send,
        )

    def send(self, peer: bytes, frame: Any) -> bool:
        if self.senders[peer].full:
            return False
        self.senders[peer].inbox.append(decode(encode(frame)))
        return True

    def handle(self, peer: bytes, frame: Any) -> list[Any]:
        answers = list(self.desk.handle(peer, decode(encode(frame)), 0.0))
        for answer in answers:
            self.send(peer, answer)
        return answers

    def settle(self) -> None:
        for _ in range(5):
            for sender in self.senders.values():
                sender.turn()


class Sender:
    """One that has sent messages of these ids; it is its own link."""

    has_room = joined = True
    full = False

    def __init__(self, mesh: Mesh, number: int, *ids: str, account: int | None = 1) -> None:
        self.mesh, self.number, self.peer = mesh, number, b"peer%d" % number
        self.inbox: list[Any] = []
        self.awaited = Awaited(0.0, False, account)
        self.relay = Relay(None if account is None else self.awaited)
        self.generation = 0
        mesh.senders[self.peer] = self
        self.accepted(*ids)
        self.join()

    def accepted(self, *ids: str) -> None:
        numbers = np.arange(len(ids), dtype=np.uint64)
        sources = self.awaited.sources_of(make_batch(max(1, len(ids))))[: len(ids)]
        self.awaited.outstanding.add(Strings.of([each.encode() for each in ids]), sources, numbers, 0.0)

    def join(self) -> None:
        self.generation += 1
        self.mesh.handle(self.peer, JoinSender(self.number, self.generation, "s", 10, 0, 0.0, 0.0))
        self.inbox.clear()
        self.relay.welcomed()

    def send(self, frame: Any) -> bool:
        self.mesh.handle(self.peer, frame)
        return True

    def turn(self) -> None:
        while self.inbox:
            frame = self.inbox.pop(0)
            assert isinstance(frame, Stray) and frame.subject == BROKER
            self.relay.heard(frame, current=True)
        self.awaited.share(bool(self.relay.others))
        self.awaited.decide(float("inf"))
        link: Any = self
        self.relay.turn(link, self.number)
        self.awaited.decide(float("inf"))

    def receipts(self, *ids: str) -> None:
        self.awaited.match(Strings.of([each.encode() for each in ids]), np.zeros(len(ids), np.uint8), 1.0)

    @property
    def known(self) -> int:
        told = self.awaited.drain()
        return 0 if told is None else len(told.seqs)

    @property
    def figures(self) -> tuple[int, int, int]:
        figures = self.awaited.figures
        return tuple(figures[f"receipts_{name}"] for name in ("handed_on", "taken_over", "unmatched"))  # type: ignore[return-value]


def test_each_gets_the_receipts_of_its_messages() -> None:
    mesh = Mesh()
    one, two = Sender(mesh, 1, "1a", "1b"), Sender(mesh, 2, "2a", "2b")
    Sender(mesh, 3, "1a", account=2), Sender(mesh, 4, "1a", account=None)  # of no business of theirs
    mesh.settle()
    assert [each.relay.others for each in mesh.senders.values()] == [1, 1, 0, 0]
    one.receipts("2A", "1a", "2b")
    two.receipts("1b", "nobody's")
    mesh.settle()
    assert (one.known, two.known) == (2, 2)
    assert (one.figures, two.figures) == ((2, 1, 0), (2, 2, 0))
    assert [each.figures for each in mesh.senders.values()][2:] == [(0, 0, 0)] * 2


def test_of_several_the_one_that_knows_the_message() -> None:
    mesh = Mesh()
    senders = [Sender(mesh, number, f"{number}a") for number in (1, 2, 3)]
    mesh.settle()
    assert [each.relay.others for each in senders] == [2, 2, 2]
    senders[0].receipts("3a")
    mesh.settle()
    assert [each.known for each in senders] == [0, 0, 1]
    assert [each.figures for each in senders] == [(1, 0, 0), (0, 0, 0), (0, 1, 0)]


def test_who_is_alone_hands_nothing_on() -> None:
    mesh = Mesh()
    one, two = Sender(mesh, 1), Sender(mesh, 2)
    mesh.settle()
    mesh.handle(two.peer, Bye(BROKER, two.number))
    del mesh.senders[two.peer]
    one.receipts("x")
    mesh.settle()  # it can't know yet, and hears of it
    one.receipts("y")
    mesh.settle()
    assert one.relay.others == 0 and one.figures[0] == 1 and one.awaited.outstanding.early == 1


def test_what_a_sender_said_that_was_given_up_meanwhile_is_handed_on() -> None:
    mesh = Mesh()
    one, two, three = Sender(mesh, 1), Sender(mesh, 2, "2a"), Sender(mesh, 3, "3a")
    mesh.settle()
    mesh.handle(one.peer, Bye(BROKER, one.number))
    del mesh.senders[one.peer]
    one.receipts("2a", "3a")
    one.awaited.decide(float("inf"))
    stray = one.awaited.strays(9)
    assert stray is not None
    assert mesh.desk.handle(one.peer, Stray(1, 1, 0, 0, *stray), 0.0) == [Ended(BROKER, 1)]
    mesh.settle()
    assert (two.known, three.known) == (1, 1) and two.relay.others == three.relay.others == 1


def test_what_comes_while_a_sender_joins_again_is_read() -> None:
    mesh = Mesh()
    one, two = Sender(mesh, 1), Sender(mesh, 2, "2a")
    mesh.settle()
    one.receipts("2a")
    one.turn()
    (told,) = two.inbox
    two.join()
    two.relay.heard(told, current=False)
    assert two.relay.others == 0
    mesh.settle()
    assert two.known == 1 and two.relay.others == 1


def test_who_does_not_read_is_given_no_more_and_catches_up() -> None:
    mesh = Mesh()
    one, two = Sender(mesh, 1), Sender(mesh, 2, *map(str, range(100, 150)))
    mesh.settle()
    for number in range(100, 150):
        one.receipts(str(number))
        one.turn()
    assert len(two.inbox) == MOST_UNREAD
    two.turn()
    assert two.known == MOST_UNREAD and not two.inbox
    one.receipts("149")
    mesh.settle()
    assert two.known == 1


def test_what_a_pipe_does_not_take_is_not_awaited() -> None:
    mesh = Mesh()
    one, two = Sender(mesh, 1), Sender(mesh, 2, "7")
    mesh.settle()
    two.full = True
    for number in range(3 * MOST_UNREAD):
        one.receipts(f"x{number}")
        one.turn()
    two.full = False
    one.receipts("7")
    mesh.settle()
    assert two.known == 1


def test_a_sender_that_joins_again_says_anew_what_it_has() -> None:
    mesh = Mesh()
    one, two = Sender(mesh, 1), Sender(mesh, 2, "7")
    mesh.settle()
    for number in range(2 * MOST_UNREAD):
        one.receipts(f"x{number}")
        one.turn()
    two.join()  # what was on its way is gone with the connection
    one.receipts("6")
    mesh.settle()
    assert two.relay.others == 1
    one.receipts("7")
    mesh.settle()
    assert two.known == 1


def test_a_stranger_is_asked_who_it_is() -> None:
    mesh = Mesh()
    one = Sender(mesh, 1)
    none = np.zeros(0, np.uint8)
    assert mesh.desk.handle(b"peer2", Stray(1, 1, 0, 0, none, none, none), 0.0) == [Who(BROKER)]
    mesh.handle(one.peer, Bye(BROKER, 1))
    assert mesh.desk.handle(one.peer, Stray(1, 1, 0, 0, none, none, none), 0.0) == [Ended(BROKER, 1)]
    assert not len(mesh.core.gateways)


def test_an_account_s_name() -> None:
    names = {
        SmppSettings.from_url(url).account
        for url in ("smpp://a@H:1", "smpp://a@h:1", "smpp://a@h:1?window=5", "smpp://b@h:1", "smpp://a@h:2")
    }
    assert len(names) == 3 and None not in names
    without = ("smpp://h?registered_delivery=0", "smpp://h?bind=tx")
    assert [SmppSettings.from_url(url).account for url in without] == [None, None]
