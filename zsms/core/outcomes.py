"""How sends ended, and what became of messages later: columns that go from a transport to the broker."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.message import MAX_BATCH_MESSAGES, Outcome

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

NO_CODES: U8 = np.zeros(0, dtype=np.uint8)
"""Of outcomes: all that failed has plainly failed. Of reasons: nothing is to be said of any."""
THROTTLED_S = 1.0
"""Seconds that a throttled message may wait at least before its next attempt, below the cap: what gateways count by."""


def final(last: Mask, outcomes: U8 = NO_CODES) -> Mask:
    """Whether each of these failures is final, bool[n]; `last`: whether it was of the last attempt (`Waiting.last`).

    A broker that was told `--uncertain resend` may think otherwise of the uncertain ones.
    """
    if not len(outcomes):
        return last
    at_once: Mask = (outcomes == Outcome.REJECTED.code) | (outcomes == Outcome.UNCERTAIN.code)
    over: Mask = at_once | (last & (outcomes != Outcome.THROTTLED.code))
    return over


@dataclass(slots=True)
class Finished:
    """Sends that ended: the handles of those that were sent and of those that failed, uint64 each, in no order.

    `outcomes` (uint8) has the code of each failure (:class:`zsms.message.Outcome`), or is empty: plain failures.
    `reasons` (uint8) says why each failed, as a place in `names`, or is empty: nothing is to be said of any. There are
    17 names at most, printable, of 64 characters each at most; an empty one says nothing.
    """

    sent: U64
    failed: U64
    outcomes: U8 = field(default_factory=lambda: NO_CODES)
    reasons: U8 = field(default_factory=lambda: NO_CODES)
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sent) + len(self.failed)

    def select(self, sent: Mask | slice, failed: Mask | slice) -> Finished:
        """Some of these."""
        outcomes = self.outcomes[failed] if len(self.outcomes) else self.outcomes
        reasons = self.reasons[failed] if len(self.reasons) else self.reasons
        return Finished(self.sent[sent], self.failed[failed], outcomes, reasons, self.names)


class Receipts(NamedTuple):
    """What a gateway has told of messages that it had accepted before, a column each of the same length.

    Message `seqs[i]` (uint64) of producer `producers[i]` (uint64) ended as `outcomes[i]` (uint8, by
    :class:`zsms.message.Delivery`), `took[i]` seconds (float32) after the gateway had accepted it; below 0: not known.
    """

    producers: U64
    seqs: U64
    outcomes: U8
    took: F32


class Strays(NamedTuple):
    """Receipts of messages that this process knows nothing of, a row each: another sender of the account may.

    The message's id is the next `lengths[i]` octets (uint8) of `ids` (uint8); `outcomes` as in `Receipts`.
    """

    lengths: U8
    ids: U8
    outcomes: U8


MOST_RECEIPTS = 500_000
"""Receipts that wait for a broker, at most."""


class ReceiptQueue:
    """Receipts on their way to a broker, in parts of a frame each; of too many the oldest are dropped and counted."""

    def __init__(self) -> None:
        self.lost = 0
        """Receipts that were dropped."""
        self._parts: deque[Receipts] = deque()
        self._waiting = 0

    def add(self, told: Receipts) -> None:
        """These have come."""
        producers, seqs, outcomes, took = told
        for begin in range(0, len(outcomes), MAX_BATCH_MESSAGES):
            part = slice(begin, begin + MAX_BATCH_MESSAGES)
            self._parts.append(
                Receipts(
                    np.ascontiguousarray(producers[part], dtype="<u8"),
                    np.ascontiguousarray(seqs[part], dtype="<u8"),
                    np.ascontiguousarray(outcomes[part], dtype="u1"),
                    np.ascontiguousarray(took[part], dtype="<f4"),
                )
            )
            self._waiting += len(self._parts[-1].outcomes)
        while self._waiting > MOST_RECEIPTS:
            self.lost += len(self._parts[0].outcomes)
            self.sent()

    def first(self) -> Receipts | None:
        """Those that have waited longest, as many as a frame takes."""
        return self._parts[0] if self._parts else None

    def sent(self) -> None:
        """The first have been handed on."""
        self._waiting -= len(self._parts.popleft().outcomes)

    def give_up(self) -> None:
        """Nobody can be told any more: those that wait are lost."""
        self.lost += self._waiting
        self._parts.clear()
        self._waiting = 0
