"""Orders to the processes of a run, in time: what goes wrong on purpose, and the arrival rate."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from zsms.core.stages import rate_at
from zsms.core.strikes import Strike
from zsms.launch.place import Child
from zsms.launch.processes import Processes
from zsms.stats.recovery import Struck

if TYPE_CHECKING:
    from zsms.scenario import MeshConfig

_LEAST_RATE = 0.001
"""Messages a second where a stage says none: producers wait for their next one, and hear of a new rate."""
_RESTART_S = 0.5
"""How late a process may be started again."""


class Faults:
    """The faults of a run, carried out on its processes. Times are seconds since the first message was accepted."""

    def __init__(
        self, config: MeshConfig, processes: Processes, tell: Callable[[str], None], *, shared: bool = False
    ) -> None:
        """`tell` takes what was done; `shared`: caps are, so that a sender's own is a fault's alone."""
        self.struck: list[Struck] = []
        """What has been done, for the report."""
        self._config = config
        self._processes = processes
        self._tell = tell
        self._shared = shared
        self._strikes = config.strikes()
        groups = [group for group in config.groups for _ in range(group.senders)]
        self._groups = dict(zip(config.sender_names, groups, strict=True))

    def strike(self, since: float | None) -> float:
        """Carry out what is due; seconds until there is more."""
        if since is None or not self._config.faults:
            return math.inf
        for strike in self._strikes.due(since):
            self._carry_out(strike, self._process(strike.whom))
            fault = self._config.faults[strike.number]
            self._tell(f"{since:.1f} s: {strike.what} {strike.whom}" + (" is over" if strike.over else ""))
            if not strike.over:
                until = None if fault.lasts is None else strike.at + fault.lasts
                self.struck.append(Struck(since, strike.what, strike.whom, until))
        return max(0.0, self._strikes.next_time() - since)

    def comes_back(self, name: str, since: float | None) -> bool:
        """Whether a fault has killed that process and starts it again."""
        return since is not None and self._strikes.comes_back(name, since - _RESTART_S)

    def end(self) -> None:
        """The run is over before they are: whoever was stopped for a while goes on, or it could not leave."""
        left = self._strikes.due(math.inf)
        ahead = {(strike.number, strike.whom) for strike in left if not strike.over}
        for strike in left:
            if strike.what == "stop" and strike.over and (strike.number, strike.whom) not in ahead:
                self._carry_out(strike, self._process(strike.whom))

    def _process(self, name: str) -> Child:
        """Its latest start."""
        return next(each for each in reversed(self._processes.all) if each.name == name)

    def _carry_out(self, strike: Strike, process: Child) -> None:
        if strike.what in ("kill", "restart") and not strike.over:
            self._processes.meant.append(process)
            process.kill()
            if strike.what == "restart":
                self._processes.start_again(process)
        elif strike.what == "restart":
            process.order("go")
        elif strike.what == "stop":
            process.signal(signal.SIGCONT if strike.over else signal.SIGSTOP)
        else:
            group = self._groups[strike.whom]
            own = 0.0 if self._shared else (group.cap or 0.0) / group.senders
            usual = {"slow": 1.0, "fail": group.failure_rate, "throttle": own}
            word = "cap" if strike.what == "throttle" else strike.what
            value = usual[strike.what] if strike.value is None else strike.value
            process.order(f"{word} {value:.9g}")


class Arrivals:
    """The arrival rate of all producers together, messages a second."""

    def __init__(self, config: MeshConfig) -> None:
        self.rate = config.rate
        """None: they make all that they can."""
        self._told = config.rate
        self._stages = config.stages
        self._parts = {name: config.part_of(name) for name in config.producer_names}

    def orders(self, since: float | None) -> dict[str, str]:
        """What producers are to be told now, by their names, `since` seconds after the first message."""
        if self._stages and since is not None:
            now = rate_at(self._stages, since)
            if now is not None:  # what is left after the last stage comes as it did at its end
                self.rate = max(now, _LEAST_RATE)
        if self.rate is None or self.rate == self._told:
            return {}
        self._told = self.rate
        return {name: f"rate {self.rate * part:.9g}" for name, part in self._parts.items()}
