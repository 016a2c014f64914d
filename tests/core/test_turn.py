"""A sender's turns without sockets: what is begun, collected and measured, and when the next one is due."""

from __future__ import annotations

from tests.core.making import make_batch
from zsms.core.sender.cap import Cap
from zsms.core.sender.shares import Shares
from zsms.core.sender.slots import Slots
from zsms.core.sender.turn import Turn
from zsms.message import Outcome
from zsms.roles.caps import Caps
from zsms.stats.delay import DelayModel
from zsms.transports.simulated import SimulatedTransport
from zsms.wire.frames import Grant


def sender(slots: int, prefetch: int = 0, cap: Cap | None = None) -> tuple[Turn, Shares]:
    """One whose sends take a second each."""
    transport = SimulatedTransport(Slots(slots, DelayModel("constant", 1.0), seed=1))
    shares = Shares(1, slots, prefetch, 1)
    core = shares.cores[0]
    core.joining()
    core.welcomed(0)
    return Turn(transport, shares, Caps(cap), slept=transport), shares


def give(shares: Shares, count: int) -> None:
    core = shares.cores[0]
    grant = Grant(core.token, core.generation, core.received, 1, 1, 0.0, 0, False)
    assert core.granted(grant, make_batch(count, first=core.received), 0.0, 0.0)


def test_what_waits_begins_in_free_slots_and_is_acknowledged_with_the_new_credit() -> None:
    turn, shares = sender(slots=3, prefetch=2)
    assert turn.collect(0.0) is None
    give(shares, 5)
    assert [len(waiting.batch) for waiting, _ in turn.begin(0.0)] == [3] and not turn.begin(0.0)
    turn.poll(0.0, granted=True, more=True)
    assert not turn.share(0.0) and shares.cores[0].new_credit() is None
    due = turn.next_time(0.0)
    assert due is not None and 0.9 < due < 1.2
    collected = turn.collect(1.2)
    assert collected is not None
    [[frame]] = collected.frames
    assert (len(frame.sent), frame.limit, turn.sent, turn.started) == (3, 3 + 3 + 2, 3, 3)
    assert [len(waiting.batch) for waiting, _ in turn.begin(1.2)] == [2] and turn.started == 5
    turn.poll(1.2, granted=True, more=False)
    assert turn.steady.window.now == 0.0  # a window would need another grant with more behind it


def test_a_cap_holds_back_what_slots_could_take_and_says_when_to_look_again() -> None:
    turn, shares = sender(slots=10, cap=Cap(2.0))
    give(shares, 4)
    assert [len(waiting.batch) for waiting, _ in turn.begin(0.0)] == [1]
    assert turn.next_time(0.0) == 0.5 and not turn.begin(0.4)
    assert [len(waiting.batch) for waiting, _ in turn.begin(0.5)] == [1]
    assert turn.queue_times.count == turn.late.count == 2


def test_what_waits_for_another_day_is_given_back_as_throttled() -> None:
    turn, shares = sender(slots=2)
    give(shares, 2)
    [[frame]] = turn.give_back()
    assert len(frame.failed) == 2 and set(frame.outcomes.tolist()) == {Outcome.THROTTLED.code}
    assert not turn.begin(0.0) and turn.started == 0
