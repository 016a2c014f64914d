"""`zsms dashboard`, and the same page beside `zsms run`."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Self

import click

from zsms.cli import common, places
from zsms.cli.commands import INTERRUPTED
from zsms.dashboard import DEFAULT_BIND
from zsms.errors import UsageError
from zsms.reading import text_of

if TYPE_CHECKING:
    from zsms.dashboard.server import Dashboard
    from zsms.launch.mesh import Mesh

_log = logging.getLogger("zsms.dashboard")

TOKEN = "ZSMS_DASHBOARD_TOKEN"
"""The environment variable of the token: on a command line everyone on the machine could read it."""
RUN_INTERVAL_S = 0.5

dashboard_option = click.option(
    "--dashboard",
    metavar="[HOST:PORT]",
    is_flag=False,
    flag_value=DEFAULT_BIND,
    help=f"Show the run on a web page while it lasts.  [without an address: {DEFAULT_BIND}]",
)


@click.command(
    "dashboard",
    epilog=f"""\b
Examples:
  zsms dashboard                                     http://{DEFAULT_BIND}/, of the collector on this machine
  zsms dashboard --stats queue.example.org
  zsms dashboard --bind 0.0.0.0:5580 --token-file token.txt""",
)
@common.stats_option
@click.option(
    "--bind",
    metavar="HOST:PORT",
    default=DEFAULT_BIND,
    show_default=True,
    help="Where to serve the page; port 0 takes a free one. Off the loopback interface it needs a token.",
)
@click.option("--interval", type=float, default=0.5, show_default=True, help="Seconds between two questions.")
@click.option(
    "--token-file",
    metavar="FILE",
    type=places.READ,
    help=f"The token that browsers must know; also from the environment, {TOKEN}.  "
    "[default: none on the loopback interface, else one that is made up and printed]",
)
@click.option(
    "--allow-host",
    metavar="NAME",
    multiple=True,
    help="Another name by which browsers may call this machine, as behind a proxy; repeatable.",
)
@common.keys_option
@common.config_option
@common.verbosity
def command(
    stats: str,
    bind: str,
    interval: float,
    token_file: str | None,
    allow_host: tuple[str, ...],
    keys: str | None,
    config: str | None,
    quiet: bool,
    verbose: int,
) -> int:
    """Serve a web page that shows how a mesh stands, live, and the same as JSON.

    It asks the collector once an interval, however many browsers look, and goes on when the collector or a browser
    comes and goes. docs/API.md describes the JSON.
    """
    from zsms.dashboard.server import Dashboard

    common.set_up_logging(quiet, verbose)
    common.allow_many_descriptors()
    page = Dashboard(bind=bind, interval=interval, token=_read_token(token_file), hosts=allow_host)
    came = common.stop_on_signals(page)
    page.watch(stats, keys)
    _print_address(page)
    page.run()
    return INTERRUPTED if signal.SIGINT in came else 0


def _read_token(path: str | None) -> str | None:
    """The token of the file or of the environment. Raises UsageError for one that guards nothing."""
    token = os.environ.get(TOKEN)
    where = TOKEN
    if path is not None:
        where = path
        try:
            if os.stat(path).st_mode & 0o004:
                _log.warning("everyone on this machine can read the token in %s: chmod 600 %s", path, path)
            token = text_of(path, most=4_096).strip()
        except OSError as error:
            raise UsageError(f"--token-file {path}: {error.strerror}") from None
    if token is None:
        return None
    if not (len(token) >= 16 and token.isascii() and token.replace("-", "").replace("_", "").isalnum()):
        raise UsageError(
            f"the token of {where}: give at least 16 letters, digits, - or _, as `openssl rand -hex 16` does"
        )
    return token


def _print_address(page: Dashboard) -> None:
    given = page.token is not None and "token=" not in page.url
    click.echo(f"dashboard: {page.url}{'  (add ?token= and the token that was given)' if given else ''}", err=True)


class RunPage:
    """The page beside a run, or nothing at all."""

    def __init__(self, bind: str | None) -> None:
        """`bind` is the address, None for no page."""
        self._bind = bind
        self._page: Dashboard | None = None
        self._mesh: Mesh | None = None

    def __enter__(self) -> Self:
        if self._bind is not None:
            from zsms.dashboard.server import Dashboard

            self._page = Dashboard(bind=self._bind, interval=RUN_INTERVAL_S, token=_read_token(None))
            self._page.start()
            _print_address(self._page)
        return self

    def watch(self, mesh: Mesh) -> None:
        """The mesh runs, and its collector answers."""
        if self._page is not None:
            self._mesh = mesh
            self._page.watch(mesh.stats, mesh.keys)

    def __exit__(self, *exception: object) -> None:
        if self._page is not None:
            self._page.end(None if self._mesh is None else self._mesh.answer)
