"""Settings from a TOML file: a table a command, a key an option.

    [run]
    messages = 1_000_000
    seed = 7

    [[run.groups]]              # senders that differ: a table a group, the fields of `zsms.launch.mesh.SenderGroup`
    name = "fast"
    senders = 2
    mean = 0.2

The order is command line, environment, file, default. A key that no option has is an error that names it and
the nearest one that there is; so is a value of another type than the option's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from zsms.cli import places
from zsms.cli.commands import COMMANDS, load_command
from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.kinds import whole

if TYPE_CHECKING:
    from zsms.scenario import Scenario

GROUPS = "groups"
"""Of `run` alone: not an option, a list of tables."""
SCENARIO = "scenario"
"""In a context's `meta`: the tables of the file that make a scenario, see :mod:`zsms.scenario`."""


def load(path: str) -> dict[str, Any]:
    """The file's tables. Raises UsageError for a file that can't be read or parsed."""
    from zsms.scenario import TABLES, tables_of

    tables = tables_of(path)
    for name, table in tables.items():
        if name in TABLES:
            continue
        if name not in COMMANDS or not has_settings(name):
            known = [each for each in COMMANDS if has_settings(each)]
            if not isinstance(table, dict | list):
                raise UsageError(
                    f"{path}: {name} is set outside of any table: write it under [run], or another of them"
                )
            like = {"plan": "run", "sweep": "run"}  # which take what a run would be
            raise UsageError(f"{path}: unknown table [{name}]{nearest(name, [*known, *TABLES], like=like)}")
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {name} is a value; settings belong in a table [{name}]")
    return tables


def has_settings(name: str) -> bool:
    """Whether the command `name` takes `--config`."""
    return any(param.name == "config" for param in load_command(name).params)


def check_keys(where: str, table: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """The table with underscores in its keys. Raises UsageError for a key that is not `known`."""
    settings = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UsageError(f"{where}: unknown key {key!r}{nearest(name, sorted(known))}")
        if name in settings:
            raise UsageError(f"{where}: {key} is given twice, with - and with _")
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
    if wanted is int:
        value = whole(value)
    # A bool is an int to Python, but `messages = true` is a mistake.
    if not isinstance(value, types) or (isinstance(value, bool) and wanted is not bool):
        raise UsageError(
            f"{where}: {key} = {json.dumps(value, default=str)}: {_instead(value, wanted) or f'give {words}'}"
        )


def _instead(value: Any, wanted: type) -> str:
    """What to write for a number that is in quotes, or has a point that a whole one hasn't."""
    if wanted not in (int, float) or isinstance(value, bool) or not isinstance(value, str | float):
        return ""
    from zsms.cli.slips import advice

    text = f"{value:.15g}" if isinstance(value, float) else value
    return advice(text, whole=wanted is int, seconds=text.strip().endswith("s"))


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
    from zsms.scenario import TABLES

    # The other commands' tables are checked too: a slip in one is better told now than when it is used.
    found = load(path)
    tables = {name: table_of(path, name, table) for name, table in found.items() if name not in TABLES}
    # A plan is of what `run` would do.
    settings = tables.get("run" if ctx.info_name == "plan" else ctx.info_name or "", {})
    ctx.meta[GROUPS] = settings.pop(GROUPS, None)
    ctx.meta[SCENARIO] = {name: table for name, table in found.items() if name in TABLES}
    ctx.default_map = {**(ctx.default_map or {}), **settings}
    return path


def scenario_argument(function: Any) -> Any:
    """The argument SCENARIO.toml, whose tables become the command's defaults as those of `--config` do."""
    return click.argument(
        "scenario", metavar="[SCENARIO.toml]", required=False, is_eager=True, type=places.READ, callback=_use
    )(function)


changes_option = click.option(
    "--set",
    "changes",
    metavar="NAME.FIELD=VALUE",
    multiple=True,
    help="Change a field of one of the file's groups, accounts or audiences, such as sender.cap=500. Again for more.",
)


def change(ctx: click.Context, path: str | None, changes: tuple[str, ...]) -> None:
    """Make these changes to the tables of the command's file. Raises UsageError, for an option too that changes nothing
    beside the tables as they are then.
    """
    if changes:
        _make(ctx, path, changes)
    scenario = ctx.meta.get(SCENARIO, {})
    settled = settled_by({**scenario, "group": scenario.get("group") or ctx.meta.get(GROUPS) or []})
    for option in ctx.command.params:
        name = (option.name or "").replace("_", "-")
        if name in settled and ctx.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} beside {path}: {settled[name]}")


def _make(ctx: click.Context, path: str | None, changes: tuple[str, ...]) -> None:
    if path is None:
        raise UsageError(f"--set {changes[0]}: it changes what a file says: give one, or the option itself")
    from zsms.scenario import changed

    old = ctx.meta.get(GROUPS)
    found = changed(ctx.meta[SCENARIO] if old is None else {**ctx.meta[SCENARIO], "group": old}, changes, path)
    if old is not None:
        ctx.meta[GROUPS] = found.pop("group")
    ctx.meta[SCENARIO] = found


def groups_of(path: str) -> dict[str, Any]:
    """A file's tables, its groups as `group`, however it writes them. Raises UsageError."""
    tables = load(path)
    groups = tables.get("group") or tables.get("run", {}).get(GROUPS) or []
    return {**tables, "group": groups}


def set_by_all_groups(tables: dict[str, Any]) -> dict[str, str]:
    """The options that every group of a file sets for itself, so that giving them says nothing; each with its key."""
    from zsms.scenario import SenderGroup
    from zsms.scenario.reading import options_set

    groups = tables.get("group")
    listed = groups if isinstance(groups, list) else []
    each = [options_set(SenderGroup, group) for group in listed if isinstance(group, dict)]
    return {name: key for name, key in each[0].items() if all(name in other for other in each)} if each else {}


_OF_RETRIES = {"max-attempts": "attempts", "retry-base": "base", "retry-cap": "cap"}


def settled_by(tables: dict[str, Any]) -> dict[str, str]:
    """The options of `run` and `plan` that say nothing beside a file's tables, each with why."""
    retries = tables.get("retries")
    said = retries if isinstance(retries, dict) else {}
    found = {name: "[retries] says that: leave one of them out" for name, key in _OF_RETRIES.items() if key in said}
    from zsms.scenario import names_of

    for name, key in set_by_all_groups(tables).items():
        one = f"--set {names_of(tables, 'group')[0]}.{key}=..."
        found[name] = f"every group sets its own, so it would change nothing: say whose is meant, such as {one}"
    return found


def table_of(path: str, name: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table of the command `name`, checked."""
    where = f"{path}: [{name}]"
    options = {p.name: p for p in load_command(name).params if isinstance(p, click.Option) and p.name}
    known = options.keys() - {"config", "exit_with_parent", "held"}
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
    type=places.READ,
    is_eager=True,
    callback=_use,
    help="TOML file of settings; a table for each command, a key for each option.",
)


def scenario_of(ctx: click.Context, path: str | None, options: dict[str, Any]) -> Scenario:
    """The scenario of a command's file and its options, in that order of rank. Raises UsageError."""
    from zsms.scenario import read

    run = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    sources = click.core.ParameterSource
    run["defaults"] = [name for name in options if ctx.get_parameter_source(name) is sources.DEFAULT]
    if ctx.meta.get(GROUPS) is not None:
        run[GROUPS] = ctx.meta[GROUPS]
    return read({**ctx.meta.get(SCENARIO, {}), "run": run}, path or "the options")
