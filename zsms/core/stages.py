"""Arrivals in stages: stretches of an open loop, each with a rate or a linear ramp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of arrivals that goes from `rate` to `to` messages a second, in `lasts` seconds."""

    lasts: float
    rate: float
    to: float


def rate_at(stages: Sequence[Stage], since: float) -> float | None:
    """Messages a second so many seconds after the first stage began; None after the last."""
    for stage in stages:
        if since < stage.lasts:
            return stage.rate + (stage.to - stage.rate) * max(0.0, since) / stage.lasts
        since -= stage.lasts
    return None
