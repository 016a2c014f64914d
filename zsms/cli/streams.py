"""Standard input, output and error as commands need them: there, and no reason to end.

A shell may have closed them (``>&-``), the disk or pipe behind them may be full or gone, and a terminal may go away
while a run goes on. What is written to standard error is then lost, and nothing else is. For standard output whoever
wrote the result asks `take_error` whether it arrived.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
import sys
from typing import TextIO, cast

from zsms.errors import ZsmsError


class Lasting(io.FileIO):
    """A descriptor to write to, whose errors are kept and not raised."""

    def __init__(self, fd: int, *, gives_up: bool) -> None:
        """`gives_up`: nothing is written after an error, so that what has arrived has no holes."""
        super().__init__(fd, "wb", closefd=False)
        self._gives_up = gives_up
        self.error: OSError | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """All of it counts as written, whatever became of it."""
        size = memoryview(data).nbytes
        if self.error is not None and self._gives_up:
            return size
        try:
            while (written := super().write(data)) is None:  # somebody made the terminal non-blocking for all
                from zsms import saving  # not for every command that starts

                saving.wait_for(self.fileno())
        except (OSError, ValueError) as error:
            self.error = error if isinstance(error, OSError) else OSError(errno.EBADF, os.strerror(errno.EBADF))
            return size
        return cast(int, written)


class Stream(io.TextIOWrapper):
    """One that stays: who closes sys.stderr, as a function of the user's may, takes nobody else's words away."""

    def close(self) -> None:
        """Only write what waits."""
        self.flush()


def set_up() -> None:
    """Open what is closed on /dev/null, and let no write to standard output or error raise an error.

    The first thing that a command does: the next file that is opened would take the place of a closed descriptor.
    Streams that somebody else has put in their places stay.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_WRONLY if fd else os.O_RDONLY), True)  # takes the lowest: fd
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # nobody could wait for a child
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # for good
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(sys.stdout, 1, gives_up=True)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(sys.stderr, 2, gives_up=False)


def for_log() -> TextIO:
    """Standard error, through a descriptor of its own. A function of the user's may close 2, and what is opened next
    takes that number: a file, or a connection to a gateway or a broker, and no log line belongs into those."""
    if _raw(sys.stderr) is None:
        return sys.stderr
    try:
        return _stream(sys.stderr, fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3), gives_up=False)
    except OSError:  # no descriptor is left, or 2 is closed
        return sys.stderr


def _stream(old: TextIO | None, fd: int, *, gives_up: bool) -> Stream:
    if isinstance(old, io.TextIOWrapper):
        old.flush()
    raw = Lasting(fd, gives_up=gives_up)
    return Stream(
        io.BufferedWriter(cast(io.RawIOBase, raw)),
        encoding=old.encoding if isinstance(old, io.TextIOWrapper) else "utf-8",
        errors="backslashreplace",  # a name that is not in the terminal's alphabet, or in none, is shown all the same
        line_buffering=not gives_up or raw.isatty(),
        write_through=not gives_up,
    )


def _raw(stream: object) -> Lasting | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Lasting) else None


def take_error() -> OSError | None:
    """Flush standard output, and say why what was written there did not arrive; each error once.

    A reader that left (EPIPE) has had what it wanted: that is its error, and none of ours.
    """
    raw = _raw(sys.stdout)
    if raw is None and not hasattr(sys.stdout, "flush"):
        return None  # a user's function has put something else in its place
    sys.stdout.flush()
    if raw is None or raw.error is None:
        return None
    error, raw.error = raw.error, OSError(errno.EPIPE, os.strerror(errno.EPIPE))
    return None if error.errno == errno.EPIPE else error


def check_reader(stream: object) -> None:
    """For what would write for ever: raises BrokenPipeError when nobody reads `stream` any more, and ZsmsError when it
    takes no more."""
    raw = _raw(stream)
    if raw is None or raw.error is None:
        return
    if raw.error.errno == errno.EPIPE:
        raise BrokenPipeError
    raise ZsmsError(f"can't write any more: {raw.error.strerror}")
