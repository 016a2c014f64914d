"""Real processes for the tests: the commands as a user types them, watched with deadlines instead of sleeps.

    done = zsms("run", "--messages", 10)              to its end
    with Command("broker", ...) as broker:            beside the test; killed at the end whatever happens
        broker.wait_for("listening on")
        broker.signal(SIGTERM); broker.end() -> exit code

`ByHand` is a mesh whose roles a test starts one by one, `ask(endpoint)` a collector's view of a mesh, `free_port()` a
port whose neighbour is free too.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil
import pytest

from tests.mesh import warm
from zsms.roles.asker import Asker
from zsms.stats.view import View
from zsms.wire.endpoint import STATS_PORT, Endpoint
from zsms.wire.sockets import Sockets

ROOT = Path(__file__).parents[2]
ZSMS = (sys.executable, "-m", "zsms")
WITHIN_S = 40.0
"""How long something that happens in a moment may take on a machine that is busy."""

T = TypeVar("T")

FIGURES = ("produced", "sent", "failed", "mean", "rate", "queued", "in_flight", "senders")
"""What is in a plain line of progress, in order."""
SOME = "[1-9][0-9,]*"
"""A figure that is not 0."""


def line_with(**figures: str) -> str:
    """The pattern of a line of progress with these figures, and any others, which may not be measured."""
    assert figures.keys() <= set(FIGURES)
    return r"^\d\d:\d\d:\d\d" + "".join(rf"\s+{figures.get(name, '(?:[0-9.,]+|-)')}" for name in FIGURES) + "$"


def until(look: Callable[[], T | None], what: str, within: float = WITHIN_S) -> T:
    """What `look` returns as soon as that is true; fails when it does not become so in time."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {within} s in vain for {what}"
        time.sleep(0.02)


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This environment without settings of zsms, and with this checkout's package, wherever the command runs.

    Nor with the size of another terminal, which readline exports wherever it is imported.
    """
    dropped = ("LINES", "COLUMNS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ZSMS_") and key not in dropped}
    path = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": path, **(extra or {})}


@cache
def _parent() -> warm.Parent | None:
    """What commands of tests are forks of; None where that can't be."""
    return warm.Parent(environment()) if hasattr(os, "pidfd_open") else None


def start(
    *arguments: str,
    env: dict[str, str],
    cwd: Path | None = None,
    prefix: tuple[str, ...] = (),
    streams: tuple[int, int, int],
    terminal: bool = False,
) -> warm.Started | subprocess.Popen[bytes]:
    """Start a command in a session of its own, with its standard error as that one's terminal if `terminal`.

    It is a fork where that can be the same.
    """
    if not prefix and (parent := _parent()) is not None and parent.suits(env):
        return warm.Started(parent, arguments, environment=env, cwd=cwd, streams=streams, terminal=terminal)
    command = [*prefix, *ZSMS, *arguments]
    out, err = streams[1:]
    return subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=streams[0],
        stdout=out,
        stderr=err,
        start_new_session=True,
        preexec_fn=(lambda: fcntl.ioctl(2, termios.TIOCSCTTY, 0)) if terminal else None,
    )


def zsms(
    *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    out, its_out = os.pipe()
    err, its_err = os.pipe()
    words = [*map(str, arguments)]
    with open(out) as said, open(err) as told, ThreadPoolExecutor(2) as readers:
        try:
            with open(os.devnull) as nothing:
                streams = (nothing.fileno(), its_out, its_err)
                popen = start(*words, env=environment(env), cwd=cwd, prefix=prefix, streams=streams)
        finally:
            os.close(its_out)
            os.close(its_err)
        texts = [readers.submit(each.read) for each in (said, told)]
        try:
            code = popen.wait(60)
        finally:
            popen.kill()
        return subprocess.CompletedProcess(words, code, *(text.result() for text in texts))


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    """Let this process, and those that it starts, have that many."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < soft:
        pytest.skip(f"needs {soft} descriptors: raise the hard limit with `ulimit -Hn {soft}`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, before), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def report_of(*arguments: object, code: int = 0, **how: Any) -> dict[str, Any]:
    """The report of a `zsms run` that must end with this exit code."""
    done = zsms("run", "--json", "-", *arguments, **how)
    assert done.returncode == code, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


class Command:
    """A command that runs beside the test; what it writes can be read as it comes."""

    def __init__(
        self,
        *arguments: object,
        env: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        cwd: Path | None = None,
    ) -> None:
        # Also for what the command itself leaves behind when it is killed.
        self._temporary = tempfile.TemporaryDirectory(prefix="zsms-test-")
        self.folder = Path(self._temporary.name)
        self._out, self._err = self.folder / "out", self.folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err, open(os.devnull) as nothing:
            self.popen = start(
                *map(str, arguments),
                env={**environment(env), "TMPDIR": str(self.folder)},
                cwd=cwd,
                prefix=prefix,
                streams=(nothing.fileno(), out.fileno(), err.fileno()),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            family = [psutil.Process(self.popen.pid), *self.children()]
        except psutil.NoSuchProcess:
            family = []
        for process in family:
            with suppress_gone():
                process.kill()
        self.popen.wait()
        print(f"--- {self.popen.args}: stdout\n{self.out}\n--- stderr\n{self.err}")  # shown when a test fails
        self._temporary.cleanup()

    @property
    def out(self) -> str:
        """Its stdout so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """Its stderr so far."""
        return self._err.read_text()

    def wait_for(self, pattern: str, within: float = WITHIN_S) -> re.Match[str]:
        """The first match in its stderr; fails when the command ends without one."""

        def look() -> re.Match[str] | None:
            ended = self.popen.poll() is not None
            found = re.search(pattern, self.err, re.MULTILINE)
            assert found or not ended, f"it ended with {self.popen.returncode} and without {pattern!r}:\n{self.err}"
            return found

        return until(look, f"{pattern!r} on stderr", within)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)

    def end(self, within: float = WITHIN_S) -> int:
        """Wait for its end; the exit code, negative when a signal killed it."""
        return self.popen.wait(within)

    def children(self) -> list[psutil.Process]:
        """The processes that it started."""
        try:
            return psutil.Process(self.popen.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def child(self, name: str) -> psutil.Process:
        """The process of a mesh that has this `--name`."""
        for process in self.children():
            with suppress_gone():
                command = process.cmdline()
                if "--name" in command and command[command.index("--name") + 1] == name:
                    return process
        raise AssertionError(f"no process {name}")


@contextmanager
def suppress_gone() -> Iterator[None]:
    """A process that is gone already is as good as killed."""
    try:
        yield
    except psutil.NoSuchProcess:
        pass


def gone(process: psutil.Process) -> bool:
    """Whether it has ended; a zombie that nobody has fetched yet has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(pid: int) -> None:
    """End it as the kernel does when memory runs out."""
    os.kill(pid, signal.SIGKILL)


def ask(stats: str, timeout: float = 2.0) -> View | None:
    """How the mesh stands by its collector at `stats`; None when that does not answer."""
    sockets = Sockets()
    try:
        answer = Asker(sockets, Endpoint.parse(stats, STATS_PORT)).wait("totals", timeout)
    finally:
        sockets.close_all()
    return None if answer is None else View.of(answer, time.monotonic())


def view_when(stats: str, true: Callable[[View], bool], what: str, within: float = WITHIN_S) -> View:
    """The first view of which this is true."""

    def look() -> View | None:
        view = ask(stats)
        return view if view is not None and true(view) else None

    return until(look, what, within)


@cache
def _ports() -> Iterator[int]:
    """Ports that no other process of this run of tests asks for, unless it has more than eleven; none comes again
    before all the others were given."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 11
    own = [10_000 + 2_000 * worker + 2 * place for place in range(1_000)]
    begin = random.SystemRandom().randrange(len(own))
    return cycle([*own[begin:], *own[:begin]])


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free, as is the one above it, and that the kernel gives to no client in the meantime."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in islice(_ports(), 1_000):
        try:
            for number in (port, port + 1):
                with socket.socket(family) as trial:
                    trial.bind((host, number))
        except OSError:
            continue
        return port
    raise AssertionError("no free port")


@dataclass
class ByHand:
    """Addresses of a mesh of our own, and the commands that make it up."""

    stack: ExitStack
    broker: str = field(default_factory=lambda: f"tcp://127.0.0.1:{free_port()}")
    stats: str = field(default_factory=lambda: f"tcp://127.0.0.1:{free_port()}")

    def start(self, role: str, *options: object, env: dict[str, str] | None = None) -> Command:
        """Start a role with the options that make it part of this mesh."""
        to_stats = ("--stats", self.stats, "--stats-interval", 0.1)
        own: dict[str, tuple[object, ...]] = {
            "stats": ("--bind", self.stats),
            "broker": ("--bind", self.broker, *to_stats),
            "producer": ("--broker", self.broker, *to_stats),
            "sender": ("--broker", self.broker, *to_stats, "--drain-timeout", 2),
            "monitor": ("--stats", self.stats),
        }
        return self.stack.enter_context(Command(role, *own[role], *options, env=env))

    def when(self, true: Any, what: str) -> View:
        """The first view of which this is true."""
        return view_when(self.stats, true, what)
