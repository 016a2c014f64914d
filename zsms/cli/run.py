"""`zsms run`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from zsms import logs
from zsms.cli import beside, common, options, outputs, places
from zsms.cli.dashboard import RunPage, dashboard_option
from zsms.cli.settings import GROUPS, SCENARIO, change, changes_option, scenario_of
from zsms.core.broker import BrokerLimits
from zsms.errors import UsageError
from zsms.fields import chosen
from zsms.scenario import MeshConfig, SenderGroup, table

if TYPE_CHECKING:
    from zsms.launch.mesh import Mesh
    from zsms.launch.place import Place
    from zsms.launch.resume import Before
    from zsms.scenario import Scenario
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
@options.of("run", MeshConfig)
@click.option(
    "--resume",
    metavar="DIR",
    type=places.JOURNAL,
    help="Go on with the interrupted run whose --journal is this folder, as it began, to a report of all of it.",
)
@outputs.options
@common.log_messages_option
@common.metrics_option
@dashboard_option
@click.option("--plan", is_flag=True, help="At the end, set what `zsms plan` says of the same beside the run.")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Run the processes on the workers of a Dask cluster: tcp://HOST:PORT of its scheduler, or local:N for N "
    "workers of this machine. Always with keys.  [default: this machine, without Dask]",
)
@click.option("--adaptive", is_flag=True, help="Start another sender on each worker that joins the --cluster later.")
@click.option("--insecure", is_flag=True, help="Let --metrics listen where other hosts can reach it, without keys.")
@common.ui_option
@common.config_option
@changes_option
@common.verbosity
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    changes: tuple[str, ...],
    resume: str | None,
    title: str,
    tag: tuple[tuple[str, str], ...],
    dry_run: bool,
    threshold: tuple[str, ...],
    dashboard: str | None,
    plan: bool,
    cluster: str | None,
    adaptive: bool,
    ui: str,
    quiet: bool,
    verbose: int,
    **given: Any,
) -> int:
    """Run a whole mesh on this machine: broker, collector, producers and senders, each a process.

    It shows its progress on stderr, ends when every message is settled, and prints a summary. Ctrl-C drains
    first. Exits with 0 when the ledger balances and nothing is left, 1 when not or when nothing could be sent, 99 when
    a threshold failed, 130 when it was interrupted (Ctrl-C or SIGTERM).

    Keys of the live panel: q drains and leaves, s sorts the senders by the next column, n shows the next of them, + and
    - change the arrival rate of a run with --rate by 10 %.
    """
    from zsms.cli import progress
    from zsms.launch import forked
    from zsms.launch.mesh import Mesh

    common.set_up_logging(quiet, verbose)
    common.allow_many_descriptors()
    logs.identify("run", "run")
    paths = {form: given.pop(form) for form in outputs.FORMS}
    change(ctx, given["config"], changes)
    scenario = beside.planned(ctx, given["config"]) if plan else None
    settings, expected, before = _settings(ctx, resume, given)
    watch = progress.make("none" if quiet and ui == "auto" else ui, "zsms run", "drain and leave", total=settings.total)
    page = RunPage(dashboard)

    def show(view: View, first: View | None) -> None:
        watch.show(view, first)
        page.watch(mesh)

    said: dict[str, Any] = {"title": title, "tags": outputs.tags_of(tag), "thresholds": threshold + expected}
    shown: dict[str, Any] = {"progress": show, "detail_s": watch.detail_s, "verbose": verbose}
    mesh = Mesh(settings, before=before, forks=True, place=_place(cluster, adaptive), **said, **shown, **given)
    watch.control = mesh
    if cluster is None:
        forked.warm_up()
    output = outputs.Outputs(**paths)
    if dry_run:
        return _try(mesh, output, page, before)
    with page, watch:
        common.stop_on_signals(mesh)
        return _carry_out(mesh, output, watch.end, scenario)


def _carry_out(mesh: Mesh, output: outputs.Outputs, ended: Callable[[], None], scenario: Scenario | None) -> int:
    """Run it, and hand over the report; returns the exit code."""
    from zsms.report.summary import summary_lines

    if mesh.metrics is not None:
        logging.getLogger("zsms.mesh").info("metrics at %s", mesh.metrics)
    report = mesh.run()
    ended()
    besides = [] if scenario is None else beside.stand(scenario, report)
    written = output.write(report)
    # The summary is the result; but when standard output is the report's, it goes to where people look.
    outputs.show_summary([*summary_lines(report), *besides], on_stderr=output.on_stdout)
    outputs.annotate(report, on_stderr=output.on_stdout)
    return report.exit_code or int(not written)


def _place(cluster: str | None, adaptive: bool) -> Place | None:
    if cluster is None:
        if adaptive:
            raise UsageError("--adaptive is about workers that join a --cluster: give that, too")
        return None
    from zsms.launch.cluster import Cluster

    return Cluster(cluster, adaptive=adaptive)


def _try(mesh: Mesh, output: outputs.Outputs, page: RunPage, before: Before | None) -> int:
    """Check what is left to be checked, and say what would be started."""
    from zsms.cli import dry_run

    with page:
        for line in dry_run.lines(mesh, output.names, before):
            click.echo(line)
    return 0


_BESIDE_RESUME = {
    *("resume", "json", "html", "csv", "threshold", "abort_on_fail", "allow_failures", "metrics", "insecure"),
    *("dashboard", "ui", "quiet", "verbose", "log_format", "log_messages", "title", "tag", "junit", "dry_run"),
}


def _check_alone(ctx: click.Context) -> None:
    """Raise UsageError for an option that says what a run is to do: one that goes on does what it began with."""
    given = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    for option in ctx.command.params:
        if option.name not in _BESIDE_RESUME and ctx.get_parameter_source(option.name or "") in given:
            raise UsageError(f"{max(option.opts, key=len)} beside --resume: the run goes on as it began; leave it out")


def _settings(
    ctx: click.Context, resume: str | None, given: dict[str, Any]
) -> tuple[MeshConfig, tuple[str, ...], Before | None]:
    """What is to be run, what the file expects of it, and the run that it goes on with. Raises UsageError."""
    settings, expected = _asked(ctx, given)
    if resume is None:
        return settings, expected, None
    from zsms.launch.resume import load

    _check_alone(ctx)
    settings, before = load(resume)
    return settings, expected, before


def _asked(ctx: click.Context, given: dict[str, Any]) -> tuple[MeshConfig, tuple[str, ...]]:
    """What the options and the file ask for, and what the file expects of it. Raises UsageError."""
    config = given.pop("config")
    group, limits = chosen(SenderGroup, "run", given), chosen(BrokerLimits, "run", given)
    settings = chosen(MeshConfig, "run", given, groups=(group,), limits=limits)
    if ctx.meta.get(SCENARIO):
        return _carried(ctx, config, settings)
    listed = ctx.meta.get(GROUPS)
    return settings if listed is None else replace(settings, groups=_groups(listed, group, config)), ()


def _carried(ctx: click.Context, config: str | None, settings: MeshConfig) -> tuple[MeshConfig, tuple[str, ...]]:
    """The settings with what a run carries out of the file's scenario. Raises UsageError for what it can't."""
    from zsms.launch.carried import carried

    scenario = scenario_of(ctx, config, ctx.params)
    found, retries = carried(scenario, config or "the options"), scenario.retries
    limits = replace(settings.limits, max_attempts=retries.attempts, retry_base=retries.base, retry_cap=retries.cap)
    settings = replace(
        settings, groups=found.groups, caps=found.caps, lines=found.lines, faults=found.faults, limits=limits
    )
    if found.stages:
        first = found.stages[0]
        settings = replace(settings, stages=found.stages, rate=max(first.rate, first.to / 100, 0.001),
                           arrivals="poisson" if scenario.poisson else "even")  # fmt: skip
    if settings.texts:
        settings = replace(settings, lines=tuple(replace(line, texts=()) for line in settings.lines))
    elif found.texts and settings.input is None and not found.lines:
        settings = replace(settings, texts=found.texts)
    if found.stages or scenario.audiences:
        settings = replace(settings, messages=scenario.messages)
    return settings, found.thresholds


def _groups(listed: Any, default: SenderGroup, config: str | None) -> tuple[SenderGroup, ...]:
    """The file's groups of senders, the command's options filling in what one leaves out. Raises UsageError."""
    where = f"{config}: [[run.groups]]"
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise UsageError(f"{where}: write each group as a table [[run.groups]]")
    return tuple(
        table(SenderGroup, values, f"{where} {number}", replace(default, name=f"group{number}"))
        for number, values in enumerate(listed, 1)
    )
