"""What a broker answers to the frames of its peers: each goes to the core, and what that says back to the peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zsms.core.broker import BrokerCore, Failed
from zsms.core.broker.holdings import holdings
from zsms.core.broker.session import Session
from zsms.wire.frames import (
    Ack,
    Answer,
    Bye,
    Ended,
    Fenced,
    Frame,
    Hold,
    Inspect,
    JoinProducer,
    JoinSender,
    Kick,
    Ping,
    Pong,
    Purge,
    Receipt,
    Refused,
    Stray,
    Welcome,
    Who,
    reason_names,
)

FROM_OPERATORS = (Inspect, Kick, Purge)
FROM_PEERS = (Ack, Receipt, Stray, Ping, JoinSender, JoinProducer, Bye, *FROM_OPERATORS)
"""What a broker's dispatch socket takes."""


@dataclass(slots=True)
class Desk:
    """Hears the peers of one start of a broker."""

    core: BrokerCore
    name: str
    """Of the broker, for operators."""
    instance: int
    """Names this start of the broker."""
    durability: str
    clock: Callable[[], float]
    full: Callable[[], bool]
    """Whether no batch is read at the moment."""
    waits: Callable[[], str]
    """Why nothing can be kept at the moment; empty when all is well."""
    send: Callable[[bytes, Frame], bool]
    """To any other peer, False when it can't be."""

    def handle(self, peer: bytes, frame: Any, now: float) -> Sequence[Frame]:
        """Act on a frame of a peer; what is to be said to it."""
        core = self.core
        match frame:
            case Ack():
                how = _how(frame) if len(frame.failed) else None
                known = core.acknowledged(peer, frame, now, how) is not None
                return () if known else [self._unknown(frame.session)]
            case Receipt():
                return () if core.received(peer, frame, now) else [self._unknown(frame.session)]
            case Stray():
                return self._relay(peer, frame)
            case Ping():
                return self._ping(peer, frame, now)
            case JoinSender():
                return [self._join_sender(peer, frame, now)]
            case JoinProducer():
                account = core.producer_joined(peer, frame, now)
                if account is None:
                    return [Fenced(self.instance, core.latest_epoch(frame.producer, frame.epoch))]
                return [self._welcome(account.durable_through, frame.sent_at)]
            case Bye():
                core.left(peer, now)
                return [Bye(self.instance, frame.subject)]
            case Inspect() | Kick() | Purge():
                return [self._operate(frame, now)]
        return ()

    def _relay(self, peer: bytes, stray: Stray) -> list[Frame]:
        """Hand receipts on to the other senders of the account, and say to all how many they are if that is news.

        Those of a sender that was given up meanwhile, too: it has forgotten them.
        """
        gateways, session = self.core.gateways, self.core.sessions.get(stray.subject)
        known = session is not None and session.peer == peer
        new = session is not None and known and gateways.spoke(session, stray.account, stray.read)
        others = [each for each in gateways.senders(stray.account) if each is not session]
        plain = Stray(self.instance, stray.account, others=len(others) - (session is None), read=0)
        answer = stray._replace(subject=self.instance, others=plain.others, read=0)
        for other in others:
            if len(stray.lengths) and gateways.has_room(other):
                other.handed += len(stray.lengths) if self.send(other.peer, answer) else 0
            elif new:
                self.send(other.peer, plain)
        if not known:
            return [self._unknown(stray.subject)]
        return [plain] if new or (len(stray.lengths) and not others) else []

    def _ping(self, peer: bytes, ping: Ping, now: float) -> list[Frame]:
        known = self.core.alive(peer, now)
        if known is None:
            return [Who(self.instance)]
        said: list[Frame] = []
        if isinstance(known, Session):
            expected = known.acked
        else:
            expected = known.durable_through
            if why := self.waits():
                said.append(Hold(self.instance, ping.subject, why))
        pong = Pong(self.instance, ping.subject, expected, self.full(), echo=ping.sent_at, now=self.clock())
        return [*said, pong]

    def _join_sender(self, peer: bytes, join: JoinSender, now: float) -> Frame:
        if not join.slots:
            return Refused(self.instance, True, "a sender needs at least one slot")
        session = self.core.sender_joined(peer, join, now)
        if session is None:
            return Ended(self.instance, join.session)
        return self._welcome(session.acked, join.sent_at, float(session.lease))

    def _unknown(self, session: int) -> Frame:
        """The answer to a sender that must join again."""
        return Ended(self.instance, session) if self.core.is_ended(session) else Who(self.instance)

    def _welcome(self, expected: int, echo: float, lease: float = 0.0) -> Welcome:
        limits = self.core.limits
        return Welcome(
            self.instance,
            next=expected,
            echo=echo,
            now=self.clock(),
            interval=limits.liveness / 5,
            lease=lease,
            durability=self.durability,
            attempts=min(limits.max_attempts, 0xFFFF_FFFF),
        )

    def _operate(self, frame: Inspect | Kick | Purge, now: float) -> Answer:
        """Show, kick or purge what is held."""
        core = self.core
        match frame:
            case Inspect():
                return Answer(frame.request, {"broker": self.name, **holdings(core, now, frame.messages)})
            case Kick():
                kicked = core.kick(now, frame.reason, frame.limit)
                return Answer(frame.request, {"broker": self.name, "kicked": kicked})
            case Purge():
                # The dead first: what is purged from the queue is to be found there afterwards.
                dead = core.purge_dead(now, frame.reason) if frame.dead else 0
                ready = core.purge_ready(now) if frame.ready else 0
                return Answer(frame.request, {"broker": self.name, "purged_ready": ready, "purged_dead": dead})


def _how(ack: Ack) -> Failed | None:
    """How the failures of an acknowledgement failed, None: plainly."""
    if not len(ack.outcomes) and not len(ack.reasons):
        return None
    return Failed(ack.outcomes, ack.reasons, reason_names(ack.names))
