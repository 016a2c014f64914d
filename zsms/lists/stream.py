"""A list's bytes as UTF-8 lines, from a file, a named pipe or standard input, without waiting for them.

    -, /dev/stdin, /dev/fd/N    a descriptor that is open already, read from where it stands
    a pipe                      read as its writer writes; opening a named pipe waits for nobody
    anything else               a file, from its beginning

UTF-8 with or without a byte order mark, and UTF-16 with one. Lines end with LF, CR LF or CR.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import select
import stat

from zsms.errors import UsageError
from zsms.reading import PACKED
from zsms.sources.tables import MAX_LINE
from zsms.words import many

READ_BYTES = 512 * 1024

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, ""),
)
_OTHERS = (
    (b"\x1f\x8b", "is compressed (gzip): unpack it first, or zcat it into --input -"),
    *PACKED,
    (b"PK\x03\x04", "is a spreadsheet or an archive (zip), no list: save it as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old spreadsheet, no list: save it as CSV in UTF-8"),
    (b"PK\x05\x06", "is an archive (zip) with nothing in it, no list"),
    (b"\x89PNG", "is a picture, no list: save it as CSV in UTF-8"),
    (b"\xff\xd8\xff", "is a picture, no list: save it as CSV in UTF-8"),
    (b"%PDF", "is a PDF, no list: save it as CSV in UTF-8"),
)
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")


def descriptor_of(path: str) -> int | None:
    """The number of the open descriptor that a path names, None for a path in the file system."""
    if path in ("-", "/dev/stdin"):
        return 0
    found = _DESCRIPTOR.fullmatch(path)
    return int(found[1]) if found else None


def is_stream(path: str) -> bool:
    """Whether what the path names can be read only once."""
    try:
        return descriptor_of(path) is not None or not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def name_of(path: str) -> str:
    """What a path is called in messages."""
    return "standard input" if descriptor_of(path) == 0 else path or repr(path)


class Stream:
    """The bytes of one list. Raises OSError where they can't be had, UsageError for what is no text."""

    def __init__(self, path: str) -> None:
        number = descriptor_of(path)
        # Without O_NONBLOCK, opening a named pipe would wait until somebody writes; for files it means nothing.
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) if number is None else os.dup(number)
        self._found = os.fstat(self._fd)
        mode = self._found.st_mode
        self.regular = stat.S_ISREG(mode)
        self._missing = self._found.st_size - os.lseek(self._fd, 0, os.SEEK_CUR) if self.regular else 0
        """Bytes that a file had when it was opened, and that have not come yet."""
        self.changed = False
        """Whether somebody wrote to the file while it was read to its end."""
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._poll = select.poll()
        if stat.S_ISDIR(mode):
            self.close()
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        if os.isatty(self._fd):
            self.close()
            raise UsageError("is a terminal: give a file, or pipe the list into it")
        self._poll.register(self._fd, select.POLLIN)

    def fileno(self) -> int:
        """The descriptor, to be polled while `read` has nothing yet."""
        return self._fd

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self) -> bytes | None:
        """The next bytes, as UTF-8; b"" at the end, None when there is nothing yet."""
        raw = self._read()
        if raw is None:
            return None
        ended = not raw
        if ended and self.regular:
            self._check_whole()
        if self._head is not None:
            self._head += raw
            if raw and len(self._head) < 8:
                return None if not self.regular else self.read()
            raw, self._head = self._begin(self._head), None
            if not raw and not ended:
                return self.read()  # a byte order mark alone
        if self._decoder is None:
            return raw
        try:
            text = self._decoder.decode(raw)
            if ended:
                text += self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise UsageError("is UTF-16 that ends in the middle of a character") from None
        return text.encode("utf-8", "surrogatepass") or (b"" if ended else None)

    def _check_whole(self) -> None:
        if self._missing > 0:
            raise UsageError(f"became shorter while it was read: its last {many(self._missing, 'byte')} did not come")
        self.changed = os.fstat(self._fd).st_mtime_ns != self._found.st_mtime_ns

    def _read(self) -> bytes | None:
        if not self.regular and not self._poll.poll(0):
            return None
        try:
            raw = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return None
        self._missing -= len(raw)
        return raw

    def _begin(self, head: bytes) -> bytes:
        """The bytes without their mark, once it is known how they are written."""
        for mark, name in _MARKS:
            if head.startswith(mark):
                if name == "UTF-32":
                    raise UsageError("is UTF-32: save it as UTF-8")
                if name:
                    self._decoder = codecs.getincrementaldecoder(name)("surrogatepass")
                return head[len(mark) :]
        for magic, what in _OTHERS:
            if head.startswith(magic):
                raise UsageError(what)
        if len(head) >= 8 and not any(head[:64]):
            raise UsageError("is no text: it begins with zero bytes")
        if len(head) >= 8 and (not any(head[0:8:2]) or not any(head[1:8:2])):
            raise UsageError("is UTF-16 without a byte order mark: save it as UTF-8")
        return head


class Lines:
    """The lines of a stream, in blocks of whole lines, each line at most `MAX_LINE` bytes: what is longer is cut."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rest = b""
        """Bytes of a line that has not ended."""
        self._dropping = False
        """The rest of a line that was cut is passed over."""
        self.ended = False

    def more(self) -> bytes | None:
        """Lines that are whole, with their ends (the last of all as it is); None when nothing has come yet.

        A line that is cut has `MAX_LINE` + 1 bytes and a line feed.
        """
        data = self._stream.read()
        if data is None:
            return None
        if not data:
            self.ended = True
            block, self._rest = self._rest, b""
            return block.rstrip(b"\x1a")  # how DOS programs end a file
        if self._dropping:
            data = self._behind_the_cut(data)
        data = self._rest + data
        # A CR at the end may be half of CR LF.
        whole = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
        block, self._rest = data[:whole], data[whole:]
        if len(self._rest) > MAX_LINE + 1:
            block += self._rest[: MAX_LINE + 1] + b"\n"
            self._rest, self._dropping = b"", True
        return block

    def _behind_the_cut(self, data: bytes) -> bytes:
        """What is behind the end of a line that was cut."""
        found = re.search(rb"\r?\n|\r(?!\Z)", data)
        if found is None:
            return b""
        self._dropping = False
        return data[found.end() :]
