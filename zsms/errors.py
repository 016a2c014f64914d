"""The errors that zsms raises on purpose, by consequence.

A command exits with the error's `exit_code` and prints its text without a traceback; a program that
embeds zsms catches :class:`ZsmsError`.
"""

from __future__ import annotations

NO_THREADS = "no thread or process more can be started: raise the limit (`ulimit -u`, or a container's), or memory's"


class ZsmsError(Exception):
    """Something failed that the user must know of; a command exits with 1."""

    exit_code = 1


class UsageError(ZsmsError):
    """The user asked for something that can't be; a command exits with 2."""

    exit_code = 2


class Stopped(ZsmsError):
    """Somebody asked it to end before it had begun; a command exits with 130."""

    exit_code = 130


class JournalError(ZsmsError):
    """A journal can't be used: damaged, held by another broker, or its disk has failed."""


class WireError(ZsmsError):
    """One frame was refused. It never brings a role down: the frame is counted, logged and dropped."""
