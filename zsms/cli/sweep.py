"""`zsms sweep`."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import click

from zsms import __version__
from zsms.cli import common, places, written
from zsms.cli.commands import INTERRUPTED, load_command
from zsms.cli.settings import change, groups_of, scenario_of, set_by_all_groups, settled_by
from zsms.errors import UsageError, ZsmsError
from zsms.fields import nearest
from zsms.words import many


@click.command(
    "sweep",
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  zsms sweep --vary concurrency=1e3,1e4,1e5 --vary failure-rate=0,0.05 --replications 100
  zsms sweep --live --vary concurrency=1e3,1e4 --messages 50000
  zsms sweep --live --vary senders=1,2,4 --vary failure-rate=0,0.05 --replications 5 --csv sweep.csv --html sweep.html
  zsms sweep --live --vary concurrency=1e5,1e6 --record sweep.jsonl     again, to go on where it ended""",
)
@click.option(
    "--vary",
    metavar="NAME=VALUE,...",
    multiple=True,
    required=True,
    help="An option of `zsms run` or `zsms plan` and its values, or a field of a group, account or audience of the "
    "file, such as sender.cap=100,200. Again for each of several: every combination is a point.",
)
@click.option(
    "--replications", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How often, at each point."
)
@click.option("--live", is_flag=True, help="Run each point instead of planning it, one after the other.")
@click.option(
    "--jobs", type=click.IntRange(1, 1_024), help="Points planned at once here.  [default: one for each core]"
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Plan the points on the workers of a Dask cluster, or run them there: tcp://HOST:PORT or local:N.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the sweep; each replication draws from a stream of its own.",
)
@click.option(
    "--record",
    metavar="FILE",
    type=places.WRITTEN,
    help="Keep what came of each point there, and go on with what is missing.",
)
@click.option(
    "--csv",
    metavar="PATH",
    type=places.WRITTEN,
    help="Write a row a point there, each figure with its spread; - for stdout.",
)
@click.option(
    "--html",
    metavar="PATH",
    type=places.WRITTEN,
    help="Write one page there that needs no network: each figure as a curve with its spread, or over two settings as "
    "a map.",
)
@click.argument("scenario", required=False, metavar="[SCENARIO.toml]", type=places.READ)
@click.argument("fixed", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF EVERY POINT]...")
def command(
    vary: tuple[str, ...],
    replications: int,
    live: bool,
    jobs: int | None,
    cluster: str | None,
    seed: int,
    record: str | None,
    csv: str | None,
    html: str | None,
    scenario: str | None,
    fixed: tuple[str, ...],
) -> int:
    """Plan or run a scenario at each combination of some settings, and make a table of it.

    What else is given goes to every point as it is; SCENARIO.toml comes first. A point is planned by `zsms plan`, or
    run by `zsms run` with --live. A figure is the median of the replications; its spread is where a tenth and nine
    tenths of them lie, or the least and the greatest of fewer than ten. Exits with 0 when every point was done, else 1.
    """
    from zsms.launch import sweep
    from zsms.launch.record import Record

    common.interrupt_on_signals()
    if scenario is not None and scenario.startswith("-"):
        fixed, scenario = (scenario, *fixed), None
    written.check({"--csv": csv, "--html": html})
    varied = sweep.parse_vary(vary)
    tables = {} if scenario is None else groups_of(scenario)
    varied = _of_groups(varied, scenario, tables)
    options = [name for name, _ in varied if "." not in name]
    _check_options("run" if live else "plan", options, fixed)
    _check_heard(scenario, tables, options, fixed)
    _check_values("run" if live else "plan", varied, fixed)
    points = sweep.points_of(varied)
    always = [*_words_of_file(scenario, live), *(["--cluster", cluster] if live and cluster else []), *fixed]
    _check_one_can_be(sweep.commands_of(point, always, 1, live, seed)[0] for point in points)
    settings = {"vary": list(vary), "replications": replications, "live": live, "seed": seed, "always": always}
    files = {} if scenario is None else {scenario: _content(scenario)}
    settings["scenario"] = hashlib.sha256(files[scenario]).hexdigest() if scenario is not None else None
    with Record(record, settings) as kept:
        if kept.done and kept.begun_by != __version__:
            began = f"zsms {kept.begun_by}" if kept.begun_by else "an earlier zsms"
            click.echo(f"zsms: {record} was begun by {began}, this is {__version__}: its points may differ", err=True)
        todo = [point for point in points if point not in kept.done]
        commands = {point: sweep.commands_of(point, always, replications, live, seed) for point in todo}
        code = _do(_all(commands, 1 if live else jobs, None if live else cluster, files), commands, kept)
    title = f"{'Runs' if live else 'Plans'} of {scenario or 'zsms'}: {', '.join(vary)}"
    well = written.write_all(
        {
            "table": (csv, lambda: sweep.to_csv(points, kept.done)),
            "page": (html, lambda: _page(title, points, kept.done)),
        }
    )
    if written.STDOUT not in (csv, html):
        for line in sweep.to_lines(points, kept.done):
            click.echo(line)
    return code or int(not well)


def _of_groups(
    varied: list[tuple[str, list[str]]], scenario: str | None, tables: dict[str, Any]
) -> list[tuple[str, list[str]]]:
    """What varies, with the group whose it is where the file has only one, and sets it itself. Raises UsageError."""
    from zsms.scenario import changed, names_of

    if scenario is None:
        for name, values in varied:
            if "." in name:
                raise UsageError(f"--vary {name}={values[0]}: that is a field of a file's table: give the file")
        return varied
    own = set_by_all_groups(tables)
    groups = names_of(tables, "group")
    found = []
    for name, values in varied:
        if name in own and len(groups) > 1:
            one = f"--vary {groups[0]}.{own[name]}={','.join(values)}"
            raise UsageError(
                f"--vary {name}: every group of {scenario} sets its own: say whose is to vary, such as {one}"
            )
        found.append((f"{groups[0]}.{own[name]}" if name in own else name, values))
    for name, values in found:
        if "." in name:
            _check_once(name, ((value, changed(tables, [f"{name}={value}"], scenario, "--vary")) for value in values))
    return found


def _check_once(name: str, meant: Iterable[tuple[str, Any]]) -> None:
    """Raises UsageError for two values that mean the same, however they are written."""
    known: list[tuple[str, Any]] = []
    for value, means in meant:
        for other, what in known:
            if what == means:
                raise UsageError(f"--vary {name}: {other} and {value} are the same: give each value once")
        known.append((value, means))


def _do(coming: Iterator[tuple[Any, Any]], commands: dict[Any, list[list[str]]], kept: Any) -> int:
    """Keep what comes of these points; the exit code."""
    from zsms.launch.sweep import figures_of

    failed = 0
    try:
        for number, (point, came) in enumerate(coming, 1):
            words = f"{number} of {len(commands)}: {' '.join(f'{name}={value}' for name, value in point)}"
            if isinstance(came, BaseException):
                failed += 1
                words += f": {came}"
            else:
                kept.add(point, figures_of(came, commands[point][0][0] == "run"))
            click.echo(words, err=True)
    except KeyboardInterrupt:
        again = "the same command goes on with the others" if kept.keeps else "with --record it could be gone on with"
        click.echo(f"zsms: interrupted with {many(len(kept.done), 'point')} done; {again}", err=True)
        return INTERRUPTED
    finally:
        if kept.trouble:
            click.echo(f"zsms: {kept.trouble}", err=True)
    return int(bool(failed or kept.trouble))


def _named(varied: Sequence[str], fixed: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option that a sweep gives to its points, and how it was given."""
    yield from ((f"--{name}", f"--vary {name}") for name in varied)
    yield from ((name, name) for name in (text.partition("=")[0] for text in fixed) if name[:2] == "--" != name)


def _check_heard(scenario: str | None, tables: dict[str, Any], varied: Sequence[str], fixed: Sequence[str]) -> None:
    """Raises UsageError for an option that changes nothing beside the scenario."""
    settled = settled_by(tables)
    for name, where in _named(varied, fixed):
        if name[2:] in settled:
            raise UsageError(f"{where} beside {scenario}: {settled[name[2:]]}")


def _check_options(command: str, varied: Sequence[str], fixed: Sequence[str]) -> None:
    """Raises UsageError for what is no option of that command, or is a sweep's own."""
    from zsms.launch.sweep import OWN

    options = [each for each in load_command(command).params if isinstance(each, click.Option)]
    known = {name: each for each in options for name in (*each.opts, *each.secondary_opts)}
    for name, where in _named(varied, fixed):
        varies = where != name
        if name[2:] in OWN:
            raise UsageError(f"{where}: a sweep has that option itself, or sets it for each point: leave it out")
        if name not in known:
            raise UsageError(f"{where}: `zsms {command}` has no such option{nearest(name, known)}")
        if varies and known[name].is_flag:
            raise UsageError(f"{where}: that takes no values")


def _check_values(command: str, varied: Sequence[tuple[str, Sequence[str]]], fixed: Sequence[str]) -> None:
    """Raises click.UsageError for a command line that no point could have, or that two values share."""
    target = load_command(command)
    target.make_context(f"zsms {command}", [*fixed])
    for name, values in ((name, values) for name, values in varied if "." not in name):
        option = next(each for each in target.params if f"--{name}" in (*each.opts, *each.secondary_opts))
        made = ((value, target.make_context(f"zsms {command}", [f"--{name}={value}", *fixed])) for value in values)
        _check_once(name, ((value, context.params[option.name or ""]) for value, context in made))


def _check_one_can_be(commands: Iterable[Sequence[str]]) -> None:
    """Raises what the first of these command lines would be refused for, when all would."""
    first = None
    for name, *words in commands:
        context = load_command(name).make_context(name, words)
        path, given = context.params.get("scenario") or context.params.get("config"), dict(context.params)
        given.pop("scenario", None)
        try:
            change(context, path, given.pop("changes"))
            scenario_of(context, path, given)
            return
        except UsageError as error:
            first = first or error
    if first is not None:
        raise first


def _page(title: str, points: Any, done: Any) -> str:
    from zsms.dashboard import sweep_page

    return sweep_page.render(title, points, done)


def _words_of_file(scenario: str | None, live: bool) -> list[str]:
    if scenario is None:
        return []
    return ["--config", scenario] if live else [scenario]


def _content(scenario: str) -> bytes:
    """Raises UsageError."""
    try:
        return Path(scenario).read_bytes()
    except OSError as error:
        raise UsageError(f"{scenario}: {error.strerror}") from None


def _all(
    commands: dict[Any, list[list[str]]], jobs: int | None, cluster: str | None, files: dict[str, bytes]
) -> Iterator[tuple[Any, Any]]:
    """Each point with its reports, or with the error that came instead, as they are done; `files` are what a worker may
    not have.
    """
    from zsms.launch.execute import Execute

    execute = Execute(files if cluster else None)
    if cluster is not None and commands:
        from zsms.launch.tasks import tasks_on

        yield from tasks_on(cluster, execute, commands)
        return
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(execute, each): point for point, each in commands.items()}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, ZsmsError):
                    raise error
                yield futures[future], error or future.result()
        except BaseException:
            execute.stop()
            pool.shutdown(cancel_futures=True)
            raise
