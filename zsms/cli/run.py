"""`zsms run`."""

from __future__ import annotations

import logging
import os
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import click

from zsms import logs
from zsms.cli import common, outputs
from zsms.cli.dashboard import RunPage, dashboard_option
from zsms.cli.settings import GROUPS, SCENARIO, check_keys, check_type, scenario_of
from zsms.errors import UsageError

if TYPE_CHECKING:
    from zsms.core.broker import BrokerLimits
    from zsms.launch.mesh import Mesh, SenderGroup
    from zsms.stats.view import View


@click.command(
    "run",
    epilog="""\b
Examples:
  zsms run
  zsms run --senders 2 --concurrency 500000 --messages 10000000
  zsms run --messages 1000000 --failure-rate 0.05 --max-attempts 3
  zsms run --brokers 2 --producers 2 --messages 1000000
  zsms run --rate 20000 --messages 400000 --json report.json
  zsms run --html report.html --csv report --threshold 'send_time_s.p99<1.5' --threshold 'messages.lost==0'
  zsms run --config examples/scenarios/three-gateways.toml --json -
  zsms run --cluster tcp://scheduler.example.org:8786 --senders 8 --concurrency 500000
  zsms run --journal alert-1 --messages 1000000   and after a crash or Ctrl-C:   zsms run --resume alert-1""",
)
@click.option(
    "--messages",
    type=int,
    help="Random messages to send; of --input the first so many, all unless given.  [default: 100000]",
)
@click.option("--brokers", type=int, default=1, show_default=True, help="Broker processes; everyone uses all of them.")
@click.option("--producers", type=int, default=1, show_default=True, help="Producer processes.")
@click.option("--senders", type=int, default=2, show_default=True, help="Sender processes.")
@click.option("--concurrency", type=int, default=5_000, show_default=True, help="Slots of each sender.")
@common.slot_options
@common.message_options
@common.broker_limits
@common.journal_options
@click.option(
    "--resume",
    metavar="DIR",
    type=click.Path(),
    help="Go on with the interrupted run whose --journal is this folder, as it began, to a report of all of it.",
)
@outputs.options
@common.log_messages_option
@common.metrics_option
@dashboard_option
@click.option(
    "--drain-timeout",
    type=float,
    default=30.0,
    show_default=True,
    help="Seconds that a first Ctrl-C waits for work to end; a second one ends at once.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Run the processes on the workers of a Dask cluster: tcp://HOST:PORT of its scheduler, or local:N for N "
    "workers of this machine. Always with keys.  [default: this machine, without Dask]",
)
@click.option(
    "--standby", is_flag=True, help="A second process for each broker, to take its place; with --journal nats://..."
)
@click.option("--secure", is_flag=True, help="Encrypt everything, with keys that are thrown away at the end.")
@click.option("--insecure", is_flag=True, help="Let --metrics listen where other hosts can reach it, without keys.")
@common.ui_option
@common.config_option
@common.verbosity
@click.pass_context
def command(
    ctx: click.Context,
    /,
    resume: str | None,
    messages: int | None,
    brokers: int,
    producers: int,
    json: str | None,
    html: str | None,
    csv: str | None,
    junit: str | None,
    title: str,
    tag: tuple[tuple[str, str], ...],
    dry_run: bool,
    log_messages: str | None,
    threshold: tuple[str, ...],
    abort_on_fail: bool,
    allow_failures: bool,
    metrics: str | None,
    insecure: bool,
    dashboard: str | None,
    drain_timeout: float,
    cluster: str | None,
    ui: str,
    config: str | None,
    quiet: bool,
    verbose: int,
    **options: Any,
) -> int:
    """Run a whole mesh on this machine: broker, collector, producers and senders, each a process.

    It shows its progress on stderr, ends when every message is settled, and prints a summary. Ctrl-C drains
    first. Exits with 0 when the ledger balances and nothing is left, 1 when not or when nothing could be sent, 99 when
    a threshold failed, 130 when it was interrupted (Ctrl-C or SIGTERM).

    Keys of the live panel: q drains and leaves, s sorts the senders by the next column, n shows the next of them, + and
    - change the arrival rate of a run with --rate by 10 %.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its threads would keep us from forking

    from zsms.cli import progress
    from zsms.core.broker import BrokerLimits
    from zsms.launch import forked
    from zsms.launch.mesh import Mesh, MeshConfig, SenderGroup
    from zsms.report.report import summary_lines

    common.set_up_logging(quiet, verbose)
    common.allow_many_descriptors()
    logs.identify("run", "run")
    title, tags = outputs.check_words(title, tag)
    transport = options.pop("transport")
    limits = BrokerLimits(**{f.name: options.pop(f.name) for f in fields(BrokerLimits)})
    group = SenderGroup(**{f.name: options.pop(f.name) for f in fields(SenderGroup) if f.name in options})
    chosen = _scenario(ctx, config, group, limits)
    threshold += chosen.pop("thresholds", ())
    groups = _groups(ctx.meta.get(GROUPS), group, f"{config}: [[run.groups]]") if not chosen else ()
    plain = {"messages": messages, "groups": groups, "limits": limits, **options}
    settings = MeshConfig(
        brokers=brokers,
        producers=producers,
        prefixes=plain.pop("prefix"),
        transport=transport,
        drain_timeout=drain_timeout,
        **{**plain, **chosen},
    )
    before = None
    if resume is not None:
        from zsms.launch.resume import load

        _check_alone(ctx)
        settings, before = load(resume)
    total = settings.total
    watch = progress.make("none" if quiet and ui == "auto" else ui, "zsms run", "drain and leave", total=total)
    page = RunPage(dashboard)

    def show(view: View, first: View | None) -> None:
        watch.show(view, first)
        page.look_at(mesh)

    place = None
    if cluster is not None:
        from zsms.launch.cluster import Cluster

        place = Cluster(cluster)
    mesh = watch.control = Mesh(
        settings,
        progress=show,
        detail_s=watch.detail_s,
        verbose=verbose,
        thresholds=threshold,
        abort_on_fail=abort_on_fail,
        allow_failures=allow_failures,
        metrics=metrics,
        insecure=insecure,
        title=title,
        tags=tags,
        before=before,
        log_messages=log_messages,
        forks=True,
        place=place,
    )
    if place is None:
        forked.warm_up()
    output = outputs.Outputs(json=json, html=html, csv=csv, junit=junit)
    if dry_run:
        return _try(mesh, output, page)
    with page, watch:
        if mesh.metrics is not None:
            logging.getLogger("zsms.mesh").info("metrics at %s", mesh.metrics)
        common.stop_on_signals(mesh)
        report = mesh.run()
        watch.end()
        written = output.write(report)
        # The summary is the result; but when standard output is the report's, it goes to where people look.
        outputs.show_summary(summary_lines(report), on_stderr=output.on_stdout)
        outputs.annotate(report, on_stderr=output.on_stdout)
    return report.exit_code or int(not written)


def _try(mesh: Mesh, output: outputs.Outputs, page: RunPage) -> int:
    """Check what is left to be checked, and say what would be started."""
    from zsms.cli import dry_run

    with page:
        for line in dry_run.lines(mesh, output.names):
            click.echo(line)
    return 0


_BESIDE_RESUME = {
    *("resume", "json", "html", "csv", "threshold", "abort_on_fail", "allow_failures", "metrics", "insecure"),
    *("dashboard", "ui", "quiet", "verbose", "log_format", "log_messages", "title", "tag", "junit"),
}


def _check_alone(ctx: click.Context) -> None:
    """Raise UsageError for an option that says what a run is to do: one that goes on does what it began with."""
    given = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    for option in ctx.command.params:
        if option.name not in _BESIDE_RESUME and ctx.get_parameter_source(option.name or "") in given:
            raise UsageError(f"{max(option.opts, key=len)} beside --resume: the run goes on as it began; leave it out")


def _scenario(ctx: click.Context, config: str | None, base: SenderGroup, limits: BrokerLimits) -> dict[str, Any]:
    """What the file's scenario makes of the run's settings, by their names. Raises UsageError for what can't be run."""
    if not ctx.meta.get(SCENARIO):
        return {}
    from zsms.launch.carried import carried

    words = {name: ctx.params[name] for name in _OF_SCENARIO if name in ctx.params}
    scenario = scenario_of(ctx, config, words)
    found = carried(scenario, config or "the options", base)
    retries = scenario.retries
    settings: dict[str, Any] = {
        "groups": found.groups,
        "faults": found.faults,
        "thresholds": found.thresholds,
        "limits": replace(limits, max_attempts=retries.attempts, retry_base=retries.base, retry_cap=retries.cap),
    }
    if found.stages:
        first = found.stages[0]
        settings |= {"stages": found.stages, "rate": max(first.rate, first.to / 100, 0.001)}
        settings["arrivals"] = "poisson" if scenario.poisson else "even"
    if found.stages or scenario.audiences:
        settings["messages"] = scenario.messages
    return settings


_OF_SCENARIO = (
    *("messages", "brokers", "senders", "concurrency", "delay", "mean", "sd", "failure_rate", "tick", "prefetch"),
    *("ramp", "cap", "burst", "rate", "arrivals", "seed", "max_messages", "liveness", "max_attempts", "retry_base"),
    "retry_cap",
)


def _groups(tables: Any, default: SenderGroup, where: str) -> tuple[SenderGroup, ...]:
    """The file's groups of senders, the command's options filling in what one leaves out; or one of the options."""
    if tables is None:
        return (default,)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{where}: write each group as a table [[run.groups]]")
    # A type is written as "float" or "float | None", and a file has no None.
    types = {"int": int, "float": float, "str": str}
    wanted = {f.name: types[str(f.type).partition(" ")[0]] for f in fields(default)}
    groups = []
    for number, table in enumerate(tables, 1):
        settings = check_keys(f"{where} {number}", table, set(wanted))
        for key, value in settings.items():
            check_type(f"{where} {number}", key, value, wanted[key])
        groups.append(replace(default, **{"name": f"group{number}", **settings}))
    return tuple(groups)
