"""Files that a command makes of its result."""

from __future__ import annotations

import click

from zsms import saving
from zsms.errors import UsageError


def write(path: str, text: str, what: str) -> None:
    """Write the `what` of that text to `path`, whole or not at all; - is standard output. Raises UsageError."""
    if path == "-":
        click.echo(text, nl=False)
        return
    try:
        saving.save(path, text.encode())
    except OSError as error:
        raise UsageError(f"can't write the {what} to {path}: {error.strerror}") from None
