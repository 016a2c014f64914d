"""How a run went, in a bounded number of points.

    views --add--> [ point, point, ..., point ] --columns--> figures over time, for charts and files

- Counts are kept as they are, cumulative; what happened between two points is their difference. So points can be left
  out without a message being lost from sight: when there are `most` of them, every other one goes, and from then on
  they are taken half as often.
- The times of sends are cumulative histograms, which is why they can be subtracted too: the percentiles of a point are
  those of the sends that ended since the point before.
- A point's time is that of the broker's snapshot, not of the answer that carried it. Otherwise a rate would be wrong by
  as much as a snapshot may be old.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.stats.histogram import BUCKETS, Histogram
from zsms.stats.histogram import QUANTILES as _QUANTILES
from zsms.stats.view import View

MOST_POINTS = 1_000
"""Points of a series, unless one asks for another bound."""
EVERY_S = 0.25
"""Seconds between two points at first."""
COUNTS = ("produced", "accepted", "sent", "failed", "dead", "queued", "in_flight", "senders", "slots", "redelivered")
"""The columns that are taken as they are from a view."""
QUANTILES = {f"send_time_{name}_s": q for name, q in _QUANTILES.items()}
COLUMNS = ("t_s", *COUNTS, "rate_per_s", *QUANTILES)
"""The keys of `Series.columns`, in order."""

_SENT = 2
_SETTLED = slice(2, 5)


@dataclass(slots=True)
class _Point:
    at: float
    counts: tuple[int, ...]
    """In the order of `COUNTS`, and whatever else the series keeps."""
    buckets: npt.NDArray[np.uint16]
    """Which buckets of the cumulative histogram of send times hold something, and how many."""
    sends: npt.NDArray[np.int64]
    longest: float
    quantiles: tuple[float | None, ...] | None = None
    """Of the sends since the point before, in the order of `QUANTILES`, once they have been reckoned."""

    @property
    def settled(self) -> int:
        return sum(self.counts[_SETTLED])

    def histogram(self) -> npt.NDArray[np.int64]:
        """int64[BUCKETS]"""
        whole = np.zeros(BUCKETS, dtype=np.int64)
        whole[self.buckets] = self.sends
        return whole


_NOTHING = _Point(0.0, (0,) * len(COUNTS), np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=np.int64), 0.0)


class Series:
    """Points of a mesh over time."""

    def __init__(
        self, most: int = MOST_POINTS, every: float = EVERY_S, *, thin: bool = True, also: tuple[str, ...] = ()
    ) -> None:
        """At most `most` points (an even number), `every` seconds apart until there are too many.

        Without `thin` the distance stays, and the oldest point goes instead. `also` names further counts of a view
        that are to be columns.
        """
        self.most = most
        self.every = every
        self._thin = thin
        self._also = also
        self._points: list[_Point] = []

    def __len__(self) -> int:
        return len(self._points)

    def due(self, view: View) -> bool:
        """Whether a view is late enough after the last point to be the next one."""
        # A snapshot comes a little early as often as a little late: waiting for the next would double the distance.
        return not self._points or moment(view) >= self._points[-1].at + 0.9 * self.every

    def add(self, view: View, send_time: Histogram | None = None, *, last: bool = False) -> None:
        """Take a point, with the cumulative histogram of all send times; None: it is not known at this point, and the
        percentiles of the next one are of the time since it was.

        The `last` one replaces its forerunner when it comes so soon after it that their difference would say little.
        """
        at = moment(view)
        if self._points and at <= self._points[-1].at:
            if not last:
                return
            at = self._points[-1].at
        if last and self._points and at < self._points[-1].at + 0.5 * self.every:
            self._points.pop()
        counts = (
            *(view.produced, view.accepted, view.sent, view.failed, view.dead),
            *(view.queued, view.in_flight, view.senders_alive, view.slots, view.redelivered),
            *(getattr(view, name) for name in self._also),
        )
        if send_time is not None:
            filled = np.flatnonzero(send_time.counts)
            point = _Point(at, counts, filled.astype(np.uint16), send_time.counts[filled].copy(), send_time.max)
        elif self._points:
            before = self._points[-1]
            point = _Point(at, counts, before.buckets, before.sends, before.longest)
        else:
            point = _Point(at, counts, np.zeros(0, np.uint16), np.zeros(0, np.int64), 0.0)
        self._points.append(point)
        if len(self._points) >= self.most:
            if self._thin:
                del self._points[::2]  # the newest stays
                self.every *= 2
                for point in self._points:
                    point.quantiles = None
            else:
                oldest, second = self._points[:2]
                second.quantiles = second.quantiles or _quantiles(oldest, second)
                del self._points[0]

    @property
    def first_at(self) -> float | None:
        """When the oldest point was, by the asker's clock."""
        return self._points[0].at if self._points else None

    @property
    def last_at(self) -> float | None:
        """When the newest point was."""
        return self._points[-1].at if self._points else None

    def sent_by_time(self) -> tuple[list[float], list[int]]:
        """When each point was, by the asker's clock, and how many messages were sent by then."""
        return [point.at for point in self._points], [point.counts[_SENT] for point in self._points]

    def settled_by_time(self) -> tuple[list[float], list[int]]:
        """When each point was, by the asker's clock, and how many messages were settled by then."""
        return [point.at for point in self._points], [point.settled for point in self._points]

    def columns(self, origin: float | None = None, *, newest: int | None = None) -> dict[str, list[Any]]:
        """The figures over time, a list for each of `COLUMNS`, all of one length.

        `t_s` is seconds from `origin`, when nothing had been settled (points before it are left out), or from the
        first point, whose rate is then unknown. `rate_per_s` is messages settled a second since the point before.
        Unknown figures are None: percentiles of an interval in which no send ended. With `newest` the columns hold
        that many points at most.
        """
        points = [point for point in self._points if origin is None or point.at > origin]
        columns: dict[str, list[Any]] = {name: [] for name in (*COLUMNS, *self._also)}
        if not points:
            return columns
        start = points[0].at if origin is None else origin
        at, settled, before = origin, 0, _NOTHING
        if newest is not None and newest < len(points):
            points = points[-newest - 1 :]
            before = points.pop(0)
            at, settled = before.at, before.settled
        for point in points:
            columns["t_s"].append(round(point.at - start, 3))
            for name, value in zip((*COUNTS, *self._also), point.counts, strict=True):
                columns[name].append(value)
            columns["rate_per_s"].append(
                None if at is None else round(max(0, point.settled - settled) / (point.at - at), 1)
            )
            if point.quantiles is None:
                point.quantiles = _quantiles(before, point)
            for name, quantile in zip(QUANTILES, point.quantiles, strict=True):
                columns[name].append(quantile)
            at, settled, before = point.at, point.settled, point
        return columns


def _quantiles(before: _Point, after: _Point) -> tuple[float | None, ...]:
    """Of the sends that ended between two points; None where none did."""
    between = Histogram()
    between.counts = after.histogram() - before.histogram()
    if (between.counts < 0).any():  # the collector began anew, and counts from 0 again
        between.counts = after.histogram()
    between.min, between.max = 0.0, after.longest
    quantiles = (between.quantile(q) for q in QUANTILES.values())
    return tuple(None if quantile is None else round(quantile, 6) for quantile in quantiles)


def moment(view: View) -> float:
    """When a view's counts were true, by the asker's clock: the broker's newest snapshot."""
    return view.at - min((row.age for row in view.brokers), default=0.0)
