"""What a fake SMSC decides, without a socket or a clock: answers and receipts for columns of submit_sm.

    submitted(messages, origin, now, wall) -> Verdict     a status, an id, a delay and a number of copies each
    due(now) -> rows                                             receipts whose time has come
    receipts(rows, wall) -> Messages                             as deliver_sm

Everything that is drawn comes from the seed, in columns: nothing is done for each message, but for those whose text
says its own outcome (`zsms.smsc.rules.MARK`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zsms.core.seeds import Seed, stream
from zsms.core.sender.wheel import TimingWheel
from zsms.core.smpp.pdu import Messages, Status
from zsms.core.smpp.record import Pdu, Target
from zsms.core.smpp.strings import I64, U8, U32, Bools, Strings, some
from zsms.smsc.ids import ids_of
from zsms.smsc.limits import Bucket, passing, segments_of
from zsms.smsc.rules import MARK, STATES, Account, Outcome, Rules
from zsms.smsc.script import scripts_of
from zsms.smsc.store import ROW, Pending, Seen, States

F32 = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]
_NONE = 0
_TICK_S = 0.005
_SHOWN = np.arange(256, dtype=np.uint8)
_SHOWN[_NONE] = STATES["DELIVRD"]
"""What is told of a message that has ended so."""
_PLAIN = (0, 1, 3)
"""data_codings whose octets may be shown in a receipt."""


@dataclass(slots=True)
class Counts:
    """Messages, since the start."""

    submitted: int = 0
    accepted: int = 0
    throttled: int = 0
    queue_full: int = 0
    rejected: int = 0
    """Answered with another status."""
    segments: int = 0
    """Of accepted ones."""
    duplicates: int = 0
    """Same source, destination and body as one before."""
    answers_lost: int = 0
    receipts: int = 0
    """Receipts that were due."""
    by_status: dict[int, int] = field(default_factory=dict)


class Verdict(NamedTuple):
    """What n submit_sm are answered with."""

    status: U32
    serials: U64
    """Of those that were accepted, from 1 on (`zsms.smsc.ids`); 0 for others."""
    delays: F32 | None
    """Seconds until the answer; None: all are answered at once."""
    copies: U8 | None
    """How often the answer is sent: 0, 1 or 2; None: all once."""
    wanted: list[tuple[int, bytes]]
    """(row, text) of the messages that ask for one to be sent back."""


@dataclass(slots=True)
class Party:
    """An account, or everybody who needs none."""

    account: Account
    number: int
    bucket: Bucket | None
    pending: int = 0
    """Messages that wait for their end."""
    day: int = 0
    """Which day of 24 hours since the start it is, and how many segments were let through in it."""
    in_day: int = 0


class Origin(NamedTuple):
    """Who messages came from."""

    party: Party
    bucket: Bucket | None = None
    """The bind's own limit."""
    binds: int | I64 = 0
    """The bind, or each message's, int64[n]."""


class Model:
    """The decisions of one fake SMSC."""

    def __init__(self, rules: Rules, seed: Seed = None, now: float = 0.0) -> None:
        self.rules = rules
        self._counts = Counts()
        self.states = States()
        self.slower = 1.0
        """Answers take so many times as long."""
        self._rng = stream(seed, "smsc")
        self._serial = 0
        self._pending = Pending()
        self.seen = Seen(stream(seed, "smsc", "hash"))
        self._wheel = TimingWheel(_TICK_S, 1, stream(seed, "smsc", "wheel"))
        self._answer, self._receipt = rules.answer.sampler(), rules.receipt.sampler()
        self._instant = rules.answer.mean == 0
        self._statuses = _Drawn(rules.statuses, Status.OK, np.uint32)
        states = [(_NONE if name == "none" else STATES[name], weight) for name, weight in rules.states]
        self._ends = _Drawn(states, STATES["DELIVRD"], np.uint8)
        self._parties = {account.system_id: self._party(account, n, now) for n, account in enumerate(rules.accounts)}
        self._anybody = self._party(Account("", segments=rules.segments, queue=rules.queue), len(rules.accounts), now)
        self._began = now

    def _party(self, account: Account, number: int, now: float) -> Party:
        bucket = Bucket(account.segments, account.burst, now) if account.segments else None
        return Party(account, number, bucket)

    def party(self, system_id: str, password: str) -> Party | int:
        """Who that is, or the command_status that refuses the bind."""
        if not self.rules.accounts:
            return self._anybody
        party = self._parties.get(system_id)
        if party is None:
            return Status.INVSYSID
        return Status.INVPASWD if party.account.password not in ("", password) else party

    @property
    def counts(self) -> Counts:
        """Messages, since the start."""
        self._counts.duplicates += self.seen.repeated()
        return self._counts

    @property
    def waiting(self) -> int:
        """Messages whose end is still to come."""
        return len(self._pending)

    # -- submits -----------------------------------------------------------------------------------------------------

    def submitted(self, messages: Messages, origin: Origin, now: float, wall: float) -> Verdict:
        """Decide on these; `wall` is the time of day in seconds."""
        count = len(messages)
        self._counts.submitted += count
        self.seen.note(messages)
        status: U32 = self._statuses.draw(self._rng, count)
        ends: U8 = self._ends.draw(self._rng, count)
        copies = self._copies(count, self.rules.lost, self.rules.repeated)
        waits = self._receipt(self._rng, count)
        delays = None if self._instant else self._answer(self._rng, count)
        for outcome in self.rules.outcomes:
            _apply(outcome, _strings(messages.destination), status, ends)
        if scripts := scripts_of(messages, MARK):
            copies = np.ones(count, np.uint8) if copies is None else copies
            delays = np.zeros(count, np.float32) if delays is None else delays
            for row, script in scripts:
                script.apply(row, status=status, ends=ends, copies=copies, delays=delays, waits=waits)
        segments = segments_of(messages)
        self._limit(status, segments, origin, now)
        serials, good = self._accept(status, segments)
        if delays is not None:
            delays = delays * np.float32(self.slower)
        if copies is not None:
            self._counts.answers_lost += int((copies == 0).sum())
        if not isinstance(good, slice):
            ends, waits = ends[good], waits[good]
        if len(ends) and not self._unasked(messages, ends, origin.party, wall):
            rows = self._rows(messages, np.arange(count)[good], serials[good], ends, origin=origin, wall=wall)
            self._keep(rows, origin.party, waits if delays is None else waits + delays[good], now)
        wanted = [(row, script.mo) for row, script in scripts if script.mo is not None]
        return Verdict(status, serials, delays, copies, wanted)

    def _accept(self, status: U32, segments: I64) -> tuple[U64, Bools | slice]:
        """Serial numbers, and which they are of; what is refused is counted."""
        first, counts = self._serial + 1, self._counts
        good: Bools | slice
        if not some(status):  # as nearly always
            count = len(status)
            serials, good = np.arange(first, first + count, dtype=np.uint64), slice(None)
            counts.by_status[0] = counts.by_status.get(0, 0) + count
        else:
            able = good = status == Status.OK
            count = int(able.sum())
            serials = np.zeros(len(status), np.uint64)
            serials[able] = np.arange(first, first + count, dtype=np.uint64)
            segments = segments[good]
            self._count(status)
        self._serial += count
        counts.accepted += count
        counts.segments += int(segments.sum())
        if not isinstance(good, slice):
            counts.rejected = counts.submitted - counts.accepted - counts.throttled - counts.queue_full
        return serials, good

    def _unasked(self, messages: Messages, ends: U8, party: Party, wall: float) -> bool:
        """Whether all of these end at once and nobody wants to hear of it: then nothing is kept of them.

        `ends` are those of the accepted ones.
        """
        if self.rules.receipt.mean or party.account.queue:
            return False
        wanted = np.asarray(messages.registered_delivery)
        if some(wanted) and some(wanted & 3):
            return False
        self.states.put_new(len(ends), _SHOWN[ends], party.number, wall)
        return True

    def apart(
        self, request: Pdu, targets: Sequence[Target], text: bytes, *, origin: Origin, now: float, wall: float
    ) -> tuple[bytes, list[int]]:
        """Decide on a message to these that came by another command than submit_sm: outcomes by number, and no limits.

        Its id, empty when none is accepted, and the status of each: one id for all, as submit_multi has it; each has a
        receipt of its own, where they are asked for.
        """
        party, numbers = origin.party, Strings.of([each.address for each in targets])
        status, ends = np.zeros(len(targets), np.uint32), self._ends.draw(self._rng, len(targets))
        for outcome in self.rules.outcomes:
            _apply(outcome, numbers, status, ends)
        told, bad = status.tolist(), status != 0
        self._count(status)
        targets = [each for each, code in zip(targets, told, strict=True) if not code]
        count = len(targets)
        self._counts.submitted += len(told)
        self._counts.rejected += len(told) - count
        if not count:
            return b"", told
        rows = np.zeros(count, ROW)
        rows["serial"] = self._serial + 1
        rows["bind"], rows["account"], rows["wanted"] = origin.binds, party.number, request["registered_delivery"] & 3
        rows["source"], rows["source_ton"] = request["source_addr"][:20], request["source_addr_ton"]
        rows["source_npi"] = request["source_addr_npi"]
        rows["destination"] = [each.address[:20] for each in targets]
        rows["destination_ton"] = [each.ton or 0 for each in targets]
        rows["destination_npi"] = [each.npi or 0 for each in targets]
        rows["text"], rows["submitted"], rows["state"] = text[:20], wall, ends[~bad]
        self._serial += 1
        self._counts.accepted += count
        self._counts.segments += count
        self._keep(rows, party, self._receipt(self._rng, count), now, new=1)
        return ids_of(rows["serial"][:1], self.rules.ids).tolist()[0], told

    def _limit(self, status: U32, segments: I64, origin: Origin, now: float) -> None:
        """Limits come first: what they refuse is refused whatever was drawn."""
        party = origin.party
        queue = party.account.queue
        if queue:
            rank = np.cumsum(status == Status.OK)
            full = (status == Status.OK) & (rank > queue - party.pending)
            status[full] = Status.MSGQFUL
            self._counts.queue_full += int(full.sum())
        buckets = [each for each in (origin.bucket, party.bucket) if each is not None]
        if buckets:
            able = np.flatnonzero(status != Status.MSGQFUL)
            self._throttle(status, able[~passing(segments[able], buckets, now)])
        if self.rules.daily:
            self._limit_day(status, segments, party, now)

    def _throttle(self, status: U32, over: I64) -> None:
        status[over] = self.rules.throttle_status
        self._counts.throttled += len(over)

    def _limit_day(self, status: U32, segments: I64, party: Party, now: float) -> None:
        day = int((now - self._began) / 86_400.0)
        if day != party.day:
            party.day, party.in_day = day, 0
        able = np.flatnonzero(status == Status.OK)
        passed = np.cumsum(segments[able]) <= self.rules.daily - party.in_day
        party.in_day += int(segments[able][passed].sum())
        self._throttle(status, able[~passed])

    def _count(self, status: U32) -> None:
        for number, times in zip(*(part.tolist() for part in np.unique(status, return_counts=True)), strict=True):
            self._counts.by_status[number] = self._counts.by_status.get(number, 0) + times

    def _copies(self, count: int, lost: float, repeated: float) -> U8 | None:
        if not (lost or repeated):
            return None
        drawn = self._rng.random(count, dtype=np.float32)
        copies = np.ones(count, np.uint8)
        copies[drawn < lost] = 0
        copies[drawn >= 1 - repeated] = 2
        return copies

    def _rows(
        self, m: Messages, at: I64, serials: U64, ends: U8, *, origin: Origin, wall: float
    ) -> npt.NDArray[np.void]:
        rows = np.zeros(len(at), ROW)
        binds = origin.binds
        rows["serial"], rows["state"], rows["account"] = serials, ends, origin.party.number
        rows["bind"] = binds if isinstance(binds, int) else binds[at]
        rows["submitted"] = wall
        for name in ("source_ton", "source_npi", "destination_ton", "destination_npi"):
            rows[name] = np.asarray(getattr(m, name))[at]
        rows["source"] = _strings(m.source).take(at).column(20)
        rows["destination"] = _strings(m.destination).take(at).column(20)
        content = m.content
        assert isinstance(content, Strings)
        plain = np.isin(np.asarray(m.data_coding)[at], _PLAIN) & ((np.asarray(m.esm_class)[at] & 0x40) == 0)
        begins, lengths = content.begins[at], np.where(plain, np.minimum(content.lengths[at], 20), 0)
        rows["text"] = Strings(content.buffer, begins, lengths).column(20)
        rows["wanted"] = np.asarray(m.registered_delivery)[at] & 3
        return rows

    def _keep(self, rows: npt.NDArray[np.void], party: Party, waits: F32, now: float, new: int | None = None) -> None:
        """`new`: serial numbers that these have, by default one each."""
        self.states.put_new(len(rows) if new is None else new, STATES["ENROUTE"], party.number)
        party.pending += len(rows)
        places = self._pending.put(rows)
        self._wheel.add(now, waits, places.astype(np.uint64).reshape(-1, 1))

    # -- receipts ----------------------------------------------------------------------------------------------------

    def next_time(self) -> float | None:
        """When the next message ends."""
        return self._wheel.next_time()

    def due(self, now: float, wall: float = 0.0) -> npt.NDArray[np.void] | None:
        """Rows of messages that have ended and whose receipts are to be sent now, twice where it was so drawn.

        `wall` is the time of day in seconds.
        """
        records = self._wheel.advance(now)
        if records is None:
            return None
        rows = self._pending.take(records[:, 0].astype(np.int64))
        for party in self._parties.values() or (self._anybody,):
            party.pending -= int((rows["account"] == party.number).sum())
        deleted = self.states.get_all(rows["serial"]) == STATES["DELETED"]
        rows["state"][deleted] = STATES["DELETED"]
        silent = rows["state"] == _NONE
        ended = rows[~deleted] if some(deleted) else rows
        self.states.put(ended["serial"], _SHOWN[ended["state"]], wall)
        rows = rows[_asked(rows) & ~silent]
        copies = self._copies(len(rows), self.rules.receipts_lost, self.rules.receipts_repeated)
        rows = rows if copies is None else np.repeat(rows, copies)
        self._counts.receipts += len(rows)
        return rows if len(rows) else None


def _asked(rows: npt.NDArray[np.void]) -> Bools:
    """Whether a receipt is wanted of messages that have ended so: a cancelled one has failed."""
    wanted, good = rows["wanted"], rows["state"] == STATES["DELIVRD"]
    found: Bools = (wanted == 1) | ((wanted == 2) & ~good) | ((wanted == 3) & good)
    return found


def _strings(text: bytes | Strings) -> Strings:
    assert isinstance(text, Strings)  # what was decoded
    return text


class _Drawn:
    """Values by weight."""

    def __init__(self, weights: Sequence[tuple[int, float]], default: int, kind: type[np.unsignedinteger[Any]]) -> None:
        """`default` is the value where there are no weights."""
        self._kind = kind
        self._values = np.array([value for value, _ in weights] or [default], kind)
        shares = np.cumsum([weight for _, weight in weights] or [1.0])
        self._bounds = shares / shares[-1]

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[Any]:
        """So many of them."""
        if len(self._values) > 1:
            return self._values[np.searchsorted(self._bounds, rng.random(count), side="right")]
        found = np.empty(count, self._kind)
        found.fill(self._values[0])
        return found


def _apply(outcome: Outcome, destination: Strings, status: U32, ends: U8) -> None:
    hit = matching(destination, outcome.number)
    if outcome.status is not None:
        status[hit] = outcome.status
    if outcome.receipt is not None:
        ends[hit] = _NONE if outcome.receipt == "none" else STATES[outcome.receipt]


def _without_plus(numbers: Strings) -> Strings:
    first = numbers.matrix(1)[:, 0] == 0x2B if len(numbers) else np.zeros(0, np.bool_)
    first &= numbers.lengths > 0
    return Strings(numbers.buffer, numbers.begins + first, numbers.lengths - first)


def matching(numbers: Strings, pattern: str) -> Bools:
    """Which of the numbers fit a pattern of octets with `*` at the beginning, at the end or both, bool[n].

    A plus in it need not be in the number: most clients leave it out.
    """
    if "+" in pattern:
        return matching(_without_plus(numbers), pattern.replace("+", ""))
    octets = np.char.strip(numbers.column(20), b"\0")
    inner = pattern.strip("*").encode()
    front, back = pattern.startswith("*"), pattern.endswith("*")
    if front and back:
        found: Bools = np.char.find(octets, inner) >= 0
        return found
    if front:
        return np.char.endswith(octets, inner)
    if back:
        return np.char.startswith(octets, inner)
    same: Bools = octets == inner
    return same
