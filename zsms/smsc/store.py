"""Messages that a fake SMSC has accepted and that have no receipt yet, in columns, and how the last ones ended."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.pdu import Messages, joined
from zsms.core.smpp.strings import I64, U8, Strings, Text, folded

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
        ("wanted", "u1"),
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
"""A message that was accepted. `state` is how it will end, `wanted` which receipts are (registered_delivery: 1 any, 2
of failures, 3 of successes), `submitted` the time of day in seconds."""


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
        self._last = 0
        """The greatest serial number."""
        self._states = np.zeros(KEPT, np.uint8)
        self._ended = np.zeros(KEPT)
        """When each came to that state, by the time of day in seconds."""
        self._owners: npt.NDArray[np.uint16] | None = None
        """By number of account; None: all are of the first."""

    def put(self, serials: U64, state: int | U8, wall: float = 0.0) -> None:
        """That is how they stand now, as far as they are known still; `wall` is the time of day in seconds."""
        known = serials > np.uint64(max(0, self._last - KEPT))
        at = serials[known] % np.uint64(KEPT)
        self._states[at] = state if isinstance(state, int) else state[known]
        self._ended[at] = wall

    def put_new(self, count: int, states: int | U8, owner: int = 0, wall: float = 0.0) -> None:
        """So many have the serial numbers that follow the last one, and stand so: one for all, or uint8[count].

        `owner` is the number of the account that they are of.
        """
        first = self._last + 1
        self._last += count
        begin = first % KEPT
        if begin + count <= KEPT:
            self._states[begin : begin + count] = states
            self._ended[begin : begin + count] = wall
        else:
            at = np.arange(max(first, self._last - KEPT + 1), self._last + 1) % KEPT
            self._states[at] = states if isinstance(states, int) else states[-KEPT:]
            self._ended[at] = wall
        if owner or self._owners is not None:
            if self._owners is None:
                self._owners = np.zeros(KEPT, np.uint16)
            self._owners[np.arange(max(first, self._last - KEPT + 1), self._last + 1) % KEPT] = owner

    def owner(self, serial: int) -> int:
        """The account of a message that `get` knows."""
        return 0 if self._owners is None else int(self._owners[serial % KEPT])

    def get(self, serial: int) -> int | None:
        """As a number of message_state, None for one that is unknown or too long ago."""
        return int(self._states[serial % KEPT]) if max(0, self._last - KEPT) < serial <= self._last else None

    def ended(self, serial: int) -> float:
        """When a message that `get` knows came to its state, by the time of day in seconds."""
        return float(self._ended[serial % KEPT])

    def get_all(self, serials: U64) -> U8:
        """The same of many, uint8[n]; 0: too long ago."""
        known = serials > np.uint64(max(0, self._last - KEPT))
        found: U8 = np.where(known, self._states[serials % np.uint64(KEPT)], 0).astype(np.uint8)
        return found


class Seen:
    """Whether the same source, destination and body came before, of the last million or so: memory is bounded.

    Few that come at once are looked at later, together with others.
    """

    def __init__(self, rng: np.random.Generator, size: int = 1 << 20) -> None:
        self._table = np.zeros(size, np.uint64)
        self._start = int(rng.integers(1, 2**63))
        self._later: list[Messages | list[Strings]] = []
        self._left = LATER_OCTETS
        self._repeated = 0

    def note(self, messages: Messages) -> None:
        """These came."""
        buffer = _strings(messages.short_message, messages).buffer
        if len(messages) >= _FEW or len(buffer) > LATER_OCTETS:
            self._write_later()
            self._repeated += self._known(*_fields(messages))
        elif buffer.flags.owndata or not buffer.flags.writeable:
            self._put(messages, buffer)
        else:  # a part of one that the next ones will be read into
            fields = _fields(messages)
            kept = {id(each): each.copy() for each in {id(field.buffer): field.buffer for field in fields}.values()}
            self._put([Strings(kept[id(each.buffer)], each.begins, each.lengths) for each in fields], buffer)

    def _put(self, later: Messages | list[Strings], buffer: U8) -> None:
        self._later.append(later)
        self._left -= len(buffer)
        if self._left < -LATER_OCTETS:
            self._write_later()

    def catch_up(self) -> None:
        """Look at what waits for it, if that is much; worth calling when nobody waits for an answer."""
        if self._left < 0:
            self._write_later()

    def repeated(self) -> int:
        """How many came before since the last call; they count as having come from now on."""
        self._write_later()
        found, self._repeated = self._repeated, 0
        return found

    def _write_later(self) -> None:
        if self._later:
            fields = [each for each in self._later if isinstance(each, list)]
            fields += map(_fields, joined([each for each in self._later if isinstance(each, Messages)]))
            self._later, self._left = [], LATER_OCTETS
            self._repeated += self._known(*(Strings.joined(column) for column in zip(*fields, strict=True)))

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
LATER_OCTETS = 1 << 17
"""Octets of messages that are looked at later, about."""


def _fields(messages: Messages) -> list[Strings]:
    """Source, destination, body."""
    return [_strings(each, messages) for each in (messages.source, messages.destination, messages.content)]


def _strings(text: Text, messages: Messages) -> Strings:
    return Strings.repeated(text, len(messages)) if isinstance(text, bytes) else text
