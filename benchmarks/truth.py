"""Whole runs beside the exact answer: does zsms tell the truth?

    python benchmarks/truth.py                      every run that has no result yet
    python benchmarks/truth.py --only NAME...       these, again
    python benchmarks/truth.py --table              docs/TRUTH.md of the results there are

The exact answer is `simulate`'s: an ideal mesh, event by event, that shares no code with zsms. Its slots take from one
queue, first in first out, at once. Results are kept in benchmarks/data/truth.json, so they can be made in pieces.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "benchmarks" / "data" / "truth.json"
TABLE = ROOT / "docs" / "TRUTH.md"
REPLICATIONS = {20_000: 100, 10**9: 12}
"""Ideal runs of a case of up to so many messages: the spread of few is known badly, that of many takes long."""
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p100": 1.0}
FIGURES = (*(f"reach {share}" for share in SHARES), "steady", "queue", "total")


@dataclass(frozen=True)
class Group:
    """Slots that are alike; times in seconds."""

    slots: int
    delay: str = "normal"
    mean: float = 1.0
    sd: float = 0.1
    senders: int = 1


@dataclass(frozen=True)
class Case:
    """One run. `rate`: arrivals a second; None: all messages are there at the start."""

    groups: tuple[Group, ...]
    messages: int
    rate: float | None = None
    poisson: bool = False
    failures: float = 0.0
    attempts: int = 1
    base: float = 0.5
    brokers: int = 1

    @property
    def backlog(self) -> bool:
        """There is more to send than slots for most of the run, so a steady figure is due."""
        capacity = sum(group.slots * group.senders / group.mean for group in self.groups)
        closed = self.messages >= 3 * sum(group.slots * group.senders for group in self.groups)
        return closed if self.rate is None else self.rate > capacity


_SD = {"normal": 0.1, "constant": 0.0, "exponential": 1.0, "lognormal": 0.5, "gamma": 0.5, "weibull": 0.5}


def _cases() -> dict[str, Case]:
    cases = {}
    for size, slots in (("small", 1_000), ("large", 20_000)):
        for delay, sd in _SD.items():
            cases[f"{delay}-{size}"] = Case((Group(slots, delay, 1.0, sd),), 5 * slots)
    mixed = tuple(Group(1_000, "normal", mean, mean / 10) for mean in (0.5, 1.0, 2.0))
    fast = (Group(100, "exponential", 0.2, 0.2),)
    one = (Group(1_000),)
    two = (Group(1_000, "constant", 0.5, 0.0, senders=2),)
    return cases | {
        "retries-few": Case((Group(2_000, "normal", 0.5, 0.05),), 16_000, failures=0.05, attempts=3),
        "retries-many": Case((Group(2_000, "normal", 0.5, 0.05),), 12_000, failures=0.3, attempts=4),
        "retries-idle": Case((Group(5_000, "constant", 0.5, 0.0),), 5_000, failures=0.5, attempts=3, base=2.0),
        "mixed-short": Case(mixed, 3_500),
        "mixed-long": Case(mixed, 17_500),
        "rate-0.7": Case(fast, 2_100, rate=350),
        "rate-0.9": Case(fast, 2_700, rate=450),
        "rate-0.9-poisson": Case(fast, 2_700, rate=450, poisson=True),
        "rate-constant": Case((Group(100, "constant", 0.2, 0.0),), 2_700, rate=450),
        "rate-above": Case(one, 6_000, rate=2_000),
        "brokers-2": Case((Group(500, senders=2),), 6_000, brokers=2),
        "brokers-2-constant": Case(two, 12_000, brokers=2),
    }


CASES = _cases()


# -- the exact answer -------------------------------------------------------------------------------------------


def drawer(group: Group) -> Callable[[np.random.Generator, int], np.ndarray[Any, Any]]:
    """A function (rng, n) -> float64[n] seconds of `group`'s sends, by numpy's own distributions."""
    mean, sd = group.mean, group.sd
    match group.delay:
        case "constant":
            return lambda rng, n: np.full(n, mean)
        case "exponential":
            return lambda rng, n: rng.exponential(mean, n)
        case "lognormal":
            variance = math.log1p((sd / mean) ** 2)
            return lambda rng, n: rng.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), n)
        case "gamma":
            return lambda rng, n: rng.gamma((mean / sd) ** 2, sd * sd / mean, n)
        case "weibull":
            shape = _weibull(sd / mean)
            return lambda rng, n: rng.weibull(shape, n) * mean / math.gamma(1 + 1 / shape)
        case _:
            return lambda rng, n: np.maximum(rng.normal(mean, sd, n), 0.0)


def _weibull(variation: float) -> float:
    low, high = 0.3, 100.0
    for _ in range(100):
        shape = (low + high) / 2
        ratio = math.gamma(1 + 2 / shape) / math.gamma(1 + 1 / shape) ** 2
        low, high = (shape, high) if ratio - 1 > variation**2 else (low, shape)
    return low


class _Ideal:
    """An ideal mesh. Messages are (due, queued, attempt); events are (time, number, group or -1, message)."""

    def __init__(self, case: Case, rng: np.random.Generator) -> None:
        self.case, self.rng = case, rng
        self.free = [group.slots * group.senders for group in case.groups]
        self.draws = [drawer(group) for group in case.groups]
        self.drawn: list[list[float]] = [[] for _ in case.groups]
        self.queue: deque[tuple[float, float, int]] = deque()
        self.events: list[tuple[float, int, int, tuple[float, float, int]]] = []
        self.number = self.turn = 0
        self.sent: list[float] = []
        self.waits: list[float] = []
        self.totals: list[float] = []

    def at(self, time: float, group: int, message: tuple[float, float, int]) -> None:
        self.number += 1
        heappush(self.events, (time, self.number, group, message))

    def start(self, now: float) -> None:
        """Free slots take what is queued; groups in turn."""
        while self.queue and any(self.free):
            group = self.turn = (self.turn + 1) % len(self.free)
            if not self.free[group]:
                continue
            message = self.queue.popleft()
            drawn = self.drawn[group]
            if not drawn:
                drawn.extend(self.draws[group](self.rng, 4_096).tolist())
            self.free[group] -= 1
            self.waits.append(now - message[1])
            self.at(now + drawn.pop(), group, message)

    def ended(self, now: float, group: int, message: tuple[float, float, int]) -> None:
        self.free[group] += 1
        due, _, attempt = message
        failed = self.case.failures > 0 and self.rng.random() < self.case.failures
        if failed and attempt < self.case.attempts:
            again = now + self.rng.uniform(0, min(60.0, self.case.base * 2 ** (attempt - 1)))
            self.at(again, -1, (due, again, attempt + 1))
            return
        self.totals.append(now - due)
        if not failed:
            self.sent.append(now)

    def run(self) -> None:
        case = self.case
        if case.rate is None:
            self.queue.extend([(0.0, 0.0, 1)] * case.messages)
        else:
            gaps = self.rng.exponential(1 / case.rate, case.messages) if case.poisson else None
            dues = np.arange(case.messages) / case.rate if gaps is None else np.cumsum(gaps) - gaps[0]
            for due in dues.tolist():
                self.at(due, -1, (due, due, 1))
        self.start(0.0)
        while self.events:
            now, _, group, message = heappop(self.events)
            if group < 0:
                self.queue.append(message)
            else:
                self.ended(now, group, message)
            self.start(now)


def simulate(case: Case, seed: int) -> dict[str, float | None]:
    """`FIGURES` of one ideal run of `case`, seconds; steady: sends a second. None: can't be."""
    ideal = _Ideal(case, np.random.default_rng([seed, 9]))
    ideal.run()
    found: dict[str, float | None] = {}
    for name, share in SHARES.items():
        wanted = math.ceil(round(share * case.messages, 6))
        found[f"reach {name}"] = ideal.sent[wanted - 1] if wanted <= len(ideal.sent) else None
    capacity = sum(group.slots * group.senders / group.mean for group in case.groups)
    found["steady"] = capacity if case.backlog else None
    found["queue"] = statistics.fmean(ideal.waits)
    found["total"] = statistics.fmean(ideal.totals)
    return found


def exact(case: Case) -> dict[str, tuple[float, float] | None]:
    """Each of `FIGURES`: its mean, and the standard error of one run beside it (the mean's own included)."""
    replications = next(many for most, many in REPLICATIONS.items() if case.messages <= most)
    runs = [simulate(case, seed) for seed in range(replications)]
    found: dict[str, tuple[float, float] | None] = {}
    for name in FIGURES:
        values = [value for run in runs if (value := run[name]) is not None]
        if len(values) < 0.9 * replications:  # reached by luck, if at all
            found[name] = None
            continue
        error = statistics.stdev(values) * math.sqrt(1 + 1 / replications)
        found[name] = (statistics.fmean(values), error)
    return found


# -- what zsms says ---------------------------------------------------------------------------------------------


def settings(case: Case) -> str:
    """The run as a TOML file."""
    lines = ["[run]", f"messages = {case.messages}", f"brokers = {case.brokers}", "seed = 1"]
    if case.rate is not None:
        lines += [f"rate = {float(case.rate)}", f'arrivals = "{"poisson" if case.poisson else "even"}"']
    if case.attempts > 1:
        lines += [f"max_attempts = {case.attempts}", f"retry_base = {case.base}"]
    for number, group in enumerate(case.groups, 1):
        lines += ["[[run.groups]]", f'name = "group-{number}"', f"senders = {group.senders}"]
        lines += [f"concurrency = {group.slots}", f'delay = "{group.delay}"', f"mean = {group.mean}"]
        lines += [f"sd = {group.sd}", f"failure_rate = {case.failures}", "ramp = 0.0"]
    return "\n".join(lines) + "\n"


def measure(case: Case) -> dict[str, Any]:
    """Run `case`; its report."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "run.toml"
        text = settings(case)
        config.write_text(text)
        command = [sys.executable, "-m", "zsms", "run", "--config", str(config), "--ui", "none", "--json", "-"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"the run ended with {done.returncode}:\n{text}\n{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def told(report: dict[str, Any]) -> dict[str, float | None]:
    """`FIGURES` as the report has them."""
    found: dict[str, float | None] = {f"reach {share}": report["reach_s"][share] for share in SHARES}
    found["steady"] = report["steady"]["sends_per_s"] if report["steady"] else None
    for name in ("queue", "total"):
        found[name] = (report[f"{name}_time_s"] or {}).get("mean")
    return found


def within(said: float | None, right: list[float] | None) -> bool:
    """`said` is within 1 % or three standard errors of `right`; or neither is."""
    if said is None or right is None:
        return said is None and right is None
    return abs(said - right[0]) <= max(0.01 * right[0], 3 * right[1])


def _keep(results: dict[str, Any]) -> None:
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(json.dumps(results, indent=1) + "\n")


def make(names: list[str]) -> None:
    """Run `names`, and keep each result as soon as it is there."""
    results: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {}
    for name in names:
        report = measure(CASES[name])
        results[name] = {
            "told": told(report),
            "asked_s": report["asked_time_s"],
            "took_s": report["send_time_s"]["mean"],
            "started": report["started"],
            "cpu": f"{report['machine']['cores']} cores of {report['machine']['cpu']}",
        }
        _keep(results)
        print(name, "done", file=sys.stderr, flush=True)


# -- the table --------------------------------------------------------------------------------------------------

_INTRO = """# What zsms says, beside the exact answer

Made by `bin/bench truth`; do not edit. Each row is one whole `zsms run`; each cell is
what its report told / what is right, and the difference. Times are in seconds, *steady* in sends a second, *queue* and
*total* are means. Right is the mean of {replications} or more ideal runs, simulated event by event without any of
zsms's code: one queue, slots that are never late. A cell in **bold** is off by more than 1 % and by more than three
standard errors of one run. The runs are short, so that a few hundredths of a second until the slots are filled count;
arrivals begin with the first that is due, *reach* with the first that is accepted. Queue times are of sends, each from
when its message was queued or queued again; total times are of messages, from due to the final outcome. Where no
message waits for a slot, what *queue* tells is the way from the broker to one.
"""

_NOTES = """
## Why those in bold differ

- *queue* of retries-idle, rate-0.7 and rate-constant: nobody waits for a slot, so that is the way to one. By time
  stamps in both processes 0.1 ms in the broker, 0.2 ms until the sender wakes, 0.1 ms there: 0.3 to 0.4 ms on this
  machine, for a first grant of 5,000 messages 0.6 to 2 ms (12 ms in two runs of six, beside other programs).
- *queue* of mixed-short: the same way, of three senders' first grants at once: 2 to 4 ms for each of 3,500 messages.
- *reach p50* of rate-0.7: chance, as all that a seed draws; seeds 1 to 12 give 3.17 to 3.24, their mean 3.200.
- *reach p50* of brokers-2-constant: the last send of the third round. Half of each sender's slots is promised to the
  broker without work first, so that these begin 5 to 7 ms late; ends are seen at ticks of 5 ms; and reach is told in
  whole hundredths, rounded up.
- *reach p100* of gamma-small (in bold in [PLAN.md](PLAN.md)): chance; seeds 1 to 12 give 7.11 to 8.03, their mean 7.48.

## Poisson arrivals, longer

Mean queue times of sends of 0.2 s (exponential) in C slots, three runs of 60 s each, four side by side, 2026-11-28.
Right is the mean of 24 ideal runs as long, with the error of three; told has 0.7 ms of the way to a slot in it.

| C | busy | told | right | Erlang's formula |
|---|---|---|---|---|
| 100 | 70 % | 0.7 ms | 0.0 ms | 0.0 ms |
| 100 | 90 % | 5.3 ms | 4.0 +- 0.9 ms | 4.3 ms |
| 100 | 95 % | 16.8 ms | 19.0 +- 4.1 ms | 20.3 ms |
| 10 | 95 % | 361 ms | 302 +- 88 ms | 330 ms |
"""


def _cell(said: float | None, right: list[float] | None) -> str:
    if said is None and right is None:
        return "none"
    parts = ["none" if value is None else f"{value:,.0f}" if value > 100 else f"{value:.3f}"
             for value in (said, right and right[0])]  # fmt: skip
    text = " / ".join(parts)
    if said is not None and right is not None:
        off = said - right[0]
        text += f", {off / right[0]:+.1%}".replace("%", " %") if right[0] > 1e-9 else f", {off * 1000:+.1f} ms"
    return text if within(said, right) else f"**{text}**"


def table() -> str:
    """docs/TRUTH.md of the results that there are."""
    results: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {}
    for name, row in results.items():
        if "exact" not in row:
            row["exact"] = exact(CASES[name])
    _keep(results)
    lines = [_INTRO.format(replications=min(REPLICATIONS.values()))]
    lines += ["| run | " + " | ".join(FIGURES) + " | send: took / asked | within |", "|---" * (len(FIGURES) + 3) + "|"]
    good = cells = 0
    for name in (name for name in CASES if name in results):
        row = results[name]
        pairs = [(row["told"][figure], row["exact"][figure]) for figure in FIGURES]
        hits = sum(within(*pair) for pair in pairs)
        good, cells = good + hits, cells + len(pairs)
        send = f"{row['took_s'] / row['asked_s'] - 1:+.1%}".replace("%", " %")
        verdict = "yes" if hits == len(pairs) else f"no: {hits} of {len(pairs)}"
        shown = [_cell(*pair) for pair in pairs]
        lines.append(f"| {name} | " + " | ".join(shown) + f" | {send} | {verdict} |")
    missing = [name for name in CASES if name not in results]
    lines.append(f"\n{good} of the {cells} figures of the {len(results)} runs above are within.")
    if missing:
        lines.append(f"Not measured yet: {', '.join(missing)}.")
    if results:
        days = sorted({row["started"][:10] for row in results.values()})
        lines.append(f"Measured {', '.join(days)} on {'; '.join(sorted({row['cpu'] for row in results.values()}))}.")
    return "\n".join(lines) + "\n" + _NOTES


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), metavar="NAME", help="run these, again")
    parser.add_argument("--table", action="store_true", help="write docs/TRUTH.md; runs only what --only names")
    options = parser.parse_args()
    kept = json.loads(DATA.read_text()) if DATA.exists() else {}
    missing = [] if options.table else [name for name in CASES if name not in kept]
    make(options.only or missing)
    if options.table:
        TABLE.write_text(table())


if __name__ == "__main__":
    main()
