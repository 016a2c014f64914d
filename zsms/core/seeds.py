"""Independent random streams from one seed, whatever the numbers of runs, roles and processes are.

    stream(seed, Role.SENDER, 3, "tokens")     one generator; another path, another seed: an independent one

Seeds are never added to: of two runs with seeds k and k + 1, sender 2 of one would draw what sender 1 of the other
does. `numpy.random.SeedSequence` hashes the seed and the path together. (M. E. O'Neill, "Developing a seed_seq
alternative", 2015.)
"""

from __future__ import annotations

from enum import IntEnum
from zlib import crc32

import numpy as np

from zsms.errors import UsageError

Seed = int | np.random.SeedSequence | None
"""A whole number from 0 on; None: drawn from the operating system."""


class Stream(IntEnum):
    """Whose draws they are. Part of what a seed means: the numbers stay."""

    BROKER = 1
    PRODUCER = 2
    SENDER = 3


def sequence(seed: Seed, *path: int | str) -> np.random.SeedSequence:
    """The seed of the stream at that path; without a seed, a new one each time. Raises UsageError."""
    for number in (seed, *path):
        if isinstance(number, int | np.integer) and number < 0:
            raise UsageError(f"seed or stream {number}: give a whole number from 0 on")
    key = tuple(crc32(part.encode()) if isinstance(part, str) else part for part in path)
    if isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))
    return np.random.SeedSequence(seed, spawn_key=key)


def stream(seed: Seed, *path: int | str) -> np.random.Generator:
    """The generator at that path."""
    return np.random.Generator(np.random.SFC64(sequence(seed, *path)))
