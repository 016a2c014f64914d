"""What peers say, as far as a broker's core looks at it: the frames of :mod:`zsms.wire.frames` have these fields."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


class ProducerJoin(Protocol):
    """A producer introduces itself."""

    @property
    def producer(self) -> int:
        """Its identity."""

    @property
    def epoch(self) -> int:
        """Grows from one start of it to the next."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def oldest(self) -> int:
        """The oldest batch that it still has."""


class SenderJoin(Protocol):
    """A sender introduces itself."""

    @property
    def session(self) -> int:
        """The session's token."""

    @property
    def generation(self) -> int:
        """Counts the joins of this session."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def slots(self) -> int:
        """Messages that it sends at a time."""

    @property
    def received(self) -> int:
        """Messages of this session that have arrived there."""

    @property
    def lease(self) -> float:
        """Seconds that it may need for a message, 0 for the broker's own."""


class Acknowledgement(Protocol):
    """A sender acknowledges: message `base + sent[i]` of its session was sent, `base + failed[i]` failed."""

    @property
    def session(self) -> int:
        """The session's token."""

    @property
    def number(self) -> int:
        """Counts the acknowledgements of the session."""

    @property
    def limit(self) -> int:
        """Messages of this session that may have been granted in all."""

    @property
    def base(self) -> int:
        """Added to each entry of the columns."""

    @property
    def sent(self) -> U32:
        """Ascending."""

    @property
    def failed(self) -> U32:
        """Ascending."""


class Receipts(Protocol):
    """A sender tells what became of messages that a gateway had accepted."""

    @property
    def session(self) -> int:
        """The session's token."""

    @property
    def outcomes(self) -> U8:
        """Codes of :class:`zsms.message.Delivery`."""

    @property
    def took(self) -> F32:
        """Seconds since the gateway had accepted each; below 0: not known."""
