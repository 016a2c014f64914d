"""Outcomes that a text itself asks for: ``#smsc status=0x58 receipt=UNDELIV delay=2 wait=5 answer=lost mo=hello``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.strings import U8, U32, Strings
from zsms.smsc.rules import STATES

F32 = npt.NDArray[np.float32]
_COPIES = {"lost": 0, "once": 1, "twice": 2}
_LONGEST_S = 86_400.0


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


def scripts_of(content: Strings, mark: bytes) -> list[tuple[int, Script]]:
    """(row, script) of the texts that begin with the mark; most have none, which costs a look in columns."""
    width = len(mark)
    if content.buffer.tobytes().find(mark) < 0:
        return []
    able = np.flatnonzero(content.lengths >= width)
    if not len(able):
        return []
    first = content.take(able).matrix(width)
    rows = able[(first == np.frombuffer(mark, np.uint8)).all(axis=1)]
    return [(int(row), Script.of(text[width:])) for row, text in zip(rows, content.take(rows).tolist(), strict=True)]
