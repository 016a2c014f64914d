"""`core.broker.waiting`: each message comes out half a tick before the tick ends that it is due in."""

from __future__ import annotations

from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.core.making import make_account
from zsms.core.broker.lot import Lot, gather
from zsms.core.broker.waiting import Waiting
from zsms.message import Batch, Mixed

SOURCES = [make_account(0), make_account(1)]
TICK, EARLY = 0.5, 0.25
TIMES = st.one_of(st.floats(0, 40), st.floats(0, 3_000), st.floats(0, 200_000))


def put(waiting: Waiting, first: int, times: list[float], now: float) -> None:
    batch = Batch.of([("+13705550100", "x" * (n % 20)) for n in range(len(times))], producer=1, epoch=1, first=first)
    mixed = gather([(Lot(batch, SOURCES[1], 0.0, 1), np.arange(len(times)))], SOURCES)
    mixed.rows["queued"] = times
    ticks, order = waiting.ticks(mixed.rows["queued"], now)
    waiting.put(mixed.take(order), ticks[order])


def seqs(parts: list[Mixed]) -> list[int]:
    return sorted(message.id.seq for part in parts for message in part.messages())


@given(st.lists(st.tuples(st.lists(TIMES, min_size=1, max_size=30), TIMES), min_size=1, max_size=6))
def test_each_comes_out_when_its_tick_is_half_over(puts: list[tuple[list[float], float]]) -> None:
    waiting, now, known, out = Waiting(TICK, EARLY), 0.0, {}, []
    for times, later in puts:
        put(waiting, len(known), times, now)
        for at in times:
            known[len(known)] = now if at <= now else (floor(at / TICK) + 1) * TICK - EARLY
        now += later
        assert waiting.next_time() <= min(due for seq, due in known.items() if seq not in out)
        waiting.poll(now)
        found = seqs(waiting.due())
        assert found == [seq for seq, due in known.items() if due <= now and seq not in out]
        out += found
    assert seqs(waiting.everything()) == [seq for seq in known if seq not in out]
    assert (waiting.nbytes > 0) == (len(out) < len(known))
