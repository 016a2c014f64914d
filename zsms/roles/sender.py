"""The sender role: one session with the broker, and a transport that does the sending.

The loop: wait for the next tick or frame; read grants; collect what is finished and acknowledge it; start what
waits in the slots that are free; say the credit if nothing else said it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zmq

from zsms.core.delay import DelayModel
from zsms.core.histogram import Histogram
from zsms.core.sender import AckFrame, SenderCore
from zsms.core.slots import Slots
from zsms.core.snapshot import Snapshot
from zsms.errors import UsageError, WireError
from zsms.message import Batch
from zsms.protocol import Ack, Bye, Ended, Grant, JoinSender, Pong, Refused, Welcome, Who, decode
from zsms.roles.base import Role
from zsms.roles.link import Link, refuse_parts
from zsms.sockets import BROKER_PORT, DEFAULT_BROKER, Endpoint
from zsms.transports import Transport
from zsms.transports.simulated import SimulatedTransport

if TYPE_CHECKING:
    import asyncio

    from zsms.transports.callable import Send

_READ_AT_ONCE = 64
PREFETCH_S = 0.02
"""The automatic prefetch covers this much time: a round trip to the broker on a busy machine."""
RAMP_FROM = 100_000
"""Slots from which on they are not all opened at once, unless asked for."""
MAX_LEASE_S = 7 * 86_400.0
MAX_RAMP_S = 3_600.0
_BYE_S = 1.0
"""How long a goodbye waits for its answer."""


def auto_prefetch(concurrency: int, mean: float) -> int:
    """Messages to hold beside those in slots: what the slots take in `PREFETCH_S`, 1 to `concurrency`."""
    share = 1.0 if mean <= PREFETCH_S else PREFETCH_S / mean
    return max(1, round(concurrency * share))


def auto_lease(delay: DelayModel) -> float:
    """Seconds that a message may take when its send is drawn from `delay`: 0, the broker's own, unless that is long."""
    longest = delay.mean + 10 * delay.spread
    return 0.0 if longest < 30 else min(2 * longest, MAX_LEASE_S)


def check_asking(prefetch: int | None, ramp: float | None) -> None:
    """Raises UsageError for a prefetch or ramp (None: the default) that can't be."""
    if prefetch is not None and not 0 <= prefetch <= 2**31:
        raise UsageError(f"prefetch {prefetch}: give a number of messages from 0 on")
    if ramp is not None and not 0 <= ramp <= MAX_RAMP_S:
        raise UsageError(f"ramp {ramp}: give seconds from 0 to {MAX_RAMP_S:.0f}")


class Sender(Role):
    """Sends messages through slots: simulated ones, or a function of yours."""

    role = "sender"

    def __init__(
        self,
        broker: str = DEFAULT_BROKER,
        *,
        concurrency: int = 1_000,
        delay: DelayModel | None = None,
        failure_rate: float = 0.0,
        tick: float | None = None,
        send: Send | None = None,
        transport: Transport | None = None,
        prefetch: int | None = None,
        lease: float | None = None,
        ramp: float | None = None,
        seed: int | None = None,
        **common: Any,
    ) -> None:
        """`concurrency` slots that sleep for a time drawn from `delay`, or call ``await send(message)``.

        `prefetch` is how many messages may wait beside those in slots, by default what the slots need in 20 ms.
        `lease` (seconds) is how long a message may take here, 0 for the broker's own; by default what `delay` may
        need. `tick` (seconds) is the slots' clock. `ramp` is over how long (seconds) the slots are opened, by default
        their mean time from `RAMP_FROM` slots on. `transport` replaces all that. `common` are the options of
        :class:`Role`.

        Raises UsageError.
        """
        super().__init__(**common)
        delay = delay or DelayModel()
        check_asking(prefetch, ramp)
        if lease is None:
            lease = auto_lease(delay) if transport is None and send is None else 0.0
        if not 0 <= lease <= MAX_LEASE_S:
            raise UsageError(f"lease {lease}: give seconds from 0 (the broker's own) to a week")
        if transport is None and send is not None:
            from zsms.transports.callable import CallableTransport  # brings asyncio, which simulated slots do without

            transport = CallableTransport(send, concurrency)
        self.transport: Transport = transport or SimulatedTransport(
            Slots(concurrency, delay, failure_rate=failure_rate, tick=tick, seed=seed)
        )
        self._endpoint = Endpoint.parse(broker, BROKER_PORT)
        self._lease = float(lease)
        slots = self.transport.concurrency
        if prefetch is None:
            prefetch = auto_prefetch(slots, delay.mean) if transport is None else max(1, slots // 10)
        if ramp is None:
            ramp = min(delay.mean, MAX_RAMP_S) if transport is None and slots >= RAMP_FROM else 0.0
        self.core = SenderCore(slots, prefetch, None if seed is None else seed + self._start_id, ramp)
        self._next_open: float | None = None
        self.queue_times = Histogram()
        self._started = 0
        self._sent = 0
        self._failed = 0
        self._said_bye: float | None = None
        self._left = False
        self._link: Link

    def _adopt_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if use_loop := getattr(self.transport, "use_loop", None):
            use_loop(loop)

    def _open(self) -> None:
        self._link = Link(self._sockets, self._endpoint, self.log, self._make_join, hwm=20_000)
        self._poller.register(self._link.socket, zmq.POLLIN)
        self.transport.open(self.wake)

    def _close(self) -> None:
        self.transport.close()

    def _make_join(self, now: float) -> JoinSender:
        core = self.core
        core.joining()
        return JoinSender(core.token, core.join, self.name, core.slots, core.received, self._lease, now)

    def _step(self) -> bool:
        now = self._clock()
        events = self._wait(self._wake_at(), now)
        now = self._clock()
        if self._link.socket in events:
            self._read(now)
        self._collect(now)
        self._begin(now)
        self._ask(now)
        self._link.tick(now, self.core.token)
        self._feed.tick(now)
        return not self._done(now)

    def _wake_at(self) -> float:
        link, feed, transport = self._link.next_time(), self._feed.due(), self.transport.next_time()
        times = (link, feed, transport, self._drain_until, self._next_open)
        return min(at for at in times if at is not None)

    def _read(self, now: float) -> None:
        for parts in self._link.read(_READ_AT_ONCE):
            try:
                head = self._link.opened(parts[0], now)
                refuse_parts(parts, 2 if isinstance(head, Grant) else 1)
                self._hear(head, parts, now)
            except WireError as error:
                self._refuse("dispatch", error, now)
                self._link.lost()  # it may have been a grant: joining again tells the broker what we have

    def _hear(self, frame: Any, parts: list[Any], now: float) -> None:
        core = self.core
        match frame:
            case Grant():
                if frame.session == core.token:  # of an earlier session, `acked` counts other frames
                    core.acknowledged(frame.acked)
                data = parts[1]
                batch = decode(data.buffer if len(data) > 2_048 else data.bytes)
                if not isinstance(batch, Batch):
                    raise WireError(f"a grant of a {type(batch).__name__}")
                clock = self._link.clock
                ours = core.granted(
                    frame.session,
                    frame.join,
                    frame.base,
                    frame.attempt,
                    frame.delivery,
                    clock.to_local(frame.accepted),
                    clock.seconds,
                    batch,
                )
                if not ours and (frame.session, frame.join) == (core.token, core.join):
                    self._link.lost()  # a grant before it is missing: joining again brings it back
            case Welcome():
                self._say(core.welcomed(frame.next))
            case Pong():
                if frame.subject == core.token:
                    core.acknowledged(frame.next)
            case Who():
                self._link.lost()
            case Ended():
                if frame.session == core.token:
                    dropped = core.renew()
                    self._link.lost()
                    self.log.warning(
                        "%s: the broker gave this sender up; %d messages that waited here went to others",
                        self.name,
                        dropped,
                    )
            case Bye():
                self._left = True
            case Refused():
                self._refuse("dispatch", f"the broker refused: {frame.reason}", now)
            case _:
                raise WireError(f"{type(frame).__name__} has no business here")

    def _collect(self, now: float) -> None:
        finished = self.transport.finished(now)
        if finished is None:
            return
        self._sent += len(finished.sent)
        self._failed += len(finished.failed)
        self._say(self.core.finished(finished.sent, finished.failed))

    def _say(self, acks: list[AckFrame]) -> None:
        for ack in acks:
            if ack.session != self.core.token:
                self._link.say(Ack(*ack))  # of a session that was given up: the broker counts it, joined or not
            elif not self._link.joined or not self._link.say(Ack(*ack)):
                # The pipe is full. A later frame would jump the gap: everything is said again after the next join.
                self._link.lost()
                return

    def _begin(self, now: float) -> None:
        if self._said_bye is not None:
            return  # a grant that crossed our goodbye: the broker has given it to another
        for waiting in self.core.take(self.transport.concurrency - self.transport.busy):
            count = len(waiting.batch)
            self._started += count
            self.queue_times.record_one(max(0.0, now - waiting.accepted), count)
            self.transport.start(waiting, now)

    def _ask(self, now: float) -> None:
        if self._stopping:
            self.core.draining = True
        if self._link.joined:
            self._next_open = self.core.look(now)
            credit = self.core.credit()
            if credit is not None:
                self._say([credit])

    def _done(self, now: float) -> bool:
        if self._left or self._out_of_time(now):
            return True
        if not self._stopping or self.core.held:
            return False
        if self._said_bye is None:
            self._said_bye = now
            self._drain_until = min(self._drain_until or now, now) + _BYE_S
            return not (self._link.joined and self._link.say(Bye(self.core.token)))
        return False

    def _snapshot(self, now: float) -> Snapshot:
        core, times = self.core, self.transport.times
        return self._make_snapshot(
            "draining" if self._stopping else "running" if self._link.joined else "starting",
            {
                "started": self._started,
                "sent": self._sent,
                "failed": self._failed,
                "refused_grants": core.refused_grants,
            },
            {
                "slots": core.slots,
                "busy": self.transport.busy,
                "waiting": core.waiting_messages,
                "prefetch": core.prefetch,
                "asked_s": times.asked,
                "took_s": times.send.sum,
            },
            {
                "send_time": times.send,
                "total_time": times.total,
                "slot_error": times.error,
                "queue_time": self.queue_times,
            },
        )
