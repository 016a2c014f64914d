"""Nothing waits for what can't come: the monitor's and the mesh's judge of the end."""

from __future__ import annotations

from tests.core.test_audit import Mesh
from zsms.stats.ending import Ending, Verdict


def ended(mesh: Mesh, within: float, step: float = 0.5, **more: object) -> Verdict | None:
    """What is said within so many seconds of nothing new; `more` are brokers that go on speaking."""
    ending, waited = Ending(), 0.0
    while waited < within:
        if more:
            mesh.say("broker", **more)
        verdict = ending.verdict(mesh.view(step))
        if verdict is not None:
            return verdict
        waited += step
    return None


def test_a_producer_that_was_interrupted_ends_well_at_once():
    mesh = Mesh()
    mesh.say("producer", produced=166, confirmed=166, state="left", last=True)
    mesh.say("broker", accepted=166, sent=166)
    verdict = ended(mesh, 1)
    assert verdict is not None and verdict.code == 0 and "producer left before the end" in verdict.why


def test_a_producer_that_was_killed_is_waited_for_by_name_and_then_given_up():
    mesh = Mesh()
    mesh.say("producer", produced=99, confirmed=99)
    ending = Ending()
    mesh.say("broker", accepted=180, sent=180)
    assert ending.verdict(mesh.view(1.0)) is None and not ending.waits
    mesh.now += 5.0
    mesh.say("broker", accepted=180, sent=180)
    assert ending.verdict(mesh.view()) is None and ending.waits == "producer, silent for 7 s"
    verdict = ended(mesh, 20, accepted=180, sent=180)
    assert verdict is not None and verdict.code == 1 and "producer fell silent" in verdict.why


def test_one_killed_and_another_that_did_its_work_end_too():
    mesh = Mesh()
    mesh.say("producer", "first", produced=99, confirmed=99)
    mesh.say("producer", "second", produced=2_000, confirmed=2_000, state="done", last=True)
    verdict = ended(mesh, 20, accepted=2_180, sent=2_180)
    assert verdict is not None and verdict.code == 1 and "first fell silent" in verdict.why


def test_a_killed_producer_that_came_back_under_its_name_ends_well():
    mesh = Mesh()
    mesh.say("producer", produced=20_000, confirmed=20_000)
    mesh.say("producer", start=2, produced=3_000, confirmed=3_000, state="done", last=True)
    mesh.say("broker", accepted=23_369, sent=23_369)
    verdict = ended(mesh, 1)
    assert verdict is not None and verdict.code == 0


def test_a_collector_that_never_heard_of_the_producer_ends_within_seconds():
    mesh = Mesh()
    verdict = ended(mesh, 15, accepted=168, sent=168)
    assert verdict is not None and verdict.code == 0 and "no producer has spoken" in verdict.why


def test_messages_that_left_with_their_producer_are_an_error():
    mesh = Mesh()
    mesh.say("producer", produced=166, confirmed=100, unconfirmed=66, state="left", last=True)
    verdict = ended(mesh, 10, accepted=100, sent=100)
    assert verdict == Verdict(1, "66 messages were made and no broker has confirmed them; they were with producer")


def test_a_broker_that_nobody_has_heard_of_is_no_good_end():
    mesh = Mesh()  # the collector has started again, and the second broker was gone by then
    mesh.say("producer", produced=500, confirmed=500, brokers=2, state="done", last=True)
    verdict = ended(mesh, 10, accepted=300, sent=300)
    assert verdict == Verdict(1, "200 messages were made and no broker that is known of answers for them")


def test_a_broker_that_forgot_ends_it_and_one_that_is_away_is_waited_for():
    mesh = Mesh()
    mesh.say("producer", produced=500, confirmed=500, state="done", last=True)
    mesh.say("broker", accepted=500, queued=500)
    mesh.say("broker", accepted=500, queued=500)
    assert ended(mesh, 25) is None  # it may be restarting
    verdict = ended(mesh, 10, start=2)
    assert verdict is not None and verdict.code == 1
    assert verdict.why.startswith("500 messages were confirmed and are not settled") and "again" in verdict.why


def test_a_broker_that_stays_away_ends_it():
    for durability in (0, 2):
        mesh = Mesh()
        mesh.say("producer", produced=500, confirmed=500, state="done", last=True)
        mesh.say("broker", accepted=500, queued=500, durability=durability)
        mesh.say("broker", accepted=500, queued=500, durability=durability)
        verdict = ended(mesh, 80)
        assert verdict is not None and verdict.code == 1 and "gone" in verdict.why


def test_nothing_ends_while_there_is_work_or_before_it_has_begun():
    mesh = Mesh()
    assert ended(mesh, 100) is None  # nobody has come yet
    assert ended(mesh, 100, accepted=0) is None
    mesh.say("producer", produced=10, confirmed=10, state="done", last=True)
    ending = Ending()
    for _ in range(100):
        mesh.say("broker", accepted=10, sent=0, queued=10)
        assert ending.verdict(mesh.view(1.0)) is None
    assert ending.waits == "a sender: none is alive, and 10 messages wait"


def test_a_broker_that_was_given_up_is_not_waited_for_twice():
    for durability in (0, 2):
        mesh = Mesh()
        mesh.say("producer", produced=500, confirmed=500, state="done", last=True)
        mesh.say("broker", accepted=500, queued=500, durability=durability)
        mesh.say("broker", accepted=500, queued=500, durability=durability)
        assert ended(mesh, 29) is None
        assert ended(mesh, 11) is not None, "half a minute, and as long as it takes to speak"
