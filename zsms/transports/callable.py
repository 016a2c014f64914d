"""A transport that calls the user's own ``async def send(message) -> bool | Outcome``, a task a message.

The coroutines run on an event loop in a thread of its own, or on the caller's loop when the sender runs in an asyncio
program; the role's thread only hands over messages and takes back results. True and `Outcome.SENT` mean sent. False,
`Outcome.FAILED` and any exception mean failed: a user's error costs that message an attempt, never the sender.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeAlias

import numpy as np

from zsms.core.sender import Waiting
from zsms.core.slots import Finished, SendTimes
from zsms.errors import UsageError
from zsms.message import Message, Outcome

Send: TypeAlias = Callable[[Message], Awaitable[bool | Outcome]]

_log = logging.getLogger("zsms.sender")

_CLOSE_S = 5.0
"""How long cancelled coroutines may take to end."""


class CallableTransport:
    """`concurrency` messages at a time through `send`."""

    def __init__(self, send: Send, concurrency: int, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """With `loop`, a running event loop of the caller's, the coroutines run there."""
        if concurrency < 1:
            raise UsageError(f"concurrency {concurrency}: give at least 1 slot")
        self.concurrency = concurrency
        self.times = SendTimes.empty()
        self.busy = 0
        self._send = send
        self._loop = loop
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: deque[tuple[int, bool, float, float]] = deque()
        self._woken = False
        self._wake: Callable[[], None] = lambda: None

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the coroutines on this loop of the caller's; call before `open`."""
        if self._loop is None:
            self._loop = loop

    def open(self, wake: Callable[[], None]) -> None:
        """Start the event loop's thread, unless the loop is the caller's."""
        self._wake = wake
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="zsms-send", daemon=True)
            self._thread.start()

    def start(self, waiting: Waiting, now: float) -> None:
        """A task for each message."""
        assert self._loop is not None
        self.busy += len(waiting.batch)
        ages = np.broadcast_to(np.asarray(waiting.ages(now), dtype=np.float64), (len(waiting.batch),))
        messages = list(waiting.batch.messages(waiting.attempt, waiting.delivery))
        self._loop.call_soon_threadsafe(self._begin, waiting.handle, messages, ages.tolist())

    def _begin(self, handle: int, messages: list[Message], ages: list[float]) -> None:
        for index, (message, age) in enumerate(zip(messages, ages, strict=True)):
            task = asyncio.ensure_future(self._one(handle + index, message, age))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, handle: int, message: Message, age: float) -> None:
        began = monotonic()
        try:
            ok = await self._send(message) in (True, Outcome.SENT)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            _log.warning("send gave up %s by cancelling itself; it counts as failed", message.id)
            ok = False
        except Exception:
            _log.exception("send raised for %s; it counts as failed", message.id)
            ok = False
        took = monotonic() - began
        self._done.append((handle, ok, took, took + age))
        if not self._woken:  # appended first: either `finished` will still see it, or this wakes the role again
            self._woken = True
            self._wake()

    def finished(self, now: float) -> Finished | None:
        """The messages whose coroutine has returned."""
        self._woken = False
        count = len(self._done)
        if not count:
            return None
        rows = [self._done.popleft() for _ in range(count)]
        self.busy -= count
        handles = np.array([row[0] for row in rows], dtype=np.uint64)
        ok = np.array([row[1] for row in rows], dtype=bool)
        took = np.array([row[2] for row in rows], dtype=np.float32)
        self.times.send.record(took)
        self.times.total.record(np.array([row[3] for row in rows], dtype=np.float32))
        self.times.asked += float(took.sum(dtype=np.float64))
        return Finished(handles[ok], handles[~ok])

    def next_time(self) -> float | None:
        """`wake` tells."""
        return None

    def close(self) -> None:
        """Cancel what is unfinished."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        cancelled = asyncio.run_coroutine_threadsafe(self._cancel(), loop)
        if self._thread is None:
            return
        try:
            cancelled.result(timeout=_CLOSE_S)
        except TimeoutError:
            _log.warning("send does not end %.0f s after it was cancelled; leaving it behind", _CLOSE_S)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(timeout=_CLOSE_S)
        if not self._thread.is_alive():
            loop.close()

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # their own cleaning up has its turn
