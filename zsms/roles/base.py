"""What every role is: a loop that can run here, in a thread of its own, or beside an asyncio program.

    role.run()                      in the caller's thread, until it is done or stopped
    with role: ...                  in a thread of its own; leaving the block stops and joins it
    role.start(); role.stop(); role.join()
    await role.serve()              from a coroutine; cancelling it stops the role

`stop()` may be called from any thread and from a signal handler. The first call asks the role to drain, a
second one to leave at once. A role touches no global state: no logging configuration, no signal handlers, and
no context of yours is closed.

Sockets are made and used in the thread that runs the role, because a ZeroMQ socket belongs to one thread.
"""

from __future__ import annotations

import logging
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict

import zmq

from zsms.core.throttle import Throttle
from zsms.errors import UsageError, ZsmsError
from zsms.message import MAX_PEER_NAME
from zsms.options import checked
from zsms.roles.poller import Poller
from zsms.roles.stats_publisher import FINAL_S, FINAL_STOPPED_S, StatsPublisher
from zsms.roles.waker import Waker
from zsms.security.keys import Keys
from zsms.stats.failures import Failure, printable
from zsms.stats.figures import Figures
from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import MAX_NAME, Snapshot
from zsms.wire.endpoint import STATS_PORT, Endpoint
from zsms.wire.sockets import Sockets

if TYPE_CHECKING:
    import asyncio

    from zsms.roles.sd_notify import Notifier

Clock = Callable[[], float]

PATIENCE_S = 30.0
"""A stop without a time limit ends when nothing was settled for so long."""


class CommonOptions(TypedDict, total=False):
    """The options that every role has; times in seconds."""

    name: str | None
    """Its name in statistics, the same over restarts and nobody else's. [default: role, host, pid, letters]"""
    stats_interval: float
    """Between two snapshots for the collector, 0.01 to 3600. [default: 1]"""
    drain_timeout: float | None
    """How long a stop may take before it leaves all the same, 0 to 86400. [default: None, as long as something is
    settled every `PATIENCE_S` seconds]"""
    keys: str | Path | None
    """A .key file, or a directory of keys (docs/SECURITY.md): every socket then uses CURVE. [default: no keys]"""
    context: zmq.Context[Any] | None
    """A ZeroMQ context of yours, which is left as it is. [default: one of its own]"""
    clock: Clock
    """What tells the time. [default: time.monotonic]"""


class RoleOptions(CommonOptions, total=False):
    """The options of every role that reports to a collector; times in seconds."""

    stats: str | None
    """The collector's endpoint, HOST or HOST:PORT. [default: none, and it reports to nobody]"""


class Role:
    """The life of a role. Subclasses implement `_open`, `step` and `snapshot`."""

    role = "role"
    key_role = ""
    """The role whose key it needs, where that is another."""

    @checked
    def __init__(
        self,
        *,
        name: str | None = None,
        stats: str | None = None,
        stats_interval: float = 1.0,
        drain_timeout: float | None = None,
        keys: str | Path | None = None,
        context: zmq.Context[Any] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """`name` (the same over restarts, and nobody else's) defaults to role, host, pid, letters; `stats` is the
        collector's endpoint, or None.

        `drain_timeout` is how long (seconds) a stop may take before the role leaves all the same; without one, as long
        as something is settled every `PATIENCE_S` seconds. `keys` is a .key file
        or a directory of keys (:mod:`zsms.security.keys`): every socket then uses CURVE. Raises UsageError.
        """
        if not 0.01 <= stats_interval <= 3_600:
            raise UsageError(f"stats interval {stats_interval}: give seconds from 0.01 to 3600")
        if drain_timeout is not None and not 0 <= drain_timeout <= 86_400:
            raise UsageError(f"drain timeout {drain_timeout}: give seconds from 0 to 86400")
        if name is not None and not (0 < len(name) <= MAX_PEER_NAME and name.isprintable()):
            raise UsageError(f"name {name[:80]!r}: give 1 to {MAX_PEER_NAME} printable characters")
        self.name = name or self._default_name()
        self.log = logging.getLogger(f"zsms.{self.role}")
        self.refused_frames = 0
        self.keys = None if keys is None else Keys.load(keys, self.key_role or self.role, name)
        self.opened: Callable[[], object] = lambda: None
        """Called once its sockets are open, in the thread that runs it."""
        self.notifier: Notifier | None = None
        """The service manager to speak to, given before the role runs."""
        self._stats = None if stats is None else Endpoint.parse(stats, STATS_PORT)
        self._stats_interval = float(stats_interval)
        self._drain_timeout = drain_timeout
        self._context = context
        self._clock = clock
        self.start_id = time.time_ns()
        """Tells this start from every other one of its name."""
        self._throttle = Throttle()
        self._stops, self._ran = 0, False
        self._drain_until: float | None = None
        self._settled_when_asked = -1
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self.waker = Waker()
        self._sockets: Sockets
        self._publisher: StatsPublisher
        self._poller: zmq.Poller

    def _default_name(self) -> str:
        """Accounts and totals are kept by name, and two roles of one process need two, as do two containers on the
        network of one host, each of them process 1 there."""
        return f"{self.role}-{platform.node().partition('.')[0][:32]}-{os.getpid()}-{secrets.token_hex(3)}"

    # -- running ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run here until the role is done or stopped. Raises ZsmsError when it can't begin or must give up."""
        if self._ran:
            raise ZsmsError(f"{self.name} has run before; a role runs once")
        self._ran = True
        try:
            self._sockets = Sockets(self._context, keys=self.keys)
            try:
                poller = Poller()
                poller.register(self.waker.fileno(), zmq.POLLIN)
                self.begin(self._sockets, poller)
                self._watch_gate()
                self._ready.set()
                self.opened()
                if self.notifier is not None:
                    self.notifier.ready()
                patience = FINAL_STOPPED_S
                try:
                    while self.step():
                        pass
                    patience = FINAL_S
                finally:
                    if self.notifier is not None:
                        self.notifier.stopping()
                    self._hand_over(patience)  # also of a role that gives up: what it did still counts
            finally:
                self._close()
                self._sockets.close_all()
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._ready.set()
            self.waker.close()

    def begin(self, sockets: Sockets, poller: zmq.Poller) -> None:
        """Open what it needs of these sockets. `run` calls it, and then `step` until that is False; so may a program
        whose sockets and poller are its own.
        """
        self._sockets, self._poller = sockets, poller
        self._publisher = StatsPublisher(
            sockets, self._stats, self._stats_interval, make=self.snapshot, complete=self._complete, log=self.log
        )
        self._open()

    def _complete(self, snapshot: Snapshot) -> None:
        """Add to the last snapshot what only that one has."""

    def _hand_over(self, patience: float) -> None:
        """The last snapshot, to the collector."""
        if not self._publisher.final(self._clock(), lambda: FINAL_STOPPED_S if self._stops else patience):
            self.log.warning("%s: no collector at %s; its last figures are lost", self.name, self._stats)

    def start(self) -> Self:
        """Run in a thread of its own; returns once its sockets are open, raises what kept them from opening."""
        if self._ran or self._thread is not None:
            raise ZsmsError(f"{self.name} was started before; a role runs once")
        self._thread = threading.Thread(target=self._run_in_thread, name=self.name, daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def _run_in_thread(self) -> None:
        try:
            self.run()
        except ZsmsError as error:
            self.log.error("%s: %s", self.name, error)
        except Exception:
            self.log.exception("%s failed", self.name)

    def stop(self) -> None:
        """Ask the role to drain and leave; asked again, it leaves at once. From any thread or signal handler."""
        self._stops += 1
        self.wake()

    def wake(self) -> None:
        """Let the loop look around now."""
        self.waker.wake()

    def wake_on_signals(self) -> None:
        """Let signals wake the loop while it runs; only for a role that runs in the main thread."""
        self.waker.wake_on_signals()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the role's thread; False when it still runs after `timeout` seconds. Raises what made it fail."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    @property
    def running(self) -> bool:
        """Whether the role's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    async def serve(self) -> None:
        """Run beside the caller's event loop; cancelling the coroutine stops the role and waits for it."""
        import asyncio  # a tenth of a process's start, and few roles are served

        self._adopt_loop(asyncio.get_running_loop())
        done = asyncio.ensure_future(asyncio.to_thread(self.run))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            self.stop()
            await done
            raise

    def _adopt_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Told of the caller's event loop before the role runs."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is not None:
            self.stop()  # the caller's block failed: leave, don't drain
        self.join()

    # -- for subclasses ---------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Make the sockets. Raises UsageError for an address that can't be had."""
        raise NotImplementedError

    def step(self) -> bool:
        """One turn of the loop: wait, read, decide, write. False when the role is done."""
        raise NotImplementedError

    def _close(self) -> None:
        """Let go of what is not a socket."""

    def _settled(self) -> int:
        """What grows as long as a drain gets on."""
        return 0

    def snapshot(self, now: float) -> Snapshot | None:
        """How the role stands, for the collector."""
        return None

    def _watch_gate(self) -> None:
        """Where others connect with keys, let the gate answer whenever this role waits."""
        if self._sockets.gate is not None:
            self._sockets.gate.tell = self._refuse_connection
            for socket in self._sockets.gate.sockets:
                self._poller.register(socket, zmq.POLLIN)

    def _refuse_connection(self, kind: str, why: str) -> None:
        kept = self._throttle.allows(kind, self._clock())
        if kept is not None:
            more = f" ({kept} more since the last such line)" if kept else ""
            self.log.warning("%s: refused a connection: %s%s", self.name, why, more)

    @property
    def refused_connections(self) -> int:
        """Connections that were refused because they came without a proper key; 0 where keys are off."""
        gate = self._sockets.gate
        return 0 if gate is None else gate.refused

    def _wait(self, until: float | None, now: float) -> dict[Any, int]:
        """Poll until something happens or the time has come (None: until something happens)."""
        if self.notifier is not None:
            until = self.notifier.turn(now, until)
            if self._stopping:
                self.notifier.stopping()
        # Rounded up, or whoever polls again at that time would find that it has not quite come.
        timeout = None if until is None else max(0.0, ceil((until - now) * 1e6) / 1e3)
        events = dict(self._poller.poll(timeout))  # type: ignore[arg-type]  # a plain one takes the whole part
        if events.pop(self.waker.fileno(), 0):
            self.waker.drain()
        if self._sockets.gate is not None:
            self._sockets.gate.poll(self._clock())
        return events

    @property
    def _stopping(self) -> bool:
        return self._stops > 0

    def _out_of_time(self, now: float) -> bool:
        """Whether a stop has waited long enough, or was asked for twice."""
        if not self._stops:
            return False
        if self._drain_timeout is None and (settled := self._settled()) != self._settled_when_asked:
            self._settled_when_asked, self._drain_until = settled, now + PATIENCE_S
        elif self._drain_until is None:
            self._drain_until = now + (self._drain_timeout or 0.0)
        return self._stops > 1 or now >= self._drain_until

    def _refuse(self, where: str, why: object, now: float) -> None:
        """Count a frame that was refused, and log it once a second at most."""
        self.refused_frames += 1
        kept = self._throttle.allows(where, now)
        if kept is not None:
            more = f" ({kept} more since the last such line)" if kept else ""
            self.log.warning("%s: refused a frame on %s: %s%s", self.name, where, why, more)

    def _make_snapshot(
        self,
        state: str,
        figures: Figures,
        histograms: dict[str, Histogram] | None = None,
        failures: Sequence[Failure] = (),
    ) -> Snapshot:
        """A snapshot of this process with the role's figures and the operating system's."""
        figures.refused_frames = self.refused_frames
        figures.cpu_s, figures.rss_max_bytes = time.process_time(), float(peak_memory())
        counters, gauges = figures.to_wire()
        return Snapshot(
            role=self.role,
            name=self.name,
            start=self.start_id,
            seq=self._publisher.count,
            host=printable(platform.node(), MAX_NAME),
            pid=os.getpid(),
            state=state,
            interval=self._stats_interval,
            counters=counters,
            gauges=gauges,
            histograms=histograms or {},
            failures=list(failures),
        )


def check_timeout(timeout: float | None) -> None:
    """Raises UsageError for a timeout (None: none) that can't be."""
    if timeout is not None and not 0.1 <= timeout <= 86_400:
        raise UsageError(f"timeout {timeout}: give seconds from 0.1 to 86400")


def peak_memory() -> int:
    """The most memory this process has had resident, in bytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    # Not Linux. There getrusage would do too, but it counts what a parent had before it forked us.
    import resource
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
