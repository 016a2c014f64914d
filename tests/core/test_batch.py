"""A batch divides like a plain list of messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsms.message import Batch, Message, MessageId

ROWS = st.lists(st.tuples(st.integers(1, 10**15 - 1), st.text(max_size=4)), min_size=1, max_size=12)


def listed(batch: Batch) -> list[tuple[int, float, str, str]]:
    """(number, due, recipient, text) of each message."""
    offsets = np.arange(len(batch)) if batch.offsets is None else batch.offsets
    dues = (batch.due + offsets * batch.step).tolist()
    assert batch.seqs.tolist() == [message.id.seq for message in batch.messages()]
    return [(m.id.seq, due, m.recipient, m.text) for m, due in zip(batch.messages(), dues, strict=True)]


@settings(max_examples=200)
@given(ROWS, st.integers(0, 2**60), st.data())
def test_parts_of_parts_are_the_same_messages_as_parts_of_a_list(rows, first, data):
    batch = Batch.of([(f"+{number}", text) for number, text in rows], first=first, due=1_000.0, step=0.25)
    plain = [(first + i, 1_000.0 + i * 0.25, f"+{number}", text) for i, (number, text) in enumerate(rows)]
    assert listed(batch) == plain
    for cut in data.draw(st.lists(st.booleans(), min_size=1, max_size=4)):
        if cut:
            begin = data.draw(st.integers(0, len(plain)))
            end = data.draw(st.integers(begin, len(plain)))
            batch, plain = batch.slice(begin, end), plain[begin:end]
        else:
            chosen = sorted(data.draw(st.sets(st.integers(0, len(plain) - 1)))) if plain else []
            batch, plain = batch.take(np.array(chosen, dtype=np.int64)), [plain[i] for i in chosen]
        assert listed(batch) == plain


def test_a_slice_shares_memory_and_a_take_lets_it_go():
    batch = Batch.of([("+1", "one"), ("+2", "two"), ("+3", "three")])
    assert batch.slice(0, 3) is batch
    part, taken = batch.slice(1, 3), batch.take(np.array([1, 2]))
    for name in ("recipients", "lengths", "text"):
        assert np.shares_memory(getattr(part, name), getattr(batch, name))
        assert not np.shares_memory(getattr(taken, name), getattr(batch, name))
    assert batch.nbytes == 3 * 8 + 3 * 2 + 11
    assert taken.nbytes == 2 * 8 + 2 * 2 + 8 + 2 * 4  # it carries its offsets


def test_only_a_whole_batch_keeps_its_encoded_frame():
    batch = Batch.of([("+1", "one"), ("+2", "two")])
    batch.frame = b"both messages"
    assert batch.slice(0, 1).frame is None and batch.take(np.array([0])).frame is None


def test_a_message_carries_its_history_and_its_text_survives_bad_utf8():
    batch = Batch.of([("+4917012345", "ab")], producer=3, epoch=5, first=7)
    batch.text = np.frombuffer(b"a\xff", dtype=np.uint8)
    message = Message(MessageId(3, 5, 7), "+4917012345", "a\ufffd", attempt=2, delivery=4)
    assert list(batch.messages(2, 4)) == [message]


def test_a_text_that_is_too_long_for_a_length_is_refused():
    with pytest.raises(OverflowError):
        Batch.of([("+1", "x" * 65_536)])
