"""`zsms carriers`."""

from __future__ import annotations

import json

import click
from click.shell_completion import CompletionItem

from zsms.carriers import profiles
from zsms.cli import places
from zsms.scenario import check_profile
from zsms.words import many

_SAVED = "# Looked up on {date}: check what you rely on. Save this, edit it, and give its path as a group's profile.\n"


@click.group("carriers", epilog="\b\nExamples:\n  zsms carriers list\n  zsms carriers show us-short-code > mine.toml")
def command() -> None:
    """Look at carrier profiles: what routes of a kind are known to allow, as of a date. None claims to be current."""


def _complete_profile(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    named = [CompletionItem(name) for name in profiles.names() if name.startswith(begun)]
    return named or [CompletionItem(begun, type="file")]


@command.command("list", epilog="\b\nExamples:\n  zsms carriers list\n  zsms carriers list --json")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def show_all(as_json: bool) -> None:
    """List the profiles of the package, with the day on which somebody looked."""
    found = [profiles.find(name) for name in profiles.names()]
    if as_json:
        rows = [{"name": each.name, "title": each.title, "date": each.date.isoformat()} for each in found]
        click.echo(json.dumps(rows, indent=2))
        return
    for each in found:
        click.echo(f"{each.name:<15}  {each.date.isoformat()}  {each.title}")


@command.command(
    "show", epilog="\b\nExamples:\n  zsms carriers show us-10dlc-high > mine.toml\n  zsms carriers show --json in-dlt"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.argument("name", metavar="NAME|FILE", shell_complete=_complete_profile)
def show(as_json: bool, name: str) -> None:
    """Show a profile: each figure with its source, its date, and what others say. It is TOML: save it as a file, edit
    it, and see by `zsms carriers check FILE` whether it is right."""
    found = check_profile(profiles.find(name))
    if as_json:
        rows = [
            {"field": f.field, "value": f.value, "source": f.source, "date": f.date, "contested": f.contested}
            for f in found.figures
        ]
        body = {"name": found.name, "title": found.title, "date": found.date.isoformat(), "figures": rows}
        click.echo(json.dumps(body, indent=2, default=str))  # a time of day is one of TOML's own values
        return
    if name in profiles.names():
        click.echo(_SAVED.format(date=found.date.isoformat()))
    click.echo(profiles.text_of(name), nl=False)


@command.command("check", epilog="\b\nExamples:\n  zsms carriers check my-route.toml")
@click.argument("path", metavar="FILE", type=places.READ)
def check(path: str) -> None:
    """Say whether a profile of your own is right."""
    found = check_profile(profiles.find(path if "/" in path or path.endswith(".toml") else f"./{path}"))
    click.echo(f"{path}: {many(len(found.figures), 'figure')}, as of {found.date.isoformat()}")
