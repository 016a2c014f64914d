"""The inverse: the least slots, processes or routes that make a deadline with a given confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from zsms.core.seeds import sequence
from zsms.errors import UsageError
from zsms.kinds import MAX_SECONDS
from zsms.options import checked
from zsms.plan.design import Design
from zsms.plan.outcome import Outcome
from zsms.plan.planner import BLOCK, Map, shares_at
from zsms.plan.replications import check_replications, replicate
from zsms.scenario import Group, Scenario, check

WHAT = ("slots", "processes", "routes")
REPLICATIONS = 40
MOST_REPLICATIONS = 10_000
"""More are not made for a confidence."""
_PRECISION = 0.005
"""Slots are found to so much of themselves."""
_MOST = 1_000_000.0
"""Times of what the scenario has; more is never tried."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What is least, and what that comes to."""

    what: str
    deadline_s: float
    share: float
    confidence: float
    least: int | None
    """Of all groups; None: no number does it."""
    groups: dict[str, int]
    """By group."""
    probability: float
    """Of making the deadline with that, or with the most that was tried."""
    cost: float
    """Of what is sent by the deadline."""
    tried: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@checked
def solve(
    scenario: Scenario,
    what: str,
    *,
    deadline: float,
    share: float = 0.99,
    confidence: float = 0.95,
    replications: int = REPLICATIONS,
    seed: int = 0,
    mapped: Map[Any, Any] = map,
) -> Solution:
    """The least of `what` (see `WHAT`, all groups in proportion) that delivers `share` of all messages within
    `deadline` seconds of the decision, in `confidence` of the replications. Raises UsageError for what can't be asked.

    Slots are those of each process, processes those of each group; routes are copies of each group with its caps
    (an account stays one). Bisection with common random numbers: each try has the same seed.
    """
    if what not in WHAT:
        raise UsageError(f"solve {what!r}: choose one of {', '.join(WHAT)}")
    if not 0 < share <= 1 or not 0 < confidence < 1:
        raise UsageError(f"share {share:g}, confidence {confidence:g}: give shares above 0, and a confidence below 1")
    if not 0 < deadline <= MAX_SECONDS:
        raise UsageError(f"deadline {deadline:g}: give seconds above 0, up to a year")
    check_replications(replications)
    # One replication more or less than asked for is no confidence: there must be some that may fail.
    if replications * (1 - confidence) < 1:
        replications = ceil(1 / (1 - confidence))
        if replications > MOST_REPLICATIONS:
            most = 1 - 1 / MOST_REPLICATIONS
            raise UsageError(f"confidence {confidence:g} takes {replications:,} replications: give up to {most:g}")
    search = _Search(_Wish(what, deadline, share), scenario, replications, seed, mapped)
    found = search.least(confidence)
    best = search.changed(found if found is not None else search.most)
    probability, cost = search.tries[found if found is not None else search.most]
    groups = {group.name: _amount(group, what, own) for group, own in zip(best.groups, scenario.groups, strict=True)}
    least = None if found is None else sum(groups.values())
    return Solution(
        what=what,
        deadline_s=deadline,
        share=share,
        confidence=confidence,
        least=least,
        groups=groups,
        probability=probability,
        cost=cost,
        tried=len(search.tries),
    )


def _amount(group: Group, what: str, own: Group) -> int:
    if what == "slots":
        return group.slots
    return group.senders if what == "processes" else group.senders // own.senders


def _run(task: tuple[Design, int, int, int]) -> Outcome:
    design, replications, seed, block = task
    return replicate(design, replications, sequence(seed, "plan", block))


class _Wish(NamedTuple):
    """What is to be found the least of, and for what."""

    what: str
    deadline: float
    share: float


class _Search:
    """Tries, each remembered."""

    def __init__(
        self,
        wish: _Wish,
        scenario: Scenario,
        replications: int,
        seed: int,
        mapped: Callable[..., Iterable[Any]],
    ) -> None:
        what, self.deadline, self.share = wish
        self.scenario, self.what = scenario, what
        self.replications, self.seed, self.mapped = replications, seed, mapped
        self.tries: dict[int, tuple[float, float]] = {}
        """Probability and cost by number."""
        groups = scenario.groups
        self.unit = {
            "slots": max(group.concurrency for group in groups),
            "processes": max(group.senders for group in groups),
            "routes": 1,
        }[what]
        limits = {"slots": 10_000_000, "processes": 1_000, "routes": 1_000}
        self.most = min(int(self.unit * _MOST), limits[what])
        if what == "routes":
            self.most = max(1, 1_000 // max(group.senders for group in groups))

    def changed(self, number: int) -> Scenario:
        """The scenario with that many of the group that has most, the others in proportion."""

        def more(group: Group) -> Group:
            factor = number / self.unit
            if self.what == "slots":
                return replace(group, concurrency=max(1, round(group.concurrency * factor)))
            if self.what == "processes":
                return replace(group, senders=max(1, round(group.senders * factor)))
            return replace(
                group,
                senders=group.senders * number,
                cap=None if group.cap is None else group.cap * number,
                burst=group.burst * number,
                daily_cap=None if group.daily_cap is None else group.daily_cap * number,
            )

        return replace(self.scenario, groups=tuple(map(more, self.scenario.groups)))

    def probability(self, number: int) -> float:
        """Of making it with so many."""
        if number not in self.tries:
            scenario = self.changed(number)
            check(scenario)
            design = Design(scenario, 2.0, until=self.deadline - scenario.lead)
            sizes = [min(BLOCK, self.replications - begin) for begin in range(0, self.replications, BLOCK)]
            tasks = [(design, size, self.seed, block) for block, size in enumerate(sizes)]
            outcomes = list(self.mapped(_run, tasks))
            shares = np.concatenate([shares_at(each, self.deadline - scenario.lead) for each in outcomes])
            prices = np.array([group.price for group in scenario.groups])
            cost = float(np.mean([(each.segments.mean(axis=1) * prices).sum() for each in outcomes]))
            self.tries[number] = float(np.mean(shares >= self.share - 1e-12)), cost
        return self.tries[number][0]

    def least(self, confidence: float) -> int | None:
        """The least number, or None."""
        low, high = 0, max(1, self.unit)
        while self.probability(high) < confidence:
            if high >= self.most:
                return None
            low, high = high, min(2 * high, self.most)
        while high - low > max(1, int(high * _PRECISION) if self.what == "slots" else 1):
            middle = (low + high) // 2
            if self.probability(middle) >= confidence:
                high = middle
            else:
                low = middle
        return high
