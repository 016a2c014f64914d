"""A whole mesh as processes of one place, by default this machine: start them, watch them, stop them, report.

Each process is the command that one would type by hand (``zsms broker ...``), so what runs here runs on several
hosts too. They talk over sockets in a private directory, and end when this process does, however it ends: their
standard input is a pipe from it, which also carries the orders of `set_rate`. The places are in :mod:`zsms.launch`.

    MeshConfig --> Commands --> Processes --> Watching --> the phases of :mod:`zsms.launch.judge` --> Report
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsms.core.broker import BrokerLimits
from zsms.core.sender.cap import Cap
from zsms.core.sender.shares import MAX_BROKERS
from zsms.core.stages import Stage
from zsms.core.strikes import Fault, Strikes
from zsms.errors import UsageError, ZsmsError, check_types
from zsms.journal import FILE, check_durability, hidden, is_on_servers
from zsms.launch.commands import Commands
from zsms.launch.judge import Judge, Phase
from zsms.launch.local import Local
from zsms.launch.orders import Arrivals, Faults
from zsms.launch.place import Place
from zsms.launch.private_folder import PrivateFolder
from zsms.launch.processes import Processes, have_descriptors
from zsms.launch.resume import Before, may_go_on, note
from zsms.launch.watching import Progress, Seen, Watching
from zsms.report.report import ProcessRow, Report, make_report
from zsms.report.thresholds import parse_all
from zsms.roles.monitor import Asker
from zsms.roles.sender import MAX_RAMP_S
from zsms.security import keys
from zsms.security.keys import Keys
from zsms.sources.random import MESSAGES
from zsms.stats.arrivals import rate_warnings
from zsms.stats.delay import DelayModel
from zsms.stats.series import Series
from zsms.stats.view import View
from zsms.wire.protocol import MAX_PEER_NAME
from zsms.wire.sockets import Endpoint, Sockets

if TYPE_CHECKING:
    from zsms.transports.calls import Send

_log = logging.getLogger("zsms.mesh")

_OWN_DESCRIPTORS = 16
"""What watching a mesh takes, about."""
RAMP_FROM = 100_000
"""Slots of a mesh from which on they are not all opened at once, unless asked for."""
_CANCELLED_S = 0.3
"""How long each step of the end may take when `run_async` was cancelled."""
END_S = 10.0
"""How long a process may take to end before it is killed."""
_AT_ONCE_S = 2.0
"""The same of a run that is broken off."""


@dataclass(frozen=True, slots=True)
class SenderGroup:
    """Senders that are alike: `senders` processes of `concurrency` slots each."""

    name: str = "sender"
    senders: int = 2
    concurrency: int = 5_000
    delay: str = "normal"
    mean: float = 1.0
    sd: float | None = None
    """None: a tenth of the mean."""
    failure_rate: float = 0.0
    tick: float | None = None
    prefetch: int | None = None
    ramp: float | None = None
    cap: float | None = None
    """Segments a second that its senders may begin, all together; None: as many as they can."""
    burst: float = 0.0
    """Segments that may begin at once after a rest."""
    gateway: str | None = None
    """Address of a gateway that these send to, instead of sleeping: smpp://HOST:PORT, or http://.... Its windows, or
    connections, are the slots."""

    def __post_init__(self) -> None:
        """A gateway's windows are the slots. Raises UsageError."""
        if self.gateway is not None:
            from zsms.transports.gateways import settings_of

            settings = settings_of(self.gateway)
            object.__setattr__(self, "concurrency", settings.slots)

    @property
    def model(self) -> DelayModel:
        """How the time of a send is drawn. Raises UsageError."""
        return DelayModel(self.delay, self.mean, self.sd)

    def warnings(self) -> list[str]:
        """What can be done, but hardly as it was meant."""
        from zsms.roles.sender import delay_warnings

        found = delay_warnings(self.model, self.tick)
        return [f"group {self.name!r}: {warning}" for warning in found]

    def check(self, brokers: int = 1) -> None:
        """Raises UsageError for what can't be, before any process is started."""
        check_types(self)
        room = MAX_PEER_NAME - len(f"-{self.senders}")
        if not (0 < len(self.name) <= room and self.name.isprintable()):
            raise UsageError(f"group name {self.name[:80]!r}: give 1 to {room} printable characters")
        if not 1 <= self.senders <= 1_000:
            raise UsageError(f"group {self.name!r}: senders {self.senders}: give 1 to 1000 processes")
        from zsms.core.sender.shares import check_brokers
        from zsms.core.sender.slots import Slots
        from zsms.roles.sender import auto_prefetch, check_asking

        Slots(self.concurrency, self.model, failure_rate=self.failure_rate, tick=self.tick)
        check_asking(self.prefetch, self.ramp)
        if self.cap is not None:
            Cap(self.cap, self.burst)
        prefetch = auto_prefetch(self.concurrency, self.mean) if self.prefetch is None else self.prefetch
        check_brokers(brokers, self.concurrency, prefetch)


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """What a mesh is to do. Times in seconds; None leaves a figure to the role."""

    messages: int | None = None
    """None: `MESSAGES` random ones, or all of `input`; else the first so many of it."""
    brokers: int = 1
    """Broker processes; every producer and every sender uses all of them."""
    producers: int = 1
    groups: tuple[SenderGroup, ...] = (SenderGroup(),)
    faults: tuple[Fault, ...] = ()
    """What goes wrong on purpose, and when."""
    rate: float | None = None
    """Open-loop arrival rate of all producers together, messages a second."""
    stages: tuple[Stage, ...] = ()
    """How that rate goes over time, instead of staying what it is; `rate` is then that of the beginning."""
    arrivals: str = "even"
    """How they lie in time: even, or poisson with exponential gaps."""
    input: str | None = None
    """A list of real messages, instead of random ones: a file, a named pipe, or - for standard input."""
    input_format: str | None = None
    """csv or jsonl; None: what its name says."""
    skip_bad_rows: bool = False
    unique: bool = False
    """Each recipient of `input` once."""
    seed: int | None = None
    min_length: int = 1
    max_length: int = 100
    alphabet: str | None = None
    prefixes: tuple[str, ...] = ()
    batch: int | None = None
    window: int | None = None
    limits: BrokerLimits = field(default_factory=BrokerLimits)
    transport: str | Send | None = None
    """An ``async def send(message)`` for the senders to call: MODULE:FUNCTION, or the function, which must be one that
    other processes can import."""
    yes_really_send: bool = False
    """Gateways that are not this machine are meant."""
    drain_timeout: float = 30.0
    secure: bool = False
    """With keys for every role, made for this run and thrown away at its end."""
    journal: str | None = None
    """A folder for the broker's journal; one without a journal, because a run accounts for its own messages only."""
    durability: str | None = None
    """"fsync" or "os" with a journal, "majority" with one on NATS servers, "memory" without."""
    standby: bool = False
    """With a second process for each broker, which takes its place; for a journal on NATS servers."""

    @property
    def total(self) -> int | None:
        """How many messages there are to be; None when only their list knows."""
        return MESSAGES if self.messages is None and self.input is None else self.messages

    @property
    def transport_name(self) -> str | None:
        """MODULE:FUNCTION of `transport`. Raises UsageError."""
        return self.transport if self.transport is None else importable(self.transport)[0]

    def check(self, goes_on: bool = False) -> None:
        """Raises UsageError for what can't be, before any process is started. `goes_on`: with a run that was there."""
        check_types(self)
        if self.transport is not None:
            from zsms.transports.checking import load_function

            if isinstance(self.transport, str):
                load_function(self.transport)
            else:
                importable(self.transport)
        if self.messages is not None and self.messages < 0:
            raise UsageError(f"messages {self.messages}: give 0 or more")
        if not 1 <= self.brokers <= MAX_BROKERS:
            raise UsageError(f"brokers {self.brokers}: give 1 to {MAX_BROKERS} processes")
        if not 1 <= self.producers <= 1_000:
            raise UsageError(f"producers {self.producers}: give 1 to 1000 processes")
        if not self.groups:
            raise UsageError("a mesh needs at least one group of senders")
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise UsageError(f"two groups of senders have the same name: {', '.join(names)}")
        for group in self.groups:
            group.check(self.brokers)
            if group.gateway is not None:
                self._check_gateway(group.gateway)
        self.strikes()
        if not 0 <= self.drain_timeout <= 86_400:
            raise UsageError(f"drain timeout {self.drain_timeout}: give seconds from 0 to 86400")
        check_durability(self.journal, self.durability)
        if self.standby and not is_on_servers(self.journal):
            raise UsageError("standby: a broker stands by for a journal on NATS servers (nats://HOST,HOST,HOST/NAME)")
        for folder in filter(None, map(self.journal_of, self.broker_names)):
            if not (goes_on or is_on_servers(folder)) and os.path.exists(os.path.join(folder, FILE)):
                raise UsageError(
                    f"{folder} has a journal already, and a run begins with a new one: give another folder, or go on "
                    f"with that run: zsms run --resume {self.journal}"
                )
        self._check_source()

    def strikes(self) -> Strikes:
        """When which fault strikes which process. Raises UsageError for a fault that can't be."""
        names = iter(self.sender_names)
        groups = {group.name: [next(names) for _ in range(group.senders)] for group in self.groups}
        return Strikes(self.faults, groups, [*self.broker_names, *self.producer_names, "stats"])

    def _check_gateway(self, url: str) -> None:
        from zsms.transports.gateways import check_live

        if self.transport is not None:
            raise UsageError("give either a function (--transport) or a gateway, not both")
        check_live(url, self.yes_really_send, random=self.input is None)

    def warnings(self) -> list[str]:
        """What contradicts itself and yet can be run."""
        from zsms.roles.sender import lease_warning

        found = self.limits.warnings()
        if self.transport is not None:
            return found
        if any(group.gateway is not None for group in self.groups):
            return found
        found += [warning for group in self.groups for warning in group.warnings()]
        if self.limits.lease != BrokerLimits().lease:
            said = {group.name: lease_warning(self.limits.lease, group.model) for group in self.groups}
            found += [f"group {name!r}: {why}; its senders ask for a longer one" for name, why in said.items() if why]
        return found + self._rate_warnings()

    def _rate_warnings(self) -> list[str]:
        """What an arrival rate near the capacity of the slots means; failures take slots again."""
        if self.rate is None or not all(group.mean for group in self.groups):
            return []
        slots = [group.senders * group.concurrency for group in self.groups]
        sends = [each / group.mean for each, group in zip(slots, self.groups, strict=True)]
        failing = sum(each * group.failure_rate for each, group in zip(sends, self.groups, strict=True)) / sum(sends)
        attempts = sum(failing**attempt for attempt in range(min(self.limits.max_attempts, 1_000)))
        return rate_warnings(self.rate, sum(sends) / attempts, sum(slots) / sum(sends))

    def ramp_of(self, group: SenderGroup) -> float:
        """Seconds over which a sender of the group opens its slots: what was asked for, else the mean from `RAMP_FROM`
        slots of the whole mesh on, however they are divided."""
        if group.ramp is not None:
            return group.ramp
        slots = sum(each.senders * each.concurrency for each in self.groups)
        return min(group.mean, MAX_RAMP_S) if slots >= RAMP_FROM and self.transport is None else 0.0

    def journal_of(self, broker: str) -> str | None:
        """That broker's journal: the folder that was given, or one in it where there are several brokers; of a stream,
        that one, or one beside it.
        """
        if self.journal is None or self.brokers == 1:
            return self.journal
        if is_on_servers(self.journal):
            place, question, how = self.journal.partition("?")
            return f"{place}-{broker}{question}{how}"
        return os.path.join(self.journal, broker)

    def _check_source(self) -> None:
        """What a producer would only find out once everything has started."""
        from zsms.roles.producer import check_arrivals, check_pushing
        from zsms.sources.random import random_source

        check_pushing(self.rate, self.batch, self.window)
        check_arrivals(self.arrivals)
        if self.input is not None:
            from zsms.sources.files import check_beside_input, check_input

            check_beside_input(self.min_length, self.max_length, self.alphabet, self.prefixes)
            check_input(
                self.input,
                self.input_format,
                skip_bad_rows=self.skip_bad_rows,
                unique=self.unique,
                limit=self.messages,
                producers=self.producers,
            )
            return
        random_source(
            self.total or 0,
            self.seed,
            min_length=self.min_length,
            max_length=self.max_length,
            alphabet=self.alphabet,
            prefixes=self.prefixes,
        )

    @property
    def broker_names(self) -> list[str]:
        """Of the brokers' processes."""
        return ["broker"] if self.brokers == 1 else [f"broker-{index + 1}" for index in range(self.brokers)]

    @property
    def producer_names(self) -> list[str]:
        """Of the producers' processes."""
        return [f"producer-{index + 1}" for index in range(self.producers)]

    @property
    def sender_names(self) -> list[str]:
        """Of the senders' processes, group by group."""
        return [f"{group.name}-{index + 1}" for group in self.groups for index in range(group.senders)]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the report."""
        plain = replace(self, transport=self.transport_name, messages=self.total)
        groups = [{**asdict(group), "sd": group.model.deviation} for group in self.groups]
        values = {**asdict(plain), "groups": groups, "durability": check_durability(self.journal, self.durability)}
        values["journal"] = None if self.journal is None else hidden(self.journal)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


class Mesh:
    """A mesh at one place, by default this machine, once.

    `progress(view, first view or None)` is called about every `ASK_S` seconds, `say(text)` for each event worth a line
    (by default it is logged); both are called from threads of the mesh. A view has histograms every `detail_s` seconds,
    by default never. `verbose`: 0 tells what its processes warn of, 1 what they log, 2 their details too.

    `thresholds` are expectations of the report (:mod:`zsms.report.thresholds`); with `abort_on_fail` the run drains and
    ends as soon as one of them is broken. With `allow_failures` a run that sends nothing ends well all the same.
    `title` and `tags` (values by name) are what the report says of itself.

    `metrics` is the address where the collector serves Prometheus; one that other hosts can reach is refused unless the
    mesh is `secure`, or `insecure` says that this is meant. `log_messages` is a file to which a row is appended for
    each message that is settled, on the machine of its sender.

    `before`: go on with a run that was interrupted, as :func:`zsms.launch.resume.load` found it. `place` is where its
    processes run. `forks`: this program is `zsms run` and nothing else, so that they may be forks of it
    (:mod:`zsms.launch.forked`) where that is safe.
    """

    def __init__(
        self,
        config: MeshConfig | None = None,
        *,
        progress: Progress | None = None,
        say: Callable[[str], None] | None = None,
        detail_s: float = math.inf,
        verbose: int = 0,
        thresholds: Iterable[str] = (),
        abort_on_fail: bool = False,
        allow_failures: bool = False,
        title: str = "",
        tags: Mapping[str, str] | None = None,
        metrics: str | None = None,
        insecure: bool = False,
        log_messages: str | None = None,
        before: Before | None = None,
        place: Place | None = None,
        forks: bool = False,
        **options: Any,
    ) -> None:
        """Give a `MeshConfig`, or its fields and those of one `SenderGroup` as keywords. Raises UsageError."""
        self.config = _settled(config_from(**options) if config is None else replace(config, **options), before, place)
        self.thresholds = parse_all(thresholds, lambda: _blank_report(self.config))
        self._say, self._progress, self._detail_s = say, progress, detail_s
        self._abort_on_fail, self._allow_failures = abort_on_fail, allow_failures
        self._title, self._tags = title, dict(tags or {})
        self._before, self._place, self._verbose = before, place, verbose
        self._forks = forks and self.config.transport is None
        self._metrics = None if metrics is None else _check_metrics(metrics, insecure or self.config.secure)
        if log_messages is not None:
            from zsms.roles.message_log import check

            check(log_messages)
        taken = None if before is None else before.taken
        self._commands = Commands(
            self.config, insecure=insecure, metrics=self._metrics, log_messages=log_messages, taken=taken
        )
        self._judge = Judge(self._tell, self.config.drain_timeout, journal=self.config.journal is not None)
        self._arrivals = Arrivals(self.config)
        self._seen = Seen()
        self._processes: Processes | None = None
        self._faults: Faults | None = None
        self._warnings: list[str] = []
        self._patience = math.inf
        """How long its processes may take to end, at most: short for one that was cancelled."""
        self._once = threading.Lock()
        self._began = False

    # -- what others see, and may ask for -------------------------------------------------------------------------

    @property
    def view(self) -> View | None:
        """The last view."""
        return self._seen.view

    @property
    def series(self) -> Series:
        """How the run goes, for the report."""
        return self._seen.series

    @property
    def answer(self) -> dict[str, Any]:
        """The collector's last answer."""
        return self._seen.answer

    def stop(self) -> None:
        """Drain and end; a second call ends at once. From any thread, and from a signal handler."""
        self._judge.stops += 1
        # Whoever signalled us may have signalled everybody, as systemd does: we say who ends, and in which order.
        for process in [] if self._processes is None else list(self._processes.all):
            process.order("stay")

    @property
    def stops(self) -> int:
        """How often it was asked to stop."""
        return self._judge.stops

    @property
    def rate(self) -> float | None:
        """The arrival rate of all producers together, messages a second; None when they make all that they can."""
        return self._arrivals.rate

    def set_rate(self, rate: float) -> None:
        """Change the arrival rate of all producers together, messages a second. From any thread.

        The producers hear of it at the next look at the mesh. Raises UsageError for a rate that can't be, and for a
        mesh that was made without one.
        """
        from zsms.roles.producer import check_pushing

        check_pushing(rate, None, None)
        if self._arrivals.rate is None:
            raise UsageError("this mesh has no arrival rate that could change: it was made without `rate`")
        self._arrivals.rate = rate

    @property
    def keys(self) -> str | None:
        """The directory of throw-away keys, for whoever watches; None without `secure`."""
        return f"{self._directory}/keys" if self.config.secure else None

    @property
    def stats(self) -> str:
        """The collector's endpoint, for a `zsms monitor --stats` beside a mesh that runs."""
        return str(self._endpoint)

    @property
    def metrics(self) -> str | None:
        """Where Prometheus is to look."""
        return None if self._metrics is None else f"http://{self._metrics}/metrics"

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {process.name: process.pid for process in ([] if self._processes is None else self._processes.all)}

    # -- the run --------------------------------------------------------------------------------------------------

    async def run_async(self) -> Report:
        """`run` beside the caller's event loop; cancelling it ends the mesh within 2 s or so."""
        import asyncio

        done = asyncio.ensure_future(asyncio.to_thread(self.run))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            self._patience = _CANCELLED_S
            self.stop()
            await asyncio.wait((done,), timeout=_CANCELLED_S)  # what is nearly done may end
            self.stop()
            await asyncio.wait((done,))
            raise

    def run(self) -> Report:
        """Run it all, once, and return the report. Raises ZsmsError when the mesh could not even begin."""
        with self._once:
            if self._began:
                raise UsageError("this mesh has run before; a mesh is for one run: make another")
            self._began = True
        folder = PrivateFolder(max(["stats", *self.config.broker_names], key=len) + ".2")
        self._directory = folder.path
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._started_at = time.monotonic()
        self._endpoint = Endpoint("ipc", f"{self._directory}/stats")
        sockets = None
        place = self._place or Local(self._directory, self._forks)
        processes = self._processes = Processes(place, self._tell, self._verbose)
        self._faults = Faults(self.config, processes, lambda text: self._tell(text, logging.INFO))
        try:
            own = self._make_keys() if self.config.secure else None
            sockets = Sockets(keys=own)
            place.open(self._commands.wanted(), None if own is None else Path(self._directory, "keys"))
            self._say_before(folder.remark)
            self._endpoint = processes.start_all(self._commands, self.config)
            processes.listen()  # only now, for a process with threads can't be forked
            have_descriptors(_OWN_DESCRIPTORS)  # libzmq aborts when it gets none
            asker = Asker(sockets, self._endpoint, own=True)
            return self._judged(self._watch(asker, processes, self._faults))
        finally:
            processes.kill()
            place.close()
            if sockets is not None:
                sockets.close_all()
            folder.remove()

    def _say_before(self, remark: str | None) -> None:
        """What there is to say before anything starts."""
        if remark is not None:
            self._tell(remark)
        self._warnings = self.config.warnings()
        if self._before is not None:
            self._warnings.append(self._before.remark)
        elif self._place is None:
            note(self.config, self._started)
        for warning in self._warnings:
            self._tell(warning)

    def _make_keys(self) -> Keys:
        """A key for each role in the private directory; this process watches with the monitor's."""
        directory = Path(self._directory, "keys")
        for role in ("broker", "stats", "producer", "sender", "monitor"):
            keys.make(directory, role, [role])
        return Keys.load(directory, "monitor")

    def _watch(self, asker: Asker, processes: Processes, faults: Faults) -> float:
        """Until it is over; seconds since the start."""
        watching = Watching(asker, self._seen, self._judge, processes, faults=faults, arrivals=self._arrivals)
        watching.watch(
            self._started_at, progress=self._progress, detail_s=self._detail_s, look_at_point=self._look_at_thresholds
        )
        self._end(processes)
        elapsed = time.monotonic() - self._started_at
        last = None if self._judge.collector_lost else asker.wait("all", min(5.0, self._patience))
        if last is not None:
            self._seen.record(last, last=True)
        for process in processes.of("stats"):
            process.sample()
        processes.terminate("stats")
        self._judge.problems += processes.await_end("stats", min(END_S, self._patience))
        return elapsed

    def _end(self, processes: Processes) -> None:
        """End all but the collector in order, each handing over its last snapshot."""
        at_once = self._judge.phase is Phase.BREAKING_OFF
        for role in ("producer", "sender", "broker"):
            processes.terminate(role)
            if at_once or (role == "producer" and self._judge.brokers_lost):
                processes.leave(role)
            patience = END_S + (self.config.drain_timeout if self._judge.asked_to_end else 0)
            if role == "sender":
                patience += self._receipt_wait
            late = processes.await_end(role, min(_AT_ONCE_S, self._patience) if at_once else patience)
            self._judge.problems += late

    @property
    def _receipt_wait(self) -> float:
        """Seconds for which senders wait for receipts before they leave."""
        from zsms.transports.gateways import settings_of

        waits = [settings_of(group.gateway).receipt_wait_s for group in self.config.groups if group.gateway is not None]
        return max(waits, default=0.0)

    def _tell(self, text: str, level: int = logging.WARNING) -> None:
        if self._say is None:
            _log.log(level, "%s", text)
        else:
            self._say(text)

    # -- the report -----------------------------------------------------------------------------------------------

    def _look_at_thresholds(self) -> None:
        if not self._abort_on_fail or self._judge.asked_to_end:
            return
        body = self._report(time.monotonic() - self._started_at).to_json()
        broken = [threshold for threshold in self.thresholds if threshold.broken(body)]
        if broken:
            self._judge.abort(f"{broken[0]} can't be kept")

    def _judged(self, elapsed: float) -> Report:
        """The report, with what became of the thresholds."""
        report = self._report(elapsed)
        report.title, report.tags = self._title, self._tags
        body = report.to_json()
        report.thresholds = [threshold.judge(body) for threshold in self.thresholds]
        if not self._allow_failures:
            report.ask_for_success()
        if not report.completed and self._place is None and may_go_on(self.config):
            self._tell(f"zsms run --resume {self.config.journal} goes on with this run")
        return report

    def _report(self, elapsed: float) -> Report:
        judge, answer = self._judge, self._seen.answer
        gauges = {(row["role"], row["name"]): row["gauges"] for row in answer.get("processes", [])}
        gauges["stats", "stats"] = answer.get("collector", {})
        return make_report(
            answer,
            config=self.config.to_json(),
            processes=[] if self._processes is None else self._processes.rows(gauges),
            elapsed_s=elapsed,
            started=self._started,
            started_at=self._started_at,
            brokers_lost=judge.forgotten,
            completed=judge.completed,
            interrupted=judge.stops > 0,
            aborted=judge.aborted and not judge.fatal,
            problems=list(judge.problems),
            series=self.series,
            warnings=self._warnings,
            struck=[] if self._faults is None else self._faults.struck,
        )


def _blank_report(config: MeshConfig) -> dict[str, Any]:
    """What a report of this mesh will look like, without its figures."""
    senders = config.sender_names
    names = {"stats": ["stats"], "broker": config.broker_names, "producer": config.producer_names}
    names |= {"sender": senders, "run": ["run"]}
    row = {"role": "sender", "state": "", "age": 0.0, "interval": 1.0, "counters": {}, "gauges": {}}
    return make_report(
        {"processes": [{**row, "name": name} for name in senders]},
        config=config.to_json(),
        processes=[ProcessRow(role, name, 0, cpu_s=0.0, rss_max_bytes=0) for role in names for name in names[role]],
        elapsed_s=0.0,
        started="",
        started_at=0.0,
        brokers_lost=(),
        completed=False,
        interrupted=False,
        aborted=False,
        problems=[],
        series=Series(),
    ).to_json()


def _settled(config: MeshConfig, before: Before | None, place: Place | None) -> MeshConfig:
    """The configuration as it is run, with a seed. Raises UsageError for one that can't be."""
    config.check(goes_on=before is not None)
    if config.seed is None:
        config = replace(config, seed=secrets.randbits(32))
    return replace(config, secure=True) if place is not None and place.secure else config


def importable(transport: str | Send) -> tuple[str, str | None]:
    """MODULE:FUNCTION, and the folder it is found in where that need not be the current one. Raises UsageError."""
    from zsms.transports.checking import spec_of

    return (transport, None) if isinstance(transport, str) else spec_of(transport)


def _check_metrics(address: str, open_to_others: bool) -> str:
    """The address with a real port. Raises UsageError, before any process is started."""
    from zsms.dashboard.prometheus import check

    return check(address, open_to_others=open_to_others)


_GROUP_FIELDS = frozenset(SenderGroup.__dataclass_fields__) - {"name"}


def config_from(**options: Any) -> MeshConfig:
    """A `MeshConfig` of its own fields and those of a single `SenderGroup`. Raises UsageError for any other."""
    group = {name: options.pop(name) for name in list(options) if name in _GROUP_FIELDS}
    unknown = [name for name in options if name not in MeshConfig.__dataclass_fields__]
    if unknown:
        raise UsageError(f"a mesh has no option {unknown[0]!r}")
    if group and "groups" in options:
        raise UsageError(f"give either groups of senders or {', '.join(sorted(group))}")
    if "groups" not in options:
        options["groups"] = (SenderGroup(**group),)
    return MeshConfig(**options)


__all__ = ["Mesh", "MeshConfig", "SenderGroup", "ZsmsError", "config_from"]
