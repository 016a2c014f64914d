"""A cap that groups share, with the days and hours at which it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from zsms import kinds
from zsms.core.sender.cap import CLOSED, OPEN, Cap
from zsms.errors import UsageError
from zsms.fields import entry


@dataclass(frozen=True, slots=True)
class SharedCap:
    """What some groups may begin together; times in seconds from the first message that was accepted."""

    name: str = entry("", "Of the account, or of the group.", kinds.TEXT)
    groups: tuple[str, ...] = entry((), "Names of the groups.", kinds.TEXT)
    rate: float | None = entry(None, "Segments a second, all together.", kinds.ABOVE_0, unless="no such cap")
    burst: float = entry(0.0, "Segments that may begin at once after a rest.", kinds.FROM_0)
    budget: float | None = entry(None, "Segments until it is next renewed.", kinds.FROM_0, unless="no such cap")
    renewed: tuple[float, ...] = entry((), "When there is as much of it again.", kinds.SECONDS)
    hours: tuple[tuple[float, bool], ...] = entry((), "From when on it is open, or not.", kinds.HOURS)
    """Before the first it is what that one is not."""

    def check(self, groups: Sequence[str]) -> None:
        """Raises UsageError for what can't be."""
        for name in self.groups:
            if name not in groups:
                raise UsageError(f"the cap {self.name!r} is of a group {name!r}, which is not there")
        if self.rate is not None:
            Cap(self.rate, self.burst)

    @property
    def gate(self) -> int:
        """What the hours say at the beginning."""
        before = [is_open for at, is_open in self.hours if at <= 0]
        if before:
            return OPEN if before[-1] else CLOSED
        return OPEN if not self.hours or not self.hours[0][1] else CLOSED

    @property
    def ends(self) -> float:
        """When it closes for good; infinite when it does not."""
        return self.hours[-1][0] if self.hours and not self.hours[-1][1] else inf
