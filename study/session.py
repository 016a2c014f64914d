"""scaling.json: on which machine, with which versions and by which commands the rows were measured.

A study may be made in several sessions, all on one machine: rows of two machines in one chart would say nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zsms.errors import UsageError
from zsms.report.machine import machine, versions

SCHEMA = "zsms-study/1"


@dataclass(slots=True)
class Session:
    """One go at a study."""

    command: str
    started: str
    """ISO 8601."""
    ended: str = ""
    runs: int = 0
    """That it added."""
    versions: dict[str, str] = field(default_factory=versions)


@dataclass(slots=True)
class Account:
    """What scaling.json holds."""

    machine: dict[str, Any] = field(default_factory=machine)
    load: dict[str, float] = field(default_factory=dict)
    """Mean and sd of a send, seconds, and messages a sender."""
    sessions: list[Session] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Raises UsageError when the file can't be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"can't write {path}: {error.strerror}") from None

    @classmethod
    def read(cls, path: Path) -> Account | None:
        """From the file, or None when there is none. Raises UsageError."""
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            if body.pop("schema") != SCHEMA:
                raise ValueError("another schema")
            for name in ("cpu", "cores", "memory_bytes", "system"):
                body["machine"][name]  # the charts name them
            sessions = [Session(**each) for each in body.pop("sessions")]
            return cls(**body, sessions=sessions)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"can't read {path}: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(f"{path} is no account of a study ({error}): move it away, or give --fresh") from None
