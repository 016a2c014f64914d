"""`zsms completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


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
