"""What slots do while there is always something to send: the beginning, the tail and idle times left out.

    slots open   |        ______________________________________
                 |    ...|///////// within their asked time ////|...       worked = the shaded area, slot seconds
                 +-------^--------------------------------------^-----> time
                       all filled                  last grant that left a backlog

    efficiency       worked / (open slots x time)        of this window
    sends a second   worked / time / mean time asked

A slot works while it is within the time that its send was asked to take; a send that ends late works no longer for it.
So the share is exact for any delay, in a window of any length, one that begins or ends in the middle of sends: nothing
is counted that would have to come out in whole rounds. (Counting the sends that end in a window of few rounds is off by
up to half a send a slot for constant sends, and has no window without bias for sends that vary much: D. R. Cox,
"Renewal theory", 1962.)

Whether there is more to send only the broker knows: each of its grants says whether it left something in the queue.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

_SHORTEST = 0.2
"""Windows below this share of a mean send are scraps between an arrival and its grant."""


class State(NamedTuple):
    """Where things stand: clock in seconds, and two integrals over it in slot seconds, both since some beginning."""

    now: float
    worked: float
    slots: float


class Steady:
    """The steady windows of one sender, added up."""

    def __init__(self, mean: float) -> None:
        """`mean` is the time that a send is asked to take, seconds."""
        self._mean = mean
        self._done = State(0.0, 0.0, 0.0)
        self._first: float | None = None
        self._last = -inf
        self._backlog_since: float | None = None
        self._begin: State | None = None
        self._end: State | None = None

    def granted(self, more: bool, full: bool, state: State) -> None:
        """A grant arrived; `more`: it left a backlog. `full`: all open slots are busy now."""
        if self._first is None:
            self._first = state.now
        self._last = state.now
        if not more:
            self._done = self._total()
            self._backlog_since = self._begin = self._end = None
            return
        if self._backlog_since is None:
            self._backlog_since = state.now
        if self._begin is not None:
            self._end = state
        elif full or state.now - self._backlog_since >= self._mean:
            self._begin = state

    def _total(self) -> State:
        begin, end = self._begin, self._end
        if begin is None or end is None or end.now - begin.now < self._mean * _SHORTEST:
            return self._done
        return State(*(kept + after - before for kept, before, after in zip(self._done, begin, end, strict=True)))

    @property
    def window(self) -> State:
        """Length of the windows (seconds, as `now`), and what was worked and open in them."""
        return self._total()

    @property
    def span(self) -> float:
        """Seconds from the first grant to the last: steady windows that are little of it stand for nothing."""
        return 0.0 if self._first is None else self._last - self._first
