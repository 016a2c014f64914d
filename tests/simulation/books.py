"""What is known from outside: who really made, held, sent and failed which message; the ledgers are checked against it.

A message is (number of the process that made it, its number there). Each broker has a `Book`, and what concerns the
mesh as a whole is in `Books`.
"""

from __future__ import annotations

import gc
from collections import Counter
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from tests.core.places import held
from tests.simulation.disk import Disk
from tests.simulation.frozen import Frozen, Message, freeze
from tests.simulation.processes import same
from zsms.core.broker import BrokerCore, Put
from zsms.core.broker.pieces import Piece
from zsms.core.broker.replay import rebuild
from zsms.core.broker.session import Session
from zsms.core.sender import Waiting
from zsms.message import Batch, Mixed, Outcome

if TYPE_CHECKING:
    from tests.simulation.world import World

_LOOK_CLOSELY = 8
"""Every how many turns of a broker each message is looked for."""


class Books:
    def __init__(self, world: World) -> None:
        self.world = world
        self.starts = 0
        """How often a message came into a slot."""
        self.sent: set[Message] = set()
        self.failed: set[Message] = set()
        self.brokers = [Book(self, index) for index in range(world.plan.brokers)]
        self.home: dict[Message, Book] = {}
        """Which broker has accepted it."""
        self.kicked: Counter[Message] = Counter()
        self._throttled: Counter[Message] = Counter()
        self._origins: dict[int, int] = {}
        """Who made the messages of a start."""
        self._begun: Counter[tuple[Message, int, int]] = Counter()
        """Attempt and delivery of each message: one broker lets it begin once."""

    # -- what is seen -------------------------------------------------------------------------------------------

    def begins(self, start: int, origin: int) -> None:
        """A process uses this start, at some broker."""
        assert self._origins.setdefault(start, origin) == origin, "two producers use the same start"

    def message(self, start: int, number: int) -> Message:
        return self._origins[start], number

    def messages_of(self, batch: Batch | Mixed) -> list[Message]:
        if isinstance(batch, Batch):
            origin = self._origins[batch.epoch]
            return [(origin, seq) for seq in batch.seqs.tolist()]
        starts = [batch.sources[source].epoch for source in batch.rows["source"].tolist()]
        return [(self._origins[start], seq) for start, seq in zip(starts, batch.seqs.tolist(), strict=True)]

    def started(self, waiting: Waiting) -> None:
        batch = waiting.batch
        recipients = batch.recipients if isinstance(batch, Batch) else batch.rows["recipient"]
        assert same(recipients, batch.seqs), "a message has another one's recipient"
        limits = self.world.plan.limits
        self.starts += len(batch)
        each = list(batch.messages(waiting.attempt, waiting.delivery))
        for message, sms in zip(self.messages_of(batch), each, strict=True):
            assert sms.text == str(sms.id.seq)
            assert sms.attempt <= limits.max_attempts and sms.delivery <= limits.max_deliveries, "once too often"
            once = (message, sms.attempt, sms.delivery)
            self._begun[once] += 1
            allowed = len(self.home[message].cores) + self.kicked[message] + self._throttled[message]
            assert self._begun[once] <= allowed, f"{message} was sent twice as the same attempt and delivery"

    def finished(self, message: Message, outcome: Outcome) -> None:
        (self.sent if outcome is Outcome.SENT else self.failed).add(message)
        self._throttled[message] += outcome is Outcome.THROTTLED

    # -- what it amounts to ---------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        """Messages that a broker has and that are not settled."""
        return sum(book.held for book in self.brokers)

    @property
    def cores(self) -> list[BrokerCore]:
        """Of every broker that there was."""
        return [core for book in self.brokers for core in book.cores]

    def close(self, producers: list[Any]) -> None:
        """At the end, when everything is settled."""
        produced: set[Message] = set()
        late: set[Message] = set()
        for producer in producers:
            made = {(producer.number, number) for number in range(producer.role.produced)}
            produced |= made
            if producer.finished:
                assert made <= self.home.keys(), f"{producer.name} left, but its messages are not all held"
            else:
                late |= made  # a batch of it may have come when everyone was leaving
        assert self.home.keys() <= produced
        for book in self.brokers:
            book.close(late)
        if self.world.plan.journal:
            settled = {message for book in self.brokers for message in book.settled}
            assert produced - late <= settled, f"lost: {sorted(produced - late - settled)}"
        accepted, again = sum(self.kicked.values()), 0
        for each in self.cores:
            again += each.counters.retried + each.counters.redelivered
        for book in self.brokers:
            accepted += len(book.accepted) if len(book.cores) == 1 else sum(book.admitted)
        assert self.starts <= accepted + again, "more sends were begun than had a reason"
        everything = sum(len(book.accepted) for book in self.brokers)
        settled = everything == sum(len(book.settled) for book in self.brokers)
        # One that came late may have gone from sender to sender while they left, and be dead of that.
        if self.world.plan.gentle and settled and late.isdisjoint(self.home):
            retried = sum(book.core.counters.retried for book in self.brokers)  # a journal keeps those of earlier cores
            assert self.starts == everything + retried, "what went well was done again"
            for core in self.cores:
                counters = core.counters
                assert not counters.redelivered + counters.unknown + counters.sessions_ended
            # What a broken connection held back may be read after its sender's goodbye: it was said again before.
            duplicates = sum(core.counters.duplicates for core in self.cores)
            assert duplicates <= self.world.network.late_acknowledgements, "something was acknowledged twice"


class Book:
    """One broker's: of the one that runs, and of those before it."""

    def __init__(self, books: Books, index: int) -> None:
        self.books = books
        self.index = index
        self.cores: list[BrokerCore] = []
        self.disk: Disk | None = None
        self.admitted: list[int] = []
        """Messages that each of the cores could let begin: what it found in its journal, and what it accepted."""
        self.batches: dict[tuple[int, int], list[Message]] = {}
        """The messages of every batch (start, number) that was ever accepted."""
        self.confirmed: dict[int, int] = {}
        """Up to which batch a producer has let go, by start."""
        self.accepted: set[Message] = set()
        self.settled: set[Message] = set()
        self.purged: frozenset[Message] = frozenset()
        self.held = 0
        """Messages that the broker has and that are not settled."""
        self._accepted: Counter[int] = Counter()
        """Messages by start."""
        self.rebuilt = 0
        """How often a broker found messages on its disk."""
        self._least: dict[int, tuple[int, int]] = {}
        """Sent and failed of each start, when last looked at."""
        self._refused: list[tuple[Session, Piece]] = []
        """Grants that the wire did not take in this turn of the broker."""
        self._turns = 0

    @property
    def core(self) -> BrokerCore:
        """Of the broker that runs, or ran last."""
        return self.cores[-1]

    # -- what is seen -------------------------------------------------------------------------------------------

    def open(self, core: BrokerCore, disk: Disk | None) -> None:
        """A broker begins: with nothing, or with what its disk holds."""
        if self.cores:
            self.look_closely()
        self.cores.append(core)
        self.disk = disk
        self.accepted, self.settled, self.purged = set(), set(), frozenset()
        self._accepted, self._least = Counter(), {}
        self.held = 0
        if disk is not None and disk.state is not None:
            self._adopt(core, disk.state)
        self.admitted.append(self.held)
        self._observe(core)

    def check_disk(self, disk: Disk) -> None:
        """A broker that would begin now were the one that closed the last group that is durable."""
        if disk.state is not None:
            self._compare(rebuild(disk.load(), self.books.world.plan.limits), disk.state)

    def _compare(self, core: BrokerCore, before: Frozen) -> tuple[Frozen, set[Message]]:
        """Check that a rebuilt broker is the earlier one, but for what was in flight; what it is, and holds."""
        messages_of = self.books.messages_of
        now = freeze(core, before.purged)
        assert now.accounts == before.accounts and now.marks == before.marks, "the ledger is not as it was"
        for start, confirmed in self.confirmed.items():
            assert confirmed <= now.marks.get(start, 0), f"batches of {start} were confirmed, and are lost"
        held_before, held_now = dict(before.held(messages_of)), dict(now.held(messages_of))
        assert held_now.keys() == held_before.keys(), "it does not hold what it held"
        for message, was in held_before.items():
            is_now = held_now[message]
            assert is_now.attempt == was.attempt, f"{message} has attempt {is_now.attempt}, and had {was.attempt}"
            more = is_now.delivery - was.delivery
            assert 0 <= more <= 1 and not (was.out and was.attempt == was.delivery == 1 != more), (
                f"{message} has delivery {is_now.delivery}, and had {was.delivery}"
            )
        assert now.letters(messages_of) == before.letters(messages_of), "the dead letters are not what they were"
        return now, set(held_now)

    def _adopt(self, core: BrokerCore, before: Frozen) -> None:
        """The ledger from here on is that of the rebuilt broker."""
        now, holding = self._compare(core, before)
        for (start, number), messages in self.batches.items():
            if number < now.marks.get(start, 0):
                self.accepted.update(messages)
                self._accepted[start] += len(messages)
        self.purged = before.purged
        self.settled = self.accepted - holding
        self._least = {start: (sent, failed) for start, (_, sent, failed, _) in now.accounts.items()}
        self.held = len(holding)
        self.rebuilt += bool(holding)

    def _observe(self, core: BrokerCore) -> None:
        """Take note of what goes in, and of what operators do."""
        put, kick, purge_dead = core.put, core.kick, core.purge_dead

        def observed_put(batch: Batch, now: float) -> Put:
            was_full = core.queue.messages + core.retries.messages >= core.limits.max_messages
            verdict = put(batch, now)
            if verdict is Put.ACCEPTED:
                assert not was_full, "a full broker took another batch"
                self._take_in(batch)
            return verdict

        def observed_kick(now: float, reason: str = "", limit: int = 0) -> int:
            before = self._dead()
            kicked = kick(now, reason, limit)
            again = before - self._dead()
            assert kicked == len(again) and not (limit and kicked > limit)
            self.settled -= again
            self.books.kicked.update(again)
            return kicked

        def observed_purge(now: float, reason: str = "") -> int:
            before = self._dead()
            purged = purge_dead(now, reason)
            gone = before - self._dead()
            assert purged == len(gone)
            self.purged |= gone
            return purged

        core.put = observed_put  # type: ignore[method-assign]
        core.kick = observed_kick  # type: ignore[method-assign]
        core.purge_dead = observed_purge  # type: ignore[method-assign]

    def _take_in(self, batch: Batch) -> None:
        messages = self.books.messages_of(batch)
        assert self.accepted.isdisjoint(messages), "a batch was accepted twice"
        self.batches[batch.epoch, batch.number] = messages
        self.accepted.update(messages)
        self._accepted[batch.epoch] += len(messages)
        self.admitted[-1] += len(messages)
        home = self.books.home
        for message in messages:
            assert home.setdefault(message, self) is self, f"{message} is at two brokers"

    def refused(self, routing_id: bytes) -> None:
        """The wire to that peer did not take a grant."""
        session = self.core.peers[routing_id]
        assert isinstance(session, Session)
        self._refused.append((session, session.pieces()[-1]))

    def let_go(self, start: int, begin: int, end: int) -> None:
        """These batches were confirmed to their producer."""
        for number in range(begin, end):
            assert (start, number) in self.batches, f"batch {number} of {start} was confirmed, but nobody has it"
        self.confirmed[start] = end
        if self.disk is not None:
            assert end <= self._durable(start), f"batch {end - 1} of {start} was confirmed before it was durable"

    def _durable(self, start: int) -> int:
        assert self.disk is not None
        return 0 if self.disk.state is None else self.disk.state.marks.get(start, 0)

    def frozen(self) -> Frozen:
        """The state of the broker now."""
        return freeze(self.core, self.purged)

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """After each turn of the broker."""
        core = self.core
        queued = in_flight = 0
        for account in core.accounts():
            assert account.balanced, f"{account} does not balance"
            assert min(account.queued, account.in_flight, account.sent, account.failed, account.dead) >= 0, account
            assert account.accepted == self._accepted[account.epoch], f"{account} counts what it did not accept"
            if self.disk is not None:
                assert account.durable_through <= self._durable(account.epoch), (
                    f"{account} would be confirmed too early"
                )
            queued += account.queued
            in_flight += account.in_flight
        assert len(self.accepted) == self._accepted.total()
        assert queued == core.queue.messages + core.retries.messages, "the queue does not hold what the accounts say"
        assert in_flight == sum(session.in_flight for session in core.sessions.values())
        room = self.books.world.room
        for session in core.sessions.values():
            assert 0 <= session.in_flight <= room[session.name], "a sender was granted more than it has room for"
        for session, piece in self._refused:
            assert all(other is not piece for other in session.pieces()), "a grant that the wire refused still stands"
        self._refused.clear()
        self.held = queued + in_flight
        self._turns += 1
        if self._turns % _LOOK_CLOSELY == 0:
            self.look_closely()

    def look_closely(self) -> None:
        """Each message is in one place, none comes back, and what is settled was really sent, failed or given up."""
        core = self.core
        holding: set[Message] = set()
        for batch, *_ in held(core):
            messages = self.books.messages_of(batch)
            before = len(holding)
            holding.update(messages)
            assert len(holding) == before + len(messages), "a message is in two places"
        assert holding <= self.accepted, "the broker holds what it never accepted"
        settled = self.accepted - holding
        assert self.settled <= settled, f"settled, and back again: {sorted(self.settled - settled)}"
        dead = self._dead() | self.purged
        happened = self.books.sent | self.books.failed | dead
        assert settled <= happened, f"settled, but never sent: {sorted(settled - happened)}"
        self.settled = settled
        for account in core.accounts():
            sent, failed = self._least.get(account.epoch, (0, 0))
            assert sent <= account.sent and failed <= account.failed, f"{account} has gone down"
            self._least[account.epoch] = account.sent, account.failed
        totals = core.totals()
        assert len(settled) == totals["sent"] + totals["failed"] + totals["dead"]
        assert len(dead) == totals["dead"]
        assert totals["sent"] <= len(settled & self.books.sent)
        assert totals["failed"] <= len(settled & self.books.failed)
        self._look_at_memory(core, holding)

    def _look_at_memory(self, core: BrokerCore, holding: set[Message]) -> None:
        """Nothing that can be reached from the broker's core is there for the sake of what is settled.

        Counted from outside: with a journal, what its next group has to say is reached too.
        """
        lines = core.lines()
        waiting = lines["idle"] + lines["prefetch"]
        assert len(waiting) == len(set(waiting)), "a session stands in two lines"
        assert core.sessions.keys() >= {*waiting, *lines["blocked"]}
        assert len(core.peers) <= len(core.sessions) + len(core.producers)
        if core.journal is not None:
            return
        kept = holding | self._dead()
        for batch in reached(core, Batch, Mixed):
            messages = self.books.messages_of(batch)
            assert kept.intersection(messages), f"{batch} is kept, and all of it is settled"

    def _dead(self) -> set[Message]:
        """The dead letters that are kept."""
        return {message for letter in self.core.dead_letters for message in self.books.messages_of(letter.lot.batch)}

    def close(self, late: set[Message]) -> None:
        """At the end, when everything is settled but what may have come `late`."""
        self.look_closely()
        assert self.accepted - self.settled <= late, "not everything is settled"
        ever = {message for messages in self.batches.values() for message in messages}
        if len(self.cores) == 1:
            assert self.accepted == ever
        if self.disk is not None:
            self._close_disk(self.disk)
            for (start, number), messages in self.batches.items():
                if number < self.confirmed.get(start, 0):
                    assert self.accepted.issuperset(messages), f"batch {number} of {start} was confirmed, and is lost"

    def _close_disk(self, disk: Disk) -> None:
        """What is left on the disk is a broker of its own right, and nothing that is not needed."""
        self.check_disk(disk)
        assert self.held or not disk.rows, f"nothing is held, and {disk.rows} rows are kept"


def reached(root: object, *kinds: type) -> list[Any]:
    """The objects of these kinds that can be reached from there by any way but through modules and classes."""
    seen: set[int] = set()
    found, ways = [], [root]
    while ways:
        thing = ways.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType | MethodType):
            continue
        seen.add(id(thing))
        if isinstance(thing, kinds):
            found.append(thing)
        ways += gc.get_referents(thing)
    return found
