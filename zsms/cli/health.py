"""`zsms health`."""

from __future__ import annotations

import click

from zsms.cli import common
from zsms.errors import UsageError

ROLES = ("broker", "stats", "producer", "sender")


@click.command(
    "health",
    epilog="""\b
Examples:
  zsms health broker --broker 127.0.0.1:5555
  zsms health stats --timeout 1
  zsms health sender --name send-1 --stats stats.example.org""",
)
@click.argument("role", type=click.Choice(ROLES))
@click.argument("endpoint", required=False)
@click.option("--broker", metavar="ENDPOINT", help="Of a broker: where it listens.  [default: tcp://127.0.0.1:5555]")
@click.option(
    "--stats",
    metavar="ENDPOINT",
    help="Of the others: where the stats collector listens.  [default: tcp://127.0.0.1:5557]",
)
@click.option("--name", help="Of a producer or sender: its --name.")
@click.option("--timeout", type=float, default=2.0, show_default=True, help="Seconds to wait for an answer.")
@common.keys_option
def command(
    role: str,
    endpoint: str | None,
    broker: str | None,
    stats: str | None,
    name: str | None,
    timeout: float,
    keys: str | None,
) -> None:
    """Say whether a process is well, for probes: exit code 0, or 1 with a line that says why not.

    ENDPOINT is the same as --broker or --stats. Producers and senders listen nowhere: the collector must have heard
    from them lately. Where keys are on, ask a broker with an operator's key and
    the collector with a monitor's.
    """
    from zsms.roles.health import check

    if (name is None) == (role in ("producer", "sender")):
        what = "give the --name that it reports under" if name is None else "it has no --name here"
        raise UsageError(f"health {role}: {what}")
    if not 0.01 <= timeout <= 3_600:
        raise UsageError(f"timeout {timeout}: give seconds from 0.01 to 3600")
    asked, other = (broker, stats) if role == "broker" else (stats, broker)
    if other is not None:
        told = ("broker", "--broker", "--stats") if role == "broker" else ("collector", "--stats", "--broker")
        raise UsageError("health {}: the {} is asked: give {}, not {}".format(role, *told))
    if endpoint is not None and asked is not None:
        raise UsageError(f"health {role}: two addresses, {endpoint} and {asked}: give one")
    click.echo(check(role, endpoint if asked is None else asked, name=name, timeout=timeout, keys=keys))
