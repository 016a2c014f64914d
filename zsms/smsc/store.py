"""Messages that a fake SMSC has accepted and that have no receipt yet, in columns, and how the last ones ended."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.strings import I64, U8, Strings, folded

U64 = npt.NDArray[np.uint64]
KEPT = 1 << 18
"""Messages whose state a query_sm can still ask for, at least."""
_TEXT = 20

ROW = np.dtype(
    [
        ("serial", "<u8"),
        ("bind", "<i8"),
        ("account", "<i4"),
        ("state", "u1"),
        ("asked", "?"),
        ("source_ton", "u1"),
        ("source_npi", "u1"),
        ("destination_ton", "u1"),
        ("destination_npi", "u1"),
        ("source", "S20"),
        ("destination", "S20"),
        ("text", f"S{_TEXT}"),
        ("submitted", "<f8"),
    ]
)
"""A message that was accepted. `state` is how it will end, `asked` whether a receipt is wanted, `submitted` the time of
day in seconds."""


class Pending:
    """Rows of `ROW` in places that are used again."""

    def __init__(self) -> None:
        self.rows = np.zeros(1_024, ROW)
        self._free = np.arange(1_024, dtype=np.int64)[::-1].copy()
        self._left = 1_024

    def __len__(self) -> int:
        return len(self.rows) - self._left

    def put(self, rows: npt.NDArray[np.void]) -> I64:
        """Keep these; their places, int64[n]."""
        count = len(rows)
        if count > self._left:
            self._grow(count)
        places = self._free[self._left - count : self._left][::-1].copy()
        self._left -= count
        self.rows[places] = rows
        return places

    def _grow(self, count: int) -> None:
        size = max(2 * len(self.rows), len(self.rows) + count)
        grown = np.zeros(size, ROW)
        grown[: len(self.rows)] = self.rows
        free = np.empty(size, np.int64)
        free[: self._left] = self._free[: self._left]
        added = np.arange(len(self.rows), size, dtype=np.int64)[::-1]
        free[self._left : self._left + len(added)] = added
        self.rows, self._free, self._left = grown, free, self._left + len(added)

    def take(self, places: I64) -> npt.NDArray[np.void]:
        """Those rows; their places are free again."""
        found: npt.NDArray[np.void] = self.rows.take(places)
        self._free[self._left : self._left + len(places)] = places
        self._left += len(places)
        return found


class States:
    """The state of each of the last `KEPT` messages, for query_sm, cancel_sm and replace_sm."""

    def __init__(self) -> None:
        self._serials = np.zeros(KEPT, np.uint64)
        self._states = np.zeros(KEPT, np.uint8)

    def put(self, serials: U64, state: int | U8) -> None:
        """That is how they stand now."""
        at = serials % np.uint64(KEPT)
        self._serials[at] = serials
        self._states[at] = state

    def put_run(self, first: int, states: U8) -> None:
        """The same of as many whose serial numbers follow each other."""
        if len(states) > KEPT:
            first, states = first + len(states) - KEPT, states[-KEPT:]
        begin = first % KEPT
        head = min(len(states), KEPT - begin)
        serials = np.arange(first, first + len(states), dtype=np.uint64)
        self._serials[begin : begin + head], self._states[begin : begin + head] = serials[:head], states[:head]
        if head < len(states):
            self._serials[: len(states) - head], self._states[: len(states) - head] = serials[head:], states[head:]

    def get(self, serial: int) -> int | None:
        """As a number of message_state, None for one that is unknown or too long ago."""
        at = serial % KEPT
        return int(self._states[at]) if serial > 0 and int(self._serials[at]) == serial else None

    def get_all(self, serials: U64) -> U8:
        """The same of many that are still kept, uint8[n]; 0: unknown."""
        at = serials % np.uint64(KEPT)
        found: U8 = np.where(self._serials[at] == serials, self._states[at], 0).astype(np.uint8)
        return found


class Seen:
    """Whether the same source, destination and body came before, of the last million or so: memory is bounded.

    Few that come at once are looked at later, together with others.
    """

    def __init__(self, rng: np.random.Generator, size: int = 1 << 20) -> None:
        self._table = np.zeros(size, np.uint64)
        self._start = int(rng.integers(1, 2**63))
        self._later: list[tuple[Strings, Strings, Strings]] = []
        self._left = _OCTETS
        self._repeated = 0

    def note(self, source: Strings, destination: Strings, content: Strings) -> None:
        """These came, each behind the one before where they are in one buffer."""
        if not len(source):
            return
        begin, end = int(source.begins[0]), int(content.begins[-1] + content.lengths[-1])
        together = source.buffer is content.buffer and destination.buffer is content.buffer
        if not together or len(source) >= _FEW or end - begin > _OCTETS:
            self._look()
            self._repeated += self._known(source, destination, content)
            return
        buffer = source.buffer[begin:end].copy()  # the buffer may be used again
        first, second, third = (Strings(buffer, e.begins - begin, e.lengths) for e in (source, destination, content))
        self._later.append((first, second, third))
        self._left -= end - begin
        if self._left < 0:
            self._look()

    def repeated(self) -> int:
        """How many came before since the last call; they count as having come from now on."""
        self._look()
        found, self._repeated = self._repeated, 0
        return found

    def _look(self) -> None:
        if self._later:
            columns = [Strings.joined(column) for column in zip(*self._later, strict=True)]
            self._later, self._left = [], _OCTETS
            self._repeated += self._known(*columns)

    def _known(self, source: Strings, destination: Strings, content: Strings) -> int:
        sums = np.full(len(source), self._start, np.uint64)
        for text, most in ((source, 20), (destination, 20), (content, 256)):
            sums = folded(text, sums, most)
        sums[sums == 0] = 1  # an empty place
        unique, places = np.unique(sums, return_index=True)
        at = (unique >> np.uint64(20)) % np.uint64(len(self._table))
        known = int((self._table[at] == unique).sum())
        self._table[at] = unique
        return known + len(sums) - len(places)


_FEW = 256
_OCTETS = 1 << 17
"""Octets of messages that are looked at later, about."""
