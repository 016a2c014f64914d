"""`zsms completion`."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, add_completion_class, get_completion_class

SHELLS = ("bash", "zsh", "fish")


@add_completion_class
class Bash(BashComplete):
    """bash gives `--delay=log` as three words."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """As of click."""
        words, begun = super().get_completion_args()
        return [word for at, word in enumerate(words) if word != "=" or not words[at - 1].startswith("--")], begun


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
