"""A sender's way to one broker: its link, and the core that knows the session, the grants and the credit.

read(now)               what the broker says, into the core
acknowledge(frames)     acknowledgements and credit, to the broker
ask(now)                the credit, when nothing else said it
send_receipts(receipts) receipts, when there is room beside all that
tick(now)               join or ping when it is time
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from zsms.core.outcomes import Receipts
from zsms.core.sender import AckFrame, SenderCore
from zsms.errors import WireError
from zsms.message import Batch, Mixed
from zsms.roles.link import GIVE_UP_PINGS, Link, refuse_parts
from zsms.roles.strays import Relay, Sharing
from zsms.wire.codec import UnknownKind, decode
from zsms.wire.frames import (
    Ack,
    Bye,
    Ended,
    Grant,
    JoinSender,
    Pong,
    Receipt,
    Refused,
    Stray,
    Welcome,
    Who,
    reason_column,
)
from zsms.words import many

_READ_AT_ONCE = 64
_ROOM_S = 0.05
"""Seconds after which a full pipe is looked at again."""


class SenderLink:
    """One broker, as a sender deals with it."""

    def __init__(
        self,
        core: SenderCore,
        make_link: Callable[[Callable[[float], JoinSender]], Link],
        refuse: Callable[[str, object, float], None],
        *,
        name: str,
        lease: float,
        sharing: Sharing | None = None,
    ) -> None:
        """`make_link(make_join)` opens the connection, `refuse(where, why, now)` counts a frame that can't be.

        `sharing` is the transport's, if it has binds of an account that others may have, too.
        """
        self.core = core
        self.left = False
        """The broker has answered our goodbye."""
        self.relay = Relay(sharing)
        self.more = False
        """The newest grant left others in that broker's queue."""
        self.granted_at = -1.0
        """When it came."""
        self._refuse = refuse
        self._name = name
        self._lease = lease
        self._said_bye = False
        self._instance = 0
        """The start of the broker that the session is with."""
        self._logged_lease = 0.0
        self._back_at = -inf
        """When it was noticed that this sender had stood still: an answer to what was said after that tells whether the
        session still is."""
        self._ask_at = inf
        """When to look whether the pipe has room for the credit; inf: the credit is said."""
        self.link = make_link(self._make_join)

    def _make_join(self, now: float) -> JoinSender:
        core = self.core
        core.joining()
        if core.generation == 1:
            # What was said to an earlier session and comes late counts frames of that one.
            self.link.since = now
        return JoinSender(
            session=core.token,
            generation=core.generation,
            name=self._name,
            slots=core.slots,
            received=core.received,
            lease=self._lease,
            sent_at=now,
        )

    def stood_still(self, since: float, now: float) -> bool:
        """The sender did nothing from then until `now`: whether the broker may have given its messages to others
        meanwhile, and is asked whether it has.
        """
        leases, link = self.core.leases, self.link
        silence = (GIVE_UP_PINGS - 2) * link.interval  # it may have been silent for one interval before
        if now - since < min(silence, leases.lease):
            return False
        leases.stood_still(since)
        self._back_at = now
        link.hurry()
        return self.core.live

    @property
    def in_doubt(self) -> bool:
        """Whether a broker that is there has still to say whether it has given this session up."""
        return self.core.live and self.core.leases.away_since is not None

    @property
    def _leaves(self) -> bool:
        """Whether the broker was said goodbye, or is not there to hear it: nothing more is said to it, or it would take
        this sender in again."""
        return self._said_bye or self.left

    def read(self, now: float) -> None:
        """Act on the frames that wait, or on some of them."""
        link = self.link
        for parts in link.read(_READ_AT_ONCE):
            head = None
            try:
                head = link.opened(parts[0], now)
                refuse_parts(parts, 2 if isinstance(head, Grant) else 1)
                self._handle(head, parts, now)
            except WireError as error:
                self._refuse("dispatch", error, now)
                if head is None and isinstance(error, UnknownKind):
                    continue  # a word that this program does not know yet
                link.lost()  # it may have been a grant: joining again tells the broker what we have

    def _handle(self, frame: Any, parts: list[Any], now: float) -> None:
        core, link = self.core, self.link
        match frame:
            case Grant():
                # What was granted to an earlier session, or by an earlier start of the broker, counts other frames.
                if (frame.session, frame.generation) == (core.token, core.generation):
                    core.acknowledged(frame.acked)
                self.granted_at, self.more = now, frame.more
                data = parts[1]
                batch = decode(data.buffer if len(data) > 2_048 else data.bytes)
                if not isinstance(batch, Batch | Mixed):
                    raise WireError(f"a grant of a {type(batch).__name__}")
                ours = core.granted(frame, batch, link.clock.seconds, now)
                if not ours and (frame.session, frame.generation) == (core.token, core.generation):
                    link.lost()  # a grant before it is missing: joining again brings it back
            case Stray():
                self.relay.heard(frame, current=link.knows(frame.subject))
            case Welcome():
                self.relay.welcomed()
                if not self._leaves:
                    core.attempts, core.leases.lease = frame.attempts, frame.lease or inf
                    self._believe(frame.echo)
                    frames = core.welcomed(frame.next, another=frame.instance != self._instance)
                    self._instance = frame.instance
                    if core.astray:
                        self._begin_anew("the broker has started again, and what was said before came late")
                    else:
                        self.acknowledge(frames)
                    self._check_lease(frame.lease)
            case Pong():
                ours = link.knows(frame.instance) and frame.subject == core.token
                if ours:
                    self._believe(frame.echo)
                if ours and not core.answered(frame.next, frame.echo):
                    link.lost()  # an acknowledgement was lost, and none followed by which the broker could miss it
            case Ended():
                if link.answers(frame.instance) and frame.session == core.token:
                    if self._leaves:
                        self.left = True
                    else:
                        self._begin_anew("the broker gave this sender up")
            case Bye():
                self.left = self.left or frame.instance == link.instance
            case Refused():
                if why := link.handle_refusal(frame):
                    self._refuse("dispatch", why, now)
            case Who() | None:
                pass
            case _:
                raise WireError(f"{type(frame).__name__} has no business here")

    def _begin_anew(self, why: str) -> None:
        """Begin another session: what waits here goes to others."""
        dropped = self.core.renew()
        self.link.lost()
        went = f"; {many(dropped, 'message')} that waited here went to others" if dropped else ""
        self.link.log.warning("%s: %s%s", self._name, why, went)

    def _believe(self, asked: float) -> None:
        """The broker has the session, as of what it was asked then."""
        if asked >= self._back_at:
            self.core.leases.away_since = None

    def _check_lease(self, lease: float) -> None:
        """Say when the broker bears less than was asked for."""
        if lease < self._lease and lease != self._logged_lease:
            self.link.log.warning(
                "%s: the broker lets a message stay here for %g s (its --max-lease), and not for %g s: what takes "
                "longer is given to others and may be sent twice",
                self._name,
                lease,
                self._lease,
            )
        self._logged_lease = lease

    def acknowledge(self, frames: list[AckFrame]) -> None:
        """Acknowledge; what a broker that is not joined misses is said after the next join."""
        link = self.link
        for frame in frames:
            if frame.session != self.core.token:
                link.send(_ack(frame))  # of a session that was given up: the broker counts it, joined or not
            elif not link.joined or not link.send(_ack(frame)):
                # The pipe is full. A later frame would jump the gap: everything is said again after the next join.
                link.lost()
                return

    def send_receipts(self, receipts: Receipts) -> bool:
        """Hand receipts on; False when the broker is not there, or its pipe is full or has its next room for credit."""
        return self.link.joined and self._ask_at == inf and self.link.send(Receipt(self.core.token, *receipts))

    def ask(self, now: float) -> None:
        """Say the credit when it has changed; when the pipe is full, later.

        A frame that is made counts: one that could not be said would cost a new join, which begins by saying it again
        and fills a small pipe with that.
        """
        self._ask_at = inf
        if self._leaves or not (self.link.joined and self.core.owes_credit):
            return
        if not self.link.has_room:
            self._ask_at = now + _ROOM_S
            return
        credit = self.core.new_credit()
        if credit is not None:
            self.acknowledge([credit])

    def tick(self, now: float) -> None:
        """Join or ping when it is time."""
        if self._leaves:
            return
        if self.link.tick(now, self.core.token):
            self.core.asked(now)
        elif self.link.refused and self.core.live:
            self.core.joining()  # never said, but what was granted and has not arrived is void, and others may have it

    def next_time(self) -> float:
        """When `ask` or `tick` has something to do."""
        return inf if self._leaves else min(self.link.next_time(), self._ask_at)

    def goodbye(self) -> bool:
        """Say goodbye; False when there is nobody to say it to."""
        self._said_bye = self.link.joined and self.link.send(Bye(self.link.instance, self.core.token))
        return self._said_bye


def _ack(frame: AckFrame) -> Ack:
    return Ack(*frame[:8], reason_column(frame.names)) if frame.names else Ack(*frame[:8])
