from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.core.making import make_account
from zsms.core.broker.lot import Lot, alike, gather, mixed_lot
from zsms.core.broker.records import Records, collect, width_of
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
    )
)
def test_records_are_the_messages_that_they_were_made_of(lots):
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
    found = {}
    for own, widest, records in collect(parts):
        places = np.arange(len(expected))[own].tolist()
        assert widest == int(width_of(np.array([records.text.shape[1]]))[0])
        backwards = records.take(np.arange(len(records))[::-1])
        both = Records.join([backwards.take(np.arange(len(records))[::-1]), records])
        twice = told(both.mixed(SOURCES))
        assert twice[: len(records)] == twice[len(records) :] == told(records.mixed(SOURCES))
        found |= dict(zip(places, twice, strict=False))
    assert [found[place] for place in range(len(expected))] == expected


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
