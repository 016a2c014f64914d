"""Which worker gets which role."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.errors import UsageError
from zsms.launch.commands import Commands
from zsms.launch.place import Wanted
from zsms.launch.spreading import Arrivals, Worker, spread
from zsms.scenario.group import SenderGroup
from zsms.scenario.run import MeshConfig

THREE = {name: Worker(1) for name in "abc"}


def test_the_heaviest_are_apart_and_threads_count() -> None:
    senders = [Wanted("sender", f"s{number}", 100_000) for number in range(3)]
    assert set(spread(senders, THREE).values()) == set("abc")
    found = spread(senders, {"a": Worker(2), "b": Worker(1)})
    assert sorted(found.values()) == ["a", "a", "b"]


def test_who_stands_by_is_apart_where_that_can_be() -> None:
    roles = [Wanted("broker", "b"), Wanted("broker", "b-standby", apart_from=("b",)), Wanted("sender", "s", 10**6)]
    found = spread(roles, THREE)
    assert found["b"] != found["b-standby"]
    assert set(spread(roles, {"a": Worker(1)}).values()) == {"a"}


@given(st.lists(st.sampled_from([None, "big", "near"]), min_size=1, max_size=8), st.integers(0, 6))
def test_a_place_is_kept_whatever_else_is_to_run(places: list[str | None], slots: int) -> None:
    workers = THREE | {"d": Worker(8, frozenset(("big",))), "e": Worker(1, frozenset(("near", "big")))}
    roles = [Wanted("sender", f"s{number}", 10**slots, place=place) for number, place in enumerate(places)]
    found = spread(roles, workers)
    assert set(found) == {role.name for role in roles}
    assert all(role.place is None or role.place in workers[found[role.name]].resources for role in roles)


def test_a_place_that_no_worker_has_is_named_with_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"s1 .* 'big', and none of 3 workers has it: .*--resources 'big=1'"):
        spread([Wanted("sender", "s1", place="big")], THREE)


def test_groups_and_brokers_are_where_a_scenario_says() -> None:
    groups = (SenderGroup(name="near", place="uk"), SenderGroup(name="far", senders=1))
    wanted = Commands(MeshConfig(groups=groups, broker_place="core")).wanted()
    places = {role.name: role.place for role in wanted}
    assert places == {
        "broker": "core",
        "stats": None,
        "producer-1": None,
        "near-1": "uk",
        "near-2": "uk",
        "far-1": None,
    }


def test_a_worker_that_was_gone_and_is_back_under_its_address_has_come() -> None:
    """As one with a port of its own, which its nanny starts again."""
    arrivals, a, b = Arrivals(["a"]), {"a": {"status": "running"}}, {"b": {"status": "running"}}
    assert arrivals.new(a) == {}
    assert arrivals.new(a | {"b": {"status": "paused"}}) == {}
    assert arrivals.new(a | b) == b
    assert arrivals.new(b) == arrivals.new(b) == {}
    assert arrivals.new(a | b) == a
