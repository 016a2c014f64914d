"""How far a journal was: a file beside it that says how many groups were kept, so that a log that is short is noticed.

It is written after a group is durable and before anybody hears of it, and never synced: after a crash of the process
it is exact, after one of the machine it may say less than there is, but never more.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

MARK = "journal.mark"
_FORM = re.compile(rb"([0-9]{20}) ([0-9]{20}) ([0-9]{10})\n")


class Mark:
    """The mark in a folder, for whoever has the journal."""

    def __init__(self, directory: Path) -> None:
        """Read it. Raises OSError."""
        self.path = directory / MARK
        self.birth = 0
        self.groups: int | None = None
        """Groups that were kept; None when nothing says so."""
        self._fd = -1
        try:
            found = _FORM.fullmatch(self.path.read_bytes())
        except FileNotFoundError:
            return
        if found is not None and _line(int(found[1]), int(found[2])) == found[0]:
            self.birth, self.groups = int(found[1]), int(found[2])

    def set(self, birth: int, groups: int) -> None:
        """Say how many groups the journal of that birth has. A mark that can't be written says less: no harm."""
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._fd, _line(birth, groups), 0)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _line(birth: int, groups: int) -> bytes:
    said = b"%020d %020d" % (birth, groups)
    return b"%s %010d\n" % (said, zlib.crc32(said))
