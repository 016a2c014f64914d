"""When so many messages had been sent."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.broker.journal import AccountRow, Stored
from zsms.core.broker.replay import rebuild
from zsms.stats.reach import MAX_REACH_BYTES, MOST_STEPS, SHARES, STEP_S, Part, Reach, merged_times


def of(times: list[float]) -> Reach:
    reach = Reach()
    for at in times:
        reach.add(1, at)
    return reach


@given(st.lists(st.floats(0, 400), min_size=1, max_size=300), st.integers(0, 50))
def test_a_share_is_reached_within_ten_milliseconds_of_the_message_that_completes_it(
    times: list[float], missing: int
) -> None:
    times = sorted(times)
    messages = len(times) + missing
    found = of(times).times(messages)
    for name, share in SHARES.items():
        number = math.ceil(round(messages * share, 6))
        if number > len(times):
            assert found[name] is None
        else:
            exact = times[number - 1]
            told = found[name]
            assert told is not None and exact - 1e-9 <= told <= exact + STEP_S + 1e-9


def test_hours_are_as_exact_and_hold_little() -> None:
    rng = np.random.default_rng(1)
    reach, all_ = Reach(), np.sort(rng.uniform(0, 7_200, 100_000))
    for at in all_.tolist():
        reach.add(1, at)
    found = reach.times(100_000)
    for name, share in SHARES.items():
        assert found[name] == pytest.approx(all_[math.ceil(share * 100_000) - 1], abs=0.0101)
    assert reach.nbytes < 16 * 2 * 7_200 / STEP_S


def test_nothing_sent_reaches_nobody() -> None:
    assert set(Reach().times(0).values()) == set(Reach().times(5).values()) == {None}


def test_what_was_sent_before_a_restart_has_no_time_that_is_known() -> None:
    reach = Reach(600)
    for step in range(400):
        reach.add(1, 100 + step * STEP_S)
    found = reach.times(1_000)
    assert found["p50"] is None, "it was reached before, and nobody knows when"
    assert found["p90"] == pytest.approx(103.0) and found["p100"] == pytest.approx(104.0)


@pytest.mark.parametrize("gap", [1.0, 3_600.0])
def test_days_of_a_message_now_and_then_stay_small_and_nearly_exact(gap: float) -> None:
    reach = Reach()
    for number in range(2_000):
        reach.add(1, number * gap)
    end = 2_000 * gap
    reach.add(1_000, end)
    assert reach.nbytes <= 8 * MOST_STEPS
    found = reach.times(3_000)
    assert found["p50"] == pytest.approx(1_499 * gap, abs=2 * reach.step_s)
    assert found["p100"] == pytest.approx(end, abs=2 * reach.step_s)
    assert reach.step_s <= max(STEP_S, end / MOST_STEPS * 4)


def test_a_broker_that_goes_on_from_its_journal_does_not_tell_when_earlier_messages_were_sent() -> None:
    accounts = [AccountRow(1, 1, "p", 10, accepted=1_000, sent=900, failed=0, dead=100)]
    core = rebuild(Stored(accounts=accounts, entries=[], changes=[], letters=[], books={}))
    assert core.progress.reach.sent == 900 and set(core.progress.reach.times(1_000).values()) == {None}


@given(
    st.lists(st.lists(st.floats(0, 300), min_size=1, max_size=80), min_size=2, max_size=4),
    st.lists(st.floats(0, 60), min_size=4, max_size=4),
    st.integers(0, 20),
)
def test_brokers_together_reach_a_share_within_ten_milliseconds_too(
    times: list[list[float]], origins: list[float], missing: int
) -> None:
    parts = [Part.of_wire(of(sorted(own)).to_wire(), origin) for own, origin in zip(times, origins, strict=False)]
    all_ = sorted(origin + at for own, origin in zip(times, origins, strict=False) for at in own)
    messages = len(all_) + missing
    for name, told in merged_times(parts, messages).items():
        number = math.ceil(round(messages * SHARES[name], 6))
        if number > len(all_):
            assert told is None
        else:
            exact = all_[number - 1]
            assert told is not None and exact - 0.006 <= told <= exact + STEP_S + 0.006  # it is rounded


def test_counts_on_the_wire_are_small_and_what_is_no_counts_is_refused() -> None:
    rng = np.random.default_rng(3)
    reach = Reach()
    for at, count in zip(np.arange(0, 2_000, STEP_S).tolist(), rng.integers(1, 2**31, 200_000).tolist(), strict=True):
        reach.add(count, at)
    wire = reach.to_wire()
    assert len(wire["n"]) <= MAX_REACH_BYTES and wire["step_s"] > STEP_S
    part = Part.of_wire(wire, 0.0)
    assert int(part.counts.sum()) == reach.sent
    for bad in (None, {}, {**wire, "n": b"nonsense"}, {**wire, "step_s": 0.0}, {**wire, "first": -1}, {**wire, "n": 5}):
        with pytest.raises(ValueError, match="no counts of reach"):
            Part.of_wire(bad, 0.0)
    bomb = {**wire, "n": zlib.compress(bytes(8 * MOST_STEPS + 8))}
    with pytest.raises(ValueError, match="out of all bounds"):
        Part.of_wire(bomb, 0.0)
