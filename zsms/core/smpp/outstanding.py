"""Messages whose receipt is still to come: whose id is which message, in bounded memory.

    add(ids, sources, seqs, now)         accepted, with the ids that the gateway gave
    match(ids, outcome, now) -> Found    receipts: which message each is of, whatever the form of its id
    poll(now) -> missing                 receipts that are overdue are given up, and counted
    decided(now) -> Found                the same of receipts that had waited
    strays() -> ids, outcome             receipts of no message that is known here, for the account's other senders

A receipt is read as it stands, as the hexadecimal of its decimal, or as the decimal of its hexadecimal: in the form
that `zsms.core.smpp.ids.FormEvidence` has found, for which the first receipts wait for a moment. What fits says
little: a receipt that comes before its answer, or that is another sender's, may well be some other message's in another
form. Where nothing is found in that time, the form is tried first that has fitted most receipts that only one fitted.

A receipt that comes before its answer is kept for `EARLY_S` seconds (`zsms.core.smpp.early`), and after `GUESS_S` it is
tried in the other forms. Where an account has other senders, or had, it is a stray at once instead: whichever knows
its message first, finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zsms.core.clock import Standstills
from zsms.core.smpp.early import Early, Old
from zsms.core.smpp.ids import ENOUGH, FORMS, U64, FormEvidence, Keys, hashes, in_form, in_forms
from zsms.core.smpp.runs import F32, Runs
from zsms.core.smpp.strings import I64, U8, U32, Strings

EARLY_S = 60.0
GUESS_S = 1.0
FORM_S, LONGER_FORM_S = 0.2, 2.0
"""The longer where there are answers enough, so that receipts will be."""
_MOST_UNDECIDED = 4_096
MOST_STRAYS = 1 << 16
"""Receipts that wait to be handed to other senders, at most: of more the newest are dropped."""
MOST_TOLD = 255
"""Octets of an id that others can be told of: a frame has room for no more."""


class Found(NamedTuple):
    """Receipts whose message is known."""

    rows: I64
    """Which receipt, int64[m]; -1: one that came earlier, before its answer."""
    sources: U32
    seqs: U64
    took: F32
    """Seconds since the message was accepted, float32[m]; below 0: not known."""
    outcome: U8


class Outstanding:
    """The table."""

    def __init__(self, timeout: float = 86_400.0, most: int = 4_000_000) -> None:
        """`timeout` in seconds, 0 for never; of more than `most` messages the oldest are given up as missing."""
        self.timeout = timeout
        self.most = most
        self.missing = 0
        """Messages whose receipt was given up."""
        self.strange = 0
        """Receipts of no message that is known here, and that were not handed to others."""
        self.handed = 0
        """Receipts that were handed to the account's other senders."""
        self.found = 0
        """Receipts that some sender handed to others, and that are of a message here."""
        self._shared = self._was_shared = False
        self.votes = [0, 0, 0]
        """Receipts that only this one of `zsms.core.smpp.ids.FORMS` fitted."""
        self._evidence = FormEvidence()
        self._undecided: list[tuple[float, Strings, U8, bool]] = []
        """Receipts that wait for the form: when they came, their ids and outcomes, and whether others know them."""
        self._messages = Runs()
        self._early = Early()
        self._strays: list[tuple[Strings, U8]] = []
        self._stray_count = 0
        self._stood = Standstills()
        self._zero: float | None = None
        self._looked = 0.0

    @property
    def shared(self) -> bool:
        """Whether the account has other senders, which take strays: then they get those, too, that came before."""
        return self._shared

    @shared.setter
    def shared(self, others: bool) -> None:
        if others and not self._shared and (early := self._early.handed_on()) is not None:
            self._hand_on(*early)
        self._shared = others
        self._was_shared |= others

    @property
    def waiting(self) -> int:
        """Messages whose receipt has not come."""
        return self._messages.waiting

    def __len__(self) -> int:
        return self._messages.waiting

    @property
    def early(self) -> int:
        """Receipts that wait for their message's answer, here only."""
        return self._early.waiting

    @property
    def nbytes(self) -> int:
        """Octets that are kept of messages."""
        return self._messages.nbytes

    def _time(self, now: float) -> float:
        if self._zero is None:
            self._zero = now
        return now - self._zero

    @property
    def _form(self) -> int | None:
        """The only form that receipts have; None: any may fit."""
        return self._evidence.form

    def _order(self) -> Sequence[int]:
        """The forms in which to look, the likeliest first."""
        if (form := self._form) is not None:
            return (form,)
        first = int(np.argmax(self.votes))
        return (first, *(each for each in range(len(FORMS)) if each != first))

    def stood_still(self, since: float, now: float) -> None:
        """Nothing was read from `since` until `now`."""
        self._stood.add(self._time(since), self._time(now))

    def add(self, ids: Strings, sources: U32, seqs: U64, now: float) -> Found | None:
        """These were accepted. The receipts of them that have come before, None if none has."""
        if not len(ids):
            return None
        keys, time = hashes(ids), self._time(now)
        self._evidence.see(ids, receipts=False)
        found = None
        if self._early and (known := self._early.match(keys, self._order())) is not None:
            rows = known.rows
            self.found += int(np.count_nonzero(known.handed))
            none = np.zeros(len(rows), np.float32)
            found = Found(np.full(len(rows), -1), sources[rows], seqs[rows], none, known.outcome)
            left = np.delete(np.arange(len(ids)), rows)
            keys, sources, seqs = keys[left], sources[left], seqs[left]
        if len(keys):
            self._messages.add(keys, sources, seqs, time)
            if self.waiting > self.most:
                self.missing += self._messages.give_up(self._messages.middle())
        return found

    def match(self, ids: Strings, outcome: U8, now: float, *, handed: bool = False) -> Found:
        """The messages that receipts are of; each is known once. `outcome` uint8[n] comes back with them.

        Receipts without an id are strange; others that fit nothing are kept, for their answer may be on its way.
        `handed`: they came to another sender, which has counted them.
        """
        named = ids.lengths > 0
        if not named.all():
            self.strange += 0 if handed else int((~named).sum())
            rows = np.flatnonzero(named)
            found = self.match(ids.take(rows), outcome[rows], now, handed=handed)
            return found._replace(rows=rows[found.rows])
        self._evidence.see(ids, receipts=True)
        if self._form is None:
            self._undecided.append((now, _copied(ids), outcome, handed))
            ids, outcome = ids.take(slice(0, 0)), outcome[:0]
        return self._match(ids, outcome, now, handed)

    @property
    def _patience(self) -> float:
        return FORM_S if self._evidence.answers < ENOUGH else LONGER_FORM_S

    @property
    def due(self) -> float | None:
        """When `decided` is worth calling at the latest; None: nothing waits for it."""
        if self._undecided:
            return self._undecided[0][0] + self._patience
        since = None if self._was_shared or self._zero is None else self._early.since
        return None if since is None or self._zero is None else since + self._zero + GUESS_S

    def decided(self, now: float) -> Found | None:
        """The messages of receipts that need not wait any more, None if there are none."""
        parts: list[Found] = []
        waiting = self._undecided
        if waiting and (
            self._form is not None
            or now >= waiting[0][0] + self._patience
            or sum(len(each[1]) for each in waiting) >= _MOST_UNDECIDED
        ):
            self._undecided = []
            parts = [self._match(ids, outcome, came, handed) for came, ids, outcome, handed in waiting]
        if not self._was_shared and (old := self._early.old(self._time(now) - GUESS_S)) is not None:
            parts.append(self._guessed(old, now))
        return Found(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else None

    def _guessed(self, old: Old, now: float) -> Found:
        """The messages of receipts that have waited for an answer with their id in vain, in whatever form."""
        places = _first(self._looked_up(in_forms(old.ids)))
        found, left = self._taken(places, old.outcome, now, handed=False)
        self._early.drop(np.delete(old.places, left))
        return found._replace(rows=np.full(len(found.rows), -1))

    def _keep(self, ids: Strings, outcome: U8, now: float, handed: bool) -> None:
        """Of no message that is known yet."""
        if self.shared and not handed:
            self._hand_on(ids, outcome)
            handed = True
        only = self._form
        forms = in_forms(ids) if only is None else {only: in_form(ids, only)}
        self.strange += self._early.keep(ids, forms, outcome, handed=handed, now=self._time(now))

    def _hand_on(self, ids: Strings, outcome: U8) -> None:
        """To the account's other senders, as far as there is room."""
        rows = np.flatnonzero(ids.lengths <= MOST_TOLD)[: MOST_STRAYS - self._stray_count]
        if len(rows):
            self._strays.append((_copied(ids.take(rows)), outcome[rows]))
            self._stray_count += len(rows)
        self.handed += len(ids)

    def strays(self, most: int) -> tuple[Strings, U8] | None:
        """Up to so many receipts for the account's other senders, None when there are none; they are forgotten here."""
        if not self._strays:
            return None
        ids, outcome = self._strays.pop(0)
        if len(ids) > most:
            self._strays.insert(0, (ids.take(slice(most, None)), outcome[most:]))
            ids, outcome = ids.take(slice(0, most)), outcome[:most]
        self._stray_count -= len(ids)
        return ids, outcome

    def _match(self, ids: Strings, outcome: U8, now: float, handed: bool) -> Found:
        """The messages of these; what fits none is kept."""
        found, left = self._taken(self._places(ids), outcome, now, handed)
        if len(left):
            self._keep(ids.take(left), outcome[left], now, handed)
        return found

    def _places(self, ids: Strings) -> I64:
        """Where the message of each is, -1: nowhere."""
        if (form := self._form) is not None:
            return self._messages.places(*in_form(ids, form))
        looked = self._looked_up(in_forms(ids))
        return _first([looked[form] for form in self._order()])

    def _looked_up(self, forms: Keys) -> list[I64]:
        """Where each is in each form; those that fit in one only are votes for it."""
        looked = [self._messages.places(keys, able) for keys, able in forms.values()]
        fits = np.stack([each >= 0 for each in looked])
        several = fits.sum(axis=0)
        for form, fit in enumerate(fits):
            self.votes[form] += int((fit & (several == 1)).sum())
        if (several > 1).any() and not any(self.votes):
            self.votes[0] += 1  # nothing speaks against what stands there
        return looked

    def _taken(self, places: I64, outcome: U8, now: float, handed: bool) -> tuple[Found, I64]:
        """Take the messages at these places out; of receipts for one message the first counts."""
        rows = np.flatnonzero(places >= 0)
        left = np.flatnonzero(places < 0)
        unique, first = np.unique(places[rows], return_index=True)
        self.strange += 0 if handed else len(rows) - len(unique)
        rows = rows[first]
        order = np.argsort(rows)
        rows, unique = rows[order], unique[order]
        taken = self._messages.take(unique)
        self.found += len(rows) if handed else 0
        time = self._time(now)
        took = np.maximum(0.0, time - taken.at).astype(np.float32)  # one that waited may have come before its answer
        if self._stood:
            took[self._stood.hide(time - took) | self._stood.hide(time)] = -1.0
        return Found(rows, taken.sources, taken.seqs, took, outcome[rows]), left

    def poll(self, now: float) -> int:
        """Give up what is overdue; how many that are. Worth calling every few seconds."""
        time, before = self._time(now), self.missing
        self.strange += self._early.expire(time - EARLY_S)
        if self.timeout > 0 and self.waiting and time - self._looked >= min(self.timeout / 4, 60.0):
            self._looked = time
            self.missing += self._messages.give_up(time - self.timeout)
        return self.missing - before


def _first(looked: Sequence[I64]) -> I64:
    """Of each the first place that is one."""
    places = looked[0]
    for each in looked[1:]:
        places = np.where(places < 0, each, places)
    return places


def _copied(ids: Strings) -> Strings:
    """The same, or each would keep the buffer that it came in."""
    return Strings.packed(ids.compact(), ids.lengths)
