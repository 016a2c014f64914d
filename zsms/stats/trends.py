"""What the views of a mesh say together: rates, recent times, who lags behind, what happened.

    view, view, view, ...  --take-->  Track (messages settled) ---> rate, bars
                                      TimeLeft -------------------> time left; the share of its slots' time that a
                                                                    sender works, and so whether it is slow
                                      Track of each sender -------> its rate
                                      the last send times --------> p50, p90, p99 of the last seconds

Panel, page and monitor all show what is reckoned here.

Counts are taken for when the process said them, not for when the answer came: the age of a row is known, and without
it a rate would jump by a whole snapshot from one look to the next.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from zsms.stats.figures import SenderFigures, added
from zsms.stats.grave import Trouble, is_grave, trouble
from zsms.stats.histogram import Histogram
from zsms.stats.left import TimeLeft
from zsms.stats.row import Row, names_of
from zsms.stats.view import GONE_S, View

RATE_S = 2.0
"""The rate is that of so many seconds."""
RECENT_S = 10.0
"""Send times are those of so many seconds."""
SHORTEST_S, LONGEST_S = 3.0, 90.0
"""A sender's rate is that of three of its mean send times, within these bounds: slots that began together end together.
"""
SLOW = 0.5
"""A sender is slow when its slots do less than this share of what they were asked to, while there is a backlog.

One with a function of the user's was asked nothing: it is compared with those of as many slots."""
ENOUGH = 20
"""Messages that a sender should have settled before it is judged."""
BARS = 256
"""Bars of the rate that are kept."""


class Track:
    """A count that only grows, as points in time."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._points: deque[tuple[float, int]] = deque()

    def add(self, at: float, count: int) -> None:
        """`count` at the time `at`, unless that is not later than the last one; a count that falls begins anew."""
        points = self._points
        if points and count < points[-1][1]:
            points.clear()
        if points and at <= points[-1][0]:
            return
        points.append((at, count))
        while len(points) > 2 and points[1][0] <= at - self._keep_s:
            points.popleft()

    def span(self, seconds: float) -> float:
        """How much of the last `seconds` is known."""
        return min(seconds, self._points[-1][0] - self._points[0][0]) if self._points else 0.0

    def rate(self, seconds: float) -> float:
        """Growth a second over the last `seconds`, or over what is known of them; 0 for a single point."""
        if len(self._points) < 2:
            return 0.0
        at, count = self._points[-1]
        begin = max(at - seconds, self._points[0][0])
        return (count - self._count_at(begin)) / (at - begin)

    def _count_at(self, at: float) -> float:
        later, more = self._points[-1]
        for earlier, less in reversed(self._points):
            if earlier <= at:
                return less + (more - less) * (at - earlier) / (later - earlier) if later > earlier else less
            later, more = earlier, less
        return more


class Bars:
    """The rate as a row of bars, each `step` seconds wide, the newest last."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.rates: deque[float] = deque(maxlen=BARS)
        self._last: tuple[float, int] | None = None
        self._edge = (0.0, 0.0)
        """Where the bar to come begins: time and count."""

    def add(self, at: float, count: int) -> None:
        """`count` at the time `at`; in between it grew evenly."""
        if self._last is None or count < self._last[1] or at - self._last[0] > BARS * self.step:
            self._edge = (at, count)
        elif at > self._last[0]:
            before, less = self._last
            while self._edge[0] + self.step <= at:
                edge = self._edge[0] + self.step
                reached = less + (count - less) * (edge - before) / (at - before)
                self.rates.append(max(0.0, reached - self._edge[1]) / self.step)
                self._edge = (edge, reached)
        else:
            return
        self._last = (at, count)


@dataclass(frozen=True, slots=True)
class SenderRow:
    """One sender."""

    name: str
    rate: float
    """Messages a second that it settles."""
    share: float
    """Of all that senders settled since the start, 0 to 1."""
    slots: int
    busy: float
    """Share of its slots that send, 0 to 1."""
    errors: float
    """Share of its sends that failed, 0 to 1."""
    heard: float
    """Seconds since its last word."""
    state: str
    """starting, running, draining, left, or silent."""
    pace: float | None
    """Of a slow one: what it does, as a share of what it should."""
    host: str = ""
    """The machine that it runs on."""

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with it."""
        return trouble(self.state, self.errors, self.pace)


class Event(NamedTuple):
    """Something that happened."""

    at: float
    kind: str
    subject: str
    messages: int

    @property
    def grave(self) -> bool:
        """Whether it means that something is wrong."""
        return is_grave(self.kind)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the mesh stands, and how it goes."""

    view: View
    watched_s: float
    """Since the first view."""
    total: int | None
    """Messages to come in all, if that is known."""
    left_s: float | None
    """Until all of them are settled, the last ones too; None where that is not known."""
    rate: float
    bars: list[float]
    """Rates, oldest first, each of `bar_s` seconds."""
    bar_s: float
    send_time: Histogram | None
    """Of the last `RECENT_S`; None when nothing was sent in them."""
    busy: int
    """Slots that send."""
    senders: list[SenderRow]
    """By name."""
    events: list[Event]
    """The newest first."""
    stale: str = ""
    """Whose figures are old, in words; empty when everybody's are fresh."""
    late: Histogram | None = None
    """From when a message was due to its first slot, of the last `RECENT_S`."""
    frozen: bool = False
    """No broker speaks: counts are the last that are known, and there is no rate."""

    def to_json(self) -> dict[str, Any]:
        """What a view alone does not say, as a JSON object."""
        return {
            "left_s": None if self.left_s is None else round(self.left_s, 1),
            "stale": self.stale,
        }


class Trends:
    """Takes views in the order in which they came."""

    def __init__(self, total: int | None = None, bar_s: float = 1.0) -> None:
        """`total` is how many messages there will be; None takes it from the producers, if they know."""
        self._total = total
        self._first: View | None = None
        self._last: View | None = None
        self._settled = Track(2 * LONGEST_S)
        self._bars = Bars(bar_s)
        self._senders: dict[str, Track] = {}
        self._times: dict[str, deque[tuple[float, Histogram]]] = {"send_time": deque(), "late": deque()}
        self._left = TimeLeft()
        self._queue_since: float | None = None
        """Since when there has been work for every slot."""
        self._retry: Event | None = None

    def take(self, view: View) -> Standing:
        """The figures as of `view`."""
        self._first = self._first or view
        told = view.at - min((row.age for row in view.brokers), default=0.0)
        self._settled.add(told, view.settled)
        self._bars.add(told, view.settled)
        for name in self._times:
            self._take_times(view, name)
        if view.ready <= 0:
            self._queue_since = None
        elif self._queue_since is None:
            self._queue_since = view.at
        if self._last is not None and view.retried > self._last.retried:
            self._retry = Event(view.at, "retry", "failed sends", view.retried)
        self._last = view
        rate = self._settled.rate(RATE_S)
        total = self._total_of(view)
        stale, frozen = staleness(view)
        return Standing(
            view=view,
            watched_s=view.at - self._first.at,
            total=total,
            left_s=self._time_left(view, total, told, frozen),
            rate=rate,
            bars=list(self._bars.rates),
            bar_s=self._bars.step,
            send_time=self._recent_times("send_time"),
            late=self._recent_times("late"),
            busy=int(added(row.figures.busy for row in view.senders if row.is_fresh)),
            senders=self._sender_rows(view),
            events=sorted(self._happenings(view), reverse=True),
            stale=stale,
            frozen=frozen,
        )

    def _time_left(self, view: View, total: int | None, told: float, frozen: bool) -> float | None:
        left = self._left.take(view, total, told)
        if left is None and total is not None and not self._left.knows:
            rate = self._settled.rate(2 * RATE_S)  # nobody has said how long a send takes
            left = (total - view.settled) / rate if rate else None
        return None if frozen and total != view.settled else left

    def _total_of(self, view: View) -> int | None:
        if view.producers_done:
            return view.made
        if self._total is not None:
            return self._total
        totals = [row.figures.total for row in view.producers]
        return int(added(totals)) if totals and all(totals) else None

    def _take_times(self, view: View, name: str) -> None:
        wire = (view.histograms or {}).get("sender", {}).get(name)
        if wire is None:
            return
        times, known = Histogram.from_wire(wire), self._times[name]
        if known and times.count < known[-1][1].count:
            known.clear()
        known.append((view.at, times))
        while len(known) > 2 and known[1][0] <= view.at - RECENT_S:
            known.popleft()

    def _recent_times(self, name: str) -> Histogram | None:
        known = self._times[name]
        if not known:
            return None
        newest = known[-1][1]
        recent = newest.since(known[0][1]) if len(known) > 1 else newest
        return recent if recent.count else None

    def _sender_rows(self, view: View) -> list[SenderRow]:
        rows = view.senders
        everything = sum(row.figures.sends for row in rows)
        rates: dict[str, float] = {}
        for row in rows:
            track = self._senders.setdefault(row.name, Track(LONGEST_S))
            if row.state != "starting":  # what it does before it has joined says nothing of its pace
                track.add(view.at - row.age, row.figures.sends)
            rates[row.name] = track.rate(_span_of(row, view)) if row.is_fresh else 0.0
        there = {row.name for row in rows if not row.has_ended}
        self._senders = {name: track for name, track in self._senders.items() if name in there}
        paces = self._paces(view, [row for row in rows if row.name in there], rates)
        found = [
            SenderRow(
                name=row.name,
                rate=rates[row.name],
                share=row.figures.sends / everything if everything else 0.0,
                slots=int(row.figures.slots or 0),
                busy=_per(row.figures.busy or 0, row.figures.slots or 0) if row.is_fresh else 0.0,
                errors=row.figures.error_share or 0.0,
                heard=row.age,
                state=row.condition,
                pace=paces.get(row.name),
                host=row.host,
            )
            for row in rows
        ]
        return sorted(found, key=lambda row: natural(row.name))

    def _paces(self, view: View, rows: list[Row[SenderFigures]], rates: dict[str, float]) -> dict[str, float]:
        """Those that do less than they should, by name; judged only while everyone has had work all the time."""
        if self._queue_since is None:
            return {}
        paces: dict[str, float] = {}
        like: dict[float, list[tuple[str, float, float]]] = {}
        for row in rows:
            if row.state != "running" or not row.is_fresh:
                continue
            name, seconds = row.name, _span_of(row, view)
            known = self._senders[name].span(seconds) >= 0.9 * seconds
            if row.figures.delay_model:
                share = self._left.efficiencies.get(name)
                if share is not None and share < SLOW:
                    paces[name] = share
            elif known and view.at - self._queue_since >= seconds:
                like.setdefault(row.figures.slots or 0, []).append((name, rates[name], seconds))
        return paces | {name: pace for group in like.values() for name, pace in _slow(group)}

    def _happenings(self, view: View) -> Iterator[Event]:
        for row in view.brokers:
            for event in row.events:
                yield Event(view.at - row.age - event.ago, event.kind, event.subject, event.messages)
        for each in view.processes:
            if each.role != "sender" and not each.has_ended and not each.is_fresh:
                yield Event(view.at - each.age, f"{each.role} silent", each.name, 0)
        if self._retry is not None:
            yield self._retry


def _span_of(row: Row[SenderFigures], view: View) -> float:
    """Over how many seconds a sender's rate is taken."""
    measured = row.figures.send_time_s if row.figures.sends else view.mean_s
    return min(max(3 * (row.figures.mean_s or measured or 0.0), SHORTEST_S), LONGEST_S)


def _slow(group: list[tuple[str, float, float]]) -> Iterator[tuple[str, float]]:
    """Who of these equals (name, rate, seconds that it is of) does less than `SLOW` of the median of the others."""
    rates = sorted(rate for _, rate, _ in group)
    for name, rate, seconds in group:
        if len(rates) > 1 and rate < SLOW * rates[-1]:
            others = rates.copy()
            others.remove(rate)
            usual = median(others)
            if usual * seconds >= ENOUGH and rate < SLOW * usual:
                yield name, rate / usual


def staleness(view: View) -> tuple[str, bool]:
    """Whose figures are old, in words ("" when nobody's are), and whether all brokers' are; senders have marks of their
    own."""
    brokers = view.brokers
    fresh = [row for row in brokers if row.is_fresh]
    makers = [row for row in view.producers if row.age <= GONE_S]
    silent = [row for row in [*brokers, *makers] if not row.is_fresh and not row.has_ended]
    words = f"{names_of(silent)} silent for {min(row.age for row in silent):.0f} s" if silent else ""
    if brokers and not fresh and not silent:
        words = f"{names_of(brokers)} left"
    return words, bool(brokers) and not fresh


def _per(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def natural(name: str) -> list[tuple[str, int]]:
    """A key that sorts sender-10 after sender-9."""
    return [(text, int(digits or -1)) for digits, text in re.findall(r"(\d+)|(\D+)", name)]
