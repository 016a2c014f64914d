"""A sender's turns without sockets: what is begun, collected and measured, and when the next one is due."""

from __future__ import annotations

import pytest

from tests.core.making import make_batch
from zsms.core.sender.cap import F64, Cap, fresh
from zsms.core.sender.shares import Shares
from zsms.core.sender.slots import Slots
from zsms.core.sender.turn import Turn
from zsms.message import Batch, Outcome
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
    [[frame]] = turn.settle(collected)
    assert (len(frame.sent), frame.limit, turn.sent, turn.started) == (3, 3 + 3 + 2, 3, 3)
    assert [len(waiting.batch) for waiting, _ in turn.begin(1.2)] == [2] and turn.started == 5
    turn.poll(1.2, granted=True, more=False)
    assert turn.steady.window.now == 0.0  # a window would need another grant with more behind it


def test_a_transport_that_says_how_much_it_takes_gets_so_much() -> None:
    class Ahead(SimulatedTransport):
        free = 4

    transport = Ahead(Slots(5, DelayModel("constant", 1.0), seed=1))
    _, shares = sender(slots=5)
    turn = Turn(transport, shares, Caps(None))
    give(shares, 5)
    assert [len(waiting.batch) for waiting, _ in turn.begin(0.0)] == [4]
    transport.free = -1
    assert not turn.begin(0.0)


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


def counts(turn: Turn, shares: Shares, transport: SimulatedTransport) -> tuple[int, ...]:
    times = transport.times
    return turn.queue_times.count, turn.late.count, times.send.count, times.total.count, times.error.count


def stopped_sender(slots: int = 3) -> tuple[Turn, Shares, SimulatedTransport]:
    transport = SimulatedTransport(Slots(slots, DelayModel("constant", 1.0), seed=1))
    shares = Shares(1, slots, 2, 1)
    shares.cores[0].joining()
    shares.cores[0].welcomed(0)
    transport.times.ours = shares.ours
    return Turn(transport, shares, Caps(None), slept=transport), shares, transport


def test_what_others_were_given_while_it_stood_still_is_in_no_histogram() -> None:
    turn, shares, transport = stopped_sender()
    give(shares, 5)
    turn.begin(0.0)
    shares.cores[0].leases.stood_still(0.1)
    shares.cores[0].renew()  # the broker has given it up, and what waited went to others
    collected = turn.collect(14.0)
    assert collected is not None and len(collected) == 3 and turn.sent == 3
    assert counts(turn, shares, transport) == (3, 3, 0, 0, 0)
    assert transport.times.given_away == 3 and transport.times.asked == 3.0
    core = shares.cores[0]
    core.joining()
    core.welcomed(0)
    give(shares, 1)
    turn.begin(14.0)
    turn.collect(15.1)
    assert counts(turn, shares, transport) == (4, 4, 1, 1, 1) and transport.times.total.max > 14  # due at 0


def test_nothing_that_ends_or_begins_in_doubt_is_measured() -> None:
    turn, shares, transport = stopped_sender()
    give(shares, 5)
    turn.begin(0.0)
    shares.cores[0].leases.stood_still(0.1)
    turn.collect(14.0)
    turn.begin(14.0)
    assert counts(turn, shares, transport) == (3, 3, 0, 0, 0)
    shares.cores[0].leases.away_since = None  # it had not been given up after all
    turn.collect(15.1)
    assert counts(turn, shares, transport) == (3, 3, 2, 2, 2)


def test_what_has_outlasted_its_lease_is_others_and_in_no_histogram() -> None:
    turn, shares, transport = stopped_sender()
    core = shares.cores[0]
    core.leases.lease = 2.0
    give(shares, 1)
    turn.begin(0.0)
    turn.collect(1.1)
    assert counts(turn, shares, transport) == (1, 1, 1, 1, 1)
    give(shares, 4)  # at 0.0, by its clock
    turn.begin(1.1)
    turn.collect(2.5)
    turn.begin(2.5)
    turn.collect(4.0)
    assert counts(turn, shares, transport) == (4, 4, 1, 1, 1) and turn.sent == 5


def test_grants_that_came_while_it_stood_still_are_as_old_as_that() -> None:
    turn, shares, transport = stopped_sender()
    core = shares.cores[0]
    core.leases.lease = 2.0
    core.leases.stood_still(0.0)
    grant = Grant(core.token, core.generation, core.received, 1, 1, 0.0, 0, False)
    assert core.granted(grant, make_batch(1), 0.0, 14.0)
    core.leases.away_since = None  # the session is still there, and the lease is not
    turn.collect(14.0)
    turn.begin(14.0)
    turn.collect(15.1)
    assert counts(turn, shares, transport) == (0, 0, 0, 0, 0) and turn.sent == 1


@pytest.mark.parametrize(("cap", "ends"), [(None, 2.0), (Cap(1_000.0, 10.0), 2.0), (Cap(2.0), 2.09)])
def test_slots_lose_nothing_by_a_late_look_unless_a_cap_held_them_back(cap: Cap | None, ends: float) -> None:
    turn, shares = sender(slots=2, prefetch=2, cap=cap)
    give(shares, 4)
    for now in (0.0, 0.01):
        turn.begin(now)
    assert turn.collect(1.09) is not None  # they were over at 1 s
    assert turn.begin(1.09)
    due = turn.next_time(1.09)
    assert due == (pytest.approx(ends, abs=0.015) if ends < 2.05 else 1.59)  # with a cap, when there is room again
    assert turn.collect(ends - 0.02) is None and turn.collect(ends + 0.02) is not None


@pytest.mark.parametrize(("state", "begun"), [(fresh(1, None, budget=100.0), 99), (fresh(1, 10.0, 50.0), 51)])
def test_long_messages_begin_as_far_as_there_is_room_for_their_segments(state: F64, begun: int) -> None:
    turn, shares = sender(slots=60, prefetch=20, cap=Cap.of(state, 0))
    core = shares.cores[0]
    batch = Batch.of([(f"+1555{number}", "x" * 400) for number in range(80)], producer=1, epoch=1, number=0, first=0)
    assert core.granted(Grant(core.token, core.generation, 0, 1, 1, 0.0, 0, False), batch, 0.0, 0.0)
    taken = [waiting for now in (0.0, 0.01) for waiting, _ in turn.begin(now)]
    assert sum(len(waiting.batch) for waiting in taken) * 3 == begun
    assert [handle for waiting in taken for handle in waiting.handles.tolist()] == list(range(begun // 3))
    assert shares.waiting_messages == 80 - begun // 3 and core.in_slots == begun // 3
