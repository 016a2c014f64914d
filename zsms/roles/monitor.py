"""The monitor role: asks the collector every interval and says how the mesh stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import zmq

from zsms.core.view import STALE_INTERVALS, View
from zsms.errors import UsageError, WireError, ZsmsError
from zsms.protocol import Answer, Ask, decode, encode
from zsms.roles.base import Role
from zsms.sockets import DEFAULT_STATS, STATS_PORT, Endpoint, Sockets

ANSWER_S = 2.0
"""How long a question waits for its answer before it is asked again."""


GONE_S = 30.0
"""How long the broker that holds messages may be away, restarting perhaps, before `until_done` gives them up."""


class Asker:
    """Questions to a collector, one at a time."""

    def __init__(self, sockets: Sockets, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.socket = sockets.connect(zmq.REQ, endpoint, "second")
        self.handshakes = sockets.handshakes(self.socket)

    def ask(self, what: str) -> None:
        """Send the question; an answer to an earlier one is dropped from now on (REQ_RELAXED, REQ_CORRELATE)."""
        try:
            self.socket.send(encode(Ask(what)), zmq.NOBLOCK)
        except zmq.Again:
            pass  # not even connected: the next attempt may be luckier

    def read(self) -> dict[str, Any] | None:
        """The answer if it is there. Raises WireError when it is none."""
        try:
            parts = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        frame = decode(parts[0])
        if not isinstance(frame, Answer):
            raise WireError(f"the collector answered with a {type(frame).__name__}")
        return frame.body

    def wait(self, what: str, timeout: float) -> dict[str, Any] | None:
        """Ask, and wait for the answer; None after `timeout` seconds."""
        self.ask(what)
        try:
            return self.read() if self.socket.poll(int(timeout * 1_000)) else None
        except WireError:
            return None


class Monitor(Role):
    """Watches a mesh and hands each view to `show`."""

    role = "monitor"

    def __init__(
        self,
        stats: str = DEFAULT_STATS,
        *,
        interval: float = 1.0,
        once: bool = False,
        until_done: bool = False,
        show: Callable[[View, View | None], None] | None = None,
        detailed: bool = False,
        **common: Any,
    ) -> None:
        """`show(view, view before or None)` is called every `interval` seconds; by default it logs a line.

        `once`: leave after the first answer. `until_done`: leave when all work is done; `run` raises ZsmsError when
        that can't be any more, because the broker that held messages is gone, or has started again without them.
        `detailed`: ask for histograms too. `common` are the options of :class:`Role`. Raises UsageError.
        """
        super().__init__(**common)
        if not 0.05 <= interval <= 3_600:
            raise UsageError(f"interval {interval}: give seconds from 0.05 to 3600")
        self.view: View | None = None
        """The last view."""
        self._interval = interval
        self._once = once
        self._until_done = until_done
        self._what = "all" if detailed else "totals"
        self._show = show or log_view(self.log)
        self._endpoint = Endpoint.parse(stats, STATS_PORT)
        self._next_ask = 0.0
        self._asked_at = 0.0
        self._silent_since: float | None = None
        self._complained = False
        self._finished = False
        self._stuck_since: float | None = None
        self._asker: Asker

    def _open(self) -> None:
        self._asker = Asker(self._sockets, self._endpoint)
        self._poller.register(self._asker.socket, zmq.POLLIN)

    def _step(self) -> bool:
        now = self._clock()
        events = self._wait(self._next_ask, now)
        now = self._clock()
        if self._asker.socket in events:
            self._read(now)
        if now >= self._next_ask:
            self._ask(now)
        return not (self._stopping or self._finished)

    def _ask(self, now: float) -> None:
        if self._silent_since is None:
            self._silent_since = now
        silent = now - self._silent_since
        if silent > ANSWER_S and self._throttle.allows("silence", now) is not None:
            self._complained = True
            self.log.warning("no answer from a collector at %s for %.0f s; trying on", self._endpoint, silent)
        failed = self._asker.handshakes.failed()
        if failed is not None:
            why, for_good = failed
            if for_good:
                raise ZsmsError(f"the collector at {self._endpoint}: {why}")
            if self._throttle.allows("handshake", now) is not None:
                self.log.warning("the collector at %s: %s", self._endpoint, why)
        self._asker.ask(self._what)
        # Until it answers, the question is repeated at its own pace: the interval may be an hour.
        self._next_ask = now + min(self._interval, ANSWER_S)

    def _read(self, now: float) -> None:
        try:
            answer = self._asker.read()
        except WireError as error:
            self._refuse("stats out", error, now)
            return
        if answer is None:
            return
        if self._complained:
            self.log.warning("the collector at %s answers again", self._endpoint)
        self._silent_since, self._complained = None, False
        before, self.view = self.view, View.of(answer, now)
        self._show(self.view, before)
        self._next_ask = now + self._interval
        self._finished = self._once or (self._until_done and self.view.done)
        if self._until_done:
            self._give_up_when_stuck(self.view, before, now)

    def _give_up_when_stuck(self, view: View, before: View | None, now: float) -> None:
        """Raise ZsmsError when messages have been with no broker for as long as any broker takes to speak."""
        if not view.stuck or (before is not None and before.settled != view.settled):
            self._stuck_since = None
            return
        if self._stuck_since is None:
            self._stuck_since = now
        intervals = [row["interval"] for row in view.processes if row["role"] == "broker"]
        patience = STALE_INTERVALS * max(intervals, default=1.0) + 0.5
        if not view.brokers_alive:
            patience += GONE_S
        if now - self._stuck_since > patience:
            missing = view.produced - view.settled
            where = "has started again without them" if view.brokers_alive else "is gone"
            raise ZsmsError(
                f"{missing:,} messages were confirmed and are not settled, and the broker that held them {where}"
            )


def log_view(log: logging.Logger) -> Callable[[View, View | None], None]:
    """A `show` that logs one line."""

    def show(view: View, before: View | None) -> None:
        log.info("%s", line_of(view, before))

    return show


def line_of(view: View, before: View | None) -> str:
    """One line of figures for people."""
    return (
        f"produced {view.produced:,}  sent {view.sent:,}  failed {view.failed + view.dead:,}  "
        f"mean {view.mean_s:.3f} s  rate {view.rate_since(before):,.0f}/s  overall {view.rate:,.0f}/s  "
        f"queued {view.queued:,}  in flight {view.in_flight:,}  senders {view.senders_alive}"
    )
