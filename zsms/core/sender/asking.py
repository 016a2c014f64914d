"""What a sender asks of its broker when nobody says: how many messages ahead, for how long, its slots how quickly."""

from __future__ import annotations

from zsms.core.sender.slots import auto_tick, coarse
from zsms.errors import UsageError
from zsms.stats.delay import DelayModel

PREFETCH_S = 0.02
"""The automatic prefetch covers this much time: a round trip to the broker on a busy machine."""
MAX_LEASE_S = 7 * 86_400.0
MAX_RAMP_S = 3_600.0
_LONG_S = 100.0
"""A mean that is rather one in milliseconds."""


def auto_prefetch(concurrency: int, mean: float) -> int:
    """Messages to hold beside those in slots: what the slots take in `PREFETCH_S`, 1 to `concurrency`."""
    share = 1.0 if mean <= PREFETCH_S else PREFETCH_S / mean
    return max(1, round(concurrency * share))


def auto_lease(delay: DelayModel, waits: float = 0.0) -> float:
    """Seconds that a message may take when its send is drawn from `delay` after it has waited here for `waits` turns.

    The broker's own lease holds when it is longer.
    """
    return min(2 * delay.longest + waits * delay.mean, MAX_LEASE_S)


def lease_warning(lease: float, delay: DelayModel) -> str:
    """What to say of a lease that is shorter than a send may take; empty when it is not."""
    if lease >= delay.longest:
        return ""
    often = "takes" if lease < delay.mean else "may take"
    return (
        f"a lease of {lease:g} s is shorter than a send {often} ({delay.name}, mean {delay.mean:g} s, "
        f"one in 1e9 over {delay.longest:.3g} s)"
    )


def check_asking(prefetch: int | None, ramp: float | None) -> None:
    """Raises UsageError for a prefetch or ramp (None: the default) that can't be."""
    if prefetch is not None and not 0 <= prefetch <= 2**31:
        raise UsageError(f"prefetch {prefetch}: give a number of messages from 0 on")
    if ramp is not None and not 0 <= ramp <= MAX_RAMP_S:
        raise UsageError(f"ramp {ramp}: give seconds from 0 to {MAX_RAMP_S:.0f}")


def delay_warnings(delay: DelayModel, tick: float | None) -> list[str]:
    """What a user of such delays should know before the start."""
    found = []
    if delay.mean > _LONG_S:
        found.append(f"a send takes {delay.mean:g} s on average: times are in seconds, not milliseconds")
    if coarse(tick, delay):
        tick = auto_tick(delay.mean) if tick is None else tick
        found.append(
            f"a tick of {tick:g} s is coarse for sends of {delay.mean:g} s: their mean is right, but each "
            f"may be a tick off; {delay.mean / 10:g} s and less is fine"
        )
    if delay.name == "normal" and delay.deviation > delay.mean / 2:
        found.append(
            f"a normal delay of mean {delay.mean:g} and sd {delay.deviation:g} is 0 in {delay.zeros:.0%} of the sends; "
            f"lognormal and gamma have no such"
        )
    return found
