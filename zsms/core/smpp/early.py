"""Receipts that came before the answers of their messages, in a ring: of too many the oldest make room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zsms.core.smpp.ids import FORMS, U64, Keys
from zsms.core.smpp.runs import Runs
from zsms.core.smpp.strings import I64, U8, Bools, Strings

MOST_EARLY = 1 << 16
"""Receipts that are kept, at most."""
_LOOK_S = 0.25
"""Seconds after which it is worth looking again for `Early.old` ones."""
MOST_OCTETS = 64
"""Of an id, in SMPP; of a longer one only its hash is kept, so that it can't be handed on later."""


class EarlyFound(NamedTuple):
    """Answers whose receipt had come."""

    rows: I64
    """Which answer, int64[m], ascending."""
    outcome: U8
    handed: Bools
    """Whether it is known to other senders, too."""


class Old(NamedTuple):
    """Receipts that have waited for a while."""

    places: I64
    ids: Strings
    outcome: U8


class Early:
    """The ring. A receipt stands in the table of each form that its id has, as its serial number."""

    def __init__(self) -> None:
        self.waiting = 0
        """Receipts that are of nobody else and have no answer yet."""
        self.since: float | None = None
        """When the first of those came that `old` has not told, about; None: there are none."""
        self._next = 0
        self._serial = np.zeros(0, np.uint64)
        """By place: the serial and 1 of the receipt that stands there, 0: none."""
        self._tables = [Runs() for _ in FORMS]

    def __bool__(self) -> bool:
        return bool(len(self._serial))

    def keep(self, ids: Strings, forms: Keys, outcome: U8, handed: bool, now: float) -> int:
        """Keep these; how many others had to go for it that nobody else knows.

        `forms` are those in which they may be found. `handed`: others know them.
        """
        if not len(self._serial):
            self._make_ring()
        count = len(outcome)
        extra = max(0, count - MOST_EARLY)
        serials = np.arange(self._next + extra, self._next + count, dtype=np.uint64)
        places = (serials % np.uint64(MOST_EARLY)).astype(np.int64)
        gone = self.drop(places) + (0 if handed else extra)
        self._next += count
        self._serial[places] = serials + np.uint64(1)
        self._outcome[places], self._handed[places], self._came[places] = outcome[extra:], handed, now
        self._old[places] = False
        if not handed:
            self.since = now if self.since is None else self.since
            self.waiting += len(places)
            kept = ids.take(slice(extra, None))
            self._lengths[places] = np.where(kept.lengths <= MOST_OCTETS, kept.lengths, 0)
            self._ids[places] = kept.matrix(MOST_OCTETS)
        self._able[:, places] = False
        for number, (every_key, every_able) in forms.items():
            keys, able = every_key[extra:], every_able[extra:]
            self._keys[number, places], self._able[number, places] = keys, able
            self._add(number, serials[able], keys[able], now)
        return gone

    def _make_ring(self) -> None:
        self._serial = np.zeros(MOST_EARLY, np.uint64)
        self._outcome = np.zeros(MOST_EARLY, np.uint8)
        self._handed = np.zeros(MOST_EARLY, np.bool_)
        self._ids = np.zeros((MOST_EARLY, MOST_OCTETS), np.uint8)
        self._lengths = np.zeros(MOST_EARLY, np.int64)
        self._came = np.zeros(MOST_EARLY)
        self._old = np.zeros(MOST_EARLY, np.bool_)
        self._keys = np.zeros((len(FORMS), MOST_EARLY), np.uint64)
        self._able = np.zeros((len(FORMS), MOST_EARLY), np.bool_)

    def _add(self, number: int, serials: U64, keys: U64, now: float) -> None:
        """Into the table of that form, which is made anew when it is mostly of receipts that have gone."""
        table = self._tables[number]
        if len(table) + len(keys) > 2 * MOST_EARLY:
            table = self._tables[number] = Runs()
            here = np.flatnonzero((self._serial > 0) & self._able[number])
            serials, keys = self._serial[here] - np.uint64(1), self._keys[number, here]
            order = np.argsort(serials)  # of several alike the newest is found
            serials, keys = serials[order], keys[order]
        if len(keys):
            table.add(keys, np.zeros(len(keys), np.uint32), serials, now)

    def drop(self, places: I64) -> int:
        """Whatever stands there goes; how many of those nobody else knows."""
        lonely = int(np.count_nonzero((self._serial[places] > 0) & ~self._handed[places]))
        self._serial[places] = 0
        self.waiting -= lonely
        return lonely

    def match(self, keys: U64, forms: Sequence[int]) -> EarlyFound | None:
        """Answers with these hashes came: the receipts of them in one of these forms, which are taken out."""
        rows, places = [], []
        left = np.arange(len(keys))
        for number in forms:
            table = self._tables[number]
            if not table.waiting or not len(left):
                continue
            at = table.places(keys[left])
            hit = np.flatnonzero(at >= 0)
            if not len(hit):
                continue
            unique, first = np.unique(at[hit], return_index=True)  # of answers with the same id the first
            hit, serials = hit[first], table.take(unique).seqs
            place = (serials % np.uint64(MOST_EARLY)).astype(np.int64)
            there = self._serial[place] == serials + np.uint64(1)
            rows.append(left[hit[there]])
            places.append(place[there])
            self.waiting -= int(np.count_nonzero(~self._handed[place[there]]))
            self._serial[place[there]] = 0
            left = np.delete(left, hit[there])
        if not rows:
            return None
        row, place = np.concatenate(rows), np.concatenate(places)
        order = np.argsort(row)
        row, place = row[order], place[order]
        return EarlyFound(row, self._outcome[place], self._handed[place])

    def handed_on(self) -> tuple[Strings, U8] | None:
        """Ids and outcomes of those that nobody else knows, and that others are told now; None: there are none."""
        if not self.waiting:
            return None
        places = np.flatnonzero((self._serial > 0) & ~self._handed & (self._lengths > 0))
        self._handed[places] = True
        self.waiting -= len(places)
        return self._ids_at(places), self._outcome[places]

    def old(self, before: float) -> Old | None:
        """Those that came until then and that nobody else knows; each is told once. None: there are none."""
        if self.since is None or self.since > before:
            return None
        places = np.flatnonzero((self._serial > 0) & ~self._handed & ~self._old & (self._lengths > 0))
        told = self._came[places] <= before
        self.since = None if told.all() else max(before + _LOOK_S, float(self._came[places[~told]].min()))
        places = places[told]
        self._old[places] = True
        return Old(places, self._ids_at(places), self._outcome[places]) if len(places) else None

    def _ids_at(self, places: I64) -> Strings:
        ids = Strings(self._ids.reshape(-1), places * MOST_OCTETS, self._lengths[places])
        return Strings.packed(ids.compact(), ids.lengths)

    def expire(self, before: float) -> int:
        """Those that came before then are not waited for any more; how many of them nobody else knows."""
        if not len(self._serial):
            return 0
        old = np.flatnonzero((self._serial > 0) & (self._came < before))
        for table in self._tables:
            table.give_up(before - 1.0)  # single precision is coarse
        return self.drop(old)
