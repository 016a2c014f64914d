"""`bin/figures`: the study, and its charts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from zsms.cli import INTERRUPTED, common
from zsms.errors import UsageError, ZsmsError


@click.command(
    "bin/figures",
    epilog="""\b
Examples:
  bin/figures --quick                             a minute, into figures/quick
  bin/figures                                    half an hour; start it again to go on
  bin/figures --max-slots 100000 --repeat 1
  bin/figures --plots-only                        draw the charts again""",
)
@click.option("--quick", is_flag=True, help="A minute's study: four rungs, 5 messages a sender, no repeats.")
@click.option(
    "--out",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the charts go; the data go into its data/.  [default: figures, or figures/quick with --quick]",
)
@click.option("--repeat", type=int, help="Runs of each step.  [default: 3, or 1 with --quick]")
@click.option(
    "--max-slots",
    type=int,
    help="The ladder's last rung, concurrent slots.  [default: 10000000, or 1000000 with --quick]",
)
@click.option(
    "--baseline-max",
    type=int,
    help="Most slots (tasks) of the baseline; 0 leaves it out.  [default: 2000000, or 100000 with --quick]",
)
@click.option("--fresh", is_flag=True, help="Begin again, instead of going on from the runs that are there.")
@click.option("--plots-only", is_flag=True, help="Make no runs; draw the charts of those that are there.")
def command(
    quick: bool,
    out: Path | None,
    repeat: int | None,
    max_slots: int | None,
    baseline_max: int | None,
    fresh: bool,
    plots_only: bool,
) -> int:
    """Repeat the scalability study: throughput against concurrent slots, of the mesh and of an asyncio baseline.

    For a ladder of concurrent slots, both send 10 messages a slot (the baseline 3 to 10; mean 1 s, sd 0.1 s), in turn
    and repeatedly. Every run's row is kept at once in data/scaling.csv, and runs that have one are not made again:
    interrupt the study when you like, and start it again. It ends with the charts, and with a table of the
    medians on standard output.

    Exits with 1 when a run loses a message or does not balance, 130 when it was interrupted.
    """
    from study import diagram, plots, record
    from study.ladder import Plan
    from study.progress import Progress
    from study.runner import Study
    from study.style import need_matplotlib

    if plots_only and fresh:
        raise UsageError("--plots-only draws the runs that are there, and --fresh drops them: give one of the two")
    need_matplotlib()
    out = out or Path("figures/quick" if quick else "figures")
    study = Study(Plan(quick, repeat, max_slots, baseline_max), out, fresh, shlex.join(["bin/figures", *sys.argv[1:]]))
    if not plots_only:
        common.stop_on_signals(study)
        with Progress() as progress:
            study.run(progress)
        if study.stopped:
            click.echo(f"interrupted: {study.csv} has {len(study.runs)} runs; start it again to go on", err=True)
            return INTERRUPTED
    account = study.load()
    pictures = [*plots.draw(study.runs, account, out), diagram.draw(out)]
    for line in record.table(study.runs):
        click.echo(line)
    click.echo(f"drawn: {', '.join(map(str, pictures))}", err=True)
    return 0


def main() -> int:
    """Exits with 0, 1 (failure), 2 (bad usage), 130 (interrupted)."""
    common.set_up_logging(quiet=False, verbose=0)
    try:
        return int(command.main(prog_name="bin/figures", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ZsmsError as error:
        click.echo(f"bin/figures: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
