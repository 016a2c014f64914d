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

from typing import NamedTuple

_SHORTEST = 0.2
"""Windows below this share of a mean send are scraps between an arrival and its grant."""


class State(NamedTuple):
    """Where things stand: clock in seconds, and two integrals over it in slot seconds, both since some beginning."""

    now: float
    worked: float
    slots: float


class Steady:
    """The longest steady window of one sender.

    Arrivals near the capacity leave a backlog now and then, and a broker that restarts leaves none for a while: only
    the longest stretch counts, and whoever reads it compares what was worked in it with all that was worked.
    """

    def __init__(self, mean: float) -> None:
        """`mean` is the time that a send is asked to take, seconds."""
        self._mean = mean
        self._best = State(0.0, 0.0, 0.0)
        self._backlog_since: float | None = None
        self._begin: State | None = None
        self._end: State | None = None

    def granted(self, more: bool, full: bool, state: State) -> None:
        """A grant arrived; `more`: it left a backlog. `full`: all open slots are busy now."""
        if not more:
            self.interrupted()
            return
        if self._backlog_since is None:
            self._backlog_since = state.now
        if self._begin is not None:
            self._end = state
        elif full or state.now - self._backlog_since >= self._mean:
            self._begin = state

    def interrupted(self) -> None:
        """The backlog is over, or nobody says any more whether there is one."""
        self._best = self.window
        self._backlog_since = self._begin = self._end = None

    @property
    def window(self) -> State:
        """Length of the longest window (seconds, as `now`), and what was worked and open in it."""
        begin, end = self._begin, self._end
        if begin is None or end is None or end.now - begin.now < max(self._mean * _SHORTEST, self._best.now):
            return self._best
        return State(*(after - before for before, after in zip(begin, end, strict=True)))
