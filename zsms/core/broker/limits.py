"""What bounds a broker: its queue, the sends and deliveries of a message, and how long anybody may be silent."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from zsms.errors import UsageError, check_types

LEAST_LIVENESS_S = 0.25
"""Five pings, which come every 0.05 s at most."""
UNCERTAIN = ("fail", "resend")
"""What may become of a send without an answer."""


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What bounds a broker. Times in seconds. Raises UsageError for what can't be."""

    max_messages: int = 500_000
    """High-water mark of the queue, in messages."""
    max_bytes: int = 256 * 2**20
    """High-water mark of the queue, in bytes of columns."""
    max_attempts: int = 1
    """Sends of a message before it is given up; 1: a failed send is final."""
    max_deliveries: int = 20
    """Senders that a message may be taken back from before it counts as poison."""
    retry_base: float = 0.5
    retry_cap: float = 60.0
    lease: float = 60.0
    """How long a sender may hold a message, unless it asked for longer."""
    max_lease: float = 43_200.0
    """The longest that a sender may ask for."""
    liveness: float = 5.0
    """How long a sender may be silent."""
    uncertain: str = "fail"
    """What becomes of a send without an answer: "fail", it is final, or "resend", it is tried again as one that failed,
    so that the message may arrive twice."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("max_messages", "max_bytes", "max_attempts", "max_deliveries"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give at least 1")
        if self.uncertain not in UNCERTAIN:
            raise UsageError(f"uncertain {self.uncertain!r}: give one of {', '.join(UNCERTAIN)}")
        for name in ("retry_base", "retry_cap"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give seconds from 0 on")
        for name in ("lease", "max_lease", "liveness"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: give seconds above 0")
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
