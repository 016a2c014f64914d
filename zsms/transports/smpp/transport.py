"""An ESME: messages out as submit_sm by one gateway's connections, answers and receipts back, all in columns.

    start --> Load: segments --> queue --room of the binds, caps--> one buffer of PDUs, cut by bind --> sockets
                                   ^                                                                     |
       refused for the moment, in parts                          answers <--- all binds of a turn together
                                                                    |--> finished: sent, throttled, rejected, uncertain
                                                 deliver_sm --> receipts: whose, what, how long after

Everything happens in the role's thread: `fileno` is readable when there is something to do. A turn costs a number of
numpy calls for each bind that has something, and none for each message.

A message that has not begun while no connection stands is given back, to be tried again; what was submitted and has no
answer when its time is over, or when the connection ends, is uncertain.
"""

from __future__ import annotations

import logging
import selectors
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from time import monotonic

import numpy as np

from zsms.core.outcomes import Finished, Receipts, final
from zsms.core.seeds import Seed
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.core.smpp import receipts as receipts_of
from zsms.core.smpp.flow import Cap
from zsms.core.smpp.outstanding import Found, Outstanding
from zsms.core.smpp.pdu import RESPONSE, Command, encode_in_parts
from zsms.core.smpp.record import Pdu
from zsms.core.smpp.session import Answered, Asked, Event, Received, Unanswered
from zsms.core.smpp.statuses import Consequences, name_of
from zsms.core.smpp.strings import I64, U8, U32, Strings, rows_of
from zsms.errors import UsageError, ZsmsError
from zsms.message import Batch, Mixed, Outcome
from zsms.stats.failures import Failure, Failures, printable
from zsms.transports.smpp.bind import Bind
from zsms.transports.smpp.load import F32, NO_STATUS, ROW, SENT, U64, Load
from zsms.transports.smpp.settings import SmppSettings

_log = logging.getLogger("zsms.sender")

AGAIN_S = 1.0
"""Seconds after which a part that was refused for the moment is submitted again."""
ALONE_S = 1.0
"""Seconds without any connection after which messages that have not begun are given back."""
AHEAD_S = 0.5
"""Where a rate is capped, messages for so many seconds are asked for."""
CAP_TICK_S = 0.004
"""Seconds between two turns that only let capped connections go on."""
TIMERS_S = 0.1
"""Seconds after which connections' timers are looked at, at the latest."""
SWEEP_S = 5.0
GOODBYE_S = 1.0
_TELL_S = 10.0
_MOST_KEPT = 4_096


class SmppTransport:
    """A gateway's connections of this process."""

    def __init__(self, settings: SmppSettings, concurrency: int | None = None, seed: Seed = None) -> None:
        """`concurrency` is how many messages are in hand at once, by default what the windows take.

        Raises UsageError for settings that can't be.
        """
        settings.check()
        if concurrency is not None and concurrency < 1:
            raise UsageError(f"concurrency {concurrency}: give at least 1 message")
        self.settings = settings
        self.concurrency = concurrency or settings.binds * settings.window
        self._times = SendTimes.empty()
        self._took: list[F32] = []
        self._totals: list[F32] = []
        """What is to be recorded yet: many small arrays cost less together."""
        self._kept = 0
        self.busy = 0
        self.blocked_s = None
        self.outstanding = Outstanding(settings.receipt_timeout_s)
        self.messages_in = 0
        """deliver_sm that were no receipts: messages that people sent."""
        self.receipts_in = 0
        """Receipts that came, of any message, the last one or not."""
        self.submitted = 0
        """submit_sm that were sent, in segments."""
        self._consequences = Consequences.edited(settings.statuses)
        self._cap = Cap(settings.rate)
        self._failures = Failures()
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self._binds: list[Bind] = []
        self._selector: selectors.BaseSelector | None = None
        self._loads: dict[int, Load] = {}
        self._queue: deque[tuple[Load, I64]] = deque()
        self._queued = 0
        """Segments that have not been submitted."""
        self._later: deque[tuple[float, Load, I64]] = deque()
        self._number = 0
        self._reference = int(self._rng.integers(0, 0x10000))
        self._sources: dict[int, int] = {}
        self._producers: list[int] = []
        self._done: list[Finished] = []
        self._told: list[tuple[U64, U64, U8, F32]] = []
        self._alone_since: float | None = None
        self._ever_bound = False
        self._roomy: dict[Bind, None] = {}
        """Connections that may have room, in the order in which they had it; others have been found without."""
        self._timers_at = 0.0
        self._more: list[Bind] = []
        """Connections that had more to be read than was."""
        self._woken = False
        """When a connection's own time has come, at the earliest."""
        self._sweep_at = 0.0
        self._spoken = (-inf, 0)

    # -- the role's side ---------------------------------------------------------------------------------------------

    def open(self, wake: Callable[[], None]) -> None:
        """Begin to connect."""
        self._selector = selectors.DefaultSelector()

        def woken() -> None:
            self._woken = True
            wake()

        self._binds = [
            Bind(self.settings, command, self._selector, woken, self._rng) for command in self.settings.commands
        ]
        now = monotonic()
        for bind in self._binds:
            bind.look(now)

    def fileno(self) -> int:
        """Readable when `finished` is worth calling."""
        assert self._selector is not None
        return self._selector.fileno()  # type: ignore[attr-defined,no-any-return]

    @property
    def failures(self) -> Sequence[Failure]:
        """Why messages were not sent."""
        return self._failures.rows()

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

    @property
    def binds(self) -> Sequence[Bind]:
        """The connections."""
        return self._binds

    def room(self, waiting: int) -> int | None:
        """How many more messages to ask for; none while no connection stands."""
        able = [bind for bind in self._binds if bind.bound and bind.command != Command.BIND_RECEIVER]
        if not able:
            return 0
        rate = min(self.settings.rate, sum(bind.flow.cap.rate for bind in able))
        if rate == inf:
            return None
        ahead = max(1, int(rate * AHEAD_S))
        return max(0, ahead - self._queued - waiting)

    def start(self, waiting: Waiting, now: float) -> None:
        """Take these messages on."""
        sources = self._sources_of(waiting.batch)
        self._number = (self._number + 1) & 0x7FFFFFFF
        load = Load(self._number, waiting, sources, self.settings, self._reference, now)
        self._reference = (self._reference + load.count) & 0xFFFF
        self._loads[load.number] = load
        self.busy += load.count
        rows = rows_of(len(load))
        if load.unsendable is not None:
            self._refuse_long(load, rows[load.unsendable], now)
            rows = rows[~load.unsendable]
        if len(rows):
            self._queue.append((load, rows))
            self._queued += len(rows)
        self._pump(now)

    def _refuse_long(self, load: Load, rows: I64, now: float) -> None:
        none = np.zeros(len(rows), np.float32)
        code = np.full(len(rows), Outcome.REJECTED.code, np.uint8)
        self._settle(load, rows, code, np.full(len(rows), NO_STATUS, np.uint32), none, "more than 255 parts", now)

    def _sources_of(self, batch: Batch | Mixed) -> U32:
        """A number for the producer of each message."""
        if isinstance(batch, Batch):
            return np.full(len(batch), self._source(batch.producer), np.uint32)
        own = batch.rows["source"]
        known, inverse = np.unique(own, return_inverse=True)
        numbers = np.array([self._source(batch.sources[int(each)].producer) for each in known], np.uint32)
        return numbers[inverse]

    def _source(self, producer: int) -> int:
        number = self._sources.get(producer)
        if number is None:
            number = self._sources[producer] = len(self._producers)
            self._producers.append(producer)
        return number

    def finished(self, now: float) -> Finished | None:
        """What has ended; everything else that there is to do is done here, too."""
        self._turn(now)
        done, self._done = self._done, []
        if not done:
            return None
        self._speak(now)
        return done[0] if len(done) == 1 else _joined(done)

    def receipts(self) -> Receipts | None:
        """What became of messages that were accepted."""
        told, self._told = self._told, []
        if not told:
            return None
        columns = [np.concatenate(column) for column in zip(*told, strict=True)]
        return Receipts(*columns)

    def next_time(self) -> float | None:
        """When to look, unless `fileno` is readable before."""
        at = self._timers_at
        if self._more:
            return 0.0
        now = monotonic()
        if self._queue and (self._cap.rate < inf or any(bind.flow.cap.rate < inf for bind in self._binds)):
            at = min(at, now + CAP_TICK_S)
        if self._queue and self._alone_since is not None:
            at = min(at, self._alone_since + ALONE_S)
        if self._later:
            at = min(at, self._later[0][0])
        return min(at, self._sweep_at)

    @property
    def linger_s(self) -> float:
        """Seconds for which `awaited` receipts are worth waiting for."""
        return self.settings.receipt_wait_s

    @property
    def awaited(self) -> int:
        """Messages whose receipt may still come: worth waiting for before leaving."""
        receiving = any(bind.bound and bind.command != Command.BIND_TRANSMITTER for bind in self._binds)
        return len(self.outstanding) if receiving else 0

    def close(self) -> None:
        """Unbind, and leave."""
        until = monotonic() + GOODBYE_S
        for bind in self._binds:
            bind.leave(monotonic())
        while self._selector is not None and any(bind.bound for bind in self._binds) and monotonic() < until:
            for key, mask in self._selector.select(max(0.0, until - monotonic())):
                self._act(key.data, key.data.ready(mask, monotonic()), [], monotonic())
        for bind in self._binds:
            bind.close()
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        if self._failures.sends:
            self._tell_failures()

    # -- a turn ------------------------------------------------------------------------------------------------------

    def _turn(self, now: float) -> None:
        if self._selector is None:
            return
        answered: list[tuple[Bind, Answered]] = []
        more, self._more = self._more, []
        ready = [(key.data, mask) for key, mask in self._selector.select(0)]
        ready += [(bind, selectors.EVENT_READ) for bind in more if bind not in dict(ready)]
        for bind, mask in ready:
            self._act(bind, bind.ready(mask, now), answered, now)
            if bind.more:
                self._more.append(bind)
            if not bind.bound or bind.trouble:
                self._timers_at = now
        if now >= self._timers_at or self._woken:
            self._look_at_timers(answered, now)
        if answered:
            self._take_answers(answered, now)
        self._look_alone(now)
        if now >= self._sweep_at:
            self.outstanding.look(now)
            self._sweep_at = now + SWEEP_S
        while self._later and self._later[0][0] <= now:
            _, load, rows = self._later.popleft()
            self._queue.appendleft((load, rows))
            self._queued += len(rows)
        self._pump(now)

    def _look_at_timers(self, answered: list[tuple[Bind, Answered]], now: float) -> None:
        """What has become due on any connection; the next time is soon enough for requests that are sent until then."""
        self._woken = False
        at = now + TIMERS_S
        for bind in self._binds:
            if bind.next_time() <= now or bind.trouble or not bind.bound:
                self._act(bind, bind.look(now), answered, now)
                self._look_at_trouble(bind, now)
            bind.flow.look(now)
            at = min(at, max(bind.next_time(), now + 1e-3))
            self._roomy[bind] = None
        self._timers_at = at

    def _look_at_trouble(self, bind: Bind, now: float) -> None:
        if bind.bound:
            self._ever_bound = True
        if bind.trouble and not self._ever_bound and all(each.refused_for_good for each in self._binds):
            raise ZsmsError(f"the gateway {self.settings.address} refused every bind: {bind.trouble}")
        bind.trouble = ""

    def _act(self, bind: Bind, events: list[Event], answered: list[tuple[Bind, Answered]], now: float) -> None:
        if bind.bound:
            self._ever_bound = True
            self._roomy[bind] = None
        for event in events:
            match event:
                case Answered():
                    answered.append((bind, event))
                case Received():
                    self._deliver(bind, event, now)
                case Unanswered():
                    why = f"no answer within {self.settings.response_s:g} s"
                    self._uncertain(event.handles, why, now)
                case Asked(request):
                    self._asked(bind, request)
                case _:
                    pass
        while bind.lost:
            handles, why = bind.lost.pop()
            self._uncertain(handles, f"connection ended: {why}", now)
        if bind.session.output_octets:
            bind.flush(now)

    def _asked(self, bind: Bind, request: Pdu) -> None:
        """A rare request of the gateway's."""
        if request.command == Command.DATA_SM:
            self.messages_in += 1
            bind.session.reply(Pdu(Command.DATA_SM_RESP, request.sequence))
        elif request.command not in (Command.OUTBIND, Command.ALERT_NOTIFICATION):
            bind.session.reply(Pdu(request.command | RESPONSE, request.sequence, 0x03))

    def _look_alone(self, now: float) -> None:
        """Give back what has not begun where no connection has stood for a while."""
        if any(bind.bound and bind.command != Command.BIND_RECEIVER for bind in self._binds):
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
        if now - self._alone_since < ALONE_S:
            return
        while self._queue:
            load, rows = self._queue.popleft()
            self._queued -= len(rows)
            code = np.full(len(rows), Outcome.THROTTLED.code, np.uint8)
            status = np.full(len(rows), NO_STATUS, np.uint32)
            self._settle(load, rows, code, status, np.zeros(len(rows), np.float32), "no connection", now)

    # -- out ---------------------------------------------------------------------------------------------------------

    def _pump(self, now: float) -> None:
        """Submit what there is room for."""
        while self._queue:
            rooms = self._rooms(now)
            if not rooms:
                return
            load, rows = self._queue[0]
            total = min(len(rows), sum(room for _, room in rooms), self._cap.allowed(now))
            if total <= 0:
                return
            if total < len(rows):
                self._queue[0] = load, rows[total:]
                rows = rows[:total]
            else:
                self._queue.popleft()
            self._queued -= total
            self._cap.take(total, now)
            self._submit(load, rows, _shares(rooms, total), now)

    def _rooms(self, now: float) -> list[tuple[Bind, int]]:
        """The connections that can take more, and how much."""
        rooms = []
        for bind in list(self._roomy):
            room = bind.room(now)
            if room:
                rooms.append((bind, room))
            elif not bind.bound or bind.flow.cap.rate == inf:
                del self._roomy[bind]  # until something comes, or the next look at the timers
        return rooms

    def _submit(self, load: Load, rows: I64, shares: list[tuple[Bind, int]], now: float) -> None:
        handles = load.handles(rows)
        message = load.submit_sm(rows)
        load.began(rows, now)
        begin = 0
        for bind, count in shares:
            message.sequence[begin : begin + count] = bind.session.reserve(handles[begin : begin + count], now)
            begin += count
        parts = encode_in_parts(Command.SUBMIT_SM, message, [count for _, count in shares])
        for (bind, count), part in zip(shares, parts, strict=True):
            bind.session.say(part)
            bind.flow.cap.take(count, now)
            bind.flush(now)
        self.submitted += len(rows)

    # -- back --------------------------------------------------------------------------------------------------------

    def _take_answers(self, answered: list[tuple[Bind, Answered]], now: float) -> None:
        """The answers of all connections together."""
        codes = []
        for bind, event in answered:
            sent, code = self._consequences.of(event.answers.status)
            accepted = int(np.count_nonzero(sent))
            throttled = 0
            if accepted < len(code):
                throttled = int(((code == Outcome.THROTTLED.code) | (code == Outcome.TEMPORARY.code)).sum())
                code = np.where(sent, SENT, code).astype(np.uint8)
            bind.flow.answered(accepted, throttled, now)
            codes.append(code)
        if len(answered) == 1:
            event = answered[0][1]
            self._settled(event.handles, codes[0], event.answers.status, event.answers.ids, event.took, now)
            return
        events = [event for _, event in answered]
        self._settled(
            np.concatenate([event.handles for event in events]),
            np.concatenate(codes),
            np.concatenate([event.answers.status for event in events]),
            Strings.joined([event.answers.ids for event in events]),
            np.concatenate([event.took for event in events]),
            now,
        )

    def _settled(
        self,
        handles: U64,
        code: U8,
        status: U32,
        ids: Strings | None,
        took: np.ndarray[tuple[int], np.dtype[np.float64]],
        now: float,
        why: str = "",
    ) -> None:
        """Segments of any loads are answered, or given up."""
        numbers = handles >> np.uint64(32)
        rows = (handles & ROW).astype(np.int64)
        first = int(numbers[0]) if len(numbers) else 0
        groups: list[tuple[int, I64 | slice]]
        if (numbers == first).all():
            groups = [(first, slice(None))]
        else:
            groups = [(int(each), np.flatnonzero(numbers == each)) for each in np.unique(numbers)]
        for number, places in groups:
            load = self._loads[number]
            own = rows[places]
            if ids is not None and self.settings.registered_delivery:
                self._await_receipts(load, own, code[places], ids.take(places), now)
            self._settle(load, own, code[places], status[places], took[places].astype(np.float32), why, now)

    def _await_receipts(self, load: Load, rows: I64, code: U8, ids: Strings, now: float) -> None:
        want = (code == SENT) & (ids.lengths > 0)
        if load.several:
            want &= load.parts.number[rows] == 1
        if not want.all():
            rows, ids = rows[want], ids.take(want)
        messages = load.parts.owner[rows] if load.several else rows
        found = self.outstanding.add(ids, load.sources[messages], load.seqs[messages], now)
        if found is not None:
            self._tell(found)

    def _uncertain(self, handles: U64, why: str, now: float) -> None:
        count = len(handles)
        code = np.full(count, Outcome.UNCERTAIN.code, np.uint8)
        status = np.full(count, NO_STATUS, np.uint32)
        self._settled(handles, code, status, None, np.zeros(count), now, why)

    def _settle(self, load: Load, rows: I64, code: U8, status: U32, took: F32, why: str, now: float) -> None:
        again = load.may_try_again(rows, code)
        if again.any():
            self._later.append((now + AGAIN_S, load, rows[again]))
            good = ~again
            rows, code, status, took = rows[good], code[good], status[good], took[good]
        settled = load.settle(rows, code, status, took, now)
        if not load.open_segments:
            del self._loads[load.number]
        count = len(settled.messages)
        if not count:
            return
        self.busy -= count
        sent = settled.code == SENT
        self._took.append(settled.took)
        self._kept += count
        if self._kept > _MOST_KEPT:
            self._record()
        handles = settled.messages.astype(np.uint64) + np.uint64(load.handle)
        if sent.all():
            self._totals.append(load.total_times(settled.messages, now))
            self._done.append(Finished(handles, handles[:0]))
            return
        bad = ~sent
        outcomes = settled.code[bad]
        over = np.ones(count, np.bool_)
        over[bad] = final(load.last_of(settled.messages[bad]), outcomes)
        self._totals.append(load.total_times(settled.messages[over], now))
        reasons, names = self._reasons(settled.status[bad], why)
        self._done.append(Finished(handles[sent], handles[bad], outcomes, reasons, names))

    def _reasons(self, status: U32, why: str) -> tuple[U8, tuple[str, ...]]:
        """Why each of these failed, as places in a tuple of names; they are counted."""
        kinds, inverse, counts = np.unique(status, return_inverse=True, return_counts=True)
        names = [why or "no answer" if kind == NO_STATUS else name_of(kind) for kind in kinds.tolist()]
        names = [printable(name, 64) for name in names]
        for name, count in zip(names, counts.tolist(), strict=True):
            self._failures.add(name, count)
        most = 16
        if len(names) > most:
            names = [*names[:most], "other"]
        return np.minimum(inverse, most).astype(np.uint8), tuple(names)

    # -- receipts ----------------------------------------------------------------------------------------------------

    def _deliver(self, bind: Bind, event: Received, now: float) -> None:
        bind.session.answer(Command.DELIVER_SM, event.messages.sequence)
        told = receipts_of.read(event.messages)
        self.messages_in += len(event.messages) - len(told)
        self.receipts_in += len(told)
        last = told.outcome != receipts_of.NOT_YET
        ids, outcome = told.ids, told.outcome
        if not last.all():
            ids, outcome = ids.take(last), outcome[last]
        if len(outcome):
            self._tell(self.outstanding.match(ids, outcome, now))

    def _tell(self, found: Found) -> None:
        if len(found.seqs):
            producers = np.array(self._producers, np.uint64)[found.sources]
            self._told.append((producers, found.seqs, found.outcome, found.took))

    # -- words -------------------------------------------------------------------------------------------------------

    def _speak(self, now: float) -> None:
        at, told = self._spoken
        if now - at >= _TELL_S and self._failures.sends != told:
            self._tell_failures()
            self._spoken = now, self._failures.sends

    def _tell_failures(self) -> None:
        rows = self._failures.rows()
        reasons = ", ".join(f"{row.sends:,} {row.reason}" for row in rows)
        slowed = sum(bind.flow.bounded for bind in self._binds)
        more = f"; {slowed} of {len(self._binds)} links are slowed" if slowed else ""
        _log.warning("%s: %d messages were not sent: %s%s", self.settings.address, self._failures.sends, reasons, more)


def _shares(rooms: list[tuple[Bind, int]], total: int) -> list[tuple[Bind, int]]:
    """`total` segments spread over connections with such rooms, as evenly as those allow."""
    shares = []
    left = total
    for place, (bind, room) in enumerate(sorted(rooms, key=lambda each: each[1])):
        count = min(room, -(-left // (len(rooms) - place)))
        if count:
            shares.append((bind, count))
            left -= count
    return shares


def _joined(done: list[Finished]) -> Finished:
    """Several as one."""
    names: list[str] = []
    reasons = []
    for each in done:
        places = []
        for name in each.names:
            if name not in names:
                names.append(name if len(names) < 16 else "other")
            places.append(names.index(name) if name in names else len(names) - 1)
        reasons.append(np.array(places, np.uint8)[each.reasons] if len(each.reasons) else each.reasons)
    return Finished(
        np.concatenate([each.sent for each in done]),
        np.concatenate([each.failed for each in done]),
        np.concatenate([each.outcomes for each in done]),
        np.concatenate(reasons),
        tuple(names),
    )
