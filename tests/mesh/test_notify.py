"""What a process says to a service manager, which is a datagram socket here: ready, alive, stopping."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM

import psutil
import pytest

from tests.mesh.processes import Command, free_port, until
from zsms.roles.sd_notify import Notifier


class Manager:
    """The service manager's socket."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{path[1:]}" if path.startswith("@") else path)
        self.socket.settimeout(25)

    def hear(self) -> str:
        return self.socket.recv(4096).decode()

    def waiting(self) -> list[str]:
        """What has been said and not been heard."""
        self.socket.setblocking(False)
        said = []
        try:
            while True:
                said.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            self.socket.settimeout(25)
            return said


@contextmanager
def managed(path: str, *arguments: object, watchdog_s: float | None) -> Iterator[tuple[Manager, Command]]:
    manager = Manager(path)
    env = {"NOTIFY_SOCKET": path} | ({} if watchdog_s is None else {"WATCHDOG_USEC": str(int(watchdog_s * 1e6))})
    with Command(*arguments, env=env) as command:
        yield manager, command
    manager.socket.close()


@pytest.mark.parametrize("role", ["broker", "stats", "sender", "producer", "monitor"])
def test_each_role_is_ready_alive_and_stopping(role: str, tmp_path: Path) -> None:
    port = f"127.0.0.1:{free_port()}"
    options = {
        "broker": ("--bind", port),
        "stats": ("--bind", port),
        "sender": ("--broker", port),
        "producer": ("--broker", port),
        "monitor": ("--stats", port, "--interval", 100),
    }[role]
    with managed(str(tmp_path / "notify"), role, *options, watchdog_s=0.2) as (manager, command):
        assert manager.hear() == "READY=1"
        if role in ("broker", "stats"):  # its sockets were open by then
            host, _, number = port.partition(":")
            socket.create_connection((host, int(number)), 1).close()
        heard = []
        for _ in range(5):
            assert manager.hear() == "WATCHDOG=1"
            heard.append(time.monotonic())
        # Although the role itself may have nothing to do; one that turns each second only has no such pair.
        assert min(later - earlier for earlier, later in pairwise(heard)) < 0.5
        command.signal(SIGTERM)
        said = ["WATCHDOG=1"]
        while said[-1] == "WATCHDOG=1":
            said.append(manager.hear())
        assert said[-1] == "STOPPING=1"
        command.end()
        assert set(manager.waiting()) <= {"WATCHDOG=1"}


def test_a_process_that_is_stopped_says_nothing(tmp_path: Path) -> None:
    at = ("--bind", f"127.0.0.1:{free_port()}")
    with managed(str(tmp_path / "notify"), "stats", *at, watchdog_s=0.1) as (manager, command):
        assert [manager.hear(), manager.hear()] == ["READY=1", "WATCHDOG=1"]
        command.signal(SIGSTOP)
        until(lambda: psutil.Process(command.popen.pid).status() == psutil.STATUS_STOPPED, "its stop")
        until(lambda: not manager.waiting(), "what it had said before")
        silent_until = time.monotonic() + 0.5
        until(lambda: time.monotonic() >= silent_until, "five times its interval")
        assert manager.waiting() == []
        command.signal(SIGCONT)
        assert manager.hear() == "WATCHDOG=1"


def test_no_watchdog_unless_the_manager_asks_for_one(tmp_path: Path) -> None:
    at = ("--bind", f"127.0.0.1:{free_port()}")
    name = f"@zsms-{os.getpid()}-{time.monotonic_ns()}"  # an abstract address, as systemd may use
    with managed(name, "stats", *at, watchdog_s=None) as (manager, command):
        assert manager.hear() == "READY=1"
        command.signal(SIGTERM)
        assert manager.hear() == "STOPPING=1"
        assert command.end() == 0 and manager.waiting() == []


def test_a_mesh_keeps_its_manager_to_itself(tmp_path: Path) -> None:
    arguments = ("run", "--messages", 100, "--mean", 0.01)
    with managed(str(tmp_path / "notify"), *arguments, watchdog_s=0.1) as (manager, command):
        assert command.end() == 0
        assert manager.waiting() == []


def test_the_environment_says_whether_and_to_whom() -> None:
    assert Notifier.from_environment({}) is None
    assert Notifier.from_environment({"NOTIFY_SOCKET": "tcp://somewhere"}) is None
    for pid, watched in (("", True), (str(os.getpid()), True), ("1", False)):
        environ = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": pid, "HOME": "/"}
        notifier = Notifier.from_environment(environ)
        assert notifier is not None and environ == {"HOME": "/"}
        assert notifier.turn(10.0, None) == (11.0 if watched else None)
        assert notifier.turn(10.5, 10.7) == 10.7
        notifier.ready()  # nobody listens, and nothing comes of it
        notifier.close()
