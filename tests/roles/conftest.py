"""Roles that a test starts are ended after it, and what went wrong in their threads fails it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.roles.peers import FakeBroker, RawPeer
from tests.roles.waiting import DEADLINE_S
from zsms.roles.base import Role

AnyRole = TypeVar("AnyRole", bound=Role)


@pytest.fixture
def address(tmp_path: Path) -> Callable[[], str]:
    """Addresses that nobody else has, and that can be bound again: port numbers would be raced for."""
    numbers = count(1)
    return lambda: f"ipc://{tmp_path}/{next(numbers)}"


@pytest.fixture
def run() -> Iterator[Callable[[AnyRole], AnyRole]]:
    """Starts a role in a thread of its own; what is still running at the end of the test has to leave at once."""
    started: list[Role] = []

    def start(role: AnyRole) -> AnyRole:
        started.append(role.start())
        return role

    yield start
    for role in reversed(started):
        role.stop()
        role.stop()
        assert role.join(DEADLINE_S), f"{role.name} does not leave"


@pytest.fixture
def raw() -> Iterator[Callable[..., RawPeer]]:
    """Makes raw sockets: ``raw(zmq.DEALER, url)``."""
    made: list[RawPeer] = []

    def make(kind: int, url: str, **how: Any) -> RawPeer:
        made.append(RawPeer(kind, url, **how))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture
def fake_broker(address: Callable[[], str]) -> Iterator[FakeBroker]:
    broker = FakeBroker(address())
    yield broker
    broker.close()
