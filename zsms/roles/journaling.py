"""The broker role's dealings with its journal: when a group is handed over, and what follows from its outcome.

    open group  --5 ms old or 4 MB, and no other on its way-->  the writer's thread
    durable  --> confirm                no room  --> stop reading, the group's content goes into the next, try again
    open group over 4 MB --> stop reading until the disk has caught up           failed  --> the broker gives up

For the tests, ZSMS_FAIL_POINT=NAME or NAME:N kills the process the N-th time that it comes to the point of that name.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from zsms.core.broker import BrokerCore, BrokerLimits
from zsms.core.broker.durability import hidden
from zsms.core.broker.journal import Journal
from zsms.core.broker.replay import rebuild
from zsms.core.seeds import Seed
from zsms.errors import JournalError, UsageError
from zsms.journal import Fenced, Store, about_dropped, open_journal
from zsms.journal.writer import Writer
from zsms.words import many

GROUP_S = 0.005
"""A group is handed over when it is that old."""
GROUP_BYTES = 4 * 2**20
"""Or when it has that many bytes of batches."""
_TRY_AGAIN_S = 0.5
_END_S = 10.0
"""How long a broker that leaves waits for its last group."""
_END_AT_ONCE_S = 1.0

FAIL_POINTS = ("after-ingest", "before-commit", "after-commit", "after-grant", "after-settle")


class Journaling:
    """A broker's journal: the store, its thread, and the core's open group."""

    def __init__(
        self,
        directory: str | Path,
        durability: str,
        *,
        limits: BrokerLimits,
        seed: Seed,
        now: float,
        log: logging.Logger,
        name: str,
        wake: Callable[[], None],
        standby: bool = False,
        leaves: Callable[[], bool] = bool,
    ) -> None:
        """Open the journal and rebuild the broker that it holds; with `standby`, once no other broker has it.

        Raises JournalError and UsageError, and NeverTaken when this one `leaves` before.
        """
        self._log, self._name, self._directory = log, name, hidden(str(directory))
        self.fail_at = _fail_point()
        self.store: Store = open_journal(directory, durability, name=name, standby=standby, leaves=leaves)
        try:
            kept = self.store.load()
            latest = kept.latest
            # The clock begins anew with the machine; nothing is later than the broker's own start then.
            shift = 0.0 if self.store.same_boot or latest is None else now - latest
            self.core: BrokerCore = rebuild(kept, limits, seed, now, shift)
        except BaseException:
            self.store.close()
            raise
        assert self.core.journal is not None
        self._journal: Journal = self.core.journal
        self._log_contents()
        self._writer = Writer(self.store, wake)
        self._due: float | None = None
        self.no_room = ""
        """Why nothing can be kept at the moment; empty when all is well."""
        self.groups = 0
        """Groups that are durable."""

    def _log_contents(self) -> None:
        if self.store.dropped:
            self._log.warning("%s: %s", self._name, about_dropped(self.store.dropped))
        queued = self.core.queue.messages
        if self.core.producers:
            dead = sum(letter.lot.size for letter in self.core.dead_letters)
            others = f"{many(len(self.core.producers), 'producer')}, {many(dead, 'dead letter')}"
            held = f"{many(queued, 'message')} ready again; {others}"
            self._log.info("%s: from the journal in %s: %s", self._name, self._directory, held)

    @property
    def pressing(self) -> bool:
        """Whether the disk has not caught up, so that no more batches should be read."""
        return self._journal.nbytes >= GROUP_BYTES or bool(self.no_room)

    @property
    def waits(self) -> str:
        """Why nothing can be kept at the moment, in words; empty when all is well."""
        return self.no_room or self.store.trouble

    @property
    def done(self) -> bool:
        """Whether everything is durable."""
        return self._journal.empty and not self._writer.busy

    def due(self) -> float | None:
        """When `turn` has something to do, unless a group is on its way: then it wakes the broker."""
        return None if self._writer.busy else self._due

    def turn(self, now: float) -> None:
        """Fetch an outcome, and hand over the open group when it is time. Raises JournalError when the disk failed."""
        if self.fail_at is not None:
            self._pass_fail_points()
        outcome = self._writer.fetch()
        if outcome is None and self.store.failure is not None:
            raise self._failure(self.store.failure)
        if outcome is not None:
            if outcome.error is not None:
                raise self._failure(outcome.error)
            if outcome.no_room:
                self._journal.refused(outcome.group)
                self._due = now + _TRY_AGAIN_S
                self._press(outcome.no_room)
            else:
                if outcome.group.accepted:
                    self.reached("after-commit")
                self.core.committed(outcome.group)
                self.groups += 1
                self._press("")
        if self._writer.busy or self._journal.empty:
            return
        if self._due is None:
            self._due = now + GROUP_S
        if now >= self._due or (self._journal.nbytes >= GROUP_BYTES and not self.no_room):
            self._due = None
            if self._journal.nbytes:
                self.reached("before-commit")
            self._writer.begin(self._journal.close(self.core.books))

    def _press(self, why: str) -> None:
        if why and not self.no_room:
            self._log.error(
                "%s: %s: no batch is taken or confirmed until there is; grants and acknowledgements go on",
                self._name,
                why,
            )
        elif self.no_room and not why:
            self._log.warning("%s: the journal in %s has room again", self._name, self._directory)
        self.no_room = why

    def _failure(self, error: BaseException) -> JournalError:
        if isinstance(error, Fenced):
            return JournalError(
                f"{self._name}: fenced, so nothing more can be confirmed: {error}. What was confirmed is in the "
                "journal, and the other broker goes on with it"
            )
        return JournalError(
            f"{self._name}: nothing more can be confirmed, for the journal has failed: {error}. What was confirmed is "
            "in it; look at the disk before you start a broker with it again"
        )

    def finish(self, at_once: bool) -> None:
        """The last group, as the broker leaves. Raises JournalError when the disk failed."""
        patience = _END_AT_ONCE_S if at_once else _END_S
        for _ in range(2):  # the group on its way, and the open one
            if self._writer.busy:
                outcome = self._writer.fetch(patience)
                if outcome is None:
                    break
                if outcome.error is not None:
                    raise self._failure(outcome.error)
                if outcome.no_room:
                    self._journal.refused(outcome.group)
                    break
                self.core.committed(outcome.group)
            if not self._journal.empty:
                self._writer.begin(self._journal.close(self.core.books))
        if not self.done:
            self._log.warning(
                "%s: what came last is not in the journal in %s, and was not confirmed", self._name, self._directory
            )

    def close(self) -> None:
        """End the thread; the store is closed there."""
        self._writer.end(_END_AT_ONCE_S)

    def _pass_fail_points(self) -> None:
        totals = self.core.totals()
        for point, column in (("after-ingest", "accepted"), ("after-grant", "in_flight"), ("after-settle", "sent")):
            if totals[column]:
                self.reached(point)

    def reached(self, point: str) -> None:
        """Die here, if that is what a test has asked for."""
        if self.fail_at is not None and self.fail_at[0] == point:
            self.fail_at = (point, self.fail_at[1] - 1)
            if not self.fail_at[1]:
                os.kill(os.getpid(), signal.SIGKILL)


def _fail_point() -> tuple[str, int] | None:
    text = os.environ.get("ZSMS_FAIL_POINT")
    if not text:
        return None
    name, _, count = text.partition(":")
    if name not in FAIL_POINTS or not (count or "1").isdecimal():
        raise UsageError(f"ZSMS_FAIL_POINT={text}: give one of {', '.join(FAIL_POINTS)}, or that and :N")
    return name, int(count or 1)
