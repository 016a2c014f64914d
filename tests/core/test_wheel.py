from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.sender.wheel import TimingWheel


def records(ids) -> np.ndarray:
    """Two words each, so that a mix-up of words or rows shows."""
    ids = np.asarray(ids, dtype=np.uint64)
    return np.stack([ids, ids + np.uint64(10**6)], axis=1)


def ids_of(out: np.ndarray | None) -> list[int]:
    if out is None:
        return []
    assert (out[:, 1] == out[:, 0] + np.uint64(10**6)).all()
    return out[:, 0].tolist()


STEPS = st.lists(
    st.tuples(
        st.floats(0, 3, width=32),  # time goes on by so much
        st.lists(st.one_of(st.just(0.0), st.floats(0, 5, width=32)), max_size=20),
    ),
    max_size=15,
)


@given(st.sampled_from([0.001, 0.003, 0.05, 1.0]), st.sampled_from([0.0, 7.7, 1e6 + 0.0004]), STEPS)
def test_every_record_comes_out_once_and_within_a_tick(tick, now, steps):
    wheel = TimingWheel(tick, width=2)
    asked: list[float] = []
    waiting: set[int] = set()
    slack = tick + 1e-6
    for forward, delays in [*steps, (10.0, [])]:
        now += forward
        out = ids_of(wheel.advance(now))
        assert len(set(out)) == len(out) and set(out) <= waiting
        waiting -= set(out)
        assert all(asked[i] <= now + slack for i in out)  # not too early
        assert all(asked[i] >= now - slack for i in waiting)  # not too late
        wheel.add(now, np.array(delays, dtype=np.float32), records(range(len(asked), len(asked) + len(delays))))
        waiting |= set(range(len(asked), len(asked) + len(delays)))
        asked += [now + delay for delay in delays]
        assert len(wheel) == len(waiting)
        at_once = {len(asked) - len(delays) + i for i, delay in enumerate(delays) if delay == 0}
        out = ids_of(wheel.advance(now))
        assert at_once <= set(out) and all(asked[i] <= now + slack for i in out)
        waiting -= set(out)
    assert not waiting and wheel.next_time() is None


@pytest.mark.parametrize("longest", [2.0, 1_000.0], ids=["sorted as one word", "argsorted"])
@pytest.mark.parametrize("now", [0.0, 123_456.7893])
def test_tens_of_thousands_are_on_time_on_average_and_in_order_within_a_tick(longest, now):
    rng = np.random.default_rng(1)
    tick, count = 0.003, 50_000
    delays = (rng.random(count) * longest).astype(np.float32)
    wheel = TimingWheel(tick, width=2)
    wheel.add(now, delays, records(range(count)))
    errors = np.full(count, np.nan)
    while (at := wheel.next_time()) is not None:
        out = ids_of(wheel.advance(at))
        assert out  # at `next_time` something is due: a caller under a virtual clock must not spin
        assert out == sorted(out)
        errors[out] = at - now - delays[out].astype(np.float64)
    assert np.abs(errors).max() <= tick + 1e-4
    assert abs(errors.mean()) < tick / 50


@pytest.mark.parametrize("tick", [0.001, 0.003, 0.005, 0.01])
def test_at_next_time_the_next_tick_has_begun(tick):
    wheel = TimingWheel(tick, width=2)
    for start in range(5_000):
        wheel.add(start * tick, np.array([tick], dtype=np.float32), records([start]))
        at = wheel.next_time()
        assert at is not None and ids_of(wheel.advance(at)) == [start]


def test_a_tick_must_be_positive():
    for tick in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="tick"):
            TimingWheel(tick, width=1)
