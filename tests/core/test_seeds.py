"""Streams of one seed, of neighbouring seeds, of roles and numbers: all independent, and each the same again."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from zsms.core.seeds import Stream, sequence, stream
from zsms.core.sender.slots import Slots
from zsms.stats.delay import DelayModel


def drawn(seed: int, *path: int | str) -> np.ndarray:
    return stream(seed, *path).random(2_000)


def test_no_two_paths_and_no_two_seeds_draw_alike():
    paths = [(seed, role, number) for seed in range(4) for role in Stream for number in range(3)]
    paths += [(1, Stream.SENDER, 2, "tokens", 7), (1, Stream.SENDER, 2, "tokens", 8)]
    rows = np.array([drawn(*path) for path in paths])
    assert len({row.tobytes() for row in rows}) == len(paths)
    apart = np.corrcoef(rows)[np.triu_indices(len(paths), 1)]
    assert np.abs(apart).max() < 5 / np.sqrt(2_000)
    assert (drawn(5, Stream.BROKER, 1) == drawn(5, Stream.BROKER, 1)).all()


def test_a_sequence_can_be_parted_further():
    part = sequence(3, Stream.SENDER, 1)
    assert (stream(part, "tokens").random(9) == drawn(3, Stream.SENDER, 1, "tokens")[:9]).all()
    assert sequence(None).entropy != sequence(None).entropy


def test_the_delays_of_neighbouring_runs_have_nothing_in_common():
    """Sender n of seed k was sender n - 1 of seed k + 1: the mean delays of eight senders correlated by 0.88."""

    def mean(seed: int) -> float:
        total = 0.0
        for number in range(1, 9):
            slots = Slots(200, DelayModel("exponential"), seed=sequence(seed, Stream.SENDER, number))
            slots.start(np.arange(200, dtype=np.uint64), 0.0, 0.0)
            slots.advance(1e6)
            total += slots.times.asked
        return total

    means = np.array([mean(seed) for seed in range(200)])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.25
    spread = np.mean([(a - b) ** 2 for i in range(0, 200, 4) for a, b in combinations(means[i : i + 4], 2)]) / 2
    assert 0.6 < spread / 1_600 < 1.5, "of 1,600 exponential delays of mean 1"
