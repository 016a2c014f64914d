"""One PDU at a time, as a record of named fields: binds, queries, cancels, and whatever else is rare.

    encode(Pdu(Command.BIND_TRANSCEIVER, 1, fields={"system_id": b"zsms", ...})) -> bytes
    decode(octets) -> Pdu                    raises PduError, which has the status to answer with

`LAYOUTS` is the table of all bodies of SMPP 3.4. A field is an octet string or an integer; fields that are not given
are empty or 0. Any answer may come without its body, which then has no fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from zsms.core.smpp.frames import HEADER
from zsms.core.smpp.pdu import (
    MAX_ADDRESS,
    MAX_MESSAGE_ID,
    MAX_SEQUENCE,
    MAX_SERVICE_TYPE,
    MAX_SHORT_MESSAGE,
    MAX_TIME,
    MAX_TLVS,
    RESPONSE,
    Command,
    Status,
)
from zsms.errors import UsageError, WireError


class PduError(WireError):
    """A PDU that can't be read; `status` is what to answer it with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Place(NamedTuple):
    """A field of a body: `octets` of an integer, or the most that a string may have (without its NUL)."""

    name: str
    kind: str
    """`int`, `string` (up to a NUL), `text` (its length in an octet before it), `targets` or `failures`."""
    octets: int = 1


def _string(name: str, most: int) -> Place:
    return Place(name, "string", most)


def _ints(*names: str) -> tuple[Place, ...]:
    return tuple(Place(name, "int") for name in names)


def _address(name: str) -> tuple[Place, ...]:
    return (*_ints(f"{name}_addr_ton", f"{name}_addr_npi"), _string(f"{name}_addr", MAX_ADDRESS))


MAX_LONG_ADDRESS = 64
_ID = _string("message_id", MAX_MESSAGE_ID)
_BIND = (
    _string("system_id", 15),
    _string("password", 8),
    _string("system_type", 12),
    *_ints("interface_version", "addr_ton", "addr_npi"),
    _string("address_range", 40),
)
_BIND_RESP = (_string("system_id", 15),)
_TIMES = (_string("schedule_delivery_time", MAX_TIME), _string("validity_period", MAX_TIME))
_TEXT = (*_ints("sm_default_msg_id"), Place("short_message", "text", MAX_SHORT_MESSAGE))
_AFTER = (
    *_ints("esm_class", "protocol_id", "priority_flag"),
    *_TIMES,
    *_ints("registered_delivery", "replace_if_present_flag", "data_coding"),
    *_TEXT,
)
_SERVICE = _string("service_type", MAX_SERVICE_TYPE)
_SM = (_SERVICE, *_address("source"), *_ints("dest_addr_ton", "dest_addr_npi"))
_SM = (*_SM, _string("destination_addr", MAX_ADDRESS), *_AFTER)

LAYOUTS: dict[int, tuple[Place, ...]] = {
    Command.GENERIC_NACK: (),
    Command.BIND_RECEIVER: _BIND,
    Command.BIND_TRANSMITTER: _BIND,
    Command.BIND_TRANSCEIVER: _BIND,
    Command.BIND_RECEIVER_RESP: _BIND_RESP,
    Command.BIND_TRANSMITTER_RESP: _BIND_RESP,
    Command.BIND_TRANSCEIVER_RESP: _BIND_RESP,
    Command.OUTBIND: (_string("system_id", 15), _string("password", 8)),
    Command.UNBIND: (),
    Command.UNBIND_RESP: (),
    Command.ENQUIRE_LINK: (),
    Command.ENQUIRE_LINK_RESP: (),
    Command.SUBMIT_SM: _SM,
    Command.SUBMIT_SM_RESP: (_ID,),
    Command.DELIVER_SM: _SM,
    Command.DELIVER_SM_RESP: (_ID,),
    Command.SUBMIT_MULTI: (_SERVICE, *_address("source"), Place("dest_addresses", "targets"), *_AFTER),
    Command.SUBMIT_MULTI_RESP: (_ID, Place("unsuccess_sme", "failures")),
    Command.DATA_SM: (
        _SERVICE,
        *_ints("source_addr_ton", "source_addr_npi"),
        _string("source_addr", MAX_LONG_ADDRESS),
        *_ints("dest_addr_ton", "dest_addr_npi"),
        _string("destination_addr", MAX_LONG_ADDRESS),
        *_ints("esm_class", "registered_delivery", "data_coding"),
    ),
    Command.DATA_SM_RESP: (_ID,),
    Command.QUERY_SM: (_ID, *_address("source")),
    Command.QUERY_SM_RESP: (_ID, _string("final_date", MAX_TIME), *_ints("message_state", "error_code")),
    Command.CANCEL_SM: (
        _SERVICE,
        _ID,
        *_address("source"),
        *_ints("dest_addr_ton", "dest_addr_npi"),
        _string("destination_addr", MAX_ADDRESS),
    ),
    Command.CANCEL_SM_RESP: (),
    Command.REPLACE_SM: (_ID, *_address("source"), *_TIMES, *_ints("registered_delivery"), *_TEXT),
    Command.REPLACE_SM_RESP: (),
    Command.ALERT_NOTIFICATION: (
        *_ints("source_addr_ton", "source_addr_npi"),
        _string("source_addr", MAX_LONG_ADDRESS),
        *_ints("esme_addr_ton", "esme_addr_npi"),
        _string("esme_addr", MAX_LONG_ADDRESS),
    ),
}
"""The body of each command, in order; optional parameters follow."""


class Target(NamedTuple):
    """A destination of a submit_multi: an address, or the name of a distribution list (both numbers None)."""

    ton: int | None
    npi: int | None
    address: bytes


class Unsuccessful(NamedTuple):
    """A destination that a submit_multi_resp says was refused."""

    ton: int
    npi: int
    address: bytes
    status: int


@dataclass(slots=True)
class Pdu:
    """One PDU."""

    command: int
    sequence: int = 0
    status: int = 0
    fields: dict[str, Any] = field(default_factory=dict)
    """By the names of `LAYOUTS`: bytes, int, or a list of `Target` or `Unsuccessful`."""
    tlvs: list[tuple[int, bytes]] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def tlv(self, tag: int) -> bytes | None:
        """The first optional parameter with this tag."""
        return next((value for each, value in self.tlvs if each == tag), None)

    def __repr__(self) -> str:
        shown = {name: "***" if name == "password" else value for name, value in self.fields.items()}
        name = Command(self.command).name if self.command in LAYOUTS else f"{self.command:#010x}"
        return f"<{name} {self.sequence}: status {self.status:#x}, {shown}, {len(self.tlvs)} tlvs>"


def encode(pdu: Pdu) -> bytes:
    """As octets. Raises UsageError for a field that has no such place, is too long or too large.

    An answer with a status and without fields has no body.
    """
    layout = LAYOUTS.get(pdu.command)
    if layout is None:
        raise UsageError(f"command {pdu.command:#010x} is none of SMPP 3.4")
    strange = set(pdu.fields) - {place.name for place in layout}
    if strange:
        raise UsageError(f"{Command(pdu.command).name} has no field {', '.join(sorted(strange))}")
    # An answer says its request's number again, whatever that is.
    if not 0 <= pdu.sequence <= (0xFFFFFFFF if pdu.command & RESPONSE else MAX_SEQUENCE):
        raise UsageError(f"sequence number {pdu.sequence}: give 1 to {MAX_SEQUENCE}")
    body = bytearray()
    if not (pdu.command & RESPONSE and pdu.status and not pdu.fields):
        for place in layout:
            body += _field(place, pdu.fields.get(place.name))
    for tag, value in pdu.tlvs:
        if not (0 <= tag <= 0xFFFF and len(value) <= 0xFFFF):
            raise UsageError(f"optional parameter {tag:#06x} of {len(value)} octets: at most 65,535 fit")
        body += tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
    words = (HEADER + len(body), pdu.command, pdu.status, pdu.sequence)
    return b"".join(word.to_bytes(4, "big") for word in words) + body


def _field(place: Place, value: Any) -> bytes:
    name, kind, octets = place
    if kind == "int":
        number = value or 0
        if not 0 <= number < 256**octets:
            raise UsageError(f"{name} {number}: give 0 to {256**octets - 1}")
        return int(number).to_bytes(octets, "big")
    if kind == "targets":
        return _targets(value or [])
    if kind == "failures":
        rows = value or []
        return bytes([len(rows)]) + b"".join(
            bytes([ton, npi]) + _c_string(name, address, MAX_ADDRESS) + status.to_bytes(4, "big")
            for ton, npi, address, status in rows
        )
    if kind == "text":
        text = value or b""
        if len(text) > octets:
            raise UsageError(f"a {name} of {len(text)} octets: SMPP has room for {octets}")
        return bytes([len(text)]) + text
    return _c_string(name, value or b"", octets)


def _targets(targets: list[Target]) -> bytes:
    if len(targets) > 254:
        raise UsageError(f"{len(targets)} destinations of a submit_multi: SMPP has room for 254")
    parts = [bytes([len(targets)])]
    for ton, npi, address in targets:
        flag = b"\2" if ton is None or npi is None else bytes([1, ton, npi])
        parts.append(flag + _c_string("destination", address, MAX_ADDRESS))
    return b"".join(parts)


def _c_string(name: str, value: bytes, most: int) -> bytes:
    if len(value) > most or 0 in value:
        shown = "" if name == "password" else f" {value[:80]!r}"
        raise UsageError(f"{name}{shown}: at most {most} octets and no NUL, this has {len(value)}")
    return value + b"\0"


class _Cursor:
    """Reads a body."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise PduError("the body ends too early", Status.INVMSGLEN)
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def string(self, name: str, most: int) -> bytes:
        end = self.data.find(b"\0", self.at, self.at + most + 1)
        if end < 0:
            status = Status.INVMSGLEN if self.left <= most else Status.INVPARLEN
            raise PduError(f"no NUL within the {most + 1} octets of {name}", status)
        return self.take(end + 1 - self.at)[:-1]


def decode(data: bytes) -> Pdu:
    """One whole PDU. Raises PduError; of a command that SMPP 3.4 has not, with INVCMDID."""
    if len(data) < HEADER:
        raise PduError(f"{len(data)} octets are no header", Status.INVCMDLEN)
    length, command, status, sequence = (int.from_bytes(data[at : at + 4], "big") for at in range(0, HEADER, 4))
    if length != len(data):
        raise PduError(f"a command_length of {length} in {len(data)} octets", Status.INVCMDLEN)
    layout = LAYOUTS.get(command)
    if layout is None:
        raise PduError(f"command {command:#010x} is none of SMPP 3.4", Status.INVCMDID)
    pdu = Pdu(command, sequence, status)
    cursor = _Cursor(data, HEADER)
    if command & RESPONSE and not cursor.left:
        return pdu
    for place in layout:
        pdu.fields[place.name] = _read(cursor, place)
    for tag, value in _tlvs(cursor):
        pdu.tlvs.append((tag, value))
    return pdu


def _read(cursor: _Cursor, place: Place) -> Any:
    name, kind, octets = place
    if kind == "int":
        return cursor.number(octets)
    if kind == "string":
        return cursor.string(name, octets)
    if kind == "text":
        return cursor.take(cursor.number(1))
    if kind == "failures":
        return [
            Unsuccessful(cursor.number(1), cursor.number(1), cursor.string("address", MAX_ADDRESS), cursor.number(4))
            for _ in range(cursor.number(1))
        ]
    return [_target(cursor) for _ in range(cursor.number(1))]


def _target(cursor: _Cursor) -> Target:
    flag = cursor.number(1)
    if flag == 2:
        return Target(None, None, cursor.string("list", MAX_ADDRESS))
    if flag != 1:
        raise PduError(f"dest_flag {flag} is neither 1 nor 2", Status.INVMSGLEN)
    return Target(cursor.number(1), cursor.number(1), cursor.string("destination", MAX_ADDRESS))


def _tlvs(cursor: _Cursor) -> Iterator[tuple[int, bytes]]:
    for _ in range(MAX_TLVS):
        if not cursor.left:
            return
        if cursor.left < 4:
            raise PduError("an optional parameter is cut", Status.INVOPTPARSTREAM)
        tag, length = cursor.number(2), cursor.number(2)
        if length > cursor.left:
            raise PduError(f"optional parameter {tag:#06x} says more octets than there are", Status.INVOPTPARSTREAM)
        yield tag, cursor.take(length)
    if cursor.left:
        raise PduError(f"more than {MAX_TLVS} optional parameters", Status.INVOPTPARSTREAM)
