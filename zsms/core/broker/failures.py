"""What becomes of sends that have failed.

throttled                      waits, for the same attempt
failed, attempts left          waits, for the next attempt
failed, none left              failed where one attempt is all that is allowed, otherwise a dead letter
rejected, uncertain            the same at once (uncertain only where it is not to be sent again)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.broker.books import Books
from zsms.core.broker.letters import Letters, why_dead
from zsms.core.broker.limits import BrokerLimits
from zsms.core.broker.lot import I64, Lot, Part, gather
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

    def groups(self, count: int) -> Iterator[tuple[int, str, Any]]:
        """Of the first `count`: outcome, reason, and which of them have both, as an index of columns."""
        outcomes = np.where(self.outcomes < len(Outcome) - 1, self.outcomes, FAILED)[:count]
        if not len(self.reasons):
            keys = outcomes.astype(np.int64) << 8
        else:
            keys = self.reasons[:count].astype(np.int64)
            if len(outcomes):
                keys += outcomes.astype(np.int64) << 8
        for key in np.unique(keys).tolist():
            yield key >> 8, self.names[key & 255] if len(self.reasons) else "", keys == key


class _Way(NamedTuple):
    """What is said of failures on which is decided together."""

    reason: str
    spent: bool
    """Whether the send that failed was an attempt."""


class Failures:
    """Decides on failed sends: another attempt, or none."""

    def __init__(self, limits: BrokerLimits, retries: Retries, letters: Letters, books: Books) -> None:
        self._limits = limits
        self._retries = retries
        self._letters = letters
        self._sources, self._counters, self._progress, self._journal = books
        self._held: dict[Session, dict[_Way, list[tuple[I64, float]]]] = {}
        """Numbers that have failed, and when."""
        self._held_since = 0.0
        letters.decide = self.decide

    def settle(self, session: Session, numbers: I64, how: Failed | None, now: float) -> None:
        """These messages have failed, as `how` says: by outcome and reason, of which a frame has few."""
        groups = [(FAILED, "", slice(None))] if how is None else how.groups(len(numbers))
        for outcome, reason, own in groups:
            fresh = self._settle_alike(session, numbers[own], outcome, reason, now)
            counter = _COUNTED[outcome]
            setattr(self._counters, counter, getattr(self._counters, counter) + fresh)

    def _settle_alike(self, session: Session, numbers: I64, outcome: int, reason: str, now: float) -> int:
        """Close these, all of which have failed in the same way; how many were open."""
        way = _Way(reason, outcome != _THROTTLED)
        final = self._is_final(outcome)
        if final or self._journal is not None or len(numbers) <= FEW:
            settled = session.settle(numbers)
            if final:
                self._give_up([part for part in settled.positions() if len(part[1])], _COUNTED[outcome], reason)
            elif self._journal is not None:
                self._try_some_again(settled.positions(), way, now)
            else:
                self._try_some_again(settled.old, way, now)
                self._try_most_again(session, settled, way, now)
            session.thin()
        else:
            settled = session.close(numbers)
            self._try_some_again(settled.old, way, now)
            self._hold(session, settled.numbers, way, now)
        self._counters.duplicates += settled.repeated
        fresh = settled.fresh
        session.failed += fresh
        self._progress.failed(fresh, now)
        return fresh

    def _is_final(self, outcome: int) -> bool:
        if outcome == _THROTTLED:
            return False
        return outcome == _REJECTED or (outcome == _UNCERTAIN and self._limits.uncertain == "fail")

    # -- what is decided a moment later -----------------------------------------------------------------------

    def _hold(self, session: Session, numbers: I64, way: _Way, now: float) -> None:
        """Decide on these together with those that fail in the next moment: most are in the same pieces."""
        if not self._held:
            self._held_since = now
        self._held.setdefault(session, {}).setdefault(way, []).append((numbers, now))

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
            for way, some in self._held.pop(one, {}).items():
                numbers = np.concatenate([numbers for numbers, _ in some])
                order = np.argsort(numbers)
                failed = np.repeat([now for _, now in some], [len(numbers) for numbers, _ in some])[order]
                settled = Settled(numbers[order], 0)
                one.count(settled)
                self._try_most_again(one, settled, way, failed)
            one.thin()

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
        self._give_up([part for part in dead if len(part[1])], "", way.reason)

    def _try_most_again(self, session: Session, settled: Settled, way: _Way, failed: F64 | float) -> None:
        """The same for what was in the window: nothing but the dead is looked at by lot.

        `failed` is when, all or each.
        """
        lots, counts = settled.lots, settled.counts
        if not lots:
            return
        shifts = [lot.begin - base for lot, base in zip(lots, settled.bases, strict=True)]
        places = settled.numbers + np.repeat(np.array(shifts, dtype=np.int64), counts)
        dead: list[Part] = []
        kept = None
        most = self._limits.max_attempts
        left = list(counts)
        ending = [i for i, lot in enumerate(lots) if (lot.attempt or _latest(lot)) >= most] if way.spent else []
        begins = np.cumsum([0, *counts]).tolist() if ending else []
        for index in ending:
            lot, begin, end = lots[index], begins[index], begins[index + 1]
            own = places[begin:end]
            spent = lot.whole.rows["attempt"][own] >= most if isinstance(lot.whole, Mixed) else own >= 0
            gone = int(np.count_nonzero(spent))
            if gone:
                kept = np.ones(len(places), dtype=bool) if kept is None else kept
                kept[begin:end] = ~spent
                left[index] -= gone
                dead.append((lot, own[spent] - lot.begin))
        if kept is not None:
            places = places[kept]
            failed = failed if isinstance(failed, float) else failed[kept]
        again = len(places)
        self._counters.retried += again
        if again:
            self._move(session, lots, left, places)
            self._retries.add_all(lots, left, places, failed, way.spent)
        self._give_up(dead, "", way.reason)

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

    def _give_up(self, parts: list[Part], outcome: str, reason: str) -> None:
        """These are failed, or dead where several attempts are allowed: for `outcome`, or ("") as often as they were
        tried."""
        if not parts:
            return
        if self._limits.max_attempts == 1:
            self._fail(parts)
            return
        for lot, positions in parts:
            for account, count in lot.accounts(positions):
                account.in_flight -= count
                account.dead += count
        if outcome:
            self._letters.bury(gather(parts, self._sources), why_dead(outcome, reason))
        else:
            self._letters.leave(parts, reason)

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
