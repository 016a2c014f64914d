"""What is grave, the same for panel and page."""

from __future__ import annotations

import pytest

from zsms.roles.broker import TROUBLE
from zsms.stats.grave import Trouble, is_grave, trouble


@pytest.mark.parametrize("kind", [*TROUBLE, "producer fenced", "stats silent", "no word from the collector", "error"])
def test_what_is_wrong_is_grave(kind: str) -> None:
    assert is_grave(kind)


@pytest.mark.parametrize("kind", ["sender joined", "retry", "dead letters kicked", "queue purged", "info", "fullness"])
def test_what_is_as_it_should_be_is_not(kind: str) -> None:
    assert not is_grave(kind)


def test_the_worst_of_a_sender_s_troubles_is_said() -> None:
    assert trouble("running", 0.04, None) is None and trouble("running", None, None) is None
    assert trouble("running", 0.0, 0.22) == Trouble("slow 22 %", False)
    assert trouble("running", 0.05, 0.22) == Trouble("failing", True)
    assert trouble("silent", 0.5, 0.22) == Trouble("silent", True)
    assert trouble("left", 0.5, 0.22) is None, "it is over"
