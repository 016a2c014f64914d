"""The stub mesh: producer, broker and senders of a run as their pure cores, joined by calls instead of sockets.

    put --> Window --batches--> BrokerCore --grants--> SenderCore --> your function, a Transport, or simulated slots
              <----confirms----            <--acknowledgements--

A turn lets all of them do what they can at one moment; then time goes on to when there is something to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from zsms.core.broker import BrokerCore, BrokerLimits, Failed
from zsms.core.outcomes import Finished
from zsms.core.producer.window import Window
from zsms.core.seeds import Stream, sequence
from zsms.core.sender import AckFrame, SenderCore
from zsms.core.sender.asking import auto_prefetch
from zsms.core.sender.slots import Slots
from zsms.errors import UsageError, ZsmsError
from zsms.message import Batch, Message, Outcome
from zsms.options import checked
from zsms.sources.random import RandomSource
from zsms.stats.delay import DelayModel
from zsms.testing.called import CalledTransport
from zsms.testing.loop import VirtualLoop
from zsms.transports import Transport
from zsms.transports.calls import Send
from zsms.transports.simulated import SimulatedTransport
from zsms.words import many

_BATCH = 1_000
_WINDOW = 200_000
_PRODUCER = 1
_RESEND_S = 5.0
MOST_RANDOM = 10_000_000
"""Random messages that are made at once, at most."""
_TURNS = 100_000
"""Turns at one moment after which nothing will come of it any more."""


class _ProducerJoin(NamedTuple):
    producer: int
    epoch: int
    name: str
    oldest: int


class _SenderJoin(NamedTuple):
    session: int
    generation: int
    name: str
    slots: int
    received: int
    lease: float = 0.0


class _Grant(NamedTuple):
    session: int
    generation: int
    base: int
    attempt: int
    delivery: int
    queued: float
    more: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A send that has ended, well or not: an attempt at a message."""

    message: Message
    outcome: Outcome
    reason: str
    """Why it failed, where that is known."""
    sender: str
    began: float
    ended: float
    """Seconds of the mesh's own time."""


class Dead(NamedTuple):
    """A message that was given up after several attempts."""

    message: Message
    reason: str


class StubSender:
    """A sender of a stub mesh."""

    def __init__(self, name: str, core: SenderCore, transport: Transport) -> None:
        self.name = name
        self.core = core
        self.transport = transport
        self.peer = name.encode()
        self.alive = True
        self.in_hand: dict[int, tuple[Message, float]] = {}
        """Messages in its slots by their handles, and since when."""


class StubMesh:
    """A mesh in memory, for a user's tests: deterministic, and as quick as your function."""

    @checked
    def __init__(
        self,
        send: Send | None = None,
        *,
        transport: Callable[[], Transport] | None = None,
        senders: int = 1,
        slots: int = 100,
        delay: DelayModel | None = None,
        failure_rate: float = 0.0,
        limits: BrokerLimits | None = None,
        seed: int = 0,
    ) -> None:
        """`send` is an ``async def send(message)``, as of :class:`zsms.Sender`; `transport()` makes a
        :class:`zsms.transports.Transport` for each sender, one without threads and sockets of its own; without either
        slots sleep for times drawn from `delay`, and `failure_rate` of the sends fail. Raises UsageError.
        """
        if send is not None and transport is not None:
            raise UsageError("give either a function or a transport, not both")
        if not 1 <= senders <= 1_000:
            raise UsageError(f"senders {senders}: give 1 to 1000")
        self.now = 0.0
        """Seconds since the mesh was made, of its own time."""
        self.broker = BrokerCore(limits, seed=sequence(seed, Stream.BROKER))
        self.sends: list[Attempt] = []
        """Every send that has ended, in order."""
        self._seed = seed
        self._loop = VirtualLoop(lambda: self.now)  # type: ignore[abstract]
        self._window = Window(_WINDOW, _RESEND_S)
        self._todo: deque[Batch] = deque()
        self._made = 0
        self._delay = delay or DelayModel()
        self._failure_rate = failure_rate
        self._random: RandomSource | None = None

        def made(number: int) -> Transport:
            if send is not None:
                return CalledTransport(send, slots, self._loop)
            return self._simulated(slots, number) if transport is None else transport()

        self.senders = {f"sender-{n}": self._sender(f"sender-{n}", made(n), n) for n in range(1, senders + 1)}
        """By name."""
        self.broker.producer_joined(b"producer", _ProducerJoin(_PRODUCER, 1, "producer", 0), self.now)

    def _simulated(self, slots: int, number: int) -> Transport:
        drawn = sequence(self._seed, Stream.SENDER, number, "slots")
        return SimulatedTransport(Slots(slots, self._delay, failure_rate=self._failure_rate, seed=drawn))

    @checked
    def _sender(self, name: str, transport: Transport, number: int) -> StubSender:
        prefetch = auto_prefetch(transport.concurrency, self._delay.mean)
        core = SenderCore(transport.concurrency, prefetch, sequence(self._seed, Stream.SENDER, number))
        transport.open(lambda: None)
        return StubSender(name, core, transport)

    # -- what a test does -----------------------------------------------------------------------------------------

    @checked
    def put(self, messages: int | Iterable[tuple[str, str]]) -> None:
        """Hand over (recipient, text) rows, or so many random messages. A full broker takes them when it has room."""
        if isinstance(messages, int | np.integer):
            if not 0 <= messages <= MOST_RANDOM:
                raise UsageError(f"messages {messages}: give 0 to {MOST_RANDOM:,}")
            messages = self._drawn(int(messages))
        rows = list(messages)
        for begin in range(0, len(rows), _BATCH):
            part = rows[begin : begin + _BATCH]
            batch = Batch.of(part, producer=_PRODUCER, epoch=1, first=self._made, due=self.now)
            self._todo.append(batch)
            self._made += len(part)

    def _drawn(self, count: int) -> Iterable[tuple[str, str]]:
        self._random = self._random or RandomSource(None, self._seed)
        while count:
            columns = self._random.take(count)
            texts, at = columns.text.tobytes(), 0
            for recipient, length in zip(columns.recipients.tolist(), columns.lengths.tolist(), strict=True):
                yield f"+{recipient}", texts[at : at + length].decode()
                at += length
            count -= len(columns)

    @checked
    def join(self, within: float = 86_400.0) -> None:
        """Let time go on until every message is settled. Raises ZsmsError when some are not `within` so many seconds of
        the mesh."""
        until = self.now + within
        self._settle()
        while not self.idle:
            if not any(sender.alive for sender in self.senders.values()):
                raise ZsmsError(f"{many(self._open, 'message is', 'messages are')} left, and no sender")
            at = self._next_time()
            if at > until:
                left = many(self._open, "message is", "messages are")
                raise ZsmsError(f"{left} not settled after {within:g} s of the mesh's time")
            self.now = max(self.now, at)
            self._settle()

    @checked
    def advance(self, seconds: float) -> None:
        """Let so many seconds go by."""
        until = self.now + seconds
        self._settle()
        while (at := self._next_time()) <= until:
            self.now = max(self.now, at)
            self._settle()
        self.now = until
        self._settle()

    @checked
    def kill(self, sender: str) -> None:
        """Kill a sender: what it holds goes to others once it has been silent for the broker's `liveness`."""
        if sender not in self.senders:
            raise UsageError(f"sender {sender!r}: there are {', '.join(self.senders)}")
        found = self.senders[sender]
        found.alive = False
        found.transport.close()

    # -- what came of it ------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether every message is settled."""
        return not self._open

    @property
    def _open(self) -> int:
        totals = self.broker.totals()
        return self._made - totals["sent"] - totals["failed"] - totals["dead"]

    @property
    def counts(self) -> dict[str, int]:
        """Messages: produced, sent, failed, dead, queued, in_flight; duplicates, redelivered and retried beside."""
        totals, counters = self.broker.totals(), self.broker.counters
        names = ("sent", "failed", "dead", "in_flight")
        counts = {"produced": self._made, **{name: totals[name] for name in names}}
        counts["queued"] = self._made - sum(totals[name] for name in names)
        return counts | {
            "duplicates": counters.duplicates,
            "redelivered": counters.redelivered,
            "retried": counters.retried,
        }

    @property
    def dead_letters(self) -> list[Dead]:
        """Messages that were given up, and why."""
        return [
            Dead(message, letter.reason)
            for letter in self.broker.dead_letters
            for message in letter.lot.whole.slice(letter.lot.begin, letter.lot.end).messages()
        ]

    def sent(self) -> list[Message]:
        """Messages that were sent, each as often as that happened."""
        return [each.message for each in self.sends if each.outcome is Outcome.SENT]

    # -- a turn ---------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """All that can be done at this moment."""
        for _ in range(_TURNS):
            if not self._turn():
                return
        raise ZsmsError(f"at {self.now:g} s nothing comes to rest: a transport is never done")

    def _turn(self) -> bool:
        """A turn of each; whether anything has moved."""
        now = self.now
        moved = self._produce(now)
        living = [sender for sender in self.senders.values() if sender.alive]
        for sender in living:
            self._greet(sender, now)
        self.broker.poll(now)
        for granted in self.broker.grants(now):
            session, lot = granted.session, granted.piece.lot
            sender = self.senders[session.name]
            if not sender.alive:
                continue  # nobody reads it: it comes back with the rest
            moved = True
            batch = lot.whole.slice(lot.begin, lot.end)
            grant = _Grant(
                session.token,
                session.generation,
                base=granted.piece.base,
                attempt=lot.attempt,
                delivery=lot.delivery,
                queued=lot.queued,
                more=granted.more,
            )
            sender.core.granted(grant, batch, 0.0, now)
        for sender in living:
            moved |= self._work(sender, now)
        return moved

    def _produce(self, now: float) -> bool:
        moved, window = False, self._window
        while self._todo and window.room >= len(self._todo[0]):
            batch = self._todo.popleft()
            batch.number = window.next_number
            window.add(batch, len(batch), now)
        while not self.broker.full and (frame := window.next_frame()) is not None:
            self.broker.put(frame, now)
            window.pushed()
            moved = True
        for account in self.broker.confirms():
            window.confirmed(account.durable_through, now)
            moved = True
        return moved

    def _greet(self, sender: StubSender, now: float) -> None:
        """A sign of life; a sender that the broker does not know joins."""
        if sender.core.live and self.broker.alive(sender.peer, now) is not None:
            return
        core = sender.core
        core.joining()
        join = _SenderJoin(core.token, core.generation, sender.name, core.slots, core.received)
        session = self.broker.sender_joined(sender.peer, join, now)
        if session is None:
            core.renew()
            self._greet(sender, now)
            return
        core.attempts = self.broker.limits.max_attempts
        self._send(sender, core.welcomed(session.acked), now)

    def _send(self, sender: StubSender, frames: Iterable[AckFrame], now: float) -> None:
        for frame in frames:
            how = None
            if len(frame.outcomes) or len(frame.reasons):
                how = Failed(frame.outcomes, frame.reasons, frame.names)
            self.broker.acknowledged(sender.peer, frame, now, how)
            sender.core.acknowledged(frame.number + 1)

    def _work(self, sender: StubSender, now: float) -> bool:
        """Begin what there are slots for, and say what has ended."""
        core, transport = sender.core, sender.transport
        self._loop.run_ready()
        finished = transport.finished(now)
        if finished is not None:
            self._note(sender, finished, now)
            self._send(sender, core.finished(finished), now)
        transport.receipts()
        free = transport.concurrency - transport.busy
        taken = core.take(free) if free > 0 else []
        for waiting in taken:
            messages = waiting.batch.messages(waiting.attempt, waiting.delivery)
            sender.in_hand.update(zip(waiting.handles.tolist(), ((each, now) for each in messages), strict=True))
            transport.start(waiting, now)
        if (room := transport.room(core.waiting_messages)) is not None:
            core.room = room + core.waiting_messages
        if (credit := core.new_credit()) is not None:
            self._send(sender, [credit], now)
        self._loop.run_ready()
        return finished is not None or bool(taken)

    def _note(self, sender: StubSender, finished: Finished, now: float) -> None:
        def end(handle: int, outcome: Outcome, reason: str) -> None:
            message, began = sender.in_hand.pop(handle)
            self.sends.append(Attempt(message, outcome, reason, sender.name, began, ended=now))

        for handle in finished.sent.tolist():
            end(handle, Outcome.SENT, "")
        codes: list[Any] = finished.outcomes.tolist() or [Outcome.FAILED.code] * len(finished.failed)
        names = [finished.names[place] for place in finished.reasons.tolist()] or [""] * len(codes)
        for handle, code, name in zip(finished.failed.tolist(), codes, names, strict=True):
            end(handle, _BY_CODE[code], name)

    def _next_time(self) -> float:
        times = [self.broker.next_time(self.now), self._loop.next_time()]
        times += [sender.transport.next_time() for sender in self.senders.values() if sender.alive]
        return max(self.now, min(at for at in times if at is not None))


_BY_CODE = {outcome.code: outcome for outcome in list(Outcome)[1:]}
