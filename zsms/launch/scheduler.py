"""A Dask scheduler and its workers, asked with a patience that ends.

Dask's own calls wait for ever for a worker that is frozen, and for a scheduler whose host is gone without a word.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from zsms import extras
from zsms.errors import UsageError, ZsmsError
from zsms.launch.keeper import probe
from zsms.launch.worker import about, place_of
from zsms.words import many

CONNECT_S = 5.0
ANSWER_S = 10.0
_BEGIN_S = 60.0
_LOOK_S = 0.2
MOST_LOCAL = 256
_QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}
"""Dask's for workers of this machine: looking at its threads 100 times a second, and at its loop 50 times, takes each
process 3 to 6 % of a processor that the workers are to have.
"""
_SCHEMES = ("tcp", "tls", "ws", "wss", "ucx", "ucxx")
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:/@\[\]]+):(?P<port>[0-9]{1,5})")
_MISSING = re.compile(r"No module named '([\w.]+)'")
_VERSIONS = re.compile(r"^\| *([\w.-]+) *\| *([^|]*?) *\| *([^|]*?) *\| *([^|]*?) *\|$", re.MULTILINE)
_log = logging.getLogger("zsms.launch")
T = TypeVar("T")


def check(address: str) -> None:
    """Raises UsageError for what can't be a cluster."""
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise extras.missing(f"--cluster needs {error.name}", "cluster") from None
    scheme, colon, rest = address.partition(":")
    if scheme == "local":
        if not (colon and re.fullmatch("[0-9]{1,6}", rest) and 1 <= int(rest) <= MOST_LOCAL):
            raise UsageError(f"cluster {address}: write local:N, N workers from 1 to {MOST_LOCAL}")
        return
    scheme, _, rest = address.partition("://")
    found = _PLACE.fullmatch(rest)
    if scheme not in _SCHEMES or found is None or not 1 <= int(found["port"]) <= 65_535:
        raise UsageError(f"cluster {address}: write tcp://HOST:PORT of a Dask scheduler, or local:N")


def patiently(do: Callable[[], T], seconds: float, poll: Callable[[], None]) -> T:
    """What it returns or raises, in a thread of its own; `poll` is called all the time and may raise, too.

    Raises TimeoutError after so many seconds; it may go on all the same.
    """
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((do(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        poll()
        try:
            found, error = done.get(timeout=_LOOK_S)
        except queue.Empty:
            continue
        if error is not None:
            raise error
        return cast(T, found)
    raise TimeoutError(f"no answer within {seconds:g} s")


class Scheduler:
    """One, as its client."""

    def __init__(self, address: str, poll: Callable[[], None] = lambda: None, *, light: bool = False) -> None:
        """`address` is tcp://HOST:PORT, or local:N to begin one with N workers here, `light`: in this process, for what
        computes in others. `poll` is called while there is no answer, and may raise. Raises UsageError, ZsmsError.
        """
        check(address)
        self.address, self._poll = address, poll
        self._cluster: Any = None
        self.differs = ""
        """Versions that it, its workers and this process do not share, in words."""
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # of a scheduler that is gone they write tracebacks
        self.client = self._begin(light) if address.startswith("local:") else self._connect()

    def _begin(self, light: bool) -> Any:
        import dask
        from distributed import Client, LocalCluster

        settings = {"n_workers": int(self.address.partition(":")[2]), "threads_per_worker": 1, "processes": not light,
                    "protocol": "tcp://", "dashboard_address": None, "silence_logs": logging.ERROR,
                    "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}}  # fmt: skip
        try:
            with dask.config.set(_QUIET):
                self._cluster = patiently(partial(LocalCluster, **settings), _BEGIN_S, self._poll)
            return Client(self._cluster)
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise ZsmsError(f"no workers of this machine ({self.address}): {error}") from None

    def _connect(self) -> Any:
        from distributed import Client

        try:
            with warnings.catch_warnings(record=True) as told:  # of versions that differ, as a table
                warnings.simplefilter("always")
                client = patiently(partial(Client, self.address, timeout=CONNECT_S), CONNECT_S + 2, self._poll)
        except ZsmsError:
            raise
        except Exception as error:  # whatever it says there, and whatever of Dask's or tornado's comes of that
            raise ZsmsError(f"no Dask scheduler at {self.address}: {self._why_none(error)}") from None
        self.differs = "; ".join(filter(None, (_differing(str(each.message)) for each in told)))
        if self.differs:
            warnings.filterwarnings("ignore", "Mismatched versions")  # it would be told again, as a table
            _log.warning("the Dask cluster at %s has other versions: %s", self.address, self.differs)
        return client

    def _why_none(self, error: Exception) -> str:
        if isinstance(error, TypeError) and self.address.startswith(("tls:", "wss:")):
            return "its certificates are not known here: set Dask's distributed.comm.tls (docs.dask.org, TLS/SSL)"
        why = probe([place_of(self.address)], CONNECT_S)
        if why:
            return next(iter(why.values()))
        tls = ", or one with TLS (tls://)" if self.address.startswith("tcp:") else ""
        return f"something listens there, and is none{tls}, or of another version ({_words(error)})"

    @property
    def alive(self) -> bool:
        """Whether it is connected, as far as is known without asking."""
        return bool(self.client.status == "running")

    def workers(self) -> dict[str, dict[str, Any]]:
        """What it knows of each worker, by its address. Raises ZsmsError."""
        return dict(self._sync(self.client.scheduler.identity, ANSWER_S)["workers"])

    def _sync(self, function: Callable[[], Any], seconds: float) -> Any:
        """What a coroutine of the client's returns. Raises ZsmsError when it does not within so many seconds."""
        try:
            # Dask gives up by then, too: the thread of a question that nobody answers would stay for ever.
            return patiently(partial(self.client.sync, function, callback_timeout=seconds), seconds, self._poll)
        except ZsmsError:
            raise
        except Exception as error:  # one of another version may refuse how it is asked
            raise ZsmsError(f"the Dask scheduler at {self.address} does not answer: {_words(error)}") from None

    def ask(self, function: Callable[..., Any], workers: Iterable[str], *arguments: Any) -> dict[str, Any]:
        """What the function returns on each of these workers, beside their tasks, or the error that came instead.

        Raises ZsmsError when the scheduler does not answer.
        """
        names = list(workers)

        async def all_of_them() -> list[Any]:
            asked = (
                asyncio.wait_for(self.client._run(function, *arguments, workers=[name], on_error="return"), ANSWER_S)
                for name in names
            )
            return await asyncio.gather(*asked, return_exceptions=True)

        return {
            name: each.get(name, KeyError(name)) if isinstance(each, dict) else each
            for name, each in zip(names, self._sync(all_of_them, 2 * ANSWER_S), strict=True)
        }

    def hosts(self, workers: Iterable[str]) -> dict[str, str]:
        """The host's name of each of these workers. Raises ZsmsError for one that can't do what this process asks."""
        import zsms

        hosts = {}
        for worker, told in self.ask(about, workers).items():
            if isinstance(told, BaseException):
                # Dask makes an Exception of what its worker can't pickle, with the words of what it was.
                missing = _MISSING.search(str(told))
                if missing is not None:
                    raise ZsmsError(
                        f"the worker at {worker} has no {missing[1]}: install zsms {zsms.__version__} there"
                    )
                raise ZsmsError(f"the worker at {worker} does not answer: {_words(told)}")
            version, hosts[worker], _ = told
            if version != zsms.__version__:
                raise ZsmsError(f"the worker at {worker} has zsms {version}, this is {zsms.__version__}")
        return hosts

    def usable(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """What is known of each worker that takes tasks, and the host's name of each. Raises ZsmsError."""
        workers = self.workers()
        if why := self.why_idle(workers):
            raise ZsmsError(why)
        running = {name: each for name, each in workers.items() if _runs(each)}
        if others := len(workers) - len(running):
            _log.warning("%s of the Dask scheduler not used: %s", many(others, "worker"), _statuses(workers))
        return running, self.hosts(running)

    def why_idle(self, workers: Mapping[str, dict[str, Any]]) -> str:
        """Why none of these takes tasks; "" when one does."""
        if not workers:
            return f"the Dask scheduler at {self.address} has no workers: start some with `dask worker`"
        if not any(map(_runs, workers.values())):
            return f"no worker of the Dask scheduler at {self.address} takes tasks: {_statuses(workers)}"
        return ""

    def close(self) -> None:
        """Let go of it; of workers of this machine, end them."""
        for each in (getattr(self, "client", None), self._cluster):
            try:
                if each is not None:
                    each.close(timeout=5)
            except (OSError, RuntimeError) as error:
                _log.debug("closing: %s", error)


def _runs(worker: dict[str, Any]) -> bool:
    return bool(worker.get("status", "running") == "running")


def _statuses(workers: Mapping[str, dict[str, Any]]) -> str:
    """How those are that take no tasks."""
    return ", ".join(f"{name} is {each['status']}" for name, each in sorted(workers.items()) if not _runs(each))


def _differing(table: str) -> str:
    """What Dask's table of versions says, in a line."""
    rows = [row for row in _VERSIONS.findall(table) if row[0] != "Package"]
    return ", ".join(f"{name} {own} here, {of} in the scheduler, {there} in workers" for name, own, of, there in rows)


def _words(error: BaseException) -> str:
    """An error in a line; some of Dask's have no words."""
    return " ".join(str(error).split()) or type(error).__name__
