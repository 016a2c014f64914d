"""Log lines of the commands: for people, or a JSON object a line, on stderr.

    human   12:03:41 WARNING broker: sender lost: sender-2, 5000 messages
    json    {"time":"2025-03-01T12:03:41.207Z","level":"WARNING","logger":"zsms.broker","role":"broker",
             "name":"broker","message":"broker: sender lost: sender-2, 5000 messages"}

People are the default wherever stderr leads: it is what one wants in a file or under a service manager too, and who
wants to parse lines knows it and says so. A mesh does: its processes log JSON to it, so that it knows the level of
what they say, and it logs that again in the format that it was asked for.

Only commands set up logging. A role that is embedded leaves it to the program around it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple, TextIO

from zsms.core.throttle import Throttle
from zsms.words import in_line, many, writable

FORMATS = ("human", "json")
BURST = 20
"""Lines that come from one place in the code with different figures in them, in a second, at most."""
KEPT_LINES = 500
"""Lines that are kept while they are diverted."""

_COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}


def takes_colour(stream: TextIO) -> bool:
    """Whether it is a terminal, and nobody asked for no colours (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Human(logging.Formatter):
    """Time, level and message; `named` adds the logger."""

    def __init__(self, *, colour: bool, named: bool) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {'%(name)s: ' if named else ''}%(message)s", datefmt="%H:%M:%S")
        self._colour = colour

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without its traceback."""
        plain = record.levelname
        if record.name.startswith("zsms"):  # a path in it may be any text
            record.message = in_line(record.message)
        code = _COLOURS.get(record.levelno) if self._colour else None
        record.levelname = f"{plain:<7}" if code is None else f"\x1b[{code}m{plain:<7}\x1b[0m"
        try:
            return super().formatMessage(record)
        finally:
            record.levelname = plain


class JsonLines(logging.Formatter):
    """An object a line: time (RFC 3339, UTC), level, logger, role, name, message, and exception if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.role: str | None = None
        self.name: str | None = None

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "role": self.role,
            "name": self.name,
            "message": writable(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = writable(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _kind(record: logging.LogRecord) -> str:
    """Lines of one kind differ in their figures only: they come from one place, with one level. What a mesh hands on
    from its processes comes from many, and begins with who says it and what of: "broker: sender lost: ..."."""
    template = record.msg
    if template == "%s":
        template = re.sub(r"\d+", "#", ": ".join(record.getMessage().split(": ", 2)[:2]))[:100]
    return f"{record.name} {record.levelno} {template}"


class Repeats(logging.Filter):
    """Keeps back what would flood a log, and says how much that was with the next line of its kind.

    The very same line comes once a second at most; lines that differ in their figures only, `BURST` times.
    """

    def __init__(self) -> None:
        super().__init__()
        self._same = Throttle()
        self._alike = Throttle(most=BURST)
        self._kept: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line may come."""
        kind, line = _kind(record), f"{record.name} {record.getMessage()}"
        now = record.created
        if self._same.allows(line, now) is None or self._alike.allows(kind, now) is None:
            self._kept[kind] = self._kept.get(kind, 0) + 1
            return False
        kept = self._kept.pop(kind, 0)
        if kept:
            record.msg, record.args = f"{record.getMessage()} ({kept} more since the last such line)", None
        return True


def set_up(quiet: bool = False, verbose: int = 0, form: str = "human", stream: TextIO | None = None) -> None:
    """Log to `stream` (None: stderr), from now on: warnings if `quiet`, else what a person may want to know.

    `verbose` 1: details of zsms; 2: those of libraries too, and every line names its logger.
    """
    handler = logging.StreamHandler(stream)
    if form == "json":
        handler.setFormatter(JsonLines())
        sys.excepthook = _log_crash
    else:
        handler.setFormatter(Human(colour=takes_colour(handler.stream), named=verbose > 1))
    handler.addFilter(Repeats())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.WARNING if quiet else logging.INFO
    root.setLevel(logging.DEBUG if verbose > 1 else level)
    logging.getLogger("zsms").setLevel(logging.DEBUG if verbose else level)


def identify(role: str, name: str) -> None:
    """Who logs, for the lines to come."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonLines):
            handler.formatter.role, handler.formatter.name = role, name


def as_json() -> bool:
    """Whether the lines are JSON."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


def _log_crash(kind: Any, error: Any, traceback: Any) -> None:
    logging.getLogger("zsms").critical("%s: %s", kind.__name__, error, exc_info=(kind, error, traceback))


class Line(NamedTuple):
    """What a process said on its stderr."""

    level: int
    text: str
    """The message, and the traceback if there was one."""


def read(line: str) -> Line:
    """What a line of a process means that logs JSON; whatever else it says there counts as a warning."""
    try:
        body = json.loads(line)
        level = logging.getLevelNamesMapping()[body["level"]]
        return Line(level, "\n".join(filter(None, (str(body["message"]), body.get("exception")))))
    except (ValueError, TypeError, KeyError):
        return Line(logging.WARNING, line)


class _Keeper(logging.Handler):
    def __init__(self, records: deque[logging.LogRecord], notify: Callable[[], None]) -> None:
        super().__init__()
        self._records = records
        self._notify = notify
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.lost += len(self._records) == KEPT_LINES
        record.__dict__["heard_at"] = monotonic()  # its own time is the wall clock's, which may be set meanwhile
        self._records.append(record)
        self._notify()


@contextmanager
def diverted(notify: Callable[[], None]) -> Iterator[deque[logging.LogRecord]]:
    """Keep the lines, calling `notify` for each, and write them when the block ends: something else has the screen."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    records: deque[logging.LogRecord] = deque(maxlen=KEPT_LINES)
    keeper = _Keeper(records, notify)
    keeper.addFilter(Repeats())
    root.handlers[:] = [keeper]
    try:
        yield records
    finally:
        root.handlers[:] = handlers
        if keeper.lost:
            logging.getLogger("zsms.logs").warning(
                "%s gone", many(keeper.lost, "line that came before these is", "lines that came before these are")
            )
        for record in records:
            for handler in handlers:
                handler.emit(record)  # the keeper's filter has seen it
