"""The monitor role: asks the collector every interval and says how the mesh stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Unpack

import zmq

from zsms.core.throttle import Throttle
from zsms.errors import UsageError, WireError, ZsmsError
from zsms.roles.base import CommonOptions, Role, check_timeout
from zsms.stats.answer import checked
from zsms.stats.ending import Ending
from zsms.stats.trends import Watch
from zsms.stats.view import View
from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import DEFAULT_STATS, STATS_PORT, Endpoint
from zsms.wire.frames import Answer, Ask
from zsms.wire.sockets import Sockets

ANSWER_S = 2.0
"""How long a question waits for its answer before it is asked again."""
COMPLAIN_S = 10.0
"""Seconds after which it says again that nobody answers."""
WAITS_S = 3.0
"""How long `until_done` waits for somebody who may never come before it says so."""
REMIND_S = 30.0
"""Seconds after which it says so again."""


class Asker:
    """Questions to a collector, one at a time."""

    def __init__(self, sockets: Sockets, endpoint: Endpoint, *, own: bool = False) -> None:
        """`own`: the collector is one of ours, whose answers need no check."""
        self.endpoint = endpoint
        self._own = own
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
            looked = self._sockets.look_again(self._asker.endpoint)
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
        timeout: float | None = None,
        **common: Unpack[CommonOptions],
    ) -> None:
        """`show(view, view before or None)` is called every `interval` seconds; by default it logs a line.

        `once`: leave after the first answer. `until_done`: leave when all work is done; `run` raises ZsmsError when
        that can't be any more, because a broker is gone with messages or has started again without them, or because a
        producer fell silent before its end.
        `detailed`: ask for histograms too. `timeout`: `run` raises ZsmsError after so many seconds without any answer;
        None: it asks for ever. `common` are the options of :class:`zsms.CommonOptions`. Raises UsageError.
        """
        super().__init__(**common)
        if not 0.05 <= interval <= 3_600:
            raise UsageError(f"interval {interval}: give seconds from 0.05 to 3600")
        check_timeout(timeout)
        self._timeout = timeout
        self.view: View | None = None
        """The last view."""
        self._interval = interval
        self._once = once
        self._until_done = until_done
        self._what = "all" if detailed else "totals"
        self._show = show or log_view(self.log)
        self._endpoint = Endpoint.parse(stats, STATS_PORT)
        self._next_ask = 0.0
        self._finished = False
        self._ending = Ending()
        self._waits = ""
        self._say_waits_at = 0.0
        self._asker: Asker
        self._silence: Silence

    def _open(self) -> None:
        self._asker = Asker(self._sockets, self._endpoint)
        self._silence = Silence(self._asker, self._sockets, self.log.warning)
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
        silent = self._silence.asks(now)
        if self._timeout is not None and silent >= self._timeout:
            raise ZsmsError(f"no answer from a collector at {self._endpoint} for {self._timeout:g} s")
        if refused := self._silence.refused(now):
            raise ZsmsError(refused)
        self._asker.ask(self._what)
        # Until it answers, the question is repeated at its own pace: the interval may be an hour.
        self._next_ask = now + min(self._interval, ANSWER_S)
        if self._timeout is not None:
            self._next_ask = min(self._next_ask, max(now + 0.05, now - silent + self._timeout))

    def _read(self, now: float) -> None:
        try:
            answer = self._asker.read()
        except WireError as error:
            self._refuse("stats out", error, now)
            return
        if answer is None:
            return
        self._silence.ends()
        before, self.view = self.view, View.of(answer, now)
        self._show(self.view, before)
        self._next_ask = now + self._interval
        self._finished = self._once
        if self._until_done:
            self._look_for_the_end(self.view, now)

    def _look_for_the_end(self, view: View, now: float) -> None:
        """Finish, or say whom it waits for. Raises ZsmsError when the work can't be done any more."""
        verdict = self._ending.look(view)
        if verdict is not None:
            if verdict.code:
                raise ZsmsError(verdict.why)
            if verdict.why:
                self.log.warning("all that is known of is settled; %s", verdict.why)
            self._finished = True
            return
        waits = self._ending.waits
        kind = waits.partition(", silent for")[0]
        if kind != self._waits:
            self._waits, self._say_waits_at = kind, now + WAITS_S
        elif waits and now >= self._say_waits_at:
            self._say_waits_at = now + REMIND_S
            self.log.warning("waiting for %s", waits)


def log_view(log: logging.Logger) -> Callable[[View, View | None], None]:
    """A `show` that logs one line."""

    watch = Watch()

    def show(view: View, before: View | None) -> None:
        log.info("%s", line_of(view, before, watch.take(view).left_s))

    return show


def line_of(view: View, before: View | None, left_s: float | None = None) -> str:
    """One line of figures for people; `left_s` as :class:`zsms.stats.trends.Figures` has it."""
    return (
        f"produced {made_of(view)}  sent {view.sent:,}  failed {view.failed + view.dead:,}  "
        f"mean {view.mean_s:.3f} s  rate {view.rate_since(before):,.0f}/s  overall {view.rate:,.0f}/s  "
        + ("" if view.asked_per_s is None else f"asked {view.asked_per_s:,.6g}/s  ")
        + f"queued {view.queued:,}  in flight {view.in_flight:,}  senders {view.senders_alive}"
        + ("" if left_s is None or view.done else f"  left {left_s:,.0f} s")
        + (f"  MISSING {view.missing:,}" if view.missing else "")
        + (f"  ({view.untold})" if view.untold else "")
    )


def made_of(view: View) -> str:
    """How many messages were made; "at least" where some producer could not say all."""
    return f"{'at least ' if view.untold else ''}{view.made:,}"
