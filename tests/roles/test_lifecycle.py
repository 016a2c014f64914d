"""Every way to run a role and to end it, from a thread, a `with` block, the caller's thread, a signal, asyncio."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading

import pytest
import zmq

from tests.roles.holding import Gate
from tests.roles.peers import totals
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, DelayModel, Message, Monitor, Producer, Sender, StatsCollector, UsageError, ZsmsError
from zsms.core.broker import BrokerLimits
from zsms.message import Batch
from zsms.sources.random import RandomSource
from zsms.transports.callable import CallableTransport
from zsms.wire.frames import Bye, Grant, JoinSender, Welcome

QUICK = DelayModel("constant", 0.002)


# -- ways to run -----------------------------------------------------------------------------------------------


def test_with_blocks_run_roles_and_drain_them(address):
    with StatsCollector(address()) as collector, Broker(address(), stats=collector.endpoint) as broker:
        with Sender(broker.endpoint, concurrency=50, delay=QUICK, stats=collector.endpoint) as sender:
            Producer(broker.endpoint, messages=500, stats=collector.endpoint).run()  # in this thread, to its end
            until(lambda: sender.core.received == 500, "all handed out")
        # Leaving the block let the sender finish what it held, and say goodbye.
        assert not broker.core.sessions and not sender.running
        assert totals(broker.core)["sent"] == 500 and broker.core.counters.redelivered == 0
    assert not broker.running and not collector.running
    seen = collector.book.answer("totals", 0.0)["totals"]
    assert seen["producer"]["produced"] == seen["broker"]["sent"] == seen["sender"]["sent"] == 500


def test_a_block_that_fails_does_not_drain(address):
    gate = Gate()
    broker = Broker(address())
    sender = Sender(broker.endpoint, send=gate.send, concurrency=5)

    def fail() -> None:
        with broker, sender, Producer(broker.endpoint, messages=10):
            until(lambda: gate.holds == 5, "5 messages in slots")
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()
    assert not sender.running and not broker.running
    assert totals(broker.core)["sent"] == 0


def test_start_stop_join(address):
    broker = Broker(address())
    assert broker.join() and not broker.running  # nothing to wait for
    assert broker.start() is broker and broker.running
    assert broker.join(0.01) is False
    with pytest.raises(ZsmsError, match="was started before"):
        broker.start()
    broker.stop()
    assert broker.join(DEADLINE_S) is True and not broker.running
    broker.stop()  # as often as one likes
    broker.wake()


def test_a_role_that_can_t_begin_says_why_in_the_caller_s_thread():
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        for role in (Broker(taken), StatsCollector(taken)):
            with pytest.raises(UsageError, match=f"{taken} is in use"):
                role.start()
            assert not role.running
        with pytest.raises(UsageError, match="is in use"):
            Broker(taken).run()
        with pytest.raises(UsageError, match="is in use"), Broker(taken):
            raise AssertionError("the block must not be entered")
    for role in (Sender("no..host"), Producer("no..host"), Monitor("no..host")):  # a name that can be may come yet
        with pytest.raises(UsageError, match=r"no\.\.host"):
            role.start()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Broker("nonsense:port"),
        lambda: StatsCollector("nonsense:port"),
        lambda: StatsCollector(stats="127.0.0.1:1"),
        lambda: Sender("nonsense:port"),
        lambda: Sender(stats="nonsense:port"),
        lambda: Sender(concurrency=0),
        lambda: Sender(failure_rate=1.5),
        lambda: Sender(prefetch=-1),
        lambda: Sender(lease=-1.0),
        lambda: Sender(lease=float("nan")),
        lambda: Sender(send=Gate().send, concurrency=0),
        lambda: Sender(stats_interval=0.0),
        lambda: Sender(stats_interval=float("nan")),
        lambda: Sender(drain_timeout=-1.0),
        lambda: Sender(name=""),
        lambda: Sender(name="x" * 2_000),
        lambda: Producer("nonsense:port"),
        lambda: Producer(messages=-1),
        lambda: Producer(rate=0),
        lambda: Producer(rate=float("nan")),
        lambda: Producer(batch=0),
        lambda: Producer(batch=65_537),
        lambda: Producer(window=0),
        lambda: Producer(resend_after=0.0),
        lambda: Monitor("nonsense:port"),
        lambda: Monitor(interval=0.0),
        lambda: Monitor(interval=float("inf")),
    ],
)
def test_what_can_t_be_is_refused_before_anything_runs(make):
    with pytest.raises(UsageError):
        make()


def test_whole_seconds_may_be_given_as_integers(run, address):
    """On the wire they are floats, and a peer refuses anything else."""
    collector = run(StatsCollector(address()))
    told = {"stats": collector.endpoint, "stats_interval": 1, "drain_timeout": 1}
    broker = run(Broker(address(), limits=BrokerLimits(liveness=5, lease=60), **told))
    sender = run(
        Sender(broker.endpoint, concurrency=5, delay=DelayModel("constant", 0), lease=5, tick=1, ramp=0, **told)
    )
    run(Producer(broker.endpoint, messages=20, rate=1_000, resend_after=5, **told))
    until(lambda: totals(broker.core)["sent"] == 20, "20 messages sent")
    until(lambda: len(collector.book.answer("totals", 0.0)["processes"]) == 3, "three processes that report")
    assert broker.refused_frames == collector.refused_frames == sender.refused_frames == 0


def test_a_role_may_be_stopped_from_a_signal_handler(run, address):
    """`run()` in the main thread returns; and no role has installed a handler of its own."""
    collector = run(StatsCollector(address()))
    shown = []

    def show(view, before):
        shown.append(view)
        signal.raise_signal(signal.SIGUSR1)

    monitor = Monitor(collector.endpoint, interval=60, show=show)
    usual = signal.signal(signal.SIGUSR1, lambda number, stack: monitor.stop())
    try:
        monitor.run()
    finally:
        signal.signal(signal.SIGUSR1, usual)
    assert len(shown) == 1


def test_a_role_changes_nothing_global(address):
    def globals_() -> tuple:
        loggers = [logging.getLogger(), *(logging.getLogger(f"zsms{end}") for end in ("", ".broker", ".sender"))]
        return (
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
            [(list(log.handlers), log.level, log.propagate) for log in loggers],
            zmq.Context._instance,
            threading.excepthook,
        )

    before, threads = globals_(), set(threading.enumerate())
    with StatsCollector(address()) as collector, Broker(address(), stats=collector.endpoint) as broker:
        with Sender(broker.endpoint, send=Gate(open=True).send, concurrency=5):
            Producer(broker.endpoint, messages=10).run()
            until(lambda: totals(broker.core)["sent"] == 10, "10 messages sent")
        Monitor(collector.endpoint, once=True).run()
    assert globals_() == before
    until(lambda: set(threading.enumerate()) <= threads, "no thread left")


@pytest.mark.parametrize("scheme", ["inproc", "tcp"])
def test_a_context_of_the_caller_is_used_and_not_closed(scheme):
    with zmq.Context() as context:
        where = "127.0.0.1:0" if scheme == "tcp" else "inproc://{}"
        mine = context.socket(zmq.PAIR)
        with (
            StatsCollector(where.format("stats"), context=context) as collector,
            Broker(where.format("broker"), stats=collector.endpoint, context=context) as broker,
            Sender(broker.endpoint, concurrency=5, delay=QUICK, stats=collector.endpoint, context=context),
        ):
            # Within one process and context nothing need leave it; other contexts can't see inproc addresses.
            Producer(broker.endpoint, messages=100, stats=collector.endpoint, context=context).run()
            Monitor(collector.endpoint, until_done=True, interval=0.05, context=context).run()
        assert totals(broker.core)["sent"] == 100
        assert not context.closed and not mine.closed
        mine.close()
        # Leaving the block ends the context, which would wait for ever for a socket that a role had forgotten.


# -- ways to end -----------------------------------------------------------------------------------------------


def test_a_sender_that_is_stopped_finishes_what_it_holds(run, address):
    gate = Gate()
    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, concurrency=10, prefetch=5, send=gate.send))
    run(Producer(broker.endpoint, messages=100))
    until(lambda: gate.holds == 10, "slots full")
    gate.let_go(1)
    until(lambda: gate.holds == 10 and sender.core.held == 15, "slots and prefetch full")
    sender.stop()
    gate.let_go(3)
    until(lambda: totals(broker.core)["sent"] == 4, "three more of them sent")
    assert sender.running
    gate.let_go()
    assert sender.join(DEADLINE_S)
    assert len(gate.seen) == 16  # it asked for nothing more
    assert totals(broker.core) == {"accepted": 100, "queued": 84, "in_flight": 0, "sent": 16, "failed": 0, "dead": 0}
    assert not broker.core.sessions and broker.core.counters.redelivered == 0


def test_a_sender_that_is_stopped_twice_leaves_at_once(run, address):
    gate = Gate()
    broker = run(Broker(address(), limits=BrokerLimits(liveness=0.5)))
    sender = run(Sender(broker.endpoint, concurrency=10, send=gate.send))
    run(Producer(broker.endpoint, messages=10))
    until(lambda: gate.holds == 10, "10 messages in slots")
    sender.stop()
    assert not sender.join(0.05)
    sender.stop()
    assert sender.join(DEADLINE_S)
    assert gate.holds == 0 and not gate.passed  # the user's coroutines were cancelled, and cleaned up after themselves
    until(lambda: totals(broker.core)["queued"] == 10, "all of it given back")


def test_what_arrives_after_the_goodbye_is_not_sent(run, fake_broker):
    """A grant may cross the goodbye on the wire. The broker takes it back and gives it to another, who will send it."""
    gate = Gate(open=True)
    sender = run(Sender(fake_broker.endpoint, concurrency=5, prefetch=0, send=gate.send))
    join = fake_broker.hear(JoinSender)
    fake_broker.say(Welcome(1, 0, join.sent_at, join.sent_at, 1.0, 0.0, "memory"))
    grant = Grant(join.session, join.generation, 0, 1, 1, 0.0, 0, False)
    fake_broker.say(grant, Batch.of([("+1", "before")]))
    until(lambda: gate.passed, "a message sent")
    sender.stop()
    fake_broker.hear(Bye)
    fake_broker.say(grant._replace(base=1), Batch.of([("+1", "after")]))
    fake_broker.say(Bye(1, join.session))
    assert sender.join(DEADLINE_S)
    assert [message.text for message in gate.seen] == ["before"]


def test_a_drain_has_an_end(run, address):
    gate = Gate()
    broker = run(Broker(address(), drain_timeout=0.1))
    sender = run(Sender(broker.endpoint, concurrency=10, send=gate.send, drain_timeout=0.1))
    run(Producer(broker.endpoint, messages=10))
    until(lambda: gate.holds == 10, "10 messages in slots")
    for role in (sender, broker):
        role.stop()
        assert role.join(DEADLINE_S)
    assert totals(broker.core)["sent"] == 0


def test_receipts_are_waited_for_however_long_a_drain_may_take(run, address):
    class Gateway(CallableTransport):
        linger_s, asked, still = 60.0, 0, 1

        @property
        def awaited(self) -> int:
            self.asked += 1
            return self.still

    async def send(message: Message) -> bool:
        return True

    broker = run(Broker(address()))
    gateway = Gateway(send, 10)
    sender = Sender(broker.endpoint, transport=gateway, drain_timeout=0.0)
    run(sender)
    run(Producer(broker.endpoint, messages=10))
    until(lambda: totals(broker.core)["sent"] == 10, "all sent")
    sender.stop()
    until(lambda: sender.wake() or gateway.asked >= 5, "a sender that lingers")
    assert sender.running
    gateway.still = 0
    assert sender.join(DEADLINE_S)


def test_a_broker_that_is_stopped_takes_nothing_more_and_drains(run, address):
    gate = Gate()
    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=10, prefetch=0, send=gate.send))
    producer = run(Producer(broker.endpoint, source=RandomSource(None, 1), batch=10, window=10))
    until(lambda: gate.holds == 10 and totals(broker.core)["accepted"] >= 100, "slots full and a queue")
    broker.stop()
    until(lambda: producer.ways[0].full, "the producer told")
    accepted = totals(broker.core)["accepted"]
    gate.let_go()
    assert broker.join(DEADLINE_S)
    done = totals(broker.core)
    assert done["sent"] == done["accepted"] and done["queued"] == done["in_flight"] == 0
    assert done["accepted"] == accepted
    assert producer.running  # it keeps what is not confirmed for the next broker


def test_a_broker_that_is_stopped_twice_leaves_at_once(run, address):
    gate = Gate()
    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=10, send=gate.send))
    run(Producer(broker.endpoint, messages=100))
    until(lambda: gate.holds == 10, "10 messages in slots")
    broker.stop()
    assert not broker.join(0.05)
    broker.stop()
    assert broker.join(DEADLINE_S)
    assert totals(broker.core)["in_flight"] >= 10


def test_a_producer_that_is_stopped_hands_over_what_it_has_made(run, address):
    broker = run(Broker(address(), limits=BrokerLimits(max_messages=1_000)))
    producer = run(Producer(broker.endpoint, source=RandomSource(None, 1), batch=100, window=500))
    full = lambda: broker.core.full and producer.produced == 1_500 and producer.window.messages == 500  # noqa: E731
    until(full, "a full broker and a full window, every confirm read")
    producer.stop()
    assert not producer.join(0.05)
    run(Sender(broker.endpoint, concurrency=100, delay=QUICK))
    assert producer.join(DEADLINE_S)
    assert producer.produced == producer.window.confirmed_messages == totals(broker.core)["accepted"]


def test_a_producer_that_is_stopped_twice_leaves_what_is_not_confirmed(run, fake_broker):
    producer = run(Producer(fake_broker.endpoint, messages=100))
    fake_broker.welcome_producer()
    fake_broker.batch()
    producer.stop()
    assert not producer.join(0.05)
    producer.stop()
    assert producer.join(DEADLINE_S) and producer.window.messages == 100


# -- asyncio ---------------------------------------------------------------------------------------------------


def test_serve_runs_beside_the_caller_s_loop_and_on_it(run, address):
    """The user's `send` runs on the caller's own loop, in its thread, and may use what lives there."""
    broker = run(Broker(address()))
    where = []

    async def main() -> None:
        answers: asyncio.Queue[int] = asyncio.Queue()  # only safe to use on this loop

        async def send(message: Message) -> bool:
            where.append((threading.current_thread(), asyncio.get_running_loop()))
            await answers.put(message.id.seq)
            return True

        sender = Sender(broker.endpoint, concurrency=4, send=send)
        serving = asyncio.create_task(sender.serve())
        await Producer(broker.endpoint, messages=50).serve()  # until it is done
        assert sorted([await answers.get() for _ in range(50)]) == list(range(50))
        assert set(where) == {(threading.main_thread(), asyncio.get_running_loop())}
        assert not serving.done()
        sender.stop()
        await serving
        assert not sender.core.held

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))
    assert totals(broker.core)["sent"] == 50 and not broker.core.sessions


def test_cancelling_serve_drains_the_role(run, address):
    broker = run(Broker(address()))

    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def send(message: Message) -> bool:
            begun.set()
            await go_on.wait()
            return True

        serving = asyncio.create_task(Sender(broker.endpoint, concurrency=10, prefetch=0, send=send).serve())
        await begun.wait()
        serving.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await serving

    run(Producer(broker.endpoint, messages=100))
    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))
    # What was in its slots when it was cancelled has been sent: a batch of 10, or what had come of it by then.
    now = totals(broker.core)
    assert 1 <= now["sent"] <= 10 and now["sent"] + now["queued"] == 100
    assert not broker.core.sessions and broker.core.counters.redelivered == 0


def test_serve_raises_what_went_wrong():
    with socket.create_server(("127.0.0.1", 0)) as other:
        broker = Broker(f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(UsageError, match="is in use"):
            asyncio.run(broker.serve())
