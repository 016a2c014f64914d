"""Commands of zsms as processes, here or on a worker, for what reads their reports."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zsms.errors import ZsmsError
from zsms.launch import children, private_folder

_COMMAND = (*children.COMMAND[:-1], "zsms.launch.held")
_LOOK_S = 0.2
_LEAVE_S = 3.0


class Execute:
    """Runs commands, one after the other: what they report."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        """`files` are those that the commands read and that need not be where they run: their content by name."""
        self._files = dict(files or {})
        self._over = False

    def __call__(
        self, commands: Sequence[Sequence[str]], wanted: Callable[[], bool] = lambda: True
    ) -> list[dict[str, Any]]:
        """The reports of these. From any thread. Raises ZsmsError when one fails, or when they are not `wanted` any
        more, which is asked all the time.
        """
        if not self._files:
            return [self._report(command, {}, wanted) for command in commands]
        with private_folder.held(tempfile.gettempdir()) as folder:
            places = {}
            for at, (name, content) in enumerate(self._files.items()):
                place = folder / str(at) / Path(name).name
                place.parent.mkdir()
                place.write_bytes(content)
                places[name] = str(place)
            return [self._report(command, places, wanted) for command in commands]

    def _report(self, command: Sequence[str], places: Mapping[str, str], wanted: Callable[[], bool]) -> dict[str, Any]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ZSMS_")}
        with subprocess.Popen(
            [*_COMMAND, str(os.getpid()), *(places.get(part, part) for part in command)],
            env=children.with_this_package(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as popen:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    out, err = popen.communicate(timeout=_LOOK_S)
                    break
                if self._over or not wanted():
                    _end(popen)
                    raise ZsmsError("it was given up")
        if popen.returncode:
            why = reason_of(out, err)
            for name, place in places.items():
                why = why.replace(place, name)
            raise ZsmsError(f"zsms {shlex.join(command)} exited with {popen.returncode}: {why}")
        found: dict[str, Any] = json.loads(out)
        return found

    def stop(self) -> None:
        """Have those end that run, and any that would follow."""
        self._over = True


def reason_of(out: str, err: str) -> str:
    """The problems of a report, if there is one with problems, or else what was said last."""
    with suppress(ValueError, KeyError, TypeError):
        report = json.loads(out)
        missed = [each for each in report["thresholds"] if not each["ok"]]
        if why := [*report["problems"], *(f"{each['threshold']}: {each['value']}" for each in missed)]:
            return "; ".join(why)
    return (err.strip().splitlines() or [""])[-1]


def _end(popen: subprocess.Popen[str]) -> None:
    """Ask it to end, ask again, as one does with a run, and end it."""
    for ask in (popen.terminate, popen.terminate, popen.kill):
        ask()
        with suppress(subprocess.TimeoutExpired):
            popen.communicate(timeout=_LEAVE_S)
            return
