"""The targets that are no step of the scaling study, measured one after the other on whole processes.

    python benchmarks/targets.py                          all of them, about five minutes
    python benchmarks/targets.py small-senders latency    only these
    python benchmarks/targets.py --json FILE              the figures for programs, too

    small-senders   grants of one message a second through one broker, with 10 and with 200 senders of 1 to 10 slots
    many-peers      a large flow beside 198 idle senders, and without them
    sender-memory   bytes a slot in a sender, beyond what it has at its start
    queue-memory    bytes a queued message in a broker, over the bytes of its columns
    flat            memory of each process over a minute's run
    latency         from the queue to the slot at 100 messages a second
    start           to the first message, to the end of a small run, to the help
    journal         throughput with a journal beside that without, and the disk's own bandwidth

Every figure comes from an idle machine or is worth nothing, so each row says the load average before it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from peers import TEXT_BYTES, Peers

from zsms.roles.asker import Asker
from zsms.stats.view import View
from zsms.wire.endpoint import Endpoint
from zsms.wire.sockets import Sockets

ZSMS = [sys.executable, "-m", "zsms"]
TIMEOUT_S = 110.0
GROUP_BYTES = 4 * 2**20
"""What the journal writes at once, at most."""
MESSAGE_BYTES = 60.5
"""Of a random message's columns, on average."""


@dataclass(slots=True)
class Row:
    """One target and what came of it."""

    target: str
    wanted: str
    measured: str
    met: bool
    load: float = field(default_factory=lambda: os.getloadavg()[0])


def disk_bandwidth(folder: Path, seconds: float) -> float:
    """Bytes a second of appending 4 MB and fdatasync."""
    block = os.urandom(GROUP_BYTES)
    path = folder / "bandwidth"
    count = 0
    with path.open("wb", buffering=0) as file:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            file.write(block)
            os.fdatasync(file.fileno())
            count += 1
            if count % 64 == 0:
                file.seek(0)  # a journal writes over what it has let go, too
        elapsed = time.perf_counter() - began
    path.unlink()
    return count * GROUP_BYTES / elapsed


# -- whole processes ---------------------------------------------------------------------------------------


class Processes:
    """A collector and whatever else is started, each the command that one would type; all gone at the end."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._started: list[psutil.Popen] = []
        self.stats = f"ipc://{directory}/stats"
        self._sockets = Sockets()
        self._asker = Asker(self._sockets, Endpoint.parse(self.stats, 0))
        self.start("stats", "stats", "--bind", self.stats)

    def start(self, role: str, name: str, *options: object) -> psutil.Popen:
        """Start `zsms ROLE`; its log goes to a file."""
        with open(self._log(name), "wb") as log:
            process = psutil.Popen(
                [*ZSMS, role, "--name", name, "--exit-with-parent", *map(str, options)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process

    def broker(self, *options: object) -> tuple[psutil.Popen, str]:
        """Start a broker on two free ports; the process, and its endpoint."""
        process = self.start("broker", "broker", "--bind", "tcp://127.0.0.1:0", "--stats", self.stats, *options)
        until = time.monotonic() + 10
        while time.monotonic() < until and process.poll() is None:
            _, found, rest = self._log("broker").read_text().partition("listening on ")
            if found and "\n" in rest:
                return process, rest.split()[0]
            time.sleep(0.02)
        raise SystemExit(f"the broker did not start: {self._log('broker').read_text()}")

    def peer(self, role: str, name: str, broker: str, *options: object) -> psutil.Popen:
        """Start a producer or sender of that broker."""
        return self.start(role, name, "--broker", broker, "--stats", self.stats, *options)

    def _log(self, name: str) -> Path:
        return Path(self._directory, f"{name}.log")

    def view(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[View]:
        """What the collector knows, about five times a second, for at most `TIMEOUT_S`."""
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until:
            meanwhile()
            answer = self._asker.wait("totals", 1.0)
            if answer is not None:
                yield View.of(answer, time.monotonic())
            for process in self._started:
                if process.poll():
                    raise SystemExit(f"{' '.join(process.args)} exited with {process.returncode}")
            time.sleep(0.2)
        raise SystemExit(f"not done within {TIMEOUT_S:.0f} s")

    def end(self) -> None:
        """End all, at once."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.kill()
                process.wait()
        self._sockets.close_all()


@contextmanager
def processes() -> Iterator[Processes]:
    """A collector in a directory of its own, and what is started beside it."""
    with tempfile.TemporaryDirectory(prefix="zsms-") as directory:
        started = Processes(directory)
        try:
            yield started
        finally:
            started.end()


def run(*options: object, meanwhile: Callable[[psutil.Popen], None] | None = None) -> dict[str, Any]:
    """The report of `zsms run` with these options."""
    with tempfile.TemporaryDirectory(prefix="zsms-") as directory:
        report = Path(directory, "report.json")
        process = psutil.Popen(
            [*ZSMS, "run", "--quiet", "--json", str(report), *map(str, options)], stdout=subprocess.DEVNULL
        )
        try:
            if meanwhile is not None:
                meanwhile(process)
            if process.wait(TIMEOUT_S):
                raise SystemExit(f"{' '.join(process.args)} exited with {process.returncode}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        body: dict[str, Any] = json.loads(report.read_text())
    return body


# -- the targets -------------------------------------------------------------------------------------------


def small_senders(seconds: float = 5.0) -> Iterator[Row]:
    """A broker, a producer, and many small senders played by this process."""
    # The last row is a broker's pure cost of one message a grant, for a sender of 1 slot can't be granted two.
    for count, slots, hold in ((10, 10, 0.0), (200, 10, 0.0), (200, 10, 0.001), (10, 1, 0.0), (200, 1, 0.0)):
        with processes() as mesh:
            broker, endpoint = mesh.broker("--stats-interval", 0.25)
            mesh.peer("producer", "producer", endpoint, "--messages", 100_000_000, *texts_of(TEXT_BYTES))
            peers = Peers(endpoint, [index % slots + 1 for index in range(count)], hold)
            try:
                peers.join()
                wait_for(mesh, lambda view: view.queued > 200_000)
                load = os.getloadavg()[0]
                peers.give_credit()
                peers.work(time.monotonic() + 1.0)
                before, grants, messages, began = threads(broker), peers.grants, peers.messages, time.monotonic()
                peers.work(began + seconds)
                elapsed = time.monotonic() - began
                after, grants, messages = threads(broker), peers.grants - grants, peers.messages - messages
            finally:
                peers.close()
        loop, zeromq = ((late - early) * 1e6 / grants for early, late in zip(before, after, strict=True))
        yield Row(
            f"{count} senders of {f'1 to {slots} slots' if slots > 1 else '1 slot'}, {hold * 1e3:.0f} ms sends",
            "50,000 grants/s",
            f"{grants / elapsed:,.0f} grants/s of {messages / grants:.2f} messages; broker's loop {loop:.1f} us of "
            f"processor a grant, its ZeroMQ {zeromq:.1f} us",
            grants / elapsed >= 50_000,
            load,
        )


def texts_of(length: int) -> tuple[object, ...]:
    """Options for texts of one length."""
    return ("--min-length", length, "--max-length", length)


def threads(process: psutil.Process) -> tuple[float, float]:
    """Seconds of processor that a process's own loop and its other threads have used."""
    own = other = 0.0
    for thread in process.threads():
        if thread.id == process.pid:
            own += thread.user_time + thread.system_time
        else:
            other += thread.user_time + thread.system_time
    return own, other


def wait_for(mesh: Processes, condition: Callable[[View], bool], meanwhile: Callable[[], None] = lambda: None) -> View:
    """The first view that meets the condition."""
    return next(view for view in mesh.view(meanwhile) if condition(view))


def many_peers(repeats: int = 3) -> Iterator[Row]:
    """Two senders of two million slots, with and without 198 others that have joined and want nothing."""
    rates: dict[int, list[float]] = {0: [], 198: []}
    load = os.getloadavg()[0]
    for _ in range(repeats):
        for idle, measured in rates.items():
            measured.append(flow(idle))
    alone, beside = median(rates[0]), median(rates[198])
    yield Row(
        "a flow through 2 senders beside 198 idle ones",
        "no loss of rate",
        f"{beside:,.0f} messages/s, {alone:,.0f} without them: {beside / alone:.3f} "
        f"({min(rates[198]) / max(rates[0]):.3f} to {max(rates[198]) / min(rates[0]):.3f})",
        beside >= 0.97 * alone,
        load,
    )


def flow(idle: int, slots: int = 2_000_000, messages: int = 16_000_000) -> float:
    """Messages a second through two large senders, beside `idle` peers that only ping."""
    with processes() as mesh:
        _, endpoint = mesh.broker("--stats-interval", 0.25)
        peers = Peers(endpoint, [10] * idle)
        try:
            if idle:
                peers.join()
            for number in (1, 2):
                mesh.peer("sender", f"sender-{number}", endpoint, "--concurrency", slots)
            wait_for(mesh, lambda view: view.slots >= 2 * slots, lambda: peers.work(time.monotonic() + 0.01))
            mesh.peer("producer", "producer", endpoint, "--messages", messages, "--stats-interval", 0.25)
            view = wait_for(mesh, lambda view: view.done, lambda: peers.work(time.monotonic() + 0.01))
            return view.rate
        finally:
            peers.close()


def sender_memory(small: int = 100_000, large: int = 2_100_000) -> Iterator[Row]:
    """The most that a sender of few and of many slots ever had resident."""
    load = os.getloadavg()[0]
    most = {}
    for slots in (small, large):
        report = run("--senders", 1, "--concurrency", slots, "--messages", slots * 3)
        most[slots] = next(row["rss_max_bytes"] for row in report["processes"] if row["role"] == "sender")
    figure = (most[large] - most[small]) / (large - small)
    yield Row("memory a slot in a sender", "100 bytes", f"{figure:.1f} bytes", figure <= 100, load)


def queue_memory(messages: int = 2_000_000) -> Iterator[Row]:
    """A broker with a queue and no sender."""
    with processes() as mesh:
        load = os.getloadavg()[0]
        broker, endpoint = mesh.broker("--max-messages", messages, "--max-bytes", 2**32, "--stats-interval", 0.25)
        empty = broker.memory_info().rss
        mesh.peer("producer", "producer", endpoint, "--messages", messages, "--stats-interval", 0.25)
        view = wait_for(mesh, lambda view: view.queued == messages)
        payload = next(row.figures.queue_bytes or 0.0 for row in view.brokers)
        held = broker.memory_info().rss - empty
    yield Row(
        f"memory of {messages:,} queued messages",
        "1.5 x their columns",
        f"{held / payload:.2f} x the {payload / messages:.1f} bytes a message",
        held <= 1.5 * payload,
        load,
    )


def flat(seconds: float = 60.0, rate: int = 300_000) -> Iterator[Row]:
    """A minute at a constant rate, every process's memory looked at each second."""
    samples: dict[str, list[int]] = {}
    load = os.getloadavg()[0]

    def watch(process: psutil.Popen) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.poll() is None:
            for child in [process, *process.children()]:
                command = child.cmdline()
                name = command[command.index("--name") + 1] if "--name" in command else "run"
                samples.setdefault(name, []).append(child.memory_info().rss)
            time.sleep(1.0)

    run(
        *("--rate", rate, "--messages", int(rate * seconds), "--senders", 2, "--concurrency", int(0.6 * rate)),
        meanwhile=watch,
    )
    # From the 20th second on: by then every queue has been as long as it gets.
    growth = {name: median(rss[-10:]) / median(rss[20:30]) - 1 for name, rss in samples.items()}
    yield Row(
        f"memory over {seconds:.0f} s at {rate:,} messages/s",
        "flat",
        "; ".join(f"{name} {grown:+.1%} of {samples[name][-1] / 2**20:.0f} MiB" for name, grown in growth.items()),
        max(growth.values()) < 0.05,
        load,
    )


def latency() -> Iterator[Row]:
    """100 messages a second for 20 s; a slot sends at once."""
    load = os.getloadavg()[0]
    report = run("--rate", 100, "--messages", 2_000, "--delay", "constant", "--mean", 0)
    p50, p99 = report["queue_time_s"]["p50"] * 1e3, report["queue_time_s"]["p99"] * 1e3
    yield Row("queue to slot at 100 messages/s, p99", "below 5 ms", f"{p99:.2f} ms (p50 {p50:.2f} ms)", p99 < 5, load)


def journal(repeats: int = 3, messages: int = 3_000_000, slots: int = 500_000) -> Iterator[Row]:
    """Runs without and with a journal in the current folder, in turns, and what the disk does by itself."""
    load = os.getloadavg()[0]
    options = ("--messages", messages, "--concurrency", slots)
    ratios, rates, disks = [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="zsms-journal-", dir=".") as folder:
            disk = disk_bandwidth(Path(folder), 2.0)
            memory = run(*options)["throughput_per_s"]
            kept = run(*options, "--journal", f"{folder}/journal")["throughput_per_s"]
            disk = (disk + disk_bandwidth(Path(folder), 2.0)) / 2
        ratios.append(kept / memory)
        rates.append(kept)
        disks.append(disk / 1e6)
    yield Row(
        f"throughput with a journal, {2 * slots:,} slots",
        "half of that without",
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) at {median(rates):,.0f} messages/s: "
        f"{median(rates) * MESSAGE_BYTES / 1e6 / median(disks):.2f} of the disk's {median(disks):.0f} MB/s",
        median(ratios) >= 0.5,
        load,
    )


def start() -> Iterator[Row]:
    """Small runs, and the help."""
    load = os.getloadavg()[0]
    options = ("--messages", 1_000, "--mean", 0.01, "--sd", 0)
    first, walls = [], []
    for _ in range(5):
        began = time.monotonic()
        first.append(run(*options)["first_message_s"])
        walls.append(time.monotonic() - began)
    yield seconds_row("first message of `zsms run`", 1.0, first, load)
    yield seconds_row(f"`zsms run {' '.join(map(str, options))}`", 2.0, walls, load)
    helps = []
    for _ in range(10):
        began = time.monotonic()
        subprocess.run([*ZSMS, "--help"], check=True, stdout=subprocess.DEVNULL)
        helps.append(time.monotonic() - began)
    yield seconds_row("`zsms --help`", 0.2, helps, load)


def seconds_row(target: str, wanted: float, measured: list[float], load: float) -> Row:
    """A row of the median of several times."""
    text = f"{median(measured):.3f} s (median of {len(measured)}, {min(measured):.3f} to {max(measured):.3f})"
    return Row(target, f"below {wanted:g} s", text, median(measured) < wanted, load)


TARGETS: dict[str, Callable[[], Iterator[Row]]] = {
    "small-senders": small_senders,
    "many-peers": many_peers,
    "sender-memory": sender_memory,
    "queue-memory": queue_memory,
    "flat": flat,
    "latency": latency,
    "start": start,
    "journal": journal,
}


# -- the table ---------------------------------------------------------------------------------------------


def table(rows: list[Row]) -> str:
    """The rows, in columns."""
    cells = [("", "target", "wanted", "load", "measured")]
    cells += [("met" if r.met else "MISSED", r.target, r.wanted, f"{r.load:.2f}", r.measured) for r in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def main() -> int:
    """Measure, one at a time; 0 when every target is met, 1 when not."""
    parser = argparse.ArgumentParser(description="Measure the targets that are no step of the scaling study.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}  [default: all]")
    parser.add_argument("--json", metavar="FILE", help="write the rows there, too")
    options = parser.parse_args()
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    rows: list[Row] = []
    for name in options.targets or TARGETS:
        print(f"measuring {name}", file=sys.stderr)
        rows += TARGETS[name]()
    print(table(rows))
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
