"""One writer at a time to a log that several can reach, though any of them may be late, cut off or frozen.

    free --append "open"--> held --nothing new for LEASE_S, or for SURE_S behind "take-over"--> free
                            held --append "close"--> free

Every record is appended on condition that the log still ends where its writer believes: that condition is the fence.
Who takes over appends first, so that nothing which another writer sends later, or has sent and which is late, is ever
stored. Time is no part of that. It only says when to take over: who waits has seen no new record for `LEASE_S`,
while the log could be read. A holder with nothing to write appends "hold" every `HOLD_S`; and one that has not been
heard for `SURE_S` gives nothing to senders any more, for by then another may.

Of a request nobody answered it is not known whether it was stored: then the log is read to see.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple, Protocol

import msgpack

from zsms.errors import JournalError
from zsms.journal.store import Fenced

LEASE_S = 6.0
"""So long a log has to be silent before another takes it."""
SURE_S = 4.5
"""So long after it began to append what was stored last, a holder knows that nobody else can have the log."""
HOLD_S = 1.5
LOOK_S = 0.5
"""Between two looks of one who waits."""
LOST_S = 15.0
"""So long a log has to be shorter than it was before that is believed: a server that was cut off may say so too."""
_TRY_AGAIN_S = 0.25
DELETED = "somebody has deleted records of its stream (`nats stream purge` or `rmm`)"
ANEW = "nobody can get them back: begin with another name, or anew with this one once the stream is deleted, too"

STATE, DATA = "state", "data"
FREE = ("close", "take-over")
_PATIENCE_S = {"close": 0.0, "take-over": SURE_S}
"""Of one who waits, after such a STATE; from whom it was taken does not know it yet."""


class Unavailable(Exception):
    """Nobody answers, or none that could know."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is appended at once."""

    kind: str
    """STATE or DATA."""
    id: str
    """Never the same for two records."""
    payload: bytes
    part: int = 0
    parts: int = 1
    """A group that is too long for one record is so many of them, one after the other."""


class Ends(NamedTuple):
    """Places of the first and the last record; 0 for the last: there never was one."""

    first: int
    last: int


class Stream(Protocol):
    """The log. Places count from 1. Each call but `sleep` raises Unavailable."""

    @property
    def refused(self) -> str:
        """Why nothing was stored of what was last appended, in words; empty when nobody said."""

    async def append(self, last: int, records: Sequence[Record]) -> bool:
        """Append these, each on condition that the log ends at `last`, or with the one before it. Whether it is known
        that all were stored; never raises.
        """

    async def ends(self) -> Ends:
        """Where the log begins and ends."""

    async def state(self) -> Record | None:
        """The last record of the kind STATE."""

    async def read(self, place: int) -> Record | None:
        """The record at that place; None when there is none, or it was cut off."""

    async def cut(self, below: int) -> None:
        """Let go of the records below that place."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def now(self) -> float:
        """Seconds of a clock that goes on while a process is stopped."""


class Holder:
    """One who writes the log, or waits to."""

    def __init__(self, stream: Stream, who: str, say: Callable[[str], None]) -> None:
        """`who` names it for people; `say` is told what takes long."""
        self._stream = stream
        self._who = who
        self._say = say
        self._token = secrets.token_hex(8)
        self._count = 0
        self.last = 0
        """Where the log ends, as far as this holder knows."""
        self.state_at = 0
        """Where its last STATE is."""
        self.state: dict[str, Any] = {}
        """What a STATE says beside its event."""
        self._stored_since = -inf
        """When the append began that was stored last."""
        self.trouble = ""
        """Why nothing can be appended at the moment, in words."""

    # -- becoming the holder -------------------------------------------------------------------------------------

    async def take(
        self,
        *,
        wait: bool,
        make_state: Callable[[dict[str, Any]], dict[str, Any]],
        leaves: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Become the holder; `make_state(state before, or empty)` is what every STATE of this one says. False when it
        `leaves` before.

        Raises JournalError when another holds the log, unless it is to `wait` for that one's end.
        """
        stream, seen, since, told = self._stream, -1, 0.0, False
        while not leaves():
            try:
                ends, before = await stream.ends(), _body(await stream.state())
            except Unavailable as error:
                self._complain(str(error))
                seen = -1  # the time does not count in which a holder could not have been heard
                await stream.sleep(LOOK_S)
                continue
            now = stream.now()
            # A holder that lives soon says again what somebody else has deleted.
            lost = bool(ends.last) and not before
            patience = _PATIENCE_S.get(before["event"], LEASE_S) if before else LEASE_S * lost
            if ends.last != seen:
                if patience and seen >= 0 and not wait:
                    raise JournalError(
                        f"it is in use by {before.get('holder', 'another')}; stop that first, or stand by: --standby"
                    )
                seen, since = ends.last, now
            if now - since >= patience:
                if lost:
                    raise JournalError(f"{DELETED}, and with them all that was not settled; {ANEW}")
                self.last, self.state = ends.last, {"holder": self._who, **make_state(before)}
                try:
                    await self.append(STATE, [self._state("open")])
                except Fenced:
                    seen = -1
                    continue  # another one was faster
                self.trouble = ""
                return True
            if not told and wait:
                told = True
                self._say(f"standing by for {before['holder']}")
            await stream.sleep(LOOK_S)
        return False

    def _state(self, event: str) -> bytes:
        return bytes(msgpack.packb({**self.state, "event": event}))

    async def declare(self, event: str) -> None:
        """Append a STATE: hold, close. Raises as `append`."""
        await self.append(STATE, [self._state(event)])

    def sure(self, now: float) -> bool:
        """Whether nobody else can have taken the log until `now`."""
        return now - self._stored_since < SURE_S

    @property
    def stored_since(self) -> float:
        """When the append began that was stored last."""
        return self._stored_since

    # -- writing --------------------------------------------------------------------------------------------------

    async def append(self, kind: str, payloads: Sequence[bytes]) -> int:
        """Append these as one group, and return the place of the first when all are stored, however long that takes.

        Raises Fenced when another has the log, and JournalError when it has lost what was stored before.
        """
        stream, base, lost_since = self._stream, self.last, None
        records = [
            Record(kind, f"{self._token}.{self._count + part}", payload, part, len(payloads))
            for part, payload in enumerate(payloads)
        ]
        self._count += len(records)
        done, began = 0, stream.now()
        while True:
            if await stream.append(base + done, records[done:]):
                break
            try:
                stored = await self._stored(base, records)
            except Unavailable as error:
                self._complain(str(error))
                await stream.sleep(_TRY_AGAIN_S)
                continue
            if stored == len(records):
                break
            # A leader that has lost the others still answers what it is asked for some seconds, and stores nothing.
            why = f"store nothing: {stream.refused}" if stream.refused else "acknowledge nothing"
            self._complain(f"the NATS servers {why}")
            now = stream.now()
            lost_since = None if stored >= done else now if lost_since is None else lost_since
            if lost_since is not None and now - lost_since >= LOST_S:
                raise JournalError(
                    f"the servers have lost records that they had acknowledged: record {base + done} was there, and "
                    "now is not"
                )
            done = max(done, stored)
            await stream.sleep(_TRY_AGAIN_S)
        self.last = base + len(records)
        if kind == STATE:
            self.state_at = self.last
        self._stored_since = began  # of the first try: which one was stored is not known
        if self.trouble:
            self._say("the servers answer again")
        self.trouble = ""
        return base + 1

    async def _stored(self, base: int, records: list[Record]) -> int:
        """How many of these the log has, the first at `base` + 1; -1 when it ends before `base`."""
        first, last = await self._stream.ends()
        count = min(last - base, len(records))
        if count <= 0:
            return count if not count else -1
        found = await self._stream.read(base + count)
        if found is None and first <= base + count:
            raise Unavailable(f"record {base + count} can't be read")
        if found is None or found.id != records[count - 1].id or last > base + len(records):
            raise Fenced(await self._why())
        return count

    async def _why(self) -> str:
        """Why another holds the log."""
        for _ in range(3):
            try:
                said = _body(await self._stream.state())
            except Unavailable:
                await self._stream.sleep(_TRY_AGAIN_S)
                continue
            except JournalError as error:
                return str(error)
            if said and said["event"] == "take-over":
                return f"it was taken from this one by hand, by {said['by']}"
            if said.get("holder") == self._who:
                return "somebody who is no broker has written to its subjects"
            return f"{said.get('holder', 'another one')} has taken over: this one was not heard for too long"
        return "another one has taken over"

    def _complain(self, why: str) -> None:
        before, self.trouble = self.trouble, why
        if why != before:
            self._say(f"{why}; trying on")


async def take_over(stream: Stream, by: str) -> str:
    """End the lease of whoever holds the log, for one who waits; the former holder's name, empty if there was none.

    Raises Unavailable.
    """
    while True:
        ends, said = await stream.ends(), _body(await stream.state())
        if not said or said["event"] in FREE:
            return ""
        payload = msgpack.packb({**said, "event": "take-over", "by": by})
        if await stream.append(ends.last, [Record(STATE, secrets.token_hex(8), bytes(payload))]):
            return str(said["holder"])
        await stream.sleep(_TRY_AGAIN_S)


def _body(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {}
    try:
        said = dict(msgpack.unpackb(record.payload)) if record.kind == STATE else {}
    except (ValueError, TypeError):
        said = {}
    if said.keys() >= {"event", "holder"}:
        return said
    raise JournalError("its last STATE is no broker's: somebody else has written to its subjects; delete that record")
