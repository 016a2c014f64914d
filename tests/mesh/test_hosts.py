"""Roles on several hosts: three network namespaces joined by a bridge, each with its own addresses and nothing else.

hub   broker, stats          10.x.y.1   fd..::1
..a   producer               10.x.y.2   fd..::2
..b   sender                 10.x.y.3   fd..::3
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM
from typing import Any

import psutil
import pytest

from tests.mesh.hosts import Host, ip, namespaces
from tests.mesh.processes import Command, line_with, until, zsms
from zsms.security.keys import make


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    with namespaces(3) as made:
        yield made


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


# -- faults of the network ---------------------------------------------------------------------------------------


class Far:
    """A collector and a broker at the hub, a producer on the second host and a sender on the third."""

    def __init__(self, stack: ExitStack, hosts: list[Host], *, messages: int, mean: float, **options: object) -> None:
        self._stack = stack
        self.hub, self.second, self.third = hosts
        self.peer = ("--broker", self.hub.ipv4, "--stats", self.hub.ipv4, "--stats-interval", 0.1)
        self.start(self.hub, "stats", "--bind", self.hub.ipv4, "--insecure")
        limits = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        at = ("--bind", self.hub.ipv4, "--insecure", "--stats", self.hub.ipv4, "--stats-interval", 0.1)
        self.broker = self.start(self.hub, "broker", *at, "--liveness", 1, *limits)
        self.sender = self.start(
            *(self.third, "sender", "--name", "far", *self.peer, "--concurrency", 200, "--mean", mean)
        )
        self.broker.wait_for("sender joined: far")
        self.producer = self.start(
            *(self.second, "producer", *self.peer, "--messages", messages, "--window", 20_000, "--batch", 1_000)
        )
        watch = ("monitor", "--stats", self.hub.ipv4, "--until-done", "--interval", 0.1, "--json")
        self.watch = self.start(self.hub, *watch)

    def start(self, host: Host, *arguments: object) -> Command:
        return self._stack.enter_context(Command(*arguments, prefix=host.inside))

    @property
    def figures(self) -> dict[str, Any]:
        """The last view of the monitor."""
        lines = [line for line in self.watch.out.splitlines() if line.endswith("}")]
        last: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return last

    def when(self, true: Callable[[dict[str, Any]], bool], what: str) -> None:
        until(lambda: bool(self.figures) and true(self.figures), what)

    def link(self, state: str) -> None:
        """The cable of the third host: up or down."""
        ip("-n", self.hub.name, "link", "set", "to3", state)


@pytest.fixture
def far(hosts: list[Host]) -> Iterator[Callable[..., Far]]:
    with ExitStack() as stack:
        yield lambda **options: Far(stack, hosts, **options)
        ip("-n", hosts[0].name, "link", "set", "to3", "up")


def test_what_is_sent_on_both_sides_of_a_partition_counts_once(far: Callable[..., Far]) -> None:
    """Row 21: the far sender finishes what it holds while others are given the same; then the cable is mended."""
    mesh = far(messages=4_000, mean=0.3)
    mesh.when(lambda now: now["in_flight"] >= 200, "a busy sender")
    mesh.start(mesh.hub, "sender", "--name", "near", *mesh.peer, "--concurrency", 200, "--mean", 0.1)
    mesh.link("down")
    held = int(mesh.broker.wait_for(r"sender lost: far, (\d+) messages").group(1))
    before = mesh.figures["sent"]
    mesh.when(lambda now: now["sent"] > before + held, "the near one to send more than the far one held")
    mesh.link("up")
    mesh.sender.wait_for("the broker gave this sender up")
    assert mesh.watch.end() == 0, mesh.watch.err
    last = mesh.figures
    assert last["sent"] == last["produced"] == 4_000 and last["balanced"] is True
    assert last["redelivered"] >= held >= 200
    assert last["duplicates"] > 0  # what the far one had sent in the meantime, and nobody counted


def test_a_sender_that_died_behind_a_dead_cable_is_found_in_its_liveness_time(far: Callable[..., Far]) -> None:
    """Row 22: nothing says goodbye on a half-open connection, neither TCP nor the process."""
    mesh = far(messages=3_000, mean=0.3)
    mesh.when(lambda now: now["in_flight"] >= 200, "a busy sender")
    mesh.link("down")
    mesh.sender.popen.kill()
    mesh.sender.end()
    # So that the dead one's system gives up saying so before the cable is mended.
    silent_until = time.monotonic() + 0.3
    until(lambda: time.monotonic() > silent_until, "a moment")
    mesh.link("up")
    mesh.broker.wait_for(r"sender lost: far, [1-9]\d* messages")  # no system gives a connection up so soon
    mesh.start(mesh.hub, "sender", "--name", "near", *mesh.peer, "--concurrency", 500, "--mean", 0.1)
    assert mesh.watch.end() == 0, mesh.watch.err
    last = mesh.figures
    assert last["sent"] == last["produced"] == 3_000 and last["balanced"] is True and last["redelivered"] >= 200


def test_memory_stays_bounded_when_the_way_to_a_sender_becomes_narrow(far: Callable[..., Far]) -> None:
    """Row 23: 1 Mbit/s, about a thousand messages a second; the pressure reaches the producer, which makes no more."""
    mesh = far(messages=10**9, mean=0.01, max_messages=20_000)
    mesh.when(lambda now: now["sent"] > 2_000, "messages on the way")
    narrow = ("tc", "-n", mesh.hub.name, "qdisc")
    limit = ("rate", "1mbit", "burst", "16kb", "latency", "400ms")
    subprocess.run([*narrow, "add", "dev", "to3", "root", "tbf", *limit], check=True, capture_output=True)
    try:
        processes = [psutil.Process(command.popen.pid) for command in (mesh.broker, mesh.producer, mesh.sender)]

        def narrow_now() -> bool:
            before, at = mesh.figures["sent"], time.monotonic()
            until(lambda: time.monotonic() > at + 1, "a second")
            return 0 < mesh.figures["sent"] - before < 5_000

        until(narrow_now, "a slow way")
        began = [process.memory_info().rss for process in processes]
        end = time.monotonic() + 3
        while time.monotonic() < end:
            now = mesh.figures
            held = now["produced"] - now["sent"]
            assert held <= 20_000 + 16 * 1_000 + 20_000 + 1_000 + 1_000, now  # queue and one read, window, slots
        grown = [process.memory_info().rss - rss for process, rss in zip(processes, began, strict=True)]
        assert max(grown) < 16 * 2**20, grown
    finally:
        subprocess.run([*narrow, "del", "dev", "to3", "root"], check=True, capture_output=True)
    before = mesh.figures["sent"]
    mesh.when(lambda now: now["sent"] > before + 20_000, "the old pace")
