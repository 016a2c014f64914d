"""Producers and senders with two brokers, over real sockets: both work; one that is lost leaves the rest at work."""

from __future__ import annotations

import time

import pytest

from tests.roles.holding import Gate
from tests.roles.peers import FakeBroker, settled, totals
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, DelayModel, Monitor, Producer, Sender, StatsCollector, UsageError
from zsms.core.broker import BrokerLimits
from zsms.roles.base import Role
from zsms.sources.random import RandomSource
from zsms.wire.frames import Confirm, JoinSender, Welcome

PROMPT = BrokerLimits(liveness=0.5)


def crash(role: Role) -> None:
    """The nearest to a kill that a thread allows: the role leaves at once, without a goodbye."""
    role.stop()
    role.stop()
    assert role.join(DEADLINE_S)


def everyone_sent(*brokers: Broker) -> int:
    return sum(totals(broker.core)["sent"] for broker in brokers)


def test_both_brokers_get_work_and_every_message_is_sent_once(run, address):
    stats, seen = address(), Gate(open=True)
    run(StatsCollector(stats))
    told = {"stats": stats, "stats_interval": 0.05}
    brokers = [run(Broker(address(), name=name, **told)) for name in ("one", "two")]
    at = [broker.endpoint for broker in brokers]
    run(Sender(at, concurrency=20, send=seen.send, **told))
    endless = (RandomSource(None, seed) for seed in (1, 2))
    producers = [run(Producer(at, source=source, batch=50, window=200, **told)) for source in endless]
    until(lambda: all(totals(broker.core)["accepted"] > 1_000 for broker in brokers), "work at both")
    for producer in producers:
        producer.stop()
    assert all(producer.join(DEADLINE_S) for producer in producers)
    made = sum(producer.produced for producer in producers)
    until(lambda: everyone_sent(*brokers) == made, "all of it sent")
    assert all(account.balanced for broker in brokers for account in broker.core.accounts())
    assert len({message.id for message in seen.seen}) == len(seen.seen) == made  # ids are unique by producer
    monitor = run(Monitor(stats, interval=0.05, until_done=True))
    until(lambda: not monitor.running, "the end of all work")
    assert (monitor.view.produced, monitor.view.sent, monitor.view.slots) == (made, made, 20)


def test_a_sender_never_holds_more_than_its_slots_and_its_prefetch(run, address):
    gate = Gate()
    brokers = [run(Broker(address())) for _ in range(3)]
    for broker in brokers:
        run(Producer(broker.endpoint, messages=500))
    until(lambda: all(totals(broker.core)["accepted"] == 500 for broker in brokers), "work at every broker")
    sender = run(Sender([b.endpoint for b in brokers], concurrency=30, prefetch=6, send=gate.send))
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, sum(totals(broker.core)["in_flight"] for broker in brokers), sender.shares.held)
        gate.let_go(3)
        return everyone_sent(*brokers) == 1_500

    until(done, "all sent")
    assert most <= 36 and gate.most == 30


def test_a_broker_with_work_gets_all_slots_while_the_other_has_none(run, address):
    gate = Gate()
    # A word every two seconds is all that they ask for; the sender asks when it needs to know.
    brokers = [run(Broker(address(), limits=BrokerLimits(liveness=10.0))) for _ in range(2)]
    run(Sender([broker.endpoint for broker in brokers], concurrency=98, prefetch=2, send=gate.send))
    until(lambda: all(broker.core.sessions for broker in brokers), "a sender at both")
    run(Producer(brokers[0].endpoint, messages=1_000))
    until(lambda: gate.holds == 98, "every slot busy with the one broker's messages")
    run(Producer(brokers[1].endpoint, messages=1_000))

    def share() -> bool:
        gate.let_go(1)
        return all(totals(broker.core)["in_flight"] >= 45 for broker in brokers)

    until(share, "half of them for the other one")


def test_the_slots_of_a_broker_that_died_go_to_the_living(run, address):
    """Within its liveness time, although its credit was never used up."""
    gate = Gate()
    brokers = [run(Broker(address(), limits=PROMPT)) for _ in range(2)]
    run(Sender([broker.endpoint for broker in brokers], concurrency=40, prefetch=0, send=gate.send))
    until(lambda: all(broker.core.sessions for broker in brokers), "a sender at both")
    crash(brokers[1])
    run(Producer(brokers[0].endpoint, messages=200))
    until(lambda: gate.holds == 40, "every slot busy")
    gate.let_go()
    until(lambda: everyone_sent(brokers[0]) == 200, "all sent")


def test_what_a_lost_broker_has_not_confirmed_waits_for_it_and_the_rest_goes_on(run, address):
    living, lost, ahead = run(Broker(address())), FakeBroker(address()), [0.0]
    at, clock = [living.endpoint, lost.endpoint], lambda: time.monotonic() + ahead[0]
    producer = run(Producer(at, messages=3_000, batch=10, window=100, resend_after=60, clock=clock))
    join = lost.welcome_producer(interval=60.0)
    mine = [lost.batch() for _ in range(5)]
    lost.say(Confirm(1, join.epoch, 2, False, "memory"))  # its last word
    run(Sender(living.endpoint, concurrency=100, delay=DelayModel("constant", 0.001)))
    until(lambda: producer.produced == 3_000 and not producer.windows[0].messages, "the rest at the living one")
    kept = producer.windows[1].messages
    assert 0 < kept <= 100 and producer.running
    until(lambda: settled(living.core) == 3_000 - kept - 20, "it does not get what the lost one may have")
    ahead[0] = 400.0  # of silence
    producer.wake()
    until(lambda: not producer.ways[1].link.joined, "the loss noticed")
    while lost.has_batch:
        lost.batch()

    lost.welcome_producer(expected=2, interval=60.0)  # it is back, and knows what it had
    wanted = list(range(2, 2 + kept // 10))
    again = [lost.batch() for _ in wanted]
    while [batch.number for batch in again] != wanted:  # what was under way before comes first
        again = [*again[1:], lost.batch()]
    assert {batch.first for batch in again[:3]} == {batch.first for batch in mine[2:]}
    lost.say(Confirm(1, join.epoch, 2 + kept // 10, False, "memory"))
    assert producer.join(DEADLINE_S)
    lost.close()


def test_a_broker_that_dies_and_comes_back_gets_its_work_and_its_part_of_the_slots(run, address):
    at, lasting = address(), run(Broker(address(), limits=PROMPT))
    dying = run(Broker(at, limits=BrokerLimits(liveness=0.5, max_messages=300)))
    slow = DelayModel("constant", 0.01)
    sender = run(Sender([lasting.endpoint, at], concurrency=20, delay=slow))
    producer = run(Producer([lasting.endpoint, at], messages=6_000, batch=20, window=400))
    until(lambda: totals(dying.core)["sent"] > 100 and producer.windows[1].messages, "a broker at work")
    crash(dying)
    confirmed = producer.windows[1].confirmed_messages
    second = run(Broker(at, limits=PROMPT))
    assert producer.join(DEADLINE_S)
    until(lambda: settled(lasting.core) == totals(lasting.core)["accepted"], "all of the one")
    until(lambda: settled(second.core) == totals(second.core)["accepted"], "all of the other")
    first_kept = totals(dying.core)["accepted"]
    total = totals(lasting.core)["accepted"] + totals(second.core)["accepted"]
    assert confirmed <= 6_000 - total <= first_kept  # what the dead one had confirmed is gone with it, and no more
    until(lambda: all(core.live for core in sender.shares.cores), "a sender at both")


def test_acknowledgements_go_to_the_broker_that_granted(run, address):
    gate = Gate()
    brokers = [run(Broker(address())) for _ in range(2)]
    run(Sender([broker.endpoint for broker in brokers], concurrency=10, prefetch=0, send=gate.send))
    until(lambda: all(broker.core.sessions for broker in brokers), "a sender at both")
    for broker, count in zip(brokers, (3, 5), strict=True):
        run(Producer(broker.endpoint, messages=count))
    until(lambda: gate.holds == 8, "all in slots")
    gate.let_go()
    until(lambda: everyone_sent(*brokers) == 8, "all sent")
    assert [totals(broker.core)["sent"] for broker in brokers] == [3, 5]
    assert not any(b.core.counters.unknown or b.core.counters.duplicates for b in brokers)


def test_a_sender_that_is_stopped_leaves_every_broker(run, address):
    gate = Gate()
    brokers = [run(Broker(address())) for _ in range(2)]
    sender = run(Sender([broker.endpoint for broker in brokers], concurrency=10, prefetch=2, send=gate.send))
    until(lambda: all(broker.core.sessions for broker in brokers), "a sender at both")
    for broker in brokers:
        run(Producer(broker.endpoint, messages=5))
    until(lambda: gate.holds == 10, "messages of both")
    sender.stop()
    gate.let_go()
    assert sender.join(DEADLINE_S)
    assert not any(broker.core.sessions or broker.core.counters.redelivered for broker in brokers)
    assert sum(totals(b.core)["in_flight"] for b in brokers) == 0


def test_one_broker_alone_is_never_given_up_for_its_silence(run, fake_broker):
    """There is nobody else to have its slots; joining again would only cost."""
    sender = run(Sender(fake_broker.endpoint, concurrency=5))
    join = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, join.sent_at, join.sent_at, 0.05, 0.0, "memory"))
    until(lambda: sender.core.live, "the sender has joined")
    silent = time.monotonic() + 0.6
    until(lambda: time.monotonic() > silent, "a dozen intervals")
    assert sender.core.generation == 1 and sender.ways[0].link.joined


@pytest.mark.parametrize("brokers", [[], ["a", "b", "tcp://a:5555"], ["tcp://"]])
def test_brokers_that_can_t_be_are_refused(brokers):
    for role in (Sender, Producer):
        with pytest.raises(UsageError):
            role(brokers)
