"""What an extra of the package brings, and how to install it where this Python runs."""

from __future__ import annotations

import shlex
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from zsms.errors import UsageError


def missing(what: str, extra: str) -> UsageError:
    """The error of `what` needs packages that are not there; it names a command that brings them."""
    return UsageError(f"{what}: {command(extra)}")


def need(module: str, what: str, extra: str) -> None:
    """Raises UsageError when what the extra brings for `what` is not there; it is not imported."""
    if find_spec(module) is None:
        raise missing(f"{what} needs {module}", extra)


def command(extra: str) -> str:
    """The command that installs the extra beside this very package: in its environment, and from where it came."""
    try:
        metadata.version("zsms")
        wanted = ["install", f"zsms[{extra}]"]
    except metadata.PackageNotFoundError:  # the checkout, without an installation
        wanted = ["install", "-e", f"{Path(__file__).resolve().parents[1]}[{extra}]"]
    return shlex.join([sys.executable or "python", "-m", "pip", *wanted])
