"""Types of options that a shell completes with names of files or folders. They check nothing."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


class _Name(click.ParamType[str]):
    name = "text"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type=self._kind)]


FILE = _Name("file")
FOLDER = _Name("dir")
