"""The law of counts beside what is known exactly, and beside a simulation event by event."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from math import inf, log, sqrt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from zsms.plan.design import Design, daily
from zsms.plan.outcome import Outcome
from zsms.plan.planner import times
from zsms.plan.replications import replicate
from zsms.plan.rings import Fifo, Ring
from zsms.plan.spread import gamma_below, of_delay, of_jitter
from zsms.scenario import Account, Audience, Fault, Group, Retries, Scenario, Stage, read
from zsms.stats.delay import DelayModel


def run(scenario: Scenario, replications: int = 10, seed: int = 1) -> Outcome:
    return replicate(Design(scenario), replications, seed)


def mean_time(outcome: Outcome, share: float) -> float:
    return float(times(outcome, share).mean())


# -- spreads ---------------------------------


@pytest.mark.parametrize("tick", [0.01, 0.1, 0.7])
@pytest.mark.parametrize("name", ["normal", "constant", "exponential", "lognormal", "gamma", "weibull"])
def test_a_spread_keeps_the_mean_and_the_spread_of_its_model(name: str, tick: float) -> None:
    model = DelayModel(name, 2.0, 0.6)
    law = of_delay(model, tick)
    shares = np.diff(law.whole, prepend=0.0)
    at = tick * (law.first + np.arange(len(shares)))
    assert shares @ at == pytest.approx(2.0, rel=2e-3 if tick < 0.5 else 0.05)
    spread = sqrt(shares @ at**2 - (shares @ at) ** 2)
    assert model.spread - 0.02 <= spread <= sqrt(model.spread**2 + tick**2 / 4) + 0.01
    assert law.body.sum() == pytest.approx(1) and law.whole[-1] == 1


def test_a_slow_model_is_the_model_in_shorter_ticks() -> None:
    assert of_delay(DelayModel("gamma", 1.0, 0.5), 0.1, 2.0).mean == pytest.approx(20, rel=1e-3)


def test_a_jitter_is_uniform() -> None:
    law = of_jitter(1.0, 0.01)
    assert law.mean == pytest.approx(50, rel=2e-3)
    assert np.ptp(law.body[2:-2]) < 1e-9


def test_the_incomplete_gamma_function_is_that_of_its_integer_shapes() -> None:
    at = np.array([0.0, 0.1, 1.0, 3.0, 30.0, 800.0])
    poisson = np.exp(-at) * (1 + at + at**2 / 2)
    np.testing.assert_allclose(gamma_below(3, at), 1 - poisson, atol=1e-13)


# -- what is known exactly ---------------------------------


def test_constant_sends_go_in_rounds() -> None:
    for messages, rounds in ((1_000, 10), (1_001, 11)):
        found = run(Scenario(messages=messages, groups=(Group(senders=1, concurrency=100, delay="constant"),)), 1)
        assert mean_time(found, 1) == pytest.approx(rounds, rel=1e-9)


def test_exponential_sends_end_as_the_closed_form_says() -> None:
    slots, messages = 1_000, 100_000
    found = run(Scenario(messages=messages, groups=(Group(senders=1, concurrency=slots, delay="exponential"),)), 40)
    harmonic = sum(1 / k for k in range(1, slots + 1))
    last = times(found, 1)
    assert last.mean() == pytest.approx(messages / slots - 1 + harmonic, abs=3 * last.std() / sqrt(40) + 0.02)
    for share in (0.5, 0.9):
        assert mean_time(found, share) == pytest.approx(share * messages / slots, rel=0.003)


@pytest.mark.parametrize(
    ("cap", "burst", "segments"), [(100, 0, 1), (7, 0, 1), (1_000, 500, 1), (100, 10, 3), (100, 0, 3), (5, 2, 9)]
)
def test_a_bucket_lets_no_more_through_than_its_law(cap: float, burst: float, segments: float) -> None:
    group = Group(senders=1, concurrency=10_000, delay="constant", mean=0.1, cap=cap, burst=burst)
    messages = 2_000 if cap > 10 else 200
    found = run(Scenario(messages=messages, segments=segments, groups=(group,)), 1)
    least = (messages * segments - burst) / cap + 0.1
    assert mean_time(found, 1) == pytest.approx(least, rel=0.003, abs=1.5 * segments / cap)
    sent = found.reached[:, 0] * segments
    begun = np.maximum(found.at - 0.1 + found.at[1], 0)
    assert (sent <= burst + cap * begun + segments + 1e-6).all()


def test_slots_that_are_a_rate_are_never_busier_than_there_are() -> None:
    found = run(Scenario(messages=1_000_000, groups=(Group(senders=2, concurrency=10, mean=0.1),)), 1)
    lasts = mean_time(found, 1)
    assert found.busy_s[0] == pytest.approx(100_000) and found.busy_s[0] <= 20 * lasts * 1.003


def test_sends_that_a_fault_makes_to_last_for_days_are_none_too_long() -> None:
    assert of_delay(DelayModel("normal", 1.0, 0.1), 0.01, 10_000.0).mean == pytest.approx(1e6, rel=1e-6)


def test_little_s_law_gives_the_slots_that_are_busy() -> None:
    scenario = Scenario(messages=20_000, stages=(Stage(100.0, 200.0),), groups=(Group(senders=1, concurrency=1_000),))
    found = run(scenario, 1)
    assert found.busy_s[0] == pytest.approx(20_000 * 1.0, rel=0.003)
    assert mean_time(found, 0.5) == pytest.approx(51, rel=0.003)


def test_the_time_is_that_of_the_ticks_whatever_the_messages() -> None:
    few = Scenario(messages=10_000, groups=(Group(senders=1, concurrency=100),))
    many = Scenario(messages=10**9, groups=(Group(senders=1, concurrency=10**7, ramp=0.0),))
    assert len(run(many, 1).at) <= 1.2 * len(run(few, 1).at)
    assert Design(many).tick == Design(few).tick


def test_every_message_is_accounted_for() -> None:
    groups = (
        Group(name="a", concurrency=100, failure_rate=0.3, permanent_rate=0.1, delivered=0.9),
        Group(name="b", concurrency=50, failure_rate=0.2, cap=60.0, queue=5.0, when_full="expire"),
    )
    faults = (
        Fault(1.0, "kill", "a-1"),
        Fault(2.0, "stop", "b", lasts=7.0),
        Fault(3.0, "restart", "a-2", lasts=2.0),
        Fault(4.0, "restart", "broker", lasts=1.0),
        Fault(2.0, "slow", "b-1", lasts=3.0, factor=3.0),
        Fault(2.0, "fail", "b", lasts=3.0, rate=0.9),
        Fault(2.0, "throttle", "a", lasts=3.0, cap=30.0),
    )
    found = run(Scenario(messages=3_000, groups=groups, retries=Retries(3), faults=faults), 5)
    done = found.reached[-1] + found.failed + found.expired + found.undelivered
    assert (done == 3_000).all()
    assert (found.accepted == found.reached[-1] + found.expired + found.undelivered).all()
    for some in (found.retried, found.redelivered, found.duplicates, found.failed, found.expired, found.undelivered):
        assert some.sum() > 0


def test_a_killed_process_gives_back_after_the_liveness_time() -> None:
    groups = (Group(senders=2, concurrency=50, delay="constant"),)
    scenario = Scenario(messages=1_000, groups=groups, faults=(Fault(2.5, "kill", "sender-1"),), liveness=5.0)
    found = run(scenario, 1)
    assert found.redelivered[0] == 50
    # 200 by 2 s, then 50 a second; those 50 that were lost are back at 7.5 s, at the front of the queue.
    assert mean_time(found, 1) == pytest.approx(18.0, abs=0.02)


def test_a_stop_shorter_than_liveness_only_costs_its_time() -> None:
    groups = (Group(senders=1, concurrency=100, delay="constant"),)
    usual = Scenario(messages=1_000, groups=groups)
    stopped = Scenario(messages=1_000, groups=groups, faults=(Fault(2.5, "stop", "sender", lasts=3.0),))
    assert mean_time(run(usual, 1), 1) == pytest.approx(10)
    found = run(stopped, 1)
    assert mean_time(found, 1) == pytest.approx(12.5, abs=0.02)  # the sends of 2 s end at 5.5 instead of 3
    assert found.duplicates[0] == found.redelivered[0] == 0


def test_a_throttled_send_costs_no_attempt() -> None:
    group = Group(senders=1, concurrency=100, mean=0.1, throttled_rate=0.5)
    found = run(Scenario(messages=2_000, groups=(group,)), 3)
    assert (found.reached[-1] == 2_000).all() and found.retried.mean() == pytest.approx(2_000, rel=0.1)
    refused = run(Scenario(messages=2_000, groups=(Group(permanent_rate=0.2),), retries=Retries(3)), 3)
    assert refused.failed.mean() == pytest.approx(400, rel=0.1) and refused.retried.sum() == 0


def test_one_of_two_brokers_stops_and_what_is_in_its_hands_waits_for_it() -> None:
    groups = (Group(senders=2, concurrency=50, delay="constant", mean=0.5),)
    arrivals = {"stages": (Stage(10.0, 100.0),), "brokers": 2, "groups": groups}
    usual = run(Scenario(messages=1_000, **arrivals), 1)
    stopped = run(Scenario(messages=1_000, faults=(Fault(4.0, "stop", "broker-2", lasts=3.0),), **arrivals), 1)
    by = [found.reached[np.searchsorted(found.at, 6.9), 0] for found in (usual, stopped)]
    assert by[0] - by[1] == pytest.approx(25, abs=3)  # half of what is in slots; the other one has what arrives
    assert stopped.reached[-1, 0] == 1_000 and mean_time(stopped, 1) == pytest.approx(mean_time(usual, 1), abs=0.1)


def test_what_a_lost_broker_held_is_lost_and_the_others_have_the_rest() -> None:
    scenario = Scenario(
        messages=1_000,
        stages=(Stage(10.0, 100.0),),
        brokers=2,
        groups=(Group(senders=1, concurrency=100, delay="constant", mean=0.5),),
        faults=(Fault(4.0, "kill", "broker-1"),),
    )
    found = run(scenario, 1)
    assert found.lost[0] == pytest.approx(25, abs=3)  # half of what was in slots
    assert found.reached[-1, 0] + found.lost[0] == 1_000


def test_an_account_is_shared_and_no_group_has_more_than_its_own_cap() -> None:
    groups = tuple(Group(name=n, senders=1, mean=0.1, account="acme", cap=c) for n, c in (("a", 300.0), ("b", 5e3)))
    scenario = Scenario(messages=10_000, groups=groups, accounts=(Account("acme", cap=1_000.0),))
    found = run(scenario, 1)
    assert mean_time(found, 1) == pytest.approx(10.1, rel=0.01)
    assert found.by_group[-1] == pytest.approx([3_000, 7_000], abs=200)


def test_a_daily_cap_waits_for_its_day_and_quiet_hours_for_their_end() -> None:
    start = "2026-11-28T23:00:00-08:00"
    head = {"scenario": {"start": start}, "run": {"messages": 1_500}}
    daily = {"cap": 100, "daily-cap": 1_000, "zone": "America/Los_Angeles"}
    found = run(read({**head, "group": [daily]}), 1)
    assert mean_time(found, 0.5) == pytest.approx(8.5, rel=0.3)
    assert mean_time(found, 1) == pytest.approx(3_600 + 6, abs=3)
    quiet = {"cap": 100, "quiet": "21:00-08:00", "zone": "America/Los_Angeles"}
    assert mean_time(run(read({**head, "group": [quiet]}), 1), 1) == pytest.approx(9 * 3_600 + 16, rel=0.003)


def test_a_time_of_day_comes_each_day_in_its_zone_whatever_clocks_do() -> None:
    hour = 3_600.0
    start = datetime(2026, 3, 7, 12, tzinfo=ZoneInfo("America/New_York"))  # the night of March 8 has no 02:30
    assert daily(start, "America/New_York", 2.5 * hour, 72 * hour) == [h * hour for h in (-9.5, 14.5, 37.5, 61.5)]
    assert daily(start, "America/Los_Angeles", 21 * hour, 48 * hour) == [h * hour for h in (-12, 12, 35)]


def test_a_full_queue_refuses_or_loses() -> None:
    group = Group(senders=1, concurrency=10_000, mean=0.1, cap=10.0, queue=20.0)
    refused = run(Scenario(messages=1_000, groups=(group,)), 1)
    assert refused.failed[0] == pytest.approx(800, abs=3)
    assert mean_time(refused, 0.2) == pytest.approx(20, rel=0.03)
    thrown = run(Scenario(messages=100, groups=(replace(group, queue=2.0, when_full="throttle"),)), 1)
    assert thrown.failed[0] == 0 and mean_time(thrown, 1) == pytest.approx(10, rel=0.05)  # no attempt is spent
    lost = run(Scenario(messages=1_000, groups=(replace(group, when_full="expire"),)), 1)
    assert lost.expired[0] == pytest.approx(800, abs=3) and lost.failed[0] == 0


def test_audiences_go_by_their_routes_only() -> None:
    groups = (Group(name="a", senders=1, concurrency=100), Group(name="b", senders=1, concurrency=100))
    audiences = (
        Audience("town", messages=600, segments=1.0, routes=(("a", None),)),
        Audience("land", messages=400, segments=2.0, routes=(("a", 0.25), ("b", 0.75))),
    )
    found = run(Scenario(messages=1_000, groups=groups, audiences=audiences), 3)
    assert found.by_group[-1].tolist() == [700, 300]
    assert found.segments.mean(axis=1).tolist() == pytest.approx([600 + 200, 600])


def test_a_queue_is_first_in_first_out_by_attempt_and_forgets_what_is_gone() -> None:
    rng = np.random.default_rng(3)
    queue = Fifo(2, 3)
    model: list[list[int]] = [[], []]
    for _ in range(5_000):
        lot = rng.integers(0, 4, (2, 3))
        queue.push(lot)
        for row, waiting in zip(lot, model, strict=True):
            waiting += [2] * row[2] + [1] * row[1] + [0] * row[0]
        take = np.array([int(rng.integers(0, min(len(waiting), 12) + 1)) for waiting in model])
        taken = queue.pop(take)
        for row, count, waiting in zip(taken, take.tolist(), model, strict=True):
            assert row.tolist() == np.bincount(waiting[:count], minlength=3).tolist()
            del waiting[:count]
        assert queue.size.tolist() == [len(waiting) for waiting in model]


# -- beside a simulation event by event ---------------------------------

ONE = (Group(senders=1, concurrency=20, delay="exponential"),)
CASES = {
    "exponential": Scenario(messages=100, groups=ONE),
    "gamma": Scenario(messages=60, groups=(Group(senders=1, concurrency=20, delay="gamma", sd=0.5),)),
    "retries": Scenario(
        messages=80,
        groups=(Group(senders=1, concurrency=20, sd=0.3, failure_rate=0.3),),
        retries=Retries(3, 2.0),
    ),
    "groups": Scenario(
        messages=100,
        groups=(
            Group(name="a", senders=1, concurrency=10, delay="exponential", mean=0.5),
            Group(name="b", senders=1, concurrency=20, sd=0.3),
        ),
    ),
    "poisson": Scenario(messages=100, stages=(Stage(10.0, 10.0),), poisson=True,
                        groups=(Group(senders=1, concurrency=12, delay="exponential"),)),
    "kill": Scenario(messages=100, groups=(Group(senders=2, concurrency=10, delay="exponential"),), liveness=1.0,
                     faults=(Fault(2.0, "kill", "sender-1"),)),
}  # fmt: skip


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> float:
    """The largest distance of two empirical distributions."""
    at = np.concatenate([one, other])
    return float(
        np.abs(
            np.searchsorted(np.sort(one), at, side="right") / len(one)
            - np.searchsorted(np.sort(other), at, side="right") / len(other)
        ).max()
    )


@pytest.mark.parametrize("name", CASES)
def test_runs_are_distributed_as_those_of_a_simulation_event_by_event(name: str) -> None:
    pytest.importorskip("simpy", reason="the oracle is of the extra `test`")
    from tests.plan.oracle import Oracle

    scenario, runs = CASES[name], 500
    twin = replicate(Design(scenario), runs, 5)
    truth = [Oracle(scenario, 1_000 + seed).run() for seed in range(runs)]
    critical = sqrt(-log(0.01 / 2) / 2) * sqrt(2 / runs)
    for share in (0.5, 0.9):
        place = round(share * scenario.messages) - 1
        ours, theirs = times(twin, share), np.array([t[place] if place < len(t) else 1e9 for t in truth])
        assert kolmogorov_smirnov(np.where(ours == inf, 1e9, ours), theirs) < critical, share
    ours = twin.reached[-1].astype(float)
    assert kolmogorov_smirnov(ours, np.array([float(len(t)) for t in truth])) < critical
    last = np.array([twin.at[int(np.searchsorted(twin.reached[:, r], twin.reached[-1, r]))] for r in range(runs)])
    assert kolmogorov_smirnov(last, np.array([t[-1] for t in truth])) < critical


def test_what_arrives_while_a_broker_is_silent_goes_to_the_others() -> None:
    groups = (Group(senders=1, concurrency=100, delay="constant", mean=0.1),)
    faults = (Fault(1.0, "stop", "broker-1", lasts=2.0),)
    scenario = Scenario(messages=400, stages=(Stage(4.0, 100.0),), groups=groups, faults=faults, brokers=2)
    found = run(scenario, 1)
    by = found.reached[np.searchsorted(found.at, [2.9, 3.05]), 0]
    assert 270 <= by[0] <= 280 and by[1] >= 295  # all but the 5 that it can't hear of
    assert found.reached[-1, 0] == 400


def test_when_the_last_broker_is_lost_nothing_more_is_sent() -> None:
    groups = (Group(senders=1, concurrency=100, delay="constant", mean=0.1),)
    faults = (Fault(1.0, "kill", "broker-1"), Fault(2.0, "kill", "broker-2"))
    found = run(Scenario(messages=400, stages=(Stage(4.0, 100.0),), groups=groups, faults=faults, brokers=2), 1)
    assert 180 <= found.reached[-1, 0] <= 195 and found.reached[-1, 0] + found.lost[0] <= 201


def test_slots_that_a_silent_broker_was_promised_stay_idle_until_it_is_back() -> None:
    groups = (Group(senders=1, concurrency=100, delay="constant", mean=0.1),)
    faults = (Fault(1.0, "stop", "broker-1", lasts=1.0),)
    scenario = Scenario(messages=3_200, stages=(Stage(4.0, 800.0),), groups=groups, faults=faults, brokers=2)
    found = run(scenario, 1)
    by = found.reached[np.searchsorted(found.at, [1.25, 1.85, 2.25, 2.85]), 0]
    assert by[1] - by[0] == pytest.approx(300, rel=0.05) and by[3] - by[2] == pytest.approx(600, rel=0.05)


@pytest.mark.parametrize("rate", [0.9, 0.99])
def test_sends_that_are_throttled_again_and_again_take_their_time(rate: float) -> None:
    groups = (Group(senders=2, concurrency=100, mean=0.1, throttled_rate=rate),)
    found = run(Scenario(messages=200, groups=groups), 20)
    harmonic = sum(1 / k for k in range(3, 201))
    tries = harmonic / -log(rate) + 0.5  # the 198th of 200 geometric ones
    assert mean_time(found, 0.99) == pytest.approx(tries * (0.1 + 0.5) - 0.5, rel=0.07)


def test_the_brokers_of_each_line_have_room_of_their_own() -> None:
    groups = tuple(
        Group(name=name, senders=1, concurrency=100, delay="constant", mean=0.1, failure_rate=rate)
        for name, rate in (("a", 0.0), ("b", 1.0))
    )
    audiences = tuple(Audience(each.name, messages=5_000, routes=((each.name, None),)) for each in groups)
    retries = Retries(2, base=60.0)
    found = run(Scenario(messages=10_000, groups=groups, audiences=audiences, retries=retries, max_messages=500), 1)
    # What of b's line waits to be tried again fills the queue of its broker, and not that of a's.
    assert found.reached[np.searchsorted(found.at, 5.2), 0] == 5_000


def test_counts_of_many_laws_each_come_out_by_their_own() -> None:
    rng = np.random.default_rng(5)
    laws = [of_delay(DelayModel("normal", mean, mean / 10), 0.01) for mean in (0.3, 0.6, 0.9, 0.4, 0.5)]
    ring = Ring(10, 500)
    counts = np.array([40, 0, 60, 50, 100_000, 7, 9, 80, 0, 70], np.int64)  # the third law's are many, the others' few
    for _ in range(20):
        ring.spread_each([0, 2, 4, 6, 8, 10], counts, laws, rng)
        assert ring.total.tolist() == counts.tolist() and ring.count == counts.sum()
        sums = np.zeros(10)
        for tick in range(1, 400):
            sums += tick * ring.take()
        assert not ring.count
        for at, law in enumerate(laws):
            part = slice(2 * at, 2 * at + 2)
            number = counts[part].sum()
            assert sums[part].sum() / number == pytest.approx(law.mean, abs=6 * 9 / sqrt(number))
