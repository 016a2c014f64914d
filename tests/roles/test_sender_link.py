"""What a sender says to a broker when little fits into the pipe. No socket: the pipe is a list."""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from typing import Any

import numpy as np
import pytest
import zmq

from zsms.core.outcomes import Receipts
from zsms.core.sender import SenderCore
from zsms.roles.link import Link
from zsms.roles.sender_link import SenderLink
from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import Ack, Bye, Ended, JoinSender, Receipt, Welcome

RECEIPTS = Receipts(np.ones(1, dtype="<u8"), np.ones(1, dtype="<u8"), np.ones(1, dtype="u1"), np.ones(1, dtype="<f4"))


class Pipe:
    """In place of the sockets, and of the only one of them: it takes two frames, and the test reads them."""

    def __init__(self) -> None:
        self._said: list[bytes] = []
        self._heard: list[bytes] = []

    def connect(self, *_what: Any, **_how: Any) -> Any:
        return self

    handshakes = connect

    def failed(self) -> None:
        """No handshake ever fails."""

    def resolve_again(self, _endpoint: Endpoint) -> str:
        return ""

    def poll(self, _timeout: int, flags: int) -> int:
        return flags if len(self._said) < 2 else 0

    def send(self, data: bytes, _flags: int) -> None:
        if len(self._said) == 2:
            raise zmq.Again
        self._said.append(data)

    def recv_multipart(self, _flags: int, copy: bool) -> list[zmq.Frame]:
        if not self._heard:
            raise zmq.Again
        return [zmq.Frame(self._heard.pop(0))]

    def hear(self, frame: Welcome | Ended) -> None:
        self._heard.append(encode(frame))

    def drain(self) -> list[Any]:
        said, self._said = self._said, []
        return [decode(data) for data in said]


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def way(pipe: Pipe) -> SenderLink:
    """One of two brokers', without a share yet; it has just been welcomed for the second time.

    What it says again and its newest credit fill the pipe.
    """
    core = SenderCore(3, 2, seed=1, places=2)
    core.share = 0
    sockets: Any = pipe
    link = partial(Link, sockets, Endpoint("inproc", "a"), logging.getLogger("test"), alone=False)
    way = SenderLink(core, link, lambda *_: None, name="s", lease=0.0)
    for now in (0.0, 1.0):
        way.tick(now)
        (join,) = pipe.drain()
        assert isinstance(join, JoinSender)
        pipe.hear(Welcome(1, int(now), now, now, 1.0, 0.0, "memory"))
        way.read(now)
        if not now:
            pipe.drain()
            core.share = 1
            core.new_credit()  # lost on its way
            core.share = 0
            way.link.lost()
    core.share = 4
    return way


def test_credit_that_does_not_fit_waits_for_room_and_the_sender_stays_joined(way: SenderLink, pipe: Pipe) -> None:
    way.ask(1.1)
    assert way.link.joined, "it was left for credit that could wait"
    assert [frame.limit for frame in pipe.drain()] == [0, 0]
    assert 1.1 < way.next_time() < 1.2
    way.ask(1.2)
    (credit,) = pipe.drain()
    assert isinstance(credit, Ack) and (credit.number, credit.limit) == (3, 4)
    assert way.next_time() >= 2.0  # nothing but the next ping


def test_receipts_do_not_take_the_room_that_credit_waits_for(way: SenderLink, pipe: Pipe) -> None:
    way.ask(1.1)
    pipe.drain()
    assert not way.send_receipts(RECEIPTS)
    way.ask(1.2)
    assert way.send_receipts(RECEIPTS)
    assert [type(frame) for frame in pipe.drain()] == [Ack, Receipt]


def test_credit_that_waits_is_forgotten_with_its_broker(way: SenderLink) -> None:
    way.ask(1.1)
    way.link.refuse("for good")
    way.ask(1.2)
    assert way.next_time() == inf


def test_a_sender_that_was_given_up_counts_only_what_waited(
    way: SenderLink, pipe: Pipe, caplog: pytest.LogCaptureFixture
) -> None:
    pipe.hear(Ended(1, way.core.token))
    way.read(1.1)
    (record,) = caplog.records
    assert record.getMessage() == "s: the broker gave this sender up"


@pytest.mark.parametrize("joined", [True, False], ids=["joined", "silent broker"])
def test_who_has_said_goodbye_says_nothing_more_and_joins_no_broker_again(
    way: SenderLink, pipe: Pipe, joined: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if not joined:
        way.link.lost()
    pipe.drain()
    way.left = not way.goodbye()
    assert way.left is not joined and [type(frame) for frame in pipe.drain()] == ([Bye] if joined else [])
    way.core.share = 2  # there would be credit to say
    pipe.hear(Ended(1, way.core.token))  # what was said before the goodbye, and came behind it, is answered so
    way.read(3.0)
    for now in (3.0, 100.0):
        way.ask(now)
        way.tick(now)
        assert pipe.drain() == [] and way.next_time() == inf
    assert way.left and not caplog.text
