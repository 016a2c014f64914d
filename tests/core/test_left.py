"""Time left, told from perfect views of ideal meshes, beside what was really left."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from zsms.stats.delay import MODELS, DelayModel
from zsms.stats.forecast import Kind, Law, Work, last_of, seconds_left
from zsms.stats.trends import Standing, Trends
from zsms.stats.view import View

F64 = npt.NDArray[np.float64]
SLOTS = 500
TIMES_F9 = [("constant", 10.0, None), ("normal", 10.0, 1.0), ("normal", 1.0, 0.1), ("exponential", 1.0, None)]
MODELS_F9 = [*TIMES_F9, ("lognormal", 1.0, 1.0), ("gamma", 1.0, 0.5), ("weibull", 2.0, 1.0)]


def ideal(delays: Sequence[DelayModel], slots: int, messages: int, seed: int) -> list[tuple[F64, F64]]:
    """When sends began and ended, for `slots` of each kind on one queue."""
    rng = np.random.default_rng(seed)
    draws = [iter(delay.sampler()(rng, messages).tolist()) for delay in delays]
    began: list[list[float]] = [[0.0] * slots for _ in delays]
    ended: list[list[float]] = [[] for _ in delays]
    heap = [(next(draw), kind) for kind, draw in enumerate(draws) for _ in range(slots)]
    heapq.heapify(heap)
    left = messages - len(heap)
    while heap:
        now, kind = heapq.heappop(heap)
        ended[kind].append(now)
        if left:
            left -= 1
            began[kind].append(now)
            heapq.heappush(heap, (now + next(draws[kind]), kind))
    return [(np.array(b), np.array(e)) for b, e in zip(began, ended, strict=True)]


def row(role: str, name: str, counters: dict[str, Any], gauges: dict[str, Any]) -> dict[str, Any]:
    plain = {"role": role, "name": name, "state": "running", "age": 0.0, "interval": 0.25, "events": []}
    return {**plain, "counters": counters, "gauges": gauges}


def view(
    at: float, delays: Sequence[DelayModel], sends: list[tuple[F64, F64]], total: int, worked: float = 1.0
) -> View:
    """What a mesh of ideal senders would tell at that time; `worked`: how much of their time they work."""
    rows, sent, begun_all = [], 0, 0
    for number, (delay, (began, ended)) in enumerate(zip(delays, sends, strict=True)):
        begun, done = (int(np.searchsorted(times, at, side="right")) for times in (began, ended))
        sent, begun_all = sent + done, begun_all + begun
        gauges = {"slots": SLOTS, "busy": begun - done, "worked_s": worked * SLOTS * at}
        gauges |= {"mean_s": delay.mean, "sd_s": delay.spread, "delay_model": 1 + MODELS.index(delay.name)}
        rows.append(row("sender", f"s{number}", {"started": begun, "sent": done, "failed": 0}, gauges))
    counters = {"accepted": total, "sent": sent}
    gauges = {"queued": total - begun_all, "in_flight": begun_all - sent}
    rows += [row("broker", "b", counters, gauges), row("producer", "p", {"produced": total}, {"total": total})]
    totals = {each["role"]: dict(each["counters"]) for each in rows}
    return View.of({"totals": totals, "processes": rows}, at)


def told(
    delays: Sequence[DelayModel], sends: list[tuple[F64, F64]], total: int, until: float
) -> list[tuple[float, Standing]]:
    watch = Trends()
    looks = np.arange(0.0, until, 0.25).tolist()
    return [(at, watch.take(view(at, delays, sends, total))) for at in looks]


@pytest.mark.parametrize(("name", "mean", "sd"), MODELS_F9)
def test_from_the_second_mean_on_the_time_left_is_right_within_15_percent(name, mean, sd):
    delay = DelayModel(name, mean, sd)
    runs = [ideal([delay], SLOTS, 10 * SLOTS, seed) for seed in range(3)]
    last = np.mean([ideal([delay], SLOTS, 10 * SLOTS, seed)[0][1][-1] for seed in range(100, 112)])
    looked = 0
    for sends in runs:
        for at, figures in told([delay], sends, 10 * SLOTS, 9.5 * mean):
            if at < 2 * mean:
                assert figures.left_s is not None or at < 0.5
                continue
            assert figures.left_s == pytest.approx(last - at, rel=0.15), f"at {at} s"
            looked += 1
    assert looked >= 3 * 7 * mean


def test_slots_of_several_kinds_share_one_queue():
    delays = [DelayModel("normal", 0.5), DelayModel("normal", 4.0)]
    sends = ideal(delays, SLOTS, 9 * SLOTS, 1)
    last = max(float(ended[-1]) for _, ended in sends)
    for at, figures in told(delays, sends, 9 * SLOTS, last - 1.0):
        if at > 1.0:
            assert figures.left_s == pytest.approx(last - at, rel=0.15), f"at {at} s"


def test_a_machine_that_is_too_slow_makes_the_rest_as_slow():
    delay, watch, figures = DelayModel("exponential", 1.0), Trends(), None
    sends = [(2 * began, 2 * ended) for began, ended in ideal([delay], SLOTS, 40 * SLOTS, 1)]
    for at in np.arange(0.0, 20.0, 0.25).tolist():
        figures = watch.take(view(at, [delay], sends, 40 * SLOTS, worked=0.5))
    assert figures is not None and figures.left_s == pytest.approx(2 * 46 - 20, rel=0.15)
    assert [sender.pace for sender in figures.senders] == [None]  # 0.5 is not below a half
    figures = None
    for at in np.arange(20.0, 26.0, 0.25).tolist():
        stalled = view(20.0, [delay], sends, 40 * SLOTS, worked=0.5)
        stalled.at = at
        for each in stalled.processes:
            each.age = 0.0
        figures = watch.take(stalled)
    assert figures is not None and figures.left_s is None  # its slots stand still: nobody knows for how long
    assert figures.rate == 0.0 and figures.senders[0].pace == pytest.approx(0.0)


def test_arrivals_that_are_still_to_come_are_waited_for():
    delay = DelayModel("constant", 1.0)
    sends = [(np.array([0.0] * 100), np.array([1.0] * 100))]
    arriving = view(5.0, [delay], sends, 100)
    arriving.producers[0].figures.total, arriving.asked_per_s = 1_100.0, 50.0
    figures = Trends().take(arriving)
    assert figures.total == 1_100 and 20.0 <= (figures.left_s or 0.0) <= 21.1


def test_the_last_of_many_is_where_less_than_one_is_expected():
    assert last_of([]) == 0.0
    assert last_of([(Law.of("exponential", 2.0, 2.0), 1_000)]) == pytest.approx(2 * (np.log(1_000) + 0.577), rel=0.02)
    assert last_of([(Law.of("constant", 3.0, 0.0), 1e6)]) == pytest.approx(3.0, rel=0.01)
    nothing: list[tuple[F64, F64]] = []
    assert seconds_left([], Work([(0, 10)])) is None
    assert seconds_left([Kind(Law.of("normal", 0.0, 0.0), 5, 0, nothing)], Work([(0, 10)])) == 0.0
    assert seconds_left([Kind(Law.of("constant", 1.0, 0.0), 10, 0, nothing)], Work([(0, 30)])) == pytest.approx(
        3.0, abs=0.05
    )
    late = Kind(Law.of("constant", 1.0, 0.0), 10, 10, [(np.array([-9.0, -8.0, 0.0]), np.array([0.0, 10.0, 10.0]))])
    assert seconds_left([late], Work([(0, 0)])) == pytest.approx(0.0, abs=0.05)  # they should have ended long ago


def test_retries_take_slots_and_time():
    def left(failed: int, attempts: float) -> float:
        rows = [
            row("sender", "s", {"started": 3_000, "sent": 2_000 - failed, "failed": failed},
                {"slots": 1_000, "busy": 1_000, "mean_s": 1.0, "sd_s": 0.0, "delay_model": 2}),
            row("broker", "b", {"accepted": 30_000, "sent": 2_000 - failed},
                {"queued": 27_000 + failed, "in_flight": 1_000, "attempts": attempts, "retry_base_s": 0.5,
                 "retry_cap_s": 60}),
            row("producer", "p", {"produced": 30_000}, {"total": 30_000}),
        ]  # fmt: skip
        answer = {"totals": {each["role"]: each["counters"] for each in rows}, "processes": rows}
        told = Trends().take(View.of(answer, 2.0)).left_s
        assert told is not None
        return told

    assert left(0, 4) == pytest.approx(28, rel=0.05)
    assert left(400, 1) == pytest.approx(28, rel=0.05)
    assert left(400, 4) == pytest.approx(38.98, rel=0.05)  # an event simulation's


def telling(at: float, gauges: dict[str, float], queue: dict[str, float]) -> View:
    """A sender of 1,000 slots and sends of a second, and what its broker has in its queue."""
    law = {"slots": 1_000.0, "mean_s": 1.0, "sd_s": 0.0, "delay_model": 2.0}
    rows = [
        row("sender", "s", {"started": int(gauges["worked_s"]), "sent": int(gauges["worked_s"])}, law | gauges),
        row("broker", "b", {"accepted": 30_000, "sent": int(gauges["worked_s"])}, queue),
        row("producer", "p", {"produced": 30_000}, {"total": 30_000}),
    ]
    return View.of({"totals": {each["role"]: each["counters"] for each in rows}, "processes": rows}, at)


def test_slots_that_are_not_open_yet_are_not_slow_and_cost_no_time_later() -> None:
    watch, figures = Trends(), None
    for at in np.arange(0.0, 3.0, 0.25).tolist():  # opened one after the other over three seconds
        worked = 1_000 * at**2 / 6
        gauges = {"worked_s": worked, "open_s": worked, "busy": 1_000 * at / 3}
        figures = watch.take(telling(at, gauges, {"queued": 30_000 - worked}))
    assert figures is not None and [sender.pace for sender in figures.senders] == [None]
    assert figures.left_s == pytest.approx(30_000 / 1_000 - 1_000 * 2.75**2 / 6 / 1_000, rel=0.15)


def test_what_waits_for_the_time_of_its_next_attempt_is_no_work_that_a_sender_leaves() -> None:
    watch, figures = Trends(), None
    for at in np.arange(0.0, 5.0, 0.25).tolist():
        gauges = {"worked_s": 100 * at, "open_s": 1_000 * at, "busy": 100.0}
        figures = watch.take(telling(at, gauges, {"queued": 5_000, "retrying": 5_000}))
    assert figures is not None and [sender.pace for sender in figures.senders] == [None]
    for at in np.arange(5.0, 9.0, 0.25).tolist():
        gauges = {"worked_s": 100 * at, "open_s": 1_000 * at, "busy": 100.0}
        figures = watch.take(telling(at, gauges, {"queued": 5_000, "retrying": 1_000}))
    assert [sender.pace for sender in figures.senders] == [pytest.approx(0.1)]


def ideal_with_retries(share: float, attempts: int, base: float, seed: int) -> tuple[list[View], float]:
    """What an ideal mesh of constant sends tells while failed ones are sent again, and when the last has ended."""
    rng, messages = np.random.default_rng(seed), 10 * SLOTS
    queue, events = deque([1] * messages), [(at, "look", 0) for at in np.arange(0.0, 60.0, 0.5).tolist()]
    free, begun, failed, retried, resting, sent, dead, last, views = SLOTS, 0, 0, 0, 0, 0, 0, 0.0, []
    while events:
        while queue and free:
            free, begun = free - 1, begun + 1
            heapq.heappush(events, (last + 1.0 if begun > SLOTS else 1.0, "sent", queue.popleft()))
        now, what, attempt = heapq.heappop(events)
        if what == "look":
            law = {"slots": SLOTS, "busy": SLOTS - free, "mean_s": 1.0, "sd_s": 0.0, "delay_model": 2}
            law |= {"worked_s": SLOTS * now, "open_s": SLOTS * now}
            ended = begun - (SLOTS - free)
            rules = {"attempts": attempts, "retry_base_s": base, "retry_cap_s": 60.0, "retrying": resting}
            if due := [at - now for at, what, _ in events if what == "again"]:
                rules |= {"retry_first_s": min(due), "retry_last_s": max(due)}
            rows = [
                row("sender", "s", {"started": begun, "sent": ended - failed, "failed": failed}, law),
                row("broker", "b", {"accepted": messages, "sent": sent, "dead": dead, "retried": retried},
                    {"queued": len(queue) + resting, "in_flight": SLOTS - free} | rules),
                row("producer", "p", {"produced": messages}, {"total": messages}),
            ]  # fmt: skip
            views.append(View.of({"totals": {e["role"]: e["counters"] for e in rows}, "processes": rows}, now))
        elif what == "again":
            resting -= 1
            queue.append(attempt)
            last = now
        else:
            last, free = now, free + 1
            fails = rng.random() < share
            failed += fails
            if fails and attempt < attempts:
                retried, resting = retried + 1, resting + 1
                heapq.heappush(events, (now + rng.uniform(0, base * 2 ** (attempt - 1)), "again", attempt + 1))
            else:
                sent, dead = sent + (not fails), dead + fails
                end = now
    return views, end


@pytest.mark.parametrize(("share", "attempts", "base"), [(0.3, 4, 0.5), (0.3, 4, 4.0), (0.8, 3, 0.5), (0.05, 3, 0.5)])
def test_with_retries_the_time_left_is_right_within_15_percent_until_few_are_left(
    share: float, attempts: int, base: float
) -> None:
    last = np.mean([ideal_with_retries(share, attempts, base, seed)[1] for seed in range(10, 14)])
    watch = Trends()
    for view in ideal_with_retries(share, attempts, base, 1)[0]:
        figures = watch.take(view)
        if 2.0 <= view.at < 0.6 * last:  # the last ones wait by chance
            assert figures.left_s == pytest.approx(last - view.at, rel=0.15), f"at {view.at} s"


@pytest.mark.parametrize(("share", "attempts", "base", "few"), [(0.3, 2, 20.0, SLOTS), (0.3, 4, 4.0, 40)])
def test_while_the_last_ones_wait_for_their_next_attempt_it_is_known_when_that_is(
    share: float, attempts: int, base: float, few: int
) -> None:
    looked = 0
    for seed in (1, 2):
        views, end = ideal_with_retries(share, attempts, base, seed)
        watch = Trends()
        for view in views:
            # Of more, some fail once more, which is chance; and how far a send is, nobody knows.
            if view.brokers[0].figures.held < few and end - view.at > 2.5:
                looked += 1
                left_s = watch.take(view).left_s
                assert left_s == pytest.approx(end - view.at, rel=0.15), f"seed {seed} at {view.at} s"
            elif view.at % 2:
                watch.take(view)
    assert looked >= 20
