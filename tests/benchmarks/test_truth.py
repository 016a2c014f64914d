"""The oracle of benchmarks/truth.py, against closed forms."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest

_PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "truth.py"
_SPEC = importlib.util.spec_from_file_location("benchmarks_truth", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
truth = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = truth
_SPEC.loader.exec_module(truth)


def test_constant_sends_go_in_rounds() -> None:
    found = truth.simulate(truth.Case((truth.Group(10, "constant", 2.0, 0.0),), 50), 1)
    assert [found[f"reach {share}"] for share in truth.SHARES] == [6.0, 10.0, 10.0, 10.0]
    assert found["queue"] == 4.0 and found["total"] == 6.0 and found["steady"] == 5.0


def test_exponential_sends_take_their_closed_form() -> None:
    """The whole takes m (N / C - 1) + m H_C."""
    case = truth.Case((truth.Group(20, "exponential", 1.0, 1.0),), 200)
    ends = [truth.simulate(case, seed)["reach p100"] for seed in range(200)]
    right = 200 / 20 - 1 + sum(1 / k for k in range(1, 21))
    assert abs(statistics.fmean(ends) - right) < 4 * statistics.stdev(ends) / 200**0.5


def test_even_arrivals_of_constant_sends_below_capacity_never_wait() -> None:
    found = truth.simulate(truth.Case((truth.Group(10, "constant", 0.2, 0.0),), 1_000, rate=45), 1)
    assert found["queue"] == 0 and found["total"] == pytest.approx(0.2) and found["steady"] is None


def test_poisson_arrivals_wait_as_erlang_says() -> None:
    """M/M/2 at a load of 0.5: each waits a third of a mean send, on average."""
    case = truth.Case((truth.Group(2, "exponential", 1.0, 1.0),), 3_000, rate=1.0, poisson=True)
    waits = [truth.simulate(case, seed)["queue"] for seed in range(24)]
    assert abs(statistics.fmean(waits) - 1 / 3) < 4 * statistics.stdev(waits) / 24**0.5


def test_retries_wait_for_their_backoff_and_for_no_slot() -> None:
    """0.5 + half of (0.5 + 1 on average) + a quarter of (0.5 + 2 on average)."""
    case = truth.Case((truth.Group(4_000, "constant", 0.5, 0.0),), 4_000, failures=0.5, attempts=3, base=2.0)
    found = truth.simulate(case, 1)
    assert found["queue"] == 0
    assert found["total"] == pytest.approx(0.5 + 0.5 * 1.5 + 0.25 * 2.5, rel=0.03)
    assert found["reach p99"] is None  # one in eight is given up


@pytest.mark.parametrize("delay", ["normal", "exponential", "lognormal", "gamma", "weibull"])
def test_drawn_sends_have_their_moments(delay: str) -> None:
    sd = 1.0 if delay == "exponential" else 0.5 if delay != "normal" else 0.1
    drawn = truth.drawer(truth.Group(1, delay, 1.0, sd))(np.random.default_rng(1), 200_000)
    assert drawn.mean() == pytest.approx(1.0, abs=0.01) and drawn.std() == pytest.approx(sd, rel=0.02)


def test_a_figure_is_right_within_one_percent_or_three_standard_errors() -> None:
    assert truth.within(1.009, [1.0, 0.0]) and not truth.within(1.011, [1.0, 0.0])
    assert truth.within(1.2, [1.0, 0.1]) and not truth.within(None, [1.0, 0.1]) and truth.within(None, None)


def test_there_are_24_cases_and_only_those_with_a_backlog_have_a_steady_time() -> None:
    assert len(truth.CASES) == 24
    without = {name for name, case in truth.CASES.items() if not case.backlog}
    assert without == {"retries-idle", "mixed-short", "rate-0.7", "rate-0.9", "rate-0.9-poisson", "rate-constant"}
