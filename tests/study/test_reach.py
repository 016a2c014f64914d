"""Times to reach a population, against a slot-by-slot simulation."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from study.reach import time_to_send


def slot_by_slot(population: int, slots: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    ends = rng.normal(1, 0.1, min(population, slots)).tolist()
    heapq.heapify(ends)
    for send in rng.normal(1, 0.1, max(0, population - slots)).tolist():
        heapq.heapreplace(ends, ends[0] + send)
    return max(ends)


@pytest.mark.parametrize(("population", "slots"), [(70_000, 40_000), (70_000, 10_000), (30_000, 1_000), (500, 40_000)])
def test_the_reckoned_time_is_that_of_a_simulation(population: int, slots: int) -> None:
    exact = np.mean([slot_by_slot(population, slots, seed) for seed in range(3)])
    assert time_to_send(population, slots, float(slots)) == pytest.approx(exact, rel=0.012)


def test_a_bounded_rate_hands_out_first_and_then_waits_for_the_last_send() -> None:
    assert time_to_send(7_000_000, 10_000_000, 5.25e6) == pytest.approx(7 / 5.25 + 1 + 0.45, abs=0.1)


def test_a_constant_send_takes_whole_rounds() -> None:
    assert time_to_send(10_000, 1_000, 1_000.0, sd=0.0) == pytest.approx(10.0, abs=0.02)


def test_millions_are_reckoned_in_no_time_and_at_the_rate_reached() -> None:
    assert time_to_send(340_000_000, 1, 0.99) == pytest.approx(340e6 / 0.99, rel=1e-3)
    assert time_to_send(340_000_000, 5_000_000, 4.99e6) == pytest.approx(69.1, abs=0.3)
