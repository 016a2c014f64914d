"""Caps that the processes of one machine share: a small file in memory, one array a cap, looked at one at a time.

    header: caps, members | cap 0: float64[room_for(members)] | cap 1 ...          see :mod:`zsms.core.sender.cap`

The queue of a route that several senders share has a place of the same size (:mod:`zsms.core.sender.route`).

A process that is stopped while it looks keeps the others no longer than `_PATIENCE_S`: they go on without it, which may
cost the cap what it was about to take. It holds the file for some microseconds of each turn.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import inf
from typing import Any, Self

import numpy as np

from zsms.core.sender.cap import F64, Cap, room_for
from zsms.core.sender.route import I64, STATE, Answers, Route
from zsms.core.sender.route import RouteLaw as RouteLaw
from zsms.errors import UsageError

_PATIENCE_S = 0.05
_HEADER = 2


class CapFile:
    """The file, opened."""

    def __init__(self, path: str) -> None:
        """Raises UsageError for a file that is none of ours."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            self._map = mmap.mmap(self._file, 0)
            values = np.frombuffer(self._map, np.float64)
            caps, members = (int(value) for value in values[:_HEADER])
            self.states: F64 = values[_HEADER:].reshape(caps, room_for(members))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} holds no caps: {error}") from None

    @classmethod
    def make(cls, path: str, states: Sequence[F64], members: int) -> Self:
        """A new file of these caps, that only this user can read."""
        header = np.array([len(states), members], np.float64)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(np.concatenate([header, *states]).tobytes())
        return cls(path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process looks meanwhile."""
        until = time.monotonic() + _PATIENCE_S
        held = False
        while not held and time.monotonic() < until:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except OSError:
                time.sleep(0.0002)
        try:
            yield
        finally:
            if held:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @property
    def _lock(self) -> int:
        return self._file

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)  # the map goes with the last array that looks into it


class _SharedRoute(Route):
    """One whose queue several processes may look at, each in its turn."""

    def __init__(self, law: RouteLaw, state: F64 | None, turn: Callable[[], AbstractContextManager[Any]]) -> None:
        super().__init__(law, state)
        self._turn = turn

    def answer(self, segments: I64, now: float, rng: np.random.Generator) -> Answers:
        """As of :class:`Route`."""
        with self._turn():
            return super().answer(segments, now, rng)

    def change(self, part: float, now: float) -> None:
        """As of :class:`Route`."""
        with self._turn():
            super().change(part, now)


class Caps:
    """What a sender may begin: by a cap of its own, and by those that it shares."""

    def __init__(self, own: Cap | None, shared: str | None = None, law: RouteLaw | None = None) -> None:
        """`shared`: PATH:MEMBER:CAP,CAP:ROUTE of a :class:`CapFile`. `law` is what the route does, if it does anything;
        without a place in the file its queue is this sender's own. Raises UsageError."""
        self.own = own
        self._file: CapFile | None = None
        self._caps: list[Cap] = []
        state = None
        if shared is not None:
            try:
                path, member, places, route = shared.rsplit(":", 3)
                self._file = CapFile(path)
                states = self._file.states
                self._caps = [Cap.of(states[int(place)], int(member)) for place in places.split(",") if place]
                state = states[int(route), :STATE] if route else None
            except (ValueError, IndexError):
                raise UsageError(f"caps {shared!r}: write PATH:MEMBER:CAP,CAP:ROUTE of a file of caps") from None
        self.route = None if law is None or law.plain else _SharedRoute(law, state, self.turn)

    @classmethod
    def made(
        cls, cap: float | None, burst: float, shared: str | None, law: RouteLaw | None, *, simulated: bool
    ) -> Self:
        """Of what a sender is asked for: with a route's queue the cap is the route's. Raises UsageError."""
        if law is not None and not law.plain and not simulated:
            raise UsageError("a route is simulated behind simulated slots only: a gateway has a queue of its own")
        queued = law is not None and law.queue is not None
        return cls(None if cap is None or queued else Cap(cap, burst), shared, law)

    def __bool__(self) -> bool:
        return self.own is not None or bool(self._caps)

    @property
    def _all(self) -> list[Cap]:
        return self._caps if self.own is None else [*self._caps, self.own]

    @contextmanager
    def turn(self) -> Iterator[Self]:
        """`room` and `spend` of one turn, which belong together."""
        if self._file is None:
            yield self
            return
        with self._file.alone():
            yield self

    def room(self, now: float, wanted: float = inf) -> int:
        """Segments that may begin now."""
        room = 2**62
        for cap in self._all:
            room = min(room, cap.room(now, min(wanted, room)))
        return room

    def spend(self, segments: int, now: float) -> None:
        """So many segments begin."""
        for cap in self._all:
            cap.spend(segments, now)

    def exhausted(self, segments: int) -> bool:
        """Whether a budget has no more so many segments; then it is over."""
        return any(cap.exhausted(segments) for cap in self._all)

    def next_time(self, now: float) -> float:
        """When there may be room for one more."""
        return max((cap.next_time(now) for cap in self._all), default=now)

    def ahead(self, waiting: int) -> int | None:
        """How many more messages are worth asking for; None for no such bound."""
        return min((cap.ahead(waiting) for cap in self._all), default=None)

    @property
    def shut(self) -> bool:
        """Whether nothing begins until somebody changes the hours or the budget."""
        return any(cap.shut for cap in self._caps)

    @property
    def held(self) -> bool:
        """Whether nothing more is to be asked for until then."""
        return any(cap.gate or cap.shut for cap in self._caps)

    def change(self, rate: float, now: float) -> None:
        """Another cap of its own, segments a second; 0: none. Where a route has a queue, that is drained at no more
        than as many from each of its senders. Raises UsageError."""
        if self.route is not None and self.route.law.queue is not None:
            self.route.change(rate, now)
        elif not rate:
            self.own = None
        elif self.own is None:
            self.own = Cap(rate)
        else:
            self.own.change(rate, now)

    def close(self) -> None:
        """Let go of what is shared."""
        if self._file is not None:
            self._file.close()
