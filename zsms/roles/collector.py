"""The stats collector: SUB in, ROUTER out, around :class:`zsms.stats.book.StatsBook`.

Who asks has a REQ. Its partner here is a ROUTER and not a REP: after bytes on a connection that are no ZeroMQ, a REP
loses the next answer, whoever asked.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from typing import Any, Unpack

import zmq

from zsms.errors import UsageError, WireError
from zsms.options import checked
from zsms.roles.base import CommonOptions, Role
from zsms.roles.permissions import StatsPermissions, user_of
from zsms.stats.book import StatsBook
from zsms.stats.snapshot import Snapshot
from zsms.wire import frames
from zsms.wire.codec import decode, encode, expect, refusal
from zsms.wire.endpoint import DEFAULT_STATS, STATS_PORT, Endpoint
from zsms.wire.frames import Answer, Ask, Report
from zsms.words import many

_READ_AT_ONCE = 256
_ON_THEIR_WAY = 3
"""Snapshots of an earlier start that may come after the first one of the next."""


class StatsCollector(Role):
    """Keeps the newest snapshot of each process and answers with their sums."""

    role = "stats"

    @checked
    def __init__(self, bind: str = DEFAULT_STATS, *, insecure: bool = False, **common: Unpack[CommonOptions]) -> None:
        """`bind` is where to listen (port 0: any two free ports); `common`: see :class:`zsms.CommonOptions`.

        Without keys, an address that other hosts can reach is refused unless `insecure`.
        """
        if common.get("stats") is not None:
            raise UsageError("a collector reports to nobody: leave `stats` out")
        super().__init__(**common)
        self.book = StatsBook()
        self._bind = Endpoint.parse(bind, STATS_PORT)
        self._endpoint = self._bind
        self._questions: deque[tuple[str, Future[dict[str, Any]]]] = deque()
        self._insecure = insecure
        self._permissions = None if self.keys is None else StatsPermissions(self.keys, self.book)

    @property
    def endpoint(self) -> str:
        """Where it listens, for everyone's `stats` option. Known once it has started."""
        return str(self._endpoint)

    def _open(self) -> None:
        self._sub, self._router, self._endpoint = self._sockets.bind_pair(
            (zmq.SUB, zmq.ROUTER), self._bind, "--bind", hwm=(1_000, 1_000), insecure=self._insecure
        )
        self._poller.register(self._sub, zmq.POLLIN)
        self._poller.register(self._router, zmq.POLLIN)
        self.log.info("%s: listening on %s", self.name, self._endpoint)

    def step(self) -> bool:
        """See `Role.step`."""
        now = self._clock()
        events = self._wait(None, now)
        now = self._clock()
        if self._sub in events:
            self._read_snapshots(now)
        if self._router in events:
            self._answer_askers(now)
        self._answer_threads(now)
        return not self._stopping

    def ask(self, what: str = "all", timeout: float = 2.0) -> dict[str, Any] | None:
        """What a question over the wire would be answered, from any other thread; None after `timeout` seconds.

        The collector's own thread makes the answer, so no snapshot arrives in the middle of it.
        """
        future: Future[dict[str, Any]] = Future()
        self._questions.append((what, future))
        self.wake()
        try:
            return future.result(timeout)
        except TimeoutError:
            return None

    def _answer_threads(self, now: float) -> None:
        while self._questions:
            what, future = self._questions.popleft()
            future.set_result(self._figures(what, now))

    def _figures(self, what: str, now: float) -> dict[str, Any]:
        answer = self.book.answer(what, now)
        if answer["rows_left_out"] and self._throttle.allows("rows left out", now) is not None:
            self.log.warning(
                "%s: an answer has no room for %s", self.name, many(answer["rows_left_out"], "process", "processes")
            )
        answer["collector"] = {
            "refused_frames": self.refused_frames,
            "refused_connections": self.refused_connections,
            "stale": self.book.stale,
            "cpu_s": time.process_time(),
        }
        return answer

    def _read_snapshots(self, now: float) -> None:
        for _ in range(_READ_AT_ONCE):
            try:
                parts, user = self._receive(self._sub)
            except zmq.Again:
                return
            try:
                if len(parts) != 1:
                    raise WireError("a snapshot is one frame")
                self.take(expect(parts[0], frames.Snapshot).body, user, now)
            except WireError as error:
                self._refuse("stats in", error, now)

    def _receive(self, socket: zmq.Socket[bytes]) -> tuple[list[bytes], str]:
        """A message's parts, and which key it came with; "" where keys are off. Raises zmq.Again."""
        parts = socket.recv_multipart(zmq.NOBLOCK, copy=False)
        return [part.bytes for part in parts], "" if self._permissions is None else user_of(parts[-1])

    def take(self, body: dict[str, Any], user: str, now: float, last: bool = False) -> None:
        """A snapshot has come from that key, in its `last` word or in one of many. Raises WireError."""
        try:
            snapshot = Snapshot.from_wire(body)
            if self._permissions is not None and (why := self._permissions.snapshot(user, snapshot)) is not None:
                raise WireError(why)
            if not self.book.put(snapshot, now, last):
                self._log_rivals(snapshot, now)
            if self._permissions is not None:
                self._permissions.taken(user, snapshot)
        except ValueError as error:
            raise WireError(str(error)) from None

    def _log_rivals(self, snapshot: Snapshot, now: float) -> None:
        """An earlier start that says more than what was on its way when the later one came is another process."""
        if self.book.rivals[snapshot.role, snapshot.name] <= _ON_THEIR_WAY:
            return
        del self.book.rivals[snapshot.role, snapshot.name]
        if self._throttle.allows(f"rivals {snapshot.role} {snapshot.name}", now) is not None:
            one = f"{snapshot.role} {snapshot.name!r}, one of them pid {snapshot.pid} on {snapshot.host}"
            self.log.warning(
                "%s: two processes call themselves %s, and only one of them is counted: give each a --name of its own",
                self.name,
                one,
            )

    def _answer_askers(self, now: float) -> None:
        for _ in range(_READ_AT_ONCE):
            try:
                parts, user = self._receive(self._router)
            except zmq.Again:
                return
            # A REQ puts an envelope around its question, which ends with an empty frame and goes around the answer.
            if b"" not in parts[1:]:
                self._refuse("stats out", "a question comes from a REQ, after an empty frame", now)
                continue
            end = parts.index(b"", 1) + 1
            try:
                self._router.send_multipart([*parts[:end], self._answer(parts[end:], user, now)], zmq.NOBLOCK)
            except zmq.ZMQError:
                pass  # it is gone, or does not read; it will ask again

    def _answer(self, parts: list[bytes], user: str, now: float) -> bytes:
        """Everything is answered, garbage too: who asked learns why."""
        try:
            if len(parts) != 1:
                raise WireError("a question is one frame")
            frame = decode(parts[0])
            match frame:
                case Ask():
                    if self._permissions is not None and (why := self._permissions.question(user)) is not None:
                        raise WireError(why)
                    return encode(Answer(0, self._figures(frame.what, now)))
                case Report():
                    self.take(frame.body, user, now, last=True)
                    return encode(Answer(0, {}))
                case _:
                    raise WireError(f"{type(frame).__name__} is no question")
        except WireError as error:
            self._refuse("stats out", error, now)
            return refusal(error, self.start_id)
