"""A mesh whose faults are carried out while it runs, and one whose groups have caps."""

from __future__ import annotations

import numpy as np

from zsms.core.broker import BrokerLimits
from zsms.core.strikes import Fault
from zsms.launch.mesh import Mesh
from zsms.scenario import MeshConfig, SenderGroup


def test_faults_are_carried_out_and_told_and_nothing_is_lost() -> None:
    quick = SenderGroup("quick", 2, 200, mean=0.05, sd=0.005)
    capped = SenderGroup("capped", 1, 100, mean=0.05, sd=0.005, cap=500.0)
    faults = (
        Fault(0.6, "slow", "capped", lasts=0.5, factor=2.0),
        Fault(0.7, "fail", "quick", lasts=0.5, rate=0.5),
        Fault(0.8, "throttle", "capped", lasts=0.5, cap=50.0),
        Fault(1.0, "restart", "quick-1", lasts=0.5),
        Fault(1.2, "stop", "quick-2", lasts=0.3),
    )
    limits = BrokerLimits(liveness=1.0, max_attempts=5, retry_base=0.1)
    config = MeshConfig(messages=20_000, groups=(quick, capped), faults=faults, limits=limits, seed=3)
    report = Mesh(config).run()
    assert report.exit_code == 0 and report.problems == [] and report.messages.lost == 0
    assert report.messages.sent + report.messages.dead == 20_000
    assert [(row["what"], row["whom"]) for row in report.faults] == [
        ("slow", "capped-1"), ("fail", "quick-1"), ("fail", "quick-2"), ("throttle", "capped-1"),
        ("restart", "quick-1"), ("stop", "quick-2"),
    ]  # fmt: skip
    assert report.messages.redelivered > 0 and report.sends.failed > 0
    assert sum(process.name == "quick-1" for process in report.processes) == 2


def test_a_cap_holds_from_the_first_second_on() -> None:
    """In every second: tests/core/test_cap.py. From here a pause of a process looks like a second with too many."""
    group = SenderGroup("capped", 2, 500, delay="constant", mean=0.01, cap=1_000.0)
    config = MeshConfig(messages=4_000, groups=(group,), min_length=1, max_length=50, seed=1)
    report = Mesh(config).run()
    assert report.exit_code == 0 and report.wall_s is not None
    assert 3.9 < report.wall_s < 20, "4 s on a machine that has the time"
    # What comes late makes these fewer, and never more.
    assert np.all(np.array(report.series["sent"]) < 1_000 * np.array(report.series["t_s"]) + 60)
