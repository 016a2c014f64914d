"""Failures by reason: counted exactly, in a bounded number of kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from zsms.stats.failures import MAX_EXAMPLE, MOST_KINDS, OTHER, Failure, Failures, printable


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5))))
def test_none_is_lost_and_kinds_are_bounded(adds: list[tuple[int, int]]) -> None:
    failures, plain = Failures(), Counter[str]()
    for kind, sends in adds:
        failures.add(f"kind {kind}", sends, f"example {kind}")
        plain[f"kind {kind}"] += sends
    rows = {row.reason: row for row in failures.rows()}
    assert failures.sends == sum(plain.values())
    assert len(rows) <= MOST_KINDS + 1
    assert all(row.sends == plain[reason] for reason, row in rows.items() if reason != OTHER)
    assert all(row.example == reason.replace("kind", "example") for reason, row in rows.items() if reason != OTHER)


def test_merged_rows_add_up() -> None:
    merged = Failures()
    for rows in ([Failure("a", 2, None), Failure("b", 1, "x")], [Failure("b", 3, "y")]):
        merged.merge(rows)
    assert merged.rows() == [Failure("b", 4, "x"), Failure("a", 2, None)]


def test_of_a_text_without_end_only_the_beginning_is_looked_at() -> None:
    class Long(str):
        def __iter__(self) -> Iterator[str]:
            raise AssertionError("all of it")

    assert printable(Long("x" * 10_000), 20) == f"{'x' * 17}..."


@given(st.text(max_size=600))
def test_a_line_can_be_shown(text: str) -> None:
    line = printable(text, MAX_EXAMPLE)
    assert len(line) <= MAX_EXAMPLE and line.isprintable()
