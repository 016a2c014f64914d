"""A sender that stood still: since when, until when its brokers' word is waited for, and who hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from zsms.roles.standstill import WORD_S, Standstill


class Way:
    """To a broker that may have given the sender up after two seconds of silence."""

    def __init__(self) -> None:
        self.in_doubt = False

    def stood_still(self, since: float, now: float) -> bool:
        self.in_doubt = self.in_doubt or now - since > 2.0
        return now - since > 2.0


def test_it_is_told_since_when_until_the_brokers_have_said_their_word() -> None:
    way: Any = Way()
    still = Standstill([way])
    assert still.poll(1.0, 1.2, 1.2) == 1.2
    assert still.poll(1.25, 1.5, 9.0) == pytest.approx(1.45)  # the last turn took 0.05, and its wait was until 1.5
    assert still.waits(9.0)
    assert still.poll(9.0, 9.1, 9.1) == pytest.approx(1.45) and still.waits(9.1)
    way.in_doubt = False
    assert not still.waits(9.2)
    assert still.poll(9.2, 9.3, 9.35) == pytest.approx(9.2)
    assert still.poll(9.35, 9.4, 20.0) == pytest.approx(9.4) and still.waits(20.0)
    assert not still.waits(20.0 + WORD_S)  # nobody has said anything
