"""Makes the runs of a study, each in a process of its own, and keeps their rows.

Each step is a command that anyone can type: `zsms run ... --json -` or the baseline's script. A run that fails,
loses a message or does not balance ends the study with an error. Its report is kept beside the data and its row is
not, so that the next study makes that run again.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from study import record
from study.ladder import BASELINE, MESH, Plan, Step
from study.record import Run
from study.session import Account, Session
from zsms import __version__
from zsms.errors import UsageError, ZsmsError
from zsms.launch import children

LOOK_S = 0.2
"""Seconds between two looks at a run."""
END_S = 10.0
"""How long a run that is stopped may take before it is killed."""

START_S = {MESH: 2.5, BASELINE: 0.3}
"""Time that a run takes beside its sends, seconds."""
CAPACITY = {MESH: 2e6, BASELINE: 25e3}
"""Messages a second, to guess the time of a run with until this machine has shown its own."""
PATIENCE_S, PATIENCE = 120.0, 10.0
"""A run is given up after the first plus the second times as long as it was expected to take."""


class Watcher(Protocol):
    """Who is told how a study goes on. `left_s` is the time that everything left may take."""

    def begins(self, step: Step, number: int, of: int, left_s: float) -> None:
        """Run `number` of `of` begins."""

    def goes_on(self, left_s: float) -> None:
        """It is still running."""

    def ended(self, run: Run, left_s: float) -> None:
        """It is done."""


@dataclass(slots=True)
class Study:
    """A plan, and the rows that there are of it in `out`/data."""

    plan: Plan
    out: Path
    fresh: bool = False
    """Begin again, instead of going on from the rows that are there."""
    command: str = "bin/figures"
    """How this session was started, for the account."""
    runs: list[Run] = field(default_factory=list)
    _stopped: bool = False

    @property
    def csv(self) -> Path:
        """Where the rows are."""
        return self.out / "data" / "scaling.csv"

    @property
    def json(self) -> Path:
        """Where the account of machine and sessions is."""
        return self.out / "data" / "scaling.json"

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End the run that is going on, without its row, and the study. From a signal handler too."""
        self._stopped = True

    def load(self) -> Account | None:
        """Take up the rows that are there, whatever plan they were made by, and return their account."""
        self.runs = record.read(self.csv)
        return Account.read(self.json)

    def run(self, watcher: Watcher) -> None:
        """Make every run of the plan that has no row. Raises ZsmsError when one is not as it must be."""
        self.plan.check()
        baseline = self._baseline()
        account = self._begin()
        done = {run.step for run in self.runs}
        steps = self.plan.steps()
        todo = [step for step in steps if step not in done]
        if not todo:
            return
        session = Session(self.command, _now())
        account.sessions.append(session)
        while todo and not self._stopped:
            step = todo.pop(0)
            later_s = sum(map(self.expected_s, todo))
            watcher.begins(step, len(steps) - len(todo), len(steps), self.expected_s(step) + later_s)
            run = self._make(step, self.command_of(step, baseline), watcher, later_s)
            if run is None:
                return
            self.runs.append(run)
            session.ended = run.at
            session.runs += 1
            account.write(self.json)
            record.write(self.csv, self.runs)
            watcher.ended(run, sum(map(self.expected_s, todo)))

    def expected_s(self, step: Step) -> float:
        """How long a run will take, seconds: as the same step did before, or by what is known of its design."""
        alike = [run for run in self.runs if run.design == step.design]
        same = [run.elapsed_s for run in alike if (run.slots, run.messages) == (step.slots, step.messages)]
        if same:
            return max(same)
        # What was reached while the slots were not the limit is the capacity; at the most slots, for it may sink.
        limited = [run for run in alike if run.efficiency < 0.8]
        capacity = max(limited, key=lambda run: run.slots).throughput_per_s if limited else CAPACITY[step.design]
        sends = self.plan.mean_s * (step.messages / step.slots + 1)
        return START_S[step.design] + max(sends, step.messages / capacity)

    # -- going on from what is there -----------------------------------------------------------------------------

    def _begin(self) -> Account:
        load = {"mean_s": self.plan.mean_s, "sd_s": self.plan.sd_s, "messages_per_slot": self.plan.rounds}
        here = Account(load=load)
        if self.fresh:
            self.runs = []
            return here
        there = self.load()
        if there is None or not self.runs:
            return here
        machine = ("cpu", "cores", "architecture")
        for what, was, now in (
            *((name, there.machine.get(name), here.machine[name]) for name in machine),
            *((name, there.load.get(name), load[name]) for name in load),
        ):
            if was != now:
                raise UsageError(
                    f"{self.csv} was measured with another {what.replace('_', ' ')} ({was}, now {now}): "
                    "give --fresh to begin again, or another folder with --out"
                )
        return there

    def _baseline(self) -> Path | None:
        """The baseline's script, when the plan needs it."""
        if not any(step.design == BASELINE for step in self.plan.steps()):
            return None
        path = Path(__file__).parents[1] / "examples" / "baseline_asyncio.py"
        if not path.is_file():
            raise UsageError(
                f"the baseline is not at {path}: it is an example of the source tree, not of the installed package; "
                "run the study from a checkout, or give --baseline-max 0 to leave the baseline out"
            )
        return path

    def command_of(self, step: Step, baseline: Path | None) -> list[str]:
        """What runs this step, with the mesh or, given its program, with the baseline."""
        load = ["--mean", f"{self.plan.mean_s:g}", "--sd", f"{self.plan.sd_s:g}", "--seed", f"{step.repeat}"]
        load += ["--messages", f"{step.messages}"]
        if step.design == BASELINE:
            assert baseline is not None
            return [sys.executable, str(baseline), "--concurrency", f"{step.slots}", *load, "--json", "-"]
        slots = ["--senders", f"{step.processes}", "--concurrency", f"{step.slots // step.processes}"]
        return [*children.COMMAND, "run", *slots, *load, "--quiet", "--json", "-"]

    # -- one run ---------------------------------------------------------------------------------------------------

    def _make(self, step: Step, command: Sequence[str], watcher: Watcher, later_s: float) -> Run | None:
        """Make it; None when it was stopped. `later_s` is what the runs after it may take."""
        environment = children.with_this_package(
            {name: value for name, value in os.environ.items() if not name.startswith("ZSMS_")}
        )
        expected = self.expected_s(step)
        begun = time.monotonic()
        with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                env=environment,
                start_new_session=True,  # Ctrl-C is for us alone: we end the run
            )
            try:
                while not _ended(process, LOOK_S):
                    elapsed = time.monotonic() - begun
                    watcher.goes_on(max(0.0, expected - elapsed) + later_s)
                    if self._stopped:
                        return None
                    if elapsed > PATIENCE_S + PATIENCE * expected:
                        raise ZsmsError(f"{step}: no end after {elapsed:.0f} s, {expected:.0f} s were expected")
            finally:
                _end(process)
            elapsed = time.monotonic() - begun
            return self._judge(
                step, command, process.returncode, said=_content(said), complained=_content(complained), elapsed=elapsed
            )

    def _judge(
        self, step: Step, command: Sequence[str], code: int, *, said: str, complained: str, elapsed: float
    ) -> Run:
        """The run's row. Raises ZsmsError, and keeps what the run said, when it is not as it must be."""
        try:
            run = record.run_of(step, json.loads(said), elapsed_s=elapsed, at=_now(), version=__version__)
        except (ValueError, KeyError, TypeError):
            run = None
        if run is not None and code == 0 and run.lost == 0 and run.balanced:
            return run
        if run is None:
            lines = complained.strip().splitlines()
            why = f"exited with {code} and without a report" + (f": {lines[-1]}" if lines else "")
        elif run.lost or not run.balanced:
            why = f"lost {run.lost:,} of {step.messages:,} messages; the ledger is " + (
                "balanced" if run.balanced else "not balanced"
            )
        else:
            why = f"exited with {code}"
        kept = self.csv.with_name(f"failed-{step.design}-{step.slots}-{step.repeat}.txt")
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(f"$ {shlex.join(command)}\n{said}\n{complained}", encoding="utf-8")
        except OSError as error:
            raise ZsmsError(f"{step}: {why} (and its report can't be kept in {kept}: {error.strerror})") from None
        raise ZsmsError(f"{step}: {why}; its report is in {kept}")


def _ended(process: subprocess.Popen[Any], wait_s: float) -> bool:
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[Any]) -> None:
    """End it if it runs: a first signal asks a mesh to drain, a second one ends it at once."""
    for _ in range(2):
        if process.poll() is None:
            process.terminate()
            _ended(process, 0.5)
    if not _ended(process, END_S):
        process.kill()
        process.wait()


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
