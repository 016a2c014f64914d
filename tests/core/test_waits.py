"""Arrivals, a queue and simulated slots, tick by tick as a sender turns them: waits beside Erlang's formula."""

from __future__ import annotations

from collections import deque
from math import exp, inf, lgamma, log, sqrt

import numpy as np
import pytest

from zsms.core.producer.pace import Pace, PoissonPace
from zsms.core.seeds import sequence
from zsms.core.sender.slots import Slots
from zsms.stats.delay import DelayModel

MEAN_S = 0.2
PRODUCERS = 3


def erlang_c(slots: int, rho: float) -> float:
    """The share of arrivals that wait (A. K. Erlang, 1917)."""
    load = slots * rho
    terms = [exp(k * log(load) - lgamma(k + 1)) for k in range(slots)]
    last = exp(slots * log(load) - lgamma(slots + 1)) / (1 - rho)
    return last / (sum(terms) + last)


def waits(paces: list[PoissonPace] | list[Pace], slots: Slots, messages: int) -> np.ndarray:
    """How long each message waited for a slot, from when it was due; the clock jumps from one event to the next."""
    made, queue, found = [0] * len(paces), deque(), []
    now = 0.0
    arrivals = [pace.time_of(0) for pace in paces]
    while len(found) < messages:
        freed = slots.next_time()
        now = max(now, min(min(arrivals), inf if freed is None else freed))
        if freed is not None and freed <= now:
            slots.advance(now)
        for place, due in enumerate(arrivals):
            if due <= now:
                queue.append(due)
                made[place] += 1
                arrivals[place] = paces[place].time_of(made[place])
        if not queue:
            continue
        count = min(slots.free, len(queue))
        if count:
            ages = np.array([now - queue.popleft() for _ in range(count)], dtype=np.float32)
            slots.start(np.arange(count, dtype=np.uint64), ages, now)
            found.extend(ages.tolist())
    return np.array(found[:messages])


@pytest.mark.parametrize("slots", [10, 100])
@pytest.mark.parametrize("rho", [0.7, 0.9, 0.95])
def test_waits_at_poisson_arrivals_of_several_producers_agree_with_erlang_c(slots: int, rho: float) -> None:
    rate = slots * rho / MEAN_S
    paces = [PoissonPace(rate / PRODUCERS, 0.0, sequence(slots, place)) for place in range(PRODUCERS)]
    found = waits(paces, Slots(slots, DelayModel("exponential", MEAN_S), seed=int(100 * rho)), 8_000)
    right = erlang_c(slots, rho) * MEAN_S / (slots * (1 - rho))
    batches = found.reshape(16, -1).mean(axis=1)
    error = max(batches.std(ddof=1) / sqrt(len(batches)), 5e-6)  # where hardly anybody waits, few crowds tell of none
    assert found.mean() == pytest.approx(right, abs=3.5 * error)


def test_even_arrivals_of_even_sends_never_wait_below_capacity() -> None:
    found = waits([Pace(45.0, 0.0)], Slots(10, DelayModel("constant", MEAN_S), seed=1), 3_000)
    assert found.max() < 0.01  # but for a tick


def test_several_producers_are_poisson_together() -> None:
    dues = []
    for place in range(5):
        pace = PoissonPace(20.0, 0.0, sequence(1, place))
        made = 0
        while pace.time_of(made) < 400:
            dues.append(pace.time_of(made))
            made += 1
    gaps = np.sort(np.diff(np.sort(dues)))
    n = len(gaps)
    assert n == pytest.approx(40_000, abs=4 * sqrt(40_000))
    law = 1 - np.exp(-gaps * 100)
    assert max(np.abs(law - np.arange(1, n + 1) / n).max(), np.abs(law - np.arange(n) / n).max()) < 1.63 / sqrt(n)
    counts = np.bincount(np.array(dues).astype(int), minlength=400)[:400]
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1.0, abs=4 * sqrt(2 / 400))
