"""`zsms completion`."""

from __future__ import annotations

from glob import escape, glob
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

from zsms.errors import ZsmsError

SHELLS = ("bash", "zsh", "fish")


class _Quiet(ShellComplete):
    """A line that is wrong so far has nothing to offer; what is wrong is said when it is run."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """As of click."""
        try:
            return super().get_completions(args, incomplete)
        except (click.ClickException, ZsmsError):
            return []


@add_completion_class
class Bash(_Quiet, BashComplete):
    """bash gives `--delay=log` as three words."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """As of click."""
        words, begun = super().get_completion_args()
        return [word for at, word in enumerate(words) if word != "=" or not words[at - 1].startswith("--")], begun


class _OneWord(_Quiet):
    """zsh and fish take the whole word `--delay=log` for what is to be completed."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """As of click, with the option before each value."""
        option, equals, begun = incomplete.partition("=")
        items = super().get_completions(args, incomplete)
        if not (equals and option.startswith("--")):
            return items
        values: list[str] = []
        for item in items:
            values += [item.value] if item.type == "plain" else _paths(begun, folders=item.type == "dir")
        return [CompletionItem(f"{option}={value}") for value in values]


@add_completion_class
class Zsh(_OneWord, ZshComplete):
    """As of click."""


@add_completion_class
class Fish(_OneWord, FishComplete):
    """As of click."""


def _paths(begun: str, *, folders: bool) -> list[str]:
    """Files, or only folders, whose paths begin so."""
    found = sorted(glob(escape(begun) + "*"))
    return [f"{path}/" if Path(path).is_dir() else path for path in found if not folders or Path(path).is_dir()]


@click.command(
    "completion",
    epilog="""\b
Examples:
  zsms completion bash > ~/.local/share/bash-completion/completions/zsms
  zsms completion zsh > ~/.zfunc/_zsms        # a folder of your fpath
  zsms completion fish > ~/.config/fish/completions/zsms.fish
  eval "$(zsms completion bash)"              # for this shell only""",
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete zsms commands, options and their values."""
    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(ctx.find_root().command, {}, "zsms", "_ZSMS_COMPLETE").source())
