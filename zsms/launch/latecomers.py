"""Workers that come while a run goes on: each gets a sender like those of the first group that may have more."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from zsms.errors import ZsmsError
from zsms.launch.caps import part_of
from zsms.launch.processes import Processes

if TYPE_CHECKING:
    from zsms.scenario import MeshConfig

NAME = "late-"
"""What their senders are called, and a number from 1 on."""


class Latecomers:
    """Those of one run."""

    def __init__(self, config: MeshConfig, processes: Processes, tell: Callable[[str], None]) -> None:
        """`tell` takes what was done."""
        self._config, self._processes, self._tell = config, processes, tell
        self._like: dict[str, str] = {}
        """By the name of a sender that is to come, whose options it gets."""
        self._numbers = itertools.count(1)

    def poll(self) -> None:
        """Start the senders whose workers are ready for them."""
        for name in self._processes.place.latecomers(self._wanted):
            try:
                self._processes.start_like(self._like[name], name)
            except ZsmsError as error:
                self._tell(f"{name} could not be started: {error}")
            else:
                self._tell(f"{name} joins, like {self._like[name]}, on a worker that came late")

    def _wanted(self, has: frozenset[str]) -> str | None:
        config = self._config
        for model in config.sender_names:
            group = config.group_of(model)
            # A cap is shared out, and a gateway takes as many binds as were agreed.
            if group.gateway is None and part_of(config, group)[0] is None and group.place in (None, *has):
                name = f"{NAME}{next(self._numbers)}"
                self._like[name] = model
                return name
        return None
