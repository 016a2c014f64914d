"""Plans beside whole runs: what `zsms plan` says of the 24 runs of `bin/bench truth`, and of a large one how quickly.

python -m benchmarks.plan            docs/PLAN.md from benchmarks/data/truth.json, which has the runs
python -m benchmarks.plan --speed    how long the largest scenario takes, beside SimPy (minutes; alone on a machine)
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import time
from collections import deque
from typing import Any

import numpy as np

from benchmarks.truth import CASES, DATA, ROOT, SHARES, Case
from zsms.plan.design import Design
from zsms.plan.planner import times
from zsms.plan.twin import replicate
from zsms.scenario import Fault, Group, Retries, Scenario, Stage

TABLE = ROOT / "docs" / "PLAN.md"
REPLICATIONS = 40

_INTRO = """# Plans beside runs

Made by `python -m benchmarks.plan`; do not edit. Each row is one whole `zsms run` of [TRUTH.md](TRUTH.md) (measured
{days}), and what `zsms plan` says of the same: seconds until so many were delivered, measured / planned (the mean of
{replications} replications), and the difference. A cell in **bold** is off by more than 2 % and by more than three
standard errors of one run. A plan knows no limit of the machine, nor the hundredths of a second until the slots are
filled, which count in runs as short as these.
"""


def scenario_of(case: Case) -> Scenario:
    """The same as a scenario."""
    groups = tuple(
        Group(
            name=f"group-{number}",
            senders=group.senders,
            concurrency=group.slots,
            delay=group.delay,
            mean=group.mean,
            sd=group.sd,
            failure_rate=case.failures,
            ramp=0.0,
        )
        for number, group in enumerate(case.groups, 1)
    )
    stages = () if case.rate is None else (Stage(case.messages / case.rate, float(case.rate)),)
    return Scenario(
        messages=case.messages,
        groups=groups,
        stages=stages,
        poisson=case.poisson,
        retries=Retries(case.attempts, case.base),
        brokers=case.brokers,
    )


def planned(case: Case) -> dict[str, tuple[float, float] | None]:
    """Each share: the mean time, and the standard error of one run; None where some replication never reaches it."""
    outcome = replicate(Design(scenario_of(case)), REPLICATIONS, 1)
    found: dict[str, tuple[float, float] | None] = {}
    for name, share in SHARES.items():
        at = times(outcome, share)
        finite = bool(np.isfinite(at).all())
        found[name] = (float(at.mean()), float(at.std(ddof=1)) * math.sqrt(1 + 1 / len(at))) if finite else None
    return found


def _cell(told: float | None, plan: tuple[float, float] | None) -> tuple[str, bool]:
    if told is None or plan is None:
        both = told is None and plan is None
        return ("none" if both else f"**{told} / {plan and round(plan[0], 2)}**"), both
    off = told - plan[0]
    good = abs(off) <= max(0.02 * plan[0], 3 * plan[1])
    text = f"{told:.2f} / {plan[0]:.2f}, {off / plan[0] * 100:+.1f} %"
    return (text if good else f"**{text}**"), good


def table() -> str:
    """docs/PLAN.md."""
    results: dict[str, Any] = json.loads(DATA.read_text())
    days = ", ".join(sorted({row["started"][:10] for row in results.values()}))
    lines = [_INTRO.format(days=days, replications=REPLICATIONS)]
    lines += ["| run | 50 % | 90 % | 99 % | all |", "|---|---|---|---|---|"]
    good = cells = 0
    for name in (name for name in CASES if name in results):
        plan = planned(CASES[name])
        row = [_cell(results[name]["told"][f"reach {share}"], plan[share]) for share in SHARES]
        good, cells = good + sum(fine for _, fine in row), cells + len(row)
        lines.append(f"| {name} | " + " | ".join(text for text, _ in row) + " |")
    lines.append(f"\n{good} of {cells} times are within 2 % or three standard errors.")
    return "\n".join(lines) + "\n"


# -- speed ---------------------------------------------------------------------------------------------------------


def large(messages: int = 340_000_000) -> Scenario:
    """340 million over 5 million slots: 5 % failures, 3 attempts, three groups with caps, one fault."""
    slots = 5_000_000 * messages // 340_000_000
    groups = tuple(
        Group(
            name=name,
            senders=4,
            concurrency=slots // 12,
            mean=mean,
            failure_rate=0.05,
            cap=cap * slots / 5_000_000,
        )
        for name, mean, cap in (("a", 1.0, 1.5e6), ("b", 1.0, 2e6), ("c", 1.2, 1.5e6))
    )
    return Scenario(messages=messages, groups=groups, retries=Retries(3), faults=(Fault(20.0, "kill", "b-1"),))


def simpy_rate(messages: int = 300_000, slots: int = 15_000) -> float:
    """Messages a processor second of a SimPy model, slots as processes, without caps and groups."""
    import simpy

    env = simpy.Environment()
    rng = np.random.default_rng(1)
    delays = np.maximum(rng.normal(1.0, 0.1, messages * 2), 0.0).tolist()
    failing = (rng.random(messages * 2) < 0.05).tolist()
    queue: deque[int] = deque([1] * messages)
    sent = 0

    def slot() -> Any:
        nonlocal sent
        timeout = env.timeout
        while queue:
            attempt = queue.popleft()
            yield timeout(delays.pop())
            if failing.pop() and attempt < 3:
                queue.append(attempt + 1)
            else:
                sent += 1

    begin = time.process_time()
    for _ in range(slots):
        env.process(slot())
    env.run()
    return sent / (time.process_time() - begin)


def speed() -> None:
    """Print how long the largest scenario takes."""
    for messages in (340_000_000, 3_400_000):
        for replications in (1, 10):
            begin = time.process_time()
            outcome = replicate(Design(large(messages)), replications, 1)
            took = time.process_time() - begin
            print(f"{messages:>12,} messages, {replications:>2} replications: {took:.2f} processor seconds, "
                  f"{took / replications:.2f} each, {len(outcome.at)} ticks")  # fmt: skip
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    print(f"SimPy: {simpy_rate():,.0f} messages a processor second")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true", help="measure, and write nothing")
    if parser.parse_args().speed:
        speed()
        return
    TABLE.write_text(table())
    print(f"{TABLE.relative_to(ROOT)} written", file=sys.stderr)


if __name__ == "__main__":
    main()
