"""What a mesh tells its processes, and with which commands it starts them."""

from __future__ import annotations

import pytest

from zsms.core.stages import Stage
from zsms.errors import UsageError
from zsms.launch.commands import Commands
from zsms.launch.mesh import Mesh
from zsms.launch.orders import Arrivals
from zsms.scenario import MeshConfig, SenderGroup


def test_a_new_rate_is_divided_among_the_producers_and_told_once() -> None:
    arrivals = Arrivals(MeshConfig(messages=10, producers=3, rate=30.0))
    assert arrivals.orders(None) == {}
    arrivals.rate = 100.0
    assert arrivals.orders(None) == dict.fromkeys(("producer-1", "producer-2", "producer-3"), "rate 33.3333333")
    assert arrivals.orders(1.0) == {}


def test_only_a_mesh_with_a_rate_can_have_another() -> None:
    mesh = Mesh(MeshConfig(messages=10, rate=30.0))
    mesh.set_rate(100)
    assert mesh.rate == 100
    with pytest.raises(UsageError, match="no arrival rate"):
        Mesh(MeshConfig(messages=10)).set_rate(5)


def test_a_rate_goes_through_its_stages_and_stays_where_they_end() -> None:
    stages = (Stage(2.0, 100.0, 300.0), Stage(1.0, 0.0, 0.0))
    arrivals = Arrivals(MeshConfig(messages=10, rate=100.0, stages=stages))
    assert arrivals.orders(None) == {}, "nothing was accepted yet"
    assert arrivals.orders(1.0) == {"producer-1": "rate 200"}
    assert arrivals.orders(2.5) == {"producer-1": "rate 0.001"}
    assert arrivals.orders(4.0) == {} and arrivals.rate == 0.001


def test_each_process_gets_its_part_of_what_is_asked_of_all() -> None:
    groups = (SenderGroup("a", 2, 10, cap=100.0, burst=6.0), SenderGroup("b", 1, 30))
    commands = Commands(MeshConfig(messages=10, producers=2, rate=30.0, groups=groups, seed=7))
    assert [(each.role, each.name, each.slots) for each in commands.wanted()] == [
        ("broker", "broker", 0), ("stats", "stats", 0), ("producer", "producer-1", 0), ("producer", "producer-2", 0),
        ("sender", "a-1", 10), ("sender", "a-2", 10), ("sender", "b-1", 30),
    ]  # fmt: skip

    def options(words: list[object]) -> dict[object, object]:
        return dict(zip(words[::2], words[1::2], strict=True))

    second = options(commands.sender(2, "S", ["B"]))
    assert (second["--cap"], second["--burst"], second["--stream"], second["--concurrency"]) == ("50.0", "3.0", 2, "10")
    assert (second["--stats"], second["--broker"]) == ("S", "B")
    assert "--cap" not in options(commands.sender(3, "S", ["B"]))
    producer = options(commands.producer(1, "S", ["B"], None))
    assert (producer["--rate"], producer["--share"], producer["--seed"]) == ("15.0", "1/2", "7")


def test_a_broker_that_stands_by_is_apart_from_its_broker_and_the_collector_from_both() -> None:
    commands = Commands(MeshConfig(messages=10, standby=True, journal="nats://a,b,c/j"))
    apart = {each.name: each.apart_from for each in commands.wanted()}
    assert apart["broker-standby"] == ("broker",) and apart["stats"] == ("broker", "broker-standby")
