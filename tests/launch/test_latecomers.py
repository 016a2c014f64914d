"""Senders for workers that come late: like those of a group that may have more of them, and with names of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from zsms.errors import ZsmsError
from zsms.launch.latecomers import Latecomers
from zsms.launch.place import Child, Tell
from zsms.launch.processes import Processes
from zsms.scenario import MeshConfig, SenderGroup


class Here:
    """A place where a worker comes with each look; what is started there is kept in `started`."""

    def __init__(self, *workers: frozenset[str]) -> None:
        self._workers = list(workers)
        self.started: dict[str, list[str]] = {}

    def start(self, role: str, name: str, options: Sequence[str], tell: Tell, keep: Sequence[int] = ()) -> Child:
        if name == "late-2":
            raise ZsmsError("its worker is gone")
        self.started[name] = list(options)
        return Child(role, name, "here")

    def latecomers(self, wanted: Callable[[frozenset[str]], str | None]) -> list[str]:
        name = wanted(self._workers.pop(0))
        return [] if name is None else [name]


def said_of(groups: tuple[SenderGroup, ...], *workers: frozenset[str]) -> tuple[dict[str, list[str]], list[str]]:
    """What is started when they come, and what is told."""
    place, said, config = Here(*workers), list[str](), MeshConfig(groups=groups, messages=1)
    processes = Processes(cast(Any, place), lambda text, level: None)
    for number, name in enumerate(config.sender_names, 1):
        processes.start("sender", name, ["--concurrency", config.group_of(name).concurrency, "--stream", number])
    late = Latecomers(config, processes, said.append)
    for _ in workers:
        late.poll()
    return place.started, said


def test_a_worker_that_comes_late_gets_a_sender_with_random_numbers_of_its_own() -> None:
    anyone = frozenset[str]()
    started, said = said_of((SenderGroup(name="a", senders=2, concurrency=7),), anyone, anyone, anyone)
    assert list(started) == ["a-1", "a-2", "late-1", "late-3"]
    assert [options[-4:] for options in started.values()] == [
        ["--concurrency", "7", "--stream", number] for number in "1234"
    ]
    assert said == [
        "late-1 joins, like a-1, on a worker that came late",
        "late-2 could not be started: its worker is gone",
        "late-3 joins, like a-1, on a worker that came late",
    ]


@pytest.mark.parametrize(("has", "model"), [(frozenset(), None), (frozenset({"x"}), "placed-1")])
def test_neither_a_cap_nor_a_place_is_broken_by_one(has: frozenset[str], model: str | None) -> None:
    capped = SenderGroup(name="capped", senders=1, concurrency=5, cap=10.0)
    placed = SenderGroup(name="placed", senders=1, concurrency=6, place="x")
    started, said = said_of((capped, placed), has)
    assert [name for name in started if name.startswith("late")] == ([] if model is None else ["late-1"])
    assert said == ([] if model is None else ["late-1 joins, like placed-1, on a worker that came late"])
