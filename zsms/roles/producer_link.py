"""A producer's way to one broker: its link, the socket for batches, and the window of what is not yet confirmed.

    read(now)      confirms, into the window
    add(...)       a batch for this broker; it stays here until this broker has confirmed it, and goes to no other
    push(now)      batches, until ZeroMQ takes no more
    tick(now)      join or ping when it is time

A batch that a lost broker has not confirmed may be in its queue all the same. Given to another broker it could be sent
twice and be counted twice; so it waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zmq

from zsms.core.producer.window import Window
from zsms.errors import WireError, ZsmsError
from zsms.roles.link import Link, refuse_parts
from zsms.wire.frames import Bye, Confirm, Fenced, Hold, JoinProducer, Pong, Refused, Welcome, Who

_READ_AT_ONCE = 64
_SAME_CLOCK_S = 0.01
"""Two estimates of one clock differ by less."""


class ProducerLink:
    """One broker, as a producer deals with it."""

    def __init__(
        self,
        window: Window,
        make_link: Callable[[Callable[[float], JoinProducer]], Link],
        push: zmq.Socket[bytes],
        poller: zmq.Poller,
        refuse: Callable[[str, object, float], None],
        *,
        producer: int,
        epoch: int,
        name: str,
    ) -> None:
        """`make_link(make_join)` opens the connection, `refuse(where, why, now)` counts a frame that can't be.

        `producer` and `name` are the producer's, `start` its start, unless the broker knows a later one.
        """
        self.window = window
        self.epoch = epoch
        """By which this broker tells the producer's start from earlier ones; settled with the first welcome."""
        self.full = False
        """The broker has said that it reads nothing."""
        self.blocked = False
        """The pipe takes no more."""
        self._push = push
        self._poller = poller
        self._refuse = refuse
        self._producer = producer
        self._name = name
        self._welcomed = False
        self._held_back = False
        """The broker has said why it takes nothing."""
        self._clock: float | None = None
        """By how much the clock of the start that welcomed us is ahead of ours; None before that."""
        self._expected = (0, 0)
        """The start of the broker that welcomed us, and the latest batch that it was heard to expect."""
        self.link = make_link(self._make_join)
        poller.register(self.link.socket, zmq.POLLIN)

    def _make_join(self, now: float) -> JoinProducer:
        return JoinProducer(self._producer, self.epoch, self._name, self.window.oldest, now)

    @property
    def room(self) -> int:
        """Messages that may be made for this broker now."""
        return self.window.room if self.link.joined else 0

    @property
    def ready(self) -> bool:
        """Whether there is room, and everything made so far is on its way."""
        return not self.blocked and self.room > 0 and self.window.next_frame() is None

    @property
    def pushes(self) -> bool:
        """Whether there is something that could be pushed now."""
        return self.link.joined and not self.blocked and self.window.next_frame() is not None

    def read(self, now: float) -> None:
        """Act on the frames that wait. Raises ZsmsError when this producer is fenced."""
        link = self.link
        for parts in link.read(_READ_AT_ONCE):
            try:
                refuse_parts(parts, 1)
                was_joined = link.joined
                frame = link.opened(parts[0], now)
                self._handle(frame, now)
                if isinstance(frame, Welcome) and not was_joined:
                    self.window.rewind(now)
            except WireError as error:
                self._refuse("dispatch", error, now)

    def _handle(self, frame: Any, now: float) -> None:
        link = self.link
        match frame:
            case Confirm() if link.knows(frame.instance) and frame.epoch == self.epoch:
                self.full = frame.full
                self._confirmed(frame.next, now)
            case Pong() if link.knows(frame.instance) and frame.subject == self.epoch:
                self.full = frame.full
                self._confirmed(frame.next, now)
            case Welcome():
                self._welcomed = True
                self._follow_clock()
                self._confirmed(frame.next, now)
            case Fenced() if link.answers(frame.instance):
                self._fence(frame.epoch)
            case Hold() if link.knows(frame.instance) and frame.epoch == self.epoch:
                self.full = True
                if not self._held_back:
                    self._held_back = True
                    self.link.log.warning(
                        "%s: the broker takes nothing at the moment: %s; trying on", self._name, frame.reason
                    )
            case Refused():
                if why := link.handle_refusal(frame):
                    self._refuse("dispatch", why, now)
            case Confirm() | Pong() | Bye() | Hold() | Who() | Fenced() | None:
                pass
            case _:
                raise WireError(f"{type(frame).__name__} has no business here")

    def _follow_clock(self) -> None:
        """Another start of the broker may have another clock, and what is unconfirmed is due by the old one."""
        clock, before = self.link.clock.seconds, self._clock
        self._clock = clock
        if before is not None and abs(clock - before) > _SAME_CLOCK_S:
            self.window.moved(clock - before)

    def _fence(self, later: int) -> None:
        """The broker knows a later start of this producer: it has taken over, or a clock was set back before we began.

        What was welcomed before is the older one for sure, and gives way. What was not has pushed nothing yet, so no
        message of it is known by its start, and it may go above the other.
        """
        if self._welcomed:
            raise ZsmsError(
                f"{self._name}: a later start of this producer has joined the broker; this one is fenced "
                "(two producers at a time need two names: --name)"
            )
        # Not just above: another one in the same place must not choose the same start, or it would pass for this one.
        above = later + 1 + (self.epoch * 2_654_435_761 & 0xFFFF_FFFF)
        if later >= self.epoch and above < 2**64:
            self.link.log.info("%s: started after one whose clock was ahead; joining as the later one", self._name)
            self.epoch = above
            self.link.join_now()

    def _confirmed(self, upto: int, now: float) -> None:
        """The broker expects batch `upto`.

        When it never expected our oldest one, it will wait for what we have let go of: another start of it has
        confirmed that, and it is lost. A JOIN tells it from where on to go on, and it counts what is missing.
        """
        instance, expected = self._expected
        expected = max(expected, upto) if instance == self.link.instance else upto
        if expected < self.window.oldest:
            self.link.lost()
            return
        try:
            confirmed = self.window.confirmed(upto, now)
        except ValueError as error:
            raise WireError(str(error)) from None
        self._expected = self.link.instance, expected
        if confirmed and self._held_back:
            self._held_back = False
            self.link.log.warning("%s: the broker goes on", self._name)

    def push(self, now: float) -> None:
        """Push what there is to push, again what has been unconfirmed for long, as far as the pipe takes it."""
        if not self.link.joined:
            self._watch(False)
            return
        if self.window.overdue(now, self.full):
            self.window.rewind(now)
        while (frame := self.window.next_frame()) is not None:
            try:
                self._push.send(frame, zmq.NOBLOCK, copy=False)
            except zmq.Again:
                self._watch(True)
                return
            self.window.pushed()
        self._watch(False)

    def _watch(self, blocked: bool) -> None:
        """Poll for room in the pipe only while there is none: a PUSH with room is always ready."""
        if blocked != self.blocked:
            self.blocked = blocked
            if blocked:
                self._poller.register(self._push, zmq.POLLOUT)
            else:
                self._poller.unregister(self._push)

    def tick(self, now: float) -> None:
        """Join or ping when it is time."""
        self.link.tick(now, self.epoch)

    def goodbye(self) -> None:
        """Say goodbye, if there is anybody."""
        if self.link.joined:
            self.link.send(Bye(self.link.instance, self.epoch))
