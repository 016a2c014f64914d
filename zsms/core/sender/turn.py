"""One turn of a sender: in which order it collects, begins, shares out its slots and asks, and what it measures.

    collect   what the slots have finished: acknowledgements, which say the new credit too
    begin     what waits, in slots that are free and as far as the cap allows
    look      whether there was more to do than slots
    share     open more slots, share them out over the brokers; then each of them is told its credit

It knows no socket and no clock: whoever turns it hands over `now` and says what it returns.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import inf
from typing import Protocol, Self

import numpy as np

from zsms.carriers.segments import segments_of
from zsms.core.outcomes import Finished
from zsms.core.sender.core import AckFrame
from zsms.core.sender.shares import Shares
from zsms.core.sender.waiting import Waiting
from zsms.message import Outcome
from zsms.stats.histogram import Histogram
from zsms.stats.steady import State, Steady


class SendSlots(Protocol):
    """What a turn needs of a transport (:class:`zsms.transports.Transport`)."""

    @property
    def concurrency(self) -> int:
        """Slots."""

    @property
    def busy(self) -> int:
        """Slots that are sending."""

    def room(self, waiting: int) -> int | None:
        """How many more messages to ask for when `waiting` have not begun; None: as there are slots."""

    def start(self, waiting: Waiting, now: float) -> None:
        """Send these messages; there are no more of them than free slots."""

    def finished(self, now: float) -> Finished | None:
        """What has finished since the last call, None when nothing has."""

    def next_time(self) -> float | None:
        """When `finished` is worth calling unasked."""


class Sleeping(Protocol):
    """Simulated slots, which know more than others: :class:`zsms.transports.simulated.SimulatedTransport`."""

    @property
    def mean(self) -> float:
        """How long a send is asked to take, seconds."""

    def worked(self, now: float) -> float:
        """Slot seconds within the asked time of a send, up to now."""

    def began(self, waiting: Waiting, now: float) -> float:
        """When these messages begin: `start` is to be told next."""

    def ending(self, until: float) -> int:
        """How many slots will be free by then."""

    def start(self, waiting: Waiting, now: float) -> None:
        """Let these messages sleep."""


class Caps(Protocol):
    """What a turn may begin, in segments (:class:`zsms.roles.caps.Caps`)."""

    def __bool__(self) -> bool:
        """Whether there is any cap."""

    @property
    def held(self) -> bool:
        """Whether nothing more is to be asked for until somebody changes hours or budget."""

    def turn(self) -> AbstractContextManager[Self]:
        """`room` and `spend` of one turn, which belong together."""

    def room(self, now: float, wanted: float) -> int:
        """Segments that may begin now."""

    def spend(self, segments: int, now: float) -> None:
        """So many begin."""

    def exhausted(self, segments: int) -> bool:
        """Whether a budget has no more so many segments; then it is over."""

    def next_time(self, now: float) -> float:
        """When there may be room for one more."""

    def ahead(self, waiting: int) -> int | None:
        """How many more messages are worth asking for; None for no such bound."""


class Turn:
    """A sender's turns."""

    def __init__(
        self,
        slots: SendSlots,
        shares: Shares,
        caps: Caps,
        *,
        slept: Sleeping | None = None,
        ahead_s: float = 0.0,
    ) -> None:
        """`slept` are the slots, where they are simulated; others work while they are busy. What ends within `ahead_s`
        seconds is asked for ahead, where that is known.
        """
        self.started = 0
        self.sent = 0
        self.failed = 0
        self.queue_times = Histogram()
        self.late = Histogram()
        """From when a message was due to its first slot."""
        self.steady = Steady(0.0 if slept is None else slept.mean)
        self._slots = slots
        self._shares = shares
        self._caps = caps
        self._most_segments = 1
        """Of a message, of those that have begun here."""
        self._kept_back = -inf
        """When a cap last let less begin than slots were free for: nothing that waited began before."""
        self._slept = slept
        self._ahead_s = ahead_s
        self._collected = -inf
        """When it last looked for what is finished, and what will be soon."""
        self._next_open: float | None = None
        self._looked: float | None = None
        self._busy_s = self._open_s = 0.0
        """Integrals of the busy and of the open slots, slot seconds."""

    def collect(self, now: float) -> Finished | None:
        """What the slots have finished since the last turn, which has to be settled; None when nothing has."""
        self._count_slots(now)
        self._collected = now
        for core in self._shares.cores:
            core.leases.poll(now)
        finished = self._slots.finished(now)
        if self._slept is not None and self._ahead_s:
            # How many slots will be free before a grant that is asked for now can be here.
            self._shares.expect(self._slept.ending(now + self._ahead_s))
        if finished is None:
            return None
        self.sent += len(finished.sent)
        self.failed += len(finished.failed)
        return finished

    def settle(self, finished: Finished) -> list[list[AckFrame]]:
        """By broker: what it is to be told of what has finished."""
        return self._shares.finished(finished)

    def begin(self, now: float) -> list[tuple[Waiting, float]]:
        """Start what waits; what was started, and when each of it began."""
        free = self._free()
        if free <= 0 or not self._shares.waiting_messages:
            return []
        return [(each, self._start(each, now)) for each in self._may_begin(free, now)]

    def _free(self) -> int:
        """Messages that the transport takes now: one that has `free` says it itself."""
        slots = self._slots
        found: int = getattr(slots, "free", slots.concurrency - slots.busy)
        return found

    def _start(self, waiting: Waiting, now: float) -> float:
        slept, count = self._slept, len(waiting.batch)
        began = now if slept is None else max(slept.began(waiting, now), self._kept_back)
        self.started += count
        if self._shares.ours(np.array([waiting.handle], np.uint64)) is None:
            for times, measured in ((self.queue_times, waiting.waited(began)), (self.late, waiting.late(began))):
                if isinstance(measured, float):
                    times.record_one(measured, count)
                elif len(measured):
                    times.record(measured)
        self._slots.start(waiting, began)
        return began

    def _may_begin(self, free: int, now: float) -> list[Waiting]:
        return self._capped(free, now) if self._caps else self._shares.take(free)

    def _capped(self, free: int, now: float) -> list[Waiting]:
        """What may begin of what waits, for so many free slots."""
        taken: list[Waiting] = []
        with self._caps.turn() as caps:
            while free and (left := self._shares.waiting_messages):
                wanted = min(left, free) * self._most_segments
                room = caps.room(now, wanted)
                if room < wanted:
                    self._kept_back = now
                some = self._shares.take(min(free, max(1, room // self._most_segments))) if room else []
                count = self._fitting(some, room, now, taken)
                if not count:
                    break
                free -= count
        return taken

    def _fitting(self, waiting: list[Waiting], room: int, now: float, taken: list[Waiting]) -> int:
        """Add to `taken` what of these there is room for, and spend it; the rest waits on. How many messages that were.

        The first of them always goes, as a debt, for a cap may never have room for all its segments; unless a budget
        has no more so many: that is over then.
        """
        count, rest = 0, []
        for each in waiting:
            segments = np.cumsum(segments_of(each.batch))
            self._most_segments = max(self._most_segments, int(np.diff(segments, prepend=0).max()))
            fits = int(np.searchsorted(segments, room, side="right"))
            if not fits and not count and not self._caps.exhausted(int(segments[0])):
                fits = 1
            if fits:
                taken.append(each.part(0, fits) if fits < len(segments) else each)
                self._caps.spend(int(segments[fits - 1]), now)
                room, count = room - int(segments[fits - 1]), count + fits
            if fits < len(segments):
                rest.append(each.part(fits, len(segments)) if fits else each)
                room = 0
        for each in reversed(rest):
            self._shares.put_back(each)
        return count

    def give_back(self) -> list[list[AckFrame]]:
        """What waits here for hours or for another day, others can have: as throttled, so that it costs no attempt.

        By broker: what it is to be told of it.
        """
        waiting = self._shares.take(self._shares.waiting_messages)
        handles = np.concatenate([each.handles for each in waiting])
        codes = np.full(len(handles), Outcome.THROTTLED.code, np.uint8)
        return self._shares.finished(Finished(np.zeros(0, np.uint64), handles, codes))

    def poll(self, now: float, granted: bool, more: bool) -> None:
        """Whether there is more to do than slots: `granted`, something was just now; `more`, and others are left."""
        if not any(core.live for core in self._shares.cores):
            self.steady.interrupted()
        if granted:
            full = self._slots.busy >= self.open_slots
            self.steady.granted(more, full, State(now, self.worked(now), self._open_s))

    def share(self, now: float) -> bool:
        """Open the slots that are due to open, and share them out; whether brokers are to be asked for a sign of life,
        after each has been told its credit."""
        shares = self._shares
        self._next_open = shares.open(now)
        waiting = shares.waiting_messages
        rooms = [self._slots.room(waiting), self._caps.ahead(waiting)]
        shares.bound(min((room for room in rooms if room is not None), default=None))
        return shares.poll(now)

    def next_time(self, now: float) -> float | None:
        """When the next turn is due, unless a broker speaks before; None when nothing is."""
        times = [at for at in (self._slots.next_time(), self._next_open, self._shares.next_time()) if at is not None]
        ends = self._slots.next_time() if self._ahead_s else None
        if ends is not None and (ahead := ends - self._ahead_s) > self._collected:
            times.append(ahead)
        waits = self._shares.waiting_messages and self._slots.busy < self._slots.concurrency
        if self._caps and (waits or self._caps.held):
            times.append(self._caps.next_time(now))
        return min(times, default=None)

    # -- what it measures -------------------------------------------------------------------------------------

    @property
    def open_slots(self) -> int:
        """Slots that may be busy: all of them, once they have been ramped up."""
        return max(core.open_slots for core in self._shares.cores)

    def worked(self, now: float) -> float:
        """Slot seconds that were worked, up to now."""
        return self._busy_s if self._slept is None else self._slept.worked(now)

    def opened(self, now: float) -> float:
        """Slot seconds that there were, up to now."""
        return self._open_s + (0.0 if self._looked is None else self.open_slots * (now - self._looked))

    def _count_slots(self, now: float) -> None:
        """Between two turns nothing begins, so the slots of the last one were busy and open until now."""
        if self._looked is not None:
            self._busy_s += self._slots.busy * (now - self._looked)
            self._open_s += self.open_slots * (now - self._looked)
        self._looked = now
