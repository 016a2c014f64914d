"""`zsms monitor`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from json import dumps
from math import inf
from typing import TYPE_CHECKING, Any

import click

from zsms.cli import common, streams

if TYPE_CHECKING:
    from zsms.stats.view import View


ONCE_S = 10.0
"""How long --once waits for its answer."""


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
@click.option(
    "--timeout",
    type=float,
    help="Seconds without an answer after which to give up.  [default: 10 with --once, else never]",
)
@common.ui_option
@common.keys_option
@common.config_option
@common.verbosity
def command(
    stats: str,
    interval: float,
    json: bool,
    once: bool,
    until_done: bool,
    timeout: float | None,
    ui: str,
    keys: str | None,
    config: str | None,
    quiet: bool,
    verbose: int,
) -> int:
    """Show how a mesh stands: what was produced, sent and failed, the rates, and what is queued and in flight.

    On a terminal it is a panel with a row a sender (keys: q leaves, s sorts the senders, n shows the next), elsewhere a
    line an interval, on stderr. The mesh does not mind being watched, by any number of monitors.
    """
    if ui == "auto" and (json or once or quiet):
        ui = "none" if json or quiet else "plain"
    with ExitStack() as stack:

        def make() -> Any:
            from zsms.cli import progress
            from zsms.roles.monitor import Monitor
            from zsms.stats.trends import Trends

            watch = progress.make(ui, f"zsms monitor  {stats}", "leave", interval=interval)
            stack.enter_context(watch)

            figures = Trends()

            def show(view: View, before: View | None) -> None:
                if json:
                    click.echo(dumps(view.to_json(before) | figures.take(view).to_json()))
                watch.show(view, before)
                streams.check_reader(sys.stdout if json else sys.stderr)

            watch.control = Monitor(
                stats,
                # The panel's figures must not look fresh when their source is dead, so it asks more often.
                interval=interval if json or watch.detail_s == inf else min(interval, 0.5),
                once=once,
                until_done=until_done,
                timeout=ONCE_S if once and timeout is None else timeout,
                show=show,
                detailed=watch.detail_s < inf,
                keys=keys,
            )
            return watch.control

        return common.run_role(make, quiet=quiet, verbose=verbose, exit_with_parent=False)
