"""A producer against a broker that loses, forgets, refuses and fills up as the test says."""

from __future__ import annotations

import re
import time

import pytest
import zmq

from tests.roles.peers import RawPeer, totals, urls
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, DelayModel, Producer, Sender, UsageError, ZsmsError
from zsms.core.broker import BrokerLimits
from zsms.roles.callers import AWAIT_SLOTS_S
from zsms.roles.link import Link
from zsms.sources.random import RandomSource
from zsms.wire.frames import Bye, Confirm, JoinProducer, Pong, Refused, Welcome, Who

QUICK = DelayModel("constant", 0.002)


def test_what_is_not_confirmed_is_pushed_again_from_the_oldest_on(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=30, batch=10, resend_after=0.2))
    start = fake_broker.welcome_producer().epoch
    first = [fake_broker.batch() for _ in range(3)]
    assert [batch.number for batch in first] == [0, 1, 2] and [batch.first for batch in first] == [0, 10, 20]
    again = [fake_broker.batch() for _ in range(3)]  # the confirm was lost
    assert [batch.seqs.tolist() for batch in again] == [batch.seqs.tolist() for batch in first]
    assert [batch.text.tobytes() for batch in again] == [batch.text.tobytes() for batch in first]
    fake_broker.say(Confirm(1, start, 2, False, "memory"))
    until(lambda: producer.window.confirmed_messages == 20, "the confirm of two batches")
    while fake_broker.batch().number < 2:
        pass  # on their way before that
    assert producer.running
    fake_broker.say(Confirm(1, start, 3, False, "memory"))
    fake_broker.hear(Bye)
    assert producer.join(DEADLINE_S)
    assert producer.produced == producer.window.confirmed_messages == 30 and producer.window.resent >= 4


def test_a_confirm_that_is_lost_between_real_roles_costs_a_repeated_batch_and_no_message(run, address, monkeypatch):
    broker = Broker(address())
    lost = []
    confirms = broker.core.confirms

    def lose_the_first() -> list:
        accounts = confirms()
        if accounts and len(lost) < 2:
            lost.extend(accounts)
            return []
        return accounts

    monkeypatch.setattr(broker.core, "confirms", lose_the_first)
    tick = Link.tick  # without pings, whose answers would tell the producer too
    monkeypatch.setattr(Link, "tick", lambda self, now, subject: None if self.joined else tick(self, now, subject))
    run(broker)
    run(Sender(broker.endpoint, concurrency=10, delay=DelayModel("constant", 0.001)))
    producer = run(Producer(broker.endpoint, messages=100, batch=100, resend_after=0.2))
    assert producer.join(DEADLINE_S)
    until(lambda: totals(broker.core)["sent"] == 100, "100 messages sent")
    assert totals(broker.core)["accepted"] == 100
    until(lambda: broker.core.counters.repeated_batches == producer.window.resent, "the last one pushed again")
    assert producer.window.resent >= 2


def test_a_broker_that_is_full_is_not_pushed_to_again(run, fake_broker):
    """Batches wait in its pipe unread; pushing them again would only fill the pipe with repetitions."""
    producer = run(Producer(fake_broker.endpoint, messages=20, batch=10, resend_after=0.1))
    start = fake_broker.welcome_producer(interval=0.05).epoch
    assert [fake_broker.batch().number for _ in range(2)] == [0, 1]
    fake_broker.say(Confirm(1, start, 0, True, "memory"))
    while fake_broker.has_batch:
        fake_broker.batch()  # pushed again before the word of it arrived
    for _ in range(20):  # a second, at a ping every 50 ms
        fake_broker.pong(0, full=True)
    repeated = 0
    while fake_broker.has_batch:
        repeated += 1
        fake_broker.batch()
    assert repeated < 10, "it is pushed ten times in that time"
    fake_broker.pong(0, full=False)
    assert fake_broker.batch().number == 0  # now that it reads and still has nothing, it must have been lost
    fake_broker.say(Confirm(1, start, 2, False, "memory"))
    assert producer.join(DEADLINE_S)


def test_the_window_bounds_what_is_unconfirmed(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, source=RandomSource(None, 1), batch=10, window=50, resend_after=60))
    start = fake_broker.welcome_producer(interval=0.05).epoch
    for confirmed in range(0, 50, 5):
        fake_broker.say(Confirm(1, start, confirmed, False, "memory"))
        while fake_broker.batch().number < confirmed + 4:
            pass
        fake_broker.pong(confirmed, full=False)
        fake_broker.pong(confirmed, full=False)
        assert not fake_broker.has_batch
        assert producer.produced == confirmed * 10 + 50 and producer.window.messages == 50
    assert producer.running  # it would go on for ever


def test_nothing_is_made_before_a_broker_is_there(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=10))
    for _ in range(3):
        join = fake_broker.hear(JoinProducer)  # it knocks again and again
    assert (join.oldest, producer.produced) == (0, 0) and not fake_broker.has_batch


def test_a_broker_that_forgot_the_producer_is_told_where_to_begin(run, fake_broker):
    """WHO, as after a restart: the producer joins again and says which batch is the oldest that it still has."""
    producer = run(Producer(fake_broker.endpoint, messages=50, batch=10, resend_after=60))
    start = fake_broker.welcome_producer().epoch
    assert [fake_broker.batch().number for _ in range(5)] == [0, 1, 2, 3, 4]
    fake_broker.say(Confirm(1, start, 2, False, "memory"))
    until(lambda: producer.window.oldest == 2, "two batches confirmed")
    fake_broker.say(Who(2))
    join = fake_broker.welcome_producer(expected=2)
    while not join.oldest:  # said before the first welcome
        join = fake_broker.welcome_producer(expected=2)
    assert (join.epoch, join.oldest) == (start, 2)
    assert [fake_broker.batch().number for _ in range(3)] == [2, 3, 4]
    # And one that has forgotten nothing says what it expects, although its confirms were lost.
    fake_broker.say(Who(2))
    fake_broker.welcome_producer(expected=4)
    assert fake_broker.batch().number == 4
    fake_broker.say(Confirm(1, start, 5, False, "memory"))
    assert producer.join(DEADLINE_S)


def test_words_that_can_t_be_are_refused_and_change_nothing(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=20, batch=10, resend_after=60))
    start = fake_broker.welcome_producer().epoch
    assert [fake_broker.batch().number for _ in range(2)] == [0, 1]
    fake_broker.say(Confirm(1, start, 3, False, "memory"))  # a batch that was never made
    fake_broker.say(JoinProducer(1, 1, "x", 0, 0.0))
    fake_broker.say(Bye(1, 1), Bye(1, 1))
    fake_broker.router.send_multipart([fake_broker.peer, b"\xff"])
    until(lambda: producer.refused_frames == 4, "four frames refused")
    fake_broker.say(Confirm(1, start + 1, 2, False, "memory"))  # of another start: not for us
    fake_broker.say(Pong(1, start + 1, 2, False, 0.0, 0.0))
    fake_broker.pong(0, full=False)
    assert producer.running and producer.window.messages == 20
    fake_broker.say(Confirm(1, start, 2, False, "memory"))
    assert producer.join(DEADLINE_S)


def test_a_producer_that_is_refused_says_so_and_ends(fake_broker):
    producer = Producer(fake_broker.endpoint, messages=20).start()
    fake_broker.hear(JoinProducer)
    fake_broker.say(Refused(1, True, "we are closed"))
    with pytest.raises(ZsmsError, match="we are closed"):
        producer.join(DEADLINE_S)


def test_a_full_broker_presses_back_and_nothing_is_lost(run, address):
    """Queue, pipes and windows are all far smaller than the work."""
    broker = run(Broker(address(), limits=BrokerLimits(max_messages=500)))
    producers = [run(Producer(broker.endpoint, messages=5_000, batch=100, window=300)) for _ in range(2)]
    until(lambda: broker.core.full and all(p.ways[0].full for p in producers), "a full broker")
    made = [producer.produced for producer in producers]
    assert totals(broker.core)["accepted"] < 600 and all(n < 1_000 for n in made)
    peak = 0
    run(Sender(broker.endpoint, concurrency=100, delay=DelayModel("constant", 0.005)))

    def done() -> bool:
        nonlocal peak
        peak = max(peak, broker.core.queue.messages)
        return totals(broker.core)["sent"] == 10_000

    until(done, "10,000 messages sent")
    assert peak < 600 and broker.core.counters.skipped_batches == 0
    assert all(producer.join(DEADLINE_S) for producer in producers)


def test_a_full_broker_waits_instead_of_looking_at_what_it_does_not_read(run, address, monkeypatch):
    broker = Broker(address(), limits=BrokerLimits(max_messages=100))
    turns, looked = [], broker.core.poll
    monkeypatch.setattr(broker.core, "poll", lambda now: (turns.append(now), looked(now)))
    run(broker)
    producer = run(Producer(broker.endpoint, messages=1_000, batch=50))
    until(lambda: broker.core.full and producer.ways[0].full, "a full broker")
    before = len(turns)
    assert not broker.join(0.3)
    assert len(turns) - before < 50


def test_an_open_loop_producer_makes_what_is_due_and_no_more(run, fake_broker):
    """And a stall shows in the messages: they are due when they were due, however late they leave."""
    now = [100.0]
    source = RandomSource(1_000, 1)
    producer = run(Producer(fake_broker.endpoint, source=source, rate=100, clock=lambda: now[0], resend_after=60))
    start = fake_broker.welcome_producer(interval=60.0).epoch
    got = fake_broker.batch()
    assert len(got) == 1 and got.step == pytest.approx(0.01)
    due = got.due
    for elapsed, total in ((0.1, 11), (3.0, 301)):  # the second after a stall
        now[0] = 100.0 + elapsed
        producer.wake()
        made = []
        while sum(map(len, made)) + got.first + len(got) < total:
            made.append(fake_broker.batch())
        assert all(batch.due == pytest.approx(due + batch.first * 0.01, abs=1e-6) for batch in made)
        got = made[-1]
        assert got.first + len(got) == total == producer.produced
    producer.stop()
    fake_broker.say(Confirm(1, start, producer.window.next_number, False, "memory"))
    assert producer.join(DEADLINE_S)


def test_the_rate_changes_under_way_from_another_thread(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=100, rate=0.001))
    fake_broker.welcome_producer()
    assert fake_broker.batch().seqs.tolist() == [0]  # the next one is due in a quarter of an hour
    producer.set_rate(1e6)
    batch = fake_broker.batch()
    assert batch.first == 1 and batch.step == 1e-6
    with pytest.raises(UsageError, match="above 0"):
        producer.set_rate(0)
    with pytest.raises(UsageError, match="no arrival rate"):
        Producer().set_rate(5)


def test_a_producer_without_a_broker_gives_up_after_its_timeout(address):
    at = address()
    with pytest.raises(ZsmsError, match=f"no answer from a broker at {re.escape(at)} for 0.3 s"):
        Producer(at, messages=10, timeout=0.3).run()
    with pytest.raises(UsageError):
        Producer(at, timeout=0)


def test_a_producer_says_at_its_end_what_it_made(run, address, caplog):
    caplog.set_level("INFO", "zsms")
    broker = run(Broker(address()))
    Producer(broker.endpoint, messages=50, name="p").run()
    assert [r.getMessage() for r in caplog.records if r.name == "zsms.producer"] == [
        "p: 50 messages made, all confirmed"
    ]


def test_a_run_s_first_message_comes_when_its_slots_are_there(address):
    with Broker(address(), await_slots=30) as broker:
        raw = RawPeer(zmq.DEALER, urls(broker.endpoint)[1])
        raw.say(JoinProducer(7, 1, "p", 0, 100.0))
        with Sender(broker.endpoint, concurrency=20, delay=QUICK):
            until(lambda: broker.core.slots == 20, "20 slots")
            raw.settle_down()
            assert not broker.core.producers  # it was heard, and is kept waiting
            with Sender(broker.endpoint, concurrency=10, delay=QUICK):
                welcome = raw.hear(Welcome)
                assert broker.core.slots == 30
                # As if it had been asked just now: the wait says nothing of the clocks.
                assert 100.0 < welcome.echo < 100.0 + DEADLINE_S
        raw.say(JoinProducer(8, 1, "late", 0, 0.0))  # and nobody waits for slots that have left since
        assert raw.hear(Welcome).echo == 0.0
        raw.close()


def test_who_waits_for_slots_in_vain_begins_all_the_same(address):
    ahead = [0.0]
    with Broker(address(), await_slots=30, clock=lambda: time.monotonic() + ahead[0]) as broker:
        raw = RawPeer(zmq.DEALER, urls(broker.endpoint)[1])
        raw.say(JoinProducer(7, 1, "p", 0, 0.0))
        raw.settle_down()
        ahead[0] = AWAIT_SLOTS_S
        broker.wake()
        raw.hear(Welcome)
        raw.close()
