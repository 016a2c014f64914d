"""How long a sender that leaves waits for receipts, and for room to tell them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from zsms.core.outcomes import Receipts
from zsms.roles.receipts import FORWARD_S, ROOM_S, UNBIND_S, ReceiptForwarder

ONE = Receipts(np.ones(1, "u8"), np.ones(1, "u8"), np.zeros(1, "u1"), np.zeros(1, "f4"))


class Gateway:
    linger_s = 10.0

    def __init__(self, awaited: int) -> None:
        self.awaited = awaited
        self.told: list[Receipts] = []

    def receipts(self) -> Receipts | None:
        return self.told.pop() if self.told else None


class Way:
    """To a broker, with room for so many."""

    def __init__(self, room: int) -> None:
        self.room = room

    def send_receipts(self, receipts: Receipts) -> bool:
        self.room -= 1
        return self.room >= 0


def forwarder(awaited: int, room: int) -> tuple[ReceiptForwarder, Gateway, Way]:
    gateway, way = Gateway(awaited), Way(room)
    ways: Any = [way]
    return ReceiptForwarder(gateway, ways), gateway, way  # type: ignore[arg-type]


def test_who_awaits_nothing_leaves_at_once() -> None:
    made, _, _ = forwarder(0, 0)
    made.send()
    assert not made.lingers(5.0) and made.next_time(5.0) is None


def test_receipts_that_may_come_are_waited_for_and_what_came_last_finds_room() -> None:
    made, gateway, way = forwarder(1, 0)
    assert made.lingers(5.0) and made.next_time(5.0) == 15.0 and made.lingers(14.9)
    gateway.awaited, gateway.told = 0, [ONE]
    made.send()
    assert made.next_time(16.0) == 16.0 + ROOM_S
    assert made.lingers(16.0) and made.lingers(16.0 + 0.9 * FORWARD_S)
    way.room = 1
    made.send()
    assert not made.lingers(16.9) and made.lost == 0 and made.next_time(16.9) is None


def test_what_finds_no_room_is_lost_and_counted() -> None:
    made, gateway, _ = forwarder(0, 1)
    for _ in range(3):
        gateway.told = [ONE]
        made.send()
    assert made.lingers(5.0) and not made.lingers(5.0 + FORWARD_S)
    made.give_up()
    assert made.lost == 2 and made.next_time(9.0) is None


def test_who_shares_an_account_unbinds_before_it_leaves() -> None:
    class Sharing:
        bound = 2

        def unbinds(self, now: float) -> bool:
            self.bound -= 1
            return self.bound > 0

        def share(self, others: bool) -> None: ...

    made, gateway, way = forwarder(0, 0)
    sharing = gateway.sharing = Sharing()  # type: ignore[attr-defined]
    made = ReceiptForwarder(gateway, [way])  # type: ignore[arg-type,list-item]
    for others in (0, 1):
        way.relay = SimpleNamespace(others=others)  # type: ignore[attr-defined]
        assert made.lingers(5.0) == bool(others)
    assert made.next_time(5.0) == 5.0 + UNBIND_S and not made.lingers(5.0)
    sharing.bound = 9
    assert made.lingers(5.1) and not made.lingers(5.0 + UNBIND_S)
