"""An independent simulation of a run, event by event, with SimPy: slots are processes, nothing is counted in ticks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import simpy

from zsms.scenario import Scenario


class Oracle:
    """One replication. Delays are drawn by numpy's own distributions."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.rng = np.random.default_rng(seed)
        self.env = simpy.Environment()
        self.queue: deque[int] = deque()
        self.idle: deque[simpy.Event] = deque()
        self.sent: list[float] = []
        self.dead = self.retried = 0
        self.held: dict[str, list[int]] = {}

    def put(self, attempt: int, front: bool = False) -> None:
        (self.queue.appendleft if front else self.queue.append)(attempt)
        if self.idle:
            self.idle.popleft().succeed()

    def slot(self, draw: Callable[[], float], failure: float, name: str) -> Any:
        held = self.held.setdefault(name, [])
        try:
            while True:
                while not self.queue:
                    event = self.env.event()
                    self.idle.append(event)
                    yield event
                attempt = self.queue.popleft()
                held.append(attempt)
                yield self.env.timeout(draw())
                held.remove(attempt)
                self.ended(attempt, failure)
        except simpy.Interrupt:
            return

    def ended(self, attempt: int, failure: float) -> None:
        if not failure or self.rng.random() >= failure:
            self.sent.append(self.env.now)
        elif attempt < self.scenario.retries.attempts:
            self.retried += 1
            self.env.process(self.again(attempt))
        else:
            self.dead += 1

    def again(self, attempt: int) -> Any:
        yield self.env.timeout(self.rng.uniform(0, self.scenario.retries.ceiling(attempt)))
        self.put(attempt + 1)

    def arrivals(self) -> Any:
        (stage,) = self.scenario.stages
        for number in range(self.scenario.messages):
            if self.scenario.poisson:
                yield self.env.timeout(self.rng.exponential(1 / stage.rate))
            elif number:
                yield self.env.timeout(1 / stage.rate)
            self.put(1)

    def killer(self, at: float, name: str, slots: list[Any]) -> Any:
        yield self.env.timeout(at)
        for slot in slots:
            slot.interrupt()
        yield self.env.timeout(self.scenario.liveness)
        for attempt in self.held.pop(name):
            self.put(attempt, front=True)

    def run(self) -> list[float]:
        """When each message was sent, ascending."""
        for group in self.scenario.groups:
            for process in group.processes:
                mean, sd = group.mean, group.model.deviation
                draws: dict[str, Callable[[], float]] = {
                    "constant": lambda mean=mean: mean,  # type: ignore[misc]
                    "exponential": lambda mean=mean: float(self.rng.exponential(mean)),  # type: ignore[misc]
                    "normal": lambda mean=mean, sd=sd: max(0.0, float(self.rng.normal(mean, sd))),  # type: ignore[misc]
                    "gamma": lambda mean=mean, sd=sd: float(  # type: ignore[misc]
                        self.rng.gamma((mean / sd) ** 2, sd * sd / mean)
                    ),
                }
                slots = [
                    self.env.process(self.slot(draws[group.delay], group.failure_rate, process))
                    for _ in range(group.concurrency)
                ]
                for fault in self.scenario.faults:
                    if fault.whom == process:
                        self.env.process(self.killer(fault.at, process, slots))
        if self.scenario.stages:
            self.env.process(self.arrivals())
        else:
            self.queue.extend([1] * self.scenario.messages)
        self.env.run()
        return self.sent
