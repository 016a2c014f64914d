"""The processes of one mesh at one place: started in order, heard, counted, and ended in order.

Commands --start_all--> Place --> [Child, ...] --members--> the judge
                                               --rows-----> the report
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psutil

from zsms import logs
from zsms.launch.commands import Commands, Options
from zsms.launch.judge import STANDBY, Member
from zsms.launch.place import Child, Place
from zsms.report.report import ProcessRow
from zsms.roles.base import peak_memory
from zsms.roles.callers import AWAIT_SLOTS_S
from zsms.stats.figures import Figures
from zsms.wire.endpoint import STATS_PORT, Endpoint

if TYPE_CHECKING:
    from zsms.scenario import MeshConfig

HEAR_S = 1.0
"""How long the last words of a process that has ended are waited for."""
LACKS = re.compile(r"the log of messages .* lacks [\d,]+ rows?$")
"""What a sender says of rows that could not be written."""


class Processes:
    """Those of a mesh that were ever started, the first one first."""

    def __init__(self, place: Place, tell: Callable[[str, int], None], verbose: int = 0) -> None:
        """`tell` takes what they log, and its level; `verbose`: 0 what they warn of, 1 what they log, 2 details too."""
        self.all: list[Child] = []
        self.meant: list[Child] = []
        """Those that were killed on purpose."""
        self.place = place
        self.log_lacks_rows = False
        """Whether one that has ended said that its log of messages lacks rows."""
        self._tell = tell
        self._verbose = verbose
        self._options: dict[str, Options] = {}
        """Of each process's command, for another start."""
        self._awaited: dict[str, int] = {}
        """By broker, the slots without which no producer begins, where several lines are to begin together."""
        self._names: tuple[str, str] | None = None
        """How a producer and people call a list that is a descriptor of this process."""

    def of(self, role: str) -> list[Child]:
        """Those of this role."""
        return [process for process in self.all if process.role == role]

    # -- starting -----------------------------------------------------------------------------------------------

    def start_all(self, commands: Commands, config: MeshConfig) -> Endpoint:
        """Start what there is to be; where the collector listens. Raises ZsmsError."""
        place = self.place
        collector = self.start("stats", "stats", commands.collector(place.bind("stats")))
        stats = Endpoint.parse(place.address(collector), STATS_PORT)
        own = {name: commands.broker(number, name, stats) for number, name in enumerate(config.broker_names, 1)}
        # The first message is the zero of all times: slots that are not there by then would count as late.
        brokers = [
            self.start(
                "broker",
                name,
                ["--bind", place.bind(name), *options],
                first=["--await-slots", commands.slots_at(name)],
            )
            for name, options in own.items()
        ]
        addresses = [place.address(broker) for broker in brokers]
        if config.standby:
            for index, (name, options) in enumerate(own.items()):
                where = place.bind(f"{name}{STANDBY}", known=True)
                self.start("broker", f"{name}{STANDBY}", ["--bind", where, *options])
                addresses[index] += f",{where}"
        for number, name in enumerate(config.sender_names, 1):
            self.start("sender", name, commands.sender(number, stats, addresses))
        if config.lines:
            self._awaited = {name: commands.slots_at(name) for name in own}
        self._start_producers(commands, config, stats, addresses)
        return stats

    def _start_producers(self, commands: Commands, config: MeshConfig, stats: Endpoint, addresses: list[str]) -> None:
        path, keep = config.input, tuple[int, ...]()
        descriptor = None if path is None else _open_input(path)
        if path is not None and descriptor is not None:
            from zsms.lists.stream import name_of

            self._names = f"/dev/fd/{descriptor}", name_of(path)
            path, keep = self._names[0], (descriptor,)
        first = ["--held"] if self._awaited else []
        for index, name in enumerate(config.producer_names):
            self.start("producer", name, commands.producer(index, stats, addresses, path), keep, first=first)
        if descriptor is not None:
            os.close(descriptor)  # so that its writer hears when the producer ends

    def start(
        self, role: str, name: str, options: Options, keep: tuple[int, ...] = (), *, first: Sequence[Any] = ()
    ) -> Child:
        """Start one; `first`: options that it has now, and not when it is started again. Raises ZsmsError."""
        said = ["--log-format", "json", *(["-v"] * (self._verbose - 1) if self._verbose else ["--quiet"])]
        child = self.place.start(role, name, [*said, *map(str, [*options, *first])], self._handle, keep)
        self.all.append(child)
        self._options[name] = options
        return child

    def begin(self, slots: Mapping[str, int], seconds: float) -> None:
        """Let producers begin that wait for all brokers: they have so many `slots`, so many seconds after the start."""
        missing = any(slots.get(name, 0) < wanted for name, wanted in self._awaited.items())
        if self._awaited and (seconds > AWAIT_SLOTS_S or not missing):
            self._awaited = {}
            self.order({process.name: "go" for process in self.of("producer")})

    def start_again(self, process: Child) -> None:
        """Another process of the same command, ready to begin when it is told to go: starting takes its time."""
        options = self._options[process.name]
        self.start(process.role, process.name, [*options, "--held"]).listen()
        self._options[process.name] = options

    def start_like(self, model: str, name: str) -> None:
        """Another process like the one of the name `model`, with random numbers of its own. Raises ZsmsError."""
        process, options = next(each for each in self.all if each.name == model), list(self._options[model])
        options[options.index("--stream") + 1] = len(self.of(process.role)) + 1
        self.start(process.role, name, options).listen()

    def listen(self) -> None:
        """Hear what they say from now on; none can be forked any more."""
        for process in self.all:
            process.listen()

    def _handle(self, line: bytes) -> str:
        level, text = logs.read(line.decode("utf-8", "replace").rstrip())
        if self._names is not None:
            text = text.replace(*self._names)
        if text:
            self._tell(text, level)
        return text

    # -- looking ------------------------------------------------------------------------------------------------

    def members(self, comes_back: Callable[[str], bool]) -> list[Member]:
        """How each is now; `comes_back` says whether a process of this name is to be started again."""
        return [self._member(process, comes_back) for process in self.all]

    def _member(self, process: Child, comes_back: Callable[[str], bool]) -> Member:
        back = comes_back(process.name)
        code = process.poll()
        if code is None:
            return Member(process.role, process.name, comes_back=back)
        if not process.noticed:
            process.noticed = True
            process.wait_for_last_words(HEAR_S)
        said = tuple(process.said)
        meant = process in self.meant
        ending = process.ending()
        return Member(process.role, process.name, code, ending=ending, said=said, meant=meant, comes_back=back)

    def rows(self, told: Mapping[tuple[str, str], Figures]) -> list[ProcessRow]:
        """What each has cost, this process last; `told` is what they say of themselves, by role and name."""
        rows = []
        for process in self.all:
            own = told.get((process.role, process.name), Figures())
            row = ProcessRow(
                process.role,
                process.name,
                process.pid,
                cpu_s=max(process.cpu_s, own.cpu_s or 0.0),
                rss_max_bytes=int(max(process.rss_max, own.rss_max_bytes or 0)),
                exit_code=process.returncode,
                host=process.host,
            )
            rows.append(row)
        times = os.times()
        try:
            memory = psutil.Process().memory_info().rss
        except psutil.Error:  # there is no /proc
            memory = peak_memory()
        return [*rows, ProcessRow("run", "run", os.getpid(), times.user + times.system, memory, host=platform.node())]

    # -- ending -------------------------------------------------------------------------------------------------

    def order(self, orders: Mapping[str, str]) -> None:
        """Give those of these names their orders."""
        for process in self.all:
            if process.name in orders:
                process.order(orders[process.name])

    def terminate(self, role: str) -> None:
        """Ask those of a role to end."""
        for process in self.of(role):
            if process.poll() is None and not process.order("stop"):
                process.terminate()

    def leave(self, role: str) -> None:
        """Make those of a role end without draining."""
        for process in self.of(role):
            process.leave()

    def await_end(self, role: str, timeout: float) -> list[str]:
        """Wait for those of a role for so many seconds, and kill who is late; what there is to say of their ends."""
        deadline = time.monotonic() + timeout
        late = []
        for process in self.of(role):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                late.append(f"{process.name} did not end within {timeout:.0f} s and was killed")
                self._kill(process)
        for process in self.of(role):  # of senders: rows that their log of messages lacks
            process.wait_for_last_words(HEAR_S)
            lacks = [f"{process.name}: {line}" for line in process.said if LACKS.search(line)]
            self.log_lacks_rows |= bool(lacks)
            late += lacks
        return late

    def kill(self) -> None:
        """Whatever still runs."""
        for process in self.all:
            self._kill(process)

    def _kill(self, process: Child) -> None:
        if process.poll() is None:
            process.kill()
        process.leave()
        process.wait_for_last_words(HEAR_S)


def _open_input(path: str) -> int | None:
    """For a list that is a descriptor of this process, one for a producer: its standard input is its orders."""
    from zsms.lists.stream import descriptor_of

    number = descriptor_of(path)
    # Beyond those that a producer's own standard streams may be.
    return None if number is None else fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)


def have_descriptors(count: int) -> None:
    """Raises OSError when this process can't open so many more."""
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in opened:
            os.close(descriptor)
