"""Whether anything more can come: what `zsms monitor --until-done` and `zsms run` end by.

    view, view, view, ...  --look-->  None          something is going on, or is waited for (`waits` says for whom)
                                      Verdict       0: all that was made is settled; 1: the rest never will be

Words of different processes are of different moments. What looks over is believed when it has looked so for as long as
any process takes to speak, and who is silent may be starting again:
a broker gets `GONE_S`, a producer `PRODUCER_GONE_S`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from zsms.stats.figures import added
from zsms.stats.row import STALE_INTERVALS, Row, names_of
from zsms.stats.view import GONE_S, View
from zsms.words import many

REMIND_S = 30.0
"""Seconds after which it is said again whom a mesh waits for."""
PRODUCER_GONE_S = 10.0
"""Seconds of silence after which nothing more is expected of a producer."""


class Verdict(NamedTuple):
    """How it ended."""

    code: int
    """0, or 1 when not all is settled or nobody can know."""
    why: str
    """What there is to say; may be empty."""


class Ending:
    """Takes views in the order in which they came."""

    def __init__(self) -> None:
        self.waits = ""
        """Whom or what it waits for that may never come; empty while the mesh works."""
        self._state: tuple[Any, ...] = ()
        self._since = 0.0
        self._said = ""
        self._say_at = 0.0

    def reminder(self, now: float, after: float) -> str:
        """Whom it waits for, when that is to be said: `after` so many seconds, and again; else empty."""
        kind = self.waits.partition(", silent for")[0]
        if kind != self._said:
            self._said, self._say_at = kind, now + after
        elif kind and now >= self._say_at:
            self._say_at = now + REMIND_S
            return self.waits
        return ""

    def verdict(self, view: View) -> Verdict | None:
        """The verdict, once there is one."""
        if view.done:
            return Verdict(0, left_early(view) or view.untold)
        self.waits = self._whom(view)
        state = (view.made, view.accepted, view.settled, view.missing, view.held, view.brokers_alive)
        if state != self._state or self._going_on(view):
            self._state, self._since = state, view.at
            return None
        if view.at - self._since <= self._patience(view):
            return None
        return self._verdict(view)

    def _going_on(self, view: View) -> bool:
        producers = view.producers
        coming = any(not row.has_ended and not _is_given_up(row) for row in producers)
        begun = bool(producers or view.accepted or view.producers_done)
        return coming or bool(view.held) or not begun

    def _patience(self, view: View) -> float:
        intervals = [row.interval for row in view.brokers]
        patience = float(STALE_INTERVALS * max(intervals, default=1.0) + 0.5)
        if not view.brokers_alive and not view.audit.held and not view.missing and view.made <= view.settled:
            return patience
        if not view.brokers_alive or view.audit.held:
            away = min((row.age for row in view.brokers if not row.is_present), default=0.0)
            return patience if away > GONE_S else patience + GONE_S
        known = view.producers_done or view.producers
        return patience if known else max(patience, PRODUCER_GONE_S)

    def _whom(self, view: View) -> str:
        silent = [row for row in view.processes if not row.has_ended and not row.is_alive and row.role != "sender"]
        if silent:
            age = min(row.age for row in silent)
            return f"{names_of(silent)}, silent for {age:.0f} s"
        if not view.brokers_alive:
            return "a broker: none is known to be alive"
        if view.held and not view.senders_alive:
            return f"a sender: none is alive, and {many(view.held, 'message waits', 'messages wait')}"
        if not view.producers and not view.producers_done:
            return "a producer: none has been heard of"
        if view.producers_done and view.missing and not view.held:
            return f"{many(view.missing, 'confirmed message')} that no broker answers for"
        return ""

    def _verdict(self, view: View) -> Verdict:
        audit, parts = view.audit, []
        if audit.missing:
            where = f"has started again without {_them(audit.missing)}" if view.brokers_alive else "is gone"
            parts.append(
                f"{_confirmed(audit.missing)} not settled, and the broker that held {_them(audit.missing)} {where}"
            )
        if audit.held:
            parts.append(f"{_confirmed(audit.held)} not settled, and the broker that holds {_them(audit.held)} is gone")
        if audit.unconfirmed:
            made = many(audit.unconfirmed, "message was", "messages were")
            parts.append(f"{made} made and {_with(view, audit.unconfirmed)}")
        given_up = [row for row in view.producers if not row.has_ended]
        if given_up:
            parts.append(f"{names_of(given_up)} fell silent before the end: nobody knows what there was still to make")
        if not parts:
            return Verdict(0, left_early(view) or view.untold)
        return Verdict(1, "; ".join(parts))


def left_early(view: View) -> str:
    """Which producers have not made all that they were to make, in words; empty when there are none."""
    left = [row for row in view.producers if row.state != "done"]
    return f"{names_of(left)} left before the end of the work" if left else ""


def _confirmed(messages: int) -> str:
    return many(messages, "message was confirmed and is", "messages were confirmed and are")


def _them(messages: int) -> str:
    return "it" if messages == 1 else "them"


def _with(view: View, messages: int) -> str:
    """Where so many messages are that nobody answers for."""
    keep = [row for row in view.producers if row.figures.unconfirmed]
    if messages > added(row.figures.unconfirmed for row in keep):
        return "no broker that is known of answers for them"
    return f"no broker has confirmed them; they were with {names_of(keep)}"


def _is_given_up(row: Row[Any]) -> bool:
    return row.age > max(PRODUCER_GONE_S, row.patience)
