"""What becomes of a block of replications: counted while they go, and told at their end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from zsms.plan.design import Design

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Limit(IntEnum):
    """What keeps a group from sending more while messages wait."""

    SLOTS = 0
    CAP = 1
    ACCOUNT = 2
    DAILY = 3
    CLOSED = 4
    FAULT = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a block of replications. r: replications, g: groups, t: ticks that were looked at."""

    messages: int
    at: F64
    """float64[t]: seconds."""
    reached: I64
    """int64[t, r]: messages delivered by then."""
    taken: I64
    """int64[t, r]: messages that gateways had accepted by then."""
    by_group: F64
    """float64[t, g]: those delivered by route, mean over the replications."""
    accepted: I64
    """int64[r], as the next ones: messages that a gateway took."""
    failed: I64
    """Given up."""
    expired: I64
    """Accepted, and lost in a route's full queue."""
    undelivered: I64
    """Accepted, and not delivered to the handset."""
    lost: I64
    """Held by a broker that was lost."""
    retried: I64
    """Sends that were tried again."""
    redelivered: I64
    """Messages that came back from a process that was lost."""
    duplicates: I64
    """Sends of messages that others have had since."""
    sends: I64
    """int64[g, r]: sends that ended, as far as they count."""
    segments: F64
    """float64[g, r]: segments accepted."""
    busy_s: F64
    """float64[g]: slot seconds, mean."""
    limited_s: F64
    """float64[g, len(Limit)]: seconds in which messages waited and the group sent no more because of that, mean."""


class Tally:
    """The counts of an :class:`Outcome`, as they grow."""

    def __init__(self, design: Design, replications: int) -> None:
        r, groups = replications, len(design.groups)
        self._design = design
        self._r = r
        self.delivered = np.zeros((groups, r), np.int64)
        self.accepted, self.failed, self.expired, self.undelivered, self.lost = np.zeros((5, r), np.int64)
        self.retried, self.redelivered, self.duplicates = np.zeros((3, r), np.int64)
        self.away = np.zeros(r, np.int64)
        """Messages of lost processes that nobody has taken back yet."""
        self.sends = np.zeros((groups, r), np.int64)
        self.paid = np.zeros((groups, r))
        self.limited = np.zeros((len(design.units), len(Limit)))
        self._of_unit = np.array([unit.group for unit in design.units])
        self._busy, self._in_slots = np.zeros((2, len(design.units)), np.int64)
        """Slot ticks, and slots, that are busy: by unit, of all replications."""
        self._at: list[int] = []
        self._curve: list[I64] = []
        self._taken: list[I64] = []

    @property
    def over(self) -> bool:
        """Whether every message has come to its end, in every replication."""
        done = self.delivered.sum(axis=0) + self.failed + self.expired + self.undelivered + self.lost
        return bool((done == self._design.messages).all())

    def work(self, ticks: int) -> None:
        """So many ticks have gone by since `occupied`."""
        if ticks:
            self._busy += self._in_slots if ticks == 1 else self._in_slots * ticks

    def occupied(self, in_slots: I64) -> None:
        """int64[units, r]: what is in slots now."""
        self._in_slots = np.add.reduce(in_slots, axis=1)

    def note(self, tick: int) -> None:
        """Remember how far it is."""
        self._at.append(tick)
        self._curve.append(self.delivered.copy())
        self._taken.append(self.accepted.copy())

    def outcome(self) -> Outcome:
        """All of it."""
        design, groups, r = self._design, len(self._design.groups), self._r
        curve = np.array(self._curve) if self._curve else np.zeros((0, groups, r), np.int64)
        at = np.array(self._at, dtype=np.float64) * design.tick
        reached: I64 = curve.sum(axis=1)
        processes = np.array([float(unit.processes) for unit in design.units])
        limited = np.zeros((groups, len(Limit)))
        np.add.at(limited, self._of_unit, self.limited / r * processes[:, None])
        limited /= np.array([group.senders for group in design.groups])[:, None]
        return Outcome(
            messages=design.messages,
            at=at,
            reached=reached,
            taken=np.array(self._taken) if self._taken else np.zeros((0, r), np.int64),
            by_group=curve.mean(axis=2),
            accepted=self.accepted,
            failed=self.failed,
            expired=self.expired,
            undelivered=self.undelivered,
            lost=self.lost,
            retried=self.retried,
            redelivered=self.redelivered,
            duplicates=self.duplicates,
            sends=self.sends,
            segments=self.paid,
            busy_s=self._busy_s(groups),
            limited_s=limited * design.tick,
        )

    def _busy_s(self, groups: int) -> F64:
        """Slot seconds by group; of slots that are a rate, those of the sends (Little's law)."""
        found = np.bincount(self._of_unit, self._busy / self._r, groups) * self._design.tick
        for number in set(self._of_unit[self._design.fluid].tolist()):
            found[number] = self.sends[number].mean() * self._design.groups[number].mean
        return found.astype(np.float64)
