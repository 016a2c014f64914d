"""How a call of a user's function ended: what it returned or raised, as an outcome, a reason and an example."""

from __future__ import annotations

import logging
import os
import sysconfig
import traceback
from collections.abc import Callable
from inspect import isawaitable, iscoroutine
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsms.message import Outcome
from zsms.stats.failures import MAX_EXAMPLE, MAX_REASON, Failures, printable
from zsms.transports.checking import name_of

PLAIN = ("returned False", *(f"returned {outcome.name}" for outcome in Outcome))
"""The reasons of sends of which the function itself says how they ended."""
SENT = -1
"""How a call that has sent ended; any other is an outcome's code, and 256 times the place of its reason."""


class FailedSend(NamedTuple):
    """What a function of ours says of a send that did not work: its outcome, why, and an example of that."""

    outcome: Outcome
    reason: str
    example: str | None


class Judge:
    """Of one function: it counts failures by reason, and logs the first of each kind."""

    def __init__(self, send: Any, log: logging.Logger) -> None:
        self.name = name_of(send)
        self.failures = Failures()
        self._log = log

    def of_value(self, value: Any) -> int:
        """How a call ended of which came back what is not plainly True."""
        if isinstance(value, FailedSend):
            code, first = self._count(value.reason, lambda: value.example)
            if first:
                self._log.warning("%s%s", value.reason, f": {value.example}" if value.example else "")
            return code + value.outcome.code
        if isinstance(value, bool | np.bool_ | Outcome):
            if value in (True, Outcome.SENT):
                return SENT
            outcome = value if isinstance(value, Outcome) else Outcome.FAILED
            name = value.name if isinstance(value, Outcome) else "False"
            return self._count(f"returned {name}", lambda: None)[0] + outcome.code
        code, first = self._count(
            f"returned {None if value is None else type(value).__name__}", lambda: _text(value, repr)
        )
        forgotten = isawaitable(value)
        if iscoroutine(value):
            value.close()
        if first:
            self._log.warning(
                "%s returned %s, which is neither a bool nor an Outcome: such a message counts as failed",
                self.name,
                printable(_text(value, repr), 80) + (" (await it)" if forgotten else ""),
            )
        return code

    def of_error(self, error: BaseException) -> int:
        """How a call ended that has raised."""
        code, first = self._count(
            f"raised {type(error).__qualname__}", lambda: f"{_text(error)} ({place_of(error)})".strip()
        )
        if first:
            self._log.warning(
                "%s raised %s at %s: such a message counts as failed%s",
                self.name,
                printable(f"{type(error).__qualname__}: {_text(error)}".removesuffix(": "), 200),
                place_of(error),
                "" if issubclass(type(error), Exception) else ", and nothing else ends",
            )
            self._log.debug("%s, the first of its kind", self.name, exc_info=error)
        return code

    def _count(self, reason: str, example: Callable[[], str | None]) -> tuple[int, bool]:
        """256 times the place of this reason, and whether it is the first of its kind."""
        reason = printable(reason, MAX_REASON)
        if self.failures.knows(reason):
            first = self.failures.add(reason)
        else:
            said = example()
            first = self.failures.add(reason, 1, None if said is None else printable(said, MAX_EXAMPLE))
        return 256 * self.failures.place(reason), first

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons by their place; empty where the outcome says it all."""
        return tuple("" if name in PLAIN else name for name in self.failures.names)


def _text(value: Any, make: Callable[[Any], str] = str) -> str:
    """What an object of the user's says of itself, which may fail as all that is theirs."""
    try:
        return make(value)
    except BaseException as error:
        return f"({type(error).__qualname__} where its text should be)"


def place_of(error: BaseException) -> str:
    """Where it was raised: the innermost line of code that is not this package's or a library's."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return place([(c.co_filename, line, c.co_name) for c, line in frames])


def place(frames: list[tuple[str, int, str]]) -> str:
    """The innermost of these (file, line, function) that is the user's own, in words."""
    own = [frame for frame in frames if not frame[0].startswith(_NOT_THEIRS)]
    if not own:
        return "no line of its own"
    file, line, function = own[-1]
    return f"{os.path.basename(file)}:{line} in {function}"


_FOLDERS = {str(Path(__file__).parent.parent)} | {
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
}
_NOT_THEIRS = (*(f"{folder}{os.sep}" for folder in _FOLDERS), "<frozen")
"""How file names begin of what is not a user's own code."""
