"""Messages that a gateway transport has in hand: from segments' answers to what each message came to.

take(waiting) --> segments of Loads
settled(handles, codes, ...) --> finished: sent, throttled, rejected, uncertain, with times and reasons
                             --> again(now): segments of longer texts that are submitted once more
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from zsms.core.outcomes import Finished, final
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.core.smpp.statuses import SENT, are_sent, name_of
from zsms.core.smpp.strings import I64, U8, U32, Bools, some
from zsms.message import Batch, Mixed, Outcome
from zsms.stats.failures import Failures, printable
from zsms.transports.smpp.load import F32, NO_STATUS, ROW, U64, Load, Settled
from zsms.transports.smpp.settings import SmppSettings

AGAIN_S = 1.0
"""Seconds after which a part that was refused for the moment is submitted again."""
SourcesOf = Callable[[Batch | Mixed], U32]
_MOST_AHEAD = 1_024
"""Messages of a load that is larger than what is started of it at first."""
_MOST_GRANTS = 4
"""Grants that are started bit by bit at a time, of which loads are kept."""
_MOST_KEPT = 4_096
_MOST_REASONS = 16


class Results(NamedTuple):
    """How segments were answered, or that they never will be."""

    code: U8
    """`SENT`, or the outcome's code."""
    status: U32
    """command_status; `NO_STATUS` where there was none."""
    took: F32
    """Seconds."""
    why: str = ""
    """Where there is no status."""

    def take(self, rows: I64 | slice) -> Results:
        """Some of them."""
        return Results(self.code[rows], self.status[rows], self.took[rows], self.why)

    @classmethod
    def alike(cls, count: int, outcome: Outcome, why: str) -> Results:
        """`count` segments without an answer."""
        code = np.full(count, outcome.code, np.uint8)
        return cls(code, np.full(count, NO_STATUS, np.uint32), np.zeros(count, np.float32), why)


class _Ready(NamedTuple):
    """The newest load of a grant, more of which may be started."""

    whole: Waiting
    load: Load
    begin: int
    end: int


class Settling:
    """The loads."""

    def __init__(self, settings: SmppSettings, rng: np.random.Generator) -> None:
        self.busy = 0
        """Messages in hand."""
        self.failures = Failures()
        self._settings = settings
        self._loads: dict[int, Load] = {}
        self._ready: dict[int, _Ready] = {}
        """By what whole grant they are of; the oldest first."""
        self._number = 0
        self._reference = int(rng.integers(0, 0x10000))
        self._later: deque[tuple[float, Load, I64]] = deque()
        self._done: list[Finished] = []
        self._times = SendTimes.empty()
        self._took: list[F32] = []
        self._totals: list[F32] = []
        """What is to be recorded yet: many small arrays cost less together."""
        self._kept = 0

    def __len__(self) -> int:
        return len(self._loads)

    def take(self, waiting: Waiting, sources_of: SourcesOf, now: float) -> list[tuple[Load, I64]]:
        """Messages to be sent: their segments, by load. `sources_of` says what names their producers to the owner.

        Who takes a grant bit by bit gets its messages from loads that are encoded ahead, each larger than the last.
        """
        whole = waiting if waiting.whole is None else waiting.whole
        at, end = waiting.begin, waiting.begin + len(waiting.batch)
        self.busy += end - at
        found = []
        while at < end:
            ready = self._ready.get(id(whole))
            if ready is None or not ready.begin <= at < ready.end:
                ready = self._make_ready(whole, at, end, sources_of, now)
            stop = min(end, ready.end)
            found.append((ready.load, ready.load.start(at - ready.begin, stop - ready.begin)))
            at = stop
            if at == len(whole.batch):
                del self._ready[id(whole)]
                self._leave(ready.load)
        return found

    def _make_ready(self, whole: Waiting, at: int, end: int, sources_of: SourcesOf, now: float) -> _Ready:
        before = self._ready.pop(id(whole), None)
        if before is not None:
            self._leave(before.load)
        size, ahead = end - at, 0 if before is None or before.end != at else 2 * (before.end - before.begin)
        end = min(at + size * max(1, min(ahead, _MOST_AHEAD) // size), len(whole.batch))
        some = whole.part(at, end)
        self._number = (self._number + 1) & 0x7FFFFFFF
        sources = sources_of(some.batch)
        load = Load(self._number, some, sources, settings=self._settings, reference=self._reference, now=now)
        self._reference = (self._reference + load.count) & 0xFFFF
        self._loads[load.number] = load
        ready = self._ready[id(whole)] = _Ready(whole, load, at, end)
        if len(self._ready) > _MOST_GRANTS:
            self._leave(self._ready.pop(next(iter(self._ready))).load)
        return ready

    def _leave(self, load: Load) -> None:
        """Nothing more of it is started."""
        load.left_alone = True
        if not load.open_segments:
            self._loads.pop(load.number, None)

    # -- results -----------------------------------------------------------------------------------------------------

    def groups(self, handles: U64) -> list[tuple[Load, I64, I64 | slice]]:
        """Segments by load: their rows in it, and their places among the handles."""
        if not len(handles):
            return []
        first = int(handles[0]) >> 32
        rows = (handles - np.uint64(first << 32)).view(np.int64)
        if not some(rows >> 32):
            return [(self._loads[first], rows, slice(None))]
        numbers = handles >> np.uint64(32)
        rows = (handles & ROW).astype(np.int64)
        order = np.argsort(numbers, kind="stable")
        known, starts = np.unique(numbers[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        found: list[tuple[Load, I64, I64 | slice]] = []
        for number, begin, end in zip(known.tolist(), starts.tolist(), ends, strict=True):
            places = order[begin:end]
            found.append((self._loads[number], rows[places], places))
        return found

    def settle(self, load: Load, rows: I64, results: Results, now: float) -> None:
        """These segments are answered, or given up."""
        again = load.may_try_again(rows, results.code)
        if again is not None and some(again):
            self._later.append((now + AGAIN_S, load, np.sort(rows[again])))
            good = np.flatnonzero(~again)
            rows, results = rows[good], results.take(good)
        settled = load.settle(rows, results.code, results.status, took=results.took, now=now)
        if not load.open_segments and load.left_alone:
            del self._loads[load.number]
        count = len(settled.messages)
        if not count:
            return
        self.busy -= count
        handles = settled.messages.view(np.uint64) + np.uint64(load.handle)
        if are_sent(settled.code):
            self._keep(load, settled, handles, None, now)
            self._done.append(Finished(handles, handles[:0]))
            return
        sent = settled.code == SENT
        bad = ~sent
        outcomes = settled.code[bad]
        over = np.ones(count, np.bool_)
        over[bad] = final(load.last_of(settled.messages[bad]), outcomes)
        self._keep(load, settled, handles, over, now)
        reasons, names = self._reasons(settled.status[bad], results.why)
        self._done.append(Finished(handles[sent], handles[bad], outcomes, reasons, names))

    def _keep(self, load: Load, settled: Settled, handles: U64, over: Bools | None, now: float) -> None:
        """What is to be recorded of messages, of which those that are `over` (None: all) have a total time."""
        messages, took, ours = settled.messages, settled.took, self._times.ours(handles)
        if ours is not None:
            self._times.given_away += len(ours) - int(np.count_nonzero(ours))
            self._times.asked += float(took[~ours].sum(dtype=np.float64))
            over = ours if over is None else over & ours
            took = took[ours]
        self._took.append(took)
        self._totals.append(load.total_times(messages if over is None else messages[over], now))
        self._kept += len(took)
        if self._kept > _MOST_KEPT:
            self._record()

    def _reasons(self, status: U32, why: str) -> tuple[U8, tuple[str, ...]]:
        """Why each of these failed, as places in a tuple of names; they are counted."""
        kinds, inverse, counts = np.unique(status, return_inverse=True, return_counts=True)
        names = [why or "no answer" if kind == NO_STATUS else name_of(kind) for kind in kinds.tolist()]
        names = [printable(name, 64) for name in names]
        for name, count in zip(names, counts.tolist(), strict=True):
            self.failures.add(name, count)
        if len(names) > _MOST_REASONS:
            names = [*names[:_MOST_REASONS], "other"]
        return np.minimum(inverse, _MOST_REASONS).astype(np.uint8), tuple(names)

    # -- what came of it ---------------------------------------------------------------------------------------------

    def again(self, now: float) -> tuple[Load, I64] | None:
        """Segments whose turn has come once more; None: none now."""
        if not self._later or self._later[0][0] > now:
            return None
        _, load, rows = self._later.popleft()
        return load, rows

    @property
    def again_at(self) -> float | None:
        """When `again` has some."""
        return self._later[0][0] if self._later else None

    def finished(self) -> Finished | None:
        """What has ended since the last call, None when nothing has."""
        done, self._done = self._done, []
        if not done:
            return None
        return done[0] if len(done) == 1 else _joined(done)

    @property
    def times(self) -> SendTimes:
        """What was measured of the messages that were given back."""
        self._record()
        return self._times

    def _record(self) -> None:
        if not self._took:
            return
        took = np.concatenate(self._took)
        self._times.send.record(took)
        self._times.asked += float(took.sum(dtype=np.float64))
        if self._totals:
            self._times.total.record(np.concatenate(self._totals))
        self._took, self._totals, self._kept = [], [], 0


def _joined(done: Sequence[Finished]) -> Finished:
    """Several as one."""
    names: list[str] = []
    reasons = []
    for each in done:
        places = []
        for name in each.names:
            if name not in names:
                names.append(name if len(names) < _MOST_REASONS else "other")
            places.append(names.index(name) if name in names else len(names) - 1)
        reasons.append(np.array(places, np.uint8)[each.reasons] if len(each.reasons) else each.reasons)
    return Finished(
        np.concatenate([each.sent for each in done]),
        np.concatenate([each.failed for each in done]),
        np.concatenate([each.outcomes for each in done]),
        np.concatenate(reasons),
        tuple(names),
    )
