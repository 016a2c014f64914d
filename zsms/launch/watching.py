"""A run while it goes on: the collector is asked again and again, and what its answers mean is done.

ask --answer--> Seen (view, series) --+--> judge: the phase
processes --------------------------- '
faults, arrival rate --orders--> processes
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from zsms.launch.caps import CapKeeper
from zsms.launch.judge import OVER, REST_S, Judge, Phase
from zsms.launch.latecomers import Latecomers
from zsms.launch.orders import Arrivals, Faults
from zsms.launch.processes import Processes
from zsms.report.making import histogram_of
from zsms.roles.asker import Asker
from zsms.stats.series import Series
from zsms.stats.view import View

ASK_S = 0.1
"""Seconds between two looks at the mesh."""
_ASK_FIRST_S = 0.02
"""The same in the beginning."""
_ANSWER_S = 1.0
"""How long an answer is waited for."""
_SAMPLE_S = 0.5
"""Seconds between two looks at what the processes cost."""

Progress = Callable[[View, View | None], None]


class Seen:
    """What is known of a run by its collector's answers."""

    def __init__(self) -> None:
        self.view: View | None = None
        """The last view."""
        self.first: View | None = None
        """The first one with a message that was settled."""
        self.answer: dict[str, Any] = {}
        """The last answer, with the newest histograms."""
        self.series = Series()

    def take(self, answer: dict[str, Any]) -> View:
        """An answer that has come."""
        self.answer = {"histograms": self.answer.get("histograms", {}), **answer}
        self.view = View.of(answer, time.monotonic())
        return self.view

    def record(self, answer: dict[str, Any], last: bool = False) -> None:
        """A point of the series, of an answer with histograms."""
        self.answer = answer
        self.view = View.of(answer, time.monotonic())
        self.series.add(self.view, histogram_of(answer, "send_time"), last=last)

    @property
    def since_first(self) -> float | None:
        """Seconds since the first message was accepted; None: none was."""
        began = None if self.view is None else self.view.first_accepted_at
        return None if began is None else time.monotonic() - began


class Watching:
    """One run, until it is over."""

    def __init__(
        self,
        asker: Asker,
        seen: Seen,
        judge: Judge,
        processes: Processes,
        *,
        faults: Faults,
        arrivals: Arrivals,
        latecomers: Latecomers,
        keeper: CapKeeper | None = None,
    ) -> None:
        """`keeper` keeps the hours, if there are any."""
        self._asker = asker
        self._seen = seen
        self._judge = judge
        self._processes = processes
        self._faults = faults
        self._arrivals = arrivals
        self._latecomers = latecomers
        self._keeper = keeper

    def watch(
        self, began: float, *, progress: Progress | None, detail_s: float, look_at_point: Callable[[], None]
    ) -> None:
        """Until the phase is the last one. `began`: when the mesh did; `look_at_point` is called after each point of
        the series, the others are those of :class:`zsms.launch.mesh.Mesh`."""
        sample_at = detailed_at = 0.0
        phase = self._judge.phase
        while True:
            now = time.monotonic()
            detailed = now - detailed_at >= detail_s
            if detailed:
                detailed_at = now
            if self._ask(detailed, look_at_point) and progress is not None and self._seen.view is not None:
                progress(self._seen.view, self._seen.first)
            if self._seen.first is None and self._seen.view is not None and self._seen.view.settled:
                self._seen.first = self._seen.view
            if now >= sample_at:
                sample_at = now + _SAMPLE_S
                for process in self._processes.all:
                    process.sample()
                if phase is Phase.RUNNING:
                    self._latecomers.poll()
            self._begin(now - began)
            pause = self._order()
            before, phase = phase, self._phase()
            if phase in OVER:
                self._faults.end()
                return
            if phase is Phase.DRAINING and before is not phase:
                self._processes.terminate("producer")
            # A short run ends soon.
            time.sleep(min(pause, ASK_S, _ASK_FIRST_S + (time.monotonic() - began) / 50))

    def _ask(self, detailed: bool, look_at_point: Callable[[], None]) -> bool:
        answer = self._asker.wait("all" if detailed else "totals", _ANSWER_S)
        if answer is None:
            return False
        if self._seen.series.due(self._seen.take(answer)):
            whole = answer if detailed else self._asker.wait("all", _ANSWER_S)
            if whole is not None:
                self._seen.record(whole)
                look_at_point()
        return True

    def _begin(self, seconds: float) -> None:
        rows = [] if self._seen.view is None else self._seen.view.brokers
        self._processes.begin({row.name: int(row.figures.slots or 0) for row in rows}, seconds)

    def _order(self) -> float:
        """Tell the processes what is due; seconds until there is more."""
        since = self._seen.since_first
        self._processes.order(self._arrivals.orders(since))
        return min(self._faults.strike(since), self._keep(since))

    def _keep(self, since: float | None) -> float:
        if self._keeper is None or since is None:
            return math.inf
        view = self._seen.view
        if since > self._keeper.ends + REST_S and view is not None and not view.in_flight:
            self._judge.close()
        return self._keeper.keep(since)

    def _phase(self) -> Phase:
        since = self._seen.since_first
        members = self._processes.members(lambda name: self._faults.comes_back(name, since))
        return self._judge.poll(time.monotonic(), self._seen.view, members)
