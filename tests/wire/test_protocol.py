"""The wire: every kind survives it, and whatever else arrives is refused by a WireError and by nothing else.

ZSMS_FUZZ_INPUTS=1000000 makes the mutation test as long as the issue asks for; it takes about a minute.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
import tracemalloc
import typing

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.frames import (
    ANY_FRAME,
    CODES,
    LARGE,
    SAMPLES,
    SEEDS,
    STRATEGIES,
    batch,
    column,
    elements,
    mutated,
    plain,
)
from zsms.errors import WireError
from zsms.message import MAX_BATCH_MESSAGES, Batch
from zsms.stats.book import MAX_PROCESSES
from zsms.wire import codec, frames
from zsms.wire.codec import SMALL_FRAME, decode, encode, encode_part, expect, refusal
from zsms.wire.frames import (
    MAX_FRAME_BYTES,
    Ack,
    Answer,
    Ask,
    Confirm,
    Grant,
    JoinProducer,
    JoinSender,
    Ping,
    Pong,
    Receipt,
    Refused,
    Stray,
    Welcome,
    Who,
)

FUZZ_INPUTS = int(os.environ.get("ZSMS_FUZZ_INPUTS", "4000"))

named = pytest.mark.parametrize("frame", SAMPLES + LARGE, ids=lambda frame: type(frame).__name__)


def refused(data: bytes, why: str | None = None) -> None:
    with pytest.raises(WireError, match=why):
        decode(data)


def try_decode(data: bytes) -> bool:
    """Whether it is a frame; any error but a WireError fails the test."""
    try:
        frame = decode(data)
    except WireError as error:
        why = str(error)
    else:
        assert type(frame) in CODES
        return True
    assert 0 < len(why) < 400  # fit for a log line
    return False


# -- what is right ---------------------------------------------------------------------------------------------


def test_the_tests_know_every_kind():
    kinds = set(typing.get_args(frames.Frame))
    assert kinds == set(CODES) == set(STRATEGIES) == {type(frame) for frame in SAMPLES}


@given(ANY_FRAME)
@settings(max_examples=300, deadline=None)
def test_every_kind_survives_the_wire_from_whatever_buffer(frame):
    data = encode(frame)
    for buffer in (data, memoryview(data), bytearray(data)):
        assert plain(decode(buffer)) == plain(frame)
    assert encode(decode(data)) == data


@given(ANY_FRAME)
@settings(max_examples=150, deadline=None)
def test_a_frame_is_one_plain_msgpack_array(frame):
    assert msgpack.unpackb(encode(frame)) == elements(frame)


@given(ANY_FRAME.filter(lambda frame: len(encode(frame)) <= SMALL_FRAME))
@settings(max_examples=150, deadline=None)
def test_a_small_frame_may_be_written_by_any_msgpack(frame):
    assert plain(decode(msgpack.packb(elements(frame)))) == plain(frame)


@given(ANY_FRAME)
@settings(max_examples=150, deadline=None)
def test_small_and_large_frames_are_read_alike(frame):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "FEW_BYTES", -1)  # columns as bin32, as in a large frame
        data = encode(frame)
        patch.setattr(codec, "SMALL_FRAME", -1)
        as_large = plain(decode(data))
        patch.setattr(codec, "SMALL_FRAME", MAX_FRAME_BYTES)
        assert as_large == plain(decode(data)) == plain(frame)


def test_the_columns_of_a_large_frame_are_views_that_nobody_can_write_to():
    data = encode(batch(400))
    read = decode(data)
    for name in ("recipients", "lengths", "text"):
        values = getattr(read, name)
        assert not values.flags.writeable
        assert np.shares_memory(values, np.frombuffer(data, dtype="u1"))


def test_the_largest_batch_fits():
    large = batch(MAX_BATCH_MESSAGES)
    assert plain(decode(encode(large))) == plain(large)


def test_an_answer_of_as_many_processes_as_a_collector_keeps_fits():
    row = {"role": "sender", "name": "x" * 200, "counters": dict.fromkeys("abcdefghij", 2**40), "state": "running"}
    answer = Answer(0, {"processes": [row] * MAX_PROCESSES})
    assert decode(encode(answer)) == answer


def test_expect_takes_the_kinds_it_names_and_no_other():
    assert expect(encode(Who(1)), Ping, Who) == Who(1)
    with pytest.raises(WireError, match="Who has no business here"):
        expect(encode(Who(1)), Ping)


# -- what is cut, changed or appended to -----------------------------------------------------------------------


@named
def test_a_frame_cut_anywhere_is_refused(frame):
    data = encode(frame)
    for end in range(len(data)):
        refused(data[:end])


@named
def test_a_frame_with_something_after_it_is_refused(frame):
    for more in (b"\0", b"\xc0" * 3, encode(Who(1)), b"x" * SMALL_FRAME):
        refused(encode(frame) + more)


@pytest.mark.parametrize("frame", SAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_flipped_bit_is_refused_or_makes_another_frame(frame):
    data = bytearray(encode(frame))
    taken = 0
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        taken += try_decode(bytes(data))
        data[bit // 8] ^= 1 << bit % 8
    assert taken < len(data) * 8
    assert plain(decode(data)) == plain(frame)


@given(st.binary(max_size=400) | st.binary(min_size=SMALL_FRAME, max_size=SMALL_FRAME + 400))
@settings(max_examples=300, deadline=None)
def test_random_bytes_bring_nothing_down(data):
    try_decode(data)
    try_decode(b"\xdc\x00\x09\x02" + data)  # in the right version, at least


# -- what is another version, another kind, another type -------------------------------------------------------


@pytest.mark.parametrize("version", [0, 1, 3, -1, 255, 2**64 - 1, True, 1.0, "1", b"1", None, [1], {}])
@pytest.mark.parametrize("size", [0, SMALL_FRAME])
def test_another_version_is_refused_by_name(version, size):
    refused(msgpack.packb([version, 10, 1, b"x" * size]), "version .*; this program speaks 2")


@pytest.mark.parametrize("kind", [0, 26, 99, -1, 2**64 - 1, True, 10.0, "Who", None, [], {"a": 1}])
@pytest.mark.parametrize("size", [0, SMALL_FRAME])
def test_an_unknown_kind_is_refused(kind, size):
    refused(msgpack.packb([2, kind, 1, b"x" * size]), "unknown kind")


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x91\x02", b"\x92\x02\x0a", b"\x80", b"\xc0", b"\x01", b"\xa3abc"])
def test_what_is_no_array_of_version_kind_and_fields_is_refused(data):
    refused(data)


OTHERS = [None, True, -1, 1, 2**32, 2**62, 2**64 - 1, 0.5, float("nan"), float("inf"), -float("inf"), 1e10, -1e10,
          "x", "x" * 1_025, b"x", b"x" * 8, [], [1], {}, {"a": 1}]  # fmt: skip


def takes(field: object, other: object) -> bool:
    """Whether a field that holds `field` may hold `other`; what a field's kind does not say is tested below."""
    if type(field) is not type(other):
        return False
    if isinstance(other, float):
        return abs(other) < 1e10
    return not isinstance(other, str) or len(other) <= 64


@pytest.mark.parametrize("frame", SAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_field_of_the_wrong_type_or_out_of_range_is_refused(frame):
    whole = elements(frame)
    for index in range(2, len(whole)):
        for other in OTHERS:
            changed = msgpack.packb([*whole[:index], other, *whole[index + 1 :]])
            if not takes(whole[index], other):
                refused(changed, type(frame).__name__)
            elif isinstance(other, int) and (other < 0 or other >= 2**64):
                refused(changed)
            else:
                try_decode(changed)


@pytest.mark.parametrize("frame", SAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_field_too_few_or_too_many_is_refused(frame):
    whole = elements(frame)
    refused(msgpack.packb(whole[:-1]))
    refused(msgpack.packb([*whole, 0]))


COUNTS = {Batch: (2, 3), JoinProducer: (3,), JoinSender: (4,), Welcome: (1,), Confirm: (2,), Ack: (1, 2, 3),
          Grant: (2, 6), Pong: (2,)}  # fmt: skip


@pytest.mark.parametrize(("kind", "fields"), COUNTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_number_that_counts_leaves_room_to_count_on(kind, fields):
    """The broker adds to these: at the end of their range it would have to write what no frame can hold."""
    frame = next(frame for frame in SAMPLES if type(frame) is kind)
    for field in fields:
        for number in (2**62, 2**63 - 1, 2**63, 2**64 - 1):
            whole = elements(frame)
            whole[2 + field] = number
            refused(msgpack.packb(whole), f"{kind.__name__}: field {field}")


@pytest.mark.parametrize(
    ("last", "beyond"),
    [
        ({"first": 2**62 - 20}, {"first": 2**62 - 19}),
        ({"due": 0.0, "step": 4.9e8}, {"due": 0.0, "step": 5e8}),
        ({"due": -9e9, "step": -4e7}, {"due": -9e9, "step": -6e7}),
    ],
)
def test_every_part_of_a_batch_is_a_frame_too(last, beyond):
    """The broker hands out parts of a batch, and these begin later."""
    whole = decode(encode(batch(20, **last)))
    for begin in range(20):
        assert plain(decode(encode(whole.slice(begin, 20)))) == plain(whole.slice(begin, 20))
    refused(encode(batch(20, **beyond)), "out of range")


def test_a_lease_below_zero_is_refused():
    refused(msgpack.packb([2, 3, 1, 1, "s", 1, 0, -0.5, 0.0]), "JoinSender: field 5")


def test_names_are_printable_short_and_not_empty():
    for name in ("", "x" * 65, "x\ny", "\x1b]0;owned\x07", "a\u202eb", "\ud800"):
        for whole in ([2, 2, 1, 1, name, 0, 0.0], [2, 3, 1, 1, name, 1, 0, 0.0, 0.0]):
            try:
                refused(msgpack.packb(whole), "Join.*: field 2")
            except UnicodeEncodeError:  # half a surrogate pair, which not even msgpack writes
                assert name == "\ud800"
    assert decode(msgpack.packb([2, 2, 1, 1, "é" * 64, 0, 0.0])).name == "é" * 64
    refused(msgpack.packb([2, 16, 1, "failed\n3 times", 0]), "Kick: field 1")


def test_a_peer_of_version_1_is_refused_in_its_own_words():
    with pytest.raises(WireError) as caught:
        decode(b"\x93\x01\x0a\x01")
    assert msgpack.unpackb(refusal(caught.value, 7)) == [1, 12, "version 1; this program speaks 2"]
    with pytest.raises(WireError) as caught:
        decode(b"\x93\x09\x0a\x01")
    assert decode(refusal(caught.value, 7)) == Refused(7, True, "version 9; this program speaks 2")
    with pytest.raises(codec.UnknownKind) as unknown:
        decode(b"\x93\x02\x63\x01")
    assert decode(refusal(unknown.value, 7)) == Refused(7, False, "unknown kind 99")


# -- columns that can't be -------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [[1, 1], [2, 1], [0, 5, 4, 6], [2**32 - 1, 0]])
@pytest.mark.parametrize("which", ["sent", "failed"])
@pytest.mark.parametrize("before", [0, 2_000])
def test_acknowledgements_that_do_not_ascend_are_refused(numbers, which, before):
    good, bad = column([0]), column([*range(before), *(n + before if n < 2**31 else n for n in numbers)])
    sent, failed = (bad, good) if which == "sent" else (good, bad)
    refused(encode(Ack(1, 0, 0, 0, sent, failed, column([], "u1"))), f"{which}: not strictly ascending")


def test_too_many_acknowledgements_in_a_frame_are_refused():
    refused(
        encode(Ack(1, 0, 0, 0, column(range(MAX_BATCH_MESSAGES + 1)), column([]), column([], "u1"))),
        "65537 acknowledgements",
    )


@pytest.mark.parametrize("codes", [[0], [0, 0, 0]])
def test_outcomes_are_one_for_each_failure_or_none(codes):
    refused(encode(Ack(1, 0, 0, 0, column([]), column([1, 2]), column(codes, "u1"))), "outcomes for 2 failures")
    refused(encode(Ack(1, 0, 0, 0, column([5]), column([]), column(codes, "u1"))), "outcomes for 0 failures")


@pytest.mark.parametrize(
    ("reasons", "names", "why"),
    [
        ([0], b"no", "1 reasons for 2 failures"),
        ([0, 0, 0], b"no", "3 reasons for 2 failures"),
        ([], b"no", "0 reasons for 2 failures"),
        ([0, 1], b"no", "reason 1 of 1"),
        ([0, 255], b"a\nb", "reason 255 of 2"),
        ([0, 0], b"\xff", "not UTF-8"),
        ([0, 0], b"x" * 65, "of 64 printable characters"),
        ([0, 0], b"a\x1b[2J", "of 64 printable characters"),
        ([0, 0], b"\n" * 17, "at most 17"),
        ([0, 0], b"x" * 5_000, "names of reasons of 5000 bytes"),
    ],
)
def test_reasons_that_name_nothing_or_anything_are_refused(reasons, names, why):
    codes = column([], "u1")
    ack = Ack(1, 0, 0, 0, column([]), column([1, 2]), codes, column(reasons, "u1"), np.frombuffer(names, "u1"))
    refused(encode(ack), why)


@pytest.mark.parametrize(
    ("counts", "times", "why"),
    [
        ((0, 0, 0), [], "0 receipts"),
        ((2, 1, 2), [0.0] * 2, "1 seqs for 2"),
        ((2, 2, 3), [0.0] * 2, "3 outcomes for 2"),
        ((2, 2, 2), [0.0], "1 took for 2"),
        ((1, 1, 1), [float("nan")], "times of receipts"),
        ((1, 1, 1), [float("inf")], "times of receipts"),
        ((1, 1, 1), [-1e10], "times of receipts"),
    ],
)
def test_receipts_whose_columns_disagree_are_refused(counts, times, why):
    producers, seqs, outcomes = counts
    frame = Receipt(
        1, column([1] * producers, "<u8"), column([1] * seqs, "<u8"), column([0] * outcomes, "u1"), column(times, "<f4")
    )
    refused(encode(frame), why)


@pytest.mark.parametrize(
    ("lengths", "octets", "outcomes", "why"),
    [
        ([1, 2], 2, 2, "ids of 3 bytes in all"),
        ([1, 2], 4, 2, "but 4 bytes of ids"),
        ([0, 2], 2, 2, "none of them empty"),
        ([1, 2], 3, 1, "1 outcomes for 2"),
        ([], 0, 1, "1 outcomes for 0"),
        ([1] * (MAX_BATCH_MESSAGES + 1), MAX_BATCH_MESSAGES + 1, MAX_BATCH_MESSAGES + 1, "65537 receipts"),
    ],
)
def test_strays_whose_columns_disagree_are_refused(lengths, octets, outcomes, why):
    frame = Stray(1, 2, 3, 4, column(lengths, "u1"), column([49] * octets, "u1"), column([0] * outcomes, "u1"))
    refused(encode(frame), why)


def whole_batch(**columns: bytes) -> bytes:
    values = {"offsets": b"", "recipients": bytes(16), "lengths": b"\1\0\2\0", "text": b"abc", **columns}
    return msgpack.packb([2, 1, 1, 1, 0, 0, 0.0, 0.0, *values.values()])


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"lengths": b"", "recipients": b"", "text": b""}, "a batch of 0 messages"),
        ({"recipients": bytes(8)}, "1 recipients for 2 texts"),
        ({"recipients": bytes(24)}, "3 recipients for 2 texts"),
        ({"offsets": bytes(4)}, "1 offsets for 2 messages"),
        ({"offsets": bytes(12)}, "3 offsets for 2 messages"),
        ({"offsets": bytes(8)}, "offsets: not strictly ascending"),
        ({"text": b"ab"}, "texts of 3 bytes in all, but 2"),
        ({"text": b"abcd"}, "texts of 3 bytes in all, but 4"),
        ({"lengths": b"\xff\xff\xff\xff"}, "texts of 131070 bytes"),
        ({"lengths": b"\1\0\2"}, "column 8 of 3 bytes is no uint16"),
        ({"recipients": bytes(15)}, "column 7 of 15 bytes is no uint64"),
        ({"offsets": bytes(7)}, "column 6 of 7 bytes is no uint32"),
    ],
)
def test_a_batch_whose_columns_disagree_is_refused(columns, why):
    assert len(decode(whole_batch())) == 2
    refused(whole_batch(**columns), why)


def test_a_batch_of_too_many_messages_is_refused():
    refused(encode(batch(MAX_BATCH_MESSAGES + 1)), "a batch of 65537 messages")


@pytest.mark.parametrize("other", ["text", None, 5, [1, 2], {"a": 1}])
@pytest.mark.parametrize("index", [6, 7, 8, 9])
def test_a_column_that_is_not_bytes_is_refused(other, index):
    whole = elements(batch(3))
    whole[2 + index] = other
    refused(msgpack.packb(whole), f"column {index} is .*, not bin")


def test_a_large_frame_with_a_column_that_is_no_bin32_is_refused():
    whole = elements(LARGE[0])
    data = msgpack.packb(whole)  # which writes these columns as bin16
    assert len(data) > SMALL_FRAME
    refused(data, "a column is no bin32")


# -- what would grow or go deep --------------------------------------------------------------------------------


def peak_of(data: bytes) -> int:
    """Bytes of memory that refusing it took at most."""
    tracemalloc.start()
    try:
        refused(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


HUGE = [b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xd9\xff",
        b"\xda\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc4\xff", b"\xc5\xff\xff", b"\xc6\xff\xff\xff\xff",
        b"\xc7\xff\1", b"\xc8\xff\xff\1", b"\xc9\xff\xff\xff\xff\1"]  # fmt: skip


@pytest.mark.parametrize("huge", HUGE, ids=bytes.hex)
@pytest.mark.parametrize("before", [b"", b"\x93\x02\x0a", b"\x93\x02\x14\x81\xa1a", b"\xdc\x00\x0c\x02\x01", b"\x93"])
@pytest.mark.parametrize("size", [0, 3_000])
def test_a_huge_declared_length_costs_nothing(huge, before, size):
    assert peak_of(before + huge + bytes(size)) < 256 * 1024


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 10**6, 4_000])
def test_a_column_longer_than_its_frame_is_refused(length):
    whole = bytearray(encode(batch(400)))
    at = whole.index(b"\xc6\x00\x00\x0c\x80")  # 400 recipients
    whole[at + 1 : at + 5] = length.to_bytes(4, "big")
    assert peak_of(bytes(whole)) < 256 * 1024


@pytest.mark.parametrize("depth", [10, 500, 990, 1_000, 1_010, 1_030, 100_000])
@pytest.mark.parametrize("open_one", [b"\x91", b"\x81\xa1a", b"\xdc\x00\x01"], ids=["array", "map", "array16"])
def test_deep_nesting_is_refused_or_read_but_overflows_nothing(depth, open_one):
    deep = open_one * depth + b"\xc0"
    for data in (deep, b"\x93\x02\x0a" + deep, b"\x93" + deep, b"\x93\x02" + deep, b"\x93\x02\x0c" + deep):
        refused(data)
    try_decode(b"\x93\x02\x14\x81\xa1a" + deep)
    try_decode(b"\x93\x02\x16" + deep)


def test_containers_that_promise_much_and_hold_nothing_stay_small():
    """An array of 4,096 costs 32 KiB from the moment its header is read; 680 headers fit into a small frame."""
    assert peak_of(b"\x93\x02\x14\x81\xa1a" + b"\xdc\x10\x00" * 680) < 32 * 2**20


def test_a_frame_of_nothing_but_tiny_containers_is_refused_unread():
    """A byte that says "an empty map" costs 72 bytes of memory: 16 MiB of them would take more than 1 GiB."""
    row = b"\xdc\x10\x00" + b"\x80" * 4_096
    for head in (b"\x93\x02\x14\x81\xa1a", b"\x93\x02\x16\x81\xa1a", b"\x93\x02\x15", b"\x93\x02\x0a"):
        data = head + b"\xdc\x01\x00" + row * 256
        assert 2**20 < len(data) < 2 * 2**20
        assert peak_of(data) < 256 * 1024


def test_too_many_items_in_one_map_or_array_are_refused():
    refused(encode(Answer(0, {"a": [0] * 4_097})), "max_array_len")
    refused(encode(Answer(0, dict.fromkeys(map(str, range(4_097)), 0))), "max_map_len")


def test_an_oversized_frame_is_refused_unread():
    refused(bytes(MAX_FRAME_BYTES + 1), "over 16777216")


@pytest.mark.parametrize(
    "value", [msgpack.ExtType(5, b""), msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 5)], ids=["empty", "ext", "time"]
)
def test_extension_types_are_refused_wherever_they_stand(value):
    for whole in ([2, 10, value], [2, value, 1], [2, 20, {"a": value}], [2, 20, {"a": [value]}], value):
        refused(msgpack.packb(whole))


def test_keys_of_a_map_are_strings():
    for key in (1, None, 1.5, True):
        refused(msgpack.packb([2, 20, {key: 1}]), "not allowed for map key")


def test_strings_are_utf8_and_bounded():
    refused(b"\x95\x02\x0c\x01\xc2\xa2\xff\xfe", "utf-8")
    refused(b"\x95\x02\x0c\x01\xc2\xa3\xed\xa0\x80", "utf-8")  # half a surrogate pair
    refused(encode(Refused(1, False, "x" * 1_025)), "Refused: field 2")
    refused(encode(Ask("x" * 5_000)))
    assert decode(encode(Refused(1, False, "é" * 1_024))) == Refused(1, False, "é" * 1_024)


def test_a_peer_s_value_is_shown_short():
    for value in ("x" * 1_000, b"x" * 1_000, [["x" * 900] * 2], {"x" * 900: 1}, 2**64 - 1):
        with pytest.raises(WireError) as caught:
            decode(msgpack.packb([2, 9, 1, value, 0, False, 0.0, "not seconds"]))
        assert len(str(caught.value)) < 80


# -- many ------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(30 + FUZZ_INPUTS // 2_000)
def test_mutated_frames_are_frames_or_refused_and_leave_nothing_behind():
    rng = random.Random(FUZZ_INPUTS)
    for _ in range(500):  # whatever is made once is made now
        try_decode(mutated(rng, SEEDS))
    gc.collect()
    before, taken, slowest = sys.getallocatedblocks(), 0, 0.0
    for _ in range(FUZZ_INPUTS):
        data = mutated(rng, SEEDS)
        began = time.thread_time()
        taken += try_decode(data)
        slowest = max(slowest, time.thread_time() - began)
    gc.collect()
    assert sys.getallocatedblocks() - before < 500
    assert slowest < 1
    assert FUZZ_INPUTS * 0.02 < taken < FUZZ_INPUTS * 0.5  # near enough to right to reach every check


@given(st.data())
def test_a_part_of_a_batch_is_written_as_its_slice(data):
    count = data.draw(st.integers(1, 90))
    rows = [(f"+{number + 1}", "x" * data.draw(st.integers(0, 30))) for number in range(count)]
    whole = Batch.of(
        rows, producer=3, epoch=4, number=5, first=6, due=1_000.0, step=data.draw(st.sampled_from([0.0, 0.5]))
    )
    begin = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(begin + 1, count))
    part, cut = decode(encode_part(whole, begin, end)), whole.slice(begin, end)
    assert list(part.messages()) == list(cut.messages())
    for name in ("producer", "epoch", "number", "first", "due", "step"):
        assert getattr(part, name) == getattr(cut, name), name


def test_a_base_that_can_not_be_counted_on_is_refused_in_the_short_form_too():
    frame = bytearray(encode(Ack(1, 2, 3, 7, column([0]), column([]), column([], "u1"))))
    place = frame.rindex((7).to_bytes(8, "big"))
    frame[place : place + 8] = (2**62).to_bytes(8, "big")
    with pytest.raises(WireError):
        decode(bytes(frame))
