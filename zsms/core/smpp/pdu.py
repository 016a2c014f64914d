"""SMPP 3.4 PDUs in columns: many submit_sm, deliver_sm and their answers at once.

    octets --Stream.feed--> Frames: begins, ends, command, status, sequence, a row a PDU, nothing copied twice
                              |--messages(frames)--> Messages: the fields of submit_sm or deliver_sm, a column each
                              |--answers(frames)---> Answers: sequence, status, message_id
                              +--zsms.core.smpp.record for what is rare: binds, queries, anything one by one
    Messages --encode_messages--> octets          sequences, statuses, ids --encode_answers--> octets

A column is uint8[n] (a one-octet field), uint32[n] (status, sequence) or :class:`Strings`, of which each is a place in
the received buffer: no Python statement is executed for each PDU but the one that adds up lengths where they differ.

What a peer sends may be anything. A length that can't be ends the stream (`Stream.broken`), for nothing behind it can
be found; a body that can't be is a row with `problem`, the status that its answer should have. No more is ever
allocated than came.

Source: SMPP Protocol Specification v3.4, issue 1.2; sections 3.2 (header), 4.4 (submit_sm), 4.6 (deliver_sm), 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate, islice, pairwise, repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.frames import HEADER, Frames
from zsms.core.smpp.layout import NUMBERS, STRINGS, Alike, alike
from zsms.core.smpp.strings import (
    FEW,
    I64,
    U8,
    U32,
    Block,
    Bools,
    Strings,
    Text,
    big_endian,
    block,
    constant,
    every,
    join,
    rows_of,
    sizes,
    some,
    windows,
    zeros_of,
)
from zsms.errors import UsageError

_HEADER = struct.Struct(">IIII")
MAX_SEQUENCE = 0x7FFFFFFF
"""Sequence numbers go from 1 to this one, then from 1 on."""
MAX_SHORT_MESSAGE = 254
MAX_ADDRESS = 20
"""Octets of an address, without the NUL behind it."""
MAX_SERVICE_TYPE = 5
MAX_TIME = 16
MAX_MESSAGE_ID = 64
MAX_TLVS = 256
"""Most optional parameters of a PDU that are read."""
RESPONSE = 0x80000000
"""A response has its request's command with this bit."""


class Command(IntEnum):
    """command_id (5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER = 0x00000002
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM = 0x00000003
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    REPLACE_SM = 0x00000007
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM = 0x00000008
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI = 0x00000021
    SUBMIT_MULTI_RESP = 0x80000021
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    DATA_SM_RESP = 0x80000103


class Status(IntEnum):
    """command_status (5.1.3): those that this package itself says; zsms.core.smpp.statuses has all."""

    OK = 0x00
    INVMSGLEN = 0x01
    INVCMDLEN = 0x02
    INVCMDID = 0x03
    INVBNDSTS = 0x04
    ALYBND = 0x05
    SYSERR = 0x08
    BINDFAIL = 0x0D
    INVPASWD = 0x0E
    INVSYSID = 0x0F
    MSGQFUL = 0x14
    SUBMITFAIL = 0x45
    THROTTLED = 0x58
    X_T_APPN = 0x64
    INVOPTPARSTREAM = 0xC0
    INVPARLEN = 0xC2


class Tag(IntEnum):
    """Optional parameters (5.3.2) that this package knows by name; any other is read and written alike."""

    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    RECEIPTED_MESSAGE_ID = 0x001E
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


# -- optional parameters --------------------------------------------------------------------------------------------


class Tlv(NamedTuple):
    """An optional parameter of n PDUs."""

    tag: int
    value: Text
    """Without tag and length; integers are big-endian (`zsms.core.smpp.strings.integers`)."""
    present: Bools | None = None
    """Which PDUs have it, bool[n]; None: all. The value of one that does not is of length 0."""

    def blocks(self) -> list[Block]:
        """Tag, length, value."""
        tag = int(self.tag).to_bytes(2, "big")
        value = self.value
        if isinstance(value, bytes):
            whole = tag + len(value).to_bytes(2, "big") + value
            if self.present is None:
                return [constant(whole)]
            return [Block(constant(whole).matrix, np.where(self.present, len(whole), 0))]
        head = np.empty((len(value), 4), np.uint8)
        head[:, :2] = np.frombuffer(tag, np.uint8)
        head[:, 2:] = big_endian(value.lengths, 2)
        there = self.present
        if there is None:
            return [Block(head), block(value)]
        lengths = np.where(there, value.lengths, 0)
        return [Block(head, np.where(there, 4, 0)), Block(value.matrix(), lengths)]


@dataclass(slots=True)
class TlvTable:
    """The optional parameters of n PDUs, a row each: whose it is (int64[m]), its tag (uint16[m]), its value."""

    owners: I64
    tags: npt.NDArray[np.uint16]
    values: Strings

    def take(self, rows: I64, count: int) -> TlvTable:
        """Those of some PDUs of `count`."""
        if not len(self.tags):
            return self
        place = np.full(count, -1, np.int64)
        place[rows] = np.arange(len(rows))
        owners = place[self.owners]
        kept = np.flatnonzero(owners >= 0)
        return TlvTable(owners[kept], self.tags[kept], self.values.take(kept))

    def get(self, tag: int, rows: int) -> Tlv | None:
        """That parameter of `rows` PDUs, None if none has it. Of one that comes twice in a PDU the first counts."""
        found = np.flatnonzero(self.tags == tag) if len(self.tags) else self.owners
        if not len(found):
            return None
        found = found[::-1]
        begins, lengths = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        present = np.zeros(rows, np.bool_)
        owners = self.owners[found]
        # Of several that are assigned to one place the last stays, which is the first that came.
        begins[owners], lengths[owners] = self.values.begins[found], self.values.lengths[found]
        present[owners] = True
        return Tlv(tag, Strings(self.values.buffer, begins, lengths), present)


_NO_ROWS = np.zeros(0, np.int64)
_NO_TLVS = TlvTable(_NO_ROWS, np.zeros(0, np.uint16), Strings(np.zeros(0, np.uint8), _NO_ROWS, _NO_ROWS))


def _tlvs(frames: Frames, at: I64, problem: U32) -> TlvTable:
    """What stands from `at` on in each of the frames that have no problem yet."""
    buffer, ends = frames.buffer, frames.ends
    owners: list[I64] = []
    begins: list[I64] = []
    heads: list[npt.NDArray[np.uint16]] = []
    active = np.flatnonzero((at < ends) & (problem == 0))
    view = windows(buffer, 4)
    step = 0
    while len(active):
        here = at[active]
        cut = here + 4 > ends[active]
        head = view[here].view(">u2").reshape(-1, 2).astype(np.uint16)
        following = here + 4 + head[:, 1]
        cut |= following > ends[active]
        if step == MAX_TLVS:
            cut[:] = True
        if cut.any():
            problem[active[cut]] = Status.INVOPTPARSTREAM
            good = ~cut
            active, here, head, following = active[good], here[good], head[good], following[good]
        owners.append(active)
        begins.append(here + 4)
        heads.append(head)
        at[active] = following
        active = active[following < ends[active]]
        step += 1
    if not owners:
        return _NO_TLVS
    both = np.concatenate(heads)
    values = Strings(buffer, np.concatenate(begins), both[:, 1].astype(np.int64))
    return TlvTable(np.concatenate(owners), both[:, 0], values)


# -- submit_sm and deliver_sm ---------------------------------------------------------------------------------------

Number = int | U8
"""A field of one octet: one value for all, or uint8[n]."""


@dataclass(slots=True)
class Messages:
    """n submit_sm, or n deliver_sm (which have the same fields).

    To be encoded, a field has a value for all or a column of n; decoded, all are columns. Addresses are octets as they
    stand in the PDU, of at most 20; a `short_message` is of at most 254.
    """

    sequence: U32
    """uint32[n]; 1 to `MAX_SEQUENCE`."""
    service_type: Text = b""
    source_ton: Number = 0
    source_npi: Number = 0
    source: Text = b""
    destination_ton: Number = 0
    destination_npi: Number = 0
    destination: Text = b""
    esm_class: Number = 0
    protocol_id: Number = 0
    priority: Number = 0
    schedule: Text = b""
    validity: Text = b""
    registered_delivery: Number = 0
    replace_if_present: Number = 0
    data_coding: Number = 0
    default_message_id: Number = 0
    short_message: Text = b""
    tlvs: Sequence[Tlv] | TlvTable = ()
    """To encode: a parameter each. Decoded: all that came; see `tlv`."""
    problem: U32 | None = None
    """Decoded: 0, or the status to answer a row with that can't be read; its other columns are void."""

    def __len__(self) -> int:
        return len(self.sequence)

    def take(self, rows: I64) -> Messages:
        """Some of those that were decoded, in the order that they have."""
        found = Messages(self.sequence[rows])
        for name in (*NUMBERS[:-1], *STRINGS, "short_message"):
            column = getattr(self, name)
            setattr(found, name, column.take(rows) if isinstance(column, Strings) else column[rows])
        if isinstance(self.tlvs, TlvTable):
            found.tlvs = self.tlvs.take(rows, len(self))
        return found

    def tlv(self, tag: int) -> Tlv | None:
        """An optional parameter as a column, None if no message has it."""
        if isinstance(self.tlvs, TlvTable):
            return self.tlvs.get(tag, len(self))
        return next((each for each in self.tlvs if each.tag == tag), None)

    @property
    def content(self) -> Text:
        """The octets of each text: message_payload where there is one and short_message is empty."""
        short = self.short_message
        payload = None if self.tlvs is _NO_TLVS else self.tlv(Tag.MESSAGE_PAYLOAD)
        if payload is None:
            return short
        if not isinstance(short, Strings) or not isinstance(payload.value, Strings):
            return short or payload.value
        if payload.value.buffer is not short.buffer:
            raise ValueError("short messages and payloads in two buffers: only what was decoded has a content")
        use = short.lengths == 0
        begins = np.where(use, payload.value.begins, short.begins)
        return Strings(short.buffer, begins, np.where(use, payload.value.lengths, short.lengths))


_LIMITS = {
    "service_type": MAX_SERVICE_TYPE,
    "source": MAX_ADDRESS,
    "destination": MAX_ADDRESS,
    "schedule": MAX_TIME,
    "validity": MAX_TIME,
    "short_message": MAX_SHORT_MESSAGE,
}


def _check(name: str, text: Text) -> None:
    """Raise UsageError for a field that no PDU can have."""
    longest = len(text) if isinstance(text, bytes) else text.longest
    if longest > _LIMITS[name]:
        raise UsageError(f"a {name} of {longest} octets: SMPP has room for {_LIMITS[name]}")
    if name != "short_message" and isinstance(text, bytes) and 0 in text:
        raise UsageError(f"a {name} with a NUL in it")


def _octets(*numbers: Number) -> Field:
    """Fields of one octet that stand beside each other."""
    if all(isinstance(each, int) for each in numbers):
        return bytes(numbers)
    rows = max(len(each) for each in numbers if not isinstance(each, int))
    matrix = np.empty((rows, len(numbers)), np.uint8)
    for place, each in enumerate(numbers):
        matrix[:, place] = each
    return Strings(matrix.reshape(-1), rows_of(rows) * len(numbers), np.full(rows, len(numbers), np.int64))


def header_blocks(rows: int, command: int, status: int | U32, sequence: U32, body: Sequence[Block]) -> list[Block]:
    """The headers of PDUs with these bodies, and the bodies."""
    matrix = np.empty((rows, HEADER), np.uint8)
    words = matrix.view(">u4")
    words[:, 0] = HEADER + sizes(rows, body)
    words[:, 1] = command
    words[:, 2] = status
    words[:, 3] = sequence
    return [Block(matrix), *body]


def encode_messages(command: int, messages: Messages) -> U8:
    """All of them as PDUs one after the other, uint8[...]; `command` is SUBMIT_SM or DELIVER_SM.

    Raises UsageError for a field that is longer than SMPP allows, or has a NUL.
    """
    return _encoded(command, messages)[0]


def _encoded(command: int, messages: Messages) -> tuple[U8, int | I64]:
    """The same, and the octets of each: one figure, or int64[n]."""
    rows, fields = len(messages), _fields(messages)
    if rows <= FEW and not messages.tlvs:
        pdus = _few(command, repeat(0), messages.sequence, [_each(field, rows) for field in fields])
        return np.frombuffer(b"".join(pdus), np.uint8), np.array([len(each) for each in pdus], np.int64)
    body = [block(field) for field in fields]
    assert not isinstance(messages.tlvs, TlvTable)
    for tlv in messages.tlvs:
        body += tlv.blocks()
    blocks = header_blocks(rows, command, 0, messages.sequence, body)
    return join(rows, blocks), sizes(rows, blocks)


class Unnumbered:
    """Messages as PDUs that are whole but for their sequence numbers, which are given when they go out."""

    def __init__(self, command: int, messages: Messages) -> None:
        """Encode them; what sequence numbers they have plays no part. Raises UsageError as `encode_messages` does."""
        octets, lengths = _encoded(command, messages)
        rows = len(messages)
        self._octets = octets if octets.flags.writeable else octets.copy()
        self._length = lengths if isinstance(lengths, int) else 0
        """Of each, where all are as long."""
        self._ends = rows_of(rows + 1) * lengths if isinstance(lengths, int) else np.cumsum([0, *lengths.tolist()])

    def numbered(self, rows: I64, sequence: U32, counts: Sequence[int]) -> list[U8]:
        """Those of some rows (ascending) in parts of so many each, with these sequence numbers, uint32[n].

        Views, which hold until the same rows are numbered once more.
        """
        first, last = int(rows[0]), int(rows[-1])
        if last - first + 1 == len(rows):
            octets = self._octets
            ends = self._ends[first : last + 2]
        else:
            begins, lengths = self._ends[rows], self._ends[rows + 1] - self._ends[rows]
            octets = Strings(self._octets, begins, lengths).compact()
            ends = np.cumsum([0, *lengths.tolist()])
        if self._length:
            np.ndarray((len(rows),), ">u4", octets.data, int(ends[0]) + 12, (self._length,))[:] = sequence
        else:
            windows(octets, 4)[ends[:-1] + 12] = sequence.astype(">u4").view(np.uint8).reshape(-1, 4)
        if len(counts) == 1:
            return [octets[int(ends[0]) : int(ends[-1])]]
        stops = ends[[0, *accumulate(counts)]].tolist()
        return [octets[a:b] for a, b in pairwise(stops)]


Field = bytes | Strings
"""One value for all, or a string each."""


def _fields(m: Messages) -> list[Field]:
    """What the bodies of messages consist of, without optional parameters. Raises UsageError."""
    for name in _LIMITS:
        _check(name, getattr(m, name))
    if isinstance(m.tlvs, TlvTable):
        raise ValueError("optional parameters that were decoded: give those to encode one by one")
    short = m.short_message
    length: Number = len(short) if isinstance(short, bytes) else short.lengths.astype(np.uint8)
    numbers = m.registered_delivery, m.replace_if_present, m.data_coding, m.default_message_id, length
    fields = [
        m.service_type,
        _octets(0, m.source_ton, m.source_npi),
        m.source,
        _octets(0, m.destination_ton, m.destination_npi),
        m.destination,
        _octets(0, m.esm_class, m.protocol_id, m.priority),
        m.schedule,
        b"\0",
        m.validity,
        b"\0",
        _octets(*numbers),
        short,
    ]
    found: list[Field] = []
    for field in fields:  # those that are alike for all and stand beside each other as one
        if found and isinstance(field, bytes) and isinstance(last := found[-1], bytes):
            found[-1] = last + field
        else:
            found.append(field)
    return found


def _each(field: Field, rows: int) -> Iterable[bytes]:
    return repeat(field) if isinstance(field, bytes) else field.tolist()


def _few(command: int, status: Iterable[int], sequence: U32, fields: Sequence[Iterable[bytes]]) -> list[bytes]:
    """PDUs one by one, which is faster for a few."""
    found = []
    for number, failed, *own in zip(sequence.tolist(), status, *fields, strict=False):
        body = b"".join(own)
        found.append(_HEADER.pack(HEADER + len(body), command, failed, number) + body)
    return found


def _in_parts(rows: int, blocks: list[Block], counts: Sequence[int]) -> list[U8]:
    octets = join(rows, blocks)
    if len(counts) == 1:
        return [octets]
    lengths = sizes(rows, blocks)
    ends = np.cumsum(counts)
    stops = ends * lengths if isinstance(lengths, int) else np.cumsum(lengths)[ends - 1]
    return [octets[a:b] for a, b in zip([0, *stops[:-1].tolist()], stops.tolist(), strict=True)]


class _Reader:
    """Reads the fields of n bodies one after the other; `at` int64[n] is where the next one begins.

    What is read may be beyond the end of a body, and even of the last one: there are more zeros behind than all fields
    but the text can have. `ended` sees to it.
    """

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.buffer = frames.buffer
        self.ends = frames.ends
        self.at = frames.begins + HEADER
        self.problem = np.zeros(len(frames), np.uint32)

    def octets(self, count: int) -> U8:
        """That many fields of one octet, uint8[count, n]."""
        found: U8 = windows(self.buffer, count)[self.at].T
        self.at = self.at + count
        return found

    def string(self, most: int) -> Strings:
        """A C-octet string of at most `most` octets before its NUL."""
        at = self.at
        if not some(self.buffer[at]):
            lengths = np.zeros(len(at), np.int64)
        else:
            nul = windows(self.buffer, most + 1)[at] == 0
            lengths = nul.argmax(axis=1)
            if not every(lengths):  # empty, or without a NUL
                self.problem[(lengths == 0) & (self.buffer[at] != 0)] = Status.INVPARLEN
        self.at = at + lengths + 1
        return Strings(self.buffer, at, lengths)

    def fields(self) -> dict[str, Any]:
        """All before the short_message, by name."""
        found: dict[str, Any] = {}
        numbers = iter(NUMBERS)
        limits = (MAX_SERVICE_TYPE, 2), (MAX_ADDRESS, 2), (MAX_ADDRESS, 3), (MAX_TIME, 0), (MAX_TIME, 5)
        for name, (most, count) in zip(STRINGS, limits, strict=True):
            found[name] = self.string(most)
            found |= zip(islice(numbers, count), self.octets(count) if count else (), strict=True)
        return found

    def ended(self, lengths: I64) -> tuple[Strings, TlvTable]:
        """Octets of these lengths, the last field, and what stands behind: a body that ends before is a problem."""
        begins = self.at
        stops = begins + lengths
        if every(stops == self.ends):
            return Strings(self.buffer, begins, lengths), _NO_TLVS
        beyond = stops > self.ends
        if some(beyond):
            self.problem[beyond & (self.problem == 0)] = Status.INVMSGLEN
            begins = np.minimum(begins, self.ends)
            lengths = np.minimum(lengths, self.ends - begins)
            stops = begins + lengths
        return Strings(self.buffer, begins, lengths), _tlvs(self.frames, stops, self.problem)


def messages(frames: Frames) -> Messages:
    """The fields of frames that all are submit_sm, or all are deliver_sm; see `Messages.problem`.

    A short_message of 255 octets, which SMPP does not allow, is read: some peers send it.
    """
    same = alike(frames)
    if same is not None and (texts := same.texts) is not None:
        return _Decoded(same, frames.sequence, texts, _NO_TLVS, zeros_of(len(frames)))
    reader = _Reader(frames)
    if same is not None:
        reader.at = same.behind
        short, table = reader.ended(same.number("length").astype(np.int64))
        return _Decoded(same, frames.sequence, short, table, reader.problem)
    fields = reader.fields()
    short, table = reader.ended(fields.pop("length").astype(np.int64))
    return Messages(frames.sequence, **fields, short_message=short, tlvs=table, problem=reader.problem)


class _Decoded(Messages):
    """Messages whose fields are read when they are asked for."""

    __slots__ = ("_alike",)

    def __init__(self, same: Alike, sequence: U32, short: Strings, table: TlvTable, problem: U32) -> None:
        self._alike = same
        self.sequence, self.short_message, self.tlvs, self.problem = sequence, short, table, problem

    @property
    def layout(self) -> int:
        """A number: the same for messages whose fields stand at the same places, and that can be joined."""
        return id(self._alike.layout) if self.tlvs is _NO_TLVS else id(self)

    @classmethod
    def joined(cls, several: Sequence[_Decoded]) -> _Decoded:
        """Those of one `layout` as one."""
        first = several[0]
        if len(several) == 1:
            return first
        sequence = np.concatenate([each.sequence for each in several])
        same = Alike.joined([each._alike for each in several])
        if same is not None and same.texts is not None:
            return cls(same, sequence, same.texts, _NO_TLVS, zeros_of(len(sequence)))
        short = Strings.joined([each.short_message for each in several if isinstance(each.short_message, Strings)])
        return cls(first._alike.elsewhere(short), sequence, short, _NO_TLVS, problem=np.zeros(len(short), np.uint32))

    def __getattr__(self, name: str) -> Any:
        if name not in _COLUMNS:
            raise AttributeError(name)
        column = self._alike.column(name)
        setattr(self, name, column)
        return column


_COLUMNS = frozenset({*STRINGS, *NUMBERS[:-1]})


def joined(several: Sequence[Messages]) -> list[Messages]:
    """Messages that were decoded as fewer, in another order: those whose fields stand at the same places as one."""
    found: list[Messages] = []
    same: dict[int, list[_Decoded]] = {}
    for each in several:
        if isinstance(each, _Decoded):
            same.setdefault(each.layout, []).append(each)
        else:
            found.append(each)
    return found + [_Decoded.joined(group) for group in same.values()]


# -- answers --------------------------------------------------------------------------------------------------------


class Answers:
    """n answers: submit_sm_resp, deliver_sm_resp, generic_nack, or any other."""

    __slots__ = ("_ids", "sequence", "status")

    def __init__(self, sequence: U32, status: U32, ids: Strings | Frames) -> None:
        """`ids` may be the frames that they are read from when they are asked for."""
        self.sequence = sequence
        self.status = status
        self._ids = ids

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def ids(self) -> Strings:
        """message_id, up to its NUL or the PDU's end, however long; of no octets where there is none."""
        if isinstance(self._ids, Frames):
            self._ids = _ids_of(self._ids)
        return self._ids

    @property
    def long_ids(self) -> Bools | None:
        """Which have an id of more than `MAX_MESSAGE_ID` octets, bool[n]; None: none has."""
        if isinstance(self._ids, Frames):
            frames = self._ids
            if (frames.length or int((frames.ends - frames.begins).max(initial=0))) <= HEADER + MAX_MESSAGE_ID:
                return None
        found = self.ids.lengths > MAX_MESSAGE_ID
        return found if some(found) else None

    def take(self, rows: npt.NDArray[np.int64] | Bools) -> Answers:
        """Some of them."""
        return Answers(self.sequence[rows], self.status[rows], self._ids.take(rows))


def answers(frames: Frames) -> Answers:
    """What frames say that are answers. A body may be missing, or end without a NUL: it is read as it is meant."""
    return Answers(frames.sequence, frames.status, frames)


def _ids_of(frames: Frames) -> Strings:
    begins = frames.begins + HEADER
    room = frames.ends - begins
    width = min(int(room.max(initial=0)), MAX_MESSAGE_ID + 1)
    lengths = np.minimum(room, width)
    if width:
        nul = frames.matrix(HEADER + width)[:, HEADER:] == 0
        first = nul.argmax(axis=1)
        none = ~nul[np.arange(len(first)), first]
        lengths = np.where(none, lengths, np.minimum(first, room))
        for row in np.flatnonzero(none & (room > width)).tolist():  # longer than any that SMPP allows: rare
            rest = frames.buffer[int(begins[row]) : int(frames.ends[row])]
            stops = np.flatnonzero(rest == 0)
            lengths[row] = int(stops[0]) if len(stops) else len(rest)
    return Strings(frames.buffer, begins, lengths)


_NAMED = (Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP, Command.DATA_SM_RESP)
"""Answers that have a message_id, be it empty."""


def encode_answers(
    command: int,
    sequence: U32,
    status: int | U32 = 0,
    ids: Strings | Sequence[bytes] | None = None,
    *,
    always_body: bool = False,
) -> U8:
    """Answers as PDUs one after the other, uint8[...].

    `ids` are the message_ids of submit_sm_resp and their like; without, a submit_sm_resp and deliver_sm_resp have an
    empty one and other commands no body. An answer with a `status` other than 0 has no body (4.4.2) unless
    `always_body`. Raises UsageError for an id of more than 64 octets.
    """
    if len(sequence) <= FEW:
        names = ids.tolist() if isinstance(ids, Strings) else ids
        return np.frombuffer(_few_answers(command, sequence, status, names, always_body=always_body), np.uint8)
    columns = ids if isinstance(ids, Strings) or ids is None else Strings.of(ids)
    if columns is not None and columns.step and not (status if isinstance(status, int) else some(status)):
        return _even_answers(command, sequence, columns)
    return join(len(sequence), _answer_blocks(command, sequence, status, columns, always_body=always_body))


def _few_answers(
    command: int, sequence: U32, status: int | U32, ids: Sequence[bytes] | None, *, always_body: bool
) -> bytes:
    rows = len(sequence)
    bodies = [b"\0" if command in _NAMED else b""] * rows if ids is None else [each + b"\0" for each in ids]
    _check_ids(max(map(len, bodies), default=1) - 1)
    if not (status if isinstance(status, int) else some(status)):  # as nearly always
        pack, pairs = _HEADER.pack, zip(sequence.tolist(), bodies, strict=True)
        return b"".join([pack(HEADER + len(body), command, 0, number) + body for number, body in pairs])
    statuses = [status] * rows if isinstance(status, int) else status.tolist()
    if not always_body:
        bodies = [b"" if failed else body for failed, body in zip(statuses, bodies, strict=True)]
    return b"".join(_few(command, statuses, sequence, [bodies]))


def _even_answers(command: int, sequence: U32, ids: Strings) -> U8:
    """Those of status 0 with ids that all are as long: all the same but for their numbers and ids."""
    _check_ids(ids.longest)
    rows, length = len(sequence), HEADER + ids.longest + 1
    out = np.empty((rows, length), np.uint8)
    out[:] = np.frombuffer(_HEADER.pack(length, command, 0, 0) + bytes(ids.longest + 1), np.uint8)
    np.ndarray((rows,), ">u4", out.data, 12, (length,))[:] = sequence
    out[:, HEADER:-1] = ids.matrix()
    return out.reshape(-1)


def _check_ids(longest: int) -> None:
    """Raise UsageError for an id that no answer can have."""
    if longest > MAX_MESSAGE_ID:
        raise UsageError(f"a message_id of {longest} octets: SMPP has room for {MAX_MESSAGE_ID}")


def encode_answers_in_parts(
    command: int, sequence: U32, status: int | U32, ids: Strings | None, counts: Sequence[int]
) -> list[U8]:
    """The same in parts of so many answers each (at least one), which all together are all of them."""
    return _in_parts(len(sequence), _answer_blocks(command, sequence, status, ids), counts)


def _answer_blocks(
    command: int, sequence: U32, status: int | U32, ids: Strings | None, *, always_body: bool = False
) -> list[Block]:
    rows = len(sequence)
    _check_ids(0 if ids is None else ids.longest)
    if ids is None and command not in _NAMED:
        return header_blocks(rows, command, status, sequence, [])
    body = [constant(b"\0")] if ids is None else [block(ids), constant(b"\0")]
    failed = None if isinstance(status, int) and not status else np.asarray(status != 0)
    if not always_body and failed is not None and failed.any():
        body = [_emptied(each, rows, failed) for each in body]
    return header_blocks(rows, command, status, sequence, body)


def _emptied(each: Block, rows: int, empty: npt.NDArray[np.bool_]) -> Block:
    """The same field, of no octets where `empty` (bool[rows], or one for all)."""
    full = np.full(rows, each.matrix.shape[1]) if each.lengths is None else each.lengths
    matrix = each.matrix if len(each.matrix) == rows else np.repeat(each.matrix, rows, axis=0)
    return Block(matrix, np.where(empty, 0, full))
