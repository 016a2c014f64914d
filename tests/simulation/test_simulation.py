"""Schedules of a fixed range of seeds, what calmer ones must look like, and whether the simulation is what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import pytest

from tests.simulation.__main__ import explanation, failure
from tests.simulation.plan import LONG_S, ROOMY, Plan, Size
from tests.simulation.world import World
from zsms.core.broker.dispatch import Dispatch
from zsms.core.broker.ledger import Counters

CUTS = tuple((0.2 * moment, kind) for moment in range(20) for kind in ("cut", "stall"))
OPERATORS = tuple((2.0 + moment, f"operator {does}") for moment in range(3) for does in ("kicks", "purges"))


def calm(seed: int, *, liveness: float = 2.0, attempts: int = 1, **changes: Any) -> Plan:
    """The mesh of that seed, and nothing that goes wrong but `changes`."""
    plan = Plan.draw(seed)
    limits = replace(plan.limits, lease=LONG_S, max_messages=1_000, liveness=liveness, max_attempts=attempts)
    still = replace(plan, limits=limits, faults=(), repeats=0.0, fails=0.0, hangs=0.0, pipe=ROOMY)
    return replace(still, **{"brokers": 1, "journal": False, "resend_after": 30.0, "outcomes": False, **changes})


def counted(plan: Plan) -> Counter[str]:
    """How often what happened in the schedule of a plan."""
    world = World(plan).run()
    counts: Counter[str] = Counter()
    for core in world.books.cores:
        counts.update({**asdict(core.counters), "dead": core.totals()["dead"]})
        counts["fenced"] += len(core.closed_accounts)
    for disk in world.disks:
        counts["refused groups"] += disk.refused
        counts["failed disks"] += disk.failures
    for book in world.books.brokers:
        counts["rebuilt with messages"] += book.rebuilt
    counts["operators answered"] += world.answered
    counts["kicked"] += world.books.kicked.total()
    counts["refused grants"] += sum(sender.role.core.refused_grants for sender in world.senders)
    counts["resent batches"] += sum(window.resent for producer in world.producers for window in producer.role.windows)
    counts["more brokers"] += len(world.books.cores) - world.plan.brokers
    counts["several brokers"] += world.plan.brokers > 1
    return counts


@cache
def counted_of(seed: int) -> Counter[str]:
    """It, of the schedule of a seed, which is played once."""
    return counted(Plan.draw(seed))


def fails(seed: int) -> bool:
    try:
        counted_of(seed)
    except Exception:
        return True
    return False


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_whatever_happens_every_message_is_settled_once(first):
    failing = [seed for seed in range(first, first + 20) if fails(seed)]
    if failing:
        pytest.fail(f"seeds {failing} fail\n{explanation(failing[0])}", pytrace=False)


def test_the_mesh_is_as_bad_as_it_says():
    plans = [calm(seed, liveness=1.0, fails=0.2, latency=0.2, rate=20.0, faults=CUTS) for seed in range(10)]
    plans += [calm(seed, attempts=2, fails=0.6, journal=True, faults=OPERATORS) for seed in range(5)]
    all_counts: Counter[str] = Counter()
    for counts in (*map(counted_of, range(40)), *map(counted, plans)):
        all_counts.update(counts)
    assert not [name for name, count in all_counts.items() if not count]


@pytest.mark.parametrize("seed", range(10))
def test_when_nothing_goes_wrong_nothing_is_done_twice(seed):
    world = World(calm(seed)).run()
    assert world.broker.role.core.counters == Counters()
    assert world.books.starts == len(world.books.home) == sum(world.plan.producers)
    assert not sum(sender.role.core.refused_grants for sender in world.senders)
    assert not sum(producer.role.window.resent for producer in world.producers)


@pytest.mark.parametrize("seed", range(12))
def test_a_connection_that_breaks_costs_time_and_nothing_else(seed):
    world = World(calm(seed, faults=CUTS, pipe=4, liveness=30.0)).run()
    counters = world.broker.role.core.counters
    assert world.books.starts == sum(world.plan.producers)  # nothing was sent twice
    assert counters == Counters(
        foreign=counters.foreign,
        duplicates=counters.duplicates,  # said on a connection that stalled until its sender had left by another
        repeated_batches=counters.repeated_batches,
        skipped_batches=counters.skipped_batches,
        strange_batches=counters.strange_batches,
    )


@pytest.mark.parametrize("seed", range(10))
def test_failures_are_retried_by_the_book(seed):
    world = World(calm(seed, attempts=3, fails=0.4)).run()
    core = world.broker.role.core
    assert world.books.starts == sum(world.plan.producers) + core.counters.retried
    assert not core.totals()["failed"]
    assert core.totals()["sent"] == len(world.books.sent)


@pytest.mark.parametrize("seed", range(10))
def test_frames_that_come_twice_do_no_harm(seed):
    world = World(calm(seed, liveness=30.0, repeats=0.2, faults=((0.5, "cut"), (1.5, "cut")))).run()
    assert world.books.starts == sum(world.plan.producers)


ENDS = tuple((0.3 + 0.5 * moment, kind) for moment in range(4) for kind in ("kill broker", "disk fails", "disk full"))


@pytest.mark.parametrize("seed", range(8))
def test_no_end_of_a_broker_loses_what_was_confirmed_when_it_has_a_journal(seed):
    world = World(calm(seed, journal=True, commit=0.3, fails=0.3, attempts=3, resend_after=2.0, faults=ENDS)).run()
    totals = world.broker.role.core.totals()
    assert totals["sent"] + totals["dead"] == totals["accepted"] == sum(world.plan.producers)
    assert len(world.books.cores) > 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("journal", [False, True], ids=["memory", "journal"])
def test_of_several_brokers_one_is_lost_and_the_others_do_all_the_rest(seed, journal):
    plan = calm(seed, brokers=2 + seed % 2, journal=journal, faults=((0.4, "lose broker"),))
    plan = replace(plan, rate=20.0, batch=2, window=4)
    World(replace(plan, senders=(Size(3, 3), Size(2, 2)), producers=(24, 24))).run()


@pytest.mark.parametrize("seed", range(10))
def test_a_machine_that_stands_still_makes_nobody_look_dead(seed):
    pauses = tuple((0.5 + moment, kind) for moment in range(3) for kind in ("pause everyone", "pause broker"))
    assert calm(seed, faults=pauses).gentle  # so that whatever comes back is a failure
    World(calm(seed, faults=pauses)).run()


# -- what it has found --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seed", [906475, 702757, 914576, 1003467, 1003988, 1052790, 1053379, 1052164, 1061758, 1062332]
)
def test_a_seed_that_failed_once_passes(seed):
    """They showed: a late CONFIRM of a dead broker stalled a producer. A message waited behind other brokers' until
    its lease ended. A sender left a broker because its new credit did not fit into the pipe, had no credit left for
    another message where its only one hung, spun while it waited for a broker's word, and waited for ever for a broker
    that had heard old words first. Three expectations were wrong.
    """
    assert failure(seed) is None, explanation(seed)


@pytest.mark.parametrize("seed", range(6))
def test_a_producer_that_has_to_join_again_does_not_spin_while_its_pipe_has_room(seed):
    World(calm(seed, pipe=2, batch=1, rate=None, producers=(40,), window=40, faults=((0.3, "kill broker"),))).run()


@pytest.mark.parametrize("seed", range(6))
def test_a_sender_whose_join_does_not_fit_into_the_pipe_is_not_stuck(seed):
    World(calm(seed, pipe=2, latency=0.2, faults=((0.0, "kill broker"),))).run()


# -- the simulation itself ----------------------------------------------------------------------------------------


def test_a_seed_replays_exactly():
    for seed in range(5):
        traces: list[list[str]] = [[], []]
        worlds = [World(Plan.draw(seed), trace).run() for trace in traces]
        assert traces[0] == traces[1]
        silent = World(Plan.draw(seed)).run()
        assert {(world.events, world.now, world.books.starts) for world in [*worlds, silent]} == {
            (silent.events, silent.now, silent.books.starts)
        }


def test_a_seed_replays_exactly_in_another_process():
    def replay(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", "--seed", "3"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first = replay("1")
    assert first.count("\n") > 50 and first.endswith("all is well\n")
    assert replay("2") == first


def test_a_broken_core_is_found_and_its_seed_replays(monkeypatch):
    def forget(self: Dispatch, granted: Any) -> None:
        """In place of undoing a grant that the wire did not take."""

    monkeypatch.setattr(Dispatch, "undo", forget)
    failing = next(seed for seed in range(200) if failure(seed) is not None)
    text = explanation(failing)
    assert f"--seed {failing}" in text and "AssertionError" in text
    assert explanation(failing) == text
