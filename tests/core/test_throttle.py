from __future__ import annotations

import pickle

from zsms.core.throttle import MOST_KINDS, Throttle


def test_one_of_a_kind_a_second_and_then_how_many_were_kept_back():
    throttle = Throttle()
    assert [throttle.allows("a", now) for now in (0.0, 0.1, 0.9, 1.0, 1.5, 2.5)] == [0, None, None, 2, None, 1]
    assert throttle.allows("b", 2.5) == 0


def test_several_of_a_kind_in_an_interval():
    throttle = Throttle(interval=2.0, most=3)
    assert [throttle.allows("a", 0.1 * turn) for turn in range(5)] == [0, 0, 0, None, None]
    assert throttle.allows("a", 2.0) == 2


def test_it_forgets_rather_than_grow():
    throttle = Throttle()
    for kind in range(MOST_KINDS + 10):
        assert throttle.allows(str(kind), 0.0) == 0
    assert throttle.allows(str(MOST_KINDS + 9), 0.0) is None
    assert throttle.allows("0", 0.0) == 0 and len(pickle.dumps(throttle)) < 1_000
