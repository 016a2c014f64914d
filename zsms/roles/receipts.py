"""Receipts from a sender's transport to its brokers, and how long a sender that leaves waits for them."""

from __future__ import annotations

from collections.abc import Sequence

from zsms.core.outcomes import ReceiptQueue
from zsms.roles.sender_link import SenderLink
from zsms.roles.strays import Sharing
from zsms.transports import Transport

ROOM_S = 0.05
"""Seconds after which receipts that no broker had room for are offered again."""
FORWARD_S = 1.0
"""How long a sender that leaves waits for that room."""
UNBIND_S = 5.0
"""How long it waits until a gateway, which may be busy, has answered its unbinds."""


class ReceiptForwarder:
    """They go to any broker that is there, for it counts them and no more; what none takes waits for one."""

    def __init__(self, transport: Transport, ways: Sequence[SenderLink]) -> None:
        """`ways` are those to the brokers, which may be there later."""
        self._transport = transport
        self.tell_standstill = getattr(transport, "stood_still", None)
        """Called as (since, now) where the transport wants to hear that the process did nothing meanwhile."""
        self._ways = ways
        self._queue = ReceiptQueue()
        self._sharing: Sharing | None = getattr(transport, "sharing", None)
        self._linger_until: float | None = None
        self._forward_until: float | None = None
        self._unbind_until: float | None = None

    @property
    def lost(self) -> int:
        """Receipts that no broker took."""
        return self._queue.lost

    def send(self) -> None:
        """What has come, as far as there is room."""
        if self._sharing is not None:
            self._sharing.share(any(way.relay.others for way in self._ways))
            for way in self._ways:
                way.relay.turn(way.link, way.core.token)
        told = self._transport.receipts()
        if told is not None:
            self._queue.add(told)
        for way in self._ways:
            while (first := self._queue.first()) is not None and way.send_receipts(first):
                self._queue.sent()

    def next_time(self, now: float) -> float | None:
        """When to send again, or to see whether to leave, unless something comes before."""
        if self._queue.first() is not None:
            return now + ROOM_S
        times = [at for at in (self._linger_until, self._unbind_until) if at is not None and at > now]
        return min(times, default=None)

    def lingers(self, now: float) -> bool:
        """Whether receipts of what was sent may still come, or wait for room, and are waited for by who leaves."""
        if getattr(self._transport, "awaited", 0):
            if self._linger_until is None:
                self._linger_until = now + float(getattr(self._transport, "linger_s", 0.0))
            if now < self._linger_until:
                return True
        if self._sharing is not None and any(way.relay.others for way in self._ways):
            # First the binds end, so that what comes on them for others is handed on before the brokers are left.
            if self._unbind_until is None:
                self._unbind_until = now + UNBIND_S
            if now < self._unbind_until and self._sharing.unbinds(now):
                return True
        if self._queue.first() is None:
            return False
        if self._forward_until is None:
            self._forward_until = now + FORWARD_S
        return now < self._forward_until

    def give_up(self) -> None:
        """No broker takes any more."""
        self._queue.give_up()
