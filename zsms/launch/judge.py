"""What a run's view and processes mean: which phase it is in, whom it lost, how it ends. No process, socket or clock.

    starting --the collector answers--> running --everything settled, or stuck--> finishing
        |                                  |---asked to end--> draining --drained--> finishing
        `-- the last broker, collector, producer or last sender lost; asked twice; not drained in time --> breaking off

When one of several brokers is lost the run goes on with the others and ends when they have settled what is theirs;
what the lost one held, and what producers keep for it, counts as lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from zsms.stats.ending import Ending, left_early
from zsms.stats.view import View

STANDBY = "-standby"
"""What the name of the process that stands by for a broker has beyond the broker's."""
START_S = 20.0
"""How long the collector may take to answer for the first time."""
STATS_S = 0.25
"""Seconds between two snapshots of a process of a mesh."""
WAITS_S = 10.0
"""How long somebody is waited for who may never come before that is said."""
REST_S = 4 * STATS_S
"""How long what is left of a mesh that lost a broker must look settled."""


class Phase(Enum):
    """Where a run stands."""

    STARTING = "starting"
    """The collector has not answered yet."""
    RUNNING = "running"
    DRAINING = "draining"
    """No producer makes any more; what is queued and in flight is sent."""
    FINISHING = "finishing"
    """Its processes end one role after the other, each in its time."""
    BREAKING_OFF = "breaking off"
    """Its processes end at once, and say what they know."""


FOLLOWS = {
    Phase.STARTING: {Phase.RUNNING, Phase.DRAINING, Phase.FINISHING, Phase.BREAKING_OFF},
    Phase.RUNNING: {Phase.DRAINING, Phase.FINISHING, Phase.BREAKING_OFF},
    Phase.DRAINING: {Phase.FINISHING, Phase.BREAKING_OFF},
    Phase.FINISHING: set[Phase](),
    Phase.BREAKING_OFF: set[Phase](),
}
"""What may follow what."""
OVER = {phase for phase, later in FOLLOWS.items() if not later}
"""Nothing is watched any more; the processes are to end."""


class Member(NamedTuple):
    """A process of the mesh, as it is now."""

    role: str
    name: str
    code: int | None = None
    """Its exit code, below 0 for a signal; None while it runs."""
    ending: str = ""
    """Of one that has ended: how, in words."""
    said: tuple[str, ...] = ()
    """Its last lines."""
    meant: bool = False
    """It was killed on purpose."""
    comes_back: bool = False
    """A process of its name is to be started again."""

    @property
    def place(self) -> str:
        """The name of the broker in whose place it is, or may come."""
        return place_of(self.name)


def place_of(name: str) -> str:
    """The name of the broker in whose place a process of this name is, or may come."""
    return name.removesuffix(STANDBY)


class Judge:
    """Takes looks at one run, in their order, and says its phase."""

    def __init__(self, tell: Callable[[str], None], drain_timeout: float, journal: bool = False) -> None:
        """`tell` takes each event worth a line; `drain_timeout` is how many seconds a drain may take; `journal`: what
        a lost broker held is kept."""
        self.phase = Phase.STARTING
        self.stops = 0
        """How often somebody asked to stop."""
        self.problems: list[str] = []
        """What went wrong, in the order in which it was noticed."""
        self.fatal = self.aborted = self.stuck = self.collector_lost = False
        """It can't go on; a threshold ended it; the rest will never be settled; nobody tells figures any more."""
        self.cut_short = False
        """A producer was told by others to leave before it had made all that it was to make."""
        self.brokers_lost: set[str] = set()
        self._tell = tell
        self._drain_timeout = drain_timeout
        self._journal = journal
        self._began: float | None = None
        self._drain_until = 0.0
        self._noticed: set[int] = set()
        """Processes whose end has been dealt with, by their place in the list."""
        self._rest_since: float | None = None
        self._producers_gone_at: float | None = None
        self._ending = Ending()

    @property
    def asked_to_end(self) -> int:
        """How often somebody, or a threshold, has asked for it."""
        return self.stops + self.aborted

    @property
    def completed(self) -> bool:
        """Whether nothing but its own end has ended it."""
        return not (self.fatal or self.stuck or self.cut_short or self.asked_to_end)

    @property
    def forgotten(self) -> frozenset[str]:
        """Brokers that are lost with what they held."""
        return frozenset() if self._journal else frozenset(self.brokers_lost)

    def abort(self, why: str) -> None:
        """A threshold is broken and the run is to end by it."""
        self.aborted = True
        self._note(f"ended early: {why}")

    def close(self) -> None:
        """No group of senders will ever begin anything again."""
        if not self.fatal and self.phase is Phase.RUNNING:
            self._fail("every group of senders has closed for good, so what is left will not be sent")

    def poll(self, now: float, view: View | None, members: Sequence[Member]) -> Phase:
        """The phase as of `now`; `members` are all that were ever started, in that order."""
        if self._began is None:
            self._began = now
        if view is None and now - self._began > START_S and not self.fatal:
            self._fail(f"the collector has not answered for {START_S:.0f} s")
        for place, member in enumerate(members):
            if member.code is not None and place not in self._noticed:
                self._noticed.add(place)
                self._has_ended(member, members)
        following = self._following(now, view, members)
        if following is not self.phase:
            self._enter(following, now)
        return self.phase

    def _following(self, now: float, view: View | None, members: Sequence[Member]) -> Phase:
        if self.fatal or self.asked_to_end > 1:
            return Phase.BREAKING_OFF
        if view is not None and (self._all_settled(view, members) or self._is_stuck(view)):
            self._check_leavers(view)
            return Phase.FINISHING
        if self.phase is Phase.DRAINING:
            if view is not None and self._drained(now, view, members):
                return Phase.FINISHING
            if now > self._drain_until:
                self._note(f"not drained after {self._drain_timeout:g} s", "; ending all the same")
                return Phase.BREAKING_OFF
            return Phase.DRAINING
        if self.asked_to_end:
            return Phase.DRAINING
        return Phase.STARTING if view is None else Phase.RUNNING

    def _enter(self, phase: Phase, now: float) -> None:
        assert phase in FOLLOWS[self.phase], f"{self.phase} is not followed by {phase}"
        self.phase = phase
        if phase is Phase.DRAINING:
            self._drain_until = now + self._drain_timeout
            self._tell("stopping: producers first, then what is queued and in flight is drained; again to stop at once")

    # -- what a view means ----------------------------------------------------------------------------------------

    def _all_settled(self, view: View, members: Sequence[Member]) -> bool:
        if self.brokers_lost:
            return self._rest_settled(view, members)
        newest = {member.name: member.code for member in members if member.role == "producer"}
        if any(newest.values()) or None in newest.values() or not view.producers_done:
            return False
        return view.done or view.made == 0

    def _check_leavers(self, view: View) -> None:
        """Note the producers that somebody else has told to leave: less was made than was asked for."""
        if self.asked_to_end or self.cut_short or self.brokers_lost:
            return
        if left := left_early(view):
            self.cut_short = True
            self._note(left)

    def _is_stuck(self, view: View) -> bool:
        """Whether all of it runs, and yet the rest will never be settled: messages are missing."""
        if self.asked_to_end or self.brokers_lost:
            return False
        verdict = self._ending.verdict(view)
        if waits := self._ending.reminder(view.at, WAITS_S):
            self._tell(f"waiting for {waits}")
        if not view.producers_done:
            return False
        if verdict is not None and verdict.code:
            self.stuck = True
            self._note(verdict.why)
        return self.stuck

    def _rest_settled(self, view: View, members: Sequence[Member]) -> bool:
        """Whether the brokers that live have settled all that was for them, and have said so for a while: what a
        producer knows to be held may not be in its broker's figures yet."""
        if not view.all_reached or _held(view, members):
            self._rest_since = None
            return False
        if self._rest_since is None:
            self._rest_since = view.at
        return view.at - self._rest_since > REST_S

    def _drained(self, now: float, view: View, members: Sequence[Member]) -> bool:
        """Whether brokers that live hold nothing: said after the producers had gone, for what came last counts too."""
        if any(member.code is None for member in members if member.role == "producer"):
            return False
        if self._producers_gone_at is None:
            self._producers_gone_at = now
        told = all(view.reported_after(broker, self._producers_gone_at) for broker in _living_brokers(members))
        return told and not _held(view, members)

    # -- what an end means ----------------------------------------------------------------------------------------

    def _has_ended(self, member: Member, members: Sequence[Member]) -> None:
        if member.role == "producer" and (member.code == 0 or self.asked_to_end):
            self.problems += [line for line in member.said if line.endswith("were not read")][-1:]
            return
        if member.meant and member.comes_back:
            return
        if member.role == "broker":
            others = [other for other in members if other.role == "broker" and other.place == member.place]
            if living := [other.name for other in others if other.code is None]:
                self._note(f"{member.ending}; {living[0]} is in its place")
                return
            self.brokers_lost.add(member.place)
        self.collector_lost |= member.role == "stats"
        left = any(other.code is None or other.comes_back for other in members if other.role == member.role)
        if member.role in ("broker", "sender") and left:
            fate = "stay in its journal" if self._journal else "are lost"
            what = "go to the others" if member.role == "sender" else f"{fate}; the others go on"
            said = f"{member.ending}; its messages {what}"
            if not (member.meant and member.role == "sender"):
                self.problems.append(said)
            self._tell(said)
        elif member.role == "sender":
            self._fail(f"{member.ending}; it was the last sender")
        else:
            self._fail(f"{member.ending}; the run can't go on without it")

    def _fail(self, why: str) -> None:
        self.fatal = True
        self._note(why)

    def _note(self, problem: str, more: str = "") -> None:
        self.problems.append(problem)
        self._tell(problem + more)


def _held(view: View, members: Sequence[Member]) -> int:
    """Messages that brokers which live hold."""
    return sum(map(view.held_by, _living_brokers(members)))


def _living_brokers(members: Sequence[Member]) -> set[str]:
    return {member.place for member in members if member.role == "broker" and member.code is None}
