"""`zsms stats`."""

from __future__ import annotations

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
def command(
    bind: str,
    insecure: bool,
    keys: str | None,
    name: str | None,
    metrics: str | None,
    config: str | None,
    quiet: bool,
    verbose: int,
    exit_with_parent: bool,
) -> int:
    """Keep the newest statistics of every process, and answer monitors with their sum."""

    def make() -> Any:
        from zsms.roles.collector import StatsCollector

        collector = StatsCollector(bind, insecure=insecure, keys=keys, name=name)
        if metrics is not None:
            from zsms.dashboard.prometheus import MetricsServer

            page = MetricsServer(metrics, collector.ask, open_to_others=insecure or keys is not None)
            collector.log.info("%s: metrics at %s", collector.name, page.url)
        return collector

    return common.run_role(make, quiet=quiet, verbose=verbose, exit_with_parent=exit_with_parent)
