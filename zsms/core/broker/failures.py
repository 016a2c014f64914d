"""What becomes of sends that have failed.

throttled                      waits, for the same attempt
failed, attempts left          waits, for the next attempt
failed, none left              failed where one attempt is all that is allowed, otherwise a dead letter
rejected, uncertain            the same at once (uncertain only where it is not to be sent again)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.broker.books import Books
from zsms.core.broker.letters import Letters
from zsms.core.broker.limits import BrokerLimits
from zsms.core.broker.lot import I64, Lot, Part
from zsms.core.broker.retries import DEFER, Retries
from zsms.core.broker.session import Session
from zsms.core.broker.window import FEW, Settled
from zsms.message import Mixed, Outcome

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

FAILED = Outcome.FAILED.code
_THROTTLED, _REJECTED, _UNCERTAIN = (
    outcome.code for outcome in (Outcome.THROTTLED, Outcome.REJECTED, Outcome.UNCERTAIN)
)
_COUNTED = {
    FAILED: "failed_sends",
    Outcome.TEMPORARY.code: "temporary",
    _THROTTLED: "throttled",
    _REJECTED: "rejected",
    _UNCERTAIN: "uncertain",
    Outcome.UNANSWERED.code: "uncertain",
}
"""The counters of outcomes, by their codes."""


class Failed(NamedTuple):
    """How the failures of an acknowledgement failed: columns of one entry each, or of none.

    `outcomes` are codes of :class:`zsms.message.Outcome` (none: plain failures), `reasons` places in `names` (none:
    nothing is to be said of any).
    """

    outcomes: U8
    reasons: U8
    names: Sequence[str]

    def ways(self, count: int) -> tuple[list[tuple[int, str]], I64]:
        """Of the first `count`: each outcome and reason that there is, and which of these each has."""
        keys = np.zeros(count, dtype=np.int64)
        if len(self.outcomes):
            keys += np.where(self.outcomes < len(Outcome) - 1, self.outcomes, FAILED)[:count].astype(np.int64) << 8
        if len(self.reasons):
            keys += self.reasons[:count]
        found = np.flatnonzero(np.bincount(keys))
        names = self.names if len(self.reasons) else [""]
        return [(key >> 8, names[key & 255]) for key in found.tolist()], np.searchsorted(found, keys)


class _Way(NamedTuple):
    """How some messages have failed."""

    outcome: int
    reason: str
    final: bool
    """Whether none of them is tried again."""

    @property
    def spent(self) -> bool:
        """Whether the send that failed was an attempt."""
        return self.outcome != _THROTTLED


class Failures:
    """Decides on failed sends: another attempt, or none."""

    def __init__(self, limits: BrokerLimits, retries: Retries, letters: Letters, books: Books) -> None:
        self._limits = limits
        self._retries = retries
        self._letters = letters
        self._sources, self._counters, self._progress, self._journal = books
        self._held: dict[Session, list[tuple[I64, I64, float]]] = {}
        """Numbers that have failed, in which way each, and when."""
        self._ways: dict[_Way, int] = {}
        """The ways of those that are held, numbered."""
        self._held_since = 0.0
        letters.decide = self.decide

    def settle(self, session: Session, numbers: I64, how: Failed | None, now: float) -> None:
        """These messages have failed, as `how` says."""
        count = len(numbers)
        found, which = ([(FAILED, "")], np.zeros(count, dtype=np.int64)) if how is None else how.ways(count)
        ways = [_Way(outcome, reason, self._is_final(outcome)) for outcome, reason in found]
        at_once = count
        if self._journal is None and count > FEW:
            at_once = int(np.searchsorted(numbers, session.low))
            self._hold(session, numbers[at_once:], ways, which[at_once:], now)
        for code, way in enumerate(ways) if at_once else ():
            self._settle_alike(session, numbers[:at_once][which[:at_once] == code], way, now)

    def _settle_alike(self, session: Session, numbers: I64, way: _Way, now: float) -> None:
        """Close these, all of which have failed in the same way, and decide on them."""
        settled = session.settle(numbers)
        if way.final:
            self._give_up([part for part in settled.positions() if len(part[1])], way)
        else:
            self._try_some_again(settled.positions(), way, now)
        session.thin()
        self._count(session, settled, [way], [settled.fresh], now)

    def _count(self, session: Session, settled: Settled, ways: list[_Way], counts: list[int], now: float) -> None:
        """So many were closed of each of these ways."""
        self._counters.duplicates += settled.repeated
        for way, count in zip(ways, counts, strict=True):
            counter = _COUNTED[way.outcome]
            setattr(self._counters, counter, getattr(self._counters, counter) + count)
        session.failed += settled.fresh
        self._progress.failed(settled.fresh, now)

    def _is_final(self, outcome: int) -> bool:
        return outcome == _REJECTED or (outcome == _UNCERTAIN and self._limits.uncertain == "fail")

    # -- what is decided a moment later -----------------------------------------------------------------------

    def _hold(self, session: Session, numbers: I64, ways: list[_Way], which: I64, now: float) -> None:
        """Close these in the window, and decide on them together with those that fail in the next moment: most are in
        the same pieces."""
        settled = session.close(numbers)
        if settled.repeated:
            which = which[np.searchsorted(numbers, settled.numbers)]
        self._count(session, settled, ways, np.bincount(which, minlength=len(ways)).tolist(), now)
        if not settled.fresh:
            return
        if not self._held:
            self._held_since = now
        known = [self._ways.setdefault(way, len(self._ways)) for way in ways]
        self._held.setdefault(session, []).append((settled.numbers, np.array(known).take(which), now))

    @property
    def messages(self) -> int:
        """Messages that wait for a decision, or for their next attempt."""
        return self._retries.messages + sum(session.held for session in self._held)

    @property
    def _decide_at(self) -> float:
        return self._held_since + min(DEFER, self._limits.retry_base / 10) if self._held else inf

    def next_time(self) -> float:
        """When `due` has something to do at the latest."""
        due = self._retries.next_time()
        return min(self._decide_at, inf if due is None else due)

    def due(self, now: float) -> list[Lot]:
        """Decide on what has waited for that long enough; what is due again."""
        if now >= self._decide_at:
            self.decide()
        return self._retries.due(now)

    def everything(self) -> list[Lot]:
        """Take out whatever waits for its next attempt."""
        self.decide()
        return self._retries.everything()

    def decide(self, session: Session | None = None) -> None:
        """Decide on whatever has failed, or has at that session: the accounts and its pieces say so afterwards."""
        for one in [session] if session is not None else list(self._held):
            if some := self._held.pop(one, None):
                numbers = np.concatenate([numbers for numbers, *_ in some])
                order = np.argsort(numbers)
                which = np.concatenate([which for _, which, _ in some])[order]
                failed = np.repeat([now for *_, now in some], [len(numbers) for numbers, *_ in some])[order]
                settled = Settled(numbers[order], 0)
                one.count(settled)
                self._decide_on(one, settled, which, failed)
            one.thin()
        if not self._held:
            self._ways.clear()

    # -- another attempt --------------------------------------------------------------------------------------

    def _try_some_again(self, parts: Iterable[Part], way: _Way, now: float) -> None:
        """Another attempt for whatever has one left, and none for the rest."""
        dead: list[Part] = []
        most = self._limits.max_attempts
        for lot, positions in parts:
            if not way.spent or (lot.attempt and lot.attempt < most):
                self._try_again(lot, positions, now, way.spent)
                continue
            spent = positions >= 0 if lot.attempt else lot.rows["attempt"][positions] >= most
            dead.append((lot, positions[spent]))
            if not spent.all():
                self._try_again(lot, positions[~spent], now)
        self._give_up([part for part in dead if len(part[1])], way)

    def _decide_on(self, session: Session, settled: Settled, which: I64, failed: F64) -> None:
        """The same for what was held: nothing is looked at by lot but those that may be dead.

        `which` way each has failed, and when.
        """
        lots, counts, ways = settled.lots, settled.counts, list(self._ways)
        shifts = [lot.begin - base for lot, base in zip(lots, settled.bases, strict=True)]
        places = settled.numbers + np.repeat(np.array(shifts, dtype=np.int64), counts)
        spent = np.array([way.spent for way in ways]).take(which)
        gone = np.array([way.final for way in ways]).take(which)
        begins = [0, *accumulate(counts)]
        most = self._limits.max_attempts
        for index, lot in enumerate(lots):
            if (lot.attempt or _latest(lot)) >= most:
                own = slice(begins[index], begins[index + 1])
                over = lot.whole.rows["attempt"][places[own]] >= most if isinstance(lot.whole, Mixed) else True
                gone[own] |= spent[own] & over
        dead: list[tuple[_Way, list[Part]]] = []
        at = np.flatnonzero(gone)
        if len(at):
            dead_ways = which[at]
            for code in np.unique(dead_ways).tolist():
                own_at = at[dead_ways == code]
                cuts = pairwise(np.searchsorted(own_at, begins).tolist())
                own_parts = [
                    (lot, places[own_at[begin:end]] - lot.begin)
                    for lot, (begin, end) in zip(lots, cuts, strict=True)
                    if end > begin
                ]
                dead.append((ways[code], own_parts))
            left = ~gone
            counts = np.add.reduceat(left, begins[:-1], dtype=np.int64).tolist()
            places, failed, spent = places[left], failed[left], spent[left]
        self._counters.retried += len(places)
        if len(places):
            self._move(session, lots, counts, places)
            self._retries.add_all(lots, counts, places, failed, spent)
        for way, parts in dead:
            self._give_up(parts, way)

    def _move(self, session: Session, lots: list[Lot], counts: list[int], places: I64) -> None:
        """These are in flight no more, and wait: in the accounts."""
        alone = session.account
        moved = [(alone, len(places))] if alone is not None else []
        begin = 0
        for lot, count in zip(lots, counts, strict=True) if alone is None else ():
            if count:
                moved += lot.accounts(places[begin : begin + count] - lot.begin)
            begin += count
        for account, count in moved:
            account.in_flight -= count
            account.queued += count

    def _try_again(self, lot: Lot, positions: I64, now: float, spent: bool = True) -> None:
        """`spent`: the send that failed was an attempt."""
        for account, count in lot.accounts(positions):
            account.in_flight -= count
            account.queued += count
        self._counters.retried += len(positions)
        self._retries.add(lot, positions, now, spent)
        if self._journal is not None and spent:  # else nothing has changed that a restart must know
            self._journal.retried(lot, positions)

    # -- no other ---------------------------------------------------------------------------------------------

    def _give_up(self, parts: list[Part], way: _Way) -> None:
        """These are failed, or dead where several attempts are allowed."""
        if not parts:
            return
        if self._limits.max_attempts == 1:
            self._fail(parts)
            return
        for lot, positions in parts:
            for account, count in lot.accounts(positions):
                account.in_flight -= count
                account.dead += count
        self._letters.leave(parts, _COUNTED[way.outcome] if way.final else "", way.reason)

    def _fail(self, parts: list[Part]) -> None:
        """A failed send is final."""
        for lot, positions in parts:
            for account, count in lot.accounts(positions):
                account.in_flight -= count
                account.failed += count
            if self._journal is not None:
                self._journal.settled(lot, positions)


def _latest(lot: Lot) -> int:
    """The greatest attempt of what a mixed lot is part of."""
    assert isinstance(lot.whole, Mixed)
    return lot.whole.latest_attempt
