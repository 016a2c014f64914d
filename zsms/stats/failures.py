"""Why sends failed: a count by kind and one example of each, in a bounded number of kinds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from zsms.message import MAX_REASON as MAX_REASON
from zsms.message import MAX_REASONS

MOST_KINDS = MAX_REASONS - 1
"""Kinds that are told apart; the rest are one more, `OTHER`."""
MAX_EXAMPLE = 240
"""Longest example, in characters."""
MAX_SENDS = 2**62
"""Counts are cut here."""
OTHER = "other"
SIMULATED = "simulated"
"""The reason of a send that was drawn to fail."""


class Failure(NamedTuple):
    """Sends that failed for one reason."""

    reason: str
    sends: int
    example: str | None
    """What one of them said, and where; None when there is nothing to say."""


def printable(text: str, most: int) -> str:
    """The text in one line of at most `most` characters, what can't be shown as question marks."""
    # However long it is: no more is looked at than may be shown, and some space before it.
    line = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text[: most + 1_000]).strip()
    return line if len(line) <= most else f"{line[: most - 3]}..."


class Failures:
    """Counts by reason. One thread counts, others may read `rows`."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[Any]] = {}
        """[sends, example] by reason."""

    def add(self, reason: str, sends: int = 1, example: str | None = None) -> bool:
        """Count `sends` that failed; True when they are the first of their kind, whose `example` is then kept."""
        known = self._kinds.get(reason)
        if known is None and len(self._kinds) >= MOST_KINDS:
            reason = OTHER
            known = self._kinds.get(reason)
        if known is None:
            self._kinds[reason] = [sends, example]
            return True
        known[0] = min(known[0] + sends, MAX_SENDS)
        return False

    def knows(self, reason: str) -> bool:
        """Whether `add` needs no example for this reason."""
        return reason in self._kinds or (len(self._kinds) >= MOST_KINDS and OTHER in self._kinds)

    def place(self, reason: str) -> int:
        """Where the kind that this reason counts under stands in `names`; it has been added before."""
        return list(self._kinds).index(reason if reason in self._kinds else OTHER)

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds, in the order in which they came."""
        return tuple(self._kinds)

    def rows(self) -> list[Failure]:
        """What was counted, the most frequent first."""
        rows = [Failure(reason, sends, example) for reason, (sends, example) in list(self._kinds.items())]
        return sorted(rows, key=lambda row: (-row.sends, row.reason))

    @property
    def sends(self) -> int:
        """All of them."""
        return sum(row.sends for row in self.rows())

    def merge(self, rows: Iterable[Failure]) -> None:
        """Add what another has counted."""
        for row in rows:
            self.add(*row)
