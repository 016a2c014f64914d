"""What a Dask worker does for a mesh: a role in a subprocess of it, with a line of its own to whoever runs the mesh.

    launcher  DEALER --CURVE--> DEALER of the task --pipes--> python -m zsms.cli.launched

The task is told public keys only: whose launcher it obeys. Where it listens, and with which key, it tells by an event
of the scheduler. What has to stay secret, the role's settings and keys, comes over that line. The subprocess ends with
its standard input: when the worker is gone, however that went, when it closes, when the task is cancelled, and when
nothing was heard from the launcher for `SILENCE_S`.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import zmq
from zmq.auth.thread import ThreadAuthenticator

from zsms.errors import ZsmsError
from zsms.launch.local import environment_of_roles

BEAT_S = 1.0
SILENCE_S = 8.0
"""So long neither end of the line is heard, and counts as gone."""
START_S = 30.0
_LOOK_S = 0.5
_END_S = 10.0
LISTEN_S = 10.0
_CLOSING = ("closing", "closing_gracefully", "closed", "failed")


class _Only:
    """Lets one key in."""

    def __init__(self, public: str) -> None:
        self._public = public.encode()

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether that is it (pyzmq's name)."""
        return key == self._public  # Z85, too


def run_role(token: str, topic: str, launcher: str) -> int:
    """The task: be a role until its end; its exit code. `launcher` is its public key, Z85."""
    from distributed import get_worker, secede

    secede()  # it takes no thread of the worker's: several roles may run on one
    worker = get_worker()
    task = worker.get_current_task()
    context = zmq.Context()
    gate = ThreadAuthenticator(context)
    gate.start()
    try:
        gate.configure_curve_callback("*", _Only(launcher))
        public, secret = zmq.curve_keypair()
        line: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        line.linger = 1_000
        line.curve_server, line.curve_publickey, line.curve_secretkey = True, public, secret
        host = worker.address.rpartition("://")[2].rpartition(":")[0]
        line.ipv6 = ":" in host
        port = line.bind_to_random_port(f"tcp://{host}")
        where = {"token": token, "address": f"tcp://{host}:{port}", "public": public.decode()}
        worker.log_event(topic, where)

        def wanted() -> bool:
            state = worker.state.tasks.get(task)
            closing = getattr(worker.status, "name", str(worker.status)) in _CLOSING
            return state is not None and state.state not in ("cancelled", "released", "forgotten") and not closing

        return _serve(line, wanted)
    finally:
        gate.stop()
        context.destroy(linger=1_000)


def _serve(line: zmq.Socket[bytes], wanted: Any) -> int:
    if not line.poll(int(START_S * 1_000)):
        return 1  # nobody has asked for it: a copy, perhaps, that the scheduler made of a task that runs already
    kind, *body = line.recv_multipart()
    if kind != b"start":
        return 1
    told = json.loads(body[0])
    popen = subprocess.Popen(
        [sys.executable, "-P", "-m", "zsms.cli.launched"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment_of_roles(),
        start_new_session=True,
    )
    try:
        return _Relay(line, popen, wanted).run(header(told["arguments"], told["keys"]))
    finally:
        if popen.poll() is None:
            popen.kill()
            popen.wait()


def header(arguments: list[str], keys: dict[str, str]) -> bytes:
    """What :mod:`zsms.cli.launched` reads first."""
    body = json.dumps({"arguments": arguments, "keys": keys}).encode()
    return b"%d\n%s" % (len(body), body)


class _Relay:
    """Between the line and the pipes of one process."""

    def __init__(self, line: zmq.Socket[bytes], popen: subprocess.Popen[bytes], wanted: Any) -> None:
        self._line, self._popen, self._wanted = line, popen, wanted
        assert popen.stdout is not None and popen.stderr is not None
        self._pipes = {popen.stdout.fileno(): b"out", popen.stderr.fileno(): b"err"}
        self._rests = dict.fromkeys(self._pipes, b"")
        self._kill_at: float | None = None

    def run(self, first: bytes) -> int:
        """Until it has ended and said everything; its exit code."""
        popen, poller = self._popen, zmq.Poller()
        self._write(first)
        self._say(b"pid", b"%d" % popen.pid)
        poller.register(self._line, zmq.POLLIN)
        for descriptor in self._pipes:
            poller.register(descriptor, zmq.POLLIN)
        heard = time.monotonic()
        beat_at = 0.0
        while popen.poll() is None or self._pipes:
            events = dict(poller.poll(int(_LOOK_S * 1_000)))
            now = time.monotonic()
            if self._line in events:
                heard = now
                self._obey()
            for descriptor in [descriptor for descriptor in self._pipes if descriptor in events]:
                if not self._read(descriptor):
                    poller.unregister(descriptor)
                    del self._pipes[descriptor]
            if now >= beat_at:
                beat_at = now + BEAT_S
                self._say(b"beat", json.dumps(self._cost()).encode())
            if now - heard > SILENCE_S or not self._wanted():
                self._leave(now)
            if self._kill_at is not None and now > self._kill_at:
                popen.kill()
        code = popen.wait()
        self._say(b"end", b"%d" % code)
        return code

    def _say(self, *parts: bytes) -> None:
        try:
            self._line.send_multipart(parts, zmq.NOBLOCK)
        except zmq.ZMQError:
            pass  # nobody listens any more

    def _obey(self) -> None:
        while self._line.poll(0):
            kind, *body = self._line.recv_multipart()
            if kind == b"order":
                self._write(body[0] + b"\n")
            elif kind == b"leave":
                self._leave(time.monotonic())
            elif kind == b"signal":
                self._popen.send_signal(int(body[0]))

    def _write(self, data: bytes) -> None:
        assert self._popen.stdin is not None
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._popen.stdin.fileno(), view) :]
        except (OSError, ValueError):
            pass  # it has ended, or was told to leave

    def _leave(self, now: float) -> None:
        assert self._popen.stdin is not None
        if self._kill_at is None:
            self._kill_at = now + _END_S
            try:
                self._popen.stdin.close()
            except OSError:
                pass

    def _read(self, descriptor: int) -> bool:
        data = os.read(descriptor, 65_536)
        *lines, self._rests[descriptor] = (self._rests[descriptor] + data).split(b"\n")
        for text in lines:
            self._say(self._pipes[descriptor], text)
        return bool(data)

    def _cost(self) -> dict[str, float]:
        try:
            process = psutil.Process(self._popen.pid)
            times = process.cpu_times()
            return {"cpu_s": times.user + times.system, "rss": process.memory_info().rss}
        except psutil.Error:
            return {}


def listen_a_while(dask_worker: Any) -> int:
    """A port of this worker's host on which connections are accepted for `LISTEN_S` from now on."""
    host = dask_worker.address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    listener.settimeout(LISTEN_S)
    port: int = listener.getsockname()[1]

    def accept() -> None:
        with listener:
            end = time.monotonic() + LISTEN_S
            while time.monotonic() < end:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

    threading.Thread(target=accept, daemon=True).start()
    return port


def free_port(dask_worker: Any) -> int:
    """A port of this worker's host that is free, as is the one above it."""
    host = dask_worker.address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    for _ in range(100):
        port = random.randrange(10_000, 32_000)  # below those that systems give to clients
        try:
            for number in (port, port + 1):
                socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        except OSError:
            continue
        return port
    raise OSError("no free port")


def probe(addresses: list[str], timeout: float) -> dict[str, str]:
    """Which of these (HOST:PORT) can't be reached from here, and why."""
    failed = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout).close()
        except OSError as error:
            failed[address] = error.strerror or str(error)
    return failed


def about() -> tuple[str, str, int]:
    """The version of zsms here, the host's name, and its processors."""
    import platform

    import zsms

    return zsms.__version__, platform.node(), os.cpu_count() or 1


def attempt(function: Callable[[Any], Any], value: Any) -> Any:
    """What it returns, or the ZsmsError that it raises: that is no reason to try again."""
    try:
        return function(value)
    except ZsmsError as error:
        return error
