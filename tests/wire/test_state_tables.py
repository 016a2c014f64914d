"""The broker's tables of states in docs/PROTOCOL.md: each row is played, and does what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.core.making import make_batch
from tests.wire.tables import Scenarios, kind, rows
from zsms.core.broker import BrokerCore, BrokerLimits, Put
from zsms.roles.desk import Desk
from zsms.wire.frames import Ack, Bye, JoinProducer, JoinSender, Ping

PEER, OTHER = b"peer", b"other"
SESSION = 7
NONE = np.zeros(0, dtype=np.uint32)
ANSWERS = {"WELCOME", "ENDED", "WHO", "BYE", "GRANT", "CONFIRM", "FENCED", "PONG"}


class Broker:
    """A broker's core and its desk, one producer, and what it says."""

    def __init__(self) -> None:
        self.core = BrokerCore(BrokerLimits(liveness=5.0, lease=60.0), seed=1)
        self.desk = Desk(
            self.core,
            "b",
            1,
            "memory",
            clock=lambda: 0.0,
            full=lambda: False,
            waits=lambda: "",
            send=lambda peer, frame: True,
        )
        self.core.producer_joined(b"p", JoinProducer(1, 1, "p", 0, 0.0), 0.0)
        self.said: set[str] = set()

    def hear(self, frame: Any, peer: bytes = PEER, now: float = 0.0) -> None:
        self.said |= {kind(answer) for answer in self.desk.handle(peer, frame, now)}

    def join(self, join: int = 1, received: int = 0, peer: bytes = PEER) -> None:
        self.hear(JoinSender(SESSION, join, "s", 10, received, 0.0, 0.0), peer)

    def ack(self, number: int, limit: int = 10, sent: tuple[int, ...] = (), peer: bytes = PEER) -> None:
        self.hear(Ack(SESSION, number, limit, 0, np.array(sent, dtype=np.uint32), NONE), peer)

    def put(self, count: int) -> None:
        account = self.core.producers[1]
        assert self.core.put(make_batch(count, number=account.next, first=account.accepted), 0.0) is Put.ACCEPTED

    def grant(self, now: float = 0.0) -> list[Any]:
        granted = list(self.core.grants(now))
        self.said |= {"GRANT"} if granted else set()
        return granted

    def opened(self, *grants: int) -> Broker:
        """With a session that was granted so many messages, and nothing said so far."""
        self.join()
        self.ack(0)
        for count in grants:
            self.put(count)
            self.grant()
        self.said.clear()
        return self

    def ended(self) -> Broker:
        self.opened(2).hear(Bye(1, SESSION))
        self.said.clear()
        return self

    def now(self) -> tuple[str, set[str]]:
        """The state of the session, and the kinds that were said."""
        state = "open" if SESSION in self.core.sessions else "ended" if self.core.is_ended(SESSION) else "unknown"
        assert all(account.balanced for account in self.core.accounts())
        return state, self.said

    @property
    def in_flight(self) -> int:
        return self.core.totals()["in_flight"]


session = Scenarios()


@session.row("unknown", "JOIN_SENDER, received = 0")
def _() -> Any:
    broker = Broker()
    broker.join()
    return broker.now()


@session.row("unknown", "JOIN_SENDER, received > 0")
def _() -> Any:
    broker = Broker()
    broker.join(received=3)
    return broker.now()


@session.row("unknown", "ACK, PING")
def _() -> Any:
    broker = Broker()
    broker.ack(0, sent=(0, 1))
    assert broker.said == {"WHO"} and broker.core.counters.unknown == 2
    broker.hear(Ping(SESSION, 0.0))
    return broker.now()


@session.row("open", "JOIN_SENDER, generation not above the last one")
def _() -> Any:
    broker = Broker().opened(2)
    broker.join(join=1, received=0, peer=OTHER)
    assert broker.in_flight == 2 and broker.core.sessions[SESSION].peer == PEER
    return broker.now()


@session.row("open", "JOIN_SENDER, received = n")
def _() -> Any:
    broker = Broker().opened(2, 3)
    broker.join(join=2, received=2, peer=OTHER)
    assert broker.in_flight == 2 and broker.core.totals()["queued"] == 3
    assert broker.core.sessions[SESSION].peer == OTHER
    return broker.now()


@session.row("open", "JOIN_SENDER, n is where no grant ended")
def _() -> Any:
    broker = Broker().opened(2, 3)
    broker.join(join=2, received=1)
    assert broker.in_flight == 0 and broker.core.totals()["queued"] == 5
    return broker.now()


@session.row("open", "ACK from a peer that is not the session's")
def _() -> Any:
    broker = Broker().opened(2)
    broker.ack(1, sent=(0, 1), peer=OTHER)
    assert broker.core.counters.foreign == 2 and broker.in_flight == 2
    return broker.now()


@session.row("open", "ACK, number < the one expected")
def _() -> Any:
    broker = Broker().opened(2)
    broker.ack(0, sent=(0, 1))
    assert broker.in_flight == 2
    return broker.now()


@session.row("open", "ACK, number > the one expected, nothing granted yet")
def _() -> Any:
    broker = Broker().opened()
    broker.ack(5, limit=4)
    assert broker.core.sessions[SESSION].limit == 4 and broker.core.sessions[SESSION].acked == 6
    return broker.now()


@session.row("open", "ACK, number > the one expected")
def _() -> Any:
    broker = Broker().opened(2)
    broker.ack(2, sent=(0, 1))
    assert broker.in_flight == 2 and broker.core.sessions[SESSION].acked == 1
    return broker.now()


@session.row("open", "ACK")
def _() -> Any:
    broker = Broker().opened(2)
    broker.ack(1, limit=12, sent=(0,))
    found = broker.core.sessions[SESSION]
    assert broker.in_flight == 1 and (found.limit, found.acked) == (12, 2)
    return broker.now()


@session.row("open", "queue not empty, granted < limit")
def _() -> Any:
    broker = Broker().opened()
    broker.put(12)
    assert [granted.piece.lot.size for granted in broker.grant()] == [10]
    return broker.now()


@session.row("open", "its peer can't be reached (EHOSTUNREACH)")
def _() -> Any:
    broker = Broker().opened()
    broker.put(2)
    for granted in broker.core.grants(0.0):
        broker.core.unreachable(granted)
    assert broker.in_flight == 0 and not broker.grant(9.0)
    broker.hear(Ping(SESSION, 0.0))
    broker.said.clear()
    state, said = broker.now()
    assert len(broker.grant()) == 1
    return state, said - {"GRANT"}


@session.row("open", "its pipe is full (EAGAIN)")
def _() -> Any:
    broker = Broker().opened()
    broker.put(2)
    for granted in broker.core.grants(0.0):
        broker.core.blocked(granted, 0.02)
    assert broker.in_flight == 0 and not broker.grant(0.01)
    state, said = broker.now()[0], set(broker.said)
    assert len(broker.grant(0.02)) == 1
    return state, said


@session.row("open", "a grant is older than the lease")
def _() -> Any:
    broker = Broker().opened(2)
    for second in range(62):
        broker.core.alive(PEER, float(second))
        broker.core.poll(float(second))
    assert broker.core.totals()["queued"] == 2 and broker.core.counters.redelivered == 2
    return broker.now()


@session.row("open", "no word for `liveness` s")
def _() -> Any:
    broker = Broker().opened(2)
    for second in range(7):
        broker.core.poll(float(second))
    assert broker.core.totals()["queued"] == 2 and broker.core.counters.redelivered == 2
    return broker.now()


@session.row("open", "BYE")
def _() -> Any:
    broker = Broker().opened(2)
    broker.hear(Bye(1, SESSION))
    assert broker.core.totals()["queued"] == 2 and broker.core.counters.redelivered == 2
    return broker.now()


@session.row("ended", "ACK")
def _() -> Any:
    broker = Broker().ended()
    broker.ack(1, sent=(0, 1))
    assert broker.core.counters.duplicates == 2
    return broker.now()


@session.row("ended", "JOIN_SENDER")
def _() -> Any:
    broker = Broker().ended()
    broker.join(join=2)
    return broker.now()


SESSION_ROWS = rows("The broker's view of a session")


def test_every_row_of_a_session_is_played() -> None:
    assert [(row.state, row.event) for row in SESSION_ROWS] == list(session)


@pytest.mark.parametrize("row", SESSION_ROWS, ids=lambda row: f"{row.state}: {row.event}")
def test_a_session_does_what_its_row_says(row: Any) -> None:
    state, said = session[row.state, row.event]()
    assert state == row.after and said == row.says() & ANSWERS


BATCHES = {
    "number = next": {"number": 2},
    "number < next": {"number": 1},
    "number > next": {"number": 3},
    "of an earlier start": {"epoch": 4},
    "of a producer or start that has not joined": {"producer": 2},
}


def test_every_row_of_a_batch_is_played() -> None:
    assert [row.state for row in rows("The broker's view of a batch")] == list(BATCHES)


@pytest.mark.parametrize("row", rows("The broker's view of a batch"), ids=lambda row: row.state)
def test_a_batch_is_judged_as_its_row_says(row: Any) -> None:
    core = BrokerCore(seed=1)
    core.producer_joined(PEER, JoinProducer(1, 5, "p", 2, 0.0), 0.0)
    core.confirms()
    batch = make_batch(3, **{"producer": 1, "epoch": 5, "number": 2, **BATCHES[row.state]})
    assert core.put(batch, 0.0).value == row.event
    told = [account.durable_through for account in core.confirms()]
    assert told == ([3 if row.event == "accepted" else 2] if "CONFIRM" in row.do else [])
    assert core.totals()["accepted"] == (3 if row.event == "accepted" else 0)
    if "WHO" in row.do:
        assert core.alive(b"whoever sent it", 0.0) is None
