"""`zsms producer`."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import click

from zsms.cli import common, options
from zsms.fields import chosen
from zsms.scenario import MeshConfig, MessageSettings


def share(ctx: click.Context, option: click.Parameter, text: str) -> tuple[int, int]:
    """Read I/K."""
    index, _, parts = text.partition("/")
    if not (index.isdigit() and parts.isdigit() and int(index) < int(parts)):
        raise click.BadParameter(f"{text!r}: write I/K, with I from 0 to K - 1")
    return int(index), int(parts)


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
@options.of("producer", MeshConfig)
@click.option("--share", default="0/1", metavar="I/K", callback=share, help="Make only part I (from 0) of K.")
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
def command(**given: Any) -> int:
    """Make random messages, or read real ones, and hand them to a broker.

    Every batch is kept until the broker confirms it. The command ends when all are confirmed.
    """
    how = common.how_to_run(given)
    return common.run_role(partial(_make, **given), **how)


def _make(*, broker: tuple[str, ...], share: tuple[int, int], **given: Any) -> Any:
    """The producer of these options. Raises UsageError."""
    from zsms.core.seeds import Stream, sequence
    from zsms.lists.files import source_of
    from zsms.roles.producer import BATCH_MESSAGES, WINDOW_MESSAGES, Producer

    wanted = chosen(MessageSettings, "producer", given)
    for name, default in (("batch", BATCH_MESSAGES), ("window", WINDOW_MESSAGES)):
        given[name] = default if given[name] is None else given[name]
    return Producer(
        broker,
        source=source_of(wanted, share=share, on_bad=None if wanted.input is None else _BadRows(wanted.input).left_out),
        arrivals_seed=sequence(wanted.seed, Stream.PRODUCER, share[0], "arrivals"),
        **given,
    )


class _BadRows:
    """Logs the first rows of a file that were left out, and then that there are more."""

    MOST = 20

    def __init__(self, path: str) -> None:
        from zsms.lists.stream import name_of

        self._path = name_of(path)
        self._count = 0

    def left_out(self, line: int, reason: str) -> None:
        """A row was left out."""
        self._count += 1
        if self._count <= self.MOST:
            logging.getLogger("zsms.producer").warning("%s:%d: left out: %s", self._path, line, reason)
        elif self._count == self.MOST + 1:
            logging.getLogger("zsms.producer").warning(
                "%s: more rows were left out; the report counts them", self._path
            )
