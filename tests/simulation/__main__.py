"""Run many seeded schedules; print seed and trace of those that fail. The same seed always gives the same schedule.

python -m tests.simulation --seeds 100000            those of seeds 0 to 99999
python -m tests.simulation --first 500 --seeds 500   those of seeds 500 to 999
python -m tests.simulation --seed 7                  one, with its whole trace
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from multiprocessing import Pool

from tests.simulation.plan import Plan
from tests.simulation.world import World

_TAIL = 60
_ENOUGH = 5
"""Failures, after which it stops."""


def failure(seed: int, trace: list[str] | None = None) -> str | None:
    """What went wrong in the schedule of that seed, or None."""
    try:
        World(Plan.draw(seed), trace).run()
    except Exception:
        return traceback.format_exc()
    return None


def explanation(seed: int) -> str:
    """The seed, the end of the trace and the error of a schedule that fails."""
    trace: list[str] = []
    error = failure(seed, trace)
    lines = [*trace[:1], "...", *trace[-_TAIL:], f"{error}"]
    return "\n".join([*lines, f"seed {seed} fails; all of it: python -m tests.simulation --seed {seed}"])


def judge(seed: int) -> tuple[str | None, float]:
    """The explanation of a schedule that fails, and the processor time it took, seconds."""
    began = time.process_time()
    wrong = explanation(seed) if failure(seed) is not None else None
    return wrong, time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1_000, help="how many schedules (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one for each core)")
    options = parser.parse_args()
    if options.seed is not None:
        trace: list[str] = []
        error = failure(options.seed, trace)
        print("\n".join(trace), error or "all is well", sep="\n")
        return int(error is not None)
    began = time.monotonic()
    done, failed, took = 0, 0, 0.0
    with Pool(options.jobs) as pool:
        for wrong, seconds in pool.imap(judge, range(options.first, options.first + options.seeds), chunksize=4):
            done, took = done + 1, took + seconds
            if wrong is not None:
                failed += 1
                print(wrong, flush=True)
            if failed == _ENOUGH:
                break
    pace = (
        f"{60 * done / took:.0f} for a minute of processor time, {60 * done / (time.monotonic() - began):.0f} a minute"
    )
    print(f"{done} schedules, {pace}, {failed} failed", file=sys.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
