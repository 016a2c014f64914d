"""A sender's slots for a simulation: a heap of sends, and a book of what really happened to each message."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from zsms.core.outcomes import NO_CODES, Finished, Receipts
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.message import Delivery, Outcome

if TYPE_CHECKING:
    from tests.simulation.world import World


class DrawnTransport:
    """:class:`zsms.transports.Transport` that tells the books what it sends."""

    def __init__(self, world: World, slots: int) -> None:
        self.concurrency = slots
        self.times = SendTimes.empty()
        self._world = world
        self._rng = Random(f"outcomes of {world.plan.seed}")
        """Not the world's, so that its schedules stay what they were."""
        self._hanging = 0
        """Never all slots, or the rest would have to wait for ever."""
        self._heap: list[tuple[float, int, tuple[int, int], bool]] = []

    @property
    def busy(self) -> int:
        return len(self._heap)

    failures = ()
    blocked_s = None

    def room(self, waiting: int) -> None:
        """As there are slots."""

    def open(self, wake: Any) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def start(self, waiting: Waiting, now: float) -> None:
        world, plan, rng = self._world, self._world.plan, self._world.rng
        assert len(self._heap) + len(waiting.batch) <= self.concurrency, "more messages than free slots"
        world.books.started(waiting)
        for handle, sms in zip(waiting.handles.tolist(), waiting.batch.messages(1, 1), strict=True):
            takes = rng.random() * 2 * plan.mean
            if plan.hangs and rng.random() < plan.hangs and self._hanging < self.concurrency - 1:
                self._hanging += 1
                takes = inf if rng.random() < 0.5 else 2 * plan.limits.lease
            heappush(
                self._heap,
                (now + takes, handle, world.books.message(sms.id.epoch, sms.id.seq), rng.random() < plan.fails),
            )

    def finished(self, now: float) -> Finished | None:
        if not self._heap or self._heap[0][0] > now:
            return None
        sent: list[int] = []
        failed: list[int] = []
        outcomes: list[int] = []
        while self._heap and self._heap[0][0] <= now:
            _, handle, message, fails = heappop(self._heap)
            (failed if fails else sent).append(handle)
            outcome = Outcome.SENT
            if fails:
                outcome = self._rng.choice(list(Outcome)[1:]) if self._world.plan.outcomes else Outcome.FAILED
                outcomes.append(outcome.code)
            self._world.books.finished(message, outcome)
        told = np.array(outcomes, dtype=np.uint8) if self._world.plan.outcomes else NO_CODES
        return Finished(np.array(sent, dtype=np.uint64), np.array(failed, dtype=np.uint64), told, told, tuple("abcdef"))

    def receipts(self) -> Receipts | None:
        """Now and then, of messages that nobody ever heard of: nothing may come of it."""
        if not self._world.plan.outcomes or self._rng.random() < 0.9:
            return None
        told = [self._rng.choice(list(Delivery)).value for _ in range(self._rng.randint(1, 5))]
        ones = np.ones(len(told), dtype=np.uint64)
        return Receipts(ones, ones, np.array(told, dtype=np.uint8), ones.astype(np.float32))

    def next_time(self) -> float | None:
        return self._heap[0][0] if self._heap and self._heap[0][0] < inf else None
