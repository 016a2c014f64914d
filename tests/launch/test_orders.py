"""Faults, carried out on processes that are none."""

from __future__ import annotations

import signal
from typing import Any

from zsms.core.strikes import Fault
from zsms.launch.orders import Faults
from zsms.scenario import MeshConfig, SenderGroup


class Process:
    def __init__(self, name: str) -> None:
        self.name = name
        self.signals: list[int] = []

    def signal(self, number: int) -> None:
        self.signals.append(number)


class Processes:
    def __init__(self, *names: str) -> None:
        self.all = [Process(name) for name in names]


def test_who_is_stopped_for_longer_than_the_run_goes_on_at_its_end_and_can_leave() -> None:
    stops = (
        Fault(1.0, "stop", "g-1", lasts=60.0),
        Fault(1.0, "stop", "g-2", lasts=1.5),
        Fault(50.0, "stop", "g-3", lasts=60.0),
    )
    config = MeshConfig(messages=10, groups=(SenderGroup("g", 3, 5),), faults=stops)
    processes: Any = Processes("g-1", "g-2", "g-3")
    faults = Faults(config, processes, lambda text: None)
    faults.strike(3.0)
    both = [signal.SIGSTOP, signal.SIGCONT]
    assert [each.signals for each in processes.all] == [[signal.SIGSTOP], both, []]
    faults.end()
    faults.end()
    assert [each.signals for each in processes.all] == [both, both, []] and len(faults.struck) == 2
