"""The keeper of a role ends with its task, also while nobody has asked for the role yet."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import zmq

from tests.mesh.processes import environment


def test_one_that_is_not_asked_for_ends_with_its_task() -> None:
    """A run that is stopped in its first moments, and a worker that is killed then, left keepers for two minutes."""
    with socket.create_server(("127.0.0.1", 0)) as scheduler:
        told = {
            "host": "127.0.0.1",
            "launcher": zmq.curve_keypair()[0].decode(),
            "scheduler": f"127.0.0.1:{scheduler.getsockname()[1]}",
        }
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "zsms.launch.keeper"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as keeper:
            assert keeper.stdin is not None and keeper.stdout is not None
            try:
                keeper.stdin.write(json.dumps(told).encode() + b"\n")
                keeper.stdin.flush()
                assert json.loads(keeper.stdout.readline())["address"].startswith("tcp://127.0.0.1:")
                keeper.stdin.close()
                assert keeper.wait(25.0) == 1
            finally:
                keeper.kill()
