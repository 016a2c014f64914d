"""A process as a collector tells of it: a row of its answer, with the figures of its role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from zsms.stats.figures import OF_ROLE, Figures

STALE_INTERVALS = 4
"""A process that has been silent for this many of its intervals does not count as alive."""
LEAST_S, FRESH_S = 1.0, 0.35
"""A process's figures are shown as stale when its next word, after an interval of `LEAST_S` at least, is `FRESH_S`
late: within two seconds of its end, where it speaks every second and is looked at twice in one."""

F = TypeVar("F", bound=Figures, covariant=True)


class RowEvent(NamedTuple):
    """An event, as a process told of it."""

    ago: float
    """Seconds before its snapshot."""
    kind: str
    subject: str
    messages: int


@dataclass(slots=True)
class Row(Generic[F]):
    """A process at one moment. Times in seconds."""

    role: str
    name: str
    state: str
    """By its own word: starting, running, draining, done, left."""
    age: float
    """Since its last word."""
    interval: float
    """Between two of its words."""
    figures: F
    start: int = 0
    host: str = ""
    pid: int = 0
    ended: bool = False
    """That was its last word."""
    confirmed: int | None = None
    """Of a broker: messages that producers had been confirmed before it said this."""
    events: tuple[RowEvent, ...] = ()

    @classmethod
    def of(cls, told: dict[str, Any]) -> Row[Figures]:
        """A row of a collector's answer."""
        figures = OF_ROLE.get(told["role"], Figures)
        return Row(
            role=told["role"],
            name=told["name"],
            state=told["state"],
            age=told["age"],
            interval=told["interval"],
            figures=figures.of(told["counters"], told["gauges"]),
            start=told.get("start", 0),
            host=told.get("host", ""),
            pid=told.get("pid", 0),
            ended=bool(told.get("ended")),
            confirmed=told.get("confirmed"),
            events=tuple(RowEvent(*event) for event in told.get("events", ())),
        )

    @property
    def has_ended(self) -> bool:
        """Whether it has said its last word."""
        return self.ended or self.state in ("done", "left")

    @property
    def is_alive(self) -> bool:
        """Whether its last word is recent."""
        return self.age <= self.patience

    @property
    def is_present(self) -> bool:
        """Whether what it says of its present is still true."""
        return self.is_alive and not self.has_ended

    @property
    def is_fresh(self) -> bool:
        """Whether it speaks at its pace: what it says of its present is true of now."""
        return not self.has_ended and self.age <= max(self.interval, LEAST_S) + FRESH_S

    @property
    def patience(self) -> float:
        """Seconds of silence after which it counts as silent."""
        return STALE_INTERVALS * self.interval + 0.5

    @property
    def condition(self) -> str:
        """starting, running or draining, by its own word; "left" when that was its last, "silent" when it is old."""
        return "left" if self.has_ended else self.state if self.is_fresh else "silent"


def names_of(rows: list[Row[Any]], most: int = 3) -> str:
    """The names of the first of them, and how many more there are."""
    more = len(rows) - most
    return ", ".join(row.name for row in rows[:most]) + (f" and {more} more" if more > 0 else "")
