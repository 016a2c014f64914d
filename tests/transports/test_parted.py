"""A message in parts of which each has a receipt: delivered with the last, failed with the first that failed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.sender import Waiting
from zsms.core.smpp.outstanding import FORM_S
from zsms.core.smpp.receipts import NOT_YET
from zsms.core.smpp.statuses import SENT
from zsms.core.smpp.strings import Strings
from zsms.message import Batch, Delivery
from zsms.transports.smpp.load import Load
from zsms.transports.smpp.parted import Parted
from zsms.transports.smpp.receipts import Awaited
from zsms.transports.smpp.settings import SmppSettings

GOOD, UNDELIVERED, EXPIRED = (each.value for each in (Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.EXPIRED))


@given(st.lists(st.integers(2, 5), min_size=1, max_size=12), st.data())
def test_the_columns_are_a_dictionary(parts: list[int], data: st.DataObject) -> None:
    parted = Parted()
    for round_ in range(2):  # rows are used again
        seqs = np.arange(100, 100 + len(parts), dtype=np.uint64)
        names = parted.add(np.full(len(parts), 3, np.uint32), seqs, np.array(parts), float(round_))
        receipts = data.draw(st.permutations([n for n, count in enumerate(parts) for _ in range(count)]))
        said = [data.draw(st.sampled_from([GOOD, GOOD, GOOD, UNDELIVERED, EXPIRED])) for _ in receipts]
        left, told = dict(enumerate(parts)), {}
        while receipts:
            cut = data.draw(st.integers(1, len(receipts)))
            now, receipts = receipts[:cut], receipts[cut:]
            outcome, said = said[:cut], said[cut:]
            right = {}
            for number, code in zip(now, outcome, strict=True):
                left[number] -= 1
                if number not in told and (code != GOOD or not left[number]):
                    told[number] = right[number] = code
            found = parted.received(names[now], np.array(outcome, np.uint8))
            decided = {int(seq) - 100: outcome[at] for seq, at in zip(found.seqs, found.receipts, strict=True)}
            assert decided == right and len(found.seqs) == len(right) and (found.sources == 3).all()
        assert len(told) == len(parts) and len(parted) == 0
        assert not len(parted.received(names, np.full(len(parts), UNDELIVERED, np.uint8)).seqs), "of long ago"


def test_what_is_too_old_is_forgotten() -> None:
    parted = Parted()
    old = parted.add(np.zeros(1, np.uint32), np.ones(1, np.uint64), np.array([2]), 1.0)
    parted.add(np.zeros(1, np.uint32), np.ones(1, np.uint64), np.array([2]), 5.0)
    parted.forget(2.0)
    assert len(parted) == 1 and not len(parted.received(old, np.array([UNDELIVERED], np.uint8)).seqs)


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["DELIVRD", "DELIVRD", "DELIVRD"], GOOD),
        (["DELIVRD", "DELIVRD", "UNDELIV"], UNDELIVERED),
        (["DELIVRD", "EXPIRED", "DELIVRD"], EXPIRED),
        (["EXPIRED", "UNDELIV", "DELIVRD"], EXPIRED),
    ],
)
def test_a_later_part_that_fails_fails_its_message(words: list[str], right: int) -> None:
    awaited = Awaited(60.0, every_part=True)
    batch = Batch.of([("+447700900000", "x" * 400), ("+447700900001", "short")], producer=7, first=1_000, due=0.0)
    settings = SmppSettings("127.0.0.1", receipts="each")
    load = Load(
        1, Waiting(0, batch, 0.0, 0.0, 1, 1), awaited.sources_of(batch), settings=settings, reference=0, now=0.0
    )
    rows = np.arange(4)
    for row in rows:  # answered one by one
        ids = Strings.of([b"%d" % (11 + row)])
        awaited.accepted(load, rows[row : row + 1], np.array([SENT], np.uint8), ids=ids, now=1.0)
    codes = {"DELIVRD": GOOD, "UNDELIV": UNDELIVERED, "EXPIRED": EXPIRED}
    told = []
    for row, word in enumerate([*words, "DELIVRD"]):
        awaited.match(Strings.of([b"%d" % (11 + row)]), np.array([codes[word]], np.uint8), 2.0)
        awaited.decide(2.0 + FORM_S)
        if (found := awaited.drain()) is not None:
            told += zip(found.producers.tolist(), found.seqs.tolist(), found.outcomes.tolist(), strict=True)
    assert sorted(told) == [(7, 1_000, right), (7, 1_001, GOOD)]
    assert NOT_YET not in codes.values() and len(awaited.outstanding) == 0
