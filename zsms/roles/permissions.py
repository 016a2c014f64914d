"""What the holder of a key may say, where keys are on: the gate lets it in, the guard looks at each frame.

    key with the role    to a broker                              to a collector
    producer             its own batches, JOIN_PRODUCER, PING, BYE    snapshots of producers
    sender               JOIN_SENDER, ACK, RECEIPT, STRAY, PING, BYE  snapshots of senders
    broker               -                                            snapshots of brokers
    monitor              -                                            ASK
    operator             INSPECT, KICK, PURGE, PING                   ASK

A producer's identity, a sender's session and a process's name in the statistics belong to the key that used them
first, as long as that key is listed. A connection belongs to the key that opened it, whatever routing id it has.
Where keys are off there is no guard, and none of this costs anything.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

from zsms.core.broker import BrokerCore
from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.session import Session
from zsms.message import Batch
from zsms.security.keys import Key, Keys
from zsms.stats.snapshot import Snapshot
from zsms.wire.frames import Ack, Bye, Inspect, JoinProducer, JoinSender, Kick, Ping, Purge, Receipt, Stray

MAY_SAY: dict[str, frozenset[type]] = {
    "producer": frozenset({Batch, JoinProducer, Ping, Bye}),
    "sender": frozenset({JoinSender, Ack, Receipt, Stray, Ping, Bye}),
    "operator": frozenset({Inspect, Kick, Purge, Ping}),
}
"""By role, the frames that a broker takes."""
PEERS = 2_000
"""Producers and sessions of one key that may be joined to a broker at a time, and names of one key that a collector
keeps, over however many connections."""

_NOTHING: frozenset[type] = frozenset()
_ASKERS = frozenset({"monitor", "operator"})


class _Listed:
    """What each listed key may say to a broker; follows the list when it is changed."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._of: dict[str, Key] | None = None
        self._may: dict[str, frozenset[type]] = {}

    def may(self) -> dict[str, frozenset[type]]:
        """The frames, by User-Id."""
        if self._of is not self._keys.users:
            self._of = self._keys.users
            self._may = {
                user: _NOTHING.union(*(MAY_SAY.get(role, _NOTHING) for role in key.roles))
                for user, key in self._of.items()
            }
        return self._may


def _called(keys: Keys, user: str) -> str:
    """The key of this User-Id, for people."""
    key = keys.users.get(user)
    return f"the key {user[:8]}..., which is not listed any more," if key is None else f"the key {key.name!r}"


class Denial(NamedTuple):
    """Why a frame is refused, and whether it always will be."""

    reason: str
    final: bool


class BrokerPermissions:
    """Looks at the frames that a broker is given. Each method returns why not, or None.

    Only a key that is listed, and without the role, is refused for good: a list may be read again in a moment.
    """

    def __init__(self, keys: Keys, core: BrokerCore) -> None:
        self._keys = keys
        self._listed = _Listed(keys)
        self._core = core
        self._key_of: dict[bytes, str] = {}
        """Which key each peer joined with."""
        self._joins: dict[tuple[type, int], str] = {}
        """Which key each producer and session joined with: one connection may join as many."""

    def batch(self, user: str, batch: Batch) -> str | None:
        """A batch arrived on a connection of the key whose User-Id is `user`; and so below."""
        if Batch not in self._listed.may().get(user, _NOTHING):
            return f"{_called(self._keys, user)} may not send batches"
        account = self._core.producers.get(batch.producer)
        owner = user if account is None else self._key_of.get(account.peer)
        if account is not None and owner != user:
            # An account from the journal is nobody's until somebody joins as that producer.
            why = "which has not joined" if owner is None else "which is not its own"
            return f"{_called(self._keys, user)} sent a batch as {account.name!r}, {why}"
        return None

    def frame(self, peer: bytes, user: str, frame: Any) -> Denial | None:
        """Any other frame arrived from `peer` on a connection of the key `user`."""
        kind = type(frame)
        if kind not in self._listed.may().get(user, _NOTHING):
            return Denial(f"{_called(self._keys, user)} may not say {kind.__name__}", user in self._keys.users)
        if kind is JoinProducer or kind is JoinSender:
            return self._join(peer, user, frame)
        if self._key_of.get(peer, user) != user:
            return Denial(f"{_called(self._keys, user)} came with the routing id of another", False)
        return None

    def _join(self, peer: bytes, user: str, frame: JoinProducer | JoinSender) -> Denial | None:
        known: ProducerAccount | Session | None
        if isinstance(frame, JoinProducer):
            known = self._core.producers.get(frame.producer)
        else:
            known = self._core.sessions.get(frame.session)
        for taken in (peer, None if known is None else known.peer):
            owner = None if taken is None else self._key_of.get(taken)
            if owner is not None and owner != user and owner in self._listed.may():
                return Denial(
                    f"{_called(self._keys, user)} joined as {frame.name!r}, which belongs to another key", True
                )
        join = type(frame), frame[0]
        if self._joins.get(join) != user or not self._lives(join):
            if self._joined(user) >= PEERS:
                return Denial(f"{_called(self._keys, user)} has {PEERS} peers joined already", False)
            self._joins[join] = user
        self._key_of[peer] = user
        return None

    def _lives(self, join: tuple[type, int]) -> bool:
        kind, number = join
        if kind is JoinSender:
            return number in self._core.sessions
        account = self._core.producers.get(number)
        return account is not None and not account.gone

    def _joined(self, user: str) -> int:
        """How many joins of that key live; what belongs to nobody any more is forgotten now and then."""
        core = self._core
        if len(self._key_of) > 2 * (len(core.peers) + len(core.producers)) + 64:
            kept = core.peers.keys() | {account.peer for account in core.producers.values()}
            self._key_of = {peer: key for peer, key in self._key_of.items() if peer in kept}
        if len(self._joins) < PEERS:
            return 0
        self._joins = {join: key for join, key in self._joins.items() if self._lives(join)}
        return sum(key == user for key in self._joins.values())


class StatsPermissions:
    """Looks at what a collector is told and asked. Each method returns why not, or None."""

    def __init__(self, keys: Keys, book: Container[tuple[str, str]]) -> None:
        """`book` has the roles and names that the collector still keeps: the others belong to nobody any more."""
        self._keys = keys
        self._book = book
        self._owner: dict[tuple[str, str], str] = {}

    def snapshot(self, user: str, snapshot: Snapshot) -> str | None:
        """A snapshot arrived on a connection of the key `user`."""
        key = self._keys.users.get(user)
        if key is None or snapshot.role not in key.roles:
            return f"{_called(self._keys, user)} may not publish statistics of a {snapshot.role}"
        owner = self._owner.get((snapshot.role, snapshot.name), user)
        if owner != user and owner in self._keys.users:
            return f"{_called(self._keys, user)} published statistics of {snapshot.name!r}, which is not its own"
        if (snapshot.role, snapshot.name) not in self._owner and self._names(user) >= PEERS:
            return f"{_called(self._keys, user)} has published statistics under {PEERS} names already"
        return None

    def _names(self, user: str) -> int:
        """How many names of that key the collector keeps; those that it has folded are forgotten."""
        if len(self._owner) < PEERS:
            return 0
        self._owner = {name: owner for name, owner in self._owner.items() if name in self._book}
        return sum(owner == user for owner in self._owner.values())

    def taken(self, user: str, snapshot: Snapshot) -> None:
        """The collector has taken the snapshot: its name is that key's from now on."""
        self._owner[snapshot.role, snapshot.name] = user

    def question(self, user: str) -> str | None:
        """Somebody asks for the totals."""
        key = self._keys.users.get(user)
        if key is None or not _ASKERS.intersection(key.roles):
            return f"{_called(self._keys, user)} may not ask for statistics"
        return None


def user_of(frame: Any) -> str:
    """The User-Id of a `zmq.Frame`: libzmq has it from the gate, and no peer can set it."""
    user: str = frame.get("User-Id")
    return user
