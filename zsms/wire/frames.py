"""The frames of the wire: kinds, fields and limits. docs/PROTOCOL.md says the same in prose.

Every frame is one msgpack array ``[VERSION, kind, field, ..., column, ...]``. Fields are scalars; columns are
numpy arrays carried as bin values, always last. A kind is a NamedTuple below, with its code, its fields'
types and its columns' dtypes in one table at the end: adding a kind is adding a row. :mod:`zsms.wire.codec` makes bytes
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from zsms.errors import WireError
from zsms.message import (
    LENGTH,
    MAX_BATCH_MESSAGES,
    MAX_PEER_NAME,
    MAX_REASON,
    MAX_REASONS,
    MAX_TEXT_BYTES,
    OFFSET,
    RECIPIENT,
    ROW,
    SOURCE,
    TEXT,
    U8,
    U32,
    U64,
    WORD,
    Batch,
    Mixed,
    Source,
    words_of,
)

F32: TypeAlias = npt.NDArray[np.float32]

VERSION = 2
"""The first element of every frame. A peer of another version is refused by name."""

MAX_FRAME_BYTES = 16 * 2**20
"""The longest frame that any socket accepts (ZMQ_MAXMSGSIZE)."""
MAX_SNAPSHOT_BYTES = 2**20
"""The longest frame without columns but an answer: a byte of msgpack can become 72 of Python objects."""
MAX_STRING = 1_024
"""Longest string field, in characters."""
MAX_MAP_ITEMS = 4_096
"""Most items in any one map or array inside a snapshot or an answer."""
MAX_COUNT = 2**62
"""Every number that counts something is below this, so that no sum of two of them leaves an int64."""
MAX_SECONDS = 1e10
"""Times are nearer to zero than this (3 centuries), so that no arithmetic on them overflows a float32."""

OUTCOME = np.dtype("u1")
DURATION = np.dtype("<f4")

NO_CODES: U8 = np.frombuffer(b"", dtype=OUTCOME)


# -- the kinds ---------------------------------------------------------------------------------------------


class JoinProducer(NamedTuple):
    """producer -> broker: I am `producer`, and this start of it is `epoch`; `sent_at` is my clock, for WELCOME to echo.

    `oldest` is the oldest batch that I still have: a broker that does not know this start expects that one first.
    """

    producer: int
    epoch: int
    name: str
    oldest: int
    sent_at: float


class JoinSender(NamedTuple):
    """sender -> broker: my `session`, my slots, and how many messages of it I have received.

    `generation` counts the joins of this session, so that a grant from before this one is known by its number.
    `lease` is how long (seconds) I may need for one message; 0 leaves it to the broker.
    """

    session: int
    generation: int
    name: str
    slots: int
    received: int
    lease: float
    sent_at: float


class Welcome(NamedTuple):
    """broker -> peer: you are known. `next` is the batch (producer) or acknowledgement frame (sender) I expect.

    `instance` names this start of the broker, as in every word of it: what another start said is void. `echo` is the
    join's `sent_at` and `now` the broker's clock, for :class:`zsms.core.clock.ClockOffset`. Speak at least every
    `interval` seconds. `lease` is how long (seconds) a sender may hold a message; 0 for a producer. `attempts` is how
    often a message is sent before a failure is final.
    """

    instance: int
    next: int
    echo: float
    now: float
    interval: float
    lease: float
    durability: str
    attempts: int = 1


class Confirm(NamedTuple):
    """broker -> producer: every batch below `next` of your `epoch` is held. `full`: I have stopped reading."""

    instance: int
    epoch: int
    next: int
    full: bool
    durability: str


class Ack(NamedTuple):
    """sender -> broker: frame `number` of my session: what was settled, and my credit.

    Message `base + sent[i]` of the session was sent and `base + failed[i]` failed; both columns are uint32,
    strictly ascending. `outcomes[i]` (uint8) says how that one failed, by :class:`zsms.message.Outcome`; no outcomes at
    all: plain failures. `reasons[i]` (uint8) says why, a place in `names` (UTF-8 as uint8, a line each, empty where
    nothing is to be said; see `reason_names`); no reasons at all: nothing to be said of any. `limit` is cumulative: the
    broker may have granted this session that many in all.
    """

    session: int
    number: int
    limit: int
    base: int
    sent: U32
    failed: U32
    outcomes: U8 = NO_CODES
    reasons: U8 = NO_CODES
    names: U8 = NO_CODES


class Receipt(NamedTuple):
    """sender -> broker: what became of messages after a gateway had accepted them. Counted, and nothing else.

    Message `seqs[i]` (uint64) of producer `producers[i]` (uint64) ended as `outcomes[i]` (uint8, by
    :class:`zsms.message.Delivery`), `took[i]` seconds (float32) after the gateway had accepted it; below 0: not known.
    """

    session: int
    producers: U64
    seqs: U64
    outcomes: U8
    took: F32


class Stray(NamedTuple):
    """sender -> broker -> senders: receipts that came to one sender of a gateway's account, and may be of another's.

    From a sender `subject` is its session, from a broker the start of it. `account` names the account at the gateway,
    and a sender that says it has binds of it. `others` is how many other senders of a broker have as well, by its
    word; `read` how many receipts a sender has read of these frames since it was welcomed, by its own. Receipt i
    is of the message that the gateway calls by the next `lengths[i]` octets (uint8) of `ids` (uint8), and says
    `outcomes[i]` (uint8, by :class:`zsms.message.Delivery`).
    """

    subject: int
    account: int
    others: int
    read: int
    lengths: U8 = NO_CODES
    ids: U8 = NO_CODES
    outcomes: U8 = NO_CODES


class Grant(NamedTuple):
    """broker -> sender: the messages in the next part of this one are yours, from number `base` of the session on.

    The next part is a :class:`Batch`, or a :class:`Mixed` of messages that have each an `attempt`, `delivery` and
    `queued` of their own; those here are 0 then. `queued` (seconds, the broker's clock) is since when they waited in
    the queue: when they were accepted, were due again after a failure, or were taken back. `acked` is the next
    acknowledgement frame that the broker expects, so the sender can let go of those before. `more`: others wait in the
    queue still.
    """

    session: int
    generation: int
    base: int
    attempt: int
    delivery: int
    queued: float
    acked: int
    more: bool


class Ping(NamedTuple):
    """peer -> broker: I live. `subject` is the sender's session or the producer's epoch."""

    subject: int
    sent_at: float


class Pong(NamedTuple):
    """broker -> peer: the answer to PING. `next` as in WELCOME, `full` as in CONFIRM."""

    instance: int
    subject: int
    next: int
    full: bool
    echo: float
    now: float


class Who(NamedTuple):
    """broker -> peer: I don't know you (I restarted, or gave you up). Join again."""

    instance: int


class Ended(NamedTuple):
    """broker -> sender: this session was given up and its messages went to others. Begin a new one."""

    instance: int
    session: int


class Refused(NamedTuple):
    """broker -> peer, collector -> asker: what you asked can't be, and why. For people and logs.

    `final`: nor will it ever be, so there is no use in trying on. Anything else ends nobody.
    """

    instance: int
    final: bool
    reason: str


class Hold(NamedTuple):
    """broker -> producer: I take and confirm nothing at the moment, and why. Keep what you have, and try on."""

    instance: int
    epoch: int
    reason: str


class Bye(NamedTuple):
    """peer -> broker: I leave; broker -> peer: everything that you sent before it is done."""

    instance: int
    subject: int


class Fenced(NamedTuple):
    """broker -> producer: an `epoch` of this producer has joined that is later than yours; I take nothing of yours."""

    instance: int
    epoch: int


class Inspect(NamedTuple):
    """operator -> broker: what do you hold? With the first `messages` that are ready, and as many that are dead.

    The answer has the number `request`, so that it is not taken for that to another question.
    """

    request: int
    messages: int


class Kick(NamedTuple):
    """operator -> broker: queue dead letters again, of this `reason` ("": any), `limit` messages at most (0: all)."""

    request: int
    reason: str
    limit: int


class Purge(NamedTuple):
    """operator -> broker: give up what is `ready` (it is dead then), let go of what is `dead` (of this `reason`)."""

    request: int
    ready: bool
    dead: bool
    reason: str


class Snapshot(NamedTuple):
    """process -> collector (PUB): a cumulative snapshot, the map of :mod:`zsms.stats.snapshot`."""

    body: dict[str, Any]


class Ask(NamedTuple):
    """monitor -> collector (REQ): `what` is "totals" or "all"."""

    what: str


class Report(NamedTuple):
    """process -> collector (REQ): the last snapshot of a process, on the path that is acknowledged."""

    body: dict[str, Any]


class Answer(NamedTuple):
    """collector -> monitor: the map of :mod:`zsms.stats.book`; {} acknowledges a REPORT.

    broker -> operator: the map of `zsms.core.broker.holdings`, or how many messages were kicked or purged.
    `request` is the number of the question, 0 where a REQ keeps them apart.
    """

    request: int
    body: dict[str, Any]


Frame: TypeAlias = (
    JoinProducer
    | JoinSender
    | Welcome
    | Confirm
    | Ack
    | Receipt
    | Stray
    | Grant
    | Ping
    | Pong
    | Who
    | Ended
    | Refused
    | Hold
    | Bye
    | Fenced
    | Inspect
    | Kick
    | Purge
    | Snapshot
    | Ask
    | Report
    | Answer
    | Batch
    | Mixed
)


# -- field types -------------------------------------------------------------------------------------------


def _u64(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**64


def _u32(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**32


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_COUNT


def _seconds(value: Any) -> bool:
    return type(value) is float and -MAX_SECONDS < value < MAX_SECONDS


def _duration(value: Any) -> bool:
    return type(value) is float and 0 <= value < MAX_SECONDS


def _string(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_STRING


def _name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= MAX_PEER_NAME and value.isprintable()


def _reason(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_PEER_NAME and value.isprintable()


def _bool(value: Any) -> bool:
    return type(value) is bool


def _map(value: Any) -> bool:
    return type(value) is dict


def _ascending(name: str, column: U32) -> None:
    # A repeat inside one frame can't be, then, so the broker's flags need no second look.
    if len(column) > MAX_BATCH_MESSAGES:
        raise WireError(f"{name}: {len(column)} acknowledgements in a frame, over {MAX_BATCH_MESSAGES}")
    if len(column) > 1 and not (column[1:] > column[:-1]).all():
        raise WireError(f"{name}: not strictly ascending")


def _check_ack(ack: Ack) -> Ack:
    if len(ack.sent) > 1:
        _ascending("sent", ack.sent)
    if len(ack.failed) > 1:
        _ascending("failed", ack.failed)
    if len(ack.outcomes) not in (0, len(ack.failed)):
        raise WireError(f"{len(ack.outcomes)} outcomes for {len(ack.failed)} failures")
    if len(ack.reasons) or len(ack.names):
        _check_reasons(ack)
    return ack


def _check_reasons(ack: Ack) -> None:
    if len(ack.reasons) != len(ack.failed):
        raise WireError(f"{len(ack.reasons)} reasons for {len(ack.failed)} failures")
    if len(ack.names) > 4 * MAX_REASONS * (MAX_REASON + 1):
        raise WireError(f"names of reasons of {len(ack.names)} bytes")
    try:
        names = reason_names(ack.names)
    except UnicodeDecodeError:
        raise WireError("names of reasons that are not UTF-8") from None
    if len(names) > MAX_REASONS or not all(map(_reason, names)):
        raise WireError(f"names of reasons: at most {MAX_REASONS}, of {MAX_REASON} printable characters each, can be")
    if int(ack.reasons.max(initial=0)) >= len(names):
        raise WireError(f"reason {int(ack.reasons.max())} of {len(names)}")


def reason_names(column: U8) -> list[str]:
    """The names in an ACK's column. Raises UnicodeDecodeError."""
    return column.tobytes().decode().split("\n")


def reason_column(names: Sequence[str]) -> U8:
    """The column of these names, which have no line ends."""
    return np.frombuffer("\n".join(names).encode(), dtype=TEXT)


def _check_receipt(receipt: Receipt) -> Receipt:
    count = len(receipt.producers)
    if not 0 < count <= MAX_BATCH_MESSAGES:
        raise WireError(f"{count} receipts in a frame; 1 to {MAX_BATCH_MESSAGES} can be")
    for name in ("seqs", "outcomes", "took"):
        if len(getattr(receipt, name)) != count:
            raise WireError(f"{len(getattr(receipt, name))} {name} for {count} receipts")
    if not (np.abs(receipt.took) < MAX_SECONDS).all():  # a NaN is not below anything
        raise WireError("times of receipts: out of range")
    return receipt


def _check_stray(stray: Stray) -> Stray:
    count = len(stray.lengths)
    if count > MAX_BATCH_MESSAGES:
        raise WireError(f"{count} receipts in a frame; {MAX_BATCH_MESSAGES} can be")
    if len(stray.outcomes) != count:
        raise WireError(f"{len(stray.outcomes)} outcomes for {count} receipts")
    octets = int(stray.lengths.sum())
    if octets != len(stray.ids) or int(stray.lengths.min(initial=1)) == 0:
        raise WireError(f"ids of {octets} bytes in all, none of them empty, but {len(stray.ids)} bytes of ids")
    return stray


def _make_batch(*parts: Any) -> Batch:
    producer, epoch, number, first, due, step, offsets, recipients, lengths, text = parts
    count = len(lengths)
    if not 0 < count <= MAX_BATCH_MESSAGES:
        raise WireError(f"a batch of {count} messages; 1 to {MAX_BATCH_MESSAGES} can be")
    if len(recipients) != count:
        raise WireError(f"{len(recipients)} recipients for {count} texts")
    if len(offsets) not in (0, count):
        raise WireError(f"{len(offsets)} offsets for {count} messages")
    if len(offsets) > 1 and not (offsets[1:] > offsets[:-1]).all():
        raise WireError("offsets: not strictly ascending")
    if int(lengths.sum()) != len(text):
        raise WireError(f"texts of {int(lengths.sum())} bytes in all, but {len(text)} bytes of text")
    # Its parts, which begin later, must be frames as well.
    if first + count > MAX_COUNT or abs(due + count * step) >= MAX_SECONDS:
        raise WireError(f"a batch of {count} messages from {first}, due at {due} and every {step} s: out of range")
    return Batch(
        producer=producer,
        epoch=epoch,
        number=number,
        first=first,
        due=due,
        step=step,
        recipients=recipients,
        lengths=lengths,
        text=text,
        offsets=offsets if len(offsets) else None,
    )


class ProducerStart(NamedTuple):
    """What a :class:`Mixed` off the wire has as a :class:`zsms.message.Source`."""

    producer: int
    epoch: int


def _make_mixed(sources: npt.NDArray[Any], rows: npt.NDArray[Any], text: npt.NDArray[np.uint64]) -> Mixed:
    count = len(rows)
    if not 0 < count <= MAX_BATCH_MESSAGES:
        raise WireError(f"{count} mixed messages; 1 to {MAX_BATCH_MESSAGES} can be")
    if int(rows["length"].max()) > MAX_TEXT_BYTES:
        raise WireError(f"a text of {int(rows['length'].max())} bytes, over {MAX_TEXT_BYTES}")
    words = int(words_of(rows["length"]).sum())
    if words != len(text):
        raise WireError(f"texts of {words} words in all, but {len(text)} words of text")
    if int(rows["seq"].max()) >= MAX_COUNT:
        raise WireError(f"message {int(rows['seq'].max())}: out of range")
    for name in ("due", "queued"):
        if not (np.abs(rows[name]) < MAX_SECONDS).all():
            raise WireError(f"{name}: a time that is out of range")
    named = sources["source"]
    if len(named) > 1 and not (named[1:] > named[:-1]).all():
        raise WireError("sources: not strictly ascending")
    place = np.searchsorted(named, rows["source"])
    if not len(named) or int(place.max()) >= len(named) or not (named[place] == rows["source"]).all():
        raise WireError("a message of a source that is not named")
    table: dict[int, Source] = {source: ProducerStart(*of) for source, *of in sources.tolist()}
    return Mixed(rows, text, table)


class Kind(NamedTuple):
    """How one kind stands on the wire."""

    code: int
    fields: Sequence[Callable[[Any], bool]]
    columns: Sequence[np.dtype[Any]]
    make: Callable[..., Any]


KINDS: dict[type, Kind] = {
    Batch: Kind(
        1,
        (_u64, _u64, _count, _count, _seconds, _seconds),
        (OFFSET, RECIPIENT, LENGTH, TEXT),
        _make_batch,
    ),
    JoinProducer: Kind(2, (_u64, _u64, _name, _count, _seconds), (), JoinProducer),
    JoinSender: Kind(3, (_u64, _u32, _name, _u32, _count, _duration, _seconds), (), JoinSender),
    Welcome: Kind(4, (_u64, _count, _seconds, _seconds, _duration, _duration, _name, _u32), (), Welcome),
    Confirm: Kind(5, (_u64, _u64, _count, _bool, _name), (), Confirm),
    Ack: Kind(
        6,
        (_u64, _count, _count, _count),
        (OFFSET, OFFSET, OUTCOME, OUTCOME, TEXT),
        lambda *parts: _check_ack(Ack(*parts)),
    ),
    Grant: Kind(7, (_u64, _u32, _count, _u32, _u32, _seconds, _count, _bool), (), Grant),
    Ping: Kind(8, (_u64, _seconds), (), Ping),
    Pong: Kind(9, (_u64, _u64, _count, _bool, _seconds, _seconds), (), Pong),
    Who: Kind(10, (_u64,), (), Who),
    Ended: Kind(11, (_u64, _u64), (), Ended),
    Refused: Kind(12, (_u64, _bool, _string), (), Refused),
    Bye: Kind(13, (_u64, _u64), (), Bye),
    Fenced: Kind(14, (_u64, _u64), (), Fenced),
    Inspect: Kind(15, (_u64, _count), (), Inspect),
    Kick: Kind(16, (_u64, _reason, _count), (), Kick),
    Purge: Kind(17, (_u64, _bool, _bool, _reason), (), Purge),
    Hold: Kind(18, (_u64, _u64, _string), (), Hold),
    Receipt: Kind(
        19,
        (_u64,),
        (RECIPIENT, RECIPIENT, OUTCOME, DURATION),
        lambda *parts: _check_receipt(Receipt(*parts)),
    ),
    Snapshot: Kind(20, (_map,), (), Snapshot),
    Ask: Kind(21, (_string,), (), Ask),
    Report: Kind(22, (_map,), (), Report),
    Answer: Kind(23, (_u64, _map), (), Answer),
    Mixed: Kind(24, (), (SOURCE, ROW, WORD), _make_mixed),
    Stray: Kind(25, (_u64, _u64, _u32, _count), (OUTCOME, TEXT, OUTCOME), lambda *parts: _check_stray(Stray(*parts))),
}
