"""So many of a kind a second and no more, and how many were kept back."""

from __future__ import annotations

MOST_KINDS = 1_000
"""Kinds that are remembered; past that all are forgotten, which lets one of each through too early."""


class Throttle:
    """Lets `most` of a kind through in each `interval` seconds."""

    def __init__(self, interval: float = 1.0, most: int = 1) -> None:
        self._interval = interval
        self._most = most
        self._kinds: dict[str, tuple[float, int, int]] = {}
        """By kind: when its interval began, how many came through in it, how many were kept back since one did."""

    def allows(self, kind: str, now: float) -> int | None:
        """None to keep quiet; otherwise how many of this kind were kept back since the last."""
        began, through, kept = self._kinds.get(kind, (-self._interval, 0, 0))
        if now - began >= self._interval:
            began, through = now, 0
        if through >= self._most:
            self._kinds[kind] = (began, through, kept + 1)
            return None
        if len(self._kinds) > MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (began, through + 1, 0)
        return kept
