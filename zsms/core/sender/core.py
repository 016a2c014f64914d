"""A sender's side of its session with a broker: what it holds, its credit, and what it has to say.

    joining()                       the broker is being told who we are; what it grants from here on is new
    welcomed(acked) -> [frame]      the broker knows us; say these again, they were lost
    granted(...)                    messages arrived; they wait until a slot is free
    take(most) -> [waiting]         messages for that many free slots
    finished(done) -> [frame]       their slots are done: acknowledgements, with the new credit
    renew()                         the broker gave this session up: begin another
    poll(now)                       time passes: open more slots, while they are being ramped up

Credit is absolute and cumulative, in messages of this session: ``settled + open slots + prefetch``, and no more than
``received + room`` where messages may be slow to begin. So the sender never
holds more than its slots and its prefetch, and a repeated or lost frame of credit does no harm. Where it is known that
more slots than that will be free in a moment (simulated ones that began together), `extra` more are prefetched. A slot
that is busy with a message of an earlier session is no credit.

A handle is ``epoch << 48 | number``: `epoch` counts the sessions of this sender. Messages of a session that was
given up go on being sent in their slots and are acknowledged to it, late; the broker counts those as duplicates. They
are in no histogram (`ours`).

A sender of several brokers has one of these for each; `share` then bounds the slots and prefetch that this one may
promise (see :mod:`zsms.core.sender.shares` and :mod:`zsms.core.sender.credit`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import NO_CODES, U8, Finished
from zsms.core.seeds import Seed
from zsms.core.sender.credit import Credit
from zsms.core.sender.leases import Leases
from zsms.core.sender.waiting import Waiting
from zsms.message import MAX_BATCH_MESSAGES, Batch, Mixed

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


class Grant(Protocol):
    """What a broker says of the messages that it grants: :class:`zsms.wire.frames.Grant` has it."""

    @property
    def session(self) -> int:
        """The session that is meant."""

    @property
    def generation(self) -> int:
        """The join that the broker knew."""

    @property
    def base(self) -> int:
        """Number of the first message in the session."""

    @property
    def attempt(self) -> int:
        """Which attempt to send them this is."""

    @property
    def delivery(self) -> int:
        """To how many senders they were given, with this one."""

    @property
    def queued(self) -> float:
        """Since when they waited, by the broker's clock."""

    @property
    def more(self) -> bool:
        """Whether the broker has others in its queue still."""


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


Columns = tuple[U32, U32, U8, U8, tuple[str, ...]]
"""Of an AckFrame: from `sent` on."""
_NO_COLUMNS: Columns = (_NOTHING, _NOTHING, NO_CODES, NO_CODES, ())


@dataclass(slots=True)
class _Session:
    """One session, from our side."""

    token: int
    generation: int = 0
    received: int = 0
    settled: int = 0
    in_slots: int = 0
    number: int = 0
    """Of the next acknowledgement frame."""
    unacked: deque[AckFrame] = field(default_factory=deque)
    """Frames that the broker has not yet said it has."""
    acked: int = 0
    """The broker has said that it has every frame below."""
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
        self.epoch = place - places
        """Counts the sessions of this sender, and so is part of their handles."""
        self.credit = Credit()
        self.leases = Leases()
        self.renew()

    # -- the session ----------------------------------------------------------------------------------------

    def renew(self) -> int:
        """Begin a new session. What waits is dropped, for others have it; returns how many messages that was."""
        for epoch in [e for e, s in self._sessions.items() if not s.in_slots]:
            del self._sessions[epoch]
        self.epoch += self._places
        if self.epoch > _LAST_EPOCH:
            self.epoch = self._place
        self._now = _Session(token=int(self._rng.integers(1, 2**63)))
        self._sessions[self.epoch] = self._now
        self.credit.told = -1
        self.credit.void(0)
        self.leases.renew()
        dropped, self.waiting_messages = self.waiting_messages, 0
        self._waiting.clear()
        return dropped

    @property
    def token(self) -> int:
        """Names the session on the wire."""
        return self._now.token

    @property
    def generation(self) -> int:
        """How often this session has joined."""
        return self._now.generation

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
    def unacknowledged(self) -> list[AckFrame]:
        """The frames of this session that the broker has not yet said it has, the oldest first."""
        return list(self._now.unacked)

    @property
    def live(self) -> bool:
        """Whether the broker knows us: it has welcomed the last join."""
        return self._now.welcomed

    def joining(self) -> None:
        """The broker is being told who we are; what it granted before counts no more unless it has arrived."""
        self._now.generation += 1
        self._now.welcomed = False
        self.credit.void(self._now.received)

    def welcomed(self, acked: int, another: bool = False) -> list[AckFrame]:
        """The broker knows the session and expects acknowledgement frame `acked`: what to say (again).

        `another`: it is another start of the broker than the one that welcomed this sender before, and counts anew.
        """
        session = self._now
        if another:
            session.acked = 0
            if not session.received:
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
        session = self._now
        session.acked = max(session.acked, acked)
        unacked = session.unacked
        while unacked and unacked[0].number < acked:
            unacked.popleft()
        self.credit.acknowledged(acked, session.received, session.number - 1)

    @property
    def astray(self) -> bool:
        """Whether the broker waits for a frame that is gone: what was said to its earlier start came to it first."""
        session = self._now
        first = session.unacked[0].number if session.unacked else session.number
        return 0 < session.acked < first

    def asked(self, now: float = 0.0) -> None:
        """The broker is being asked for a sign of life (PING), after everything that was said before."""
        self.credit.asked(self._now.number, now)

    def answered(self, acked: int, asked_at: float = -inf) -> bool:
        """Its answer (PONG) to what was asked then; False when what was said before that was lost on its way."""
        self.acknowledged(acked)
        return self.credit.answered(acked, self._now.received, asked_at)

    def poll(self, now: float) -> float | None:
        """Open the slots that are due to open; returns when there will be more, None when all are open."""
        if self.open_slots == self.slots:
            return None
        if self._ramp_began is None:
            self._ramp_began = now
        elapsed = now - self._ramp_began
        self.open_slots = min(self.slots, int(self.slots * elapsed / self._ramp) + 1)
        return now + self._ramp / RAMP_STEPS

    # -- messages in ------------------------------------------------------------------------------------------

    def granted(self, grant: Grant, batch: Batch | Mixed, clock: float, now: float) -> bool:
        """Messages arrived; `clock` is the broker's clock minus ours, in seconds.

        False when they are not ours: stale, or with a gap before them.
        """
        session = self._now
        base = grant.base
        if grant.session != session.token or grant.generation != session.generation or base != session.received:
            self.refused_grants += 1
            return False
        session.received += len(batch)
        self.leases.granted(session.received, now)
        self.credit.granted(grant.more)
        handle = self.epoch << _EPOCH_SHIFT | base
        self._waiting.append(
            Waiting(
                handle,
                batch,
                queued=grant.queued - clock,
                clock=clock,
                attempt=grant.attempt,
                delivery=grant.delivery,
                attempts=self.attempts,
                arrived=now,
            )
        )
        self.waiting_messages += len(batch)
        return True

    @property
    def has_all(self) -> bool:
        """Whether nothing that it holds can be others' now."""
        return len(self._sessions) == 1 and self.leases.all_good

    def ours(self, handles: U64) -> npt.NDArray[np.bool_] | None:
        """Which of these messages from this broker no other sender was given, bool[n]; None: all of them."""
        begin = self.epoch << _EPOCH_SHIFT
        return None if self.has_all else self.leases.ours(handles, begin, begin + (1 << _EPOCH_SHIFT))

    def take(self, most: int) -> list[Waiting]:
        """Remove up to `most` waiting messages, for slots that are free now."""
        taken: list[Waiting] = []
        while most > 0 and self._waiting:
            front = self._waiting.popleft()
            if (size := len(front.batch)) > most:
                self._waiting.appendleft(front.part(most, size))
                front, size = front.part(0, most), most
            most -= size
            self.waiting_messages -= size
            self._now.in_slots += size
            taken.append(front)
        return taken

    def put_back(self, waiting: Waiting) -> None:
        """These, which were just taken, wait on, before all others."""
        self._waiting.appendleft(waiting)
        self.waiting_messages += len(waiting.batch)
        self._now.in_slots -= len(waiting.batch)

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
        return self.credit.reach - session.settled + self._elsewhere

    @property
    def _elsewhere(self) -> int:
        """Messages of earlier sessions that are still in slots."""
        return 0 if len(self._sessions) == 1 else self.in_slots - self._now.in_slots

    def finished(self, done: Finished) -> list[AckFrame]:
        """Slots are done with these: the frames that say so, none between a join and its welcome, which says them."""
        if len(self._sessions) == 1:
            return self._acknowledge(self.epoch, done)
        frames: list[AckFrame] = []
        for epoch in list(self._sessions):
            frames += self._acknowledge(
                epoch, done.select(done.sent >> _EPOCH == epoch, done.failed >> _EPOCH == epoch)
            )
        return frames

    def _acknowledge(self, epoch: int, done: Finished) -> list[AckFrame]:
        session = self._sessions[epoch]
        if not (count := len(done)):
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
        base, columns = _columns_of(done)
        if session is not self._now:
            return AckFrame._make((session.token, session.number, 0, base, *columns))
        return self._frame(base, columns)

    @property
    def owes_credit(self) -> bool:
        """Whether the credit has changed since the broker was last told."""
        return self.limit != self.credit.told

    def new_credit(self) -> AckFrame | None:
        """A frame of nothing but credit, when it has changed since the broker was last told."""
        return self._frame() if self.owes_credit else None

    def _frame(self, base: int = 0, columns: Columns = _NO_COLUMNS) -> AckFrame:
        """The next frame, of these columns; without any, of nothing but credit."""
        session = self._now
        frame = AckFrame._make((session.token, session.number, self.limit, base, *columns))
        session.number += 1
        session.unacked.append(frame)  # plain credit too: a number that is missing is taken for a loss
        self.credit.told = frame.limit
        if session.welcomed:
            self.credit.sent(frame.limit, frame.number)
        return frame


def _columns_of(done: Finished) -> tuple[int, Columns]:
    """The first number of these messages, and the columns of a frame that says how they ended."""
    base = min(int(column.min() & _NUMBER_MASK) for column in (done.sent, done.failed) if len(column))
    sent, failed = _numbers(done.sent, base), _numbers(done.failed, base)
    outcomes, reasons = done.outcomes, done.reasons
    if (len(outcomes) or len(reasons)) and not _ascend(failed):
        order = np.argsort(failed)
        outcomes, reasons = (column[order] if len(column) else column for column in (outcomes, reasons))
    for column in (sent, failed):
        # The slots of one tick finish in the order of their grants; only several ticks at once have to be sorted.
        if not _ascend(column):
            column.sort()
    return base, (sent, failed, outcomes, reasons, done.names if len(reasons) else ())


def _numbers(handles: U64, base: int) -> U32:
    """The numbers of these handles, from `base` on."""
    numbers = (handles & _NUMBER_MASK).astype(np.int64)
    numbers -= base
    return numbers.astype(np.uint32)


def _ascend(column: U32) -> bool:
    return bool((column[1:] > column[:-1]).all())
