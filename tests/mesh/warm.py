"""Commands as forks of a process that has imported the package: most of what a short one costs are its imports.

What is forked is a process of its own in all that tests look at: pid, signals, exit code, session, streams, folder and
environment. What an interpreter or a library reads when it starts is as it was for the process that was forked
(`Parent.suits`): where it is not, a test has to start an interpreter.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import NoReturn

EARLY = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "MALLOC_", "FAKETIME")
"""How the names of variables begin that are read before any command is."""
MOST = 2**20
"""Bytes of what is asked for."""


class Parent:
    """The process that has imported everything, and is asked for forks of it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._early = _early(environment)
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.mesh.warm", str(theirs.fileno())],
                # The last of them as every command sets it before it imports numpy.
                env={**environment, "OPENBLAS_NUM_THREADS": "1"},
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._one_at_a_time = threading.Lock()
        atexit.register(self._end)

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a fork can be what a process with this environment is."""
        return _early(environment) == self._early

    def fork(self, asked: object, descriptors: Sequence[int]) -> int:
        """The pid of a fork that is what it was asked to be."""
        with self._one_at_a_time:
            socket.send_fds(self._line, [json.dumps(asked).encode()], descriptors)
            return int(self._line.recv(64))

    def _end(self) -> None:
        self._line.close()
        self._popen.wait()


class Started:
    """A command that was forked, to be used as a `subprocess.Popen`."""

    def __init__(
        self,
        parent: Parent,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path | None,
        streams: tuple[int, int, int],
        terminal: bool,
    ) -> None:
        self.args = ["zsms", *arguments]
        self.returncode: int | None = None
        self._ended, code = os.pipe()
        try:
            asked = [list(arguments), dict(environment), str(cwd or Path.cwd()), terminal]
            self.pid = parent.fork(asked, [*streams, code])
        finally:
            os.close(code)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            ended = select.poll()  # a test may have more descriptors than select() takes
            ended.register(self._ended, select.POLLIN)
            if not ended.poll(None if timeout is None else ceil(timeout * 1_000)):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(os.read(self._ended, 64))
            os.close(self._ended)
        return self.returncode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """To it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(EARLY)}


def _import_all() -> None:
    from zsms.cli import COMMANDS, load_command
    from zsms.launch import forked

    for name in COMMANDS:
        load_command(name)
    for name in ("cli.slips", "cli.environment", "launch.mesh", "roles.monitor", "roles.operator", "report.making"):
        importlib.import_module(f"zsms.{name}")
    forked.warm_up()


def _serve(line: socket.socket) -> list[str]:
    """Fork whenever it is asked for; in a fork, what it was asked to be returns. Ends with who asked."""
    codes: dict[int, tuple[int, int]] = {}  # by the descriptor of a fork: its pid, and whom to tell its code
    with selectors.DefaultSelector() as waiting:
        waiting.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fd in codes:
                    pid, whom = codes.pop(key.fd)
                    waiting.unregister(key.fd)
                    os.write(whom, str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                    os.close(whom)
                    os.close(key.fd)
                    continue
                asked, descriptors, _, _ = socket.recv_fds(line, MOST, 4)
                if not asked:
                    raise SystemExit
                *streams, whom = descriptors
                if (pid := os.fork()) == 0:
                    line.detach()  # its number will be another's
                    return _become(json.loads(asked), streams)
                line.send(str(pid).encode())
                watch = os.pidfd_open(pid)
                codes[watch] = pid, whom
                waiting.register(watch, selectors.EVENT_READ)
                for each in streams:
                    os.close(each)


def _become(asked: tuple[list[str], dict[str, str], str, bool], streams: Sequence[int]) -> list[str]:
    """Have a session, folder, environment and streams of its own, and nothing of the parent's; the arguments."""
    arguments, environment, folder, terminal = asked
    os.setsid()
    for own, descriptor in enumerate(streams):
        os.dup2(descriptor, own)
    os.closerange(3, 1024)
    if terminal:
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(number, mode, errors=getattr(sys, name).errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return arguments


def _main() -> NoReturn:
    line = socket.socket(fileno=int(sys.argv[1]))
    _import_all()
    gc.collect()
    gc.freeze()
    sys.argv[1:] = _serve(line)
    runpy.run_module("zsms", run_name="__main__", alter_sys=True)
    raise AssertionError("a command ends its process")


if __name__ == "__main__":
    _main()
