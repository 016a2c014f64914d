"""Words that come late, from an earlier start of a broker or from a newer program: nobody is misled or ended."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgpack
import pytest
import zmq

from tests.roles.peers import totals, urls
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, BrokerLimits, DelayModel, Message, Monitor, Producer, Sender, StatsCollector, ZsmsError
from zsms.message import Batch
from zsms.roles.link import Link
from zsms.roles.operator import Operator
from zsms.wire.codec import decode, encode
from zsms.wire.frames import (
    Ack,
    Answer,
    Ask,
    Confirm,
    Grant,
    Inspect,
    JoinProducer,
    JoinSender,
    Kick,
    Ping,
    Pong,
    Purge,
    Refused,
    Welcome,
    Who,
)

NEWER = msgpack.packb([2, 99, 0])
"""A kind that this program does not know."""


def test_what_an_earlier_start_of_a_broker_confirmed_lets_go_of_nothing(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=30, batch=10))
    start = fake_broker.welcome_producer().epoch
    until(lambda: producer.window.next_number == 3, "three batches")
    fake_broker.say(Who(2))  # it has started again
    join = fake_broker.hear(JoinProducer)
    fake_broker.say(Confirm(1, start, 2, False, "memory"))  # the last word of the one before, while it joins
    fake_broker.say(Welcome(2, 0, join.sent_at, join.sent_at, 0.05, 0.0, "memory"))
    fake_broker.say(Confirm(1, start, 2, False, "memory"))  # and after that
    fake_broker.hear(Ping)
    fake_broker.say(Confirm(2, start, 1, False, "memory"))
    until(lambda: producer.window.oldest == 1, "what the new start confirmed")
    assert producer.window.confirmed_messages == 10


def test_a_producer_whose_broker_waits_for_what_it_let_go_of_joins_again_with_its_oldest(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=30, batch=10))
    start = fake_broker.welcome_producer(2).epoch
    until(lambda: producer.window.next_number == 3, "three batches")
    fake_broker.say(Confirm(1, start, 2, False, "memory"))
    until(lambda: producer.window.oldest == 2, "two confirmed")
    fake_broker.say(Who(2))
    join = fake_broker.hear(JoinProducer)
    fake_broker.say(Welcome(2, 0, join.sent_at, join.sent_at, 0.05, 0.0, "memory"))  # it has none of them
    assert fake_broker.hear(JoinProducer).oldest == 2


def test_words_of_a_newer_peer_end_nobody_and_cost_no_join(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=10))
    fake_broker.welcome_producer()
    fake_broker.router.send_multipart([fake_broker.peer, NEWER])
    fake_broker.say(Refused(1, False, "unknown kind 98"))  # what the producer may have said that is newer
    until(lambda: producer.refused_frames == 2, "both counted")
    fake_broker.pong(1, full=False)
    until(lambda: not producer.running, "the producer done")


def test_a_sender_passes_over_words_of_a_newer_broker(run, fake_broker):
    sender = run(Sender(fake_broker.endpoint, concurrency=1, delay=DelayModel("constant", 0.001)))
    join = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, join.sent_at, join.sent_at, 0.05, 60.0, "memory"))
    fake_broker.router.send_multipart([fake_broker.peer, NEWER])
    fake_broker.say(Refused(1, False, "unknown kind 98"))
    fake_broker.say(Grant(join.session, join.generation, 0, 1, 1, 0.0, 0, False), Batch.of([("+1", "x")]))
    until(lambda: sender.turn.sent == 1, "one message sent")
    assert sender.core.generation == 1 and sender.refused_frames == 2


def test_a_broker_refuses_a_newer_word_and_knows_its_peer_all_the_same(run, address, raw):
    broker = run(Broker(address()))
    peer = raw(zmq.DEALER, urls(broker.endpoint)[1])
    peer.join(broker, 7, slots=1)
    peer.send(NEWER)
    refused = peer.hear(Refused)
    assert not refused.final and "unknown kind 99" in refused.reason
    peer.say(Ping(7, 0.0))
    assert peer.hear(Pong).next == 1


def test_an_operator_s_late_answer_is_not_the_next_one_s(run, address):
    broker = run(Broker(address()))
    with Operator(broker.endpoint, timeout=0.0) as operator:
        try:
            operator.inspect()
        except ZsmsError:
            pass
        until(lambda: broker.running, "a broker")
        operator.timeout = 25.0
        assert operator.kick() == 0
        assert operator.purge(dead=True) == (0, 0)


PART = {"messages": 1, "bytes": 2, "oldest_s": 0.5, "letters": []}
HELD = {
    "broker": "b",
    "ready": {**PART, "retrying": 0},
    "in_flight": {"messages": 0, "oldest_s": 0.0, "senders": [], "more": 0},
    "dead": {**PART, "kept": 1, "reasons": {"failed": 1}},
}
ODD: list[dict[str, Any]] = [
    {},
    {**HELD, "ready": "x"},
    {**HELD, "dead": {**HELD["dead"], "reasons": {"\x1b[2Jforged\nline": 3}}},
    {**HELD, "dead": {**HELD["dead"], "oldest_s": float("nan")}},
    {**HELD, "ready": {**HELD["ready"], "messages": 1e308}},
    {**HELD, "ready": {**HELD["ready"], "letters": [{"recipient": "\x1b[2J"}]}},
    {**HELD, "in_flight": {**HELD["in_flight"], "senders": [{"name": "\x1b[31m", "slots": -1}]}},
    {"kicked": "a", "purged_ready": None, "purged_dead": 2**64 - 1},
    {"kicked": -1, "purged_ready": True, "purged_dead": 0},
]


QUESTIONS = {Inspect: Operator.inspect, Kick: Operator.kick, Purge: lambda operator: operator.purge(dead=True)}


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("question", QUESTIONS)
def test_an_operator_believes_no_stranger_at_a_broker_s_address(fake_broker, question, body):
    with Operator(fake_broker.endpoint) as operator, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(QUESTIONS[question], operator)
        fake_broker.say(Answer(fake_broker.hear(question).request, body))
        with pytest.raises(ZsmsError, match="is no broker"):
            asked.result(DEADLINE_S)


def test_an_operator_reads_what_a_broker_holds_and_nothing_else(fake_broker):
    with Operator(fake_broker.endpoint) as operator, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(operator.inspect)
        fake_broker.say(Answer(fake_broker.hear(Inspect).request, {**HELD, "of a later version": 1}))
        assert asked.result(DEADLINE_S) == HELD


def test_a_collector_refuses_newer_words_and_answers_the_next_question(run, address, raw):
    collector = run(StatsCollector(address()))
    snapshots, questions = urls(collector.endpoint)
    asker = raw(zmq.REQ, questions)
    asker.send(NEWER)
    refused = asker.hear(Refused)
    assert not refused.final and "unknown kind 99" in refused.reason and collector.refused_frames == 1
    asker.say(Ask("totals"))
    assert asker.hear(Answer).body["processes"] == []
    publisher = raw(zmq.PUB, snapshots)

    def refused_another() -> bool:
        publisher.send(NEWER)  # again and again: the first ones come before the subscription
        return collector.refused_frames > 1

    until(refused_another, "a newer word that was published")
    asker.say(Ask("totals"))
    asker.hear(Answer)


def test_a_monitor_passes_over_newer_words_and_hears_the_next_answer(run, address):
    endpoint = address()
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger, router.rcvtimeo = 0, 25_000
    router.bind(urls(endpoint)[1])
    try:
        monitor = run(Monitor(endpoint, interval=0.05))
        *envelope, question = router.recv_multipart()
        assert decode(question).what == "totals"
        router.send_multipart([*envelope, NEWER])
        until(lambda: monitor.refused_frames == 1, "the newer word")
        *envelope, _ = router.recv_multipart()  # it asks again
        router.send_multipart([*envelope, encode(Answer(0, {"totals": {"broker": {"sent": 7}}, "processes": []}))])
        until(lambda: monitor.view is not None and monitor.view.sent == 7, "the answer")
        assert monitor.running
    finally:
        monitor.stop()
        monitor.join(DEADLINE_S)
        context.destroy(linger=0)


def test_an_operator_passes_over_newer_words(fake_broker):
    def answer() -> None:
        kick = fake_broker.hear(Kick)
        fake_broker.router.send_multipart([fake_broker.peer, NEWER])
        fake_broker.say(Answer(kick.request, {"broker": "b", "kicked": 3}))

    thread = threading.Thread(target=answer)
    thread.start()
    with Operator(fake_broker.endpoint, timeout=25.0) as operator:
        assert operator.kick() == 3
    thread.join()


def test_row_36_an_acknowledgement_that_is_lost_is_said_again_and_nothing_is_sent_twice(run, address, monkeypatch):
    calls: Counter[int] = Counter()
    lost: list[Ack] = []
    say = Link.send

    def lossy(link: Link, frame: Any) -> bool:
        first = isinstance(frame, Ack) and frame.number not in [each.number for each in lost]
        if first and len(frame.sent) and frame.number in (5, 6, 20):
            lost.append(frame)
            return True  # as if it had gone out
        return say(link, frame)

    async def send(message: Message) -> bool:
        calls[message.id.seq] += 1
        return True

    monkeypatch.setattr(Link, "send", lossy)
    broker = run(Broker(address(), limits=BrokerLimits(liveness=2.0)))
    sender = run(Sender(broker.endpoint, concurrency=3, prefetch=1, send=send))
    run(Producer(broker.endpoint, messages=300, batch=10))
    until(lambda: totals(broker.core)["sent"] == 300, "all of them sent")
    assert lost and set(calls.values()) == {1}
    counters = broker.core.counters
    assert (counters.duplicates, counters.redelivered, counters.sessions_ended) == (0, 0, 0)
    assert 2 <= sender.core.generation <= 2 + 2 * len(lost)
