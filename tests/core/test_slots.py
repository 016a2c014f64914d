from __future__ import annotations

import numpy as np
import pytest

from zsms.core.sender.slots import SEEN_WITHIN_S, Slots, auto_tick, coarse
from zsms.errors import UsageError
from zsms.message import Outcome
from zsms.stats.delay import DelayModel

SECOND = DelayModel("constant", mean=1.0)


def handles(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


def run(slots: Slots, now: float = 0.0) -> tuple[set[int], set[int]]:
    """Let everything finish on time; the handles sent and failed."""
    sent: list[int] = []
    failed: list[int] = []
    while (at := slots.next_time()) is not None:
        assert at >= now
        done = slots.advance(at)
        assert done is not None and len(done) == len(done.sent) + len(done.failed) > 0
        sent += done.sent.tolist()
        failed += done.failed.tolist()
    assert len(set(sent + failed)) == len(sent + failed)
    return set(sent), set(failed)


def test_a_slot_is_busy_for_as_long_as_it_sleeps_and_then_free_again():
    slots = Slots(3, SECOND, tick=0.001)
    slots.start(handles(7, 8), 0.0, 100.0)
    assert (slots.busy, slots.free) == (2, 1)
    assert slots.advance(100.99) is None
    slots.start(handles(9), 0.0, 100.5)
    with pytest.raises(ValueError, match="1 messages for 0 free slots"):
        slots.start(handles(10), 0.0, 100.5)
    done = slots.advance(101.001)
    assert done is not None and done.sent.tolist() == [7, 8] and not len(done.failed)
    assert (slots.busy, slots.free) == (1, 2)
    assert run(slots) == ({9}, set())


def test_each_message_is_sent_once_and_failures_are_drawn_at_their_rate():
    slots = Slots(20_000, DelayModel("normal", 1.0, 0.5), failure_rate=0.3, seed=4)
    big = np.arange(20_000, dtype=np.uint64) | np.uint64(0xFFFF << 48)
    slots.start(big, 0.0, 5.0)
    sent, failed = run(slots)
    assert sent | failed == set(big.tolist())
    assert abs(len(failed) / 20_000 - 0.3) < 0.02
    assert slots.times.send.count == 20_000


def test_a_send_that_takes_no_time_can_fail_too():
    slots = Slots(5, DelayModel("constant", 0.0), failure_rate=1.0)
    slots.start(handles(1, 2), 0.0, 3.25)
    done = slots.advance(3.25)
    assert done is not None and done.failed.tolist() == [1, 2] and not len(done.sent)


def test_times_are_measured_not_assumed():
    slots = Slots(10, SECOND, tick=0.001)
    slots.start(handles(1, 2), np.array([0.5, 2.5], dtype=np.float32), 10.0)
    assert len(slots.advance(13.0) or ()) == 2  # two seconds late
    times = slots.times
    assert times.asked == pytest.approx(2.0)
    assert times.send.mean == pytest.approx(3.0)
    assert times.error.mean == pytest.approx(2.0)
    assert times.total.mean == pytest.approx(3.0 + 1.5) and times.total.max == pytest.approx(5.5)


def test_on_time_a_sleep_is_off_by_a_tick_at_most():
    slots = Slots(5_000, DelayModel("exponential", 0.2), failure_rate=0.5, tick=0.01, seed=1)
    slots.start(np.arange(5_000, dtype=np.uint64), 0.0, 77.123)
    run(slots)
    assert 0 < slots.times.error.max <= 0.01 + 1e-5
    assert slots.times.send.mean == pytest.approx(slots.times.asked / 5_000, abs=2e-4)


def test_a_sleep_that_ends_early_is_as_much_in_error_as_one_that_ends_late():
    slots = Slots(5_000, DelayModel("exponential", 0.2), tick=0.01, seed=1)
    slots.start(np.arange(5_000, dtype=np.uint64), 0.0, 77.123)
    run(slots)
    # A part f of a tick is rounded up with probability f, or it would be biased: off by 2 f (1 - f).
    # A third on average.
    assert slots.times.error.mean == pytest.approx(0.01 / 3, rel=0.05)


def test_the_tick_follows_the_mean_within_its_bounds():
    assert [auto_tick(mean) for mean in (0.0, 0.05, 0.2, 60.0)] == [0.001, 0.001, 0.002, 0.010]
    assert Slots(1, DelayModel(mean=0.2)).tick == 0.002


@pytest.mark.parametrize(
    ("concurrency", "options"),
    [(0, {}), (100_000_001, {})]
    + [(1, {"failure_rate": rate}) for rate in (-0.1, 1.1, float("nan"))]
    + [(1, {"tick": tick}) for tick in (0.0, 11.0, float("inf"))],
)
def test_what_can_not_be_is_refused(concurrency, options):
    with pytest.raises(UsageError):
        Slots(concurrency, SECOND, **options)


@pytest.mark.parametrize(
    ("delay", "tick"),
    [
        (DelayModel("constant", 0.0149), 0.01),
        (DelayModel("constant", 0.0151), 0.01),
        (DelayModel("constant", 0.0014), 0.001),
        (DelayModel("constant", 0.25), 0.1),
        (DelayModel("constant", 0.34), 0.1),
        (DelayModel("constant", 1e-4), 0.001),
        (DelayModel("normal", 0.05, 0.005), 0.1),
        (DelayModel("exponential", 0.001), 0.001),
        (DelayModel("normal", 1.0, 0.1), 0.01),
    ],
    ids=lambda value: f"{value.name} {value.mean}" if isinstance(value, DelayModel) else f"{value}",
)
def test_sends_take_as_long_as_they_should_whatever_the_tick(delay, tick):
    """A closed loop without lateness: every slot that is free begins again in the tick in which it ended."""
    count = 500
    slots = Slots(count, delay, tick=tick, seed=3)
    handles, now, sends, end = np.zeros(count, dtype=np.uint64), 1234.5, 0, 1234.5 + 100 * max(delay.mean, tick)
    slots.start(handles, 0.0, now)
    while (at := slots.next_time()) is not None and at < end:
        now = max(now, at)
        done = slots.advance(now)
        while done is not None:  # what takes no time at all ends at once
            sends += len(done)
            slots.start(handles[: len(done)], 0.0, now)
            done = slots.advance(now)
    assert slots.times.send.mean == pytest.approx(delay.mean, rel=0.01)
    assert sends * delay.mean / (count * (end - 1234.5)) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("delay", [SECOND, DelayModel("normal", 1.0, 0.01), DelayModel("exponential", 1.0)])
def test_slots_whose_ends_are_seen_late_lose_no_time_over_the_rounds(delay):
    """A busy machine looks up to 30 ms after the tick; messages are waiting, so a slot is never idle."""
    count, begin = 500, 50_000.4
    rng = np.random.default_rng(5)
    slots = Slots(count, delay, seed=3)
    handles, sends, now = np.zeros(count, dtype=np.uint64), 0, begin
    slots.start(handles, 0.0, begin)
    while now < begin + 40.0:
        at = slots.next_time()
        assert at is not None
        now = max(now, at) + 0.03 * rng.random()
        done = slots.advance(now)
        if done is not None:
            sends += len(done)
            slots.start(handles[: len(done)], 0.0, slots.free_since(len(done), begin, now))
    assert slots.worked(now) / (count * (now - begin)) == pytest.approx(1, abs=0.001)  # it was 0.985
    rounds = 40 if delay is SECOND else pytest.approx(now - begin, rel=0.02)
    assert sends / count == rounds
    assert slots.times.send.mean == pytest.approx(slots.times.asked / sends, abs=0.02)  # what is seen late shows once


def test_a_message_begins_when_its_slot_is_free_and_it_is_there():
    slots = Slots(4, SECOND, tick=0.01, seed=1)
    for number in range(3):
        slots.start(handles(number), 0.0, 5.0 + 0.1 * number)
    now = 6.19
    assert len(slots.advance(now) or ()) == 2
    assert slots.free_since(1, 6.0, now) == pytest.approx(
        6.09
    )  # the slots' ends are 6.0 and 6.1, and none was so long ago
    assert slots.free_since(1, 6.15, now) == pytest.approx(6.15)
    assert slots.free_since(1, 6.0, now) == now  # a slot that never was busy: it was taken at once
    slots.start(handles(1), 0.0, 7.0)
    assert slots.advance(12.0) is not None
    assert slots.free_since(1, 6.0, 12.0) == 12.0 - SEEN_WITHIN_S  # who was stopped for long has not sent meanwhile


def test_it_is_known_how_many_sends_end_soon():
    slots = Slots(100, SECOND, tick=0.01, seed=1)
    assert slots.ending(1e9) == 0
    slots.start(np.arange(70, dtype=np.uint64), 0.0, 3.005)
    slots.start(np.arange(30, dtype=np.uint64), 0.0, 3.505)
    assert [slots.ending(at) for at in (3.9, 4.02, 4.4, 4.52)] == [0, 70, 70, 100]
    assert len(slots.advance(4.02)) == 70 and slots.ending(4.02) == 0 and slots.ending(4.52) == 30


def test_a_coarse_tick_is_told():
    assert coarse(0.1, DelayModel("constant", 0.5)) and not coarse(0.1, DelayModel("constant", 1.0))
    assert coarse(None, DelayModel("constant", 0.005)) and not coarse(None, DelayModel("constant", 0.01))
    assert not coarse(0.1, DelayModel("constant", 0.0)), "what takes no time has no use for a tick"


def test_total_times_are_of_messages_whose_outcome_is_final():
    slots = Slots(10, DelayModel("constant", 1.0), failure_rate=1.0)
    ages = np.array([5.0] * 5 + [0.0] * 5, dtype=np.float32)
    slots.start(np.arange(10, dtype=np.uint64), ages, 0.0, np.array([True, False] * 5))
    slots.advance(1.01)
    assert slots.times.send.count == 10 and slots.times.total.count == 5
    assert slots.times.total.sum == pytest.approx(5 * 1.01 + 3 * 5.0)
    slots.start(np.arange(10, dtype=np.uint64), -1e-9, 2.0, True)  # due in a moment, by a clock that is a little off
    slots.advance(3.01)
    assert slots.times.total.count == 15 and slots.times.total.sum == pytest.approx(15 * 1.01 + 3 * 5.0)
    slots.start(np.arange(10, dtype=np.uint64), 3.0, 4.0, False)
    slots.advance(5.01)
    assert slots.times.total.count == 15


def test_sends_that_begin_can_be_made_slow_and_to_fail_and_back():
    slots = Slots(2_000, SECOND, tick=0.001, seed=1)
    slots.fail(1.0)
    slots.slower = 3.0
    slots.start(np.arange(1_000, dtype=np.uint64), 0.0, 0.0)
    slots.fail(0.0)
    slots.slower = 1.0
    slots.start(np.arange(1_000, 2_000, dtype=np.uint64), 0.0, 0.0)
    done = slots.advance(1.01)
    assert done is not None and len(done.sent) == 1_000 and not len(done.failed)
    assert slots.advance(2.9) is None
    late = slots.advance(3.01)
    assert late is not None and len(late.failed) == 1_000 and not len(late.sent)
    with pytest.raises(UsageError, match="failure rate 2"):
        slots.fail(2.0)


def test_sends_fail_in_kinds_and_only_refused_ones_are_final() -> None:
    slots = Slots(
        20_000, DelayModel("constant", 0.1), failure_rate=0.2, throttled_rate=0.1, permanent_rate=0.05, seed=1
    )
    slots.start(np.arange(20_000, dtype=np.uint64), 0.0, 5.0, last=False)
    done = slots.advance(6.0)
    assert done is not None
    counts = {kind: int((done.outcomes == kind.code).sum()) for kind in list(Outcome)[1:]}
    assert counts[Outcome.FAILED] == pytest.approx(4_000, rel=0.06)
    assert counts[Outcome.THROTTLED] == pytest.approx(2_000, rel=0.1)
    assert counts[Outcome.REJECTED] == pytest.approx(1_000, rel=0.12)
    assert len(done.sent) + sum(counts.values()) == 20_000
    assert slots.times.total.count == len(done.sent) + counts[Outcome.REJECTED]  # the others are sent again
    assert slots.times.send.mean == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("rates", [(0.5, 0.4, 0.2), (0.0, -0.1, 0.0), (0.0, 0.0, 1.1)])
def test_shares_of_failures_that_can_not_be_are_refused(rates: tuple[float, float, float]) -> None:
    failing, throttled, permanent = rates
    with pytest.raises(UsageError, match="rate"):
        Slots(1, DelayModel(), failure_rate=failing, throttled_rate=throttled, permanent_rate=permanent)
