"""What a Dask worker does for a mesh: a task starts a role's keeper (:mod:`zsms.launch.keeper`), and ends it.

Where the keeper listens, and with which key, the task tells by an event of the scheduler. The keeper, and the role with
it, ends with its standard input: when the worker is gone, when it is closed or retired, when the task is cancelled.
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
from hashlib import blake2b
from typing import Any

from zsms.errors import ZsmsError
from zsms.launch.local import environment_of_roles
from zsms.words import many

LISTEN_S = 10.0
_END = 2**20
_LOOK_S = 0.5
_CLOSING = ("closing", "closing_gracefully", "closed", "failed")


def run_role(token: str, topic: str, launcher: str) -> int:
    """The task: keep a role until its end; 0, or 1 when nobody asked for it. `launcher` is its public key, Z85."""
    from distributed import get_worker, secede

    secede()  # it takes no thread of the worker's: several roles may run on one
    worker, wanted = get_worker(), while_wanted()
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "zsms.launch.keeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment_of_roles(),
        start_new_session=True,
    )
    assert keeper.stdin is not None and keeper.stdout is not None
    with keeper.stdin as orders, keeper.stdout as said:
        told = {"host": host_of(worker.address), "launcher": launcher, "scheduler": place_of(worker.scheduler.address)}
        orders.write(json.dumps(told).encode() + b"\n")
        orders.flush()
        worker.log_event(topic, {"token": token, **json.loads(said.readline())})
        while keeper.poll() is None and wanted():
            time.sleep(_LOOK_S)
    return keeper.poll() or 0


def while_wanted() -> Callable[[], bool]:
    """Whether the task that calls this is still to go on, for later: Dask ends no task that has begun."""
    from distributed import get_worker

    worker = get_worker()
    task = worker.get_current_task()

    def wanted() -> bool:
        state = worker.state.tasks.get(task)
        closing = getattr(worker.status, "name", str(worker.status)) in _CLOSING
        return not (closing or state is None or state.state in ("cancelled", "released", "forgotten"))

    return wanted


def place_of(address: str) -> str:
    """HOST:PORT of an address of Dask's."""
    return address.rpartition("://")[2]


def host_of(address: str) -> str:
    """The host of an address of Dask's: what the others reach it by."""
    return place_of(address).rpartition(":")[0]


def listen_a_while(dask_worker: Any) -> int:
    """A port of this worker's host on which connections are accepted for `LISTEN_S` from now on."""
    host = host_of(dask_worker.address).strip("[]")
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
    host = host_of(dask_worker.address).strip("[]")
    for _ in range(100):
        port = random.randrange(10_000, 32_000)  # below those that systems give to clients
        try:
            for number in (port, port + 1):
                socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        except OSError:
            continue
        return port
    raise OSError("no free port")


def look_of(path: str) -> str:
    """What tells a file from another of that name: its length and a digest of its ends; or why it can't be read."""
    try:
        size = os.stat(path).st_size
        if not os.path.isfile(path):
            return "no file"
        with open(path, "rb") as file:
            digest = blake2b(file.read(_END), digest_size=8)
            file.seek(max(0, size - _END))
            digest.update(file.read(_END))
        return f"{many(size, 'octet')} with the digest {digest.hexdigest()}"
    except OSError as error:
        return error.strerror or str(error)


def about() -> tuple[str, str, int]:
    """The version of zsms here, the host's name, and its processors."""
    import platform

    import zsms

    return zsms.__version__, platform.node(), os.cpu_count() or 1


def attempt(function: Callable[..., Any], *values: Any) -> Any:
    """What it returns, or the ZsmsError that it raises: that is no reason to try again."""
    try:
        return function(*values)
    except ZsmsError as error:
        return error


def attempt_while_wanted(function: Callable[[Any, Callable[[], bool]], Any], value: Any) -> Any:
    """The same, of one that is to look whether it is wanted any more."""
    return attempt(function, value, while_wanted())
