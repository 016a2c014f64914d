"""From replications of the twin to what a planner wants to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from math import ceil, inf, isfinite
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from zsms import __version__
from zsms.core.seeds import sequence
from zsms.errors import UsageError
from zsms.options import checked
from zsms.plan.design import Design
from zsms.plan.outcome import Limit, Outcome
from zsms.plan.replications import check_replications, replicate
from zsms.scenario import Group, Scenario, check, load

F64 = npt.NDArray[np.float64]
A = TypeVar("A")
B = TypeVar("B")
Map = Callable[[Callable[[A], B], Iterable[A]], Iterable[B]]

SCHEMA = "zsms-plan/1"
"""Of the JSON: docs/plan.schema.json. Within a version fields may be added, and none changes its meaning."""
REPLICATIONS = 20
BLOCK = 10
"""Replications that are computed side by side. Part of what a seed means."""
SHARES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "p100": 1.0}
_POINTS = 400
"""Of the curve."""
_ROUGH, _ROUGHLY = 2.0, 3
"""Variants are compared with each other in ticks that are so many times longer, over so many replications."""


class Band(NamedTuple):
    """A figure's 10th, 50th and 90th percentile over the replications; None: not in so many of them."""

    p10: float | None
    p50: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class Deadline:
    """What is so at a deadline."""

    deadline_s: float
    share: float
    """That is asked for."""
    reached: Band
    """The share of all messages that has been delivered by then."""
    probability: float
    """The share of replications that make it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One group. Counts are means over the replications."""

    name: str
    processes: int
    slots: int
    delivered: float
    """Messages."""
    sends: float
    segments: float
    """Accepted, which are those that are paid."""
    cost: float
    use: float | None
    """Share of the slots' time that they were busy."""
    rates_per_s: dict[str, float]
    """Sends a second that each of its limits alone allows."""
    binds: str | None
    """What keeps it from more while messages wait; None: nothing did."""
    next: str | None
    """What would, if that didn't."""
    limited_s: dict[str, float]


@dataclass(frozen=True, slots=True)
class Variant:
    """The same with one thing changed."""

    change: str
    p50_s: float | None
    p99_s: float | None
    """Medians."""
    later_s: float | None
    """By how much 99 % come later than without the change; None: one of both never comes."""
    reached: float | None
    """Median share at the first deadline, if there is one."""
    cost: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scenario comes to. Times in seconds from the first send on; `deadlines` count from the decision, `lead_s`
    before."""

    scenario: str
    messages: int
    slots: int
    replications: int
    seed: int
    tick_s: float
    lead_s: float
    reach_s: dict[str, Band]
    """By share: when so many of all messages had been delivered."""
    accepted_s: dict[str, Band]
    """And when gateways had taken so many, which is what a run tells."""
    deadlines: tuple[Deadline, ...]
    counts: dict[str, float]
    """Means: accepted, delivered, failed, expired, undelivered, lost, unsent, retried, redelivered, duplicates."""
    routes: tuple[Route, ...]
    segments: float
    cost: float
    binds: str
    next: str | None
    faults: tuple[Variant, ...]
    """What each fault costs: how it were without it. `later_s`: by how much the fault makes 99 % later."""
    sensitivity: tuple[Variant, ...]
    curve: dict[str, Any] = field(repr=False)
    """at_s, and the share reached by then: p10, p50, p90, and by route the mean."""
    relied_on: tuple[str, ...]
    struck: tuple[dict[str, Any], ...] = ()
    """Each fault, in words, and when."""
    solution: Any = None
    """A :class:`zsms.plan.search.Solution`, if one was asked for."""
    against: Any = ()
    """Rows of :mod:`zsms.plan.against`, if a report was given."""

    def to_json(self) -> dict[str, Any]:
        """Plain values: docs/plan.schema.json."""
        body = {"schema": SCHEMA, "version": __version__, **asdict(self)}
        for key in ("deadlines", "routes", "faults", "sensitivity", "relied_on", "struck", "against"):
            body[key] = list(body[key])
        for name in ("reach_s", "accepted_s"):
            body[name] = {share: band._asdict() for share, band in getattr(self, name).items()}
        for found, own in zip(body["deadlines"], self.deadlines, strict=True):
            found["reached"] = own.reached._asdict()
        return body

    def dumps(self) -> str:
        """As a text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"


class _Task(NamedTuple):
    design: Design
    replications: int
    seed: int
    block: int


def _run(task: _Task) -> Outcome:
    return replicate(task.design, task.replications, sequence(task.seed, "plan", task.block))


@checked
def plan(
    scenario: Scenario | str,
    *,
    replications: int = REPLICATIONS,
    seed: int | None = None,
    variants: bool = True,
    mapped: Map[Any, Any] = map,
    progress: Callable[[float], None] | None = None,
) -> Plan:
    """Plan a scenario, or the one of a file. Raises UsageError for what can't be.

    `seed`: by default the scenario's, or 0. `variants`: say what faults cost and what changes would do, too. `mapped`
    is like the built-in map and may compute in several processes; `progress` is told the share that is done.
    """
    scenario = load(scenario) if isinstance(scenario, str) else scenario
    check(scenario)
    for group in scenario.groups:
        if group.gateway is not None:
            raise UsageError(
                f"group {group.name!r}: a plan can't know the gateway {group.gateway}: leave it out, and say how many "
                "messages it takes at a time and for how long (concurrency, mean, sd)"
            )
    check_replications(replications)
    if scenario.messages < 1:
        raise UsageError("messages 0: there is nothing to plan")
    seed = (scenario.seed or 0) if seed is None else seed
    design = Design(scenario)
    sizes = [min(BLOCK, replications - begin) for begin in range(0, replications, BLOCK)]
    tasks = [_Task(design, size, seed, block) for block, size in enumerate(sizes)]
    labels, changed = _variants(scenario, design) if variants else ([], [])
    rough = min(replications, _ROUGHLY)
    tasks += [_Task(Design(each, _ROUGH), rough, seed, 0) for each in changed]
    outcomes = []
    for number, outcome in enumerate(mapped(_run, tasks), 1):
        outcomes.append(outcome)
        if progress is not None:
            progress(number / len(tasks))
    blocks, others = outcomes[: len(sizes)], outcomes[len(sizes) :]
    return _made(design, blocks, replications, seed, list(zip(labels, changed, others, strict=True)))


# -- what is compared -------------------------------------------------------------------------------------------------

_BASE = "as it is"
_MOST_WITHOUT = 12
"""A plan is also made without a group, for so many groups: each costs as much as a plan."""


def _variants(scenario: Scenario, design: Design) -> tuple[list[str], list[Scenario]]:
    """The scenario as it is, without each of its faults, and with one thing changed each."""
    found = [(_BASE, scenario)]
    for number, fault in enumerate(scenario.faults):
        others = scenario.faults[:number] + scenario.faults[number + 1 :]
        found.append((f"fault: {fault}", replace(scenario, faults=others)))
    if len(scenario.groups) > 1:
        able = sorted(scenario.groups, key=lambda group: -design.rates(group)["all"])[:_MOST_WITHOUT]
        for group in (each for each in scenario.groups if each in able):
            without = _without(scenario, group.name)
            if without is not None:
                found.append((f"without {group.name}", without))

    def all_groups(label: str, **change: Callable[[Group], Any]) -> None:
        groups = tuple(replace(g, **{name: of(g) for name, of in change.items()}) for g in scenario.groups)
        if groups != scenario.groups:
            found.append((label, replace(scenario, groups=groups)))

    all_groups("latency + 20 %", mean=lambda g: g.mean * 1.2, sd=lambda g: g.model.deviation * 1.2)
    all_groups("slots - 20 %", concurrency=lambda g: max(1, round(g.concurrency * 0.8)))
    all_groups("slots + 20 %", concurrency=lambda g: round(g.concurrency * 1.2))
    all_groups("caps halved (a lower tier)", cap=lambda g: None if g.cap is None else g.cap / 2)
    all_groups("caps doubled (a higher tier)", cap=lambda g: None if g.cap is None else g.cap * 2)
    all_groups("failures doubled", failure_rate=lambda g: min(2 * g.failure_rate, 1 - g.permanent_rate))
    return [label for label, _ in found], [each for _, each in found]


def _without(scenario: Scenario, name: str) -> Scenario | None:
    """The scenario without a group; None where an audience has no other."""
    audiences = []
    for audience in scenario.audiences:
        routes = tuple(route for route in audience.routes if route[0] != name)
        if audience.routes and not routes:
            return None
        whole = sum(share or 0.0 for _, share in routes)
        if whole:
            routes = tuple((route, (share or 0.0) / whole) for route, share in routes)
        audiences.append(replace(audience, routes=routes))
    group = scenario.group(name)
    faults = tuple(f for f in scenario.faults if f.whom != name and f.whom not in group.processes)
    groups = tuple(each for each in scenario.groups if each.name != name)
    used = {each.account for each in groups}
    accounts = tuple(account for account in scenario.accounts if account.name in used)
    return replace(scenario, groups=groups, accounts=accounts, audiences=tuple(audiences), faults=faults)


# -- from counts to figures --------------------------------------------------------------------------------------------


def times(outcome: Outcome, share: float, taken: bool = False) -> F64:
    """When that share of all messages had been delivered, float64[replications]; infinite where it never was.

    `taken`: when gateways had accepted it.
    """
    wanted = ceil(round(share * outcome.messages, 6))
    curve = outcome.taken if taken else outcome.reached
    found = np.full(curve.shape[1], inf)
    for replication in range(len(found)):
        place = int(np.searchsorted(curve[:, replication], wanted))
        if place < len(outcome.at):
            found[replication] = outcome.at[place]
    return found


def shares_at(outcome: Outcome, at: float) -> F64:
    """The share that had been delivered by then, float64[replications]."""
    place = int(np.searchsorted(outcome.at, at + 1e-9, side="right")) - 1
    if place < 0:
        return np.zeros(outcome.reached.shape[1])
    share: F64 = outcome.reached[place] / max(outcome.messages, 1)
    return share


def band(values: F64) -> Band:
    """Percentiles of a figure over replications; infinite ones are None."""
    found = np.quantile(values, (0.1, 0.5, 0.9), method="inverted_cdf")
    return Band(*(round(float(value), 6) if isfinite(value) else None for value in found))


def _together(outcomes: list[Outcome], name: str) -> F64:
    return np.concatenate([getattr(outcome, name) for outcome in outcomes], axis=-1).astype(np.float64)


def _mean_of(outcomes: list[Outcome], name: str) -> F64:
    """The mean over replications of a figure that each block has the mean of."""
    sizes = [outcome.reached.shape[1] for outcome in outcomes]
    mean: F64 = np.average([getattr(outcome, name) for outcome in outcomes], axis=0, weights=sizes)
    return mean


def _made(
    design: Design,
    blocks: list[Outcome],
    replications: int,
    seed: int,
    others: list[tuple[str, Scenario, Outcome]],
) -> Plan:
    scenario = design.scenario
    reach, taken = (
        {name: band(np.concatenate([times(b, share, which) for b in blocks])) for name, share in SHARES.items()}
        for which in (False, True)
    )
    deadlines = []
    for each in scenario.expectations:
        shares = np.concatenate([shares_at(block, each.deadline - scenario.lead) for block in blocks])
        made = float(np.mean(shares >= each.share - 1e-12))
        deadlines.append(Deadline(each.deadline, each.share, band(shares), made))
    names = ("accepted", "failed", "expired", "undelivered", "lost", "retried", "redelivered", "duplicates")
    counts = {name: float(_together(blocks, name).mean()) for name in names}
    counts["delivered"] = float(np.mean(np.concatenate([block.reached[-1] for block in blocks])))
    unsent = scenario.messages - counts["accepted"] - counts["failed"] - counts["lost"]
    counts["unsent"] = round(max(unsent, 0.0), 6)
    routes = _routes(design, blocks)
    binds, then = _binds(design, routes)
    base = others[0] if others else None
    rows = [_variant(label, changed, outcome, base) for label, changed, outcome in others[1:]]
    return Plan(
        scenario=scenario.name,
        messages=scenario.messages,
        slots=scenario.slots,
        replications=replications,
        seed=seed,
        tick_s=design.tick,
        lead_s=scenario.lead,
        reach_s=reach,
        accepted_s=taken,
        deadlines=tuple(deadlines),
        counts=counts,
        routes=routes,
        segments=sum(route.segments for route in routes),
        cost=sum(route.cost for route in routes),
        binds=binds,
        next=then,
        faults=tuple(
            _cost_of_fault(row)
            for row in rows
            if row.change.startswith("fault: ")
        ),
        sensitivity=tuple(row for row in rows if not row.change.startswith("fault: ")),
        curve=_curve(design, blocks),
        relied_on=scenario.relied_on,
        struck=tuple({"fault": str(fault), "at_s": fault.at} for fault in scenario.faults),
    )  # fmt: skip


def _cost_of_fault(without: Variant) -> Variant:
    later = None if without.later_s is None else -without.later_s
    return replace(without, change=without.change.removeprefix("fault: "), later_s=later)


def _median(values: F64) -> float | None:
    found = float(np.quantile(values, 0.5, method="inverted_cdf"))
    return round(found, 6) if isfinite(found) else None


def _variant(label: str, scenario: Scenario, outcome: Outcome, base: tuple[str, Scenario, Outcome] | None) -> Variant:
    late = _median(times(outcome, 0.99))
    usual = None if base is None else _median(times(base[2], 0.99))
    reached = None
    if scenario.expectations:
        reached = _median(shares_at(outcome, scenario.expectations[0].deadline - scenario.lead))
    prices = np.array([group.price for group in scenario.groups])
    return Variant(
        change=label,
        p50_s=_median(times(outcome, 0.5)),
        p99_s=late,
        later_s=None if late is None or usual is None else round(late - usual, 6),
        reached=reached,
        cost=float((outcome.segments.mean(axis=1) * prices).sum()),
    )


_WORDS = {
    Limit.SLOTS: "slots",
    Limit.CAP: "cap",
    Limit.ACCOUNT: "account",
    Limit.DAILY: "daily cap",
    Limit.CLOSED: "closed hours",
    Limit.FAULT: "fault",
}


def _routes(design: Design, blocks: list[Outcome]) -> tuple[Route, ...]:
    final = np.average([b.by_group[-1] for b in blocks], axis=0, weights=[b.reached.shape[1] for b in blocks])
    sends, segments = _together(blocks, "sends").mean(axis=1), _together(blocks, "segments").mean(axis=1)
    busy, limited = _mean_of(blocks, "busy_s"), _mean_of(blocks, "limited_s")
    lasts = float(np.mean([b.at[-1] for b in blocks])) if blocks else 0.0
    routes = []
    for number, group in enumerate(design.groups):
        rates = {name: rate for name, rate in design.rates(group).items() if name != "all" and isfinite(rate)}
        waits = {_WORDS[limit]: round(float(limited[number, limit]), 3) for limit in Limit if limited[number, limit]}
        if group.queue is not None and waits:  # it takes all at once, and sends at its cap
            waits = {"cap": round(lasts, 3), **waits}
        binds = max(waits, key=lambda name: waits[name], default=None)
        order = sorted((rate, name) for name, rate in rates.items() if name != binds)
        routes.append(
            Route(
                name=group.name,
                processes=group.senders,
                slots=group.slots,
                delivered=float(final[number]),
                sends=float(sends[number]),
                segments=float(segments[number]),
                cost=float(segments[number] * group.price),
                use=float(busy[number] / (group.slots * lasts)) if lasts else None,
                rates_per_s=rates,
                binds=binds,
                next=order[0][1] if order else None,
                limited_s=waits,
            )
        )
    return tuple(routes)


def _binds(design: Design, routes: tuple[Route, ...]) -> tuple[str, str | None]:
    """The limit that binds, and the next one, in words."""
    rates = {r.name: min(r.rates_per_s.values(), default=inf) for r in routes}
    bound = [route for route in routes if route.binds is not None]
    weakest = max(bound, key=lambda r: max(r.limited_s.values()) * min(rates[r.name], 1e12), default=None)
    if weakest is None:
        if design.scenario.stages:
            least = min(routes, key=lambda r: rates[r.name])
            name = min(least.rates_per_s, key=lambda n: least.rates_per_s[n], default=None)
            then = None if name is None else f"{name} of {least.name} ({least.rates_per_s[name]:,.6g}/s)"
            return "arrivals", then
        return "nothing: no message ever waited for a slot", None
    binds = weakest.binds or ""
    rate = weakest.rates_per_s.get(binds)
    words = f"{binds} of {weakest.name}" + ("" if rate is None else f" ({rate:,.6g}/s)")
    if weakest.next is None:
        return words, None
    return words, f"{weakest.next} of {weakest.name} ({weakest.rates_per_s[weakest.next]:,.6g}/s)"


def _curve(design: Design, blocks: list[Outcome]) -> dict[str, Any]:
    """The share reached by the time, at up to `_POINTS` times."""
    last = max(float(block.at[-1]) for block in blocks)
    at = np.linspace(0.0, last, _POINTS)
    values, routes = [], np.zeros((_POINTS, len(design.groups)))
    for block in blocks:
        place = np.clip(np.searchsorted(block.at, at + 1e-9, side="right") - 1, 0, None)
        values.append(block.reached[place] / max(block.messages, 1))
        routes += block.by_group[place] / max(block.messages, 1) * block.reached.shape[1]
    bands = np.quantile(np.concatenate(values, axis=1), (0.1, 0.5, 0.9), axis=1)
    routes /= sum(block.reached.shape[1] for block in blocks)
    return {
        "at_s": [round(value, 4) for value in at.tolist()],
        **{name: [round(v, 6) for v in row.tolist()] for name, row in zip(("p10", "p50", "p90"), bands, strict=True)},
        "routes": {g.name: [round(v, 6) for v in routes[:, n].tolist()] for n, g in enumerate(design.groups)},
    }
