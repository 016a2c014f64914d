"""Roles on several hosts: three network namespaces joined by a bridge, each with its own addresses and nothing else.

hub   broker, stats          10.x.y.1   fd..::1
..a   producer               10.x.y.2   fd..::2
..b   sender                 10.x.y.3   fd..::3
"""

from __future__ import annotations

import os
import random
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.mesh.processes import Command, line_with, until, zsms
from zsms.keys import make


def ip(*arguments: str) -> None:
    """Run `ip`, which says what was wrong."""
    done = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def why_not() -> str | None:
    """Why this machine can't have network namespaces, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need the command `ip` (Debian package iproute2)"
    name = f"zsms-{secrets.token_hex(3)}"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except AssertionError as error:
        return f"network namespaces don't work here: {error}"
    return None


@dataclass
class Host:
    """A network namespace."""

    name: str
    ipv4: str
    ipv6: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What makes a command run there."""
        return ("ip", "netns", "exec", self.name)


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    tag = secrets.token_hex(3)
    net4, net6 = (
        f"10.{random.randrange(256)}.{random.randrange(256)}",
        f"fd{tag[:2]}:{tag[2:]}::"[:10].rstrip(":") + "::",
    )
    made = [Host(f"zsms-{tag}-{i}", f"{net4}.{i}", f"{net6}{i}") for i in (1, 2, 3)]
    hub = made[0].name
    files: list[Path] = []
    try:
        # The bridge lives in the first namespace, so that nothing of this shows up on the machine itself.
        for host in made:
            ip("netns", "add", host.name)
            ip("-n", host.name, "link", "set", "lo", "up")
        ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", hub, "link", "set", "bridge", "up")
        for i, host in enumerate(made[1:], 2):
            ip("-n", hub, "link", "add", f"to{i}", "type", "veth", "peer", "name", "uplink", "netns", host.name)
            ip("-n", hub, "link", "set", f"to{i}", "master", "bridge", "up")
            ip("-n", host.name, "link", "set", "uplink", "up")
        for host, device in zip(made, ("bridge", "uplink", "uplink"), strict=True):
            ip("-n", host.name, "address", "add", f"{host.ipv4}/24", "dev", device)
            ip("-n", host.name, "address", "add", f"{host.ipv6}/64", "dev", device, "nodad")
            # `ip netns exec` puts this over /etc/hosts.
            file = Path(f"/etc/netns/{host.name}/hosts")
            file.parent.mkdir(parents=True)
            files.append(file)
            file.write_text(f"{made[0].ipv4} hub4.test\n{made[0].ipv6} hub6.test\n127.0.0.1 localhost\n")
        yield made
    finally:
        for host in made:
            subprocess.run(("ip", "netns", "del", host.name), capture_output=True, check=False)
        for file in files:
            shutil.rmtree(file.parent)
        if files and not any(files[0].parent.parent.iterdir()):
            files[0].parent.parent.rmdir()


@pytest.mark.parametrize("how", ["IPv4", "IPv6", "IPv4 and IPv6", "names"])
@pytest.mark.parametrize("secure", [False, True], ids=["insecure", "keys"])
def test_a_mesh_over_three_hosts(hosts: list[Host], how: str, secure: bool, tmp_path: Path) -> None:
    hub, second, third = hosts
    v4, v6 = hub.ipv4, f"[{hub.ipv6}]"
    bind, at_second, at_third = {
        "IPv4": (v4, v4, v4),
        "IPv6": (v6, v6, v6),
        "IPv4 and IPv6": ("[::]", v4, v6),
        "names": ("[::]", "hub4.test", "hub6.test"),
    }[how]
    broker, stats = ":5555", ":5557"  # nobody else is in these namespaces

    listening: tuple[object, ...] = ("--insecure",)
    keys: tuple[object, ...] = ()
    if secure:
        for role in ("broker", "stats", "producer", "sender", "monitor"):
            make(tmp_path / "keys", role, [role])
        listening = keys = ("--keys", tmp_path / "keys")

    def peer(host: str) -> tuple[object, ...]:
        return ("--broker", host + broker, "--stats", f"tcp://{host}{stats}", "--stats-interval", 0.1, *keys)

    with ExitStack() as stack:

        def start(host: Host, *arguments: object) -> Command:
            return stack.enter_context(Command(*arguments, prefix=host.inside))

        sender = start(third, "sender", *peer(at_third), "--concurrency", 500, "--mean", 0.1)
        producer = start(second, "producer", *peer(at_second), "--messages", 3000)
        collector = start(hub, "stats", "--bind", bind + stats, *listening)
        balancer = start(hub, "broker", "--bind", bind + broker, "--stats", at_second + stats, *listening)
        watch = ("monitor", "--stats", at_third + stats, "--until-done", "--interval", 0.2, *keys)
        monitor = zsms(*watch, prefix=third.inside)
        assert monitor.returncode == 0, monitor.stderr
        assert re.match(line_with(sent="3,000"), monitor.stderr.splitlines()[-1])
        assert producer.end() == 0
        for process in (sender, balancer, collector):
            process.signal(SIGTERM)
            assert process.end() == 0, process.err


def test_a_broker_that_is_cut_off_is_reached_again(hosts: list[Host]) -> None:
    hub, second, third = hosts
    with ExitStack() as stack:

        def start(host: Host, *arguments: object) -> Command:
            return stack.enter_context(Command(*arguments, prefix=host.inside))

        peer = ("--broker", hub.ipv4, "--stats", hub.ipv4, "--stats-interval", 0.1)
        start(hub, "stats", "--bind", hub.ipv4, "--insecure")
        balancer = start(hub, "broker", "--bind", hub.ipv4, "--stats", hub.ipv4, "--liveness", 1, "--insecure")
        start(third, "sender", "--name", "far", *peer, "--concurrency", 200, "--mean", 0.2)
        balancer.wait_for("sender joined: far")
        start(second, "producer", *peer, "--messages", 5000)
        watch = stack.enter_context(
            Command("monitor", "--stats", hub.ipv4, "--until-done", "--interval", 0.1, "--json", prefix=hub.inside)
        )
        until(lambda: '"in_flight": 2' in watch.out, "a busy sender")
        ip("-n", hub.name, "link", "set", "to3", "down")
        try:
            balancer.wait_for("sender lost: far, [1-9]")
        finally:
            ip("-n", hub.name, "link", "set", "to3", "up")
        # Far away it has sent what it held, but the broker could not know: these come a second time.
        assert watch.end() == 0, watch.err
        last = watch.out.splitlines()[-1]
        assert '"sent": 5000' in last and '"balanced": true' in last
