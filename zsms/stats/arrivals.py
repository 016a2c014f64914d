"""Open-loop runs: the rate that was asked for, the rate that was reached, and how late arrivals were served.

    messages due      |        ,-------------          asked     of arrivals, a second
    messages settled  |     ,-'   ,---------           reached   slope of what was settled, once the slots have filled
                      |  ,-'   ,-'                               (p99 of a send) and while arrivals still come
                      +------|------|------> time      late      from when a message was due to its first slot

The share of the slots' time that arrivals leave free says how long they wait: waits grow as 1 / free (D. G. Kendall's
queues, all of them), so a send that takes a few hundredths longer than it was asked to may double them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from zsms.stats.figures import ProducerFigures

SHORTEST_S = 0.5
"""A rate is told of so many seconds at least: counts are known every quarter second."""
LATE_S = 0.001
"""Seconds by which a simulated send takes longer than asked on a machine that keeps up, about."""
_NARROW = 0.05
"""Below this share of free slots a wait is long, and every hundredth counts."""
_EATEN = 0.3
"""Lateness that takes more than this share of what is free is told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the producers were asked for."""

    per_s: float
    """Messages a second, of all of them; where the rate was changed, its mean."""
    seconds: float
    """How long arrivals came from every one of them."""


def asked_of(producers: Iterable[ProducerFigures], default: float | None = None) -> Asked | None:
    """By the producers' figures; `default` (messages a second) where none has told. None: there was no rate."""
    told = [(each, each.rate) for each in producers if each.rate]
    if not told:
        return None if default is None else Asked(default, 0.0)
    rates = [(each.arrivals or 0.0) / each.arrivals_s if each.arrivals_s else rate for each, rate in told]
    return Asked(sum(rates), min(each.arrivals_s or 0.0 for each, _ in told))


def reached_between(
    at: Sequence[float], settled: Sequence[int], begin: float, end: float, over: float = inf
) -> tuple[float | None, float | None]:
    """Messages a second that were settled between two times, of counts at the times `at`, and over how many seconds.

    None where that is too short a time, or not all of it is known. Nothing was settled after `over`. It is counted from
    the first count after `begin`, where that leaves time enough: before it, the slots may have been filling still.
    """
    if end - begin < SHORTEST_S or len(at) < 2 or at[-1] < end:
        return None, None
    known = at[int(np.searchsorted(at, begin))]
    begin = known if end - known >= SHORTEST_S else begin
    first, last = np.interp([begin, end], np.minimum(at, over), settled)
    return float(last - first) / (end - begin), end - begin


@dataclass(frozen=True, slots=True)
class Rate:
    """One open-loop run. Times in seconds, shares from 1 down; None: not measured."""

    asked_per_s: float
    reached_per_s: float | None
    """Messages settled a second while arrivals came; of the asked rate the share that failed for good is in it."""
    seconds: float | None
    """The time that it was measured over."""
    late_s: dict[str, float | None]
    """From when a message was due to when its first send began."""
    free_asked: float | None
    """Share of the slots' time that arrivals would leave free if sends took as long as asked; below 0: they can't."""
    free: float | None
    """The same by the time that sends took."""

    def warnings(self) -> list[str]:
        """What makes waits longer than the rate alone would, for people."""
        if self.free is None or self.free_asked is None or self.free_asked >= 1:  # 1: sends were to take no time at all
            return []
        if self.free_asked <= 0:
            need = f"{1 - self.free_asked:.0%} of the slots' time"
            return [f"rate: {self.asked_per_s:,.6g} messages a second need {need}: waits grow as long as they come"]
        eaten = self.free_asked - self.free
        if eaten > _EATEN * self.free_asked:
            left = f"leaves {self.free:.1%} of the slots' time free" if self.free > 0 else "leaves no slots free"
            longer = (1 - self.free) / (1 - self.free_asked) - 1
            return [
                f"rate: sends took {longer:.1%} longer than asked, which {left} where {self.free_asked:.1%} were "
                "meant: waits are those of a busier mesh; longer sends in more slots are less sensitive"
            ]
        late, asked = self.late_s.get("mean"), self.free_asked
        if late is not None and asked < _NARROW:
            return [f"rate: only {asked:.1%} of the slots' time is free: arrivals wait long, and each run differently"]
        return []


def rate_warnings(rate: float, capacity: float, mean: float) -> list[str]:
    """What to say before a run of `rate` messages a second begins, where slots send `capacity` a second in all and a
    send takes `mean` seconds."""
    if capacity <= 0:
        return []
    use = rate / capacity
    if use >= 1:
        return [
            f"rate {rate:,.6g}: the slots can send {capacity:,.6g} messages a second, so that waits grow as long as it "
            "lasts"
        ]
    late = LATE_S / mean if mean else 0.0
    if use >= 1 - _NARROW or use * late > _EATEN * (1 - use):
        return [
            f"rate {rate:,.6g} takes {use:.0%} of what the slots can send ({capacity:,.6g} a second): waits are long, "
            f"and sends that are {LATE_S * 1e3:g} ms late ({late:.1%}) make them longer"
        ]
    return []


def rate_of(
    asked: Asked,
    *,
    slots: float,
    sends_each: float | None,
    asked_s: float | None,
    took_s: float | None,
    late_s: dict[str, float | None],
    reached: tuple[float | None, float | None],
) -> Rate:
    """Put together what was measured: `sends_each` sends a message, which were asked to take `asked_s` and took
    `took_s`; `reached` is messages a second and over how many seconds."""

    def free(time: float | None) -> float | None:
        if time is None or sends_each is None or not slots:
            return None
        return 1 - asked.per_s * sends_each * time / slots

    return Rate(asked.per_s, *reached, late_s, free(asked_s), free(took_s))
