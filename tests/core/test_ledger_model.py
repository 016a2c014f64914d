"""The broker against a model that keeps every single message in a dict.

Whatever producers, senders, the wire and the time do, in any order: each message is in one place, the accounts say
the same as the model, nothing is settled twice, and nobody who has credit waits while there is work.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.core.making import column, make_batch, seqs
from tests.core.places import Fate, places
from zsms.core.broker import BrokerCore, BrokerLimits, Put
from zsms.core.broker.journal import Journal
from zsms.message import MessageId
from zsms.wire.frames import Ack, JoinProducer, JoinSender

LIVENESS, LEASE = 5.0, 6.0
QUARTERS = st.integers(1, 8).map(lambda quarters: quarters / 4)  # exact as floats, and no stall of the broker


@dataclass
class Sender:
    token: int
    slots: int
    prefetch: int
    last_seen: float
    connection: int = 0
    generation: int = 0
    number: int = 0
    received: int = 0
    limit: int = 0
    granted: list[MessageId] = field(default_factory=list)
    pieces: list[tuple[int, int, float]] = field(default_factory=list)
    """(first number, end, when) of each grant."""
    done: set[int] = field(default_factory=set)
    alive: bool = True
    unreachable: bool = False
    blocked_until: float = 0.0

    @property
    def peer(self) -> bytes:
        return b"%d/%d" % (self.token, self.connection)


class Ledger(RuleBasedStateMachine):
    @initialize(attempts=st.sampled_from([1, 3]), deliveries=st.sampled_from([2, 20]))
    def begin(self, attempts: int, deliveries: int) -> None:
        self.limits = BrokerLimits(
            max_attempts=attempts, max_deliveries=deliveries, liveness=LIVENESS, lease=LEASE, retry_base=1.0
        )
        self.core = BrokerCore(self.limits, seed=1, journal=self.journal())
        self.now = 0.0
        self.looked: float | None = None
        self.judge_after = 0.0
        self.fates: dict[MessageId, Fate] = {}
        self.senders: dict[int, Sender] = {}
        self.gone: list[Sender] = []
        self.expected: Counter[str] = Counter()
        self.starts = {1: 0, 2: 0}
        self.next_token = 1
        self.restart(1)
        self.restart(2)

    def journal(self) -> Journal | None:
        return None

    # -- producers ----------------------------------------------------------------------------------------------

    @rule(producer=st.sampled_from([1, 2]))
    def restart(self, producer: int) -> None:
        self.starts[producer] += 1
        self.core.producer_joined(
            b"p%d" % producer, JoinProducer(producer, self.starts[producer], "producer", 0, 0.0), self.now
        )

    @rule(producer=st.sampled_from([1, 2]), count=st.integers(1, 12))
    def put(self, producer: int, count: int) -> None:
        account = self.core.producers[producer]
        batch = make_batch(count, producer=producer, epoch=account.epoch, number=account.next, first=account.accepted)
        assert self.core.put(batch, self.now) is Put.ACCEPTED
        self.fates.update({message.id: Fate() for message in batch.messages()})

    @rule(producer=st.sampled_from([1, 2]), start=st.integers(-1, 1), number=st.sampled_from([-1, 1, 2]))
    def put_what_is_not_expected(self, producer: int, start: int, number: int) -> None:
        account = self.core.producers[producer]
        batch = make_batch(3, producer=producer, epoch=account.epoch + start, number=account.next + number)
        put = {-1: Put.FENCED, 1: Put.UNKNOWN_PRODUCER, 0: Put.REPEATED if number < 0 else Put.SKIPPED}[start]
        assert self.core.put(batch, self.now) is put

    # -- senders ------------------------------------------------------------------------------------------------

    @rule(slots=st.integers(1, 8), prefetch=st.integers(0, 4))
    def join(self, slots: int, prefetch: int) -> None:
        sender = Sender(self.next_token, slots, prefetch, self.now)
        self.next_token += 1
        self.senders[sender.token] = sender
        assert self.say_join(sender)
        self.say_ack(sender, set(), set())

    def say_join(self, sender: Sender) -> bool:
        """Whether the broker welcomes it."""
        sender.generation += 1
        join = JoinSender(sender.token, sender.generation, "sender", sender.slots, sender.received, 0.0, 0.0)
        session = self.core.sender_joined(sender.peer, join, self.now)
        sender.last_seen, sender.unreachable, sender.limit = self.now, False, len(sender.granted)
        return session is not None and session is self.core.sessions[sender.token]

    def say_ack(self, sender: Sender, sent: set[int], failed: set[int]) -> None:
        sender.done |= {number for number in sent | failed if number < sender.received}
        limit = len(sender.done) + sender.slots + sender.prefetch
        base = min(sent | failed, default=0)
        columns = (column(n - base for n in numbers) for numbers in (sent, failed))
        self.core.acknowledged(sender.peer, Ack(sender.token, sender.number, limit, base, *columns), self.now)
        sender.number += 1
        sender.last_seen, sender.unreachable, sender.limit = self.now, False, limit

    def choose(self, data: st.DataObject) -> Sender:
        """One that lives; a new one when there is none."""
        living = [sender for sender in self.senders.values() if sender.alive]
        if not living:
            self.join(4, 1)
        return data.draw(st.sampled_from(living or list(self.senders.values())[-1:]))

    @rule(data=st.data())
    def reconnect(self, data: st.DataObject) -> None:
        """What the wire had not delivered comes back, and the old connection's words count no more."""
        sender = self.choose(data)
        old = sender.peer
        sender.connection += 1
        lost = range(sender.received, len(sender.granted))
        in_flight = [n for n in lost if self.fates[sender.granted[n]].place == (sender.token, n)]
        if not self.say_join(sender):
            assert len(in_flight) < len(lost)  # a lease ran out on its way, and the broker has forgotten that grant
            self.end(sender)
            return
        for number in in_flight:
            self.fates[sender.granted[number]].place = "queued"
        del sender.granted[sender.received :]
        sender.pieces = [piece for piece in sender.pieces if piece[0] < sender.received]
        sender.limit = sender.received
        everything = column(range(sender.received))
        assert self.core.acknowledged(old, Ack(sender.token, 99, 99, 0, everything, everything), self.now) is None
        if data.draw(st.booleans()):
            self.core.sender_joined(
                old, JoinSender(sender.token, sender.generation - 1, "sender", 1, 0, 0.0, 0.0), self.now
            )
        self.say_ack(sender, set(), set())

    @rule(data=st.data(), goodbye=st.booleans())
    def go(self, data: st.DataObject, goodbye: bool) -> None:
        """With a goodbye, or by saying nothing from now on."""
        sender = self.choose(data)
        sender.alive = False
        if goodbye:
            self.core.left(sender.peer, self.now)
            self.end(sender)

    @rule(data=st.data())
    def grant(self, data: st.DataObject) -> None:
        for granted in self.core.grants(self.now):
            session, piece = granted.session, granted.piece
            sender = self.senders[session.token]
            assert not sender.unreachable and sender.blocked_until <= self.now
            assert piece.base == len(sender.granted) and piece.end <= sender.limit
            assert piece.end - len(sender.done) <= sender.slots + sender.prefetch
            histories = list(piece.lot.messages())
            messages = [message.id for message in histories]
            assert len(seqs(piece.lot.batch)) == len(messages) == piece.end - piece.base
            for message in histories:
                assert self.fates[message.id] == Fate("queued", message.attempt, message.delivery)
            wire = data.draw(st.sampled_from(["takes it"] * 5 + ["loses it", "is full", "knows no way"]))
            if wire == "is full":
                sender.blocked_until = self.now + 0.5
                self.core.blocked(granted, sender.blocked_until)
                continue
            if wire == "knows no way":
                sender.unreachable = True
                self.core.unreachable(granted)
                continue
            if wire == "takes it" and sender.alive and sender.received == piece.base:
                sender.received = piece.end
            for number, message in enumerate(messages, piece.base):
                self.fates[message].place = (sender.token, number)
            sender.granted += messages
            sender.pieces.append((piece.base, piece.end, self.now))
        # Nobody who has credit and a free slot waits while there is work, nor anyone of whose sends one has ended while
        # others could not take it.
        if self.core.queue:
            slots = sum(sender.slots for sender in self.senders.values())
            for sender in self.senders.values():
                session = self.core.sessions[sender.token]
                few = self.core.queue.messages <= slots - sender.slots or not (session.sent or session.failed)
                waits = len(sender.granted) < sender.limit and not (few and session.in_flight >= sender.slots)
                assert not waits or sender.unreachable or sender.blocked_until > self.now

    # -- acknowledgements ---------------------------------------------------------------------------------------

    def settle(self, sender: Sender, number: int, outcome: str) -> None:
        if number >= len(sender.granted):
            self.expected["unknown"] += 1
            return
        fate = self.fates[sender.granted[number]]
        if fate.place != (sender.token, number):
            self.expected["duplicates"] += 1
        elif outcome == "sent":
            fate.place = "sent"
        elif fate.attempt < self.limits.max_attempts:
            fate.place, fate.attempt = "queued", fate.attempt + 1
            self.expected["retried"] += 1
        else:
            fate.place = "failed" if self.limits.max_attempts == 1 else "dead"

    @rule(data=st.data(), unknown=st.booleans())
    def acknowledge(self, data: st.DataObject, unknown: bool) -> None:
        """Any part of what was received, settled before or not, and now and then what was never granted."""
        sender = self.choose(data)
        numbers = st.integers(0, sender.received - 1) if sender.received else st.nothing()
        begin = data.draw(numbers | st.just(0))
        run = range(begin, min(sender.received, begin + data.draw(st.integers(0, 20))))
        chosen = st.just(set(run)) | st.sets(numbers)
        sent, failed = data.draw(chosen), data.draw(st.sets(numbers))
        never = {len(sender.granted) + 1, len(sender.granted) + 7} if unknown else set()
        for number in sorted(sent | never):
            self.settle(sender, number, "sent")
        for number in sorted(failed):
            self.settle(sender, number, "failed")
        self.say_ack(sender, sent | never, failed)

    @rule(data=st.data())
    def say_an_old_frame_again(self, data: st.DataObject) -> None:
        sender = self.choose(data)
        old = data.draw(st.integers(0, sender.number - 1))
        everything = column(range(sender.received))
        self.core.acknowledged(sender.peer, Ack(sender.token, old, 0, 0, everything, everything), self.now)
        sender.last_seen, sender.unreachable = self.now, False

    @rule(data=st.data())
    def acknowledge_after_the_end(self, data: st.DataObject) -> None:
        if not self.gone:
            return
        sender = data.draw(st.sampled_from(self.gone))
        everything = column(range(sender.received))
        self.core.acknowledged(sender.peer, Ack(sender.token, 99, 9, 0, everything, column([])), self.now)
        self.expected["duplicates"] += sender.received
        assert (
            self.core.sender_joined(sender.peer, JoinSender(sender.token, 99, "sender", 1, 0, 0.0, 0.0), self.now)
            is None
        )

    # -- time ---------------------------------------------------------------------------------------------------

    def take_back(self, message: MessageId) -> None:
        fate = self.fates[message]
        self.expected["redelivered"] += 1
        if fate.delivery >= self.limits.max_deliveries:
            fate.place = "dead"
        else:
            fate.place, fate.delivery = "queued", fate.delivery + 1

    def take_back_range(self, sender: Sender, begin: int, end: int) -> None:
        for number in range(begin, end):
            if self.fates[sender.granted[number]].place == (sender.token, number):
                self.take_back(sender.granted[number])

    def end(self, sender: Sender) -> None:
        self.take_back_range(sender, 0, len(sender.granted))
        del self.senders[sender.token]
        self.gone.append(sender)

    @rule(seconds=QUARTERS)
    def time_passes(self, seconds: float) -> None:
        self.look(seconds)

    @rule(seconds=st.sampled_from([3.0, 20.0]))
    def the_broker_was_stopped(self, seconds: float) -> None:
        self.look(seconds)

    def look(self, seconds: float) -> None:
        """The living speak, and the broker looks."""
        self.now += seconds
        for sender in self.senders.values():
            if sender.alive:
                assert self.core.alive(sender.peer, self.now) is self.core.sessions[sender.token]
                sender.last_seen, sender.unreachable = self.now, False
        self.core.poll(self.now)
        if self.looked is not None and self.now - self.looked > LIVENESS / 2:
            self.judge_after = self.now + LIVENESS
        self.looked = self.now
        if self.now < self.judge_after:
            return
        for sender in list(self.senders.values()):
            if self.now - sender.last_seen > LIVENESS:
                self.end(sender)
                continue
            for begin, end, at in sender.pieces:
                if at + LEASE <= self.now:
                    self.take_back_range(sender, begin, end)

    # -- operators ----------------------------------------------------------------------------------------------

    @rule()
    def kick(self) -> None:
        dead = [fate for fate in self.fates.values() if fate.place == "dead"]
        assert self.core.kick(self.now) == len(dead)
        for fate in dead:
            fate.place, fate.attempt, fate.delivery = "queued", 1, 1

    @rule()
    def purge(self) -> None:
        queued = [fate for fate in self.fates.values() if fate.place == "queued"]
        assert self.core.purge_ready(self.now) == len(queued)
        for fate in queued:
            fate.place = "dead"

    # -- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def each_message_is_where_the_model_has_it(self) -> None:
        found = list(places(self.core))
        assert len({message for message, _ in found}) == len(found), "a message is in two places"
        settled = ("sent", "failed", "dead")
        assert dict(found) == {m: fate for m, fate in self.fates.items() if fate.place not in settled}

    @invariant()
    def the_accounts_balance_and_agree(self) -> None:
        counted: Counter[tuple[int, int, str]] = Counter()
        for message, fate in self.fates.items():
            place = "in_flight" if isinstance(fate.place, tuple) else fate.place
            counted[message.producer, message.epoch, place] += 1
            counted[message.producer, message.epoch, "accepted"] += 1
        accounts = list(self.core.accounts())
        assert len(accounts) == sum(self.starts.values())
        for account in accounts:
            assert account.balanced
            for name in ("accepted", "queued", "in_flight", "sent", "failed", "dead"):
                assert getattr(account, name) == counted[account.producer, account.epoch, name], name
        counters = self.core.counters
        for name in ("duplicates", "unknown", "retried", "redelivered"):
            assert getattr(counters, name) == self.expected[name], name
        dead = [m.id for letter in self.core.dead_letters for m in letter.lot.batch.messages()]
        assert sorted(dead) == sorted(m for m, fate in self.fates.items() if fate.place == "dead")
        assert self.core.sessions.keys() == self.senders.keys()


TestLedger = Ledger.TestCase
TestLedger.pytestmark = [pytest.mark.timeout(120)]  # it takes seconds, but a failure is shrunk before it is shown
