"""Hosts that are network namespaces, joined by a bridge: each with its own addresses and nothing else.

hub   10.x.y.1   fd..::1, and the bridge
..    10.x.y.2   fd..::2
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


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


@contextmanager
def namespaces(count: int) -> Iterator[list[Host]]:
    """So many, the hub first; the test skips where there can be none."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    tag = secrets.token_hex(3)
    net4, net6 = (
        f"10.{random.randrange(256)}.{random.randrange(256)}",
        f"fd{tag[:2]}:{tag[2:]}::"[:10].rstrip(":") + "::",
    )
    made = [Host(f"zsms-{tag}-{i}", f"{net4}.{i}", f"{net6}{i}") for i in range(1, count + 1)]
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
        for host, device in zip(made, ["bridge", *["uplink"] * (count - 1)], strict=True):
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
