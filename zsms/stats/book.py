"""The collector's memory: the newest snapshot of each process, and the sums of what came before.

It interprets nothing. Two snapshots of one process and start replace each other; when a process starts again, what
its earlier start counted is added to the `past` of its role, so that totals never fall.

A start is a number that grows, but where it is a wall clock that was set back, it does not: a start below the known
one is taken for the newer when it was never heard of before and the known one has ended or fallen silent.

The book has room for `MAX_PROCESSES`. When it is full, processes that have ended, or have been silent for long, are
added to the past as well; what is heard of such a start afterwards is stale.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

from zsms.stats.failures import Failure, Failures
from zsms.stats.figures import BrokerFigures, ProducerFigures
from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import MAX_COUNT, MAX_FIGURES, MAX_HISTOGRAMS, Snapshot

MAX_PROCESSES = 4_000
"""Processes that are told apart; a snapshot of one more is refused. An answer has a row for each, and
`zsms.wire.frames.MAX_MAP_ITEMS` must be no lower."""
MAX_ROWS_BYTES = 12 * 2**20
"""What the rows of an answer may take on the wire; the rest of `zsms.wire.frames.MAX_FRAME_BYTES` is for the sums."""
_FOLD_SHARE = 8
"""One in so many rows is folded, at most, when the book is full, so that it costs each new process little."""
_FOLD_SILENT_S = 300.0
"""Seconds of silence after which a process that has not ended may be folded."""
_SILENT_INTERVALS = 4
_EARLIER_STARTS = 8
_FOLDED_STARTS = 65_536
_REACH_BYTES = 3 * 2**20
"""Bytes of all brokers' counts of reach that are kept."""


class _Confirmed(NamedTuple):
    """What producers had been confirmed before a broker's snapshot was made, and what will be said of the next one.

    That is what was known when an earlier snapshot came. Those that come together, after the collector was stopped, may
    be of times before what was read between them; so half an interval must lie in between.
    """

    before: int = 0
    later: int = 0
    later_at: float = -inf

    def next(self, snapshot: Snapshot, confirmed: int, now: float) -> _Confirmed:
        """The same for the snapshot that comes now, when so many are known to be confirmed."""
        if now - self.later_at < snapshot.interval / 2:
            return self
        return _Confirmed(self.later, confirmed, now)


_NONE_CONFIRMED = _Confirmed()


@dataclass(slots=True)
class _Row:
    snapshot: Snapshot
    came: float
    ended: bool
    """It was its last snapshot, by its own word."""
    earlier: tuple[int, ...] = ()
    """Starts that are over, the newest last."""
    confirmed: _Confirmed = _NONE_CONFIRMED
    size: int = 0
    """Bytes of its row in an answer."""

    def is_silent(self, now: float) -> bool:
        return self.ended or now - self.came > _SILENT_INTERVALS * self.snapshot.interval + 0.5

    def may_be_folded(self, now: float) -> bool:
        return self.ended or now - self.came > max(_FOLD_SILENT_S, 10 * self.snapshot.interval)


class StatsBook:
    """Snapshots by process."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Row] = {}
        self._folded: OrderedDict[tuple[str, str], int] = OrderedDict()
        """The starts of processes that were folded."""
        self._finished: dict[str, int] = {}
        self._past_counters: dict[str, dict[str, int]] = {}
        self._past_histograms: dict[str, dict[str, Histogram]] = {}
        self._past_failures = Failures()
        self._confirmed = 0
        """Messages that producers know to be confirmed, over all starts."""
        self._unheard: dict[str, int] = {}
        """Starts of each role that are over and whose last word never came."""
        self.rivals: Counter[tuple[str, str]] = Counter()
        """Snapshots by role and name that came from an earlier start, while a later one lives."""
        self.taken = 0
        self.stale = 0
        """Snapshots older than what was known."""

    def __contains__(self, process: object) -> bool:
        """Whether there is a row for this role and name."""
        return process in self._rows

    def put(self, snapshot: Snapshot, now: float, last: bool = False) -> bool:
        """Take a snapshot in; False when it is older than what is known. `last`: this start says no more.

        Raises ValueError when there are more than `MAX_PROCESSES` that live.
        """
        key = (snapshot.role, snapshot.name)
        known = self._rows.get(key)
        if self._is_stale(key, snapshot, now):
            self.stale += 1
            if known is not None and snapshot.start != known.snapshot.start and not known.is_silent(now):
                self.rivals[key] += 1
            return False
        earlier: tuple[int, ...] = ()
        confirmed_before = 0
        if known is None:
            if len(self._rows) >= MAX_PROCESSES:
                self._fold(now)
        elif snapshot.start == known.snapshot.start:
            earlier = known.earlier
            confirmed_before = _confirmed_by(known.snapshot)
            self._keep_accepted(known.snapshot, snapshot)
        else:
            self._keep(known.snapshot, known.ended)
            earlier = (*known.earlier, known.snapshot.start)[-_EARLIER_STARTS:]
        if snapshot.role == "producer":
            self._confirmed += _confirmed_by(snapshot) - confirmed_before
        confirmed = (_NONE_CONFIRMED if known is None else known.confirmed).next(snapshot, self._confirmed, now)
        if snapshot.reach is not None and (snapshot.role != "broker" or not self._has_room(key, snapshot.reach)):
            snapshot.reach = None
        ended = last or snapshot.state == "done"
        self._rows[key] = _Row(snapshot, now, ended, earlier, confirmed, size=snapshot.row_bytes)
        self.taken += 1
        return True

    def _has_room(self, key: tuple[str, str], reach: dict[str, Any]) -> bool:
        held = sum(len(row.snapshot.reach["n"]) for k, row in self._rows.items() if row.snapshot.reach and k != key)
        return held + len(reach["n"]) <= _REACH_BYTES

    def _keep_accepted(self, before: Snapshot, after: Snapshot) -> None:
        """A broker that came back with an older journal knows of fewer: that it once accepted more stays known."""
        if before.role != "broker":
            return
        was, now = (BrokerFigures.of(snapshot.counters).accepted or 0 for snapshot in (before, after))
        if (fewer := was - now) > 0:
            _add(self._past_counters.setdefault("broker", {}), {"accepted": fewer})

    def _is_stale(self, key: tuple[str, str], snapshot: Snapshot, now: float) -> bool:
        known = self._rows.get(key)
        if known is None:
            return self._folded.get(key) == snapshot.start
        if snapshot.start == known.snapshot.start:
            # Another process with the same books counts from where these were, and those may be an older copy.
            again = snapshot.pid != known.snapshot.pid and known.is_silent(now)
            return snapshot.seq <= known.snapshot.seq and not again
        if snapshot.start in known.earlier:
            return True
        return snapshot.start < known.snapshot.start and not known.is_silent(now)

    def _fold(self, now: float) -> None:
        """Make room: add processes that are over to the past, first those that have been silent longest."""
        over = sorted((row.came, key) for key, row in self._rows.items() if row.may_be_folded(now))
        if not over:
            raise ValueError(f"more than {MAX_PROCESSES} processes")
        for _, key in over[: max(1, MAX_PROCESSES // _FOLD_SHARE)]:
            row = self._rows.pop(key)
            snapshot = row.snapshot
            self._keep(snapshot, row.ended)
            if row.ended:
                self._finished[snapshot.role] = self._finished.get(snapshot.role, 0) + 1
            self._folded[key] = snapshot.start
            if len(self._folded) > _FOLDED_STARTS:
                self._folded.popitem(last=False)

    def _keep(self, snapshot: Snapshot, heard: bool) -> None:
        """Add an ended start to the past of its role. `heard`: its last word came."""
        if not heard:
            self._unheard[snapshot.role] = self._unheard.get(snapshot.role, 0) + 1
        _add(self._past_counters.setdefault(snapshot.role, {}), snapshot.counters)
        _merge(self._past_histograms.setdefault(snapshot.role, {}), snapshot.histograms)
        self._past_failures.merge(snapshot.failures)

    def answer(self, what: str, now: float) -> dict[str, Any]:
        """The totals, and with `what` "all" also the histograms, plain values throughout.

        {"totals": {role: {counter: n}}, "processes": [row, ...], "rows_left_out": n, "finished": {role: n},
         "unheard": {role: n}, "failures": [[reason, sends, example], ...],
         "histograms": {role: {name: histogram}}, "reach": {broker: counts}}
        where a row is a snapshot without histograms plus "age", the seconds since it came, and "ended", whether it was
        the last word; "finished" are those that had ended and have no row any more, "unheard" the starts that are over
        and never said a last word. A broker's row also has "confirmed": what producers had been confirmed before the
        broker made that snapshot, for which all brokers together must answer.
        """
        totals = {role: dict(counters) for role, counters in self._past_counters.items()}
        for known in self._rows.values():
            _add(totals.setdefault(known.snapshot.role, {}), known.snapshot.counters)
        told = self._answered_rows()
        answer: dict[str, Any] = {
            "totals": totals,
            "processes": [self._row(known, now) for known in told],
            "rows_left_out": len(self._rows) - len(told),
            "finished": dict(self._finished),
            "unheard": dict(self._unheard),
            "failures": [list(row) for row in self.failures()],
        }
        if what == "all":
            answer["histograms"] = {
                role: {name: h.to_wire() for name, h in histograms.items()}
                for role, histograms in self.histograms().items()
            }
            answer["reach"] = {row.snapshot.name: row.snapshot.reach for row in told if row.snapshot.reach is not None}
        return answer

    def _row(self, known: _Row, now: float) -> dict[str, Any]:
        row = {**known.snapshot.row(), "age": now - known.came, "ended": known.ended}
        if known.snapshot.role == "broker":
            # Nothing is confirmed after the last word; any other snapshot may be a little older than it came.
            row["confirmed"] = min(self._confirmed if known.ended else known.confirmed.before, MAX_COUNT)
        return row

    def _answered_rows(self) -> list[_Row]:
        """The rows of an answer: all, or as many as there is room for. The brokers' come first, then the shortest, so
        that rows which are long without need cost themselves."""
        rows = list(self._rows.values())
        if sum(row.size for row in rows) <= MAX_ROWS_BYTES:
            return rows
        kept, left = [], MAX_ROWS_BYTES
        for row in sorted(rows, key=lambda row: (row.snapshot.role != "broker", row.size)):
            left -= row.size
            if left < 0:
                break
            kept.append(row)
        return kept

    def failures(self) -> list[Failure]:
        """Why sends failed, merged over processes and starts; an example is the one that was heard of first."""
        merged = Failures()
        merged.merge(self._past_failures.rows())
        for row in self._rows.values():
            merged.merge(row.snapshot.failures)
        return merged.rows()

    def histograms(self) -> dict[str, dict[str, Histogram]]:
        """Merged over processes and starts, by role and name."""
        merged: dict[str, dict[str, Histogram]] = {}
        for role, histograms in self._past_histograms.items():
            _merge(merged.setdefault(role, {}), histograms)
        for row in self._rows.values():
            _merge(merged.setdefault(row.snapshot.role, {}), row.snapshot.histograms)
        return merged


def _confirmed_by(snapshot: Snapshot) -> int:
    """Messages that brokers have confirmed to this producer."""
    return ProducerFigures.of(snapshot.counters).confirmed or 0


def _add(into: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        if name in into or len(into) < MAX_FIGURES:
            into[name] = min(into.get(name, 0) + value, MAX_COUNT)


def _merge(into: dict[str, Histogram], more: dict[str, Histogram]) -> None:
    for name, histogram in more.items():
        if name in into or len(into) < MAX_HISTOGRAMS:
            into.setdefault(name, Histogram()).merge(histogram)
