"""Every arrow of the diagrams in zsms/core/broker/core.py, one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest

from tests.core.making import NOTHING, column, histories, make_account, make_batch, seqs
from tests.core.making import row as row_of
from zsms.core.broker import BrokerCore, BrokerLimits, Granted, Put, letters, sessions
from zsms.core.broker import accounts as accounts_module
from zsms.core.broker.holdings import MAX_LETTERS, holdings
from zsms.core.broker.journal import Journal
from zsms.core.broker.session import Session
from zsms.errors import UsageError
from zsms.message import Batch
from zsms.wire.codec import decode, encode
from zsms.wire.frames import Ack, Answer, JoinProducer, JoinSender, Receipt

PRODUCER = b"producer's peer"


@dataclass
class Sender:
    """A sender that says whatever a test wants it to say."""

    core: BrokerCore
    token: int
    slots: int = 10
    prefetch: int = 0
    lease: float = 0.0
    join_number: int = 0
    number: int = 0
    connection: int = 0

    @property
    def peer(self) -> bytes:
        return b"%d/%d" % (self.token, self.connection)

    @property
    def session(self) -> Session:
        return self.core.sessions[self.token]

    def join(self, now: float = 0.0, received: int = 0, number: int | None = None) -> Session | None:
        self.join_number = self.join_number + 1 if number is None else number
        name, slots = f"s{self.token}", self.slots
        join = JoinSender(self.token, self.join_number, name, slots, received, self.lease, 0.0)
        return self.core.sender_joined(self.peer, join, now)

    def reconnect(self, received: int, now: float = 0.0) -> Session | None:
        self.connection += 1
        return self.join(now, received)

    def ack(
        self,
        sent: Iterable[int] = (),
        failed: Iterable[int] = (),
        *,
        settled: int = 0,
        limit: int | None = None,
        base: int = 0,
        number: int | None = None,
        now: float = 0.0,
    ) -> Session | None:
        """Acknowledge; the credit is for `settled` messages already done, or just `limit`."""
        limit = settled + self.slots + self.prefetch if limit is None else limit
        if number is None:
            number = self.number
            self.number += 1
        return self.core.acknowledged(
            self.peer, Ack(self.token, number, limit, base, column(sent), column(failed)), now
        )


def broker(**limits: float) -> BrokerCore:
    core = BrokerCore(BrokerLimits(**limits), seed=1)  # type: ignore[arg-type]
    core.producer_joined(PRODUCER, JoinProducer(1, 1, "producer", 0, 0.0), 0.0)
    return core


def sender(core: BrokerCore, token: int = 1, slots: int = 10, prefetch: int = 0, lease: float = 0.0) -> Sender:
    """One that has joined and said its credit."""
    peer = Sender(core, token, slots, prefetch, lease)
    assert peer.join() is peer.session
    assert peer.ack() is peer.session
    return peer


def put(core: BrokerCore, count: int, now: float = 0.0) -> None:
    account = core.producers[1]
    batch = make_batch(count, epoch=account.epoch, number=account.next, first=account.accepted)
    assert core.put(batch, now) is Put.ACCEPTED


def granted(core: BrokerCore, now: float = 0.0) -> list[tuple[int, list[int]]]:
    """Grant; (session, messages) of each."""
    return [(grant.session.token, seqs(grant.piece.lot.batch)) for grant in core.grants(now)]


def totals(core: BrokerCore) -> dict[str, int]:
    """What is not 0 of the accounts; each of them must add up."""
    assert all(account.balanced for account in core.accounts())
    return {name: count for name, count in core.totals().items() if count and name != "accepted"}


# -- producers ---------------------------------------------------------------------------------------------------


def test_batches_are_taken_in_order_and_each_is_confirmed_once():
    core = broker()
    put(core, 3, now=7.0)
    put(core, 2, now=8.0)
    assert totals(core) == {"queued": 5} and core.progress.first_accepted == 7.0
    assert [(a.producer, a.next) for a in core.confirms()] == [(1, 2)]
    assert core.confirms() == []


def test_a_batch_that_comes_again_is_confirmed_again_and_nothing_else():
    core = broker()
    put(core, 3)
    core.confirms()
    assert core.put(make_batch(3), 1.0) is Put.REPEATED
    assert totals(core) == {"queued": 3} and core.counters.repeated_batches == 1
    assert [a.next for a in core.confirms()] == [1]


def test_a_batch_after_a_gap_is_refused_and_the_producer_hears_what_is_expected():
    core = broker()
    put(core, 3)
    core.confirms()
    assert core.put(make_batch(3, number=2), 1.0) is Put.SKIPPED
    assert totals(core) == {"queued": 3} and core.counters.skipped_batches == 1
    assert [a.next for a in core.confirms()] == [1]


def test_a_producer_that_has_not_joined_is_strange():
    core = broker()
    assert core.put(make_batch(3, producer=2), 1.0) is Put.UNKNOWN_PRODUCER
    assert core.put(make_batch(3, epoch=2), 1.0) is Put.UNKNOWN_PRODUCER
    assert totals(core) == {} and core.counters.strange_batches == 2 and core.confirms() == []


def test_a_later_start_fences_the_earlier_whose_messages_are_sent_all_the_same():
    core = broker()
    put(core, 3)
    peer = sender(core)
    granted(core)
    new = core.producer_joined(b"other", JoinProducer(1, 2, "producer", 0, 0.0), 1.0)
    assert new is not None and core.producers[1] is new
    assert core.producer_joined(PRODUCER, JoinProducer(1, 1, "producer", 1, 0.0), 2.0) is None
    assert core.put(make_batch(3, number=1), 2.0) is Put.FENCED and core.counters.fenced_batches == 1
    put(core, 4)
    peer.ack([0, 1, 2])
    assert totals(core) == {"sent": 3, "queued": 4}
    assert (new.accepted, new.sent) == (4, 0)
    assert ("producer fenced", 3) in [(e.kind, e.messages) for e in core.new_events()]


def test_a_producer_that_joins_again_goes_on_where_it_was():
    core = broker()
    put(core, 3)
    account = core.producers[1]
    assert core.producer_joined(b"new peer", JoinProducer(1, 1, "producer", 0, 0.0), 5.0) is account
    assert account.next == 1 and core.alive(PRODUCER, 6.0) is None and core.alive(b"new peer", 6.0) is account


def test_a_broker_that_does_not_know_a_producer_expects_its_oldest_batch():
    core = BrokerCore()
    core.producer_joined(PRODUCER, JoinProducer(1, 1, "producer", 17, 0.0), 0.0)
    assert core.put(make_batch(3, number=17), 0.0) is Put.ACCEPTED


@pytest.mark.parametrize(
    ("limits", "size", "fits"), [({"max_messages": 20}, 10, 2), ({"max_bytes": 3 * make_batch(10).nbytes}, 10, 3)]
)
def test_the_queue_is_full_at_either_high_water_mark(limits, size, fits):
    core = broker(**limits)
    for _ in range(fits):
        assert not core.full
        put(core, size)
    assert core.full
    peer = sender(core, slots=10)
    granted(core)
    assert not core.full  # what is in flight is not in the queue
    peer.join(received=0)
    assert core.full  # it came back


def test_what_waits_for_its_next_attempt_counts_against_the_mark():
    core = broker(max_messages=10, max_attempts=2)
    put(core, 10)
    peer = sender(core)
    granted(core)
    peer.ack(failed=range(10))
    assert core.full and not core.queue


# -- granting ----------------------------------------------------------------------------------------------------


def test_nothing_is_granted_without_credit_and_never_more_than_the_credit():
    core = broker()
    put(core, 50)
    peer = Sender(core, 1, slots=5)
    peer.join()
    assert granted(core) == []
    peer.ack(limit=3)
    assert granted(core) == [(1, [0, 1, 2])]
    assert granted(core) == []
    peer.ack(limit=3)  # credit is cumulative: the same again is no more
    assert granted(core) == []
    peer.ack([0], limit=4)
    assert granted(core) == [(1, [3])]


def test_idle_slots_are_served_before_anyone_prefetches_so_a_small_sender_does_not_starve():
    core = broker()
    big, small = sender(core, 1, slots=100, prefetch=100), sender(core, 2, slots=2, prefetch=1)
    put(core, 102)
    assert granted(core) == [(1, list(range(100))), (2, [100, 101])]
    put(core, 5)
    big.ack([0], settled=1)
    assert granted(core) == [(1, [102]), (1, [103, 104])]  # then prefetch, but for what others could send
    small.ack([0, 1], settled=2)
    assert granted(core) == [(2, [105, 106])]  # an idle slot again, which goes before the prefetch that was in line
    put(core, 300)
    granted(core)
    assert (big.session.in_flight, small.session.in_flight) == (200, 3)  # slots + prefetch, and no more


def test_senders_take_turns_batch_by_batch():
    core = broker()
    for token in (1, 2, 3):
        sender(core, token, slots=4)
    for _ in range(6):
        put(core, 2)
    assert [token for token, _ in granted(core)] == [1, 2, 3, 1, 2, 3]


def test_a_grant_is_a_part_of_one_batch():
    core = broker()
    sender(core, slots=5)
    put(core, 3)
    put(core, 3)
    assert granted(core) == [(1, [0, 1, 2]), (1, [3, 4])]
    assert totals(core) == {"queued": 1, "in_flight": 5}


def grant_and(core: BrokerCore, act: str, **options: float) -> None:
    grants: list[Granted] = []
    for grant in core.grants(0.0):
        grants.append(grant)
        getattr(core, act)(grant, **options)
    assert grants


@pytest.mark.parametrize("word", ["acknowledgement", "ping", "an old acknowledgement"])
def test_what_the_wire_cannot_route_is_undone_until_the_sender_speaks(word):
    core = broker()
    peer = sender(core, slots=4)
    put(core, 3)
    grant_and(core, "unreachable")
    assert totals(core) == {"queued": 3} and peer.session.wants == 4 and core.counters.redelivered == 0
    assert granted(core, 1.0) == []
    if word == "ping":
        core.alive(peer.peer, 1.0)
    else:
        peer.ack(now=1.0, number=0 if "old" in word else None)
    assert granted(core, 1.0) == [(1, [0, 1, 2])]
    assert all(histories(piece.lot) == {(1, 1)} for piece in peer.session.pieces())


def test_others_are_given_what_the_wire_could_not_route():
    core = broker()
    sender(core, 1, slots=4)
    put(core, 3)
    grants = core.grants(0.0)
    core.unreachable(next(grants))
    sender(core, 2, slots=2)
    assert [(g.session.token, seqs(g.piece.lot.batch)) for g in grants] == [(2, [0, 1])]


@pytest.mark.parametrize("count", [3, 4], ids=["part of the credit", "all of the credit"])
def test_a_full_pipe_is_left_alone_for_a_while_and_then_tried_again(count):
    core = broker()
    peer = sender(core, slots=4)
    put(core, count)
    grant_and(core, "blocked", until=0.5)
    assert totals(core) == {"queued": count} and peer.session.wants == 4
    assert core.next_time(0.0) == 0.5
    assert granted(core, 0.4) == []
    assert granted(core, 0.5) == [(1, list(range(count)))]


def test_a_sender_that_fills_its_slots_beside_idle_ones_stands_in_line_once():
    core = broker()
    big, one = sender(core, 1, slots=10_000), sender(core, 2, slots=1, prefetch=1)
    done = {1: 0, 2: 0}
    for _ in range(200):
        put(core, 1)
        for grant in list(core.grants(0.0)):
            peer = {1: big, 2: one}[grant.session.token]
            done[peer.token] += 1
            peer.ack([grant.piece.base], settled=done[peer.token])
        assert sum(map(len, core.lines().values())) <= 2
    core.left(big.peer, 0.0)
    core.left(one.peer, 0.0)
    assert not any(core.lines().values())


def test_at_the_tail_nothing_waits_behind_busy_slots_that_others_could_send():
    core = broker()
    slow, fast = sender(core, 1, slots=10, prefetch=5), sender(core, 2, slots=10, prefetch=5)
    put(core, 28)
    granted(core)
    assert (slow.session.in_flight, fast.session.in_flight) == (10, 10)  # the 8 left are for whoever is free first
    fast.ack(range(10), settled=10)
    granted(core)
    assert (slow.session.in_flight, fast.session.in_flight) == (10, 8)


def test_nobody_prefetches_before_its_first_send_has_ended():
    core = broker()
    slow = sender(core, 1, slots=10, prefetch=5)
    put(core, 28)
    granted(core)
    assert slow.session.in_flight == 10  # a backlog; but who knows who is joining
    fast = sender(core, 2, slots=10, prefetch=5)
    granted(core)
    assert (slow.session.in_flight, fast.session.in_flight) == (10, 10)
    put(core, 30)
    slow.ack([0], settled=1)
    granted(core)
    assert (slow.session.in_flight, fast.session.in_flight) == (15, 10)


def test_as_long_as_batches_come_senders_prefetch():
    core = broker()
    one, two = sender(core, 1, slots=100, prefetch=5), sender(core, 2, slots=100, prefetch=5)
    put(core, 202)
    granted(core)
    for peer in (one, two):
        peer.ack([0], settled=1)
    granted(core)
    for tenth in range(1, 4):
        put(core, 3, now=tenth / 16)
    assert sum(len(numbers) for _, numbers in granted(core, 3 / 16)) == 9
    assert one.session.in_flight + two.session.in_flight == 209
    put(core, 1, now=0.5)  # after a gap: the tail, for all that is known
    assert granted(core, 0.5) == []


# -- acknowledgements ----------------------------------------------------------------------------------------------


def test_sent_and_failed_are_final_and_no_one_else_gets_them():
    core = broker()
    put(core, 10)
    peer = sender(core)
    granted(core)
    assert peer.ack([0, 1, 4], [2, 9], now=3.0) is peer.session
    assert totals(core) == {"sent": 3, "failed": 2, "in_flight": 5}
    assert core.progress.last_settled == 3.0 and core.progress.sends == 5
    assert not core.dead_letters  # a failure is a result, not an accident
    core.left(peer.peer, 4.0)
    sender(core, 2)
    assert granted(core) == [(2, [3, 5, 6, 7, 8])]


@pytest.mark.parametrize("column_of", ["sent", "failed"])
def test_a_second_acknowledgement_is_a_duplicate_and_changes_nothing(column_of):
    core = broker()
    put(core, 30)
    peer = sender(core, slots=30)
    granted(core)
    peer.ack(range(0, 30, 3), now=1.0)
    before, settled = totals(core), core.progress.last_settled
    peer.ack(**{column_of: range(0, 30, 3)}, now=2.0)
    assert totals(core) == before and core.counters.duplicates == 10
    assert core.progress.last_settled == settled and core.progress.sends == 10
    peer.ack([0], [0, 1])  # and in one frame
    assert totals(core) == before | {"failed": 1, "in_flight": 19} and core.counters.duplicates == 12


def test_a_frame_that_is_missing_is_asked_for_and_nothing_is_sent_twice():
    core = broker()
    put(core, 2)
    peer = sender(core)
    granted(core)
    assert (
        peer.ack([1], number=2) is None
    )  # frame 1 settled message 0, and was refused on its way: join, and say it again
    assert totals(core) == {"in_flight": 2}
    assert peer.session.acked == 1
    assert peer.ack([0], number=1) is not None and peer.ack([1], number=2) is not None
    assert totals(core) == {"sent": 2} and core.counters.duplicates == core.counters.redelivered == 0


def test_a_lease_is_what_was_asked_for_within_the_broker_s_bounds():
    core = broker(lease=30.0, max_lease=100.0)
    leases = [
        core.sender_joined(b"%d" % token, JoinSender(token, 1, "s", 1, 0, asked, 0.0), 0.0).lease
        for token, asked in enumerate((0.0, 5.0, 60.0, 9e9), 1)
    ]
    assert leases == [30.0, 30.0, 60.0, 100.0]


def test_a_frame_that_comes_again_is_passed_over():
    core = broker()
    put(core, 5)
    peer = sender(core)
    granted(core)
    peer.ack([0, 1], number=1)
    peer.ack([0, 1], number=1, limit=0)
    peer.ack([2], number=0, limit=0)
    assert totals(core) == {"sent": 2, "in_flight": 3} and core.counters.duplicates == 0
    assert (peer.session.acked, peer.session.limit) == (2, 10)


@pytest.mark.parametrize("base", [0, 7, 2**32, 2**63 - 1, 2**64 - 1])
def test_what_was_never_granted_is_refused_and_counted(base):
    core = broker()
    put(core, 5)
    peer = sender(core, slots=5)
    granted(core)
    peer.ack([5, 6, 2**32 - 1], [7], base=base)
    assert totals(core) == {"in_flight": 5} and core.counters.unknown == 4
    peer.ack([3, 5, 6])  # what was granted counts all the same
    assert totals(core) == {"in_flight": 4, "sent": 1} and core.counters.unknown == 6
    assert "unknown acknowledgements" in [event.kind for event in core.new_events()]


def test_only_the_peer_that_joined_last_speaks_for_a_session():
    core = broker()
    put(core, 5)
    peer, other = sender(core, 1), sender(core, 2)
    granted(core)
    empty = NOTHING
    for stranger in (other.peer, b"nobody"):
        assert core.acknowledged(stranger, Ack(1, 5, 99, 0, column([0]), empty), 0.0) is None
    assert core.acknowledged(other.peer, Ack(77, 0, 99, 0, column([0, 1]), empty), 0.0) is None
    assert totals(core) == {"in_flight": 5} and core.counters.unknown == 2 and not core.is_ended(77)
    assert peer.session.limit == 10


# -- senders come and go --------------------------------------------------------------------------------------------


def test_what_a_silent_sender_held_goes_to_others_in_order_and_before_what_is_new():
    core = broker(liveness=5.0)
    put(core, 6)
    put(core, 4)
    dead = sender(core, 1, slots=8)
    granted(core)
    alive = sender(core, 2, slots=5)
    assert granted(core) == [(2, [8, 9])]
    dead.ack([1, 6])
    put(core, 3)
    for now in (2.0, 4.0, 5.0):
        core.alive(alive.peer, now)
        core.poll(now)
    assert core.sessions.keys() == {1, 2}
    core.poll(5.1)
    assert core.sessions.keys() == {2} and core.is_ended(1)
    assert totals(core) == {"sent": 2, "in_flight": 2, "queued": 9}
    assert core.counters.redelivered == 6 and core.counters.sessions_ended == 1
    assert ("sender lost", "s1", 6) in [(e.kind, e.subject, e.messages) for e in core.new_events()]
    alive.ack([0, 1], settled=2)
    assert granted(core) == [(2, [0, 2, 3, 4, 5])]
    assert [histories(p.lot) for p in alive.session.pieces() if p.open] == [{(1, 2)}]
    assert dead.ack([0, 2], now=6.0) is None  # late: they are others' by now
    assert totals(core) == {"sent": 4, "in_flight": 5, "queued": 4} and core.counters.duplicates == 2
    one = np.ones(1, "u8"), np.ones(1, "u8"), np.zeros(1, "u1"), np.array([-1.0], "f4")
    assert not core.received(dead.peer, Receipt(1, *one), 6.0)  # it has to begin anew, and what it has told counts
    assert not core.received(dead.peer, Receipt(77, *one), 6.0)
    assert core.counters.receipts_delivered == 1 and core.delivery_times.count == 0
    assert dead.join(6.0, received=8) is None and dead.join(6.0) is None
    assert core.alive(dead.peer, 6.0) is None


@pytest.mark.parametrize("word", ["ping", "acknowledgement", "join"])
def test_any_word_is_a_sign_of_life(word):
    core = broker(liveness=5.0)
    peer = sender(core)
    for now in range(1, 20):
        if now % 4 == 0:
            match word:
                case "ping":
                    core.alive(peer.peer, now)
                case "join":
                    peer.join(now)
                case _:
                    peer.ack(now=now)
        core.poll(now)
    assert 1 in core.sessions


def test_nobody_is_given_up_right_after_the_broker_itself_was_late():
    core = broker(liveness=5.0)
    put(core, 5)
    peer = sender(core, lease=7.0)
    granted(core)
    core.poll(1.0)
    for now in (20.0, 22.0, 24.0, 24.9):
        core.poll(now)
        assert peer.session.in_flight == 5  # neither the silence nor the lease counts
    core.poll(25.1)
    assert not core.sessions and totals(core) == {"queued": 5}


def test_a_lease_that_runs_out_takes_messages_back_from_a_sender_that_lives():
    core = broker(liveness=5.0, lease=6.0)
    put(core, 4)
    slow, patient = sender(core, 1, slots=4), sender(core, 2, slots=2, lease=9.0)
    assert granted(core) == [(1, [0, 1, 2, 3])]
    slow.ack([1], settled=1)
    for now in (2.0, 4.0, 5.9):
        core.alive(slow.peer, now)
        core.alive(patient.peer, now)
        core.poll(now)
    assert slow.session.in_flight == 3
    core.poll(6.0)
    assert slow.session.in_flight == 0 and 1 in core.sessions
    assert totals(core) == {"sent": 1, "queued": 3} and core.counters.redelivered == 3
    assert ("lease expired", 3) in [(e.kind, e.messages) for e in core.new_events()]
    assert slow.session.wants == 1  # its slots are still busy with them: they cost credit until it says so
    slow.ack([0, 2, 3], settled=4)
    assert core.counters.duplicates == 3 and totals(core) == {"sent": 1, "queued": 3}
    assert granted(core, 6.0) == [(2, [0, 2]), (1, [3])]
    for now in (8.0, 10.0, 12.0, 14.0):
        core.alive(slow.peer, now)
        core.alive(patient.peer, now)
        core.poll(now)
    assert (slow.session.in_flight, patient.session.in_flight) == (0, 2)  # it had asked for longer
    core.poll(15.0)
    assert patient.session.in_flight == 0


def test_what_several_leases_bring_back_keeps_its_order():
    core = broker(liveness=100.0, lease=6.0)
    for _ in range(3):
        put(core, 2)
    peer = sender(core, slots=6)
    granted(core)
    core.poll(6.0)
    core.left(peer.peer, 6.0)
    sender(core, 2, slots=6)
    assert granted(core) == [(2, [0, 1, 2, 3, 4, 5])]


def test_slots_whose_leases_ran_out_are_free_before_the_sender_says_a_word():
    core = broker(liveness=100.0, lease=6.0)
    slow = sender(core, slots=4, prefetch=8)
    put(core, 6)
    core.poll(0.0)
    assert granted(core) == [(1, [0, 1, 2, 3])]  # none of its sends has ended: nothing waits behind them
    core.alive(slow.peer, 7.0)
    core.poll(7.0)
    assert granted(core, 7.0) == [(1, [0, 1, 2, 3])]


def test_only_leases_that_ran_out_are_taken():
    core = broker(liveness=100.0, lease=6.0)
    peer = sender(core, slots=6)
    for now in (0.0, 1.0):
        put(core, 2)
        granted(core, now)
    core.poll(6.5)
    assert peer.session.in_flight == 2
    core.poll(7.0)
    assert peer.session.in_flight == 0


def test_a_goodbye_gives_back_at_once_and_is_no_accident():
    core = broker()
    put(core, 5)
    peer = sender(core)
    granted(core)
    core.left(peer.peer, 1.0)
    assert totals(core) == {"queued": 5} and core.counters.sessions_ended == 0 and core.is_ended(1)
    core.left(peer.peer, 1.0)
    core.left(PRODUCER, 1.0)
    assert core.alive(PRODUCER, 1.0) is None and 1 in core.producers


def test_after_a_reconnect_what_the_wire_lost_comes_back_and_counts_as_no_delivery():
    core = broker()
    peer = sender(core, 1, slots=6)
    for _ in range(3):
        put(core, 2)
    assert granted(core) == [(1, [0, 1]), (1, [2, 3]), (1, [4, 5])]
    other = sender(core, 2)
    put(core, 2)
    assert granted(core) == [(2, [6, 7])]
    peer.ack([0])
    old = peer.peer
    session = peer.reconnect(received=4, now=1.0)
    assert session is peer.session and (session.generation, session.granted) == (2, 4)
    assert totals(core) == {"sent": 1, "in_flight": 5, "queued": 2} and core.counters.redelivered == 0
    assert session.wants == 0  # what it wants is what it says now
    assert core.alive(old, 1.0) is None and core.alive(peer.peer, 1.0) is session
    put(core, 1)
    other.ack(limit=3)
    assert granted(core) == [(2, [4])]  # what came back goes first
    peer.ack([1, 2, 3], settled=4)
    assert granted(core) == [(1, [5]), (1, [8])]
    assert [(p.base, histories(p.lot)) for p in peer.session.pieces()] == [(4, {(1, 1)}), (5, {(1, 1)})]
    assert totals(core) == {"sent": 4, "in_flight": 5}


def test_a_join_from_before_a_reconnect_that_is_read_late_changes_nothing():
    core = broker()
    put(core, 5)
    peer = sender(core)
    granted(core)
    old = peer.peer
    peer.reconnect(received=5)
    peer.ack([0])
    session = core.sender_joined(old, JoinSender(1, 1, "s1", 10, 0, 0.0, 0.0), 1.0)
    assert session is peer.session and (session.peer, session.generation, session.granted) == (peer.peer, 2, 5)
    assert totals(core) == {"sent": 1, "in_flight": 4}
    assert peer.ack([1]) is session
    assert core.alive(peer.peer, 1.0) is session


def test_a_sender_that_remembers_another_story_begins_anew():
    core = broker()
    put(core, 5)
    peer = sender(core)
    granted(core)
    assert peer.reconnect(received=3) is None
    assert core.is_ended(1) and totals(core) == {"queued": 5}
    assert "sender disagreed" in [event.kind for event in core.new_events()]


def test_a_session_of_an_earlier_start_of_the_broker_is_not_taken_up():
    core = broker()
    assert Sender(core, 1).join(received=3) is None
    assert not core.sessions
    assert Sender(core, 1).join(received=0) is not None


def test_a_missing_acknowledgement_is_asked_for_once_and_with_each_sign_of_life_until_the_sender_has_joined():
    core = broker()
    put(core, 10)
    peer = sender(core)
    granted(core)
    lost = peer.number
    peer.number += 1
    assert peer.ack([1]) is None
    assert [peer.ack([number]) for number in (2, 3)] == [peer.session] * 2  # on their way before it could know
    assert core.alive(peer.peer, 0.0) is None and core.alive(peer.peer, 0.0) is None
    assert totals(core) == {"in_flight": 10}
    assert peer.join(received=10) is peer.session and core.alive(peer.peer, 0.0) is peer.session
    peer.number = lost
    assert [peer.ack([number]) for number in range(4)] == [peer.session] * 4
    assert totals(core) == {"in_flight": 6, "sent": 4}
    peer.number += 1
    assert peer.ack([9]) is None  # another one, in another join


def test_sessions_that_ended_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(sessions, "REMEMBERED", 2)
    core = broker()
    for token in (1, 2, 3):
        core.left(sender(core, token).peer, 0.0)
    assert [core.is_ended(token) for token in (1, 2, 3)] == [False, True, True]


# -- attempts and deliveries ----------------------------------------------------------------------------------------


def test_a_failed_send_is_tried_again_later_and_dead_after_the_last_attempt():
    core = broker(max_attempts=3, retry_base=2.0, liveness=1_000.0)
    put(core, 4)
    peer = sender(core, slots=100)
    granted(core)
    peer.ack([3], [0, 1, 2], now=10.0)
    assert totals(core) == {"sent": 1, "queued": 3} and core.counters.retried == 3
    assert granted(core, 10.0) == []  # not yet
    due = core.retries.next_time()
    assert due is not None and 10.0 <= due <= 12.0
    assert core.next_time(10.0) == due
    core.poll(12.0)
    assert sorted(seq for _, numbers in granted(core, 12.0) for seq in numbers) == [0, 1, 2]
    assert {h for piece in peer.session.pieces() if piece.open for h in histories(piece.lot)} == {(2, 1)}
    peer.ack([4], [5, 6], now=20.0)
    core.poll(24.0)
    granted(core, 24.0)
    peer.ack([7], [8], now=30.0)
    assert totals(core) == {"sent": 3, "dead": 1} and core.counters.retried == 5
    [letter] = core.dead_letters
    assert letter.reason == "failed 3 times" and histories(letter.lot) == {(3, 1)} and len(seqs(letter.lot.batch)) == 1
    assert core.progress.sends == 4 + 3 + 2


def test_a_message_that_kills_its_senders_is_dead_after_so_many_deliveries():
    core = broker(max_deliveries=3)
    put(core, 2)
    for token in (1, 2, 3):
        peer = sender(core, token)
        granted(core)
        assert {h for piece in peer.session.pieces() for h in histories(piece.lot)} == {(1, token)}
        core.left(peer.peer, 1.0)
    assert totals(core) == {"dead": 2} and core.counters.redelivered == 6 and core.progress.last_settled == 1.0
    assert [(seqs(d.lot.batch), d.reason) for d in core.dead_letters] == [([0, 1], "taken back from 3 senders")]


def test_dead_letters_are_kept_up_to_a_bound_the_newest_at_least(monkeypatch):
    monkeypatch.setattr(letters, "MOST_MESSAGES", 5)
    monkeypatch.setattr(letters, "JOINED_MESSAGES", 0)
    core = broker(max_deliveries=1)
    for size in (3, 2, 2, 9):
        put(core, size)
        peer = sender(core, core.producers[1].next)
        granted(core)
        core.left(peer.peer, 0.0)
    assert [letter.lot.size for letter in core.dead_letters] == [9]
    assert totals(core) == {"dead": 16}


def test_what_waits_for_a_retry_counts_in_bytes_too():
    core = broker(max_bytes=1_000_000, max_attempts=5, retry_base=3_600.0, retry_cap=3_600.0)
    peer = sender(core, slots=10)
    for number in range(100):
        if core.full:
            break
        rows = [("+1", "x" * 60_000)] * 10
        assert core.put(Batch.of(rows, producer=1, epoch=1, number=number, first=10 * number), 0.0) is Put.ACCEPTED
        granted_now = list(core.grants(0.0))
        assert len(granted_now) == 1
        peer.ack([], range(10 * number, 10 * number + 10), settled=10 * number + 10, now=number / 10)
        core.poll((number + 1) / 10)
    assert core.full and core.retries.nbytes < 2_000_000


def test_a_dead_letter_keeps_its_message_and_not_its_batch():
    core = broker(max_deliveries=1)
    core.put(Batch.of([("+1", "x" * 50)] * 16_384, producer=1, epoch=1), 0.0)
    peer = sender(core, slots=1)
    list(core.grants(0.0))
    core.left(peer.peer, 0.0)
    [letter] = core.dead_letters
    assert letter.lot.size == len(letter.lot.whole) == 1 and letter.lot.whole.nbytes < 200


def test_dead_letters_are_bounded_in_bytes_and_in_objects(monkeypatch):
    monkeypatch.setattr(letters, "MOST_BYTES", 500_000)
    core = broker(max_attempts=2, retry_base=0.0)
    peer = sender(core, slots=1)
    for number in range(300):
        put(core, 1)
        for attempt in (1, 2):
            assert len(granted(core)) == 1
            peer.ack([], [2 * number + attempt - 1], settled=2 * number + attempt)
            core.poll(0.0)
    assert core.totals()["dead"] == 300 and len(core.dead_letters) < 12
    core.put(Batch.of([("+1", "x" * 50_000)] * 20, producer=1, epoch=1, number=300, first=300), 0.0)
    peer.slots = 20
    core.left(peer.peer, 0.0)
    core.purge_ready(0.0)
    assert core.dead_bytes < 1_600_000


def test_the_failures_of_an_acknowledgement_are_a_handful_of_lots_whatever_pieces_they_are_of():
    core = broker(max_attempts=3)
    peer = sender(core, slots=16_400)
    for _ in range(164):
        put(core, 100)
    assert len(granted(core)) == 164
    failed = np.sort(np.random.default_rng(1).choice(16_400, 820, replace=False))
    peer.ack([], failed, settled=820)
    assert totals(core) == {"queued": 820, "in_flight": 16_400 - 820}
    assert len(core.retries.lots()) <= 5 and core.retries.messages == 820
    core.poll(0.5)
    [(_, numbers)] = granted(core, 0.5)
    assert sorted(numbers) == failed.tolist()


def test_the_window_follows_what_is_open_and_not_the_oldest_of_it():
    core = broker()
    peer = sender(core, slots=2_000)
    settled = 0
    for turn in range(100):
        put(core, 1_000)
        granted(core)
        done = [n for n in range(turn * 1_000, turn * 1_000 + 1_000) if n % 500]
        settled += len(done)
        peer.ack(done, settled=settled)
    session = peer.session
    assert session.in_flight == 200 and session.granted - session.low <= 2 * 200 + 1_024
    assert len(session.pieces()) < 10
    old = session.old()
    assert old is not None and old[0].whole.nbytes < 200 * 100
    peer.ack(range(0, 50_000, 500), [50_000], settled=settled + 101)
    assert totals(core) == {"sent": 99_900, "failed": 1, "in_flight": 99}
    core.left(peer.peer, 0.0)
    assert totals(core) == {"sent": 99_900, "failed": 1, "queued": 99} and core.counters.redelivered == 99


# -- what it amounts to ---------------------------------------------------------------------------------------------


def test_the_accounts_are_by_producer_and_a_frame_may_settle_for_several():
    core = broker()
    core.producer_joined(b"second", JoinProducer(2, 1, "second", 0, 0.0), 0.0)
    put(core, 20)
    assert core.put(make_batch(20, producer=2), 0.0) is Put.ACCEPTED
    peer = sender(core, slots=40)
    granted(core)
    peer.ack(range(0, 40, 2), [1, 39])
    one, two = core.accounts()
    assert (one.sent, one.failed, one.in_flight) == (10, 1, 9)
    assert (two.sent, two.failed, two.in_flight) == (10, 1, 9)


def test_the_broker_must_look_at_least_five_times_within_the_liveness():
    assert broker(liveness=5.0).next_time(100.0) == 101.0


# -- accounts of producers that are over -----------------------------------------------------------------------


def test_accounts_of_producers_that_are_over_are_added_up(monkeypatch):
    monkeypatch.setattr(accounts_module, "FOLD_FROM", 4)
    core = BrokerCore(BrokerLimits(max_deliveries=1), seed=1)
    peer = sender(core, slots=1_000)
    for producer in range(1, 101):
        core.producer_joined(b"%d" % producer, JoinProducer(producer, 5, "p", 0, 0.0), 0.0)
        core.put(make_batch(3, producer=producer, epoch=5), 0.0)
        if producer % 2:
            core.left(b"%d" % producer, 0.0)
    granted(core)
    peer.ack(range(299))
    for producer in range(101, 151):
        core.producer_joined(b"%d" % producer, JoinProducer(producer, 5, "p", 0, 0.0), 0.0)
        core.left(b"%d" % producer, 0.0)
    accounts = list(core.accounts())
    assert len(accounts) < 120 and len(core.producers) >= 50  # those that have not left are all there
    assert totals(core) == {"sent": 299, "in_flight": 1}
    assert all(account.balanced for account in accounts)
    # One that is left can come back under the same or a later start, and not under an earlier one.
    assert core.producer_joined(b"x", JoinProducer(1, 4, "p", 1, 0.0), 1.0) is None and core.latest_epoch(1, 4) == 5
    assert core.producer_joined(b"x", JoinProducer(1, 6, "p", 0, 0.0), 1.0) is not None


def test_an_account_is_added_to_another_count_by_count() -> None:
    names = ("accepted", "queued", "in_flight", "sent", "failed", "dead")
    whole, other = make_account(1), make_account(2)
    for place, name in enumerate(names):
        setattr(whole, name, 10**place)
        setattr(other, name, 3 * 10**place)
    whole.add(other)
    assert [getattr(whole, name) for name in names] == [4 * 10**place for place in range(len(names))]


def test_an_account_whose_dead_letters_are_kept_is_not_added_up(monkeypatch):
    monkeypatch.setattr(accounts_module, "FOLD_FROM", 2)
    core = broker(max_deliveries=1)
    peer = sender(core)
    put(core, 3)
    granted(core)
    core.left(peer.peer, 1.0)  # taken back from the only sender that they may have
    assert totals(core) == {"dead": 3}
    core.left(PRODUCER, 1.0)
    core.producer_joined(b"q", JoinProducer(2, 1, "q", 0, 0.0), 1.0)
    assert list(core.producers) == [1, 2] and totals(core) == {"dead": 3}
    assert core.kick(2.0) == 3 and totals(core) == {"queued": 3}
    assert core.producers[1].queued == 3 and core.producers[1] in core.accounts()
    peer = sender(core, token=2)
    assert granted(core) == [(2, [0, 1, 2])]
    peer.ack(range(3))
    assert totals(core) == {"sent": 3}


def test_one_connection_may_speak_for_two_sessions_and_one_of_them_end():
    core = broker()
    old, new = (Sender(core, token) for token in (1, 2))
    new.connection = old.connection
    for each in (old, new):
        core.sender_joined(b"same", JoinSender(each.token, 1, "s", 10, 0, 0.0, 0.0), float(each.token))
    core.poll(0.0)
    core.poll(2.0)
    core.alive(b"same", 5.5)
    for now in (3.0, 4.0, 5.0, 6.1):
        core.poll(now)
    assert list(core.sessions) == [2]
    assert core.alive(b"same", 6.2) is core.sessions[2]


# -- kicking and purging ---------------------------------------------------------------------------------------


def dead_by_failing(core: BrokerCore, count: int) -> None:
    put(core, count)
    peer = sender(core, token=50 + core.producers[1].accepted, slots=count)
    for now in (0.0, 100.0):
        core.poll(now)
        granted(core, now)
        peer.ack([], range(peer.session.granted - count, peer.session.granted), settled=peer.session.granted)
    core.left(peer.peer, 100.0)


def test_dead_letters_are_kicked_by_reason_and_number_as_if_they_were_new():
    core = broker(max_attempts=2, max_deliveries=1)
    dead_by_failing(core, 5)
    put(core, 4)
    peer = sender(core)
    granted(core, 100.0)
    core.left(peer.peer, 100.0)
    reasons = [letter.reason for letter in core.dead_letters]
    assert set(reasons) == {"failed 2 times", "taken back from 1 sender"} and totals(core) == {"dead": 9}
    assert core.kick(101.0, "no such reason") == 0
    assert core.kick(101.0, "failed 2 times", 3) == 3
    assert totals(core) == {"dead": 6, "queued": 3}
    peer = sender(core, token=9)
    lots = [grant.piece.lot for grant in core.grants(101.0)]
    assert set.union(*map(histories, lots)) == {(1, 1)} and sum(len(seqs(lot.batch)) for lot in lots) == 3
    assert core.kick(101.0, limit=5) == 5 and core.kick(101.0) == 1 and core.kick(101.0) == 0
    assert totals(core) == {"in_flight": 3, "queued": 6}
    assert ("dead letters kicked", 3) in [(e.kind, e.messages) for e in core.new_events()]


def test_what_is_purged_is_dead_for_that_reason_and_may_be_kicked_or_let_go():
    core = broker(max_attempts=2, retry_base=100.0)
    put(core, 6)
    peer = sender(core, slots=2)
    granted(core)
    peer.ack([], [0], limit=2)  # one waits for its next attempt, one is in flight
    assert core.purge_ready(1.0) == 5
    assert totals(core) == {"dead": 5, "in_flight": 1} and not core.retries.messages and core.queue.nbytes == 0
    assert {letter.reason for letter in core.dead_letters} == {"purged"}
    assert core.kick(2.0, "purged", 2) == 2 and core.purge_dead(2.0, "failed 2 times") == 0
    assert core.purge_dead(3.0, "purged") == 3 and not core.dead_letters
    assert totals(core) == {"dead": 3, "in_flight": 1, "queued": 2}
    assert core.purge_ready(4.0) == 2 and core.purge_ready(4.0) == 0


def test_what_is_held_is_described_without_a_change():
    core = broker(max_attempts=2, max_deliveries=1)
    dead_by_failing(core, 3)
    put(core, 10, 100.0)
    peer = sender(core, slots=4)
    granted(core, 100.0)
    peer.ack([0], [], limit=4, now=101.0)
    before = totals(core)
    held = holdings(core, 110.0, 2)
    assert totals(core) == before == {"dead": 3, "queued": 6, "in_flight": 3, "sent": 1}
    assert (held["ready"]["messages"], held["ready"]["oldest_s"], held["ready"]["retrying"]) == (6, 10.0, 0)
    assert [letter["seq"] for letter in held["ready"]["letters"]] == [7, 8]
    (row,) = held["in_flight"]["senders"]
    assert (row["name"], row["messages"], row["sent"], row["oldest_s"], row["silent_s"]) == ("s1", 3, 1, 10.0, 9.0)
    assert held["dead"]["reasons"] == {"failed 2 times": 3} and held["dead"]["kept"] == held["dead"]["messages"] == 3
    for letter in held["dead"]["letters"]:
        assert (letter["recipient"], letter["text"]) == row_of(1, letter["seq"])
        assert (letter["attempt"], letter["reason"], letter["age_s"]) == (2, "failed 2 times", 110.0)
    assert len(holdings(core, 110.0)["dead"]["letters"]) == 0
    put(core, 3_000, 110.0)
    encoded = encode(Answer(0, holdings(core, 110.0, 10**9)))
    assert len(decode(encoded).body["ready"]["letters"]) == MAX_LETTERS


def test_what_was_confirmed_and_is_missing_is_told_and_not_waited_for():
    """A journal that lost its last groups with the machine, or was restored from an older copy."""
    journal = Journal()
    core = BrokerCore(journal=journal)
    account = core.producer_joined(b"p", JoinProducer(1, 1, "P", 0, 0.0), 0.0)
    assert core.put(make_batch(5), 0.0) is Put.ACCEPTED
    group = journal.close(core.books)  # on its way to the disk
    assert core.producer_joined(b"p2", JoinProducer(1, 1, "P", 4, 0.0), 0.0) is account and account.durable_through == 4
    core.committed(group)
    assert account.durable_through == 4
    (event,) = core.new_events()
    assert (event.kind, event.subject) == ("confirmed batches missing", "P, 3 of them")
    assert core.put(make_batch(5, number=4, first=20), 0.0) is Put.ACCEPTED
    assert journal.close(core.books).accounts[0].next == account.next == 5 and account.balanced


def test_a_sender_that_speaks_on_a_new_connection_before_it_joins_is_no_thief():
    core = broker()
    peer = sender(core)
    put(core, 10)
    granted(core)
    core.new_events()
    peer.connection += 1
    assert peer.ack([0, 1]) is None and core.counters.foreign == 2
    assert [event[1:] for event in core.new_events()] == [("acknowledgements without a join", "s1", 2)]


def test_what_peers_can_bring_about_at_will_is_told_once_a_second():
    core = broker()
    peer = sender(core)
    put(core, 10)
    granted(core)
    thief = Sender(core, 1)
    thief.connection = 7
    core.producer_joined(thief.peer, JoinProducer(9, 1, "thief", 0, 0.0), 0.0)
    core.new_events()
    for tenth in range(30):
        assert thief.ack([0, 1], now=tenth / 10) is None
    assert core.counters.foreign == 60 and totals(core) == {"in_flight": 10}
    told = [event for event in core.new_events() if event.kind == "foreign acknowledgements"]
    assert [event.messages for event in told] == [2, 20, 20] and told[0].subject == "s1"
    assert peer.session.in_flight == 10


def test_limits_that_contradict_themselves_are_refused_or_warned_of():
    with pytest.raises(UsageError, match="at least"):
        BrokerLimits(liveness=0.05)
    assert BrokerLimits(retry_base=1, retry_cap=1, liveness=0.25, max_attempts=2).warnings() == []
    (warning,) = BrokerLimits(retry_base=2, retry_cap=1, max_attempts=2).warnings()
    assert warning.startswith("retry cap 1 s is below retry base 2 s")


def test_a_sender_may_ask_for_a_longer_lease_and_never_for_a_shorter_one():
    core = broker(liveness=100.0, lease=6.0)
    assert [sender(core, 1, lease=2.0).session.lease, sender(core, 2, lease=9.0).session.lease] == [6.0, 9.0]


def test_a_join_that_is_read_twice_takes_nothing_back():
    core = broker()
    peer = sender(core)
    put(core, 10)
    assert granted(core) == [(1, list(range(10)))]
    assert peer.join(number=peer.join_number) is peer.session
    assert totals(core) == {"in_flight": 10} and granted(core) == []


def test_what_a_sender_leaves_of_a_grant_that_began_inside_a_batch_is_what_it_did_not_settle():
    core = broker()
    peer = sender(core, slots=4)
    put(core, 10)
    assert granted(core) == [(1, [0, 1, 2, 3])]
    peer.ack([0, 1, 2, 3], settled=4)
    assert granted(core) == [(1, [4, 5, 6, 7])]
    peer.ack([5], base=0, settled=5)
    granted(core)
    core.left(peer.peer, 1.0)
    other = sender(core, token=2)
    assert sorted(seq for _, messages in granted(core, 1.0) for seq in messages) == [4, 6, 7, 8, 9]
    assert other.session.in_flight == 5
