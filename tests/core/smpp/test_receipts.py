"""Receipts: read from texts and parameters, and matched whatever the form of their id."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsms.core.smpp import receipts
from zsms.core.smpp.frames import Stream
from zsms.core.smpp.outstanding import EARLY_S, Outstanding, hashes
from zsms.core.smpp.pdu import Messages, messages
from zsms.core.smpp.record import Command, Pdu, encode
from zsms.core.smpp.strings import Strings
from zsms.message import Delivery

NOT_YET = receipts.NOT_YET


def read(*rows: tuple[int, bytes, list[tuple[int, bytes]]]) -> list[tuple[int, bytes, int]]:
    octets = b"".join(
        encode(Pdu(Command.DELIVER_SM, 1, fields={"esm_class": kind, "short_message": text}, tlvs=tlvs))
        for kind, text, tlvs in rows
    )
    frames = Stream().feed(octets)
    assert frames is not None
    told = receipts.read(messages(frames))
    return list(zip(told.rows.tolist(), told.ids.tolist(), told.outcome.tolist(), strict=True))


BODY = b"id:%s sub:001 dlvrd:001 submit date:2611280700 done date:2611280701 stat:%s err:000 text:hello"


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        (b"DELIVRD", Delivery.DELIVERED.value),
        (b"UNDELIV", 1),
        (b"EXPIRED", Delivery.EXPIRED.value),
        (b"REJECTD", Delivery.REJECTED.value),
        (b"UNKNOWN", Delivery.UNKNOWN.value),
        (b"DELETED", 1),
        (b"ACCEPTD", NOT_YET),
        (b"ENROUTE", NOT_YET),
        (b"BUFFRED", NOT_YET),
        (b"delivrd", Delivery.DELIVERED.value),
        (b"Delivered", Delivery.DELIVERED.value),
        (b"NONSENSE", Delivery.UNKNOWN.value),
        (b"", Delivery.UNKNOWN.value),
    ],
)
def test_words(word: bytes, outcome: int) -> None:
    assert read((4, BODY % (b"abc-1", word), [])) == [(0, b"abc-1", outcome)]


def test_forms_of_a_receipt() -> None:
    assert read(
        (0, b"id:1 stat:DELIVRD", []),  # an ordinary message
        (4, b"id:2 stat:EXPIRED", []),
        (4, b"", [(0x001E, b"three\0"), (0x0427, b"\x02")]),
        (4, b"", [(0x001E, b"4"), (0x0427, b"\x05")]),
        (4, BODY % (b"x", b"UNDELIV"), [(0x001E, b"5\0")]),
        (4, BODY % (b"6", b"UNDELIV"), [(0x0427, b"\x02")]),
        (4, b"stat:DELIVRD id:7", []),
        (4, b"ID:8 Stat:DELIVRD text:id:9 stat:EXPIRED", []),
        (4, b"id: stat:DELIVRD", []),
        (4, b"valid:1 stat", []),
        (4, b"", []),
        (4, b":", []),
        (0x20, b"id:12 stat:DELIVRD", []),
        (0x44, b"id:13 stat:REJECTD", []),
    ) == [
        (1, b"2", 2),
        (2, b"three", 0),
        (3, b"4", 1),
        (4, b"5", 1),
        (5, b"6", 0),
        (6, b"7", 0),
        (7, b"8", 0),
        (8, b"", 0),
        (9, b"", 4),
        (10, b"", 4),
        (11, b"", 4),
        (12, b"12", NOT_YET),
        (13, b"13", 3),
    ]


@given(st.lists(st.tuples(st.sampled_from([0, 4, 0x20, 0x44]), st.binary(max_size=254)), min_size=1, max_size=8))
def test_hostile_texts(rows: list[tuple[int, bytes]]) -> None:
    found = read(*[(kind, text, []) for kind, text in rows])
    assert [row for row, _, _ in found] == [row for row, (kind, _) in enumerate(rows) if kind]
    for row, name, _ in found:
        assert name in rows[row][1]


@given(st.lists(st.text("id:stat DELVR0x\n", max_size=40), min_size=1, max_size=8))
def test_texts_that_look_like_receipts(rows: list[str]) -> None:
    for (_, name, _), text in zip(read(*[(4, row.encode(), []) for row in rows]), rows, strict=True):
        if name:
            assert name.decode() in text


def test_texts_are_read_as_they_were_written() -> None:
    ids = Strings.of([b"1", b"abc", b"x" * 64])
    states = np.array([2, 5, 8], np.uint8)
    same = lambda value: np.array([value] * 3)  # noqa: E731
    texts = receipts.texts(ids, states, same(b"000"), same(b"2611280700"), same(b"2611280701"))
    assert texts.tolist()[0] == (
        b"id:1 sub:001 dlvrd:001 submit date:2611280700 done date:2611280701 stat:DELIVRD err:000 text:"
    )
    assert read(*[(4, text, []) for text in texts.tolist()]) == [(0, b"1", 0), (1, b"abc", 1), (2, b"x" * 64, 3)]


# -- which message a receipt is of ----------------------------------------------------------------------------------


def table(*ids: bytes, now: float = 0.0, **settings: Any) -> Outstanding:
    found = Outstanding(**settings)
    found.add(Strings.of(list(ids)), np.zeros(len(ids), np.uint32), np.arange(len(ids), dtype=np.uint64), now)
    return found


def test_of_what_is_read_after_a_standstill_nobody_knows_when_it_came() -> None:
    outstanding = table(b"before", b"during", now=100.0)
    outstanding.stood_still(100.2, 107.0)
    outstanding.stood_still(100.2, 107.3)  # it still waits for its brokers' word
    outstanding.add(Strings.of([b"late"]), np.zeros(1, np.uint32), np.array([7], np.uint64), 107.6)

    def took(name: bytes, now: float) -> float:
        return float(outstanding.match(Strings.of([name]), np.zeros(1, np.uint8), now).took[0])

    assert took(b"during", 107.5) == -1.0  # it came at some time since 100.2
    assert took(b"before", 109.0) == pytest.approx(9.0)
    assert took(b"late", 109.0) == -1.0  # it was accepted at some time since 100.2
    outstanding.add(Strings.of([b"after"]), np.zeros(1, np.uint32), np.array([8], np.uint64), 110.0)
    outstanding.stood_still(110.4, 110.6)  # a turn that took long
    assert took(b"after", 110.7) == pytest.approx(0.7)


def seqs(outstanding: Outstanding, *ids: bytes, now: float = 1.0) -> dict[int, int]:
    found = outstanding.match(Strings.of(list(ids)), np.zeros(len(ids), np.uint8), now)
    return dict(zip(found.rows.tolist(), found.seqs.tolist(), strict=True))


def test_alike_in_any_order() -> None:
    outstanding = table(b"a", b"0b", b"C", b"550e8400-e29b-41d4-a716-446655440000", b"x" * 64, b"x" * 63)
    ids = [b"x" * 64, b"0C", b"A", b"550E8400-E29B-41D4-A716-446655440000", b"B", b"x" * 63]
    assert seqs(outstanding, *ids) == {0: 4, 1: 2, 2: 0, 3: 3, 4: 1, 5: 5}
    assert len(outstanding) == 0


@pytest.mark.parametrize(
    ("answer", "receipt"),
    [
        ("{:x}", "{}"),
        ("{}", "{:x}"),
        ("{:X}", "{:010}"),
        ("{:08X}", "{:08x}"),
        ("{:010}", "{:X}"),
        ("{}", "{}"),
        ("{:x}", "{:024}"),
    ],
)
def test_forms_of_numbers(answer: str, receipt: str) -> None:
    numbers = list(range(1000, 3000, 7))
    outstanding = table(*[answer.format(n).encode() for n in numbers])
    found = seqs(outstanding, *[receipt.format(n).encode() for n in numbers])
    assert found == {row: row for row in range(len(numbers))}


def test_some_in_one_form_and_some_in_another() -> None:
    outstanding = table(*[f"{n:x}".encode() for n in range(0xA000, 0xA100)])
    ids = [f"{n:x}" if n % 3 else f"{n}" for n in range(0xA000, 0xA100)]
    assert seqs(outstanding, *[each.encode() for each in ids]) == {row: row for row in range(256)}


def test_ids_that_are_nothing_known() -> None:
    outstanding = table(b"1", b"2")
    assert seqs(outstanding, b"", b"3", b"not a number", b"99999999999999999999999", b"-1") == {}
    assert outstanding.strange == 1
    outstanding.poll(1.0 + EARLY_S + 1)
    assert outstanding.strange == 5 and len(outstanding) == 2


def test_a_second_receipt_for_a_message_counts_as_strange() -> None:
    outstanding = table(b"1", b"2")
    assert seqs(outstanding, b"1", b"1") == {0: 0}
    assert seqs(outstanding, b"1") == {} and outstanding.strange == 1


def test_a_receipt_that_comes_before_its_answer() -> None:
    outstanding = Outstanding()
    assert seqs(outstanding, b"77", b"78") == {}
    found = outstanding.add(Strings.of([b"76", b"78"]), np.array([5, 6], np.uint32), np.array([8, 9], np.uint64), 2.0)
    assert found is not None and found.seqs.tolist() == [9] and found.sources.tolist() == [6]
    assert found.took.tolist() == [0.0] and len(outstanding) == 1


def test_overdue_receipts_are_missing() -> None:
    outstanding = table(b"1", b"2", b"3", timeout=100)
    assert seqs(outstanding, b"2", now=50.0) == {0: 1}
    assert outstanding.poll(99.0) == 0
    assert outstanding.poll(201.0) == 2 and outstanding.missing == 2 and len(outstanding) == 0
    never = table(b"1", timeout=0)
    assert never.poll(1e9) == 0


def test_the_time_to_a_receipt() -> None:
    outstanding = table(b"1", now=10.0)
    found = outstanding.match(Strings.of([b"1"]), np.array([3], np.uint8), 12.5)
    assert found.took.tolist() == [2.5] and found.outcome.tolist() == [3]


def test_a_million_in_64_megabytes() -> None:
    outstanding = Outstanding()
    step = 10_000
    for begin in range(0, 1_000_000, step):
        ids = np.char.mod("%d", np.arange(begin, begin + step)).astype("S")
        outstanding.add(
            Strings.fixed(ids), np.zeros(step, np.uint32), np.arange(begin, begin + step, dtype=np.uint64), 0.0
        )
    assert len(outstanding) == 1_000_000 and outstanding.nbytes <= 24_000_000
    wanted = np.random.default_rng(1).permutation(1_000_000)[:20_000]
    ids = np.char.mod("%d", wanted).astype("S")
    found = outstanding.match(Strings.fixed(ids), np.zeros(20_000, np.uint8), 1.0)
    assert found.seqs[np.argsort(found.rows)].tolist() == wanted.tolist()


def test_more_than_the_most_are_given_up() -> None:
    outstanding = Outstanding(most=1000)
    for begin in range(0, 5000, 100):
        ids = Strings.of([b"%d" % n for n in range(begin, begin + 100)])
        outstanding.add(ids, np.zeros(100, np.uint32), np.arange(100, dtype=np.uint64), float(begin))
    assert len(outstanding) <= 1000 and outstanding.missing == 5000 - len(outstanding)


@settings(max_examples=60)
@given(st.data())
def test_it_is_a_dictionary(data: st.DataObject) -> None:
    outstanding, model = Outstanding(), {}
    fresh = 0
    for _ in range(data.draw(st.integers(1, 12))):
        count = data.draw(st.integers(1, 50))
        ids = [b"m%d" % n for n in range(fresh, fresh + count)]
        model |= {name: fresh + place for place, name in enumerate(ids)}
        outstanding.add(
            Strings.of(ids), np.zeros(count, np.uint32), np.arange(fresh, fresh + count, dtype=np.uint64), 0.0
        )
        fresh += count
        if model:
            asked = data.draw(st.lists(st.sampled_from(sorted(model)), max_size=40, unique=True))
            if asked:
                assert seqs(outstanding, *asked) == {row: model.pop(name) for row, name in enumerate(asked)}
        assert len(outstanding) == len(model)


@given(st.lists(st.binary(min_size=1, max_size=70), min_size=1, max_size=20))
def test_a_hash_is_of_its_string_only(ids: list[bytes]) -> None:
    together = hashes(Strings.of(ids)).tolist()
    assert together == [hashes(Strings.of([each])).tolist()[0] for each in ids]


def test_messages_without_receipts_cost_nothing() -> None:
    assert Outstanding().add(Strings.of([]), np.zeros(0, np.uint32), np.zeros(0, np.uint64), 0.0) is None
    assert isinstance(Messages(np.zeros(0, np.uint32)).content, bytes)
