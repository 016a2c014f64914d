"""`bin/soak MINUTES`: a mesh under load whose roles are killed, stopped and restarted at random, and what must hold.

    load       producers at a rate, senders that fail now and then, a small queue, retries and dead letters
    mischief   kill -9, of the broker with its journal, too; SIGSTOP and SIGCONT, SIGTERM; messages kicked and purged;
               drawn from a seed, which is printed
    checks     the ledger balances at every look and adds up at the end; no role ends by itself, logs a traceback, or
               grows in memory or descriptors

The mischief of a seed is the same each time; when it strikes is not, because processes take their own time. Exits with
1 when something did not hold, and says what.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

import psutil

from tests.mesh.processes import ZSMS, ask, environment, until
from zsms.errors import ZsmsError
from zsms.roles.operator import Operator
from zsms.stats.figures import BrokerFigures
from zsms.stats.row import Row
from zsms.stats.view import View

LIVENESS_S = 1.5
LOOK_S = 1.0
SENDERS, PRODUCERS = 3, 2
RATE = 1_000
BROKER_KILLS = "broker kill"
DRAIN_S = 60.0
"""Within this time everything is settled once the producers have stopped and the others are left alone."""

GROWN_BYTES, GROWN_SHARE, GROWN_DESCRIPTORS = 32 * 2**20, 0.25, 12
"""A process has grown when the last third of its life is above the first by so many bytes and that share."""
JUDGED_SAMPLES = 9
"""Looks at a process before its growth is judged."""
WARM_UP_S = 5.0


@dataclass
class Sample:
    """A process at one moment."""

    rss: int
    descriptors: int


def grown(samples: Sequence[Sample]) -> str | None:
    """How a process has grown, by the medians of the first and last third of its samples; None when it has not."""
    if len(samples) < JUDGED_SAMPLES:
        return None
    third = len(samples) // 3
    (rss, fds), (rss_now, fds_now) = (
        (statistics.median(s.rss for s in part), statistics.median(s.descriptors for s in part))
        for part in (samples[:third], samples[-third:])
    )
    if rss_now > rss * (1 + GROWN_SHARE) + GROWN_BYTES:
        return f"memory from {rss / 2**20:.0f} to {rss_now / 2**20:.0f} MiB"
    if fds_now > fds + GROWN_DESCRIPTORS:
        return f"descriptors from {fds:.0f} to {fds_now:.0f}"
    return None


def heeds_sigterm(pid: int) -> bool:
    """Whether a process has got as far as to have a handler for SIGTERM, however long that takes it. (Linux)"""
    try:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return True  # it has ended by itself, which counts
    return caught is None or bool(int(caught[1], 16) >> (SIGTERM - 1) & 1)


@dataclass
class Victim:
    """A role and its present process."""

    role: str
    name: str
    options: list[str]
    log: Path
    popen: subprocess.Popen[bytes] | None = None
    stopped: bool = False
    since: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    starts: int = 0

    def start(self) -> None:
        self.starts += 1
        self.since, self.samples, self.stopped = time.monotonic(), [], False
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [*ZSMS, self.role, "--name", self.name, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        assert self.popen is not None
        self.popen.send_signal(number)
        self.stopped = number == SIGSTOP or (self.stopped and number != SIGCONT)

    def end(self, number: int, within: float = 20.0) -> int:
        """Let it go on if it was stopped, signal it and wait for its end; the exit code."""
        assert self.popen is not None
        if number != SIGKILL:
            self.signal(SIGCONT)
        knows = heeds_sigterm(self.popen.pid)
        self.signal(number)
        code = self.popen.wait(within)
        self.popen = None
        if code == -SIGTERM and not knows:
            return 0  # it had only begun, and did not yet know what to do about the signal
        return code

    def crash(self) -> None:
        """End without anyone having asked for it."""
        assert self.popen is not None
        self.popen.kill()

    def sample(self) -> None:
        if self.popen is None or self.popen.poll() is not None or time.monotonic() - self.since < WARM_UP_S:
            return
        process = psutil.Process(self.popen.pid)
        self.samples.append(Sample(process.memory_info().rss, process.num_fds()))


class Soak:
    """One soak."""

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self._rng = random.Random(seed)
        self._began = time.monotonic()
        self._print = say
        self.violations: list[str] = []
        self.done: dict[str, int] = {}
        """How often each kind of mischief was done."""
        broker, stats = f"ipc://{folder}/b", f"ipc://{folder}/s"
        self._broker, self._stats = broker, stats
        told = ["--stats", stats, "--stats-interval", "0.2"]
        limits = ["--max-messages", "5000", "--max-attempts", "3", "--retry-base", "0.1", "--retry-cap", "1"]
        limits += ["--liveness", f"{LIVENESS_S}", "--lease", "10", "--max-deliveries", "5"]
        self._durable = has_journal()
        if self._durable:
            limits += ["--journal", str(folder / "journal")]
        sends = ["--concurrency", "400", "--mean", "0.15", "--sd", "0.03", "--failure-rate", "0.02"]
        makes = ["--messages", f"{10**12}", "--rate", f"{RATE}", "--batch", "200", "--window", "2000"]
        roles = [
            ("stats", "collector", ["--bind", stats]),
            ("broker", "broker", ["--bind", broker, *told, *limits]),
            *(("sender", f"sender-{i + 1}", ["--broker", broker, *told, *sends]) for i in range(SENDERS)),
            *(("producer", f"producer-{i + 1}", ["--broker", broker, *told, *makes]) for i in range(PRODUCERS)),
        ]
        self._victims = [Victim(role, name, options, folder / f"{name}.log") for role, name, options in roles]
        self._resume: list[tuple[float, Victim]] = []
        self._last: View | None = None
        self._confirmed: dict[tuple[str, int], int] = {}
        """Messages that each start of a producer has had confirmed, as last seen."""

    def say(self, text: str) -> None:
        self._print(f"{time.monotonic() - self._began:7.1f} s  {text}")

    def violated(self, text: str) -> None:
        self.violations.append(text)
        self.say(f"VIOLATION: {text}")

    def of(self, role: str) -> list[Victim]:
        return [victim for victim in self._victims if victim.role == role]

    # -- the run ------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        try:
            for victim in self._victims:
                victim.start()
            until(lambda: self._view(lambda view: view.sent > 0), "a mesh at work", 30.0)
            began = time.monotonic()
            stop_at = began + seconds
            look_at = strike_at = 0.0
            while (now := time.monotonic()) < stop_at or not self.done:
                self._resume_who_is_due(now)
                if now >= look_at:
                    look_at = now + LOOK_S
                    self._look()
                if now >= strike_at:
                    strike_at = now + self._rng.uniform(0.3, 1.8)
                    self.strike()
                if now >= began + seconds / 2 and not self.done.get(BROKER_KILLS) and self._durable:
                    self.say(self._kill_one(self.of("broker")[0]))  # once at least, however short
                time.sleep(0.05)
            self._finish()
        finally:
            for victim in self._victims:
                if victim.popen is not None and victim.popen.poll() is None:
                    victim.end(SIGKILL)

    def _resume_who_is_due(self, now: float) -> None:
        due = [victim for at, victim in self._resume if at <= now]
        self._resume = [(at, victim) for at, victim in self._resume if at > now]
        for victim in due:
            if victim.stopped:
                victim.signal(SIGCONT)

    # -- mischief -----------------------------------------------------------------------------------------------

    def strike(self) -> None:
        kinds: dict[Callable[[], str], int] = {
            self._kill: 4,
            self._pause: 4,
            self._terminate: 2,
            self._kick: 1,
            self._purge: 2,
        }
        (act,) = self._rng.choices(list(kinds), list(kinds.values()))
        text = act()
        self.done[act.__name__.strip("_")] = self.done.get(act.__name__.strip("_"), 0) + 1
        self.say(text)

    def _choose(self, *roles: str) -> Victim:
        return self._rng.choice([victim for victim in self._victims if victim.role in roles])

    def _kill(self) -> str:
        # Without a journal a broker that dies takes messages with it, which is no news.
        return self._kill_one(self._choose("sender", "producer", "stats", *(["broker"] if self._durable else [])))

    def _kill_one(self, victim: Victim) -> str:
        if victim.role == "broker":
            self.done[BROKER_KILLS] = self.done.get(BROKER_KILLS, 0) + 1
        victim.end(SIGKILL)
        self._judge_growth(victim)
        victim.start()
        return f"killed and started {victim.name}"

    def _pause(self) -> str:
        victim = self._choose("sender", "producer", "stats", "broker")
        longest = 2 * LIVENESS_S if victim.role != "broker" else LIVENESS_S
        seconds = self._rng.uniform(0.1, longest)
        victim.signal(SIGSTOP)
        self._resume.append((time.monotonic() + seconds, victim))
        return f"stopped {victim.name} for {seconds:.1f} s"

    def _terminate(self) -> str:
        victim = self._choose("sender", "stats")
        code = victim.end(SIGTERM, 40.0)
        if code:
            self.violated(f"{victim.name} ended with {code} when it was told to stop")
        self._judge_growth(victim)
        victim.start()
        return f"told {victim.name} to stop, and started it"

    def _operate(self, act: Callable[[Operator], str]) -> str:
        for victim in self.of("broker"):
            victim.signal(SIGCONT)  # who is stopped can't answer
        try:
            with Operator(self._broker, timeout=20.0) as operator:
                return act(operator)
        except ZsmsError as error:
            self.violated(f"the broker does not answer an operator: {error}")
            return "asked in vain"

    def _kick(self) -> str:
        limit = self._rng.randrange(1, 500)
        return self._operate(lambda operator: f"kicked {operator.kick(limit=limit)} dead messages")

    def _purge(self) -> str:
        ready = self._rng.random() < 0.2
        return self._operate(lambda o: "purged {} ready and {} dead messages".format(*o.purge(ready=ready, dead=True)))

    # -- checks -------------------------------------------------------------------------------------------------

    def _view(self, true: Callable[[View], bool]) -> View | None:
        view = ask(self._stats, 1.0)
        return view if view is not None and true(view) else None

    def _look(self) -> None:
        for victim in self._victims:
            code = None if victim.popen is None else victim.popen.poll()
            if code is not None:
                self.violated(f"{victim.name} ended by itself, with {code}; {last_line(victim.log)}")
                victim.start()
            victim.sample()
        if any(victim.stopped for victim in self.of("stats")):
            return
        view = ask(self._stats, 1.0)
        if view is not None:
            self._last = view
            self._note_confirmed(view)
            if not view.balanced:
                self.violated("the broker's accounts do not balance")

    def _note_confirmed(self, view: View) -> int:
        """Messages that any start of a producer was ever seen to have confirmed; those of who is gone count on."""
        for row in view.producers:
            self._confirmed[row.name, row.start] = row.figures.confirmed or 0
        return sum(self._confirmed.values())

    def _judge_growth(self, victim: Victim) -> None:
        how = grown(victim.samples)
        if how is not None:
            self.violated(f"{victim.name} has grown: {how}")

    def _finish(self) -> None:
        """Leave everyone alone, stop the producers, and see that all of it is settled."""
        for victim in self._victims:
            if victim.stopped:
                victim.signal(SIGCONT)
        self._look()
        for victim in self.of("producer"):
            code = victim.end(SIGTERM, DRAIN_S)
            if code:
                self.violated(f"{victim.name} ended with {code} when it was told to stop; {last_line(victim.log)}")
        settled = lambda view: view.brokers_alive and not view.held and all(map(_has_settled, view.brokers))  # noqa: E731
        try:
            view = until(lambda: self._view(settled), "everything settled", DRAIN_S)
        except AssertionError:
            self.violated(f"not everything was settled within {DRAIN_S:.0f} s: {self._view(bool)}")
            return
        confirmed = max(self._note_confirmed(view), confirmed_of(view))
        if not view.balanced or confirmed > view.accepted:
            self.violated(f"{confirmed:,} messages confirmed, {view.accepted:,} accepted, {view.settled:,} settled")
        for victim in self._victims:
            self._judge_growth(victim)
            if "Traceback" in victim.log.read_text():
                self.violated(f"{victim.name} logged a traceback:\n{victim.log.read_text()[-3_000:]}")
        for role in ("sender", "broker", "stats"):
            for victim in self.of(role):
                code = victim.end(SIGTERM, DRAIN_S)
                if code:
                    self.violated(f"{victim.name} ended with {code} when it was told to stop; {last_line(victim.log)}")
        self.say(
            f"{confirmed:,} confirmed (of those seen), {view.accepted:,} accepted; {view.sent:,} sent + "
            f"{view.failed:,} failed + {view.dead:,} dead; {view.redelivered:,} redelivered, {view.duplicates:,} "
            f"duplicates, {view.retried:,} retried; " + ", ".join(f"{n} x {kind}" for kind, n in self.done.items())
        )


def _has_settled(row: Row[BrokerFigures]) -> bool:
    """Whether a broker has settled all that it knows of. What a killed one accepted and did not keep came again, and
    the totals count it twice."""
    figures = row.figures
    return figures.accepted == (figures.sent or 0) + (figures.failed or 0) + (figures.dead or 0)


def confirmed_of(view: View) -> int:
    """Messages confirmed to the producers that have a row: their present starts."""
    return sum(row.figures.confirmed or 0 for row in view.producers)


def has_journal() -> bool:
    """Whether a broker can keep its queue over a kill."""
    done = subprocess.run([*ZSMS, "broker", "--help"], env=environment(), capture_output=True, text=True, check=True)
    return "--journal" in done.stdout


def last_line(log: Path) -> str:
    """The last line of a log."""
    lines = log.read_text().splitlines()
    return lines[-1] if lines else "it said nothing"


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; the exit code."""
    parser = argparse.ArgumentParser(prog="bin/soak", description=__doc__.splitlines()[0])
    parser.add_argument("minutes", type=float, help="how long there is mischief")
    parser.add_argument("--seed", type=int, help="of the mischief; drawn and printed by default")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}: bin/soak {options.minutes:g} --seed {seed} draws the same mischief", flush=True)
    with tempfile.TemporaryDirectory(prefix="zsms-soak-") as folder:
        soak = Soak(Path(folder), seed, lambda text: print(text, flush=True))
        soak.run(options.minutes * 60)
    print(f"{len(soak.violations)} violations", *soak.violations, sep="\n  ", flush=True)
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
