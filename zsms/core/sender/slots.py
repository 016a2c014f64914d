"""The slots of one sender, simulated: each sends one message at a time by sleeping for a drawn time.

    start(handles, ages, began)   that many free slots begin to send
    advance(now) -> Finished      those whose time is up, sent or failed; their slots are free again
    free_since(count, ...)        since when the next free slots have been free: a message that was waiting begins then

Between the moment at which a send is over and the turn that sees it lie a tick and whatever the machine was busy with.
Counted from that turn, each send would begin later than the one before it had ended, and slots that all take equally
long would lose a little in every round. So where a message was waiting already it began when its slot became free
(Slots that were waiting for a message begin when it comes.)

A handle is whatever uint64 the caller knows a message by. No slot has a number: free slots are alike, so a
count is all there is to keep of them, and a busy slot is one entry of the timing wheel:

    word 0   the handle
    word 1   two float32, never negative, so that their sign bits are free: the age of the message when its slot began
             (signed: a failure would be final), and how long it was asked to sleep (signed: drawn to fail)
    word 2   when its slot began, float64 (signed: throttled if it will be tried again, else refused for good)
    word 3   its segments, where there is a route that answers when a send ends (:mod:`zsms.core.sender.route`)

24 bytes a busy slot (32 with a route). The slots measure their own honesty: `error` is how far the real sleep was from
the asked one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import NO_CODES, Finished
from zsms.core.seeds import Seed
from zsms.core.sender.route import Route, with_refusals
from zsms.core.sender.wheel import TimingWheel
from zsms.errors import UsageError
from zsms.message import Outcome
from zsms.stats.delay import MAX_SECONDS, DelayModel
from zsms.stats.histogram import Histogram

F32 = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

MAX_CONCURRENCY = 100_000_000
"""Most slots of one sender."""

SEEN_WITHIN_S = 0.1
"""A slot began no longer ago than this, however late its end is seen: who was stopped for longer has not sent."""

_NONE = np.zeros(0, dtype=np.uint64)


@dataclass(slots=True)
class SendTimes:
    """What a sender measures of its sends, all in seconds; see docs/report.schema.json for the meanings."""

    send: Histogram
    total: Histogram
    error: Histogram
    asked: float = 0.0
    """Sum of the asked times of finished sends."""
    given_away: int = 0
    """Finished sends of messages that others were given meanwhile: no histogram has them."""
    ours: Callable[[U64], Mask | None] = lambda handles: None
    """Which of these messages nobody else was given, bool[n]; None: all of them."""

    @classmethod
    def empty(cls) -> SendTimes:
        """Nothing measured yet."""
        return cls(Histogram(), Histogram(), Histogram())

    def ended(
        self, handles: U64, took: F32, total: F32, *, final: Mask | None = None, asked: F32 | None = None
    ) -> None:
        """Sends have ended, a column of one entry each; `total` counts of those that are `final` (None: of all).

        `asked` is how long they were asked to take; None: as long as they took.
        """
        self.asked += float((took if asked is None else asked).sum(dtype=np.float64))
        ours = self.ours(handles)
        if ours is not None:
            self.given_away += len(ours) - int(np.count_nonzero(ours))
            final = ours if final is None else final & ours
            took, asked = took[ours], None if asked is None else asked[ours]
        self.send.record(took)
        self.total.record(total if final is None else total[final])
        if asked is not None:
            self.error.record(np.abs(took - asked))


def auto_tick(mean: float) -> float:
    """A tick for sends of this mean: a hundredth of it, from 1 to 10 milliseconds."""
    return min(max(mean / 100, 0.001), 0.010)


def coarse(tick: float | None, delay: DelayModel) -> bool:
    """Whether a tick (None: the automatic one) is more than a tenth of the mean: too coarse to tell sends apart."""
    return delay.mean > 0 and (auto_tick(delay.mean) if tick is None else tick) > delay.mean / 10 * (1 + 1e-9)


def check_failure_rate(rate: float, throttled: float = 0.0, permanent: float = 0.0) -> None:
    """Raise UsageError for what are no shares, or more than 1 together."""
    for name, each in (("failure", rate), ("throttled", throttled), ("permanent", permanent)):
        if not isfinite(each) or not 0 <= each <= 1:
            raise UsageError(f"{name} rate {each}: give a share from 0 to 1")
    if rate + throttled + permanent > 1 + 1e-9:
        raise UsageError(f"failure, throttled and permanent rates {rate:g}, {throttled:g}, {permanent:g}: more than 1")


class Slots:
    """`concurrency` simulated slots."""

    def __init__(
        self,
        concurrency: int,
        delay: DelayModel,
        *,
        failure_rate: float = 0.0,
        throttled_rate: float = 0.0,
        permanent_rate: float = 0.0,
        tick: float | None = None,
        route: Route | None = None,
        seed: Seed = None,
    ) -> None:
        """`route` is what answers at the end of a send; None: it takes all. Raises UsageError for a concurrency,
        failure rate or tick that can't be."""
        if not 1 <= concurrency <= MAX_CONCURRENCY:
            raise UsageError(f"concurrency {concurrency}: give 1 to {MAX_CONCURRENCY} slots")
        check_failure_rate(failure_rate, throttled_rate, permanent_rate)
        tick = auto_tick(delay.mean) if tick is None else tick
        if not isfinite(tick) or not 0.0001 <= tick <= 10:
            raise UsageError(f"tick {tick}: give seconds from 0.0001 to 10")
        self.concurrency = concurrency
        self.failure_rate = failure_rate
        self.slower = 1.0
        """Sends that begin from now on take so many times as long as the delay says."""
        self._throttled, self._permanent = throttled_rate, permanent_rate
        self._of_kinds = throttled_rate + permanent_rate > 0
        self.route = route
        self._may_fail = failure_rate > 0 or self._of_kinds or route is not None
        self.times = SendTimes.empty()
        self.mean = delay.mean
        self.delay = delay
        self._draw = delay.sampler()
        self._asked = 0.0
        """Sum of the times asked for, of all sends that began, and"""
        self._due = 0.0
        """of the moments until which those that have not ended were asked to take, from `_origin`."""
        self._origin = 0.0
        self._freed, self._freed_at = 0, 0.0
        """Slots that the last look found to be free and that have not begun again, and when they became so, on average.
        (Of each by itself would be no truer, for a tick is short beside a send, and cost a fifth of a send.)"""
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self._wheel = TimingWheel(tick, width=3 if route is None else 4, rng=self._rng)

    @property
    def busy(self) -> int:
        """Slots that are sending."""
        return len(self._wheel)

    @property
    def free(self) -> int:
        """Slots that could begin now."""
        return self.concurrency - len(self._wheel)

    @property
    def tick(self) -> float:
        """Seconds between two looks at the slots."""
        return self._wheel.tick

    def fail(self, rate: float) -> None:
        """Another share of the sends that begin from now on fails. Raises UsageError."""
        check_failure_rate(rate)
        self.failure_rate = rate
        self._may_fail |= rate > 0  # those that were drawn to fail still do

    def free_since(self, count: int, arrived: float, now: float) -> float:
        """When the next `count` sends begin, of messages that are here since `arrived`.

        That is when their slots became free or the messages came, whichever was later, on average; slots that were seen
        to be free before their time (less than a tick) begin when that has come. Whoever asks starts so many right
        afterwards.
        """
        freed = min(count, self._freed)
        self._freed -= freed
        since = max(self._freed_at, arrived, now - SEEN_WITHIN_S)
        return now + (since - now) * freed / count

    def ending(self, until: float) -> int:
        """How many sends will be over by then."""
        return self._wheel.count(until)

    def start(
        self,
        handles: U64,
        ages: F32 | float,
        began: float,
        last: npt.NDArray[np.bool_] | bool = True,
        *,
        segments: npt.NDArray[np.int64] | int = 1,
    ) -> None:
        """Begin at `began` to send handles[i], which had been due for ages[i] seconds (float32[n] or one for all).

        `last`: whether a failure would be final, bool[n] or one for all; then its total time counts, too. `segments`
        are for a route. The caller starts no more than are `free`.
        """
        count = len(handles)
        if count > self.free:
            raise ValueError(f"{count} messages for {self.free} free slots")
        asked = self._draw(self._rng, count)
        if self.slower != 1.0:
            asked = np.minimum(asked * np.float32(self.slower), np.float32(MAX_SECONDS))
        if not self.busy:
            self._origin, self._due = began, 0.0  # small numbers add up exactly
        whole = float(asked.sum(dtype=np.float64))
        self._asked += whole
        self._due += whole + count * (began - self._origin)
        records = np.empty((count, 3 if self.route is None else 4), dtype=np.uint64)
        records[:, 0] = handles
        if self.route is not None:
            records[:, 3] = segments
        times = records.view(np.float32)
        times[:, 2] = ages
        times[:, 3] = asked
        records.view(np.float64)[:, 2] = began
        if self._may_fail:
            drawn = self._rng.random(count, dtype=np.float32)
            fails = drawn < self.failure_rate
            if self._of_kinds:
                fails, last = self._draw_kinds(drawn, fails, last, records)
            np.negative(times[:, 3], out=times[:, 3], where=fails)
            np.maximum(times[:, 2], np.float32(0), out=times[:, 2])
            np.negative(times[:, 2], out=times[:, 2], where=last)
        self._wheel.add(began, asked, records)

    def _draw_kinds(
        self, drawn: F32, fails: npt.NDArray[np.bool_], last: npt.NDArray[np.bool_] | bool, records: U64
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Mark those that are throttled or refused; returns which fail at all, and of which that would be final."""
        throttled = np.float32(self.failure_rate + self._throttled)
        special = ~fails & (drawn < np.float32(self.failure_rate + self._throttled + self._permanent))
        began = records.view(np.float64)[:, 2]
        np.negative(began, out=began, where=special)
        return fails | special, np.where(special, drawn >= throttled, last)

    def advance(self, now: float) -> Finished | None:
        """Free the slots whose time is up and measure their sends; None when there are none."""
        records = self._wheel.advance(now)
        if records is None:
            return None
        handles = records[:, 0]
        floats = records.view(np.float32)
        began = records.view(np.float64)[:, 2]
        special = np.signbit(began) if self._of_kinds else None
        began = np.abs(began) if special is not None else began
        took = (now - began).astype(np.float32)
        asked, total, over = floats[:, 3], took + np.abs(floats[:, 2]), None
        if self._may_fail:
            fails = np.signbit(asked)
            asked = np.abs(asked)
            codes = NO_CODES
            if special is not None and special.any():
                kinds = np.where(np.signbit(floats[:, 2]), Outcome.REJECTED.code, Outcome.THROTTLED.code)
                codes = np.where(special, kinds, Outcome.FAILED.code)[fails].astype(np.uint8)
            if self.route is not None:
                answers = self.route.answer(records[~fails, 3].astype(np.int64), now, self._rng)
                fails, codes = with_refusals(fails, codes, answers)
            finished = Finished(handles[~fails], handles[fails], codes)
            over = ~fails | np.signbit(floats[:, 2])  # the others are sent again: their time goes on
        else:
            finished = Finished(handles, _NONE)
            total = took + floats[:, 2]
        due = float(asked.sum(dtype=np.float64)) + float((began - self._origin).sum())
        self._due -= due
        self._freed, self._freed_at = len(records), self._origin + due / len(records)
        self.times.ended(handles, took, total, final=over, asked=asked)
        return finished

    def worked(self, now: float) -> float:
        """Slot seconds within the asked time of a send, up to now; call after `advance(now)`, when none is overdue."""
        return self._asked - (self._due - self.busy * (now - self._origin))

    def next_time(self) -> float | None:
        """When `advance` has something to do next, in the caller's clock."""
        return self._wheel.next_time()
