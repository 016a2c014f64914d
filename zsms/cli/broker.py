"""`zsms broker`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from zsms.cli import common, options
from zsms.fields import chosen
from zsms.scenario import MeshConfig


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
@common.insecure_option
@common.stats_option
@options.of("broker", MeshConfig)
@click.option(
    "--await-slots",
    type=click.IntRange(min=0),
    default=0,
    help="Let producers begin when senders with so many slots have joined, or after 10 s.  [default: at once]",
)
@common.stream_option
@common.role_options
def command(action: str, **given: Any) -> int:
    """Queue messages and balance them over senders by credit.

    \b
    run        do that (the default)
    take-over  end the lease of the broker that has the journal, so that the one that stands by takes its place now

    SIGTERM or Ctrl-C: take no more, see what is held to its end, and leave; again: leave at once. What is left
    then stays in the journal, if there is one, and the next broker with it goes on from there.
    """
    if action == "take-over":
        return _take_over(given["journal"])
    how = common.how_to_run(given)
    return common.run_role(partial(_make, **given), **how)


def _make(*, bind: str, **given: Any) -> Any:
    """The broker of these options. Raises UsageError."""
    from zsms.core.broker import BrokerLimits
    from zsms.roles.broker import Broker

    return Broker(bind, limits=chosen(BrokerLimits, "broker", given), **given)


def _take_over(journal: str | None) -> int:
    """End the lease of whoever has the journal."""
    import getpass
    import platform

    from zsms.core.broker.durability import hidden, is_on_servers
    from zsms.errors import UsageError

    if journal is None or not is_on_servers(journal):
        raise UsageError("take-over: give the journal on NATS servers: --journal nats://HOST,HOST,HOST/NAME")
    from zsms.journal.jetstream import end_lease

    holder = end_lease(journal, f"{getpass.getuser()} on {platform.node()}")
    where = hidden(journal).partition("?")[0]
    ended = f"{holder} has the journal {where} no longer; one that stands by goes on with it within a few seconds"
    click.echo(ended if holder else f"nobody had {where}")
    return 0
