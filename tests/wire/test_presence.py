"""What is said of an address where no broker or collector answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import zmq

from zsms.wire import presence
from zsms.wire.endpoint import Endpoint
from zsms.wire.presence import NOBODY, look
from zsms.wire.sockets import Sockets


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says something does so before a machine that is busy runs out of time."""
    monkeypatch.setattr(presence, "CONNECT_S", 25.0)
    monkeypatch.setattr(presence, "ANSWER_S", 25.0)


@contextmanager
def bound(kind: int, address: str = "tcp://127.0.0.1:*") -> Iterator[Endpoint]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = context.socket(kind)
    made.linger = 0
    try:
        made.bind(address)
        yield Endpoint.parse(made.getsockopt_string(zmq.LAST_ENDPOINT), 0)
    finally:
        made.close()
        context.term()


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            there, _ = listening.accept()
            with there, suppress(ConnectionError):  # whoever looked has left
                answer(there)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Endpoint("tcp", "127.0.0.1", listening.getsockname()[1])
        thread.join(10)


PAIRS = [
    (zmq.PULL, "broker", ""),
    (zmq.SUB, "stats", ""),
    (zmq.SUB, "broker", "a stats collector listens there, and not a broker"),
    (zmq.PULL, "stats", "a broker listens there, and not a stats collector"),
    (zmq.ROUTER, "broker", "that is the second port of the broker or collector at tcp://127.0.0.1:{before}"),
    (zmq.ROUTER, "stats", "that is the second port of the broker or collector at tcp://127.0.0.1:{before}"),
    (zmq.REP, "broker", "what listens there is neither a broker nor a collector, but a ZeroMQ REP"),
    (zmq.PUB, "stats", "what listens there is neither a broker nor a collector, but a ZeroMQ PUB"),
]


@pytest.mark.parametrize(("kind", "wanted", "told"), PAIRS)
def test_a_wrong_port_is_named(kind: int, wanted: str, told: str) -> None:
    with bound(kind) as endpoint:
        assert look(endpoint, "127.0.0.1", wanted) == told.format(before=endpoint.port - 1)


def speaks(first: bytes) -> Callable[[socket.socket], None]:
    """Says something, and waits for the other side to go."""

    def answer(there: socket.socket) -> None:
        there.sendall(first)
        while there.recv(4_096):
            pass

    return answer


def replies(line: bytes) -> Callable[[socket.socket], None]:
    """Says something once it was spoken to."""

    def answer(there: socket.socket) -> None:
        there.recv(4_096)
        there.sendall(line)

    return answer


STRANGERS = {
    "SSH": (speaks(b"SSH-2.0-Example_1\r\n"), "'SSH-2.0-Example_1'"),
    "SMTP": (speaks(b"220 mail.example.org ESMTP\r\n"), "'220 mail.example.org ESMTP'"),
    "HTTP": (replies(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"), "'HTTP/1.1 400 Bad Request'"),
    "Redis": (replies(b"-ERR unknown command\r\n"), "'-ERR unknown command'"),
    "TLS": (replies(b"\x15\x03\x01\x00\x02\x02\x46"), r"'\x15\x03\x01\x00\x02\x02F'"),
    "one endless line": (speaks(b"x" * 100_000), "'" + "x" * 60 + "'"),
    "escapes": (speaks(b"\x1b[2Jowned\n"), r"'\x1b[2Jowned'"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_speaks_no_zeromq_is_quoted(name: str) -> None:
    answer, quoted = STRANGERS[name]
    with server(answer) as endpoint:
        told = look(endpoint, "127.0.0.1", "broker")
    assert told == f"what listens there speaks no ZeroMQ: it says {quoted}"


@pytest.mark.parametrize("answer", [lambda there: None, lambda there: there.recv(1)], ids=["slams shut", "hangs up"])
def test_what_says_nothing_is_told(answer: Callable[[socket.socket], None]) -> None:
    with server(answer) as endpoint:
        assert look(endpoint, "127.0.0.1", "stats") == "what listens there takes the connection, and says nothing"


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = Endpoint("tcp", "127.0.0.1", listening.getsockname()[1])
        assert "says nothing" in look(endpoint, "127.0.0.1", "stats")
    assert look(endpoint, "127.0.0.1", "stats") == NOBODY


@pytest.mark.parametrize(
    "greeting", [b"\xff" * 64, b"\xff" + bytes(8) + b"\x7f\x03", presence.GREETING + b"\4\x26\5READY\x0bSocket-Type"]
)
def test_half_a_greeting_says_nothing(greeting: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "ANSWER_S", 0.05)
    with server(speaks(greeting)) as endpoint:
        assert look(endpoint, "127.0.0.1", "stats") == ""


def test_sockets_of_a_path_are_looked_at_too(tmp_path: Path) -> None:
    there = Endpoint("ipc", str(tmp_path / "b"))
    assert look(there, "", "broker") == NOBODY
    with bound(zmq.SUB, there.first):
        assert look(there, "", "broker") == "a stats collector listens there, and not a broker"


def test_who_asks_again_hears_it() -> None:
    sockets = Sockets()
    try:
        with bound(zmq.SUB) as endpoint:
            sockets.connect(zmq.DEALER, endpoint, "second")
            assert sockets.resolve_again(endpoint, 20) == "a stats collector listens there, and not a broker"
        assert sockets.resolve_again(endpoint, 20) == NOBODY
    finally:
        sockets.close_all()
