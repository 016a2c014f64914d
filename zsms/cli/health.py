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
  zsms health broker 127.0.0.1:5555
  zsms health stats 127.0.0.1:5557 --timeout 1
  zsms health sender stats.example.org:5557 --name send-1""",
)
@click.argument("role", type=click.Choice(ROLES))
@click.argument("endpoint")
@click.option("--name", help="Of a producer or sender: its --name.")
@click.option("--timeout", type=float, default=2.0, show_default=True, help="Seconds to wait for an answer.")
@common.keys_option
def command(role: str, endpoint: str, name: str | None, timeout: float, keys: str | None) -> None:
    """Say whether a process is well, for probes: exit code 0, or 1 with a line that says why not.

    ENDPOINT is the broker's or the collector's own address. Producers and senders listen nowhere: theirs is the address
    of the collector, which must have heard from them lately. Where keys are on, ask a broker with an operator's key and
    the collector with a monitor's.
    """
    from zsms.roles.health import check

    if (name is None) == (role in ("producer", "sender")):
        what = "give the --name that it reports under" if name is None else "it has no --name here"
        raise UsageError(f"health {role}: {what}")
    if not 0.01 <= timeout <= 3_600:
        raise UsageError(f"timeout {timeout}: give seconds from 0.01 to 3600")
    click.echo(check(role, endpoint, name=name, timeout=timeout, keys=keys))
