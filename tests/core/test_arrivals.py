"""The rate asked for against the rate reached, and the share of free slots that says how long arrivals wait."""

from __future__ import annotations

import pytest

from zsms.core.producer.pace import Pace, PoissonPace
from zsms.stats.arrivals import Asked, Rate, asked_of, rate_of, rate_warnings, reached_between
from zsms.stats.figures import ProducerFigures

LATE = {"mean": 0.006}


def rate(asked: float, *, took: float = 0.02, slots: int = 10, sends_each: float = 1.0) -> Rate:
    return rate_of(
        Asked(asked, 30.0),
        slots=slots,
        sends_each=sends_each,
        asked_s=0.02,
        took_s=took,
        late_s=dict(LATE),
        reached=(asked, 29.0),
    )


def test_what_was_asked_for_is_rate_times_time_also_where_it_was_changed() -> None:
    for pace in (Pace(100.0, 5.0), PoissonPace(100.0, 5.0, 1)):
        assert pace.expected(7.0) == pytest.approx(200.0)
        pace.change(300.0, 7.0)
        assert pace.expected(8.0) == pytest.approx(500.0)
        told = ProducerFigures(rate=300.0, arrivals=pace.expected(8.0), arrivals_s=8.0 - pace.began)
        assert asked_of([told] * 2) == Asked(pytest.approx(2 * 500 / 3), 3.0)
    assert asked_of([ProducerFigures(rate=50.0)]) == Asked(50.0, 0.0)  # nothing was due yet
    assert asked_of([], 450.0) == Asked(450.0, 0.0)
    assert asked_of([ProducerFigures(total=5.0)]) is None


def test_the_rate_reached_is_of_the_time_between() -> None:
    at = [0.25 * step for step in range(41)]
    settled = [int(min(450 * max(0.0, t - 0.02), 4_000)) for t in at]
    over = 0.02 + 4_000 / 450  # between two of the points
    assert reached_between(at, settled, 0.1, 8.8, over) == (pytest.approx(450, rel=1e-3), pytest.approx(8.55))
    assert (reached_between(at, settled, 0.1, 8.8)[0] or 0.0) < 449.5
    unknown = None, None
    assert reached_between(at, settled, 0.1, 0.5) == unknown  # too short
    assert reached_between(at, settled, 0.1, 11.0) == unknown  # not known to its end
    assert reached_between([], [], 0.0, 1.0) == unknown


def test_free_slots_are_those_that_sends_leave_and_lateness_eats_them() -> None:
    free = rate(450.0)
    assert (free.free_asked, free.free) == (pytest.approx(0.1), pytest.approx(0.1))
    assert not free.warnings()
    late = rate(450.0, took=0.0215)
    assert late.free == pytest.approx(0.0325)
    assert "7.5% longer than asked" in late.warnings()[0] and "3.3% of the slots' time free" in late.warnings()[0]
    assert "leaves no slots free" in rate(475.0, took=0.0215).warnings()[0]
    assert "only 4.0%" in rate(480.0).warnings()[0]
    assert "110% of the slots' time" in rate(550.0).warnings()[0]
    assert rate(300.0, sends_each=1.5).free_asked == pytest.approx(0.1)  # what is sent again takes slots too
    instant = rate_of(
        Asked(1e3, 9.0), slots=1, sends_each=1.0, asked_s=0.0, took_s=0.4e-3, late_s={}, reached=(None, None)
    )
    assert instant.free == pytest.approx(0.6) and not instant.warnings()
    unknown = rate_of(
        Asked(1.0, 0.0), slots=0, sends_each=None, asked_s=None, took_s=None, late_s={}, reached=(None, None)
    )
    assert unknown.free is None and not unknown.warnings()


def test_a_rate_near_what_the_slots_can_send_is_told_before_the_start() -> None:
    assert not rate_warnings(350.0, 500.0, 0.02)
    assert "90% of what the slots can send" in rate_warnings(450.0, 500.0, 0.02)[0]  # 1 ms is 5 % of such a send
    assert not rate_warnings(450.0, 500.0, 0.2)
    assert "96%" in rate_warnings(480.0, 500.0, 0.2)[0]
    assert "waits grow as long" in rate_warnings(500.0, 500.0, 0.2)[0]


def test_counts_between_two_looks_are_taken_for_even() -> None:
    assert reached_between([0.0, 10.0], [0, 1_000], 2.0, 7.0) == (pytest.approx(100.0), 5.0)
    assert reached_between([0.0, 1.0], [0, 0], 0.0, 1.0) == (0.0, 1.0)


@pytest.mark.parametrize("before", [[], [0.0]], ids=["none", "one"])
def test_a_short_run_is_counted_from_when_its_slots_were_full(before: list[float]) -> None:
    """100 a second, each a tenth of a second long, for two seconds: none had ended at 0.1 s."""
    at = [*before, *(0.25 * step for step in range(1, 9))]
    settled = [round(100 * max(0.0, time - 0.1)) for time in at]
    assert reached_between(at, settled, 0.12, 1.99)[0] == pytest.approx(100.0, rel=0.005)  # 96 was told
