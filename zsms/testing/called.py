"""A user's coroutine function as a transport in virtual time: the same verdicts as in a run, and no thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import numpy as np

from zsms.core.outcomes import NO_CODES, Finished, Receipts
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.message import Message
from zsms.stats.failures import Failure
from zsms.testing.loop import VirtualLoop
from zsms.transports.calls import Send
from zsms.transports.checking import check_send
from zsms.transports.judging import SENT, Judge

_log = logging.getLogger("zsms.testing")


class CalledTransport:
    """`concurrency` messages at a time through `send`, on a virtual loop."""

    def __init__(self, send: Send, concurrency: int, loop: VirtualLoop) -> None:
        """Raises UsageError for a function that can't be awaited with a message."""
        self.concurrency = concurrency
        self.times = SendTimes.empty()
        self.busy = 0
        self.blocked_s = None
        self._send = check_send(send)
        self._loop = loop
        self._judge = Judge(send, _log)
        self._done: list[tuple[int, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def failures(self) -> Sequence[Failure]:
        """Why sends failed."""
        return self._judge.failures.rows()

    def room(self, waiting: int) -> int | None:
        """Whatever there are slots for."""
        return None

    def open(self, wake: Callable[[], None]) -> None:
        """Nothing to do: it is looked at in every turn."""

    def start(self, waiting: Waiting, now: float) -> None:
        """Call the function for each."""
        messages = waiting.batch.messages(waiting.attempt, waiting.delivery)
        for handle, message in zip(waiting.handles.tolist(), messages, strict=True):
            self.busy += 1
            task = self._loop.create_task(self._call(handle, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _call(self, handle: int, message: Message) -> None:
        try:
            value = await self._send(message)
            code = self._judge.of_value(value)
        except BaseException as error:  # what ends a task costs one message, as in a run
            if self._closed or issubclass(type(error), KeyboardInterrupt):
                raise
            code = self._judge.of_error(error)
        self._done.append((handle, code))

    def finished(self, now: float) -> Finished | None:
        """Those whose call has returned."""
        if not self._done or self._closed:
            return None
        done, self._done = self._done, []
        self.busy -= len(done)
        handles = np.array([handle for handle, _ in done], np.uint64)
        codes = np.array([code for _, code in done], np.int64)
        failed = codes != SENT
        told = codes[failed]
        reasons = self._judge.reasons
        return Finished(
            handles[~failed],
            handles[failed],
            (told & 0xFF).astype(np.uint8),
            (told >> 8).astype(np.uint8) if any(reasons) else NO_CODES,
            reasons if any(reasons) else (),
        )

    def receipts(self) -> Receipts | None:
        """A function tells of none."""
        return None

    def next_time(self) -> float | None:
        """When the loop has something to do."""
        return self._loop.next_time()

    def close(self) -> None:
        """What is unfinished is told to nobody."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
