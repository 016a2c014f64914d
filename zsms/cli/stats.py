"""`zsms stats`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from zsms.cli import common


@click.command(
    "stats",
    epilog="""\b
Examples:
  zsms stats
  zsms stats --bind tcp://0.0.0.0:5557 --keys keys
  zsms stats --metrics 127.0.0.1:9464            curl http://127.0.0.1:9464/metrics""",
)
@click.option(
    "--bind",
    metavar="ENDPOINT",
    default="tcp://127.0.0.1:5557",
    show_default=True,
    help="Where to listen; PORT is for snapshots, PORT + 1 for questions.",
)
@common.insecure_option
@common.keys_option
@click.option("--name", help="Name in logs.  [default: role, host, pid, letters]")
@common.metrics_option
@common.config_option
@common.verbosity
@click.option("--exit-with-parent", is_flag=True, hidden=True)
def command(**given: Any) -> int:
    """Keep the newest statistics of every process, and answer monitors with their sum."""
    how = common.how_to_run(given)
    return common.run_role(partial(_make, **given), **how)


def _make(*, metrics: str | None, insecure: bool, keys: str | None, **given: Any) -> Any:
    """The collector of these options, and its metrics. Raises UsageError."""
    from zsms.roles.collector import StatsCollector

    collector = StatsCollector(insecure=insecure, keys=keys, **given)
    if metrics is not None:
        from zsms.dashboard.prometheus import MetricsServer

        page = MetricsServer(metrics, collector.ask, open_to_others=insecure or keys is not None)
        collector.log.info("%s: metrics at %s", collector.name, page.url)
    return collector
