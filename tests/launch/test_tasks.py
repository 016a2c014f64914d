"""Work in pieces for a cluster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zsms.launch.tasks import pieces


@given(st.lists(st.integers(), max_size=200), st.integers(1, 50))
def test_pieces_are_all_of_it_in_order_and_no_more_than_said(values: list[int], most: int) -> None:
    found = pieces(values, most)
    assert [value for piece in found for value in piece] == values
    assert len(found) <= most and all(found)
    assert not found or max(map(len, found)) - min(map(len, found)) <= 1
