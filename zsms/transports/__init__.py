"""How a message is sent: the plug of the sender role.

A transport owns a sender's slots. The role gives it messages for slots that are free and asks it what is
finished; the transport never sees the broker, credit or acknowledgements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from zsms.core.failures import Failure
from zsms.core.sender import Waiting
from zsms.core.slots import Finished, SendTimes


class Transport(Protocol):
    """What the sender role needs of a transport. All methods are called from the role's thread."""

    @property
    def concurrency(self) -> int:
        """Slots: messages that may be in the transport's hands at once."""

    @property
    def times(self) -> SendTimes:
        """What the transport has measured so far."""

    @property
    def busy(self) -> int:
        """Messages in the transport's hands."""

    @property
    def failures(self) -> Sequence[Failure]:
        """Why sends failed, by reason."""

    @property
    def blocked_s(self) -> float | None:
        """Seconds for which sends have held up all others, where that can be."""

    def room(self, waiting: int) -> int | None:
        """How many more messages to ask for when `waiting` were granted and not started; None: as there are slots."""

    def open(self, wake: Callable[[], None]) -> None:
        """Begin. `wake` may be called from any thread when something has finished."""

    def start(self, waiting: Waiting, now: float) -> None:
        """Send these messages; there are no more of them than free slots."""

    def finished(self, now: float) -> Finished | None:
        """What has finished since the last call, None when nothing has."""

    def next_time(self) -> float | None:
        """When `finished` is worth calling unasked, in the role's clock; None when `wake` will tell."""

    def close(self) -> None:
        """End, abandoning what is unfinished."""
