"""What a person would want to know of a broker: events, and complaints about peers, of which a few are enough."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import NamedTuple

_KEPT = 256
_COMPLAIN_S = 1.0
"""Seconds, at least, between two events about acknowledgements of one kind that can't be: a peer may say a thousand."""


class Event(NamedTuple):
    """Something that a person would want to know. `messages` is how many it concerned."""

    at: float
    kind: str
    subject: str
    messages: int


class Events:
    """The last events, and those that nobody has been told yet."""

    def __init__(self) -> None:
        self.last: deque[Event] = deque(maxlen=_KEPT)
        self._new: deque[Event] = deque(maxlen=_KEPT)
        self._complained: dict[str, tuple[float, int]] = {}
        """By kind: when it was last told, and the messages kept back since."""

    def note(self, now: float, kind: str, subject: str, messages: int) -> None:
        """It happened."""
        event = Event(now, kind, subject, messages)
        self.last.append(event)
        self._new.append(event)

    def complain(self, now: float, kind: str, subject: str, messages: int) -> None:
        """`note` what a peer can bring about as often as it likes: once a second, with what was kept back since."""
        at, kept = self._complained.get(kind, (-inf, 0))
        if now - at < _COMPLAIN_S:
            self._complained[kind] = (at, kept + messages)
        else:
            self._complained[kind] = (now, 0)
            self.note(now, kind, subject, kept + messages)

    def new(self) -> list[Event]:
        """What happened since the last call."""
        events = list(self._new)
        self._new.clear()
        return events
