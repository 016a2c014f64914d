"""What is known from outside: who really made, held, sent and failed which message. The ledger is checked against it.

A message is (start of its producer, number); starts are never used twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.core.places import held
from tests.simulation.processes import same
from zsms.core.broker import BrokerCore, Put
from zsms.core.sender import Waiting
from zsms.core.session import Piece, Session
from zsms.message import Batch

if TYPE_CHECKING:
    from tests.simulation.world import World

Message = tuple[int, int]
_LOOK_CLOSELY = 8
"""Every how many turns of the broker each message is looked for."""


def messages_of(batch: Batch) -> list[Message]:
    return [(batch.start, seq) for seq in batch.seqs.tolist()]


class Books:
    def __init__(self, world: World) -> None:
        self._world = world
        self.starts = 0
        """How often a message came into a slot."""
        self.cores: list[BrokerCore] = []
        """Of every broker that there was."""
        self._begun: Counter[tuple[Message, int, int]] = Counter()
        """Attempt and delivery of each message: one broker lets it begin once."""
        self.sent: set[Message] = set()
        self.failed: set[Message] = set()
        self.batches: set[tuple[int, int]] = set()
        """(start, number) of every batch that a broker has accepted."""
        self.accepted_by_any: set[Message] = set()
        self.accepted: set[Message] = set()
        self.settled: set[Message] = set()
        self._accepted: Counter[int] = Counter()
        """Messages by start."""
        self._refused: list[tuple[Session, Piece]] = []
        """Grants that the wire did not take in this turn of the broker."""
        self._turns = 0
        self.held = 0
        """Messages that the broker has and that are not settled."""

    # -- what is seen -------------------------------------------------------------------------------------------

    def open(self, core: BrokerCore) -> None:
        """A broker begins, with nothing."""
        if self.cores:
            self.look_closely(self.cores[-1])
        self.cores.append(core)
        self.held = 0
        self.accepted = set()
        self.settled = set()
        self._accepted = accepted = Counter()
        put = core.put

        def observed(batch: Batch, now: float) -> Put:
            was_full = core.queue.messages + core.retries.messages >= core.limits.max_messages
            verdict = put(batch, now)
            if verdict is Put.ACCEPTED:
                assert not was_full, "a full broker took another batch"
                messages = messages_of(batch)
                assert not self.accepted.intersection(messages), "a batch was accepted twice"
                self.batches.add((batch.start, batch.number))
                self.accepted.update(messages)
                accepted[batch.start] += len(messages)
                self.accepted_by_any.update(messages)
            return verdict

        core.put = observed  # type: ignore[method-assign]

    def started(self, waiting: Waiting) -> None:
        batch = waiting.batch
        assert same(batch.recipients, batch.seqs), "a message has another one's recipient"
        assert batch.text.tobytes() == b"".join(b"%d" % seq for seq in batch.seqs.tolist())
        limits = self._world.plan.limits
        assert waiting.attempt <= limits.max_attempts and waiting.delivery <= limits.max_deliveries, "once too often"
        self.starts += len(batch)
        for message in messages_of(batch):
            once = (message, waiting.attempt, waiting.delivery)
            self._begun[once] += 1
            assert self._begun[once] <= len(self.cores), f"{message} was sent twice as the same attempt and delivery"

    def finished(self, message: Message, fails: bool) -> None:
        (self.failed if fails else self.sent).add(message)

    def refused(self, routing_id: bytes) -> None:
        """The wire to that peer did not take a grant."""
        session = self.cores[-1].peers[routing_id]
        assert isinstance(session, Session)
        self._refused.append((session, session.pieces()[-1]))

    def confirmed(self, start: int, begin: int, end: int) -> None:
        """A producer let go of these batches."""
        for number in range(begin, end):
            assert (start, number) in self.batches, f"batch {number} of {start} was confirmed, but nobody has it"

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self, core: BrokerCore) -> None:
        """After each turn of the broker."""
        queued = in_flight = 0
        for account in core.accounts():
            assert account.balanced, f"{account} does not balance"
            assert min(account.queued, account.in_flight, account.sent, account.failed, account.dead) >= 0, account
            assert account.accepted == self._accepted[account.start], f"{account} counts what it did not accept"
            queued += account.queued
            in_flight += account.in_flight
        assert len(self.accepted) == self._accepted.total()
        assert queued == core.queue.messages + core.retries.messages, "the queue does not hold what the accounts say"
        assert in_flight == sum(session.in_flight for session in core.sessions.values())
        room = self._world.room
        for session in core.sessions.values():
            assert 0 <= session.in_flight <= room[session.name], "a sender was granted more than it has room for"
        for session, piece in self._refused:
            assert all(other is not piece for other in session.pieces()), "a grant that the wire refused still stands"
        self._refused.clear()
        self.held = queued + in_flight
        self._turns += 1
        if self._turns % _LOOK_CLOSELY == 0:
            self.look_closely(core)

    def look_closely(self, core: BrokerCore) -> None:
        """Each message is in one place, none comes back, and what is settled was really sent, failed or given up."""
        holding: set[Message] = set()
        for batch, *_ in held(core):
            messages = messages_of(batch)
            before = len(holding)
            holding.update(messages)
            assert len(holding) == before + len(messages), "a message is in two places"
        assert holding <= self.accepted, "the broker holds what it never accepted"
        settled = self.accepted - holding
        assert self.settled <= settled, f"settled, and back again: {sorted(self.settled - settled)}"
        dead = set(self._dead(core))
        happened = self.sent | self.failed | dead
        assert settled <= happened, f"settled, but never sent: {sorted(settled - happened)}"
        self.settled = settled
        totals = core.totals()
        assert len(settled) == totals["sent"] + totals["failed"] + totals["dead"]
        assert len(dead) == totals["dead"]
        assert totals["sent"] <= len(settled & self.sent)
        assert totals["failed"] <= len(settled & self.failed)

    def _dead(self, core: BrokerCore) -> Iterator[Message]:
        for letter in core.dead_letters:
            yield from messages_of(letter.lot.batch)

    def close(self, core: BrokerCore, producers: list[Any]) -> None:
        """At the end, when everything is settled."""
        self.look_closely(core)
        produced: set[Message] = set()
        late: set[Message] = set()
        for producer in producers:
            made = {(producer.start, number) for number in range(producer.role.produced)}
            produced |= made
            if producer.finished:
                assert made <= self.accepted_by_any, f"{producer.name} left, but its messages are not all held"
            else:
                late |= made  # a batch of it may have come when everyone was leaving
        assert self.accepted_by_any <= produced
        assert self.accepted - self.settled <= late, "not everything is settled"
        if len(self.cores) == 1:
            assert self.accepted == self.accepted_by_any
        accepted, again = 0, 0
        for each in self.cores:
            accepted += each.totals()["accepted"]
            again += each.counters.retried + each.counters.redelivered
        assert self.starts <= accepted + again, "more sends were begun than had a reason"
        if self._world.plan.gentle and self.settled == self.accepted:
            counters = core.counters
            assert self.starts == accepted + counters.retried, "what went well was done again"
            assert not counters.redelivered + counters.duplicates + counters.unknown + counters.sessions_ended, counters
