"""The holder of a log, alone with servers that do not do what they should."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgpack
import pytest

from zsms.errors import JournalError
from zsms.journal import fence
from zsms.journal.fence import DATA, STATE, Ends, Holder, Record


class Log:
    """Takes the tries from the `good`-th on, and shows where it ends all the time."""

    def __init__(self, good: int) -> None:
        self._tries_left = good
        self._now = 0.0
        self.last = 0
        self.troubles: list[str] = []
        self.holder = Holder(self, "a", self.troubles.append)

    async def append(self, last: int, records: Sequence[Record]) -> bool:
        self._tries_left -= 1
        if self._tries_left > 0:
            return False
        self.last = last + len(records)
        return True

    refused = ""

    async def ends(self) -> Ends:
        return Ends(1, self.last)

    said: Record | None = None

    async def state(self) -> Record | None:
        return self.said

    async def read(self, place: int) -> Record | None:
        return None

    async def cut(self, below: int) -> None:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        self._now += seconds

    def now(self) -> float:
        return self._now


def test_servers_that_answer_and_acknowledge_nothing_are_told_of_at_once_and_once() -> None:
    """The leader of a stream that has lost the others does that for ten seconds."""
    log = Log(good=4)
    assert asyncio.run(log.holder.append(DATA, [b"x"])) == 1
    assert log.troubles == ["the NATS servers acknowledge nothing; trying on", "the servers answer again"]
    assert not log.holder.trouble


@pytest.mark.parametrize(("event", "patience"), [("close", 0.0), ("take-over", fence.SURE_S), ("hold", fence.LEASE_S)])
def test_one_that_left_is_followed_at_once_and_one_that_is_silent_after_its_lease(event: str, patience: float) -> None:
    log = Log(good=1)
    log.last, log.said = 7, Record(STATE, "x.1", msgpack.packb({"holder": "b", "event": event}))
    assert asyncio.run(log.holder.take(wait=True, make_state=lambda before: {"opened": 1}))
    assert patience <= log.now() <= patience + fence.LOOK_S and log.last == 8


def test_a_log_that_has_lost_what_was_stored_ends_its_holder() -> None:
    log = Log(good=1_000)
    log.holder.last = 5
    with pytest.raises(JournalError, match="lost records"):
        asyncio.run(log.holder.append(DATA, [b"x"]))
    assert log.now() >= fence.LOST_S
