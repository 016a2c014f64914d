"""Plans beside whole runs: the scenarios of :mod:`benchmarks.plan_cases`, and the 24 runs of `bin/bench truth`.

python -m benchmarks.plan                    docs/PLAN.md of the runs in benchmarks/data/{plan,truth,plan-speed}.json
python -m benchmarks.plan --run [NAME ...]   run these once more (all: 5 minutes; alone on a machine), and keep them
python -m benchmarks.plan --speed            how long large scenarios take, beside SimPy (minutes; alone on a machine)
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plan_cases import CASES as PLAN_CASES
from benchmarks.truth import CASES, DATA, ROOT, SHARES, Case
from zsms.plan import plan
from zsms.plan.design import Design
from zsms.plan.planner import times
from zsms.plan.replications import replicate
from zsms.plan.search import solve
from zsms.scenario import Fault, Group, Retries, Scenario, Stage, load, read

TABLE = ROOT / "docs" / "PLAN.md"
REPLICATIONS = 40

RUNS = ROOT / "benchmarks" / "data" / "plan.json"
SPEED = ROOT / "benchmarks" / "data" / "plan-speed.json"
_HEAD = "| run | 50 % | 90 % | 99 % | all |\n|---|---|---|---|---|"
_INTRO = """# Plans beside runs

Made by `python -m benchmarks.plan`; do not edit. Each row is whole `zsms run`s of one scenario, and what `zsms plan`
says of it: seconds until so many were delivered, measured (the mean of the runs) / planned (the mean of {replications}
replications), and the difference. A cell in **bold** is off by more than 2 % and by more than three standard errors of
the runs. A plan knows no limit of the machine, nor the hundredths of a second until the slots are filled, which count
in runs as short as these.

## Caps, faults, retries, routes, arrivals and brokers

The scenarios of `benchmarks/plan_cases.py`, run {days}.
"""
_TRUTH = """
## Delay models and sizes

The runs of [TRUTH.md](TRUTH.md), of {days}, once each.
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


def planned(scenario: Scenario, runs: int = 1) -> dict[str, tuple[float, float, bool]]:
    """Each share: the mean time, the standard error of so many runs, and whether some never reach it."""
    outcome = replicate(Design(scenario), REPLICATIONS, 1)
    found = {}
    for name, share in SHARES.items():
        at = times(outcome, share, taken=True)
        reached = at[np.isfinite(at)]
        never = len(reached) < len(at)
        if len(reached) < 2:
            found[name] = (math.inf, 0.0, never)
            continue
        error = float(reached.std(ddof=1)) * math.sqrt(1 / runs + 1 / len(reached))
        found[name] = (float(reached.mean()), error, never)
    return found


def _cell(told: float | None, right: tuple[float, float, bool]) -> tuple[str, bool]:
    mean, error, never = right
    if told is None:
        return ("none", True) if never else (f"**none / {mean:.2f}**", False)
    if math.isinf(mean):
        return f"**{told:.2f} / none**", False
    off = told - mean
    good = abs(off) <= max(0.02 * mean, 3 * error)
    text = f"{told:.2f} / {mean:.2f}, {off / mean * 100:+.1f} %"
    return (text if good else f"**{text}**"), good


def _rows(runs: dict[str, list[dict[str, Any]]], scenarios: dict[str, Scenario]) -> tuple[list[str], int, int]:
    """Lines of a table, how many cells are good, and how many there are."""
    lines, good, cells = [_HEAD], 0, 0
    for name, scenario in scenarios.items():
        if name not in runs:
            continue
        told = runs[name]
        right = planned(scenario, len(told))
        row = []
        for share in SHARES:
            values = [run["reach_s"][share] for run in told]
            row.append(_cell(None if None in values else float(np.mean(values)), right[share]))
        good, cells = good + sum(fine for _, fine in row), cells + len(row)
        lines.append(f"| {name} | " + " | ".join(text for text, _ in row) + " |")
    return lines, good, cells


def _days(runs: dict[str, list[dict[str, Any]]]) -> str:
    return ", ".join(sorted({run["started"][:10] for of in runs.values() for run in of}))


def table() -> str:
    """docs/PLAN.md."""
    runs: dict[str, Any] = json.loads(RUNS.read_text())
    truth = {
        name: [{**row, "reach_s": {share: row["told"][f"reach {share}"] for share in SHARES}}]
        for name, row in json.loads(DATA.read_text()).items()
    }
    own = _rows(runs, {name: read(tomllib.loads(text), name) for name, text in PLAN_CASES.items()})
    others = _rows(truth, {name: scenario_of(case) for name, case in CASES.items()})
    lines = [_INTRO.format(days=_days(runs), replications=REPLICATIONS), *own[0], _TRUTH.format(days=_days(truth))]
    lines += others[0]
    lines.append(f"\n{own[1] + others[1]} of {own[2] + others[2]} times are within 2 % or three standard errors.\n")
    if SPEED.exists():
        lines += ["## How quickly", "", "| scenario | processor seconds | most memory |", "|---|---|---|"]
        lines += ["| " + " | ".join(row) + " |" for row in json.loads(SPEED.read_text())]
    return "\n".join(lines) + "\n"


def run(names: list[str]) -> None:
    """Run these scenarios once more, and keep what they told."""
    kept: dict[str, Any] = json.loads(RUNS.read_text()) if RUNS.exists() else {}
    for name in names or PLAN_CASES:
        with tempfile.TemporaryDirectory() as folder:
            file, report = Path(folder, "scenario.toml"), Path(folder, "report.json")
            file.write_text(PLAN_CASES[name])
            command = ["run", "--config", file, "--ui", "none", "--json", report]
            done = subprocess.run(
                [sys.executable, "-m", "zsms", *map(str, command)],
                cwd=ROOT,
                capture_output=True,
                timeout=120,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr.decode()[-1000:]}")
            told = json.loads(report.read_text())
        kept.setdefault(name, []).append({key: told[key] for key in ("started", "reach_s", "messages")})
        RUNS.write_text(json.dumps(kept, indent=1) + "\n")
        print(f"{name}: {told['reach_s']}", file=sys.stderr, flush=True)


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


def _measured(what: str, work: Callable[[], Any]) -> list[str]:
    """A row: processor seconds and most memory of some work in a process of its own, and of its children."""
    reader, writer = os.pipe()
    begin, child = time.monotonic(), os.fork()
    if not child:
        try:
            work()
            own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            spent = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
            os.write(writer, f"{spent} {max(own.ru_maxrss, children.ru_maxrss)}".encode())
        finally:
            os._exit(0)
    spent, most = map(float, os.read(reader, 100).split())
    os.waitpid(child, 0)
    row = [what, f"{spent:.2f} ({time.monotonic() - begin:.2f} s)", f"{most / 1024:.0f} MiB"]
    print(" | ".join(row), file=sys.stderr, flush=True)
    return row


def speed() -> None:
    """Measure how long large scenarios take, and keep it."""
    rows = []
    for messages in (3_400_000, 340_000_000):
        for replications in (1, 10):
            how = f"{replications} replications side by side" if replications > 1 else "one replication"
            what = f"{messages:,} messages, {messages // 68:,} slots, {how}"
            rows.append(_measured(what, lambda m=messages, n=replications: replicate(Design(large(m)), n, 1)))  # type: ignore[misc]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        begin = time.monotonic()
        plan(large(), replications=200, variants=False, mapped=lambda of, tasks: pool.imap(of, tasks))
        rows.append(["340,000,000 messages, 200 replications on two cores", f"({time.monotonic() - begin:.1f} s)", ""])
    ten = load(str(ROOT / "examples" / "scenarios" / "us-ten-minutes.toml"))
    wish = ten.expectations[0]
    rows.append(_measured("us-ten-minutes.toml --solve slots",
                          lambda: solve(ten, "slots", deadline=wish.deadline, share=wish.share)))  # fmt: skip
    rows.append([f"SimPy, slots alone: {simpy_rate():,.0f} messages a processor second", "", ""])
    SPEED.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true", help="measure how quickly")
    parser.add_argument("--run", nargs="*", choices=list(PLAN_CASES), metavar="NAME", help="run these once more")
    options = parser.parse_args()
    if options.speed:
        speed()
    if options.run is not None:
        run(options.run)
    if not options.speed and options.run is None:
        TABLE.write_text(table())
        print(f"{TABLE.relative_to(ROOT)} written", file=sys.stderr)


if __name__ == "__main__":
    main()
