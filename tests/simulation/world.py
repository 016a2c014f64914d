"""A whole mesh under a virtual clock and one seed: one heap of events, and after each what must hold is checked.

    plan.py       what the seed draws
    network.py    stubs of the sockets, and what goes wrong between them
    processes.py  the real roles, and what a signal does to them
    disk.py       what is on a broker's disk, and how long it takes
    books.py      what is known from outside, against which the ledgers are checked

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
from tests.simulation.disk import Disk, DrawnWriter
from tests.simulation.network import Network, Parts, Peer, Socket
from tests.simulation.plan import Plan, Size
from tests.simulation.processes import BrokerProcess, Operator, Process, ProducerProcess, SenderProcess
from zsms.core.broker.replay import rebuild
from zsms.errors import WireError
from zsms.journal import NoRoom
from zsms.roles import base, journaling
from zsms.wire.codec import decode
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import Inspect, Kick, Purge

LOST_S = 30.0
"""So long a broker is away that is lost."""
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
        self.disks = [Disk(self) for _ in range(plan.brokers)]
        self.answered = 0
        """What operators asked."""
        self.room: dict[str, int] = {}
        """Slots and prefetch of each sender, by name."""
        self.producers: list[ProducerProcess] = []
        self.senders: list[SenderProcess] = []
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0
        self._starts = 0
        self.ending = False
        """Who leaves now does not come back."""
        self._pending = 0
        """Restarts that are still to come."""
        self.processes: list[Process] = []
        """Dead ones too."""
        self.opening: Process
        """The process that began last."""
        self.lost: BrokerProcess | None = None
        self.brokers: list[BrokerProcess] = []
        """The one that runs, or ran last, at each address."""

    @property
    def broker(self) -> BrokerProcess:
        """The first one."""
        return self.brokers[0]

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
        real = base.time, journaling.open_journal, journaling.Writer
        base.time = SimpleNamespace(time_ns=self._time_ns)  # type: ignore[assignment]
        journaling.open_journal, journaling.Writer = self._open_journal, self._make_writer  # type: ignore[assignment, misc]
        try:
            self._begin()
            deadline = max((at for at, _ in self.plan.faults), default=0.0) + PATIENCE_S
            self._run_until(lambda: self.done, deadline)
            self.ending = True
            for disk in self.disks:
                disk.heal()
            for sender in self.senders:
                sender.ask_to_stop()
            self._run_until(lambda: not any(sender.alive for sender in self.senders), deadline)
            for broker in self.brokers:
                broker.ask_to_stop()
            self._run_until(lambda: not any(broker.alive for broker in self.brokers), deadline)
            self.books.close(self.producers)
        finally:
            for process in self.processes:
                if process.alive:
                    self.ending = True
                    process.end("gone")
            base.time, journaling.open_journal, journaling.Writer = real  # type: ignore[misc]
        return self

    def _open_journal(self, directory: str, durability: str, **_how: object) -> Disk:
        return self.disks[int(directory.rpartition(" ")[2])].open()

    def _make_writer(self, disk: Disk, wake: object) -> DrawnWriter:
        return DrawnWriter(self, self.opening, disk)

    def _run_until(self, done: Callable[[], bool], deadline: float) -> None:
        heap = self._heap
        while not done():
            self.now, _, do, args = heappop(heap)
            assert self.now < deadline, f"not done after {self.now:.0f} s: {self._standing()}"
            self.events += 1
            do(*args)

    def _standing(self) -> str:
        alive = ", ".join(process.name for process in self.processes if process.alive)
        totals = [broker.role.core.totals() for broker in self.brokers]
        return f"{totals}; alive: {alive}"

    # -- who there is ---------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        if self.books.held or self._pending or not all(broker.alive and broker.durable for broker in self.brokers):
            return False
        return not any(producer.alive for producer in self.producers)

    def _begin(self) -> None:
        self.say(f"{self.plan}")
        for index in range(self.plan.brokers):
            self.brokers.append(BrokerProcess(self, index))
        for index, messages in enumerate(self.plan.producers):
            self._start_producer(f"producer {index}", messages)
        for index, size in enumerate(self.plan.senders):
            self._start_sender(f"sender {index}", size)
        for when, kind in self.plan.faults:
            self.at(when, self._cause, kind)

    def _start_broker(self, index: int) -> None:
        self._pending -= 1
        self.say("starts again", f"broker {index}")
        self.lost = None
        self.brokers[index] = BrokerProcess(self, index)

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
        if self.ending:
            return
        if isinstance(process, BrokerProcess):
            self._pending += 1
            if self.lost is process:
                self.at(self.now + LOST_S, self._start_broker, process.index)
                self.at(self.now + 0.8 * LOST_S, self._check_without, process)
                return
            self.at(self.now + self.rng.random() * 1.5 * self.plan.trouble, self._start_broker, process.index)
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
        if what == "lose":
            self.lost = rng.choice(self.brokers)
            self.lost.end("is lost")
            return
        if what == "disk":
            self._trouble_disk(whom, rng.choice(self.disks))
            return
        if what == "operator":
            self._operate(whom, rng.choice(self.brokers))
            return
        if what in ("cut", "stall"):
            peers = self.network.connected()
            if peers:
                self._trouble(what, rng.choice(peers))
            return
        everyone: dict[str, list[Process]] = {
            "broker": [*self.brokers],
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

    def _check_without(self, lost: BrokerProcess) -> None:
        """A broker has been gone for long: what did not have to go through it is done."""
        for book in self.books.brokers:
            assert book is lost.book or not book.held, f"broker {book.index} waits for broker {lost.index}"
        for producer in self.producers:
            made, stuck = producer.role.produced, producer.role.windows[lost.index].messages
            assert made == producer.messages, f"{producer.name} waits for broker {lost.index}"
            assert producer.role.unconfirmed == stuck, f"{producer.name} has nothing confirmed by the others"

    def _trouble(self, what: str, peer: Peer) -> None:
        seconds = self.rng.choice((0.1, 1.0, 2.0)) * self.rng.random() * self.plan.trouble
        self.say(f"{what} for {seconds:.2f} s", peer)
        (self.network.cut if what == "cut" else self.network.stall)(peer, seconds)

    def _trouble_disk(self, how: str, disk: Disk) -> None:
        if self.ending:
            return  # nobody would come back
        until = self.now + self.rng.random() * 2 * self.plan.trouble
        self.say(f"is {how} until {until:.2f} s", "a disk")
        if how == "slow":
            disk.slow_until = until
        elif how == "full":
            disk.full_until = until
        else:
            disk.fails = True

    def _operate(self, how: str, broker: BrokerProcess) -> None:
        limit = self.rng.choice((0, 1, 3))
        if self.ending and how != "inspects":
            return  # what is kicked into the journal of a broker that nobody starts again stays there
        frames: dict[str, Inspect | Kick | Purge] = {
            "inspects": Inspect(1, limit),
            "kicks": Kick(2, "", limit),
            "purges": Purge(3, self.rng.random() < 0.7, self.rng.random() < 0.4, ""),
        }
        frame = frames[how]
        if broker.alive:
            Operator(self, Endpoint.parse(self.plan.endpoints[broker.index], 0), frame)
        elif broker.disk is not None:
            self._edit(broker, frame)

    def _edit(self, broker: BrokerProcess, frame: Inspect | Kick | Purge) -> None:
        """What :func:`zsms.journal.edit` does for an operator, with the journal of a broker that is gone."""
        disk, book = broker.disk, broker.book
        assert disk is not None
        core = rebuild(disk.open().load(), self.plan.limits, self.plan.seed, self.now)
        book.open(core, disk)
        self.say(f"edited: {frame}", broker.name)
        if isinstance(frame, Kick):
            core.kick(self.now, frame.reason, frame.limit)
        elif isinstance(frame, Purge):
            core.purge_dead(self.now, frame.reason)
            if frame.ready:
                core.purge_ready(self.now)
        assert core.journal is not None
        group = core.journal.close(core.books)
        try:
            disk.commit(group, book.frozen())
        except NoRoom:
            self.say("no room to edit", broker.name)

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
