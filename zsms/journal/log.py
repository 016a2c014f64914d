"""A journal as a log of records of which the oldest are let go: what a record holds, and what of it still lives.

    record   puts: (key, head, body), ...   a row of a journal each, as zsms.journal.records packs it
             gone: key, ...                 rows that are kept no longer

The content is what the records say, in their order: the last put of a key holds, unless the key is gone since. So the
front of the log can be cut off up to the first record with a row that lives; and that row moves to the end, as it
stands, when it alone keeps much that is dead. Nothing here knows where the records are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from zsms.core.broker.journal import Group, Stored
from zsms.errors import JournalError
from zsms.journal.records import (
    pack_account,
    pack_changes,
    pack_entry,
    pack_letter,
    seal,
    unpack_account,
    unpack_changes,
    unpack_entry,
    unpack_letter,
    unseal,
)

SLACK_BYTES = 16 * 2**20
"""Bytes of dead rows that are no reason to move those that live."""
COPY_BYTES = 2**20
"""Bytes of living rows that are moved at once, about: a confirm waits for them."""
_CRC = struct.Struct("<I")
_NUMBER = struct.Struct(">cQ")
_BOOKS = b"b"
_ACCOUNT, _CHANGES, _ENTRY, _LETTER = b"a", b"c", b"e", b"l"


class Row(NamedTuple):
    """One put. `body` is the frame of an entry, else empty."""

    key: bytes
    head: bytes
    body: Any

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, about."""
        return len(self.key) + len(self.head) + len(self.body) + 16


def _key(kind: bytes, number: int) -> bytes:
    return _NUMBER.pack(kind, number)


def rows_of(group: Group) -> tuple[list[Row], list[bytes]]:
    """What a group puts, and what is gone with it."""
    rows = [Row(_key(_ENTRY, number), head, frame) for number, head, frame in _entries(group)]
    if group.changes:
        rows.append(Row(_key(_CHANGES, group.number), pack_changes(group.number, group.changes), b""))
    rows += [Row(_key(_LETTER, number), record, b"") for number, record in map(pack_letter, group.letters)]
    rows += [Row(_ACCOUNT + key, record, b"") for key, record in map(pack_account, group.accounts)]
    rows.append(Row(_BOOKS, seal(_BOOKS, msgpack.packb(group.books)), b""))
    gone = [_key(_ENTRY, number) for number in group.gone]
    gone += [_key(_CHANGES, number) for number in group.rows_gone]
    gone += [_key(_LETTER, number) for number in group.letters_gone]
    return rows, gone


def _entries(group: Group) -> Iterable[tuple[int, bytes, Any]]:
    return (pack_entry(entry.number, lot) for entry, lot in group.accepted)


def pack_record(rows: list[Row], gone: list[bytes]) -> bytes:
    """The bytes of a record."""
    directory = msgpack.packb([[row.key, len(row.head), len(row.body)] for row in rows] + [gone])
    head = _CRC.pack(len(directory)) + directory
    return b"".join((_CRC.pack(crc32(head)), head, *(part for row in rows for part in (row.head, row.body))))


def unpack_record(data: bytes, what: str) -> tuple[list[Row], list[bytes]]:
    """What a record puts, and what is gone with it; `what` names it. Raises JournalError."""
    try:
        (checksum,), (length,) = _CRC.unpack_from(data), _CRC.unpack_from(data, _CRC.size)
        begin = 2 * _CRC.size + length
        if crc32(data[_CRC.size : begin]) != checksum:
            raise ValueError("its checksum does not fit")
        *directory, gone = msgpack.unpackb(data[2 * _CRC.size : begin])
        rows = []
        for key, head, body in directory:
            rows.append(Row(key, data[begin : begin + head], data[begin + head : begin + head + body]))
            begin += head + body
        if begin != len(data):
            raise ValueError(f"{len(data)} bytes where {begin} belong")
    except (ValueError, TypeError, struct.error) as error:
        raise JournalError(f"{what} is damaged: {error}") from None
    return rows, gone


@dataclass(slots=True)
class _Place:
    """A record of the log."""

    end: int
    """The place behind it."""
    nbytes: int
    living: dict[bytes, int] = field(default_factory=dict)
    """The rows whose last put it is, and the bytes of each."""


class Log:
    """What lives where."""

    def __init__(self) -> None:
        self._records: dict[int, _Place] = {}
        """By the place at which each begins, in this order."""
        self._where: dict[bytes, int] = {}
        self.nbytes = 0
        """Of all records that are not cut off."""
        self.living = 0
        """Bytes of the rows that live."""

    def append(self, begin: int, end: int, nbytes: int, rows: list[Row], gone: list[bytes]) -> None:
        """A record of `nbytes` bytes stands at the places `begin` to `end` - 1, behind all others."""
        place = self._records[begin] = _Place(end, nbytes)
        self.nbytes += nbytes
        for key in gone:
            self._drop(key)
        for row in rows:
            self._drop(row.key)
            self._where[row.key] = begin
            place.living[row.key] = row.nbytes
            self.living += row.nbytes

    def _drop(self, key: bytes) -> None:
        where = self._where.pop(key, None)
        if where is not None:
            self.living -= self._records[where].living.pop(key)

    def floor(self) -> int:
        """The place below which nothing lives; records below it are taken for cut off from now on."""
        for begin, place in list(self._records.items()):
            if place.living:
                return begin
            if len(self._records) == 1:
                return begin
            self.nbytes -= place.nbytes
            del self._records[begin]
        return 0

    @property
    def wasteful(self) -> bool:
        """Whether so much is dead that rows at the front should move to the end."""
        return self.nbytes > 2 * self.living + SLACK_BYTES

    def oldest(self) -> tuple[int, int]:
        """The places `begin` and `end` of the oldest record with a row that lives. There has to be one."""
        self.floor()
        begin, place = next(iter(self._records.items()))
        return begin, place.end

    def movable(self, begin: int, rows: list[Row]) -> list[Row]:
        """Those rows of the record at `begin` that live there, up to `COPY_BYTES`."""
        moved, nbytes = [], 0
        for row in rows:
            if self._where.get(row.key) == begin and nbytes < COPY_BYTES:
                moved.append(row)
                nbytes += row.nbytes
        return moved


class Content:
    """The rows of a log, as its records are read one after the other."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}

    def append(self, rows: list[Row], gone: list[bytes]) -> None:
        """The next record says this."""
        for key in gone:
            self.rows.pop(key, None)
        for row in rows:
            self.rows[row.key] = row

    def kept(self) -> Stored:
        """What a broker is rebuilt from. Raises JournalError for a row that is damaged."""

        def numbered(kind: bytes, unpack: Callable[..., Any]) -> list[Any]:
            found = sorted(key for key in self.rows if key[:1] == kind)
            return [unpack(_NUMBER.unpack(key)[1], self.rows[key]) for key in found]

        books = self.rows.get(_BOOKS)
        accounts = sorted(key for key in self.rows if key[:1] == _ACCOUNT)
        changes = numbered(_CHANGES, lambda number, row: unpack_changes(number, row.head))
        return Stored(
            books={} if books is None else msgpack.unpackb(unseal("the record of the books", _BOOKS, books.head)),
            accounts=[unpack_account(key[1:], self.rows[key].head) for key in accounts],
            entries=numbered(_ENTRY, lambda number, row: unpack_entry(number, row.head, row.body)),
            changes=[change for row in changes for change in row],
            letters=numbered(_LETTER, lambda number, row: unpack_letter(number, row.head)),
        )
