"""What the commands share: options, logging, signals, and running a role to its end."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TextIO, TypeVar, cast

import click

from zsms import logs
from zsms.cli import places, streams
from zsms.cli.commands import INTERRUPTED, UNREAD
from zsms.cli.settings import config_option as config_option
from zsms.errors import UsageError
from zsms.launch.children import STOPPING
from zsms.roles.sd_notify import Notifier

F = TypeVar("F", bound=Callable[..., Any])

_PARENT_S = 1.0
"""Seconds that a process which was signalled gives its parent to say that everybody was."""
_END_S = 10.0
"""Seconds that a process whose parent is gone takes to end, at most."""
_DESCRIPTORS = 65_536
"""Descriptors that a role asks for."""


def together(options: Sequence[Callable[[Any], Any]]) -> Callable[[F], F]:
    """Several options as one decorator, in this order in the help."""

    def apply(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return apply


def _without_log_format(function: F) -> F:
    """No command needs the format of its log lines: `set_up_logging` finds it in the context."""

    @functools.wraps(function)
    def call(*arguments: Any, log_format: str, **options: Any) -> Any:
        return function(*arguments, **options)

    return cast(F, call)


verbosity = together(
    [
        click.option("-q", "--quiet", is_flag=True, help="Log warnings only."),
        click.option("-v", "--verbose", count=True, help="Log details; twice: those of libraries too."),
        click.option(
            "--log-format",
            type=click.Choice(logs.FORMATS),
            default="human",
            show_default=True,
            help="How lines on stderr look: for people, or a JSON object a line.",
        ),
        _without_log_format,
    ]
)

ui_option = click.option(
    "--ui",
    type=click.Choice(["auto", "live", "plain", "none"]),
    default="auto",
    show_default=True,
    help="What to show on stderr: a live panel, a line an interval, or nothing. auto: live on a terminal, else plain.",
)

broker_option = click.option(
    "--broker",
    metavar="ENDPOINT",
    multiple=True,
    default=("tcp://127.0.0.1:5555",),
    show_default=True,
    help="The broker: HOST, HOST:PORT, [IPV6]:PORT or ipc://PATH. It also uses PORT + 1. HOST,HOST: one broker that is "
    "at either, a standby at the other. Again for each of several.",
)
stats_option = click.option(
    "--stats",
    metavar="ENDPOINT",
    default="tcp://127.0.0.1:5557",
    show_default=True,
    help="The stats collector, written like a broker. It also uses PORT + 1.",
)

metrics_option = click.option(
    "--metrics",
    metavar="ADDRESS",
    help="Serve the figures to Prometheus there: PORT (of 127.0.0.1) or HOST:PORT, such as 127.0.0.1:9464.",
)
keys_option = click.option(
    "--keys",
    metavar="PATH",
    type=places.READ,
    help="Encrypt, and prove who this is: a .key file, or a directory with one for this role (see `zsms keys`).",
)
insecure_option = click.option(
    "--insecure", is_flag=True, help="Listen without keys where other hosts can reach it: anybody there may join in."
)

role_options = together(
    [
        click.option("--name", help="Name in statistics, the same over restarts.  [default: role, host, pid, letters]"),
        click.option(
            "--stats-interval", type=float, default=1.0, show_default=True, help="Seconds between two snapshots."
        ),
        click.option(
            "--drain-timeout",
            type=float,
            default=30.0,
            show_default=True,
            help="Seconds that a first Ctrl-C or SIGTERM waits for work to end; a second one ends at once.",
        ),
        keys_option,
        config_option,
        verbosity,
        click.option("--exit-with-parent", is_flag=True, hidden=True, help="End when standard input closes."),
        click.option("--held", is_flag=True, hidden=True, help="Be ready, and begin when standard input says go."),
    ]
)

stream_option = click.option(
    "--stream",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="A number for each of several processes of a role that have the same --seed, so that each draws its own.",
)

log_messages_option = click.option(
    "--log-messages",
    metavar="FILE",
    type=places.WRITTEN,
    help="Append a row of CSV there for each message that is settled: time, recipient, attempts, outcome, times.",
)


def set_up_logging(quiet: bool, verbose: int, stream: TextIO | None = None) -> None:
    """Log to `stream` (None: stderr), as the command's `verbosity` options say."""
    ctx = click.get_current_context(silent=True)
    logs.set_up(quiet, verbose, "human" if ctx is None else ctx.params.get("log_format", "human"), stream)


class Stoppable(Protocol):
    """A role or a mesh."""

    def stop(self) -> None:
        """Drain; the second time, leave."""


def stop_on_signals(what: Stoppable) -> list[int]:
    """Let what people, terminals and batch systems send stop `what`; the list that is returned fills with the signals
    that came.

    A terminal that goes away sends SIGHUP more than once, and a limit of processor time SIGXCPU every second, of which
    the first counts; under nohup none does. SIGQUIT (Ctrl-\\) ends it at once.
    """
    came: list[int] = []

    def handle(number: int, frame: object) -> None:
        again = number in (signal.SIGHUP, signal.SIGXCPU) and number in came
        came.append(number)
        for _ in range(0 if again else 2 if number == signal.SIGQUIT else 1):
            what.stop()

    for number in STOPPING:
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)
    return came


def interrupt_on_signals() -> None:
    """Let the same raise KeyboardInterrupt, so that what a command has started ends before it."""
    for number in STOPPING:
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def when_open(role: Any) -> None:
    """What is done once a role's sockets are open: nothing. :mod:`zsms.cli.launched` has something to do."""


def run_role(make: Callable[[], Any], *, quiet: bool, verbose: int, exit_with_parent: bool, held: bool = False) -> int:
    """Make a role and run it to its end; returns the exit code. One that is `held` begins when its parent says so."""
    set_up_logging(quiet, verbose, streams.for_log())
    allow_many_descriptors()
    orders = _take_input() if exit_with_parent else None
    role = make()
    logs.identify(role.role, role.name)
    role.opened = functools.partial(when_open, role)
    role.notifier = Notifier.from_environment(os.environ)
    parent = None if orders is None else _Parent(role, orders)
    came = stop_on_signals(role if parent is None else parent)
    role.wake_on_signals()
    if parent is not None:
        threading.Thread(target=parent.listen, daemon=True).start()
        if held:
            parent.may_go.wait()
    role.run()
    if getattr(role, "unread", ""):
        return UNREAD
    return INTERRUPTED if signal.SIGINT in came and parent is None else 0


def how_to_run(options: dict[str, Any]) -> dict[str, Any]:
    """What `run_role` needs of a command's options, taken out of them."""
    del options["config"]
    return {name: options.pop(name, False) for name in ("quiet", "verbose", "exit_with_parent", "held")}


def allow_many_descriptors() -> None:
    """Use what the hard limit allows: each connection is a descriptor, and the usual soft limit is 1,024."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    while soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
        except (ValueError, OSError):
            wanted = min(wanted // 2, 10_240)  # macOS takes no more than this, whatever its hard limit says


def _take_input() -> int:
    """Standard input, as a descriptor of its own. Who reads what stands in its place, as a function of the user's may,
    is at its end at once, and takes no orders away."""
    orders = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


class _Parent:
    """Whoever started this role, and gives it orders on standard input, a line each, until that ends.

    ``rate 1234.5`` is for a producer; ``slow 2``, ``fail 0.1`` and ``cap 100`` for a sender; ``go`` lets one that is
    held begin; ``stop`` is to drain; ``stay`` is not to mind the signals that come. When the parent is gone, however it
    went, nobody needs this process: it leaves at once.
    """

    def __init__(self, role: Any, orders: int) -> None:
        self._role = role
        self._orders = orders
        self._stay = False
        self.may_go = threading.Event()

    def stop(self) -> None:
        """A signal came. If it came to everybody, the parent says within `_PARENT_S` to stay."""
        timer = threading.Timer(_PARENT_S, self._stop_unless_told)
        timer.daemon = True
        timer.start()

    def _stop_unless_told(self) -> None:
        if not self._stay:
            self._role.stop()

    def listen(self) -> None:
        """Obey until the orders end."""
        rest = b""
        while piece := os.read(self._orders, 4096):  # sys.stdin's own buffer would hold up the interpreter's end
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._obey(line.decode("ascii", "replace"))
        self._role.stop()
        self._role.stop()
        self.may_go.set()
        time.sleep(_END_S)
        os._exit(1)  # a function of the user's keeps it, for nobody

    def _obey(self, order: str) -> None:
        word, _, value = order.partition(" ")
        try:
            if order == "stay":
                self._stay = True
            elif order == "go":
                self.may_go.set()
            elif order == "stop":
                self._role.stop()
                self.may_go.set()
            elif word == "rate" and hasattr(self._role, "set_rate"):
                self._role.set_rate(float(value))
            elif word in ("slow", "fail", "cap") and hasattr(self._role, "change"):
                self._role.change(**{word: float(value)})
            else:
                raise ValueError("there is no such order")
        except (ValueError, UsageError) as error:
            log = logging.getLogger("zsms.cli")
            log.warning("%s: the parent's order %r: %s", self._role.name, order[:80], error)
