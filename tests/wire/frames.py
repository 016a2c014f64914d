"""One frame of every kind to work on, strategies that draw any frame of any kind, and what equal frames are."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from zsms.message import ROW, WORD, Batch, Mixed, words_of
from zsms.wire.codec import encode
from zsms.wire.frames import (
    MAX_COUNT,
    MAX_SECONDS,
    Ack,
    Answer,
    Ask,
    Bye,
    Confirm,
    Ended,
    Fenced,
    Grant,
    Hold,
    Inspect,
    JoinProducer,
    JoinSender,
    Kick,
    Ping,
    Pong,
    ProducerStart,
    Purge,
    Receipt,
    Refused,
    Report,
    Snapshot,
    Stray,
    Welcome,
    Who,
    reason_column,
)

CODES = {
    Batch: 1, JoinProducer: 2, JoinSender: 3, Welcome: 4, Confirm: 5, Ack: 6, Grant: 7, Ping: 8, Pong: 9, Who: 10,
    Ended: 11, Refused: 12, Bye: 13, Fenced: 14, Inspect: 15, Kick: 16, Purge: 17, Hold: 18, Receipt: 19, Snapshot: 20,
    Ask: 21, Report: 22, Answer: 23, Mixed: 24, Stray: 25,
}  # fmt: skip
"""The kinds and their codes, from docs/PROTOCOL.md and not from the code: peers of other languages rely on them."""


def column(numbers: Any, dtype: str = "<u4") -> np.ndarray:
    return np.array(numbers, dtype=dtype)


def batch(count: int, seed: int = 0, *, offsets: bool = False, **fields: Any) -> Batch:
    """`count` messages that differ in every column."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 30, count).astype("<u2")
    return Batch(
        **{"producer": 2**64 - 1, "epoch": 2**63, "number": 7, "first": 10**12, "due": -1.5, "step": 0.25, **fields},
        recipients=rng.integers(0, 2**64, count, dtype="<u8"),
        lengths=lengths,
        text=rng.integers(0, 256, int(lengths.sum()), dtype="u1"),
        offsets=np.arange(count, dtype="<u4") * 3 if offsets else None,
    )


def mixed(count: int, seed: int = 0) -> Mixed:
    """`count` messages of three producers that differ in every column."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, dtype=ROW)
    for name, most in (("seq", 2**62), ("recipient", 2**63), ("source", 3), ("attempt", 9), ("delivery", 9)):
        rows[name] = rng.integers(0, most, count)
    rows["length"] = rng.integers(0, 30, count)
    rows["due"], rows["queued"] = rng.normal(size=(2, count))
    text = rng.integers(0, 2**63, int(words_of(rows["length"]).sum()), dtype="u8").astype(WORD)
    return Mixed(rows, text, {source: ProducerStart(2**64 - 1 - source, source) for source in range(3)})


def snapshot_body(**fields: Any) -> dict[str, Any]:
    """A sound body of a SNAPSHOT or REPORT, but for `fields`."""
    return {
        "role": "broker", "name": "x", "start": 1, "seq": 1, "host": "h", "pid": 1, "state": "running",
        "interval": 1.0, "counters": {}, "gauges": {}, "histograms": {}, "events": [], **fields,
    }  # fmt: skip


SAMPLES: list[Any] = [
    batch(3),
    batch(3, offsets=True),
    mixed(3),
    JoinProducer(1, 2, "producer-é", 3, 4.5),
    JoinSender(1, 2, "sender-1", 1_000, 3, 60.0, 4.5),
    Welcome(1, 2, 3.5, 4.5, 1.0, 60.0, "memory"),
    Confirm(9, 1, 2, True, "memory"),
    Ack(1, 2, 3, 4, column([0, 2, 5]), column([1]), column([], "u1")),
    Ack(1, 2, 3, 4, column([0, 2, 5]), column([1, 3]), column([3, 255], "u1")),
    Ack(1, 2, 3, 4, column([0]), column([1, 3]), column([], "u1"), column([0, 1], "u1"), reason_column(["", "é no"])),
    Receipt(1, column([7, 8], "<u8"), column([1, 1], "<u8"), column([0, 4], "u1"), column([2.5, -1.0], "<f4")),
    Stray(1, 2, 3, 4, column([1, 2], "u1"), column([48, 49, 50], "u1"), column([0, 4], "u1")),
    Stray(1, 2, 0, 0, column([], "u1"), column([], "u1"), column([], "u1")),
    Grant(1, 2, 3, 1, 1, 4.5, 6, True),
    Ping(1, 2.5),
    Pong(9, 1, 2, False, 3.5, 4.5),
    Who(1),
    Ended(9, 1),
    Refused(9, True, "because"),
    Hold(9, 8, "no room"),
    Bye(9, 1),
    Fenced(9, 2),
    Inspect(5, 10),
    Kick(5, "failed 3 times", 100),
    Purge(5, True, False, ""),
    Snapshot({"role": "sender", "counters": {"sent": 1}, "events": [[0.5, "joined", "s", 0]]}),
    Ask("totals"),
    Report({"role": "sender"}),
    Answer(5, {}),
]
LARGE: list[Any] = [
    batch(400),
    batch(400, offsets=True),
    mixed(400),
    Ack(1, 2, 3, 4, column(range(3_000)), column(range(3_000, 5_000)), column([], "u1")),
    Ack(1, 2, 3, 4, column([]), column(range(3_000)), column([2] * 3_000, "u1")),
    Ack(
        1,
        2,
        3,
        4,
        column([]),
        column(range(3_000)),
        column([2] * 3_000, "u1"),
        column([0] * 3_000, "u1"),
        reason_column(["no"]),
    ),
    Snapshot({"role": "sender", "note": ["x" * 1_000] * 3}),
]

_ID = st.integers(0, 2**64 - 1)
_COUNT = st.integers(0, MAX_COUNT - 1)
_U32 = st.integers(0, 2**32 - 1)
_SECONDS = st.floats(-MAX_SECONDS, MAX_SECONDS, exclude_min=True, exclude_max=True)
_DURATION = st.floats(0, MAX_SECONDS, exclude_max=True)
_STRING = st.text(max_size=30) | st.text(min_size=1_024, max_size=1_024)
_NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=64)
_BODY = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none() | st.booleans() | _ID | st.floats(allow_nan=False) | st.text(max_size=20) | st.binary(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=12,
    ),
    max_size=6,
)


def _spread(count: int, seed: int) -> np.ndarray:
    """`count` ascending numbers, far apart."""
    return column(sorted(random.Random(seed).sample(range(2**32), count)))


_SIZE = st.integers(0, 12) | st.sampled_from([100, 500, 3_000])
_NUMBERS = st.builds(_spread, _SIZE, st.integers(0, 99))


def _acks(numbers: np.ndarray, failed: np.ndarray, told: bool, *fields: int) -> Ack:
    count = np.arange(len(failed) if told else 0)
    names = reason_column(["", "why"]) if len(count) else column([], "u1")
    return Ack(*fields, numbers, failed, column(count % 7, "u1"), column(count % 2, "u1"), names)


def _receipts(count: int, session: int) -> Receipt:
    numbers = np.arange(count)
    return Receipt(
        session, column(numbers, "<u8"), column(numbers, "<u8"), column(numbers % 256, "u1"), column(numbers, "<f4")
    )


def _strays(count: int, subject: int, others: int) -> Stray:
    lengths = column(np.arange(count) % 64 + 1, "u1")
    ids = column(np.arange(int(lengths.sum())) % 256, "u1")
    return Stray(subject, 7, others, 2**40 + count, lengths, ids, column(np.arange(count) % 256, "u1"))


_BATCHES = st.builds(
    batch, st.integers(1, 12) | st.sampled_from([40, 500, 5_000]), st.integers(0, 99), offsets=st.booleans(),
    producer=_ID, epoch=_ID, number=_COUNT, first=st.integers(0, MAX_COUNT - 5_000),
    due=st.floats(-5e9, 5e9), step=st.floats(-9e5, 9e5),
)  # fmt: skip
STRATEGIES: dict[type, st.SearchStrategy[Any]] = {
    Batch: _BATCHES,
    Mixed: st.builds(mixed, st.integers(1, 12) | st.sampled_from([40, 500, 5_000]), st.integers(0, 99)),
    JoinProducer: st.builds(JoinProducer, _ID, _ID, _NAMES, _COUNT, _SECONDS),
    JoinSender: st.builds(JoinSender, _ID, _U32, _NAMES, _U32, _COUNT, _DURATION, _SECONDS),
    Welcome: st.builds(Welcome, _ID, _COUNT, _SECONDS, _SECONDS, _DURATION, _DURATION, _NAMES, _U32),
    Confirm: st.builds(Confirm, _ID, _ID, _COUNT, st.booleans(), _NAMES),
    Ack: st.builds(_acks, _NUMBERS, _NUMBERS, st.booleans(), _ID, _COUNT, _COUNT, _COUNT),
    Grant: st.builds(Grant, _ID, _U32, _COUNT, _U32, _U32, _SECONDS, _COUNT),
    Ping: st.builds(Ping, _ID, _SECONDS),
    Pong: st.builds(Pong, _ID, _ID, _COUNT, st.booleans(), _SECONDS, _SECONDS),
    Who: st.builds(Who, _ID),
    Ended: st.builds(Ended, _ID, _ID),
    Refused: st.builds(Refused, _ID, st.booleans(), _STRING),
    Hold: st.builds(Hold, _ID, _ID, _STRING),
    Bye: st.builds(Bye, _ID, _ID),
    Fenced: st.builds(Fenced, _ID, _ID),
    Inspect: st.builds(Inspect, _ID, _COUNT),
    Kick: st.builds(Kick, _ID, _NAMES, _COUNT),
    Purge: st.builds(Purge, _ID, st.booleans(), st.booleans(), _NAMES),
    Receipt: st.builds(_receipts, st.integers(1, 12) | st.sampled_from([100, 3_000]), _ID),
    Stray: st.builds(_strays, st.integers(0, 12) | st.sampled_from([100, 3_000]), _ID, _U32),
    Snapshot: st.builds(Snapshot, _BODY),
    Ask: st.builds(Ask, _STRING),
    Report: st.builds(Report, _BODY),
    Answer: st.builds(Answer, _ID, _BODY),
}
ANY_FRAME = st.one_of(*STRATEGIES.values())


def plain(frame: Any) -> tuple[Any, ...]:
    """The kind and its elements as they stand on the wire, columns as bytes: equal frames have equal ones."""
    if isinstance(frame, Batch):
        none = np.zeros(0, dtype="<u4")
        offsets = none if frame.offsets is None else frame.offsets
        values: tuple[Any, ...] = (
            frame.producer, frame.epoch, frame.number, frame.first, frame.due, frame.step,
            offsets, frame.recipients, frame.lengths, frame.text,
        )  # fmt: skip
    elif isinstance(frame, Mixed):
        named = np.unique(frame.rows["source"]).tolist()
        sources = [(of, frame.sources[of].producer, frame.sources[of].epoch) for of in named]
        values = np.array(sources, dtype="<u4,<u8,<u8"), frame.rows, frame.text
    else:
        values = tuple(frame)
    return type(frame), *(value.tobytes() if isinstance(value, np.ndarray) else value for value in values)


def elements(frame: Any) -> list[Any]:
    """The frame's array as a peer of another language would write it."""
    kind, *values = plain(frame)
    return [2, CODES[kind], *values]


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A frame with something wrong with it (or, now and then, right)."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(8):
            case 0 | 1 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 2 if at < len(data):
                data[at] = rng.choice(_TELLING)
            case 3:
                del data[at:]
            case 4:
                del data[at : at + rng.randrange(1, 9)]
            case 5:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 6:
                other = rng.choice(seeds)
                begin = rng.randrange(len(other))
                data[at : at + 9] = other[begin : begin + rng.randrange(1, 40)]
            case 7:
                data[at:at] = bytes([rng.choice(_TELLING)]) * rng.randrange(1, 400)
    return bytes(data)


_TELLING = bytes(range(0x80, 0x83)) + bytes(range(0x90, 0x96)) + bytes(range(0xC0, 0xE1)) + b"\0\x01\x7f\xff"
"""Bytes that mean something to msgpack: maps, arrays, and every type with a length of its own."""

SEEDS = [encode(frame) for frame in SAMPLES + LARGE]


def garbage(rng: random.Random, wrong: Any) -> list[list[bytes]]:
    """40 messages that are no frame, several frames, or frames that have no business where `wrong` has none."""
    several = [[encode(Ping(1, 0.0))] * 2, [b""] * 5, [encode(wrong), b""], [rng.randbytes(50) for _ in range(20)]]
    single = [b"", b"\0", b"\xff" * 100, b"\x93\x03\x0a\x01", encode(wrong), encode(wrong)[:-1], bytes(50_000)]
    return [
        *([each] for each in single),
        *several,
        *([rng.randbytes(rng.randrange(1, 5_000))] for _ in range(40 - len(single) - len(several))),
    ]
