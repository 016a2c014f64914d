"""The rows of a block of lines as columns: most lines by one regular expression, the odd ones one by one."""

from __future__ import annotations

from itertools import compress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.message import MAX_TEXT_BYTES, RECIPIENT, U64
from zsms.sources.numbers import DATE_DIGITS, MAX_DIGITS, BadFieldError, all_right, read_number
from zsms.sources.tables import Row, Table
from zsms.sources.texts import may_be_spoilt, read_text

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_NO_NUMBER = b"0"


class Bad(NamedTuple):
    """A bad row: its number, its lines, how many rows it seems to be, how many good ones of its block came before it,
    and what is wrong with it."""

    number: int
    line: int
    last: int
    rows: int
    before: int
    reason: str


class Block(NamedTuple):
    """The rows of some lines: of each good one its number (from 0), its last line, its recipient and its text."""

    numbers: I64
    lines: I64
    recipients: U64
    texts: list[bytes]
    bad: list[Bad]
    rows: int
    """How many there are in all."""
    used: int
    """The lines that they are made of."""
    held: bytes
    """What belongs to a row whose end is not there yet."""


def read_block(table: Table, data: bytes, *, line: int, row: int, ended: bool) -> Block:
    """The rows of these whole lines, of which the first is line `line` and its row would be number `row`.

    With `ended` nothing comes behind them.
    """
    recipients, texts, plain = _plainly(table, data)
    counts = len(texts)
    is_row, last = plain.copy(), np.arange(counts, dtype=np.int64) + line
    bad: list[tuple[int, Row, str]] = []
    used, lines = counts, None
    next_line = 0
    for at in np.flatnonzero(~plain).tolist():
        if at < next_line:
            continue
        if lines is None:
            lines = data.splitlines(keepends=True)
        found = table.row(lines, at, line, ended)
        if found is None:
            used = at
            break
        odd, next_line = found
        plain[at:next_line] = is_row[at:next_line] = False
        if odd is None:
            continue
        is_row[at], last[at] = True, odd.last
        try:
            recipients[at], texts[at] = _fields(odd)
            plain[at] = True
        except BadFieldError as error:
            bad.append((at, odd, str(error)))
    plain, is_row = plain[:used], is_row[:used]
    numbers, before = np.cumsum(is_row) + (row - 1), np.cumsum(plain)
    good = np.flatnonzero(plain)
    return Block(
        numbers[good],
        last[good],
        recipients[good],
        texts if len(good) == counts else list(compress(texts, plain.tolist())),
        [Bad(int(numbers[at]), odd.line, odd.last, odd.rows, int(before[at]), reason=why) for at, odd, why in bad],
        rows=int(is_row.sum()),
        used=used,
        held=b"".join(lines[used:]) if lines is not None else b"",
    )


def _fields(row: Row) -> tuple[int, bytes]:
    if row.wrong:
        raise BadFieldError(row.wrong)
    return read_number(row.recipient), read_text(row.text)


def _plainly(table: Table, data: bytes) -> tuple[U64, list[bytes], Bools]:
    """Of each line its recipient, its text, and whether it needs no more looking at."""
    found = table.quick.pattern.findall(data)
    if not found:
        return np.zeros(0, dtype=RECIPIENT), [], np.zeros(0, dtype=np.bool_)
    _, (a, b), (c, d), escape, meant, both = table.quick
    texts = [row[c] or row[d] for row in found]
    if escape in data:
        texts = [
            meant(row[c]) if escape in row[c] else meant(row[d]) if both and escape in row[d] else text
            for row, text in zip(found, texts, strict=True)
        ]
    written = [row[a] or row[b] or _NO_NUMBER for row in found]
    digits = b"\n".join(written).translate(None, b" -()").split(b"\n")
    if max(map(len, digits)) > MAX_DIGITS + 1:
        digits = [each if len(each) <= MAX_DIGITS + 1 else _NO_NUMBER for each in digits]
    recipients = np.array(list(map(int, digits)), dtype=RECIPIENT)
    lengths = np.array(list(map(len, texts)))
    plain = all_right(recipients) & (recipients >= 10**DATE_DIGITS) & (lengths > 0) & (lengths <= MAX_TEXT_BYTES)
    if may_be_spoilt(data) or escape in data:
        plain &= [not may_be_spoilt(text) for text in texts]
    try:
        data.decode()
    except UnicodeDecodeError:
        plain[:] = False
    return recipients, texts, plain
