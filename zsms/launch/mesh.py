"""A whole mesh as processes of one place, by default this machine: start them, watch them, stop them, report.

Each process is the command that one would type by hand (``zsms broker ...``), so what runs here runs on several
hosts too. They talk over sockets in a private directory, and end when this process does, however it ends: their
standard input is a pipe from it, which also carries the orders of `set_rate`. The places are in :mod:`zsms.launch`.

    MeshConfig --> Commands --> Processes --> Watching --> the phases of :mod:`zsms.launch.judge` --> Report
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from zsms.core.producer.pace import check_pushing
from zsms.errors import UsageError, ZsmsError
from zsms.launch.caps import CapKeeper, keeper_of
from zsms.launch.commands import Commands
from zsms.launch.judge import Judge, Phase
from zsms.launch.latecomers import Latecomers
from zsms.launch.local import Local
from zsms.launch.orders import Arrivals, Faults
from zsms.launch.place import Place
from zsms.launch.private_folder import PrivateFolder
from zsms.launch.processes import Processes, have_descriptors
from zsms.launch.ready import ready
from zsms.launch.resume import Before, may_go_on, note
from zsms.launch.watching import Progress, Seen, Watching
from zsms.options import checked
from zsms.report.making import Course, make_report
from zsms.report.report import ProcessRow, Report, check_words
from zsms.report.thresholds import parse_all
from zsms.roles.asker import Asker
from zsms.scenario import MeshConfig, SenderGroup, config_from
from zsms.security import keys
from zsms.security.keys import Keys
from zsms.stats.figures import CollectorFigures, Figures
from zsms.stats.series import Series
from zsms.stats.view import View
from zsms.wire.endpoint import Endpoint
from zsms.wire.sockets import Sockets

_log = logging.getLogger("zsms.mesh")
T = TypeVar("T")

_OWN_DESCRIPTORS = 16
"""What watching a mesh takes, about."""
_CANCELLED_S = 0.3
"""How long each step of the end may take when `run_async` was cancelled."""
END_S = 10.0
"""How long a process may take to end before it is killed."""
_AT_ONCE_S = 2.0
"""The same of a run that is broken off."""


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

    @checked
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
        self._title, self._tags = title, check_words(title, tags or {})
        self._before, self._place, self._verbose = before, place, _verbosity(verbose, detail_s)
        self._forks = forks and self.config.transport is None
        self._metrics = None if metrics is None else _check_metrics(metrics, insecure or self.config.secure)
        if log_messages is not None:
            from zsms.roles.message_log import check

            check(log_messages)
        taken = None if before is None else before.taken
        self._commands = Commands(
            self.config, insecure=insecure, metrics=self._metrics, log_messages=log_messages, taken=taken
        )
        self._judge = Judge(self._log, self.config.drain_timeout, journal=self.config.journal is not None)
        self._arrivals, self._seen = Arrivals(self.config), Seen()
        self._processes: Processes | None = None
        self._faults: Faults | None = None
        self._keeper: CapKeeper | None = None
        self._warnings: list[str] = []
        self._patience = math.inf
        """How long its processes may take to end, at most: short for one that was cancelled."""
        self._directory, self._endpoint = "", cast(Endpoint, None)  # known when it runs
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

    @checked
    def set_rate(self, rate: float) -> None:
        """Change the arrival rate of all producers together, messages a second. From any thread.

        The producers hear of it at the next look at the mesh. Raises UsageError for a rate that can't be, and for a
        mesh that was made without one.
        """
        check_pushing(rate, None, None)
        if self._arrivals.rate is None:
            raise UsageError("this mesh has no arrival rate that could change: it was made without `rate`")
        self._arrivals.rate = rate

    @property
    def keys(self) -> str | None:
        """The directory of throw-away keys, for whoever watches; None without `secure`."""
        return f"{_known(self._directory)}/keys" if self.config.secure else None

    @property
    def stats(self) -> str:
        """The collector's endpoint, for a `zsms monitor --stats` beside a mesh that runs."""
        return str(_known(self._endpoint))

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
        """Run it, once, and return the report. Raises ZsmsError when it can't begin, Stopped when it was not to."""
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
        processes = self._processes = Processes(place, self._log, self._verbose)
        try:
            if isinstance(place, Local):
                self._keeper = self._commands.keeper = keeper_of(self.config, f"{self._directory}/caps")
            log, shared = lambda text: self._log(text, logging.INFO), self._keeper is not None
            self._faults = Faults(self.config, processes, log, shared=shared)
            own = self._make_keys() if self.config.secure else None
            sockets = Sockets(keys=own)
            place.asked = lambda: self._judge.stops
            place.open(self._commands.wanted(), None if own is None else Path(self._directory, "keys"))
            self._warn_before(folder.remark)
            self._endpoint = processes.start_all(self._commands, self.config)
            processes.listen()  # only now, for a process with threads can't be forked
            have_descriptors(_OWN_DESCRIPTORS)  # libzmq aborts when it gets none
            asker = Asker(sockets, self._endpoint, own=True)
            return self._judged(self._watch(asker, processes, self._faults))
        finally:
            processes.kill()
            place.close()
            if self._keeper is not None:
                self._keeper.close()
            if sockets is not None:
                sockets.close_all()
            folder.remove()

    def _warn_before(self, remark: str | None) -> None:
        """What there is to say before anything starts."""
        if remark is not None:
            self._log(remark)
        self._warnings = self.config.warnings()
        if self._before is not None:
            self._warnings.append(self._before.remark)
        elif self._place is None:
            note(self.config, self._started)
        for warning in self._warnings:
            self._log(warning)

    def _make_keys(self) -> Keys:
        """A key for each role in the private directory; this process watches with the monitor's."""
        directory = Path(self._directory, "keys")
        for role in ("broker", "stats", "producer", "sender", "monitor"):
            keys.make(directory, role, [role])
        return Keys.load(directory, "monitor")

    def _watch(self, asker: Asker, processes: Processes, faults: Faults) -> float:
        """Until it is over; seconds since the start."""
        watching = Watching(
            asker,
            self._seen,
            self._judge,
            processes,
            faults=faults,
            arrivals=self._arrivals,
            latecomers=Latecomers(self.config, processes, self._log),
            keeper=self._keeper,
        )
        watching.watch(
            self._started_at, progress=self._progress, detail_s=self._detail_s, look_at_point=self._check_thresholds
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
                patience += _receipt_wait(self.config)
            late = processes.await_end(role, min(_AT_ONCE_S, self._patience) if at_once else patience)
            self._judge.problems += late

    def _log(self, text: str, level: int = logging.WARNING) -> None:
        if self._say is None:
            _log.log(level, "%s", text)
        else:
            self._say(text)

    # -- the report -----------------------------------------------------------------------------------------------

    def _check_thresholds(self) -> None:
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
            self._log(f"zsms run --resume {self.config.journal} goes on with this run")
        return report

    def _report(self, elapsed: float) -> Report:
        judge, answer = self._judge, self._seen.answer
        rows = [] if self.view is None else self.view.processes
        told: dict[tuple[str, str], Figures] = {(row.role, row.name): row.figures for row in rows}
        told["stats", "stats"] = CollectorFigures.of({}, answer.get("collector", {}))
        course = Course(
            config=self.config.to_json(),
            processes=[] if self._processes is None else self._processes.rows(told),
            elapsed_s=elapsed,
            started=self._started,
            started_at=self._started_at,
            brokers_lost=judge.forgotten,
            completed=judge.completed,
            interrupted=judge.stops > 0,
            aborted=judge.aborted and not judge.fatal,
            log_lacks_rows=self._processes is not None and self._processes.log_lacks_rows,
            problems=list(judge.problems),
            series=self.series,
            warnings=self._warnings,
            struck=[] if self._faults is None else self._faults.struck,
        )
        return make_report(answer, course)


def _known(value: T) -> T:
    """Raises UsageError for what a mesh that has not begun does not have yet."""
    if not value:
        raise UsageError("this mesh does not run yet: its sockets and keys are known when it does")
    return value


def _receipt_wait(config: MeshConfig) -> float:
    """Seconds for which senders wait for receipts before they leave."""
    from zsms.transports.gateways import settings_of

    waits = [settings_of(group.gateway).receipt_wait_s for group in config.groups if group.gateway is not None]
    return max(waits, default=0.0)


def _blank_report(config: MeshConfig) -> dict[str, Any]:
    """What a report of this mesh will look like, without its figures."""
    senders = config.sender_names
    names = {"stats": ["stats"], "broker": config.broker_names, "producer": config.producer_names}
    names |= {"sender": senders, "run": ["run"]}
    row = {"role": "sender", "state": "", "age": 0.0, "interval": 1.0, "counters": {}, "gauges": {}}
    processes = [ProcessRow(role, name, 0, cpu_s=0.0, rss_max_bytes=0) for role in names for name in names[role]]
    answer = {"processes": [{**row, "name": name} for name in senders]}
    return make_report(answer, Course(config=config.to_json(), processes=processes)).to_json()


def _settled(config: MeshConfig, before: Before | None, place: Place | None) -> MeshConfig:
    """The configuration as it is run, with a seed. Raises UsageError for one that can't be."""
    config = ready(config, goes_on=before is not None)
    if config.seed is None:
        config = replace(config, seed=secrets.randbits(32))
    return replace(config, secure=True) if place is not None and place.secure else config


def _verbosity(verbose: int, detail_s: float) -> int:
    """How much its processes tell. Raises UsageError for what can't be."""
    if verbose < 0 or not detail_s >= 0:
        raise UsageError(f"verbose {verbose}, detail s {detail_s}: give 0, 1 or 2, and seconds from 0 on")
    return min(verbose, 2)


def _check_metrics(address: str, open_to_others: bool) -> str:
    """The address with a real port. Raises UsageError, before any process is started."""
    from zsms.dashboard.prometheus import check

    return check(address, open_to_others=open_to_others)


__all__ = ["Mesh", "MeshConfig", "SenderGroup", "ZsmsError", "config_from"]
