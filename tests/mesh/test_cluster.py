"""A mesh on a real Dask scheduler and three real workers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

import psutil
import pytest

from tests.mesh.processes import SOME, Command, environment, free_port, gone, line_with, suppress_gone, until, zsms

distributed = pytest.importorskip("distributed", reason="needs zsms[cluster]")


class Dask:
    """A scheduler and workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self._begin()
        self.mend()

    def _begin(self) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.scheduler = self._start("scheduler", "--host", self.address, "--no-dashboard")

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + what, *options],
                env=environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def add(self) -> None:
        options = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers.append(self._start("worker", self.address, *options))

    def wait(self, count: int) -> None:
        with distributed.Client(self.address, timeout=60) as client:
            client.wait_for_workers(count, timeout=60)

    def roles(self) -> list[psutil.Process]:
        """What runs on the workers: children of keepers."""
        found = []
        for worker in self.workers:
            with suppress_gone():
                found += [each for keeper in psutil.Process(worker.pid).children() for each in keeper.children()]
        return [process for process in found if not gone(process)]

    def worker_of(self, pid: int) -> subprocess.Popen[bytes]:
        above = {process.pid for process in psutil.Process(pid).parents()}
        return next(worker for worker in self.workers if worker.pid in above)

    def mend(self) -> None:
        """A scheduler and three workers again, none of which has anything to do."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < 3:
            self.add()
        self.wait(3)
        until(lambda: not self.roles(), "roles that have ended", 40.0)

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    dask = Dask(tmp_path_factory.mktemp("dask"))
    yield dask
    dask.end()


class Run:
    """A `zsms run` on it that lasts until it is told to end, with three senders."""

    def __init__(self, dask: Dask, stack: ExitStack, folder: Path) -> None:
        self._report = folder / "report.json"
        self.command = stack.enter_context(
            Command(
                *("run", "--cluster", dask.address, "--ui", "plain", "-v", "--json", self._report),
                *("--messages", 10**9, "--rate", 1_500, "--senders", 3, "--concurrency", 1_000, "--mean", 0.3),
            )
        )
        self.command.wait_for("sender joined: sender-3", 40.0)
        self.command.wait_for(line_with(sent=SOME), 40.0)

    def end(self) -> dict[str, Any]:
        """Interrupt it: it drains."""
        self.command.signal(SIGINT)
        assert self.command.end() == 130
        report: dict[str, Any] = json.loads(self._report.read_text())
        assert report["interrupted"] and report["balanced"]
        assert report["messages"]["sent"] == report["messages"]["produced"] > 0 == report["messages"]["lost"]
        return report


@pytest.fixture
def run(dask: Dask, tmp_path: Path) -> Iterator[Run]:
    with ExitStack() as stack:
        yield Run(dask, stack, tmp_path)
    dask.mend()


def test_a_run_on_three_workers_balances_and_its_secrets_are_nowhere(dask: Dask, run: Run) -> None:
    roles = until(lambda: found if len(found := dask.roles()) == 6 else None, "six roles")
    assert len({dask.worker_of(process.pid).pid for process in roles}) == 3, "not spread"
    for process in roles:
        assert process.cmdline()[1:] == ["-P", "-m", "zsms.cli.launched"]
        assert not [name for name in process.environ() if name.startswith("ZSMS_")]
    with distributed.Client(dask.address) as client:
        told = client.run_on_scheduler(lambda dask_scheduler: repr([t.run_spec for t in dask_scheduler.tasks.values()]))
    assert "run_role" in told and not re.search("secret|concurrency|--broker", told)
    until(lambda: not list(Path("/dev/shm").glob("zsms-*/**/*.key")), "keys that were read and are gone")
    report = run.end()
    assert not report["problems"]
    assert all(row["host"] for row in report["processes"])
    assert report["config"]["secure"]


def test_the_roles_end_with_whoever_runs_the_mesh(dask: Dask, run: Run) -> None:
    roles = dask.roles()
    run.command.signal(SIGKILL)
    until(lambda: all(gone(process) for process in roles), "roles that have ended", 40.0)


def test_a_task_that_is_cancelled_takes_its_role_along(dask: Dask, run: Run) -> None:
    (pid,) = map(int, re.findall(r"sender-2: pid (\d+) on ", run.command.err))
    role = psutil.Process(pid)
    with distributed.Client(dask.address) as client:
        names = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
        (key,) = (name for name in names if name.startswith("zsms-sender-2-"))
        client.cancel([distributed.Future(key, client)], force=True)
        until(lambda: gone(role), "its end")
    assert "sender-2" in run.end()["problems"][0]


def test_an_interrupted_run_drains_and_leaves_nothing(dask: Dask, run: Run) -> None:
    run.end()
    assert not dask.roles()


def test_what_can_not_be_is_said() -> None:
    done = zsms("run", "--cluster", "nowhere")
    assert done.returncode == 2 and "tcp://HOST:PORT" in done.stderr
    done = zsms("run", "--cluster", f"tcp://127.0.0.1:{free_port()}")
    assert done.returncode == 1 and "no Dask scheduler at" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_and_a_sweep_on_workers_are_those_of_this_machine(dask: Dask, tmp_path: Path) -> None:
    plan = ("plan", "--messages", 500, "--replications", 20, "--seed", 3, "--no-variants", "--json", "-")
    here, there = zsms(*plan), zsms(*plan, "--cluster", dask.address)
    assert there.returncode == 0 and here.stdout == there.stdout, there.stderr
    (tmp_path / "mine.toml").write_text("[run]\nmessages = 500\n")  # not where the workers are
    done = zsms("sweep", "mine.toml", "--vary", "concurrency=50,0", "--cluster", dask.address, cwd=tmp_path)
    assert (
        done.returncode == 1 and "concurrency=0: zsms plan mine.toml" in done.stderr and "exited with 2" in done.stderr
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["concurrency", "50"]
    assert "Traceback" not in done.stderr + there.stderr
