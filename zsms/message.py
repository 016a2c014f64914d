"""One SMS, and a batch of them as columns.

A batch is what travels; a message is what is scheduled. The columns of a batch of n messages are

    recipients  uint64[n]   E.164 numbers as integers, without the plus
    lengths     uint16[n]   bytes of each text
    text        uint8[...]  the texts' UTF-8, one after the other
    offsets     uint32[n]   where each message stood in the producer's batch, or None for 0, 1, 2, ...

and everything else about its messages is arithmetic: message i is number ``first + offset[i]`` of its
producer and was due at ``due + offset[i] * step``. So a part of a batch (`slice`, `take`) names its messages
as exactly as the whole did, and identifying ten thousand messages costs a handful of integers.

Messages that have been through something (failed, taken back, given up) share nothing any more: of those a `Mixed` has
a row each, whatever producers, times, attempts and deliveries they are of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from zsms.options import checked

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

RECIPIENT = np.dtype("<u8")
LENGTH = np.dtype("<u2")
TEXT = np.dtype("u1")
OFFSET = np.dtype("<u4")

ROW = np.dtype(
    [
        ("seq", "<u8"),
        ("recipient", "<u8"),
        ("due", "<f8"),
        ("queued", "<f8"),
        ("source", "<u4"),
        ("attempt", "<u4"),
        ("delivery", "<u4"),
        ("length", "<u4"),
    ]
)
"""A message of a `Mixed`, 48 bytes. Times in seconds of the broker's clock; `length` is in bytes."""
SOURCE = np.dtype([("source", "<u4"), ("producer", "<u8"), ("epoch", "<u8")])
"""What a row's `source` stands for."""
KEPT = np.dtype([("entry", "<i8"), ("place", "<i8")])
"""Where a broker's journal keeps a message: the number of the entry, and the place in it."""
WORD = np.dtype("<u8")

MAX_PEER_NAME = 64
"""Longest name of a process, in characters; all of them are printable, because names go into logs and terminals as
they are."""
MAX_TEXT_BYTES = 0xFFFF
"""The longest text in bytes: a length is a uint16."""


MAX_BATCH_MESSAGES = 65_536
"""Most messages in one batch, and most acknowledgements in one frame."""


class Outcome(Enum):
    """How one attempt to send a message ended; `code` is how the wire calls it, for all but `SENT`."""

    SENT = "sent"
    FAILED = "failed"
    """Nothing more is known: tried again while there are attempts left."""
    TEMPORARY = "temporary"
    """The gateway asks to try again: the same."""
    THROTTLED = "throttled"
    """The gateway was given more than it takes, which says nothing of the message: tried again, no attempt is spent."""
    REJECTED = "rejected"
    """The gateway will never take it: final at once."""
    UNCERTAIN = "uncertain"
    """No answer came, so it may have been sent, and another attempt may be a second SMS: final, unless the broker was
    told otherwise (`--uncertain resend`)."""
    UNANSWERED = "unanswered"
    """No answer came, and whoever sends has chosen to risk a second SMS: tried again while there are attempts left."""

    @property
    def code(self) -> int:
        """0 for a plain failure; raises KeyError for `SENT`, which has none."""
        return _CODES[self]


_CODES = {outcome: code for code, outcome in enumerate(list(Outcome)[1:])}
MAX_REASON = 64
"""Longest reason why a send failed, in characters; all of them are printable."""
MAX_REASONS = 17
"""Most reasons that one process tells apart: 16, and all others as one."""


class Delivery(Enum):
    """What a receipt says of a message that a gateway had accepted; the value is its code on the wire."""

    DELIVERED = 0
    UNDELIVERED = 1
    EXPIRED = 2
    REJECTED = 3
    UNKNOWN = 4
    """Also what a code stands for that is not in this list."""


class MessageId(NamedTuple):
    """What names a message, whichever broker holds it: its producer, the epoch of that, its number."""

    producer: int
    epoch: int
    seq: int


@checked
@dataclass(frozen=True, slots=True)
class Message:
    """One SMS as a user's own `send` function gets it.

    `attempt` is 1 for the first attempt. `delivery` is 1 unless the message was taken back from a sender that
    died or ran out of its lease.
    """

    id: MessageId
    recipient: str
    text: str
    attempt: int = 1
    delivery: int = 1


_new = object.__new__
_set_id, _set_recipient, _set_text, _set_attempt, _set_delivery = (
    vars(Message)[name].__set__ for name in ("id", "recipient", "text", "attempt", "delivery")
)


def _made(name: MessageId, recipient: str, text: str, attempt: int, delivery: int) -> Message:
    """A message of what needs no check. A frozen dataclass fills itself field by field through object.__setattr__,
    which takes twice as long."""
    message = _new(Message)
    _set_id(message, name)
    _set_recipient(message, recipient)
    _set_text(message, text)
    _set_attempt(message, attempt)
    _set_delivery(message, delivery)
    return message


class Batch:
    """Messages of one producer as columns. Treat as immutable: its parts share its memory."""

    __slots__ = (
        "_ends",
        "_views",
        "due",
        "epoch",
        "first",
        "frame",
        "lengths",
        "number",
        "offsets",
        "origin",
        "producer",
        "recipients",
        "step",
        "text",
    )

    def __init__(
        self,
        *,
        producer: int,
        epoch: int,
        number: int,
        first: int,
        due: float,
        step: float,
        recipients: U64,
        lengths: U16,
        text: U8,
        offsets: U32 | None = None,
        frame: Any = None,
        origin: Any = None,
    ) -> None:
        """Wrap columns.

        `number` counts the producer's batches to one broker from 0; `first` is the number of the message at
        offset 0. `due` (seconds, the broker's monotonic clock) and `step` (seconds) say when each was due.
        `frame` is the encoded batch if it is at hand, in whatever form the wire sends without a copy. `origin` is
        what a broker's journal keeps of the batch that this is (part of), a :class:`zsms.core.broker.entry.Entry`.
        """
        self.producer = producer
        self.epoch = epoch
        self.number = number
        self.first = first
        self.due = due
        self.step = step
        self.recipients = recipients
        self.lengths = lengths
        self.text = text
        self.offsets = offsets
        self.frame = frame
        self.origin = origin
        self._ends: npt.NDArray[Any] | None = None
        self._views: tuple[memoryview, ...] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        return f"<Batch {self.number} of producer {self.producer:x}: {len(self)} messages from {self.first}>"

    @property
    def nbytes(self) -> int:
        """Bytes of the columns: what the batch costs where it is queued."""
        columns = self.recipients.nbytes + self.lengths.nbytes + self.text.nbytes
        return columns if self.offsets is None else columns + self.offsets.nbytes

    @property
    def ends(self) -> npt.NDArray[Any]:
        """Where each text ends in `text`, int32 or int64; made when a batch is first divided, for it stays as long."""
        if self._ends is None:
            self._ends = np.cumsum(self.lengths, dtype=np.int32 if len(self.text) < 2**31 else np.int64)
        return self._ends

    @property
    def views(self) -> tuple[memoryview, ...]:
        """Recipients, lengths, text and ends: a message or two come out of these in half the time."""
        if self._views is None:
            self._views = self.recipients.data, self.lengths.data, self.text.data, self.ends.data
        return self._views

    @property
    def seqs(self) -> U64:
        """The messages' numbers, uint64[n]."""
        offsets = np.arange(len(self), dtype=OFFSET) if self.offsets is None else self.offsets
        return offsets.astype(np.uint64) + np.uint64(self.first)

    def slice(self, begin: int, end: int) -> Batch:
        """Messages begin..end-1, sharing this batch's memory; the batch itself when that is all of it."""
        if begin == 0 and end == len(self):
            return self
        ends = self.ends
        text_begin = int(ends[begin - 1]) if begin else 0
        text_end = int(ends[end - 1]) if end else 0
        contiguous = self.offsets is None
        return Batch(
            producer=self.producer,
            epoch=self.epoch,
            number=self.number,
            first=self.first + begin if contiguous else self.first,
            due=self.due + begin * self.step if contiguous else self.due,
            step=self.step,
            recipients=self.recipients[begin:end],
            lengths=self.lengths[begin:end],
            text=self.text[text_begin:text_end],
            offsets=None if self.offsets is None else self.offsets[begin:end],
            origin=self.origin,
        )

    def take(self, indices: npt.NDArray[np.int64]) -> Batch:
        """The messages at `indices` (ascending), copied, so that the rest of the batch can be let go."""
        lengths = self.lengths[indices]
        own_ends = np.cumsum(lengths, dtype=np.int64)
        # A ragged gather without a loop: byte k of the result comes from k plus the shift of its message.
        shifts = np.repeat(self.ends[indices] - own_ends, lengths)
        text = self.text[np.arange(len(shifts), dtype=np.int64) + shifts]
        offsets = indices.astype(OFFSET) if self.offsets is None else self.offsets[indices]
        return Batch(
            producer=self.producer,
            epoch=self.epoch,
            number=self.number,
            first=self.first,
            due=self.due,
            step=self.step,
            recipients=self.recipients[indices],
            lengths=lengths,
            text=text,
            offsets=offsets,
            origin=self.origin,
        )

    def messages(self, attempt: int = 1, delivery: int = 1) -> Iterator[Message]:
        """The messages one by one, for a user's own `send`. Bytes that are not UTF-8 become U+FFFD."""
        blob = self.text.tobytes()
        # Cut before it is decoded, for a length counts bytes; but of plain ASCII both are the same, and cheaper so.
        text = blob.decode("ascii") if blob.isascii() else None
        producer, epoch, begin = self.producer, self.epoch, 0
        for seq, recipient, end in zip(self.seqs.tolist(), self.recipients.tolist(), self.ends.tolist(), strict=True):
            own = blob[begin:end].decode("utf-8", "replace") if text is None else text[begin:end]
            yield _made(MessageId(producer, epoch, seq), f"+{recipient}", own, attempt, delivery)
            begin = end

    @property
    def windows(self) -> U64:
        """The eight bytes of text from each byte on, as an overlapping view: gathering words costs an eighth."""
        return np.ndarray((max(0, len(self.text) - 7),), dtype=WORD, buffer=self.text.data, strides=(1,))

    @classmethod
    def of(
        cls,
        rows: Iterable[tuple[str, str]],
        *,
        producer: int = 0,
        epoch: int = 0,
        number: int = 0,
        first: int = 0,
        due: float = 0.0,
        step: float = 0.0,
    ) -> Batch:
        """A batch of (recipient, text) rows, recipient as ``+`` and digits; for tests and small inputs."""
        recipients: list[int] = []
        texts: list[bytes] = []
        for recipient, text in rows:
            recipients.append(int(recipient.removeprefix("+")))
            texts.append(text.encode())
        return cls(
            producer=producer,
            epoch=epoch,
            number=number,
            first=first,
            due=due,
            step=step,
            recipients=np.array(recipients, dtype=RECIPIENT),
            lengths=np.array([len(text) for text in texts], dtype=LENGTH),
            text=np.frombuffer(b"".join(texts), dtype=TEXT),
        )


class Source(Protocol):
    """One start of a producer."""

    @property
    def producer(self) -> int:
        """Names the producer."""

    @property
    def epoch(self) -> int:
        """Names its start."""


Sources = Mapping[int, Source] | Sequence[Source]


class Mixed:
    """Messages of any producers, each with a history of its own, as columns. Treat as immutable.

    `rows` is ROW[n]; `text` is uint64[...], the texts in UTF-8 one after the other, each filled up with zeros to whole
    words; `sources` says what producer a row's `source` stands for; `kept`, KEPT[n], is there under a journal;
    `ends` where they are known.
    """

    __slots__ = ("_attempt", "_ends", "kept", "origin", "rows", "sources", "text")

    def __init__(
        self,
        rows: npt.NDArray[Any],
        text: U64,
        sources: Sources,
        kept: npt.NDArray[Any] | None = None,
        ends: npt.NDArray[Any] | None = None,
    ) -> None:
        self.rows = rows
        self.text = text
        self.sources = sources
        self.kept = kept
        self.origin: Any = None
        """The :class:`zsms.core.broker.entry.Entry` that these are, as for a batch."""
        self._ends = ends
        self._attempt = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Mixed: {len(self)} messages>"

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return int(self.rows.nbytes + self.text.nbytes + (0 if self.kept is None else self.kept.nbytes))

    @property
    def seqs(self) -> U64:
        """The messages' numbers, each of its own producer."""
        seqs: U64 = self.rows["seq"]
        return seqs

    @property
    def latest_attempt(self) -> int:
        """The greatest attempt of any of them."""
        if not self._attempt:
            self._attempt = int(self.rows["attempt"].max())
        return self._attempt

    @property
    def words(self) -> npt.NDArray[np.int64]:
        """Words of each text, int64[n]."""
        return words_of(self.rows["length"])

    @property
    def ends(self) -> npt.NDArray[Any]:
        """Where each text ends in `text`, in words: int32 or int64."""
        if self._ends is None:
            self._ends = np.cumsum(self.words, dtype=np.int32 if len(self.text) < 2**31 else np.int64)
        return self._ends

    def slice(self, begin: int, end: int) -> Mixed:
        """Messages begin..end-1, sharing this one's memory; itself when that is all of it."""
        if begin == 0 and end == len(self):
            return self
        text_begin = int(self.ends[begin - 1]) if begin else 0
        text_end = int(self.ends[end - 1]) if end else 0
        kept = None if self.kept is None else self.kept[begin:end]
        part = Mixed(self.rows[begin:end], self.text[text_begin:text_end], self.sources, kept)
        part.origin = self.origin
        return part

    def take(self, indices: npt.NDArray[np.int64]) -> Mixed:
        """The messages at `indices` (any order), copied."""
        rows = taken(self.rows, indices)
        words, ends = words_of(rows["length"]), self.ends.take(indices)
        text = self.text.take(ragged(ends - words, words, 1))
        return Mixed(rows, text, self.sources, None if self.kept is None else taken(self.kept, indices))

    def copy(self) -> Mixed:
        """The same in memory of its own."""
        return Mixed(self.rows.copy(), self.text.copy(), self.sources, None if self.kept is None else self.kept.copy())

    @classmethod
    def join(cls, parts: Sequence[Mixed]) -> Mixed:
        """All of these (at least one; of the same sources), in their order."""
        if len(parts) == 1:
            return parts[0]
        kept = [part.kept for part in parts if part.kept is not None]
        return cls(
            joined([part.rows for part in parts]),
            np.concatenate([part.text for part in parts]),
            parts[0].sources,
            joined(kept) if kept else None,
        )

    def pieces(self, messages: int, nbytes: int) -> Iterator[Mixed]:
        """In parts of at most so many messages, and bytes unless it is a single one."""
        size = self.rows.itemsize
        costs = self.ends.astype(np.int64) * WORD.itemsize + np.arange(1, len(self) + 1) * size
        begin = 0
        while begin < len(self):
            before = int(costs[begin - 1]) if begin else 0
            end = int(np.searchsorted(costs, before + nbytes, "right"))
            end = min(max(end, begin + 1), begin + messages)
            yield self.slice(begin, end)
            begin = end

    def messages(self, attempt: int = 0, delivery: int = 0) -> Iterator[Message]:
        """The messages one by one, for a user's own `send`; each has its own attempt and delivery."""
        blob = self.text.tobytes()
        begins = ((self.ends - self.words) * WORD.itemsize).tolist()
        for row, begin in zip(self.rows.tolist(), begins, strict=True):
            seq, recipient, _, _, source, attempt, delivery, length = row
            origin = self.sources[source]
            yield _made(
                MessageId(origin.producer, origin.epoch, seq),
                f"+{recipient}",
                blob[begin : begin + length].decode("utf-8", "replace"),
                attempt,
                delivery,
            )


def taken(rows: npt.NDArray[Any], indices: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """``rows.take(indices)`` of a column of records, as bytes: numpy looks at each field of what it copies."""
    flat: npt.NDArray[Any] = rows.view(np.dtype((np.void, rows.dtype.itemsize))).take(indices)
    return flat.view(rows.dtype)


def joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """``np.concatenate`` of columns of records (at least one), as words, for the same reason."""
    words: npt.NDArray[Any] = np.concatenate([np.ascontiguousarray(part).view(WORD) for part in parts])
    return words.view(parts[0].dtype)


def words_of(lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How many words texts of these lengths take in a `Mixed`."""
    return (lengths.astype(np.int64) + 7) >> 3


def ragged(begins: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    """The indices begins[i], begins[i] + step, ..., counts[i] of them, for each i in turn."""
    before = np.cumsum(counts)
    total = int(before[-1]) if len(before) else 0
    before -= counts
    return np.repeat(begins - before * step, counts) + np.arange(0, total * step, step)
