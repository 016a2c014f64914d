"""Workers of a Dask cluster: each role is one task that is pinned to a worker, never tried again and never shared.

What a task does is in :mod:`zsms.launch.worker`. Dask starts it and says when a worker is gone; orders, last words and
secrets go over a line between this process and what the task started. The mesh's own sessions, leases and ledger stay
the truth: what the scheduler believes of a task is of no account once it runs, nor does the mesh need it any more.
"""

from __future__ import annotations

import json
import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zmq

from zsms.errors import Stopped, UsageError, ZsmsError
from zsms.launch.keeper import BEAT_S, SILENCE_S, probe
from zsms.launch.local import secrets_of
from zsms.launch.place import Child, Tell, Wanted
from zsms.launch.scheduler import Scheduler, check
from zsms.launch.spreading import Arrivals, Worker, spread
from zsms.launch.worker import free_port, host_of, listen_a_while, look_of, run_role
from zsms.options import checked

START_S = 30.0
"""So long a task may take to run, and a role to listen."""
_PROBE_S = 2.0
_LOOK_S = 0.5
_ENDED = ("lost", "error", "cancelled", "finished")
_KILLED = -9
_log = logging.getLogger("zsms.launch")


class ClusterChild(Child):
    """A role on a worker."""

    def __init__(self, place: Cluster, role: str, name: str, worker: str, tell: Tell) -> None:
        super().__init__(role, name, place.hosts[worker])
        self.worker = worker
        self.token = ""
        self.address: str | None = None
        self.gone = ""
        """Why it counts as ended although it never said so."""
        self.heard = time.monotonic()
        self.future: Any = None
        self._place, self._tell = place, tell
        self._ended = threading.Event()
        self.listening = threading.Event()

    def took(self, parts: list[bytes]) -> None:
        """It has said that; called in the line's thread."""
        self.heard = time.monotonic()
        kind, body = parts[0], parts[1] if len(parts) > 1 else b""
        if kind == b"pid":
            self.pid = int(body)
            _log.info("%s: pid %d on %s, the worker at %s", self.name, self.pid, self.host, self.worker)
        elif kind == b"err":
            self.handle(self._tell(body))
        elif kind == b"out" and self.address is None:
            self.address = body.decode("ascii", "replace").strip()
            self.listening.set()
        elif kind == b"beat":
            cost = json.loads(body)
            self.cpu_s, self.rss_max = cost.get("cpu_s", self.cpu_s), max(self.rss_max, int(cost.get("rss", 0)))
        elif kind == b"end":
            self.end(int(body), parts[2].decode() if len(parts) > 2 else "")

    def end(self, code: int, why: str) -> None:
        """It has ended, as far as can be known."""
        if self.returncode is None:
            self.returncode, self.gone = code, why
            self._ended.set()
            self.listening.set()

    def poll(self) -> int | None:
        """As of :class:`Child`."""
        return self.returncode

    def wait(self, timeout: float) -> int:
        """As of :class:`Child`."""
        if not self._ended.wait(timeout):
            raise TimeoutError
        assert self.returncode is not None
        return self.returncode

    def order(self, what: str) -> bool:
        """As of :class:`Child`."""
        return self._place.send(self, b"order", what.encode())

    def leave(self) -> None:
        """As of :class:`Child`."""
        self._place.send(self, b"leave")

    def terminate(self) -> None:
        """As of :class:`Child`."""
        self._place.send(self, b"signal", b"15")

    def kill(self) -> None:
        """As of :class:`Child`."""
        self._place.send(self, b"signal", b"9")
        if not self._ended.wait(3.0):
            self.end(_KILLED, "did not say that it was killed")

    def ending(self) -> str:
        """As of :class:`Child`."""
        return f"{self.name} (pid {self.pid} on {self.host}) {self.gone}" if self.gone else super().ending()


class Cluster:
    """A :class:`zsms.launch.place.Place` on Dask."""

    secure = True

    @checked
    def __init__(self, address: str, *, adaptive: bool = False) -> None:
        """`address` is a scheduler's (tcp://HOST:PORT), or local:N for N workers of this machine; `adaptive`: workers
        that come late are used. Raises UsageError.
        """
        check(address)
        self.asked: Callable[[], int] = int
        self._address, self._adaptive = address, adaptive
        self._coming: list[str] = []
        """Names of roles that are to run on workers that came late, and are not ready yet."""
        self.hosts: dict[str, str] = {}
        """The host's name of each worker, by its address."""
        self._scheduler: Scheduler | None = None
        self._there: dict[str, dict[str, Any]] = {}
        """What the scheduler last said of each worker that it has."""
        self._to_cancel: queue.SimpleQueue[Any] = queue.SimpleQueue()
        """Tasks that would wait for ever for a worker that is gone."""
        self._spread: dict[str, str] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self._children: dict[str, ClusterChild] = {}
        self._ready: dict[str, tuple[str, Any]] = {}
        """Token and task of roles that may be started, by name."""
        self._topic = f"zsms-{secrets.token_hex(8)}"
        self._public, self._secret = zmq.curve_keypair()
        self._context = zmq.Context()
        self._todo: queue.SimpleQueue[tuple[ClusterChild, tuple[bytes, ...]]] = queue.SimpleQueue()
        self._where: dict[str, dict[str, Any]] = {}
        self._came = threading.Condition()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._over = threading.Event()
        self._starting = True
        self._alone = False
        """The scheduler is gone."""
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)

    # -- opening ----------------------------------------------------------------------------------------------------

    def open(self, roles: Sequence[Wanted], keys: Path | None) -> None:
        """As of :class:`zsms.launch.place.Place`."""
        scheduler = self._scheduler = Scheduler(self._address, self._go_on)
        self._there, self.hosts = scheduler.usable()
        self._arrivals = Arrivals(self.hosts)
        having = {
            address: Worker(max(1, found["nthreads"]), frozenset(found.get("resources") or ()))
            for address, found in self._there.items()
        }
        self._spread = spread(roles, having)
        _check_files(roles, self._spread, self._ask)
        _check_ways(roles, self._spread, self.hosts, self._ask)
        if keys is not None:
            self._keys = _keys_of(keys)
        scheduler.client.subscribe_topic(self._topic, self._listens)
        self._thread.start()
        threading.Thread(target=self._keep_looking, name="scheduler", daemon=True).start()
        self._ready = {role.name: self._keep(role.name) for role in roles}  # all at once: each takes a while to begin

    @property
    def _dask(self) -> Scheduler:
        assert self._scheduler is not None, "not open"
        return self._scheduler

    def _ask(self, function: Callable[..., Any], workers: Iterable[str], *arguments: Any) -> dict[str, Any]:
        """What it returns on each of these. Raises ZsmsError."""
        found = self._dask.ask(function, sorted(workers), *arguments)
        for worker, told in found.items():
            if isinstance(told, BaseException):
                raise ZsmsError(f"the worker at {worker} ({self.hosts[worker]}) is no use: {told!r}")
        return found

    def _listens(self, event: Any) -> None:
        """A task says where it listens."""
        where = event[1]
        with self._came:
            self._where.setdefault(where.get("token", ""), where)  # a second copy of a task is never spoken to
            self._came.notify_all()

    # -- starting ---------------------------------------------------------------------------------------------------

    def bind(self, name: str, *, known: bool = False) -> str:
        """As of :class:`zsms.launch.place.Place`: any port of its worker's host, or one that is free there now."""
        worker = self._spread[name]
        port = self._ask(free_port, [worker])[worker] if known else 0
        return f"tcp://{host_of(worker)}:{port}"

    def start(self, role: str, name: str, options: Sequence[str], tell: Tell, keep: Sequence[int] = ()) -> ClusterChild:
        """As of :class:`zsms.launch.place.Place`."""
        if keep:
            raise UsageError("a worker can't read this process's input: give a file that is there, too")
        worker = self._spread[name]
        child = ClusterChild(self, role, name, worker, tell)
        child.token, child.future = self._ready.pop(name) if name in self._ready else self._keep(name)
        self._await_keeper(child)
        self._children[child.token] = child
        settings = {
            "arguments": [role, "--name", name, "--exit-with-parent", *options],
            "keys": self._keys.get(role, {}),
            "environment": secrets_of(role),
        }
        self.send(child, b"start", json.dumps(settings).encode())
        return child

    def _go_on(self) -> None:
        if self._starting and self.asked():
            raise Stopped("stopped before all of it had begun")

    def _await_keeper(self, child: ClusterChild) -> None:
        """Until its task tells where it listens. Raises ZsmsError when it does not, and says why."""
        until, where = time.monotonic() + START_S, f"{child.name}: the worker at {child.worker} ({child.host})"
        while True:
            with self._came:
                if self._came.wait_for(lambda: child.token in self._where, _LOOK_S):
                    return
            self._go_on()
            if child.future.status in _ENDED:
                why = f"; versions differ: {self._dask.differs}" if self._dask.differs else ""
                raise ZsmsError(f"{where} could not begin: {_of_task(child.future)}{why}")
            if self._is_gone(child.worker):
                raise ZsmsError(f"{where} has left before it began")
            if time.monotonic() > until:
                self._to_cancel.put(child.future)
                raise ZsmsError(f"{where} has not begun within {START_S:.0f} s: it may be busy with other tasks")

    def _keep(self, name: str) -> tuple[str, Any]:
        """Have a role kept by its worker, once it is asked for by that token."""
        token = secrets.token_hex(8)
        future = self._dask.client.submit(
            run_role,
            token,
            self._topic,
            self._public.decode(),
            key=f"zsms-{name}-{token}",
            workers=[self._spread[name]],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        return token, future

    def address(self, child: Child) -> str:
        """As of :class:`zsms.launch.place.Place`."""
        assert isinstance(child, ClusterChild)
        until = time.monotonic() + START_S
        while not child.listening.wait(_LOOK_S) and time.monotonic() < until:
            self._go_on()
        if child.address is None:
            last = child.said[-1] if child.said else _of_task(child.future)
            raise ZsmsError(f"{child.name} on {child.host} does not listen: {last}")
        return child.address

    def latecomers(self, wanted: Callable[[frozenset[str]], str | None]) -> list[str]:
        """As of :class:`zsms.launch.place.Place`."""
        self._starting = False  # it is watched
        if not self._adaptive or not self._dask.alive:
            return []
        for worker, found in self._arrivals.new(self._there).items():
            try:
                self.hosts |= self._dask.hosts([worker])
            except ZsmsError as error:
                _log.warning("not used: %s", error)
                continue
            name = wanted(frozenset(found.get("resources") or ()))
            if name is not None:
                self._spread[name] = worker
                self._ready[name] = self._keep(name)
                self._coming.append(name)
        ready = [name for name in self._coming if self._ready[name][0] in self._where]
        self._coming = [name for name in self._coming if name not in ready and not self._is_lost(name)]
        return ready

    def _is_lost(self, name: str) -> bool:
        """Whether nothing comes of a role any more that was to run on a worker that came late; why is told."""
        future, worker = self._ready[name][1], self._spread[name]
        gone = self._is_gone(worker)
        if gone or future.status in _ENDED:
            why = "it has left" if gone else _of_task(future)
            _log.warning("%s does not join: the worker at %s (%s): %s", name, worker, self.hosts[worker], why)
            self._to_cancel.put(future)
            del self._ready[name]
            return True
        return False

    # -- the lines --------------------------------------------------------------------------------------------------

    def send(self, child: ClusterChild, *parts: bytes) -> bool:
        """Tell its task something; whether it was still there. From any thread, and from a signal handler."""
        if child.returncode is not None:
            return False
        self._todo.put((child, parts))
        try:
            self._wake_in.send(b"\0")
        except OSError:
            pass  # it is awake
        return True

    def _run(self) -> None:
        lines: dict[zmq.Socket[bytes], ClusterChild] = {}
        of: dict[str, zmq.Socket[bytes]] = {}
        poller = zmq.Poller()
        poller.register(self._wake_out.fileno(), zmq.POLLIN)
        beat_at = 0.0
        while not self._over.is_set() or not self._todo.empty():
            events = dict(poller.poll(int(BEAT_S * 500)))
            if self._wake_out.fileno() in events:
                self._wake_out.recv(4_096)
            while not self._todo.empty():
                child, parts = self._todo.get()
                if child.token not in of:
                    line = of[child.token] = self._connect(child)
                    lines[line] = child
                    poller.register(line, zmq.POLLIN)
                try:
                    of[child.token].send_multipart(parts, zmq.NOBLOCK)
                except zmq.Again:
                    pass  # it is refused or gone, which is seen by its silence
            for line, child in lines.items():
                while line in events and line.poll(0):
                    child.took(line.recv_multipart())
            now = time.monotonic()
            if now >= beat_at:
                beat_at = now + BEAT_S
                for line, child in lines.items():
                    self._poll(line, child, now)
                if not self._alone and self._dask.client.status not in ("running", "closing", "closed"):
                    self._alone = True
                    _log.warning("the Dask scheduler at %s is gone; the mesh goes on without it", self._address)
        self._context.destroy(linger=500)

    def _connect(self, child: ClusterChild) -> zmq.Socket[bytes]:
        where = self._where[child.token]
        line: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        line.curve_serverkey = where["public"].encode()
        line.curve_publickey, line.curve_secretkey = self._public, self._secret
        line.ipv6 = "[" in where["address"]
        line.connect(where["address"])
        child.heard = time.monotonic()
        return line

    def _poll(self, line: zmq.Socket[bytes], child: ClusterChild, now: float) -> None:
        """Let it hear that we are here, and see whether it is."""
        if child.returncode is not None:
            return
        try:
            line.send(b"beat", zmq.NOBLOCK)
        except zmq.Again:
            pass
        silent = now - child.heard
        if silent > SILENCE_S:
            child.end(_KILLED, f"was not heard for {silent:.0f} s; its worker is gone, or can't be reached")
        elif silent > 2 * BEAT_S and child.future.status in _ENDED:
            child.end(_KILLED, f"is gone with its task, which is {child.future.status}")
        elif silent > 2 * BEAT_S and self._is_gone(child.worker):
            child.end(_KILLED, f"is gone with its worker at {child.worker}")
        if child.poll() is not None:
            self._to_cancel.put(child.future)

    def _is_gone(self, worker: str) -> bool:
        """Whether the scheduler, if there is one, knows this worker no longer."""
        return self._dask.alive and worker not in self._there

    def _keep_looking(self) -> None:
        """Ask the scheduler which workers it has, and cancel tasks; it may never answer, so nobody waits for this."""
        while not self._over.wait(BEAT_S):
            try:
                if self._dask.alive:
                    self._there = self._dask.workers()
                while self._dask.alive and not self._to_cancel.empty():
                    self._to_cancel.get().cancel()
            except (OSError, RuntimeError, ZsmsError) as error:
                _log.debug("the scheduler: %s", error)

    def close(self) -> None:
        """As of :class:`zsms.launch.place.Place`."""
        for child in self._children.values():
            child.leave()
        self._over.set()
        try:
            self._wake_in.send(b"\0")
        except OSError:
            pass
        if self._thread.ident is not None:
            self._thread.join(5.0)
        if self._scheduler is not None:
            self._scheduler.close()  # what tasks of its are left are cancelled with it
        self._wake_in.close()
        self._wake_out.close()


def _of_task(future: Any) -> str:
    """How a task is, in words, and why if it failed."""
    return f"its task is {future.status}" + (f": {future.exception()!r}" if future.status == "error" else "")


def _check_files(roles: Sequence[Wanted], spread: Mapping[str, str], ask: Callable[..., dict[str, Any]]) -> None:
    """See that what is read by workers is what is here. Raises ZsmsError."""
    for path in {role.reads for role in roles if role.reads is not None}:
        own = look_of(path)
        for worker, found in ask(look_of, {spread[role.name] for role in roles if role.reads == path}, path).items():
            if found != own:
                raise ZsmsError(
                    f"{path} is another file for the worker at {worker}, which is to read it: {found} there, {own} here"
                )


def _check_ways(
    roles: Sequence[Wanted], spread: Mapping[str, str], hosts: Mapping[str, str], ask: Callable[..., dict[str, Any]]
) -> None:
    """See that everybody reaches the workers on which somebody will listen. Raises ZsmsError."""
    listening = ask(listen_a_while, {spread[role.name] for role in roles if role.role in ("stats", "broker")})
    addresses = {worker: f"{host_of(worker)}:{port}" for worker, port in listening.items()}
    found = ask(probe, set(spread.values()), sorted(addresses.values()), _PROBE_S)
    for worker, failed in [("", probe(sorted(addresses.values()), _PROBE_S)), *found.items()]:
        for address, why in failed.items():
            to = next(worker for worker, where in addresses.items() if where == address)
            who = f"the worker at {worker} ({hosts[worker]})" if worker else "this process"
            raise ZsmsError(
                f"{who} can't reach {address} ({why}), a port of the worker at {to} ({hosts[to]}): workers have to "
                "reach one another, and this process has to reach them, on any port from 1024 on; look at firewalls, "
                "and at the workers' --host"
            )


def _keys_of(folder: Path) -> dict[str, dict[str, str]]:
    """What each role gets of the mesh's keys: its own, and the public ones."""
    public = {f"public/{path.name}": path.read_text() for path in (folder / "public").iterdir()}
    return {path.stem: {path.name: path.read_text(), **public} for path in folder.glob("*.key")}
