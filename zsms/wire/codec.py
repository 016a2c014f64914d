"""Frames as bytes: encode and decode.

A large frame is decoded without copying its columns. msgpack's own unpacker reads the scalars, and since the
columns of a frame over `SMALL_FRAME` bytes must be bin32, each of their headers is five bytes at a known place.

Whatever arrives, `decode` returns a checked frame or raises :class:`WireError` with the reason. It refuses a frame,
never a role: the caller counts it, logs it and goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from zsms.errors import WireError
from zsms.message import LENGTH, OFFSET, RECIPIENT, ROW, SOURCE, TEXT, WORD, Batch, Mixed
from zsms.wire.frames import (
    DURATION,
    KINDS,
    MAX_COUNT,
    MAX_FRAME_BYTES,
    MAX_MAP_ITEMS,
    MAX_SNAPSHOT_BYTES,
    MAX_STRING,
    NO_CODES,
    VERSION,
    Ack,
    Answer,
    Frame,
    Kind,
    Refused,
)

SMALL_FRAME = 2_048
"""Up to this many bytes a frame is unpacked whole: cheaper than finding its columns."""

_HEAD = 1_024  # the scalars of any frame with columns fit in this many bytes
_BIN32 = struct.Struct(">BI")
_BIN32_TAG = 0xC6
_EMPTY = {
    dtype: np.frombuffer(b"", dtype=dtype) for dtype in (OFFSET, RECIPIENT, LENGTH, TEXT, ROW, SOURCE, WORD, DURATION)
}
_BY_CODE: dict[int, tuple[type, Kind]] = {kind.code: (cls, kind) for cls, kind in KINDS.items()}


class UnknownKind(WireError):
    """A frame of this version, and of a kind that is younger than this program: refused, and nothing else."""


class OtherVersion(WireError):
    """A frame of another version."""

    def __init__(self, why: str, version: object) -> None:
        super().__init__(why)
        self.version = version


# -- encode ------------------------------------------------------------------------------------------------

FEW_BYTES = SMALL_FRAME // 2
"""Columns of no more bytes in all are packed with the rest of the frame: for a message or two that is twice as fast."""

_packer = msgpack.Packer(autoreset=True)

# The acknowledgement of one sent message, written out: array16, two small integers, four uint64, a bin32 and four empty
# bin8. Small senders say little else, and in one piece it costs a quarter.
_ONE_SENT = struct.Struct(">5sBQBQBQBQ17s")
_ONE_SENT_HEAD = struct.pack(">BHBB", 0xDC, 11, VERSION, 6)
_ONE_SENT_COLUMNS = bytes.fromhex("c6 00000004 00000000 c400 c400 c400 c400")
_UINT64 = 0xCF
_new = tuple.__new__
_FIRST = np.frombuffer(bytes(4), dtype=OFFSET)
_NONE = np.frombuffer(b"", dtype=OFFSET)
_ARRAY16 = struct.Struct(">BH")


def encode(frame: Frame) -> bytes:
    """The frame's bytes. A batch is encoded by :func:`encode_batch`, mixed messages by :func:`encode_mixed`."""
    if isinstance(frame, Batch):
        return encode_batch(frame)
    if isinstance(frame, Mixed):
        return encode_mixed(frame)
    if isinstance(frame, Ack) and len(frame.sent) == 1 and not len(frame.failed) and not frame.sent[0]:
        return _encode_one_sent(frame)
    kind = KINDS[type(frame)]
    if kind.columns:
        parts: list[Any] = list(frame)
        scalars = len(kind.fields)
        return _join([VERSION, kind.code, *parts[:scalars]], parts[scalars:])
    packed: bytes = _packer.pack([VERSION, kind.code, *frame])
    return packed


def _encode_one_sent(ack: Ack) -> bytes:
    scalars = [part for scalar in ack[:4] for part in (_UINT64, scalar)]
    return _ONE_SENT.pack(_ONE_SENT_HEAD, *scalars, _ONE_SENT_COLUMNS)


def encode_batch(batch: Batch) -> bytes:
    """The batch's bytes: one copy of its columns, whatever they are views of."""
    offsets = _NO_OFFSETS if batch.offsets is None else batch.offsets
    head = [VERSION, 1, batch.producer, batch.epoch, batch.number, batch.first, batch.due, batch.step]
    return _join(head, (offsets, batch.recipients, batch.lengths, batch.text))


def moved_batch(frame: bytes, seconds: float) -> bytes:
    """The bytes of the same batch, due so many seconds later: by another clock."""
    batch: Batch = expect(frame, Batch)
    batch.due += seconds
    return encode_batch(batch)


def encode_mixed(mixed: Mixed) -> bytes:
    """The bytes of mixed messages, with the sources that they name."""
    sources = mixed.rows["source"]
    first = sources.item(0)
    named = [first] if (sources == first).all() else np.unique(sources).tolist()
    table = [(source, mixed.sources[source].producer, mixed.sources[source].epoch) for source in named]
    return _join([VERSION, 24], (np.array(table, dtype=SOURCE), mixed.rows, mixed.text))


def encode_grant(fields: tuple[Any, ...]) -> bytes:
    """The bytes of a :class:`Grant` of these fields."""
    packed: bytes = _packer.pack((VERSION, 7, *fields))
    return packed


def encode_part(batch: Batch, begin: int, end: int) -> bytes:
    """The bytes of ``batch.slice(begin, end)``, without making it when it is small."""
    recipients, lengths, text, ends = batch.views
    text_begin, text_end = ends[begin - 1] if begin else 0, ends[end - 1]
    if text_end - text_begin > _SMALL_TEXT or end - begin > _SMALL_MESSAGES or batch.offsets is not None:
        return encode_batch(batch.slice(begin, end))
    packed: bytes = _packer.pack(
        (
            VERSION,
            1,
            batch.producer,
            batch.epoch,
            batch.number,
            batch.first + begin,
            batch.due + begin * batch.step,
            batch.step,
            b"",
            recipients[begin:end].tobytes(),
            lengths[begin:end].tobytes(),
            text[text_begin:text_end].tobytes(),
        )
    )
    return packed


_SMALL_TEXT = 1_000
_SMALL_MESSAGES = 64
"""With these a batch stays below `SMALL_FRAME`, so that msgpack may choose how it writes the columns."""

_NO_OFFSETS = np.zeros(0, dtype=OFFSET)


def _join(head: list[Any], columns: Sequence[npt.NDArray[Any]]) -> bytes:
    """One array of the head's scalars and the columns."""
    if sum(column.nbytes for column in columns) <= FEW_BYTES:
        small: bytes = _packer.pack([*head, *(column.tobytes() for column in columns)])
        return small
    # The packer's own array header counts the scalars only, so it is replaced.
    parts: list[Any] = [_ARRAY16.pack(0xDC, len(head) + len(columns)), memoryview(_packer.pack(head))[1:]]
    for column in columns:
        data = column.data
        parts.append(_BIN32.pack(_BIN32_TAG, data.nbytes))
        parts.append(data)
    return b"".join(parts)


# -- decode ------------------------------------------------------------------------------------------------


def _no_ext(code: int, data: bytes) -> None:
    raise ValueError(f"extension type {code}")


_LIMITS: dict[str, Any] = {
    "strict_map_key": True,
    "max_str_len": MAX_STRING * 4,
    "max_bin_len": MAX_FRAME_BYTES,
    "max_array_len": MAX_MAP_ITEMS,
    "max_map_len": MAX_MAP_ITEMS,
    "max_ext_len": 0,
    "ext_hook": _no_ext,  # the limit lets empty ones through
}


def decode(frame: Any) -> Any:
    """The frame in `frame` (bytes or any contiguous buffer), checked, its columns read-only views where it is large.

    Raises WireError, and nothing else, for anything that is not a frame of this version.
    """
    size = len(frame)
    if size > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {size} bytes, over {MAX_FRAME_BYTES}")
    if size == _ONE_SENT.size:
        ack = _decode_one_sent(frame)
        if ack is not None:
            return ack
    try:
        if size <= SMALL_FRAME:
            parts = msgpack.unpackb(frame, **_LIMITS)
            if type(parts) is not list or len(parts) < 3:
                raise WireError("not a frame: no array of version, kind and fields")
            cls, kind = _kind_of(parts[0], parts[1])
            expected = 2 + len(kind.fields) + len(kind.columns)
            if len(parts) != expected:
                raise WireError(f"{cls.__name__}: {len(parts)} elements instead of {expected}")
        else:
            cls, kind, parts = _open_large(frame, size)
    except WireError:
        raise
    except Exception as error:  # msgpack raises several unrelated classes, and ValueError for its limits
        raise WireError(f"not msgpack: {str(error) or type(error).__name__}") from None
    values = parts[2:]
    for index, check in enumerate(kind.fields):
        if not check(values[index]):
            raise WireError(f"{cls.__name__}: field {index} is {_shown(values[index])}")
    for index, dtype in enumerate(kind.columns, len(kind.fields)):
        column = values[index]
        if type(column) is not bytes and type(column) is not memoryview:
            raise WireError(f"{cls.__name__}: column {index} is {_shown(column)}, not bin")
        if len(column) % dtype.itemsize:
            raise WireError(f"{cls.__name__}: column {index} of {len(column)} bytes is no {dtype}")
        values[index] = np.frombuffer(column, dtype) if len(column) else _EMPTY[dtype]
    return kind.make(*values)


def _decode_one_sent(frame: Any) -> Ack | None:
    """The acknowledgement of one sent message, None for any other frame of that size."""
    head, a, session, b, number, c, limit, d, base, columns = _ONE_SENT.unpack(frame)
    if head != _ONE_SENT_HEAD or columns != _ONE_SENT_COLUMNS or not a == b == c == d == _UINT64:
        return None
    if number >= MAX_COUNT or limit >= MAX_COUNT or base >= MAX_COUNT:
        return None
    # Half the time of calling the class, which gives each field its name first.
    return _new(Ack, (session, number, limit, base, _FIRST, _NONE, NO_CODES, NO_CODES, NO_CODES))


def _kind_of(version: Any, code: Any) -> tuple[type, Kind]:
    if type(version) is not int or version != VERSION:
        raise OtherVersion(f"version {_shown(version)}; this program speaks {VERSION}", version)
    if type(code) is not int or code not in _BY_CODE:
        raise UnknownKind(f"unknown kind {_shown(code)}")
    return _BY_CODE[code]


def _open_large(frame: Any, size: int) -> tuple[type, Kind, list[Any]]:
    """The parts of a frame over `SMALL_FRAME` bytes, its columns as memoryviews of it."""
    view = memoryview(frame).cast("B")
    unpacker = msgpack.Unpacker(None, read_size=0, max_buffer_size=_HEAD, **_LIMITS)
    unpacker.feed(view[:_HEAD])
    count = unpacker.read_array_header()
    parts: list[Any] = [unpacker.unpack(), unpacker.unpack()]
    cls, kind = _kind_of(*parts)
    expected = 2 + len(kind.fields) + len(kind.columns)
    if count != expected:
        raise WireError(f"{cls.__name__}: {count} elements instead of {expected}")
    if not kind.columns:
        if size > MAX_SNAPSHOT_BYTES and cls is not Answer:
            raise WireError(f"{cls.__name__}: a frame of {size} bytes, over {MAX_SNAPSHOT_BYTES}")
        whole: list[Any] = msgpack.unpackb(view, **_LIMITS)
        return cls, kind, whole
    parts.extend(unpacker.unpack() for _ in kind.fields)
    position = unpacker.tell()
    for _ in kind.columns:
        if position + _BIN32.size > size:
            raise WireError(f"{cls.__name__}: cut off before a column")
        tag, length = _BIN32.unpack_from(view, position)
        position += _BIN32.size
        if tag != _BIN32_TAG or position + length > size:
            raise WireError(f"{cls.__name__}: a column is no bin32 within the frame")
        parts.append(view[position : position + length])
        position += length
    if position != size:
        raise WireError(f"{cls.__name__}: {size - position} bytes after the last column")
    return cls, kind, parts


def _shown(value: Any) -> str:
    """A peer's value, short enough for a log line: no deeper than its outermost container, and no longer."""
    if isinstance(value, list | dict | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value[:40]) if isinstance(value, bytes | str) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def refusal(error: WireError, instance: int) -> bytes:
    """The REFUSED that answers a frame which could not be read, in the peer's own version where that is known.

    Only a peer of another version need not try again.
    """
    why = str(error)[:200]
    if isinstance(error, OtherVersion):
        if type(error.version) is int and error.version == 1:
            return bytes(_packer.pack([1, 12, why]))
        return encode(Refused(instance, True, why))
    return encode(Refused(instance, False, why))


def expect(frame: Any, *kinds: type) -> Any:
    """`decode`, and raise WireError unless it is one of `kinds`: what this socket takes from this peer."""
    decoded = decode(frame)
    if type(decoded) not in kinds:
        raise WireError(f"{type(decoded).__name__} has no business here")
    return decoded
