"""Messages that were handed over together, as the segments that they are, until each is settled.

A segment is named to a session by ``number of the load << 32 | row``. A message is settled when all its segments are:
as sent when each was accepted, else as the worst that befell one of them:

    sent < temporary < failed < throttled < uncertain < rejected

A segment of a message in several parts that is refused for the moment is sent again by itself, or the parts that were
accepted would reach the recipient twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.sender import Waiting
from zsms.core.smpp.pdu import Command, Messages, Tag, Tlv, Unnumbered
from zsms.core.smpp.statuses import SENT
from zsms.core.smpp.strings import I64, U8, U32, Bools, Strings, digits, integers, rows_of
from zsms.core.smpp.texts import MAX_PARTS, Alphabet, Encoded, Long, Parts, encode, split
from zsms.errors import UsageError
from zsms.message import Batch, Mixed, Outcome
from zsms.transports.smpp.settings import SmppSettings

U64 = npt.NDArray[np.uint64]
F32 = npt.NDArray[np.float32]

ROW = np.uint64(0xFFFFFFFF)
MOST_TRIES = 6
"""How often a segment of a message in several parts is submitted, at most."""
_SEVERITY = np.zeros(256, np.uint8)
for _rank, _outcome in enumerate(
    (Outcome.TEMPORARY, Outcome.FAILED, Outcome.THROTTLED, Outcome.UNCERTAIN, Outcome.REJECTED), 1
):
    _SEVERITY[_outcome.code] = _rank
_SEVERITY[SENT] = 0


class Settled(NamedTuple):
    """Messages of one load that are done."""

    messages: I64
    code: U8
    """`SENT`, or the outcome's code, uint8[m]."""
    status: U32
    """The status of the segment that decided; `NO_STATUS` where there was none."""
    took: F32
    """Seconds from the first submit_sm to the last answer."""


NO_STATUS = 0xFFFFFFFE
"""No answer. Not the number above: SMSCs that write -1 answer with that."""


class Load:
    """n messages of one grant as m segments."""

    def __init__(
        self, number: int, waiting: Waiting, sources: U32, settings: SmppSettings, reference: int, now: float
    ) -> None:
        """`sources` uint32[n] name the producers to the owner; `reference` is that of the first text in parts."""
        batch = waiting.batch
        self.number = number
        self.handle = waiting.handle
        self.count = len(batch)
        self.sources = sources
        self.at = now
        self.ages = waiting.ages(now)
        """How old the messages were then: seconds, one or float32[n]."""
        text, lengths, recipients = _columns(batch)
        self.parts = _parts(text, lengths, settings, reference)
        self.several = len(self.parts) != self.count
        self.open_segments = 0
        """That have begun and are not settled."""
        self.left_alone = False
        """Nothing more of it will be started."""
        self._last = waiting.last
        self._batch = batch
        self._seqs: U64 | None = None
        self._destinations = digits(recipients)
        self._settings = settings
        self._long = Long(settings.long_texts)
        self.unsendable: Bools | None = None
        """Segments of texts that have too many."""
        if self.several:
            self._keep_parts(reference)
        self.pdus = Unnumbered(Command.SUBMIT_SM, self._submit_sm())
        """The segments as they go out."""

    def _keep_parts(self, reference: int) -> None:
        """What there is to know of messages in several parts."""
        self.references = (np.arange(self.count, dtype=np.int64) + reference) & 0xFFFF
        if (self.parts.total > MAX_PARTS).any():
            self.unsendable = self.parts.total > MAX_PARTS
        self.left = np.bincount(self.parts.owner, minlength=self.count)
        """Segments of each message that are not settled, int64[n]."""
        self.names: U64 = np.zeros(self.count, np.uint64)
        """For whoever awaits their receipts: what each is known by there, 0: not yet."""
        self._code = np.full(self.count, SENT, np.uint8)
        self._status = np.full(self.count, NO_STATUS, np.uint32)
        self._began = np.full(self.count, np.nan)
        self.tries = np.zeros(len(self.parts), np.uint8)

    @property
    def seqs(self) -> U64:
        """The messages' numbers, each of its own producer."""
        if self._seqs is None:
            self._seqs = self._batch.seqs
        return self._seqs

    def __len__(self) -> int:
        return len(self.parts)

    def handles(self, rows: I64) -> U64:
        """What names these segments to a session."""
        return rows.view(np.uint64) | np.uint64(self.number << 32)

    def start(self, begin: int, end: int) -> I64:
        """Messages begin..end-1 of these are to be sent: their segments."""
        if self.several:
            begin, end = np.searchsorted(self.parts.owner, [begin, end]).tolist()
        self.open_segments += end - begin
        return rows_of(len(self.parts))[begin:end]

    def _submit_sm(self) -> Messages:
        """All segments; the sequence numbers are for the session to give."""
        parts, settings = self.parts, self._settings
        coding = parts.coding
        ton, npi, source = settings.sender
        alike = not coding.any() or bool((coding == coding[0]).all())
        destinations = self._destinations.take(parts.owner) if self.several else self._destinations
        found = Messages(
            sequence=np.zeros(len(parts), np.uint32),
            service_type=settings.service_type.encode(),
            source_ton=ton,
            source_npi=npi,
            source=source,
            destination_ton=settings.destination_ton,
            destination_npi=settings.destination_npi,
            destination=_with_plus(destinations) if settings.plus else destinations,
            esm_class=settings.esm_class,
            protocol_id=settings.protocol_id,
            priority=settings.priority,
            validity=settings.validity,
            registered_delivery=settings.registered_delivery,
            data_coding=int(coding[0]) if alike and len(coding) else coding,
            short_message=parts.octets,
        )
        if self._long is Long.PAYLOAD:
            self._as_payload(found, parts.octets)
        elif self.several:
            self._as_parts(found)
        return found

    def _as_payload(self, found: Messages, octets: Strings) -> None:
        longer = octets.lengths > 160
        if longer.any():
            found.short_message = Strings(octets.buffer, octets.begins, np.where(longer, 0, octets.lengths))
            payload = Strings(octets.buffer, octets.begins, np.where(longer, octets.lengths, 0))
            found.tlvs = [Tlv(Tag.MESSAGE_PAYLOAD, payload, longer)]

    def _as_parts(self, found: Messages) -> None:
        total, number = self.parts.total, self.parts.number
        part = total > 1
        if self._settings.registered_delivery and self._settings.receipts == "first":
            asks = (number == 1).astype(np.uint8)  # a receipt a message, and not one a part
            found.registered_delivery = asks * np.uint8(self._settings.registered_delivery)
        if not part.any():
            return
        if self._long is Long.SAR:
            reference = self.references[self.parts.owner]
            found.tlvs = [
                _where(Tag.SAR_MSG_REF_NUM, reference, 2, part),
                _where(Tag.SAR_TOTAL_SEGMENTS, np.minimum(total, 255), 1, part),
                _where(Tag.SAR_SEGMENT_SEQNUM, np.minimum(number, 255), 1, part),
            ]
        else:
            found.esm_class = np.where(part, self._settings.esm_class | 0x40, self._settings.esm_class).astype(np.uint8)

    def began(self, rows: I64, now: float) -> None:
        """These segments were submitted."""
        if self.several:
            self.tries[rows] += 1
            owner = self.parts.owner[rows]
            fresh = owner[np.isnan(self._began[owner])]
            self._began[fresh] = now

    def may_try_again(self, rows: I64, code: U8) -> Bools | None:
        """Which of these refused segments are to be submitted again, and not given back; None: none is."""
        if not self.several:
            return None
        momentary = (code == Outcome.THROTTLED.code) | (code == Outcome.TEMPORARY.code)
        found: Bools = momentary & (self.parts.total[rows] > 1) & (self.tries[rows] < MOST_TRIES)
        return found

    def settle(self, rows: I64, code: U8, status: U32, took: F32, now: float) -> Settled:
        """These segments are done; the messages that are done with them."""
        self.open_segments -= len(rows)
        if not self.several:
            return Settled(rows, code, status, took)
        owner = self.parts.owner[rows]
        self.left -= np.bincount(owner, minlength=self.count)
        order = np.argsort(_SEVERITY[code], kind="stable")  # of several that are assigned the last is kept
        chosen = order[_SEVERITY[code[order]] > _SEVERITY[self._code[owner[order]]]]
        self._code[owner[chosen]] = code[chosen]
        self._status[owner[chosen]] = status[chosen]
        done = np.unique(owner[self.left[owner] == 0])
        began = self._began[done]
        seconds = np.where(np.isnan(began), 0.0, now - began).astype(np.float32)
        return Settled(done, self._code[done], self._status[done], seconds)

    def last_of(self, messages: I64) -> Bools:
        """Whether a failure of each of these messages is of its last attempt."""
        if isinstance(self._last, bool):
            return np.full(len(messages), self._last)
        return self._last[messages]

    def total_times(self, messages: I64, now: float) -> F32:
        """Seconds since each of these messages was due."""
        if isinstance(self.ages, float):
            return np.full(len(messages), self.ages + (now - self.at), np.float32)
        found: F32 = self.ages[messages] + np.float32(now - self.at)
        return found


def _where(tag: int, values: I64, octets: int, present: Bools) -> Tlv:
    every = integers(values, octets)
    return Tlv(tag, Strings(every.buffer, every.begins, np.where(present, octets, 0)), present)


def _with_plus(numbers: Strings) -> Strings:
    rows = len(numbers)
    matrix = np.zeros((rows, 1 + int(numbers.lengths.max(initial=0))), np.uint8)
    matrix[:, 0] = 0x2B
    matrix[:, 1:] = numbers.matrix()
    begins = np.arange(rows, dtype=np.int64) * matrix.shape[1]
    return Strings(matrix.reshape(-1), begins, numbers.lengths + 1)


def _columns(batch: Batch | Mixed) -> tuple[U8, I64, U64]:
    """Texts, lengths, recipients."""
    if isinstance(batch, Batch):
        return batch.text, batch.lengths.astype(np.int64), batch.recipients
    octets = np.ascontiguousarray(batch.text).view(np.uint8)
    lengths = batch.rows["length"].astype(np.int64)
    texts = Strings(octets, (batch.ends - batch.words) * 8, lengths)
    recipients: U64 = np.ascontiguousarray(batch.rows["recipient"])
    return texts.compact(), lengths, recipients


def _parts(text: U8, lengths: I64, settings: SmppSettings, reference: int) -> Parts:
    alphabet = Alphabet(settings.alphabet)
    encoded: Encoded
    try:
        encoded = encode(text, lengths, alphabet)
    except UsageError:  # octets that are no UTF-8: each such text has U+FFFD there, as wherever zsms shows it
        encoded = encode(*_mended(text, lengths), alphabet)
    references = np.arange(len(lengths), dtype=np.int64) + reference
    return split(encoded, Long(settings.long_texts), references)


def _mended(text: U8, lengths: I64) -> tuple[U8, npt.NDArray[Any]]:
    texts = [each.decode("utf-8", "replace").encode() for each in Strings.packed(text, lengths).tolist()]
    return np.frombuffer(b"".join(texts), np.uint8), np.array([len(each) for each in texts], np.int64)
