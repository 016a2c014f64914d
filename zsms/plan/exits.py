"""How sends end: they fail, or a gateway takes them, and its own queue passes them on to handsets at its cap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zsms.plan.design import Design
from zsms.plan.limits import Limits
from zsms.plan.outcome import Tally
from zsms.plan.share import portion
from zsms.plan.supply import Supply
from zsms.plan.units import Units

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Exits:
    """Of all units; u: units, q: queues, g: groups, r: replications, a: attempts."""

    def __init__(
        self, design: Design, units: Units, limits: Limits, supply: Supply, tally: Tally, *, rng: np.random.Generator
    ) -> None:
        self._design, self._units, self._limits = design, units, limits
        self._supply, self._tally, self._rng = supply, tally, rng
        groups, r = len(design.groups), supply.source.shape[1]
        self.kept = np.zeros((groups, r), np.int64)
        """Messages in routes' own queues."""
        self._kept_segments = np.zeros((groups, r))
        self._segments = limits.segments
        self._begins = np.array([units.members[number][0] for number in range(groups)])
        """The first unit of each group; the others follow it."""
        self._in_part = any(group.delivered < 1 for group in design.groups)

    def ended(self, done: I64, passed: int) -> None:
        """These sends are over, int64[u, q, r, a]; `passed` ticks have gone by."""
        units = self._units
        ok, again = done, None
        own = units.fails + units.throttled
        throttles, refuses = units.throttled.any(), units.refused.any()
        if refuses or own.any():
            again = self._rng.binomial(done, own[:, None, None, None])
            ok = done - again
            if refuses:
                rest = np.minimum(units.refused / np.maximum(1 - own, 1e-300), 1.0)
                final = self._rng.binomial(ok, rest[:, None, None, None])
                ok = ok - final
                self._tally.failed += final.sum(axis=(0, 1, 3))
        self._tally.sends += self._of_groups(done).sum(axis=1)
        if again is not None and throttles:
            part = units.throttled / np.maximum(own, 1e-300)
            throttled = self._rng.binomial(again, part[:, None, None, None])
            again = again - throttled
            self._throttled(throttled.sum(axis=0))
        accepted = self._of_groups(ok)
        for number in self._limits.drains:
            again = self._into_queue(number, accepted, ok, again)
        if again is not None:
            self._try_again(again.sum(axis=0))
        counts = accepted.sum(axis=1)
        self._tally.accepted += counts.sum(axis=0)
        self._tally.paid += counts * self._segments[0] if len(self._segments) == 1 else self._paid(accepted)
        self.pass_on(accepted, passed)

    def _of_groups(self, counts: I64) -> I64:
        """int64[u, q, r, a] by group: int64[g, q, r]."""
        each = np.add.reduce(counts, axis=3)
        found: I64 = np.add.reduceat(each, self._begins, axis=0)
        return found

    def _paid(self, accepted: I64) -> F64:
        """Segments, float64[g, r]."""
        paid: F64 = (accepted * self._segments[None, :, None]).sum(axis=1)
        return paid

    def _into_queue(self, number: int, accepted: I64, ok: I64, again: I64 | None) -> I64 | None:
        """A route's own queue takes what it has room for; returns what is to be tried again, int64[u, q, r, a]."""
        group, drain = self._design.groups[number], self._limits.drains[number]
        assert group.queue is not None
        segments = (accepted[number] * self._segments[:, None]).sum(axis=0)
        room = drain.rate / self._design.tick * group.queue - self._kept_segments[number]
        over = np.maximum(np.ceil((segments - room) / max(self._design.segments, 1e-9)), 0).astype(np.int64)
        if not over.any():
            return again
        if group.when_full == "expire":
            lost = portion(accepted[number], over)
            self._tally.accepted += lost.sum(axis=0)
            self._tally.expired += lost.sum(axis=0)
            self._tally.paid[number] += (lost * self._segments[:, None]).sum(axis=0)
            accepted[number] -= lost
            return again
        members = self._units.members[number]
        own = np.moveaxis(ok[members], 2, -1)  # the replications last
        refused = portion(own.reshape(-1, own.shape[-1]), over).reshape(own.shape)
        accepted[number] -= refused.sum(axis=(0, 2))
        if group.when_full == "throttle":
            self._throttled(np.moveaxis(refused, -1, 2).sum(axis=0))
            return again
        again = np.zeros_like(ok) if again is None else again
        again[members] += np.moveaxis(refused, -1, 2)
        return again

    def _throttled(self, throttled: I64) -> None:
        """int64[q, r, a]: they are tried again, and no attempt is spent."""
        self._tally.retried += throttled.sum(axis=(0, 2))
        self._supply.again(throttled, spent=False)

    def _try_again(self, again: I64) -> None:
        """int64[q, r, a]: failed sends; those of the last attempt are given up."""
        self._tally.retried += again[:, :, :-1].sum(axis=(0, 2))
        self._supply.again(again)
        self._tally.failed += again[:, :, -1].sum(axis=0)

    def pass_on(self, accepted: I64 | None, passed: int) -> None:
        """Deliver what was accepted, int64[g, q, r], through the routes' own queues; None: nothing was."""
        if accepted is None:
            if not self._limits.drains:
                return
            accepted = np.zeros((len(self._design.groups), len(self._segments), self.kept.shape[1]), np.int64)
        counts = accepted.sum(axis=1)
        for number, bucket in self._limits.drains.items():
            bucket.refill(passed)
            self.kept[number] += counts[number]
            self._kept_segments[number] += (accepted[number] * self._segments[:, None]).sum(axis=0)
            each = self._kept_segments[number] / np.maximum(self.kept[number], 1)
            out = np.minimum(self.kept[number], bucket.room(np.maximum(each, 1e-9)))
            bucket.spend(out * each)
            self.kept[number] -= out
            self._kept_segments[number] -= out * each
            counts[number] = out
        for number, group in enumerate(self._design.groups if self._in_part else ()):
            if group.delivered < 1 and counts[number].any():
                arrived = self._rng.binomial(counts[number], group.delivered)
                self._tally.undelivered += counts[number] - arrived
                counts[number] = arrived
        self._tally.delivered += counts
