"""The route behind simulated slots: its own queue, which it sends at its cap, and what becomes of messages after that.

    answer(segments, now) -> Answers       which of the messages whose sends have ended it takes, in their order
    receipts()                             what becomes of those: told at once, with the seconds that it will take

A queue of `queue` seconds holds as many times the cap in segments. A full one refuses ("reject": tried again,
"throttle": tried again without spending an attempt) or takes and loses ("expire"), as :mod:`zsms.plan.exits` has it.
Its level is one number, float64[`STATE`], which processes of one machine share as they share a cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import F32, NO_CODES, U8, Mask, Receipts
from zsms.errors import UsageError
from zsms.message import Delivery, Outcome

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MAX_QUEUE_S = 86_400.0
WHEN_FULL = ("reject", "throttle", "expire")
_REFUSALS = {"reject": Outcome.FAILED, "throttle": Outcome.THROTTLED}

STATE = 5
_USUAL, _RATE, _LEVEL, _AT, _MEMBERS = range(STATE)


@dataclass(frozen=True, slots=True)
class RouteLaw:
    """What a route does with what it is given."""

    cap: float | None = None
    """Segments a second, of all that use it; None: no limit, and no queue."""
    queue: float | None = None
    """Seconds of its cap that it keeps waiting; None: nothing waits."""
    when_full: str = "reject"
    delivered: float = 1.0
    """The share of what it has taken that reaches its handset."""

    @property
    def plain(self) -> bool:
        """Whether there is nothing to simulate: it takes all, and delivers it at once."""
        return self.queue is None and self.delivered >= 1

    def check(self) -> None:
        """Raises UsageError for what can't be."""
        if self.when_full not in WHEN_FULL:
            raise UsageError(f"when full {self.when_full!r}: choose one of {', '.join(WHEN_FULL)}")
        if not 0 < self.delivered <= 1:
            raise UsageError(f"delivered {self.delivered:g}: give a share above 0, up to 1")
        if self.queue is None:
            return
        if not 0 < self.queue <= MAX_QUEUE_S:
            raise UsageError(f"a route's queue of {self.queue:g} s: give seconds above 0, up to a day")
        if self.cap is None:
            raise UsageError("a route's queue needs a cap, in segments a second")
        if self.cap * self.queue < 1:
            raise UsageError(
                f"a route's queue of {self.queue:g} s at {self.cap:g} segments/s holds less than one segment"
            )


def fresh_route(law: RouteLaw, members: int) -> F64:
    """An empty queue for so many processes: its array, float64[STATE]."""
    rate = inf if law.queue is None or law.cap is None else law.cap
    return np.array([rate, rate, 0.0, -1.0, members])


class Answers(NamedTuple):
    """What a route says of n messages."""

    refused: Mask
    """bool[n]: they are to be tried again."""
    code: int
    """As which outcome (:class:`zsms.message.Outcome`)."""


class Route:
    """As one sender sees it."""

    def __init__(self, law: RouteLaw, state: F64 | None = None) -> None:
        """`state` is of `fresh_route`, if it is shared. Raises UsageError."""
        law.check()
        self.law = law
        self.refused = 0
        """Messages that a full queue refused here."""
        self._state = fresh_route(law, 1) if state is None else state
        self._told: list[tuple[U8, F32]] = []

    def answer(self, segments: I64, now: float, rng: np.random.Generator) -> Answers:
        """So many segments each, int64[n], have come to the gateway."""
        state, law = self._state, self.law
        self._drain(now)
        ends = state[_LEVEL] + np.cumsum(segments)
        fits: Mask = np.ones(len(ends), bool) if law.queue is None else ends <= state[_USUAL] * law.queue + 1e-9
        taken = int(fits.sum())
        if law.queue is not None and taken:
            state[_LEVEL] = ends[taken - 1]
        outcomes = np.full(taken, Delivery.DELIVERED.value, np.uint8)
        if law.delivered < 1:
            outcomes[rng.random(taken) >= law.delivered] = Delivery.UNDELIVERED.value
        took = np.minimum(ends[:taken] / state[_RATE], MAX_QUEUE_S).astype(np.float32)
        loses = law.when_full == "expire"
        if loses and taken < len(ends):
            outcomes = np.append(outcomes, np.full(len(ends) - taken, Delivery.EXPIRED.value, np.uint8))
            took = np.append(took, np.full(len(ends) - taken, -1.0, np.float32))
        if len(outcomes):
            self._told.append((outcomes, took))
        refused = np.zeros(len(ends), bool) if loses else ~fits
        self.refused += int(refused.sum())
        return Answers(refused, 0 if loses else _REFUSALS[law.when_full].code)

    def _drain(self, now: float) -> None:
        """What it has sent since the last look."""
        state = self._state
        if state[_AT] >= 0 and state[_RATE] < inf:
            state[_LEVEL] = max(0.0, state[_LEVEL] - max(0.0, now - state[_AT]) * state[_RATE])
        state[_AT] = max(now, state[_AT])

    def change(self, part: float, now: float) -> None:
        """From now on it sends no more than this process's `part` of its cap says, segments a second; 0: as usual."""
        self._drain(now)
        state = self._state
        state[_RATE] = min(state[_USUAL], part * state[_MEMBERS]) if part else state[_USUAL]

    def receipts(self) -> Receipts | None:
        """What becomes of those that it has taken, none of them named; None for nothing new."""
        if not self._told:
            return None
        outcomes, took = (np.concatenate(columns) for columns in zip(*self._told, strict=True))
        self._told = []
        nobody = np.zeros(len(outcomes), np.uint64)
        return Receipts(nobody, nobody, outcomes, took)


def with_refusals(fails: Mask, codes: U8, answers: Answers) -> tuple[Mask, U8]:
    """Whose sends fail in all, bool[n], and the code of each of those (none: plainly, all of them).

    `fails` were drawn to, with `codes` of the same kind; `answers` are of the others.
    """
    if not answers.refused.any():
        return fails, codes
    every = np.full(len(fails), Outcome.FAILED.code, np.uint8)
    if len(codes):
        every[fails] = codes
    places = np.flatnonzero(~fails)[answers.refused]
    every[places] = answers.code
    fails = fails.copy()
    fails[places] = True
    found: U8 = every[fails]
    return fails, NO_CODES if (found == Outcome.FAILED.code).all() else found
