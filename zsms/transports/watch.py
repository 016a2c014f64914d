"""Sees that an event loop does not turn, and which line of whose function keeps it.

The role's thread asks the loop for a sign of life twice a second while there is work. One that does not come in half a
second means that something blocks the loop: then the stack of the loop's thread says what. A function that blocks for a
shorter time, but again and again, is seen by the share of the time that its calls take before they return. One that
waits for ever keeps no loop, but its slots: of that the line is told at which the oldest call waits.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from time import monotonic

from zsms.transports.calls import Calls
from zsms.transports.judging import place
from zsms.words import many

BEAT_S = 0.5
"""Seconds between two signs of life."""
BLOCKED_S = 0.5
"""A loop that gives none for so long is blocked."""
LOOK_S = 1.0
"""Over so long the calls' share of the time is taken."""
HANGING_S = 30.0
"""When no call has begun or ended for so long, that is told."""
_SHARE = 0.5
_STEP_S = 0.005
"""Calls block when they take that share of the time, and that many seconds each."""
_ADVICE = "no other message of this sender goes on meanwhile: await what takes time, or give it to asyncio.to_thread"


class LoopWatch:
    """Of one event loop; all methods are for the role's thread."""

    def __init__(self, calls: Calls, loop: asyncio.AbstractEventLoop, log: logging.Logger) -> None:
        self.blocked = 0
        """How often the loop was found blocked."""
        self.blocked_s = 0.0
        """For how many seconds in all."""
        self._calls = calls
        self._loop = loop
        self._log = log
        self._asked: float | None = None
        self._answered: float | None = None
        self._next = 0.0
        self._said = False
        self._noticed = False
        self._window: tuple[float, int, float] | None = None
        self._still: tuple[int, int] | None = None
        """Calls that had begun, and messages in the loop's hands, when one of both changed last."""
        self._still_at: float | None = None
        """When that was; None: it was told of."""

    def _answer(self) -> None:
        self._answered = monotonic()

    def next_time(self, busy: int) -> float | None:
        """When `poll` has something to do."""
        if self._asked is not None:
            return self._next if self._noticed else self._asked + BLOCKED_S
        return self._next if busy else None

    def poll(self, now: float, busy: int) -> None:
        """Ask for a sign of life, and say what keeps it. `busy`: messages in the loop's hands."""
        if now < self._next and self._asked is None:
            return
        self._check_steps(now)
        self._check_hanging(now, busy)
        if self._asked is not None:
            if self._answered is None:
                if now - self._asked >= BLOCKED_S:
                    self._next = now + BEAT_S
                    self._notice(now - self._asked)
                return
            took = self._answered - self._asked
            if took >= BLOCKED_S:
                self._notice(took)
                self.blocked += 1
                self.blocked_s += took
            self._asked = self._answered = None
            self._noticed = False
        self._next = now + BEAT_S
        if busy:
            self._asked = now
            self._loop.call_soon_threadsafe(self._answer)

    def _notice(self, seconds: float) -> None:
        if self._noticed:
            return
        self._noticed = True
        if not self._said:
            self._said = True
            self._log.warning(
                "%s blocks its event loop: %s has kept it for %.1f s; %s",
                self._calls.judge.name,
                self._where(),
                seconds,
                _ADVICE,
            )

    def _where(self) -> str:
        """What the loop's thread is doing, the line of the user's own code first."""
        frame = sys._current_frames().get(self._calls.thread or 0)
        frames = [(f.f_code.co_filename, line, f.f_code.co_name) for f, line in traceback.walk_stack(frame)]
        return place(frames[::-1]) if frame is not None else "something"

    def _check_steps(self, now: float) -> None:
        calls = self._calls
        if self._window is None:
            self._window = (now, calls.first_steps, calls.first_steps_s)
        began, steps, seconds = self._window
        if now - began < LOOK_S:
            return
        self._window = (now, calls.first_steps, calls.first_steps_s)
        steps, seconds = calls.first_steps - steps, calls.first_steps_s - seconds
        if not steps or seconds < _SHARE * (now - began) or seconds < _STEP_S * steps:
            return
        self.blocked += steps
        self.blocked_s += seconds
        if not self._said:
            self._said = True
            self._log.warning(
                "%s blocks its event loop: %s kept it for %.3f s each; %s",
                calls.judge.name,
                many(steps, "call"),
                seconds / steps,
                _ADVICE,
            )

    def _check_hanging(self, now: float, busy: int) -> None:
        if self._still != (self._calls.begun, busy):
            self._still, self._still_at = (self._calls.begun, busy), now
        elif busy and self._still_at is not None and now - self._still_at >= HANGING_S:
            self._still_at = None
            self._log.warning(
                "%s does not return: %s for %.0f s, one waits at %s; give what it waits for a time limit, as with "
                "asyncio.timeout",
                self._calls.judge.name,
                many(busy, "message has waited", "messages have waited"),
                HANGING_S,
                self._calls.where_one_waits(),
            )

    def close(self) -> None:
        """Say what it came to."""
        if self.blocked:
            self._log.warning(
                "%s has blocked its event loop %s, for %.1f s in all",
                self._calls.judge.name,
                many(self.blocked, "time"),
                self.blocked_s,
            )
