"""What a sender has promised one broker to take: a credit that can be made smaller, but only as fast as that is known.

A limit counts messages of the session in all. A greater one counts at once. A smaller one only counts when the broker
has answered, or when a new join has made void what it grants by the old one: until then `reach` is the most that may
have been granted by what the broker was told.

    limit said  100 ----------> 60                          `reach` stays 100, for grants may be under way
                     PONG: has the frame that said so ----> `reach` 60
                     joining() --------------------------> `reach` = received

    state      event                                 reach                                    next state
    settled    a frame says `reach` or more          what it says                             settled
    settled    a frame says less                     unchanged                                shrinking
    shrinking  a frame says `reach` or more          what it says                             settled
    shrinking  a frame says less                     unchanged                                shrinking
    shrinking  the broker has the first that did     the most said since, or was received     settled
    any        what was promised is void             what was received                        settled

Where the newest frame says less still than the `reach` that then holds, the state is shrinking again at once.
"""

from __future__ import annotations

from enum import Enum
from math import inf


class State(Enum):
    """Whether the broker may still grant by a greater limit than it was told last."""

    SETTLED = "settled"
    SHRINKING = "shrinking"


class Event(Enum):
    """What changes it."""

    SAID_MORE = "a frame says `reach` or more"
    SAID_LESS = "a frame says less"
    KNOWN = "the broker has the first that did"
    VOID = "what was promised is void"


TRANSITIONS = {
    (State.SETTLED, Event.SAID_MORE): State.SETTLED,
    (State.SETTLED, Event.SAID_LESS): State.SHRINKING,
    (State.SHRINKING, Event.SAID_MORE): State.SETTLED,
    (State.SHRINKING, Event.SAID_LESS): State.SHRINKING,
    (State.SHRINKING, Event.KNOWN): State.SETTLED,
    (State.SETTLED, Event.VOID): State.SETTLED,
    (State.SHRINKING, Event.VOID): State.SETTLED,
}


class Credit:
    """The promises of one session, and whether the broker makes use of them."""

    def __init__(self) -> None:
        self.state = State.SETTLED
        self.told = -1
        """The limit said last; -1: none."""
        self.reach = 0
        """Messages of the session that may have been granted in all, by what the broker was told."""
        self.wants_more = True
        """Whether the broker has, as far as we know, made use of all the credit that it had."""
        self._first_less = 0
        """While shrinking: the frame that was the first to say less,"""
        self._most_since = 0
        """and the most that was said by it and since."""
        self._asked: tuple[int, int, float] | None = None
        """What was said before the broker was asked for a sign of life: frames, limit, and when it was asked."""
        self._known: int | None = None
        """The limit that the broker knew when it answered the time before."""
        self._left = True
        """The last grant left something in the broker's queue, as far as we know."""

    def _on(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state, event]

    def void(self, received: int) -> None:
        """What was promised and has not arrived never will: the session joins, or another one begins."""
        self._on(Event.VOID)
        self.reach = received
        self._asked = self._known = None
        self.wants_more = self._left = True

    def granted(self, more: bool) -> None:
        """A grant came; `more`: it left something in the broker's queue."""
        self.wants_more = self._left = more

    def sent(self, limit: int, frame: int) -> None:
        """A frame with that number tells the broker this limit."""
        if limit >= self.reach:
            self._on(Event.SAID_MORE)
            self.reach = limit
        else:
            self._less(limit, frame)

    def _less(self, limit: int, frame: int) -> None:
        if self.state is State.SETTLED:
            self._first_less, self._most_since = frame, limit
        else:
            self._most_since = max(self._most_since, limit)
        self._on(Event.SAID_LESS)

    def acknowledged(self, acked: int, received: int, newest: int) -> None:
        """The broker has every frame below `acked`; so many messages were received, and `newest` is the last frame."""
        if self.state is State.SETTLED or acked <= self._first_less:
            return
        # What it may have granted by a greater limit than these has arrived.
        self._on(Event.KNOWN)
        self.reach = max(self._most_since, received)
        if self.told < self.reach:  # known with the newest frame, however many are under way
            self._less(self.told, newest)

    def asked(self, frames: int, now: float) -> None:
        """The broker is being asked for a sign of life (PING), after so many frames."""
        if self._asked is None:  # the answer may take longer than the next question
            self._asked = frames, self.told, now

    def answered(self, acked: int, received: int, asked_at: float = -inf) -> bool:
        """Its answer (PONG) to what was asked then; False when it lacks what was said before: that was lost on its way.

        What the broker could grant under a limit that it knew when it answered the time before has arrived by now, for
        it grants at once and in order. So it had nothing more for us unless that limit was reached.
        """
        if self._asked is None:
            return True
        frames, limit, at = self._asked
        if acked < frames:
            return asked_at < at
        self.wants_more = self._left and (self._known is None or received >= self._known)
        self._known, self._asked = limit, None
        return True
