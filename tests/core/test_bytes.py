"""What a broker's core keeps, in bytes and counted from outside, over whole schedules of sends that fail and differ."""

from __future__ import annotations

import gc
from array import array
from types import FunctionType, MethodType, ModuleType

import numpy as np
import pytest

from zsms.core.broker import BrokerCore, BrokerLimits
from zsms.message import Batch
from zsms.wire.frames import Ack, JoinProducer, JoinSender

SLOTS, BATCH, TICK = 3_000, 500, 0.02
NOTHING = np.zeros(0, dtype=np.uint32)
FOLD = 2.0, 2.6
"""A window is up to one and a half times what is open in it, and what was copied out of a batch has a row of its own;
the second where sends fail."""
ALLOWANCE = 400_000
"""Bytes: batches that two senders share, flags and columns of the windows, and what is copied out in a moment."""


def reachable_bytes(root: object) -> int:
    """Of all buffers that can be reached from there by any way but through modules and classes, each once."""
    seen: set[int] = set()
    ways, total = [root], 0
    while ways:
        thing = ways.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType | MethodType):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            if thing.base is None:
                total += thing.nbytes
            else:
                ways.append(thing.base)
        elif isinstance(thing, memoryview):
            ways.append(thing.obj)
        elif isinstance(thing, bytes | bytearray | array):
            total += len(memoryview(thing).cast("B"))
        else:
            ways += gc.get_referents(thing)
    return total


class Schedule:
    """Two senders whose sends take times of that kind, and fail at that rate."""

    def __init__(self, kind: str, failure_rate: float, messages: int) -> None:
        self.rng = np.random.default_rng(1)
        self.kind, self.failure_rate, self.messages = kind, failure_rate, messages
        self.core = BrokerCore(BrokerLimits(max_messages=SLOTS, max_attempts=3, retry_base=0.5), seed=1)
        self.core.producer_joined(b"p", JoinProducer(1, 1, "producer", 0, 0.0), 0.0)
        self.made = 0
        self.bytes = 0
        self.numbers = {token: NOTHING.astype(np.int64) for token in (1, 2)}
        self.ends = {token: np.zeros(0) for token in (1, 2)}
        for token in self.numbers:
            join = JoinSender(token, 1, "sender", SLOTS, 0, 3_600.0, 0.0)
            self.core.sender_joined(b"%d" % token, join, 0.0)

    def delays(self, count: int) -> np.ndarray:
        if self.kind == "exponential":
            return self.rng.exponential(1.0, count)
        if self.kind == "lognormal":
            return self.rng.lognormal(-0.35, 0.83, count)
        delays = np.maximum(self.rng.normal(1.0, 0.1, count), 0.0)
        return np.where(self.rng.random(count) < 0.001, 1e6, delays) if self.kind == "some never end" else delays

    def turn(self, turn: int) -> None:
        now, core = turn * TICK, self.core
        while self.made < self.messages and not core.full:
            texts = self.rng.integers(1, 101, BATCH).tolist()
            number = self.made // BATCH
            rows = [("+4912345", "x" * length) for length in texts]
            core.put(Batch.of(rows, producer=1, epoch=1, number=number, first=self.made, due=now), now)
            self.made += BATCH
            self.bytes += sum(texts) + 10 * BATCH
        for token, session in list(core.sessions.items()):
            done = self.ends[token] <= now
            numbers = np.sort(self.numbers[token][done])
            self.numbers[token], self.ends[token] = self.numbers[token][~done], self.ends[token][~done]
            fails = self.rng.random(len(numbers)) < self.failure_rate
            settled = session.granted - len(self.numbers[token])
            base = int(numbers[0]) if len(numbers) else 0
            sent, failed = ((numbers[own] - base).astype(np.uint32) for own in (~fails, fails))
            ack = Ack(token, turn, settled + SLOTS + 50, base, sent, failed)
            core.acknowledged(b"%d" % token, ack, now)
        core.poll(now)
        for granted in core.grants(now):
            token, piece = granted.session.token, granted.piece
            self.numbers[token] = np.append(self.numbers[token], np.arange(piece.base, piece.end))
            self.ends[token] = np.append(self.ends[token], now + self.delays(piece.end - piece.base))

    def check(self) -> None:
        totals = self.core.totals()
        held = totals["queued"] + totals["in_flight"] + totals["dead"]
        allowed = FOLD[self.failure_rate > 0] * held * self.bytes / max(self.made, 1) + ALLOWANCE
        reached = reachable_bytes(self.core)
        assert reached < allowed, f"{reached:,} bytes for {totals}, over {allowed:,.0f}"


@pytest.mark.parametrize(
    ("kind", "failure_rate"), [("normal", 0.3), ("exponential", 0.0), ("lognormal", 0.1), ("some never end", 0.0)]
)
def test_what_is_kept_follows_what_is_held(kind, failure_rate):
    schedule = Schedule(kind, failure_rate, 20_000)
    for turn in range(350):
        schedule.turn(turn)
        if turn % 25 == 24:
            schedule.check()
    assert schedule.made == 20_000 and schedule.core.totals()["sent"] > 18_000
