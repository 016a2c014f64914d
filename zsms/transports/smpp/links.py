"""All connections of a gateway: one poll, one walk over what came on them, one buffer of PDUs out, cut by connection.

A turn costs a number of numpy calls for all of them, and a few Python statements for each that has something.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic

import numpy as np

from zsms.core.awake import Awake
from zsms.core.smpp.bundle import READ_OCTETS, Bundle, Gather, answer_together
from zsms.core.smpp.events import Answered, Event, Received
from zsms.core.smpp.flow import Accepted
from zsms.core.smpp.pdu import Command
from zsms.core.smpp.strings import I64, Bools, some
from zsms.core.smpp.window import U64, Windows
from zsms.errors import ZsmsError
from zsms.transports.smpp.bind import Bind
from zsms.transports.smpp.load import Load
from zsms.transports.smpp.settings import SmppSettings

TIMERS_S = 0.1
"""Seconds after which connections' timers are looked at, at the latest."""


@dataclass(slots=True)
class LinkEvents:
    """What a turn has brought: messages and answers as (whose, which), for all connections of each at once."""

    answered: list[tuple[I64 | int, Answered]] = field(default_factory=list)
    """`whose` are numbers of connections, int64[n], or that of the only one."""
    received: list[Received] = field(default_factory=list)
    others: list[tuple[Bind, Event]] = field(default_factory=list)
    lost: list[tuple[U64, str]] = field(default_factory=list)
    """What had no answer when a connection ended, and why it did."""


class Links:
    """The connections."""

    def __init__(self, settings: SmppSettings, wake: Callable[[], None], rng: np.random.Generator) -> None:
        self.settings = settings
        self.selector = selectors.DefaultSelector()
        count = len(settings.commands)
        self._windows = Windows(count)
        self._woken = False
        """A connection's name is known."""

        def woken() -> None:
            self._woken = True
            wake()

        self.binds = [Bind(settings, (n, self._windows), self.selector, woken, rng) for n in range(count)]
        self._able: Bools = np.zeros(count, np.bool_)
        """Connections that messages can be submitted on."""
        self._capped: list[Bind] = list(self.binds) if settings.bind_rate < inf else []
        """Those with a rate of their own."""
        self._more: list[Bind] = []
        """Connections that had more to be read than was."""
        self._gather = Gather(self._windows)
        self._scratch = memoryview(bytearray(READ_OCTETS))
        self._accepted = Accepted(count)
        self._ever_bound = False
        self._timers_at = 0.0
        self._awake = Awake()

    # -- what the owner asks -----------------------------------------------------------------------------------------

    @property
    def able(self) -> bool:
        """Whether anything can be submitted, as far as windows have room."""
        return some(self._able)

    @property
    def standing(self) -> bool:
        """Whether a connection stands that messages go out on."""
        return any(bind.bound and bind.command != Command.BIND_RECEIVER for bind in self.binds)

    @property
    def receiving(self) -> bool:
        """Whether a connection stands that receipts come in on."""
        return any(bind.bound and bind.command != Command.BIND_TRANSMITTER for bind in self.binds)

    @property
    def capped(self) -> bool:
        """Whether a connection has a rate of its own."""
        return bool(self._capped)

    @property
    def rate(self) -> float:
        """Segments a second that all together may have."""
        if not self._capped:
            return inf
        return sum(bind.flow.cap.rate for bind in self.binds if bind.bound and bind.command != Command.BIND_RECEIVER)

    def rooms(self, now: float) -> I64:
        """Segments that each may submit now, int64[n]."""
        if len(self.binds) == 1 and not self._capped:  # a third of what the columns cost
            room = self.settings.window - int(self._windows.open[0]) if self.binds[0].able else 0
            return np.array([max(0, room)], np.int64)
        rooms: I64 = np.where(self._able, np.maximum(0, self.settings.window - self._windows.open), 0)
        for bind in self._capped:
            if rooms[bind.number]:
                rooms[bind.number] = min(int(rooms[bind.number]), bind.flow.cap.allowed(now))
        return rooms

    def next_time(self) -> float:
        """When `turn` is worth calling, unless the selector says so before; at once where answers come so soon that
        nobody should fall asleep."""
        return 0.0 if self._more or self._awake.stays(monotonic()) else self._timers_at

    # -- out ---------------------------------------------------------------------------------------------------------

    def submit(self, load: Load, rows: I64, counts: I64, now: float) -> None:
        """These segments: as many on each as `counts` int64[n] says, in the order of the connections."""
        able = counts.nonzero()[0]
        each = counts[able]
        sequence = self._windows.add(able, each, load.handles(rows), now)
        shares = each.tolist()
        parts = load.pdus.numbered(rows, sequence, shares)
        for number, count, part in zip(able.tolist(), shares, parts, strict=True):
            bind = self.binds[number]
            if self._capped:
                bind.flow.cap.take(count, now)
            if not bind.write(part, now):
                self._able[number] = bind.able

    # -- a turn ------------------------------------------------------------------------------------------------------

    def turn(self, now: float) -> LinkEvents:
        """Read what there is, and look at timers whose time has come."""
        came = LinkEvents()
        more, self._more = self._more, []
        ready = [(key.data, mask) for key, mask in self.selector.select(0)]
        if ready:
            self._awake.came(now)
        elif self._awake.stays(now):
            os.sched_yield()
        if more:
            seen = {bind for bind, _ in ready}
            ready += [(bind, selectors.EVENT_READ) for bind in more if bind not in seen]
        together = [bind for bind, mask in ready if mask == selectors.EVENT_READ and bind.gathers]
        if len(together) > 1:
            self._read_together(together, came, now)
        if len(together) != len(ready) or len(together) == 1:
            read = set(together) if len(together) > 1 else ()
            for bind, mask in ready:
                if bind not in read:
                    self.act(bind, bind.ready(mask, self._scratch, now), came, now)
        if now >= self._timers_at or self._woken:
            self._poll(came, now)
        return came

    def _read_together(self, binds: Sequence[Bind], came: LinkEvents, now: float) -> None:
        self._gather.begin(len(binds))
        heard: list[Bind] = []
        read = self._gather.read
        for bind in binds:
            if read(bind.session, bind.number, bind.read_into):
                heard.append(bind)
            else:
                bind.over(now)
                self.act(bind, [], came, now)
        bundle = self._gather.bundle()
        if bundle is not None:
            self._take(bundle, heard, came, now)

    def _take(self, bundle: Bundle, binds: Sequence[Bind], came: LinkEvents, now: float) -> None:
        found = bundle.receive(now)
        if found.answered is not None:
            owner, answered = found.answered
            came.answered.append((bundle.rows[owner], answered))
        if found.received is not None:
            owner, received = found.received
            came.received.append(received)
            answer_together(bundle.sessions, owner, Command.DELIVER_SM, sequence=received.messages.sequence)
        for place, events in found.apart:
            self.act(binds[place], binds[place].acted_on(events, now), came, now)
        if found.received is not None or found.apart:
            for bind in binds:
                if bind.session.output_octets:
                    bind.flush(now)
                    self._able[bind.number] = bind.able

    def act(self, bind: Bind, events: list[Event], came: LinkEvents, now: float) -> None:
        """Sort what a connection has told by itself."""
        for event in events:
            match event:
                case Answered():
                    came.answered.append((bind.number, event))
                case Received():
                    bind.session.answer(Command.DELIVER_SM, event.messages.sequence)
                    came.received.append(event)
                case _:
                    came.others.append((bind, event))
        came.lost += bind.lost
        bind.lost.clear()
        if bind.session.output_octets:
            bind.flush(now)
            came.lost += bind.lost
            bind.lost.clear()
        if bind.more:
            self._more.append(bind)
        self._able[bind.number] = bind.able
        self._ever_bound |= bind.bound
        self._timers_at = min(self._timers_at, bind.look_at)
        if bind.trouble:
            self._check_trouble(bind)

    def _check_trouble(self, bind: Bind) -> None:
        if not self._ever_bound and all(each.refused_for_good for each in self.binds):
            raise ZsmsError(f"the gateway {self.settings.address} refused every bind: {bind.trouble}")
        bind.trouble = ""

    def _poll(self, came: LinkEvents, now: float) -> None:
        """What has become due on any connection."""
        self._woken = False
        self._timers_at = at = now + TIMERS_S
        for bind in self.binds:
            if bind.look_at <= now or not bind.bound:
                self.act(bind, bind.poll(now), came, now)
            if bind.flow.bounded:
                bind.flow.poll(now)
            at = min(at, bind.look_at)
        self._timers_at = max(at, now + 1e-3)
        if self.settings.bind_rate == inf:
            self._capped = [bind for bind in self.binds if bind.flow.bounded]

    # -- what answers mean for the links -----------------------------------------------------------------------------

    def answered(
        self, whose: I64 | int, count: int, accepted: Bools | None, throttled: Bools | None, now: float
    ) -> None:
        """Let each connection know how its `count` messages were answered; None: all were accepted, none throttled."""
        if isinstance(whose, int):
            self._accepted.add(whose, count if accepted is None else int(accepted.sum()), now)
        else:
            self._accepted.add(whose, 1 if accepted is None else accepted, now)
        if throttled is None or not some(throttled):
            return
        for number in [whose] if isinstance(whose, int) else np.unique(whose[throttled]).tolist():
            flow = self.binds[number].flow
            was = flow.bounded
            flow.throttled(self._accepted.rate(number, now), now)
            if flow.bounded and not was and self.settings.bind_rate == inf:
                self._capped.append(self.binds[number])

    # -- the end of it -----------------------------------------------------------------------------------------------

    def leave(self, now: float) -> bool:
        """Say goodbye on all that are not told yet; whether some have not answered."""
        for bind in self.binds:
            if not bind.leaving:
                bind.leave(now)
        return any(bind.bound for bind in self.binds)

    def close(self) -> None:
        """Leave without another word."""
        for bind in self.binds:
            bind.close()
        self.selector.close()
