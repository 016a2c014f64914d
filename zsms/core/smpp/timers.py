"""The timers of a session (7.2 of the specification), and the rare requests that one of them is for."""

from __future__ import annotations

from dataclasses import dataclass

from zsms.core.smpp.events import State, Timers


@dataclass(slots=True)
class Request:
    """A rare request that waits for its answer."""

    command: int
    handle: int
    sent: float


class Deadlines:
    """When a session has heard of its peer, and what is due."""

    def __init__(self, timers: Timers) -> None:
        self.timers = timers
        self.requests: dict[int, Request] = {}
        """Rare ones without an answer, by sequence number."""
        self.heard = 0.0
        """When octets of any kind came."""
        self.messaged = 0.0
        """When a message, or an answer to one, came or was sent."""
        self.link_asked: float | None = None
        """When the peer was asked for a sign of life that it has not given."""
        self._connected = 0.0

    def connected(self, now: float) -> None:
        """The connection stands."""
        self.heard = self.messaged = self._connected = now

    def late(self, now: float) -> list[Request]:
        """Rare requests whose answer is not waited for any more; they are forgotten."""
        if self.timers.response <= 0:
            return []
        before = now - self.timers.response
        late = [sequence for sequence, request in self.requests.items() if request.sent <= before]
        return [self.requests.pop(sequence) for sequence in late]

    def reason(self, state: State, now: float) -> str | None:
        """Why the session is over now, None if it is not."""
        timers = self.timers
        if state is State.OPEN and 0 < timers.init <= now - self._connected:
            return f"no bind within {timers.init:g} s"
        if state.bound and 0 < timers.inactivity <= now - self.messaged:
            return f"no message for {timers.inactivity:g} s"
        if self.link_asked is not None and 0 < timers.response <= now - self.link_asked:
            return f"nothing heard for {now - self.heard:.0f} s, enquire_link unanswered"
        return None

    def asks_for_life(self, state: State, now: float) -> bool:
        """Whether it is time for an enquire_link."""
        quiet = self.timers.enquire_link
        return state.bound and self.link_asked is None and 0 < quiet <= now - self.heard

    def next_time(self, state: State, oldest: float | None) -> float | None:
        """When something is due at the earliest; `oldest` is when the oldest open message was sent."""
        timers, times = self.timers, []
        if timers.response > 0:
            sent = [request.sent for request in self.requests.values()]
            sent += [each for each in (oldest, self.link_asked) if each is not None]
            times += [min(sent) + timers.response] if sent else []
        if state is State.OPEN and timers.init > 0:
            times.append(self._connected + timers.init)
        if state.bound and timers.inactivity > 0:
            times.append(self.messaged + timers.inactivity)
        if state.bound and timers.enquire_link > 0 and self.link_asked is None:
            times.append(self.heard + timers.enquire_link)
        return min(times, default=None)
