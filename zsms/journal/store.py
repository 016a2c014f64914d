"""What a store of groups is, and why one may keep nothing."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from zsms.errors import JournalError

if TYPE_CHECKING:
    from zsms.core.broker.journal import Group, Stored

FILE = "journal.sqlite"
"""The journal's own file in its folder; beside it are its log and the lock."""


class NoRoom(Exception):
    """The disk is full: nothing of the group was kept, and it may be tried again."""


class Fenced(JournalError):
    """Another broker has the journal now."""


class NeverTaken(Exception):
    """The broker was told to leave while it stood by for another one."""


class Store(Protocol):
    """Where groups go. One thread at a time; `close` from the one that commits."""

    birth: int
    """When the journal was made, nanoseconds of the wall clock: the start under which its totals are published."""
    opened: int
    """How often it has been opened, this time included."""
    same_boot: bool
    """Whether monotonic times in it still mean what they did."""
    dropped: str
    """What was found unfinished at the end and left out, in words; empty when nothing was."""
    owner: str
    """The name of the broker that made it, under which its totals are published; empty: whoever has it now."""

    @property
    def sure(self) -> bool:
        """Whether no other broker can have it at this moment."""

    @property
    def trouble(self) -> str:
        """What keeps a group waiting, in words; empty when all is well."""

    @property
    def failure(self) -> BaseException | None:
        """Why nothing more can be committed, if that was seen between two groups."""

    def load(self) -> Stored:
        """Everything that is kept. Raises JournalError when any of it is damaged."""

    def commit(self, group: Group) -> None:
        """Make a group durable, wholly or not at all. Raises NoRoom, or JournalError after which it can't go on."""

    def close(self) -> None:
        """Let go of it. Nothing that was committed depends on this."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
