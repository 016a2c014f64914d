"""What senders measure of their messages, beside an account of each message that shares no code with them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from zsms import BrokerLimits, DelayModel
from zsms.stats.histogram import Histogram
from zsms.testing import StubMesh

TICK_S = 0.01


def totals(mesh: StubMesh) -> Histogram:
    """Total times, as the senders measured them."""
    whole = Histogram()
    for sender in mesh.senders.values():
        whole.merge(sender.transport.times.total)
    return whole


def accounted(mesh: StubMesh) -> np.ndarray:
    """From when each message was put, at 0, to the end of its last attempt; float64[messages], ascending."""
    last: dict[object, float] = defaultdict(float)
    for attempt in mesh.sends:
        last[attempt.message.id] = max(last[attempt.message.id], attempt.ended)
    return np.sort(list(last.values()))


@pytest.mark.parametrize(("slots", "base"), [(3_000, 2.0), (500, 0.5)])
def test_total_times_go_through_all_attempts_and_are_of_messages(slots: int, base: float) -> None:
    limits = BrokerLimits(max_attempts=3, retry_base=base)
    mesh = StubMesh(senders=2, slots=slots, delay=DelayModel("normal", 0.5), failure_rate=0.5, limits=limits, seed=5)
    mesh.put(5_000)
    mesh.join()
    measured, exact = totals(mesh), accounted(mesh)
    assert measured.count == len(exact) == 5_000, "one for each message, however often it was sent"
    assert measured.mean == pytest.approx(exact.mean(), rel=2e-3)
    for q in (0.5, 0.9, 0.99):
        assert measured.quantile(q) == pytest.approx(exact[int(q * 5_000) - 1], rel=0.01)
    assert measured.max == pytest.approx(exact[-1], abs=2 * TICK_S)
    if slots > 5_000 / 2:  # nobody waits for a slot: the sum of the sends and of the backoffs
        right = 0.5 * 1.75 + 0.5 * base / 2 + 0.25 * base
        assert measured.mean == pytest.approx(right, rel=0.05)


def test_what_a_sender_took_along_is_timed_from_when_it_was_due() -> None:
    """Ten of twenty are taken back after the liveness time, and begin when a slot is free."""
    mesh = StubMesh(senders=2, slots=10, delay=DelayModel("constant", 1.0), limits=BrokerLimits(liveness=1.5), seed=1)
    mesh.put(20)
    mesh.advance(0.5)
    mesh.kill("sender-1")
    mesh.join()
    assert mesh.counts["redelivered"] == 10
    measured = totals(mesh)
    assert measured.count == 20 and measured.min == pytest.approx(1.0, abs=2 * TICK_S)
    # Silent since 0.5 s at the latest, given up 1.5 s later at the earliest, a second of sending.
    assert 2.5 <= measured.max <= 0.5 + 1.5 + 1.0 + 0.5
    assert measured.mean == pytest.approx((1.0 + measured.max) / 2, abs=2 * TICK_S)
