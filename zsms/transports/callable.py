"""A transport that calls the user's own ``async def send(message) -> bool | Outcome``.

The coroutines run on an event loop in a thread of its own, or on the caller's loop when the sender runs in an asyncio
program; the role's thread only hands over messages and takes back results. True and `Outcome.SENT` mean sent; the other
outcomes are :class:`zsms.message.Outcome`'s. False, whatever else comes back and any exception, `SystemExit` and its
like included, mean failed: a user's error costs that message an attempt, never the sender. Failures are counted by
reason.

Messages whose function has not begun hold a lease of the broker's for nothing. So no more are asked for than can begin
in `BEGIN_S`, as far as those before show.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from time import monotonic

import numpy as np

from zsms.core.outcomes import NO_CODES, Finished, Receipts, final
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.errors import UsageError
from zsms.message import Message
from zsms.stats.failures import Failure
from zsms.transports.calls import Calls, Results, Send
from zsms.transports.checking import check_send
from zsms.transports.judging import PLAIN
from zsms.transports.watch import LoopWatch
from zsms.words import many

_log = logging.getLogger("zsms.sender")

BEGIN_S = 0.25
"""Messages that can begin in this time are asked for beyond those that have."""
_TELL_S = 10.0
"""Seconds between two lines on how many sends failed."""
_CLOSE_S = 5.0
"""How long cancelled coroutines may take to end."""
_LEFT_S = 1.0
"""The same of tasks that they have started."""


class CallableTransport:
    """`concurrency` messages at a time through `send`."""

    def __init__(self, send: Send, concurrency: int, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """With `loop`, a running event loop of the caller's, the coroutines run there.

        Raises UsageError for a concurrency below 1, and for a `send` that can't be awaited with a message.
        """
        if concurrency < 1:
            raise UsageError(f"concurrency {concurrency}: give at least 1 slot")
        self.concurrency = concurrency
        self.times = SendTimes.empty()
        self.busy = 0
        self._send: Send = check_send(send)
        self._loop = loop
        self._thread: threading.Thread | None = None
        self._calls: Calls | None = None
        self._watch: LoopWatch | None = None
        self._ending = False
        self._again: set[int] = set()
        """Messages in hand, by their handles, that are sent again when they fail."""
        self._told = (0.0, 0)
        """When failures were last spoken of, and how many there were."""

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the coroutines on this loop of the caller's; call before `open`."""
        if self._loop is None:
            self._loop = loop

    def open(self, wake: Callable[[], None]) -> None:
        """Start the event loop's thread, unless the loop is the caller's."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run_loop, name="zsms-send", daemon=True)
        self._calls = Calls(self._send, self._loop, wake, _log)
        self._watch = LoopWatch(self._calls, self._loop, _log)
        if self._thread is not None:
            self._thread.start()

    def _run_loop(self) -> None:
        """Run the loop until the transport is closed, whatever a function of the user's does to it."""
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        while not self._ending:
            try:
                self._loop.run_forever()
            except BaseException as error:  # such as the SystemExit of a task that the user's function has started
                _log.warning("a task of the send function raised %s; the loop goes on", type(error).__qualname__)

    @property
    def failures(self) -> list[Failure]:
        """Why sends failed."""
        return [] if self._calls is None else self._calls.judge.failures.rows()

    @property
    def blocked_s(self) -> float:
        """Seconds for which the function has kept the loop from turning, as far as they were noticed."""
        return 0.0 if self._watch is None else self._watch.blocked_s

    def room(self, waiting: int) -> int | None:
        """How many more messages to ask for when so many wait already; None: as many as there are slots for."""
        calls = self._calls
        if calls is None:
            return 0
        calls.tell_begun = True  # before the look: what begins after it is told
        could = 1 if calls.begin_s is None else 1 + int(min(BEGIN_S / max(calls.begin_s, 1e-9), 2**31))
        room = could - (calls.taken - calls.begun) - waiting
        calls.tell_begun = room < self.concurrency
        return max(0, room) if calls.tell_begun else None

    def start(self, waiting: Waiting, now: float) -> None:
        """Hand the messages over."""
        assert self._calls is not None
        count = len(waiting.batch)
        self.busy += count
        if (last := waiting.last) is not True:
            self._again.update(waiting.handles[~np.broadcast_to(last, count)].tolist())
        messages = waiting.batch.messages(waiting.attempt, waiting.delivery)
        self._calls.hand_over(_rows(waiting, messages, now), count)

    def finished(self, now: float) -> Finished | None:
        """The messages whose coroutine has returned."""
        assert self._calls is not None and self._watch is not None
        self._watch.poll(now, self.busy)
        parts = self._calls.take()
        if not parts:
            return None
        columns = (
            parts[0] if len(parts) == 1 else Results(*(list(chain(*column)) for column in zip(*parts, strict=True)))
        )
        handles = np.array(columns.handles, dtype=np.uint64)
        codes = np.array(columns.codes, dtype=np.int64)
        ok = codes < 0
        ended = np.array(columns.ended)
        took = (ended - np.array(columns.began)).astype(np.float32)
        self.busy -= len(handles)
        total = (ended - np.array(columns.due)).astype(np.float32)
        outcomes = (codes[~ok] & 255).astype(np.uint8)
        over = ok.copy()
        if len(outcomes):  # one that failed and is sent again is not over yet
            over[~ok] = final(np.array([handle not in self._again for handle in handles[~ok].tolist()]), outcomes)
        self._again.difference_update(columns.handles)
        self.times.ended(handles, took, total, final=over)
        self._log_failures(now)
        if not outcomes.any():
            outcomes = NO_CODES
        if not (~ok).any() or not any(names := self._calls.judge.reasons):
            return Finished(handles[ok], handles[~ok], outcomes)
        return Finished(handles[ok], handles[~ok], outcomes, (codes[~ok] >> 8).astype(np.uint8), names)

    def receipts(self) -> Receipts | None:
        """A function has no way to tell of any."""
        return None

    def _log_failures(self, now: float, last: bool = False) -> None:
        """Say how many sends have failed, now and then."""
        rows = self.failures
        at, told = self._told
        count = sum(row.sends for row in rows)
        if count == told or (now - at < _TELL_S and not last):
            return
        self._told = (now, count)
        if at or last:  # the first of each kind was spoken of when it came
            reasons = ", ".join(f"{row.sends:,} {row.reason}" for row in rows)
            said = all(row.reason in PLAIN for row in rows)  # by the function itself: that is its business
            _log.log(logging.INFO if said else logging.WARNING, "%s failed: %s", many(count, "send"), reasons)

    def next_time(self) -> float | None:
        """`wake` tells; but somebody has to see that the loop turns."""
        return None if self._watch is None else self._watch.next_time(self.busy)

    def close(self) -> None:
        """Cancel what is unfinished."""
        loop, calls, watch = self._loop, self._calls, self._watch
        if loop is None or calls is None or watch is None or loop.is_closed():
            return
        self._log_failures(monotonic(), last=True)
        watch.close()
        if self._thread is None:
            asyncio.run_coroutine_threadsafe(self._cancel(), loop)
            return
        loop.call_soon_threadsafe(loop.set_task_factory, None)  # the function's may make none
        cancelled = asyncio.run_coroutine_threadsafe(self._cancel(), loop)
        try:
            cancelled.result(timeout=_CLOSE_S)
        except TimeoutError:
            _log.warning("send does not end %.0f s after it was cancelled; leaving it behind", _CLOSE_S)
        self._ending = True
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(timeout=_CLOSE_S)
        if not self._thread.is_alive():
            loop.close()

    async def _cancel(self) -> None:
        """End all calls, in the loop's thread."""
        assert self._calls is not None
        await self._calls.cancel()
        if self._thread is None:
            return  # the loop is the caller's, and so are its other tasks
        this = asyncio.current_task()
        left = {task for task in asyncio.all_tasks() if task is not this}
        for task in left:  # that the function has started, and did not wait for
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_LEFT_S)


def _rows(waiting: Waiting, messages: Iterator[Message], now: float) -> Iterator[tuple[int, Message, float]]:
    """Handle, message and when it was due, a message at a time: made as they begin."""
    ages = waiting.ages(now)
    due: Iterator[float] = (
        repeat(now - ages) if isinstance(ages, float) else iter((now - ages.astype(np.float64)).tolist())
    )
    return zip(range(waiting.handle, waiting.handle + len(waiting.batch)), messages, due, strict=False)
