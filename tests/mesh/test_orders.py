"""What a mesh tells its processes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from zsms.errors import UsageError
from zsms.launch.mesh import Mesh, MeshConfig


def test_a_new_rate_is_divided_among_the_producers() -> None:
    mesh = Mesh(MeshConfig(messages=10, producers=3, rate=30.0))
    told: list[tuple[str, str]] = []
    mesh._processes = [
        SimpleNamespace(role=role, name=name, order=lambda what, name=name: told.append((name, what)))
        for role, name in [("producer", "p1"), ("producer", "p2"), ("producer", "p3"), ("sender", "s1")]
    ]
    mesh.set_rate(100)
    mesh._tell_rate()
    mesh._tell_rate()
    assert told == [(name, "rate 33.3333333") for name in ("p1", "p2", "p3")]
    with pytest.raises(UsageError, match="no arrival rate"):
        Mesh(MeshConfig(messages=10)).set_rate(5)
