"""Text as every reader can take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def writable(text: str) -> str:
    r"""The text, or if it has what no encoding has (a path that is not UTF-8), with that as \xe9."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_shown(letter) for letter in text)
    return text


def in_line(text: str) -> str:
    r"""The text as one line that a terminal shows and does not obey: what is not seen, or moves it, as \n or \x1b."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or 0xD800 <= ord(c) <= 0xDFFF else _escaped(c) for c in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def writable_in(value: Any) -> Any:
    """A JSON value, all of its texts `writable`."""
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, dict):
        return {writable(name): writable_in(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        if not any(isinstance(inner, str | dict | list | tuple) for inner in value):
            return value  # a long column of numbers
        return [writable_in(inner) for inner in value]
    return value


def many(count: int, one: str, more: str = "") -> str:
    """A count and what there are so many of: 1 row, 1,234 rows. `more` is the plural where `one` and an s is not."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def lines_named(rows: int, lines: Sequence[int]) -> str:
    """Where so many rows begin, of the first of which the lines are known: line 3, or lines 3, 5, 9, ..."""
    named = ", ".join(map(str, lines)) + (", ..." if rows > len(lines) else "")
    return f"{'line' if rows == 1 else 'lines'} {named}"


def _shown(letter: str) -> str:
    code = ord(letter)
    if not 0xD800 <= code <= 0xDFFF:
        return letter
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
