"""When a side of a connection looks again instead of falling asleep."""

from __future__ import annotations

from zsms.core.awake import ENOUGH, MOST_S, REST_S, TAKEN_S, TIMES, Awake

WORK_S = 0.0001


class Side:
    """Works for a while whenever something comes, and then waits."""

    def __init__(self, awake: Awake) -> None:
        self.awake = awake
        self.now = 1_000.0

    def turn(self, wait_s: float, work_s: float = WORK_S) -> bool:
        """Something comes, and it is worked on; then the next comes so long after. Whether it stayed awake at first."""
        self.awake.came(self.now)
        self.now += work_s
        stayed = self.awake.stays(self.now)
        self.now += wait_s
        return stayed


def after(waits: list[float]) -> Side:
    side = Side(Awake())
    for wait_s in waits:
        side.turn(wait_s)
    return side


QUICK = [WORK_S] * (ENOUGH + 2)


def test_who_has_waited_a_short_time_again_and_again_stays_awake() -> None:
    side = Side(Awake())
    stayed = [side.turn(WORK_S) for _ in range(2 * ENOUGH)]
    assert not any(stayed[: ENOUGH - 1])
    assert all(stayed[ENOUGH:])


def test_where_little_comes_everybody_sleeps() -> None:
    side = Side(Awake())
    assert not any(side.turn(10 * WORK_S) for _ in range(5 * ENOUGH))


def test_a_load_that_ends_is_noticed_and_one_long_wait_changes_nothing() -> None:
    side = after(QUICK * 2)
    side.turn(0.01)
    assert side.turn(WORK_S)
    assert [side.turn(0.01) for _ in range(ENOUGH)][-1] is False


def test_it_stays_awake_for_twice_its_work_and_never_for_long() -> None:
    for work_s, most_s in ((WORK_S, TIMES * WORK_S), (0.01, MOST_S)):
        side = after(QUICK)
        side.awake.came(side.now)
        begin = side.now + work_s
        looks = 0
        while side.awake.stays(begin + looks * 1e-5):
            looks += 1
        assert abs(looks * 1e-5 - most_s) < 2e-5


def test_who_shares_its_core_sleeps_for_a_while() -> None:
    side = after(QUICK)
    assert side.turn(WORK_S, work_s=0.01)
    side.awake.came(side.now)
    begin = side.now + 0.01
    assert side.awake.stays(begin)
    assert side.awake.stays(begin + TAKEN_S / 2)
    assert not side.awake.stays(begin + 2 * TAKEN_S)
    side.now = begin + 3 * TAKEN_S
    assert not any(side.turn(WORK_S) for _ in range(2 * ENOUGH))
    side.now += REST_S
    assert side.turn(WORK_S)


def test_a_wait_asleep_is_no_sign_of_others() -> None:
    side = after(QUICK[:2])
    side.awake.came(side.now)
    for late in range(3):  # woken for something else
        assert not side.awake.stays(side.now + WORK_S + late * 0.01)
    side.now += 0.05
    assert [side.turn(WORK_S) for _ in range(2 * ENOUGH)][-1]
