"""Calls of a user's coroutine function on an event loop, as few tasks as it needs.

A *worker* is a task that calls the function for one message after another. It goes on only while a call is as if it had
a task of its own: it has returned without waiting for anything, has not cancelled the task, and has left the context
variables as they were. Otherwise another worker takes the next message:

    pump --> worker: call, call, call ... --nothing left, or 5 ms are over--> flush
      ^        |
      |        +-- waits: the pump, which is due in the loop's next turn, lets others begin: 1, 2, 4 ... 64 a turn
      +--------+

So a function that returns at once costs no task, and one that blocks lets the loop turn after every message. Everything
here runs in the loop's thread but `hand_over`, `take` and the figures that are read.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from zsms.message import Message, Outcome
from zsms.transports.judging import SENT, Judge, place

if TYPE_CHECKING:
    import logging

_forks = 0
"""How many forks lie between the first process and this one. One that is a fork of who made its calls has the copy of a
loop, and nothing to do with it."""


def _note_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_note_fork)

TURN_S = 0.005
"""A worker lets the loop turn after so long, and what is finished is told after so long."""
_MOST_WORKERS = 64
"""Workers that begin in one turn of the loop, at most."""

Send = Callable[[Message], Awaitable[bool | Outcome]]


class Results(NamedTuple):
    """Calls that have ended, a column each."""

    handles: list[int]
    codes: list[int]
    began: list[float]
    ended: list[float]
    due: list[float]


class Calls:
    """The messages whose function has not begun, and the workers that call it."""

    def __init__(
        self, send: Send, loop: asyncio.AbstractEventLoop, wake: Callable[[], None], log: logging.Logger
    ) -> None:
        self.judge = Judge(send, log)
        self.taken = 0
        """Messages handed over."""
        self.begun = 0
        """Messages whose function was called."""
        self.first_steps = 0
        self.first_steps_s = 0.0
        """Calls that returned without waiting, and the seconds that they kept the loop."""
        self.begin_s: float | None = None
        """Seconds from when a message could begin to when it has, for each; None before the first."""
        self.thread: int | None = None
        """The loop's thread."""
        self.tell_begun = False
        """Wake the role when calls have begun, too."""
        self.closing = False
        self._forks = _forks
        self._send = send
        self._loop = loop
        self._wake = wake
        self._todo: deque[Iterator[tuple[int, Message, float]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: deque[Results] = deque()
        self._open = Results([], [], [], [], [])
        self._turn = 0
        """Counts the pump's turns: a call that sees it change has waited."""
        self._pumping = False
        self._next_is_due = False
        self._seen = 0
        self._at_once = False
        """Calls of this turn have returned without waiting."""
        self._workers = 1
        self._flushing = False
        self._flushed = 0.0
        self._could_begin = 0.0

    # -- the role's thread --------------------------------------------------------------------------------------

    def hand_over(self, rows: Iterator[tuple[int, Message, float]], count: int) -> None:
        """Call the function for these `count` messages: handle, message, and when it was due."""
        self.taken += count
        self._todo.append(rows)
        self._loop.call_soon_threadsafe(self._due, monotonic())

    def take(self) -> list[Results]:
        """What has ended since the last call."""
        return [self._ready.popleft() for _ in range(len(self._ready))]

    def where_one_waits(self) -> str:
        """At which line of the user's a call waits."""
        frames = []
        at: Any = next((task.get_coro() for task in list(self._tasks)), None)
        while (frame := getattr(at, "cr_frame", None)) is not None:
            frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            at = at.cr_await
        return place(frames)

    # -- the loop's thread --------------------------------------------------------------------------------------

    def _due(self, since: float) -> None:
        self.thread = threading.get_ident()
        if not self._pumping:
            self._could_begin = since
            self._pump()

    def _pump(self) -> None:
        """Let workers begin, as many as there is reason to."""
        self._measure_begun()
        self._pumping = bool(self._todo) and not self.closing
        self._turn += 1
        if not self._pumping:
            return
        self._next_is_due = False
        for _ in range(self._workers):
            # By no factory of the function's: that may make tasks that begin at once, or none.
            self._tasks.add(asyncio.Task(self._work(), loop=self._loop))

    def _measure_begun(self) -> None:
        """How long it takes to begin, and how many workers the next turn should have."""
        count = self.begun - self._seen
        if not count:
            return
        self._seen = self.begun
        now = monotonic()
        each = (now - self._could_begin) / count
        self.begin_s = each if self.begin_s is None else (each + self.begin_s) / 2
        self._could_begin = now
        self._workers = 1 if self._at_once else min(2 * self._workers, _MOST_WORKERS)
        self._at_once = False
        if self._open.handles:  # of a worker whose next call waits
            self._flush(now)
        elif self.tell_begun:
            self._wake()

    async def _work(self) -> None:
        if not self._next_is_due:  # before any call can wait, so that the pump runs before that call goes on
            self._next_is_due = True
            self._loop.call_soon(self._pump)
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._call_all(task, self._turn)
        finally:
            self._tasks.discard(task)

    async def _call_all(self, task: asyncio.Task[Any], turn: int) -> None:
        """Call the function until a call waits, leaves a trace, or the loop should turn."""
        send, todo, clean = self._send, self._todo, copy_context()
        handles, codes, begins, ends, dues = self._open
        began = entered = monotonic()
        count = 0
        while todo and turn == self._turn:
            try:
                handle, message, due = next(todo[0])
            except StopIteration:
                todo.popleft()
                continue
            self.begun += 1
            try:
                value = await send(message)
                code = SENT if value is True or value is Outcome.SENT else self.judge.of_value(value)
            except BaseException as error:
                if self.closing:
                    raise
                if _forks != self._forks:
                    os._exit(1)
                code = self.judge.of_error(error)
                kind = type(error)  # not what it says of itself: that is the user's too, and may fail
                if issubclass(kind, GeneratorExit):  # the function's, or the end of this coroutine: it may just end
                    self._end(handle, code, began, monotonic(), due)
                    return
                if _is_for_all(kind):
                    self._end(handle, code, began, monotonic(), due)
                    raise
            if _forks != self._forks:  # by the function, and it has come back here: every message would be sent by both
                os._exit(0)
            ended = monotonic()
            if turn != self._turn:  # it has waited, and others were let begin meanwhile
                self._end(handle, code, began, ended, due)
                return
            count += 1
            handles.append(handle)
            codes.append(code)
            begins.append(began)
            ends.append(ended)
            dues.append(due)
            began = ended
            if ended - entered > TURN_S or task.cancelling() or copy_context() != clean:
                break
        if count:
            self._at_once = True
            self.first_steps += count
            self.first_steps_s += began - entered
            self._flush(began)

    def _end(self, handle: int, code: int, began: float, ended: float, due: float) -> None:
        """A call that has waited is over."""
        done = self._open
        done.handles.append(handle)
        done.codes.append(code)
        done.began.append(began)
        done.ended.append(ended)
        done.due.append(due)
        if ended - self._flushed > TURN_S:
            self._flush(ended)
        elif not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        self._flush(monotonic())

    def _flush(self, now: float) -> None:
        """Tell the role what has ended."""
        self._flushed = now
        if self._open.handles:
            done = self._open
            self._ready.append(Results(done.handles[:], done.codes[:], done.began[:], done.ended[:], done.due[:]))
            for column in done:
                column.clear()
        self._wake()

    async def cancel(self) -> None:
        """End: what is unfinished is cancelled, and its own cleaning up has its turn."""
        self.closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_for_all(kind: type[BaseException]) -> bool:
    """Whether more than one message is meant: Ctrl-C, where that is heard."""
    return issubclass(kind, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
