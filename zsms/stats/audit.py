"""The audit: what producers know to be confirmed, against what brokers have settled and still hold.

    produced = settled + held + missing + unconfirmed           when nobody's last word is outstanding

A broker's own accounts can't show that it forgot: without a journal a new start of it begins with empty ones, and they
add up. So the audit takes each side's word for what that side alone knows. It is worked out here, and read everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts of messages, over all producers and brokers and their earlier starts."""

    produced: int
    """By the producers' own count."""
    confirmed: int
    """Those of them that brokers confirmed, as far as every broker's figures here are newer than the confirm."""
    accepted: int
    """By the brokers' count; what a broker forgot and was given again is in it twice."""
    settled: int
    """Sent, failed or dead, by the brokers' count."""
    held: int
    """Queued or in flight in brokers that may still settle them."""
    repeated: int = 0
    """Pushed more than once, by the producers' count: no more than these can be accepted twice."""
    told: bool = True
    """Whether every producer's count is whole: none is silent, or was killed after its last word."""
    ended: bool = True
    """Whether no producer makes any more: until then a broker's figures may be newer than theirs."""

    @property
    def known(self) -> int:
        """Messages that a broker answers for."""
        return self.settled + self.held

    @property
    def made(self) -> int:
        """Messages that there are, at least: what was accepted was made, whether its producer could say so or not."""
        if self.told and self.ended:
            return self.produced
        return max(self.produced, max(self.accepted, self.settled) - self.repeated)

    @property
    def missing(self) -> int:
        """Confirmed, and no broker answers for them.

        Where producers' counts are not whole, it is at least what brokers once accepted and answer for no more.
        """
        missing = self.confirmed - self.known
        if not self.told:
            missing = max(missing, self.accepted - self.repeated - self.known)
        return max(0, missing)

    @property
    def unconfirmed(self) -> int:
        """Made, and neither confirmed nor known to a broker: still with their producers, or lost with them."""
        return max(0, self.produced - max(self.confirmed, self.known))

    @property
    def beyond(self) -> int:
        """Messages that brokers answer for and nobody made."""
        return max(0, self.known - self.produced - self.repeated) if self.told and self.ended else 0

    @property
    def lost(self) -> int:
        """`missing`, or below 0 what is `beyond`."""
        return self.missing or -self.beyond
