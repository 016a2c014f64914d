"""The log of messages, a row for each that is settled here: what a sender knows of its open sends, and rows as CSV.

    begin(waiting, now)            slots begin with these
    end(finished, now) -> Ended    those of them that are final, as rows

Everything is a column. Sends end in about the order in which they began, so the open ones are a window over their
handles; of what ends much later the window lets go, into a table that is searched. Memory is bounded by the open
sends: at most about twice their rows, and `SPARE` more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import Finished, final
from zsms.core.sender.waiting import Waiting
from zsms.message import Mixed, Outcome

Rows = npt.NDArray[Any]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

OPEN = np.dtype(
    [
        ("recipient", "<u8"),
        ("due", "<f8"),
        ("began", "<f8"),
        ("waited", "<f4"),
        ("attempt", "<u2"),
        ("delivery", "u1"),
        ("last", "u1"),
    ]
)
"""An open send, 32 bytes. Times in seconds of the sender's clock; attempt 0: it has ended."""
SPARE = 65_536
"""Rows that the window may have beyond twice the open ones."""
_SHIFT = np.uint64(48)


class Ended(NamedTuple):
    """Sends that were final, OPEN[n], in which ways (uint8: 0 sent, else 1 + the code of the outcome), and when."""

    rows: Rows
    ways: U8
    at: float


class OpenSends:
    """The open sends of one sender, of all of its brokers."""

    def __init__(self, places: int = 1) -> None:
        """`places`: how many brokers; the epochs of each leave a rest of their own."""
        self._tables = [_Table() for _ in range(places)]

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables)

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return sum(table.nbytes for table in self._tables)

    def begin(self, waiting: Waiting, now: float) -> None:
        """Slots begin with these messages."""
        batch = waiting.batch
        rows = np.empty(len(batch), dtype=OPEN)
        if isinstance(batch, Mixed):
            rows["recipient"] = batch.rows["recipient"]
            rows["attempt"] = np.minimum(batch.rows["attempt"], 0xFFFF)
            rows["delivery"] = np.minimum(batch.rows["delivery"], 0xFF)
        else:
            rows["recipient"] = batch.recipients
            rows["attempt"] = min(waiting.attempt, 0xFFFF)
            rows["delivery"] = min(waiting.delivery, 0xFF)
        rows["due"] = now - np.asarray(waiting.ages(now), dtype=np.float64)
        rows["began"] = now
        rows["waited"] = waiting.waited(now)
        rows["last"] = waiting.last
        self._tables[(waiting.handle >> 48) % len(self._tables)].add(waiting.handle, rows)

    def end(self, finished: Finished, now: float) -> Ended:
        """These have ended: those of them whose end is final."""
        sent, failed = self._take(finished.sent), self._take(finished.failed)
        ways = finished.outcomes if len(finished.outcomes) else np.zeros(len(failed), dtype=np.uint8)
        over = final(failed["last"] != 0, finished.outcomes)
        rows = np.concatenate([sent, failed[over]])
        known = rows["attempt"] != 0
        every = np.concatenate([np.zeros(len(sent), dtype=np.uint8), ways[over] + np.uint8(1)])
        return Ended(rows, every, now) if known.all() else Ended(rows[known], every[known], now)

    def _take(self, handles: U64) -> Rows:
        if len(self._tables) == 1:
            return self._tables[0].take(handles)
        places = (handles >> _SHIFT) % np.uint64(len(self._tables))
        rows = np.zeros(len(handles), dtype=OPEN)
        for place, table in enumerate(self._tables):
            here = places == place
            rows[here] = table.take(handles[here])
        return rows


class _Table:
    """Rows by handle; handles come in ascending order, those of a session without gaps."""

    def __init__(self) -> None:
        self._window = np.zeros(1_024, dtype=OPEN)
        self._first = 0
        """The handle of the window's first row."""
        self._count = 0
        self._open = 0
        """Of the window's rows, how many have not ended."""
        self._late_handles: U64 = np.zeros(0, dtype=np.uint64)
        self._late: Rows = np.zeros(0, dtype=OPEN)
        self._late_open = 0

    def __len__(self) -> int:
        return self._open + self._late_open

    @property
    def nbytes(self) -> int:
        return self._window.nbytes + self._late.nbytes + self._late_handles.nbytes

    def add(self, first: int, rows: Rows) -> None:
        if first != self._first + self._count:
            self._let_go(self._count)  # another session
            self._first = first
        elif self._count > 2 * self._open + SPARE:
            self._let_go(self._count // 2)
        end = self._count + len(rows)
        if end > len(self._window):
            grown = np.zeros(max(end, 2 * len(self._window)), dtype=OPEN)
            grown[: self._count] = self._window[: self._count]
            self._window = grown
        self._window[self._count : end] = rows
        self._count = end
        self._open += len(rows)

    def take(self, handles: U64) -> Rows:
        places = handles.astype(np.int64) - self._first
        here = (places >= 0) & (places < self._count)
        if here.all():
            return self._take_here(places)
        rows = np.zeros(len(handles), dtype=OPEN)
        rows[here] = self._take_here(places[here])
        rows[~here] = self._take_late(handles[~here])
        return rows

    def _take_here(self, places: npt.NDArray[np.int64]) -> Rows:
        rows = self._window[places]
        self._window["attempt"][places] = 0
        self._open -= int(np.count_nonzero(rows["attempt"]))
        return rows

    def _take_late(self, handles: U64) -> Rows:
        rows = np.zeros(len(handles), dtype=OPEN)
        if not len(self._late):
            return rows
        places = np.minimum(np.searchsorted(self._late_handles, handles), len(self._late) - 1)
        found = self._late_handles[places] == handles
        places = places[found]
        rows[found] = self._late[places]
        self._late["attempt"][places] = 0
        self._late_open -= int(np.count_nonzero(rows["attempt"]))
        return rows

    def _let_go(self, count: int) -> None:
        """The first `count` rows leave the window; those of them that are open can be searched for."""
        rows = self._window[:count]
        still = np.flatnonzero(rows["attempt"])
        kept = self._late["attempt"] != 0
        handles = np.concatenate([self._late_handles[kept], (still + self._first).astype(np.uint64)])
        late = np.concatenate([self._late[kept], rows[still]])
        if len(handles) > 1 and handles[-1] < handles[0]:  # epochs have begun anew
            order = np.argsort(handles)
            handles, late = handles[order], late[order]
        self._late_handles, self._late, self._late_open = handles, late, len(late)
        left = self._count - count
        window = np.zeros(max(1_024, 2 * left), dtype=OPEN)
        window[:left] = self._window[count : self._count]
        self._window, self._count = window, left
        self._first += count
        self._open -= len(still)


# -- as CSV ----------------------------------------------------------------------------------------------------------

COLUMNS = ("time", "recipient", "attempts", "deliveries", "outcome", "queue_s", "send_s", "total_s", "sender")
CHUNK = 4_096
"""Rows that are made at once: what a cache holds."""
LONGEST_S = 99_999_999.0
"""Longest time that is written, seconds."""

_U32 = np.dtype("<u4")
U32 = npt.NDArray[np.uint32]


def _words(texts: list[bytes]) -> U32:
    """Texts of 4 bytes as a word each."""
    return np.frombuffer(b"".join(text.rjust(4, b"\0") for text in texts), dtype=_U32)


def _with(digits: npt.NDArray[np.uint8], at: int, sign: bytes) -> U32:
    """These digits as words, with a sign before or behind them."""
    return np.ascontiguousarray(np.insert(digits, at, sign[0], axis=1)).view(_U32)[:, 0]


# Made by columns: every sender that starts makes them.
_PLACES = np.array([1_000, 100, 10, 1])
_ALL = np.arange(10_000)[:, np.newaxis]
_DIGITS = (_ALL // _PLACES % 10 + ord("0")).astype(np.uint8)
_LEADING = np.where(_ALL >= _PLACES, _DIGITS, np.uint8(0))
_GROUPS = np.concatenate([_DIGITS.view(_U32)[:, 0], _LEADING.view(_U32)[:, 0], _words([b"0"])])
"""Four digits of a number; from 10,000 on, such as lead it, without zeros before them; at last a number that is 0."""
_LEADS, _ZERO = 10_000, 20_000
_SMALL = np.concatenate([_GROUPS[_ZERO:], _GROUPS[_LEADS + 1 : _ZERO]])
_AFTER_POINT = _with(_DIGITS[:1_000, 1:], 0, b".")
_LAST_THREE = _with(_DIGITS[:1_000, 1:], 3, b",")
_WAYS = np.frombuffer(b"".join(b"%-11s," % each.value.encode() for each in Outcome).replace(b" ", b"\0"), dtype=_U32)
_WAYS = _WAYS.reshape(-1, 3)
_COMMA = _words([b","])


def _split(values: U32) -> tuple[U32, U32]:
    """Eight digits as twice four."""
    high = values // np.uint32(10_000)
    return high, values - high * np.uint32(10_000)


def _number(values: npt.NDArray[Any]) -> list[U32]:
    """The digits of whole numbers as words, from the front."""
    most = values.max()
    if most < 10_000:
        return [_SMALL[most : most + 1] if most == values.min() else _SMALL[values]]  # all alike: one word for all
    values = values.astype(np.uint64)
    groups: list[U32] = []
    while True:
        rest = values // np.uint64(10**8)
        high, low = _split((values - rest * np.uint64(10**8)).astype(np.uint32))
        groups[:0] = [high, low]
        if not rest.any():
            break
        values = rest
    if not groups[0].any():
        del groups[0]
    leads = np.full(len(values), True)
    words = []
    for group in groups:
        words.append(np.where(leads, group + np.uint32(_LEADS), group))
        leads &= group == 0
    words[-1] = np.where(leads, np.uint32(_ZERO), words[-1])
    return [_GROUPS[word] for word in words]


def _seconds(values: npt.NDArray[Any]) -> list[U32]:
    """Seconds with six digits behind the point, and a comma, as words."""
    rounded = np.rint(np.clip(values.astype(np.float64), 0.0, LONGEST_S) * 1e6)
    # Numbers of 32 bits are divided several at a time.
    kind: Any = np.uint32 if rounded.max() < 2**32 else np.uint64
    micros: npt.NDArray[Any] = rounded.astype(kind)
    whole = micros // kind(1_000_000)
    part = (micros - whole * kind(1_000_000)).astype(np.uint32)
    thousands = part // np.uint32(1_000)
    return [*_number(whole), _AFTER_POINT[thousands], _LAST_THREE[part - thousands * np.uint32(1_000)]]


def csv_of(ended: Ended, stamp: bytes, sender: bytes) -> bytes:
    """The rows as lines. `stamp` is the time at which they ended, `sender` who sent them, both as cells."""
    return b"".join(
        _lines(Ended(ended.rows[begin : begin + CHUNK], ended.ways[begin : begin + CHUNK], ended.at), stamp, sender)
        for begin in range(0, len(ended.rows), CHUNK)
    )


def _lines(ended: Ended, stamp: bytes, sender: bytes) -> bytes:
    """Every cell is whole words, filled up with zero bytes, which are taken out of the finished lines."""
    rows = ended.rows
    head, tail = (text.ljust(-(-len(text) // 4) * 4, b"\0") for text in (stamp + b",+", sender + b"\n"))
    words: list[Any] = [*np.frombuffer(head, dtype=_U32)]
    for name in ("recipient", "attempt", "delivery"):
        words += [*_number(rows[name]), _COMMA]
    ways = ended.ways if ended.ways.any() else ended.ways[:1]
    words += [_WAYS[ways, column] for column in range(3)]
    for seconds in (rows["waited"], ended.at - rows["began"], ended.at - rows["due"]):
        words += _seconds(seconds)
    words += [*np.frombuffer(tail, dtype=_U32)]
    out = np.empty((len(rows), len(words)), dtype=_U32)
    for column, word in enumerate(words):
        out[:, column] = word
    return out.tobytes().translate(None, b"\0")
