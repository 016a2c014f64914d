"""What keeps a role on a worker's host: between a line to whoever runs the mesh and the role's pipes.

    launcher  DEALER --CURVE--> DEALER of the keeper --pipes--> python -m zsms.cli.launched

    python -m zsms.launch.keeper <<< JSON {"host", "launcher", "scheduler"}
                                  says JSON {"address", "public"} once it listens

It is told public keys only: whose launcher it obeys. What has to stay secret, the role's settings and keys, comes over
the line. The task that started it holds its standard input. When that ends, however it ends, the role ends; unless
the scheduler (HOST:PORT) is gone, too: workers close themselves without one, and the mesh ends its work without both.
A launcher that is not heard for `SILENCE_S` ends the role in any case.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import psutil
import zmq
from zmq.auth.thread import ThreadAuthenticator

from zsms.launch.local import environment_of_roles

BEAT_S = 1.0
SILENCE_S = 8.0
"""So long neither end of the line is heard, and counts as gone."""
START_S = 120.0
"""So long it waits to be asked for its role."""
_LOOK_S = 0.5
_END_S = 10.0
_REACH_S = 2.0


class _Only:
    """Lets one key in."""

    def __init__(self, public: str) -> None:
        self._public = public.encode()

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether that is it (pyzmq's name)."""
        return key == self._public  # Z85, too


def main() -> int:
    """Be the role's keeper until its end; 0, or 1 when nobody has asked for a role."""
    with open(0, "rb", buffering=0, closefd=False) as orders:  # a buffer would read on
        told = json.loads(orders.readline())
    host, launcher = told["host"], told["launcher"]
    context = zmq.Context()
    gate = ThreadAuthenticator(context)
    gate.start()
    try:
        gate.configure_curve_callback("*", _Only(launcher))
        public, secret = zmq.curve_keypair()
        line: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        line.linger = 1_000
        line.curve_server, line.curve_publickey, line.curve_secretkey = True, public, secret
        line.ipv6 = ":" in host
        port = line.bind_to_random_port(f"tcp://{host}")
        print(json.dumps({"address": f"tcp://{host}:{port}", "public": public.decode()}), flush=True)
        return _serve(line, told["scheduler"])
    finally:
        gate.stop()
        context.destroy(linger=1_000)


def _serve(line: zmq.Socket[bytes], scheduler: str) -> int:
    if not _is_asked(line, scheduler):
        return 1  # a copy, perhaps, that the scheduler made of a task that runs already; or its run was given up
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
        _Relay(line, popen, scheduler).run(header(told))
    finally:
        if popen.poll() is None:
            popen.kill()
            popen.wait()
    return 0


def _is_asked(line: zmq.Socket[bytes], scheduler: str) -> bool:
    """Whether it is asked for its role before its task ends, or while the scheduler is gone, too, in time."""
    until = time.monotonic() + START_S
    poller = zmq.Poller()
    poller.register(line, zmq.POLLIN)
    poller.register(0, zmq.POLLIN)
    while (left := until - time.monotonic()) > 0:
        events = dict(poller.poll(int(left * 1_000)))
        if line in events:
            return True
        if 0 in events and not os.read(0, 64):
            poller.unregister(0)
            if not probe([scheduler], _REACH_S):
                return False
    return False


def header(told: dict[str, Any]) -> bytes:
    """What :mod:`zsms.cli.launched` reads first."""
    body = json.dumps(told).encode()
    return b"%d\n%s" % (len(body), body)


def probe(addresses: list[str], timeout: float) -> dict[str, str]:
    """Which of these (HOST:PORT) can't be reached from here, and why."""
    failed = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout).close()
        except (OSError, UnicodeError) as error:
            failed[address] = getattr(error, "strerror", None) or str(error)
    return failed


class _Relay:
    """Between the line and the pipes of one process."""

    def __init__(self, line: zmq.Socket[bytes], popen: subprocess.Popen[bytes], scheduler: str) -> None:
        self._line, self._popen, self._scheduler = line, popen, scheduler
        assert popen.stdout is not None and popen.stderr is not None
        self._pipes = {popen.stdout.fileno(): b"out", popen.stderr.fileno(): b"err"}
        self._rests = dict.fromkeys(self._pipes, b"")
        self._kill_at: float | None = None
        self._why = b""
        """Why it was made to end, if nobody who runs the mesh asked for that."""

    def run(self, first: bytes) -> None:
        """Until the role has ended and said everything."""
        popen, poller = self._popen, zmq.Poller()
        self._write(first)
        self._send(b"pid", b"%d" % popen.pid)
        poller.register(self._line, zmq.POLLIN)
        for descriptor in (0, *self._pipes):
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
                self._send(b"beat", json.dumps(self._cost()).encode())
            if 0 in events and not os.read(0, 64):
                poller.unregister(0)
                if not probe([self._scheduler], _REACH_S):
                    self._why = b"is gone with its task or its worker"
                    self._leave(now)
            if now - heard > SILENCE_S:
                self._leave(now)
            if self._kill_at is not None and now > self._kill_at:
                popen.kill()
        self._send(b"end", b"%d" % popen.wait(), self._why)

    def _send(self, *parts: bytes) -> None:
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
            self._send(self._pipes[descriptor], text)
        return bool(data)

    def _cost(self) -> dict[str, float]:
        try:
            process = psutil.Process(self._popen.pid)
            times = process.cpu_times()
            return {"cpu_s": times.user + times.system, "rss": process.memory_info().rss}
        except psutil.Error:
            return {}


if __name__ == "__main__":
    sys.exit(main())
