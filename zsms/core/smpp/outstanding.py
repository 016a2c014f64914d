"""Messages whose receipt is still to come: whose id is which message, in bounded memory.

    add(ids, sources, seqs, now)         accepted, with the ids that the gateway gave
    match(ids, now) -> Found             receipts: which message each is of, whatever the form of its id
    poll(now) -> missing                 receipts that are overdue are given up, and counted

**Forms of an id.** Gateways write the id of an answer and that of its receipt alike, or one in decimal and the other in
hexadecimal. A receipt is looked up as it stands, as the hexadecimal of its decimal, and as the decimal of its
hexadecimal; the form that has fitted most receipts of which only one fitted is tried first, so that a number that means
something in two forms is taken in the gateway's own. Case and zeros before a number count for nothing.

**Memory.** 24 octets a message: an id is kept as a hash of 64 bits (two of a million share one with a probability
of 3e-8). Those that are added together are a run, sorted by hash; runs are joined two by two as they grow, so there are
few (a log-structured merge, P. O'Neil et al., 1996).

A receipt that comes before its answer is kept for `EARLY_S` seconds, `MOST_EARLY` of them at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.clock import Standstills
from zsms.core.smpp.strings import U8, U32, Bools, Strings, digits, numbers

U64 = npt.NDArray[np.uint64]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

_GONE = np.uint32(0xFFFFFFFF)
_SEED = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(32)
EARLY_S = 60.0
MOST_EARLY = 100_000
MOST_IN_RUN = 1 << 17
"""Messages of a run, about, above which it is joined with no other: joining needs room for both once more."""
FORMS = ("alike", "hexadecimal of a decimal", "decimal of a hexadecimal")
"""How a receipt's id may have to be read to be that of the answer."""


def normal(ids: Strings) -> Strings:
    """Without zeros before them; the buffer is shared."""
    matrix = ids.matrix()
    if not matrix.shape[1] or not (matrix[:, 0] == 0x30).any():
        return ids
    zero = (matrix == 0x30) & (np.arange(matrix.shape[1]) < ids.lengths[:, None])
    skip = np.where(zero.all(axis=1), ids.lengths - 1, np.argmin(zero, axis=1))
    skip = np.clip(skip, 0, np.maximum(ids.lengths - 1, 0))
    return Strings(ids.buffer, ids.begins + skip, ids.lengths - skip)


def hashes(ids: Strings) -> U64:
    """64 bits of each, uint64[n], that depend on neither case nor zeros before it."""
    own = normal(ids)
    words = max(1, -(-int(own.lengths.max(initial=0)) // 8))
    matrix = own.matrix(8 * words)
    inside = np.arange(8 * words) < own.lengths[:, None]
    letters = np.where((matrix >= 0x41) & (matrix <= 0x5A), matrix | 0x20, matrix)
    columns = np.ascontiguousarray(np.where(inside, letters, 0).astype(np.uint8)).view("<u8")
    found = own.lengths.astype(np.uint64) * _SEED
    for place in range(words):
        mixed = (found ^ columns[:, place]) * _STEP
        mixed = (mixed ^ mixed >> _SHIFT) * _SEED
        mixed ^= mixed >> np.uint64(29)
        # Only the words that a string has, or its hash would depend on how long the others are.
        found = mixed if not place else np.where(own.lengths > 8 * place, mixed, found)
    return found


_HEX = np.frombuffer("".join(f"{number:04x}" for number in range(0x10000)).encode(), "<u4")


def hexadecimals(values: U64) -> Strings:
    """Numbers in hexadecimal digits, without zeros before them."""
    rows = len(values)
    matrix = np.empty((rows, 4), "<u4")
    for place in range(4):
        matrix[:, place] = _HEX[((values >> np.uint64(48 - 16 * place)) & np.uint64(0xFFFF)).astype(np.int64)]
    begins = np.arange(rows, dtype=np.int64) * 16
    full = Strings(matrix.view(np.uint8).reshape(-1), begins, np.full(rows, 16, np.int64))
    return normal(full)


_NIBBLE = np.full(256, 255, np.uint8)
for _value, _letter in enumerate(b"0123456789abcdef"):
    _NIBBLE[_letter] = _value
for _value, _letter in enumerate(b"ABCDEF"):
    _NIBBLE[_letter] = 10 + _value


def from_hexadecimals(ids: Strings) -> tuple[U64, Bools]:
    """Strings of 1 to 16 hexadecimal digits as numbers, uint64[n], and which of them are ones."""
    matrix = _NIBBLE[ids.matrix(16)]
    inside = np.arange(16) < ids.lengths[:, None]
    good = (ids.lengths >= 1) & (ids.lengths <= 16) & ((matrix < 16) | ~inside).all(axis=1)
    found = np.zeros(len(ids), np.uint64)
    for place in range(16):
        found = np.where(inside[:, place], found << np.uint64(4) | (matrix[:, place] & np.uint8(15)), found)
    return np.where(good, found, np.uint64(0)), good


class _Run(NamedTuple):
    """Messages by the hash of their id, ascending."""

    keys: U64
    seqs: U64
    sources: U32
    """`_GONE`: its receipt has come."""
    at: F32


class Found(NamedTuple):
    """Receipts whose message is known."""

    rows: I64
    """Which receipt, int64[m]; -1: one that came earlier, before its answer."""
    sources: U32
    seqs: U64
    took: F32
    """Seconds since the message was accepted, float32[m]; below 0: not known."""
    outcome: U8


class Outstanding:
    """The table."""

    def __init__(self, timeout: float = 86_400.0, most: int = 4_000_000) -> None:
        """`timeout` in seconds, 0 for never; of more than `most` messages the oldest are given up as missing."""
        self.timeout = timeout
        self.most = most
        self.waiting = 0
        """Messages whose receipt has not come."""
        self.missing = 0
        """Messages whose receipt was given up."""
        self.strange = 0
        """Receipts of no message that is known here."""
        self.votes = [0, 0, 0]
        """Receipts that only this one of `FORMS` fitted."""
        self._runs: list[_Run] = []
        """The largest first."""
        self._early: list[tuple[float, Strings, U8]] = []
        self._early_count = 0
        self._stood = Standstills()
        self._zero: float | None = None
        self._looked = 0.0

    def __len__(self) -> int:
        return self.waiting

    @property
    def early(self) -> int:
        """Receipts that wait for their message's answer."""
        return self._early_count

    @property
    def nbytes(self) -> int:
        """Octets that are kept."""
        return sum(column.nbytes for run in self._runs for column in run)

    def _time(self, now: float) -> float:
        if self._zero is None:
            self._zero = now
        return now - self._zero

    def stood_still(self, since: float, now: float) -> None:
        """Nothing was read from `since` until `now`."""
        self._stood.add(self._time(since), self._time(now))

    def add(self, ids: Strings, sources: U32, seqs: U64, now: float) -> Found | None:
        """These were accepted. The receipts of them that have come before, None if none has."""
        if not len(ids):
            return None
        keys = hashes(ids)
        order = np.argsort(keys, kind="stable")
        at = np.full(len(ids), self._time(now), np.float32)
        self._runs.append(_Run(keys[order], seqs[order], sources[order].astype(np.uint32), at))
        self.waiting += len(ids)
        while len(self._runs) > 1:
            last, before = len(self._runs[-1].keys), len(self._runs[-2].keys)
            if 2 * last <= before or last + before > MOST_IN_RUN:
                break
            newer = self._runs.pop()
            self._runs[-1] = _joined(self._runs[-1], newer)
        if self.waiting > self.most:
            self._drop_oldest()
        return self._match_early(now) if self._early else None

    def _match_early(self, now: float) -> Found | None:
        """Receipts that came before their answers."""
        early, self._early, self._early_count = self._early, [], 0
        parts = []
        for came, ids, outcome in early:
            if now - came > EARLY_S:
                self.strange += len(ids)
                continue
            found, left = self._match(ids, outcome, now)
            if len(found.rows):
                parts.append(found)
            if len(left):
                self._keep(came, ids.take(left), outcome[left])
        if not parts:
            return None
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        columns[0][:] = -1
        return Found(*columns)

    def _keep(self, came: float, ids: Strings, outcome: U8) -> None:
        room = MOST_EARLY - self._early_count
        self.strange += max(0, len(ids) - room)
        if room <= 0:
            return
        kept = ids.take(slice(0, room))
        # A copy, or each would keep the buffer that it came in.
        self._early.append((came, Strings.packed(kept.compact(), kept.lengths), outcome[:room]))
        self._early_count += len(kept)

    def match(self, ids: Strings, outcome: U8, now: float) -> Found:
        """The messages that receipts are of; each is known once. `outcome` uint8[n] comes back with them.

        Receipts without an id are strange; others that fit nothing are kept, for their answer may be on its way.
        """
        named = ids.lengths > 0
        if not named.all():
            self.strange += int((~named).sum())
            rows = np.flatnonzero(named)
            found = self.match(ids.take(rows), outcome[rows], now)
            return found._replace(rows=rows[found.rows])
        found, left = self._match(ids, outcome, now)
        if len(left):
            self._keep(now, ids.take(left), outcome[left])
        return found

    def _forms(self, ids: Strings) -> list[tuple[U64, Bools]]:
        """The hash of each in each of `FORMS`, and whether it has that form."""
        bare = normal(ids)  # of twenty digits and more, too, if zeros fill them up
        value, is_decimal = numbers(bare)
        parsed, is_hexadecimal = from_hexadecimals(bare)
        return [
            (hashes(ids), np.ones(len(ids), np.bool_)),
            (hashes(hexadecimals(value)), is_decimal),
            (hashes(digits(parsed)), is_hexadecimal),
        ]

    def _match(self, ids: Strings, outcome: U8, now: float) -> tuple[Found, I64]:
        """What is found, and the rows that are not."""
        preferred = int(np.argmax(self.votes))
        count = len(ids)
        places = np.full(count, -1, np.int64)
        if not self.votes[preferred] or preferred:
            forms = self._forms(ids)
        else:
            forms = [(hashes(ids), np.ones(count, np.bool_))]
        looked = [self._places(keys, able) for keys, able in forms]
        if len(looked) > 1:
            self._vote(looked)
            preferred = int(np.argmax(self.votes))
        places = looked[preferred] if preferred < len(looked) else looked[0]
        left = places < 0
        if left.any() and len(looked) == 1:
            rows = np.flatnonzero(left)
            others = [self._places(keys, able) for keys, able in self._forms(ids.take(rows))]
            self._vote(others)
            for each in others[1:]:
                places[rows] = np.where(places[rows] < 0, each, places[rows])
        else:
            for each in looked:
                places = np.where(places < 0, each, places)
        return self._taken(places, outcome, now)

    def _vote(self, looked: list[I64]) -> None:
        fits = np.stack([each >= 0 for each in looked])
        alone = fits.sum(axis=0) == 1
        for form, fit in enumerate(fits):
            self.votes[form] += int((fit & alone).sum())
        if (fits.sum(axis=0) > 1).any() and not any(self.votes):
            self.votes[0] += 1  # nothing speaks against what stands there

    def _places(self, keys: U64, able: Bools) -> I64:
        """Where each is: the run's number << 40 | the place in it; -1: nowhere. Of several the newest."""
        places = np.full(len(keys), -1, np.int64)
        left = np.flatnonzero(able)
        for number in range(len(self._runs) - 1, -1, -1):
            run = self._runs[number]
            if not len(left):
                break
            wanted = keys[left]
            at = np.searchsorted(run.keys, wanted, side="right") - 1
            hit = (at >= 0) & (run.keys[at] == wanted) & (run.sources[at] != _GONE)
            places[left[hit]] = number << 40 | at[hit]
            left = left[~hit]
        return places

    def _taken(self, places: I64, outcome: U8, now: float) -> tuple[Found, I64]:
        """Take the messages at these places out; of receipts for one message the first counts."""
        rows = np.flatnonzero(places >= 0)
        left = np.flatnonzero(places < 0)
        unique, first = np.unique(places[rows], return_index=True)
        self.strange += len(rows) - len(unique)
        rows = rows[first]
        order = np.argsort(rows)
        rows, unique = rows[order], unique[order]
        sources, seqs = np.zeros(len(rows), np.uint32), np.zeros(len(rows), np.uint64)
        took = np.zeros(len(rows), np.float32)
        time = self._time(now)
        numbers_of, at = unique >> 40, unique & ((1 << 40) - 1)
        for number in np.unique(numbers_of).tolist():
            run = self._runs[number]
            mine = numbers_of == number
            where = at[mine]
            sources[mine], seqs[mine] = run.sources[where], run.seqs[where]
            took[mine] = time - run.at[where]
            run.sources[where] = _GONE
        self.waiting -= len(rows)
        if self._stood:
            took[self._stood.hide(time - took) | self._stood.hide(time)] = -1.0
        return Found(rows, sources, seqs, took, outcome[rows]), left

    def poll(self, now: float) -> int:
        """Give up what is overdue; how many that are. Worth calling every few seconds."""
        self._early_expired(now)
        before = self.missing
        time = self._time(now)
        if self.timeout > 0 and self._runs and time - self._looked >= min(self.timeout / 4, 60.0):
            self._looked = time
            self._give_up(time - self.timeout)
        return self.missing - before

    def _early_expired(self, now: float) -> None:
        while self._early and now - self._early[0][0] > EARLY_S:
            _, ids, _ = self._early.pop(0)
            self.strange += len(ids)
            self._early_count -= len(ids)

    def _give_up(self, before: float) -> None:
        runs = []
        for run in self._runs:
            there = run.sources != _GONE
            kept = there & (run.at > before)
            gone = int(there.sum()) - int(kept.sum())
            self.missing += gone
            self.waiting -= gone
            if kept.all():
                runs.append(run)
            elif kept.any():
                runs.append(_Run(*(column[kept] for column in run)))
        self._runs = sorted(runs, key=lambda run: -len(run.keys))

    def _drop_oldest(self) -> None:
        """Half of what there is, by age."""
        at = np.concatenate([run.at[run.sources != _GONE] for run in self._runs])
        self._give_up(float(np.median(at)))


def _joined(first: _Run, second: _Run) -> _Run:
    """Both in one, without what has gone; of alike keys the second's comes last. A column at a time, for memory."""
    keys = np.concatenate([first.keys, second.keys])
    sources = np.concatenate([first.sources, second.sources])
    there = np.flatnonzero(sources != _GONE)
    order = there[np.argsort(keys[there], kind="stable")]
    keys, sources = keys[order], sources[order]
    seqs = np.concatenate([first.seqs, second.seqs])[order]
    return _Run(keys, seqs, sources, np.concatenate([first.at, second.at])[order])
