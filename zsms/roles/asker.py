"""Questions to a collector: one at a time, and a role that puts the same one again and again.

    asked --answer--> interval after the question: asked again
      |  ^
      +--+  no answer: every interval it is told for how long there is none, and every `ANSWER_S` it is asked again

A question that waits is not repeated at once: a slow collector would never get its answer through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import zmq

from zsms.core.throttle import Throttle
from zsms.errors import WireError
from zsms.roles.base import CommonOptions, Role
from zsms.stats.answer import checked
from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import STATS_PORT, Endpoint
from zsms.wire.frames import Answer, Ask
from zsms.wire.sockets import Sockets

ANSWER_S = 2.0
"""How long a question waits for its answer before it is asked again."""
COMPLAIN_S = 10.0
"""Seconds after which it says again that nobody answers."""


class Asker:
    """Questions to a collector, one at a time."""

    def __init__(self, sockets: Sockets, endpoint: Endpoint, *, own: bool = False) -> None:
        """`own`: the collector is one of ours, whose answers need no check."""
        self.endpoint = endpoint
        self._own = own
        self.socket = sockets.connect(zmq.REQ, endpoint, "second")
        self.handshakes = sockets.handshakes(self.socket)

    def ask(self, what: str) -> bool:
        """Send the question; an answer to an earlier one is dropped from now on (REQ_RELAXED, REQ_CORRELATE). False
        where it is not even connected."""
        try:
            self.socket.send(encode(Ask(what)), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def read(self) -> dict[str, Any] | None:
        """The answer if it is there. Raises WireError when it is none."""
        try:
            parts = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        frame = decode(parts[0])
        if not isinstance(frame, Answer):
            raise WireError(f"the collector answered with a {type(frame).__name__}")
        try:
            return frame.body if self._own else checked(frame.body)
        except ValueError as error:
            raise WireError(f"the collector's answer: {error}") from None

    def wait(self, what: str, timeout: float) -> dict[str, Any] | None:
        """Ask, and wait for the answer; None after `timeout` seconds."""
        self.ask(what)
        try:
            return self.read() if self.socket.poll(int(timeout * 1_000)) else None
        except WireError:
            return None


class Silence:
    """Since when a collector has not answered, and why, as far as that is known: said now and then."""

    def __init__(self, asker: Asker, sockets: Sockets, tell: Callable[..., None]) -> None:
        """`asker` is one that `sockets` has made; `tell` takes what a logger's methods do."""
        self._asker, self._sockets, self._tell = asker, sockets, tell
        self._throttle = Throttle()
        self._complained = False
        self._complain_at = 0.0
        self.since: float | None = None
        """When the first question was put that has no answer yet."""

    def asks(self, now: float) -> float:
        """A question is put; for how many seconds there has been none."""
        if self.since is None:
            self.since = now
        silent = now - self.since
        if silent > ANSWER_S and now >= self._complain_at:
            self._complained, self._complain_at = True, now + COMPLAIN_S
            looked = self._sockets.resolve_again(self._asker.endpoint)
            why = f" ({looked})" if looked else ""
            where = self._asker.endpoint
            self._tell("no answer from a collector at %s for %.0f s%s; trying on", where, silent, why)
        return silent

    def refused(self, now: float) -> str:
        """Why it never will answer; what may pass is said."""
        why, for_good = self._asker.handshakes.failed() or ("", False)
        if why and not for_good and self._throttle.allows("handshake", now) is not None:
            self._tell("the collector at %s: %s", self._asker.endpoint, why)
        return f"the collector at {self._asker.endpoint}: {why}" if for_good else ""

    def ends(self) -> None:
        """It has answered."""
        if self._complained:
            self._tell("the collector at %s answers again", self._asker.endpoint)
        self.since, self._complained, self._complain_at = None, False, 0.0


class Asking(Role):
    """Asks the collector every `interval` seconds. Subclasses implement `_handle` and `_unanswered`."""

    what = "all"
    """The question."""

    def __init__(self, stats: str, interval: float, **common: Unpack[CommonOptions]) -> None:
        super().__init__(**common)
        self._endpoint = Endpoint.parse(stats, STATS_PORT)
        self._interval = interval
        self._next_ask = 0.0
        self._asked_at: float | None = None
        """When the question was put that has no answer yet."""
        self._finished = False
        self._tell: Callable[..., None] = self.log.warning
        self._asker: Asker
        self._silence: Silence

    def _handle(self, answer: dict[str, Any], now: float) -> None:
        """An answer has come."""
        raise NotImplementedError

    def _unanswered(self, silent: float, refused: str, now: float) -> float:
        """It is time to ask, and there was no answer for so many seconds, 0 where the last question has its own;
        `refused` is why there never will be one. When to look again, at the latest.
        """
        raise NotImplementedError

    def _open(self) -> None:
        self._asker = Asker(self._sockets, self._endpoint)
        self._silence = Silence(self._asker, self._sockets, self._tell)
        self._poller.register(self._asker.socket, zmq.POLLIN)

    def step(self) -> bool:
        """See `Role.step`."""
        now = self._clock()
        events = self._wait(self._next_ask, now)
        now = self._clock()
        if self._asker.socket in events:
            self._read(now)
        if now >= self._next_ask:
            self._ask(now)
        return not (self._stopping or self._finished)

    def _ask(self, now: float) -> None:
        again = self._unanswered(self._silence.asks(now), self._silence.refused(now), now)
        self._next_ask = min(now + min(self._interval, ANSWER_S), again)
        if self._asked_at is None or now - self._asked_at >= ANSWER_S:
            self._asked_at = now if self._asker.ask(self.what) else None

    def _read(self, now: float) -> None:
        try:
            answer = self._asker.read()
        except WireError as error:
            self._refuse("stats out", error, now)
            return
        if answer is not None:
            asked, self._asked_at = self._asked_at, None
            self._next_ask = (now if asked is None else asked) + self._interval
            self._silence.ends()
            self._handle(answer, now)
