"""Addresses as people write them, and what they are told when one can't be had."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import time

import pytest
import zmq

from tests.roles.waiting import until
from zsms.errors import UsageError, ZsmsError
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import MAX_FRAME_BYTES
from zsms.wire.sockets import Sockets


@pytest.fixture
def sockets():
    made = Sockets()
    yield made
    made.close_all()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# -- parsing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("localhost", "tcp://localhost:5555", "tcp://localhost:5556"),
        ("localhost:", "tcp://localhost:5555", "tcp://localhost:5556"),
        ("tcp://localhost", "tcp://localhost:5555", "tcp://localhost:5556"),
        ("broker.example.org:7000", "tcp://broker.example.org:7000", "tcp://broker.example.org:7001"),
        ("  10.0.0.1:7000 ", "tcp://10.0.0.1:7000", "tcp://10.0.0.1:7001"),
        ("tcp://10.0.0.1:65534", "tcp://10.0.0.1:65534", "tcp://10.0.0.1:65535"),
        ("*:7000", "tcp://*:7000", "tcp://*:7001"),
        ("[::1]", "tcp://[::1]:5555", "tcp://[::1]:5556"),
        ("[::1]:7000", "tcp://[::1]:7000", "tcp://[::1]:7001"),
        ("tcp://[fe80::1%eth0]:7000", "tcp://[fe80::1%eth0]:7000", "tcp://[fe80::1%eth0]:7001"),
        ("ipc:///run/zsms/broker", "ipc:///run/zsms/broker.1", "ipc:///run/zsms/broker.2"),
        ("ipc://relative", "ipc://relative.1", "ipc://relative.2"),
        ("inproc://broker", "inproc://broker.1", "inproc://broker.2"),
    ],
)
def test_an_address_is_two_sockets_beside_each_other(text, first, second):
    endpoint = Endpoint.parse(text, 5555)
    assert (endpoint.first, endpoint.second) == (first, second)
    assert Endpoint.parse(str(endpoint), 1) == endpoint  # as it is printed, so it can be given


@pytest.mark.parametrize("text", ["localhost:0", "localhost:*", "tcp://localhost:0"])
def test_port_0_is_any_port(text):
    assert Endpoint.parse(text, 5555).port == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "host is missing"),
        ("tcp://", "host is missing"),
        ("5555", "a port alone; write HOST:5555"),
        (":5555", "host is missing"),
        ("[]:5555", "host is missing"),
        ("localhost:65535", "0 .any. to 65534"),
        ("localhost:-1", "port must be a number"),
        ("localhost:port", "port must be a number"),
        ("localhost:5555/queue", "port must be a number"),
        ("localhost:55 55", "port must be a number"),
        ("localhost:5.5", "port must be a number"),
        ("localhost:\N{ARABIC-INDIC DIGIT FIVE}", "port must be a number"),
        ("localhost:" + "9" * 5_000, "port must be a number"),
        ("::1", r"in brackets, as \[::1\]"),
        ("2001:db8::1:5555", "in brackets"),
        ("tcp:127.0.0.1:5555", "too many colons; write HOST:PORT"),
        ("broker.example.org:5555:5556", "too many colons; write HOST:PORT"),
        ("[::1", r"written \[ADDRESS\]:PORT"),
        ("[::1]5555", r"written \[ADDRESS\]:PORT"),
        ("http://localhost:5555", "use tcp://HOST:PORT"),
        ("udp://localhost:5555", "use tcp://HOST:PORT"),
        ("ipc://", "needs a path"),
        ("inproc://", "needs a name"),
        ("ipc:///" + "x" * 100, "101 bytes long; sockets take 100"),
        ("ipc:///" + "é" * 50, "101 bytes long; sockets take 100"),
        ("ipc:///a\0b", "zero byte"),
        ("127.0.0.1:5555,127.0.0.1:5556", "one address only"),
        ("a,b", "one address only"),
    ],
)
def test_what_is_no_address_is_refused_in_words(text, why):
    with pytest.raises(UsageError, match=why) as caught:
        Endpoint.parse(text, 5555)
    assert repr(text[:80].strip()).strip("'") in str(caught.value)


def test_what_needs_ipv6():
    assert Endpoint.parse("[::1]:1", 1).needs_ipv6
    for text in ("127.0.0.1:1", "localhost", "*:1", "ipc:///a", "inproc://a"):
        assert not Endpoint.parse(text, 1).needs_ipv6 or text == "localhost"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 300, "a..b", "exa mple"])
def test_a_host_that_nobody_knows_is_named(host, sockets):
    endpoint = Endpoint.parse(f"{host}:5555", 1)
    for attempt in (
        lambda: sockets.connect(zmq.PUSH, endpoint, "first", strict=True),
        lambda: sockets.bind_pair((zmq.PULL, zmq.ROUTER), endpoint, "--bind", hwm=(8, 8)),
    ):
        with pytest.raises(UsageError, match="can't be resolved") as caught:
            attempt()
        assert host in str(caught.value)


@pytest.mark.parametrize("text", ["*", "*:5555", "127.0.0.1:0", "[::1]:*", "localhost,127.0.0.1:0"])
def test_where_one_only_listens_nobody_connects_to(text, sockets):
    with pytest.raises(UsageError, match=r"can't connect to .*for who listens there"):
        sockets.connect(zmq.PUSH, Endpoint.parse(text, 5555, several=True), "first")


# -- binding -----------------------------------------------------------------------------------------------------


def bind(sockets: Sockets, text: str) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes], Endpoint]:
    endpoint = Endpoint.parse(text, 1)
    return sockets.bind_pair((zmq.PULL, zmq.ROUTER), endpoint, "--bind", hwm=(8, 8), insecure=True)


def talk(sockets: Sockets, pull: zmq.Socket[bytes], router: zmq.Socket[bytes], bound: Endpoint) -> None:
    """Both sockets can be reached where `bound` says."""
    sockets.connect(zmq.PUSH, bound, "first").send(b"ingest")
    sockets.connect(zmq.DEALER, bound, "second").send(b"dispatch")
    assert pull.poll(25_000) and pull.recv() == b"ingest"
    assert router.poll(25_000) and router.recv_multipart()[1] == b"dispatch"


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:*", "[::1]:0"])
def test_port_0_binds_two_neighbours_and_says_where(sockets, text):
    if text.startswith("[") and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    pull, router, bound = bind(sockets, text)
    assert bound.port > 0
    assert pull.last_endpoint.rstrip(b"\0").endswith(b":%d" % bound.port)
    assert router.last_endpoint.rstrip(b"\0").endswith(b":%d" % (bound.port + 1))
    talk(sockets, pull, router, bound)


def test_ipc_binds_two_paths(sockets, tmp_path):
    pull, router, bound = bind(sockets, f"ipc://{tmp_path}/b")
    assert {path.name for path in tmp_path.iterdir()} == {"b.1", "b.2"}
    talk(sockets, pull, router, bound)


def test_port_0_asks_for_another_when_the_neighbour_is_taken(sockets, monkeypatch):
    """The first three times the second port is in use; the pairs half bound are given back."""
    real, refused = zmq.Socket.bind, []

    def sometimes(self, address):
        if self.type == zmq.ROUTER and len(refused) < 3:
            refused.append(address)
            raise zmq.ZMQError(errno.EADDRINUSE)
        return real(self, address)

    monkeypatch.setattr(zmq.Socket, "bind", sometimes)
    pull, router, bound = bind(sockets, "127.0.0.1:0")
    assert len(refused) == 3
    talk(sockets, pull, router, bound)


def test_no_neighbours_at_all_end_in_an_error_and_not_in_a_loop(sockets, monkeypatch):
    def never(self, address):
        raise zmq.ZMQError(errno.EADDRINUSE)

    monkeypatch.setattr(zmq.Socket, "bind", never)
    with pytest.raises(ZsmsError, match="no two free ports"):
        bind(sockets, "127.0.0.1:0")


@pytest.mark.parametrize("which", [0, 1])
def test_a_port_in_use_is_named_with_the_option_that_changes_it(sockets, which):
    """Whichever of the two it is; and the other one is given back."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        first = other.getsockname()[1] - which
        with pytest.raises(UsageError, match=f"127.0.0.1:{first} is in use.*--bind"):
            bind(sockets, f"127.0.0.1:{first}")
    until(lambda: free("127.0.0.1", first), f"port {first} free again")


def free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def test_an_ipc_path_in_use_is_not_taken_from_who_uses_it(sockets, tmp_path):
    """ZeroMQ would: it removes the file and binds, and the one who listened there hears nobody any more."""
    pull, router, bound = bind(sockets, f"ipc://{tmp_path}/b")
    with pytest.raises(UsageError, match=r"is in use.*--bind"):
        bind(sockets, str(bound))
    talk(sockets, pull, router, bound)


def test_an_ipc_path_left_behind_by_a_process_that_was_killed_is_taken(sockets, tmp_path):
    for name in ("b.1", "b.2"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / name))
    assert bind(sockets, f"ipc://{tmp_path}/b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.0.2.1:5555", "is no address of this machine"),  # TEST-NET-1, RFC 5737: never anyone's
        ("ipc:///no/such/directory/b", "can't listen on"),
    ],
)
def test_an_address_that_can_t_be_had_is_refused_with_the_option(sockets, text, why):
    with pytest.raises(UsageError, match=f"{why}.*--bind"):
        bind(sockets, text)


# -- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [zmq.PULL, zmq.PUSH, zmq.ROUTER, zmq.DEALER, zmq.PUB, zmq.SUB, zmq.REQ, zmq.REP])
def test_nothing_is_unbounded_and_nothing_hangs(sockets, kind):
    made = sockets.make(kind, hwm=5)
    assert made.linger == 0
    assert (made.sndhwm, made.rcvhwm) == (5, 5)
    assert made.maxmsgsize == MAX_FRAME_BYTES
    assert made.tcp_keepalive and made.tcp_keepalive_idle > 0 and made.handshake_ivl and made.reconnect_ivl_max


def test_a_router_does_not_drop_in_silence(sockets):
    router = bind(sockets, "127.0.0.1:0")[1]
    with pytest.raises(zmq.ZMQError) as caught:
        router.send_multipart([b"nobody", b""], zmq.NOBLOCK)
    assert caught.value.errno == errno.EHOSTUNREACH


def test_an_oversized_frame_cuts_its_connection_and_no_other(sockets):
    pull, _, bound = bind(sockets, "127.0.0.1:0")
    rude = sockets.context.socket(zmq.PUSH)
    rude.linger = 0
    rude.connect(bound.first)
    rude.send(bytes(MAX_FRAME_BYTES + 1))
    polite = sockets.connect(zmq.PUSH, bound, "first")
    polite.send(b"small")
    assert pull.poll(25_000) and pull.recv() == b"small"
    rude.close()


def test_a_lost_answer_does_not_lock_the_asker(sockets):
    rep, _, bound = sockets.bind_pair((zmq.REP, zmq.SUB), Endpoint.parse("127.0.0.1:0", 1), "--bind", hwm=(8, 8))
    req = sockets.connect(zmq.REQ, bound, "first")
    req.send(b"lost")
    req.send(b"asked again")
    for _ in range(2):
        assert rep.poll(25_000)
        rep.send(rep.recv())
    assert req.poll(25_000) and req.recv() == b"asked again"


def test_an_own_context_outlives_the_sockets(tmp_path):
    with zmq.Context() as context:
        sockets = Sockets(context)
        sockets.make(zmq.PULL)
        sockets.close_all()
        assert not context.closed
        context.socket(zmq.PULL).close()


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:0", "ipc"])
def test_a_peer_that_dies_while_nobody_reads_it_takes_nobody_along(text, tmp_path):
    """As a producer does whose broker is full. With heartbeats on the reading side, libzmq aborts the process."""
    reader = """if True:
        import sys, time, zmq
        from zsms.wire.endpoint import Endpoint
        from zsms.wire.sockets import Sockets
        pull, _, bound = Sockets().bind_pair(
            (zmq.PULL, zmq.ROUTER), Endpoint.parse(sys.argv[1], 1), "--bind", hwm=(2, 2)
        )
        print(bound, flush=True)
        input()
        time.sleep(2.5)  # longer than from one heartbeat to the next
        print(len(pull.recv()))
    """
    writer = """if True:
        import sys, zmq
        from zsms.wire.endpoint import Endpoint
        from zsms.wire.sockets import Sockets
        push = Sockets().connect(zmq.PUSH, Endpoint.parse(sys.argv[1], 1), "first", hwm=2)
        push.sndtimeo = 500
        try:
            while True:
                push.send(bytes(100_000))
        except zmq.Again:
            print("full", flush=True)
        input()
    """
    address = text if text != "ipc" else f"ipc://{tmp_path}/x"
    with subprocess.Popen([sys.executable, "-c", reader, address], stdin=-1, stdout=-1, text=True) as reads:
        assert reads.stdout is not None
        bound = reads.stdout.readline().strip()
        with subprocess.Popen([sys.executable, "-c", writer, bound], stdin=-1, stdout=-1, text=True) as writes:
            assert writes.stdout is not None and writes.stdout.readline() == "full\n"
            writes.kill()
        out, _ = reads.communicate("\n", timeout=60)
        assert reads.returncode == 0 and out == "100000\n"


def test_a_peer_that_is_only_pressed_back_for_long_stays_connected(sockets):
    """With ZeroMQ's heartbeats it would break off after 6 s, lose what is under way, and fill the next pipe."""
    pull, _, bound = sockets.bind_pair((zmq.PULL, zmq.ROUTER), Endpoint.parse("127.0.0.1:0", 1), "--bind", hwm=(2, 2))
    push = sockets.connect(zmq.PUSH, bound, "first", hwm=2)
    push.sndtimeo = 500
    pull.rcvtimeo = 25_000
    pushed = 0
    try:
        while True:
            push.send(b"%d" % pushed + bytes(100_000))
            pushed += 1
    except zmq.Again:
        pass
    full_until = time.monotonic() + 6.5  # heartbeats of 2 s, given up after 6
    until(lambda: time.monotonic() > full_until, "a long time of being full")
    assert not push.poll(0, zmq.POLLOUT)
    assert [int(pull.recv().rstrip(b"\0")) for _ in range(pushed)] == list(range(pushed))
