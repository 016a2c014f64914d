"""A user's own `send` in place of sleeping: the same slots, credit and accounts."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from tests.roles.holding import Gate
from tests.roles.peers import settled, totals
from tests.roles.waiting import until
from zsms import Broker, Message, Outcome, Producer, Sender
from zsms.core.broker import BrokerLimits
from zsms.transports.callable import CallableTransport


class Trouble(Exception):
    pass


def raises(error: BaseException):
    async def send(message: Message) -> bool:
        raise error

    return send


def returns(value):
    async def send(message: Message) -> bool:
        return value

    return send


async def timed_out(message: Message) -> bool:
    async with asyncio.timeout(0.001):
        await asyncio.sleep(10)
    return True


async def cancelled_inside(message: Message) -> bool:
    """Awaits something that someone else cancels: not our cancellation."""
    inner = asyncio.ensure_future(asyncio.sleep(10))
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner
    return True


@pytest.mark.parametrize(
    ("send", "outcome"),
    [
        (returns(True), "sent"),
        (returns(Outcome.SENT), "sent"),
        (returns(False), "failed"),
        (returns(Outcome.FAILED), "failed"),
        (returns(None), "failed"),  # forgot to say
        (returns("yes"), "failed"),
        (raises(Trouble("gateway")), "failed"),
        (timed_out, "failed"),
        (cancelled_inside, "failed"),
        (lambda message: True, "failed"),  # not async
    ],
    ids=["True", "SENT", "False", "FAILED", "None", "str", "raises", "timeout", "cancelled", "not async"],
)
def test_every_outcome_is_an_outcome(run, address, send, outcome):
    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, concurrency=4, send=send))
    run(Producer(broker.endpoint, messages=20))
    until(lambda: settled(broker.core) == 20, "20 messages settled")
    assert totals(broker.core)[outcome] == 20
    until(lambda: not sender.core.held and not sender.transport.busy, "every slot free")
    assert sender.running and sender.transport.times.send.count == 20


def test_a_mixture_is_told_apart_message_by_message(run, address):
    async def send(message: Message) -> bool | Outcome:
        match message.id.seq % 4:
            case 0:
                return True
            case 1:
                return Outcome.FAILED
            case 2:
                await asyncio.sleep(0.001)
                return Outcome.SENT
        raise Trouble

    tries: Counter[int] = Counter()

    async def counting(message: Message) -> bool | Outcome:
        tries[message.id.seq] += 1
        assert message.attempt == tries[message.id.seq]
        return await send(message)

    limits = BrokerLimits(max_attempts=3, retry_base=0.001, retry_cap=0.01)
    broker = run(Broker(address(), limits=limits))
    run(Sender(broker.endpoint, concurrency=16, send=counting))
    run(Producer(broker.endpoint, messages=200))
    until(lambda: settled(broker.core) == 200, "200 messages settled")
    now = totals(broker.core)
    assert (now["sent"], now["dead"], now["failed"]) == (100, 100, 0)
    assert tries == {seq: 1 if seq % 2 == 0 else 3 for seq in range(200)}
    dead = [seq for letter in broker.core.dead_letters for seq in letter.lot.batch.seqs.tolist()]
    assert sorted(dead) == [seq for seq in range(200) if seq % 2]


def test_an_error_costs_an_attempt_and_is_logged_with_its_message(run, address, caplog):
    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=1, send=raises(Trouble("no credit left"))))
    run(Producer(broker.endpoint, messages=1))
    until(lambda: totals(broker.core)["failed"] == 1, "the failure")
    (record,) = [r for r in caplog.records if r.name == "zsms.sender" and r.exc_info]
    assert isinstance(record.exc_info[1], Trouble) and "seq=0" in record.getMessage()


@pytest.mark.parametrize("concurrency", [1, 7, 100])
def test_concurrency_is_reached_and_never_exceeded(run, address, concurrency):
    gate = Gate()
    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, concurrency=concurrency, send=gate.send))
    run(Producer(broker.endpoint, messages=500, batch=37))
    for round_ in range(1, 6):
        until(lambda: gate.holds == concurrency, f"{concurrency} at once")
        gate.let_go(concurrency // 2 + 1)
        until(lambda r=round_: len(gate.passed) == r * (concurrency // 2 + 1), "some let go")
    assert len(gate.seen) - len(gate.passed) <= concurrency
    gate.let_go()
    until(lambda: totals(broker.core)["sent"] == 500, "500 messages sent")
    assert gate.most == concurrency
    assert len({message.id for message in gate.seen}) == len(gate.seen) == 500
    assert sender.core.slots == concurrency


def test_without_a_loop_of_the_caller_send_has_one_thread_of_its_own(run, address):
    where = set()

    async def send(message: Message) -> bool:
        where.add((threading.current_thread().name, id(asyncio.get_running_loop())))
        return True

    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, concurrency=8, send=send))
    run(Producer(broker.endpoint, messages=100))
    until(lambda: totals(broker.core)["sent"] == 100, "100 messages sent")
    ((name, _),) = where
    assert name == "zsms-send"
    sender.stop()
    assert sender.join(5)
    assert "zsms-send" not in [thread.name for thread in threading.enumerate()]


def test_leaving_at_once_cancels_send_and_lets_it_clean_up(run, address):
    told = []

    async def send(message: Message) -> bool:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)  # say goodbye to the gateway
            told.append(message.id.seq)
        return True

    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, concurrency=10, prefetch=0, send=send))
    run(Producer(broker.endpoint, messages=10))
    until(lambda: sender.transport.busy == 10, "10 messages in slots")
    until(lambda: len(sender.transport._tasks) == 10, "10 coroutines")
    sender.stop()
    sender.stop()
    assert sender.join(5)
    assert sorted(told) == list(range(10))
    assert totals(broker.core)["sent"] == totals(broker.core)["failed"] == 0  # a cancelled send has no outcome


def test_a_transport_may_be_given_as_such(run, address):
    gate = Gate(open=True)
    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, transport=CallableTransport(gate.send, 3), prefetch=2))
    assert (sender.core.slots, sender.core.prefetch) == (3, 2)
    run(Producer(broker.endpoint, messages=10))
    until(lambda: totals(broker.core)["sent"] == 10, "10 messages sent")
    assert gate.most <= 3
