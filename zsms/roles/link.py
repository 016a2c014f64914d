"""A peer's DEALER to the broker: joining, pinging and knowing whether anyone is there.

    unknown --join every RETRY_S--> joining --WELCOME--> joined --WHO--> joining
                                                            |
                                              PING every `interval` seconds

    any --its key is refused, or it hears that it is refused for good--> refused

A broker that starts again has another `instance`, and its earlier start may still be heard: what a connection held
back when it broke arrives late. So a word counts only when the start that says it is the one that has welcomed us; and
a WELCOME counts when it answers a later JOIN than the last one that did.

What is said in between is the role's business, and so is what to do about a broker that refuses it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any

import zmq

from zsms.core.clock import ClockOffset
from zsms.errors import WireError, ZsmsError
from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import Frame, Ping, Pong, Refused, Welcome, Who
from zsms.wire.sockets import Sockets
from zsms.words import many

GIVE_UP_PINGS = 5
"""A broker that is silent for so many of its intervals, which is its liveness time, is taken for lost."""
RETRY_S = 0.5
"""Seconds between two attempts to join."""
TURN_S = 1.2
"""Seconds without an answer after which a broker that may be at several places is looked for at the next."""
COMPLAIN_S = 5.0
"""Seconds without an answer after which the log says so, and again every as many."""


class Link:
    """One peer's control connection to one broker."""

    def __init__(
        self,
        sockets: Sockets,
        endpoint: Endpoint,
        log: logging.Logger,
        make_join: Callable[[float], Frame],
        *,
        alone: bool,
        hwm: int = 1_000,
    ) -> None:
        """`make_join(now)` makes the frame that introduces this peer.

        Unless it is `alone`, a broker that is silent counts as lost, so that others can have its part.
        """
        self.endpoint = endpoint
        self.socket = sockets.connect(zmq.DEALER, endpoint, "second", hwm=hwm)
        self._sockets = sockets
        self._handshakes = sockets.handshakes(self.socket)
        self.clock = ClockOffset()
        self.joined = False
        self.refused = ""
        """Why this broker will never hear us; empty unless it has refused us for good."""
        self.since = -inf
        """A WELCOME to a join from before this time is of no use any more."""
        self.instance = 0
        """The start of the broker that welcomed us last; 0 before that."""
        self._speaker = 0
        """The start of the broker that was heard last."""
        self.interval = 1.0
        self.log = log
        self._alone = alone
        self._make_join = make_join
        self._next_join = 0.0
        self._next_ping = 0.0
        self._turn_at: float | None = None
        """When to look for the broker at its next place; None while it is there."""
        self._heard: float | None = None
        self._complain_at = 0.0
        self.failure = ""

    def send(self, frame: Frame) -> bool:
        """Send; False when the pipe is full."""
        return self.send_bytes(encode(frame))

    def send_bytes(self, data: bytes) -> bool:
        """`send` for a frame that is encoded already."""
        try:
            self.socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    @property
    def has_room(self) -> bool:
        """Whether the pipe takes another frame."""
        return bool(self.socket.poll(0, zmq.POLLOUT))

    def read(self, most: int) -> Iterator[list[Any]]:
        """Up to `most` multipart messages that wait, as buffers."""
        for _ in range(most):
            try:
                yield self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return

    def opened(self, part: Any, now: float) -> Any:
        """Decode a part; WELCOME, PONG and WHO are taken note of. None for a WELCOME that is of no use any more.

        Raises WireError.
        """
        frame = decode(part.buffer if len(part) > 2_048 else part.bytes)
        self._heard = now
        match frame:
            case Welcome():
                if frame.echo < self.since:
                    return None
                self._welcomed(frame, now)
            case Pong() if self.knows(frame.instance):
                self.clock.sample(frame.echo, frame.now, now)
            case Who():
                self._speaker = frame.instance
                self.lost()
        return frame

    def _welcomed(self, frame: Welcome, now: float) -> None:
        self.since = frame.echo
        if frame.instance != self.instance:
            self.instance = frame.instance
            self.clock = ClockOffset()  # perhaps on another host, and its clock began anew if its host did
        self._speaker = frame.instance
        self.joined = not self.refused
        self.failure = ""
        if self.endpoint.others and self._turn_at is not None:
            self._handshakes.broken()  # what was before is over
            self.log.info("the broker is at %s", self._sockets.place(self.endpoint))
        self._turn_at = None
        self.interval = min(max(frame.interval, 0.05), 60.0)
        self._next_ping = now + self.interval
        self.clock.sample(frame.echo, frame.now, now)

    def knows(self, instance: int) -> bool:
        """Whether that is the start of the broker that welcomed us: what others say is void."""
        return self.joined and instance == self.instance

    def answers(self, instance: int) -> bool:
        """Whether that start of the broker may be answering a JOIN of ours: any, until one welcomes us."""
        return not self.joined or instance == self.instance

    def handle_refusal(self, frame: Refused) -> str:
        """A REFUSED arrived: what to count and log, unless it was for good (`refused` says why then)."""
        if frame.final and self.answers(frame.instance):
            known = self._speaker in (0, frame.instance)
            self._speaker = frame.instance
            if known:
                self.refuse(f"it refused this peer: {frame.reason}")
                return ""
            # The last word of an earlier start of the broker, perhaps: whoever means it says it again.
            self.lost()
        return f"the broker refused: {frame.reason}"

    def lost(self) -> None:
        """The broker does not know us (any more): join again, soon."""
        self.joined = False

    def refuse(self, why: str) -> None:
        """The broker will not have us, whatever we say: it counts as lost for good."""
        if not self.refused and not self._alone:  # alone, that is what the role ends with
            self.log.error("the broker at %s: %s; it counts as lost", self.endpoint, why)
        self.refused = why
        self.joined = False

    def join_now(self) -> None:
        """Join with the next `tick`: there is something new to say."""
        self._next_join = 0.0

    def _silent(self, now: float) -> bool:
        """Whether a broker that we had joined has said nothing for as long as it would bear from us."""
        return self.joined and self._heard is not None and now - self._heard > GIVE_UP_PINGS * self.interval

    def hurry(self) -> None:
        """Ping at the next `tick`."""
        self._next_ping = 0.0

    def tick(self, now: float, subject: int) -> bool:
        """Join or ping when it is time; whether it was a ping."""
        if self.joined and self.endpoint.others and self._handshakes.broken():
            self.lost()  # and perhaps it is found again at once, at its other place
        if (not self._alone or self.endpoint.others) and self._silent(now):
            self.lost()
        pings = self.joined and now >= self._next_ping
        if not self.joined:
            if self.endpoint.others:
                self._try_elsewhere(now)
            self._check_handshakes()
            if self.refused:
                return False
            if now >= self._next_join:
                self._next_join = now + RETRY_S
                # A join that is made counts, so it has to be said: with a full pipe there is none.
                if self.has_room:
                    self.send(self._make_join(now))
        elif pings:
            self._next_ping = now + self.interval
            self.send(Ping(subject, now))
        self._complain(now)
        return pings

    def _try_elsewhere(self, now: float) -> None:
        """A broker that may be at several places, and does not answer at this one, may have moved."""
        if self._turn_at is not None and now >= self._turn_at:
            self._sockets.turn(self.endpoint)
            self._turn_at, self._next_join = now + TURN_S, now
        elif self._turn_at is None:
            self._turn_at = now + TURN_S

    def _check_handshakes(self) -> None:
        failed = self._handshakes.failed()
        if failed is None:
            return
        why, for_good = failed
        if for_good:
            self.refuse(why)
        self.failure = why

    def _complain(self, now: float) -> None:
        """Say in the log, now and then, that nobody answers."""
        if self._heard is None:
            self._heard = now
        silent = now - self._heard
        if silent > max(COMPLAIN_S, 3 * self.interval) and now >= self._complain_at:
            self._complain_at = now + COMPLAIN_S
            looked = self._sockets.resolve_again(self.endpoint)
            why = f" ({self.failure or looked})" if self.failure or looked else ""
            self.log.warning("no word from a broker at %s for %.0f s%s; trying on", self.endpoint, silent, why)

    def next_time(self) -> float:
        """When `tick` has something to do."""
        if self.refused:
            return inf
        return self._next_ping if self.joined else self._next_join


def end_if_refused(links: Sequence[Link]) -> None:
    """Raise ZsmsError when every broker has refused us for good; one that has not is worth going on for."""
    if all(link.refused for link in links):
        raise ZsmsError("; ".join(f"the broker at {link.endpoint}: {link.refused}" for link in links))


def refuse_parts(parts: list[Any], expected: int) -> None:
    """Raise WireError unless a message has that many parts."""
    if len(parts) != expected:
        raise WireError(f"{many(len(parts), 'part')} where {expected} belong")
