"""Time left: what the senders say of their slots, what is still to be sent, and the forecast of both.

    left = max(arrivals that are still to come + one send more,   the forecast of all that is there) / efficiency

Efficiency is the share of the slots' time that was within the asked time of a send, over two means or more with a
backlog: a machine that is too slow makes the rest as slow. A sender with a function of the user's is taken for one
whose times are lognormal, of the mean and deviation that were measured.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from zsms.stats.delay import MODELS
from zsms.stats.figures import SenderFigures, added, most
from zsms.stats.forecast import F64, OLDEST, Kind, Law, Work, last_of, seconds_left
from zsms.stats.row import Row
from zsms.stats.view import View

_POINTS = 128
"""Points that are kept of a sender's starts; of more, every other of the older half goes."""
_AGAIN_S = 0.45
"""Seconds between two forecasts, in between it is the last one that has got shorter."""
SHORTEST_S = 2.0
"""Efficiency is of so many seconds at least, and of `_MEANS` sends."""
_MEANS = 2.0
_MOST_ATTEMPTS = 12
"""Of more, the last ones are expected of nobody, or are as long as all others."""
_STALLED = 0.01
"""Slots that use less of their time than this stand still: nobody knows for how long."""

Sender = Row[SenderFigures]


def law_of(row: Sender) -> Law | None:
    """How long a sender's sends take, by its figures: as asked, or as measured; None when nobody knows."""
    figures = row.figures
    if not figures.mean_s:
        return None
    model = int(figures.delay_model or 0)
    name = MODELS[model - 1] if 0 < model <= len(MODELS) else "lognormal"
    return Law.of(name, figures.mean_s, figures.mean_s / 2 if figures.sd_s is None else figures.sd_s)


class _History:
    """One sender, as it was told."""

    def __init__(self) -> None:
        self.points: deque[tuple[float, float]] = deque()
        """Times and counts of sends begun."""
        self.worked: deque[tuple[float, float, float]] = deque()
        """Times, slot seconds worked, and those that there were."""

    def take(self, at: float, row: Sender, mean: float) -> None:
        figures = row.figures
        begun = float(figures.sends if figures.started is None else figures.started)
        if self.points and (begun < self.points[-1][1] or at < self.points[-1][0] - mean):
            self.points.clear()
            self.worked.clear()
        if self.points and at <= self.points[-1][0]:
            return
        if not self.points:
            # Seen from the middle on: as if it had always gone on so; else they have begun since its last word.
            before = (OLDEST * mean, OLDEST * (figures.busy or 0.0)) if figures.sends else (row.interval, begun)
            self.points.append((at - before[0], begun - before[1]))
        self.points.append((at, begun))
        if len(self.points) > _POINTS:
            points = list(self.points)
            half = len(points) // 2
            self.points = deque(points[:half:2] + points[half:])
        there_s = (figures.slots or 0.0) * at if figures.open_s is None else figures.open_s
        self.worked.append((at, figures.worked_s or 0.0, there_s))
        keep = max(SHORTEST_S, _MEANS * mean)
        while len(self.worked) > 2 and self.worked[1][0] <= at - keep:
            self.worked.popleft()

    def efficiency(self, since: float, mean: float) -> float | None:
        """Share of its slots' time that was within a send, all of it after `since`; None while that is too short."""
        if len(self.worked) < 2:
            return None
        (begin, less, fewer_s), (end, more, more_s) = self.worked[0], self.worked[-1]
        if begin < since or end - begin < 0.9 * max(SHORTEST_S, _MEANS * mean) or more_s <= fewer_s:
            return None
        return (more - less) / (more_s - fewer_s)

    def starts(self, now: float) -> tuple[F64, F64]:
        times, counts = np.array(self.points).T
        return np.minimum(times - now, 0.0), counts


class TimeLeft:
    """Takes views in the order in which they came."""

    def __init__(self) -> None:
        self._senders: dict[str, _History] = {}
        self._backlog_since: float | None = None
        self._told: tuple[float, float] | None = None
        """When the last forecast was made, and what it was."""
        self.knows = False
        """Some sender has told how long its sends take, even if it is gone."""
        self.efficiencies: dict[str, float] = {}
        """Of each sender that is asked to take its time, while there is a backlog: the share of it that it works."""

    def take(self, view: View, total: int | None, told: float) -> float | None:
        """Seconds from `view.at` until `total` messages are settled; None when that is not known. `told`: when the
        brokers said what is settled."""
        if view.ready <= 0:
            self._backlog_since = None
        elif self._backlog_since is None:
            self._backlog_since = view.at
        rows = [(row, law) for row in view.senders if (law := self._watch(view, row)) is not None]
        self.knows = self.knows or bool(rows)
        there = {row.name for row, _ in rows}
        self._senders = {name: history for name, history in self._senders.items() if name in there}
        efficiency = self._efficiency(rows)
        if total is None:
            return None
        if total <= view.settled:
            return 0.0
        if not rows or efficiency is None:
            self._told = None
            return None
        if self._told is None or not 0 <= view.at - self._told[0] < _AGAIN_S:
            left = self._forecast(view, rows, total, efficiency)
            self._told = None if left is None else (view.at, max(0.0, left - (view.at - told)))
        return None if self._told is None else max(0.0, self._told[1] - (view.at - self._told[0]))

    def _watch(self, view: View, row: Sender) -> Law | None:
        """Take a sender's row in; its law, when it works."""
        if not row.is_present or not row.figures.slots:
            return None
        law = law_of(row)
        if law is not None:
            self._senders.setdefault(row.name, _History()).take(view.at - row.age, row, law.mean)
        return law

    def _efficiency(self, rows: list[tuple[Sender, Law]]) -> float | None:
        """Of all slots, 1 where it is not known yet; None when they stand still."""
        slots = worked = 0.0
        self.efficiencies = {}
        for row, law in rows:
            own = row.figures.slots or 0.0
            share = None
            if self._backlog_since is not None:
                share = self._senders[row.name].efficiency(self._backlog_since, law.mean)
            if share is not None and row.figures.delay_model:
                self.efficiencies[row.name] = share
            slots += own / law.mean
            worked += own / law.mean * (1.0 if share is None else share)
        if not slots or worked < _STALLED * slots:
            return None
        return min(1.0, worked / slots)

    def _forecast(self, view: View, rows: list[tuple[Sender, Law]], total: int, efficiency: float) -> float | None:
        of: dict[Law, list[Sender]] = {}
        for row, law in rows:
            of.setdefault(law, []).append(row)
        kinds = [
            Kind(
                law,
                added(row.figures.slots for row in alike),
                added(row.figures.busy for row in alike),
                [self._senders[row.name].starts(view.at) for row in alike],
            )
            for law, alike in of.items()
        ]
        busy = sum(kind.busy for kind in kinds)
        work = _work(view, total, busy)
        left = seconds_left(kinds, work)
        if left is None:
            return None
        left /= efficiency
        if view.asked_per_s and total > view.made:
            slots = sum(kind.slots for kind in kinds)
            use = [replace(kind, busy=kind.slots * max(busy, 1.0) / slots) for kind in kinds]
            last = seconds_left(use, replace(work, queue=())) if work.waits else last_of([(k.law, k.busy) for k in use])
            left = max(left, (total - view.made) / view.asked_per_s + (last or 0.0) / efficiency)
        return left


def _work(view: View, total: int, busy: float) -> Work:
    """What is to be sent, by the broker's rules for what fails and by the share of sends that did.

    Whatever has failed waits behind what was there before it. So of all sends in their order the first ones are of
    messages that were never sent before, then come those of the ones that failed, and so on.
    """
    brokers, senders = [row.figures for row in view.brokers], [row.figures for row in view.senders]
    begun = sum((figures.sends if figures.started is None else figures.started) for figures in senders)
    failed, ended = int(added(figures.failed for figures in senders)), sum(figures.sends for figures in senders)
    share = failed / ended if ended else 0.0
    attempts = min(int(most(figures.attempts for figures in brokers) or 1.0), _MOST_ATTEMPTS)
    there = max(0.0, total - view.settled - busy)
    if attempts <= 1 or not share:
        return Work([(0, there)])
    base = most(figures.retry_base_s for figures in brokers) or 0.0
    cap = most(figures.retry_cap_s for figures in brokers) or 0.0
    ends = np.cumsum(max(view.accepted, 1) * share ** np.arange(attempts))
    ends[-1] = np.inf
    resting = min(there, added(figures.retrying for figures in brokers))
    ready = min(there - resting, max(0, view.ready))

    def parted(first: float, count: float) -> list[float]:
        """So many sends, from that one on: how many are of each attempt."""
        edges = np.concatenate([[-np.inf], ends])
        return [float(part) for part in np.diff(np.clip(edges, first, first + count))]

    queue = [*enumerate(parted(begun, ready)), (0, there - resting - ready)]
    in_slots = parted(begun - busy, busy)
    waits = [min(cap, base * 2.0**attempt) for attempt in range(attempts - 1)]
    rested = parted(begun + ready, resting)
    rested[1], rested[0] = rested[1] + rested[0], 0.0
    shares = [part / busy for part in in_slots] if busy else [1.0] + [0.0] * (attempts - 1)
    return Work(queue, shares, rested, fails=share, waits=waits, due=_due(view))


def _due(view: View) -> tuple[float, float] | None:
    """In how many seconds the first and the last of those that wait for their next attempt are due."""
    told = [
        (first - row.age, last - row.age)
        for row in view.brokers
        if (first := row.figures.retry_first_s) is not None and (last := row.figures.retry_last_s) is not None
    ]
    if not told:
        return None
    return max(0.0, min(first for first, _ in told)), max(0.0, max(last for _, last in told))
