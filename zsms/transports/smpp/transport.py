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
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from time import monotonic

import numpy as np

from zsms.core.outcomes import Finished, Receipts
from zsms.core.seeds import Seed
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.core.smpp.events import Answered, Asked, Event, Unanswered
from zsms.core.smpp.flow import EvenCap
from zsms.core.smpp.outstanding import Outstanding
from zsms.core.smpp.pdu import RESPONSE, Command
from zsms.core.smpp.record import Pdu
from zsms.core.smpp.statuses import SENT, Consequences, are_sent
from zsms.core.smpp.strings import FEW, I64, Bools, Strings
from zsms.errors import UsageError
from zsms.message import Outcome
from zsms.stats.failures import Failure, Failures
from zsms.transports.smpp.bind import Bind
from zsms.transports.smpp.links import LinkEvents, Links
from zsms.transports.smpp.load import U64, Load
from zsms.transports.smpp.receipts import Awaited
from zsms.transports.smpp.settings import SmppSettings
from zsms.transports.smpp.settling import Results, Settling
from zsms.words import many

_log = logging.getLogger("zsms.sender")

ALONE_S = 1.0
"""Seconds without any connection after which messages that have not begun are given back."""
AHEAD_S = 0.5
"""Where a rate is capped, messages for so many seconds are asked for."""
QUICK_S = 0.002
"""Seconds of an answer, above which no messages are taken ahead: they could as well wait where others can have them."""
CAP_TICK_S = 0.004
"""Seconds between two turns that only let capped connections go on."""
SWEEP_S = 5.0
GOODBYE_S = 1.0
_TELL_S = 10.0


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
        self.concurrency = concurrency or settings.slots
        self.prefetch = self.concurrency
        """An answer takes milliseconds: as many again wait here meanwhile, or the windows would wait for the broker."""
        self._quick = False
        """Whether the last answers took so little that the next messages are worth having here before they come."""
        self.blocked_s = None
        self.submitted = 0
        """submit_sm that were sent, in segments."""
        self._rng = np.random.Generator(np.random.SFC64(seed))
        self._consequences = Consequences.edited(settings.statuses)
        self._cap = EvenCap(settings.rate)
        self._links: Links | None = None
        self.settling = Settling(settings, self._rng)
        self._awaited = Awaited(settings.receipt_timeout_s, settings.receipts == "each", settings.account)
        self._queue: deque[tuple[Load, I64]] = deque()
        self._queued = 0
        """Segments that have not been submitted."""
        self._alone_since: float | None = None
        self._sweep_at = 0.0
        self._logged = (-inf, 0)
        self._logged_unmatched = False

    # -- the role's side ---------------------------------------------------------------------------------------------

    def open(self, wake: Callable[[], None]) -> None:
        """Begin to connect."""
        self._links = Links(self.settings, wake, self._rng)
        self._awaited.leave = self._links.leave
        self._links.turn(monotonic())

    def fileno(self) -> int:
        """Readable when `finished` is worth calling."""
        assert self._links is not None
        return self._links.selector.fileno()

    @property
    def failures(self) -> Sequence[Failure]:
        """Why messages were not sent."""
        return self.settling.failures.rows()

    @property
    def times(self) -> SendTimes:
        """What was measured of the messages that were given back."""
        return self.settling.times

    @property
    def busy(self) -> int:
        """Messages in hand, but for those that were taken ahead."""
        return min(self.settling.busy, self.concurrency)

    @property
    def free(self) -> int:
        """Messages that may be started: where answers are quick as many again as there are slots, so that a window is
        filled again before anything else is done with its answers."""
        return self.concurrency * (2 if self._quick else 1) - self.settling.busy

    @property
    def figures(self) -> Mapping[str, int]:
        """Receipts that are awaited, missing or of nobody, and messages that people sent, for the statistics."""
        return self._awaited.figures

    @property
    def binds(self) -> Sequence[Bind]:
        """The connections."""
        return () if self._links is None else self._links.binds

    @property
    def outstanding(self) -> Outstanding:
        """Messages whose receipt is still to come."""
        return self._awaited.outstanding

    @property
    def messages_in(self) -> int:
        """Messages that people sent."""
        return self._awaited.messages_in

    @property
    def receipts_in(self) -> int:
        """Receipts that came, of any message, the last one or not."""
        return self._awaited.receipts_in

    def room(self, waiting: int) -> int | None:
        """How many more messages to ask for; none while no connection stands."""
        if self._links is None or not self._links.standing:
            return 0
        rate = min(self.settings.rate, self._links.rate)
        if rate == inf:
            return None
        ahead = max(1, int(rate * AHEAD_S))
        return max(0, ahead - self._queued - waiting)

    def start(self, waiting: Waiting, now: float) -> None:
        """Take these messages on."""
        for load, rows in self.settling.take(waiting, self._awaited.sources_of, now):
            if load.unsendable is not None and (bad := load.unsendable[rows]).any():
                results = Results.alike(int(bad.sum()), Outcome.REJECTED, "more than 255 parts")
                self.settling.settle(load, rows[bad], results, now)
                rows = rows[~bad]
            if len(rows):
                self._queue.append((load, rows))
                self._queued += len(rows)
        self._pump(now)

    def finished(self, now: float) -> Finished | None:
        """What has ended; everything else that there is to do is done here, too."""
        self._turn(now)
        done = self.settling.finished()
        if done is not None:
            self._log_now_and_then(now)
        return done

    def stood_still(self, since: float, now: float) -> None:
        """The process did nothing from `since` until `now`."""
        self.outstanding.stood_still(since, now)

    def receipts(self) -> Receipts | None:
        """What became of messages that were accepted."""
        return self._awaited.drain()

    @property
    def sharing(self) -> Awaited | None:
        """Takes and gives receipts that come to the wrong one of an account's senders; None: there are no receipts."""
        return None if self._awaited.account is None else self._awaited

    def next_time(self) -> float | None:
        """When to look, unless `fileno` is readable before."""
        if self._links is None:
            return None
        times = [self._links.next_time(), self._sweep_at]
        if self._queue and (self._cap.rate < inf or self._links.capped):
            times.append(monotonic() + CAP_TICK_S)
        if self._queue and self._alone_since is not None:
            times.append(self._alone_since + ALONE_S)
        times += [at for at in (self.settling.again_at, self._awaited.due) if at is not None]
        return min(times)

    @property
    def linger_s(self) -> float:
        """Seconds for which `awaited` receipts are worth waiting for."""
        return self.settings.receipt_wait_s

    @property
    def awaited(self) -> int:
        """Messages whose receipt may still come: worth waiting for before leaving."""
        return len(self.outstanding) if self._links is not None and self._links.receiving else 0

    def close(self) -> None:
        """Unbind, and leave."""
        links = self._links
        if links is None:
            return
        until = monotonic() + GOODBYE_S
        while links.leave(monotonic()) and monotonic() < until:
            links.selector.select(max(0.0, until - monotonic()))
            self._take(links.turn(monotonic()), monotonic())
        links.close()
        self._links = None
        if self.settling.failures.sends:
            _log_failures(self.settings.address, self.settling.failures, links)

    # -- a turn ------------------------------------------------------------------------------------------------------

    def _turn(self, now: float) -> None:
        if self._links is None:
            return
        self._take(self._links.turn(now), now)
        self._poll_alone(self._links, now)
        if self._awaited.due is not None:
            self._awaited.decide(now)
        if now >= self._sweep_at:
            self._awaited.poll(now)
            self._log_unmatched()
            self._sweep_at = now + SWEEP_S
        while (again := self.settling.again(now)) is not None:
            self._queue.appendleft(again)
            self._queued += len(again[1])
        self._pump(now)

    def _take(self, came: LinkEvents, now: float) -> None:
        """Deal with what has come."""
        if came.answered:
            self._take_answers(came.answered, now)
        for received in came.received:
            self._awaited.came(received.messages, now)
        for bind, event in came.others:
            self._other(bind, event, now)
        for handles, why in came.lost:
            self._uncertain(handles, f"connection ended: {why}", now)

    def _other(self, bind: Bind, event: Event, now: float) -> None:
        match event:
            case Unanswered(handles):
                self._uncertain(handles, f"no answer within {self.settings.response_s:g} s", now)
            case Asked(request) if request.command == Command.DATA_SM:
                self._awaited.came_as_data(request, now)
                bind.session.reply(Pdu(Command.DATA_SM_RESP, request.sequence))
                bind.flush(now)
            case Asked(request) if request.command not in (Command.OUTBIND, Command.ALERT_NOTIFICATION):
                bind.session.reply(Pdu(request.command | RESPONSE, request.sequence, 0x03))
                bind.flush(now)
            case _:
                pass

    def _poll_alone(self, links: Links, now: float) -> None:
        """Give back what has not begun where no connection has stood for a while."""
        if links.standing:
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
        if now - self._alone_since < ALONE_S:
            return
        while self._queue:
            load, rows = self._queue.popleft()
            self._queued -= len(rows)
            self.settling.settle(load, rows, Results.alike(len(rows), Outcome.THROTTLED, "no connection"), now)

    # -- out ---------------------------------------------------------------------------------------------------------

    def _pump(self, now: float) -> None:
        """Submit what there is room for."""
        links = self._links
        while self._queue and links is not None and links.able:
            rooms = links.rooms(now)
            load, rows = self._queue[0]
            room = sum(rooms.tolist()) if len(rooms) <= FEW else int(rooms.sum())
            total = min(len(rows), room, self._cap.allowed(now))
            if total <= 0:
                return
            if total < len(rows):
                self._queue[0] = load, rows[total:]
                rows = rows[:total]
            else:
                self._queue.popleft()
            self._queued -= total
            self._cap.take(total, now)
            load.began(rows, now)
            links.submit(load, rows, rooms if total == room else shares(rooms, total), now)
            self.submitted += total

    # -- back --------------------------------------------------------------------------------------------------------

    def _take_answers(self, answered: list[tuple[I64 | int, Answered]], now: float) -> None:
        """The answers of all connections together."""
        assert self._links is not None
        whose, event = answered[0] if len(answered) == 1 else _all_of(answered)
        status = event.answers.status
        accepted: Bools | None = None
        throttled: Bools | None = None
        code = self._consequences.codes(status)
        if not are_sent(code):
            accepted = code == SENT
            throttled = (code == Outcome.THROTTLED.code) | (code == Outcome.TEMPORARY.code)
        self._links.answered(whose, len(event.handles), accepted, throttled, now)
        self._pump(now)  # the gateway can work on the next ones while the rest is done
        self._quick = float(event.took[-1]) < QUICK_S
        ids = event.answers.ids if self.settings.registered_delivery else None
        self._settle(event.handles, Results(code, status, event.took.astype(np.float32)), ids, now)

    def _settle(self, handles: U64, results: Results, ids: Strings | None, now: float) -> None:
        """Segments of any loads are answered, or given up; `ids` are theirs where receipts are asked for."""
        for load, rows, places in self.settling.groups(handles):
            own = results.take(places)
            if ids is not None:
                self._awaited.accepted(load, rows, own.code, ids=ids.take(places), now=now)
            self.settling.settle(load, rows, own, now)

    def _uncertain(self, handles: U64, why: str, now: float) -> None:
        self._settle(handles, Results.alike(len(handles), Outcome.UNCERTAIN, why), None, now)

    # -- words -------------------------------------------------------------------------------------------------------

    def _log_now_and_then(self, now: float) -> None:
        at, told = self._logged
        sends = self.settling.failures.sends
        if now - at >= _TELL_S and sends != told and self._links is not None:
            _log_failures(self.settings.address, self.settling.failures, self._links)
            self._logged = now, sends

    def _log_unmatched(self) -> None:
        """Say once that receipts come that are of no message of this process, and what may be the reason."""
        count = self.outstanding.strange
        if count and not self._logged_unmatched:
            self._logged_unmatched = True
            _log_unmatched(self.settings.address, count)


def _log_failures(address: str, failures: Failures, links: Links) -> None:
    reasons = ", ".join(f"{row.sends:,} {row.reason}" for row in failures.rows())
    slowed = sum(bind.flow.bounded for bind in links.binds)
    more = f"; slowed: {slowed} of {many(len(links.binds), 'link')}" if slowed else ""
    _log.warning("%s: not sent: %s: %s%s", address, many(failures.sends, "message"), reasons, more)


def _log_unmatched(address: str, count: int) -> None:
    _log.warning(
        "%s: %s of no message that this sender sent: if the account has users that are not senders of this "
        "mesh (or that give its address in other words), the gateway gives receipts to any of them",
        address,
        many(count, "receipt"),
    )


def _all_of(answered: list[tuple[I64 | int, Answered]]) -> tuple[I64, Answered]:
    """Several as one."""
    events = [event for _, event in answered]
    answers = events[0].answers
    together = type(answers)(
        np.concatenate([event.answers.sequence for event in events]),
        np.concatenate([event.answers.status for event in events]),
        Strings.joined([event.answers.ids for event in events]),
    )
    return np.concatenate([np.broadcast_to(whose, len(event.handles)) for whose, event in answered]), Answered(
        np.concatenate([event.handles for event in events]), together, np.concatenate([event.took for event in events])
    )


def shares(rooms: I64, total: int) -> I64:
    """`total` segments spread over connections with such rooms, as evenly as those allow, int64[n]."""
    if len(rooms) == 1:
        return np.array([total], np.int64)
    if total >= int(rooms.sum()):
        return rooms
    ascending = np.sort(rooms)
    # All get up to a level, and those with more room than that share what is left over.
    filled = np.cumsum(ascending) + ascending * np.arange(len(rooms) - 1, -1, -1)
    place = int(np.searchsorted(filled, total, "right"))
    below = int(ascending[:place].sum())
    level, left = divmod(total - below, len(rooms) - place)
    counts: I64 = np.minimum(rooms, level)
    counts[np.flatnonzero(rooms > level)[:left]] += 1
    return counts
