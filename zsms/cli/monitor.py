"""`zsms monitor`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any

import click

from zsms.cli import common

if TYPE_CHECKING:
    from zsms.core.view import View


@click.command(
    "monitor",
    epilog="""\b
Examples:
  zsms monitor --interval 5
  zsms monitor --json --until-done | jq .rate_per_s
  zsms monitor --once --stats stats.example.org""",
)
@common.stats_option
@click.option("--interval", type=float, default=1.0, show_default=True, help="Seconds between two lines.")
@click.option("--json", is_flag=True, help="A JSON object a line, on standard output.")
@click.option("--once", is_flag=True, help="One line, then leave.")
@click.option("--until-done", is_flag=True, help="Leave when every message is settled.")
@common.config_option
@common.verbosity
def command(
    stats: str,
    interval: float,
    json: bool,
    once: bool,
    until_done: bool,
    config: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Log every interval what was produced, sent and failed, the rates, and what is queued and in flight."""

    def make() -> Any:
        from zsms.roles.monitor import Monitor

        def show(view: View, before: View | None) -> None:
            click.echo(dumps(view.to_json(before)))

        return Monitor(stats, interval=interval, once=once, until_done=until_done, show=show if json else None)

    return common.run_role(make, quiet=quiet, verbose=verbose, exit_with_parent=False)
