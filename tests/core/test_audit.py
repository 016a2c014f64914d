"""The audit: what producers know to be confirmed against what brokers answer for. Every case here once balanced."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.stats.audit import Audit
from zsms.stats.book import StatsBook
from zsms.stats.snapshot import Snapshot
from zsms.stats.view import View

COUNT = st.integers(0, 10_000)


@given(COUNT, COUNT, COUNT, COUNT)
def test_every_message_made_is_somewhere_when_nobody_s_word_is_outstanding(confirmed, more, settled, held):
    audit = Audit(confirmed + more, confirmed, settled + held, settled, held)
    assert audit.made == audit.produced == audit.known - audit.beyond + audit.missing + audit.unconfirmed
    assert min(audit.missing, audit.unconfirmed, audit.beyond) == 0
    assert (audit.lost == 0) == (confirmed <= settled + held <= confirmed + more)


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_no_count_is_below_what_somebody_knows(produced, confirmed, accepted, settled, held):
    audit = Audit(produced, confirmed, accepted, settled, held, told=False)
    assert audit.made >= max(produced, accepted, settled)
    assert audit.missing >= max(0, confirmed - settled - held, accepted - settled - held)
    assert audit.beyond == 0


GAUGES = ("queued", "in_flight", "durability", "unconfirmed", "unreachable", "exhausted", "brokers")


class Mesh:
    """A collector's book, fed by hand."""

    def __init__(self) -> None:
        self.book = StatsBook()
        self.now = 100.0
        self._seq = 0

    def say(self, role: str, name: str = "", *, start: int = 1, state: str = "running", **figures: Any) -> None:
        """A snapshot; counters and gauges by their names, `last=True` the last word."""
        last, pid = figures.pop("last", False), figures.pop("pid", start)
        gauges = {k: float(figures.pop(k)) for k in GAUGES if k in figures}
        self._seq += 1
        seq = figures.pop("seq", self._seq)
        made = Snapshot(role, name or role, start, seq, "host", pid, state, 1.0, figures, gauges)
        self.now += 0.5 if role == "broker" else 0.0  # half an interval
        self.book.put(made, self.now, last)

    def view(self, after: float = 0.0) -> View:
        self.now += after
        return View.of(self.book.answer("totals", self.now), self.now)


def test_a_broker_that_confirms_and_drops_is_seen():
    mesh = Mesh()
    mesh.say("producer", produced=100, confirmed=100, state="done", last=True)
    mesh.say("broker", accepted=60, sent=60)
    mesh.say("broker", accepted=60, sent=60)
    view = mesh.view()
    assert (view.missing, view.balanced, view.done) == (40, False, False)
    assert view.to_json()["missing"] == 40 and view.to_json()["balanced"] is False


def test_a_broker_that_starts_again_without_a_journal_is_seen():
    mesh = Mesh()
    mesh.say("broker", accepted=20_000, sent=141, queued=19_759, in_flight=100)
    mesh.say("producer", produced=20_000, confirmed=20_000, state="done", last=True)
    mesh.say("broker", accepted=20_000, sent=141, queued=19_759, in_flight=100)
    assert mesh.view().balanced
    mesh.say("broker", start=2)
    view = mesh.view()
    assert (view.missing, view.queued, view.balanced) == (19_859, 0, False)


def test_what_is_confirmed_a_moment_before_a_broker_says_so_is_not_missing():
    mesh = Mesh()
    for step in range(1, 20):
        mesh.say("broker", accepted=100 * step, sent=50 * step, queued=50 * step)
        mesh.say("producer", produced=100 * step + 190, confirmed=100 * step + 90)
        view = mesh.view(0.1)
        assert view.balanced and view.missing == 0 and view.made == 100 * step + 190
        mesh.say("producer", produced=100 * step, confirmed=100 * step)


def test_what_comes_in_a_burst_is_not_missing():
    """The collector was stopped, and reads what waited: of each process a piece of the past, in any order."""
    mesh = Mesh()
    mesh.say("broker", accepted=100, sent=100)
    mesh.say("producer", produced=100, confirmed=100)
    mesh.say("broker", accepted=120, sent=120)
    mesh.now += 20.0
    for broker, producer in ((200, 500), (300, 900), (400, 1_000), (1_000, 1_000)):
        mesh.now -= 0.5  # all at once
        mesh.say("broker", accepted=broker, sent=broker)
        assert mesh.view().missing == 0
        mesh.say("producer", produced=producer, confirmed=producer)
        assert mesh.view().missing == 0
    mesh.say("broker", accepted=1_000, sent=1_000)
    assert mesh.view().missing == 0


def test_a_broker_s_newer_word_makes_no_message_of_nobody_s():
    mesh = Mesh()
    mesh.say("producer", produced=100, confirmed=100)
    mesh.say("broker", accepted=250, sent=250)
    view = mesh.view()
    assert view.balanced and view.made == 250 and not view.untold


def test_with_several_brokers_the_oldest_word_is_what_they_answer_for():
    mesh = Mesh()
    mesh.say("broker", "a", accepted=50, sent=50)
    mesh.say("broker", "b", accepted=50, sent=50)
    mesh.say("producer", produced=300, confirmed=300)
    mesh.say("broker", "a", accepted=150, sent=150)
    mesh.say("broker", "a", accepted=150, sent=150)
    assert mesh.view().missing == 0  # b has not spoken since
    mesh.say("broker", "b", accepted=140, sent=140)
    mesh.say("broker", "b", accepted=140, sent=140)
    assert mesh.view().missing == 10


def test_a_broker_that_came_back_with_an_older_journal_is_seen_though_its_producer_is_gone():
    mesh = Mesh()
    mesh.say("producer", produced=5, confirmed=5)
    mesh.say("broker", accepted=2_000, sent=500, queued=1_500, durability=2, seq=(3 << 32) + 9)
    view = mesh.view(60.0)  # both were killed, the producer before it could say how much
    assert (view.queued, view.missing, view.made) == (1_500, 0, 2_000)  # it is on the disk
    mesh.say("broker", accepted=1_200, sent=300, queued=900, durability=2, seq=(2 << 32) + 1, pid=7)
    view = mesh.view()
    assert view.made == 2_000 and view.missing == 800 and not view.balanced


def test_what_was_given_to_a_broker_again_is_not_missing():
    mesh = Mesh()
    mesh.say("broker", accepted=1_000, sent=300, queued=700)
    mesh.say("producer", produced=1_000, confirmed=400)
    mesh.say("broker", start=2, accepted=600, queued=600)  # what was not confirmed came again
    mesh.say("producer", produced=1_000, confirmed=1_000, repeated=600, state="done", last=True)
    mesh.say("broker", start=2, accepted=600, sent=600)
    mesh.say("broker", start=2, accepted=600, sent=600)
    view = mesh.view()
    assert view.made == 1_000 and view.missing == 100  # of the 400, 300 were sent


def test_what_was_given_again_and_sent_twice_is_not_beyond_what_was_made():
    for settled, lost in ((1_600, 0), (1_700, -100)):
        assert Audit(1_000, 1_000, settled, settled, held=0, repeated=600).lost == lost


def test_what_was_accepted_twice_does_not_keep_it_from_being_done():
    mesh = Mesh()
    mesh.say("producer", produced=1_000)
    mesh.say("broker", accepted=1_000, sent=300, queued=700)
    mesh.say("broker", start=2, accepted=1_000, sent=1_000)
    mesh.say("producer", produced=1_000, confirmed=1_000, repeated=1_000, state="done", last=True)
    view = mesh.view()
    assert view.done and view.made == 1_000 and not view.untold


def test_a_broker_in_memory_that_stays_silent_is_given_up_and_one_with_a_journal_is_not():
    for durability, missing in ((0, 70), (2, 0)):
        mesh = Mesh()
        mesh.say("producer", produced=100, confirmed=100, state="done", last=True)
        mesh.say("broker", "old", accepted=100, sent=30, queued=70, durability=durability)
        mesh.say("broker", "old", accepted=100, sent=30, queued=70, durability=durability)
        mesh.say("broker", "another")
        mesh.say("broker", "another")
        assert mesh.view(20.0).missing == 0
        assert mesh.view(20.0).missing == missing


def test_who_has_said_a_last_word_has_left_and_is_not_silent():
    mesh = Mesh()
    mesh.say("sender", "a", state="left", last=True)
    mesh.say("sender", "b", state="draining", last=True)  # of an older version
    mesh.say("sender", "c")
    view = mesh.view(60.0)
    assert [row.condition for row in view.processes] == ["left", "left", "silent"]
    assert view.senders_alive == 0


# -- what producers could not say ------------------------------------------------------------------------------------


def test_a_producer_that_was_killed_made_at_least_what_was_accepted():
    mesh = Mesh()
    mesh.say("producer", produced=99, confirmed=99)
    mesh.say("broker", accepted=180, sent=180)
    assert not mesh.view().untold  # its next word may be on the way
    view = mesh.view(10.0)
    assert view.made == 180 and view.untold == "producer is silent" and not view.done
    assert (view.to_json()["produced"], view.to_json()["produced_at_least"]) == (180, True)


def test_a_producer_that_was_killed_and_came_back_does_not_keep_it_from_being_done():
    mesh = Mesh()
    mesh.say("producer", produced=20_000, confirmed=20_000)
    mesh.say("producer", start=2, produced=3_000, confirmed=3_000, state="done", last=True)
    mesh.say("broker", accepted=23_369, sent=23_300, in_flight=69)
    assert not mesh.view().done
    mesh.say("broker", accepted=23_369, sent=23_369)
    view = mesh.view()
    assert view.done and view.made == 23_369 and view.untold and view.balanced


def test_a_producer_that_was_interrupted_does_not_keep_it_from_being_done():
    mesh = Mesh()
    mesh.say("producer", produced=166, confirmed=166, state="left", last=True)
    mesh.say("broker", accepted=166, sent=166)
    assert mesh.view().done and not mesh.view().untold


def test_what_left_unconfirmed_with_its_producer_is_not_done_and_not_missing():
    mesh = Mesh()
    mesh.say("producer", produced=166, confirmed=100, unconfirmed=66, state="left", last=True)
    mesh.say("broker", accepted=100, sent=100)
    mesh.say("broker", accepted=100, sent=100)
    view = mesh.view()
    assert (view.audit.unconfirmed, view.missing, view.done, view.balanced) == (66, 0, False, True)


def test_a_collector_that_began_after_the_producer_s_last_word_says_at_least():
    mesh = Mesh()
    mesh.say("broker", accepted=168, sent=168)
    view = mesh.view()
    assert view.made == 168 and "no producer has spoken" in view.untold and view.balanced


@pytest.mark.parametrize("changed", [{"queued": 1}, {"in_flight": 1}, {"sent": 99}, {"confirmed": 101}])
def test_done_asks_the_audit_too(changed):
    done = replace(View.of({}, 0.0), produced=100, confirmed=100, accepted=100, sent=100, producers_done=True)
    assert done.done and not replace(done, **changed).done


# -- any order of words ----------------------------------------------------------------------------------------------


class Truth:
    """A mesh of two producers and two brokers as it really is; what it says may be lost and is of any moment."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.mesh = rng, Mesh()
        self.produced, self.confirmed = [0, 0], [0, 0]
        self.accepted, self.settled, self.starts = [0, 0], [0, 0], [1, 1]
        self.forgotten = 0

    def work(self) -> None:
        p, b, many = self.rng.randrange(2), self.rng.randrange(2), self.rng.randint(1, 50)
        match self.rng.randrange(3):
            case 0:
                self.produced[p] += many
            case 1:
                many = min(many, self.produced[p] - self.confirmed[p])
                self.accepted[b] += many  # and confirmed at once: that is the hardest for the audit
                self.confirmed[p] += many
            case 2:
                self.settled[b] += min(many, self.accepted[b] - self.settled[b])

    def tell(self, broker: int) -> None:
        held = self.accepted[broker] - self.settled[broker]
        figures = {"accepted": self.accepted[broker], "sent": self.settled[broker], "queued": held}
        self.mesh.say("broker", f"b{broker}", start=self.starts[broker], **figures)

    def produce_word(self, p: int, **how: Any) -> None:
        self.mesh.say(
            "producer",
            f"p{p}",
            produced=self.produced[p],
            confirmed=self.confirmed[p],
            brokers=2,
            **how,
        )

    def say(self) -> None:
        self.mesh.now += self.rng.random() / 4
        if self.rng.random() < 0.3:
            return  # it was lost
        if self.rng.random() < 0.5:
            self.tell(self.rng.randrange(2))
        else:
            self.produce_word(self.rng.randrange(2))

    def forget(self, broker: int) -> None:
        """It is killed, after a last snapshot, and starts again with nothing."""
        self.tell(broker)
        self.forgotten += self.accepted[broker] - self.settled[broker]
        self.starts[broker] += 1
        self.accepted[broker] = self.settled[broker] = 0

    def end(self) -> View:
        """All that is to be made is confirmed and settled, and everybody says so."""
        for p in range(2):
            self.accepted[0] += self.produced[p] - self.confirmed[p]
            self.confirmed[p] = self.produced[p]
            self.produce_word(p, state="done", last=True)
        for b in (0, 1, 0, 1, 0, 1):
            self.settled[b] = self.accepted[b]
            self.tell(b)
        return self.mesh.view()


@pytest.mark.parametrize("seed", range(40))
def test_no_order_of_words_makes_anything_missing_that_is_not(seed):
    truth = Truth(random.Random(seed))
    for _ in range(300):
        truth.work() if truth.rng.random() < 0.6 else truth.say()
        view = truth.mesh.view()
        assert view.missing == 0 and view.balanced, view
    view = truth.end()
    assert view.done and view.balanced and view.made == sum(truth.produced)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_forgotten_is_missing_to_the_last_message(seed):
    truth = Truth(random.Random(seed))
    for turn in range(300):
        truth.work() if truth.rng.random() < 0.6 else truth.say()
        if turn in (100, 200):
            truth.forget(truth.rng.randrange(2))
        assert truth.mesh.view().missing <= truth.forgotten
    assert truth.end().missing == truth.forgotten
