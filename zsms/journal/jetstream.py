"""The store in a JetStream stream: a record a group, a majority of servers to hold it, a fence for two brokers.

    the journal's thread --commit--> [ this loop's thread: nats-py, one append at a time ]

The log of records is :mod:`zsms.journal.log`, who may write it :mod:`zsms.journal.fence`, the connection
:mod:`zsms.journal.nats`. Between groups, what lives of the oldest records is moved to the end of the stream, and its
front is cut off, so that the stream stays as small as about twice what is unsettled.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from zsms.core.broker.durability import hidden
from zsms.core.broker.journal import Group, Stored
from zsms.errors import JournalError
from zsms.journal.address import Address
from zsms.journal.fence import ANEW, DATA, DELETED, HOLD_S, Holder, Record, Unavailable, take_over
from zsms.journal.lock import boot_id
from zsms.journal.log import SLACK_BYTES, Content, Log, pack_record, rows_of, unpack_record
from zsms.journal.nats import JetStream, Refused
from zsms.journal.store import NeverTaken

FORMAT = 1
_READ_AT_ONCE = 8
_STATE_S = 10.0
"""A busy holder says that often who it is, so that the front of the log can be cut off behind that."""
LOOK_S = 3.0
"""Between two looks at what others may have done to the stream."""
_CLOSE_S = 2.0
_TAKE_OVER_S = 60.0
_LOOK_UP_S = 5.0
_DELETED = (
    "records were deleted from its stream: a broker that started with it now would not have what is not settled. This "
    "one has it and goes on; all is well again once that is settled"
)
_log = logging.getLogger("zsms.journal")

T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="nats", daemon=True)
        self._thread.start()

    def call(self, what: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run it there to its end. Raises TimeoutError."""
        future = asyncio.run_coroutine_threadsafe(what, self.loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    def end(self) -> None:
        """End the thread, and what goes on there."""
        try:
            self.call(_cancel_all(), 1.0)
            self.call(self.loop.shutdown_default_executor(), 1.0)  # or a process could not be forked any more
        except TimeoutError:
            pass
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(1.0)


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class JetStreamStore:
    """A :class:`zsms.journal.store.Store`."""

    def __init__(
        self, url: str, create: bool, *, name: str = "", standby: bool = False, leaves: Callable[[], bool] = bool
    ) -> None:
        """`name` is the broker's; it `leaves` while it stands by. Raises JournalError, NeverTaken and UsageError."""
        self._url = hidden(url).partition("?")[0]
        self._address = Address.parse(url)
        self._who = f"{name} " * bool(name) + f"pid {os.getpid()} on {platform.node()}"
        self.stream = JetStream(self._address)
        self._name = name
        self.holder = Holder(self.stream, self._who, self._log_as_told)
        self._leaves = leaves
        self._cut_at = self._cut_below = 1
        """The place at which the front of the log was cut off, and is to be."""
        self._grows = False
        self._since_state = 0
        """Bytes of groups."""
        self._is_read = False
        self._failure: BaseException | None = None
        self._unfit = ""
        """Why the stream, which somebody has edited, would lose what is appended now."""
        self._missing = False
        self.log = Log()
        self._kept = Stored()
        self._asked_at = 0.0
        self.dropped = ""
        self.loop = Loop()
        try:
            self.loop.call(self._open(create, standby))
        except BaseException as error:
            self.loop.end()
            if isinstance(error, (Unavailable, JournalError)):
                raise JournalError(f"the journal {self._url}: {error}") from None
            raise

    def _log_as_told(self, what: str) -> None:
        self._tell(logging.WARNING if self.holder.trouble else logging.INFO, what)

    async def _open(self, create: bool, standby: bool) -> None:
        await self.stream.open(create, self._leaves)
        self._lock = asyncio.Lock()
        if not await self.holder.take(wait=standby, leaves=self._leaves, make_state=self._make_state):
            raise NeverTaken
        state = self.holder.state
        self.owner: str = state["owner"]
        self.birth, self.opened, self.same_boot = state["birth"], state["opened"], self._same_boot
        level = logging.WARNING if self.stream.copies < self._address.copies else logging.INFO
        self._tell(level, await self.stream.describe())
        self._beat = asyncio.ensure_future(self._hold())
        try:
            self._kept = await self._read()
            self._is_read = True
        except BaseException:
            self._beat.cancel()
            raise

    def _make_state(self, before: dict[str, Any]) -> dict[str, Any]:
        if before.get("format", FORMAT) != FORMAT:
            raise JournalError(f"it has the format {before['format']}; this program reads {FORMAT}")
        boot = boot_id()
        self._same_boot = before.get("boot", boot) == boot
        opened = before.get("opened", 0) + 1
        birth = before.get("birth") or time.time_ns()
        owner = before.get("owner") or self._name
        begin = before.get("from")
        return {"format": FORMAT, "birth": birth, "opened": opened, "boot": boot, "owner": owner, "from": begin}

    async def _hold(self) -> None:
        """Be heard, also when there is nothing to write."""
        said = looked = self.stream.now()
        while True:
            await asyncio.sleep(HOLD_S / 3)
            now = self.stream.now()
            if now - looked >= LOOK_S or self._unfit:
                looked = now
                await self._look()
            if now - self.holder.stored_since < HOLD_S and now - said < _STATE_S:
                continue
            try:
                async with self._lock:
                    await self._declare_need()
                await self._cut()
            except JournalError as error:
                self._failure = error
                return
            said = self.stream.now()

    async def _look(self) -> None:
        """See whether somebody has edited the stream, or deleted of it what is not settled."""
        copies = self.stream.copies
        try:
            found = await self.stream.look()
        except Unavailable:
            return  # whoever appends says so
        if copies != self.stream.copies:
            self._tell(logging.WARNING, f"now {await self.stream.describe()}")
        if found.unfit != self._unfit:
            self._unfit = found.unfit
            told = f"{found.unfit}; nothing is confirmed until then"
            self._tell(logging.WARNING, told if found.unfit else "its stream is set up as it should be again")
        missing = found.deleted > 0 or found.first > (self.log.floor() or self.holder.last + 1)
        if missing is not self._missing:
            self._missing = missing
            if missing:
                self._tell(logging.ERROR, _DELETED)
            else:
                self._tell(logging.INFO, "what was deleted from its stream is not needed any more")

    def _tell(self, level: int, what: str) -> None:
        _log.log(level, "the journal %s: %s", self._url, what)

    # -- reading ------------------------------------------------------------------------------------------------

    async def _read(self) -> Stored:
        """All records up to the one with which this holder began, which nobody can change any more."""
        content, group, upto = Content(), list[Record](), self.holder.last
        place = (await self._tried(self.stream.ends)).first
        if place > (self.holder.state["from"] or place):
            raise JournalError(f"{DELETED}, and with them some that was not settled; {ANEW}")
        while place <= upto:
            places = range(place, min(place + _READ_AT_ONCE, upto + 1))
            for at, record in zip(places, await asyncio.gather(*map(self._fetch, places)), strict=True):
                if record is None:
                    first = (await self._tried(self.stream.ends)).first
                    if first <= at or first > (self.holder.state["from"] or first):
                        raise JournalError(f"{DELETED}: record {at} is missing; {ANEW}")
                    continue  # a holder before has just cut it off
                if group and record.part != len(group):
                    self.dropped = f"a group that its broker did not finish, at record {at - len(group)}"
                if record.kind != DATA:
                    group = []
                    continue
                group = [*group, record] if record.part == len(group) else [record] * (not record.part)
                if len(group) == record.parts:
                    self._replay(content, group, at)
                    group = []
            place = places.stop
        return content.kept()

    def _replay(self, content: Content, group: list[Record], at: int) -> None:
        payload = b"".join(record.payload for record in group)
        rows, gone = unpack_record(payload, f"record {at}")
        content.append(rows, gone)
        self.log.append(at + 1 - len(group), at + 1, len(payload), rows, gone)

    async def _fetch(self, place: int) -> Record | None:
        record: Record | None = await self._tried(self.stream.fetch, place)
        return record

    async def _tried(self, ask: Any, *arguments: Any) -> Any:
        """Ask until there is an answer."""
        while True:
            try:
                return await ask(*arguments)
            except Unavailable as error:
                self._log_as_told(f"{error}; trying on")
                await asyncio.sleep(0.5)

    def load(self) -> Stored:
        """Everything that was kept when it was opened. Raises JournalError when any of it is damaged."""
        kept, self._kept = self._kept, Stored()
        return kept

    # -- writing ------------------------------------------------------------------------------------------------

    def commit(self, group: Group) -> None:
        """Have a majority of the servers keep a group, however long that takes. Raises JournalError when another
        broker has the journal.
        """
        rows, gone = rows_of(group)
        try:
            self.loop.call(self._commit(rows, gone, pack_record(rows, gone)))
        except JournalError as error:
            raise type(error)(f"{self._url}: {error}") from None

    async def _commit(self, rows: list[Any], gone: list[bytes], payload: bytes) -> None:
        while self._unfit and self._failure is None:
            await asyncio.sleep(HOLD_S / 3)
        async with self._lock:
            await self._append(rows, gone, payload)
        if not self.sure or self.log.wasteful or self._since_state > SLACK_BYTES:
            self._tidying = asyncio.ensure_future(self._tidy())  # the group is safe, and its confirm waits for nothing

    async def _tidy(self) -> None:
        """Keep the stream small, and this holder sure."""
        try:
            async with self._lock:
                if self.log.wasteful:
                    await self._move()
                if not self.sure or self._since_state > SLACK_BYTES:
                    await self._declare_need()
            await self._cut()
        except JournalError as error:
            self._failure = error

    async def _declare(self, event: str) -> None:
        await self.holder.declare(event)
        self._since_state = 0

    async def _append(self, rows: list[Any], gone: list[bytes], payload: bytes) -> None:
        size = self.stream.payload
        parts = [payload[begin : begin + size] for begin in range(0, len(payload), size)]
        begin = await self.holder.append(DATA, parts)
        self.log.append(begin, begin + len(parts), len(payload), rows, gone)
        self._since_state += len(payload)

    async def _move(self) -> None:
        """Move some of what lives in the oldest record behind the others."""
        begin, end = self.log.oldest()
        try:
            records = [await self.stream.fetch(place) for place in range(begin, end)]
        except Unavailable:
            return  # later
        if None in records:
            return  # somebody has deleted it, which `_look` tells
        payload = b"".join(record.payload for record in records if record is not None)
        rows = self.log.movable(begin, unpack_record(payload, f"record {begin}")[0])
        await self._append(rows, [], pack_record(rows, []))

    async def _declare_need(self) -> None:
        """Say who has the log, and from where on it is needed."""
        if self._is_read:  # or nothing would seem to live
            self.holder.state["from"] = self.log.floor() or self.holder.last + 1
        await self._declare("hold")
        self._cut_below = self.holder.state["from"] or 1

    async def _cut(self) -> None:
        """Cut off the front of the log, in which nothing lives, once a STATE that says so is stored."""
        below = self._cut_below
        if below <= self._cut_at:
            return
        try:
            await self.stream.cut(below)
        except Unavailable as error:
            if isinstance(error, Refused) and not self._grows:
                self._grows = True
                self._tell(logging.ERROR, f"its stream grows, for what is settled can't be cut off: {error}")
            return  # later
        self._cut_at, self._grows = below, False

    @property
    def sure(self) -> bool:
        """Whether no other broker can have the journal at this moment."""
        return self.holder.sure(self.stream.now())

    @property
    def trouble(self) -> str:
        """Why nothing can be kept at the moment, in words; empty when all is well."""
        return self.holder.trouble or self._unfit

    @property
    def failure(self) -> BaseException | None:
        """Why nothing more can be committed, if that was seen between two groups."""
        return self._failure

    def close(self) -> None:
        """Let another broker have it."""
        try:
            self.loop.call(self._close(), _CLOSE_S)
        except (JournalError, TimeoutError):
            pass  # its time will be over
        self.loop.end()

    async def _close(self) -> None:
        async with self._lock:
            self._beat.cancel()
            await self._declare("close")
        await self.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def has_records(url: str) -> bool:
    """Whether there was ever anything in a journal, as far as its servers answer within a moment."""
    loop, stream = Loop(), JetStream(Address.parse(url))
    try:
        return loop.call(stream.ends(), _LOOK_UP_S).last > 0
    except (Unavailable, TimeoutError):
        return False
    finally:
        loop.call(stream.close(), _CLOSE_S)
        loop.end()


def end_lease(url: str, by: str) -> str:
    """End the lease of the broker that has the journal, for one that stands by; what it is called, empty if none has.

    Raises JournalError and UsageError.
    """
    loop, stream = Loop(), JetStream(Address.parse(url))

    async def end() -> str:
        await stream.open(create=False)
        holder = await take_over(stream, by)
        await stream.close()
        return holder

    try:
        return loop.call(end(), _TAKE_OVER_S)
    except TimeoutError:
        why = stream.refused or f"not done within {_TAKE_OVER_S:.0f} s"
        raise JournalError(f"the journal {hidden(url)}: {why}") from None
    except (Unavailable, JournalError) as error:
        raise JournalError(f"the journal {hidden(url)}: {error}") from None
    finally:
        loop.end()
