"""The producer role: makes messages, pushes them in batches, and keeps every batch until its broker confirms it.

The loop: wait, unless there is something to make; read confirms; make a batch for the broker that has the most room in
its window; push until ZeroMQ takes no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Unpack

import zmq

from zsms.core.producer.pace import check_arrivals, check_pushing
from zsms.core.producer.turn import Turn, most_room
from zsms.core.producer.window import Window
from zsms.core.seeds import Seed, Stream, sequence
from zsms.errors import UsageError, ZsmsError
from zsms.message import Batch
from zsms.options import checked
from zsms.roles.base import Role, RoleOptions, check_timeout
from zsms.roles.link import Link, end_if_refused
from zsms.roles.producer_link import ProducerLink
from zsms.sources.random import Columns, RandomSource, Source
from zsms.stats.figures import ProducerFigures
from zsms.stats.snapshot import Snapshot
from zsms.wire.codec import encode_batch, moved_batch
from zsms.wire.endpoint import DEFAULT_BROKER, brokers_at
from zsms.wire.lookup import LAST_S
from zsms.words import many

BATCH_MESSAGES = 16_384
"""Messages in a batch, at most: one block of the random source."""
WINDOW_MESSAGES = 200_000
"""Unconfirmed messages of a producer, at most, at each broker."""
_STARVED_S = 5.0
"""After how long a producer says that nothing has come from its source."""


def _pass_over(source: Source, count: int) -> int:
    """Take the first so many messages of a source for nothing; how many there were."""
    passed = 0
    while passed < count and (taken := len(source.take(min(count - passed, BATCH_MESSAGES)))):
        passed += taken
    return passed


class Producer(Role):
    """Makes messages and hands them to a broker."""

    role = "producer"

    @checked
    def __init__(
        self,
        broker: str | Sequence[str] = DEFAULT_BROKER,
        *,
        source: Source | None = None,
        messages: int = 100_000,
        seed: int | None = None,
        rate: float | None = None,
        arrivals: str = "even",
        arrivals_seed: Seed = None,
        batch: int = BATCH_MESSAGES,
        window: int = WINDOW_MESSAGES,
        resend_after: float = 5.0,
        timeout: float | None = None,
        before: int = 0,
        **common: Unpack[RoleOptions],
    ) -> None:
        """`source` says which messages, by default `messages` random ones that `seed` makes repeatable.

        `broker` is the address of a broker, or those of several to spread the batches over.
        `rate` is the open-loop arrival rate in messages a second; None makes them as fast as the window allows.
        `arrivals` are "even" or "poisson", as `arrivals_seed` (None: of `seed`) draws them.
        `batch` is the most messages in a frame, `window` the most that may be unconfirmed (at each broker),
        `resend_after` the seconds without a confirm after which they are pushed again. `timeout` is how long (seconds)
        to wait for the first answer of any broker before `run` raises ZsmsError; None: for ever. `before` messages of
        the source were confirmed to an earlier start, so they are passed over and counted. `common` are the options of
        :class:`Role`. Raises UsageError.
        """
        super().__init__(**common)
        check_pushing(rate, batch, window)
        check_arrivals(arrivals)
        if not 0.1 <= resend_after <= 3_600:
            raise UsageError(f"resend after {resend_after}: give seconds from 0.1 to 3600")
        check_timeout(timeout)
        self._timeout = timeout
        self._waiting_since: float | None = None
        self._met = False
        """A broker has answered."""
        self.source: Source = RandomSource(messages, seed=seed) if source is None else source
        self.before = _pass_over(self.source, before)
        self._endpoints = brokers_at(broker)
        self.windows = [Window(window, resend_after, moved_batch) for _ in self._endpoints]
        """What is unconfirmed, by broker."""
        self.ways: list[ProducerLink] = []
        """To each broker."""
        drawn = sequence(seed, Stream.PRODUCER, "arrivals") if arrivals_seed is None else arrivals_seed
        self.turn = Turn(batch, rate, arrivals, drawn)
        self._made_at = 0.0
        """When it last looked for something to make."""
        self._id = int.from_bytes(hashlib.blake2b(self.name.encode(), digest_size=8).digest(), "big")
        self._exhausted = False
        self._failed: UsageError | None = None
        """Why the source has no more."""
        self._starved_on: int | None = None
        """The descriptor of a source that waits for its writer."""
        self._tell_starved_at = inf

    @property
    def produced(self) -> int:
        """Messages that were made."""
        return self.turn.produced

    @property
    def window(self) -> Window:
        """What the broker has not confirmed; the first of several."""
        return self.windows[0]

    @property
    def unconfirmed(self) -> int:
        """Messages that some broker has still to confirm."""
        return sum(window.messages for window in self.windows)

    @property
    def unread(self) -> str:
        """What of a list was not read when this producer was stopped, in words; "" for nothing."""
        return getattr(self.source, "unread", "") if self._stopping else ""

    @property
    def starved(self) -> bool:
        """Whether it waits for a source of which nothing has come for now."""
        return self._starved_on is not None

    @checked
    def set_rate(self, rate: float) -> None:
        """Change the arrival rate, messages a second. From any thread.

        Raises UsageError for a rate that can't be, and for a producer that was made without one.
        """
        check_pushing(rate, None, None)
        if self.turn.rate is None:
            raise UsageError(f"{self.name} has no arrival rate that could change: it makes messages as fast as it can")
        self.turn.rate = rate
        self.wake()

    def _open(self) -> None:
        for endpoint, window in zip(self._endpoints, self.windows, strict=True):
            self.ways.append(
                ProducerLink(
                    window,
                    partial(Link, self._sockets, endpoint, self.log, alone=len(self._endpoints) == 1),
                    self._sockets.connect(zmq.PUSH, endpoint, "first", hwm=8),
                    self._poller,
                    self._refuse,
                    producer=self._id,
                    epoch=self.start_id,
                    name=self.name,
                )
            )

    def step(self) -> bool:
        """See `Role.step`."""
        now = self._clock()
        events = self._wait(self._wake_at(now), now)
        now = self._clock()
        for way in self.ways:
            if way.link.socket in events:
                way.read(now)
        if self._starved_on in events:
            self._end_starving()
        self.turn.poll(now)
        self._make(now)
        for way in self.ways:
            way.push(now)
            way.tick(now)
        end_if_refused([way.link for way in self.ways])
        self._end_if_alone(now)
        self._publisher.tick(now)
        return not self._done(now)

    def _end_if_alone(self, now: float) -> None:
        """Raise ZsmsError when no broker has ever answered, and none was awaited for longer."""
        if self._met or self._timeout is None:
            return
        self._met = any(way.link.joined for way in self.ways)
        if self._waiting_since is None:
            self._waiting_since = now
        if not self._met and now - self._waiting_since >= self._timeout:
            where = ", ".join(str(endpoint) for endpoint in self._endpoints)
            looked = self._sockets.resolve_again(self._endpoints[0], LAST_S) if len(self._endpoints) == 1 else ""
            why = f" ({looked})" if looked else ""
            raise ZsmsError(f"no answer from a broker at {where} for {self._timeout:g} s{why}")

    def _wake_at(self, now: float) -> float:
        if any(way.pushes for way in self.ways):
            return now
        times = [way.link.next_time() for way in self.ways]
        times += [at for at in (self._publisher.due(), self._drain_until) if at is not None]
        if self._starved_on is not None:
            return min(*times, self._tell_starved_at)
        if not self._making or most_room(self.ways) is None:
            return min(times)
        return min(self.turn.next_time(now), *times)

    # -- making -----------------------------------------------------------------------------------------------

    @property
    def _making(self) -> bool:
        return not self._exhausted and not self._stopping and self._failed is None

    def _make(self, now: float) -> None:
        """Make one batch, if there is room for it and it is due."""
        if not self._making:
            return
        self._made_at = now
        if now >= self._tell_starved_at:
            self._tell_starved_at = inf
            self.log.warning("%s: waiting for its list, of which nothing comes", self.name)
        way = most_room(self.ways)
        if way is None or self._starved_on is not None:
            return
        size = self.turn.size(now)
        columns = self._take(size, now) if size else None
        if columns is None:
            return
        way.window.add(encode_batch(self._address(columns, way, now)), len(columns), now)
        self.turn.made(len(columns), now)
        if self.source.total is not None and self.produced + self.before >= self.source.total:
            self._exhausted = True

    def _take(self, size: int, now: float) -> Columns | None:
        """The next messages of the source; None when there are none, for good or for now."""
        try:
            columns = self.source.take(size)
        except UsageError as error:  # a row that can't be: what came before it is handed over first
            self._failed = error
            return None
        if len(columns):
            return columns
        if getattr(self.source, "waiting", False):
            self._starved_on = self.source.fileno()  # type: ignore[attr-defined]  # a source that waits has one
            self._tell_starved_at = now + _STARVED_S
            self._poller.register(self._starved_on, zmq.POLLIN)
            return None
        self._exhausted = True
        for remark in getattr(self.source, "remarks", ()):
            self.log.warning("%s: %s", self.name, remark)
        return None

    def _end_starving(self) -> None:
        self._poller.unregister(self._starved_on)
        self._starved_on, self._tell_starved_at = None, inf

    def _address(self, columns: Columns, way: ProducerLink, now: float) -> Batch:
        """The columns as the next batch for that broker; without a rate each is due when it has been made."""
        due, step = self.turn.due(len(columns), now if self.turn.rate else self._clock())
        return Batch(
            producer=self._id,
            epoch=way.epoch,
            number=way.window.next_number,
            first=self.produced,
            due=way.link.clock.to_remote(due),
            step=step,
            recipients=columns.recipients,
            lengths=columns.lengths,
            text=columns.text,
        )

    def _done(self, now: float) -> bool:
        beyond = sum(way.window.messages for way in self.ways if way.link.refused)
        done = not self._making and self.unconfirmed == beyond
        if done:
            for way in self.ways:
                way.goodbye()
        if done and beyond and not self._stopping:
            left = many(beyond, "message is", "messages are")
            raise ZsmsError(f"{self.name}: {left} unconfirmed, and their broker refuses this producer")
        if not (done or self._out_of_time(now)):
            return False
        if self.unconfirmed:
            self.log.warning("%s: leaving with %s unconfirmed", self.name, many(self.unconfirmed, "message"))
        if self._failed is not None:
            before = f"; handed over before that: {self.produced:,}" if self.produced else ""
            raise UsageError(f"{self._failed}{before}")
        if done and not beyond:
            earlier = f" (after {self.before:,} of an earlier start)" if self.before else ""
            self.log.info("%s: %s made, all confirmed%s", self.name, many(self.produced, "message"), earlier)
        if self.unread:
            self.log.warning("%s: stopped after %s: %s", self.name, many(self.produced, "message"), self.unread)
        return True

    def _settled(self) -> int:
        return sum(window.confirmed_messages for window in self.windows)

    def snapshot(self, now: float) -> Snapshot:
        """See `Role.snapshot`."""
        done = self._exhausted and not self.unconfirmed
        joined = [way for way in self.ways if way.link.joined]
        state = "done" if done else "draining" if self._stopping else "running" if joined else "starting"
        rate, arrivals, seconds = self.turn.asked(self._made_at)
        figures = ProducerFigures(
            produced=self.produced + self.before,
            confirmed=sum(window.confirmed_messages for window in self.windows) + self.before,
            resent_batches=sum(window.resent for window in self.windows),
            repeated=sum(window.repeated_messages for window in self.windows),
            skipped_rows=self.source.skipped,
            skipped_lines=getattr(self.source, "skipped_lines", 0),
            repeated_rows=getattr(self.source, "repeated", 0),
            unconfirmed=self.unconfirmed,
            unreachable=self.unconfirmed - sum(way.window.messages for way in joined),
            exhausted=float(self._exhausted),
            brokers=sum(window.confirmed_messages > 0 for window in self.windows),
            total=float(self.source.total or 0),
            rate=rate,
            arrivals=arrivals,
            arrivals_s=seconds,
        )
        return self._make_snapshot(state, figures)
