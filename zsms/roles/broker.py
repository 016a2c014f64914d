"""The broker role: PULL for batches, ROUTER for everything else, around :class:`zsms.core.broker.BrokerCore`.

The loop: wait; read what the peers say; read batches unless the queue is full; look at the time; grant;
confirm; publish. Reading comes before judging, so that after a pause of its own the broker sees the words that
waited before it calls anyone silent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import zmq

from zsms.core.broker import BrokerCore, BrokerLimits, Put
from zsms.core.broker.durability import check_durability, hidden, is_on_servers
from zsms.core.seeds import Stream, sequence
from zsms.errors import UsageError, WireError
from zsms.journal import NeverTaken
from zsms.message import Batch
from zsms.options import checked
from zsms.roles.base import Role, RoleOptions
from zsms.roles.broker_figures import broker_figures
from zsms.roles.callers import Callers
from zsms.roles.desk import FROM_PEERS, Desk
from zsms.roles.granting import send_grants
from zsms.roles.memory import Memory
from zsms.roles.permissions import BrokerPermissions, user_of
from zsms.stats.snapshot import Snapshot
from zsms.wire.codec import encode, expect, refusal
from zsms.wire.endpoint import BROKER_PORT, DEFAULT_BROKER, Endpoint
from zsms.wire.frames import (
    Confirm,
    Frame,
    JoinProducer,
    Refused,
)
from zsms.words import many

if TYPE_CHECKING:
    from zsms.roles.journaling import Journaling

_READ_AT_ONCE = 256
"""Frames read from one socket before the other has its turn."""
_BATCHES_AT_ONCE = 16
_LARGE = 64 * 1024
"""From this size on a batch stays in ZeroMQ's memory and goes out of it again without a copy."""
_NOBLOCK = int(zmq.NOBLOCK)
TROUBLE = (
    "sender lost",
    "lease expired",
    "foreign acknowledgements",
    "unknown acknowledgements",
    "confirmed batches missing",
)
"""Kinds of events that are logged as warnings."""


class Broker(Role):
    """Queues messages and balances them over senders by credit."""

    role = "broker"

    @checked
    def __init__(
        self,
        bind: str = DEFAULT_BROKER,
        *,
        limits: BrokerLimits | None = None,
        seed: int | None = None,
        stream: int = 0,
        insecure: bool = False,
        journal: str | Path | None = None,
        durability: str | None = None,
        standby: bool = False,
        await_slots: int = 0,
        **common: Unpack[RoleOptions],
    ) -> None:
        """`bind` is where to listen (port 0: any two free ports); `common`: see :class:`zsms.RoleOptions`.

        Without keys, an address that other hosts can reach is refused unless `insecure`.

        `journal` is a folder for what must outlast the broker, and `durability` what a confirm then means: "fsync"
        (the default), on the disk, or "os". Without one it is "memory". A journal at nats://HOST,HOST,HOST/NAME
        outlasts its machine, too: then it is "majority", and with `standby` this broker waits, without listening,
        until no other has the journal. A first producer is welcomed only when senders with `await_slots` slots have
        joined (or after `AWAIT_SLOTS_S`): the time of a run begins with its first message. Raises UsageError.
        """
        for name in BrokerLimits.__dataclass_fields__.keys() & common.keys():
            raise UsageError(f"a broker takes {name} as one of its limits: limits=zsms.BrokerLimits({name}=...)")
        super().__init__(**common)
        self._seed = sequence(seed, Stream.BROKER, stream)
        self.core = BrokerCore(limits, self._seed)
        """With a journal, another one from the start on: the one that the journal holds."""
        self.durability = check_durability(journal, durability)
        self._journal = journal
        if standby and not is_on_servers(journal):
            raise UsageError("standby: a broker stands by for a journal on NATS servers (nats://HOST,HOST,HOST/NAME)")
        self._standby = standby
        self._never_taken = False
        """It was stopped while it stood by."""
        self._journaling: Journaling | None = None
        self._bind = Endpoint.parse(bind, BROKER_PORT)
        self._endpoint = self._bind
        self._insecure = insecure
        self._permissions = None if self.keys is None else BrokerPermissions(self.keys, self.core)
        self._await_slots = await_slots
        self.reading = False
        """Whether it takes batches at the moment."""
        self._was_idle, self._memory = True, Memory()

    @property
    def endpoint(self) -> str:
        """Where it listens, for the `broker` option of producers and senders. Known once it has started."""
        return str(self._endpoint)

    def _open(self) -> None:
        if self._journal is not None:
            try:
                self._open_journal(self._journal)
            except NeverTaken:
                self._never_taken = True
                self.log.info("%s: leaving; it stood by, and no message has come to it", self.name)
                return
        self._callers = Callers(self.core, self._await_slots)
        self._desk = Desk(
            self.core,
            self.name,
            self.start_id,
            self.durability,
            clock=self._clock,
            full=lambda: self._full,
            waits=lambda: "" if self._journaling is None else self._journaling.waits,
            send=self._send,
        )
        # ROUTER's mark is for each peer. A sender can't be owed more frames than messages, so its credit is the
        # real bound.
        self._pull, self._router, self._endpoint = self._sockets.bind_pair(
            (zmq.PULL, zmq.ROUTER), self._bind, "--bind", hwm=(8, 20_000), insecure=self._insecure
        )
        self._poller.register(self._router, zmq.POLLIN)
        for warning in self.core.limits.warnings():
            self.log.warning("%s: %s", self.name, warning)
        self.log.info("%s: listening on %s", self.name, self._endpoint)

    def _open_journal(self, directory: str | Path) -> None:
        from zsms.roles.journaling import Journaling  # the store's modules, which a broker without one does without

        self._journaling = Journaling(
            directory,
            self.durability,
            limits=self.core.limits,
            seed=self._seed,
            now=self._clock(),
            log=self.log,
            name=self.name,
            wake=self.wake,
            standby=self._standby,
            leaves=self._leaves,
        )
        self.core = self._journaling.core
        if self.keys is not None:
            self._permissions = BrokerPermissions(self.keys, self.core)

    def _leaves(self) -> bool:
        """Whether it is to leave while it stands by; its service manager hears that all is well."""
        if self.notifier is not None:
            self.notifier.ready()
            self.notifier.turn(self._clock(), None)
        return self._stopping

    def _close(self) -> None:
        if self._journaling is not None:
            self._journaling.close()

    @property
    def durable(self) -> bool:
        """Whether its journal has all that it knows; without one there is nothing to keep."""
        return self._journaling is None or self._journaling.done

    def step(self) -> bool:
        """See `Role.step`."""
        if self._never_taken:
            return False
        now = self._clock()
        self._choose_whether_to_read()
        events = self._wait(self._wake_at(now), now)
        now = self._clock()
        if self._router in events:
            self._read_peers(now)
        if self._pull in events:
            self._read_batches(now)
        for peer, join in self._callers.welcomed(now):
            for answer in self._desk.handle(peer, join, now):
                self._send(peer, answer)
        self.core.poll(now)
        self._grant(now)
        if self._journaling is not None:
            self._journaling.turn(now)
        self._confirm()
        self._log_events()
        was_idle, self._was_idle = self._was_idle, self.core.idle
        self._memory.poll(now)
        self._publisher.tick(now, soon=was_idle != self._was_idle)
        if not self._done(now):
            return True
        if self._journaling is not None:
            self._journaling.finish(self._stops > 1)
        return False

    def _wake_at(self, now: float) -> float:
        times = [self.core.next_time(now), self._publisher.due(), self._callers.due()]
        if self._journaling is not None:
            times.append(self._journaling.due())
        return min(at for at in times if at is not None)

    def _choose_whether_to_read(self) -> None:
        """Full, or leaving: stop reading batches, and ZeroMQ and TCP press back to the producers."""
        wanted = not self._full
        if wanted != self.reading:
            self.reading = wanted
            if wanted:
                self._poller.register(self._pull, zmq.POLLIN)
            else:
                self._poller.unregister(self._pull)

    # -- reading ----------------------------------------------------------------------------------------------

    def _read_batches(self, now: float) -> None:
        for _ in range(_BATCHES_AT_ONCE):
            if self._full:
                return
            try:
                frame = self._pull.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if frame.more:
                self._pull.recv_multipart()
                self._refuse("ingest", "a batch is one frame", now)
                continue
            data: Any = frame.buffer if len(frame) >= _LARGE else frame.bytes
            try:
                batch: Batch = expect(data, Batch)
            except WireError as error:
                self._refuse("ingest", error, now)
                continue
            if self._permissions is not None and (why := self._permissions.batch(user_of(frame), batch)) is not None:
                self._refuse("ingest", why, now)
                continue
            batch.frame = frame if len(frame) >= _LARGE else data
            if self.core.put(batch, now) is Put.UNKNOWN_PRODUCER:
                self._refuse("ingest", f"producer {batch.producer:x} has not joined", now)

    def _read_peers(self, now: float) -> None:
        recv, handle = self._router.recv, self._desk.handle
        for _ in range(_READ_AT_ONCE):
            try:
                peer = recv(_NOBLOCK)
            except zmq.Again:
                return
            whole = recv(copy=False)  # which says by itself whether there is more, for less than it costs to ask
            if whole.more:
                count = len(self._router.recv_multipart())
                self._refuse("dispatch", f"{count + 1} frames where one belongs", now)
                continue
            try:
                frame = expect(whole.bytes, *FROM_PEERS)
            except WireError as error:
                self._refuse("dispatch", error, now)
                self._send_to(peer, refusal(error, self.start_id))
                continue
            permissions = self._permissions
            if permissions is not None and (why := permissions.frame(peer, user_of(whole), frame)) is not None:
                self._refuse("dispatch", why.reason, now)
                self._send(peer, Refused(self.start_id, why.final, why.reason[:200]))
                continue
            if isinstance(frame, JoinProducer) and self._callers.waits(peer, frame, now):
                continue
            for answer in handle(peer, frame, now):
                self._send(peer, answer)

    @property
    def _full(self) -> bool:
        """Whether no batch is read: the queue is full, the disk has not caught up, or the broker leaves."""
        return self.core.full or self._stopping or (self._journaling is not None and self._journaling.pressing)

    # -- writing ----------------------------------------------------------------------------------------------

    def _send(self, peer: bytes, frame: Frame) -> bool:
        return self._send_to(peer, encode(frame))

    def _send_to(self, peer: bytes, data: bytes) -> bool:
        try:
            self._router.send_multipart((peer, data), zmq.NOBLOCK)
        except zmq.ZMQError:
            return False  # it is gone, or does not read; it will speak again
        return True

    def _grant(self, now: float) -> None:
        if self._journaling is not None and not self._journaling.store.sure:
            return  # another broker may be giving the same messages to its senders
        send_grants(self._router, self.core, now)

    def _confirm(self) -> None:
        for account in self.core.confirms():
            through = account.durable_through
            self._send(account.peer, Confirm(self.start_id, account.epoch, through, self._full, self.durability))

    def _log_events(self) -> None:
        """Log what happened since the last turn."""
        for event in self.core.new_events():
            self.log.log(
                30 if event.kind in TROUBLE else 20,
                f"%s: {event.kind}: %s%s",  # a kind of its own in the log: many of one must not swallow another
                self.name,
                event.subject,
                f", {many(event.messages, 'message')}" if event.messages else "",
            )

    def _done(self, now: float) -> bool:
        if not self._stopping:
            return False
        totals = self.core.totals()
        queued, in_flight = totals["queued"], totals["in_flight"]
        if not queued + in_flight and self.durable:
            return True
        if not self._out_of_time(now):
            return False
        where = "" if self._journal is None else f"; they stay in the journal in {hidden(str(self._journal))}"
        if queued + in_flight:
            held = many(queued, "message"), in_flight
            self.log.warning("%s: leaving with %s queued and %d in flight%s", self.name, *held, where)
        return True

    def _settled(self) -> int:
        totals = self.core.totals()
        return totals["sent"] + totals["failed"] + totals["dead"]

    def _complete(self, snapshot: Snapshot) -> None:
        snapshot.reach = self.core.progress.reach.to_wire()

    def snapshot(self, now: float) -> Snapshot | None:
        """See `Role.snapshot`."""
        if self._never_taken:
            return None
        core, journaling = self.core, self._journaling
        refused = self.refused_connections
        figures = broker_figures(core, journaling, now, durability=self.durability, refused_connections=refused)
        state = "draining" if self._stopping else "running"
        snapshot = self._make_snapshot(state, figures, {"delivery_time": core.delivery_times})
        if journaling is not None:
            # Its totals go on from those of the broker before it: the same books, and a newer page of them.
            snapshot.start = journaling.store.birth
            snapshot.name = journaling.store.owner or self.name
            snapshot.seq += journaling.store.opened << 32
        snapshot.events = [[now - e.at, e.kind, e.subject, e.messages] for e in list(core.events)[-50:]]
        return snapshot
