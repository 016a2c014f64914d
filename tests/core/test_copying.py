from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.core.making import make_account
from zsms.core.broker import copying
from zsms.core.broker.copying import Copies
from zsms.core.broker.lot import Lot, alike, gather, mixed_lot
from zsms.core.broker.retries import Retries
from zsms.message import Batch, Mixed

SOURCES = [make_account(0), make_account(1)]
TEXTS = st.sampled_from(
    ["", "a", "eight by", "nine byte", "x" * 63, "y" * 64, "z" * 65, "w" * 300, "v" * 5_000, "ü" * 33]
)


def lot_of(texts: list[str], first: int, mixed: bool, attempt: int = 1) -> Lot:
    rows = [(f"+{9_000 + first + place}", text) for place, text in enumerate(texts)]
    lot = Lot(Batch.of(rows, producer=1, epoch=1, first=first, due=3.0, step=0.5), SOURCES[1], 7.0, attempt)
    if not mixed:
        return lot
    return mixed_lot(gather([(lot, np.arange(lot.size))], SOURCES))


def told(mixed: Mixed) -> list[tuple[object, ...]]:
    rows = mixed.rows.tolist()
    return [
        (message.id, message.recipient, message.text, row) for message, row in zip(mixed.messages(), rows, strict=True)
    ]


@given(
    st.lists(
        st.tuples(st.lists(TEXTS, min_size=1, max_size=12), st.booleans(), st.integers(0, 2**12 - 1)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([1, 5, copying.TOGETHER]),
    st.randoms(use_true_random=False),
)
def test_copies_are_the_messages_that_they_were_made_of_in_any_order(lots, together, random):
    parts = []
    for number, (texts, mixed, chosen) in enumerate(lots):
        positions = np.array([place for place in range(len(texts)) if chosen >> place & 1], dtype=np.int64)
        if len(positions):
            whole = lot_of(["begin", *texts], 100 * number, mixed)
            parts.append((whole.part(1, whole.size), positions))
    if not parts:
        return
    parts = sorted(parts, key=lambda part: not part[0].attempt)
    expected = told(gather(parts, SOURCES))
    order = np.array(random.sample(range(len(expected)), len(expected)))
    with patch.object(copying, "TOGETHER", together):
        found = list(Copies(parts, SOURCES).ordered(order))
    assert [len(mixed) for mixed in found[:-1]] == [together] * (len(found) - 1)
    assert [message for mixed in found for message in told(mixed)] == [expected[place] for place in order]
    for mixed in found:  # and behind each text zeros, for the wire
        assert mixed.text.tobytes() == b"".join(
            text.encode().ljust(-(-len(text.encode()) // 8) * 8, b"\0") for _, _, text, _ in told(mixed)
        )


def test_parts_of_one_batch_come_together_in_its_order():
    lot = lot_of(["a"] * 9, 0, mixed=False)
    other = lot_of(["b"] * 3, 9, mixed=True)
    parts = alike(
        [(other, np.array([2])), (lot.part(4, 9), np.array([0, 3])), (lot, np.array([1, 2])), (other, np.array([0]))]
    )
    assert [(part.attempt, positions.tolist()) for part, positions in parts] == [(1, [1, 2, 4, 7]), (0, [0, 2])]


def test_a_long_text_makes_no_others_long_while_they_wait():
    retries = Retries(base=60.0, cap=60.0, seed=1, sources=SOURCES)
    lot = replace(lot_of(["short"] * 4_000 + ["x" * 60_000], 0, mixed=False))
    retries.add(lot, np.arange(4_001), 0.0)
    retries.due(10.0)
    assert retries.messages < 4_001 and retries.nbytes < 4_001 * 64 + 70_000
    again = [row for each in retries.everything() for row in told(each.batch)]
    assert {len(text) for _, _, text, _ in again} <= {5, 60_000}
