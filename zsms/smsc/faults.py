"""When what goes wrong with a fake SMSC: the schedule of its faults."""

from __future__ import annotations

from zsms.smsc.rules import Fault


class Schedule:
    """Says which faults hold; times are seconds since the start."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        self._cut = [-1] * len(faults)

    def holding(self, now: float) -> list[Fault]:
        """The faults other than disconnects that hold now."""
        return [f for f in self._faults if f.what != "disconnect" and self._since(f, now) <= f.last]

    def cuts(self, now: float) -> bool:
        """Whether a disconnect has come since the last call."""
        found = False
        for place, fault in enumerate(self._faults):
            if fault.what == "disconnect" and now >= fault.at:
                turn = int((now - fault.at) / fault.every) if fault.every else 0
                found |= turn > self._cut[place]
                self._cut[place] = max(self._cut[place], turn)
        return found

    @staticmethod
    def _since(fault: Fault, now: float) -> float:
        """Seconds since the last beginning of a fault."""
        if now < fault.at:
            return float("inf")
        return (now - fault.at) % fault.every if fault.every else now - fault.at

    def next_time(self, now: float) -> float | None:
        """When to look again; a fault may begin or end within that time."""
        return now + _LOOK_S if self._faults else None


_LOOK_S = 0.02
