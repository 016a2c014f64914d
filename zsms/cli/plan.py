"""`zsms plan`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import click

from zsms.cli import common, options, places, settings, written
from zsms.errors import UsageError
from zsms.launch import children
from zsms.scenario import Expectation, MeshConfig, Scenario, check, table
from zsms.words import many


@click.command(
    "plan",
    epilog="""\b
Examples:
  zsms plan
  zsms plan examples/scenarios/three-gateways.toml
  zsms plan --messages 340000000 --senders 10 --concurrency 500000
  zsms plan --messages 1000000 --failure-rate 0.05 --max-attempts 3 --json -""",
)
@settings.scenario_argument
@options.of("plan", MeshConfig)
@settings.changes_option
@click.option("--duration", type=float, help="Seconds that messages arrive for at --rate, instead of a count.")
@click.option(
    "--replications", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Runs in virtual time."
)
@click.option(
    "--deadline", metavar="TIME", help="Say what is reached by then: seconds, or a text such as 10m or 1h30m."
)
@click.option(
    "--share", type=float, default=0.99, show_default=True, help="Share of all messages that is wanted by the deadline."
)
@click.option(
    "--solve",
    type=click.Choice(("slots", "processes", "routes")),
    help="Find the least that makes the deadline, all groups in proportion; routes are copies with their caps.",
)
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Probability of the deadline that --solve needs."
)
@click.option(
    "--against", metavar="REPORT", type=places.READ, help="Set the report of a run (its JSON) beside the plan."
)
@click.option(
    "--no-variants", is_flag=True, help="Leave out what faults cost and what changes would do: it is quicker."
)
@click.option("--jobs", type=click.IntRange(1, 1_024), help="Processes that compute.  [default: one for each core]")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Compute on the workers of a Dask cluster instead: tcp://HOST:PORT of its scheduler, or local:N.",
)
@click.option("--json", metavar="PATH", type=places.WRITTEN, help="Write the plan there; - for standard output.")
@click.option(
    "--html",
    metavar="PATH",
    type=places.WRITTEN,
    help="Write the plan as a page with charts, one file that needs no network.",
)
@click.option(
    "--csv",
    metavar="PATH",
    type=places.WRITTEN,
    help="Write the curve of reach there, a row a time; - for standard output.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    scenario: str | None,
    changes: tuple[str, ...],
    replications: int,
    deadline: str | None,
    share: float,
    solve: str | None,
    confidence: float,
    against: str | None,
    no_variants: bool,
    jobs: int | None,
    cluster: str | None,
    json: str | None,
    html: str | None,
    csv: str | None,
    quiet: bool,
    **given: Any,
) -> int:
    """Compute a run in virtual time: when it reaches whom, what limits it, and what it costs.

    SCENARIO.toml is a file of `zsms run --config`, or one with caps, faults and a deadline too (docs/planning.md). No
    process is started and no message made, so 340 million messages take seconds. Exits with 0, whatever the plan says.
    """
    from zsms.plan import plan
    from zsms.plan.against import compared, read_report

    common.interrupt_on_signals()
    written.check({"--json": json, "--html": html, "--csv": csv})
    settings.change(ctx, scenario, changes)
    found = settings.scenario_of(ctx, scenario, given)
    for name, unless in (("share", deadline), ("confidence", solve)):
        if unless is None and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} means nothing without {'--deadline' if name == 'share' else '--solve'}")
    found = _expecting(found, deadline, share, solve)
    measured = None if against is None else read_report(against)
    with _workers(jobs, cluster) as mapped, _progress(quiet) as progress:
        made = plan(found, replications=replications, variants=not no_variants, mapped=mapped, progress=progress)
        if solve is not None:
            from zsms.plan.search import solve as least

            wish = found.expectations[0]
            solution = least(
                found,
                solve,
                deadline=wish.deadline,
                share=wish.share,
                confidence=confidence,
                replications=replications,
                seed=made.seed,
                mapped=mapped,
            )
            made = replace(made, solution=solution)
    if measured is not None:
        made = replace(made, against=compared(made, measured))
    return int(not _written(made, json, csv, html))


def _written(made: Any, json: str | None, csv: str | None, html: str | None) -> bool:
    """Hand the plan over in every form that was asked for; whether all of it arrived."""
    from zsms.dashboard.plan_page import render

    well = written.write_all(
        {
            "plan": (json, made.dumps),
            "curve": (csv, lambda: curve_csv(made)),
            "page": (html, lambda: render(made.to_json())),
        }
    )
    if written.STDOUT not in (json, csv, html):
        click.echo("\n".join(lines(made)))
    return well


def _expecting(found: Scenario, deadline: str | None, share: float, solve: str | None) -> Scenario:
    """The scenario with the deadline of the options, which is its first then."""
    if deadline is None:
        if solve is not None and not found.expectations:
            raise UsageError("--solve needs a --deadline, or an [[expect]] of the file")
        return found
    where = f"--deadline {deadline} --share {share:g}"
    number: Any = deadline
    with suppress(ValueError):
        number = float(deadline)
    wish = table(Expectation, {"deadline": number, "share": share}, where)
    found = replace(found, expectations=(wish, *found.expectations))
    check(found, where)
    return found


@contextmanager
def _workers(jobs: int | None, cluster: str | None) -> Iterator[Callable[..., Iterable[Any]]]:
    """A map that uses so many processes, or that cluster."""
    if cluster is not None:
        from zsms.launch.tasks import mapping_on

        with mapping_on(cluster) as mapped:
            yield mapped
        return
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jobs == 1:
        yield map
        return
    import multiprocessing

    context = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "fork")
    # What ends one comes when it is ready for it: a handler that raises an error may do so where that is ignored.
    signal.pthread_sigmask(signal.SIG_BLOCK, children.STOPPING)
    try:
        pool = context.Pool(jobs, _compute, (os.getpid(),))
    except (OSError, RuntimeError) as error:  # /dev/shm is full or missing, or a limit is reached
        for process in multiprocessing.active_children():
            process.terminate()
        why = getattr(error, "strerror", None) or error
        click.echo(f"zsms: no processes can be had to share the work ({why}): this one does all of it", err=True)
        pool = None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, children.STOPPING)
    if pool is None:
        yield map
        return
    with pool:
        yield lambda function, tasks: pool.imap(function, tasks)


def _compute(parent: int) -> None:
    """Begin a process of a pool: its parent ends it, and nothing else does."""
    for number in children.STOPPING:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, children.STOPPING)
    children.end_with(parent)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[float], None] | None]:
    """A bar on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1_000, label="planning", file=sys.stderr) as bar:
        yield lambda share: bar.update(round(share * 1_000) - bar.pos)


# -- the text ----------------------------------------------------------------------------------------------------------


def lines(made: Any) -> list[str]:
    """A plan for people."""
    from zsms.report.planned import chance, counts_of, solution_of

    of = (many(made.messages, "message"), many(made.slots, "slot"), many(made.replications, "replication"))
    head = f"{made.scenario}: {', '.join(of)}"
    text = [head, "", f"{'reached':<14}{'10 %':>17}{'median':>17}{'90 %':>17}   of the replications, by then"]
    for name, words in (("p50", "50 %"), ("p90", "90 %"), ("p99", "99 %"), ("p100", "all")):
        cells = "".join(f"{span(value):>17}" for value in made.reach_s[name])
        text.append(f"  {words:<12}{cells}")
    if made.lead_s:
        text.append(f"  and before: {span(made.lead_s)} until people let it begin")
    for each in made.deadlines:
        low, middle, high = (f"{(value or 0) * 100:.2f} %" for value in each.reached)
        text.append(f"in {span(each.deadline_s)}: {middle} ({low} to {high}); "
                    f"{each.share * 100:g} % with a probability of {chance(each.probability)}")  # fmt: skip
    body = made.to_json()
    text += ["", counts_of(body), "", *_route_lines(made), ""]
    text.append(f"limit         {made.binds}" + (f"; next: {made.next}" if made.next else ""))
    for title, rows in (("fault", body["faults"]), ("if", body["sensitivity"])):
        for row in rows:
            text.append(f"{title:<14}{row['change']:<34} {_effect(body, row, title == 'fault')}")
    if made.solution is not None:
        text += ["", solution_of(body["solution"], span)]
    if made.against:
        text += ["", *against_lines(made.against)]
    if made.relied_on:
        text += ["", *(f"relied on     {each}" for each in made.relied_on)]
    return text


def against_lines(rows: Iterable[Any]) -> list[str]:
    """A plan beside a run (:class:`zsms.plan.against.Row`), for people."""
    text = [f"{'reached':<14}{'planned':>17}{'measured':>17}{'difference':>12}"]
    for row in rows:
        off = "-" if row.difference is None else f"{row.difference * 100:+.1f} %"
        measured = "-" if row.measured_s is None else span(row.measured_s)
        text.append(f"  {row.what:<12}{span(row.planned_s):>17}{measured:>17}{off:>12}")
    return text


def _effect(plan: dict[str, Any], row: dict[str, Any], fault: bool) -> str:
    from zsms.report.planned import effect_of

    share, later, at, never = effect_of(plan, row, fault)
    if later is None:
        return never
    if abs(later) < 1e-9:
        return f"{share} at the same time"
    by = f"{span(abs(later))} {'later' if later > 0 else 'earlier'}"
    return f"makes {share} {by}" if fault else f"{share} {by}, at {span(at)}"


def _route_lines(made: Any) -> list[str]:
    wide = max(7, *(len(route.name) for route in made.routes)) + 2
    rows = [f"{'route':<{wide}}{'slots':>11}{'delivered':>14}{'segments':>14}{'use':>8}{'cost':>14}  limit (next)"]
    for each in made.routes:
        use = "-" if each.use is None else f"{each.use * 100:.1f} %"
        cost = f"{each.cost:,.2f}" if each.cost else "-"
        limit = (each.binds or "none") + (f" ({each.next})" if each.next else "")
        rows.append(f"{each.name:<{wide}}{each.slots:>11,}{each.delivered:>14,.0f}{each.segments:>14,.0f}{use:>8}"
                    f"{cost:>14}  {limit}")  # fmt: skip
    costs = [each.cost for each in made.routes if each.cost]
    if len(costs) > 1:
        rows.append(f"{'all':<{wide}}{'':>47}{sum(costs):>14,.2f}")
    return rows


def span(value: float | None) -> str:
    """Seconds as people say them."""
    if value is None:
        return "never"
    if value < 120:
        return f"{value:.2f} s"
    if value < 7_200:
        return f"{int(value // 60)} min {value % 60:04.1f} s"
    if value < 2 * 86_400:
        return f"{int(value // 3600)} h {value % 3600 / 60:04.1f} min"
    return f"{value / 86_400:.2f} days"


def curve_csv(made: Any) -> str:
    """The curve: at_s, p10, p50, p90 and a column a route, as shares of all messages."""
    import csv
    import io

    curve = made.curve
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["at_s", "p10", "p50", "p90", *curve["routes"]])
    table.writerows(
        zip(curve["at_s"], curve["p10"], curve["p50"], curve["p90"], *curve["routes"].values(), strict=True)
    )
    return out.getvalue()
