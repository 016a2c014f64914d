"""What a process says of itself: one cumulative snapshot, so that a lost one costs freshness and nothing else.

Counters only grow and can be added up over processes and over starts. Gauges say how it is now. Histograms merge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from zsms.core.histogram import Histogram

ROLES = ("broker", "producer", "sender")
MAX_FIGURES = 128
"""Most counters, gauges, histograms and events of one process."""
MAX_NAME = 1_024
"""Longest name, of a process or of a figure, in characters."""
MAX_COUNT = 2**62
"""Counters are below this, and their sums are cut here."""


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
    """starting, running, draining; the last word is done, or left when there was more to do."""
    interval: float
    """Seconds to the next one, at the latest."""
    counters: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    events: list[list[Any]] = field(default_factory=list)
    """The last events, [seconds before this snapshot, kind, subject, messages]."""

    def to_wire(self) -> dict[str, Any]:
        """A map of plain values."""
        return {**self.row(), "histograms": {name: h.to_wire() for name, h in self.histograms.items()}}

    def row(self) -> dict[str, Any]:
        """The same without the histograms, which make up most of it."""
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
            "events": self.events,
        }

    @classmethod
    def from_wire(cls, body: dict[str, Any]) -> Snapshot:
        """The snapshot that `to_wire` described. Raises ValueError for anything else."""
        try:
            snapshot = cls(
                role=_name(body["role"]),
                name=_name(body["name"]),
                start=_typed(body["start"], int),
                seq=_typed(body["seq"], int),
                host=_name(body["host"]),
                pid=_typed(body["pid"], int),
                state=_name(body["state"]),
                interval=_finite(_typed(body["interval"], float)),
                counters={_name(k): _counted(v) for k, v in _figures(body["counters"], dict).items()},
                gauges={_name(k): _finite(v) for k, v in _figures(body["gauges"], dict).items()},
                histograms={_name(k): Histogram.from_wire(v) for k, v in _figures(body["histograms"], dict).items()},
                events=[_event(*_typed(event, list)) for event in _figures(body["events"], list)],
            )
        except KeyError as error:
            raise ValueError(f"a snapshot without {error}") from None
        except TypeError:
            raise ValueError("an event is [seconds, kind, subject, messages]") from None
        if snapshot.role not in ROLES:
            raise ValueError(f"a snapshot of the role {snapshot.role[:40]!r}")
        return snapshot


def _typed(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise ValueError(f"{type(value).__name__} where {types[0].__name__} belongs")
    return value


def _figures(value: Any, kind: type) -> Any:
    if len(_typed(value, kind)) > MAX_FIGURES:
        raise ValueError(f"{len(value)} figures of one kind, over {MAX_FIGURES}")
    return value


def _name(value: Any) -> str:
    name: str = _typed(value, str)
    if len(name) > MAX_NAME:
        raise ValueError(f"a name of {len(name)} characters, over {MAX_NAME}")
    return name


def _counted(value: Any) -> int:
    count: int = _typed(value, int)
    if not 0 <= count < MAX_COUNT:
        raise ValueError(f"a count of {count}")
    return count


def _finite(value: Any) -> float:
    number = float(_typed(value, int, float))
    if not isfinite(number):
        raise ValueError(f"{number} where a figure belongs")
    return number


def _event(ago: Any, kind: Any, subject: Any, messages: Any) -> list[Any]:
    return [_finite(ago), _name(kind), _name(subject), _counted(messages)]
