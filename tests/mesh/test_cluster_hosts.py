"""A mesh on a real Dask scheduler and workers on three other hosts, which are network namespaces.

hub             the scheduler, and `zsms run`
second          a worker with the broker, the producer, the collector and a sender
third, fourth   a worker with a sender each
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest

from tests.mesh.hosts import Host, ip, namespaces
from tests.mesh.processes import Command, environment

pytest.importorskip("distributed", reason="needs zsms[cluster]")

PATIENCE_S = 40.0
NAMES = ("second", "third", "fourth")
SCENARIO = "[run]\nmessages = 1000000\nrate = 600\nbroker-place = 'second'\nliveness = 2\n" + "".join(
    f"[[run.groups]]\nname = '{name}'\nplace = '{name}'\nsenders = 1\nconcurrency = 300\nmean = 0.3\n" for name in NAMES
)


class Site:
    """The hosts, with a scheduler and three workers, and a run on them that ends when it is told to."""

    def __init__(self, hosts: list[Host], folder: Path, stack: ExitStack) -> None:
        self.hub, self.hosts = hosts[0], dict(zip(NAMES, hosts[1:], strict=True))
        self._folder, self._stack = folder, stack
        self._address = f"tcp://{self.hub.ipv4}:8786"
        self.scheduler = self._dask(self.hub, "scheduler", "--host", self._address, "--no-dashboard")
        self.workers = {name: self.worker(name, 100 if name == "second" else 1) for name in NAMES}

    def worker(self, name: str, threads: int = 1) -> subprocess.Popen[bytes]:
        """Another worker on the host of that name."""
        host = self.hosts[name]
        own = ("--host", host.ipv4, "--name", name, "--resources", f"{name}=1", "--nthreads", str(threads))
        return self._dask(host, "worker", self._address, *own, "--no-nanny", "--no-dashboard")

    def _dask(self, host: Host, what: str, *options: str) -> subprocess.Popen[bytes]:
        with (self._folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                [*host.inside, sys.executable, "-m", "distributed.cli.dask_" + what, *options],
                env=environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._stack.callback(lambda: (process.kill(), process.wait()))
        return process

    def client(self, code: str) -> None:
        """Do that on the hub with a `client` of the scheduler."""
        text = f"from distributed import Client\nclient = Client({self._address!r}, timeout=60)\n{code}"
        done = subprocess.run(
            [*self.hub.inside, sys.executable, "-c", text], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def run(self, *options: object) -> Command:
        """Begin, and return when all three send."""
        self.client("client.wait_for_workers(3, timeout=60)")
        scenario = self._folder / "run.toml"
        scenario.write_text(SCENARIO)
        settings = ("--config", scenario, "--cluster", self._address, "--ui", "plain", "-v")
        found = Command("run", *settings, "--json", self._folder / "report.json", *options, prefix=self.hub.inside)
        self._stack.enter_context(found)
        for name in NAMES:
            found.wait_for(f"sender joined: {name}-1", PATIENCE_S)
        # They are dealt to in turn: when the first messages have been sent, each has some.
        found.wait_for(r"\n[0-9:]{8} +[0-9,]+ +[1-9]", PATIENCE_S)
        return found

    def report(self, run: Command) -> dict[str, Any]:
        """Drain and end; every message that was made is sent, and counted once."""
        run.signal(SIGINT)
        assert run.end(PATIENCE_S) == 130, run.err
        report: dict[str, Any] = json.loads((self._folder / "report.json").read_text())
        messages = report["messages"]
        assert report["balanced"] and messages["sent"] == messages["produced"] > 0 == messages["lost"], messages
        assert "Traceback" not in run.err
        return report


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    with namespaces(4) as made:
        yield made


@pytest.fixture
def site(hosts: list[Host], tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(hosts, tmp_path, stack)
        for number in range(2, 5):
            ip("-n", hosts[0].name, "link", "set", f"to{number}", "up")


def test_workers_are_killed_and_retired_and_one_comes_late(site: Site) -> None:
    run = site.run("--adaptive")
    site.workers["third"].kill()
    run.wait_for(r"third-1 \(pid \d+ on \S+\) is gone with its .*; its messages go to the others", PATIENCE_S)
    site.worker("third")
    run.wait_for("late-1 joins, like second-1|late-1 joins, like third-1", PATIENCE_S)
    run.wait_for("sender joined: late-1", PATIENCE_S)
    site.client("client.retire_workers(names=['fourth'])")
    run.wait_for(r"fourth-1 \(pid \d+ on \S+\) is gone with its .*; its messages go to", PATIENCE_S)
    report = site.report(run)
    assert len(report["problems"]) == 2, report["problems"]
    sends = {row["name"]: row["sends"] for row in report["senders"]}
    assert sends["late-1"] > 0 and set(sends) == {"second-1", "third-1", "fourth-1", "late-1"}
    assert all(row["host"] for row in report["processes"])


def test_a_worker_is_cut_off_for_a_while_and_the_scheduler_is_killed(site: Site) -> None:
    run = site.run()
    device = f"to{2 + NAMES.index('fourth')}"
    ip("-n", site.hub.name, "link", "set", device, "down")
    run.wait_for("sender lost: fourth-1, [1-9]", PATIENCE_S)
    ip("-n", site.hub.name, "link", "set", device, "up")
    site.scheduler.kill()
    run.wait_for("the Dask scheduler at .* is gone; the mesh goes on without it", PATIENCE_S)
    report = site.report(run)
    assert report["messages"]["redelivered"] > 0
    assert len(report["problems"]) <= 1, report["problems"]  # the launcher may have lost it, too
