"""Failures on which the broker decides together a moment later, against those on which it decides at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.making import NOTHING, column, make_batch
from tests.core.places import places
from zsms.core.broker import BrokerCore, BrokerLimits, failures, window
from zsms.core.broker.failures import Failed
from zsms.core.broker.retries import DEFER
from zsms.message import Outcome
from zsms.wire.frames import Ack, JoinProducer, JoinSender

SLOTS = 40
OUTCOMES = st.sampled_from(
    [Outcome.FAILED, Outcome.THROTTLED, Outcome.TEMPORARY, Outcome.REJECTED, Outcome.UNCERTAIN, Outcome.UNANSWERED]
)
STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 2), st.integers(1, 30)),
    st.tuples(st.just("fail"), st.integers(0, 2**20), st.lists(OUTCOMES, min_size=1, max_size=4)),
    st.tuples(st.just("send"), st.integers(0, 2**20)),
    st.tuples(st.just("go"), st.booleans()),
    st.tuples(st.just("join again"), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.2, 4.0])),
)


class Run:
    """One broker, two producers and one sender at a time; no retry is due before the end."""

    def __init__(self, attempts: int, retry_base: float = 3_600.0) -> None:
        limits = BrokerLimits(max_attempts=attempts, retry_base=retry_base, retry_cap=3_600.0, lease=3.0)
        self.core = BrokerCore(limits, seed=1)
        self.now, self.token, self.made = 0.0, 0, {1: 0, 2: 0}
        for producer in self.made:
            self.core.producer_joined(b"p%d" % producer, JoinProducer(producer, 1, "producer", 0, 0.0), 0.0)
        self.join()

    def join(self) -> None:
        self.token += 1
        self.number, self.generation, self.done = 0, 1, set[int]()
        self.pieces = [0]
        self.core.sender_joined(b"s", JoinSender(self.token, 1, "sender", SLOTS, 0, 0.0, 0.0), self.now)
        self.ack(NOTHING, NOTHING)

    def ack(self, sent: np.ndarray, failed: np.ndarray, outcomes: Sequence[Outcome] = ()) -> None:
        """The failures have these outcomes in turn; where there are several, every other one has a reason."""
        self.done |= {*sent.tolist(), *failed.tolist()}
        codes = np.resize(np.array([outcome.code for outcome in outcomes], dtype=np.uint8), len(failed))
        reasons = (np.arange(len(failed)) % 2).astype(np.uint8)[: len(failed) if len(outcomes) > 1 else 0]
        how = Failed(codes, reasons, ["", "busy"]) if outcomes else None
        ack = Ack(self.token, self.number, len(self.done) + SLOTS, 0, sent, failed)
        assert self.core.acknowledged(b"s", ack, self.now, how)
        self.number += 1

    def some(self, which: int) -> np.ndarray:
        """Numbers that were granted, settled ones too."""
        count = self.core.sessions[self.token].granted
        return column(n for n in range(count) if which >> n % 20 & 1)

    def step(self, kind: str, *of: object) -> None:
        core = self.core
        if kind == "put":
            producer, count = of
            number = core.producers[producer].next
            batch = make_batch(count, producer=producer, number=number, first=self.made[producer])
            self.made[producer] += count
            core.put(batch, self.now)
        elif kind == "fail":
            self.ack(NOTHING, self.some(of[0]), of[1])
        elif kind == "send":
            self.ack(self.some(of[0]), NOTHING)
        elif kind == "go":
            if of[0]:
                core.left(b"s", self.now)
            self.join()
        elif kind == "join again":
            self.generation += 1
            received = self.pieces[-1 - min(of[0], len(self.pieces) - 1)]
            join = JoinSender(self.token, self.generation, "sender", SLOTS, received, 0.0, 0.0)
            if core.sender_joined(b"s", join, self.now) is None:
                self.join()
            else:
                self.done = {n for n in self.done if n < received}
                self.pieces = [base for base in self.pieces if base <= received]
                self.ack(NOTHING, NOTHING)
        else:
            self.now += of[0]
            core.alive(b"s", self.now)
            core.poll(self.now)
        self.pieces += [granted.piece.end for granted in core.grants(self.now)]

    def told(self) -> object:
        """Whatever can be said of it, its random draws but for."""
        totals = self.core.totals()
        held = Counter((message, fate.place, fate.attempt, fate.delivery) for message, fate in places(self.core))
        accounts = [(a.queued, a.in_flight, a.sent, a.failed, a.dead, a.balanced) for a in self.core.accounts()]
        reasons = Counter(letter.reason for letter in self.core.dead_letters for _ in range(letter.lot.size))
        sessions = [(s.in_flight, s.held, s.sent, s.failed) for s in self.core.sessions.values()]
        return totals, held, accounts, reasons, sessions, self.core.counters, self.core.idle


@pytest.mark.parametrize("attempts", [1, 2])
@given(steps=st.lists(STEP, max_size=25), looks=st.integers(0, 2**27))
def test_it_makes_no_difference_when_it_is_decided(attempts, steps, looks):
    at_once, later = Run(attempts), Run(attempts)
    for number, step in enumerate([("put", 2, 3), ("put", 1, 30), *steps]):
        for run, few in ((at_once, 10**9), (later, -1)):
            with patch.object(failures, "FEW", few), patch.object(window, "SPARSE_FROM", 4):
                run.step(*step)
        assert not at_once.core.sessions[at_once.token].held
        if looks >> number & 1:
            assert later.told() == at_once.told()
    assert later.core.idle == at_once.core.idle and later.core.full == at_once.core.full
    assert later.told() == at_once.told()


def test_what_failed_is_decided_on_within_a_moment():
    run = Run(2)
    run.step("put", 1, 30)
    with patch.object(failures, "FEW", -1):
        run.step("fail", 2**20 - 1, [Outcome.FAILED])
    core = run.core
    assert not core.idle and core.retries.messages == 0 and core.sessions[1].in_flight == 0
    assert core.next_time(run.now) == pytest.approx(DEFER) and not core.full
    core.limits = BrokerLimits(max_messages=30)
    assert core.full
    run.step("wait", 0.2)
    assert core.retries.messages == 30 and core.sessions[1].held == 0 and not core.idle


def test_what_is_given_up_for_several_reasons_is_a_letter_for_each():
    """However many acknowledgements they come by, for copying costs by letter and batch."""
    run = Run(2)
    run.step("put", 1, 30)
    for first in range(0, 30, 10):
        run.ack(NOTHING, column(range(first, first + 10)), [Outcome.REJECTED, Outcome.UNCERTAIN, Outcome.REJECTED])
    kept = {letter.reason: letter.lot.size for letter in run.core.dead_letters}
    assert kept == {"rejected": 12, "rejected: busy": 9, "uncertain": 3, "uncertain: busy": 6}
    assert len(run.core.dead_letters) == 4


@pytest.mark.parametrize(
    "then", [("go", True), ("join again", 0), ("join again", 1), ("wait", 0.06), ("put", 1, 30)], ids=str
)
def test_what_is_taken_back_is_not_what_failed(then):
    """A sender that leaves, joins again or outlasts its lease between a failure and the decision on it."""
    run = Run(2)
    run.step("put", 2, 3)
    run.step("put", 1, 30)
    run.step("wait", 2.0)
    run.step("wait", 0.95)
    with patch.object(failures, "FEW", -1):
        run.ack(NOTHING, column([0, 2, 3, 10, 32]))
        session = run.core.sessions[1]
        assert session.held == 5 and run.core.retries.messages == 0
        run.step(*then)
        run.ack(NOTHING, NOTHING)
    assert run.core.counters.redelivered == (28 if then[0] in ("go", "wait") else 0)
    totals = run.core.totals()
    assert session.held == 0 and run.core.retries.messages == 5
    again = Counter(
        (message.id.producer, message.attempt) for lot in run.core.retries.lots() for message in lot.messages()
    )
    assert again == {(2, 2): 2, (1, 2): 3}
    assert totals["queued"] + totals["in_flight"] == totals["accepted"] == 33 + 30 * (then[0] == "put")


def test_each_is_of_its_own_producer_and_failed_when_it_did():
    run = Run(2, retry_base=0.0)
    run.step("put", 2, 6)
    with patch.object(failures, "FEW", -1):
        run.ack(NOTHING, column([1, 4, 5]))
        run.now = 1.5
        run.ack(NOTHING, column([0, 2, 3]))
        run.step("put", 1, 4)  # nothing is in flight then
        run.core.totals()
    assert [(account.queued, account.in_flight) for account in run.core.accounts()] == [(0, 4), (6, 0)]
    rows = [row for lot in run.core.retries.lots() for row in lot.rows[["seq", "queued"]].tolist()]
    assert sorted(rows) == [(0, 1.5), (1, 0.0), (2, 1.5), (3, 1.5), (4, 0.0), (5, 0.0)]
