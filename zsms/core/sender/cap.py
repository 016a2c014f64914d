"""A cap in segments a second, kept in every second from the first on; of one sender, or of several that share it.

    room(now, wanted) -> messages that may begin         spend(segments, now)         next_time(now)

A token bucket that fills in `_SMOOTH_S` seconds, so that a look that comes late loses nothing, and a count of the last
second, so that what it catches up never makes more than the cap in any second. It is empty after a rest, but for its
burst: so many segments may go at once then, and the second's count allows for them.

All that it knows is in one array, float64[`room_for(members)`]. Processes of one machine that have that array in
memory which they share, and look at it one at a time, share the cap to the segment: each of them that wants more than
it gets has as much as any other such (start-time fair queueing: P. Goyal and others, SIGCOMM 1996), and what one
leaves the others have. A budget of segments (until somebody sets it anew), and hours in which nothing begins, stand
beside the rate.
"""

from __future__ import annotations

from math import inf

import numpy as np
import numpy.typing as npt

from zsms.errors import UsageError

F64 = npt.NDArray[np.float64]

_BINS = 100
"""A second of them is counted: the one that runs, and those before it."""
_SMOOTH_S = 0.1
_LEAST, _MOST = 1e-6, 1_000_000_000
_AHEAD_S = 0.05
"""Seconds of the rate that are asked for ahead: more than a round trip to the broker, and less than the bucket holds,
so that what comes late is caught up."""
_REST_S = 0.5
"""Who has not asked for so long had nothing to send."""
_QUANTUM_S = 0.02
"""So many seconds of the rate one member may be ahead of another that waits for it."""
_SOON_S = 0.005
"""When to look again at what others may have left, or somebody may have changed."""

OPEN, HELD, CLOSED = 0, 1, 2
"""What the hours say: go on; ask for no more, as it is about to close; begin nothing."""

_RATE, _BURST, _TOKENS, _AT, _BIN, _BUDGET, _GATE, _ASKED, _COUNT, _FIRST = range(10)
_SERVED = _FIRST + _BINS
"""`_COUNT` is the sum of the bins from `_FIRST` on."""


def room_for(members: int) -> int:
    """Numbers that a cap of so many members takes."""
    return _SERVED + 2 * members


class Cap:
    """Of one sender process, or one member's view of a cap that several share."""

    def __init__(self, rate: float, burst: float = 0.0) -> None:
        """`rate` in segments a second, `burst` in segments. Raises UsageError."""
        if not _LEAST <= rate <= _MOST:
            raise UsageError(f"cap {rate}: give segments a second, above 0: from {_LEAST:.6f} to {_MOST:,}")
        if not 0 <= burst <= _MOST:
            raise UsageError(f"burst {burst}: give segments, 0 to {_MOST:,}")
        self._member, self._members, self._sharers = 0, 1, 1
        self._state = fresh(1, rate, burst)

    @classmethod
    def of(cls, state: F64, member: int) -> Cap:
        """The view of one member of a cap that was made by `fresh`, in memory that others may see, too."""
        found = cls.__new__(cls)
        found._state, found._member = state, member
        found._members, found._sharers = (len(state) - _SERVED) // 2, 1
        return found

    @property
    def rate(self) -> float:
        """Segments a second; infinite for a budget, or hours, without a rate."""
        return float(self._state[_RATE])

    @property
    def burst(self) -> float:
        """Segments that may begin at once after a rest."""
        return float(self._state[_BURST])

    @property
    def gate(self) -> int:
        """`OPEN`, `HELD` or `CLOSED`."""
        return int(self._state[_GATE])

    def _advance(self, now: float) -> None:
        state = self._state
        at = state[_AT] if state[_AT] >= 0 else now
        current = int(max(now, at) * _BINS)
        passed = current - int(state[_BIN])
        if passed >= _BINS:
            state[_FIRST:_SERVED] = state[_COUNT] = 0
        elif passed > 0:
            gone = _FIRST + (np.arange(current - passed + 1, current + 1) % _BINS)
            state[_COUNT] -= state[gone].sum()
            state[gone] = 0
        state[_BIN] = max(current, state[_BIN])
        rested = now - state[_ASKED] > _REST_S
        rate, burst = state[_RATE], state[_BURST]
        most = max(1.0, burst, 0.0 if rested else rate * _SMOOTH_S)
        state[_TOKENS] = min(most, state[_TOKENS] + max(0.0, now - at) * rate)
        state[_AT] = max(now, at)

    def _of_second(self) -> float:
        """Segments that this second still has room for."""
        state = self._state
        return float(max(1.0, state[_RATE]) + state[_BURST] - state[_COUNT])

    def room(self, now: float, wanted: float = inf) -> int:
        """Segments that may begin now, of `wanted` that would; at most 2**62."""
        state = self._state
        if state[_RATE] < inf:
            self._advance(now)
            state[_ASKED] = now
            whole = min(state[_TOKENS], self._of_second())
        else:
            whole = inf
        if state[_GATE] == CLOSED:
            whole = 0.0
        whole = min(whole, state[_BUDGET])
        if self._members > 1 and whole < inf:
            whole = min(whole, self._fair(now, wanted, whole))
        return max(0, int(min(whole, 2.0**62) + 1e-9))

    def _fair(self, now: float, wanted: float, whole: float) -> float:
        """What this member may have beside others that wait as well."""
        served = self._state[_SERVED : _SERVED + self._members]
        until = self._state[_SERVED + self._members :]
        others = until > now
        others[self._member] = False
        self._sharers = 1 + int(np.count_nonzero(others))
        if not others.any():
            until[self._member] = now + _SMOOTH_S if wanted > whole else 0.0
            return whole
        rate = self._state[_RATE]
        quantum = max(1.0, rate * _QUANTUM_S) if rate < inf else max(1.0, whole / (4 * self._members))
        least = served[others].min()
        if not until[self._member]:  # it did without until now: that is no claim, and no debt
            served[self._member] = least
        allowed = float(min(whole, least + quantum - served[self._member]))
        until[self._member] = now + _SMOOTH_S if wanted > allowed else 0.0
        return allowed

    def spend(self, segments: int, now: float) -> None:
        """So many segments begin. More than there was room for are a debt, which is paid before anything else."""
        state = self._state
        if state[_RATE] < inf:
            self._advance(now)
            state[_TOKENS] -= segments
            state[_FIRST + int(state[_BIN]) % _BINS] += segments
            state[_COUNT] += segments
        state[_BUDGET] -= segments
        state[_SERVED + self._member] += segments

    def exhausted(self, segments: int) -> bool:
        """Whether the budget has no more so many segments; then it is over until it is set anew."""
        if self._state[_BUDGET] >= segments:
            return False
        self._state[_BUDGET] = min(float(self._state[_BUDGET]), 0.0)
        return True

    def next_time(self, now: float) -> float:
        """When there may be room for one more; `now` when there is."""
        state = self._state
        if state[_RATE] == inf or state[_GATE] or state[_BUDGET] < 1:
            return now + 4 * _SOON_S  # whoever keeps the hours and the budget says no more about it
        self._advance(now)
        missing = max(0.0, 1.0 - float(state[_TOKENS])) / state[_RATE]
        if self._of_second() < 1:
            missing = max(missing, 1.0 / _BINS)
        elif self._members > 1:  # what there is, others may take before, or leave
            missing = max(missing, _SOON_S)
        return now + float(missing)

    def change(self, rate: float, now: float) -> None:
        """Another rate from now on. Raises UsageError."""
        other = Cap(rate, self.burst)
        state = self._state
        self._advance(now)
        state[_RATE] = other.rate
        state[_TOKENS] = min(state[_TOKENS], max(1.0, self.burst, rate * _SMOOTH_S))

    def ahead(self, waiting: int) -> int:
        """How many more messages are worth asking for, when so many wait: this member's part, beside others that wait
        as well, of what may soon begin. What waits here nobody else can begin, whose slots may be free."""
        state = self._state
        if state[_GATE] or state[_BUDGET] < 1:
            return 0
        soon = state[_BUDGET]
        if state[_RATE] < inf:
            soon = min(state[_RATE] * _AHEAD_S + state[_BURST] + 2 * self._sharers, soon)
        return max(0, max(1, int(min(soon / self._sharers, 2.0**62))) - waiting)

    @property
    def shut(self) -> bool:
        """Whether nothing begins until somebody changes the hours or the budget."""
        return bool(self._state[_GATE] == CLOSED or self._state[_BUDGET] < 1)

    def set(self, *, gate: int | None = None, budget: float | None = None) -> None:
        """What the hours say from now on; how many segments there are until the next time."""
        if gate is not None:
            self._state[_GATE] = gate
        if budget is not None:
            self._state[_BUDGET] = budget


def fresh(
    members: int, rate: float | None, burst: float = 0.0, *, budget: float | None = None, gate: int = OPEN
) -> F64:
    """A cap that nobody has used: its array. `rate` None: no more than the budget and the hours say."""
    state = np.zeros(room_for(members))
    state[[_RATE, _BURST, _TOKENS, _AT]] = inf if rate is None else rate, burst, max(1.0, burst), -1.0
    state[[_BUDGET, _GATE, _ASKED]] = inf if budget is None else budget, gate, -inf
    return state
