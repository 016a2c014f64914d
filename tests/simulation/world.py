"""A whole mesh under a virtual clock and one seed: one heap of events, and after each what must hold is checked.

    plan.py       what the seed draws
    network.py    stubs of the sockets, and what goes wrong between them
    processes.py  the real roles, and what a signal does to them
    books.py      what is known from outside, against which the ledger is checked

`World(Plan.draw(seed)).run()` raises AssertionError when something does not hold. The same plan gives the same
schedule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from types import SimpleNamespace
from typing import Any

from tests.simulation.books import Books
from tests.simulation.network import Network, Parts, Peer, Socket
from tests.simulation.plan import Plan, Size
from tests.simulation.processes import BrokerProcess, Process, ProducerProcess, SenderProcess
from zsms.errors import WireError
from zsms.protocol import decode
from zsms.roles import base

PATIENCE_S = 400.0
"""Everything is done this long after the last fault, or never."""


class World:
    """Everyone, and the time."""

    def __init__(self, plan: Plan, trace: list[str] | None = None) -> None:
        """`trace` is filled with a line for each thing that happens."""
        self.plan = plan
        self.rng = Random(~plan.seed)
        self.now = 0.0
        self.events = 0
        self.trace = trace
        self.log = _logger(self)
        self.network = Network(self)
        self.books = Books(self)
        self.room: dict[str, int] = {}
        """Slots and prefetch of each sender, by name."""
        self.producers: list[ProducerProcess] = []
        self.senders: list[SenderProcess] = []
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0
        self._starts = 0
        self._ending = False
        """Who leaves now does not come back."""
        self._pending = 0
        """Restarts that are still to come."""
        self.processes: list[Process] = []
        """Dead ones too."""
        self.broker: BrokerProcess

    # -- time ---------------------------------------------------------------------------------------------------

    def at(self, when: float, do: Callable[..., Any], *args: Any) -> None:
        self._count += 1
        heappush(self._heap, (when, self._count, do, args))

    def _time_ns(self) -> int:
        """Of the wall clock, for a role's start: small, and never twice."""
        self._starts += 1
        return self._starts

    def run(self) -> World:
        """Until everything is done and everyone has left."""
        real, base.time = base.time, SimpleNamespace(time_ns=self._time_ns)  # type: ignore[assignment]
        try:
            self._begin()
            deadline = max((at for at, _ in self.plan.faults), default=0.0) + PATIENCE_S
            self._run_until(lambda: self.done, deadline)
            self._ending = True
            for sender in self.senders:
                sender.ask_to_stop()
            self._run_until(lambda: not any(sender.alive for sender in self.senders), deadline)
            self.broker.ask_to_stop()
            self._run_until(lambda: not self.broker.alive, deadline)
            self.books.close(self.broker.role.core, self.producers)
        finally:
            for process in self.processes:
                if process.alive:
                    self._ending = True
                    process.end("gone")
            base.time = real
        return self

    def _run_until(self, done: Callable[[], bool], deadline: float) -> None:
        heap = self._heap
        while not done():
            self.now, _, do, args = heappop(heap)
            assert self.now < deadline, f"not done after {self.now:.0f} s: {self._standing()}"
            self.events += 1
            do(*args)

    def _standing(self) -> str:
        alive = ", ".join(process.name for process in self.processes if process.alive)
        return f"{self.broker.role.core.totals()}; alive: {alive}"

    # -- who there is ---------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        if self.books.held or self._pending or not self.broker.alive:
            return False
        return not any(producer.alive for producer in self.producers)

    def _begin(self) -> None:
        self.say(f"{self.plan}")
        self.broker = BrokerProcess(self, "broker")
        for index, messages in enumerate(self.plan.producers):
            self._start_producer(f"producer {index}", messages)
        for index, size in enumerate(self.plan.senders):
            self._start_sender(f"sender {index}", size)
        for when, kind in self.plan.faults:
            self.at(when, self._cause, kind)

    def _start_broker(self) -> None:
        self._pending -= 1
        self.say("starts again", "broker")
        self.broker = BrokerProcess(self, "broker")

    def _start_producer(self, name: str, messages: int) -> None:
        self.producers.append(ProducerProcess(self, name, messages))

    def _start_sender(self, name: str, size: Size) -> None:
        self.room[name] = size.slots + size.prefetch
        self.senders.append(SenderProcess(self, name, size))

    def _later(self, do: Callable[..., Any], *args: Any) -> None:
        """After a restart's time."""
        self._pending += 1

        def begin() -> None:
            self._pending -= 1
            self.say("starts again", str(args[0]))
            do(*args)

        self.at(self.now + self.rng.random() * 1.5 * self.plan.trouble, begin)

    def ended(self, process: Process) -> None:
        """A process is gone: bring it back, unless its work is done."""
        if self._ending:
            return
        if isinstance(process, BrokerProcess):
            self._pending += 1
            self.at(self.now + self.rng.random() * 1.5 * self.plan.trouble, self._start_broker)
        elif isinstance(process, SenderProcess):
            self._later(self._start_sender, process.name, process.size)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _cause(self, kind: str) -> None:
        what, _, whom = kind.partition(" ")
        rng = self.rng
        if kind == "pause everyone":
            seconds = rng.random() * 4 * self.plan.trouble
            for process in self.processes:
                if process.alive:
                    process.pause(seconds)
            return
        if what in ("cut", "stall"):
            peers = self.network.connected()
            if peers:
                self._trouble(what, rng.choice(peers))
            return
        everyone: dict[str, list[Process]] = {
            "broker": [self.broker],
            "sender": [*self.senders],
            "producer": [*self.producers],
        }
        living = [process for process in everyone[whom] if process.alive]
        if not living:
            return
        process = rng.choice(living)
        if what == "pause":
            process.pause(rng.choice((0.5, 1.0, 2.0)) * rng.random() * 2 * self.plan.trouble)
        elif what == "stop":
            process.ask_to_stop()
        elif what == "kill":
            process.end("killed")
        if isinstance(process, ProducerProcess) and what in ("kill", "rival"):
            self._later(self._start_producer, process.name, rng.randint(1, 20))

    def _trouble(self, what: str, peer: Peer) -> None:
        seconds = self.rng.choice((0.1, 1.0, 2.0)) * self.rng.random() * self.plan.trouble
        self.say(f"{what} for {seconds:.2f} s", peer)
        (self.network.cut if what == "cut" else self.network.stall)(peer, seconds)

    # -- what is told ----------------------------------------------------------------------------------------------

    def say(self, what: str, one: Socket | str = "", other: Socket | str = "", parts: Parts | None = None) -> None:
        """A line of the trace; free when there is none."""
        if self.trace is None:
            return
        frames = "" if parts is None else " + ".join(_shown(part) for part in parts)
        way = f"{one} -> {other}" if other else f"{one}"
        self.trace.append(f"{self.now:9.4f}  {way:32} {what} {frames}".rstrip())


def _shown(part: bytes) -> str:
    try:
        frame = decode(part)
    except WireError:
        return part.decode("latin-1")
    text = str(frame)
    return text if len(text) < 150 else text[:147] + "..."


class _Trace(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.say(record.getMessage(), "log")


def _logger(world: World) -> logging.Logger:
    """What the roles log is part of the trace, and goes nowhere else."""
    log = logging.Logger("simulation", logging.DEBUG if world.trace is not None else logging.CRITICAL)
    log.addHandler(_Trace(world))
    return log
