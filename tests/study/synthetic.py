"""Rows of a study that was never made: ideal up to a plateau."""

from __future__ import annotations

import random
from pathlib import Path

from study import record
from study.ladder import MESH, Plan
from study.record import Run
from study.session import Account, Session

PLATEAU = {"mesh": 4_000_000, "baseline": 32_000}


def runs_of(plan: Plan) -> list[Run]:
    rng = random.Random(1)
    runs = []
    for step in plan.steps():
        rate = min(step.slots, PLATEAU[step.design]) * rng.uniform(0.99, 1.0)
        steady = rate > step.slots * 0.9
        wall = step.messages / rate + 1
        runs.append(
            Run(
                design=step.design,
                slots=step.slots,
                messages=step.messages,
                repeat=step.repeat,
                processes=step.processes,
                wall_s=wall,
                elapsed_s=wall + 2,
                throughput_per_s=step.messages / wall,
                efficiency=step.messages / wall / step.slots,
                steady_s=wall - 3 if steady or step.design != MESH else None,
                steady_throughput_per_s=rate if steady or step.design != MESH else None,
                steady_efficiency=rate / step.slots if steady or step.design != MESH else None,
                slot_error_p99_s=0.005 if step.design == MESH else None,
                rss_max_bytes=200_000_000 + 60 * step.slots,
                cpu_s=wall * 1.5,
                lost=0,
                balanced=True,
                at="2026-01-02T03:04:05+00:00",
                version="0.1.0",
            )
        )
    return runs


def write(out: Path, plan: Plan) -> list[Run]:
    runs = runs_of(plan)
    record.write(out / "data" / "scaling.csv", runs)
    load = {"mean_s": plan.mean_s, "sd_s": plan.sd_s, "messages_per_slot": plan.rounds}
    Account(load=load, sessions=[Session("bin/figures", "", "", len(runs))]).write(out / "data" / "scaling.json")
    return runs
