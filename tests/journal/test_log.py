"""The log of records: what is read back is what was put, whatever was moved and cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.errors import JournalError
from zsms.journal import log as log_module
from zsms.journal.log import Content, Log, Row, pack_record, unpack_record

KEYS = st.integers(0, 7).map(lambda number: b"e%d" % number)
RECORDS = st.lists(st.tuples(st.dictionaries(KEYS, st.binary(max_size=20), max_size=4), st.sets(KEYS, max_size=4)))


@given(RECORDS, st.integers(1, 60), st.data())
def test_what_lives_is_read_back_though_the_front_is_moved_and_cut_off(
    records: list, copy: int, data: st.DataObject
) -> None:
    log, stream, first, model = Log(), [], 1, {}

    def append(rows: list[Row], gone: list[bytes]) -> None:
        payload = pack_record(rows, gone)
        stream.append(payload)
        log.append(len(stream), len(stream) + 1, len(payload), rows, gone)

    for puts, gone in records:
        for key in gone:
            model.pop(key, None)
        model |= puts
        append([Row(key, value, value[::-1]) for key, value in puts.items()], sorted(gone))
        if model and data.draw(st.booleans()):
            begin, end = log.oldest()
            assert end == begin + 1
            rows = unpack_record(stream[begin - 1], "it")[0]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(log_module, "COPY_BYTES", copy)
                moved = log.movable(begin, rows)
            assert moved, "nothing of the oldest record with a living row lives there"
            append(moved, [])
        first = max(first, log.floor())
        content = Content()
        for payload in stream[first - 1 :]:
            content.append(*unpack_record(payload, "it"))
        assert {key: bytes(row.head) for key, row in content.rows.items()} == model
        assert log.living == sum(Row(key, value, value).nbytes for key, value in model.items())


@given(st.binary(max_size=40), st.data())
def test_a_bit_that_flips_in_what_a_record_says_of_itself_is_seen(value: bytes, data: st.DataObject) -> None:
    whole = pack_record([Row(b"e1", value, b"frame")], [b"e2"])
    assert unpack_record(whole, "it") == ([Row(b"e1", value, b"frame")], [b"e2"])
    at = data.draw(st.integers(0, len(whole) - len(value) - 6))
    broken = bytearray(whole)
    broken[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(JournalError, match="it is damaged"):
        unpack_record(bytes(broken), "it")


@given(st.binary(max_size=40))
def test_nonsense_is_named(nonsense: bytes) -> None:
    with pytest.raises(JournalError, match="it is damaged"):
        unpack_record(nonsense, "it")
