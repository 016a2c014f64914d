"""The sender role: a session with each broker, and a transport that does the sending.

The loop: wait for the next tick or frame; read grants; collect what is finished and acknowledge it; start what
waits in the slots that are free; share them out; say the credit if nothing else said it; hand receipts on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Unpack

import zmq

from zsms.core.seeds import Stream, sequence
from zsms.core.sender import SenderCore
from zsms.core.sender.asking import MAX_LEASE_S, PREFETCH_S, auto_lease, auto_prefetch, check_asking, lease_warning
from zsms.core.sender.cap import Cap
from zsms.core.sender.route import RouteLaw
from zsms.core.sender.shares import Shares
from zsms.core.sender.slots import Slots
from zsms.core.sender.turn import Turn
from zsms.errors import UsageError
from zsms.options import checked
from zsms.roles.base import Role, RoleOptions
from zsms.roles.caps import Caps
from zsms.roles.link import Link, end_if_refused
from zsms.roles.message_log import MessageLog, over
from zsms.roles.receipts import ReceiptForwarder
from zsms.roles.sender_link import SenderLink
from zsms.roles.standstill import Standstill
from zsms.stats.delay import MODELS, DelayModel
from zsms.stats.figures import SenderFigures
from zsms.stats.snapshot import Snapshot
from zsms.transports import Transport
from zsms.transports.simulated import SimulatedTransport
from zsms.wire.endpoint import DEFAULT_BROKER, brokers_at

if TYPE_CHECKING:
    import asyncio

    from zsms.transports.calls import Send

_BYE_S = 1.0
"""How long a goodbye waits for its answer."""
_LOOK_S = 0.1
"""After so long it looks again whether receipts are still to be waited for."""


class Sender(Role):
    """Sends messages through slots: simulated ones, or a function of yours.

    `concurrency` slots that sleep for a time drawn from `delay`, or call ``await send(message)``.

    `broker` is the address of a broker, or those of several to take from; the slots and the prefetch are for all
    of them together. `seed` makes the drawn times and failures repeatable; several senders with the same seed need
    a `stream` (a number) each. Of the drawn sends `failure_rate`, `throttled_rate` and `permanent_rate` are the shares
    that fail for now, that are throttled (which spends no attempt) and that are refused for good.
    `prefetch` is how many messages may wait beside those in slots, by default what the slots need in 20 ms.
    `lease` (seconds) is how long a message may take here, 0 for the broker's own, which holds when it is longer;
    by default what `delay` may need. `tick` (seconds) is the slots' clock. `ramp` is over how long (seconds) the
    slots are opened, 0: at once. `cap` is how many segments a second may begin here, with so many at once after a
    rest (`burst`); `caps` are those that it shares (:class:`zsms.roles.caps.Caps`).
    `route` is what answers when a send ends (:class:`zsms.core.sender.route.RouteLaw`); with a queue the cap is its.
    `transport` replaces all that.
    `log_messages` is a file to which a row is appended for each message that is settled here
    (:mod:`zsms.core.sender.message_log`). `common` are the options of :class:`zsms.RoleOptions`.

    Raises UsageError.
    """

    role = "sender"

    @checked
    def __init__(
        self,
        broker: str | Sequence[str] = DEFAULT_BROKER,
        *,
        concurrency: int = 1_000,
        delay: DelayModel | None = None,
        failure_rate: float = 0.0,
        throttled_rate: float = 0.0,
        permanent_rate: float = 0.0,
        tick: float | None = None,
        send: Send | None = None,
        transport: Transport | None = None,
        prefetch: int | None = None,
        lease: float | None = None,
        ramp: float = 0.0,
        cap: float | None = None,
        burst: float = 0.0,
        caps: str | None = None,
        route: RouteLaw | None = None,
        seed: int | None = None,
        stream: int = 0,
        log_messages: str | None = None,
        **common: Unpack[RoleOptions],
    ) -> None:
        super().__init__(**common)
        delay = delay or DelayModel()
        check_asking(prefetch, ramp)
        simulated = transport is None and send is None
        self._check_lease(lease, delay if simulated else None)
        if transport is None and send is not None:
            from zsms.transports.callable import CallableTransport  # brings asyncio, which simulated slots do without

            transport = CallableTransport(send, concurrency)
        rates = {"failure_rate": failure_rate, "throttled_rate": throttled_rate, "permanent_rate": permanent_rate}
        self._caps = Caps.made(cap, burst, caps, route, simulated=simulated)
        drawn, answers = sequence(seed, Stream.SENDER, stream), self._caps.route
        self.transport: Transport = transport or SimulatedTransport(
            Slots(concurrency, delay, **rates, tick=tick, route=answers, seed=drawn)
        )
        self._endpoints = brokers_at(broker)
        slots = self.transport.concurrency
        ahead_s = PREFETCH_S if prefetch is None else 0.0
        if prefetch is None:
            of_transport = getattr(transport, "prefetch", max(1, slots // 10))
            prefetch = auto_prefetch(slots, delay.mean) if transport is None else of_transport
        if lease is None:
            lease = auto_lease(delay, prefetch / slots) if simulated else 0.0
        self.lease = float(lease)
        self._changes: deque[Callable[[], None]] = deque()
        # A sender that starts again must not draw the tokens of its earlier sessions, whose grants may still be coming.
        tokens = sequence(seed, Stream.SENDER, stream, "tokens", self.start_id)
        self.shares = Shares(len(self._endpoints), slots, prefetch, tokens, ramp)
        self.message_log = (
            None if log_messages is None else MessageLog(log_messages, self.name, len(self._endpoints), self.log)
        )
        self.ways: list[SenderLink] = []  # to each broker
        self.receipts = ReceiptForwarder(self.transport, self.ways)
        self._said_bye: float | None = None
        self._lingers = False  # asked to leave, it waits for receipts
        self.turn = self._make_turn(ahead_s)

    def _make_turn(self, ahead_s: float) -> Turn:
        self._standstill, self.transport.times.ours = Standstill(self.ways), self.shares.ours
        # A function of the user's says nothing of how long it should take: it works while it is in a slot.
        slept = self.transport if isinstance(self.transport, SimulatedTransport) else None
        return Turn(
            self.transport,
            self.shares,
            self._caps,
            slept=slept,
            ahead_s=ahead_s,
        )

    def _check_lease(self, lease: float | None, delay: DelayModel | None) -> None:
        """Raises UsageError; warns of one that is shorter than simulated sends may take."""
        if lease is not None and not 0 <= lease <= MAX_LEASE_S:
            raise UsageError(f"lease {lease}: give seconds from 0 (the broker's own) to a week")
        if lease and delay is not None and (why := lease_warning(lease, delay)):
            self.log.warning(
                "%s: %s: unless the broker's is longer, messages will be sent again and again", self.name, why
            )

    @property
    def core(self) -> SenderCore:
        """The session with the broker; with the first of several."""
        return self.shares.cores[0]

    @checked
    def change(self, *, slow: float | None = None, fail: float | None = None, cap: float | None = None) -> None:
        """From now on: sends `slow` times as long as the delay says, another share that fails, another cap (segments a
        second; 0: none). From any thread; slots of your own function know only a cap. Raises UsageError.
        """
        slots = self.transport
        for value, method in ((slow, "slow"), (fail, "fail")):
            if value is not None:
                if not isinstance(slots, SimulatedTransport):
                    raise UsageError(f"only simulated slots can be told to {method}")
                getattr(slots, method)(value)
        if cap is not None:
            if cap:
                Cap(cap)
            self._changes.append(lambda: self._caps.change(cap, self._clock()))
        self.wake()

    def _adopt_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if use_loop := getattr(self.transport, "use_loop", None):
            use_loop(loop)

    def _open(self) -> None:
        for endpoint, core in zip(self._endpoints, self.shares.cores, strict=True):
            way = SenderLink(
                core,
                partial(Link, self._sockets, endpoint, self.log, alone=len(self._endpoints) == 1, hwm=20_000),
                self._refuse,
                name=self.name,
                lease=self.lease,
                sharing=getattr(self.transport, "sharing", None),
            )
            self.ways.append(way)
            self._poller.register(way.link.socket, zmq.POLLIN)
        if self.message_log is not None:
            self.message_log.open(self._clock(), self.wake)
        self.transport.open(self.wake)
        if fileno := getattr(self.transport, "fileno", None):  # one that does all its work in our turns
            self._poller.register(fileno(), zmq.POLLIN)

    def _close(self) -> None:
        self.transport.close()
        self._caps.close()
        if self.message_log is not None:
            self.message_log.close()

    def step(self) -> bool:
        """See `Role.step`."""
        before = self._clock()
        until = self._wake_at(before)
        events = self._wait(until, before)
        now = self._clock()
        since = self._standstill.poll(before, until, now)
        if self.receipts.tell_standstill is not None:
            self.receipts.tell_standstill(since, now)
        while self._changes:
            self._changes.popleft()()
        for way in self.ways:
            if way.link.socket in events:
                way.read(now)
        if not self._standstill.waits(now):
            self._collect(now)
            self._begin(now)
            self._poll(now)
            self._share(now)
        else:
            for way in self.ways:
                way.ask(now)  # what had no room before may have some now
        self.receipts.send()
        for way in self.ways:
            way.tick(now)
        end_if_refused([way.link for way in self.ways])
        self._publisher.tick(now)
        if not self._done(now):
            return True
        self.receipts.give_up()
        return False

    def _wake_at(self, now: float) -> float:
        times = [way.next_time() for way in self.ways]
        log = None if self.message_log is None else self.message_log.next_time()
        turn = self._standstill.until or self.turn.next_time(now)
        drain = now + _LOOK_S if self._lingers else self._drain_until
        others = (self._publisher.due(), turn, drain, self.receipts.next_time(now), log)
        return min(times + [at for at in others if at is not None])

    def _collect(self, now: float) -> None:
        if self._stopping:  # first: an acknowledgement says the credit too
            self.shares.drain()
        for each in over(self.message_log, self.turn.collect(now), now):
            for way, frames in zip(self.ways, self.turn.settle(each), strict=True):
                way.acknowledge(frames)

    def _begin(self, now: float) -> None:
        if self._said_bye is not None:
            return  # a grant that crossed our goodbye: the broker has given it to another
        if self.shares.waiting_messages and self._caps.shut:
            for way, frames in zip(self.ways, self.turn.give_back(), strict=True):
                way.acknowledge(frames)
            return
        begun = self.turn.begin(now)
        if self.message_log is not None:
            for waiting, began in begun:
                self.message_log.begin(waiting, began)

    def _poll(self, now: float) -> None:
        granted = any(way.granted_at == now for way in self.ways)
        self.turn.poll(now, granted, any(way.more and way.core.live for way in self.ways))

    def _share(self, now: float) -> None:
        hurry = self.turn.share(now)
        for way in self.ways:
            way.ask(now)
            if hurry:
                way.link.hurry()

    def _done(self, now: float) -> bool:
        if self._said_bye is not None and all(way.left for way in self.ways):
            return True
        # For as long as the gateway's settings say, however long a drain may take.
        idle = self._stops == 1 and not self.shares.held and self._said_bye is None
        self._lingers = idle and self.receipts.lingers(now)
        if self._lingers:
            return False
        if self._out_of_time(now):
            return True
        if not self._stopping or self.shares.held:
            return False
        if self._said_bye is None:
            self._said_bye = now
            self._drain_until = now + _BYE_S
            for way in self.ways:
                way.left = not way.goodbye()
        return all(way.left for way in self.ways)

    def _settled(self) -> int:
        return self.turn.sent + self.turn.failed

    def _law(self) -> tuple[float, float, float | None]:
        """How long sends are asked to take: mean, deviation and model; of a function of the user's, how long they took,
        and None."""
        transport = self.transport
        if isinstance(transport, SimulatedTransport):
            delay = transport.delay
            return delay.mean, delay.spread, 1.0 + MODELS.index(delay.name)
        times = transport.times.send
        return times.mean or 0.0, times.deviation or 0.0, None

    def snapshot(self, now: float) -> Snapshot:
        """See `Role.snapshot`."""
        shares, times = self.shares, self.transport.times
        joined = any(way.link.joined for way in self.ways)
        turn, window = self.turn, self.turn.steady.window
        mean_s, sd_s, model = self._law()
        figures = SenderFigures(
            started=turn.started,
            sent=turn.sent,
            failed=turn.failed,
            given_away=times.given_away,
            refused_grants=shares.refused_grants,
            lost_receipts=self.receipts.lost,
            slots=self.core.slots,
            busy=self.transport.busy,
            waiting=shares.waiting_messages,
            prefetch=self.core.prefetch,
            asked_s=times.asked,
            took_s=times.send.sum,
            blocked_s=self.transport.blocked_s,
            steady_s=window.now,
            steady_worked_s=window.worked,
            steady_slot_s=window.slots,
            worked_s=turn.worked(now),
            open_s=turn.opened(now),
            mean_s=mean_s,
            sd_s=sd_s,
            delay_model=model,
            **getattr(self.transport, "figures", {}),
        )
        histograms = {
            "send_time": times.send,
            "total_time": times.total,
            "slot_error": times.error,
            "queue_time": turn.queue_times,
            "late": turn.late,
        }
        state = "draining" if self._stopping else "running" if joined else "starting"
        return self._make_snapshot(state, figures, histograms, self.transport.failures)
