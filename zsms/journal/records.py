"""How a journal's rows are written: msgpack and columns, each record with a CRC-32 of itself and of its row's key.

A bit that flips on the disk is found when the record is read, and so is a record that stands in another's row.
"""

from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

import msgpack
import numpy as np

from zsms.core.broker import DeadLetter
from zsms.core.broker.journal import PLACE, AccountRow, Change, StoredChange, StoredEntry, StoredLetter
from zsms.core.broker.lot import Lot
from zsms.errors import JournalError, WireError
from zsms.message import Batch, Mixed
from zsms.wire.codec import encode_batch, encode_mixed, expect

_CRC = struct.Struct("<I")
_HEAD = np.dtype([("kind", "<u4"), ("entry", "<u8"), ("value", "<u4"), ("count", "<u4")])
"""Of each change of a row; the places of all of them follow."""


def seal(key: bytes, payload: bytes) -> bytes:
    """The record of a row."""
    return _CRC.pack(crc32(payload, crc32(key))) + payload


def unseal(what: str, key: bytes, record: bytes) -> bytes:
    """The payload of a record. Raises JournalError when a bit of it is not as it was written."""
    if len(record) < _CRC.size or _CRC.unpack_from(record)[0] != crc32(record[_CRC.size :], crc32(key)):
        raise JournalError(f"{what} is damaged: its checksum does not fit")
    return record[_CRC.size :]


def number_key(table: str, number: int) -> bytes:
    """What stands for a numbered row in its checksum."""
    return b"%s %d" % (table.encode(), number)


def frame_of(batch: Batch | Mixed) -> Any:
    """The bytes of a batch or of mixed messages, as a buffer."""
    if isinstance(batch, Mixed):
        return encode_mixed(batch)
    if batch.frame is None:
        return encode_batch(batch)
    return getattr(batch.frame, "buffer", batch.frame)


def pack_entry(number: int, lot: Lot) -> tuple[int, bytes, Any]:
    """The row of an entry: its number, its head and its frame."""
    frame = frame_of(lot.whole)
    head = msgpack.packb([lot.queued, lot.attempt, lot.delivery, len(frame), crc32(frame)])
    return number, seal(number_key("entry", number), head), frame


def unpack_entry(number: int, record: bytes, frame: bytes) -> StoredEntry:
    """The entry of a row. Raises JournalError."""
    what = f"batch {number}"
    head = msgpack.unpackb(unseal(what, number_key("entry", number), record))
    accepted, attempt, delivery, length, checksum = head
    if len(frame) != length or crc32(frame) != checksum:
        raise JournalError(f"{what} is damaged: the checksum of its frame does not fit")
    return StoredEntry(number, _open(what, frame), accepted, attempt, delivery)


def _open(what: str, frame: bytes) -> Batch | Mixed:
    try:
        batch: Batch | Mixed = expect(frame, Batch, Mixed)
    except WireError as error:
        raise JournalError(f"{what} can't be read: {error}") from None
    if isinstance(batch, Batch):
        batch.frame = frame
    return batch


def pack_letter(letter: DeadLetter) -> tuple[int, bytes]:
    """The row of a dead letter."""
    lot = letter.lot
    payload = msgpack.packb([lot.queued, lot.attempt, lot.delivery, letter.reason, bytes(frame_of(lot.batch))])
    return letter.number, seal(number_key("letter", letter.number), payload)


def unpack_letter(number: int, record: bytes) -> StoredLetter:
    """The dead letter of a row. Raises JournalError."""
    what = f"dead letter {number}"
    *history, frame = msgpack.unpackb(unseal(what, number_key("letter", number), record))
    return StoredLetter(number, _open(what, frame), *history)


def pack_changes(number: int, changes: list[Change]) -> bytes:
    """The record of a group's changes."""
    heads = np.array([(c.kind, c.entry.number, c.value, len(c.places)) for c in changes], dtype=_HEAD)
    payload = _CRC.pack(len(changes)) + heads.tobytes() + b"".join(c.places.tobytes() for c in changes)
    return seal(number_key("change", number), payload)


def unpack_changes(number: int, record: bytes) -> list[StoredChange]:
    """The changes of a row. Raises JournalError."""
    payload = unseal(f"row {number} of the changes", number_key("change", number), record)
    (count,) = _CRC.unpack_from(payload)
    heads = np.frombuffer(payload, _HEAD, count, _CRC.size)
    places = np.frombuffer(payload, PLACE, offset=_CRC.size + heads.nbytes)
    changes, begin = [], 0
    for kind, entry, value, length in heads.tolist():
        changes.append(StoredChange(number, kind, entry, value, places[begin : begin + length]))
        begin += length
    return changes


def account_key(row: AccountRow) -> bytes:
    """The key of an account: producer and start are unsigned, and would not fit an integer of the store."""
    return struct.pack(">QQ", row.producer, row.epoch)


def pack_account(row: AccountRow) -> tuple[bytes, bytes]:
    """The row of an account."""
    key = account_key(row)
    return key, seal(key, msgpack.packb(list(row)))


def unpack_account(key: bytes, record: bytes) -> AccountRow:
    """The account of a row. Raises JournalError."""
    return AccountRow(*msgpack.unpackb(unseal(f"account {key.hex()}", key, record)))
