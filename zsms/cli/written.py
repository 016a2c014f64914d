"""Files that a command makes of its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from zsms import saving
from zsms.errors import UsageError

STDOUT = "-"


def check(paths: Mapping[str, str | None]) -> None:
    """Before the work: the files that options name can be written, as far as that shows, and one at most is standard
    output. Raises UsageError.
    """
    streams = [f"{option} -" for option, path in paths.items() if path == STDOUT]
    if len(streams) > 1:
        raise UsageError(f"{' and '.join(streams)}: only one of them can have standard output")
    for option, path in paths.items():
        try:
            if path not in (None, STDOUT):
                saving.check(path)
        except OSError as error:
            raise UsageError(f"{option}: can't write to {path or repr('')}: {error.strerror}") from None


def write_all(outputs: Mapping[str, tuple[str | None, Callable[[], str]]]) -> bool:
    """After the work: write each text, by what it is called, to its path, whole or not at all; whether all of it
    arrived. One that can't be written is a line on standard error, and keeps no other from being written.
    """
    well = True
    for what, (path, text) in outputs.items():
        if path == STDOUT:
            click.echo(text(), nl=False)
        elif path is not None:
            try:
                saving.save(path, text().encode())
            except BrokenPipeError:
                pass  # who read it, as /dev/stdout, has had what it wanted
            except OSError as error:
                click.echo(f"zsms: can't write the {what} to {path}: {error.strerror}", err=True)
                well = False
    return well
