"""How long a population takes at a point of the study: first send, rounds and tail included.

The law of large numbers stands for the slots: of those that begin in a tick, the share that ends k ticks later is the
delay model's. So the time comes from counts, whatever their size:

    begun[t] = min(free slots, what is left, rate x tick)        ended[t] = sum over k of begun[t - k] * share[k]

The rate bounds what begins where something else than the slots is the limit. After some rounds the counts are even,
and the rest of a large population takes its share at the rate reached.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

TICK_S = 0.01
ROUNDS = 12
"""Rounds that are reckoned tick by tick; a normal delay with an sd of a tenth of its mean is even by then."""
HELD = 0.95
"""An efficiency from here up means that the slots are the limit."""


def time_to_send(population: int, slots: int, rate: float, mean: float = 1.0, sd: float = 0.1) -> float:
    """Seconds until the last of `population` messages is sent.

    By `slots` whose sends take a normal time (`mean`, `sd`, seconds; cut at 0) and which do `rate` messages a second
    in the long run.
    """
    if population <= slots * ROUNDS:
        return _ticked(population, slots, rate, mean, sd)
    beyond = population - slots * ROUNDS
    return _ticked(slots * ROUNDS, slots, rate, mean, sd) + beyond / rate


def _ticked(population: int, slots: int, rate: float, mean: float, sd: float) -> float:
    shares = _shares(mean, sd)
    bounded = rate * mean < HELD * slots
    pace = rate * TICK_S if bounded else math.inf
    ending = np.zeros(len(shares))  # by ticks from now
    free, left, out = float(slots), float(population), 0.0
    tick = 0
    while left > 0 or out > 0.5:
        free, out = free + ending[0], out - ending[0]
        ending[0] = 0.0
        begun = min(free, left, pace)
        free, left, out = free - begun, left - begun, out + begun
        if begun:
            ending += begun * shares
        ending[:-1] = ending[1:]  # the first is empty: none ends in the tick in which it begins
        ending[-1] = 0.0
        tick += 1
    return (tick - 1) * TICK_S


def _shares(mean: float, sd: float) -> npt.NDArray[np.float64]:
    """Of sends that begin together, the share that ends in each tick after, float64."""
    ticks = max(2, math.ceil((mean + 7 * sd) / TICK_S) + 1)
    edges = (np.arange(ticks + 1) - 0.5) * TICK_S
    below = np.array([_normal_below((edge - mean) / sd) if sd else float(edge >= mean) for edge in edges])
    below[:2], below[-1] = 0.0, 1.0
    shares: npt.NDArray[np.float64] = np.diff(below)
    return shares


def _normal_below(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
