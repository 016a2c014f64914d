"""One holder of a folder at a time. The kernel lets go of the lock when its process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import secrets
from contextlib import suppress
from pathlib import Path

import psutil

from zsms.errors import JournalError


class InUse(JournalError):
    """Another process has the journal."""


class Lock:
    """The lock of a folder, from when it is made until `release`."""

    def __init__(self, directory: Path) -> None:
        """Raises JournalError, and names the holder, when another process has it."""
        self._file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                os.close(self._file)
                raise JournalError(
                    f"no lock can be had on the journal in {directory} ({error.strerror}), so a second broker would "
                    "not be kept out: give a folder on a file system with locks (flock), not on a share without them"
                ) from None
            holder = os.pread(self._file, 1_000, 0).decode("utf-8", "replace").strip()
            os.close(self._file)
            raise InUse(
                f"the journal in {directory} is in use by {holder or 'another process'}; stop that first, or give "
                "another folder"
            ) from None
        os.ftruncate(self._file, 0)
        try:
            os.pwrite(self._file, f"pid {os.getpid()} on {platform.node()}\n".encode(), 0)
        except OSError:
            pass  # the disk is full: held all the same, without a name

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)


def boot_id() -> str:
    """Names this start of the machine, within which monotonic times can be compared; where nobody can say, no two
    names are the same."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError):
        return f"{platform.node()} {psutil.boot_time():.0f}"
    return f"{platform.node()} {secrets.token_hex(8)}"
