"""`zsms config show` and `zsms config check`."""

from __future__ import annotations

import json
from typing import Any

import click

from zsms.cli import places, settings
from zsms.cli.commands import COMMANDS, load_command
from zsms.core.broker.durability import hidden
from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.words import many

HIDDEN = frozenset({"help", "version"})


@click.group("config", epilog="\b\nExamples:\n  zsms config show\n  zsms config show run --config gateways.toml")
def command() -> None:
    """Look at the settings: which are in effect, and where each comes from."""


def _complete_command(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    return [name for name in COMMANDS if name.startswith(begun) and settings.has_settings(name)]


@command.command(
    "show",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  zsms config show
  zsms config show run
  zsms config show run --config gateways.toml --senders 4
  ZSMS_BROKER_LEASE=120 zsms config show --json broker""",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, by command and option.")
@click.argument("name", metavar="[COMMAND", required=False, shell_complete=_complete_command)
@click.argument("words", metavar="[OPTION]...]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def show(ctx: click.Context, as_json: bool, name: str | None, words: tuple[str, ...]) -> None:
    """Print every effective setting and where it came from: of COMMAND with these options, or of all commands.

    A setting is taken from the first of: the command line, the environment, the file of --config, the default. One
    without a value is left to the role, which works it out.
    """
    if name is None:
        names = [each for each in COMMANDS if settings.has_settings(each)]
    elif name in COMMANDS and settings.has_settings(name):
        names = [name]
    else:
        known = [each for each in COMMANDS if settings.has_settings(each)]
        raise click.UsageError(f"no command with settings is called {name!r}{nearest(name, known)}", ctx)
    shown = {each: effective(ctx, each, list(words)) for each in names}
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for each in names:
        click.echo("\n".join(table(each, shown[each])))


@command.command("check", epilog="\b\nExamples:\n  zsms config check gateways.toml")
@click.argument("path", metavar="FILE", type=places.READ)
@click.pass_context
def check(ctx: click.Context, path: str) -> None:
    """Say whether a file of settings, or a scenario, is right: without running it.

    Exits with 2, and a line that says what is wrong and where, when it is not.
    """
    from zsms.launch.carried import carried

    target = load_command("plan")
    found = target.make_context("plan", [path], parent=ctx.find_root())
    options = {name: value for name, value in found.params.items() if name != "scenario"}
    scenario = settings.scenario_of(found, path, options)
    run = load_command("run").make_context("run", ["--config", path], parent=ctx.find_root())
    del run
    faults = f", {many(len(scenario.faults), 'fault')}" if scenario.faults else ""
    groups = f"{many(len(scenario.groups), 'group')}, {many(scenario.slots, 'slot')}"
    click.echo(f"{path}: {many(scenario.messages, 'message')}, {groups}{faults}")
    try:
        carried(scenario, path)
    except UsageError as error:
        click.echo(f"for `zsms plan` only: a run can't carry it out: {error}")


def effective(ctx: click.Context, name: str, words: list[str]) -> dict[str, dict[str, Any]]:
    """By option: its `value`, where it comes `from`, and the `variable` of the environment that sets it.

    Raises click.UsageError and UsageError for what the command itself would refuse.
    """
    target = load_command(name)
    found = target.make_context(name, words, parent=ctx.find_root())
    rows: dict[str, dict[str, Any]] = {}
    for option in target.params:
        if not isinstance(option, click.Option) or option.hidden or option.name in HIDDEN or option.name is None:
            continue
        rows[max(option.opts, key=len)] = {
            "value": hidden(value) if isinstance(value := found.params.get(option.name), str) else value,
            "from": source(found, option.name),
            "variable": f"ZSMS_{name}_{option.name}".upper(),
        }
    if (groups := found.meta.get(settings.GROUPS)) is not None:
        rows[settings.GROUPS] = {"value": groups, "from": f"file {found.params['config']}", "variable": None}
    return rows


def source(ctx: click.Context, name: str) -> str:
    """Where the context has the value of this parameter from, in words."""
    where = ctx.get_parameter_source(name)
    if where is click.core.ParameterSource.COMMANDLINE:
        return "command line"
    if where is click.core.ParameterSource.ENVIRONMENT:
        return f"environment ZSMS_{ctx.info_name}_{name}".upper().replace("ENVIRONMENT", "environment")
    if where is click.core.ParameterSource.DEFAULT_MAP:
        return f"file {ctx.params['config']}"
    return "default"


def table(name: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    """The rows for people: what is not a default stands out by its source."""
    cells = [(option, shown(row["value"]), row["from"]) for option, row in rows.items()]
    wide = [max(len(cell[column]) for cell in cells) for column in (0, 1)]
    lines = [f"  {option:<{wide[0]}}  {value:<{min(wide[1], 40)}}  {where}" for option, value, where in cells]
    return [f"zsms {name}", *lines, ""]


def shown(value: Any) -> str:
    """A value as one would type it; - for none."""
    if value is None or value == ():
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, list):
        return f"{many(len(value), 'group')}: " + ", ".join(str(group.get("name", "?")) for group in value)
    return str(value)
