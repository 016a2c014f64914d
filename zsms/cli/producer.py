"""`zsms producer`."""

from __future__ import annotations

from typing import Any

import click

from zsms.cli import common


@click.command(
    "producer",
    epilog="""\b
Examples:
  zsms producer --messages 1000000 --seed 7
  zsms producer --rate 5000 --broker broker.example.org
  zsms producer --broker queue-1.example.org --broker queue-2.example.org
  zsms producer --input people.csv --skip-bad-rows
  zsms producer --messages 1000000 --seed 7 --share 1/3     the second third""",
)
@click.option(
    "--messages",
    type=int,
    help="Random messages to make; of --input the first so many, all unless given.  [default: 100000]",
)
@click.option("--share", default="0/1", metavar="I/K", callback=common.share, help="Make only part I (from 0) of K.")
@common.message_options
@click.option(
    "--resend-after",
    type=float,
    default=5.0,
    show_default=True,
    help="Seconds without a confirm after which what is unconfirmed is sent again.",
)
@click.option(
    "--timeout",
    type=float,
    default=60.0,
    show_default=True,
    help="Seconds to wait for the first answer of a broker.",
)
@click.option("--before", type=click.IntRange(min=0), default=0, hidden=True, help="Messages that were confirmed.")
@common.broker_option
@common.stats_option
@common.role_options
def command(
    rate: float | None,
    arrivals: str,
    batch: int | None,
    window: int | None,
    resend_after: float,
    timeout: float,
    before: int,
    broker: tuple[str, ...],
    stats: str,
    name: str | None,
    stats_interval: float,
    drain_timeout: float,
    keys: str | None,
    config: str | None,
    quiet: bool,
    verbose: int,
    exit_with_parent: bool,
    **source: Any,
) -> int:
    """Make random messages, or read real ones, and hand them to a broker.

    Every batch is kept until the broker confirms it. The command ends when all are confirmed.
    """

    def make() -> Any:
        from zsms.roles.producer import BATCH_MESSAGES, WINDOW_MESSAGES, Producer

        return Producer(
            broker,
            source=common.make_source(**source),
            rate=rate,
            arrivals=arrivals,
            arrivals_seed=common.arrivals_seed(**source),
            batch=BATCH_MESSAGES if batch is None else batch,
            window=WINDOW_MESSAGES if window is None else window,
            resend_after=resend_after,
            timeout=timeout,
            before=before,
            name=name,
            stats=stats,
            stats_interval=stats_interval,
            drain_timeout=drain_timeout,
            keys=keys,
        )

    return common.run_role(make, quiet=quiet, verbose=verbose, exit_with_parent=exit_with_parent)
