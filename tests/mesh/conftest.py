"""A mesh of a test's own, whose roles are started by hand; whatever still runs at its end is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.mesh.processes import ByHand


@pytest.fixture
def mesh() -> Iterator[ByHand]:
    with ExitStack() as stack:
        yield ByHand(stack)
