"""What a message costs in each hot piece, in nanoseconds: the name of a benchmark's group says it.

Run them with `bin/bench`; they are no part of the test suite. A round is a batch of 16,384 messages, except for the
slots, whose round is a tick. State is as in a large run: sessions of two million slots, acknowledgements in the order
in which sends of 1 s (sd 0.1 s) end, slots that began at different times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from zsms.core.broker import BrokerCore, BrokerLimits, Put
from zsms.core.sender import SenderCore
from zsms.core.sender.asking import auto_prefetch
from zsms.core.sender.slots import Slots
from zsms.message import Batch
from zsms.sources.random import BLOCK, Columns, RandomSource
from zsms.stats.delay import DelayModel
from zsms.stats.histogram import Histogram
from zsms.transports.simulated import SimulatedTransport
from zsms.wire.codec import decode, encode, encode_batch, encode_grant, encode_part
from zsms.wire.frames import Ack, Grant, JoinProducer, JoinSender

U32 = npt.NDArray[np.uint32]

MEAN, SD = 1.0, 0.1
NOTHING = np.zeros(0, dtype=np.uint32)
PLAIN = np.zeros(0, dtype=np.uint8)

Report = Callable[..., None]


@pytest.fixture
def report(benchmark: Any) -> Report:
    """Says what a message costs, given the messages in a round."""

    def say(piece: str, messages: float, in_lumps: bool = False) -> None:
        if benchmark.stats is not None:  # it is, under --benchmark-disable
            # The mean where some of the work is left for a while and then done together.
            ns = getattr(benchmark.stats.stats, "mean" if in_lumps else "median") * 1e9 / messages
            benchmark.extra_info["ns_per_message"] = round(ns, 2)
            benchmark.stats.group = f"{piece}: {ns:,.1f} ns a message"

    return say


def random_columns() -> Columns:
    return RandomSource(None, seed=1).take(BLOCK)


def make_batch(columns: Columns, number: int = 0) -> Batch:
    epoch = list(signature(Batch).parameters)[1]  # it had another name, and earlier commits are measured with this file
    return Batch(
        producer=1,
        **{epoch: 1},
        number=number,
        first=number * len(columns),
        due=0.0,
        step=0.0,
        recipients=columns.recipients,
        lengths=columns.lengths,
        text=columns.text,
    )


def acknowledged_numbers(slots: int, frames: int, delay: str = "normal") -> Iterator[U32]:
    """Numbers of a session's messages by frames of `BLOCK`, each ascending, in the order in which the sends end."""
    rng = np.random.default_rng(1)
    count = frames * BLOCK + slots
    delays = rng.normal(MEAN, SD, count) if delay == "normal" else rng.exponential(0.95 * MEAN, count)
    ends = np.arange(count) * (MEAN / slots) + delays
    order = np.argsort(ends)[: frames * BLOCK].astype(np.uint32).reshape(frames, BLOCK)
    yield from np.sort(order, axis=1)


# -- producer ----------------------------------------------------------------------------------------------


def test_random_source(benchmark: Any, report: Report) -> None:
    source = RandomSource(None, seed=1)
    columns = benchmark(source.take, BLOCK)
    assert len(columns) == BLOCK
    report("random messages", BLOCK)


def test_batch_encode(benchmark: Any, report: Report) -> None:
    batch = make_batch(random_columns())
    frame = benchmark(encode_batch, batch)
    assert len(decode(frame)) == BLOCK
    report("encoding a batch", BLOCK)


def test_batch_decode(benchmark: Any, report: Report) -> None:
    frame = encode_batch(make_batch(random_columns()))
    batch = benchmark(decode, frame)
    assert len(batch) == BLOCK
    report("decoding a batch", BLOCK)


# -- broker ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delay", "failing"), [("normal", 0.0), ("exponential", 0.0), ("normal", 0.3)])
def test_queue_put_acknowledge_grant(benchmark: Any, report: Report, delay: str, failing: float) -> None:
    """A batch comes in, an acknowledgement of as many makes room, and they are granted; what fails is tried again.

    A million acknowledgements a second, by the clock that the broker is told.
    """
    slots, rounds = 500_000, 200
    rng = np.random.default_rng(2)
    tokens = (1, 2)
    columns = random_columns()
    limits = BrokerLimits(max_messages=10 * slots, max_bytes=2**40, max_attempts=100, retry_base=1.0, retry_cap=1.0)
    core = BrokerCore(limits, seed=1)
    core.producer_joined(b"producer", JoinProducer(1, 1, "producer", 0, 0.0), 0.0)
    for token in tokens:
        core.sender_joined(b"%d" % token, JoinSender(token, 1, f"sender-{token}", slots, 0, 0.0, 0.0), 0.0)
        core.acknowledged(b"%d" % token, Ack(token, 0, slots, 0, NOTHING, NOTHING), 0.0)
    batches = 0
    while sum(session.wants for session in core.sessions.values()):
        core.put(make_batch(columns, batches), 0.0)
        batches += 1
        for _ in core.grants(0.0):
            pass
    frames = {token: acknowledged_numbers(slots, rounds, delay) for token in tokens}
    turn = sent = 0
    poll = getattr(core, "poll" if hasattr(core, "poll") else "looked")  # as for `make_batch`

    def prepare() -> tuple[tuple[Batch, Ack, float], dict[str, Any]]:
        nonlocal batches, turn, sent
        token = tokens[turn % 2]
        number = turn // 2
        numbers = next(frames[token])
        base = int(numbers[0])
        limit = (number + 1) * BLOCK + slots
        fails = rng.random(BLOCK) < failing
        sent += BLOCK - int(np.count_nonzero(fails))
        done = numbers - np.uint32(base)
        ack = Ack(token, number + 1, limit, base, done[~fails], done[fails], PLAIN)
        batch = make_batch(columns, batches)
        batches += 1
        turn += 1
        return (batch, ack, turn * BLOCK / 1e6), {}

    def work(batch: Batch, ack: Ack, now: float) -> tuple[Put, int]:
        put = core.put(batch, now)
        core.acknowledged(b"%d" % ack.session, ack, now)
        poll(now)
        return put, sum(granted.piece.lot.size for granted in core.grants(now))

    put, granted = benchmark.pedantic(work, setup=prepare, rounds=2 * rounds - 1, warmup_rounds=1)
    assert (put, granted) == (Put.ACCEPTED, BLOCK)
    assert core.totals()["sent"] == sent
    assert core.counters.duplicates == core.counters.unknown == 0
    piece = f"queue: put, acknowledge, grant; {delay} delays, {failing:.0%} failing"
    report(piece, BLOCK, in_lumps=failing > 0 or delay != "normal")


def test_grants_of_one_message(benchmark: Any, report: Report) -> None:
    """200 senders of one slot: an acknowledgement is decoded and settled, and its sender's next message encoded."""
    senders = 200
    core = BrokerCore(BrokerLimits(max_messages=2**40, max_bytes=2**50), seed=1)
    core.producer_joined(b"producer", JoinProducer(1, 1, "producer", 0, 0.0), 0.0)
    for token in range(senders):
        core.sender_joined(b"%d" % token, JoinSender(token, 1, f"sender-{token}", 1, 0, 0.0, 0.0), 0.0)
        core.acknowledged(b"%d" % token, Ack(token, 0, 1, 0, NOTHING, NOTHING), 0.0)
    columns = random_columns()
    one = np.zeros(1, dtype=np.uint32)
    sends = batches = 0

    def grant() -> int:
        count = 0
        for session, piece, more in core.grants(0.0):
            lot = piece.lot
            encode_grant(
                (
                    session.token,
                    session.generation,
                    piece.base,
                    lot.attempt,
                    lot.delivery,
                    lot.queued,
                    session.acked,
                    more,
                )
            )
            encode_part(lot.whole, lot.begin, lot.end)
            count += lot.size
        return count

    def prepare() -> tuple[tuple[list[bytes]], dict[str, Any]]:
        nonlocal sends, batches
        while core.queue.messages < senders:
            core.put(make_batch(columns, batches), 0.0)
            batches += 1
        acks = [encode(Ack(token, sends + 1, sends + 2, sends, one, NOTHING, PLAIN)) for token in range(senders)]
        sends += 1
        return (acks,), {}

    def work(acks: list[bytes]) -> int:
        for frame in acks:
            ack: Ack = decode(frame)
            core.acknowledged(b"%d" % ack.session, ack, 0.0)
        return grant()

    while core.queue.messages < senders:
        core.put(make_batch(columns, batches), 0.0)
        batches += 1
    assert grant() == senders
    assert benchmark.pedantic(work, setup=prepare, rounds=50, warmup_rounds=1) == senders
    report("broker: acknowledgements and grants of one message", senders)


# -- sender ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [10_000, 1_000_000, 2_500_000])
def test_slots(benchmark: Any, report: Report, slots: int) -> None:
    """A tick of a sender: what has ended is acknowledged, what was granted begins."""
    transport = SimulatedTransport(Slots(slots, DelayModel("normal", MEAN, SD), seed=1))
    core = SenderCore(slots, auto_prefetch(slots, MEAN), seed=1)
    core.joining()
    batch = make_batch(random_columns())
    tick = Slots(1, DelayModel("normal", MEAN, SD)).tick
    now, ended = 1_000.0, 0

    def prepare(most: int = 2**62) -> tuple[tuple[list[Batch], float], dict[str, Any]]:
        nonlocal now
        now += tick
        wanted = min(core.limit - core.received, most)
        pieces = [batch] * (wanted // BLOCK) + ([batch.slice(0, wanted % BLOCK)] if wanted % BLOCK else [])
        return (pieces, now), {}

    def work(pieces: list[Batch], now: float) -> None:
        nonlocal ended
        for piece in pieces:
            core.granted(Grant(core.token, core.generation, core.received, 1, 1, now, 0, False), piece, 0.0, 0.0)
        finished = transport.finished(now)
        if finished is not None:
            ended += len(finished)
            for ack in core.finished(finished):
                core.acknowledged(ack.number + 1)
        for waiting in core.take(transport.concurrency - transport.busy):
            transport.start(waiting, now)

    for _ in range(round(3 * MEAN / tick)):  # the slots begin one after the other, then all have sent twice
        arguments, _ = prepare(max(1, round(slots * tick / MEAN * 1.05)))
        work(*arguments)
    assert transport.busy > 0.98 * slots
    ended, rounds = 0, 200
    benchmark.pedantic(work, setup=prepare, rounds=rounds)
    assert ended == pytest.approx(slots * tick / MEAN * rounds, rel=0.1)
    report(f"{slots:,} slots, a tick", ended / rounds)


def test_histogram_record(benchmark: Any, report: Report) -> None:
    histogram = Histogram()
    durations = np.random.default_rng(1).normal(MEAN, SD, BLOCK).astype(np.float32)
    benchmark(histogram.record, durations)
    assert histogram.count % BLOCK == 0
    report("recording in a histogram", BLOCK)


def some_ack() -> Ack:
    numbers = next(acknowledged_numbers(2_000_000, 1))
    base = int(numbers[0])
    return Ack(1, 1, 2_000_000, base, numbers - np.uint32(base), NOTHING, PLAIN)


def test_ack_encode(benchmark: Any, report: Report) -> None:
    frame = benchmark(encode, some_ack())
    assert isinstance(decode(frame), Ack)
    report("encoding an acknowledgement", BLOCK)


def test_ack_decode(benchmark: Any, report: Report) -> None:
    ack = benchmark(decode, encode(some_ack()))
    assert len(ack.sent) == BLOCK
    report("decoding an acknowledgement", BLOCK)
