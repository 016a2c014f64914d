"""Settings from a TOML file: a table a command, a key an option.

    [run]
    messages = 1_000_000
    seed = 7

    [[run.groups]]              # senders that differ: a table a group, the fields of `zsms.mesh.SenderGroup`
    name = "fast"
    senders = 2
    mean = 0.2

The order is command line, environment, file, default. A key that no option has is an error that names it and
the nearest one that there is.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from typing import Any

import click

from zsms.cli import COMMANDS
from zsms.errors import UsageError

GROUPS = "groups"
"""Of `run` alone: not an option, a list of tables."""


def load(path: str) -> dict[str, Any]:
    """The file's tables. Raises UsageError for a file that can't be read or parsed."""
    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"can't read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    for name, table in tables.items():
        if name not in COMMANDS:
            raise UsageError(f"{path}: unknown table [{name}]{nearest(name, COMMANDS)}")
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {name} is a value; settings belong in a table [{name}]")
    return tables


def nearest(name: str, known: Any) -> str:
    """A hint at the nearest known name, or at all of them."""
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def check_keys(where: str, table: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """The table with underscores in its keys. Raises UsageError for a key that is not `known`."""
    settings = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UsageError(f"{where}: unknown key {key!r}{nearest(name, sorted(known))}")
        settings[name] = value
    return settings


def _use(ctx: click.Context, option: click.Parameter, path: str | None) -> str | None:
    """Make the command's table the defaults of its options."""
    if path is None:
        return None
    name = ctx.info_name or ""
    table = load(path).get(name, {})
    known = {p.name for p in ctx.command.params if p.name and p.name not in ("config", "exit_with_parent")}
    if name == "run":
        known.add(GROUPS)
    settings = check_keys(f"{path}: [{name}]", table, known)
    ctx.meta[GROUPS] = settings.pop(GROUPS, None)
    for key, value in settings.items():
        if isinstance(value, dict):
            raise UsageError(f"{path}: [{name}] {key} is a table where a value belongs")
    ctx.default_map = {**(ctx.default_map or {}), **settings}
    return path


config_option = click.option(
    "--config",
    metavar="FILE",
    is_eager=True,
    callback=_use,
    help="TOML file of settings; a table for each command, a key for each option.",
)
