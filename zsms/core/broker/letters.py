"""Dead letters: messages that were given up, kept so that people can look at them and have them sent after all.

    ready, in flight --bury--> dead letter --kick--> to be queued again as if new: dead - n, queued + n
                                     |
                                     +------purge--> let go; it stays counted as dead

They are bounded in messages and in bytes: past that the oldest ones are let go, and stay counted as dead. What
senders could not send is left here (`leave`) and buried together a moment later, for copying a few messages out of each
of many batches costs the same for each batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from zsms.core.broker.journal import Journal
from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.lot import OVERHEAD, DeadLetter, Lot, Part, alike, gather, mixed_lot, mixed_lots
from zsms.message import MAX_REASON, Mixed
from zsms.words import many

MOST_MESSAGES = 100_000
"""Messages kept as dead letters at most."""
MOST_BYTES = 64 * 2**20
"""And their bytes."""
_LEFT_S = 0.5
"""Seconds that what has failed may wait to be buried."""
_LEFT_PARTS = 8_192
"""And how many parts of lots."""
JOINED_MESSAGES = 1_024
"""Dead letters of one reason that follow each other are made one, up to so many messages."""
PURGED = "purged"
"""The reason of dead letters that somebody purged from the queue."""


def why_dead(what: str, why: str) -> str:
    """The reason of a letter: what happened, and why where anybody has said so."""
    return f"{what}: {why}"[:MAX_REASON] if why else what


class Letters:
    """The dead letters that are kept, the oldest first."""

    def __init__(self, sources: list[ProducerAccount], journal: Journal | None) -> None:
        """`sources` are the broker's accounts by their index."""
        self._kept: deque[DeadLetter] = deque()
        self._left: dict[tuple[str, str], list[Part]] = {}
        """What waits to be buried, by what happened and why."""
        self._left_since: float | None = None
        self.next_number = 0
        """The number of the next letter."""
        self.messages = 0
        """Messages that are kept."""
        self.nbytes = 0
        """And their bytes."""
        self._sources = sources
        self._journal = journal
        self.decide: Callable[[], None] = lambda: None
        """Decides first on what has failed, before anybody looks."""

    def sources(self) -> set[int]:
        """The accounts whose messages are kept, by their index."""
        return {index for letter in self.letters() for index in np.unique(letter.lot.rows["source"]).tolist()}

    def letters(self) -> deque[DeadLetter]:
        """Those that are kept, the oldest first."""
        self.decide()
        self._bury_left()
        return self._kept

    # -- burying ----------------------------------------------------------------------------------------------

    def leave(self, parts: list[Part], what: str, why: str) -> None:
        """These are given up because of `what` ("": they have failed as often as they are tried) and `why`.

        Whoever says so has counted them.
        """
        if sum(map(len, self._left.values())) > _LEFT_PARTS:
            self._bury_left()
        self._left.setdefault((what, why), []).extend(parts)
        if self._journal is not None:  # which would have to know where they are until then
            self._bury_left()

    def poll(self, now: float) -> None:
        """Bury what has waited for that long enough."""
        if not self._left:
            return
        if self._left_since is None:
            self._left_since = now
        elif now - self._left_since >= _LEFT_S:
            self._bury_left()

    def _bury_left(self) -> None:
        self._left_since = None
        left, self._left = self._left, {}
        for (what, why), parts in left.items():
            dead = gather(alike(parts), self._sources)
            if what:
                self.bury(dead, why_dead(what, why))
            else:
                self.bury_by("attempt", "failed", "time", dead, why)

    def bury_by(self, name: str, what: str, of: str, dead: Mixed, why: str = "") -> None:
        """Bury these: `what` has happened with so many of `of` as that field of each says, and `why`."""
        values = dead.rows[name]
        first = int(values[0])
        if (values == first).all():
            self.bury(dead, why_dead(f"{what} {many(first, of)}", why))
            return
        for value in np.unique(values).tolist():
            self.bury(dead.take(np.flatnonzero(values == value)), why_dead(f"{what} {many(value, of)}", why))

    def bury(self, dead: Mixed, reason: str) -> None:
        """These are given up; whoever says so has counted them."""
        for lot in mixed_lots(dead):
            if self._journal is not None:
                self._journal.settled(lot)
            assert isinstance(lot.whole, Mixed)
            whole = lot.whole if len(lot.whole) == len(dead) else lot.whole.copy()
            # A letter a message would cost more than the message: each is copied a few times at most.
            while self._kept and self._kept[-1].reason == reason:
                last = self._kept[-1].lot
                if last.size + len(whole) > JOINED_MESSAGES or 2 * len(whole) <= last.size:
                    break
                self._drop(self._kept.pop())
                assert isinstance(last.whole, Mixed)
                whole = Mixed.join([last.whole, Mixed(whole.rows, whole.text, self._sources)])
            letter = self._letter(mixed_lot(Mixed(whole.rows, whole.text, self._sources)), reason)
            if self._journal is not None:
                self._journal.buried(letter)
            self.remember(letter)

    def purge(self, lots: list[Lot]) -> int:
        """Bury what was ready; how many messages."""
        for lot in lots:
            for account, count in lot.accounts():
                account.queued -= count
                account.dead += count
            self.bury(gather([(lot, np.arange(lot.size))], self._sources), PURGED)
        return sum(lot.size for lot in lots)

    def remember(self, letter: DeadLetter) -> None:
        """Keep a letter; past the bound, the oldest ones go."""
        self._keep(letter)
        while len(self._kept) > 1 and (self.messages > MOST_MESSAGES or self.nbytes > MOST_BYTES):
            self._drop(self._kept.popleft())

    def _letter(self, lot: Lot, reason: str) -> DeadLetter:
        letter = DeadLetter(lot, reason, self.next_number)
        self.next_number += 1
        return letter

    def _keep(self, letter: DeadLetter) -> None:
        self._kept.append(letter)
        self.messages += letter.lot.size
        self.nbytes += letter.lot.whole.nbytes + OVERHEAD

    def _drop(self, letter: DeadLetter) -> None:
        """A letter that was kept is kept no longer."""
        self.messages -= letter.lot.size
        self.nbytes -= letter.lot.whole.nbytes + OVERHEAD
        if self._journal is not None:
            self._journal.letter_gone(letter.number)

    # -- what people do with them -----------------------------------------------------------------------------

    def kicked(self, reason: str, limit: int, now: float) -> Iterator[Lot]:
        """Take letters out, to be queued as if they were new: those with this reason ("": any), `limit` messages at
        most (0: all).
        """
        for lot in self._taken(reason, limit):
            rows = lot.rows.copy()
            rows["attempt"] = rows["delivery"] = 1
            rows["queued"] = now
            part = lot.batch
            assert isinstance(part, Mixed)
            again = mixed_lot(Mixed(rows, part.text, part.sources))
            for account, count in again.accounts():
                account.dead -= count
                account.queued += count
            if self._journal is not None:
                self._journal.accepted(again)
            yield again

    def let_go(self, reason: str) -> int:
        """Let go of those with this reason ("": any); how many messages. They stay counted as dead."""
        return sum(lot.size for lot in self._taken(reason, 0))

    def _taken(self, reason: str, limit: int) -> list[Lot]:
        """Take letters with this reason ("": any) out, `limit` messages at most (0: all)."""
        taken: list[Lot] = []
        letters = list(self.letters())
        self._kept.clear()
        room = limit or self.messages
        self.messages = self.nbytes = 0
        for letter in letters:
            lot = letter.lot
            if not room or (reason and letter.reason != reason):
                self._keep(letter)
                continue
            if self._journal is not None:
                self._journal.letter_gone(letter.number)
            if lot.size > room:
                left = lot.part(room, lot.size).batch
                assert isinstance(left, Mixed)
                rest = self._letter(mixed_lot(left.copy()), letter.reason)
                self._keep(rest)
                if self._journal is not None:
                    self._journal.buried(rest)
                lot = lot.part(0, room)
            room -= lot.size
            taken.append(lot)
        return taken
