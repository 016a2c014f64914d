"""What a mesh makes of its view and its processes: phases and verdicts, in milliseconds and without a process."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_audit import Mesh as Books
from zsms.launch.judge import FOLLOWS, OVER, REST_S, START_S, Judge, Member, Phase
from zsms.stats.view import View

KILLED = -9


class Run:
    """A run whose processes live and die by the word of a test."""

    def __init__(self, brokers: int = 1, senders: int = 2, standby: bool = False, **options: Any) -> None:
        names = ["broker"] if brokers == 1 else [f"broker-{number}" for number in range(1, brokers + 1)]
        named = [("stats", "stats"), *(("broker", name) for name in names)]
        named += [("broker", f"{name}-standby") for name in names if standby]
        named += [("sender", f"sender-{number}") for number in range(1, senders + 1)]
        self.members = [Member(role, name) for role, name in [*named, ("producer", "producer-1")]]
        self.brokers = names
        self.told: list[str] = []
        self.judge = Judge(self.told.append, options.pop("drain_timeout", 30.0), **options)
        self.books = Books()
        self.seen: View | None = None

    def ends(self, name: str, code: int = KILLED, **more: Any) -> None:
        """The process of this name ends."""
        (index,) = (i for i, each in enumerate(self.members) if each.name == name and each.code is None)
        self.members[index] = self.members[index]._replace(code=code, ending=f"{name} ended by {code}", **more)

    def say(self, made: int = 100, settled: int = 0, *, done: bool = False, unreachable: int = 0) -> None:
        """Every broker and the producer say how it stands."""
        confirmed = made - unreachable
        each = len(self.brokers)
        for name in self.brokers:
            held = {"queued": (confirmed - settled) // each, "in_flight": 0}
            self.books.say("broker", name, accepted=confirmed // each, sent=settled // each, **held)
        self.books.say("producer", produced=made, confirmed=confirmed, state="done" if done else "running", last=done)
        for name in self.brokers:  # what was confirmed is known to a broker's later word
            held = {"queued": (confirmed - settled) // each, "in_flight": 0}
            self.books.say("broker", name, accepted=confirmed // each, sent=settled // each, **held)

    def look(self, after: float = 0.1, view: bool = True) -> Phase:
        """The judge's phase so much later."""
        if view:
            self.seen = self.books.view(after)
        else:
            self.books.now += after
        return self.judge.poll(self.books.now, self.seen, self.members)


def test_the_table_says_what_may_follow_and_the_last_phases_are_followed_by_none() -> None:
    assert set(FOLLOWS) == set(Phase) and {Phase.FINISHING, Phase.BREAKING_OFF} == OVER
    reached, new = {Phase.STARTING}, {Phase.STARTING}
    while new := {later for phase in new for later in FOLLOWS[phase]} - reached:
        reached |= new
    assert reached == set(Phase)


def test_a_run_goes_from_its_first_answer_to_the_end_of_its_work() -> None:
    run = Run()
    assert run.look(view=False) is Phase.STARTING
    run.say(settled=40)
    assert run.look() is Phase.RUNNING
    run.say(settled=100, done=True)
    assert run.look() is Phase.RUNNING, "its producer has not ended"
    run.ends("producer-1", 0)
    assert run.look() is Phase.FINISHING
    assert run.judge.completed and run.judge.problems == run.told == []


def test_a_collector_that_never_answers_is_not_waited_for() -> None:
    run = Run()
    run.look(view=False)
    assert run.look(START_S - 0.1, view=False) is Phase.STARTING
    assert run.look(0.2, view=False) is Phase.BREAKING_OFF
    assert "has not answered for 20 s" in run.told[0] and not run.judge.completed


@pytest.mark.parametrize(
    ("victims", "said"),
    [
        (["broker"], "can't go on without it"),
        (["stats"], "can't go on without it"),
        (["producer-1"], "can't go on without it"),
        (["sender-1", "sender-2"], "it was the last sender"),
    ],
)
@pytest.mark.parametrize("settled", [0, 100])
def test_what_a_run_can_not_do_without_breaks_it_off(victims: list[str], said: str, settled: int) -> None:
    """Also of one that idles: figures alone look as if all were well."""
    run = Run()
    run.say(settled=settled)
    assert run.look() is Phase.RUNNING
    for name in victims:
        run.ends(name)
    assert run.look() is Phase.BREAKING_OFF
    assert run.told[-1] == run.judge.problems[-1] == f"{victims[-1]} ended by -9; {run.told[-1].partition('; ')[2]}"
    assert said in run.told[-1] and not run.judge.completed and run.judge.stops == 0
    assert run.judge.collector_lost == (victims == ["stats"])


def test_the_messages_of_a_lost_sender_go_to_the_others_unless_it_was_meant() -> None:
    run = Run(senders=3)
    run.say()
    run.ends("sender-2")
    assert run.look() is Phase.RUNNING
    assert run.told == run.judge.problems == ["sender-2 ended by -9; its messages go to the others"]
    run.ends("sender-1", meant=True)
    assert run.look() is Phase.RUNNING
    assert len(run.told) == 2 and len(run.judge.problems) == 1
    run.ends("sender-3", meant=True, comes_back=True)
    assert run.look() is Phase.RUNNING, "a fault starts it again"
    run.members.append(Member("sender", "sender-3"))
    assert run.look() is Phase.RUNNING and len(run.told) == 2


def test_one_of_two_brokers_is_lost_and_the_rest_settles_what_is_its_own() -> None:
    run = Run(brokers=2)
    run.say(settled=40)
    run.look()
    run.ends("broker-2")
    assert run.look() is Phase.RUNNING
    assert run.judge.brokers_lost == run.judge.forgotten == {"broker-2"}
    assert run.told == ["broker-2 ended by -9; its messages are lost; the others go on"]
    run.books.say("broker", "broker-1", accepted=50, sent=50)
    run.books.say("producer", produced=120, confirmed=100, exhausted=1, unconfirmed=20, unreachable=10)
    run.look(2 * REST_S)
    assert run.look(2 * REST_S) is Phase.RUNNING, "its producer still waits for the broker that lives"
    run.books.say("producer", produced=120, confirmed=100, exhausted=1, unconfirmed=20, unreachable=20)
    assert run.look() is Phase.RUNNING, "it has only just looked settled"
    run.books.say("broker", "broker-1", accepted=50, sent=40, queued=10)
    assert run.look(2 * REST_S) is Phase.RUNNING, "there was more in its broker's figures"
    run.books.say("broker", "broker-1", accepted=50, sent=50)
    run.look()
    assert run.look(REST_S + 0.01) is Phase.FINISHING
    assert run.judge.completed, "its producer waits for a broker that will not come, and has made all"


def test_what_a_lost_broker_held_is_kept_by_its_journal() -> None:
    run = Run(brokers=2, journal=True)
    run.say()
    run.ends("broker-1")
    run.look()
    assert run.judge.brokers_lost == {"broker-1"} and run.judge.forgotten == set()
    assert run.told == ["broker-1 ended by -9; its messages stay in its journal; the others go on"]


def test_a_broker_whose_place_another_takes_is_not_lost() -> None:
    run = Run(standby=True)
    run.say()
    run.ends("broker")
    assert run.look() is Phase.RUNNING and run.judge.brokers_lost == set()
    assert run.told == ["broker ended by -9; broker-standby is in its place"]
    run.ends("broker-standby")
    assert run.look() is Phase.BREAKING_OFF and run.judge.brokers_lost == {"broker"}


def test_a_producer_that_a_fault_started_again_may_end_the_run() -> None:
    run = Run()
    run.say()
    run.ends("producer-1", meant=True, comes_back=True)
    assert run.look() is Phase.RUNNING
    run.members.append(Member("producer", "producer-1"))
    run.say(settled=100, done=True)
    assert run.look() is Phase.RUNNING
    run.ends("producer-1", 0)
    assert run.look() is Phase.FINISHING


def test_a_run_whose_producer_others_told_to_leave_is_not_all_that_was_asked_for() -> None:
    for stopped in (False, True):
        run = Run()
        assert run.look(view=False) is Phase.STARTING
        run.books.say("broker", accepted=100, sent=60, queued=40)
        run.look()
        run.judge.stops += stopped
        run.books.say("producer", "producer-1", produced=100, confirmed=100, state="left", last=True)
        run.ends("producer-1", 0)
        for _ in range(3):
            run.books.say("broker", accepted=100, sent=100)
            run.look()
        assert run.judge.phase is Phase.FINISHING and not run.judge.completed
        assert run.judge.problems == ([] if stopped else ["producer-1 left before the end of the work"])


def test_a_stop_drains_first() -> None:
    run = Run()
    run.say(settled=40)
    run.look()
    run.judge.stops += 1
    assert run.look() is Phase.DRAINING
    assert run.told[0].startswith("stopping: producers first")
    run.ends("producer-1", 0, said=("x", "3 rows of people.csv were not read"))
    assert run.look() is Phase.DRAINING, "60 messages are held"
    run.say(settled=100, done=True)
    assert run.look() is Phase.FINISHING
    assert run.judge.problems == ["3 rows of people.csv were not read"] and len(run.told) == 1
    assert not run.judge.completed


def test_a_stop_at_the_start_waits_for_what_brokers_say_once_the_producers_have_left() -> None:
    """A word from before the first batch says that nothing is held."""
    run = Run()
    for name in run.brokers:
        run.books.say("broker", name, accepted=0, sent=0, queued=0, in_flight=0)
    run.look()
    run.judge.stops += 1
    run.ends("producer-1", 0)
    assert run.look(5.0) is Phase.DRAINING
    run.say(settled=40, done=True)
    assert run.look() is Phase.DRAINING, "60 messages are held"
    run.say(settled=100, done=True)
    assert run.look() is Phase.FINISHING


def test_a_drain_takes_no_longer_than_it_may() -> None:
    run = Run(drain_timeout=0.5)
    run.say()
    run.look()
    run.judge.stops += 1
    run.look()
    assert run.look(0.4) is Phase.DRAINING
    assert run.look(0.2) is Phase.BREAKING_OFF
    assert run.judge.problems == ["not drained after 0.5 s"]
    assert run.told[-1] == "not drained after 0.5 s; ending all the same"


@pytest.mark.parametrize("first", [Phase.STARTING, Phase.RUNNING, Phase.DRAINING])
def test_a_second_stop_breaks_it_off_from_wherever_it_is(first: Phase) -> None:
    run = Run()
    run.look(view=False)
    if first is not Phase.STARTING:
        run.say()
        run.look()
    run.judge.stops += 1
    if first is Phase.DRAINING:
        assert run.look() is first
    run.judge.stops += 1
    assert run.look(view=first is not Phase.STARTING) is Phase.BREAKING_OFF
    assert run.judge.problems == []


def test_a_broken_threshold_drains_as_a_stop_does() -> None:
    run = Run()
    run.say(settled=40)
    run.look()
    run.judge.abort("messages.failed==0 can't be kept")
    assert run.look() is Phase.DRAINING
    assert run.judge.problems == run.told[:1] == ["ended early: messages.failed==0 can't be kept"]
    assert run.judge.aborted and not run.judge.completed and run.judge.stops == 0


def test_a_run_whose_broker_forgot_ends_and_says_so() -> None:
    """Every process lives, nothing is held, and the rest will never be settled."""
    run = Run()
    run.books.say("producer", produced=100, confirmed=100, state="done", last=True)
    phase = Phase.STARTING
    for _ in range(30):
        run.books.say("broker", accepted=60, sent=60)
        if (phase := run.look(0.25)) in OVER:
            break
    assert phase is Phase.FINISHING and run.judge.stuck and not run.judge.fatal and not run.judge.completed
    assert run.judge.problems == run.told
    assert run.told[0].startswith("40 messages were confirmed and are not settled")
    assert run.books.now - 100.0 < 10


EVENTS = st.one_of(
    st.sampled_from(["stop", "abort"]),
    st.tuples(st.integers(0, 5), st.sampled_from([0, 1, KILLED])),
    st.tuples(st.just("say"), st.integers(0, 100), st.booleans()),
)


@given(st.lists(EVENTS, max_size=30), st.booleans())
def test_whatever_happens_phases_follow_each_other_as_the_table_says(events: list[Any], standby: bool) -> None:
    run = Run(brokers=2, standby=standby)
    phase = Phase.STARTING
    for event in events:
        if event == "stop":
            run.judge.stops += 1
        elif event == "abort":
            run.judge.abort("x")
        elif event[0] == "say":
            run.say(settled=event[1], done=event[2])
        elif run.members[event[0]].code is None:
            run.ends(run.members[event[0]].name, event[1])
        before, phase = phase, run.look(view=event[0] == "say")
        assert phase is before or phase in FOLLOWS[before]
        if phase in OVER:
            break
    if run.judge.stops > 1:
        assert phase in OVER


def test_it_is_said_who_is_waited_for() -> None:
    """Such as senders that were all stopped: nothing has ended, and nothing goes on."""
    run = Run()
    for _ in range(120):
        run.say(settled=10)
        assert run.look(0.5) is Phase.RUNNING
    assert set(run.told) == {"waiting for a sender: none is alive, and 90 messages wait"}
    assert 2 <= (said := len(run.told)) <= 12
    run.books.say("sender", "sender-1")
    for _ in range(120):
        run.books.say("sender", "sender-1")
        run.say(settled=20)
        run.look(0.5)
    assert len(run.told) == said
