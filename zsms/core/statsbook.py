"""The collector's memory: the newest snapshot of each process, and the sums of what came before.

It interprets nothing. Two snapshots of one process and start replace each other; when a process starts again, what
its earlier start counted is added to the `past` of its role, so that totals never fall.
"""

from __future__ import annotations

from typing import Any

from zsms.core.histogram import Histogram
from zsms.core.snapshot import MAX_COUNT, MAX_FIGURES, Snapshot

MAX_PROCESSES = 4_000
"""Processes that are told apart; a snapshot of one more is refused. An answer has a row for each, and
`zsms.protocol.MAX_MAP_ITEMS` must be no lower."""


class StatsBook:
    """Snapshots by process."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], tuple[Snapshot, float]] = {}
        self._past_counters: dict[str, dict[str, int]] = {}
        self._past_histograms: dict[str, dict[str, Histogram]] = {}
        self.taken = 0
        self.stale = 0
        """Snapshots older than what was known."""

    def put(self, snapshot: Snapshot, now: float) -> bool:
        """Take a snapshot in; False when it is older than what is known. Raises ValueError past `MAX_PROCESSES`."""
        key = (snapshot.role, snapshot.name)
        known = self._newest.get(key)
        if known is None:
            if len(self._newest) >= MAX_PROCESSES:
                raise ValueError(f"more than {MAX_PROCESSES} processes")
        else:
            before = known[0]
            if (snapshot.start, snapshot.seq) <= (before.start, before.seq):
                self.stale += 1
                return False
            if snapshot.start > before.start:
                self._keep(before)
        self._newest[key] = (snapshot, now)
        self.taken += 1
        return True

    def _keep(self, snapshot: Snapshot) -> None:
        """Add an ended start to the past of its role."""
        _add(self._past_counters.setdefault(snapshot.role, {}), snapshot.counters)
        _merge(self._past_histograms.setdefault(snapshot.role, {}), snapshot.histograms)

    def answer(self, what: str, now: float) -> dict[str, Any]:
        """The totals, and with `what` "all" also the histograms, plain values throughout.

        {"totals": {role: {counter: n}}, "processes": [row, ...], "histograms": {role: {name: histogram}}}
        where a row is a snapshot without histograms plus "age", the seconds since it came.
        """
        totals = {role: dict(counters) for role, counters in self._past_counters.items()}
        rows = []
        for snapshot, came in list(self._newest.values()):
            _add(totals.setdefault(snapshot.role, {}), snapshot.counters)
            rows.append({**snapshot.row(), "age": now - came})
        answer: dict[str, Any] = {"totals": totals, "processes": rows}
        if what == "all":
            answer["histograms"] = {
                role: {name: h.to_wire() for name, h in histograms.items()}
                for role, histograms in self.histograms().items()
            }
        return answer

    def histograms(self) -> dict[str, dict[str, Histogram]]:
        """Merged over processes and starts, by role and name."""
        merged: dict[str, dict[str, Histogram]] = {}
        for role, histograms in self._past_histograms.items():
            _merge(merged.setdefault(role, {}), histograms)
        for snapshot, _ in self._newest.values():
            _merge(merged.setdefault(snapshot.role, {}), snapshot.histograms)
        return merged


def _add(into: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        if name in into or len(into) < MAX_FIGURES:
            into[name] = min(into.get(name, 0) + value, MAX_COUNT)


def _merge(into: dict[str, Histogram], more: dict[str, Histogram]) -> None:
    for name, histogram in more.items():
        if name in into or len(into) < MAX_FIGURES:
            into.setdefault(name, Histogram()).merge(histogram)
