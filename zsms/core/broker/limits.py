"""What bounds a broker: its queue, the sends and deliveries of a message, and how long anybody may be silent."""

from __future__ import annotations

from dataclasses import dataclass

from zsms import kinds
from zsms.errors import UsageError
from zsms.fields import entry
from zsms.options import checked

LEAST_LIVENESS_S = 0.25
"""Five pings, which come every 0.05 s at most."""
LONGEST_S = 366 * 86_400
"""The longest that anything may take: peers refuse a broker's word of more."""
_MOST = {"max_messages": 2**53, "max_bytes": 2**53, "max_attempts": 2**32 - 1, "max_deliveries": 2**32 - 1}
"""What can be counted, and told."""
UNCERTAIN = ("fail", "resend")
"""What may become of a send without an answer."""
_LIMITED = ("run", "plan", "broker")


@checked
@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What bounds a broker. Times in seconds. Raises UsageError for what can't be."""

    max_messages: int = entry(500_000, "High-water mark of the queue, messages.", kinds.COUNT, on=_LIMITED)
    max_bytes: int = entry(256 * 2**20, "High-water mark of the queue, bytes.", kinds.COUNT, on=_LIMITED)
    max_attempts: int = entry(
        1, "Sends of a message before it is given up; 1: a failed send is final.", kinds.COUNT, on=_LIMITED
    )
    max_deliveries: int = entry(
        20, "Senders that a message may be taken back from before it is dead.", kinds.COUNT, on=_LIMITED
    )
    retry_base: float = entry(
        0.5, "Longest wait before the second attempt, seconds; doubles with each.", kinds.SECONDS, on=_LIMITED
    )
    retry_cap: float = entry(60.0, "Longest wait before any attempt, seconds.", kinds.SECONDS, on=_LIMITED)
    lease: float = entry(
        60.0, "Seconds that a sender may hold a message, unless it asks for longer.", kinds.SOME_SECONDS, on=_LIMITED
    )
    max_lease: float = entry(
        43_200.0, "The longest, in seconds, that a sender may ask for (12 hours).", kinds.SOME_SECONDS, on=_LIMITED
    )
    liveness: float = entry(
        5.0,
        "Seconds that a sender may be silent before its messages go to others.",
        kinds.SOME_SECONDS,
        on=_LIMITED,
    )
    uncertain: str = entry(
        "fail",
        "What becomes of a send without an answer: it is final, or tried again, perhaps as a second SMS.",
        kinds.one_of(*UNCERTAIN),
        on=_LIMITED,
    )

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give 1 to {most:,}")
        if self.uncertain not in UNCERTAIN:
            raise UsageError(f"uncertain {self.uncertain!r}: give one of {', '.join(UNCERTAIN)}")
        for name in ("retry_base", "retry_cap"):
            if not 0 <= getattr(self, name) <= LONGEST_S:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give seconds from 0 to {LONGEST_S}")
        for name in ("lease", "max_lease", "liveness"):
            if not 0 < getattr(self, name) <= LONGEST_S:
                value = getattr(self, name)
                raise UsageError(f"{name.replace('_', ' ')} {value}: give seconds above 0, up to {LONGEST_S}")
        if self.liveness < LEAST_LIVENESS_S:
            raise UsageError(
                f"liveness {self.liveness:g}: give at least {LEAST_LIVENESS_S:g} s, for nobody pings more "
                f"often than that asks for"
            )

    def warnings(self) -> list[str]:
        """What contradicts itself and yet can be."""
        if self.max_attempts == 1 or self.retry_cap >= self.retry_base:
            return []
        cap, base = f"{self.retry_cap:g}", f"{self.retry_base:g}"
        return [
            f"retry cap {cap} s is below retry base {base} s: no wait is longer than the cap, the first one neither"
        ]
