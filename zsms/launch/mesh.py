"""A whole mesh as processes of one place, by default this machine: start them, watch them, stop them, report.

Each process is the command that one would type by hand (``zsms broker ...``), so what runs here runs on several
hosts too. They talk over sockets in a private directory, and end when this process does, however it ends: their
standard input is a pipe from it, which also carries the orders of `set_rate`. The places are in :mod:`zsms.launch`.

    starting --> running --everything settled--> finishing --> report
                    |--stop()------------------> draining ---> report (interrupted)
                    |--last broker, collector, producer or last sender lost--> report of what is known

When one of several brokers is lost the run goes on with the others and ends when they have settled what is theirs;
what the lost one held, and what producers keep for it, counts as lost.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import platform
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from zsms import logs
from zsms.core.broker import BrokerLimits
from zsms.core.sender.cap import Cap
from zsms.core.sender.shares import MAX_BROKERS
from zsms.core.stages import Stage, rate_at
from zsms.core.strikes import Fault, Strike, Strikes
from zsms.errors import UsageError, ZsmsError, check_types
from zsms.journal import FILE, check_durability, hidden, is_on_servers
from zsms.launch.local import Local
from zsms.launch.place import Child, Place, Wanted
from zsms.launch.private_folder import PrivateFolder
from zsms.launch.resume import Before, may_go_on, note
from zsms.report.report import ProcessRow, Report, histogram_of, make_report
from zsms.report.thresholds import parse_all
from zsms.roles.monitor import Asker
from zsms.roles.sender import MAX_RAMP_S
from zsms.security import keys
from zsms.security.keys import Keys
from zsms.sources.random import MESSAGES
from zsms.stats.arrivals import rate_warnings
from zsms.stats.delay import DelayModel
from zsms.stats.ending import Ending
from zsms.stats.recovery import Struck
from zsms.stats.series import Series
from zsms.stats.view import View
from zsms.wire.protocol import MAX_PEER_NAME
from zsms.wire.sockets import STATS_PORT, Endpoint, Sockets

if TYPE_CHECKING:
    from zsms.transports.calls import Send

_log = logging.getLogger("zsms.mesh")

_STANDBY = "-standby"
ASK_S = 0.1
"""Seconds between two looks at the mesh."""
_OWN_DESCRIPTORS = 16
"""What watching a mesh takes, about."""
_ASK_FIRST_S = 0.02
"""The same in the beginning."""
STATS_S = 0.25
"""Seconds between two snapshots of a process of a mesh."""
REST_S = 4 * STATS_S
"""How long what is left of a mesh that lost a broker must look settled."""
RAMP_FROM = 100_000
"""Slots of a mesh from which on they are not all opened at once, unless asked for."""
START_S = 20.0
"""How long the collector may take to answer for the first time."""
_CANCELLED_S = 0.3
"""How long each step of the end may take when `run_async` was cancelled."""
_LEAST_RATE = 0.001
"""Messages a second where a stage says none: producers wait for their next one, and hear of a new rate."""
_RESTART_S = 0.5
"""How late a process may be started again."""
END_S = 10.0
"""How long a process may take to end before it is killed."""


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
        return self.transport if self.transport is None else _importable(self.transport)[0]

    def check(self, goes_on: bool = False) -> None:
        """Raises UsageError for what can't be, before any process is started. `goes_on`: with a run that was there."""
        check_types(self)
        if self.transport is not None:
            from zsms.transports.checking import load_function

            if isinstance(self.transport, str):
                load_function(self.transport)
            else:
                _importable(self.transport)
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


Progress = Callable[[View, View | None], None]


class Mesh:
    """A mesh on this machine, once."""

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
        metrics: str | None = None,
        forks: bool = False,
        insecure: bool = False,
        place: Place | None = None,
        title: str = "",
        tags: Mapping[str, str] | None = None,
        before: Before | None = None,
        log_messages: str | None = None,
        **options: Any,
    ) -> None:
        """Give a `MeshConfig`, or its fields and those of one `SenderGroup` as keywords.

        `thresholds` are expectations of the report (`zsms.report.thresholds`); with `abort_on_fail` the run drains and
        ends as soon as one of them is broken. With `allow_failures` a run that sends nothing ends well all the same.
        `metrics` is the address where the collector serves Prometheus; one that other hosts can reach is refused unless
        the mesh is `secure`, or `insecure` says that this is meant.

        `title` and `tags` (values by name) are what the report says of itself. `log_messages` is a file to which a row
        is appended for each message that is settled, on the machine of its sender.

        `before`: go on with a run that was interrupted, as :func:`zsms.launch.resume.load` found it.

        `forks`: this program is `zsms run` and nothing else, so that its processes may be forks of it
        (:mod:`zsms.launch.forked`) where that is safe. `place` is where they run, by default this machine.

        `progress(view, first view or None)` is called about every `ASK_S` seconds, `say(text)` for each event
        worth a line (by default it is logged). Both are called from threads of the mesh. A view has histograms every
        `detail_s` seconds, by default never. `verbose`: 0 tells what its processes warn of, 1 what they log, 2 their
        details too. Raises UsageError.
        """
        self.config = config_from(**options) if config is None else replace(config, **options)
        self._before = before
        self.config.check(goes_on=before is not None)
        if self.config.seed is None:
            self.config = replace(self.config, seed=secrets.randbits(32))
        self._place = place
        if place is not None and place.secure:
            self.config = replace(self.config, secure=True)
        self.thresholds = parse_all(thresholds, self._blank_report)
        self.view: View | None = None
        """The last view."""
        self.series = Series()
        """How the run goes, for the report."""
        self._progress = progress
        self._say = say
        self._verbose = verbose
        self._detail_s = detail_s
        self._stops = 0
        self._once = threading.Lock()
        self._began = False
        self._forks = forks and self.config.transport is None
        self._patience = math.inf
        """How long its processes may take to end, at most: short for one that was cancelled."""
        self._rate = self._rate_told = self.config.rate
        self._abort_on_fail = abort_on_fail
        self._allow_failures = allow_failures
        self._metrics = None if metrics is None else _check_metrics(metrics, insecure or self.config.secure)
        self._insecure = insecure
        self._title, self._tags = title, dict(tags or {})
        self._log_messages = log_messages
        if log_messages is not None:
            from zsms.roles.message_log import check

            check(log_messages)
        self._aborted = False
        self._processes: list[Child] = []
        self._options: dict[str, list[Any]] = {}
        """Of each process's command, for another start."""
        self._strikes = self.config.strikes()
        self._struck: list[Struck] = []
        self._meant: list[Child] = []
        """Those that were killed on purpose."""
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._fatal = False
        self._out_of_time = False
        self._brokers_lost: set[str] = set()
        self._rest_since: float | None = None
        self._ending = Ending()
        self._stuck = False
        self._collector_lost = False
        self._answer: dict[str, Any] = {}
        self._input_fd: int | None = None

    def stop(self) -> None:
        """Drain and end; a second call ends at once. From any thread, and from a signal handler."""
        self._stops += 1
        # Whoever signalled us may have signalled everybody, as systemd does: we say who ends, and in which order.
        for process in list(self._processes):
            process.order("stay")

    @property
    def stops(self) -> int:
        """How often it was asked to stop."""
        return self._stops

    @property
    def rate(self) -> float | None:
        """The arrival rate of all producers together, messages a second; None when they make all that they can."""
        return self._rate

    def set_rate(self, rate: float) -> None:
        """Change the arrival rate of all producers together, messages a second. From any thread.

        The producers hear of it at the next look at the mesh. Raises UsageError for a rate that can't be, and for a
        mesh that was made without one.
        """
        from zsms.roles.producer import check_pushing

        check_pushing(rate, None, None)
        if self._rate is None:
            raise UsageError("this mesh has no arrival rate that could change: it was made without `rate`")
        self._rate = rate

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
        place = self._where = self._place or Local(self._directory, self._forks)
        try:
            own = self._make_keys() if self.config.secure else None
            sockets = Sockets(keys=own)
            place.open(self._wanted(), None if own is None else Path(self._directory, "keys"))
            if folder.remark is not None:
                self._tell(folder.remark)
            self._warnings = self.config.warnings()
            if self._before is not None:
                self._warnings.append(self._before.remark)
            elif self._place is None:
                note(self.config, self._started)
            for warning in self._warnings:
                self._tell(warning)
            self._start_all(place)
            for process in self._processes:  # only now, for a process with threads can't be forked
                process.listen()
            _have_descriptors(_OWN_DESCRIPTORS)  # libzmq aborts when it gets none
            self._asker = Asker(sockets, self._endpoint, own=True)
            self._watch()
            elapsed = self._finish()
            report = self._report(elapsed)
            report.title, report.tags = self._title, self._tags
            body = report.to_json()
            report.thresholds = [threshold.judge(body) for threshold in self.thresholds]
            if not self._allow_failures:
                report.ask_for_success()
            if not report.completed and self._place is None and may_go_on(self.config):
                self._tell(f"zsms run --resume {self.config.journal} goes on with this run")
            return report
        finally:
            for process in self._processes:
                self._kill(process)
            place.close()
            if sockets is not None:
                sockets.close_all()
            folder.remove()

    def _report(self, elapsed: float) -> Report:
        return make_report(
            self._answer,
            config=self.config.to_json(),
            processes=self._process_rows(),
            elapsed_s=elapsed,
            started=self._started,
            started_at=self._started_at,
            brokers_lost=() if self.config.journal is not None else self._brokers_lost,
            completed=not (self._fatal or self._stuck or self._asked_to_end),
            interrupted=self._stops > 0,
            aborted=self._aborted and not self._fatal,
            problems=list(self._problems),
            series=self.series,
            warnings=self._warnings,
            struck=self._struck,
        )

    def _blank_report(self) -> dict[str, Any]:
        """What a report of this mesh will look like, without its figures."""
        senders, config = self.config.sender_names, self.config
        names = {"stats": ["stats"], "broker": config.broker_names, "producer": config.producer_names}
        names |= {"sender": senders, "run": ["run"]}
        row = {"role": "sender", "state": "", "age": 0.0, "interval": 1.0, "counters": {}, "gauges": {}}
        return make_report(
            {"processes": [{**row, "name": name} for name in senders]},
            config=config.to_json(),
            processes=[ProcessRow(role, name, 0, 0.0, 0, 0) for role, of in names.items() for name in of],
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

    @property
    def _asked_to_end(self) -> int:
        """How often somebody, or a threshold, has asked for it."""
        return self._stops + self._aborted

    def _make_keys(self) -> Keys:
        """A key for each role in the private directory; this process watches with the monitor's."""
        directory = Path(self._directory, "keys")
        for role in ("broker", "stats", "producer", "sender", "monitor"):
            keys.make(directory, role, [role])
        return Keys.load(directory, "monitor")

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
    def answer(self) -> dict[str, Any]:
        """The collector's last answer."""
        return self._answer

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {process.name: process.pid for process in self._processes}

    # -- starting -----------------------------------------------------------------------------------------------

    def _wanted(self) -> list[Wanted]:
        """What is to be started."""
        config = self.config
        servers = [Wanted("broker", name) for name in config.broker_names]
        standing = config.broker_names if config.standby else []
        servers += [Wanted("broker", f"{name}{_STANDBY}", apart_from=(name,)) for name in standing]
        # A broker that is lost may have another in its place, the collector has none.
        servers.append(Wanted("stats", "stats", apart_from=tuple(each.name for each in servers if standing)))
        slots = [group.concurrency for group in config.groups for _ in range(group.senders)]
        senders = [Wanted("sender", name, size) for name, size in zip(config.sender_names, slots, strict=True)]
        return [*servers, *(Wanted("producer", name) for name in config.producer_names), *senders]

    def _start_all(self, place: Place) -> None:
        config = self.config
        insecure = ["--insecure"] if self._insecure else []
        stats = self._start(
            place, "stats", "stats", ["--bind", place.bind("stats"), *insecure, *_given(metrics=self._metrics)]
        )
        self._endpoint = Endpoint.parse(place.address(stats), STATS_PORT)
        common = ["--stats", self._endpoint, "--stats-interval", STATS_S, "--drain-timeout", config.drain_timeout]
        limits = [
            part for name, value in asdict(config.limits).items() for part in (f"--{name.replace('_', '-')}", value)
        ]
        brokers: list[Child] = []
        others: list[tuple[str, list[Any]]] = []
        for number, name in enumerate(config.broker_names, 1):
            keeps = _given(journal=config.journal_of(name), durability=config.durability)
            options = [*limits, "--seed", config.seed, "--stream", number, *keeps, *common]
            options += ["--standby"] if config.standby else []
            brokers.append(self._start(place, "broker", name, ["--bind", place.bind(name), *options]))
            others.append((name, options))
        addresses = [place.address(broker) for broker in brokers]
        if config.standby:
            for index, (name, options) in enumerate(others):
                where = place.bind(f"{name}{_STANDBY}", known=True)
                self._start(place, "broker", f"{name}{_STANDBY}", ["--bind", where, *options])
                addresses[index] += f",{where}"
        peer = [*common, *(part for address in addresses for part in ("--broker", address))]
        groups = [group for group in config.groups for _ in range(group.senders)]
        for number, (group, name) in enumerate(zip(groups, config.sender_names, strict=True), 1):
            self._start(place, "sender", name, [*peer, *self._sender_options(group, number)])
        # The first message is the zero of all times: slots that are not there by then would count as late.
        self._input_fd = self._open_input()
        keep = () if self._input_fd is None else (self._input_fd,)
        for index, name in enumerate(config.producer_names):
            share = ["--share", f"{index}/{config.producers}"]
            before = [] if self._before is None else ["--before", self._before.taken[name]]
            self._start(place, "producer", name, [*peer, *self._producer_options(), *share, *before], keep)
        if self._input_fd is not None:
            os.close(self._input_fd)  # so that its writer hears when the producer ends

    def _open_input(self) -> int | None:
        """For a list that is a descriptor of this process, one for a producer: its standard input is its orders."""
        from zsms.sources.stream import descriptor_of

        number = None if self.config.input is None else descriptor_of(self.config.input)
        # Beyond those that a producer's own standard streams may be.
        return None if number is None else fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)

    @property
    def _input_name(self) -> str:
        from zsms.sources.stream import name_of

        return name_of(self.config.input or "")

    def _producer_options(self) -> list[Any]:
        config = self.config
        options: list[Any] = ["--seed", config.seed, *_given(messages=config.total)]
        if config.input is not None:
            path = config.input if self._input_fd is None else f"/dev/fd/{self._input_fd}"
            options += ["--input", path, *(["--input-format", config.input_format] if config.input_format else [])]
            options += ["--skip-bad-rows"] if config.skip_bad_rows else []
            options += ["--unique"] if config.unique else []
        options += ["--min-length", config.min_length, "--max-length", config.max_length]
        for prefix in config.prefixes:
            options += ["--prefix", prefix]
        rate = None if config.rate is None else config.rate / config.producers
        options += ["--arrivals", config.arrivals]
        return options + _given(alphabet=config.alphabet, rate=rate, batch=config.batch, window=config.window)

    def _sender_options(self, group: SenderGroup, number: int) -> list[Any]:
        ramp = self.config.ramp_of(group)
        return [
            "--concurrency",
            group.concurrency,
            "--delay",
            group.delay,
            "--mean",
            group.mean,
            "--failure-rate",
            group.failure_rate,
            "--seed",
            self.config.seed,
            "--stream",
            number,
            *_given(sd=group.sd, tick=group.tick, prefetch=group.prefetch, ramp=ramp, gateway=group.gateway),
            *(["--yes-really-send"] if self.config.yes_really_send and group.gateway is not None else []),
            *_given(cap=None if group.cap is None else group.cap / group.senders),
            *_given(burst=group.burst / group.senders or None, lease=self._lease_of(group)),
            *([] if self._log_messages is None else ["--log-messages", self._log_messages]),
            *self._transport_options(),
        ]

    def _lease_of(self, group: SenderGroup) -> float | None:
        """What sends of the group may need when a fault makes them slow; None: what they need as they are."""
        own = [fault for fault in self.config.faults if fault.what == "slow" and fault.factor is not None]
        factor = max((fault.factor or 1.0 for fault in own), default=1.0)
        if factor <= 1:
            return None
        from zsms.roles.sender import MAX_LEASE_S, auto_lease

        return min(factor * auto_lease(group.model, 1.0), MAX_LEASE_S)

    def _transport_options(self) -> list[Any]:
        if self.config.transport is None:
            return []
        name, folder = _importable(self.config.transport)
        return ["--transport", name, *([] if folder is None else ["--transport-folder", folder])]

    def _start(self, place: Place, role: str, name: str, options: list[Any], keep: tuple[int, ...] = ()) -> Child:
        said = ["--log-format", "json", *(["-v"] * (self._verbose - 1) if self._verbose else ["--quiet"])]
        child = place.start(role, name, [*said, *map(str, options)], self._listen, keep)
        self._processes.append(child)
        self._options[name] = options
        return child

    def _listen(self, line: bytes) -> str:
        level, text = logs.read(line.decode("utf-8", "replace").rstrip())
        if self._input_fd is not None:
            text = text.replace(f"/dev/fd/{self._input_fd}", self._input_name)
        if text:
            self._tell(text, level)
        return text

    # -- watching -----------------------------------------------------------------------------------------------

    def _of(self, role: str) -> list[Child]:
        return [process for process in self._processes if process.role == role]

    def _watch(self) -> None:
        """Until everything is settled, a stop has drained, or nothing can come of it any more."""
        first: View | None = None
        draining = False
        drain_until = 0.0
        answered = False
        sample_at = detailed_at = 0.0
        while True:
            now = time.monotonic()
            detailed = now - detailed_at >= self._detail_s
            if detailed:
                detailed_at = now
            answer = self._asker.wait("all" if detailed else "totals", 1.0)
            if answer is not None:
                answered = True
                self._answer = {"histograms": self._answer.get("histograms", {}), **answer}
                self.view = View.of(answer, time.monotonic())
                if self.series.due(self.view):
                    self._record(answer if detailed else self._asker.wait("all", 1.0))
                if self._progress is not None:
                    self._progress(self.view, first)
                if first is None and self.view.settled:
                    first = self.view
            elif not answered and now - self._started_at > START_S and not self._fatal:
                self._fail(f"the collector has not answered for {START_S:.0f} s")
            if now >= sample_at:
                sample_at = now + 0.5
                for process in self._processes:
                    process.sample()
            self._look_at_processes()
            self._tell_rate()
            pause = self._strike()
            if self._fatal or self._asked_to_end > 1:
                return
            if self.view is not None and (self._all_settled(self.view) or self._is_stuck(self.view)):
                return
            if self._asked_to_end and not draining:
                draining, drain_until = True, now + self.config.drain_timeout
                self._tell(
                    "stopping: producers first, then what is queued and in flight is drained; again to stop at once"
                )
                for process in self._of("producer"):
                    self._terminate(process)
            if draining and self.view is not None and self._drained(self.view):
                return
            if draining and now > drain_until:
                self._out_of_time = True
                self._problems.append(f"not drained after {self.config.drain_timeout:g} s")
                self._tell(f"{self._problems[-1]}; ending all the same")
                return
            pause = min(
                pause, ASK_S, _ASK_FIRST_S + (time.monotonic() - self._started_at) / 50
            )  # a short run ends soon
            time.sleep(pause)

    def _tell_rate(self) -> None:
        began = None if self.view is None else self.view.first_accepted_at
        if self.config.stages and began is not None:
            now = rate_at(self.config.stages, time.monotonic() - began)
            if now is not None:  # what is left after the last stage comes as it did at its end
                self._rate = max(now, _LEAST_RATE)
        rate = self._rate
        if rate is None or rate == self._rate_told:
            return
        self._rate_told = rate
        for process in self._of("producer"):
            process.order("rate %.9g" % (rate / self.config.producers))

    def _strike(self) -> float:
        """Carry out what is due of the faults; seconds until there is more."""
        if self.view is None or not self.config.faults or (began := self.view.first_accepted_at) is None:
            return math.inf
        since = time.monotonic() - began
        for strike in self._strikes.due(since):
            process = next(each for each in reversed(self._processes) if each.name == strike.whom)
            self._carry_out(strike, process)
            fault = self.config.faults[strike.number]
            done = f"{strike.what} {strike.whom}" + (" is over" if strike.over else "")
            self._tell(f"{since:.1f} s: {done}", logging.INFO)
            if not strike.over:
                until = None if fault.lasts is None else strike.at + fault.lasts
                self._struck.append(Struck(since, strike.what, strike.whom, until))
        return max(0.0, self._strikes.next_time() - since)

    def _carry_out(self, strike: Strike, process: Child) -> None:
        if strike.what in ("kill", "restart") and not strike.over:
            self._meant.append(process)
            process.kill()
        elif strike.what == "restart":
            self._start(self._where, process.role, process.name, self._options[process.name]).listen()
        elif strike.what == "stop":
            process.signal(signal.SIGCONT if strike.over else signal.SIGSTOP)
        else:
            group = self._group_of(strike.whom)
            usual = {"slow": 1.0, "fail": group.failure_rate, "throttle": (group.cap or 0.0) / group.senders}
            word = "cap" if strike.what == "throttle" else strike.what
            value = usual[strike.what] if strike.value is None else strike.value
            process.order(f"{word} {value:.9g}")

    def _group_of(self, sender: str) -> SenderGroup:
        groups = [group for group in self.config.groups for _ in range(group.senders)]
        return groups[self.config.sender_names.index(sender)]

    def _record(self, answer: dict[str, Any] | None, last: bool = False) -> None:
        """Take a point of the series, from an answer with histograms."""
        if answer is not None:
            self._answer = answer
            self.view = View.of(answer, time.monotonic())
            self.series.add(self.view, histogram_of(answer, "send_time"), last=last)
            if self._abort_on_fail and not self._asked_to_end:
                self._look_at_thresholds()

    def _look_at_thresholds(self) -> None:
        body = self._report(time.monotonic() - self._started_at).to_json()
        broken = [threshold for threshold in self.thresholds if threshold.broken(body)]
        if broken:
            self._aborted = True
            self._problems.append(f"ended early: {broken[0]} can't be kept")
            self._tell(self._problems[-1])

    def _all_settled(self, view: View) -> bool:
        if self._brokers_lost:
            return self._rest_settled(view)
        finished = all(process.poll() == 0 for process in self._of("producer"))
        if not finished or not view.producers_done:
            return False
        return view.done or view.made == 0

    def _is_stuck(self, view: View) -> bool:
        """Whether all of it runs, and yet the rest will never be settled: messages are missing."""
        if self._asked_to_end or self._brokers_lost or not view.producers_done:
            return False
        verdict = self._ending.look(view)
        if verdict is not None and verdict.code:
            self._stuck = True
            self._problems.append(verdict.why)
            self._tell(verdict.why)
        return self._stuck

    def _rest_settled(self, view: View) -> bool:
        """Whether the brokers that live have settled all that was for them, and have said so for a while: what a
        producer knows to be held may not be in its broker's figures yet."""
        if not view.all_reached or self._held(view):
            self._rest_since = None
            return False
        if self._rest_since is None:
            self._rest_since = view.at
        return view.at - self._rest_since > REST_S

    def _drained(self, view: View) -> bool:
        gone = all(process.poll() is not None for process in self._of("producer"))
        return gone and not self._held(view)

    def _held(self, view: View) -> int:
        """Messages that brokers which live hold."""
        living = {_place_of(process) for process in self._of("broker") if process.poll() is None}
        return sum(map(view.held_by, living))

    def _look_at_processes(self) -> None:
        for process in self._processes:
            code = process.poll()
            if code is None or process.noticed:
                continue
            process.noticed = True
            process.heard_out(1)
            if process.role == "producer" and (code == 0 or self._asked_to_end):
                self._problems += [line for line in process.said if line.endswith("were not read")][-1:]
                continue
            ending = process.ending()
            if process in self._meant and self._strikes_back(process.name):
                continue
            if process.role == "broker":
                twins = [twin for twin in self._of("broker") if _place_of(twin) == _place_of(process)]
                if living := [twin.name for twin in twins if twin.poll() is None]:
                    self._problems.append(f"{ending}; {living[0]} is in its place")
                    self._tell(self._problems[-1])
                    continue
                self._brokers_lost.add(_place_of(process))
            self._collector_lost |= process.role == "stats"
            if process.role in ("broker", "sender") and self._left(process.role):
                what = "go to the others" if process.role == "sender" else "are lost; the others go on"
                said = f"{ending}; its messages {what}"
                self._problems += [] if process in self._meant and process.role == "sender" else [said]  # it was meant
                self._tell(said)
            elif process.role == "sender":
                self._fail(f"{ending}; it was the last sender")
            else:
                self._fail(f"{ending}; the run can't go on without it")

    def _left(self, role: str) -> bool:
        """Whether a process of this role still runs, or will again."""
        return any(process.poll() is None or self._strikes_back(process.name) for process in self._of(role))

    def _strikes_back(self, name: str) -> bool:
        """Whether a fault has killed that process and starts it again."""
        began = None if self.view is None else self.view.first_accepted_at
        return began is not None and self._strikes.comes_back(name, time.monotonic() - began - _RESTART_S)

    def _tell(self, text: str, level: int = logging.WARNING) -> None:
        if self._say is None:
            _log.log(level, "%s", text)
        else:
            self._say(text)

    def _fail(self, why: str) -> None:
        self._fatal = True
        self._problems.append(why)
        self._tell(why)

    # -- ending -------------------------------------------------------------------------------------------------

    def _finish(self) -> float:
        """End the processes in order, each handing over its last snapshot; returns the seconds since the start."""
        at_once = self._fatal or self._out_of_time or self._asked_to_end > 1
        for role in ("producer", "sender", "broker"):
            for process in self._of(role):
                self._terminate(process)
                if at_once or (role == "producer" and self._brokers_lost):
                    process.leave()
            patience = END_S + (self.config.drain_timeout if self._asked_to_end else 0)
            if role == "sender":
                patience += self._receipt_wait
            self._await(self._of(role), min(2.0, self._patience) if at_once else patience)
        elapsed = time.monotonic() - self._started_at
        if not self._collector_lost:
            self._record(self._asker.wait("all", min(5.0, self._patience)), last=True)
        for process in self._of("stats"):
            process.sample()
            self._terminate(process)
        self._await(self._of("stats"), min(END_S, self._patience))
        return elapsed

    def _terminate(self, process: Child) -> None:
        if process.poll() is None and not process.order("stop"):
            process.terminate()

    @property
    def _receipt_wait(self) -> float:
        """Seconds for which senders wait for receipts before they leave."""
        from zsms.transports.gateways import settings_of

        waits = [settings_of(group.gateway).receipt_wait_s for group in self.config.groups if group.gateway is not None]
        return max(waits, default=0.0)

    def _await(self, processes: list[Child], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                self._problems.append(f"{process.name} did not end within {timeout:.0f} s and was killed")
                self._kill(process)

    def _kill(self, process: Child) -> None:
        if process.poll() is None:
            process.kill()
        process.leave()
        process.heard_out(1)

    def _process_rows(self) -> list[ProcessRow]:
        gauges = {(row["role"], row["name"]): row["gauges"] for row in self._answer.get("processes", [])}
        gauges["stats", "stats"] = self._answer.get("collector", {})
        rows = []
        for process in self._processes:
            own = gauges.get((process.role, process.name), {})
            rows.append(
                ProcessRow(
                    process.role,
                    process.name,
                    process.pid,
                    max(process.cpu_s, own.get("cpu_s", 0.0)),
                    int(max(process.rss_max, own.get("rss_max_bytes", 0))),
                    process.returncode,
                    process.host,
                )
            )
        this = psutil.Process()
        times = this.cpu_times()
        rows.append(
            ProcessRow(
                "run", "run", os.getpid(), times.user + times.system, this.memory_info().rss, host=platform.node()
            )
        )
        return rows


def _place_of(process: Child) -> str:
    """The name of the broker in whose place this process is, or may come."""
    return process.name.removesuffix(_STANDBY)


def _have_descriptors(count: int) -> None:
    """Raises OSError when this process can't open so many more."""
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _importable(transport: str | Send) -> tuple[str, str | None]:
    """MODULE:FUNCTION, and the folder it is found in where that need not be the current one. Raises UsageError."""
    from zsms.transports.checking import spec_of

    return (transport, None) if isinstance(transport, str) else spec_of(transport)


def _check_metrics(address: str, open_to_others: bool) -> str:
    """The address with a real port. Raises UsageError, before any process is started."""
    from zsms.dashboard.prometheus import check

    return check(address, open_to_others=open_to_others)


def _given(**options: Any) -> list[Any]:
    """Command line options of those that are not None."""
    return [part for name, value in options.items() if value is not None for part in (f"--{name}", value)]


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
