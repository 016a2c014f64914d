"""The monitor role: asks the collector every interval and says how the mesh stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from typing import Any, Unpack

from zsms.errors import UsageError, ZsmsError
from zsms.options import checked
from zsms.roles.asker import Asking
from zsms.roles.base import CommonOptions, check_timeout
from zsms.stats.ending import Ending
from zsms.stats.trends import Trends
from zsms.stats.view import View
from zsms.wire.endpoint import DEFAULT_STATS
from zsms.wire.lookup import LAST_S

WAITS_S = 3.0
"""How long `until_done` waits for somebody who may never come before it says so."""


class Monitor(Asking):
    """Watches a mesh and hands each view to `show`."""

    role = "monitor"

    @checked
    def __init__(
        self,
        stats: str = DEFAULT_STATS,
        *,
        interval: float = 1.0,
        once: bool = False,
        until_done: bool = False,
        show: Callable[[View, View | None], None] | None = None,
        detailed: bool = False,
        timeout: float | None = None,
        **common: Unpack[CommonOptions],
    ) -> None:
        """`show(view, view before or None)` is called every `interval` seconds; by default it logs a line.

        `once`: leave after the first answer. `until_done`: leave when all work is done; `run` raises ZsmsError when
        that can't be any more, because a broker is gone with messages or has started again without them, or because a
        producer fell silent before its end.
        `detailed`: ask for histograms too. `timeout`: `run` raises ZsmsError after so many seconds without any answer;
        None: it asks for ever. `common` are the options of :class:`zsms.CommonOptions`. Raises UsageError.
        """
        super().__init__(stats, interval, **common)
        if not 0.05 <= interval <= 3_600:
            raise UsageError(f"interval {interval}: give seconds from 0.05 to 3600")
        check_timeout(timeout)
        self._timeout = timeout
        self.view: View | None = None
        """The last view."""
        self._once = once
        self._until_done = until_done
        self.what = "all" if detailed else "totals"
        self._show = show or log_view(self.log)
        self._ending = Ending()

    def _unanswered(self, silent: float, refused: str, now: float) -> float:
        if self._timeout is not None and silent >= self._timeout:
            looked = self._sockets.resolve_again(self._endpoint, LAST_S)
            why = f" ({looked})" if looked else ""
            raise ZsmsError(f"no answer from a collector at {self._endpoint} for {self._timeout:g} s{why}")
        if refused:
            raise ZsmsError(refused)
        return inf if self._timeout is None else max(now + 0.05, now - silent + self._timeout)

    def _handle(self, answer: dict[str, Any], now: float) -> None:
        before, self.view = self.view, View.of(answer, now)
        self._show(self.view, before)
        self._finished = self._once
        if self._until_done:
            self._check_end(self.view, now)

    def _check_end(self, view: View, now: float) -> None:
        """Finish, or say whom it waits for. Raises ZsmsError when the work can't be done any more."""
        verdict = self._ending.verdict(view)
        if verdict is not None:
            if verdict.code:
                raise ZsmsError(verdict.why)
            if verdict.why:
                self.log.warning("all that is known of is settled; %s", verdict.why)
            self._finished = True
            return
        if waits := self._ending.reminder(now, WAITS_S):
            self.log.warning("waiting for %s", waits)


def log_view(log: logging.Logger) -> Callable[[View, View | None], None]:
    """A `show` that logs one line."""

    watch = Trends()

    def show(view: View, before: View | None) -> None:
        log.info("%s", line_of(view, before, watch.take(view).left_s))

    return show


def line_of(view: View, before: View | None, left_s: float | None = None) -> str:
    """One line of figures for people; `left_s` as :class:`zsms.stats.trends.Standing` has it."""
    return (
        f"produced {made_of(view)}  sent {view.sent:,}  failed {view.failed + view.dead:,}  "
        f"mean {view.mean_s:.3f} s  rate {view.rate_since(before):,.0f}/s  overall {view.rate:,.0f}/s  "
        + ("" if view.asked_per_s is None else f"asked {view.asked_per_s:,.6g}/s  ")
        + f"queued {view.queued:,}  in flight {view.in_flight:,}  senders {view.senders_alive}"
        + ("" if left_s is None or view.done else f"  left {left_s:,.0f} s")
        + (f"  MISSING {view.missing:,}" if view.missing else "")
        + (f"  ({view.untold})" if view.untold else "")
    )


def made_of(view: View) -> str:
    """How many messages were made; "at least" where some producer could not say all."""
    return f"{'at least ' if view.untold else ''}{view.made:,}"
