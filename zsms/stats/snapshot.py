"""What a process says of itself: one cumulative snapshot, so that a lost one costs freshness and nothing else.

Counters only grow and can be added up over processes and over starts. Gauges say how it is now. Histograms merge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zsms.stats.failures import MAX_EXAMPLE, MAX_REASON, MOST_KINDS, Failure
from zsms.stats.histogram import Histogram
from zsms.stats.reach import MAX_REACH_BYTES

ROLES = ("broker", "producer", "sender", "smsc")
MAX_FIGURES = 128
"""Most counters, gauges and events of one process."""
MAX_HISTOGRAMS = 16
"""Most histograms of one process."""
MAX_NAME = 64
"""Longest name, of a process, a host or a figure, in characters; all of them are printable, as names in logs are."""
MAX_SUBJECT = 200
"""Longest subject of an event, likewise."""
MAX_COUNT = 2**62
"""Counters are below this, and their sums are cut here."""
MAX_GAUGE = 10**15
"""Gauges are from 0 to this, so that the sum over all processes is a number that can be counted and shown."""
MAX_AGO_S = 10**10
"""An event is no longer ago than this, seconds."""
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.01, 3_600
"""Seconds between two snapshots: what the option takes. A process that claimed more would never count as silent."""
MAX_ROW_BYTES = 16 * 1024
"""A process's row in an answer is no longer than this, about; its own snapshots leave out their oldest events."""


_ROW_HEAD = 224
"""Bytes of a row's own keys, numbers and age."""
_FIGURE = 10
"""Bytes of a number, at most, with what separates it."""


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
    failures: list[Failure] = field(default_factory=list)
    """Why sends failed, as far as this start knows."""
    reach: dict[str, Any] | None = None
    """A broker's last word has its counts of :class:`zsms.stats.reach.Reach`, as they are said on the wire."""

    def to_wire(self) -> dict[str, Any]:
        """A map of plain values, without the oldest events where they are too many bytes."""
        while self.events and self.row_bytes > MAX_ROW_BYTES:
            del self.events[: max(1, len(self.events) // 4)]
        return {
            **self.row(),
            "histograms": {name: h.to_wire() for name, h in self.histograms.items()},
            "failures": [list(failure) for failure in self.failures],
            **({} if self.reach is None else {"reach": self.reach}),
        }

    def row(self) -> dict[str, Any]:
        """The same without the histograms and failures, which make up most of it."""
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

    @property
    def row_bytes(self) -> int:
        """At least what `row` takes on the wire."""
        names = [self.role, self.name, self.host, self.state, *self.counters, *self.gauges]
        names += [name for event in self.events for name in event[1:3]]
        figures = len(self.counters) + len(self.gauges) + 3 * len(self.events)
        return _ROW_HEAD + sum(len(name.encode()) + 5 for name in names) + _FIGURE * figures

    @classmethod
    def from_wire(cls, body: dict[str, Any]) -> Snapshot:
        """The snapshot that `to_wire` described. Raises ValueError for anything else."""
        try:
            snapshot = cls(
                role=_name(body["role"]),
                name=_name(body["name"]),
                start=_whole(body["start"]),
                seq=_whole(body["seq"]),
                host=_name(body["host"]),
                pid=_whole(body["pid"]),
                state=_name(body["state"]),
                interval=_within(_typed(body["interval"], float), MIN_INTERVAL_S, MAX_INTERVAL_S),
                counters={_name(k): _counted(v) for k, v in _figures(body["counters"], dict).items()},
                gauges={_name(k): _gauge(v) for k, v in _figures(body["gauges"], dict).items()},
                histograms={
                    _name(k): Histogram.from_wire(v, checked=True)
                    for k, v in _figures(body["histograms"], dict, MAX_HISTOGRAMS).items()
                },
                events=[_event(*_typed(event, list)) for event in _figures(body["events"], list)],
                failures=[
                    _failure(*_typed(row, list)) for row in _figures(body.get("failures", []), list, MOST_KINDS + 1)
                ],
                reach=None if body.get("reach") is None else _reach(_typed(body["reach"], dict)),
            )
        except KeyError as error:
            raise ValueError(f"a snapshot without {error}") from None
        except TypeError:
            raise ValueError(
                "an event is [seconds, kind, subject, messages], a failure [reason, sends, example]"
            ) from None
        if snapshot.role not in ROLES:
            raise ValueError(f"a snapshot of the role {snapshot.role[:40]!r}")
        if (size := snapshot.row_bytes) > MAX_ROW_BYTES:
            raise ValueError(f"a snapshot of {size} bytes where at most {MAX_ROW_BYTES} belong")
        return snapshot


def _typed(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise ValueError(f"{type(value).__name__} where {types[0].__name__} belongs")
    return value


def _figures(value: Any, kind: type, most: int = MAX_FIGURES) -> Any:
    if len(_typed(value, kind)) > most:
        raise ValueError(f"{len(value)} figures of one kind, over {most}")
    return value


def _name(value: Any) -> str:
    return _text(value, MAX_NAME)


def _text(value: Any, most: int) -> str:
    text: str = _typed(value, str)
    if len(text) > most:
        raise ValueError(f"a name of {len(text)} characters where at most {most} belong")
    if not text.isprintable():  # lone surrogates, too, which msgpack lets through and nobody can write
        raise ValueError("a name where printable text belongs")
    return text


def _whole(value: Any) -> int:
    number: int = _typed(value, int)
    if not 0 <= number < 2**64:
        raise ValueError(f"{number} where a number from 0 to 2**64 belongs")
    return number


def _counted(value: Any) -> int:
    count: int = _typed(value, int)
    if not 0 <= count < MAX_COUNT:
        raise ValueError(f"a count of {count}")
    return count


def _within(value: Any, least: float, most: float) -> float:
    number = float(_typed(value, int, float))
    if not least <= number <= most:
        raise ValueError(f"{number} where a figure from {least:g} to {most:g} belongs")
    return number


def _gauge(value: Any) -> float:
    """None is below 0; a difference of clocks that is a hair below counts as 0."""
    return max(0.0, _within(value, -MAX_GAUGE, MAX_GAUGE))


def _failure(reason: Any, sends: Any, example: Any) -> Failure:
    said = None if example is None else _text(example, MAX_EXAMPLE)
    return Failure(_text(reason, MAX_REASON), _counted(sends), said or None)


def _reach(body: dict[str, Any]) -> dict[str, Any]:
    """Whoever reads the counts looks at them; here only their size counts."""
    if len(_typed(body.get("n"), bytes)) > MAX_REACH_BYTES or len(body) > 4:
        raise ValueError("counts of reach that are too many")
    return {name: body[name] if name == "n" else _within(body[name], 0, MAX_COUNT) for name in body}


def _event(ago: Any, kind: Any, subject: Any, messages: Any) -> list[Any]:
    return [max(0.0, _within(ago, -MAX_AGO_S, MAX_AGO_S)), _name(kind), _text(subject, MAX_SUBJECT), _counted(messages)]
