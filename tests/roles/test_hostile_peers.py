"""Raw peers that repeat themselves, claim what is not theirs, or speak nonsense: refused, counted, and nothing else."""

from __future__ import annotations

import random
import socket

import numpy as np
import pytest
import zmq

from tests.roles.peers import RawPeer, ack, settled, totals, urls
from tests.roles.waiting import DEADLINE_S, until
from tests.wire.frames import garbage, snapshot_body
from zsms import Broker, DelayModel, Monitor, Producer, Sender, StatsCollector, ZsmsError
from zsms.core.broker import BrokerLimits
from zsms.message import Batch
from zsms.wire.codec import decode
from zsms.wire.frames import (
    Answer,
    Ask,
    Bye,
    Ended,
    Fenced,
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

PATIENT = BrokerLimits(liveness=60.0)
"""For peers that have no heartbeat."""


@pytest.fixture
def broker(run, address):
    return run(Broker(address(), limits=PATIENT))


@pytest.fixture
def peer(raw, broker) -> RawPeer:
    return raw(zmq.DEALER, urls(broker.endpoint)[1])


def counted(broker: Broker) -> dict[str, int]:
    """Everything that an acknowledgement could change."""
    counters = broker.core.counters
    told = {"duplicates": counters.duplicates, "unknown": counters.unknown}
    return totals(broker.core) | told | ({"foreign": counters.foreign} if counters.foreign else {})


# -- acknowledgements ------------------------------------------------------------------------------------------


def test_a_repeated_acknowledgement_changes_nothing_but_its_count(run, broker, peer):
    """Row 5."""
    run(Producer(broker.endpoint, messages=10))
    peer.join(broker, 7, slots=10)
    peer.granted(10)
    said = ack(7, 1, 10, sent=[0, 1, 2, 5], failed=[3])
    peer.say(said)
    peer.settle_down()
    before = counted(broker)
    assert before == {
        "accepted": 10, "queued": 0, "in_flight": 5, "sent": 4, "failed": 1, "dead": 0, "duplicates": 0, "unknown": 0,
    }  # fmt: skip
    # The very same frame, as after a reconnect: it has arrived, so nothing at all.
    peer.say(said)
    peer.settle_down()
    assert counted(broker) == before
    # The same messages in a new frame, with the outcomes exchanged, and one that is new.
    peer.say(ack(7, 2, 10, sent=[3, 4], failed=[0, 1]))
    peer.settle_down()
    assert counted(broker) == before | {"sent": 5, "in_flight": 4, "duplicates": 3}
    # More of them than the broker looks at one by one.
    run(Producer(broker.endpoint, messages=100))
    peer.say(ack(7, 3, 110))
    peer.granted(100)
    for number, duplicates in ((4, 3), (5, 103)):
        peer.say(ack(7, number, 110, sent=range(100), base=10))
        peer.settle_down()
        assert counted(broker) == before | {
            "accepted": 110, "sent": 105, "in_flight": 4, "duplicates": duplicates,
        }  # fmt: skip
    assert peer.socket.poll(0) == 0  # and no credit came of it: nothing more was granted


def test_credit_is_absolute_so_repeating_it_grants_nothing(run, broker, peer):
    run(Producer(broker.endpoint, messages=100))
    peer.join(broker, 7, slots=10)
    peer.granted(10)
    for number in range(1, 5):
        peer.say(ack(7, number, 10))
    peer.settle_down()
    assert totals(broker.core)["in_flight"] == 10
    peer.say(ack(7, 5, 13, sent=[0]))
    assert sum(len(batch) for _, batch in peer.granted(3)) == 3


def test_acknowledging_what_was_not_granted_is_refused_and_counted(run, broker, peer):
    run(Producer(broker.endpoint, messages=100))
    peer.join(broker, 7, slots=10)
    peer.granted(10)
    peer.say(ack(7, 1, 10, sent=[8, 9, 10, 11, 99]))
    peer.settle_down()
    assert counted(broker) == {
        "accepted": 100, "queued": 90, "in_flight": 8, "sent": 2, "failed": 0, "dead": 0, "duplicates": 0, "unknown": 3,
    }  # fmt: skip
    assert [e.messages for e in broker.core.events if e.kind == "unknown acknowledgements"] == [3]
    peer.say(ack(7, 2, 10, failed=range(1_000), base=10))
    peer.settle_down()
    assert counted(broker)["unknown"] == 1_003 and totals(broker.core)["failed"] == 0


def test_nobody_acknowledges_for_another(run, broker, peer, raw, caplog):
    """Row 6: whether the session is another one's, was given up, or never was."""
    run(Producer(broker.endpoint, messages=10))
    peer.join(broker, 7, slots=10)
    peer.granted(10)
    thief = raw(zmq.DEALER, urls(broker.endpoint)[1])
    before = counted(broker)
    thief.say(ack(7, 1, 1_000, sent=range(10)))
    thief.hear(Who)
    assert counted(broker) == before | {"foreign": 10}
    assert "acknowledgements without a join" in [event.kind for event in broker.core.events]
    thief.say(JoinProducer(99, 1, "thief", 0, 0.0))
    thief.hear(Welcome)
    thief.say(ack(7, 1, 1_000, sent=range(10)))
    thief.hear(Who)
    assert counted(broker) == before | {"foreign": 20}
    until(lambda: "foreign acknowledgements: raw, 10 messages" in caplog.text, "a line in the log")
    before["foreign"] = 20
    thief.say(ack(8, 0, 1_000, sent=range(10)))
    thief.hear(Who)
    assert counted(broker) == before | {"unknown": 10}
    peer.say(ack(7, 1, 10, sent=[0]))
    peer.say(Bye(0, 7))
    peer.hear(Bye)
    peer.say(ack(7, 2, 10, sent=[1, 2]))
    assert peer.hear(Ended) == Ended(broker.start_id, 7)
    assert counted(broker) == before | {"sent": 1, "in_flight": 0, "queued": 9, "unknown": 10, "duplicates": 2}
    assert broker.core.counters.redelivered == 9


def test_a_session_that_joins_with_more_than_it_was_granted_is_ended(run, broker, peer):
    run(Producer(broker.endpoint, messages=10))
    peer.join(broker, 7, slots=10)
    peer.granted(10)
    peer.say(JoinSender(7, 2, "raw", 10, 11, 0.0, 0.0))
    peer.hear(Ended)
    assert totals(broker.core)["queued"] == 10


# -- numbers at the ends of their ranges -----------------------------------------------------------------------

END = 2**64 - 1


@pytest.mark.parametrize("number", [2**62 - 1, 2**62, 2**63 - 3, 2**63 - 1, 2**63, END])
@pytest.mark.parametrize("what", ["base", "number", "limit", "oldest", "first", "received"])
def test_no_number_brings_the_broker_down(run, broker, peer, raw, what, number):
    """The broker counts on from these, writes the sums into frames and looks them up in arrays."""
    ingest, dispatch = urls(broker.endpoint)
    push, producer = raw(zmq.PUSH, ingest), raw(zmq.DEALER, dispatch)
    peer.join(broker, 7, slots=10)
    match what:
        case "base":
            peer.say(ack(7, 1, 10, sent=[0, 5], base=number))
            peer.say(ack(7, 2, 10, sent=range(20), base=number))
        case "number":
            peer.say(ack(7, number, 12))
        case "limit":
            peer.say(ack(7, 1, number))
        case "oldest":
            producer.say(JoinProducer(1, 1, "raw producer", number, 0.0))
            producer.settle_down()
            push.say(Batch.of([("+1", "x")] * 4, producer=1, epoch=1, number=number))
        case "first":
            producer.say(JoinProducer(1, 1, "raw producer", 0, 0.0))
            producer.settle_down()
            push.say(Batch.of([("+1", "x")] * 20, producer=1, epoch=1, first=number))
        case "received":
            peer.say(JoinSender(7, 2, "raw", 10, number, 0.0, 0.0))
    peer.settle_down()
    run(Producer(broker.endpoint, messages=50))
    # Whatever became of that session, another one is served.
    run(Sender(broker.endpoint, concurrency=10, delay=DelayModel("constant", 0.001)))
    until(lambda: totals(broker.core)["accepted"] >= 50, "a real producer served")
    peer.say(Bye(0, 7))
    until(lambda: settled(broker.core) == totals(broker.core)["accepted"], "a real sender served")


def test_times_beyond_all_bounds_don_t_reach_the_figures(run, broker, peer, raw):
    sender = run(Sender(broker.endpoint, concurrency=10, delay=DelayModel("constant", 0.001)))
    push = raw(zmq.PUSH, urls(broker.endpoint)[0])
    peer.say(JoinProducer(1, 1, "raw producer", 0, 0.0))
    peer.hear(Welcome)
    for due, step in ((1e308, 0.0), (-1e308, 0.0), (0.0, 1.7e308), (0.0, 9e9)):
        push.say(Batch.of([("+1", "x")] * 4, producer=1, epoch=1, due=due, step=step))
    push.say(Batch.of([("+1", "x")] * 4, producer=1, epoch=1, due=-9e9, step=4e9))
    until(lambda: totals(broker.core)["sent"] == 4, "the bearable batch")
    until(lambda: broker.refused_frames == 4, "the others refused")
    assert np.isfinite(sender.transport.times.total.sum)


# -- snapshots -------------------------------------------------------------------------------------------------


def test_no_snapshot_brings_the_collector_or_who_asks_it_down(run, address, raw):
    collector = run(StatsCollector(address()))
    asker = raw(zmq.REQ, urls(collector.endpoint)[1])
    deep: object = 0
    for _ in range(500):
        deep = [deep]
    many = {f"figure {i}": 1 for i in range(1_000)}
    most = {"i": b"\1\0", "n": b"\xff" * 7 + b"\x7f", "sum": 1.0, "max": 1.0}
    bad = [
        {"gauges": {"queued": float("nan")}},
        {"gauges": {"queued": float("inf")}},
        {"interval": float("inf")},
        {"counters": {"accepted": 2**64 - 1}},
        {"counters": {"accepted": -1}},
        {"counters": {b"accepted": 1}},
        {"counters": many},
        {"gauges": many},
        {"events": [deep]},
        {"events": [[0.0, "kind", "subject", deep]]},
        {"events": [5]},
        {"histograms": {"send_time": most}},
        {"histograms": {"send_time": {**most, "n": bytes(8), "sum": 1e300}}},
        {"name": "x" * 2_000},
    ]
    for fields in bad:
        asker.say(Report(snapshot_body(**fields)))
        asker.hear(Refused)
    assert collector.refused_frames == len(bad)
    for name in "abcde":
        asker.say(Report(snapshot_body(name=name, counters={"accepted": 2**62 - 1})))
        assert asker.hear(Answer).body == {}
    for what in ("totals", "all"):
        asker.say(Ask(what))
        answer = asker.hear(Answer).body
        assert answer["totals"]["broker"]["accepted"] == 2**62  # cut, and so still a frame
        assert answer["collector"]["refused_frames"] == len(bad)
        assert len(answer["processes"]) == 5


# -- garbage ---------------------------------------------------------------------------------------------------


def test_garbage_on_all_four_ports_of_a_mesh_at_work(run, raw, caplog):
    """Row 27."""
    rng = random.Random(4)
    collector = run(StatsCollector("127.0.0.1:0"))
    broker = run(Broker("127.0.0.1:0", stats=collector.endpoint, stats_interval=0.05))
    reached = {"broker": broker.endpoint, "stats": collector.endpoint, "stats_interval": 0.05}
    sender = run(Sender(concurrency=100, delay=DelayModel("constant", 0.01), **reached))
    producer = run(Producer(messages=5_000, batch=50, window=200, **reached))
    until(lambda: settled(broker.core) > 100, "a mesh at work")

    (ingest, dispatch), (stats_in, stats_out) = urls(broker.endpoint), urls(collector.endpoint)
    # A PUSH to the ROUTER and a REQ to the PULL: ZeroMQ refuses them by itself, and they count nowhere.
    raw(zmq.PUSH, dispatch).socket.send(b"x", zmq.NOBLOCK)
    raw(zmq.REQ, ingest).socket.send(b"x", zmq.NOBLOCK)

    pushes, deals, replies = raw(zmq.PUSH, ingest), raw(zmq.DEALER, dispatch), raw(zmq.DEALER, stats_out)
    publishes = raw(zmq.XPUB, stats_in)
    assert publishes.socket.recv() == b"\1"  # subscribed to: nothing published from here on is lost
    stranger = Batch.of([("+1", "x")], producer=99, epoch=1)
    for parts in garbage(rng, Welcome(1, 0, 0.0, 0.0, 1.0, 0.0, "memory")):
        pushes.send(*parts)
        deals.send(*parts)
    pushes.say(stranger)  # a proper batch, of a producer that has not joined
    for parts in garbage(rng, Grant(1, 0, 0, 1, 1, 0.0, 0, False)):
        publishes.send(*parts)
        replies.send(b"", *parts)
        assert replies.socket.recv() == b""  # the envelope, and then
        assert type(decode(replies.socket.recv())) is Refused
    until(lambda: broker.refused_frames == 81, "81 frames refused by the broker")
    until(lambda: collector.refused_frames == 80, "80 frames refused by the collector")

    # Meanwhile everyone else is served, and nothing was logged a line a frame.
    assert producer.join(DEADLINE_S)
    until(lambda: totals(broker.core)["sent"] == 5_000, "5,000 messages sent")
    assert broker.refused_frames == 81 and sender.refused_frames == producer.refused_frames == 0
    assert len([r for r in caplog.records if "refused a frame" in r.getMessage()]) < 20

    def whole() -> bool:
        asker.say(Ask("totals"))
        answer = asker.hear(Answer).body
        refused = answer["totals"]["broker"]["refused_frames"], answer["collector"]["refused_frames"]
        return answer["totals"]["broker"]["sent"] == 5_000 and refused == (81, 80)

    asker = raw(zmq.REQ, stats_out)
    until(whole, "the collector's answer")


def test_connections_that_don_t_even_speak_zeromq(run):
    """To ZeroMQ such bytes can be frames of its oldest protocol, so some are refused by the roles, others by it."""
    collector = run(StatsCollector("127.0.0.1:0"))
    broker = run(Broker("127.0.0.1:0", stats=collector.endpoint, stats_interval=0.05))
    reached = {"broker": broker.endpoint, "stats": collector.endpoint, "stats_interval": 0.05}
    monitor = run(Monitor(collector.endpoint, interval=0.05))
    run(Sender(concurrency=100, delay=DelayModel("constant", 0.005), **reached))
    run(Producer(messages=2_000, batch=50, window=200, **reached))
    idle = []
    for seed in range(40):
        bytes_ = b"GET / HTTP/1.1\r\n\r\n" + random.Random(seed).randbytes(1_000)
        for url in (*urls(broker.endpoint), *urls(collector.endpoint)):
            host, _, port = url.removeprefix("tcp://").rpartition(":")
            with socket.create_connection((host, int(port))) as plain:
                plain.sendall(bytes_[seed:])
            idle.append(socket.create_connection((host, int(port))))
    until(lambda: totals(broker.core)["sent"] == 2_000, "2,000 messages sent")
    until(lambda: monitor.view is not None and monitor.view.done and monitor.view.sent == 2_000, "the monitor's view")
    for connection in idle:
        connection.close()


def test_bytes_that_are_no_zeromq_cost_nobody_an_answer(run, raw):
    """A REP in the collector's place loses its next answer after them."""
    collector = run(StatsCollector("127.0.0.1:0"))
    asker = raw(zmq.REQ, urls(collector.endpoint)[1])
    asker.say(Ask("totals"))
    asker.hear(Answer)
    host, _, port = urls(collector.endpoint)[1].removeprefix("tcp://").rpartition(":")
    for seed in range(20):
        with socket.create_connection((host, int(port))) as plain:
            plain.sendall(random.Random(seed).randbytes(1_000)[seed:])
        asker.say(Ask("totals"))
        asker.hear(Answer)  # at once, to the first question


def test_a_peer_is_told_why_its_frame_was_refused(broker, peer):
    peer.send(b"\x93\x03\x0a\x01")
    assert peer.hear(Refused) == Refused(broker.start_id, True, "version 3; this program speaks 2")
    peer.say(JoinSender(7, 1, "raw", 0, 0, 0.0, 0.0))
    assert peer.hear(Refused) == Refused(broker.start_id, True, "a sender needs at least one slot")
    peer.say(Ping(1, 0.5))
    peer.hear(Who)


def test_a_peer_that_never_reads_holds_nobody_up(run, broker, raw):
    """Its pipe fills up with answers; the broker drops those, and not its patience."""
    deaf = raw(zmq.DEALER, urls(broker.endpoint)[1])
    deaf.socket.rcvhwm = 1
    for _ in range(30_000):
        deaf.say(Ping(1, 0.0))
    run(Sender(broker.endpoint, concurrency=10, delay=DelayModel("constant", 0.001)))
    run(Producer(broker.endpoint, messages=100))
    until(lambda: totals(broker.core)["sent"] == 100, "others served")


def test_a_ping_is_answered_with_what_is_expected_next(broker, peer):
    peer.join(broker, 7, slots=1)
    peer.say(Ping(7, 1.5))
    pong = peer.hear(Pong)
    assert (pong.subject, pong.next, pong.full, pong.echo) == (7, 1, False, 1.5)


def test_a_sender_refuses_what_no_broker_says(run, fake_broker):
    """A hostile broker, or a peer of another kind at that address."""
    sender = run(Sender(fake_broker.endpoint, concurrency=5, delay=DelayModel("constant", 0.001)))
    join = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, join.sent_at, join.sent_at, 1.0, 0.0, "memory"))
    grant = Grant(join.session, join.generation, 0, 1, 1, 0.0, 0, False)
    for frames in (
        [Snapshot({})],
        [grant],
        [grant, Who(1)],
        [grant, Batch.of([("+1", "x")]), Who(1)],
        [Who(1), Who(1)],
        [Refused(1, False, "go away")],
    ):
        fake_broker.say(*frames)
    fake_broker.router.send_multipart([fake_broker.peer, b"\xff" * 3_000])
    until(lambda: sender.refused_frames == 7, "7 frames refused")
    fake_broker.say(grant, Batch.of([("+1", "x")]))
    fake_broker.say(grant, Batch.of([("+1", "x")]))  # the same numbers again: not ours to send
    until(lambda: sender.core.refused_grants == 1 and not sender.core.held and sender.turn.sent, "one message sent")
    assert sender.turn.sent == 1 and sender.running


def test_a_stale_grant_lets_go_of_no_acknowledgement_of_the_session_that_followed(run, fake_broker):
    """Its `acked` counts the frames of the session that was given up."""
    sender = run(Sender(fake_broker.endpoint, concurrency=5, delay=DelayModel("constant", 0.001)))
    old = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, old.sent_at, old.sent_at, 1.0, 0.0, "memory"))
    fake_broker.say(Ended(1, old.session))
    new = fake_broker.hear(JoinSender)
    while new.session == old.session:  # said before it heard
        new = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, new.sent_at, new.sent_at, 1.0, 0.0, "memory"))
    fake_broker.say(Grant(new.session, new.generation, 0, 1, 1, 0.0, 0, False), Batch.of([("+1", "x")]))

    def unconfirmed() -> int:
        return sum(len(frame.sent) for frame in sender.core.unacknowledged)

    until(lambda: unconfirmed() == 1, "an acknowledgement that the broker has not confirmed")
    fake_broker.say(Grant(old.session, old.generation, 0, 1, 1, 0.0, 1_000, False), Batch.of([("+1", "x")]))
    until(lambda: sender.core.refused_grants == 1, "the stale grant")
    assert unconfirmed() == 1
    fake_broker.say(Grant(new.session, new.generation, 1, 1, 1, 0.0, 1_000, False), Batch.of([("+1", "x")]))
    until(lambda: sender.core.received == 2, "the proper one")
    until(lambda: unconfirmed() <= 1, "its word that the first is known")


def test_a_late_welcome_lets_go_of_no_acknowledgement_of_the_session_that_followed(run, fake_broker):
    """Of a connection that broke, or a broker that is gone: its `next` counts the frames of the session before."""
    sender = run(Sender(fake_broker.endpoint, concurrency=5, delay=DelayModel("constant", 0.001)))
    old = fake_broker.hear(JoinSender)
    fake_broker.say(Ended(1, old.session))
    new = fake_broker.hear(JoinSender)
    while new.session == old.session:  # said before it heard
        new = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, new.sent_at, new.sent_at, 1.0, 0.0, "memory"))
    fake_broker.say(Grant(new.session, new.generation, 0, 1, 1, 0.0, 0, False), Batch.of([("+1", "x")]))
    until(lambda: any(len(frame.sent) for frame in sender.core.unacknowledged), "an acknowledgement")
    fake_broker.say(Welcome(1, 1_000, old.sent_at, old.sent_at, 1.0, 0.0, "memory"))
    fake_broker.say(Grant(old.session, old.generation, 0, 1, 1, 0.0, 1_000, False), Batch.of([("+1", "x")]))
    until(lambda: sender.core.refused_grants == 1, "what was said after the late welcome")
    assert any(len(frame.sent) for frame in sender.core.unacknowledged)


def test_row_25_a_producer_that_was_never_welcomed_goes_above_the_start_that_fences_it(run, fake_broker):
    """Row 20, too: once welcomed it stays fenced, so that two that live don't fence each other."""
    producer = Producer(fake_broker.endpoint, messages=10).start()
    first = fake_broker.hear(JoinProducer)
    fake_broker.say(Fenced(1, first.epoch + 5))
    second = fake_broker.hear(JoinProducer)
    while second.epoch == first.epoch:  # said before it heard
        second = fake_broker.hear(JoinProducer)
    assert second.epoch > first.epoch + 5
    fake_broker.say(Fenced(1, first.epoch + 5))  # an answer to the join before: nothing new
    fake_broker.say(Welcome(1, 0, second.sent_at, second.sent_at, 1.0, 0.0, "memory"))
    assert fake_broker.batch().epoch == second.epoch
    fake_broker.say(Fenced(1, second.epoch + 1))
    with pytest.raises(ZsmsError, match="a later start"):
        producer.join(DEADLINE_S)
