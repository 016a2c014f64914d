"""Settings from a TOML file: a table a command, a key an option.

    [run]
    messages = 1_000_000
    seed = 7

    [[run.groups]]              # senders that differ: a table a group, the fields of `zsms.mesh.SenderGroup`
    name = "fast"
    senders = 2
    mean = 0.2

The order is command line, environment, file, default. A key that no option has is an error that names it and
the nearest one that there is; so is a value of another type than the option's.
"""

from __future__ import annotations

import json
import tomllib
from difflib import get_close_matches
from typing import Any

import click

from zsms.cli import COMMANDS, load_command
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
        if name not in COMMANDS or not has_settings(name):
            known = [each for each in COMMANDS if has_settings(each)]
            raise UsageError(f"{path}: unknown table [{name}]{nearest(name, known)}")
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {name} is a value; settings belong in a table [{name}]")
    return tables


def has_settings(name: str) -> bool:
    """Whether the command `name` takes `--config`."""
    return any(param.name == "config" for param in load_command(name).params)


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


_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text in quotes"),
}


def check_type(where: str, key: str, value: Any, wanted: type) -> None:
    """Raises UsageError unless the file's value is a bool, int, float or str, as `wanted`."""
    types, words = _TYPES[wanted]
    # A bool is an int to Python, but `messages = true` is a mistake.
    if not isinstance(value, types) or (isinstance(value, bool) and wanted is not bool):
        raise UsageError(f"{where}: {key} = {json.dumps(value, default=str)}: give {words}")


def _type_of(option: click.Option) -> type:
    """What Python type the option's value has."""
    if option.is_flag:
        return bool
    if isinstance(option.type, type(click.INT)):
        return int
    return float if isinstance(option.type, type(click.FLOAT)) else str


def _use(ctx: click.Context, parameter: click.Parameter, path: str | None) -> str | None:
    """Make the command's table the defaults of its options."""
    if path is None:
        return None
    # The other commands' tables are checked too: a slip in one is better told now than when it is used.
    tables = {name: _settings(path, name, table) for name, table in load(path).items()}
    settings = tables.get(ctx.info_name or "", {})
    ctx.meta[GROUPS] = settings.pop(GROUPS, None)
    ctx.default_map = {**(ctx.default_map or {}), **settings}
    return path


def _settings(path: str, name: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table of the command `name`, checked."""
    where = f"{path}: [{name}]"
    options = {p.name: p for p in load_command(name).params if isinstance(p, click.Option) and p.name}
    known = options.keys() - {"config", "exit_with_parent"}
    if name == "run":
        known.add(GROUPS)
    settings = check_keys(where, table, known)
    for key, value in settings.items():
        if key == GROUPS:
            continue
        option = options[key]
        if option.multiple and not isinstance(value, list):
            value = settings[key] = [value]  # one of something needs no brackets
        for each in value if option.multiple else [value]:
            check_type(where, key, each, _type_of(option))
    return settings


config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(),
    is_eager=True,
    callback=_use,
    help="TOML file of settings; a table for each command, a key for each option.",
)
