"""Real messages from a list, read as the producer asks for them.

    .csv, .tsv, .tab  a header with the columns `recipient` and `text`, in any order and case; others are ignored
    .jsonl, .ndjson   an object a line: {"recipient": "+1...", "text": "..."}; other keys are ignored

- A recipient is an E.164 number, read strictly (:mod:`zsms.sources.numbers`); a text is 1 to 65,535 bytes of UTF-8.
- Row j (counted from 0, bad rows too, blank lines not) belongs to share j % k of k.
- A bad row ends the reading, unless such rows are to be skipped: then its rows and lines are counted, and it is
  reported to `on_bad`. :mod:`zsms.sources.tables` says which lines are rows.
- A recipient that has come before, in any share's rows, is counted, and left out where each is to come once.
- At most a block of lines is in memory, however large the list is, and 8 bytes for each recipient.

The plainest lines of a block are read by one regular expression, the others one by one (:mod:`zsms.sources.blocks`).
"""

from __future__ import annotations

import errno
import os
import re
import select
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from zsms import saving
from zsms.errors import UsageError
from zsms.lists.stream import Lines, Stream, descriptor_of, is_stream, name_of
from zsms.sources.blocks import I64, Bad, Block, read_block
from zsms.sources.choice import MessageSettings, check_messages, random_of
from zsms.sources.random import Columns, Source, check_share, check_total
from zsms.sources.repeats import MOST, Repeats
from zsms.sources.tables import ONE_LIST, Csv, JsonLines, NotATableError, Table, decode, holds_nothing, like_json
from zsms.words import lines_named, many

CHUNK = 16_384
"""Most rows in one take."""

CHUNK_BYTES = 2**20
"""A take ends with the text that reaches this many bytes, so that a batch fits into a frame."""

EXAMPLES = 5
"""Lines that are named of what may be in very many."""

FORMATS = ("csv", "jsonl")
_FORMAT_OF = {".csv": "csv", ".tsv": "csv", ".tab": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""By the ending of a name."""
_HEAD_LINES = 64
"""A header is looked for among these."""
_PATIENCE_S = 0.005
"""How long a take of a stream waits for its writer, who may be in the middle of it."""


class FileSource:
    """The messages of a CSV or JSON Lines list."""

    total = None

    def __init__(
        self,
        path: str | Path,
        *,
        format: str | None = None,  # noqa: A002  # what it is
        skip_bad_rows: bool = False,
        unique: bool = False,
        limit: int | None = None,
        share: tuple[int, int] = (0, 1),
        on_bad: Callable[[int, str], object] | None = None,
    ) -> None:
        """Open the list; of its rows this source takes share `i` of `k`, counted from 0.

        `format` is csv or jsonl, by default what the name says, or else what the list begins with; the path `-` is
        standard input. `unique` leaves out a recipient that has come before; `limit` ends after so many messages of all
        shares. `on_bad` is called with the line number and the reason of each row that is skipped. The head of a file
        is read at once, that of a stream with the first take. Raises UsageError for a list that can't be read or holds
        no rows, and for a bad row that isn't to be skipped; so does `take`, when all rows before that one have been
        taken.
        """
        check_share(share)
        check_total(limit)
        self.skipped = 0
        """Bad rows left out so far."""
        self.skipped_lines = 0
        """The lines that they were."""
        self.repeated = 0
        """Rows of this share whose recipient had come before."""
        self.repeated_lines: list[int] = []
        """The lines of the first `EXAMPLES` of them."""
        self.rows = 0
        """Rows read so far, of all shares."""
        self.lines_taken = 0
        """The line that the last message taken ended with, from 1."""
        self.messages_taken = 0
        self._name = name_of(str(path))
        self._format = check_format(str(path), format)
        self._skip, self._unique, self._limit, self._share, self._on_bad = skip_bad_rows, unique, limit, share, on_bad
        self._good = 0
        self._repeats = Repeats(None if unique else MOST)
        self._pending = Columns.of((), ())
        self._pending_lines: I64 = np.zeros(0, dtype=np.int64)
        self._held = b""
        """Lines of a row whose end is to come."""
        self._table: Table | None = None
        self._line = 0
        self._error: UsageError | None = None
        """What ends the reading once all before it has been taken."""
        self._closed = self._reached_limit = False
        try:
            self._stream = Stream(str(path))
        except OSError as error:
            raise self._unreadable(error) from None
        except UsageError as error:
            raise UsageError(f"{self._name}: {error}") from None
        self._lines = Lines(self._stream)
        if self._stream.regular:
            self._fill()
            if self._error is not None:
                raise self._error

    @property
    def waiting(self) -> bool:
        """Whether there is nothing to take because nothing has come yet, not because all has been read."""
        return not (self._closed or len(self._pending))

    def fileno(self) -> int:
        """What to poll while `waiting`."""
        return self._stream.fileno()

    @property
    def remarks(self) -> list[str]:
        """What the user should know of what was read."""
        found = [f"{self._name}: changed while it was read"] if self._stream.changed else []
        if not self.repeated:
            return found
        least = "at least " if self.repeated_is_least else ""
        where = lines_named(self.repeated, self.repeated_lines)
        fate = "left out" if self._unique else "--unique leaves out such"
        again = f"{least}{many(self.repeated, 'row')} to a recipient that came before ({where})"
        return [*found, f"{self._name}: {again}; {fate}"]

    @property
    def repeated_is_least(self) -> bool:
        """Whether there were too many recipients to remember all, so that some repeats were not counted."""
        return self._repeats.full

    @property
    def unread(self) -> str:
        """What of the list has not been taken, in words; "" when there is nothing more to take."""
        if self._reached_limit and not len(self._pending):
            return ""
        if self._closed and self._error is None and not len(self._pending):
            return ""
        return f"{self._name}: lines from {self.lines_taken + 1} on were not read"

    def take(self, n: int) -> Columns:
        """The next messages, at most `n`: none at the end of the list, or when it is `waiting` for its writer."""
        if not len(self._pending) and not self._closed:
            self._fill()
        columns = self._pending
        if not len(columns):
            if self._error is not None:
                raise self._error
            return columns
        ends = np.cumsum(columns.lengths, dtype=np.int64)
        size = min(n, CHUNK, int(np.searchsorted(ends, CHUNK_BYTES)) + 1, len(columns))
        split = int(ends[size - 1])
        self._pending = Columns(columns.recipients[size:], columns.lengths[size:], columns.text[split:])
        self.lines_taken = int(self._pending_lines[size - 1])
        self.messages_taken += size
        self._pending_lines = self._pending_lines[size:]
        return Columns(columns.recipients[:size], columns.lengths[:size], columns.text[:split])

    def whole(self) -> Iterator[Columns]:
        """All that is left of the list, take by take; a stream's writer is waited for."""
        while True:
            if len(columns := self.take(CHUNK)):
                yield columns
            elif self.waiting:
                saving.wait_for(self.fileno(), select.POLLIN)
            else:
                return

    def close(self) -> None:
        """Close the list, so that nothing more comes; reaching its end or a bad row does that too."""
        self._pending, self._error = Columns.of((), ()), None
        self._end()

    def _end(self) -> None:
        self._closed = True
        self._held = b""
        self._stream.close()

    # -- reading ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Read blocks until there is a message to take, or as far as a stream has come."""
        until = time.monotonic() + _PATIENCE_S
        try:
            while not self._closed and not len(self._pending):
                if self._limit is not None and self._good >= self._limit:
                    self._reached_limit = True
                    self._end()
                    return
                block = self._lines.more()
                if block is not None:
                    self._take_block(block)
                if not self._stream.regular and (block is None or time.monotonic() > until):
                    return  # whoever asked must look around: a stream may never end
        except OSError as error:
            self._fail(self._unreadable(error))
        except (UsageError, NotATableError) as error:
            self._fail(UsageError(f"{self._name}: {error}"))

    def _fail(self, error: UsageError) -> None:
        self._error = error
        self._end()

    def _take_block(self, data: bytes) -> None:
        ended = self._lines.ended
        data, self._held = self._held + data, b""
        if self._table is None:
            data, ready = self._begin(data, ended)
            if not ready:
                return
        assert self._table is not None
        block = read_block(self._table, data, line=self._line + 1, row=self.rows, ended=ended)
        self.rows += block.rows
        self._line += block.used
        self._held = block.held
        if self._keep(block):
            self._end()
        elif ended:
            self._end()
            if not self.rows:
                raise UsageError("holds no rows")

    def _begin(self, data: bytes, ended: bool) -> tuple[bytes, bool]:
        """Find out what the columns are; what is behind the header, and whether there is a header yet."""
        lines = data.splitlines(keepends=True)
        filled = list(islice((place for place, line in enumerate(lines) if not holds_nothing(line)), 2))
        if not filled and not ended:
            self._line += len(lines)
            return b"", False
        begin = lines[filled[0]].lstrip(b"\xef\xbb\xbf \t") if filled else b""
        if self._format is None:
            self._format = "jsonl" if like_json(decode(begin)) else "csv"
        if self._format == "jsonl":
            if begin[:1] == b"[":
                raise UsageError(ONE_LIST)
            self._table = JsonLines()
            return data, True
        blank = filled[0] if filled else 0
        if not ended and len(filled) < 2 and len(lines) < blank + _HEAD_LINES:
            self._held = data
            return b"", False
        self._line += blank
        table = Csv(lines[blank : blank + _HEAD_LINES], self._line + 1)
        self._table = table
        self._line += table.used
        return b"".join(lines[blank + table.used :]), True

    def _keep(self, block: Block) -> bool:
        """Keep what of these rows is this share's, up to the limit and the first row that can't be; whether one of
        the two was reached."""
        index, parts = self._share
        again = self._repeats.seen_before(block.recipients)
        kept = ~again if self._unique else np.ones(len(again), dtype=np.bool_)
        cut, ends = len(kept), False
        if self._limit is not None and (missing := self._limit - self._good) <= int(kept.sum()):
            cut, ends = int(np.searchsorted(np.cumsum(kept), missing)) + 1, True
            self._reached_limit = True
        for bad in block.bad:
            if bad.before > cut or (ends and bad.before == cut):
                break
            if bad.number % parts == index and not self._refuse(bad):
                cut, ends = bad.before, True
                break
        kept, own = kept[:cut], block.numbers[:cut] % parts == index
        self._good += int(kept.sum())
        repeats = np.flatnonzero(again[:cut] & own)
        self.repeated += len(repeats)
        self.repeated_lines += block.lines[repeats[: EXAMPLES - len(self.repeated_lines)]].tolist()
        places = np.flatnonzero(kept & own)
        texts = block.texts if len(places) == len(block.texts) else [block.texts[place] for place in places.tolist()]
        self._pending = Columns.of((), texts)
        self._pending.recipients = block.recipients[places]
        self._pending_lines = block.lines[places]
        return ends

    def _refuse(self, bad: Bad) -> bool:
        """Leave a row out, or end; whether it was left out."""
        reason = bad.reason
        if bad.last > bad.line:
            reason = f"{reason} (lines {bad.line} to {bad.last})"
        if not self._skip:
            self._error = UsageError(f"{self._name}:{bad.line}: {reason} (--skip-bad-rows leaves out such rows)")
            return False
        self.skipped += bad.rows
        self.skipped_lines += bad.last - bad.line + 1
        if self._on_bad is not None:
            self._on_bad(bad.line, reason)
        return True

    def _unreadable(self, error: OSError) -> UsageError:
        more = ""
        if error.errno == errno.ENOENT and re.match(r"[a-z]+://", self._name):
            more = " (that is an address: fetch it first, or pipe it into -)"
        return UsageError(f"{self._name}: can't be read: {error.strerror or error}{more}")


def source_of(
    wanted: MessageSettings, *, share: tuple[int, int] = (0, 1), on_bad: Callable[[int, str], object] | None = None
) -> Source:
    """Part `share` (i of k, counted from 0) of what is wanted. Raises UsageError for what can't be.

    `on_bad` is called with the line number and the reason of each row of a list that is skipped.
    """
    check_messages(wanted)
    if wanted.input is None:
        return random_of(wanted, share)
    return FileSource(
        wanted.input,
        format=wanted.input_format,
        skip_bad_rows=wanted.skip_bad_rows,
        unique=wanted.unique,
        limit=wanted.messages,
        share=share,
        on_bad=on_bad,
    )


def check_input(
    path: str,
    format: str | None,  # noqa: A002  # what it is
    *,
    skip_bad_rows: bool,
    unique: bool,
    limit: int | None,
    producers: int,
) -> None:
    """Raise UsageError for a list that can't be read, or not by so many producers; nothing is taken from a stream."""
    try:
        saving.check_name(path)
    except OSError as error:
        raise UsageError(f"input {path!r}: {error.strerror}") from None
    if not is_stream(path):
        FileSource(path, format=format, skip_bad_rows=skip_bad_rows, unique=unique, limit=limit).close()
        return
    check_format(path, format)
    if producers > 1:
        raise UsageError(f"{name_of(path)} can be read only once, so only by one producer, not {producers}")
    try:
        # A pipe that is opened and closed again would be the end of its writer.
        if descriptor_of(path) is not None:
            Stream(path).close()
        elif not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        elif os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise UsageError(f"{name_of(path)}: can't be read: {error.strerror or error}") from None
    except UsageError as error:
        raise UsageError(f"{name_of(path)}: {error}") from None


def check_format(path: str, given: str | None) -> str | None:
    """csv or jsonl; None where neither the name nor the user says which, so that the list itself does. Raises
    UsageError for what is neither."""
    if given is not None:
        if given not in FORMATS:
            raise UsageError(f"input format {given!r}: give {' or '.join(FORMATS)}")
        return given
    return _FORMAT_OF.get(Path(path).suffix.lower())
