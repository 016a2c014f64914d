"""Messages that are taken bit by bit go out as those that are taken at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.outcomes import Finished
from zsms.core.sender import Waiting
from zsms.core.smpp.statuses import SENT
from zsms.message import Batch
from zsms.transports.smpp.receipts import Awaited
from zsms.transports.smpp.settings import SmppSettings
from zsms.transports.smpp.settling import Results, Settling

TEXTS = st.sampled_from(["short", "x" * 200, "€" * 100, "umlaut ä", "", "y" * 500])


def grant(texts: list[str], handle: int) -> Waiting:
    rows = [(f"+4477009{place:05}", text) for place, text in enumerate(texts)]
    return Waiting(handle, Batch.of(rows, producer=7, first=1_000, due=5.0, step=0.25), 0.0, 0.0, 1, 1)


def sent(settling: Settling, parts: list[Waiting]) -> tuple[bytes, list[Finished]]:
    """The PDUs of these, numbered from 1, and what is told of them."""
    awaited, octets, told = Awaited(0.0, False), [], []
    first = 1
    for part in parts:
        for load, rows in settling.take(part, awaited.sources_of, 9.0):
            sequence = np.arange(first, first + len(rows), dtype=np.uint32)
            octets += [each.tobytes() for each in load.pdus.numbered(rows, sequence, [len(rows)])]
            load.began(rows, 9.0)
            first += len(rows)
            results = Results(
                np.full(len(rows), SENT, np.uint8), np.zeros(len(rows), np.uint32), np.zeros(len(rows), np.float32)
            )
            for own, segments, places in settling.groups(load.handles(rows)):
                settling.settle(own, segments, results.take(places), 10.0)
        done = settling.finished()
        assert done is not None
        told.append(done)
    return b"".join(octets), told


@given(st.lists(TEXTS, min_size=1, max_size=60), st.data())
def test_bit_by_bit_is_as_at_once(texts: list[str], data: st.DataObject) -> None:
    settings = SmppSettings("127.0.0.1", registered_delivery=0)
    whole, bits = (Settling(settings, np.random.default_rng(1)) for _ in range(2))
    parts, left = [], grant(texts, 500)
    while True:
        size = len(left.batch)
        cut = data.draw(st.integers(1, min(size, 8)))
        parts.append(left if cut == size else left.part(0, cut))
        if cut == size:
            break
        left = left.part(cut, size)
    octets, told = sent(bits, parts)
    right, at_once = sent(whole, [grant(texts, 500)])
    assert octets == right
    assert (
        np.concatenate([each.sent for each in told]).tolist()
        == at_once[0].sent.tolist()
        == [*range(500, 500 + len(texts))]
    )
    assert bits.busy == 0 and len(bits) == len(whole) == 0
    assert bits.times.total.count == whole.times.total.count == len(texts)
    assert abs(bits.times.total.sum - whole.times.total.sum) < 1e-3 * len(texts)


def test_what_is_left_of_a_grant_is_not_kept_for_long() -> None:
    settling = Settling(SmppSettings("127.0.0.1", registered_delivery=0), np.random.default_rng(1))
    for number in range(40):
        sent(settling, [grant(["a", "b", "c", "d"], 500 + 10 * number).part(0, 2)])
    assert settling.busy == 0 and len(settling) <= 4


def test_what_others_were_given_meanwhile_is_in_no_histogram() -> None:
    settling = Settling(SmppSettings("127.0.0.1", registered_delivery=0), np.random.default_rng(1))
    settling.times.ours = lambda handles: handles >= 503
    _, (done,) = sent(settling, [grant(["x"] * 10, 500)])
    assert len(done.sent) == 10, "they are acknowledged all the same"
    times = settling.times
    assert (times.send.count, times.total.count, times.given_away) == (7, 7, 3)
