"""Whole numbers as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from zsms import kinds


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1e6", 10**6), ("1.5e3", 1_500), ("5E+6", 5 * 10**6), (1e3, 1_000), ("1_0e2", 1_000), ("17", "17"), (True, True)],
)
def test_an_exponent_makes_a_whole_number(written: Any, meant: Any) -> None:
    assert kinds.whole(written) == meant and type(kinds.whole(written)) is type(meant)


@pytest.mark.parametrize("written", ["1e-3", "1.5", "1.55e1", 1.5, 1e300, float("nan"), float("inf"), "e3", "0x1e3"])
def test_what_is_no_whole_number_stays_what_it_is(written: Any) -> None:
    assert not isinstance(kinds.whole(written), int)


def test_a_file_s_count_may_have_an_exponent() -> None:
    assert kinds.COUNT.read(1e6) == 10**6
    with pytest.raises(ValueError, match="whole number"):
        kinds.COUNT.read(1.5)
