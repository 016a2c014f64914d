"""Real messages from a file, read as the producer asks for them.

    .csv              a header with the columns `recipient` and `text`, in any order; other columns are ignored
    .jsonl, .ndjson   an object a line: {"recipient": "+1...", "text": "..."}; other keys are ignored

- A recipient is an E.164 number: a plus, and 1 to 15 digits of which the first isn't 0. Spaces, dashes, dots and
  parentheses in it are ignored.
- A text is 1 to 65,535 bytes of UTF-8. The file is UTF-8, with or without a byte order mark.
- Row j (counted from 0, bad rows too, blank lines not) belongs to share j % k of k.
- A bad row stops the run, unless such rows are to be skipped: then it is counted, and reported to `on_bad`. A row is
  named by the line on which it begins. A quote that isn't closed makes a bad row, not a long text.
- At most a chunk of rows is in memory, however large the file is.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Protocol

from zsms.errors import UsageError
from zsms.message import MAX_TEXT_BYTES
from zsms.source import Columns, check_share

CHUNK = 4_096
"""Most rows in one take."""

CHUNK_BYTES = 2**20
"""A take ends with the text that reaches this many bytes, so that a batch fits into a frame."""

MAX_LINE = 2**20
"""Most characters of a line: enough for the longest text with each byte escaped."""

_NUMBER = re.compile(r"\+[1-9][0-9]{0,14}")
_SEPARATORS = str.maketrans("", "", " -.()")


class FileSource:
    """The messages of a CSV or JSON Lines file."""

    total = None

    def __init__(
        self,
        path: str | Path,
        *,
        skip_bad_rows: bool = False,
        share: tuple[int, int] = (0, 1),
        on_bad: Callable[[int, str], object] | None = None,
    ) -> None:
        """Open the file and read its head; of its rows this source takes share `i` of `k`, counted from 0.

        `on_bad` is called with the line number and the reason of each row that is skipped. Raises UsageError for a
        file that can't be read or holds no rows; so does `take` for a bad row that isn't to be skipped.
        """
        check_share(share)
        self.skipped = 0
        self._path = Path(path)
        self._skip = skip_bad_rows
        self._share = share
        self._on_bad = on_bad
        self._file = self._open()
        self._rows = self._read()

    def take(self, n: int) -> Columns:
        """The next messages, at most `n`; none at the end of the file."""
        recipients: list[int] = []
        texts: list[bytes] = []
        size = 0
        try:
            for recipient, text in islice(self._rows, min(n, CHUNK)):
                recipients.append(recipient)
                texts.append(text)
                size += len(text)
                if size >= CHUNK_BYTES:
                    break
        except OSError as error:
            raise self._unreadable(error) from None
        return Columns.of(recipients, texts)

    def close(self) -> None:
        """Close the file, so that nothing more comes; reaching its end or raising does that too."""
        self._rows = iter(())
        self._file.close()

    def _open(self) -> IO[str]:
        if self._path.suffix.lower() not in _FORMATS:
            raise UsageError(f"{self._path}: give a file whose name ends in {', '.join(_FORMATS)}")
        try:
            # newline="": the csv module wants to see how lines end. Bytes that aren't UTF-8 become surrogates, so that
            # they spoil only the row that they are in.
            return self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        except OSError as error:
            raise self._unreadable(error) from None

    def _read(self) -> Iterator[tuple[int, bytes]]:
        """The good rows of this share; the head of the file is read at once."""
        try:
            table = _FORMATS[self._path.suffix.lower()](_Lines(self._file))
            rows = table.rows()
            first = next(rows, None)
        except OSError as error:
            self.close()
            raise self._unreadable(error) from None
        except _BadRowError as error:
            self.close()
            raise UsageError(f"{self._path}: {error}") from None
        if first is None:
            self.close()
            raise UsageError(f"{self._path}: holds no rows")
        return self._good(table, chain((first,), rows))

    def _good(self, table: _Table, rows: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, bytes]]:
        index, parts = self._share
        with self._file:
            for number, (line, row) in enumerate(rows):
                if number % parts != index:
                    continue
                try:
                    if isinstance(row, _BadRowError):
                        raise row
                    recipient, text = table.fields(row)
                    message = _number(recipient), _text(text)
                except _BadRowError as error:
                    self._refuse(line, str(error))
                else:
                    yield message

    def _refuse(self, line: int, reason: str) -> None:
        if not self._skip:
            raise UsageError(f"{self._path}:{line}: {reason} (--skip-bad-rows leaves out such rows)")
        self.skipped += 1
        if self._on_bad is not None:
            self._on_bad(line, reason)

    def _unreadable(self, error: OSError) -> UsageError:
        return UsageError(f"{self._path}: can't be read: {error.strerror or error}")


class _BadRowError(Exception):
    """Why a row is no message."""


def _number(value: Any) -> int:
    """The E.164 number as an integer."""
    if isinstance(value, str):
        if "(0)" in value:
            # Dialled inside the country only: with the parentheses gone it would be another number.
            raise _BadRowError(f"recipient {_shown(value)}: leave out the (0)")
        number = _NUMBER.fullmatch(value) or _NUMBER.fullmatch(value.translate(_SEPARATORS))
        if number:
            return int(number[0])
    raise _BadRowError(f"recipient {_shown(value)} is no E.164 number: a plus and 1 to 15 digits, the first not 0")


def _text(value: Any) -> bytes:
    """The text's UTF-8."""
    if not isinstance(value, str):
        raise _BadRowError(f"text {_shown(value)} is no string")
    if not value:
        raise _BadRowError("the text is empty")
    try:
        text = value.encode()
    except UnicodeEncodeError as error:
        raise _BadRowError(f"the text is not UTF-8 from character {error.start + 1} on") from None
    if len(text) > MAX_TEXT_BYTES:
        raise _BadRowError(f"the text has {len(text)} bytes, over {MAX_TEXT_BYTES}")
    return text


def _shown(value: Any) -> str:
    """A value of the file, short enough for a line."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


# -- formats -----------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a file, counted from 1, each at most `MAX_LINE` characters: what is longer is cut and dropped."""

    def __init__(self, file: IO[str]) -> None:
        self.number = 0
        self._file = file
        self._cut = False

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(MAX_LINE):
            self.number += 1
            rest = line
            while len(rest) == MAX_LINE and not rest.endswith(("\n", "\r")):
                self._cut = True
                rest = self._file.readline(MAX_LINE)
            yield line

    def was_cut(self) -> bool:
        """Whether a line was cut since this was last asked."""
        cut, self._cut = self._cut, False
        return cut


class _Table(Protocol):
    """A format: its rows as they stand in the file, and the two fields of one."""

    def rows(self) -> Iterator[tuple[int, Any]]:
        """(line, row) of each row that isn't blank; in place of a row that can't be told apart, the error."""

    def fields(self, row: Any) -> tuple[Any, Any]:
        """Recipient and text. Raises _BadRowError."""


class _Csv:
    """Comma-separated values as spreadsheets write them (the csv module's dialect `excel`, strictly)."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._reader = csv.reader(iter(lines), strict=True)
        line, header = next(self.rows(), (0, None))
        if header is None:
            raise _BadRowError("is empty")
        if isinstance(header, _BadRowError):
            raise header
        self._header = [name.strip() for name in header]
        for name in ("recipient", "text"):
            if self._header.count(name) != 1:
                found = _shown(",".join(header))
                raise _BadRowError(f"line {line} must name the columns recipient and text, each once; it is {found}")
        self._recipient = self._header.index("recipient")
        self._text = self._header.index("text")

    def rows(self) -> Iterator[tuple[int, list[str] | _BadRowError]]:
        while True:
            line = self._lines.number + 1
            row: list[str] | _BadRowError
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = _BadRowError(f"not CSV: {error}")
            if self._lines.was_cut():
                row = _BadRowError(f"over {MAX_LINE} characters in a line")
            if row:
                yield line, row

    def fields(self, row: list[str]) -> tuple[Any, Any]:
        if len(row) != len(self._header):
            raise _BadRowError(f"{len(row)} fields where the header has {len(self._header)}")
        return row[self._recipient], row[self._text]


class _JsonLines:
    """A JSON object a line (jsonlines.org)."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines

    def rows(self) -> Iterator[tuple[int, str | _BadRowError]]:
        for line in self._lines:
            if self._lines.was_cut():
                yield self._lines.number, _BadRowError(f"over {MAX_LINE} characters in a line")
            elif not line.isspace():
                yield self._lines.number, line

    def fields(self, row: str) -> tuple[Any, Any]:
        try:
            value = json.loads(row)
        except json.JSONDecodeError as error:
            raise _BadRowError(f"not JSON: {error.msg} at column {error.colno}") from None
        except (ValueError, RecursionError) as error:  # an integer of thousands of digits, lists in lists in lists
            raise _BadRowError(f"not JSON: {error}") from None
        if not isinstance(value, dict):
            raise _BadRowError(f"{_shown(value)} is no JSON object")
        for key in ("recipient", "text"):
            if key not in value:
                raise _BadRowError(f"no key {key!r}")
        return value["recipient"], value["text"]


_FORMATS: dict[str, Callable[[_Lines], _Table]] = {".csv": _Csv, ".jsonl": _JsonLines, ".ndjson": _JsonLines}
