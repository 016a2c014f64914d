"""PDUs in columns: against the record form, libraries of others, cuts at every octet, and hostile bytes."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.smpp import record
from zsms.core.smpp.frames import MAX_PDU, Frames, Stream
from zsms.core.smpp.pdu import (
    MAX_SEQUENCE,
    Answers,
    Command,
    Messages,
    Status,
    Tag,
    Tlv,
    answers,
    encode_answers,
    encode_messages,
    messages,
)
from zsms.core.smpp.strings import Strings, digits, integers, numbers
from zsms.errors import UsageError

octet = st.integers(0, 255)


def c_string(most: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.integers(1, 255), max_size=most).map(bytes)


MESSAGE = st.fixed_dictionaries(
    {
        "service_type": c_string(5),
        "source_addr_ton": octet,
        "source_addr_npi": octet,
        "source_addr": c_string(20),
        "dest_addr_ton": octet,
        "dest_addr_npi": octet,
        "destination_addr": c_string(20),
        "esm_class": octet,
        "protocol_id": octet,
        "priority_flag": octet,
        "schedule_delivery_time": c_string(16),
        "validity_period": c_string(16),
        "registered_delivery": octet,
        "replace_if_present_flag": octet,
        "data_coding": octet,
        "sm_default_msg_id": octet,
        "short_message": st.binary(max_size=254),
    }
)
NAMES = {
    "service_type": "service_type",
    "source_addr_ton": "source_ton",
    "source_addr_npi": "source_npi",
    "source_addr": "source",
    "dest_addr_ton": "destination_ton",
    "dest_addr_npi": "destination_npi",
    "destination_addr": "destination",
    "esm_class": "esm_class",
    "protocol_id": "protocol_id",
    "priority_flag": "priority",
    "schedule_delivery_time": "schedule",
    "validity_period": "validity",
    "registered_delivery": "registered_delivery",
    "replace_if_present_flag": "replace_if_present",
    "data_coding": "data_coding",
    "sm_default_msg_id": "default_message_id",
    "short_message": "short_message",
}


def column(values: list[Any]) -> Any:
    if isinstance(values[0], bytes):
        return values[0] if len(set(values)) == 1 else Strings.of(values)
    return values[0] if len(set(values)) == 1 else np.array(values, np.uint8)


def columns(rows: list[dict[str, Any]], first: int = 1) -> Messages:
    fields = {own: column([row[name] for row in rows]) for name, own in NAMES.items()}
    return Messages(sequence=np.arange(first, first + len(rows), dtype=np.uint32), **fields)


def plain(value: Any) -> list[Any]:
    return value.tolist()


@given(st.lists(MESSAGE, min_size=1, max_size=8), st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]))
def test_columns_are_the_records(rows: list[dict[str, Any]], command: Command) -> None:
    together = encode_messages(command, columns(rows)).tobytes()
    one_by_one = [record.encode(record.Pdu(command, place + 1, fields=row)) for place, row in enumerate(rows)]
    assert together == b"".join(one_by_one)
    frames = Stream().feed(together)
    assert frames is not None and frames.pdus.tolist() == one_by_one
    found = messages(frames)
    assert not found.problem.any() and plain(found.sequence) == list(range(1, len(rows) + 1))
    for name, own in NAMES.items():
        assert plain(getattr(found, own)) == [row[name] for row in rows]
    assert [record.decode(each).fields for each in one_by_one] == rows


@given(
    st.lists(
        st.tuples(st.binary(max_size=30), st.one_of(st.none(), st.integers(0, 65535)), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_optional_parameters(rows: list[tuple[bytes, int | None, bool]]) -> None:
    sar = np.array([row[1] or 0 for row in rows])
    payload = Strings.of([row[0] if row[2] else b"" for row in rows])
    tlvs = [
        Tlv(Tag.SAR_MSG_REF_NUM, integers(sar, 2), np.array([row[1] is not None for row in rows])),
        Tlv(0x1400, b"\x01\x02"),
        Tlv(0x1401, b"\x03", np.array([row[2] for row in rows])),
        Tlv(Tag.MESSAGE_PAYLOAD, payload, np.array([row[2] for row in rows])),
    ]
    octets = encode_messages(4, Messages(np.arange(1, len(rows) + 1, dtype=np.uint32), tlvs=tlvs)).tobytes()
    frames = Stream().feed(octets)
    assert frames is not None
    found = messages(frames)
    assert not found.problem.any()
    for row, (text, reference, there) in enumerate(rows):
        wanted = [] if reference is None else [(0x020C, reference.to_bytes(2, "big"))]
        wanted += [(0x1400, b"\x01\x02"), *([(0x1401, b"\x03"), (0x0424, text)] if there else [])]
        assert record.decode(frames.octets(row)).tlvs == wanted
        for tag in (0x020C, 0x1400, 0x1401, 0x0424, 0x9999):
            known = found.tlv(tag)
            value = dict(wanted).get(tag)
            there_too = known is not None and known.present is not None and bool(known.present[row])
            assert there_too == (value is not None)
            if value is not None:
                assert known.value.tolist()[row] == value
    assert plain(found.content) == [text if there else b"" for text, _, there in rows]


def test_of_a_parameter_that_comes_twice_the_first_counts() -> None:
    pdu = record.Pdu(4, 1, tlvs=[(0x1400, b"first"), (0x1400, b"second")])
    frames = Stream().feed(record.encode(pdu) * 2)
    assert messages(frames).tlv(0x1400).value.tolist() == [b"first"] * 2


def some_pdus() -> list[bytes]:
    pdus = [record.encode(record.Pdu(4, n, fields={"short_message": b"x" * n})) for n in range(1, 5)]
    pdus += [encode_answers(Command.SUBMIT_SM_RESP, np.array([7], np.uint32), 0, Strings.of([b"a"])).tobytes()] * 40
    pdus += [record.encode(record.Pdu(Command.ENQUIRE_LINK, n)) for n in range(1, 300)]
    return [*pdus, record.encode(record.Pdu(4, 9, tlvs=[(0x424, b"y" * 60_000)]))]


def test_a_stream_may_be_cut_anywhere() -> None:
    pdus = some_pdus()
    whole = b"".join(pdus)
    for step in (1, 7, 16, 1000, len(whole)):
        stream, found = Stream(), []
        data = whole if step > 1 else whole[:3000]
        for at in range(0, len(data), step):
            frames = stream.feed(data[at : at + step])
            found += [] if frames is None else frames.pdus.tolist()
        assert found == pdus[: len(found)] and len(b"".join(found)) + len(stream.rest) == len(data)


@pytest.mark.parametrize("cut", range(0, 80))
def test_two_pieces(cut: int) -> None:
    pdus = [record.encode(record.Pdu(4, n, fields={"short_message": b"hello"})) for n in (1, 2)]
    stream = Stream()
    both = b"".join(pdus)
    found = []
    for piece in (both[:cut], both[cut:]):
        frames = stream.feed(piece)
        found += [] if frames is None else frames.pdus.tolist()
    assert found == pdus and not len(stream.rest)


@pytest.mark.parametrize("length", [0, 1, 15, MAX_PDU + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_that_cannot_be_ends_the_stream(length: int) -> None:
    good = record.encode(record.Pdu(Command.ENQUIRE_LINK, 5))
    for before in (0, 3, 40):
        stream = Stream()
        frames = stream.feed(good * before + struct.pack(">IIII", length, 4, 0, 77) + good)
        assert (0 if frames is None else len(frames)) == before
        assert stream.broken == length and stream.header[12:] == struct.pack(">I", 77)
        assert stream.feed(good) is None


def test_nothing_is_allocated_for_what_has_not_come() -> None:
    stream = Stream()
    stream.feed(struct.pack(">I", MAX_PDU))
    assert len(stream.rest) == 4


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), c_string(64)), min_size=1, max_size=20), st.booleans())
def test_answers_in_columns(rows: list[tuple[int, bytes]], always_body: bool) -> None:
    status = np.array([row[0] for row in rows], np.uint32)
    sequence = np.arange(MAX_SEQUENCE - len(rows), MAX_SEQUENCE, dtype=np.uint32)
    ids = Strings.of([row[1] for row in rows])
    octets = encode_answers(Command.SUBMIT_SM_RESP, sequence, status, ids, always_body=always_body).tobytes()
    frames = Stream().feed(octets)
    assert frames is not None
    found = answers(frames)
    assert plain(found.status) == plain(status) and plain(found.sequence) == plain(sequence)
    assert plain(found.ids) == [each if always_body or not state else b"" for state, each in rows]
    for row, (state, each) in enumerate(rows):
        pdu = record.decode(frames.octets(row))
        assert pdu.fields == ({"message_id": each} if always_body or not state else {})


@pytest.mark.parametrize("length", [0, 1, 8, 63, 64, 65, 80, 600, 5000])
@pytest.mark.parametrize("nul", [True, False])
def test_ids_of_any_length_are_read(length: int, nul: bool) -> None:
    body = b"i" * length + b"\0" * nul
    octets = struct.pack(">IIII", 16 + len(body), Command.SUBMIT_SM_RESP, 0, 3) + body
    short = struct.pack(">IIII", 16, Command.SUBMIT_SM_RESP, 0x58, 4)
    frames = Stream().feed(octets + short)
    assert frames is not None
    assert answers(frames).ids.tolist() == [b"i" * length, b""]


def test_an_id_that_is_too_long_is_not_written() -> None:
    with pytest.raises(UsageError, match="64"):
        encode_answers(Command.SUBMIT_SM_RESP, np.array([1], np.uint32), 0, Strings.of([b"x" * 65]))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("service_type", 5),
        ("source", 20),
        ("destination", 20),
        ("schedule", 16),
        ("validity", 16),
        ("short_message", 254),
    ],
)
def test_limits_of_fields(name: str, most: int) -> None:
    for value in (b"1" * most, Strings.of([b"1" * most])):
        encode_messages(4, Messages(np.array([1], np.uint32), **{name: value}))
    for value in (b"1" * (most + 1), Strings.of([b"1" * (most + 1)])):
        with pytest.raises(UsageError, match=f"has room for {most}"):
            encode_messages(4, Messages(np.array([1], np.uint32), **{name: value}))


def test_255_octets_are_read() -> None:
    pdu = bytearray(record.encode(record.Pdu(4, 1, fields={"short_message": b"x" * 254})))
    pdu[pdu.index(b"\xfexxx")] = 255
    octets = struct.pack(">I", len(pdu) + 1) + bytes(pdu[4:]) + b"y"
    frames = Stream().feed(octets)
    assert frames is not None
    found = messages(frames)
    assert not found.problem.any() and plain(found.short_message) == [b"x" * 254 + b"y"]
    assert len(record.decode(octets)["short_message"]) == 255


@given(st.lists(MESSAGE, min_size=1, max_size=3), st.data())
def test_a_body_that_is_cut_is_a_problem_of_its_own_row_only(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    pdus = [record.encode(record.Pdu(4, place, fields=row, tlvs=[(1, b"abc")])) for place, row in enumerate(rows, 1)]
    cut = data.draw(st.integers(16, len(pdus[0]) - 1))
    hurt = struct.pack(">I", cut) + pdus[0][4:cut]
    good = len(pdus[0]) - 7  # all but the parameter
    frames = Stream().feed(b"".join([hurt, *pdus[1:]]))
    assert frames is not None
    found = messages(frames)
    assert (found.problem[0] != 0) == (cut != good) and not found.problem[1:].any()
    assert plain(found.short_message)[1:] == [row["short_message"] for row in rows[1:]]
    if cut == good:
        assert record.decode(hurt).fields == rows[0]
    else:
        with pytest.raises(record.PduError) as caught:
            record.decode(hurt)
        assert caught.value.status in (Status.INVMSGLEN, Status.INVPARLEN, Status.INVOPTPARSTREAM)


@given(st.lists(st.tuples(st.sampled_from([*Command, 0x7777, 0x80000077]), st.binary(max_size=120)), max_size=8))
def test_hostile_bodies(bodies: list[tuple[int, bytes]]) -> None:
    octets = [struct.pack(">IIII", 16 + len(body), command, 0, 1) + body for command, body in bodies]
    frames = Stream().feed(b"".join(octets))
    if frames is None:
        return
    assert frames.pdus.tolist() == octets
    found = messages(frames)
    for row, pdu in enumerate(octets):
        if bodies[row][0] in (Command.SUBMIT_SM, Command.DELIVER_SM):
            try:
                known = record.decode(pdu).fields
            except record.PduError:
                assert found.problem[row]
            else:
                assert not found.problem[row]
                assert plain(found.destination)[row] == known["destination_addr"]
                assert plain(found.short_message)[row] == known["short_message"]
    assert all(len(each) <= 120 for each in plain(found.content))
    answers(frames)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_hostile_streams(data: bytes, step: int) -> None:
    stream = Stream()
    seen = 0
    for at in range(0, len(data), step):
        frames = stream.feed(data[at : at + step])
        if frames is not None:
            seen += int((frames.ends - frames.begins).sum())
            messages(frames), answers(frames)
    assert seen + len(stream.rest) <= len(data)


def test_a_pdu_of_nothing_but_empty_parameters_is_refused_soon() -> None:
    many = record.encode(record.Pdu(4, 1)) + b"\0\1\0\0" * 30_000
    octets = struct.pack(">I", len(many)) + many[4:]
    frames = Stream().feed(octets)
    assert frames is not None
    assert messages(frames).problem.tolist() == [Status.INVOPTPARSTREAM]
    with pytest.raises(record.PduError):
        record.decode(octets)


FIELDS: dict[str, Any] = {"targets": [record.Target(1, 1, b"4479"), record.Target(None, None, b"list")]}
FIELDS |= {"failures": [record.Unsuccessful(1, 2, b"4479", 0x58)], "int": 7, "string": b"abc", "text": b"\0text"}


@pytest.mark.parametrize("command", list(Command))
def test_every_pdu_of_the_protocol(command: Command) -> None:
    fields = {place.name: FIELDS[place.kind] for place in record.LAYOUTS[command]}
    pdu = record.Pdu(command, 5, 0, fields, [(0x0210, b"\x34")])
    octets = record.encode(pdu)
    assert record.decode(octets) == pdu
    for cut in range(16, len(octets)):
        hurt = struct.pack(">I", cut) + octets[4:cut]
        try:
            found = record.decode(hurt)
        except record.PduError:
            continue
        assert not found.tlvs and (found.fields == fields or command & 0x80000000)


def test_what_a_record_cannot_have() -> None:
    for fields, what in [
        ({"password": b"123456789"}, "password: at most 8"),
        ({"system_id": b"a\0b"}, "no NUL"),
        ({"nonsense": 1}, "no field nonsense"),
        ({"interface_version": 256}, "0 to 255"),
    ]:
        with pytest.raises(UsageError, match=what):
            record.encode(record.Pdu(Command.BIND_RECEIVER, 1, fields=fields))
    assert "secret" not in repr(record.Pdu(Command.BIND_RECEIVER, 1, fields={"password": b"secret"}))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_numbers_and_their_digits(values: list[int]) -> None:
    found = digits(np.array(values, np.uint64))
    assert found.tolist() == [str(value).encode() for value in values]
    back, good = numbers(found)
    assert [int(n) if fine else None for n, fine in zip(back, good, strict=True)] == [
        value if value < 10**19 else None for value in values
    ]


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_strings(values: list[bytes]) -> None:
    found = Strings.of(values)
    assert found.tolist() == values and found.compact().tobytes() == b"".join(values)
    assert found.column().tolist() == [value.rstrip(b"\0") for value in values]
    fixed = Strings.fixed(np.array(values, "S30"))
    assert fixed.tolist() == [value.rstrip(b"\0") for value in values]


def test_smpplib_reads_and_writes_the_same() -> None:
    smpplib = pytest.importorskip("smpplib")
    from smpplib import client, smpp

    peer = client.Client("localhost", 1, allow_unknown_opt_params=True)
    rows = [
        {"destination_addr": b"447700900123", "dest_addr_ton": 1, "short_message": b"Hello", "source_addr": b"ALERT"},
        {"destination_addr": b"1", "short_message": b"\0\1\2", "validity_period": b"000001000000000R"},
    ]
    for row in rows:
        octets = record.encode(record.Pdu(4, 3, fields=row))
        theirs = smpp.parse_pdu(octets, client=peer)
        for name, value in row.items():
            assert getattr(theirs, name) == value
        written = {  # it takes C-octet strings as str and gives them back as bytes
            name: value.decode() if isinstance(value, bytes) and name != "short_message" else value
            for name, value in row.items()
        }
        again = smpp.make_pdu("submit_sm", client=peer, **written)
        again.sequence = 3
        mine = messages(Stream().feed(again.generate()))
        assert plain(mine.short_message) == [row["short_message"]]
        assert plain(mine.destination) == [row["destination_addr"]]
    assert smpplib


def test_types_are_told() -> None:
    frames = Stream().feed(record.encode(record.Pdu(Command.ENQUIRE_LINK, 1)))
    assert isinstance(frames, Frames) and isinstance(answers(frames), Answers)
    assert frames.sequence.dtype == np.uint32 and frames.begins.dtype == np.int64
