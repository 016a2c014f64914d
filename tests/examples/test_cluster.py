"""examples/cluster: a mesh whose broker's host is killed ends with every message sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mesh.processes import environment

pytest.importorskip("nats", reason="needs zsms[jetstream]")
pytest.importorskip("distributed", reason="needs zsms[cluster]")

SCRIPT = Path(__file__).parents[2] / "examples" / "cluster" / "run.py"


@pytest.mark.timeout(120)  # 22 s on two processors that have nothing else to do
def test_the_broker_s_host_is_killed_and_every_message_is_sent() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--slots", "2000", "--messages", "6000"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "broker-standby is in its place" in done.stdout and "0 lost, 0 unsettled" in done.stdout
