from __future__ import annotations

import msgpack
import numpy as np
import pytest

from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import Snapshot


def make() -> Snapshot:
    times = Histogram()
    times.record(np.array([0.5, 2.0], dtype=np.float32))
    return Snapshot(
        "sender", "s-1", 5, 7, "host", 42, "running", 1.0,
        {"sent": 3}, {"busy": 2, "took_s": 1.5}, {"send_time": times}, [[0.5, "sender lost", "s-2", 10]],
    )  # fmt: skip


def test_a_snapshot_survives_the_wire():
    snapshot = make()
    read = Snapshot.from_wire(msgpack.unpackb(msgpack.packb(snapshot.to_wire())))
    assert read.to_wire() == snapshot.to_wire()
    assert read.histograms["send_time"].summary() == snapshot.histograms["send_time"].summary()


@pytest.mark.parametrize("name", ["x" * 65, "a\x1b[2J", "a\nb", "\u202e", "\ud800"])
def test_a_name_is_short_and_printable_wherever_it_stands(name):
    body = make().to_wire()
    for field, value in (
        ("name", name),
        ("host", name),
        ("state", name),
        ("counters", {name: 1}),
        ("gauges", {name: 1.0}),
        ("histograms", {name: Histogram().to_wire()}),
        ("events", [[0.5, name, "s-2", 1]]),
        ("events", [[0.5, "sender lost", name * 4, 1]]),
        ("failures", [[name, 1, None]]),
        ("failures", [["why", 1, name * 4]]),
    ):
        with pytest.raises(ValueError, match="a name"):
            Snapshot.from_wire({**body, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "king"),
        ("role", 1),
        ("name", None),
        ("start", "5"),
        ("start", True),
        ("seq", 1.5),
        ("pid", None),
        ("interval", "1"),
        ("counters", []),
        ("counters", {"sent": 1.5}),
        ("counters", {"sent": True}),
        ("gauges", {"busy": "2"}),
        ("histograms", {"send_time": {}}),
        ("histograms", None),
        ("events", {}),
    ],
)
def test_what_is_no_snapshot_is_refused(field, value):
    body = make().to_wire()
    with pytest.raises(ValueError, match=r"where|not a histogram|of the role"):
        Snapshot.from_wire({**body, field: value})
    del body[field]
    with pytest.raises(ValueError, match=field):
        Snapshot.from_wire(body)
