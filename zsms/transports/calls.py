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
import sysconfig
import threading
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zsms.message import Message, Outcome
from zsms.stats.failures import MAX_EXAMPLE, MAX_REASON, Failures, printable
from zsms.transports.checking import name_of

if TYPE_CHECKING:
    import logging

TURN_S = 0.005
"""A worker lets the loop turn after so long, and what is finished is told after so long."""
_MOST_WORKERS = 64
"""Workers that begin in one turn of the loop, at most."""

PLAIN = ("returned False", *(f"returned {outcome.name}" for outcome in Outcome))
"""The reasons of sends of which the function itself says how they ended."""
SENT = -1
"""How a call that has sent ended; any other is an outcome's code, and 256 times the place of its reason."""


class Said(NamedTuple):
    """What a function of ours says of a send that did not work: its outcome, why, and an example of that."""

    outcome: Outcome
    reason: str
    example: str | None


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
        self.name = name_of(send)
        self.failures = Failures()
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
        self._send = send
        self._loop = loop
        self._wake = wake
        self._log = log
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

    # -- the loop's thread --------------------------------------------------------------------------------------

    def _due(self, since: float) -> None:
        self.thread = threading.get_ident()
        if not self._pumping:
            self._could_begin = since
            self._pump()

    def _pump(self) -> None:
        """Let workers begin, as many as there is reason to."""
        self._look_at_begun()
        self._pumping = bool(self._todo) and not self.closing
        self._turn += 1
        if not self._pumping:
            return
        self._next_is_due = False
        for _ in range(self._workers):
            task = self._loop.create_task(self._work())
            if not task.done():  # it is where the loop's tasks are eager
                self._tasks.add(task)

    def _look_at_begun(self) -> None:
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
                code = SENT if value is True or value is Outcome.SENT else self._judge(value)
            except BaseException as error:
                if self.closing:
                    raise
                code = self._failed(error)
                if _is_for_all(error):
                    self._end(handle, code, began, monotonic(), due)
                    raise
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

    def _judge(self, value: Any) -> int:
        """How a call ended of which came back what is not plainly True."""
        if isinstance(value, Said):
            code, first = self._count(value.reason, lambda: value.example)
            if first:
                self._log.warning("%s%s", value.reason, f": {value.example}" if value.example else "")
            return code + value.outcome.code
        if isinstance(value, bool | np.bool_ | Outcome):
            if value in (True, Outcome.SENT):
                return SENT
            outcome = value if isinstance(value, Outcome) else Outcome.FAILED
            name = value.name if isinstance(value, Outcome) else "False"
            return self._count(f"returned {name}", lambda: None)[0] + outcome.code
        code, first = self._count(f"returned {None if value is None else type(value).__name__}", lambda: repr(value))
        if first:
            self._log.warning(
                "%s returned %s, which is neither a bool nor an Outcome: such a message counts as failed",
                self.name,
                printable(repr(value), 80),
            )
        return code

    def _failed(self, error: BaseException) -> int:
        """How a call ended that has raised."""
        code, first = self._count(f"raised {type(error).__qualname__}", lambda: f"{error} ({place_of(error)})".strip())
        if first:
            self._log.warning(
                "%s raised %s at %s: such a message counts as failed%s",
                self.name,
                printable(f"{type(error).__qualname__}: {error}", 200),
                place_of(error),
                "" if isinstance(error, Exception) else ", and nothing else ends",
            )
            self._log.debug("%s, the first of its kind", self.name, exc_info=error)
        return code

    def _count(self, reason: str, example: Callable[[], str | None]) -> tuple[int, bool]:
        """256 times the place of this reason, and whether it is the first of its kind."""
        reason = printable(reason, MAX_REASON)
        if self.failures.knows(reason):
            first = self.failures.add(reason)
        else:
            said = example()
            first = self.failures.add(reason, 1, None if said is None else printable(said, MAX_EXAMPLE))
        return 256 * self.failures.place(reason), first

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons by their place; empty where the outcome says it all."""
        return tuple("" if name in PLAIN else name for name in self.failures.names)

    async def cancel(self) -> None:
        """End: what is unfinished is cancelled, and its own cleaning up has its turn."""
        self.closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_for_all(error: BaseException) -> bool:
    """Whether more than one message is meant: Ctrl-C where that is heard, or the end of the coroutine itself."""
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    return isinstance(error, GeneratorExit)


def place_of(error: BaseException) -> str:
    """Where it was raised: the innermost line of code that is not this package's or a library's."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return place([(c.co_filename, line, c.co_name) for c, line in frames])


def place(frames: list[tuple[str, int, str]]) -> str:
    """The innermost of these (file, line, function) that is the user's own, in words."""
    own = [frame for frame in frames if not frame[0].startswith(_NOT_THEIRS)]
    if not own:
        return "no line of its own"
    file, line, function = own[-1]
    return f"{os.path.basename(file)}:{line} in {function}"


_FOLDERS = {str(Path(__file__).parent.parent)} | {
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
}
_NOT_THEIRS = (*(f"{folder}{os.sep}" for folder in _FOLDERS), "<frozen")
"""How file names begin of what is not a user's own code."""
