"""A route's own queue behind simulated slots: what it takes, refuses and loses, and what it tells of that."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.sender.route import Answers, Route, RouteLaw, fresh_route, with_refusals
from zsms.core.sender.slots import Slots
from zsms.errors import UsageError
from zsms.message import Delivery, Outcome
from zsms.stats.delay import DelayModel
from zsms.transports.simulated import QUEUE_FULL, SimulatedTransport

RNG = np.random.default_rng(1)
ones = np.ones


def answered(route: Route, count: int, now: float) -> list[bool]:
    return (~route.answer(ones(count, np.int64), now, RNG).refused).tolist()


def test_a_queue_takes_what_it_has_room_for_and_sends_at_its_cap() -> None:
    route = Route(RouteLaw(10.0, 0.5))
    assert answered(route, 7, 100.0) == [True] * 5 + [False] * 2
    told = route.receipts()
    assert told is not None and route.receipts() is None
    assert told.outcomes.tolist() == [Delivery.DELIVERED.value] * 5
    assert told.took.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert answered(route, 3, 100.2) == [True, True, False]
    assert route.refused == 3


def test_one_that_loses_what_it_has_no_room_for_tells_of_it() -> None:
    route = Route(RouteLaw(10.0, 0.5, "expire"))
    assert answered(route, 7, 0.0) == [True] * 7 and route.refused == 0
    told = route.receipts()
    assert told is not None
    assert told.outcomes.tolist() == [Delivery.DELIVERED.value] * 5 + [Delivery.EXPIRED.value] * 2
    assert (told.took[5:] < 0).all()


def test_a_share_reaches_no_handset() -> None:
    route = Route(RouteLaw(delivered=0.75))
    assert answered(route, 10_000, 0.0) == [True] * 10_000
    told = route.receipts()
    assert told is not None and not told.took.any()
    assert (told.outcomes == Delivery.UNDELIVERED.value).mean() == pytest.approx(0.25, abs=0.02)


def test_a_throttled_queue_is_drained_at_the_senders_parts_together_until_it_is_over() -> None:
    state = fresh_route(RouteLaw(10.0, 1.0), 2)
    one, other = Route(RouteLaw(10.0, 1.0), state), Route(RouteLaw(10.0, 1.0), state)
    assert answered(one, 10, 0.0) == [True] * 10
    one.change(1.0, 0.0)  # two senders, so 2 a second
    other.change(1.0, 0.0)
    assert answered(other, 4, 1.0) == [True, True, False, False]
    one.change(0.0, 1.0)
    assert answered(one, 12, 2.0) == [True] * 10 + [False] * 2


@given(st.lists(st.tuples(st.floats(0, 2), st.lists(st.integers(1, 5), max_size=20)), max_size=20), st.floats(0.5, 20))
def test_a_queue_never_holds_more_nor_sends_faster(turns: list[tuple[float, list[int]]], cap: float) -> None:
    route, now, taken = Route(RouteLaw(cap, 10.0)), 0.0, 0
    for passed, segments in turns:
        now += passed
        sizes = np.array(segments, np.int64)
        taken += int(sizes[~route.answer(sizes, now, RNG).refused].sum())
        assert taken <= cap * (10.0 + now) + 1e-6


def test_slots_hear_at_the_end_of_a_send_what_the_route_says() -> None:
    for when_full, outcome in (("reject", Outcome.FAILED), ("throttle", Outcome.THROTTLED)):
        route = Route(RouteLaw(1.0, 6.0, when_full))
        slots = Slots(10, DelayModel("constant", 0.1), permanent_rate=0.0, route=route, seed=1)
        transport = SimulatedTransport(slots)
        slots.start(np.arange(4, dtype=np.uint64), 0.0, 0.0, segments=np.array([2, 2, 2, 1]))
        finished = transport.finished(0.2)
        assert finished is not None
        assert finished.sent.tolist() == [0, 1, 2] and finished.failed.tolist() == [3]
        assert finished.outcomes.tolist() == ([] if outcome is Outcome.FAILED else [outcome.code])
        assert [(row.reason, row.sends) for row in transport.failures] == [(QUEUE_FULL, 1)]
        told = transport.receipts()
        assert told is not None and told.took.tolist() == [2.0, 4.0, 6.0]


def test_refusals_stand_beside_what_was_drawn_to_fail() -> None:
    fails = np.array([True, False, True, False, False])
    codes = np.array([Outcome.REJECTED.code, Outcome.FAILED.code], np.uint8)
    answers = Answers(np.array([False, True, True]), Outcome.THROTTLED.code)
    both, told = with_refusals(fails, codes, answers)
    assert both.tolist() == [True, False, True, True, True]
    throttled = Outcome.THROTTLED.code
    assert told.tolist() == [Outcome.REJECTED.code, Outcome.FAILED.code, throttled, throttled]
    assert with_refusals(fails, codes, Answers(np.zeros(3, bool), 0))[1] is codes


@pytest.mark.parametrize(
    ("law", "why"),
    [
        (RouteLaw(queue=1.0), "needs a cap"),
        (RouteLaw(1.0, queue=0.0), "above 0"),
        (RouteLaw(1.0, queue=1e9), "up to a day"),
        (RouteLaw(1.0, queue=0.5), "less than one segment"),
        (RouteLaw(when_full="drop"), "choose one of reject, throttle, expire"),
        (RouteLaw(delivered=0.0), "above 0, up to 1"),
    ],
)
def test_a_route_that_can_not_be_is_refused(law: RouteLaw, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        Route(law)
