"""The producer role: makes messages, pushes them in batches, and keeps every batch until the broker confirms it.

The loop: wait, unless there is something to make; read confirms; make batches while the window has room; push until
ZeroMQ takes no more.
"""

from __future__ import annotations

import hashlib
from math import isfinite
from typing import Any

import zmq

from zsms.core.pace import Pace
from zsms.core.snapshot import Snapshot
from zsms.core.window import Window
from zsms.errors import UsageError, WireError, ZsmsError
from zsms.message import MAX_BATCH_MESSAGES, Batch
from zsms.protocol import Bye, Confirm, Fenced, Hold, JoinProducer, Pong, Refused, Welcome, Who, encode_batch
from zsms.roles.base import Role
from zsms.roles.link import Link, refuse_parts
from zsms.sockets import BROKER_PORT, DEFAULT_BROKER, Endpoint
from zsms.source import Columns, RandomSource, Source

BATCH_MESSAGES = 16_384
"""Messages in a batch, at most: one block of the random source."""
WINDOW_MESSAGES = 200_000
"""Unconfirmed messages of a producer, at most."""
_PACE_S = 0.001
"""An open-loop producer gathers what is due within this time into one batch."""


def check_pushing(rate: float | None, batch: int | None, window: int | None) -> None:
    """Raises UsageError for a rate, batch or window (None: the default) that can't be."""
    if rate is not None and not (isfinite(rate) and rate > 0):
        raise UsageError(f"rate {rate}: give messages a second, above 0")
    if batch is not None and not 1 <= batch <= MAX_BATCH_MESSAGES:
        raise UsageError(f"batch {batch}: give 1 to {MAX_BATCH_MESSAGES} messages")
    if window is not None and window < 1:
        raise UsageError(f"window {window}: give at least 1 message")


class Producer(Role):
    """Makes messages and hands them to a broker."""

    role = "producer"

    def __init__(
        self,
        broker: str = DEFAULT_BROKER,
        *,
        source: Source | None = None,
        messages: int = 100_000,
        seed: int | None = None,
        rate: float | None = None,
        batch: int = BATCH_MESSAGES,
        window: int = WINDOW_MESSAGES,
        resend_after: float = 5.0,
        **common: Any,
    ) -> None:
        """`source` says which messages, by default `messages` random ones that `seed` makes repeatable.

        `rate` is the open-loop arrival rate in messages a second; None makes them as fast as the window allows.
        `batch` is the most messages in a frame, `window` the most that may be unconfirmed, `resend_after` the
        seconds without a confirm after which they are pushed again. `common` are the options of :class:`Role`.
        Raises UsageError.
        """
        super().__init__(**common)
        check_pushing(rate, batch, window)
        if not 0.1 <= resend_after <= 3_600:
            raise UsageError(f"resend after {resend_after}: give seconds from 0.1 to 3600")
        self.source: Source = RandomSource(messages, seed=seed) if source is None else source
        self.window = Window(window, resend_after)
        self.produced = 0
        self._rate = rate
        self._pace: Pace | None = None
        self._batch = batch
        self._endpoint = Endpoint.parse(broker, BROKER_PORT)
        self._id = int.from_bytes(hashlib.blake2b(self.name.encode(), digest_size=8).digest(), "big")
        self._start = self._start_id
        """By which the broker tells this start from earlier ones; settled with the first welcome."""
        self._welcomed = False
        self._exhausted = False
        self._broker_full = False
        self._held_back = False
        self._push_blocked = False
        self._next_batch = 0.0
        self._link: Link
        self._push: zmq.Socket[bytes]

    def set_rate(self, rate: float) -> None:
        """Change the arrival rate, messages a second. From any thread.

        Raises UsageError for a rate that can't be, and for a producer that was made without one.
        """
        check_pushing(rate, None, None)
        if self._rate is None:
            raise UsageError(f"{self.name} has no arrival rate that could change: it makes messages as fast as it can")
        self._rate = rate
        self.wake()

    def _open(self) -> None:
        self._push = self._sockets.connect(zmq.PUSH, self._endpoint, "first", hwm=8)
        self._link = Link(self._sockets, self._endpoint, self.log, self._make_join)
        self._poller.register(self._link.socket, zmq.POLLIN)

    def _make_join(self, now: float) -> JoinProducer:
        return JoinProducer(self._id, self._start, self.name, self.window.oldest, now)

    def _step(self) -> bool:
        now = self._clock()
        events = self._wait(self._wake_at(now), now)
        now = self._clock()
        if self._link.socket in events:
            self._read(now)
        self._follow_rate(now)
        if self._link.joined:
            self._make(now)
            if self.window.overdue(now, self._broker_full):
                self.window.rewind(now)
            self._push_frames()
        else:
            self._watch_push(False)  # room in the pipe is no reason to wake up before we may push
        self._link.tick(now, self._start)
        self._feed.tick(now)
        return not self._done(now)

    def _wake_at(self, now: float) -> float:
        if self._link.joined and not self._push_blocked:
            if self.window.next_frame() is not None:
                return now
            if self._may_make():
                return self._next_due(now)
        times = (self._link.next_time(), self._feed.due(), self._drain_until)
        return min(at for at in times if at is not None)

    def _next_due(self, now: float) -> float:
        if self._pace is None:
            return now
        at = max(self._pace.time_of(self.produced), self._next_batch)
        times = (at, self._link.next_time(), self._feed.due())
        return min(time for time in times if time is not None)

    # -- confirms -----------------------------------------------------------------------------------------------

    def _read(self, now: float) -> None:
        for parts in self._link.read(64):
            try:
                refuse_parts(parts, 1)
                self._hear(self._link.opened(parts[0], now), now)
            except WireError as error:
                self._refuse("dispatch", error, now)

    def _hear(self, frame: Any, now: float) -> None:
        match frame:
            case Confirm() if frame.start == self._start:
                self._broker_full = frame.full
                self._confirmed(frame.next, now)
            case Pong() if frame.subject == self._start:
                self._broker_full = frame.full
                self._confirmed(frame.next, now)
            case Welcome():
                self._welcomed = True
                self._confirmed(frame.next, now)
                self.window.rewind(now)
            case Who():
                self._link.lost()
            case Fenced():
                self._fence(frame.start)
            case Hold() if frame.start == self._start:
                self._broker_full = True
                if not self._held_back:
                    self._held_back = True
                    self.log.warning(
                        "%s: the broker takes nothing at the moment: %s; trying on", self.name, frame.reason
                    )
            case Refused():
                raise ZsmsError(f"{self.name}: the broker refused this producer: {frame.reason}")
            case Confirm() | Pong() | Bye() | Hold():
                pass
            case _:
                raise WireError(f"{type(frame).__name__} has no business here")

    def _fence(self, later: int) -> None:
        """The broker knows a later start of this producer: it has taken over, or a clock was set back before we began.

        What was welcomed before is the older one for sure, and gives way. What was not has pushed nothing yet, so no
        message of it is known by its start, and it may go above the other.
        """
        if self._welcomed:
            raise ZsmsError(f"{self.name}: a later start of this producer has joined the broker; this one is fenced")
        if later >= self._start and later + 1 < 2**64:
            self.log.info("%s: started after one whose clock was ahead; joining as the later one", self.name)
            self._start = later + 1
            self._link.join_now()

    def _confirmed(self, upto: int, now: float) -> None:
        try:
            confirmed = self.window.confirmed(upto, now)
        except ValueError as error:
            raise WireError(str(error)) from None
        if confirmed and self._held_back:
            self._held_back = False
            self.log.warning("%s: the broker goes on", self.name)

    # -- making and pushing ---------------------------------------------------------------------------------------

    def _may_make(self) -> bool:
        return not self._exhausted and not self._stopping and self.window.room > 0

    def _follow_rate(self, now: float) -> None:
        rate = self._rate
        if rate is not None and self._pace is not None and rate != self._pace.rate:
            self._pace.change(rate, now)

    def _make(self, now: float) -> None:
        """Make one batch, if there is room for it and it is due."""
        if self._push_blocked or self.window.next_frame() is not None or not self._may_make():
            return
        if self._rate is not None and self._pace is None:
            self._pace = Pace(self._rate, now)
        size = self._batch
        if self._pace is not None:
            if now < self._next_batch:
                return
            size = min(size, self._pace.due(self.produced, now))
            if not size:
                return
            self._next_batch = now + _PACE_S if size < self._batch else now
        columns = self.source.take(size)
        if not len(columns):
            self._exhausted = True
            return
        self.window.add(encode_batch(self._address(columns, now)), len(columns), now)
        self.produced += len(columns)
        if self.source.total is not None and self.produced >= self.source.total:
            self._exhausted = True

    def _address(self, columns: Columns, now: float) -> Batch:
        """The columns as the next batch of this producer."""
        first, pace = self.produced, self._pace
        due, step = (now, 0.0) if pace is None else (pace.time_of(first), pace.step_at(first))
        return Batch(
            producer=self._id,
            start=self._start,
            number=self.window.next_number,
            first=first,
            due=self._link.clock.to_remote(due),
            step=step,
            recipients=columns.recipients,
            lengths=columns.lengths,
            text=columns.text,
        )

    def _push_frames(self) -> None:
        while (frame := self.window.next_frame()) is not None:
            try:
                self._push.send(frame, zmq.NOBLOCK, copy=False)
            except zmq.Again:
                self._watch_push(True)
                return
            self.window.pushed()
        self._watch_push(False)

    def _watch_push(self, blocked: bool) -> None:
        """Poll for room in the pipe only while there is none: a PUSH with room is always ready."""
        if blocked != self._push_blocked:
            self._push_blocked = blocked
            if blocked:
                self._poller.register(self._push, zmq.POLLOUT)
            else:
                self._poller.unregister(self._push)

    def _done(self, now: float) -> bool:
        if (self._exhausted or self._stopping) and not len(self.window):
            if self._link.joined:
                self._link.say(Bye(self._start))
            return True
        if self._out_of_time(now):
            self.log.warning("%s: leaving with %d messages unconfirmed", self.name, self.window.messages)
            return True
        return False

    def _snapshot(self, now: float) -> Snapshot:
        done = self._exhausted and not len(self.window)
        return self._make_snapshot(
            "done" if done else "draining" if self._stopping else "running" if self._link.joined else "starting",
            {
                "produced": self.produced,
                "confirmed": self.window.confirmed_messages,
                "resent_batches": self.window.resent,
                "skipped_rows": self.source.skipped,
            },
            {
                "unconfirmed": self.window.messages,
                "total": float(self.source.total or 0),
            },
        )
