"""What waits to be sent: with producers, in brokers' queues, until a retry is due, and what has come back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zsms.core.outcomes import THROTTLED_S
from zsms.plan.design import Arrivals, Design
from zsms.plan.rings import Fifo, Ring
from zsms.plan.share import portion
from zsms.plan.spread import of_jitter

I64 = npt.NDArray[np.int64]


class Supply:
    """Of all queues; q: queues, r: replications, a: attempts."""

    def __init__(self, design: Design, replications: int, rng: np.random.Generator) -> None:
        scenario, queues = design.scenario, len(design.queues)
        self._design, self._r, self._rng = design, replications, rng
        retries = scenario.retries
        self.attempts = retries.attempts
        throttles = any(
            group.throttled_rate or (group.queue is not None and group.when_full == "throttle")
            for group in design.groups
        )
        self.queued = self.attempts > 1 or throttles
        """Whether messages can wait in the brokers' queue behind others of a later attempt: else all are alike."""
        ceilings = [retries.ceiling(attempt + 1) for attempt in range(self.attempts)]
        self._jitter = [of_jitter(ceiling, design.tick) for ceiling in ceilings[:-1]]
        longer = [min(max(ceiling, THROTTLED_S), retries.cap) for ceiling in ceilings] if throttles else []
        self._throttled = [of_jitter(ceiling, design.tick) for ceiling in longer]
        longest = max([spread.last for spread in (*self._jitter, *self._throttled)], default=1)
        self.waiting = Ring(self.attempts * queues * replications, longest)
        self._fifo = [Fifo(replications, self.attempts) for _ in range(queues)]
        self.front = np.zeros((queues, replications, self.attempts), np.int64)
        """What has come back, by attempt: it goes before all else."""
        self.source = np.zeros((queues, replications), np.int64)
        """What producers have made and no broker has room for, or has granted at once."""
        self._made = np.zeros((queues, replications), np.int64)
        self._parts = np.array([queue.messages for queue in design.queues], dtype=np.int64)
        self._open_loop = bool(scenario.stages)
        self.silent = np.zeros(queues, np.int64)
        """Queues whose broker says nothing and hears nothing."""
        self._dead: list[int] = []
        """Queues of brokers that are lost."""
        apart = any(queue.broker for queue in design.queues)
        self._most = scenario.max_messages * (1 if apart else scenario.brokers)
        """Messages that the brokers of a queue hold."""
        self._room: npt.NDArray[np.bool_] = np.ones((queues, replications), bool)
        if self._open_loop:
            self._arrivals = Arrivals(scenario.stages)
            self._share = self._parts / max(1, design.messages)
        else:
            self.source += self._parts[:, None]
            self._made += self._parts[:, None]

    @property
    def any(self) -> bool:
        """Whether anything waits that could begin."""
        return bool(any(f.size.any() for f in self._fifo) or self.front.any() or self.source.any())

    def next_arrival(self, tick: int) -> float | None:
        """When more may come, seconds; None: never. Infinite where there is no such time."""
        if self._open_loop and (self._made < self._parts[:, None]).any():
            return self._arrivals.next_change(tick * self._design.tick)
        return None

    def again(self, counts: I64, *, spent: bool = True) -> None:
        """These failed and are tried again, int64[q, r, a]; `spent`: by their next attempt, or by the same one."""
        laws = self._jitter if spent else self._throttled
        for attempt, law in enumerate(laws):
            some = counts[:, :, attempt]
            if some.any():
                begin = (attempt + spent) * some.size
                self.waiting.spread(begin, some.ravel(), law, self._rng)

    def join(self, tick: int) -> None:
        """Arrivals, retries that are due, and what brokers have room for come into the queue."""
        due = self.waiting.take().reshape(self.attempts, *self.source.shape)
        if self._open_loop:
            self._arrive(tick)
        if not self.queued:
            return
        due = np.moveaxis(due, 0, -1).copy()
        held = np.stack([fifo.size for fifo in self._fifo])
        held += self.waiting.total.reshape(self.attempts, *held.shape).sum(axis=0)
        room = np.maximum(self._most - held - due.sum(axis=2), 0)
        self._room = room > 0
        taken = np.minimum(self.source, room)
        if taken.any() or due.any():
            due[:, :, 0] += taken
            self.source = self.source - taken
            for fifo, lot in zip(self._fifo, due, strict=True):
                fifo.push(lot)

    def _arrive(self, tick: int) -> None:
        now = (tick + 0.5) * self._design.tick
        before = (tick - 0.5) * self._design.tick if tick else 0.0
        if self._design.scenario.poisson:
            mean = (self._arrivals.by(now) - self._arrivals.by(before)) * self._share
            come = self._rng.poisson(mean[:, None], self._made.shape)
            new = np.minimum(come, self._parts[:, None] - self._made)
        else:
            upto = np.floor(self._arrivals.by(now) * self._share + 1e-9).astype(np.int64) + 1
            new = np.minimum(upto, self._parts)[:, None] - self._made
            np.maximum(new, 0, out=new)
        self._made += new
        # What is not confirmed fills a broker's window, and the next goes to the one that has the most room.
        for queue in {*self._dead, *np.flatnonzero(self.silent).tolist()}:
            given, new[queue] = new[queue].copy(), 0
            new = new + self._to_others(queue, given)
        self.source = self.source + new

    def ready(self) -> I64:
        """What could begin now, int64[q, r]."""
        front = self.front.sum(axis=2)
        ready: I64 = front + self.source
        if self.queued:
            ready = front + self.source * self._room + np.stack([fifo.size for fifo in self._fifo])
        return ready

    def take(self, queue: int, counts: I64) -> I64:
        """So many messages of a queue, by attempt: what came back first, then in turn, then straight from producers."""
        if not self.queued:
            back = np.minimum(self.front[queue, :, 0], counts)
            self.front[queue, :, 0] -= back
            self.source[queue] = self.source[queue] - (counts - back)
            return counts[:, None]
        front = self.front[queue]
        first = portion(front.T, counts).T if front.any() else np.zeros_like(front)
        self.front[queue] = front - first
        rest = counts - first.sum(axis=1)
        queued = np.minimum(rest, self._fifo[queue].size)
        taken = first + self._fifo[queue].pop(queued)
        taken[:, 0] += rest - queued
        self.source[queue] = self.source[queue] - (rest - queued)
        return taken

    def lose(self, queue: int) -> I64:
        """All that a broker had of a queue is gone: how many messages, int64[r]. What it had no room for, and what
        would still come into it, the other brokers have."""
        lost: I64 = self.front[queue].sum(axis=1) + self._fifo[queue].size
        room = np.maximum(self._design.scenario.max_messages - lost, 0)
        inside = np.minimum(self.source[queue], room)
        lost = lost + inside
        rest = self.source[queue] - inside
        self._dead.append(queue)
        self.source[queue] = 0
        self.source = self.source + self._to_others(queue, rest)
        self._fifo[queue].pop(self._fifo[queue].size)
        self.front[queue] = 0
        for attempt in range(self.attempts):
            begin = (attempt * len(self._parts) + queue) * self._r
            lost += self.waiting.remove(begin, begin + self._r)
        return lost

    def _to_others(self, queue: int, counts: I64) -> I64:
        """So many messages of a queue for those brokers that answer, or at least live, int64[q, r]; where none does,
        producers keep them."""
        own = self._design.queues[queue]
        living = [
            place
            for place, other in enumerate(self._design.queues)
            if other.groups == own.groups and place not in self._dead
        ]
        living = [place for place in living if not self.silent[place]] or living
        given = np.zeros_like(self.source)
        for step, place in enumerate(living):
            given[place] = (counts + step) // len(living)
        return given
