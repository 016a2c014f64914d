"""The broker's queue: lots that are ready, first in first out, divisible anywhere.

Only the front lot is ever partly gone, so its position is one integer and a division copies nothing. A lot's
bytes count until all of it has left, because its parts share its memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from zsms.core.broker.lot import Lot


class ReadyQueue:
    """Lots that wait for a sender."""

    def __init__(self) -> None:
        self._lots: deque[Lot] = deque()
        self._begin = 0
        """Messages of the front lot that have left."""
        self.messages = 0
        self.nbytes = 0

    def __bool__(self) -> bool:
        return self.messages > 0

    def put(self, lot: Lot) -> None:
        """Append."""
        self._lots.append(lot)
        self.messages += lot.size
        self.nbytes += lot.batch.nbytes

    def put_back(self, lot: Lot) -> None:
        """Put before everything else: what was given once has waited longest."""
        if self._begin:
            front = self._lots.popleft()
            rest = front.part(self._begin, front.size)
            self.nbytes += rest.batch.nbytes - front.batch.nbytes
            self._lots.appendleft(rest)
            self._begin = 0
        self._lots.appendleft(lot)
        self.messages += lot.size
        self.nbytes += lot.batch.nbytes

    def take(self, most: int) -> Lot:
        """Remove the first messages: at most `most` (at least 1), and never of two lots at once."""
        front = self._lots[0]
        end = min(self._begin + most, front.size)
        taken = front if self._begin == 0 and end == front.size else front.part(self._begin, end)
        if end == front.size:
            self._lots.popleft()
            self._begin = 0
            self.nbytes -= front.batch.nbytes
        else:
            self._begin = end
        self.messages -= taken.size
        return taken

    def lots(self) -> Iterator[Lot]:
        """Everything that waits, first to last; nothing is removed."""
        for index, lot in enumerate(self._lots):
            yield lot.part(self._begin, lot.size) if index == 0 and self._begin else lot
