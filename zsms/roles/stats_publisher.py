"""A process's line to the collector: snapshots by PUB as it runs, and the last one by REQ, which is acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Callable

import zmq

from zsms.errors import UsageError
from zsms.stats.snapshot import Snapshot
from zsms.wire.codec import encode
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import Report
from zsms.wire.frames import Snapshot as SnapshotFrame
from zsms.wire.presence import NOBODY
from zsms.wire.sockets import Sockets

FINAL_S = 5.0
"""How long the last snapshot may wait for its answer before the process ends without it: a collector that was started
after the process may only just be coming up."""
FINAL_STOPPED_S = 1.0
"""The same when the process was told to stop."""
LOOK_S = 5.0
"""How often a collector is looked for that was never reached."""
_LOOK_MS = 100


class StatsPublisher:
    """Publishes `make(now)` every `interval` seconds; does nothing at all without a collector."""

    def __init__(
        self,
        sockets: Sockets,
        collector: Endpoint | None,
        interval: float,
        make: Callable[[float], Snapshot | None],
        log: logging.Logger,
        complete: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> None:
        """`complete` adds to the last snapshot what only that one has."""
        self._complete = complete
        self.count = 0
        """Snapshots made."""
        self._sockets = sockets
        self._collector = collector
        self._interval = interval
        self._make = make
        self._pub = None if collector is None else sockets.connect(zmq.PUB, collector, "first", hwm=16)
        self._handshakes = None if self._pub is None else sockets.handshakes(self._pub)
        self._log = log
        self._next = 0.0
        self._look_at = 0.0

    def due(self) -> float | None:
        """When the next snapshot is due, None when never."""
        return None if self._pub is None else self._next

    def tick(self, now: float, soon: bool = False) -> None:
        """Publish when it is time; with `soon` at a tenth of the interval, because something has just ended."""
        if self._pub is None or now < self._next - (0.9 * self._interval if soon else 0.0):
            return
        self._next = now + self._interval
        if self._handshakes is not None and (failed := self._handshakes.failed()) is not None:
            self._log.warning("the collector at %s gets no statistics from here: %s", self._collector, failed[0])
        self._poll_collector(now)
        snapshot = self._next_snapshot(now)
        if snapshot is not None:
            try:
                self._pub.send(encode(SnapshotFrame(snapshot.to_wire())), zmq.NOBLOCK)
            except zmq.Again:
                pass  # the next one says it all again

    def _poll_collector(self, now: float) -> None:
        """Until it was reached once: its host may be unknown still, or be reached over another address."""
        if self._collector is None or self._handshakes is None or self._handshakes.succeeded or now < self._look_at:
            return
        first, self._look_at = self._look_at == 0.0, now + LOOK_S
        why = "" if first else self._sockets.resolve_again(self._collector)
        if why not in ("", NOBODY):  # nobody need watch
            self._log.warning("the collector at %s gets no statistics from here yet: %s", self._collector, why)

    def final(self, now: float, patience: Callable[[], float] = lambda: FINAL_S) -> bool:
        """Hand the last snapshot over and wait for the answer; False when there was none in `patience()` seconds."""
        if self._collector is None:
            return True
        snapshot = self._next_snapshot(now)
        if snapshot is None:
            return True
        if snapshot.state != "done":
            snapshot.state = "left"
        self._complete(snapshot)
        try:
            socket = self._sockets.connect(zmq.REQ, self._collector, "second")
        except (zmq.ZMQError, UsageError):
            return False  # no descriptor is left for it, or its host has gone
        socket.send(encode(Report(snapshot.to_wire())))
        waited_ms, answered = 0, False
        while not answered and waited_ms < patience() * 1_000:
            answered = bool(socket.poll(_LOOK_MS))
            waited_ms += _LOOK_MS
        self._sockets.close(socket)
        return answered

    def _next_snapshot(self, now: float) -> Snapshot | None:
        self.count += 1
        return self._make(now)
