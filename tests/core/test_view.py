from __future__ import annotations

from dataclasses import replace

import pytest

from zsms.stats.book import StatsBook
from zsms.stats.snapshot import Snapshot
from zsms.stats.view import View


def book_of(*snapshots: Snapshot, now: float = 0.0) -> StatsBook:
    book = StatsBook()
    for snapshot in snapshots:
        book.put(snapshot, now)
    return book


def make(role: str, name: str, state: str = "running", counters=None, gauges=None, start: int = 1) -> Snapshot:
    return Snapshot(role, name, start, 0, "host", 1, state, 1.0, counters or {}, gauges or {})


BROKER = make(
    "broker",
    "b",
    counters={"accepted": 100, "sent": 60, "failed": 5, "dead": 1, "redelivered": 7, "duplicates": 3, "retried": 2},
    gauges={"queued": 30, "in_flight": 4, "slots": 8, "busy_s": 10.0, "balanced": 1.0},
)
PRODUCERS = [make("producer", name, "done", {"produced": 50}) for name in "pq"]
SENDERS = [
    make("sender", name, counters={"sent": 30, "failed": 2}, gauges={"took_s": 64.0, "slots": 5}) for name in "st"
]


def view(*snapshots: Snapshot, at: float = 0.0) -> View:
    return View.of(book_of(*snapshots).answer("totals", at), at)


def test_the_figures_are_those_of_the_role_that_knows_them():
    seen = view(BROKER, *PRODUCERS, *SENDERS, at=1.0)
    assert (seen.produced, seen.accepted) == (100, 100)
    assert (seen.sent, seen.failed, seen.dead, seen.settled) == (60, 5, 1, 66)
    assert (seen.redelivered, seen.duplicates, seen.retried) == (7, 3, 2)
    assert (seen.queued, seen.in_flight, seen.slots, seen.senders_alive) == (30, 4, 8, 2)
    assert seen.mean_s == 2.0 and seen.rate == 6.6
    assert seen.balanced and seen.producers_done and not seen.done
    figures = seen.to_json()
    assert figures["rate_per_s"] == figures["overall_per_s"] == 6.6
    assert {name: figures[name] for name in ("produced", "queued", "done")} == {
        "produced": 100,
        "queued": 30,
        "done": False,
    }


def test_the_rate_asked_for_is_that_of_producers_that_still_make():
    makes = [make("producer", name, counters={"produced": 5}, gauges={"rate": 40.0}) for name in "pq"]
    done = make("producer", "r", "done", {"produced": 5}, {"rate": 40.0})
    assert view(*makes, done).asked_per_s == 80.0
    assert view(done).asked_per_s is None and view(*PRODUCERS).asked_per_s is None


def test_nothing_is_known_of_an_empty_mesh():
    seen = View.of({}, 0.0)
    assert (seen.produced, seen.settled, seen.rate, seen.mean_s, seen.senders_alive) == (0, 0, 0.0, 0.0, 0)
    assert not seen.done and not seen.producers_done and seen.balanced


@pytest.mark.parametrize(
    "changed",
    [
        {"producers_done": False},
        {"produced": 101},
        {"accepted": 99},
        {"sent": 99},
        {"queued": 1},
        {"in_flight": 1},
    ],
)
def test_done_means_that_every_message_made_is_settled(changed):
    done = replace(View.of({}, 0.0), produced=100, accepted=100, sent=90, failed=9, dead=1, producers_done=True)
    assert done.done
    assert not replace(done, **changed).done


def test_a_rate_is_of_what_was_settled_in_between():
    before = replace(View.of({}, 10.0), sent=100)
    now = replace(View.of({}, 14.0), sent=300, failed=10, dead=10, busy_s=20.0)
    assert now.rate_since(before) == 55.0
    assert now.rate_since(None) == now.rate == 16.0
    assert now.rate_since(replace(now)) == 0.0  # no time has passed


def test_a_silent_process_is_not_alive_but_what_it_did_still_counts():
    fresh = view(*SENDERS, at=4.5)
    assert fresh.senders_alive == 2
    silent = view(*SENDERS, at=4.6)
    assert silent.senders_alive == 0 and silent.mean_s == 2.0
    assert view(replace(SENDERS[0], state="done"), SENDERS[1]).senders_alive == 1


def test_several_brokers_share_the_time_and_the_slots_and_add_up_the_rest():
    def broker(name: str, ago: float, busy: float, **more: float) -> Snapshot:
        gauges = {"slots": 10, "busy_s": busy, "first_accepted_ago": ago, "queued": 1, "in_flight": 2, **more}
        return make("broker", name, counters={"accepted": 100, "sent": 97}, gauges=gauges)

    book = StatsBook()
    book.put(broker("a", 20.0, 8.0), 100.0)  # from 80 to 88
    book.put(broker("b", 15.0, 12.0), 101.0)  # from 86 to 98
    book.put(broker("idle", 0.0, 0.0), 102.0)
    seen = View.of(book.answer("totals", 103.0), 103.0)
    assert seen.busy_s == pytest.approx(18.0)
    assert (seen.slots, seen.accepted, seen.queued, seen.in_flight) == (10, 300, 3, 6)
    assert seen.held_by("a") == 3 and seen.held_by("nobody") == 0


def test_what_a_broker_said_counts_from_an_interval_after_a_moment():
    book = book_of(make("broker", "b"), now=10.0)  # an interval of 1 s
    assert not View.of(book.answer("totals", 10.0), 10.0).reported_after("b", 9.5)
    assert View.of(book.answer("totals", 10.4), 10.4).reported_after("b", 8.9)
    assert not View.of(book.answer("totals", 10.4), 10.4).reported_after("c", 0.0)


def test_a_producer_that_has_not_spoken_yet_has_no_last_word() -> None:
    assert view(BROKER).untold == "no producer has spoken to this collector"
    assert "last word" in view(BROKER, make("producer", "p", "done", {"produced": 50})).untold


def test_all_is_reached_when_only_brokers_that_are_gone_have_not_confirmed():
    def producer(**gauges: float) -> Snapshot:
        return make("producer", "p", gauges=gauges)

    assert view(producer(exhausted=1, unconfirmed=5, unreachable=5)).all_reached
    assert not view(producer(exhausted=1, unconfirmed=6, unreachable=5)).all_reached
    assert not view(producer(exhausted=0, unconfirmed=5, unreachable=5)).all_reached
    assert not view().all_reached


def test_one_account_that_does_not_balance_is_enough():
    assert not view(BROKER, make("broker", "c", gauges={"balanced": 0.0})).balanced


def test_one_producer_that_is_not_done_is_enough():
    assert not view(PRODUCERS[0], make("producer", "q")).producers_done
