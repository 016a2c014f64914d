"""The asyncio baseline, run small, and its steady window on schedules whose rate is known."""

from __future__ import annotations

import heapq
import json
import random
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BASELINE = Path(__file__).parents[2] / "examples" / "baseline_asyncio.py"


def baseline(*options: object) -> subprocess.CompletedProcess[str]:
    """Run the example as a user would."""
    command = [sys.executable, str(BASELINE), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_report_adds_up() -> None:
    done = baseline("--concurrency", 100, "--messages", 1000, "--mean", 0.01, "--sd", 0.001, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["design"], report["concurrency"], report["messages"]) == ("asyncio", 100, 1000)
    # 10 sends of 0.01 s by each of 100 tasks last 0.1 s: fewer tasks at work would take longer,
    # and sends that do not wait would take less. The upper bound forgives a busy machine.
    assert 0.09 < report["wall_s"] < 20
    assert report["throughput_per_s"] == pytest.approx(1000 / report["wall_s"])
    assert report["efficiency"] == pytest.approx(1000 * 0.01 / (100 * report["wall_s"]))
    steady = report["steady"]
    assert steady["efficiency"] == pytest.approx(steady["throughput_per_s"] * 0.01 / 100)
    assert 0 < steady["efficiency"] < 1.05
    assert 0 < report["cpu_s"] < report["wall_s"] + 0.1
    assert report["rss_max_bytes"] > 1 << 20
    assert report["python"] == sys.version.split()[0]


def test_a_run_too_short_for_a_steady_window_says_so() -> None:
    report = json.loads(baseline("--concurrency", 10, "--messages", 24, "--mean", 0).stdout)
    assert report["steady"] == {"throughput_per_s": None, "efficiency": None, "seconds": None}
    assert report["messages"] == 24


@pytest.mark.parametrize("bad", [("--concurrency", 0), ("--mean", "nan"), ("--messages", "many")])
def test_bad_usage_is_refused_in_words(bad: tuple[str, object]) -> None:
    done = baseline(*bad)
    assert done.returncode == 2
    assert bad[0] in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "delay",
    [
        pytest.param(lambda rng: 1.0, id="constant"),
        pytest.param(lambda rng: rng.gauss(1, 0.03), id="nearly constant"),
        pytest.param(lambda rng: rng.expovariate(1), id="exponential"),
    ],
)
@pytest.mark.parametrize(("rounds", "late"), [(3, 0.0), (10, 0.0), (10, 0.25)])
def test_the_steady_window_is_unbiased(
    monkeypatch: pytest.MonkeyPatch, delay: Callable[[random.Random], float], rounds: int, late: float
) -> None:
    """Senders in virtual time, ideal or a quarter of each send late: the efficiency must come out as 1 or as 0.8."""
    senders, rng = 1_000, random.Random(3)
    module: dict[str, Any] = runpy.run_path(str(BASELINE))
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    tally = module["Tally"](rounds * senders, senders, 1.0)
    ends: list[tuple[float, int]] = []
    for begun in range(rounds * senders):
        if begun < senders:
            sender = begun
        else:
            now, sender = heapq.heappop(ends)
            tally.end(sender)
        asked = delay(rng)
        tally.begin(sender, asked)
        heapq.heappush(ends, (now + asked * (1 + late), sender))
    steady = tally.steady()
    share = 1 / (1 + late)
    assert steady["efficiency"] == pytest.approx(share, rel=0.03 if late else 0.001)
    assert steady["throughput_per_s"] == pytest.approx(steady["efficiency"] * senders)
