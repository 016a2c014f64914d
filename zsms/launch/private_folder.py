"""A folder of this process alone: a run's sockets, and its keys.

It is gone when the process ends as it should. One that was killed leaves its folder behind, and whoever makes the
next one takes that away: a living process holds a lock in its own (`LOCK`), and the system lets go of it when the
process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zsms.errors import ZsmsError

PREFIX = "zsms-"
LOCK = "lock"
MOST = 100
"""Bytes of a socket's path that every system takes, with what libzmq does to it."""


def places() -> Iterator[str]:
    """Where it may be: where the user says, else where such things usually are; each once."""
    seen = set()
    given = map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))
    others = ("/tmp", "/var/tmp", "/dev/shm", os.environ.get("XDG_RUNTIME_DIR"))
    for place in filter(None, (*given, *others)):
        try:
            path = os.path.abspath(place)
        except OSError:
            continue  # relative to a current folder that is gone
        if path not in seen:
            seen.add(path)
            yield path


class PrivateFolder:
    """Such a folder, from now until `remove`."""

    def __init__(self, longest: str) -> None:
        """`longest` is the longest name that a socket will have in it. Raises ZsmsError when there is no place."""
        self.refused: list[str] = []
        """Why a place that comes before this one did not do, in words."""
        for place in places():
            sweep(place)
        for place in places():
            try:
                self.path = _make(place, longest)
            except OSError as error:
                self.refused.append(f"{place}: {error.strerror or error}")
                continue
            self._lock = _lock(self.path)
            return
        raise ZsmsError(
            "there is no place for the sockets of a run: set TMPDIR to a folder that can be written to, with a path of "
            f"at most {MOST - len(longest) - 15} characters ({'; '.join(self.refused)})"
        )

    @property
    def remark(self) -> str | None:
        """That it is not where TMPDIR says, and why; None if that is unset, or is where it is."""
        wanted = os.environ.get("TMPDIR")
        if not wanted or not self.refused:
            return None
        return f"TMPDIR can't be used for sockets ({self.refused[0]}): they are in {os.path.dirname(self.path)}"

    def remove(self) -> None:
        """Take it away, with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def held(place: str) -> Iterator[Path]:
    """A folder in `place` that only this user can read, for a while."""
    sweep(place)
    path = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    lock = _lock(path)
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep(place: str) -> None:
    """Take away what processes of this user that were killed have left in `place`."""
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _sweep_one(entry.path)


def _sweep_one(path: str) -> None:
    lock = os.open(os.path.join(path, LOCK), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(lock).st_uid != os.geteuid() or os.lstat(path).st_uid != os.geteuid():
            return
        # On a file system that several machines share, a lock may be known to one of them only.
        if not stat.S_ISREG(os.fstat(lock).st_mode) or not _is_of_here(os.read(lock, 1_000)):
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when it lives
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _make(place: str, longest: str) -> str:
    """A folder in which sockets can be. Raises OSError."""
    path = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    try:
        trial = os.path.join(path, longest)
        try:
            size = len(trial.encode())
        except UnicodeEncodeError:
            raise OSError(0, "its path is not UTF-8") from None
        if size > MOST:
            raise OSError(0, f"its path is too long for sockets, by {size - MOST} characters")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(trial)
        os.unlink(trial)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path


def _here() -> list[bytes]:
    """This start of this kernel, and this machine's name."""
    boot = ""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    return [boot.encode(), platform.node().encode()]


def _is_of_here(text: bytes) -> bool:
    return any(ours and ours == theirs for ours, theirs in zip(_here(), text.split(b"\n"), strict=False))


def _lock(path: str) -> int | None:
    """Held from before anybody can see it. None where files can't be locked: such a folder is never swept."""
    made = os.path.join(path, f"{LOCK}.new")
    lock = None
    try:
        lock = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(lock, b"\n".join(_here()))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(made, os.path.join(path, LOCK))
    except OSError:
        if lock is not None:
            os.close(lock)
        return None
    return lock
