"""Outcomes that a text itself asks for: ``#smsc status=0x58 receipt=UNDELIV delay=2 wait=5 answer=lost mo=hello``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.pdu import Messages
from zsms.core.smpp.strings import U8, U32, Bools, Strings, some
from zsms.smsc.rules import STATES

F32 = npt.NDArray[np.float32]
_COPIES = {"lost": 0, "once": 1, "twice": 2}
_LONGEST_S = 86_400.0
_CODING, _UCS2 = 0x0C, 0x08
_UDHI = 0x40  # esm_class: a user data header is before the text


@dataclass(slots=True)
class Script:
    """What one text says; None: nothing of that."""

    status: int | None = None
    receipt: int | None = None
    copies: int | None = None
    delay: float | None = None
    wait: float | None = None
    mo: bytes | None = None

    @classmethod
    def of(cls, text: bytes) -> Script:
        """From the words behind the mark. What can't be read is left out: it is a text, after all."""
        script = cls()
        for word in text.split():
            name, _, value = word.partition(b"=")
            shown = value.decode("latin-1")
            try:
                if name == b"status":
                    script.status = int(shown, 0) & 0xFFFFFFFF
                elif name == b"receipt":
                    script.receipt = 0 if shown == "none" else STATES.get(shown)
                elif name == b"answer":
                    script.copies = _COPIES.get(shown)
                elif name in (b"delay", b"wait"):
                    setattr(script, name.decode(), min(max(0.0, float(shown)), _LONGEST_S))
                elif name == b"mo":
                    script.mo = value
            except ValueError:
                continue
        return script

    def apply(self, row: int, *, status: U32, ends: U8, copies: U8, delays: F32, waits: F32) -> None:
        """Write it into the columns of what was drawn."""
        if self.status is not None:
            status[row] = self.status
        if self.receipt is not None:
            ends[row] = self.receipt
        if self.copies is not None:
            copies[row] = self.copies
        if self.delay is not None:
            delays[row] = self.delay
        if self.wait is not None:
            waits[row] = self.wait


def scripts_of(messages: Messages, mark: bytes) -> list[tuple[int, Script]]:
    """(row, script) of the texts that begin with the mark, in UCS-2 or behind a user data header, too.

    Most have none, which costs a look in columns.
    """
    content = messages.content
    assert isinstance(content, Strings)
    raw = content.buffer.tobytes()
    if not _may_have(raw, mark[:1], mark[1:2]):
        return []
    coding = np.broadcast_to(np.asarray(messages.data_coding), len(content))
    wide = (coding & _CODING) == _UCS2 if some(coding) else None
    marks = [mark] if wide is None or not some(wide) else [mark, mark.decode().encode("utf-16-be")]
    if all(raw.find(each) < 0 for each in marks):
        return []
    body = _behind_headers(content, np.broadcast_to(np.asarray(messages.esm_class), len(content)))
    found = _beginning(body, marks[0], None if wide is None else ~wide)
    if len(marks) > 1:
        found += [(row, _narrow(text)) for row, text in _beginning(body, marks[1], wide)]
    return [(row, Script.of(text)) for row, text in sorted(found)]


_LOOKS = 8


def _may_have(raw: bytes, first: bytes, second: bytes) -> bool:
    """Whether these two octets may follow each other there, a zero between them or none.

    One octet is found ten times as fast as a word. Numbers in PDUs have some of them by chance.
    """
    at = -1
    for _ in range(_LOOKS):
        at = raw.find(first, at + 1)
        if at < 0:
            return False
        if second in raw[at + 1 : at + 3]:
            return True
    return True


def _behind_headers(content: Strings, esm_class: U8) -> Strings:
    """The texts without their user data headers."""
    begins = np.minimum(content.begins, len(content.buffer) - 1)
    skip = np.where((esm_class & _UDHI) != 0, content.buffer[begins].astype(np.int64) + 1, 0)
    skip = np.minimum(skip, content.lengths)
    return Strings(content.buffer, content.begins + skip, content.lengths - skip)


def _beginning(content: Strings, mark: bytes, among: Bools | None) -> list[tuple[int, bytes]]:
    """(row, what follows) of those that begin with the mark."""
    able = content.lengths >= len(mark)
    rows = np.flatnonzero(able if among is None else able & among)
    if not len(rows):
        return []
    first = content.take(rows).matrix(len(mark))
    rows = rows[(first == np.frombuffer(mark, np.uint8)).all(axis=1)]
    return [(row, text[len(mark) :]) for row, text in zip(rows.tolist(), content.take(rows).tolist(), strict=True)]


def _narrow(text: bytes) -> bytes:
    return text.decode("utf-16-be", "replace").encode("latin-1", "replace")
