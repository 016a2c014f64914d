"""What has come of the points of a sweep so far: a file with a JSON object a line, so that a sweep can be gone on with.

    {"sweep": 1, "vary": [...], ..., "version": "0.1.0"}       whose sweep it is, and what zsms began it
    {"point": [[NAME, VALUE], ...], "figures": {NAME: [low, median, high], ...}}

A line that was cut when its sweep was killed is left out; a file that is anything else is not touched.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Self

from zsms import __version__
from zsms.errors import UsageError
from zsms.report.spread import Point, Spread

_FORMAT = 1


class Record:
    """Those of one sweep, for it alone until `close`; in memory only, without a path."""

    def __init__(self, path: str | None, settings: Mapping[str, Any]) -> None:
        """Raises UsageError when the file is of another sweep, is in use, or can't be had."""
        self.done: dict[Point, dict[str, Spread]] = {}
        self.trouble = ""
        """Why nothing more is kept; empty when all is well."""
        self.begun_by = __version__
        """The version of zsms that the points done before are of; "" where the record does not say it."""
        self._path = None if path is None else Path(path)
        self._lock: BinaryIO | None = None
        if self._path is None:
            return
        head = {"sweep": _FORMAT, **settings, "version": __version__}
        if self._path.exists() and not self._path.is_file():
            raise UsageError(f"--record {path}: that is no file")
        try:
            self._lock = self._path.open("a+b")
            self._open(self._lock, head)
        except OSError as error:
            self.close()
            raise UsageError(f"--record {path}: {error.strerror}") from None
        except BaseException:
            self.close()
            raise

    def _open(self, file: BinaryIO, head: Mapping[str, Any]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"--record {self._path} is in use by another sweep: give another file") from None
        except OSError:
            pass  # a share without locks
        file.seek(0)
        data, first = file.read(), json.dumps(head).encode() + b"\n"
        # Nothing, or what a sweep wrote that was killed at once; or lines.
        data = b"" if first.startswith(data) else data[: self._take(data, head)]
        file.truncate(len(data))
        if not data.endswith(b"\n"):
            file.write(b"\n" if data else first)
            file.flush()

    def _take(self, data: bytes, head: Mapping[str, Any]) -> int:
        """How many bytes of it are whole lines, whose points are done."""
        first, *lines = data.split(b"\n")
        try:
            found = json.loads(first)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "sweep" not in found:
            raise UsageError(f"--record {self._path}: that is no record of a sweep")
        self.begun_by = str(found.pop("version", ""))
        head = {key: value for key, value in head.items() if key != "version"}
        if found != head:
            other = sorted(key for key in {*head, *found} if found.get(key) != head.get(key))
            raise UsageError(
                f"--record {self._path} is of another sweep ({', '.join(other)} differ): give another file"
            )
        for number, line in enumerate(lines, 2):
            try:
                point, figures = _read(line)
            except (ValueError, TypeError, KeyError, AttributeError):
                if number == len(lines) + 1:  # behind the last line break
                    return len(data) - len(line)
                raise UsageError(
                    f"--record {self._path}: line {number} is damaged: mend it or take it out, or give another file"
                ) from None
            self.done[point] = figures
        return len(data)

    def add(self, point: Point, figures: dict[str, Spread]) -> None:
        """Keep what came of a point; in memory in any case."""
        self.done[point] = figures
        if self._path is None or self.trouble:
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)  # by its name: it may be gone
            with open(descriptor, "a") as file:
                file.write(json.dumps({"point": point, "figures": figures}) + "\n")
        except OSError as error:
            self.trouble = f"--record {self._path}: {error.strerror}; this sweep can't be gone on with from here"

    @property
    def keeps(self) -> bool:
        """Whether another sweep can go on from here."""
        return self._path is not None and not self.trouble

    def close(self) -> None:
        """Let another sweep have the file."""
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _read(line: bytes) -> tuple[Point, dict[str, Spread]]:
    """The point and the figures of a line. Raises whatever comes when it is none."""
    found = json.loads(line)
    figures = {}
    for name, values in found["figures"].items():
        numbers = [None if value is None else float(value) for value in values]
        if not all(number is None or isfinite(number) for number in numbers):
            raise ValueError
        figures[name] = Spread(*numbers)
    return tuple((str(name), str(value)) for name, value in found["point"]), figures
