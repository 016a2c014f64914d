"""When a run's faults begin and end, and what is done to whom: a schedule, without a process or a clock.

Strikes(faults, groups)      groups: the names of each group's processes
due(now) -> [Strike]         what is to be done since the last call, in order
next_time() -> now           when there is something to do again

kill      SIGKILL                                            (it is gone for good)
stop      SIGSTOP at the beginning, SIGCONT at the end
restart   SIGKILL, and the same command again at the end
slow      sends that begin take `factor` times as long, until the end
fail      another share of sends fails, until the end
throttle  a cap in segments a second for the group together, until the end
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite
from typing import NamedTuple

from zsms.errors import UsageError

KINDS = ("kill", "stop", "restart", "slow", "fail", "throttle")
_BACK = ("stop", "restart", "slow", "fail", "throttle")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong on purpose. Times in seconds since the first message was accepted."""

    at: float
    what: str
    """One of `KINDS`."""
    whom: str
    """A process (broker, sender-1, ...), a group, or the collector."""
    lasts: float | None = None
    """None: to the end."""
    factor: float | None = None
    """Of the delay (slow)."""
    rate: float | None = None
    """The failure rate (fail)."""
    cap: float | None = None
    """Segments a second, all that it strikes together (throttle)."""
    share: float = 1.0
    """The part of a group's processes that it strikes."""

    def check(self) -> None:
        """Raise UsageError for what can't be."""
        if self.what not in KINDS:
            raise UsageError(f"fault {self.what!r}: choose one of {', '.join(KINDS)}")
        where = f"the fault {self.what!r} at {self.at:g} s"
        if not (isfinite(self.at) and self.at >= 0) or (self.lasts is not None and not self.lasts > 0):
            raise UsageError(f"{where}: it begins at 0 s or later and lasts for more than nothing")
        if not 0 < self.share <= 1:
            raise UsageError(f"{where}: share {self.share:g}: give one above 0, up to 1")
        needed = {"slow": "factor", "fail": "rate", "throttle": "cap", "stop": "lasts", "restart": "lasts"}.get(
            self.what
        )
        if needed is not None and getattr(self, needed) is None:
            raise UsageError(f"{where}: say its {needed}")


class Strike(NamedTuple):
    """Something to be done to one process."""

    at: float
    """Seconds since the start of the run."""
    number: int
    """Which fault it is of."""
    what: str
    """One of `KINDS`."""
    whom: str
    """The process's name."""
    over: bool
    """Whether the fault ends."""
    value: float | None
    """Factor, failure rate, or this process's part of the cap; None at the end: what it was before."""


def targets(fault: Fault, groups: Mapping[str, Sequence[str]], others: Sequence[str]) -> list[str]:
    """The processes that a fault strikes: all of a group or a share of it, or one. Raises UsageError for nobody."""
    if fault.whom in groups:
        members = groups[fault.whom]
        return list(members[: ceil(len(members) * fault.share - 1e-9)])
    known = [*others, *(name for members in groups.values() for name in members)]
    whom = "stats" if fault.whom == "collector" else fault.whom
    if whom not in known:
        raise UsageError(
            f"a fault strikes {fault.whom!r}, which is nobody: there are {', '.join([*groups, *known][:12])}"
        )
    return [whom]


class Strikes:
    """The schedule of a run's faults."""

    def __init__(
        self, faults: Sequence[Fault], groups: Mapping[str, Sequence[str]], others: Sequence[str] = ()
    ) -> None:
        """`others`: brokers, producers and the collector (stats). Raises UsageError for a fault that can't be."""
        self._strikes: list[Strike] = []
        self._done = 0
        senders = {name for members in groups.values() for name in members}
        for number, fault in enumerate(faults):
            fault.check()
            whom = targets(fault, groups, others)
            if fault.what in ("slow", "fail", "throttle") and not senders.issuperset(whom):
                raise UsageError(f"only senders can be made to {fault.what}, not {fault.whom!r}")
            for name in whom:
                self._strikes.append(
                    Strike(fault.at, number, fault.what, name, over=False, value=_value(fault, len(whom)))
                )
                if fault.what in _BACK and fault.lasts is not None:
                    self._strikes.append(
                        Strike(fault.at + fault.lasts, number, fault.what, name, over=True, value=None)
                    )
        self._back = {(strike.whom, strike.at) for strike in self._strikes if strike.what == "restart" and strike.over}
        self._strikes.sort(key=lambda strike: (strike.at, strike.number))

    def due(self, now: float) -> list[Strike]:
        """What is to be done by now (seconds since the start) and was not told before."""
        begin = self._done
        while self._done < len(self._strikes) and self._strikes[self._done].at <= now:
            self._done += 1
        return self._strikes[begin : self._done]

    def comes_back(self, whom: str, now: float) -> bool:
        """Whether that process is to be started again."""
        return any(name == whom and at > now for name, at in self._back)

    def next_time(self) -> float:
        """When the next one is due; infinite when none is left."""
        return self._strikes[self._done].at if self._done < len(self._strikes) else inf


def _value(fault: Fault, processes: int) -> float | None:
    if fault.what == "slow":
        return fault.factor
    if fault.what == "fail":
        return fault.rate
    if fault.what == "throttle":
        return None if fault.cap is None else fault.cap / processes
    return None
