"""The benchmarks of two commits in one session: `bin/bench compare REV1 REV2`.

Each commit is checked out in a git worktree of its own, both get this checkout's benchmarks/test_hot_pieces.py, and
they take turns, so that what else the machine does falls on both alike. Of each pair of turns the ratio of the two
medians is taken; the table shows the middle one of these ratios with the lowest and the highest. A difference
smaller than that spread is none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = "benchmarks/test_hot_pieces.py"


def git(*arguments: str, missing: str | None = None) -> str:
    """The output of a git command in this checkout; when it fails `missing`, without which that ends the program."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode and missing is not None:
        return missing
    if done.returncode:
        raise SystemExit(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def checked_out(revision: str, directory: str) -> Iterator[Path]:
    """A worktree of the revision with this checkout's benchmarks, removed at the end."""
    tree = Path(directory, revision)
    git("worktree", "add", "--quiet", "--detach", str(tree), revision)
    try:
        (tree / "benchmarks").mkdir(exist_ok=True)
        (tree / BENCHMARKS).write_bytes((ROOT / BENCHMARKS).read_bytes())
        yield tree
    finally:
        git("worktree", "remove", "--force", str(tree))


def measure(tree: Path, options: argparse.Namespace) -> dict[str, float]:
    """ns a message by benchmark, of one turn. A benchmark that the commit can't run is left out."""
    result = tree / "result.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", BENCHMARKS, "-q", "-p", "no:cacheprovider", "--benchmark-disable-gc"]
    command += [f"--benchmark-json={result}", f"--benchmark-max-time={options.seconds}", "--benchmark-min-rounds=3"]
    command += ["-k", options.only] if options.only else []
    # The worktree comes before the installed package, both by the current directory and here.
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True
    )
    if not result.exists() or not result.stat().st_size:
        raise SystemExit(f"the benchmarks did not run in {tree.name}:\n{done.stdout[-2_000:]}{done.stderr[-2_000:]}")
    return {
        row["name"]: row["extra_info"]["ns_per_message"]
        for row in json.loads(result.read_text())["benchmarks"]
        if "ns_per_message" in row["extra_info"]
    }


def table(revisions: tuple[str, str], turns: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """A row a benchmark: ns a message at both commits, and the second over the first."""
    rows = [("benchmark", *revisions, "ratio", "lowest", "highest")]
    for name in {name: None for pair in turns for one in pair for name in one}:
        first, second = ([one[name] for one in side if name in one] for side in zip(*turns, strict=True))
        ratios = sorted(after[name] / before[name] for before, after in turns if name in before and name in after)
        rows.append(
            (
                name.removeprefix("test_"),
                *(f"{median(side):,.1f} ns" if side else "-" for side in (first, second)),
                *((f"{median(ratios):.3f}", f"{ratios[0]:.3f}", f"{ratios[-1]:.3f}") if ratios else "---"),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(w.rjust(width) if i else w.ljust(width) for i, (w, width) in enumerate(zip(r, widths, strict=True)))
        for r in rows
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bin/bench compare", description="Compare the benchmarks of two commits.")
    parser.add_argument("before", metavar="REV1")
    parser.add_argument("after", metavar="REV2")
    parser.add_argument("--turns", type=int, default=5, help="turns of each commit [%(default)s]")
    parser.add_argument("--seconds", type=float, default=0.5, help="for one benchmark in a turn [%(default)s]")
    parser.add_argument("--only", metavar="WORDS", help="only the benchmarks whose names match, as pytest's -k")
    options = parser.parse_args()
    if options.turns < 1 or not options.seconds > 0:
        parser.error("--turns must be at least 1 and --seconds above 0")
    names = []
    for revision in (options.before, options.after):
        names.append(git("rev-parse", "--short", "--verify", "--quiet", f"{revision}^{{commit}}", missing=""))
        if not names[-1]:
            parser.error(f"no such commit: {revision}")
    turns = []
    with (
        tempfile.TemporaryDirectory(prefix="zsms-bench-") as first,
        tempfile.TemporaryDirectory(prefix="zsms-bench-") as second,
        checked_out(names[0], first) as before,
        checked_out(names[1], second) as after,
    ):
        for turn in range(options.turns):
            print(f"turn {turn + 1} of {options.turns}", file=sys.stderr)
            trees = (before, after) if turn % 2 == 0 else (after, before)
            measured = {tree: measure(tree, options) for tree in trees}
            turns.append((measured[before], measured[after]))
    print(table((options.before, options.after), turns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
