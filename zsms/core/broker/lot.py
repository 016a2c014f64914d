"""What the broker queues, grants and takes back: lots, and how messages are copied out of them.

uniform   a range of one batch: one producer, one attempt and delivery, queued at one time. Copies nothing.
mixed     a range of a `Mixed`: messages of any history, a row each. What failed, was taken back, given up or has
          outlasted its neighbours is copied out of where it was (`gather`), so that the rest can be let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.broker.entry import Entry
from zsms.core.broker.ledger import ProducerAccount
from zsms.message import KEPT, ROW, WORD, Batch, Message, Mixed, Sources, ragged, words_of

I64 = npt.NDArray[np.int64]

MOST_MESSAGES = 16_384
"""Most messages of a mixed lot that is made here."""
MOST_BYTES = 4 * 2**20
"""Most bytes of one, so that it fits a frame."""
_RECORD = np.dtype((np.void, ROW.itemsize))
OVERHEAD = 1_024
"""Bytes that a small mixed lot costs beside its columns, about."""


@dataclass(slots=True)
class Lot:
    """Messages begin..end-1 of `whole`: the unit that the broker queues and grants.

    `whole` is only divided when somebody asks for `batch`. In a mixed lot each message has its own `queued`,
    `attempt` and `delivery`, and these are 0.
    """

    whole: Batch | Mixed
    account: ProducerAccount | None
    """The producer of all of them, None when there are several."""
    queued: float
    """Since when they have waited for a slot: accepted, due again after a failure, taken back or kicked."""
    attempt: int = 1
    delivery: int = 1
    begin: int = 0
    end: int = -1
    size: int = field(init=False)

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = len(self.whole)
        self.size = self.end - self.begin

    @property
    def batch(self) -> Batch | Mixed:
        """The messages."""
        return self.whole.slice(self.begin, self.end)

    @property
    def rows(self) -> npt.NDArray[Any]:
        """The rows of a mixed lot, ROW[size]."""
        assert isinstance(self.whole, Mixed)
        return self.whole.rows[self.begin : self.end]

    def part(self, begin: int, end: int) -> Lot:
        """Messages begin..end-1 with the same history."""
        first = self.begin
        return Lot(
            self.whole, self.account, self.queued, self.attempt, self.delivery, begin=first + begin, end=first + end
        )

    def messages(self) -> Iterator[Message]:
        """The messages one by one."""
        return self.batch.messages(self.attempt, self.delivery)

    def accounts(self, positions: I64 | None = None) -> list[tuple[ProducerAccount, int]]:
        """Whose messages those at `positions` (None: all) are: each account, and how many."""
        if self.account is not None:
            return [(self.account, self.size if positions is None else len(positions))]
        source = self.rows["source"]
        counts = np.bincount(source if positions is None else source[positions])
        assert isinstance(self.whole, Mixed)
        accounts: Any = self.whole.sources
        return [(accounts[index], int(counts[index])) for index in np.flatnonzero(counts).tolist()]

    def again(self, now: float) -> Lot:
        """The same messages with the next delivery, queued `now`."""
        if isinstance(self.whole, Batch):
            return replace(self, delivery=self.delivery + 1, queued=now)
        rows = self.rows.copy()
        rows["delivery"] += 1
        rows["queued"] = now
        part = self.batch
        assert isinstance(part, Mixed)
        return Lot(Mixed(rows, part.text, part.sources, part.kept), self.account, 0.0, 0, 0)

    @property
    def oldest(self) -> float:
        """When the oldest of them was accepted; of those that a sender had before, when it was due."""
        if isinstance(self.whole, Mixed):
            return float(self.rows["due"].min())
        return self.queued if self.delivery == 1 else min(self.queued, self.whole.due + self.begin * self.whole.step)


class DeadLetter(NamedTuple):
    """Messages given up, and why: a mixed lot that keeps nothing else. `number` tells it from every other one."""

    lot: Lot
    reason: str
    number: int


Part = tuple[Lot, I64]
"""Messages at these positions of a lot, ascending."""


def mixed_lot(mixed: Mixed) -> Lot:
    """A lot of all of these."""
    source = mixed.rows["source"]
    first = int(source[0])
    accounts: Any = mixed.sources
    account = accounts[first] if len(source) == 1 or (source == first).all() else None
    return Lot(mixed, account, 0.0, 0, 0)


def mixed_lots(mixed: Mixed) -> list[Lot]:
    """Lots of all of these, in their order, that each fit a frame."""
    if len(mixed) <= MOST_MESSAGES and mixed.nbytes <= MOST_BYTES:
        return [mixed_lot(mixed)]
    return [mixed_lot(part) for part in mixed.pieces(MOST_MESSAGES, MOST_BYTES)]


def alike(parts: Sequence[Part]) -> list[Part]:
    """The same messages, those of the same history in one `whole` together: a part for each, uniform ones first."""
    found: dict[tuple[int, int, int], tuple[Lot, list[I64]]] = {}
    for lot, positions in parts:
        key = id(lot.whole), lot.attempt, lot.delivery
        if key not in found:
            found[key] = Lot(lot.whole, lot.account, lot.queued, lot.attempt, lot.delivery), []
        found[key][1].append(positions + lot.begin)
    together = [
        (lot, places[0] if len(places) == 1 else np.sort(np.concatenate(places))) for lot, places in found.values()
    ]
    return sorted(together, key=lambda part: not part[0].attempt)


def gather(parts: Sequence[Part], sources: Sources) -> Mixed:
    """Copy messages out of lots, in the order of `parts` (at least one message)."""
    uniform = [part for part in parts if part[0].attempt]
    if len(uniform) == len(parts):
        return _gather_uniform(uniform, sources)
    mixed = [part for part in parts if not part[0].attempt]
    copies = [_taken(lot.whole, positions + lot.begin) for lot, positions in mixed]
    if not uniform:
        return Mixed.join(copies)
    both = Mixed.join([_gather_uniform(uniform, sources), *copies])
    if not any(part[0].attempt for part in parts[len(uniform) :]):
        return both
    # Each message's place among all of them, for uniform ones and then for mixed ones; argsort inverts it.
    sizes = np.array([len(positions) for _, positions in parts])
    is_mixed = np.repeat([not lot.attempt for lot, _ in parts], sizes)
    return both.take(np.argsort(np.argsort(is_mixed, kind="stable")))


def _taken(whole: Batch | Mixed, indices: I64) -> Mixed:
    assert isinstance(whole, Mixed)
    return whole.take(indices)


def _gather_uniform(parts: Sequence[Part], sources: Sources) -> Mixed:
    """A handful of statements a part, and all the arithmetic for all parts at once."""
    rows, begins, kept = uniform_rows(parts)
    wholes: Any = [lot.whole for lot, _ in parts]
    counts = [len(positions) for _, positions in parts]
    return Mixed(rows, _gather_texts(wholes, counts, np.concatenate(begins), rows["length"]), sources, kept)


def uniform_rows(parts: Sequence[Part]) -> tuple[npt.NDArray[Any], list[I64], npt.NDArray[Any] | None]:
    """The rows of messages in uniform lots (at least one), where in each batch their texts begin, and what is kept."""
    counts = [len(positions) for _, positions in parts]
    alike, steps = [], []
    recipients, lengths, offsets, kept = [], [], [], []
    begins: list[I64] = []
    for lot, positions in parts:
        batch = lot.whole
        assert isinstance(batch, Batch)
        at = positions + lot.begin if lot.begin else positions
        source = 0 if lot.account is None else lot.account.index
        alike.append((batch.first, 0, batch.due, lot.queued, source, lot.attempt, lot.delivery, 0))
        steps.append(batch.step)
        recipients.append(batch.recipients.take(at))
        length = batch.lengths.take(at)
        lengths.append(length)
        begins.append(batch.ends.take(at) - length)  # type: ignore[arg-type]
        offsets.append(at if batch.offsets is None else batch.offsets.take(at))
        if batch.origin is not None:
            kept.append(_kept(batch.origin, lot, positions))
    # What the messages of a lot have in common is written at once: a column of records costs its memory each time.
    rows: npt.NDArray[Any] = np.repeat(np.array(alike, dtype=ROW).view(_RECORD), counts).view(ROW)
    offset = np.concatenate(offsets)
    rows["seq"] += offset.astype(np.uint64)
    rows["recipient"] = np.concatenate(recipients)
    rows["length"] = np.concatenate(lengths)
    if any(steps):
        rows["due"] += offset * np.repeat(steps, counts)
    return rows, begins, np.concatenate(kept) if kept else None


def _kept(entry: Entry, lot: Lot, positions: I64) -> npt.NDArray[Any]:
    kept = np.empty(len(positions), dtype=KEPT)
    kept["entry"] = entry.number
    kept["place"] = entry.places(lot, positions)
    return kept


MASKS = np.array([0xFFFFFFFFFFFFFFFF, *((1 << 8 * rest) - 1 for rest in range(1, 8))], dtype=WORD)
"""What of a text's last word is text, by its length modulo 8."""


def _gather_texts(
    wholes: Sequence[Batch], counts: Sequence[int], begins: I64, lengths: npt.NDArray[Any]
) -> npt.NDArray[np.uint64]:
    """The texts that begin there, filled up to words."""
    words = words_of(lengths)
    bytes_at = ragged(begins, words, 8)
    ends = np.cumsum(words)
    found = []
    done = message = 0
    for batch, count in zip(wholes, counts, strict=True):
        message += count
        upto = int(ends[message - 1])
        found.append(_words_at(batch, bytes_at[done:upto]))
        done = upto
    text = np.concatenate(found)
    some = words > 0
    text[ends[some] - 1] &= MASKS[lengths[some] & 7]
    return text


def _words_at(batch: Batch, at: I64) -> npt.NDArray[np.uint64]:
    """The eight bytes from each of these places (ascending) on; beyond the end of the text there are zeros."""
    last = len(batch.text) - 8
    if not len(at) or at[-1] <= last:
        return batch.windows[at]
    inside = int(np.searchsorted(at, last, "right"))
    words = np.empty(len(at), dtype=WORD)
    if inside:
        words[:inside] = batch.windows[at[:inside]]
    for index in range(inside, len(at)):  # of the last eight bytes: no more than eight
        words[index] = int.from_bytes(batch.text[at[index] :].tobytes(), "little")
    return words
