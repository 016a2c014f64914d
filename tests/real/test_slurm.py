"""Senders that Debian's slurm-wlm starts with `srun`, its controller and its node on this machine.

Only with ZSMS_TEST_SLURM=1, and as root: both daemons need it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.mesh.processes import ZSMS, ByHand, environment, free_port, until

PATIENCE_S = 40.0


@pytest.fixture
def mesh() -> Iterator[ByHand]:
    with ExitStack() as stack:
        yield ByHand(stack)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which `srun` finds it."""
    missing = [name for name in ("slurmctld", "slurmd", "srun") if shutil.which(name) is None]
    assert not missing, f"no {missing[0]}: install Debian's slurm-wlm"
    host, conf = socket.gethostname().partition(".")[0], tmp_path / "slurm.conf"
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": free_port(),
        "SlurmdPort": free_port(),
        "SlurmUser": "root",
        "AuthType": "auth/none",
        "CredType": "cred/none",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "SlurmdParameters": "config_overrides",
        "ReturnToService": 2,
        "StateSaveLocation": tmp_path / "state",
        "SlurmdSpoolDir": tmp_path / "spool",
        "SlurmctldPidFile": tmp_path / "slurmctld.pid",
        "SlurmdPidFile": tmp_path / "slurmd.pid",
        "NodeName": f"{host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN",
        "PartitionName": f"all Nodes={host} Default=YES State=UP",
    }
    conf.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    env = environment({"SLURM_CONF": str(conf)})
    with ExitStack() as stack:
        for daemon in ("slurmctld", "slurmd"):
            with (tmp_path / f"{daemon}.log").open("wb") as log:
                process = subprocess.Popen(
                    [daemon, "-D", "-f", str(conf)], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)

        def idle() -> bool:
            found = subprocess.run(("sinfo", "-h", "-o", "%T"), env=env, capture_output=True, text=True, check=False)
            return found.stdout.strip() == "idle"

        until(idle, "a node that is idle", PATIENCE_S)
        yield env


def test_three_senders_that_srun_starts_do_the_work(cluster: dict[str, str], mesh: ByHand, tmp_path: Path) -> None:
    mesh.start("stats")
    mesh.start("broker").wait_for("listening on")
    at = ("--broker", mesh.broker, "--stats", mesh.stats, "--stats-interval", "0.1", "--concurrency", "200")
    with (tmp_path / "srun.log").open("wb") as log:
        run = subprocess.Popen(
            ["srun", "--ntasks=3", *ZSMS, "sender", *at, "--mean", "0.1"],
            env=cluster,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        mesh.when(lambda view: len(view.senders) == 3, "three senders")
        assert mesh.start("producer", "--messages", 5_000).end(PATIENCE_S) == 0
        view = mesh.when(lambda view: view.done, "all of it sent")
        assert view.sent == view.produced == 5_000 and view.balanced
        assert all(row.figures.sent for row in view.senders)
        run.terminate()  # which srun passes on
        run.wait(PATIENCE_S)
        mesh.when(lambda view: not any(row.is_present for row in view.senders), "senders that have left")
    finally:
        run.kill()
        run.wait()
        print((tmp_path / "srun.log").read_text(), file=sys.stderr)
