"""Few rows are dealt with one by one, and those whose fields stand at the same places are not searched: all alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.smpp.test_pdu import MESSAGE, NAMES, columns, octet
from zsms.core.smpp import pdu, record, strings
from zsms.core.smpp.frames import Stream
from zsms.core.smpp.layout import alike
from zsms.core.smpp.pdu import (
    Command,
    Unnumbered,
    encode_answers,
    encode_answers_in_parts,
    encode_messages,
    messages,
)
from zsms.core.smpp.strings import Strings, digits

T = TypeVar("T")
COMMANDS = st.sampled_from([Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP, Command.DATA_SM_RESP, 0x80000021])


def both(call: Callable[[], T]) -> tuple[T, T]:
    """What it says of few, and of many."""
    few = call()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdu, "FEW", -1)
        patch.setattr(strings, "FEW", 0)
        return few, call()


@given(st.lists(MESSAGE, min_size=1, max_size=8))
def test_few_messages_are_encoded_as_many(rows: list[dict[str, Any]]) -> None:
    few, many = both(lambda: encode_messages(4, columns(rows, 77)).tobytes())
    assert few == many


@given(st.lists(MESSAGE, min_size=1, max_size=8), st.booleans(), st.data())
def test_numbers_given_later_are_those_given_at_first(
    rows: list[dict[str, Any]], alike: bool, data: st.DataObject
) -> None:
    """Any rows, ascending, and again others, in parts."""
    if alike:
        rows = [rows[0]] * len(rows)
    whole = columns(rows)
    later = [Unnumbered(4, whole), both(lambda: Unnumbered(4, whole))[1]]
    for first in (1, 0x7FFFFF00):
        taken = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, unique=True).map(sorted))
        cut = data.draw(st.integers(1, len(taken)))
        counts = [cut, len(taken) - cut] if cut < len(taken) else [cut]
        pdus = [record.encode(record.Pdu(4, first + n, fields=rows[row])) for n, row in enumerate(taken)]
        for each in later:
            sequence = np.arange(first, first + len(taken), dtype=np.uint32)
            parts = [part.tobytes() for part in each.numbered(np.array(taken), sequence, counts)]
            assert parts == [b"".join(pdus[:cut]), b"".join(pdus[cut:])][: len(counts)]


@given(
    st.lists(st.tuples(st.integers(1, 2**31 - 1), st.sampled_from([0, 0, 8]), st.binary(max_size=64)), min_size=1),
    COMMANDS,
    st.booleans(),
    st.booleans(),
)
def test_few_answers_are_encoded_as_many(
    rows: list[tuple[int, int, bytes]], command: int, named: bool, always_body: bool
) -> None:
    sequence, status = (np.array([row[place] for row in rows], np.uint32) for place in (0, 1))
    ids = Strings.of([row[2] for row in rows]) if named else None

    def said(status: Any) -> bytes:
        return encode_answers(command, sequence, status, ids, always_body=always_body).tobytes()

    for given_status in (status, 0, 8):
        few, many = both(lambda given_status=given_status: said(given_status))  # type: ignore[misc]
        assert few == many
    if not always_body:
        counts = [1, len(rows) - 1] if len(rows) > 1 else [1]
        parts, more = both(
            lambda: [e.tobytes() for e in encode_answers_in_parts(command, sequence, status, ids, counts)]
        )
        assert parts == more and b"".join(parts) == said(status)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_few_numbers_have_the_digits_of_many(values: list[int]) -> None:
    few, many = both(lambda: digits(np.array([*values, 1], np.uint64)).tolist())
    assert few == many


@given(MESSAGE, st.data())
def test_fields_at_the_same_places_are_those_that_are_searched(row: dict[str, Any], data: st.DataObject) -> None:
    """Rows of which each field is as long as in the first, but for some that are not, or are cut."""
    rows = [row]
    for _ in range(data.draw(st.integers(0, 4))):
        other = dict(row)
        for name, value in row.items():
            if name == "short_message":
                other[name] = data.draw(st.binary(max_size=30))
            elif isinstance(value, bytes):
                other[name] = bytes(data.draw(st.lists(st.integers(1, 255), min_size=len(value), max_size=len(value))))
            else:
                other[name] = data.draw(octet)
        if data.draw(st.integers(0, 9)) == 0:
            other["source_addr"] = other["source_addr"][:-1]
        rows.append(other)
    pdus = [record.encode(record.Pdu(4, place, fields=each)) for place, each in enumerate(rows, 1)]
    if data.draw(st.booleans()):
        cut = data.draw(st.integers(16, len(pdus[-1])))
        pdus[-1] = cut.to_bytes(4, "big") + pdus[-1][4:cut]
    frames = Stream().feed(b"".join(pdus))
    assert frames is not None
    found = messages(frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdu, "alike", lambda frames: None)
        searched = messages(frames)
    assert found.problem.tolist() == searched.problem.tolist()
    good = np.flatnonzero(found.problem == 0)
    for name in NAMES.values():
        one, other = getattr(found.take(good), name), getattr(searched.take(good), name)
        assert one.tolist() == other.tolist()
    assert found.tlvs.values.tolist() == searched.tlvs.values.tolist()


def test_a_layout_is_found_where_it_is_the_same() -> None:
    same = [b"447700900123", b"447700900124"]
    for numbers, expected in ((same, True), ([*same, b"1555"], False)):
        made = pdu.Messages(np.arange(1, len(numbers) + 1, dtype=np.uint32), destination=Strings.of(numbers))
        frames = Stream().feed(pdu.encode_messages(4, made).tobytes())
        assert frames is not None and (alike(frames) is not None) == expected


@given(st.lists(st.tuples(st.sampled_from([4, 5]), octet, st.integers(0, 3)), min_size=1, max_size=200))
def test_what_is_numbered_one_after_the_other_is_known_for_it(heads: list[tuple[int, int, int]]) -> None:
    """Mostly it is not: other commands, other statuses, numbers left out."""
    for rows in (heads, heads[:1] * len(heads)):
        number, pdus = 5, []
        for command, status, left_out in rows:
            number += 1 + (left_out if rows is heads else 0)
            pdus.append(record.Pdu(command | pdu.RESPONSE, number, status))
        octets = b"".join(
            b"".join(word.to_bytes(4, "big") for word in (16, each.command, each.status, each.sequence))
            for each in pdus
        )
        frames = Stream().feed(octets)
        assert frames is not None and frames.sequence.tolist() == [each.sequence for each in pdus]
        alike = {(each.command, each.status, each.sequence - place) for place, each in enumerate(pdus)}
        first = pdus[0]
        assert frames.run == ((first.command, first.status, first.sequence) if len(alike) == 1 else None)


def test_messages_that_are_joined_are_what_they_were() -> None:
    """As long or not, with other numbers than those before, their strings at other places."""
    groups = [(b"A", b"447700900123", 0), (b"AB", b"44770090012", 3), (b"AB", b"44770090012", 0), (b"A", b"1555", 3)]
    for lengths in ([5, 5, 5], [5, 7, 5]):
        came: list[pdu.Messages] = []
        wanted = []
        for (source, destination, delivery), length in [(group, length) for group in groups for length in lengths]:
            made = pdu.Messages(
                np.arange(1, 4, dtype=np.uint32), source=source, destination=Strings.of([destination] * 3),
                registered_delivery=delivery, short_message=Strings.of([bytes([48 + n]) * length for n in range(3)]),
            )  # fmt: skip
            frames = Stream().feed(encode_messages(4, made).tobytes())
            assert frames is not None
            came.append(messages(frames))
            wanted += [(source, destination, delivery, bytes([48 + n]) * length) for n in range(3)]
        found = []
        for each in pdu.joined(came):
            columns = [each.source, each.destination, each.registered_delivery, each.short_message]
            found += list(zip(*(column.tolist() for column in columns), strict=True))  # type: ignore[union-attr]
            text, other = each.short_message, each.source
            assert isinstance(text, Strings) and isinstance(other, Strings)
            for strings_, start in ((text, 3), (other, 4)):  # however they stand in their buffer
                alone = Strings.of(strings_.tolist())
                begin = np.full(len(alone), start, np.uint64)
                assert strings.folded(strings_, begin, 20).tolist() == strings.folded(alone, begin, 20).tolist()
        assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize("first", [1, 95, 9_990, 99_950, 123_456_789, 2**63 - 150])
def test_serial_numbers_and_answers_with_them(first: int) -> None:
    for count in (strings.FEW + 1, 100):
        serials = np.arange(first, first + count, dtype=np.uint64)
        ids = digits(serials)
        wanted = [b"%d" % each for each in serials.tolist()]
        assert ids.tolist() == wanted and ids.longest == len(wanted[-1])
        assert bytes(ids.matrix()[0, : len(wanted[0])]) == wanted[0] and ids.take(slice(3, 5)).tolist() == wanted[3:5]
        sequence = np.arange(7, 7 + count, dtype=np.uint32)
        one_by_one = [
            encode_answers(Command.SUBMIT_SM_RESP, sequence[n : n + 1], 0, [wanted[n]]).tobytes() for n in range(count)
        ]
        assert encode_answers(Command.SUBMIT_SM_RESP, sequence, 0, ids).tobytes() == b"".join(one_by_one)
