"""The two sides of the protocol, joined by a network that gets ever worse (tests/core/link.py)."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest

from tests.core.link import Faults, World
from zsms.core.broker import BrokerLimits
from zsms.core.ledger import Counters

LIMITS = BrokerLimits(liveness=1.0, lease=4.0, max_attempts=3, max_deliveries=1_000, retry_base=0.1, max_messages=80)
MESSAGES = 400


def run(
    seed: int, faults: Faults, *, trouble: float = 8.0, failure_rate: float = 0.1, limits: BrokerLimits = LIMITS
) -> World:
    world = World(seed, faults, limits, failure_rate, MESSAGES // 2)
    world.run(trouble, patience=30.0)
    totals = world.broker.core.totals()
    assert totals["accepted"] == len(world.produced) == MESSAGES
    assert totals["sent"] + totals["failed"] + totals["dead"] == MESSAGES
    assert world.started.keys() == set(world.produced)
    return world


@pytest.mark.parametrize("seed", range(2))
def test_when_nothing_goes_wrong_nothing_is_done_twice(seed):
    world = run(seed, Faults(), trouble=0.0, failure_rate=0.0, limits=replace(LIMITS, max_messages=1_000))
    assert set(astuple(world.broker.core.counters)) == {0}
    assert set(world.started.values()) == {1}
    assert not sum(sender.core.refused_grants for sender in world.senders)
    assert not sum(producer.window.resent for producer in world.producers)


@pytest.mark.parametrize("seed", range(2))
def test_failures_are_retried_by_the_book(seed):
    world = run(seed, Faults(), trouble=0.0, failure_rate=0.4)
    totals, counters = world.broker.core.totals(), world.broker.core.counters
    assert totals["dead"] > 0 and totals["failed"] == 0
    assert world.started.total() == MESSAGES + counters.retried
    dead = [message.id for letter in world.broker.core.dead_letters for message in letter.lot.batch.messages()]
    assert len(dead) == totals["dead"] and {world.started[message] for message in dead} == {3}


@pytest.mark.parametrize("seed", range(10))
def test_a_connection_that_breaks_costs_time_and_nothing_else(seed):
    world = run(seed, Faults(cut=0.5, pipe=4), failure_rate=0.0)
    counters = world.broker.core.counters
    assert set(world.started.values()) == {1}  # nothing was sent twice
    assert counters == Counters(
        foreign=counters.foreign, repeated_batches=counters.repeated_batches, skipped_batches=counters.skipped_batches
    )


@pytest.mark.parametrize("seed", range(8))
def test_frames_that_come_twice_do_no_harm(seed):
    world = run(seed, Faults(cut=0.5, twice=0.2))
    assert world.started.total() == MESSAGES + world.broker.core.counters.retried


EVERYTHING = Faults(cut=0.3, twice=0.1, sleep=0.1, death=0.05, pipe=4)


@pytest.mark.parametrize("seed", range(18))
def test_whatever_happens_every_message_is_settled_once(seed):
    run(seed, EVERYTHING)


def test_the_fake_network_is_as_bad_as_it_says():
    every = [run(seed, EVERYTHING).broker.core.counters for seed in range(100, 104)]
    for name in ("redelivered", "retried", "duplicates", "repeated_batches", "skipped_batches", "sessions_ended"):
        assert sum(getattr(counters, name) for counters in every) > 0, name
