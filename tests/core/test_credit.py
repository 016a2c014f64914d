"""The table of a sender's credit, and what its reach is after each event."""

from __future__ import annotations

import re

import pytest

from zsms.core.sender import credit as module
from zsms.core.sender.credit import TRANSITIONS, Credit, Event, State


def credit(*limits: int) -> Credit:
    """One that has said these, by frames 0, 1, 2, ..."""
    made = Credit()
    for frame, limit in enumerate(limits):
        made.told = limit
        made.sent(limit, frame)
    return made


def test_the_table_of_the_docstring_is_that_of_the_code() -> None:
    assert module.__doc__ is not None
    told = re.findall(
        r"^    (settled|shrinking|any) +(\S.*?)  +\S.*?  +(settled|shrinking)$", module.__doc__, re.MULTILINE
    )
    found = {
        (state, Event(event)): State(after)
        for before, event, after in told
        for state in (State if before == "any" else [State(before)])
    }
    assert found == TRANSITIONS


@pytest.mark.parametrize(
    ("limits", "acked", "reach", "state"),
    [
        ([100], 0, 100, State.SETTLED),
        ([100, 120], 0, 120, State.SETTLED),
        ([100, 60], 1, 100, State.SHRINKING),
        ([100, 60], 2, 60, State.SETTLED),
        ([100, 60, 110], 0, 110, State.SETTLED),
        ([100, 60, 80], 2, 80, State.SETTLED),
        ([100, 60, 40], 2, 60, State.SHRINKING),
        ([100, 60, 40], 3, 60, State.SHRINKING),
    ],
)
def test_a_limit_counts_at_once_when_it_grows_and_when_it_is_known_when_it_shrinks(
    limits: list[int], acked: int, reach: int, state: State
) -> None:
    made = credit(*limits)
    made.acknowledged(acked, 0, len(limits) - 1)
    assert (made.reach, made.state) == (reach, state)


def test_what_has_arrived_is_never_taken_back() -> None:
    made = credit(100, 60)
    made.acknowledged(2, received=75, newest=1)
    assert made.reach == 75 and made.state is State.SHRINKING
    made.acknowledged(3, received=75, newest=2)
    assert made.reach == 75


def test_a_join_makes_void_what_was_promised() -> None:
    made = credit(100, 60)
    made.asked(2, 1.0)
    made.void(30)
    assert (made.reach, made.state, made.wants_more) == (30, State.SETTLED, True)
    assert made.answered(0, 30)  # it was not asked since
