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
  zsms broker --journal /var/lib/zsms
  zsms broker --journal nats://n1.example.org,n2.example.org,n3.example.org/alerts --standby
  zsms broker take-over --journal nats://n1.example.org,n2.example.org,n3.example.org/alerts""",
)
@click.argument("action", type=click.Choice(["run", "take-over"]), default="run")
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
@click.option(
    "--standby",
    is_flag=True,
    help="Wait, without listening, until the broker that has this journal (NATS) is gone, then take its place.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Makes the jitter of retries repeatable.")
@stream_option
@role_options
def command(
    action: str,
    bind: str,
    insecure: bool,
    stats: str,
    journal: str | None,
    durability: str | None,
    standby: bool,
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

    \b
    run        do that (the default)
    take-over  end the lease of the broker that has the journal, so that the one that stands by takes its place now

    SIGTERM or Ctrl-C: take no more, see what is held to its end, and leave; again: leave at once. What is left
    then stays in the journal, if there is one, and the next broker with it goes on from there.
    """

    if action == "take-over":
        return _take_over(journal)

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
            standby=standby,
            name=name,
            stats=stats,
            stats_interval=stats_interval,
            drain_timeout=drain_timeout,
        )

    return run_role(make, quiet=quiet, verbose=verbose, exit_with_parent=exit_with_parent)


def _take_over(journal: str | None) -> int:
    """End the lease of whoever has the journal."""
    import getpass
    import platform

    from zsms.errors import UsageError
    from zsms.journal import hidden, is_on_servers

    if journal is None or not is_on_servers(journal):
        raise UsageError("take-over: give the journal on NATS servers: --journal nats://HOST,HOST,HOST/NAME")
    from zsms.journal.jetstream import end_lease

    holder = end_lease(journal, f"{getpass.getuser()} on {platform.node()}")
    click.echo(f"{holder} has the journal {hidden(journal)} no longer" if holder else f"nobody had {hidden(journal)}")
    return 0
