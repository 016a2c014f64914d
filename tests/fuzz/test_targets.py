"""What `bin/fuzz` does for hours, for a moment and without atheris: mutated inputs for every target."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.targets import TARGETS
from tests.wire.frames import mutated


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_declared_error(name: str) -> None:
    target, rng = TARGETS[name], random.Random(name)
    for seed in target.seeds:
        target.run(seed)
    for _ in range(400):
        target.run(mutated(rng, target.seeds))
