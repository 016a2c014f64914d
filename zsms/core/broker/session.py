"""One sender, as its broker sees it: whose words count, what it holds, and how much more it may be given."""

from __future__ import annotations

from zsms.core.broker.window import Window
from zsms.message import Sources


class Session(Window):
    """A sender's window, and its credit: messages above `granted` and below `limit` may be granted."""

    def __init__(
        self, token: int, name: str, slots: int, peer: bytes, now: float, sources: Sources | None = None
    ) -> None:
        """`sources` are the broker's accounts by their index."""
        super().__init__([] if sources is None else sources)
        self.token = token
        self.name = name
        self.slots = slots
        self.peer = peer
        """The connection that joined for it last."""
        self.last_seen = now
        self.generation = 0
        self.asked = 0
        """The join in which it was asked to join again, because an acknowledgement is missing; 0: in none."""
        self.lease = 0.0
        self.limit = 0
        self.acked = 0
        """The next acknowledgement frame expected."""
        self.sent = 0
        self.failed = 0
        self.reachable = True
        self.blocked_until = 0.0
        self.gateway: int | None = None
        """At what gateway's account it has binds, as far as it has said so since it joined."""
        self.handed = 0
        """Others' receipts that it was sent since then,"""
        self.read = 0
        """and that it has read."""

    @property
    def wants(self) -> int:
        """Messages that may be granted now."""
        return self.limit - self.granted

    @property
    def idle(self) -> int:
        """Of `wants`, those that would start to be sent at once."""
        return min(self.wants, self.slots - self.in_flight)
