"""Receipts: read from texts and parameters, and matched whatever the form of their id."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsms.core.smpp import receipts
from zsms.core.smpp.early import MOST_EARLY
from zsms.core.smpp.frames import Stream
from zsms.core.smpp.ids import ENOUGH, FormEvidence, hashes
from zsms.core.smpp.outstanding import EARLY_S, FORM_S, GUESS_S, LONGER_FORM_S, MOST_STRAYS, Outstanding
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
        (b"BUFFERED", NOT_YET),
        (b"SUBMITD", NOT_YET),
        (b"CANCELED", 1),
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
        (0x24, b"id:14 stat:EXPIRED", []),
        (0, b"", [(0x001E, b"15\0"), (0x0427, b"\x05")]),
        (4, b"id:16 stat:DELIVRD", [(0x001E, b"\0"), (0x0427, b"\x00")]),
        (4, b"id:17 stat:DELIVRD", [(0x001E, b""), (0x0427, b"\x00\x00\x00\x03")]),
        (4, b"id:18", [(0x0427, b"\x00")]),
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
        (14, b"14", 2),
        (15, b"15", 1),
        (16, b"16", 0),
        (17, b"17", 2),
        (18, b"18", NOT_YET),
    ]


@pytest.mark.parametrize("octets", [b"id:7 stat:EXPIRED", "id:7 stat:EXPIRED".encode("utf-16-be")])
@pytest.mark.parametrize("mark", [b"", b"\xfe\xff"])
def test_a_receipt_with_its_message_s_coding(octets: bytes, mark: bytes) -> None:
    fields = {"esm_class": 4, "data_coding": 8, "short_message": (mark if b"\0" in octets else b"") + octets}
    frames = Stream().feed(encode(Pdu(Command.DELIVER_SM, 1, fields=fields)))
    assert frames is not None
    told = receipts.read(messages(frames))
    assert (told.ids.tolist(), told.outcome.tolist()) == ([b"7"], [Delivery.EXPIRED.value])


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
        outstanding.match(Strings.of([name]), np.zeros(1, np.uint8), now)
        found = outstanding.decided(now + FORM_S)
        assert found is not None
        return float(found.took[0])

    assert took(b"during", 107.5) == -1.0  # it came at some time since 100.2
    assert took(b"before", 109.0) == pytest.approx(9.0)
    assert took(b"late", 109.0) == -1.0  # it was accepted at some time since 100.2
    outstanding.add(Strings.of([b"after"]), np.zeros(1, np.uint32), np.array([8], np.uint64), 110.0)
    outstanding.stood_still(110.4, 110.6)  # a turn that took long
    assert took(b"after", 110.7) == pytest.approx(0.7)


def seqs(outstanding: Outstanding, *ids: bytes, now: float = 1.0, wait: float = FORM_S) -> dict[int, int]:
    """Whose receipts these are, by place; where there is one sender only, those that wait for their form, too."""
    found = outstanding.match(Strings.of(list(ids)), np.zeros(len(ids), np.uint8), now)
    parts = [found, None if outstanding.shared else outstanding.decided(now + wait)]
    return {row: seq for part in parts if part for row, seq in zip(part.rows.tolist(), part.seqs.tolist(), strict=True)}


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
    assert len(seqs(outstanding, *[each.encode() for each in ids])) == 171
    assert outstanding.due == 1.0 + GUESS_S and outstanding.decided(1.9) is None
    found = outstanding.decided(1.0 + GUESS_S)
    assert found is not None and len(found.seqs) == 85 and not len(outstanding)
    assert (outstanding.early, outstanding.strange, outstanding.due) == (0, 0, None)


@pytest.mark.parametrize("form", ["{}", "{:x}"])
def test_a_receipt_before_its_answer_is_not_read_in_another_form(form: str) -> None:
    numbers = range(1_000, 9_000, 2)
    outstanding, found = Outstanding(), {}
    rng = np.random.default_rng(1)
    # Answers come in order, receipts long after, and one in ten before its answer.
    at = [(float(n), n, True) for n in numbers]
    after = np.where(rng.random(len(numbers)) < 0.1, -rng.random(len(numbers)) * 50, rng.random(len(numbers)) * 7_000)
    at += [(n + wait, n, False) for n, wait in zip(numbers, after.tolist(), strict=True)]
    for _, number, answer in sorted(at):
        ids, now = Strings.of([form.format(number).encode()]), number / 1e6
        if answer:
            told = outstanding.add(ids, np.zeros(1, np.uint32), np.array([number], np.uint64), now)
        else:
            told = outstanding.match(ids, np.array([number % 4], np.uint8), now)
        for each in (told, outstanding.decided(now)):
            found |= dict(zip(each.seqs.tolist(), each.outcome.tolist(), strict=True)) if each else {}
    assert found == {number: number % 4 for number in numbers}
    assert (len(outstanding), outstanding.early, outstanding.strange) == (0, 0, 0)


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


def test_of_many_that_come_early_the_oldest_make_room() -> None:
    outstanding = Outstanding()
    extra = 1000
    for begin in range(0, MOST_EARLY + extra, 500):
        seqs(outstanding, *[b"%d" % number for number in range(10**9 + begin, 10**9 + begin + 500)])
    assert outstanding.early + outstanding.strange == -(-(MOST_EARLY + extra) // 500) * 500
    assert outstanding.early == MOST_EARLY
    last = Strings.of([b"%d" % (10**9), b"%d" % (10**9 + MOST_EARLY)])
    found = outstanding.add(last, np.zeros(2, np.uint32), np.array([1, 2], np.uint64), 2.0)
    assert found is not None and found.seqs.tolist() == [2]
    outstanding.poll(2.0 + EARLY_S)
    assert outstanding.early == 0 and outstanding.strange >= MOST_EARLY


def test_early_ones_that_find_their_answers_leave_nothing_behind() -> None:
    outstanding, step = Outstanding(), 10_000
    for begin in range(0, 150_000, step):
        ids = Strings.fixed(np.char.mod("%d", np.arange(begin, begin + step)).astype("S"))
        outstanding.match(ids, np.zeros(step, np.uint8), 0.0)
        outstanding.decided(FORM_S)
        found = outstanding.add(ids, np.zeros(step, np.uint32), np.arange(step, dtype=np.uint64), 0.0)
        assert found is not None and len(found.seqs) == step
    assert (outstanding.early, outstanding.strange, len(outstanding)) == (0, 0, 0)


# -- receipts that come to another sender of the account ------------------------------------------------------------


def hand_over(one: Outstanding, other: Outstanding, now: float = 1.0) -> dict[int, int]:
    """What has come to the one, to the other: which of its messages that were, with their outcomes."""
    found: dict[int, int] = {}
    while (strays := one.strays(7)) is not None:
        told = other.match(*strays, now, handed=True)
        found |= dict(zip(told.seqs.tolist(), told.outcome.tolist(), strict=True))
    if (told := other.decided(now + FORM_S)) is not None:
        found |= dict(zip(told.seqs.tolist(), told.outcome.tolist(), strict=True))
    return found


@settings(max_examples=15)
@given(st.data())
@pytest.mark.parametrize(("answer", "receipt"), [("{}", "{}"), ("{:x}", "{}"), ("{}", "{:08X}"), ("m{}", "M{}")])
def test_each_finds_its_message_whatever_sender_and_order(answer: str, receipt: str, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20))
    first = data.draw(st.sampled_from([5_000, 1 << 20]))
    senders = Outstanding(), Outstanding()
    for each in senders:
        each.shared = True
    acts = data.draw(st.permutations([(what, number) for what in "ar" for number in range(count)]))
    owners = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    found: list[dict[int, int]] = [{}, {}]
    for what, number in acts:
        if what == "a":
            owner = owners[number]
            ids = Strings.of([answer.format(first + number).encode()])
            told = senders[owner].add(ids, np.zeros(1, np.uint32), np.array([number], np.uint64), 0.0)
        else:
            owner = data.draw(st.booleans())
            ids = Strings.of([receipt.format(first + number).encode()])
            told = senders[owner].match(ids, np.array([number % 4], np.uint8), 0.0)
        if told is not None:
            found[owner] |= dict(zip(told.seqs.tolist(), told.outcome.tolist(), strict=True))
        if data.draw(st.booleans()):
            for one in (0, 1):
                found[not one] |= hand_over(senders[one], senders[not one])
    for one in (0, 1, 0, 1):  # what one knew to be a stray late
        found[not one] |= hand_over(senders[one], senders[not one])
    for owner in (False, True):
        assert found[owner] == {n: n % 4 for n in range(count) if owners[n] == owner}
        assert not len(senders[owner]) and not senders[owner].early and not senders[owner].strange
    assert sum(each.handed for each in senders) == sum(each.found for each in senders)


@pytest.mark.parametrize(("answer", "receipt"), [("{}", "{}"), ("{:x}", "{}"), ("{}", "{:x}"), ("{:x}", "{:X}")])
@pytest.mark.parametrize("step", [7, 40])
def test_another_sender_s_receipt_is_not_read_in_another_form(answer: str, receipt: str, step: int) -> None:
    outstanding = table(*[answer.format(n).encode() for n in range(1, 1500, 2)])
    outstanding.shared = True
    count = 0
    for first in range(1, 1500, step):
        seqs(outstanding, *[receipt.format(n).encode() for n in range(first, min(1500, first + step))], now=0.1)
        count += 0 if outstanding.decided(0.1) is None else 1
    assert count == 1 and not len(outstanding) and outstanding.handed == 749 and outstanding.strange == 0


@pytest.mark.parametrize("late", [0, 5, 2_000])
def test_another_sender_s_receipts_one_by_one(late: int) -> None:
    """That there are others is known when so many receipts have come; at first they come now and then."""
    own = range(10, 3_000, 7)
    outstanding = table(*[b"%d" % n for n in own])
    found: dict[int, int] = {}
    now, order = 0.0, np.random.default_rng(1).permutation(np.arange(10, 3_000)).tolist()
    for count, number in enumerate(order):
        outstanding.shared = outstanding.shared or count == late
        now += 0.05 if count < 40 else 1e-5
        for each in (
            outstanding.match(Strings.of([b"%d" % number]), np.array([number % 4], np.uint8), now),
            outstanding.decided(now),
        ):
            found |= dict(zip(each.seqs.tolist(), each.outcome.tolist(), strict=True)) if each else {}
    assert found == {place: number % 4 for place, number in enumerate(own)}
    assert not len(outstanding) and outstanding.handed == 2_990 - len(own)


def test_what_is_never_decided_waits_for_a_moment() -> None:
    outstanding = table(b"16", b"17", now=0.0)
    outstanding.shared = True
    assert seqs(outstanding, b"16", b"99", now=1.0) == {} and outstanding.decided(1.1) is None
    assert outstanding.due == 1.0 + FORM_S
    found = outstanding.decided(1.0 + FORM_S)
    assert found is not None and found.seqs.tolist() == [0] and found.took.tolist() == [1.0]
    assert (outstanding.due, outstanding.handed) == (None, 1)


@pytest.mark.parametrize(
    ("answers", "receipts_", "form"),
    [
        (["{:x}"], ["{}"], 1),
        (["{}"], ["{:X}"], 2),
        (["{}"], ["{}"], 0),
        (["{:x}"], ["{:x}"], 0),
        (["m{}"], ["m{}"], 0),
        (["{:x}"], ["{}"] * 30 + ["nobody{}", "ab{}"], 1),
    ],
)
def test_the_form_by_the_letters(answers: list[str], receipts_: list[str], form: int) -> None:
    for rows in (ENOUGH - 1, ENOUGH, 500):
        evidence = FormEvidence()
        for told, forms in ((False, answers), (True, receipts_)):
            for each in forms:
                ids = [each.format(1_000 + number).encode() for number in range(rows)]
                evidence.see(Strings.of([b"7", *ids]), receipts=told)
        assert evidence.form == (form if rows * len(receipts_) >= ENOUGH <= rows else None)


def test_a_receipt_of_nobody_counts_once() -> None:
    one, two, three = Outstanding(), Outstanding(), Outstanding()
    one.shared = two.shared = three.shared = True
    seqs(one, b"x", b"y", b"")
    assert one.decided(1.0 + FORM_S) is not None
    strays = one.strays(10)
    assert strays is not None and one.strays(10) is None
    for each in (two, three):
        each.match(*strays, 1.0, handed=True)
        assert each.decided(1.0 + FORM_S) is not None
        assert each.strays(10) is None
        each.poll(2.0 + EARLY_S)
    one.poll(2.0 + EARLY_S)
    assert (one.handed, one.strange) == (2, 1)
    assert [(each.strange, each.early, each.found) for each in (two, three)] == [(0, 0, 0)] * 2


def test_strays_that_nobody_takes_are_bounded() -> None:
    outstanding = Outstanding()
    outstanding.shared = True
    for begin in range(0, MOST_STRAYS + 5_000, 5_000):
        seqs(outstanding, *[b"%d" % number for number in range(begin, begin + 5_000)])
        outstanding.decided(1.0 + FORM_S)
    count = 0
    while (strays := outstanding.strays(4_096)) is not None:
        assert len(strays[0]) <= 4_096
        count += len(strays[0])
    assert count == MOST_STRAYS < outstanding.handed and outstanding.strange == 0


def test_what_came_before_others_were_known_is_handed_on() -> None:
    outstanding, two = table(b"7"), table(b"x", b"z" * 64)
    seqs(outstanding, b"x", b"late", b"w" * 300)
    outstanding.shared = True
    outstanding.add(Strings.of([b"late"]), np.zeros(1, np.uint32), np.zeros(1, np.uint64), 1.0)
    outstanding.shared = False
    seqs(outstanding, b"z" * 64)
    outstanding.shared = True
    assert hand_over(outstanding, two) == {0: 0, 1: 0}
    assert (outstanding.handed, outstanding.found, outstanding.early, two.found) == (3, 1, 1, 2)
    outstanding.poll(2.0 + EARLY_S)
    assert (outstanding.strange, two.strange) == (1, 0)


def test_an_id_that_no_frame_has_room_for_is_kept_here() -> None:
    outstanding = Outstanding()
    outstanding.shared = True
    seqs(outstanding, b"w" * 256, b"v" * 255)
    assert outstanding.decided(1.0 + FORM_S) is not None
    strays = outstanding.strays(10)
    assert strays is not None and strays[0].lengths.tolist() == [255] and outstanding.strays(10) is None
    found = outstanding.add(Strings.of([b"w" * 256]), np.zeros(1, np.uint32), np.zeros(1, np.uint64), 1.0)
    assert found is not None and found.seqs.tolist() == [0]


def test_overdue_receipts_are_missing() -> None:
    outstanding = table(b"1", b"2", b"3", timeout=100)
    assert seqs(outstanding, b"2", now=50.0) == {0: 1}
    assert outstanding.poll(99.0) == 0
    assert outstanding.poll(201.0) == 2 and outstanding.missing == 2 and len(outstanding) == 0
    never = table(b"1", timeout=0)
    assert never.poll(1e9) == 0


def test_the_time_to_a_receipt() -> None:
    outstanding = table(b"1", now=10.0)
    outstanding.match(Strings.of([b"1"]), np.array([3], np.uint8), 12.5)
    found = outstanding.decided(12.5 + FORM_S)
    assert found is not None and found.took.tolist() == [2.5] and found.outcome.tolist() == [3]


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
                assert seqs(outstanding, *asked, wait=LONGER_FORM_S) == {
                    row: model.pop(name) for row, name in enumerate(asked)
                }
        assert len(outstanding) == len(model)


@given(st.lists(st.binary(min_size=1, max_size=70), min_size=1, max_size=20))
def test_a_hash_is_of_its_string_only(ids: list[bytes]) -> None:
    together = hashes(Strings.of(ids)).tolist()
    assert together == [hashes(Strings.of([each])).tolist()[0] for each in ids]


def test_messages_without_receipts_cost_nothing() -> None:
    assert Outstanding().add(Strings.of([]), np.zeros(0, np.uint32), np.zeros(0, np.uint64), 0.0) is None
    assert isinstance(Messages(np.zeros(0, np.uint32)).content, bytes)
