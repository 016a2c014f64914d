"""The durable queue: what a broker keeps on disk, so that another one can take its place.

    with open_journal(directory) as store:      # raises JournalError when a broker has it
        core = rebuild(store.load(), limits)     # a BrokerCore, its queue and dead letters filled
        ...                                      # change it as a broker would
        store.commit(core.journal.close(core.books))   # one transaction

`read` and `edit` are that in one line, for looking into or changing the journal of a broker that has ended. What is
collected for a group and how a broker is rebuilt is in `zsms.core.broker.journal` and `zsms.core.broker.replay`; here
are the store, its records, the lock on the folder and the thread that writes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from zsms import extras
from zsms.core.broker.durability import hidden, is_on_servers
from zsms.errors import JournalError, UsageError
from zsms.journal.store import FILE as FILE
from zsms.journal.store import Fenced as Fenced
from zsms.journal.store import NeverTaken as NeverTaken
from zsms.journal.store import NoRoom as NoRoom
from zsms.journal.store import Store as Store
from zsms.saving import check_name

if TYPE_CHECKING:
    from zsms.core.broker import BrokerCore, BrokerLimits

WHAT_IS_DROPPED = (
    "after a crash of the broker or its machine nothing of that was confirmed; if the file was cut, or copied while in "
    "use, some of it may have been"
)
"""What can be known of an unfinished end that was left out."""

_log = logging.getLogger("zsms.journal")


def about_dropped(dropped: str) -> str:
    """What a store has `dropped`, and what can be known of it, as a line."""
    return f"dropped {dropped}" if "confirmed" in dropped else f"dropped {dropped}; {WHAT_IS_DROPPED}"


def check_place(journal: object | None) -> None:
    """Raises UsageError for a place that no journal can be kept in, as far as that shows without making it."""
    if is_on_servers(journal):
        extras.need("nats", "a journal on NATS servers", "jetstream")
        from zsms.journal.address import Address

        Address.parse(str(journal))
        return
    if journal is None:
        return
    path = str(journal)
    try:
        check_name(path)
    except OSError as error:
        raise UsageError(f"no journal can be kept in {path!r}: {error.strerror}") from None
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise UsageError(f"no journal can be kept in {path}: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"no journal can be kept in {path}: nothing may be written in {there}")


def open_journal(
    directory: str | Path,
    durability: str = "fsync",
    *,
    create: bool = True,
    name: str = "",
    standby: bool = False,
    leaves: Callable[[], bool] = lambda: False,
) -> Store:
    """The journal in a folder, or at nats://HOST,HOST,.../NAME, for this process alone; made if it is not there,
    unless `create` is false.

    `name` is that of the broker. With `standby` (NATS only) it waits until no other process has the journal, or it
    `leaves`: NeverTaken. Raises JournalError when another process has it (and names that), when it is damaged or
    can't be had.
    """
    if is_on_servers(directory):
        try:
            from zsms.journal.jetstream import JetStreamStore
        except ModuleNotFoundError as error:
            raise extras.missing(f"a journal on NATS servers needs {error.name}", "jetstream") from None
        return JetStreamStore(str(directory), create, name=name, standby=standby, leaves=leaves)
    if standby:
        raise UsageError("a broker stands by for a journal on NATS servers: --journal nats://HOST,HOST,HOST/NAME")
    from zsms.journal.sqlite import SqliteStore

    return SqliteStore(Path(directory), durability, create)


def _warn_of_dropped(store: Store) -> None:
    if store.dropped:
        _log.warning("%s", about_dropped(store.dropped))


@contextmanager
def read(directory: str | Path, limits: BrokerLimits | None = None, now: float = inf) -> Iterator[BrokerCore]:
    """The broker that a journal holds, to look at: nothing is written back, and no time is later than `now`.

    Raises JournalError.
    """
    from zsms.core.broker.replay import rebuild

    with open_journal(directory, create=False) as store:
        _warn_of_dropped(store)
        yield rebuild(store.load(), limits, now=now)


@contextmanager
def edit(directory: str | Path, limits: BrokerLimits | None = None) -> Iterator[BrokerCore]:
    """The same, and what the block changed is kept in one transaction when it ends without an error."""
    from zsms.core.broker.replay import rebuild

    with open_journal(directory, create=False) as store:
        _warn_of_dropped(store)
        core = rebuild(store.load(), limits)
        yield core
        assert core.journal is not None
        try:
            store.commit(core.journal.close(core.books))
        except NoRoom as error:
            raise JournalError(f"the journal in {hidden(str(directory))} was not changed: {error}") from None
