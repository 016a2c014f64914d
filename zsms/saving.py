"""Files that are written whole or not at all: what was there before stays until all of the new one is on the disk.

    check(path)            before the work: raises OSError for what can't be written, and touches nothing that is there
    save(path, data)       beside it under another name, onto the disk, and renamed over it
    save_elsewhere(...)    when that failed, somewhere else

A symbolic link is followed, and the mode of what is replaced stays. What is no regular file (a pipe, a terminal,
/dev/null, /dev/stdout) is written to directly. So is a file whose folder takes no new ones, or one that is mounted by
itself as containers do: then its content from before is put back when the new one has no room.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import select
import stat
import tempfile
import time
from contextlib import suppress

_NO_RENAME = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV)
"""Why a file can't be put in the place of another, where writing to that one may well work."""
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems say that have no disk to wait for."""
READER_S = 5.0
"""How long a named pipe may be without a reader."""


def descriptor_of(path: str) -> int | None:
    """N of /dev/stdout, /dev/fd/N and the like, through links too; None for any other path."""
    ours = {"/dev/fd", os.path.realpath("/proc/self/fd"), os.path.realpath("/dev/fd")}
    for _ in range(40):  # as many links as the kernel follows
        folder, name = os.path.split(os.path.abspath(path))
        folder = os.path.realpath(folder)
        if folder in ours and re.fullmatch("[0-9]+", name):
            return int(name)
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None


def check_name(path: str) -> None:
    """Raises OSError for what no file can be called."""
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path has no zero byte in it")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise OSError(errno.EINVAL, "a path has no half of a surrogate pair in it") from None


def check(path: str) -> None:
    """Raises OSError when nothing can be written there, as far as that is known beforehand."""
    check_name(path)
    descriptor = descriptor_of(path)
    if descriptor is not None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "it is open for reading only")
        return
    found = _stat(path)
    if found is None:
        _try_folder(path)
    elif stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    elif not stat.S_ISREG(found.st_mode):
        if stat.S_ISSOCK(found.st_mode):
            raise OSError(errno.ENXIO, "it is a socket")
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        try:
            _try_folder(path)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise


def save(path: str, data: bytes) -> None:
    """Write it. Raises OSError, and then what was there before is still there."""
    descriptor = descriptor_of(path)
    found = None if descriptor is not None else _stat(path)
    if descriptor is not None:
        _write_and_close(os.dup(descriptor), data)
    elif found is not None and not stat.S_ISREG(found.st_mode):
        _write_and_close(open_special(path), data)
    else:
        try:
            _replace(os.path.realpath(path), data, found)
        except OSError as error:
            if found is None or error.errno not in _NO_RENAME:
                raise
            _write_over(path, data)


def save_elsewhere(name: str, data: bytes) -> str | None:
    """Write it where there is room, for one who could not write it where it belongs; its path, or None.

    `name` is what its own name ends with.
    """
    home = os.path.expanduser("~")
    for folder in (*filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), "/tmp", "/var/tmp", ".", home):
        path = None
        try:
            file, path = tempfile.mkstemp(prefix="zsms-", suffix=f"-{name}", dir=folder)
            _write_and_close(file, data, sync=True)
            return path
        except OSError:
            if path is not None:
                with suppress(OSError):
                    os.unlink(path)
    return None


def _stat(path: str) -> os.stat_result | None:
    if not path or path.endswith("/"):
        raise IsADirectoryError(errno.EISDIR, "the name of the file is missing")
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _beside(path: str) -> tuple[str, int]:
    """A new file in the folder of `path`, or of what it links to."""
    beside = os.path.join(os.path.dirname(os.path.realpath(path)), f".zsms-{secrets.token_hex(8)}.part")
    return beside, os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _try_folder(path: str) -> None:
    with suppress(OSError, AttributeError):  # one without a name is never left behind; not all systems have that
        os.close(os.open(os.path.dirname(os.path.realpath(path)), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return
    beside, file = _beside(path)
    os.close(file)
    os.unlink(beside)


def _replace(path: str, data: bytes, old: os.stat_result | None) -> None:
    beside, file = _beside(path)
    try:
        try:
            if old is not None:
                with suppress(OSError):
                    os.fchown(file, old.st_uid, old.st_gid)
                os.fchmod(file, stat.S_IMODE(old.st_mode))
        except BaseException:
            os.close(file)
            raise
        _write_and_close(file, data, sync=True)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
    with suppress(OSError):  # the name is on the disk when its folder is
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_over(path: str, data: bytes) -> None:
    """In place, and what was there is put back if that fails: its room is still its own."""
    with open(path, "r+b", buffering=0) as file:
        before = file.read()
        try:
            _fill(file.fileno(), data)
        except OSError:
            file.seek(0)
            _fill(file.fileno(), before)
            raise


def _fill(file: int, data: bytes) -> None:
    os.lseek(file, 0, os.SEEK_SET)
    _write(file, data)
    os.ftruncate(file, len(data))
    _sync(file)


def is_special(path: str) -> bool:
    """Whether there is something that is no regular file. Raises OSError where nobody can say."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def open_special(path: str) -> int:
    """A pipe, or a device. Nobody may ever read a pipe, and opening it would wait for that."""
    deadline = time.monotonic() + READER_S
    while True:
        try:
            file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(path).st_mode):
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.ENXIO, "nobody reads this pipe") from None
            time.sleep(0.05)
        else:
            os.set_blocking(file, True)
            return file


def _write_and_close(file: int, data: bytes, *, sync: bool = False) -> None:
    try:
        _write(file, data)
        if sync:
            _sync(file)
    finally:
        os.close(file)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(file, rest) :]
        except BlockingIOError:
            wait_for(file)


def wait_for(file: int, events: int = select.POLLOUT) -> None:
    """Wait until it can be written, or read (POLLIN): whatever its number, of which select() takes small ones only."""
    poll = select.poll()
    poll.register(file, events)
    poll.poll()


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
