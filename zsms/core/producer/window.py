"""A producer's window: what it has made and the broker has not yet confirmed.

    add(frame, messages)   a batch was made; it gets the next number
    next_frame()           what to push now
    confirmed(next)        the broker holds everything below `next`
    rewind()               push everything that is unconfirmed again, from the oldest on
    moved(seconds)         the broker has another clock: frames that are pushed from now on must say so

       | confirmed |  pushed, unconfirmed  |  to push  |
                   ^ oldest                ^ cursor    ^ next number

Confirms are cumulative and the broker takes batches only in order (go-back-N, as in HDLC), so both sides need
one number to agree. The window is bounded in messages; when it is full the producer stops producing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Entry:
    frame: Any
    messages: int
    shift: float = 0.0
    """Seconds that the times in the frame are to be moved by before it is pushed again."""


class Window:
    """Batches of one producer for one broker."""

    def __init__(
        self, max_messages: int, resend_after: float, move: Callable[[Any, float], Any] = lambda frame, seconds: frame
    ) -> None:
        """`max_messages` unconfirmed at most; `resend_after` seconds without a confirm push again.

        `move(frame, seconds)` makes the frame whose times are so many seconds later.
        """
        self._move = move
        self.max_messages = max_messages
        self.resend_after = resend_after
        self.next_number = 0
        self.messages = 0
        """Messages unconfirmed."""
        self.confirmed_messages = 0
        self.resent = 0
        """Batches pushed more than once."""
        self.repeated_messages = 0
        """The messages in them, again for each time."""
        self._entries: deque[_Entry] = deque()
        self._cursor = 0
        self._pushed = 0
        self._progress = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def room(self) -> int:
        """Messages that may be made now."""
        return max(0, self.max_messages - self.messages)

    @property
    def oldest(self) -> int:
        """The oldest unconfirmed batch, or the next to be made."""
        return self.next_number - len(self._entries)

    def add(self, frame: Any, messages: int, now: float) -> None:
        """Take in the batch that was encoded with number `next_number`."""
        if not self._entries:
            self._progress = now
        self._entries.append(_Entry(frame, messages))
        self.next_number += 1
        self.messages += messages

    def next_frame(self) -> Any | None:
        """The frame to push next, or None; `pushed` moves on."""
        if self._cursor >= len(self._entries):
            return None
        entry = self._entries[self._cursor]
        if entry.shift:
            entry.frame, entry.shift = self._move(entry.frame, entry.shift), 0.0
        return entry.frame

    def moved(self, seconds: float) -> None:
        """The broker's clock is so many seconds ahead of the one that the times in the frames are of."""
        for entry in self._entries:
            entry.shift += seconds

    def pushed(self) -> None:
        """The wire took the frame."""
        number = self.oldest + self._cursor
        if number < self._pushed:
            self.resent += 1
            self.repeated_messages += self._entries[self._cursor].messages
        self._cursor += 1
        self._pushed = max(self._pushed, number + 1)

    def confirmed(self, upto: int, now: float) -> int:
        """The broker holds every batch below `upto`: let them go; returns how many messages that were.

        Raises ValueError when that many were never made.
        """
        if upto > self.next_number:
            raise ValueError(f"confirmed up to batch {upto}, but only {self.next_number} were made")
        count = 0
        while self._entries and self.oldest < upto:
            count += self._entries.popleft().messages
            self._cursor = max(0, self._cursor - 1)
        if count:
            self._progress = now
            self.messages -= count
            self.confirmed_messages += count
        return count

    def rewind(self, now: float) -> None:
        """Push everything that is unconfirmed again."""
        self._cursor = 0
        self._progress = now

    def overdue(self, now: float, broker_is_full: bool) -> bool:
        """Whether to `rewind`: no confirm for `resend_after` seconds, and not because the broker reads nothing."""
        if broker_is_full:
            self._progress = now
        return bool(self._entries) and self._cursor > 0 and now - self._progress > self.resend_after
