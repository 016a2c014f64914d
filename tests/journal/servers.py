"""Real NATS servers on this machine, and what happens to them; the fixture `servers` is three that all tests share.

Three are started once in a process of tests, each test has journals with names of their own, and after it they are
all there again.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from tests.mesh.hosts import Host
from tests.mesh.processes import free_port, until

PROGRAM = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
STARTS_S = 25.0


_names = itertools.count()


class Servers:
    """A cluster, in a `with` block."""

    def __init__(self, folder: Path, count: int = 3, hosts: Sequence[Host] = ()) -> None:
        """`hosts`: network namespaces, one for each of them, that this process can reach."""
        if PROGRAM is None:
            if os.environ.get("CI"):
                raise AssertionError("no nats-server: install zsms[test]")
            pytest.skip("no nats-server")
        self._folder = folder
        self.addresses = [host.ipv4 for host in hosts] or ["127.0.0.1"] * count
        self._inside = [host.inside for host in hosts] or [()] * count
        ports = [free_port() for _ in range(3 * count)]
        self.clients, self._routes, self.monitors = ports[:count], ports[count : 2 * count], ports[2 * count :]
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.processes = [self._start(index) for index in range(len(self.clients))]
        until(lambda: self.leader_of_all(), "a leader of the servers", STARTS_S)
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        at = self.addresses[index]
        routes = ", ".join(f"nats://{host}:{port}" for host, port in zip(self.addresses, self._routes, strict=True))
        config = self._folder / f"n{index}.conf"
        cluster = f'cluster {{ name: c, listen: "{at}:{self._routes[index]}", routes: [{routes}] }}'
        config.write_text(
            f'server_name: n{index}\nlisten: "{at}:{self.clients[index]}"\n'
            f'http: "{at}:{self.monitors[index]}"\n'
            f'jetstream {{ store_dir: "{self._folder}/n{index}", max_mem: 64MB, max_file: 8GB }}\n'
            + (cluster if len(self.clients) > 1 else "")
        )
        with (self._folder / f"n{index}.log").open("ab") as log:
            command = [*self._inside[index], str(PROGRAM), "-c", str(config)]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def journal(self) -> str:
        """The address of one that nobody has used."""
        return self.url(f"j{next(_names)}")

    @staticmethod
    def name_of(url: str) -> str:
        """The stream of a journal there."""
        return url.rpartition("/")[2].partition("?")[0]

    def url(self, name: str) -> str:
        """Of a journal there."""
        hosts = ",".join(f"{host}:{port}" for host, port in zip(self.addresses, self.clients, strict=True))
        return f"nats://{hosts}/{name}?monitor={','.join(map(str, self.monitors))}"

    def ask(self, index: int, what: str) -> dict[str, Any] | None:
        """What a server's monitoring says; None when it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://{self.addresses[index]}:{self.monitors[index]}/{what}", timeout=1
            ) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            return None

    def leader_of_all(self) -> str:
        """The name of the leader of JetStream as a whole; empty while there is none."""
        for index in range(len(self.clients)):
            found = self.ask(index, "jsz")
            if found and len(self.clients) == 1:
                return "n0"
            if found and found.get("meta_cluster", {}).get("leader"):
                return str(found["meta_cluster"]["leader"])
        return ""

    def leader(self, name: str) -> int:
        """Which server leads a stream."""

        def look() -> int | None:
            for index in range(len(self.clients)):
                for account in (self.ask(index, "jsz?streams=1") or {}).get("account_details", []):
                    for stream in account.get("stream_detail", []):
                        if stream["name"] == name and (leader := stream.get("cluster", {}).get("leader")):
                            return int(leader[1:]) + 1
            return None

        return until(look, f"a leader of {name}") - 1

    def size(self, name: str) -> int:
        """Bytes of a stream."""

        def sizes() -> list[int]:
            return [
                stream["state"]["bytes"]
                for index in range(len(self.clients))
                for account in (self.ask(index, "jsz?streams=1") or {}).get("account_details", [])
                for stream in account.get("stream_detail", [])
                if stream["name"] == name
            ]

        return max(until(sizes, f"the size of {name}"))

    def busiest(self) -> int:
        """The one with the most clients."""
        found = [self.ask(index, "connz") or {"num_connections": 0} for index in range(len(self.clients))]
        return max(range(len(found)), key=lambda index: int(found[index]["num_connections"]))

    def kill(self, index: int) -> None:
        """kill -9."""
        self.processes[index].kill()
        self.processes[index].wait()

    def freeze(self, index: int) -> None:
        """It stops where it is."""
        self.processes[index].send_signal(signal.SIGSTOP)

    def thaw(self, index: int) -> None:
        """It goes on."""
        self.processes[index].send_signal(signal.SIGCONT)

    def heal(self) -> None:
        """All are there again."""
        for index, process in enumerate(self.processes):
            if process.poll() is not None:
                self.processes[index] = self._start(index)
            else:
                self.thaw(index)
        deadline = time.monotonic() + STARTS_S
        while not all(self.ask(index, "healthz") for index in range(len(self.clients))):
            assert time.monotonic() < deadline, "the servers do not come back"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def _shared_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("nats")) as servers:
        yield servers


@pytest.fixture
def servers(_shared_servers: Servers) -> Iterator[Servers]:
    """Three."""
    yield _shared_servers
    _shared_servers.heal()
