"""The page of a sweep: curves over one setting, maps over two, and nothing that a page may not do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.dashboard.sweep_page import MOST_MAPS, render, step_of
from zsms.launch.sweep import points_of
from zsms.report.spread import Point, Spread

UNKNOWN = Spread(None, None, None)


def page(*varied: tuple[str, list[str]], spread: Spread | None = None, done: int | None = None) -> str:
    points = points_of(varied)
    some = {point: {"reach_s": spread or Spread(1.0, 2.0 + len(str(point)), 90.0)} for point in points[:done]}
    return render("Plans of <x>", points, some)


def test_over_one_setting_a_figure_is_a_curve_with_its_spread() -> None:
    text = page(("rate", ["10", "100", "1000"]))
    assert text.count('<circle class="dot"') == 3 and text.count('<polygon class="band"') == 1
    across = [float(x) for x in re.findall(r'<circle class="dot" cx="([\d.]+)"', text)]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)  # logarithmic
    assert "Plans of &lt;x&gt;" in text and "<script" not in text and "3 points" in text


def test_over_two_settings_it_is_a_map_and_over_three_one_for_each_value_of_the_third() -> None:
    text = page(("a", ["1", "2"]), ("b", ["3", "<4>"]))
    assert text.count('class="heat"') == 1 and text.count('<td style="background:') == 4 and "&lt;4&gt;" in text
    text = page(("a", ["1", "2"]), ("b", ["3", "4"]), ("c", [str(each) for each in range(MOST_MAPS + 3)]))
    assert text.count('class="heat"') == MOST_MAPS and "3 more combinations are in the table" in text


def test_what_was_not_measured_is_not_drawn_and_what_is_not_done_is_counted() -> None:
    text = page(("a", ["1", "2"]), spread=UNKNOWN)
    assert "<svg" not in text and "<td" in text
    assert "<svg" not in page(("delay", ["normal", "gamma"]))  # a curve needs numbers
    for same in (["0.5", "0.50"], ["1", "01"], ["1000", "1_000"], ["1", "inf"], ["nan", "1"]):
        assert "<svg" not in page(("rate", same)) and "2 points" in page(("rate", same))
    assert "1 point, 2 more are not done" in page(("a", ["1", "2", "3"]), done=1)
    nothing: dict[Point, dict[str, Spread]] = {}
    assert "0 points, 1 more are not done" in render("x", points_of([("a", ["1"])]), nothing)


@given(st.floats(1e-6, 1e9))
def test_a_scale_reaches_as_far_as_it_must_and_not_much_farther(most: float) -> None:
    assert most <= 4 * step_of(most) * (1 + 1e-9) and 4 * step_of(most) <= 2.01 * most
