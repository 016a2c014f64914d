"""Keys: strangers get nowhere, and the holder of a key says what that key is for, as itself, and nothing else."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

from tests.roles.peers import RawPeer, ack, totals, urls
from tests.roles.waiting import DEADLINE_S, until
from tests.wire.frames import snapshot_body
from zsms import Broker, DelayModel, Monitor, Producer, Sender, StatsCollector, UsageError, ZsmsError
from zsms.core.broker import BrokerLimits
from zsms.dashboard.reader import Reader
from zsms.message import Batch
from zsms.roles import permissions as guard
from zsms.security.keys import Keys, make, read
from zsms.security.zap import Gate
from zsms.wire.codec import encode
from zsms.wire.frames import (
    Answer,
    Ask,
    Grant,
    JoinProducer,
    JoinSender,
    Ping,
    Pong,
    Refused,
    Report,
    Snapshot,
    Welcome,
    Who,
)
from zsms.wire.sockets import Sockets

PATIENT = BrokerLimits(liveness=60.0)
Raw = Callable[..., RawPeer]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    directory = tmp_path / "keys"
    for name, role in {
        "broker": "broker", "stats": "stats", "p1": "producer", "p2": "producer", "s1": "sender", "s2": "sender",
        "monitor": "monitor", "operator": "operator",
    }.items():  # fmt: skip
        make(directory, name, [role])
    return directory


@pytest.fixture
def with_key(keys: Path, raw: Raw) -> Raw:
    """Raw sockets with one of the keys: ``with_key("s1", zmq.DEALER, url)``."""

    def connect(name: str, kind: int, url: str, **how: object) -> RawPeer:
        key = read(keys / f"{name}.key")
        server = "broker" if kind in (zmq.PUSH, zmq.DEALER) else "stats"
        return raw(kind, url, curve=(key.public, key.secret, read(keys / f"{server}.key").public), **how)

    return connect


@pytest.fixture
def collector(run, keys: Path) -> StatsCollector:
    return run(StatsCollector("127.0.0.1:0", keys=keys))


@pytest.fixture
def broker(run, keys: Path, collector: StatsCollector) -> Broker:
    return run(
        Broker("127.0.0.1:0", limits=PATIENT, keys=keys, stats=collector.endpoint, stats_interval=0.05, name="b")
    )


def test_a_mesh_with_keys_does_its_work(run, keys, broker, collector, caplog):
    reached = {"stats": collector.endpoint, "stats_interval": 0.05}
    run(Sender(broker.endpoint, concurrency=200, delay=DelayModel("constant", 0.01), keys=keys / "s1.key", **reached))
    run(Producer(broker.endpoint, messages=5_000, batch=1_000, keys=keys / "p1.key", **reached))
    monitor = run(Monitor(collector.endpoint, interval=0.05, until_done=True, keys=keys))
    assert monitor.join(DEADLINE_S) and monitor.view is not None and monitor.view.sent == 5_000
    assert broker.refused_frames == collector.refused_frames == 0
    assert broker.refused_connections == collector.refused_connections == 0
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# -- strangers (rows 29 and 31) --------------------------------------------------------------------------------------


def curve_of(who: str, keys: Path, server: str) -> tuple[bytes, bytes, bytes] | None:
    """What a stranger connects with; None: nothing."""
    public = read(keys / f"{server}.key").public
    if who == "plain":
        return None
    if who == "fresh key":
        return *zmq.curve_keypair(), public
    if who == "another server's key":
        p1 = read(keys / "p1.key")
        return p1.public, p1.secret, zmq.curve_keypair()[0]
    key = read(keys / f"{who}.key")
    return key.public, key.secret, public


INGEST, DISPATCH, STATS_IN, STATS_OUT = range(4)


@pytest.mark.parametrize(
    ("who", "where"),
    [
        *((who, where) for who in ("plain", "fresh key", "another server's key") for where in range(4)),
        ("s1", INGEST), ("monitor", INGEST), ("operator", INGEST), ("broker", INGEST),
        ("monitor", DISPATCH), ("broker", DISPATCH), ("stats", DISPATCH),
        ("monitor", STATS_IN), ("operator", STATS_IN), ("stats", STATS_IN), ("stats", STATS_OUT),
    ],
)  # fmt: skip
def test_nothing_that_a_stranger_says_reaches_the_application(keys, broker, collector, raw, caplog, who, where):
    url = (*urls(broker.endpoint), *urls(collector.endpoint))[where]
    role: Broker | StatsCollector = broker if where in (INGEST, DISPATCH) else collector
    kind = (zmq.PUSH, zmq.DEALER, zmq.PUB, zmq.REQ)[where]
    until(lambda: collector.book.taken > 0, "the broker's own statistics")
    stranger = raw(kind, url, curve=curve_of(who, keys, "broker" if role is broker else "stats"))
    said = (
        Batch.of([("+1", "x")], producer=1, epoch=1),
        JoinSender(7, 1, "stranger", 10, 0, 0.0, 0.0),
        Snapshot(snapshot_body(role="sender", name="stranger")),
        Ask("totals"),
    )[where]
    while not role.refused_connections:
        # Whatever could be sent would have been read before the next refusal is counted.
        try:
            stranger.socket.send(encode(said), zmq.NOBLOCK)
        except zmq.ZMQError:
            pass  # not even a pipe, or a question that waits for its answer
        stranger.socket.poll(10)
    assert not stranger.socket.poll(100)
    assert role.refused_frames == 0
    assert not broker.core.peers and not broker.core.producers and not broker.core.counters.strange_batches
    assert {row["name"] for row in collector.book.answer("totals", 0.0)["processes"]} == {"b"}
    assert any("refused a connection" in record.getMessage() for record in caplog.records)


def test_a_broker_reports_how_many_it_refused(broker, collector, raw, with_key):
    raw(zmq.DEALER, urls(broker.endpoint)[1])
    raw(zmq.DEALER, urls(collector.endpoint)[1])
    asker = with_key("monitor", zmq.REQ, urls(collector.endpoint)[1])

    def counted() -> bool:
        asker.say(Ask("totals"))
        answer = asker.hear(Answer).body
        refused = answer["totals"].get("broker", {}).get("refused_connections", 0)
        return refused > 0 and answer["collector"]["refused_connections"] > 0

    until(counted, "a refusal each")


def test_a_role_that_is_refused_says_so_and_ends(run, keys, tmp_path, broker, collector, caplog):
    """ZeroMQ would try no more, and be silent about it."""
    make(keys, "s9", ["sender"])
    (keys / "public" / "s9.pub").unlink()
    with pytest.raises(ZsmsError, match="'s9' was refused: it is not listed"):
        Sender(broker.endpoint, keys=keys / "s9.key").run()
    with pytest.raises(ZsmsError, match="wants a key: give --keys"):
        Producer(broker.endpoint, messages=1).run()
    with pytest.raises(ZsmsError, match="wants a key: give --keys"):
        Monitor(collector.endpoint).run()
    plain = run(Broker("127.0.0.1:0"))
    with pytest.raises(ZsmsError, match="it wants no keys"):
        Sender(plain.endpoint, keys=keys / "s1.key").run()


def test_a_client_talks_to_nobody_but_the_server_of_its_list(run, keys, tmp_path, caplog):
    """A broker with another key at the same address: nothing of ours may reach it."""
    other = tmp_path / "other"
    make(other, "broker", ["broker"])
    (other / "public" / "p1.pub").write_bytes((keys / "public" / "p1.pub").read_bytes())
    impostor = run(Broker("127.0.0.1:0", keys=other))
    producer = run(Producer(impostor.endpoint, messages=10, keys=keys / "p1.key", drain_timeout=0))
    until(lambda: impostor.refused_connections > 3, "attempts that failed")
    until(lambda: "is it the one whose key" in producer.ways[0].link.failure, "a reason")
    assert not impostor.core.peers and producer.produced == 0


def test_a_refusal_by_one_of_several_brokers_costs_that_one(run, keys, tmp_path, caplog):
    strict_keys = tmp_path / "strict"
    shutil.copytree(keys, strict_keys)
    for name in ("s1", "p1"):
        (strict_keys / "public" / f"{name}.pub").unlink()
    prompt = BrokerLimits(liveness=0.5)
    strict = run(Broker("127.0.0.1:0", keys=strict_keys, name="strict"))
    broker = run(Broker("127.0.0.1:0", keys=keys, limits=prompt))
    at = [strict.endpoint, broker.endpoint]
    sender = Sender(at, concurrency=50, delay=DelayModel("constant", 0.01), keys=keys / "s1.key").start()
    assert run(Producer(at, messages=500, batch=50, keys=keys / "p1.key")).join(DEADLINE_S)
    until(lambda: totals(broker.core)["sent"] == 500, "all of it sent by way of the other broker")
    assert not strict.core.peers and strict.refused_connections
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(said) == 2 and all(strict.endpoint in line and "it counts as lost" in line for line in said)
    # The other one locks it out, too: then there is nobody left.
    (keys / "public" / "s1.pub").unlink()
    broker.stop()
    broker.stop()
    assert broker.join(DEADLINE_S)
    run(Broker(broker.endpoint, keys=keys, limits=prompt))
    with pytest.raises(ZsmsError, match=f"{strict.endpoint}: .* refused.*; the broker at {broker.endpoint}: "):
        sender.join(DEADLINE_S)


def test_a_producer_does_not_wait_for_confirms_of_a_broker_that_refuses_it(run, keys, tmp_path):
    strict_keys = tmp_path / "strict"
    shutil.copytree(keys, strict_keys)
    small = BrokerLimits(liveness=0.5, max_messages=100)
    strict = run(Broker("127.0.0.1:0", keys=strict_keys, limits=small))
    other = Broker("127.0.0.1:0", keys=keys).start()
    other.stop()
    assert other.join(DEADLINE_S)
    producer = Producer([strict.endpoint, other.endpoint], messages=600, batch=50, window=300, keys=keys / "p1.key")
    producer.start()
    until(lambda: producer.produced == 400 and producer.windows[0].messages == 300, "a window at a broker that is full")
    run(Broker(other.endpoint, keys=keys))
    until(lambda: producer.produced == 600 and not producer.windows[1].messages, "messages that wait for one alone")
    (strict_keys / "public" / "p1.pub").unlink()
    strict.stop()
    strict.stop()
    assert strict.join(DEADLINE_S)
    run(Broker(strict.endpoint, keys=strict_keys, limits=small))
    with pytest.raises(ZsmsError, match="messages are unconfirmed, and their broker refuses"):
        producer.join(DEADLINE_S)
    assert producer.produced == 600


# -- what a key is for -----------------------------------------------------------------------------------------------


def test_a_sender_s_key_can_t_produce_and_a_producer_s_takes_nothing(broker, with_key):
    dispatch = urls(broker.endpoint)[1]
    sender, producer = with_key("s1", zmq.DEALER, dispatch), with_key("p1", zmq.DEALER, dispatch)
    sender.say(JoinProducer(1, 1, "x", 0, 0.0))
    assert "'s1' may not say JoinProducer" in sender.hear(Refused).reason
    for frame in (JoinSender(7, 1, "x", 10, 0, 0.0, 0.0), ack(7, 0, 10, sent=[0])):
        producer.say(frame)
        assert "'p1' may not say" in producer.hear(Refused).reason
    operator = with_key("operator", zmq.DEALER, dispatch)
    for frame in (JoinSender(7, 1, "x", 10, 0, 0.0, 0.0), JoinProducer(1, 1, "x", 0, 0.0), ack(7, 0, 10)):
        operator.say(frame)
        assert "'operator' may not say" in operator.hear(Refused).reason
    assert broker.refused_frames == 6 and not broker.core.peers
    operator.say(Ping(0, 0.0))  # a probe (`zsms health`), which must not fill the log
    operator.hear(Who)
    assert broker.refused_frames == 6


def test_a_producer_of_the_journal_is_nobody_s_until_it_joins(run, keys, tmp_path, with_key, caplog):
    first = Broker("127.0.0.1:0", keys=keys, journal=tmp_path / "journal").start()
    assert run(Producer(first.endpoint, messages=10, keys=keys / "p1.key", name="p")).join(DEADLINE_S)
    first.stop()
    first.stop()
    assert first.join(DEADLINE_S)
    second = run(Broker("127.0.0.1:0", keys=keys, journal=tmp_path / "journal"))
    (account,) = second.core.producers.values()
    stale = Batch.of([("+1", "x")], producer=account.producer, epoch=account.epoch, number=1)
    with_key("p1", zmq.PUSH, urls(second.endpoint)[0]).say(stale)
    until(lambda: "sent a batch as 'p', which has not joined" in caplog.text, "a refusal")
    assert totals(second.core)["accepted"] == 10
    again = run(Producer(second.endpoint, messages=20, keys=keys / "p1.key", name="p"))
    assert again.join(DEADLINE_S) and totals(second.core)["accepted"] == 30


def test_a_producer_is_the_key_that_joined_as_it(run, broker, with_key, keys):
    ingest, dispatch = urls(broker.endpoint)
    first = with_key("p1", zmq.DEALER, dispatch)
    first.say(JoinProducer(1, 1, "first", 0, 0.0))
    first.hear(Welcome)
    second = with_key("p2", zmq.DEALER, dispatch)
    second.say(JoinProducer(1, 2, "first", 0, 0.0))  # would fence the first one
    assert "belongs to another key" in second.hear(Refused).reason
    with_key("p2", zmq.PUSH, ingest).say(Batch.of([("+1", "x")], producer=1, epoch=1))
    until(lambda: broker.refused_frames == 2, "a batch refused")
    assert totals(broker.core)["accepted"] == 0 and broker.core.producers[1].next == 0
    with_key("p1", zmq.PUSH, ingest).say(Batch.of([("+1", "x")], producer=1, epoch=1))
    until(lambda: totals(broker.core)["accepted"] == 1, "its own batch accepted")
    # Locked out, its key owns nothing any more: the work goes on under a new key.
    (keys / "public" / "p1.pub").unlink()

    def taken_over() -> bool:
        second.say(JoinProducer(1, 3, "first", 0, 0.0))
        return isinstance(second.hear_any(), Welcome)

    until(taken_over, "another key taking over")


def test_a_session_is_the_key_that_joined_with_it(run, broker, with_key, keys):
    dispatch = urls(broker.endpoint)[1]
    run(Producer(broker.endpoint, messages=10, keys=keys / "p1.key"))
    owner = with_key("s1", zmq.DEALER, dispatch, routing_id=b"owner")
    owner.join(broker, 7, slots=10)
    owner.granted(10)
    thief = with_key("s2", zmq.DEALER, dispatch)
    thief.say(JoinSender(7, 2, "thief", 10, 0, 0.0, 0.0))
    assert "belongs to another key" in thief.hear(Refused).reason
    # Nor by the routing id, which a peer may choose: once the owner is gone, ZeroMQ gives it to whoever asks for it.
    owner.close()
    thief = with_key("s2", zmq.DEALER, dispatch, routing_id=b"owner")
    thief.say(ack(7, 1, 10, sent=range(10)))
    assert "routing id of another" in thief.hear(Refused).reason
    assert totals(broker.core)["in_flight"] == 10 and totals(broker.core)["sent"] == 0
    # Its owner comes again under its key, from wherever.
    owner = with_key("s1", zmq.DEALER, dispatch)
    owner.say(JoinSender(7, 2, "owner", 10, 10, 0.0, 0.0))
    owner.hear(Welcome)
    owner.say(ack(7, 1, 10, sent=range(10)))
    until(lambda: totals(broker.core)["sent"] == 10, "its own acknowledgements")


def test_statistics_are_of_the_key_s_own_role_and_name(collector, with_key):
    stats_in, stats_out = urls(collector.endpoint)
    asker = with_key("s1", zmq.REQ, stats_out)
    for role, told in (("broker", "of a broker"), ("producer", "of a producer")):
        asker.say(Report(snapshot_body(role=role, name="x")))
        assert told in asker.hear(Refused).reason
    asker.say(Ask("totals"))
    assert "may not ask" in asker.hear(Refused).reason
    asker.say(Report(snapshot_body(role="sender", name="x")))
    assert asker.hear(Answer).body == {}
    other = with_key("s2", zmq.REQ, stats_out)
    other.say(Report(snapshot_body(role="sender", name="x", seq=9)))
    assert "not its own" in other.hear(Refused).reason
    watcher = with_key("monitor", zmq.REQ, stats_out)
    watcher.say(Report(snapshot_body(role="sender", name="y")))
    assert "may not publish" in watcher.hear(Refused).reason
    watcher.say(Ask("totals"))
    assert [row["name"] for row in watcher.hear(Answer).body["processes"]] == ["x"]
    refused = collector.refused_frames
    publisher = with_key("s2", zmq.PUB, stats_in)

    def counted() -> bool:
        publisher.say(Snapshot(snapshot_body(role="broker", name="x")))
        return collector.refused_frames > refused

    until(counted, "a snapshot refused on the other port")
    assert collector.book.taken == 1


# -- locked out, and bounds ------------------------------------------------------------------------------------------


def test_a_key_that_is_deleted_is_locked_out_there_and_then(broker, with_key, keys):
    dispatch = urls(broker.endpoint)[1]
    peer = with_key("s1", zmq.DEALER, dispatch)
    peer.join(broker, 7, slots=10)
    (keys / "public" / "s1.pub").unlink()

    def refused() -> bool:
        peer.say(Ping(7, 0.0))
        return isinstance(peer.hear_any(), Refused)

    until(refused, "the old connection refused")
    # Nor is it the old key's word when another one gets its name.
    (keys / "s1.key").rename(keys.parent / "s1.key")
    make(keys, "s1", ["sender"])
    renewed = with_key("s1", zmq.DEALER, dispatch)
    until(lambda: "s1" in {key.name for key in broker.keys.users.values()}, "the new key listed")
    peer.say(Ping(7, 0.0))
    assert "not listed any more" in peer.hear(Refused).reason
    assert renewed
    (keys / "public" / "s1.pub").unlink()
    until(lambda: "s1" not in {key.name for key in broker.keys.users.values()}, "the new key deleted")
    connections = broker.refused_connections
    with_key("s1", zmq.DEALER, dispatch)
    until(lambda: broker.refused_connections > connections, "a new connection refused")
    other = with_key("s2", zmq.DEALER, dispatch)
    other.say(JoinSender(8, 1, "other", 1, 0, 0.0, 0.0))
    other.hear(Welcome)


def test_the_connections_of_a_key_are_bounded(broker, with_key, monkeypatch):
    monkeypatch.setattr("zsms.security.zap.NEW_CONNECTIONS", 3)
    dispatch = urls(broker.endpoint)[1]
    for number in range(3):
        peer = with_key("s1", zmq.DEALER, dispatch)
        peer.say(JoinSender(number, 1, "x", 1, 0, 0.0, 0.0))
        peer.hear(Welcome)
    late = with_key("s1", zmq.DEALER, dispatch)
    late.say(JoinSender(9, 1, "x", 1, 0, 0.0, 0.0))
    until(lambda: broker.refused_connections > 0, "the fourth refused")
    assert not late.socket.poll(100) and len(broker.core.sessions) == 3
    other = with_key("s2", zmq.DEALER, dispatch)
    other.say(JoinSender(10, 1, "x", 1, 0, 0.0, 0.0))
    other.hear(Welcome)
    monkeypatch.setattr("zsms.security.zap.WINDOW_S", 0.0)  # a minute later
    with_key("s1", zmq.DEALER, dispatch).say(JoinSender(11, 1, "x", 1, 0, 0.0, 0.0))
    until(lambda: len(broker.core.sessions) == 5, "a new window of the key")


def test_the_joined_peers_of_a_key_are_bounded(broker, with_key, monkeypatch):
    monkeypatch.setattr(guard, "PEERS", 2)
    dispatch = urls(broker.endpoint)[1]
    for number, kind in enumerate((Welcome, Welcome, Refused)):
        peer = with_key("s1", zmq.DEALER, dispatch)
        peer.say(JoinSender(number, 1, "x", 1, 0, 0.0, 0.0))
        peer.hear(kind)


def test_refusals_are_logged_once_a_second_at_most(broker, with_key, raw, caplog):
    began = time.monotonic()
    for _ in range(30):
        raw(zmq.DEALER, urls(broker.endpoint)[1])
    until(lambda: broker.refused_connections >= 30, "30 refusals")  # a client may come again
    told = [r for r in caplog.records if "refused a connection" in r.getMessage()]
    assert len(told) < 8 + time.monotonic() - began


# -- at the start ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Broker, StatsCollector])
def test_what_lets_a_stranger_in_does_not_run(keys, monkeypatch, role):
    with monkeypatch.context() as patch:
        patch.setattr(Gate, "judge", lambda *_: (b"200", "OK", "anybody"))
        with pytest.raises(ZsmsError, match=r"a fresh key on .* was let in: not safe to run"):
            role("127.0.0.1:0", keys=keys).run()
    monkeypatch.setattr(Sockets, "guard", lambda *_: None)
    with pytest.raises(ZsmsError, match=r"a client without a key on .* was let in"):
        role("127.0.0.1:0", keys=keys).run()


def test_what_does_not_refuse_in_time_does_not_run(keys, monkeypatch):
    monkeypatch.setattr("zsms.security.zap.SELF_TEST_S", 0.3)
    monkeypatch.setattr(Gate, "poll", lambda *_: None)
    with pytest.raises(ZsmsError, match="was not refused in"):
        Broker("127.0.0.1:0", keys=keys).run()


@pytest.mark.parametrize("role", [Broker, StatsCollector])
def test_the_strangers_of_its_own_proof_are_never_counted(run, keys, monkeypatch, role):
    """A stranger may know that it is refused before the side that listens has counted that."""
    slow_until, count = time.monotonic() + 0.3, Gate.count_failures
    monkeypatch.setattr(Gate, "count_failures", lambda *given: count(*given) if time.monotonic() > slow_until else None)
    started = run(role("127.0.0.1:0", keys=keys))
    until(lambda: time.monotonic() > slow_until + 0.1, "the time to count them")
    assert started.refused_connections == 0


@pytest.mark.parametrize("role", [Broker, StatsCollector])
@pytest.mark.parametrize("bind", ["0.0.0.0:0", "*:0", "[::]:0", "192.0.2.1:0"])
def test_an_address_that_others_can_reach_needs_keys_or_a_word(role, bind):
    with pytest.raises(UsageError, match=r"--keys.*--insecure"):
        role(bind).run()


def test_an_address_that_others_can_reach_is_bound_with_keys_or_a_word(run, keys):
    assert run(Broker("0.0.0.0:0", keys=keys)).running  # the proof finds its own way to it
    assert run(StatsCollector("0.0.0.0:0", insecure=True)).running


def test_a_context_of_the_caller_s_is_left_alone(run, keys):
    with zmq.Context() as context:
        zap = context.socket(zmq.REP)
        zap.bind("inproc://zeromq.zap.01")
        with pytest.raises(UsageError, match="leave out `context`"):
            Broker("127.0.0.1:0", keys=keys, context=context).run()
        assert not zap.poll(0) and not context.closed
        # Who only connects is welcome in it.
        broker = run(Broker("127.0.0.1:0", keys=keys))
        sender = Sender(broker.endpoint, keys=keys / "s1.key", context=context).start()
        until(lambda: broker.core.sessions, "a sender that joined")
        sender.stop()
        assert sender.join(DEADLINE_S) and not zap.poll(0)
        zap.close()


def test_a_key_is_loaded_before_anything_is_opened(keys):
    with pytest.raises(UsageError, match="not for producer"):
        Producer("127.0.0.1:1", keys=keys / "s1.key")
    assert Keys.load(keys, "broker").own.name == "broker"


def test_grants_travel_with_keys_on(run, broker, with_key, keys):
    """The broker's own frames, small and large, arrive whole."""
    run(Producer(broker.endpoint, messages=3_000, keys=keys / "p1.key"))
    peer = with_key("s1", zmq.DEALER, urls(broker.endpoint)[1])
    peer.join(broker, 7, slots=3_000)
    granted = peer.granted(3_000)
    assert isinstance(granted[0][0], Grant) and sum(len(batch) for _, batch in granted) == 3_000
    peer.say(Ping(7, 1.0))
    assert peer.hear(Pong).subject == 7


def test_a_collector_that_wants_a_key_ends_a_dashboard_s_reader(run, collector):
    reader = run(Reader(collector.endpoint, 0.05, lambda *_: None))
    assert reader.join(25) and "it wants a key: give --keys" in reader.refused
