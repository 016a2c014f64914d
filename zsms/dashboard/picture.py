"""What the page shows, as plain values: one picture of now, and the figures over time behind its charts.

    the collector's answer, again and again --take--> Picture --> now      (the stream, /api/v1/now)
                                                            --> columns    (/api/v1/series)

- It interprets through `zsms.stats.view.View` and `zsms.stats.trends.Trends`, as the monitor and the panel do.
- It takes `now` (monotonic) and is told once how far that is from the time of day.
- History is bounded: the last half hour point by point, and the whole time in at most `MOST_POINTS` points.
- A figure that is not known is None, never 0: nobody has said so.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from zsms import __version__
from zsms.stats.figures import SenderFigures, added
from zsms.stats.grave import is_grave
from zsms.stats.histogram import QUANTILES, Histogram
from zsms.stats.reach import SHARES
from zsms.stats.row import Row
from zsms.stats.series import MOST_POINTS, Series, moment
from zsms.stats.trends import SenderRow, Standing, Trends
from zsms.stats.view import View

API = 1
"""Version of the JSON that is served: a field may be added within a version, not change its meaning."""
RECENT_S = 1_800.0
"""Seconds that are kept point by point."""
ALSO = ("retried", "redelivered")
"""Columns beside those that every series has."""
MOST_ROWS = 200
"""Rows of senders in a picture of the stream; the busiest ones. `/api/v1/now` has all of them."""
MOST_EVENTS = 100
MARKS_S = (600, 900)
"""Seconds after the first message at which the share reached is told: 10 and 15 minutes."""
_SETTLE_S = 10.0
"""How long a collector that began anew may take to hear of everyone that was known."""
_SAME_S = 2.0
"""Two tellings of one event are no further apart than this."""

ENDED = ("left", "done")
"""States of those that have said their last word."""

Key = tuple[str, str, int]


class Picture:
    """A mesh as its collector tells of it."""

    def __init__(self, endpoint: str, interval: float, day: float) -> None:
        """`interval` is the seconds between two answers, `day` is what makes a `now` a Unix time when added to it."""
        self.endpoint = endpoint
        self.view: View | None = None
        """The last view."""
        self.ended = False
        """Nothing more will come: the run is over."""
        self.recent = Series(max(4, int(RECENT_S / interval)), interval, thin=False, also=ALSO)
        self.whole = Series(MOST_POINTS, interval, also=ALSO)
        self._interval = interval
        self._day = day
        self._answer: dict[str, Any] = {}
        self.points = 0
        """How many points were taken: the number of the newest."""
        self._lost_at: float | None = None
        """Since when a sender that was known is missing from the answers."""
        self._known: set[str] = set()
        self._reckoning = Trends()
        self._reckoned: Standing
        """What the panel says of the last view, too."""
        self._events: dict[Key, list[list[Any]]] = {}
        self._own_events: list[dict[str, Any]] = []
        self._began: tuple[int, float] | None = None
        """The broker's start and, by our clock, when it accepted its first message."""
        self._silent = False

    # -- taking -------------------------------------------------------------------------------------------------

    def take(self, answer: dict[str, Any], at: float) -> None:
        """An answer ("all") that came `at`. Raises ValueError, TypeError or KeyError for one that makes no sense."""
        view = View.of(answer, at)
        send_time = answer.get("histograms", {}).get("sender", {}).get("send_time")
        histogram = None if send_time is None else Histogram.from_wire(send_time)
        if self._silent and self.view is not None:
            self._note(at, "collector answers again")
        self._silent = False
        whole_mesh = self._everyone_is_there(view, at)
        self._answer, self.view = answer, view
        self._reckoned = self._reckoning.take(view)
        self._date_events(view)
        self._date_begin(view)
        if view.brokers:
            times = histogram if whole_mesh else None
            newest = self.recent.last_at
            if newest is None or moment(view) >= newest + self._interval / 4 or self._ends(self.recent, view):
                self.recent.add(view, times, last=view.done)
                self.points += 1
            if self.whole.due(view) or self._ends(self.whole, view):
                self.whole.add(view, times, last=view.done)

    @staticmethod
    def _ends(series: Series, view: View) -> bool:
        """Whether it is the end of the work, which is a point however soon it comes: no other one may follow."""
        return view.done and series.last_at is not None and moment(view) > series.last_at

    def silent(self, now: float) -> None:
        """The collector has not answered for a while."""
        if not self._silent and self.view is not None:
            self._note(self.view.at, "no word from the collector")
        self._silent = True

    def _note(self, at: float, kind: str) -> None:
        event = {"at": self._day + at, "kind": kind, "subject": self.endpoint, "messages": 0, "grave": is_grave(kind)}
        self._own_events.append(event)
        del self._own_events[:-MOST_EVENTS]

    def _everyone_is_there(self, view: View, at: float) -> bool:
        """Whether all senders that were known are told of; not so for a moment when a collector has begun anew."""
        names = {row.name for row in view.senders}
        if not self._known <= names:
            self._lost_at = at if self._lost_at is None else self._lost_at
            if at - self._lost_at < _SETTLE_S:
                return False
        self._lost_at, self._known = None, names
        return True

    def _date_events(self, view: View) -> None:
        """Give events a time of day that stays the same from one answer to the next, though each tells it anew."""
        dated: dict[Key, list[list[Any]]] = {}
        for row in view.processes:
            if not row.events:
                continue
            known = self._events.get(_key(row), [])
            dated[_key(row)] = own = []
            for ago, kind, subject, messages in row.events:
                at = self._day + view.at - row.age - ago
                for event in known:
                    if event[1:] == [kind, subject, messages] and abs(event[0] - at) < _SAME_S:
                        at = event[0]
                        break
                own.append([at, kind, subject, messages])
        self._events = dated

    def _date_begin(self, view: View) -> None:
        """When the first message was accepted: no later than any snapshot less the time it says it has been busy."""
        brokers = [row for row in view.brokers if row.figures.first_accepted_at]
        if not brokers:
            return
        newest = max(brokers, key=lambda row: row.start)
        start = newest.start
        began = view.at - newest.age - (newest.figures.busy_s or 0.0)
        if self._began is None or self._began[0] != start:
            self._began = (start, began)
        self._began = (start, min(self._began[1], began))

    @property
    def answering(self) -> bool:
        """Whether the collector speaks to us."""
        return self.view is not None and not self._silent

    # -- telling ------------------------------------------------------------------------------------------------

    def picture(self, now: float, most_rows: int | None = None) -> dict[str, Any]:
        """Everything about this moment, at most `most_rows` senders of it."""
        view = self.view
        picture: dict[str, Any] = {
            "api": API,
            "version": __version__,
            "at": self._day + now,
            "interval_s": self._interval,
            "ended": self.ended,
            "collector": {
                "endpoint": self.endpoint,
                "answering": self.answering,
                "heard_at": None if view is None else self._day + view.at,
            },
            "figures": None,
            "totals": self._answer.get("totals", {}),
            "send_time_s": None,
            "late_s": None,
            "reach": None,
            "senders": [],
            "senders_left_out": 0,
            "senders_left_out_in_trouble": 0,
            "senders_rate_per_s": None,
            "senders_ended": 0,
            "processes": [],
            "events": self.events(),
            "point": None,
        }
        if view is None:
            return picture
        reckoned = {row.name: row for row in self._reckoned.senders}
        rows = sorted((self._sender(row, reckoned[row.name]) for row in view.senders), key=_by_presence)
        picture["senders_ended"] = ended = sum(row["state"] in ENDED for row in rows)
        picture["senders_rate_per_s"] = round(sum(row["rate_per_s"] for row in rows), 1)
        if most_rows is not None:
            rows = rows[: len(rows) - ended]
            if len(rows) > most_rows:
                rows.sort(key=lambda row: -row["rate_per_s"])
                picture["senders_left_out"] = len(rows) - most_rows
                picture["senders_left_out_in_trouble"] = sum(row["trouble"] is not None for row in rows[most_rows:])
                rows = sorted(rows[:most_rows], key=_by_presence)
        picture["senders"] = rows
        picture["processes"] = [_process(row) for row in view.processes if row.role != "sender"]
        picture["point"] = point = self._newest_point()
        picture["figures"] = self._figures(view, point)
        picture["send_time_s"] = self._send_time(point)
        picture["late_s"] = self._late()
        picture["reach"] = self._reach(view)
        return picture

    def columns(self, span: str) -> dict[str, Any]:
        """The figures over time: `span` is "recent" or "whole". `t_s` is a Unix time, `number` that of the last row."""
        series = self.recent if span == "recent" else self.whole
        columns = series.columns()
        if series.first_at is not None:
            first = self._day + series.first_at
            columns["t_s"] = [round(first + t, 3) for t in columns["t_s"]]
        return {
            "api": API,
            "span": span,
            "every_s": series.every,
            "number": self.points,
            "began_at": self._began_at,
            "columns": columns,
        }

    def events(self) -> list[dict[str, Any]]:
        """What happened lately, the newest first: as the brokers tell it, and what the page's own reader saw."""
        told = [
            {"at": at, "kind": kind, "subject": subject, "messages": messages, "grave": is_grave(kind)}
            for events in self._events.values()
            for at, kind, subject, messages in events
        ]
        return sorted(told + self._own_events, key=lambda event: -float(event["at"]))[:MOST_EVENTS]

    @property
    def _began_at(self) -> float | None:
        return None if self._began is None else round(self._day + self._began[1], 3)

    def _newest_point(self) -> dict[str, Any] | None:
        first = self.recent.first_at
        if first is None:
            return None
        columns = self.recent.columns(newest=1)
        point = {name: values[-1] for name, values in columns.items()}
        point["t_s"] = round(self._day + first + point["t_s"], 3)
        return {"number": self.points, **point}

    def _figures(self, view: View, point: dict[str, Any] | None) -> dict[str, Any]:
        figures = view.to_json() | self._reckoned.to_json()
        fresh = bool(view.brokers) and not self._reckoned.frozen
        figures["rate_per_s"] = point["rate_per_s"] if point and fresh else None
        expected = _expected(view)
        there = [row for row in view.senders if row.is_fresh]
        slots = int(added(row.figures.slots for row in there))
        figures |= {
            "accepted": view.accepted,
            "retried": view.retried,
            "settled": view.settled,
            "expected": expected,
            "settled_share": view.settled / expected if expected else None,
            "coming": None if expected is None else expected - max(view.accepted, view.settled),
            "failed_share": view.totals.sender.error_share,
            "senders_alive": len(there),
            "busy_slots": self._reckoned.busy,
            "sender_slots": slots,
            "busy_share": self._reckoned.busy / slots if slots else None,
            "retrying": int(added(row.figures.retrying for row in view.brokers)),
            "full": any(row.figures.full for row in view.brokers),
        }
        return figures

    def _send_time(self, point: dict[str, Any] | None) -> dict[str, Any]:
        told = self._answer.get("histograms", {}).get("sender", {}).get("send_time")
        whole = Histogram() if told is None else Histogram.from_wire(told)
        now = {name: point[f"send_time_{name}_s"] if point else None for name in ("p50", "p90", "p99")}
        return {"now": now, "whole": whole.summary() if whole.count else None}

    def _late(self) -> dict[str, float | None]:
        late = self._reckoned.late
        return {name: None if late is None else late.quantile(QUANTILES[name]) for name in ("p50", "p90", "p99")}

    def _reach(self, view: View) -> dict[str, Any]:
        """How much of everyone has been reached, and since when."""
        expected, began = _expected(view), self._began_at
        reach: dict[str, Any] = {
            "began_at": began,
            "reached": view.sent,
            "expected": expected,
            "share": view.sent / expected if expected else None,
            "share_after": {str(mark): None for mark in MARKS_S},
            "reach_s": self._reach_times(view, expected),
        }
        if self._began is not None and expected:
            for mark in MARKS_S:
                sent = float(view.sent) if view.done else self._sent_by(self._began[1] + mark)
                reach["share_after"][str(mark)] = None if sent is None else sent / expected
        return reach

    def _reach_times(self, view: View, expected: int | None) -> dict[str, float | None]:
        """When so many of those expected had been sent, seconds after the first message: by the broker's own count, to
        10 ms; of several brokers by the points of the series, with straight lines between them."""
        found: dict[str, float | None] = dict.fromkeys(SHARES)
        if not expected or self._began is None:
            return found
        if len(view.brokers) == 1 and view.brokers[0].figures.reach_of == expected:
            return view.brokers[0].figures.reach_s
        times, sent = self.whole.sent_by_time()
        for name, share in SHARES.items():
            after = bisect_left(sent, share * expected)
            if 0 < after < len(sent):
                part = (share * expected - sent[after - 1]) / (sent[after] - sent[after - 1])
                at = times[after - 1] + part * (times[after] - times[after - 1])
                found[name] = round(max(0.0, at - self._began[1]), 2)
        return found

    def _sent_by(self, at: float) -> float | None:
        """Messages sent by then, between two points by the straight line; None when that is to come, or not known."""
        times, sent = self.whole.sent_by_time()
        after = bisect_left(times, at)
        if after in (0, len(times)):
            return None
        share = (at - times[after - 1]) / (times[after] - times[after - 1])
        return sent[after - 1] + share * (sent[after] - sent[after - 1])

    def _sender(self, row: Row[SenderFigures], reckoned: SenderRow) -> dict[str, Any]:
        figures = row.figures
        return {
            **_process(row),
            "slots": int(figures.slots or 0),
            "busy": int(figures.busy or 0),
            "waiting": int(figures.waiting or 0),
            "sends": figures.sends,
            "failed_sends": figures.failed or 0,
            "error_share": figures.error_share,
            "mean_s": figures.send_time_s,
            "rate_per_s": round(reckoned.rate, 1),
            "pace": None if reckoned.pace is None else round(reckoned.pace, 3),
            "trouble": None if reckoned.trouble is None else reckoned.trouble._asdict(),
        }


def _key(row: Row[Any]) -> Key:
    return row.role, row.name, row.start


def _by_presence(row: dict[str, Any]) -> tuple[Any, ...]:
    """Those that are there first, then the silent ones, then those that left."""
    return row["state"] in ENDED, not row["alive"], *_by_name(row)


def _by_name(row: dict[str, Any]) -> tuple[Any, ...]:
    """sender-2 before sender-10."""
    stem = row["name"].rstrip("0123456789")
    number = row["name"][len(stem) :]
    return stem, int(number) if number else -1


def _process(row: Row[Any]) -> dict[str, Any]:
    return {
        "role": row.role,
        "name": row.name,
        "host": row.host,
        "pid": row.pid,
        "state": "left" if row.has_ended and row.state != "done" else row.state,
        "age_s": round(row.age, 3),
        "alive": row.is_fresh,
    }


def _expected(view: View) -> int | None:
    """Messages that there will be in all: by the producers' own plans, and never fewer than there are already."""
    return max(int(added(row.figures.total for row in view.producers)), view.made) or None
