"""Roles as forks of a process that has imported everything, each otherwise what a process of its own is.

Starting an interpreter and importing numpy takes longer than a small run, and five roles do it. A fork has all that
and shares its memory. What it is on its own is made here: session, standard streams, signals, environment, command line
as `ps` shows it, and nothing that its parent had open.

Only a process with one single thread may be forked like this, those of libraries counted (`may_fork`).
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import IO, NoReturn

from zsms.launch.children import COMMAND, STOPPING

_LOOK_S = 0.005
_MODULES = tuple(
    f"zsms.{package}.{name}" for package in ("cli", "roles") for name in ("broker", "producer", "sender", "stats")
)


def may_fork() -> bool:
    """Whether this process has one thread, as the operating system counts; False where nobody can say."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def warm_up() -> None:
    """Import what the roles need."""
    for name in _MODULES:
        import_module(name.replace("roles.stats", "roles.collector"))
    import_module("zsms.lists.files")
    import_module("zsms.sources.random")
    gc.collect()
    gc.freeze()  # a fork's collector then leaves these pages shared


class Forked:
    """A role that was forked, to be used as a `subprocess.Popen` with pipes for stdin and stderr."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], *, keep: Sequence[int] = ()) -> None:
        """Fork, and run ``zsms ARGUMENTS`` there, with the descriptors in `keep` besides its own."""
        self.args = ["zsms", *arguments]
        self.returncode: int | None = None
        orders, ours = os.pipe()
        theirs, said = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _be(self.args, environment, orders, said, keep)
        os.close(orders)
        os.close(said)
        self.stdin: IO[bytes] = os.fdopen(ours, "wb", buffering=0)
        self.stderr: IO[bytes] = os.fdopen(theirs, "rb")

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(_LOOK_S)
        return code

    def send_signal(self, number: int) -> None:
        """To it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _be(arguments: list[str], environment: Mapping[str, str], orders: int, said: int, keep: Sequence[int]) -> NoReturn:
    """Be the role, until its end: nothing of what the parent was in the middle of goes on here."""
    code = 1
    try:
        _let_go(orders, said, keep)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[:] = arguments
        _show(arguments)
        import_module("zsms.cli").main()  # by name, as a command of its own would find it
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            sys.stderr.flush()
        finally:
            os._exit(code)


def _let_go(orders: int, said: int, keep: Sequence[int]) -> None:
    """A session, streams and signals of its own."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.dup2(orders, 0)
    os.dup2(said, 2)
    os.close(said)  # there may be no other left for the list
    # Among them the orders of the roles that were forked before: those have to see the end of our parent.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that the list was read with
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    if nothing > 2:
        os.close(nothing)


def _show(arguments: list[str]) -> None:
    """Let `ps` show these arguments, in the place of our parent's; what does not fit is cut."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        arg_start, arg_end, env_start, env_end = map(int, fields[45:49])
        room = (env_end if env_start in (arg_end, arg_end + 1) else arg_end) - arg_start
        parts = [os.fsencode(part) for part in (*COMMAND, *arguments[1:])]
        # The kernel takes what is longer than it was for one title, up to the first zero byte.
        between = b"\0" if len(b" ".join(parts)) < arg_end - arg_start else b" "
        text = between.join(parts)[: room - 1]
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(arg_start)
            memory.write(text.ljust(room, b"\0"))
    except (OSError, ValueError):
        pass  # it is only what it is called
