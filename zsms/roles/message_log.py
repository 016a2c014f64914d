"""The file of the log of messages: rows go to a thread of its own, which makes them CSV and appends them.

Several senders write to one file: each appends whole rows at once. What is in the file before stays. A disk that is
full, or slow, costs rows of the log, which are counted and told, and nothing else; when there is room again, the log
goes on. A file that is deleted takes its rows with it: that is told at the end.

What has ended is acknowledged when its rows are in the file (`written`), so that a sender that is killed leaves a row
of all that it has acknowledged. A disk that takes longer than `HOLD_S` is not waited for until it has caught up.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from logging import Logger
from queue import SimpleQueue

from zsms import saving
from zsms.core.outcomes import Finished
from zsms.core.sender import Waiting
from zsms.core.sender.message_log import COLUMNS, Ended, OpenSends, csv_of
from zsms.errors import UsageError
from zsms.report.csv import cell
from zsms.words import many

MOST_ROWS = 2_000_000
"""Rows that wait to be written, at most: 64 MB."""
HOLD_S = 0.2
"""Seconds that an acknowledgement waits for its rows, at most."""
END_S = 10.0
"""Seconds that the last rows may take."""
_PIPE_BYTES = 4_096
"""What a pipe takes from one writer without mixing it with what another writes."""
HEADER = ",".join(COLUMNS).encode() + b"\n"


def check(path: str) -> None:
    """Raises UsageError for a path that can't be written to."""
    try:
        if path == "-" or saving.descriptor_of(path) is not None:
            raise OSError(0, "several processes write it, so it has to be a file with a name")
        saving.check(path)
    except OSError as error:
        raise UsageError(f"can't write the log of messages to {path or repr('')}: {error.strerror}") from None


class MessageLog:
    """Rows of one sender, appended to a file."""

    def __init__(self, path: str, sender: str, places: int, log: Logger) -> None:
        """`places` is the number of brokers. Raises UsageError."""
        check(path)
        self._path, self._sender, self._log = path, cell(sender).encode(), log
        self._open = OpenSends(places)
        self.lost = 0
        """Rows that were not written."""
        self._rows: SimpleQueue[Ended | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="message log", daemon=True)
        self._wake: Callable[[], None] = lambda: None
        self._held: deque[tuple[int, float, Finished]] = deque()
        """What has ended and is not acknowledged: after how many rows were handed over, and since when."""
        self._ended = 0
        """Rows that there were in all."""
        self._handed = self._through = 0
        """Rows that were handed over, and, counted by the thread alone, those that were written or lost."""
        self._behind = False
        """The disk has taken too long: nothing is held until it has caught up."""
        self._wall = 0.0
        self._complained = self._torn = False
        self._file = -1

    def open(self, now: float, wake: Callable[[], None] = lambda: None) -> None:
        """Begin; `now` is the sender's clock, to which the calendar is tied once, and `wake` is called from another
        thread when there is something for `written`. Raises UsageError."""
        self._wall, self._wake = time.time() - now, wake
        try:
            self._file, self._most = _open(self._path)
        except OSError as error:
            raise UsageError(f"can't write the log of messages to {self._path}: {error.strerror}") from None
        self._thread.start()

    def begin(self, waiting: Waiting, now: float) -> None:
        """Slots begin with these messages."""
        self._open.begin(waiting, now)

    def end(self, finished: Finished, now: float) -> None:
        """These sends have ended; `written` gives them back."""
        ended = self._open.end(finished, now)
        self._ended += len(ended.rows)
        if self._handed - self._through > MOST_ROWS:
            self._lose(len(ended.rows), "the disk is too slow for it")
        elif len(ended.rows):
            self._handed += len(ended.rows)
            self._rows.put(ended)
        self._held.append((self._handed, now, finished))

    def written(self, now: float) -> list[Finished]:
        """What may be acknowledged, in the order in which it ended: its rows are written, or were waited for."""
        held = self._held
        self._behind = self._through < self._handed and (self._behind or (bool(held) and now - held[0][1] >= HOLD_S))
        over = []
        while held and (self._behind or held[0][0] <= self._through):
            over.append(held.popleft()[2])
        return over

    def next_time(self) -> float | None:
        """When `written` has something even if nothing is written; None when it has nothing."""
        return self._held[0][1] + HOLD_S if self._held else None

    def close(self) -> None:
        """Write what waits, and say what is lost."""
        if self._file < 0:
            return
        self._rows.put(None)
        self._thread.join(END_S)
        if self._thread.is_alive():
            self.lost += self._handed - self._through
        else:
            found = os.fstat(self._file)
            if stat.S_ISREG(found.st_mode) and not found.st_nlink:  # one that was renamed still has a name
                self._lose(self._ended - self.lost, "it was deleted, or another was put in its place")
            os.close(self._file)
        if self.lost:
            self._log.warning("the log of messages %s lacks %s", self._path, many(self.lost, "row"))

    def _write_all(self) -> None:
        while (ended := self._rows.get()) is not None:
            moment = datetime.fromtimestamp(self._wall + ended.at, UTC)
            stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
            self._write(csv_of(ended, stamp, self._sender))
            self._through += len(ended.rows)
            self._wake()

    def _write(self, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data  # ends the row that was cut off
        rest, done = memoryview(data), 0
        try:
            while done < len(data):
                end = len(data)
                if end - done > self._most:
                    end = data.rfind(b"\n", done, done + self._most) + 1 or done + self._most
                try:
                    done += os.write(self._file, rest[done:end])
                except BlockingIOError:
                    saving.wait_for(self._file)
            self._torn = False
        except OSError as error:
            self._torn = (done > 0 and data[done - 1] != ord("\n")) or (self._torn and not done)
            self._lose(data.count(b"\n", done) - (self._torn and not done), error.strerror or "it can't be written")

    def _lose(self, rows: int, why: str) -> None:
        self.lost += rows
        if not self._complained:
            self._complained = True
            self._log.warning("the log of messages %s: %s; rows are lost", self._path, why)


def over(log: MessageLog | None, finished: Finished | None, now: float) -> list[Finished]:
    """What may be acknowledged when this has finished: without a log that, with one what has its rows."""
    if log is None:
        return [] if finished is None else [finished]
    if finished is not None:
        log.end(finished, now)
    return log.written(now)


def _open(path: str) -> tuple[int, int]:
    """A file to append to, with its header, and how many bytes may be written at once."""
    if saving.is_special(path):
        return saving.open_special(path), _PIPE_BYTES
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # one of several senders writes it
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        if not os.fstat(file).st_size:
            os.write(file, HEADER)
    except OSError:
        pass  # a full disk: the rows will tell
    finally:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)  # the next sender waits for it
    return file, 2**20
