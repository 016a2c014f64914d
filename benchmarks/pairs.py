"""Whole runs of this checkout and of another commit, in turns: `bin/bench pair REV [--only NAME...]`.

The other commit is checked out in a git worktree of its own and runs with this environment. Of each run it says what
the table of docs/PERFORMANCE.md has: messages a second and efficiency while the slots had work, the whole time, the
broker's processor time a send and its memory. Of several turns the medians. A run that takes too long is interrupted:
its figures are of the time until then, and it has no whole time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from compare_commits import ROOT, checked_out, git

RETRIES = ("--max-attempts", "4", "--retry-base", "1")
RUNS: dict[str, tuple[str, ...]] = {
    "even": ("--messages", "5000000", "--concurrency", "500000"),
    "failing-5": ("--messages", "5000000", "--concurrency", "500000", "--failure-rate", "0.05", *RETRIES),
    "failing-30": ("--messages", "5000000", "--concurrency", "500000", "--failure-rate", "0.3", *RETRIES),
    "normal": ("--messages", "10000000", "--concurrency", "250000"),
    "exponential": ("--messages", "10000000", "--concurrency", "250000", "--delay", "exponential", "--sd", "1"),
    "lognormal": ("--messages", "10000000", "--concurrency", "250000", "--delay", "lognormal", "--sd", "1"),
    "mixed-failing": (
        *("--messages", "3000000", "--concurrency", "250000", "--delay", "exponential", "--sd", "1"),
        *("--failure-rate", "0.05", *RETRIES),
    ),
}
"""The options of `zsms run`."""
FIGURES = ("messages/s", "efficiency", "wall s", "broker us/send", "broker MiB")


def measure(tree: Path, run: str, patience: float) -> dict[str, float | None]:
    """One run of a checkout, interrupted after `patience` seconds."""
    with tempfile.TemporaryDirectory(prefix="zsms-pair-") as folder:
        report = Path(folder, "report.json")
        options = [*RUNS[run], "--seed", "1", "--drain-timeout", "0.5", "-q", "--json", str(report)]
        process = subprocess.Popen(
            [sys.executable, "-m", "zsms", "run", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait()
            return figures(json.loads(report.read_text(encoding="utf-8"))) | {"wall s": None}
        return figures(json.loads(report.read_text(encoding="utf-8")))


def figures(report: dict[str, Any]) -> dict[str, float | None]:
    """What the table has, of one report; earlier versions have less in theirs."""
    steady = report.get("steady") or {}
    brokers = [process for process in report["processes"] if process["role"] == "broker"]
    sends = report.get("sends", report["messages"]).get("retried", 0) + report["messages"]["settled"]
    return {
        "messages/s": steady.get("throughput_per_s") or report["throughput_per_s"],
        "efficiency": steady.get("efficiency") or report["efficiency"],
        "wall s": report["wall_s"],
        "broker us/send": sum(broker["cpu_s"] for broker in brokers) / sends * 1e6 if sends else None,
        "broker MiB": sum(broker["rss_max_bytes"] for broker in brokers) / 2**20,
    }


def row(name: str, measured: list[dict[str, float | None]]) -> str:
    """The medians of what was measured, as a line."""
    cells = []
    for figure in FIGURES:
        values = [value for one in measured if (value := one[figure]) is not None]
        cells.append(f"{median(values):>14,.3f}" if values else f"{'-':>14}")
    return f"{name:<24}{''.join(cells)}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bin/bench pair", description="Compare whole runs of two commits.")
    parser.add_argument("revision", metavar="REV", help="what to compare with")
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=RUNS, default=list(RUNS), help=", ".join(RUNS))
    parser.add_argument("--turns", type=int, default=1, help="turns of each [%(default)s]")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds after which a run is interrupted [%(default)s]"
    )
    options = parser.parse_args()
    other = git("rev-parse", "--short", "--verify", "--quiet", f"{options.revision}^{{commit}}", missing="")
    if not other or options.turns < 1:
        parser.error(f"no such commit: {options.revision}" if not other else "--turns must be at least 1")
    print(f"{'':<24}{''.join(f'{figure:>14}' for figure in FIGURES)}")
    with tempfile.TemporaryDirectory(prefix="zsms-bench-") as folder, checked_out(other, folder) as tree:
        for run in options.only:
            measured: dict[Path, list[dict[str, float | None]]] = {tree: [], ROOT: []}
            for turn in range(options.turns):
                for each in (tree, ROOT) if turn % 2 == 0 else (ROOT, tree):
                    measured[each].append(measure(each, run, options.patience))
            for name, each in ((other, tree), ("now", ROOT)):
                print(row(f"{run}, {name}", measured[each]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
