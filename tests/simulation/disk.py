"""A stub of a journal's store and of the thread that writes it: what is on the disk outlasts the broker, nothing else.

    begin(group) --drawn time--> durable --drawn time--> the broker learns of it

A broker that ends before the first of these moments loses the group, and between the two it leaves a group that is
durable and was confirmed to nobody. The disk may be slow or full for a while, and may fail: the broker is told so, and
what it had begun is durable or not.

The rows are those of the real store, in the same encoding. Beside each group goes what the broker's own state was when
the group was closed: whoever is rebuilt from the disk must be just that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.frozen import Frozen
from zsms.core.broker.journal import Group, Stored
from zsms.errors import JournalError
from zsms.journal import NoRoom
from zsms.journal.records import (
    pack_account,
    pack_changes,
    pack_entry,
    pack_letter,
    unpack_account,
    unpack_changes,
    unpack_entry,
    unpack_letter,
)
from zsms.journal.writer import Outcome

if TYPE_CHECKING:
    from tests.simulation.processes import BrokerProcess
    from tests.simulation.world import World


_REBUILD = 5
"""After every how many groups a broker is rebuilt, only to look at it."""


class Disk:
    """:class:`zsms.journal.Store`, and what a broker's folder holds when no broker has it."""

    dropped = ""
    owner = ""
    sure = True
    trouble = ""
    failure = None
    same_boot = True
    birth = 1

    def __init__(self, world: World) -> None:
        self._world = world
        self.opened = 0
        self.slow_until = 0.0
        self.full_until = 0.0
        self.fails = False
        """The next group ends with an error."""
        self.failed = False
        """Since this broker has opened it."""
        self.groups = 0
        self.refused = 0
        self.failures = 0
        self.state: Frozen | None = None
        """Of the broker that committed last, as it closed that group."""
        self._books: dict[str, Any] = {}
        self._accounts: dict[bytes, bytes] = {}
        self._entries: dict[int, tuple[bytes, bytes]] = {}
        self._changes: dict[int, bytes] = {}
        self._letters: dict[int, bytes] = {}

    def open(self) -> Disk:
        self.opened += 1
        self.failed = self.fails = False
        return self

    def heal(self) -> None:
        """All trouble is over."""
        self.slow_until = self.full_until = 0.0
        self.fails = False

    def takes(self) -> float:
        """Seconds until a group that is handed over now is durable."""
        plan, now, draw = self._world.plan, self._world.now, self._world.rng.random()
        return draw * plan.commit + (draw * plan.trouble if now < self.slow_until else 0.0)

    def load(self) -> Stored:
        return Stored(
            books=self._books,
            accounts=[unpack_account(key, record) for key, record in sorted(self._accounts.items())],
            entries=[unpack_entry(number, *row) for number, row in sorted(self._entries.items())],
            changes=[change for row in sorted(self._changes.items()) for change in unpack_changes(*row)],
            letters=[unpack_letter(*row) for row in sorted(self._letters.items())],
        )

    def commit(self, group: Group, state: Frozen | None = None) -> None:
        if self._world.now < self.full_until:
            self.refused += 1
            raise NoRoom("the disk is full")
        if self.fails:
            self.fails, self.failed = False, True
            self.failures += 1
            if self._world.rng.random() < 0.5:
                self._keep(group, state)
            raise JournalError("the disk failed")
        self._keep(group, state)

    def _keep(self, group: Group, state: Frozen | None) -> None:
        for number in group.gone:
            self._entries.pop(number, None)  # it may never have been kept
        for number in group.rows_gone:
            self._changes.pop(number, None)
        for number in group.letters_gone:
            del self._letters[number]
        for entry, lot in group.accepted:
            number, head, frame = pack_entry(entry.number, lot)
            assert number not in self._entries, "an entry is kept twice"
            self._entries[number] = head, bytes(frame)
        if group.changes:
            self._changes[group.number] = pack_changes(group.number, group.changes)
        self._letters |= map(pack_letter, group.letters)
        self._accounts |= map(pack_account, group.accounts)
        self._books = group.books
        self.groups += 1
        self.state = state

    def close(self) -> None:
        """Nothing is lost."""

    @property
    def rows(self) -> int:
        """Of batches and of changes."""
        return len(self._entries) + len(self._changes)


class DrawnWriter:
    """In place of :class:`zsms.journal.writer.Writer`."""

    def __init__(self, world: World, process: BrokerProcess, disk: Disk) -> None:
        self._world, self._process, self._disk = world, process, disk
        self._group: Group | None = None
        self._state: Frozen | None = None
        self._durable_at = 0.0
        self._outcome: Outcome | None = None
        self._refused = False
        """The group before."""
        self._seen = False
        """Whether the broker may fetch it."""

    @property
    def busy(self) -> bool:
        return self._group is not None or self._outcome is not None

    def begin(self, group: Group) -> None:
        assert not self.busy and self._process.alive
        self._group, self._state = group, self._process.book.frozen()
        self._durable_at = self._world.now + self._disk.takes()
        self._world.at(self._durable_at, self._commit, group)

    def _commit(self, group: Group) -> None:
        if group is not self._group or not self._process.alive:
            return
        try:
            self._disk.commit(group, self._state)
            self._outcome = Outcome(group)
        except NoRoom as error:
            self._outcome = Outcome(group, no_room=str(error))
        except JournalError as error:
            self._outcome = Outcome(group, error=error)
        self._group = None
        if self._disk.groups % _REBUILD == 0 or self._refused:
            self._process.book.check_disk(self._disk)
        self._refused = bool(self._outcome.no_room)
        if self._world.trace is not None:
            came = self._outcome.no_room or self._outcome.error or "done"
            self._world.say(f"commits group {group.number}: {came}", self._process.name)
        self._world.at(self._world.now + self._world.rng.random() * self._world.plan.commit, self._tell)

    def _tell(self) -> None:
        self._seen = self._outcome is not None
        if self._process.alive:
            self._process.poller.interrupt()
            self._process.wake()

    def fetch(self, timeout: float = 0.0) -> Outcome | None:
        if timeout and self._group is not None and self._durable_at - self._world.now <= timeout:
            self._commit(self._group)  # the broker waits for it, and hears nothing else meanwhile
        if not (self._seen or timeout):
            return None
        outcome, self._outcome, self._seen = self._outcome, None, False
        return outcome

    def end(self, timeout: float) -> bool:
        return self._group is None
