"""Receipts of a gateway transport: whose they are, by producer and number, and what is counted of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zsms.core.outcomes import Receipts, Strays
from zsms.core.smpp import receipts as receipts_of
from zsms.core.smpp.outstanding import Found, Outstanding
from zsms.core.smpp.pdu import Messages, Tag, Tlv
from zsms.core.smpp.record import Pdu
from zsms.core.smpp.statuses import SENT
from zsms.core.smpp.strings import I64, U8, U32, Bools, Strings, some
from zsms.message import Batch, Mixed
from zsms.transports.smpp.load import F32, U64, Load
from zsms.transports.smpp.parted import Parted

_PARTED = np.uint32(1 << 31)
"""Instead of the number of a producer: a part of a message in several, which `Parted` knows by the number beside."""


class Awaited:
    """Messages whose receipt is to come, and receipts that came."""

    def __init__(self, timeout: float, every_part: bool, account: int | None = None) -> None:
        """`timeout` in seconds, 0 for never; `every_part`: each part of a long text asks for one.

        `account` names the account to other senders of it; None: there are no receipts.
        """
        self.account = account
        self.leave: Callable[[float], bool] = lambda now: False
        """Unbinds; whether that is still to be answered. The owner sets it."""
        self.outstanding = Outstanding(timeout)
        self.messages_in = 0
        """deliver_sm and data_sm that were no receipts: messages that people sent."""
        self.receipts_in = 0
        """Receipts that came, of any message, the last one or not."""
        self._every_part = every_part
        self._parted = Parted()
        self._sources: dict[int, int] = {}
        self._producers: list[int] = []
        self._drained: list[tuple[U64, U64, U8, F32]] = []

    def sources_of(self, batch: Batch | Mixed) -> U32:
        """A number for the producer of each message, uint32[n]."""
        if isinstance(batch, Batch):
            return np.full(len(batch), self._source(batch.producer), np.uint32)
        own = batch.rows["source"]
        known, inverse = np.unique(own, return_inverse=True)
        numbers = np.array([self._source(batch.sources[int(each)].producer) for each in known], np.uint32)
        return numbers[inverse]

    def _source(self, producer: int) -> int:
        number = self._sources.get(producer)
        if number is None:
            number = self._sources[producer] = len(self._producers)
            self._producers.append(producer)
        return number

    def accepted(self, load: Load, rows: I64, code: U8, ids: Strings, now: float) -> None:
        """These segments were answered; those that were accepted with an id, and asked for a receipt, await it."""
        want: Bools = (code == SENT) & (ids.lengths > 0)
        if load.several and not self._every_part:
            want &= load.parts.number[rows] == 1
        if not want.all():
            rows, ids = rows[want], ids.take(want)
        messages = load.parts.owner[rows] if load.several else rows
        sources, seqs = load.sources[messages], load.seqs[messages]
        if load.several and self._every_part:
            part = np.flatnonzero(load.parts.total[rows] > 1)
            seqs[part], sources[part] = self._names(load, messages[part], now), _PARTED
        found = self.outstanding.add(ids, sources, seqs, now)
        if found is not None:
            self._matched(found)

    def _names(self, load: Load, messages: I64, now: float) -> U64:
        """What the messages in several parts of which these parts are are known by, uint64[n]."""
        fresh = np.unique(messages[load.names[messages] == 0])
        if len(fresh):
            totals = np.bincount(load.parts.owner, minlength=load.count)[fresh]
            load.names[fresh] = self._parted.add(load.sources[fresh], load.seqs[fresh], totals, now)
        return load.names[messages]

    def came(self, messages: Messages, now: float) -> None:
        """deliver_sm of any kind."""
        told = receipts_of.read(messages)
        self.messages_in += len(messages) - len(told)
        self.match(told.ids, told.outcome, now)

    def came_as_data(self, request: Pdu, now: float) -> None:
        """A data_sm: all that it says is in its parameters."""
        kind, coding = (np.array([request[name]], np.uint8) for name in ("esm_class", "data_coding"))
        message = Messages(np.zeros(1, np.uint32), esm_class=kind, data_coding=coding)
        message.short_message = Strings.of([request.tlv(Tag.MESSAGE_PAYLOAD) or b""])
        told = (each for each in request.tlvs if each[0] != Tag.MESSAGE_PAYLOAD)
        message.tlvs = [Tlv(tag, Strings.of([value]), np.ones(1, np.bool_)) for tag, value in told]
        self.came(message, now)

    def match(self, ids: Strings, outcome: U8, now: float) -> None:
        """Receipts with these ids have come; `outcome` uint8[n] are codes of `Delivery`, or `NOT_YET`."""
        self.receipts_in += len(outcome)
        last = outcome != receipts_of.NOT_YET
        if not last.all():
            ids, outcome = ids.take(last), outcome[last]
        if len(outcome):
            self._matched(self.outstanding.match(ids, outcome, now))

    def unbinds(self, now: float) -> bool:
        """Leave the gateway; whether receipts may still come, or wait until their form is known."""
        return self.leave(now) or self.due is not None

    def share(self, others: bool) -> None:
        """Whether other senders have binds of the account, and take receipts that are of no message here."""
        self.outstanding.shared = others

    def strays(self, most: int) -> Strays | None:
        """Up to so many receipts that are for other senders of the account."""
        told = self.outstanding.strays(most)
        return None if told is None else Strays(told[0].lengths.astype(np.uint8), told[0].compact(), told[1])

    def take_strays(self, told: Strays, now: float) -> None:
        """Receipts that came to another sender of the account."""
        ids = Strings.packed(told.ids, told.lengths.astype(np.int64))
        self._matched(self.outstanding.match(ids, told.outcomes, now, handed=True))

    def _matched(self, found: Found) -> None:
        sources, seqs, outcome, took = found.sources, found.seqs, found.outcome, found.took
        if self._every_part and some(parts := sources == _PARTED):
            rows = np.flatnonzero(parts)
            decided = self._parted.received(seqs[rows], outcome[rows])
            kept = np.concatenate([np.flatnonzero(~parts), rows[decided.receipts]])
            sources = np.concatenate([sources[~parts], decided.sources])
            seqs = np.concatenate([seqs[~parts], decided.seqs])
            outcome, took = outcome[kept], took[kept]
        if len(seqs):
            self._drained.append((np.array(self._producers, np.uint64)[sources], seqs, outcome, took))

    @property
    def due(self) -> float | None:
        """When `decide` is worth calling at the latest; None: never."""
        return self.outstanding.due

    def decide(self, now: float) -> None:
        """Match what waited until it is known how receipts write their ids."""
        found = self.outstanding.decided(now)
        if found is not None:
            self._matched(found)

    def poll(self, now: float) -> None:
        """Give up what is overdue. Worth calling every few seconds."""
        self.outstanding.poll(now)
        if self.outstanding.timeout > 0:
            self._parted.forget(now - 2 * self.outstanding.timeout)

    def drain(self) -> Receipts | None:
        """What became of messages since the last call, None when nothing was told."""
        told, self._drained = self._drained, []
        if not told:
            return None
        columns = [np.concatenate(column) for column in zip(*told, strict=True)]
        return Receipts(*columns)

    @property
    def figures(self) -> dict[str, int]:
        """By the names that statistics have."""
        return {
            "receipts_missing": self.outstanding.missing,
            "receipts_unmatched": self.outstanding.strange,
            "receipts_handed_on": self.outstanding.handed,
            "receipts_taken_over": self.outstanding.found,
            "messages_in": self.messages_in,
            "receipts_awaited": len(self.outstanding),
            "receipts_early": self.outstanding.early,
        }
