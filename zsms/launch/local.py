"""This machine: each role a process, or a fork of this one, with sockets in a private directory."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from zsms.core.broker.durability import is_on_servers
from zsms.errors import UsageError
from zsms.launch import children
from zsms.launch.forked import Forked, may_fork
from zsms.launch.place import Child, Tell, Wanted

GATEWAY_PASSWORD = "ZSMS_GATEWAY_PASSWORD"
NOT_THEIRS = ("ZSMS_", "NOTIFY_SOCKET", "WATCHDOG_")
"""Settings of `zsms run` itself, and its service manager's: not for the processes that it starts."""


class LocalChild(Child):
    """A process of this machine."""

    def __init__(self, role: str, name: str, popen: subprocess.Popen[bytes] | Forked, tell: Tell) -> None:
        super().__init__(role, name, platform.node())
        self._popen = popen
        self.pid = popen.pid
        self._tell = tell
        self._reader = threading.Thread(target=self._listen, daemon=True)

    def listen(self) -> None:
        """As of :class:`Child`; only once all are started, for a process with threads can't be forked."""
        self._reader.start()

    def _listen(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self.handle(self._tell(line))

    def wait_for_last_words(self, timeout: float) -> None:
        """As of :class:`Child`."""
        if self._reader.ident is not None:
            self._reader.join(timeout)

    def sample(self) -> None:
        """As of :class:`Child`."""
        try:
            process = psutil.Process(self.pid)
            times = process.cpu_times()
            self.cpu_s = max(self.cpu_s, times.user + times.system)
            self.rss_max = max(self.rss_max, process.memory_info().rss)
        except psutil.Error:
            pass

    def poll(self) -> int | None:
        """As of :class:`Child`."""
        self.returncode = self._popen.poll()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """As of :class:`Child`."""
        try:
            self.returncode = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        return self.returncode

    def order(self, what: str) -> bool:
        """As of :class:`Child`."""
        assert self._popen.stdin is not None
        try:
            os.write(self._popen.stdin.fileno(), f"{what}\n".encode())  # no buffer keeps what its end did not take
        except (OSError, ValueError):
            return False
        return True

    def leave(self) -> None:
        """As of :class:`Child`: two signals could arrive as one, but the end of its input is no signal."""
        assert self._popen.stdin is not None
        with suppress(OSError):
            self._popen.stdin.close()

    def terminate(self) -> None:
        """As of :class:`Child`."""
        self._popen.terminate()

    def signal(self, number: int) -> None:
        """As of :class:`Child`."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """As of :class:`Child`."""
        self._popen.kill()
        self.returncode = self._popen.wait()


class Local:
    """A :class:`zsms.launch.place.Place`."""

    secure = False

    def __init__(self, directory: str, forks: bool) -> None:
        """`directory` is private to the mesh; `forks`: processes may be forks of this one where that is safe."""
        self.asked: Callable[[], int] = int
        self._directory = directory
        self._forks = forks
        self._keys: Path | None = None

    def open(self, roles: Sequence[Wanted], keys: Path | None) -> None:
        """As of :class:`zsms.launch.place.Place`. Raises UsageError for a place that this machine can't be."""
        for role in roles:
            if role.place is not None:
                raise UsageError(f"{role.name} is to run in the place {role.place!r}: that needs --cluster")
        self._keys = keys

    def bind(self, name: str, *, known: bool = False) -> str:
        """As of :class:`zsms.launch.place.Place`."""
        return f"ipc://{self._directory}/{name}"

    def start(self, role: str, name: str, options: Sequence[str], tell: Tell, keep: Sequence[int] = ()) -> LocalChild:
        """As of :class:`zsms.launch.place.Place`."""
        environment = environment_of_roles(role)
        command = [role, "--name", name, "--exit-with-parent", *_without_address(options, environment)]
        if self._keys is not None:
            command += ["--keys", str(self._keys)]
        popen: subprocess.Popen[bytes] | Forked
        if self._forks and may_fork():
            popen = Forked(command, environment, keep=keep)
        else:
            popen = subprocess.Popen(
                [*children.COMMAND, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=keep,
                start_new_session=True,  # Ctrl-C is for us alone: we say who stops, and in which order
            )
        return LocalChild(role, name, popen, tell)

    def address(self, child: Child) -> str:
        """As of :class:`zsms.launch.place.Place`: known before it listens."""
        return self.bind(child.name)

    def latecomers(self, wanted: Callable[[frozenset[str]], str | None]) -> list[str]:
        """As of :class:`zsms.launch.place.Place`: nothing comes late."""
        return []

    def close(self) -> None:
        """As of :class:`zsms.launch.place.Place`."""


def _without_address(options: Sequence[str], environment: dict[str, str]) -> list[str]:
    """The options, whose journal is in the environment when its address may hold a password: all see a command."""
    kept = list(options)
    if "--journal" in kept and is_on_servers(kept[at := kept.index("--journal") + 1]):
        environment["ZSMS_BROKER_JOURNAL"] = kept[at]
        del kept[at - 1 : at + 1]
    return kept


def environment_of_roles(role: str = "") -> dict[str, str]:
    """That of a role which this process starts."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NOT_THEIRS)}
    environment = children.with_this_package({**kept, **secrets_of(role)})
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")  # no role multiplies matrices; starting threads takes time
    return environment


def secrets_of(role: str) -> dict[str, str]:
    """What a role needs of this process's settings: a sender the password of its gateway."""
    return {name: os.environ[name] for name in (GATEWAY_PASSWORD,) if role == "sender" and name in os.environ}
