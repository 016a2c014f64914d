"""The thread that commits groups, one at a time, so that the broker's loop never waits for the disk.

    broker's loop:   hand over a group ----> [ this thread: store.commit ] --wake--> fetch what came of it

While one group is on its way the broker collects the next: that is group commit. At most one group waits here and one
is open, so what is not on the disk yet is bounded by the broker's own look at the open one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from zsms.core.broker.journal import Group
from zsms.journal.store import NoRoom, Store


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a group: it is durable unless one of the others is set."""

    group: Group
    no_room: str = ""
    """Why the disk takes no more; the group may be tried again."""
    error: BaseException | None = None
    """Why the journal can't go on."""


class Writer:
    """Commits what it is given, in a thread of its own."""

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        """`wake` is called, in that thread, when an outcome can be fetched."""
        self._store = store
        self._wake = wake
        self._condition = threading.Condition()
        self._group: Group | None = None
        self._outcome: Outcome | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a group is on its way, or its outcome was not fetched yet."""
        return self._group is not None or self._outcome is not None

    def begin(self, group: Group) -> None:
        """Commit this; only when not `busy`."""
        with self._condition:
            self._group = group
            self._condition.notify_all()

    def fetch(self, timeout: float = 0.0) -> Outcome | None:
        """What came of the last group, once; None when there is nothing new after `timeout` seconds."""
        with self._condition:  # or an outcome that comes between the look and the clearing would be gone
            if timeout:
                self._condition.wait_for(lambda: self._outcome is not None, timeout)
            outcome, self._outcome = self._outcome, None
        return outcome

    def end(self, timeout: float) -> bool:
        """End the thread and close the store; False when a group is still on its way after `timeout` seconds."""
        with self._condition:
            self._ending = True
            self._condition.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._group is not None or self._ending)
                group = self._group
            if group is None:
                break
            outcome = self._commit(group)
            with self._condition:
                self._outcome, self._group = outcome, None
                self._condition.notify_all()
            self._wake()
        self._store.close()

    def _commit(self, group: Group) -> Outcome:
        try:
            self._store.commit(group)
        except NoRoom as error:
            return Outcome(group, no_room=str(error))
        except BaseException as error:
            return Outcome(group, error=error)
        return Outcome(group)
