"""What a fake SMSC does with its sessions' events: binds, submits, answers in time, receipts to whom they belong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zsms.core.seeds import Seed, stream
from zsms.core.sender.wheel import TimingWheel
from zsms.core.smpp.bundle import BundleEvents, answer_together, places_of
from zsms.core.smpp.events import Answered, Asked, BindAsked, Ended, Event, Received, Unanswered
from zsms.core.smpp.pdu import RESPONSE, Command, Messages, Status
from zsms.core.smpp.record import Pdu
from zsms.core.smpp.strings import FEW, I64, U8, U32
from zsms.smsc.connection import Connection, Rows
from zsms.smsc.ids import U64, few_ids, ids_of
from zsms.smsc.limits import Bucket
from zsms.smsc.model import Model, Origin, Party, Verdict
from zsms.smsc.receipts import deliveries
from zsms.smsc.record import Recorder
from zsms.smsc.requests import answer_to
from zsms.smsc.rules import Rules
from zsms.stats.histogram import Histogram

_TICK_S = 0.002
KEPT = 1_000_000
"""Receipts that wait for a bind that takes them, at most; older ones are given up."""


@dataclass(slots=True)
class DeskCounts:
    """Since the start."""

    binds: int = 0
    binds_refused: int = 0
    receipts_sent: int = 0
    receipts_answered: int = 0
    receipts_refused: int = 0
    """Answered with a status other than 0."""
    receipts_unanswered: int = 0
    receipts_given_up: int = 0
    mo_sent: int = 0
    ended: int = 0
    """Sessions that ended otherwise than by an unbind."""


class Desk:
    """Everything between the sessions and the model."""

    def __init__(self, rules: Rules, seed: Seed, now: float, recorder: Recorder | None = None) -> None:
        self.rules = rules
        self.model = Model(rules, seed, now)
        self.counts = DeskCounts()
        self.connections: dict[int, Connection] = {}
        self.delivery = Histogram()
        """Seconds from deliver_sm to its answer."""
        self.refusing: int | None = None
        """command_status of every bind, while binds are refused."""
        self.silent = False
        """Whether nothing is said: no answer of any kind, and no receipt, which come later."""
        self._recorder = recorder
        self._answers = TimingWheel(_TICK_S, 4, stream(seed, "smsc", "answers"))
        self._homeless: dict[int, deque[Rows]] = {}
        """Receipts by account that no bind takes now."""
        self._turn = 0
        self._serial = 0

    # -- events ------------------------------------------------------------------------------------------------------

    def happened(self, connection: Connection, events: Iterable[Event], now: float, wall: float) -> None:
        """Deal with what a session tells."""
        for event in events:
            match event:
                case Received(_, messages):
                    self._submitted([connection], None, messages, now, wall)
                case Answered():
                    self._receipts_answered(event)
                case Unanswered(handles):
                    self.counts.receipts_unanswered += len(handles)
                case BindAsked(request):
                    self._bind(connection, request, now)
                case Asked(request):
                    self._asked(connection, request, now, wall)
                case Ended(reason, _):
                    connection.ending = True
                    self.counts.ended += reason != "the peer has unbound"
                case _:
                    pass  # of an ESME's side

    def received_together(
        self, connections: Sequence[Connection], heard: BundleEvents, now: float, wall: float
    ) -> None:
        """The same of what many have told together."""
        if heard.answered is not None:
            self._receipts_answered(heard.answered[1])
        if heard.received is not None:
            owner, received = heard.received
            self._submitted(connections, owner, received.messages, now, wall)
        for place, events in heard.apart:
            self.happened(connections[place], events, now, wall)

    def _receipts_answered(self, event: Answered) -> None:
        refused = int((event.answers.status != 0).sum())
        self.counts.receipts_answered += len(event.handles) - refused
        self.counts.receipts_refused += refused
        self.delivery.record(event.took.astype(np.float32))

    def _bind(self, connection: Connection, request: Pdu, now: float) -> None:
        system_id = request["system_id"].decode("latin-1")
        found = self.model.party(system_id, request["password"].decode("latin-1"))
        if self.refusing is not None:
            found = self.refusing
        if isinstance(found, Party) and 0 < found.account.binds <= self._binds(found):
            found = int(Status.BINDFAIL)
        if not isinstance(found, Party):
            self.counts.binds_refused += 1
            connection.session.answer_bind(request, found)
            connection.ending = True
            return
        self.counts.binds += 1
        account = found.account
        connection.party, connection.system_id = found, system_id
        if rate := account.bind_segments or self.rules.bind_segments:
            connection.bucket = Bucket(rate, account.burst, now)
        connection.session.answer_bind(request, 0, self.rules.system_id.encode())
        if connection.receives and (waiting := self._homeless.pop(found.number, None)):
            connection.receipts.extend(waiting)

    def _binds(self, party: Party) -> int:
        return sum(each.party is party for each in self.connections.values())

    # -- submits -----------------------------------------------------------------------------------------------------

    def _submitted(
        self, connections: Sequence[Connection], owner: I64 | None, messages: Messages, now: float, wall: float
    ) -> None:
        """Messages of some connections, ascending by connection; None: of the only one."""
        if owner is not None and not self._alike([connections[place] for place in places_of(owner)]):
            for place in places_of(owner):
                rows = np.flatnonzero(owner == place)
                self._submitted([connections[place]], None, messages.take(rows), now, wall)
            return
        first = connections[0 if owner is None else int(owner[0])]
        assert first.party is not None  # nobody submits before a bind
        binds = first.number if owner is None else np.array([each.number for each in connections], np.int64)[owner]
        verdict = self.model.submitted(messages, Origin(first.party, first.bucket, binds), now, wall)
        if self._recorder is not None:
            self._recorder.put(messages, first.system_id, verdict.status, serials=verdict.serials, wall=wall)
        for row, text in verdict.wanted:
            self._send_back(connections[0 if owner is None else int(owner[row])], messages, row, text, now)
        if not self.silent:
            self._answer(connections, owner, messages.sequence, verdict, now)

    def _alike(self, connections: Sequence[Connection]) -> bool:
        """Whether all are of one account, without limits a bind, and nothing is written of each."""
        party = connections[0].party
        return self._recorder is None and all(each.party is party and each.bucket is None for each in connections)

    def _answer(
        self, connections: Sequence[Connection], owner: I64 | None, sequence: U32, verdict: Verdict, now: float
    ) -> None:
        status, serials, delays = verdict.status, verdict.serials, verdict.delays
        if verdict.copies is not None:
            rows = np.repeat(np.arange(len(sequence)), verdict.copies)
            owner = None if owner is None else owner[rows]
            sequence, status, serials = sequence[rows], status[rows], serials[rows]
            delays = None if delays is None else delays[rows]
        if delays is None or not delays.any():
            self._respond(connections, owner, sequence, status, serials)
            return
        numbers = np.array([each.number for each in connections], np.uint64)
        records = np.empty((len(sequence), 4), np.uint64)
        records[:, 0] = numbers[0] if owner is None else numbers[owner]
        records[:, 1], records[:, 2], records[:, 3] = sequence, status, serials
        self._answers.add(now, delays, records)

    def _respond(
        self, connections: Sequence[Connection], owner: I64 | None, sequence: U32, status: U32, serials: U64
    ) -> None:
        """Answers; those that have no serial number are refused, and have no id."""
        if not len(sequence):
            return
        if owner is None:
            ids = few_ids if len(sequence) <= FEW else ids_of
            connections[0].session.answer(Command.SUBMIT_SM, sequence, status, ids(serials, self.rules.ids))
            return
        sessions, named = [each.session for each in connections], ids_of(serials, self.rules.ids)
        answer_together(sessions, owner, Command.SUBMIT_SM, sequence=sequence, status=status, ids=named)

    def _respond_late(self, records: npt.NDArray[np.uint64]) -> None:
        """Answers whose time has come, in any order."""
        numbers, owner = np.unique(records[:, 0], return_inverse=True)
        there = [self.connections.get(number) for number in numbers.tolist()]
        able = np.array([each is not None and not each.ending for each in there], np.bool_)
        order = np.argsort(owner, kind="stable")
        order = order[able[owner[order]]]
        place = np.cumsum(able) - 1
        own = records[order]
        self._respond(
            [each for each in there if each is not None and not each.ending],
            place[owner[order]],
            own[:, 1].astype(np.uint32),
            status=own[:, 2].astype(np.uint32),
            serials=own[:, 3],
        )

    def _asked(self, connection: Connection, request: Pdu, now: float, wall: float) -> None:
        party = connection.party
        if party is None or self.silent or request.command in (Command.OUTBIND, Command.ALERT_NOTIFICATION):
            return
        if connection.session.state.submits:
            answer = answer_to(request, self.model, Origin(party, None, connection.number), now, wall)
        else:  # as a submit_sm is answered there
            answer = Pdu(0, status=Status.INVBNDSTS)
        answer.sequence, answer.command = request.sequence, request.command | RESPONSE
        connection.session.reply(answer)

    def _send_back(self, connection: Connection, messages: Messages, row: int, text: bytes, now: float) -> None:
        """A message from a message's destination to its source, as a person who answers."""
        one = slice(row, row + 1)
        only = Messages(
            sequence=np.zeros(1, np.uint32),
            source_ton=_part(messages.destination_ton, one),
            source_npi=_part(messages.destination_npi, one),
            source=messages.destination.take(one) if not isinstance(messages.destination, bytes) else b"",
            destination_ton=_part(messages.source_ton, one),
            destination_npi=_part(messages.source_npi, one),
            destination=messages.source.take(one) if not isinstance(messages.source, bytes) else b"",
            short_message=text[:254],
        )
        # Who has a transmitter and a receiver gets it on the receiver.
        binds = (each for each in self.connections.values() if each.party is connection.party)
        any(self._deliver_reply(each, only, now) for each in (connection, *binds))

    def send(self, connection: Connection, source: bytes, destination: bytes, text: bytes, now: float) -> bool:
        """Deliver a message of a person's; False when that bind does not take it now."""
        only = Messages(
            sequence=np.zeros(1, np.uint32),
            source_ton=1,
            source_npi=1,
            source=source,
            destination=destination,
            short_message=text,
        )
        return self._deliver_reply(connection, only, now)

    def _deliver_reply(self, connection: Connection, message: Messages, now: float) -> bool:
        if not connection.receives or connection.room < 1:
            return False
        self._deliver(connection, message, now)
        self.counts.mo_sent += 1
        return True

    def _deliver(self, connection: Connection, messages: Messages, now: float) -> None:
        count = len(messages)
        handles = np.arange(self._serial, self._serial + count, dtype=np.uint64)
        self._serial += count
        connection.session.send(messages, handles, now)

    # -- time --------------------------------------------------------------------------------------------------------

    def poll(self, now: float, wall: float) -> None:
        """Answers and receipts whose time has come; sessions' timers."""
        records = self._answers.advance(now)
        if records is not None and not self.silent:
            self._respond_late(records)
        rows = self.model.due(now, wall)
        if rows is not None:
            self._route(rows)
        for connection in self.connections.values():
            if connection.receipts and not self.silent:
                self._deliver_receipts(connection, now, wall)

    def _route(self, rows: Rows) -> None:
        """Give receipts to binds of their accounts: that of the message, or another in turn."""
        for number in np.unique(rows["account"]).tolist():
            own = rows[rows["account"] == number]
            takers = [c for c in self.connections.values() if c.receives and c.party and c.party.number == number]
            if not takers:
                self._keep(number, own)
                continue
            if self.rules.elsewhere:
                self._turn += 1
                takers[self._turn % len(takers)].receipts.append(own)
                continue
            places = {taker.number for taker in takers}
            for bind in np.unique(own["bind"]).tolist():
                part = own[own["bind"] == bind]
                self._turn += bind not in places
                taker = self.connections[bind] if bind in places else takers[self._turn % len(takers)]
                taker.receipts.append(part)

    def _keep(self, number: int, rows: Rows) -> None:
        kept = self._homeless.setdefault(number, deque())
        kept.append(rows)
        while sum(map(len, kept)) > KEPT:
            self.counts.receipts_given_up += len(kept.popleft())

    def _deliver_receipts(self, connection: Connection, now: float, wall: float) -> None:
        while connection.receipts and connection.receives and (room := connection.room):
            rows = connection.receipts.popleft()
            if len(rows) > room:
                connection.receipts.appendleft(rows[room:])
                rows = rows[:room]
            self._deliver(connection, deliveries(rows, self.rules.form, self.rules.ids, wall), now)
            self.counts.receipts_sent += len(rows)

    def gone(self, connection: Connection) -> None:
        """Its receipts go to others of its account, or wait."""
        self.connections.pop(connection.number, None)
        self.counts.receipts_unanswered += len(connection.session.lost())
        while connection.receipts:
            self._route(connection.receipts.popleft())

    def next_time(self) -> float | None:
        """When `poll` is worth calling."""
        times = (self._answers.next_time(), self.model.next_time())
        return min((at for at in times if at is not None), default=None)

    @property
    def waiting_receipts(self) -> int:
        """Receipts that are due and not delivered yet."""
        homeless = sum(len(rows) for kept in self._homeless.values() for rows in kept)
        return homeless + sum(len(rows) for each in self.connections.values() for rows in each.receipts)


def _part(column: int | U8, rows: slice) -> int | U8:
    return column if isinstance(column, int) else column[rows]
