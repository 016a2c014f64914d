"""What a process says of itself: one cumulative snapshot, so that a lost one costs freshness and nothing else.

Counters only grow and can be added up over processes and over starts. Gauges say how it is now. Histograms merge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zsms.core.histogram import Histogram

ROLES = ("broker", "producer", "sender")


@dataclass(slots=True)
class Snapshot:
    """One process, one start, one moment."""

    role: str
    name: str
    """The same over restarts."""
    start: int
    """Grows from one start of the process to the next; the totals of earlier starts are kept."""
    seq: int
    """Counts the snapshots of this start."""
    host: str
    pid: int
    state: str
    """starting, running, draining or done."""
    interval: float
    """Seconds to the next one, at the latest."""
    counters: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    events: list[list[Any]] = field(default_factory=list)
    """The last events, [seconds before this snapshot, kind, subject, messages]."""

    def to_wire(self) -> dict[str, Any]:
        """A map of plain values."""
        return {
            "role": self.role,
            "name": self.name,
            "start": self.start,
            "seq": self.seq,
            "host": self.host,
            "pid": self.pid,
            "state": self.state,
            "interval": self.interval,
            "counters": self.counters,
            "gauges": self.gauges,
            "histograms": {name: h.to_wire() for name, h in self.histograms.items()},
            "events": self.events,
        }

    @classmethod
    def from_wire(cls, body: dict[str, Any]) -> Snapshot:
        """The snapshot that `to_wire` described. Raises ValueError for anything else."""
        try:
            snapshot = cls(
                role=_typed(body["role"], str),
                name=_typed(body["name"], str),
                start=_typed(body["start"], int),
                seq=_typed(body["seq"], int),
                host=_typed(body["host"], str),
                pid=_typed(body["pid"], int),
                state=_typed(body["state"], str),
                interval=_typed(body["interval"], float),
                counters={k: _typed(v, int) for k, v in _typed(body["counters"], dict).items()},
                gauges={k: float(_typed(v, int, float)) for k, v in _typed(body["gauges"], dict).items()},
                histograms={k: Histogram.from_wire(v) for k, v in _typed(body["histograms"], dict).items()},
                events=_typed(body["events"], list),
            )
        except KeyError as error:
            raise ValueError(f"a snapshot without {error}") from None
        if snapshot.role not in ROLES:
            raise ValueError(f"a snapshot of the role {snapshot.role[:40]!r}")
        return snapshot


def _typed(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise ValueError(f"{type(value).__name__} where {types[0].__name__} belongs")
    return value
