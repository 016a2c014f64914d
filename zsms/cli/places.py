"""Types of options that are names of files or folders: a shell completes them, and what one option writes is no other
option's file. Whether it can be read or written, its command finds out."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem


class _Use(NamedTuple):
    option: str
    path: str
    writes: bool
    folder: bool


class Name(click.ParamType[str]):
    """Of a file or folder."""

    name = "text"

    def __init__(self, kind: str, *, writes: tuple[str, ...] = (), reads: bool = False) -> None:
        """`kind` is file or dir. `writes` are the endings of the names of what is written."""
        self._kind, self._writes, self._reads = kind, writes, reads

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """As of click."""
        return [CompletionItem(incomplete, type=self._kind)]

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As of click."""
        text = str(value)
        if ctx is None or ctx.resilient_parsing or param is None or not (self._writes or self._reads):
            return text
        name = max(param.opts, key=len) if isinstance(param, click.Option) else param.human_readable_name
        others: list[_Use] = ctx.meta.setdefault(__name__, [])
        for use in [
            _Use(name, text + ending, bool(self._writes), self._kind == "dir") for ending in self._writes or ("",)
        ]:
            for other in others:
                both_folders = self._kind == "dir" and other.folder
                apart = use.option != other.option and (use.writes or other.writes) and not both_folders
                if apart and _are_one(use.path, other.path):
                    what = "writes to" if other.writes else "reads"
                    self.fail(f"{use.path} is the file that {other.option} {what}: give another one", param, ctx)
            others.append(use)
        return text


def _are_one(path: str, other: str) -> bool:
    """Whether two names are of one file that is, or will be, a regular one."""
    try:
        found = os.stat(path)
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.stat(other))
    except (OSError, ValueError):
        return "-" not in (path, other) and os.path.realpath(path) == os.path.realpath(other)


FILE = Name("file")
FOLDER = Name("dir")
_OF_JOURNAL = ("run.json", "lock", "journal.mark", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm")
JOURNAL = Name("dir", writes=tuple(f"/{name}" for name in _OF_JOURNAL))
READ = Name("file", reads=True)
WRITTEN = Name("file", writes=("",))
REPORT_CSV = Name("file", writes=("-summary.csv", "-history.csv", "-senders.csv"))
