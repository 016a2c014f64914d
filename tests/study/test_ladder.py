"""Which runs a study is made of."""

from __future__ import annotations

from itertools import pairwise

import pytest

from study.ladder import Plan, Step
from zsms.errors import UsageError


def test_the_ladder_has_every_half_decade_and_is_close_at_the_top() -> None:
    slots = Plan().slots
    assert slots == sorted(set(slots))
    assert slots[0] == 1 and slots[-1] == 10_000_000
    assert all(above / below <= 3.34 for below, above in pairwise(slots))
    assert {2_000_000, 2_500_000, 4_000_000, 6_000_000} <= set(slots)


@pytest.mark.parametrize(("most", "ladder"), [(1, [1]), (10, [1, 3, 10]), (40, [1, 3, 10, 30, 40])])
def test_max_slots_is_the_last_rung(most: int, ladder: list[int]) -> None:
    assert Plan(max_slots=most).slots == ladder


def test_the_designs_take_turns_and_the_ladder_is_climbed_for_every_repeat() -> None:
    steps = Plan(repeats=2, max_slots=10, baseline_max=3).steps()
    once = [("mesh", 1), ("baseline", 1), ("mesh", 3), ("baseline", 3), ("mesh", 10)]
    assert [(step.design, step.slots) for step in steps] == once * 2
    assert [step.repeat for step in steps] == [1] * 5 + [2] * 5
    assert all(step.messages == 10 * step.slots for step in steps)
    assert {step.messages // step.slots for step in Plan(quick=True).steps()} == {5}


def test_the_baseline_gets_fewer_rounds_where_its_processor_is_the_limit() -> None:
    rounds = {step.slots: step.messages // step.slots for step in Plan(repeats=1).steps() if step.design == "baseline"}
    assert rounds[100_000] == 10 and rounds[300_000] == 4 and rounds[1_000_000] == rounds[2_000_000] == 3
    assert all(step.messages == 10 * step.slots for step in Plan(repeats=1).steps() if step.design == "mesh")


@pytest.mark.parametrize(
    ("design", "slots", "processes"),
    [("mesh", 9_999, 1), ("mesh", 10_000, 2), ("mesh", 10_001, 1), ("baseline", 100_000, 1)],
)
def test_a_large_mesh_is_split_evenly(design: str, slots: int, processes: int) -> None:
    assert Step(design, slots, 10 * slots, 1).processes == processes


@pytest.mark.parametrize("plan", [Plan(repeats=0), Plan(max_slots=0), Plan(baseline_max=-1)])
def test_what_cannot_be_is_refused(plan: Plan) -> None:
    with pytest.raises(UsageError, match=r"--(repeat|max-slots|baseline-max) -?\d: give \d or more"):
        plan.check()
