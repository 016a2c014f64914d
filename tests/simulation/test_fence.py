"""Two brokers with one journal, in many orders of what can go wrong."""

from __future__ import annotations

import pytest

from tests.simulation.fence import World
from zsms.journal import fence


def _all(seeds: int) -> list[World]:
    return [World(seed).run() for seed in range(seeds)]


def test_whatever_happens_what_is_confirmed_is_stored_once_and_one_at_a_time_writes() -> None:
    worlds = _all(150)
    assert sum(len(world.confirmed) for world in worlds) > 3_000
    assert sum(world.takes for world in worlds) > 400


def test_the_simulation_would_see_a_holder_that_is_sure_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "SURE_S", 3 * fence.LEASE_S)
    with pytest.raises(AssertionError, match="is sure, but"):
        _all(60)


def test_the_simulation_would_see_a_log_without_the_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    def append(self: object, last: int, record: object) -> bool:
        self.records.append(record)  # type: ignore[attr-defined]
        return True

    monkeypatch.setattr("tests.simulation.fence.Servers.append", append)
    with pytest.raises(AssertionError):
        _all(60)
