"""`zsms broker`."""

from __future__ import annotations

from typing import Any

import click

from zsms.cli.common import (
    broker_limits,
    insecure_option,
    journal_options,
    role_options,
    run_role,
    stats_option,
    stream_option,
)


@click.command(
    "broker",
    epilog="""\b
Examples:
  zsms broker
  zsms broker --bind tcp://0.0.0.0:5555 --keys keys --stats stats.example.org
  zsms broker --max-attempts 3 --retry-base 1 --lease 120
  zsms broker --journal /var/lib/zsms""",
)
@click.option(
    "--bind",
    metavar="ENDPOINT",
    default="tcp://127.0.0.1:5555",
    show_default=True,
    help="Where to listen; PORT is for batches, PORT + 1 for the rest.",
)
@insecure_option
@stats_option
@broker_limits
@journal_options
@click.option("--seed", type=click.IntRange(min=0), help="Makes the jitter of retries repeatable.")
@stream_option
@role_options
def command(
    bind: str,
    insecure: bool,
    stats: str,
    journal: str | None,
    durability: str | None,
    seed: int | None,
    stream: int,
    name: str | None,
    stats_interval: float,
    drain_timeout: float,
    keys: str | None,
    config: str | None,
    quiet: bool,
    verbose: int,
    exit_with_parent: bool,
    **limits: Any,
) -> int:
    """Queue messages and balance them over senders by credit.

    SIGTERM or Ctrl-C: take no more, see what is held to its end, and leave; again: leave at once. What is left
    then stays in the journal, if there is one, and the next broker with it goes on from there.
    """

    def make() -> Any:
        from zsms.core.broker import BrokerLimits
        from zsms.roles.broker import Broker

        return Broker(
            bind,
            limits=BrokerLimits(**limits),
            seed=seed,
            stream=stream,
            insecure=insecure,
            keys=keys,
            journal=journal,
            durability=durability,
            name=name,
            stats=stats,
            stats_interval=stats_interval,
            drain_timeout=drain_timeout,
        )

    return run_role(make, quiet=quiet, verbose=verbose, exit_with_parent=exit_with_parent)
