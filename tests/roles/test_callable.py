"""A user's own `send` in place of sleeping: the same slots, credit and accounts."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import re
import signal
import sys
import threading
import time
from collections import Counter

import pytest

from tests.roles.holding import Gate
from tests.roles.peers import settled, totals
from tests.roles.waiting import DEADLINE_S, letters_of, until
from zsms import Broker, Message, Outcome, Producer, Sender
from zsms.core.broker import BrokerLimits
from zsms.transports.callable import CallableTransport
from zsms.transports.calls import Calls
from zsms.transports.watch import HANGING_S, LoopWatch


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


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


async def leaves_a_task(message: Message) -> bool:
    asyncio.get_running_loop().create_task(asyncio.sleep(1_000))
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
        (raises(Unsayable()), "failed"),
        (returns(Unsayable()), "failed"),
        (leaves_a_task, "sent"),
    ],
    ids=[
        "True",
        "SENT",
        "False",
        "FAILED",
        "None",
        "str",
        "raises",
        "timeout",
        "cancelled",
        "unsayable",
        "unsayable value",
        "task",
    ],
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

    dead = sorted(seq for letter in letters_of(broker) for seq in letter.lot.batch.seqs.tolist())
    assert dead == [seq for seq in range(200) if seq % 2]


def test_errors_are_counted_by_kind_and_each_kind_is_said_once(run, address, caplog):
    async def send(message: Message) -> bool:
        match message.id.seq % 4:
            case 0:
                raise Trouble(f"no credit left for {message.id.seq}")
            case 1:
                raise KeyError(message.id.seq)
            case 2:
                return "ok"
        return False

    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, concurrency=1, send=send))
    run(Producer(broker.endpoint, messages=400))
    until(lambda: totals(broker.core)["failed"] == 400, "the failures")
    rows = {row.reason: row for row in sender.transport.failures}
    assert {reason: row.sends for reason, row in rows.items()} == dict.fromkeys(
        ("raised Trouble", "raised KeyError", "returned str", "returned False"), 100
    )
    assert rows["raised Trouble"].example.startswith("no credit left for 0 (test_callable.py:")
    assert rows["returned str"].example == "'ok'" and rows["returned False"].example is None
    said = [r.getMessage() for r in caplog.records if r.name == "zsms.sender" and "counts as failed" in r.getMessage()]
    assert len(said) == 3 and not [r for r in caplog.records if r.exc_info and r.levelname != "DEBUG"]
    assert sender.snapshot(0.0).failures == sender.transport.failures


async def exits(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        sys.exit("no settings")
    return True


async def interrupts(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        raise KeyboardInterrupt
    return True


async def cancelled(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        raise asyncio.CancelledError
    return True


async def cancels_itself(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        asyncio.current_task().cancel()
    await asyncio.sleep(0)
    return True


async def exits_late(message: Message) -> bool:
    await asyncio.sleep(0.001)
    return await exits(message)


async def exits_in_a_task(message: Message) -> bool:
    return await asyncio.ensure_future(exits(message))


async def ends_its_coroutine(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        raise GeneratorExit
    return True


async def stops_the_loop(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        asyncio.get_running_loop().stop()
        raise Trouble
    return True


async def lets_no_task_be_made(message: Message) -> bool:
    asyncio.get_running_loop().set_task_factory(lambda loop, coroutine, **options: coroutine.close())
    if message.id.seq % 10 == 3:
        raise Trouble
    return True


class Unwilling(Exception):
    def __str__(self) -> str:
        raise SystemExit("no text")

    __repr__ = __str__


async def raises_what_exits_when_shown(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        raise Unwilling
    return True


class Nobody(Exception):
    @property
    def __class__(self) -> type:
        raise RuntimeError("no class")


async def raises_what_says_no_class(message: Message) -> bool:
    if message.id.seq % 10 == 3:
        raise Nobody
    return True


@pytest.mark.parametrize(
    "send",
    [
        raises_what_exits_when_shown,
        raises_what_says_no_class,
        exits,
        interrupts,
        cancelled,
        cancels_itself,
        exits_late,
        exits_in_a_task,
        ends_its_coroutine,
        stops_the_loop,
        lets_no_task_be_made,
    ],
)
def test_what_would_end_a_program_costs_one_message(run, address, send, caplog):
    broker = run(Broker(address()))
    sender = run(Sender(broker.endpoint, concurrency=4, send=send))
    run(Producer(broker.endpoint, messages=40))
    until(lambda: settled(broker.core) == 40, "40 messages settled")
    assert (totals(broker.core)["sent"], totals(broker.core)["failed"]) == (36, 4)
    sender.stop()
    assert sender.join(DEADLINE_S)
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_a_function_that_forks_is_called_once_for_each_message(run, address, tmp_path):
    """Its child comes back from it too, with a copy of the loop."""
    called, children = tmp_path / "called", []

    async def send(message: Message) -> bool:
        if message.id.seq == 3:
            child = os.fork()
            children.append(child)
        with called.open("a") as file:
            file.write(f"{message.id.seq}\n")
        await asyncio.sleep(0)
        return True

    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=2, send=send))
    run(Producer(broker.endpoint, messages=40))
    until(lambda: totals(broker.core)["sent"] == 40, "40 messages sent")
    try:
        until(lambda: os.waitpid(children[0], os.WNOHANG)[0], "the child has ended")
    except BaseException:
        os.kill(children[0], signal.SIGKILL)
        raise
    times = Counter(called.read_text().split())
    assert len(times) == 40 and sum(times.values()) <= 43  # that message, and those that had begun


def test_cancelling_a_task_that_returns_at_once_is_not_the_next_message_s_business(run, address):
    async def send(message: Message) -> bool:
        if message.id.seq % 2:
            await asyncio.sleep(0)
        else:
            asyncio.current_task().cancel()
        return True

    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=4, send=send))
    run(Producer(broker.endpoint, messages=40))
    until(lambda: totals(broker.core)["sent"] == 40, "40 messages sent")


def test_a_call_sees_nothing_of_the_one_before_it(run, address):
    """Functions that return at once share a task, and none may tell."""
    mine = contextvars.ContextVar("mine", default=0)
    seen = []

    async def send(message: Message) -> bool:
        seen.append(mine.get())
        mine.set(message.id.seq + 1)
        return True

    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=16, send=send))
    run(Producer(broker.endpoint, messages=100))
    until(lambda: totals(broker.core)["sent"] == 100, "100 messages sent")
    assert set(seen) == {0}


def test_functions_that_return_at_once_need_no_task_each(run, address):
    tasks = set()

    async def send(message: Message) -> bool:
        tasks.add(asyncio.current_task())
        return True

    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=500, send=send))
    run(Producer(broker.endpoint, messages=5_000))
    until(lambda: totals(broker.core)["sent"] == 5_000, "5,000 messages sent")
    assert len(tasks) < 1_000


def test_a_blocking_function_is_asked_for_no_more_than_can_begin_and_is_named(run, address, caplog):
    """Two threads that look like 4,000 slots: what has not begun holds no lease, or its last part would outlast it."""
    calls: Counter[int] = Counter()
    looked, longest = 0.0, 0.0

    async def send(message: Message) -> bool:
        calls[message.id.seq] += 1
        time.sleep(0.05)
        return True

    def all_settled() -> bool:
        nonlocal looked, longest
        before, looked = looked, time.monotonic()
        longest = max(longest, looked - before)
        return settled(broker.core) == 100

    for _ in range(3):
        calls.clear()
        caplog.clear()
        broker = run(Broker(address(), limits=BrokerLimits(lease=2.0)))
        senders = [run(Sender(broker.endpoint, concurrency=2_000, send=send)) for _ in range(2)]
        run(Producer(broker.endpoint, messages=100))  # 2.5 s of work for each of the two
        looked, longest = time.monotonic(), 0.0
        until(all_settled, "100 messages settled")
        if longest < 1.0:  # or the machine itself has paused, for as long as a lease lasts
            break
    assert set(calls.values()) == {1} and totals(broker.core)["sent"] == 100
    said = [r.getMessage() for r in caplog.records if "blocks its event loop" in r.getMessage()]
    assert len(said) == 2 and all("send (test_callable.py:" in line for line in said)
    # Or, on a busy machine, by the one call that was the longest.
    assert all(float(re.search(r"kept it for (\S+) s", line)[1]) >= 0.05 for line in said)
    assert all(sender.transport.blocked_s > 0.5 for sender in senders)


def test_what_keeps_the_loop_is_named_while_it_does(run, address, caplog):
    go_on = threading.Event()

    async def send(message: Message) -> bool:
        await asyncio.sleep(0)
        go_on.wait(10)
        return True

    def said() -> list[str]:
        return [r.getMessage() for r in caplog.records if "blocks its event loop" in r.getMessage()]

    broker = run(Broker(address()))
    run(Sender(broker.endpoint, concurrency=2, send=send))
    run(Producer(broker.endpoint, messages=4))
    (line,) = until(said, "the warning")
    assert re.search(r"in send has kept it for \d+\.\d", line) and "test_callable.py:" in line.partition(": ")[2]
    go_on.set()
    until(lambda: totals(broker.core)["sent"] == 4, "4 messages sent")
    assert len(said()) == 1


def test_a_call_that_never_returns_is_named_with_its_line(caplog):
    async def answer() -> None:
        await asyncio.Event().wait()

    async def send(message: Message) -> bool:
        await answer()
        return True

    async def hang() -> None:
        loop = asyncio.get_running_loop()
        calls = Calls(send, loop, lambda: None, logging.getLogger("zsms.sender"))
        watch = LoopWatch(calls, loop, logging.getLogger("zsms.sender"))
        calls.hand_over(iter([(n, None, 0.0) for n in range(3)]), 3)
        while calls.begun < 3:
            await asyncio.sleep(0)
        now = time.monotonic()
        for seconds in (0, HANGING_S - 1, HANGING_S + 1, 3 * HANGING_S):
            watch.poll(now + seconds, 3)
        await calls.cancel()

    asyncio.run(hang())
    (line,) = [r.getMessage() for r in caplog.records if "does not return" in r.getMessage()]
    assert "3 messages have waited for 30 s, one waits at test_callable.py:" in line and " in answer; " in line


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
    assert sender.join(DEADLINE_S)
    assert "zsms-send" not in [thread.name for thread in threading.enumerate()]


def test_leaving_at_once_cancels_send_and_lets_it_clean_up(run, address):
    begun, told = [], []

    async def send(message: Message) -> bool:
        begun.append(message.id.seq)
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
    until(lambda: len(begun) == 10, "10 coroutines")
    sender.stop()
    sender.stop()
    assert sender.join(DEADLINE_S)
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
