"""A sender's side of its session with a broker: what it holds, its credit, and what it has to say.

    joining()                       the broker is being told who we are; what it grants from here on is new
    welcomed(acked) -> [frame]      the broker knows us; say these again, they were lost
    granted(...)                    messages arrived; they wait until a slot is free
    take(most) -> [waiting]         messages for that many free slots
    finished(done) -> [frame]       their slots are done: acknowledgements, with the new credit
    renew()                         the broker gave this session up: begin another
    look(now)                       time passes: open more slots, while they are being ramped up

Credit is absolute and cumulative, in messages of this session: ``settled + open slots + prefetch``, and no more than
``received + room`` where messages may be slow to begin. So the sender never
holds more than its slots and its prefetch, and a repeated or lost frame of credit does no harm. Where it is known that
more slots than that will be free in a moment (simulated ones that began together), `extra` more are prefetched. A slot
that is busy with a message of an earlier session is no credit.

A handle is ``epoch << 48 | number``: `epoch` counts the sessions of this sender. Messages of a session that was
given up go on being sent in their slots and are acknowledged to it, late; the broker counts those as duplicates.

A sender of several brokers has one of these for each; `share` then bounds the slots and prefetch that this one may
promise (see :mod:`zsms.core.sender.shares`). A promise can be made smaller, but only counts as such when the broker has
answered, or when a new join has made void what it grants by the old one: `promised` is the most that may still come.

    limit said  100 ----------> 60                          `reach` stays 100, for grants may be under way
                     PONG: has the frame that said so ----> `reach` 60
                     joining() --------------------------> `reach` = received
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import NO_CODES, U8, Finished
from zsms.core.seeds import Seed
from zsms.message import MAX_BATCH_MESSAGES, Batch, Mixed

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Moments = F64 | float
"""Of each of some messages, or one for all: seconds of our own clock."""
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

_EPOCH_SHIFT = 48
_EPOCH = np.uint64(_EPOCH_SHIFT)
_LAST_EPOCH = 0xFFFF
_NUMBER_MASK = np.uint64((1 << _EPOCH_SHIFT) - 1)
_NOTHING = np.zeros(0, dtype=np.uint32)


UNBOUNDED = 2**62
"""A share that bounds nothing."""
RAMP_STEPS = 100
"""In how many steps, about, a ramp opens the slots."""


class AckFrame(NamedTuple):
    """An acknowledgement to send: the fields of :class:`zsms.wire.frames.Ack`."""

    session: int
    number: int
    limit: int
    base: int
    sent: U32
    failed: U32
    outcomes: U8 = NO_CODES
    reasons: U8 = NO_CODES
    names: tuple[str, ...] = ()
    """What `reasons` are places in; empty where there are none."""


@dataclass(slots=True)
class Waiting:
    """Granted messages that wait for a slot; times in seconds of our own clock."""

    handle: int
    """Of the first message; the others follow."""
    batch: Batch | Mixed
    queued: float
    """Since when they waited in the broker's queue; mixed ones say it themselves, as their attempt."""
    clock: float
    """The broker's clock minus ours, for `batch.due`."""
    attempt: int
    delivery: int
    attempts: int = 1
    """Sends of a message before a failure is final."""
    arrived: float = -inf
    """When they came here."""

    @property
    def last(self) -> npt.NDArray[np.bool_] | bool:
        """Whether a failure of each message would be final, bool[n]: one answer for all that are alike."""
        if isinstance(self.batch, Mixed):
            last: npt.NDArray[np.bool_] = self.batch.rows["attempt"] >= self.attempts
            return last
        return self.attempt >= self.attempts

    @property
    def handles(self) -> U64:
        """A handle a message, uint64[n]."""
        return np.arange(self.handle, self.handle + len(self.batch), dtype=np.uint64)

    def ages(self, at: Moments) -> F32 | float:
        """How long each message had been due at its moment, in seconds: one figure when it was the same for all."""
        batch = self.batch
        if isinstance(batch, Mixed):
            return _narrow(at + self.clock - batch.rows["due"])
        age = at - (batch.due - self.clock)
        if not batch.step:
            return _narrow(age)
        offsets = np.arange(len(batch)) if batch.offsets is None else batch.offsets
        return _narrow(age - offsets * batch.step)

    def late(self, at: Moments) -> F32 | float:
        """`ages` of the messages that no sender had before, the only ones that a slot was late for."""
        if isinstance(self.batch, Mixed):
            rows = self.batch.rows
            ages = at + self.clock - rows["due"]
            return _narrow(ages[(rows["attempt"] == 1) & (rows["delivery"] == 1)])
        return self.ages(at) if self.attempt == self.delivery == 1 else np.zeros(0, dtype=np.float32)

    def waited(self, at: Moments) -> F32 | float:
        """How long each message had been queued at its moment, in seconds: one figure when it was the same for all."""
        if isinstance(self.batch, Mixed):
            return _narrow(np.maximum(at + self.clock - self.batch.rows["queued"], 0.0))
        return max(0.0, at - self.queued) if isinstance(at, float) else _narrow(np.maximum(at - self.queued, 0.0))

    def part(self, begin: int, end: int) -> Waiting:
        """Messages begin..end-1."""
        return Waiting(
            self.handle + begin,
            self.batch.slice(begin, end),
            self.queued,
            self.clock,
            self.attempt,
            self.delivery,
            self.attempts,
            self.arrived,
        )


@dataclass(slots=True)
class _Session:
    """One session, from our side."""

    token: int
    join: int = 0
    received: int = 0
    settled: int = 0
    in_slots: int = 0
    number: int = 0
    """Of the next acknowledgement frame."""
    unacked: deque[AckFrame] = field(default_factory=deque)
    """Frames that the broker has not yet said it has."""
    welcomed: bool = False
    """Since the last join. Before, a new frame would overtake those that the wire lost, and pass for all of them."""


class SenderCore:
    """The sender's half of credit and acknowledgement, for one broker."""

    def __init__(
        self,
        slots: int,
        prefetch: int,
        seed: Seed = None,
        ramp: float = 0.0,
        *,
        place: int = 0,
        places: int = 1,
    ) -> None:
        """`slots` and `prefetch` in messages. The seed only draws the sessions' tokens.

        This is the core for broker `place` of `places`: its epochs are those that leave this rest.

        The slots are opened evenly over the first `ramp` seconds. Slots that begin together end together, and a
        million at once is a burst that no machine serves in time.
        """
        self.slots = slots
        self.prefetch = prefetch
        self.open_slots = 0 if ramp else slots
        self.share = UNBOUNDED
        """Messages that this broker may have given us at most, whatever our slots."""
        self.room = UNBOUNDED
        """Messages beyond those received that may be asked for, whatever our slots: what can soon begin."""
        self.attempts = 1
        """Sends of a message before the broker gives it up."""
        self._ramp = ramp
        self._ramp_began: float | None = None
        self.draining = False
        """Ask for nothing more."""
        self.extra = 0
        """Messages to prefetch, for now, beside those of `prefetch` and beyond the share."""
        self.waiting_messages = 0
        self.refused_grants = 0
        """Grants of an earlier join or session, or out of order: not ours to send."""
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self._waiting: deque[Waiting] = deque()
        self._sessions: dict[int, _Session] = {}
        self._place = place
        self._places = places
        self._epoch = place - places
        self._told_limit = -1
        self._reach = 0
        self._lowered_by: int | None = None
        self._since = 0
        self._asked: tuple[int, int, float] | None = None
        self._in_force: int | None = None
        self.thirsty = True
        """Whether the broker has, as far as we know, made use of all the credit that it had."""
        self.renew()

    # -- the session ----------------------------------------------------------------------------------------

    def renew(self) -> int:
        """Begin a new session. What waits is dropped, for others have it; returns how many messages that was."""
        for epoch in [e for e, s in self._sessions.items() if not s.in_slots]:
            del self._sessions[epoch]
        self._epoch += self._places
        if self._epoch > _LAST_EPOCH:
            self._epoch = self._place
        self._now = _Session(token=int(self._rng.integers(1, 2**63)))
        self._sessions[self._epoch] = self._now
        self._told_limit = -1
        self._void()
        dropped, self.waiting_messages = self.waiting_messages, 0
        self._waiting.clear()
        return dropped

    @property
    def token(self) -> int:
        """Names the session on the wire."""
        return self._now.token

    @property
    def join(self) -> int:
        """How often this session has joined."""
        return self._now.join

    @property
    def received(self) -> int:
        """Messages of this session received."""
        return self._now.received

    @property
    def held(self) -> int:
        """Messages held: in slots, of any session, and waiting."""
        return self.in_slots + self.waiting_messages

    @property
    def in_slots(self) -> int:
        """Messages in slots, of any session."""
        return sum(session.in_slots for session in self._sessions.values())

    @property
    def live(self) -> bool:
        """Whether the broker knows us: it has welcomed the last join."""
        return self._now.welcomed

    def joining(self) -> None:
        """The broker is being told who we are; what it granted before counts no more unless it has arrived."""
        self._now.join += 1
        self._now.welcomed = False
        self._void()

    def _void(self) -> None:
        """What was promised and has not arrived never will."""
        self._reach = self._now.received
        self._lowered_by = None
        self._asked = self._in_force = None
        self.thirsty = True

    def welcomed(self, acked: int, another: bool = False) -> list[AckFrame]:
        """The broker knows the session and expects acknowledgement frame `acked`: what to say (again).

        `another`: it is another start of the broker than the one that welcomed this sender before, and counts anew.
        """
        session = self._now
        if another and not session.received:
            # Nothing was settled, and so nothing can be missing: the broker takes whatever number comes first.
            session.unacked.clear()
        self.acknowledged(acked)
        session.welcomed = True
        before = list(session.unacked)
        last = self._frame()
        # Their old limits may promise what others have been given since.
        return [*(frame._replace(limit=min(frame.limit, last.limit)) for frame in before), last]

    def acknowledged(self, acked: int) -> None:
        """The broker has every acknowledgement frame below `acked`."""
        unacked = self._now.unacked
        while unacked and unacked[0].number < acked:
            unacked.popleft()
        if self._lowered_by is not None and acked > self._lowered_by:
            self._lower()

    def _lower(self) -> None:
        """The broker knows a limit below the `reach`: what it may have granted by a greater one has arrived."""
        session = self._now
        self._reach = max(self._since, session.received)
        # What was said since may be lower still: known with the newest frame, however many are under way.
        self._lowered_by = session.number - 1 if self._told_limit < self._reach else None
        self._since = self._told_limit

    def asked(self, now: float = 0.0) -> None:
        """The broker is being asked for a sign of life (PING), after everything that was said before."""
        if self._asked is None:  # the answer may take longer than the next question
            self._asked = self._now.number, self._told_limit, now

    def answered(self, acked: int, asked_at: float = -inf) -> bool:
        """Its answer (PONG) to what was asked then; False when it lacks what was said before: that was lost on its way.

        What the broker could grant under a limit that it knew when it answered the time before has arrived by now, for
        it grants at once and in order. So it had nothing more for us unless that limit was reached.
        """
        self.acknowledged(acked)
        if self._asked is None:
            return True
        if acked < self._asked[0]:
            return asked_at < self._asked[2]
        self.thirsty = self._in_force is None or self._now.received >= self._in_force
        self._in_force, self._asked = self._asked[1], None
        return True

    def look(self, now: float) -> float | None:
        """Open the slots that are due to open; returns when there will be more, None when all are open."""
        if self.open_slots == self.slots:
            return None
        if self._ramp_began is None:
            self._ramp_began = now
        elapsed = now - self._ramp_began
        self.open_slots = min(self.slots, int(self.slots * elapsed / self._ramp) + 1)
        return now + self._ramp / RAMP_STEPS

    # -- messages in ------------------------------------------------------------------------------------------

    def granted(
        self,
        token: int,
        join: int,
        base: int,
        attempt: int,
        delivery: int,
        queued: float,
        clock: float,
        batch: Batch | Mixed,
        *,
        arrived: float,
    ) -> bool:
        """Messages arrived, numbers `base` on. False when they are not ours: stale, or with a gap before them."""
        session = self._now
        if token != session.token or join != session.join or base != session.received:
            self.refused_grants += 1
            return False
        session.received += len(batch)
        handle = self._epoch << _EPOCH_SHIFT | base
        self._waiting.append(Waiting(handle, batch, queued, clock, attempt, delivery, self.attempts, arrived))
        self.waiting_messages += len(batch)
        return True

    def take(self, most: int) -> list[Waiting]:
        """Remove up to `most` waiting messages, for slots that are free now."""
        taken: list[Waiting] = []
        while most > 0 and self._waiting:
            front = self._waiting[0]
            size = len(front.batch)
            if size > most:
                self._waiting[0] = front.part(most, size)
                front = front.part(0, most)
                size = most
            else:
                self._waiting.popleft()
            most -= size
            self.waiting_messages -= size
            self._now.in_slots += size
            taken.append(front)
        return taken

    # -- acknowledgements and credit out ----------------------------------------------------------------------

    @property
    def limit(self) -> int:
        """The credit: how many messages of this session we are ready to have been granted in all."""
        session = self._now
        if self.draining:
            return session.received
        elsewhere = self._elsewhere
        room = max(self.open_slots - elsewhere, 0) + self.prefetch
        share = self.share - elsewhere
        limit = session.settled + (room if room <= share else max(share, 0)) + self.extra
        return min(limit, session.received + self.room)

    @property
    def promised(self) -> int:
        """Messages that are held, or that the broker may still give us by what it was told."""
        session = self._now
        return self._reach - session.settled + self._elsewhere

    @property
    def _elsewhere(self) -> int:
        """Messages of earlier sessions that are still in slots."""
        return 0 if len(self._sessions) == 1 else self.in_slots - self._now.in_slots

    def finished(self, done: Finished) -> list[AckFrame]:
        """Slots are done with these: the frames that say so, none between a join and its welcome, which says them."""
        if len(self._sessions) == 1:
            return self._acknowledge(self._epoch, done)
        frames: list[AckFrame] = []
        for epoch in list(self._sessions):
            frames += self._acknowledge(
                epoch, done.select(done.sent >> _EPOCH == epoch, done.failed >> _EPOCH == epoch)
            )
        return frames

    def _acknowledge(self, epoch: int, done: Finished) -> list[AckFrame]:
        session = self._sessions[epoch]
        count = len(done)
        if not count:
            return []
        session.in_slots -= count
        session.settled += count
        frames = []
        for begin in range(0, max(len(done.sent), len(done.failed)), MAX_BATCH_MESSAGES):
            part = slice(begin, begin + MAX_BATCH_MESSAGES)
            frames.append(self._columns(session, done.select(part, part) if count > MAX_BATCH_MESSAGES else done))
        if session is self._now:
            return frames if session.welcomed else []
        if not session.in_slots:
            del self._sessions[epoch]
        return frames

    def _columns(self, session: _Session, done: Finished) -> AckFrame:
        base = min(int(column.min() & _NUMBER_MASK) for column in (done.sent, done.failed) if len(column))
        sent, failed = _numbers(done.sent, base), _numbers(done.failed, base)
        outcomes, reasons = done.outcomes, done.reasons
        if (len(outcomes) or len(reasons)) and not _ascend(failed):
            order = np.argsort(failed)
            outcomes = outcomes[order] if len(outcomes) else outcomes
            reasons = reasons[order] if len(reasons) else reasons
        for column in (sent, failed):
            # The slots of one tick finish in the order of their grants; only several ticks at once have to be sorted.
            if not _ascend(column):
                column.sort()
        names = done.names if len(reasons) else ()
        if session is not self._now:
            return AckFrame(session.token, session.number, 0, base, sent, failed, outcomes, reasons, names)
        return self._frame(base, AckFrame(0, 0, 0, 0, sent, failed, outcomes, reasons, names))

    def credit(self) -> AckFrame | None:
        """A frame of nothing but credit, when it has changed since the broker was last told."""
        return None if self.limit == self._told_limit else self._frame()

    def _frame(self, base: int = 0, columns: AckFrame | None = None) -> AckFrame:
        """The next frame, of these columns (None: of nothing but credit)."""
        session = self._now
        told = (_NOTHING, _NOTHING) if columns is None else columns[4:]
        frame = AckFrame(session.token, session.number, self.limit, base, *told)
        session.number += 1
        session.unacked.append(frame)  # plain credit too: a number that is missing is taken for a loss
        self._told_limit = frame.limit
        if session.welcomed:
            if frame.limit >= self._reach:
                self._reach, self._lowered_by = frame.limit, None
            elif self._lowered_by is None:
                self._lowered_by, self._since = frame.number, frame.limit
            else:
                self._since = max(self._since, frame.limit)
        return frame


def _narrow(seconds: Any) -> F32 | float:
    return seconds if isinstance(seconds, float) else seconds.astype(np.float32)


def _numbers(handles: U64, base: int) -> U32:
    """The numbers of these handles, from `base` on."""
    numbers = (handles & _NUMBER_MASK).astype(np.int64)
    numbers -= base
    return numbers.astype(np.uint32)


def _ascend(column: U32) -> bool:
    return bool((column[1:] > column[:-1]).all())
