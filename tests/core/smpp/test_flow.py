"""Caps to the segment, and links that are slowed and not stopped; what statuses mean."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.smpp.flow import FREE_S, SLOWEST, Accepted, EvenCap, Flow
from zsms.core.smpp.statuses import CONSEQUENCES, NAMES, SENT, Consequences, name_of
from zsms.errors import UsageError
from zsms.message import Outcome


def simulated(rate: float, step: float, seconds: float, jitter: int = 0) -> list[tuple[float, int]]:
    cap, now, sent = EvenCap(rate), 100.0, []
    rng = np.random.default_rng(jitter)
    while now < 100.0 + seconds:
        count = cap.allowed(now)
        cap.take(count, now)
        if count:
            sent.append((now, count))
        now += step * (rng.random() * 2 if jitter else 1)
    return sent


@pytest.mark.parametrize("rate", [1.0, 3.0, 20.0, 100.0, 1000.0, 12_345.0])
@pytest.mark.parametrize("jitter", [0, 7])
def test_every_second_has_its_cap_and_no_more(rate: float, jitter: int) -> None:
    sent = simulated(rate, 0.002, 4.0, jitter)
    for begin in np.arange(100.0, 103.0, 0.31):
        count = sum(n for at, n in sent if begin <= at < begin + 1.0)
        assert count <= np.ceil(rate) * 1.01 + 1
        assert count >= rate * 0.99 - 1


def test_slow_rates_and_none() -> None:
    assert sum(n for _, n in simulated(0.1, 0.05, 60.0)) in (6, 7)
    cap = EvenCap()
    assert cap.allowed(0.0) > 1e8 and cap.next_time(0.0) is None


@given(st.floats(0.5, 5000), st.lists(st.floats(0, 0.4), min_size=1, max_size=60))
def test_a_late_turn_is_no_burst(rate: float, waits: list[float]) -> None:
    cap, now, sent = EvenCap(rate), 0.0, []
    for wait in waits:
        now += wait
        count = cap.allowed(now)
        cap.take(count, now)
        sent.append((now, count))
        at = cap.next_time(now)
        assert at is None or at > now
    for begin, _ in sent:
        assert sum(n for at, n in sent if begin <= at < begin + 0.989999) <= np.ceil(rate)


def test_a_throttled_link_is_slowed_and_not_stopped() -> None:
    """A gateway that bears 200 a second and refuses what is above."""
    flow, took, now, accepted, refused = Flow(), Accepted(3), 0.0, [], []
    bucket = 200.0
    while now < 60.0:
        bucket = min(200.0, bucket + 200.0 * 0.01)
        flow.poll(now)
        asked = min(flow.cap.allowed(now), 50)
        flow.cap.take(asked, now)
        good = min(asked, int(bucket))
        bucket -= good
        took.add(np.repeat([1, 2], [good, 7]), 1, now)
        if asked > good:
            flow.throttled(took.rate(1, now), now)
        accepted.append(good), refused.append(asked - good)
        now += 0.01
    late = slice(1000, None)
    assert sum(accepted[late]) / 50 > 0.75 * 200, "most of what it bears"
    assert sum(refused[late]) < 0.1 * sum(accepted[late])
    assert all(sum(accepted[at : at + 100]) for at in range(0, 5900, 100)), "never stopped"
    assert flow.slowed < 40


@given(st.lists(st.tuples(st.floats(0, 0.7), st.integers(0, 50)), min_size=1, max_size=60), st.booleans())
def test_what_was_accepted_in_the_last_second(steps: list[tuple[float, int]], together: bool) -> None:
    took, now, seen = Accepted(1), 1000.0, []
    for wait, count in steps:
        now += wait
        if together:
            took.add(np.zeros(count + 1, np.int64), np.arange(count + 1) < count, now)
        else:
            took.add(0, count, now)
        seen.append((now, count))
    first = next((at for at, count in seen if count), None)
    over = 1.0 if first is None else min(1.0, max(now - first, 0.05))
    least = sum(count for at, count in seen if at > now - 0.9)
    most = sum(count for at, count in seen if at >= now - 1.1)
    assert least / over - 1e-6 <= took.rate(0, now) <= most / over + 1e-6


def test_a_link_is_free_again() -> None:
    flow = Flow(500.0)
    flow.throttled(1e6, 1.0)
    assert flow.bounded and flow.cap.rate <= 400
    flow.poll(1.0 + FREE_S)
    assert flow.cap.rate == 500 and not flow.bounded
    flow.throttled(100.0, 40.0)
    assert flow.cap.rate == 80
    flow.poll(40.5)
    assert flow.cap.rate == 80, "nothing in the first second"
    for tenths in range(410, 460):
        flow.poll(tenths / 10)
    assert flow.cap.rate == pytest.approx(80 * 1.1 * 1.01**49)
    flow.throttled(200.0, 46.0)
    flow.throttled(10.0, 46.5)
    assert flow.cap.rate == pytest.approx(0.8 * 80 * 1.1 * 1.01**49), "once in a second"
    dead = Flow(inf)
    for second in range(100):
        dead.throttled(0.0, float(second) * 2)
    assert dead.cap.rate == SLOWEST


def test_what_statuses_mean() -> None:
    table = Consequences()
    status = np.array([0, 0x14, 0x58, 0x08, 0x64, 0x0B, 0x45, 0x401, 0x4FF, 0x500, 0xFFFFFFFF], np.uint32)
    codes = table.codes(status)
    assert codes[0] == SENT and codes[1:].tolist() == [
        outcome.code
        for outcome in [Outcome.THROTTLED] * 2 + [Outcome.TEMPORARY] * 2 + [Outcome.REJECTED] * 2 + [Outcome.FAILED] * 4
    ]
    assert name_of(0x58) == "ESME_RTHROTTLED (0x58)" and name_of(0x401) == "vendor's status 0x0401"
    assert "0x00000600" in name_of(0x600) and set(CONSEQUENCES) <= set(NAMES)


def test_the_table_is_the_user_s() -> None:
    changes = {"0x401": "temporary", "88": "rejected", "0x45": "sent", "0x10501": "sent", "0xFFFFFFFF": "rejected"}
    table = Consequences.edited(changes)
    codes = table.codes(np.array([0x401, 0x58, 0x45, 0x10501, 0xFFFFFFFF, 0x500], np.uint32))
    wanted = [Outcome.TEMPORARY.code, Outcome.REJECTED.code, SENT, SENT, Outcome.REJECTED.code, Outcome.FAILED.code]
    assert codes.tolist() == wanted
    for changes in ({"0": "sent"}, {"x": "sent"}, {"0x100000000": "sent"}, {"0x58": "perhaps"}):
        with pytest.raises(UsageError):
            Consequences.edited(changes)
