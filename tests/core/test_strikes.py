"""When faults strike whom, and how a run got over them."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from zsms.core.strikes import Fault, Strike, Strikes
from zsms.errors import UsageError
from zsms.stats.recovery import Struck, recoveries

GROUPS = {"fast": ["fast-1", "fast-2", "fast-3", "fast-4"], "slow": ["slow-1"]}
OTHERS = ["broker", "producer-1", "stats"]


def test_a_fault_strikes_and_ends_each_in_its_time() -> None:
    faults = (Fault(5.0, "slow", "slow", lasts=2.0, factor=3.0), Fault(1.0, "throttle", "fast", cap=100.0, share=0.5))
    strikes = Strikes(faults, GROUPS, OTHERS)
    assert strikes.due(0.5) == [] and strikes.next_time() == 1.0
    assert strikes.due(1.2) == [Strike(1.0, 1, "throttle", name, False, 50.0) for name in ("fast-1", "fast-2")]
    assert strikes.due(1.2) == []
    assert strikes.due(10.0) == [
        Strike(5.0, 0, "slow", "slow-1", False, 3.0),
        Strike(7.0, 0, "slow", "slow-1", True, None),
    ]
    assert strikes.next_time() == inf


def test_who_is_killed_for_good_and_who_comes_back() -> None:
    strikes = Strikes((Fault(1.0, "kill", "fast-1"), Fault(2.0, "restart", "broker", lasts=3.0)), GROUPS, OTHERS)
    assert not strikes.comes_back("fast-1", 0.0)
    assert strikes.comes_back("broker", 4.9) and not strikes.comes_back("broker", 5.0)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(1.0, "kill", "fats"), "is nobody: there are fast, slow, broker"),
        (Fault(1.0, "explode", "fast"), "choose one of kill"),
        (Fault(-1.0, "kill", "fast"), "begins at 0 s or later"),
        (Fault(float("nan"), "kill", "fast"), "begins at 0 s or later"),
        (Fault(1.0, "stop", "fast"), "say its lasts"),
        (Fault(1.0, "stop", "fast", lasts=0.0), "more than nothing"),
        (Fault(1.0, "slow", "fast"), "say its factor"),
        (Fault(1.0, "fail", "fast"), "say its rate"),
        (Fault(1.0, "throttle", "fast"), "say its cap"),
        (Fault(1.0, "kill", "fast", share=0.0), "share 0"),
        (Fault(1.0, "slow", "broker", factor=2.0), "only senders can be made to slow"),
    ],
)
def test_faults_that_can_not_be_are_refused(fault: Fault, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Strikes((fault,), GROUPS, OTHERS)


def course(rate_at) -> dict[str, list[float]]:  # type: ignore[no-untyped-def]
    """A run's columns from messages a second by time, for 30 s."""
    times = np.arange(0, 30.01, 0.25)
    sent = np.concatenate([[0], np.cumsum([rate_at(t) * 0.25 for t in times[:-1]])])
    return {"t_s": times.tolist(), "sent": sent.tolist(), "redelivered": (50.0 * (times > 11)).tolist()}


def test_recovery_is_when_the_rate_is_back_and_behind_is_what_was_not_sent() -> None:
    columns = course(lambda t: 400.0 if 10 <= t < 14 else 1_000.0)
    (row,) = recoveries([Struck(10.0, "kill", "fast-1", None)], columns)
    assert row == {
        "at_s": 10.0, "what": "kill", "whom": "fast-1", "until_s": None, "rate_before_per_s": 1_000.0,
        "recovered_s": 4.0, "behind": 2_400, "redelivered": 50,
    }  # fmt: skip


def test_a_rate_that_never_comes_back_is_not_recovered_and_one_that_never_fell_is_at_once() -> None:
    struck = [Struck(10.0, "kill", "x", None)]
    assert recoveries(struck, course(lambda t: 1_000.0 if t < 10 else 700.0))[0]["recovered_s"] is None
    assert recoveries(struck, course(lambda t: 1_000.0))[0]["recovered_s"] == 0.0
    # The end of the work is not the fault's doing.
    assert recoveries(struck, course(lambda t: 1_000.0 if t < 25 else 0.0))[0]["recovered_s"] == 0.0


def test_what_a_run_is_too_short_to_tell_is_unknown() -> None:
    columns = course(lambda t: 1_000.0)
    assert recoveries([Struck(0.2, "kill", "x", None)], columns)[0]["rate_before_per_s"] is None
    nothing = {"t_s": [], "sent": [], "redelivered": []}
    assert recoveries([Struck(1.0, "stop", "x", 2.0)], nothing)[0]["recovered_s"] is None
    first, second = recoveries([Struck(5.0, "kill", "x", None), Struck(12.0, "kill", "y", None)], columns)
    assert (first["redelivered"], second["redelivered"]) == (50, 0)
