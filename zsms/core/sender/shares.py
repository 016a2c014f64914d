"""One sender's slots and prefetch, shared between the brokers that it takes from.

    slots + prefetch  |  broker a  |  broker b                 |  free  |
                         share_a      share_b, promised_b

The rule: what the brokers may give us, all together, is never more than the slots and the prefetch, and what `expect`
adds to the prefetch for a moment. A share is what
one broker may give; `promised` (:class:`zsms.core.sender.SenderCore`) is what it may still give by what it was told
before. So a share that is made smaller is free for others only when the promise has come down: messages that it gave
have been sent, or its answer says that it knows the new limit. And

    a broker that is not there            has no share: joining it again makes void what it was promised
    one that used all of its credit       gets as much as any other such, and what the others leave
    one that has nothing more to give     has what it uses, and a reserve by which it shows when it has more again

which is max-min fairness (D. Bertsekas, R. Gallager, "Data Networks", 1992, 6.5.2) with demands that are found out by
asking. One broker alone has everything, and nothing here runs for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import Finished
from zsms.core.seeds import Seed, sequence
from zsms.core.sender.core import U64, UNBOUNDED, AckFrame, SenderCore
from zsms.core.sender.waiting import Waiting
from zsms.errors import UsageError

LOOK_S = 0.05
"""Seconds between two looks at who uses what, while anything is held."""
_QUICK_S, _QUICK_LOOKS = 0.005, 40
"""The same just after a broker came or went, or the first work after a pause, and how often: until it is known who has
work, slots may idle. Meanwhile what a broker says is looked at as soon as it comes, later no sooner than that."""
_PAUSE_S = 1.0
MAX_BROKERS = 64
_RESERVE = 50
"""Of so many messages one is the reserve of a broker that has nothing to give. Reserves are taken from the prefetch, so
that no slot idles for them, unless that is less than one each."""
_EPOCH = np.uint64(48)


def fair(total: int, demands: Sequence[int]) -> list[int]:
    """Max-min fair parts of `total`: none above its demand, and those below it differ by 1 at most."""
    parts = [0] * len(demands)
    left = total
    for rank, index in enumerate(sorted(range(len(demands)), key=demands.__getitem__)):
        parts[index] = min(demands[index], left // (len(demands) - rank))
        left -= parts[index]
    return parts


def check_brokers(brokers: int, slots: int, prefetch: int) -> None:
    """Raises UsageError for more brokers than can be, or than there are messages to hold."""
    if not 1 <= brokers <= min(MAX_BROKERS, slots + prefetch):
        raise UsageError(
            f"{slots} slots and a prefetch of {prefetch} for {brokers} brokers: give at least one of either for "
            f"each, and at most {MAX_BROKERS} brokers"
        )


class Shares:
    """The cores of one sender, one for each broker."""

    def __init__(self, brokers: int, slots: int, prefetch: int, seed: Seed = None, ramp: float = 0.0) -> None:
        """As for :class:`SenderCore`. Raises UsageError when there is not a message to hold for each broker."""
        check_brokers(brokers, slots, prefetch)
        self.cores = [
            SenderCore(slots, prefetch, sequence(seed, place), ramp, place=place, places=brokers)
            for place in range(brokers)
        ]
        self._alone = brokers == 1
        self._turn = 0
        self._live: list[bool] = []
        self._wants: list[bool] = []
        self._next = self._looked = self._last = 0.0
        self._quick = 0
        """So many looks more come soon after each other."""
        self._owed = False
        """Somebody has less than its part, because another was promised it before."""
        for core in self.cores if brokers > 1 else ():
            core.share = 0

    @property
    def held(self) -> int:
        """Messages held, from any broker: in slots and waiting."""
        return sum(core.held for core in self.cores)

    @property
    def waiting_messages(self) -> int:
        """Messages that wait for a slot."""
        return sum(core.waiting_messages for core in self.cores)

    @property
    def refused_grants(self) -> int:
        """Grants that were not ours to send."""
        return sum(core.refused_grants for core in self.cores)

    def bound(self, room: int | None) -> None:
        """Ask for at most `room` messages beyond those received, all brokers together; None for no such bound."""
        each = UNBOUNDED if room is None else -(-room // len(self.cores))
        for core in self.cores:
            core.room = each

    def expect(self, ending: int) -> None:
        """So many slots are known to be free in a moment: prefetch as many, from each broker as it has in slots."""
        extra = max(0, ending - self.cores[0].prefetch)
        if self._alone:
            self.cores[0].extra = extra
            return
        slots = [core.in_slots for core in self.cores]
        for core, used in zip(self.cores, slots, strict=True):
            core.extra = extra * used // max(sum(slots), 1) if core.live else 0

    def drain(self) -> None:
        """Ask nobody for anything more."""
        for core in self.cores:
            core.draining = True

    def open(self, now: float) -> float | None:
        """Open the slots that are due to open at each broker that is there; when there will be more, or None."""
        if self._alone:
            core = self.cores[0]
            return core.poll(now) if core.live else None
        times = [at for core in self.cores if core.live and (at := core.poll(now)) is not None]
        return min(times, default=None)

    def take(self, most: int) -> list[Waiting]:
        """Remove up to `most` waiting messages for slots that are free; each broker's are first in turn."""
        if self._alone:
            return self.cores[0].take(most)
        taken: list[Waiting] = []
        for step in range(len(self.cores)):
            part = self.cores[(self._turn + step) % len(self.cores)].take(most)
            most -= sum(len(waiting.batch) for waiting in part)
            taken += part
        if taken:
            self._turn += 1  # with each look it could pass over one broker's messages for ever
        return taken

    def put_back(self, waiting: Waiting) -> None:
        """These, which were just taken, wait on, before all others."""
        self.cores[(waiting.handle >> int(_EPOCH)) % len(self.cores)].put_back(waiting)

    def finished(self, done: Finished) -> list[list[AckFrame]]:
        """Slots are done with these: by broker, the frames that say so."""
        if self._alone:
            return [self.cores[0].finished(done)]
        sent, failed = ((column >> _EPOCH) % np.uint64(len(self.cores)) for column in (done.sent, done.failed))
        return [core.finished(done.select(sent == place, failed == place)) for place, core in enumerate(self.cores)]

    def ours(self, handles: U64) -> npt.NDArray[np.bool_] | None:
        """Which of these messages no other sender was given meanwhile, bool[n]; None: all of them."""
        if self._alone:
            return self.cores[0].ours(handles)
        if all(core.has_all for core in self.cores):
            return None
        places = (handles >> _EPOCH) % np.uint64(len(self.cores))
        ours = np.ones(len(handles), dtype=np.bool_)
        for place, core in enumerate(self.cores):
            own = np.flatnonzero(places == place)
            if len(own) and (of_it := core.ours(handles[own])) is not None:
                ours[own] = of_it
        return None if ours.all() else ours

    # -- who may give how much --------------------------------------------------------------------------------

    def next_time(self) -> float | None:
        """When `poll` must be called at the latest, None when there is nothing to look at."""
        return None if self._alone or not (self.held or self._owed) else self._next

    def poll(self, now: float) -> bool:
        """Share out anew when it is time, or when a broker came or went.

        True when it was time: every broker is then to be asked for a sign of life, after it was told its new limit.
        """
        if self._alone:
            return False
        live, wants = [core.live for core in self.cores], [core.credit.wants_more for core in self.cores]
        change = live != self._live
        if now < self._next and not change:
            if wants == self._wants and not self._may_settle():
                return False
            if not self._quick and now < (soon := self._looked + _QUICK_S):
                self._next = min(self._next, soon)
                return False
        again = change or now - self._last > _PAUSE_S
        self._quick = _QUICK_LOOKS if again else max(0, self._quick - 1)
        self._live, self._wants, self._looked = live, wants, now
        self._next = now + (_QUICK_S if self._quick else LOOK_S)
        total = max(core.open_slots + core.prefetch for core in self.cores)
        held = [core.held for core in self.cores]
        self._last = now if any(held) else self._last
        reserve = max(1, min(total // _RESERVE, self.cores[0].prefetch // len(self.cores)))
        demands = []
        for core, uses in zip(self.cores, held, strict=True):
            enough = total if core.credit.wants_more or not any(held) else min(uses + reserve, total)
            demands.append(enough if core.live else 0)
        targets = fair(total, demands)
        self._set(total, targets)
        # Whoever came first was promised everything: the next one has nothing until that one knows its new limit.
        self._owed = any(core.live and core.share < target for core, target in zip(self.cores, targets, strict=True))
        return change or any(held) or self._owed

    def _may_settle(self) -> bool:
        """Whether somebody has less than its part, and what another was promised has come down since."""
        if not self._owed:
            return False
        total = max(core.open_slots + core.prefetch for core in self.cores)
        return sum(max(core.share, core.promised - core.extra) for core in self.cores) < total

    def _set(self, total: int, targets: list[int]) -> None:
        """Make shares smaller at once, and greater by what is free."""
        aims = list(zip(self.cores, targets, strict=True))
        wanted = any(core.credit.wants_more and core.live for core in self.cores)
        shown = all(core.share > core.held for core in self.cores if core.live)
        if not wanted and shown and any(core.held for core in self.cores):
            return  # nobody wants what the others leave, and each can show when it has more again
        for core, target in aims:
            core.share = min(core.share, target)
        free = total - sum(max(core.share, core.promised - core.extra) for core, _ in aims)
        for core, target in aims:
            taken = max(core.share, core.promised - core.extra)
            if target > core.share:
                core.share = min(target, max(taken + free, core.share))
                free -= max(core.share - taken, 0)
