"""Everything that reads bytes of others: each target takes any bytes, and raises only when something is wrong.

A target lets through the one error that its decoder is meant to raise. What a decoder takes, the target uses as the
program would, so that what is taken but can't be worked with is found too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgpack
import numpy as np

from tests.wire.frames import SEEDS
from zsms.cli.settings import load, table_of
from zsms.errors import UsageError, WireError
from zsms.lists.files import FileSource
from zsms.message import Batch
from zsms.security.keys import parse
from zsms.stats.book import StatsBook
from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import Snapshot
from zsms.stats.view import View
from zsms.wire import frames
from zsms.wire.codec import decode, encode, expect
from zsms.wire.frames import Ack, Answer, Ask, Bye, Grant, JoinProducer, JoinSender, Ping, Report


class Target(NamedTuple):
    """What is fuzzed, and inputs to begin with."""

    run: Callable[[bytes], object]
    seeds: list[bytes]


ENTRIES = (
    (Batch,),
    (Ack, Ping, JoinSender, JoinProducer, Bye),
    (frames.Snapshot,),
    (Ask, Report),
    (Answer,),
    (Grant,),
)
"""What each socket takes."""


def _frame(data: bytes) -> None:
    try:
        frame = decode(data)
    except WireError:
        return
    again = encode(frame)
    assert encode(decode(again)) == again
    if isinstance(frame, Batch):
        part = frame.slice(0, len(frame) // 2 + 1)
        assert len(decode(encode(part))) == len(part)


def _entry(data: bytes) -> None:
    for kinds in ENTRIES:
        try:
            assert type(expect(data, *kinds)) in kinds
        except WireError:
            pass


_LIMITS = {"strict_map_key": True, "max_array_len": 10_000, "max_map_len": 10_000, "max_ext_len": 0}


def _unpacked(data: bytes) -> object:
    try:
        return msgpack.unpackb(data, **_LIMITS)
    except Exception:  # not what is fuzzed here
        return None


def _snapshot(data: bytes) -> None:
    body = _unpacked(data)
    if not isinstance(body, dict):
        return
    try:
        snapshot = Snapshot.from_wire(body)
    except ValueError:
        return
    book = StatsBook()
    assert book.put(snapshot, 1.0)
    assert book.put(replace(snapshot, name=f"{snapshot.name[:9]}+"), 1.0)  # one like it: their sum has to be sound too
    answer = decode(encode(Answer(0, book.answer("all", 2.0)))).body
    View.of(answer, 2.0).to_json(None)
    for histograms in answer["histograms"].values():
        for each in histograms.values():
            Histogram.from_wire(each).summary()


def _histogram(data: bytes) -> None:
    try:
        histogram = Histogram.from_wire(_unpacked(data))
    except ValueError:
        return
    total = Histogram()
    total.merge(histogram)
    total.merge(histogram)
    assert np.isfinite(list(total.summary().values())).all()
    assert Histogram.from_wire(total.to_wire()).to_wire() == total.to_wire()


def _key(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for secret in (False, True):
        try:
            parse(text, "here", secret=secret)
        except UsageError:
            pass


_FOLDER = tempfile.TemporaryDirectory(prefix="zsms-fuzz-")


def _file(suffix: str, data: bytes) -> Path:
    path = Path(_FOLDER.name, f"{os.getpid()}{suffix}")
    path.write_bytes(data)
    return path


def _rows(suffix: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            source = FileSource(_file(suffix, data), skip_bad_rows=True)
        except UsageError:
            return
        while len(columns := source.take(1_000)):
            assert (columns.lengths > 0).all()

    return run


def _config(data: bytes) -> None:
    path = str(_file(".toml", data))
    try:
        for name, table in load(path).items():
            table_of(path, name, table)
    except UsageError:
        pass


_HISTOGRAM = Histogram()
_HISTOGRAM.record(np.array([0.001, 1.0, 1.1, 60.0], dtype=np.float32))
_SNAPSHOT = Snapshot(
    "sender", "s", 1, 2, "host", 3, "running", 1.0, {"sent": 4}, {"slots": 5.0}, {"send_time": _HISTOGRAM},
    [[0.5, "sender joined", "s", 0]],
)  # fmt: skip
_KEY = """name = "p1"
roles = ["producer", "sender"]
public-key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
secret-key = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
"""

TARGETS = {
    "frame": Target(_frame, SEEDS),
    "entry": Target(_entry, SEEDS),
    "snapshot": Target(_snapshot, [msgpack.packb(_SNAPSHOT.to_wire())]),
    "histogram": Target(_histogram, [msgpack.packb(_HISTOGRAM.to_wire())]),
    "key": Target(_key, [_KEY.encode(), _KEY.rpartition("secret")[0].encode()]),
    "csv": Target(_rows(".csv"), [b'recipient,text\n+13705550100,Hi\n"+1 (370) 555-0101","a ""b"", c"\n']),
    "jsonl": Target(_rows(".jsonl"), [b'{"recipient": "+13705550100", "text": "Hi \\u00e9"}\n\n{"text": 1}\n']),
    "config": Target(
        _config,
        [b'[run]\nmessages = 1_000\nmax-attempts = 3\nprefix = ["+1"]\n[[run.groups]]\nname = "a"\nmean = 0.5\n'],
    ),
}
