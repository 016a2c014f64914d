"""What the commands share: options, logging, signals, and running a role to its end."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

import click

from zsms import logs
from zsms.cli import INTERRUPTED, UNREAD, places
from zsms.cli.settings import config_option as config_option
from zsms.errors import UsageError
from zsms.roles.sd_notify import Notifier

F = TypeVar("F", bound=Callable[..., Any])

_PARENT_S = 1.0
"""Seconds that a process which was signalled gives its parent to say that everybody was."""
_END_S = 10.0
"""Seconds that a process whose parent is gone takes to end, at most."""
_DESCRIPTORS = 65_536
"""Descriptors that a role asks for."""

ARRIVALS = ("even", "poisson")
DELAYS = ("normal", "constant", "exponential", "lognormal", "gamma", "weibull")


def together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
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
    type=places.FILE,
    help="Encrypt, and prove who this is: a .key file, or a directory with one for this role (see `zsms keys`).",
)
insecure_option = click.option(
    "--insecure", is_flag=True, help="Listen without keys where other hosts can reach it: anybody there may join in."
)

role_options = together(
    click.option("--name", help="Name in statistics, the same over restarts.  [default: role, host, pid, letters]"),
    click.option("--stats-interval", type=float, default=1.0, show_default=True, help="Seconds between two snapshots."),
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
)

broker_limits = together(
    click.option(
        "--max-messages", type=int, default=500_000, show_default=True, help="High-water mark of the queue, messages."
    ),
    click.option(
        "--max-bytes", type=int, default=256 * 2**20, show_default=True, help="High-water mark of the queue, bytes."
    ),
    click.option(
        "--max-attempts",
        type=int,
        default=1,
        show_default=True,
        help="Sends of a message before it is given up; 1: a failed send is final.",
    ),
    click.option(
        "--max-deliveries",
        type=int,
        default=20,
        show_default=True,
        help="Senders that a message may be taken back from before it is dead.",
    ),
    click.option(
        "--retry-base",
        type=float,
        default=0.5,
        show_default=True,
        help="Longest wait before the second attempt, seconds; doubles with each.",
    ),
    click.option(
        "--retry-cap", type=float, default=60.0, show_default=True, help="Longest wait before any attempt, seconds."
    ),
    click.option(
        "--lease",
        type=float,
        default=60.0,
        show_default=True,
        help="Seconds that a sender may hold a message, unless it asks for longer.",
    ),
    click.option(
        "--max-lease",
        type=float,
        default=43_200.0,
        show_default=True,
        help="The longest, in seconds, that a sender may ask for (12 hours).",
    ),
    click.option(
        "--liveness",
        type=float,
        default=5.0,
        show_default=True,
        help="Seconds that a sender may be silent before its messages go to others.",
    ),
    click.option(
        "--uncertain",
        type=click.Choice(["fail", "resend"]),
        default="fail",
        show_default=True,
        help="What becomes of a send without an answer: it is final, or tried again, perhaps as a second SMS.",
    ),
)

journal_options = together(
    click.option(
        "--journal",
        metavar="DIR|URL",
        type=places.FOLDER,
        help="Keep what is confirmed in this folder, so that it outlasts the broker; or with NATS servers, so that it "
        "outlasts its machine: nats://HOST,HOST,HOST/NAME.  [default: nothing is kept]",
    ),
    click.option(
        "--durability",
        type=click.Choice(("majority", "fsync", "os", "memory")),
        help="What a confirm means: with most of the NATS servers; on the disk; with the operating system, safe from a "
        "crash of the broker but not of the machine; in memory.  [default: majority or fsync with a journal, else "
        "memory]",
    ),
)

stream_option = click.option(
    "--stream",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="A number for each of several processes of a role that have the same --seed, so that each draws its own.",
)

message_options = together(
    click.option(
        "--input",
        metavar="FILE",
        type=places.FILE,
        help="Real messages: a .csv (columns recipient, text) or .jsonl file, a named pipe, or - for standard input.",
    ),
    click.option(
        "--input-format",
        type=click.Choice(("csv", "jsonl")),
        help="What --input is.  [default: what its name says]",
    ),
    click.option("--skip-bad-rows", is_flag=True, help="Count and leave out rows that are no messages."),
    click.option("--unique", is_flag=True, help="Leave out rows of --input whose recipient came before."),
    click.option("--min-length", type=int, default=1, show_default=True, help="Shortest random text, characters."),
    click.option("--max-length", type=int, default=100, show_default=True, help="Longest random text, characters."),
    click.option("--alphabet", help="Characters of random texts.  [default: ASCII from space to underscore]"),
    click.option(
        "--prefix",
        metavar="DIGITS",
        multiple=True,
        help="Beginning of random numbers, repeatable.  [default: +1 and an area code 37x or 96x, assigned to nobody]",
    ),
    click.option(
        "--rate", type=float, help="Open-loop arrival rate, messages a second.  [default: as fast as it goes]"
    ),
    click.option(
        "--arrivals",
        type=click.Choice(ARRIVALS),
        default="even",
        show_default=True,
        help="How those of --rate lie in time. Even: waits are far shorter than those of real (poisson) arrivals.",
    ),
    click.option("--batch", type=int, help="Most messages in a frame.  [default: 16384]"),
    click.option(
        "--window", type=int, help="Most unconfirmed messages of a producer, at each broker.  [default: 200000]"
    ),
    click.option("--seed", type=click.IntRange(min=0), help="Makes the run's random draws repeatable."),
)

slot_options = together(
    click.option(
        "--delay",
        type=click.Choice(DELAYS),
        default="normal",
        show_default=True,
        help="How the time of a send is drawn.",
    ),
    click.option(
        "--mean",
        type=float,
        default=1.0,
        show_default=True,
        help="Mean time of a send, seconds; of what is drawn, also where a normal one is cut at 0.",
    ),
    click.option("--sd", type=float, help="Its standard deviation, seconds.  [default: a tenth of the mean]"),
    click.option(
        "--failure-rate", type=float, default=0.0, show_default=True, help="Share of sends that fail, 0 to 1."
    ),
    click.option(
        "--tick", type=float, help="Seconds between two looks at the slots.  [default: mean / 100, from 0.001 to 0.010]"
    ),
    click.option(
        "--prefetch", type=int, help="Messages to hold beside those in slots.  [default: what they send in 20 ms]"
    ),
    click.option(
        "--ramp",
        type=float,
        help="Seconds over which a sender opens its slots.  [default: the mean in a run of 100,000 slots, else 0]",
    ),
    click.option(
        "--cap", type=float, help="Segments a second that may begin, a group's senders together.  [default: none]"
    ),
    click.option(
        "--burst", type=float, default=0.0, show_default=True, help="Segments that may begin at once after a rest."
    ),
    click.option(
        "--transport", metavar="MODULE:FUNCTION", help="Call `async def FUNCTION(message)` instead of sleeping."
    ),
    click.option(
        "--gateway",
        metavar="URL",
        help="Send to this gateway instead of sleeping: smpp://[SYSTEM_ID@]HOST[:PORT], or http://HOST:PORT/PATH, each "
        "with its settings behind it, such as ?binds=4&window=100 or #kannel&username=NAME.",
    ),
    click.option(
        "--yes-really-send",
        is_flag=True,
        help="A gateway that is not this machine is meant: people may get what is sent, and you may pay for it.",
    ),
)


log_messages_option = click.option(
    "--log-messages",
    metavar="FILE",
    type=places.FILE,
    help="Append a row of CSV there for each message that is settled: time, recipient, attempts, outcome, times.",
)


def set_up_logging(quiet: bool, verbose: int) -> None:
    """Log to stderr, as the command's `verbosity` options say."""
    ctx = click.get_current_context(silent=True)
    logs.set_up(quiet, verbose, "human" if ctx is None else ctx.params.get("log_format", "human"))


class Stoppable(Protocol):
    """A role or a mesh."""

    def stop(self) -> None:
        """Drain; the second time, leave."""


def stop_on_signals(what: Stoppable) -> list[int]:
    """Let SIGINT, SIGTERM and SIGHUP stop `what`; the list that is returned fills with the signals that came.

    A terminal that goes away sends SIGHUP more than once, of which the first counts; under nohup none does.
    """
    came: list[int] = []

    def handle(number: int, frame: object) -> None:
        again = number == signal.SIGHUP and number in came
        came.append(number)
        if not again:
            what.stop()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handle)
    return came


def when_open(role: Any) -> None:
    """What is done once a role's sockets are open: nothing. :mod:`zsms.cli.launched` has something to do."""


def run_role(make: Callable[[], Any], *, quiet: bool, verbose: int, exit_with_parent: bool) -> int:
    """Make a role and run it to its end; returns the exit code."""
    set_up_logging(quiet, verbose)
    allow_many_descriptors()
    role = make()
    logs.identify(role.role, role.name)
    role.opened = functools.partial(when_open, role)
    role.notifier = Notifier.from_environment(os.environ)
    parent = _Parent(role) if exit_with_parent else None
    came = stop_on_signals(role if parent is None else parent)
    role.wake_on_signals()
    if parent is not None:
        threading.Thread(target=parent.listen, daemon=True).start()
    role.run()
    if getattr(role, "unread", ""):
        return UNREAD
    return INTERRUPTED if signal.SIGINT in came and parent is None else 0


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


class _Parent:
    """Whoever started this role, and gives it orders on standard input, a line each, until that ends.

    ``rate 1234.5`` is for a producer; ``slow 2``, ``fail 0.1`` and ``cap 100``
    for a sender; ``stop`` is to drain; ``stay`` is not to mind the signals that come. When the
    parent is gone, however it went, nobody needs this process: it leaves at once.
    """

    def __init__(self, role: Any) -> None:
        self._role = role
        self._stay = False

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
        while piece := os.read(0, 4096):  # sys.stdin's own buffer would hold up the interpreter's end
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._obey(line.decode("ascii", "replace"))
        self._role.stop()
        self._role.stop()
        time.sleep(_END_S)
        os._exit(1)  # a function of the user's keeps it, for nobody

    def _obey(self, order: str) -> None:
        word, _, value = order.partition(" ")
        try:
            if order == "stay":
                self._stay = True
            elif order == "stop":
                self._role.stop()
            elif word == "rate" and hasattr(self._role, "set_rate"):
                self._role.set_rate(float(value))
            elif word in ("slow", "fail", "cap") and hasattr(self._role, "change"):
                self._role.change(**{word: float(value)})
            else:
                raise ValueError("there is no such order")
        except (ValueError, UsageError) as error:
            log = logging.getLogger("zsms.cli")
            log.warning("%s: the parent's order %r: %s", self._role.name, order[:80], error)


def share(ctx: click.Context, option: click.Parameter, text: str) -> tuple[int, int]:
    """Read I/K."""
    index, _, parts = text.partition("/")
    if not (index.isdigit() and parts.isdigit() and int(index) < int(parts)):
        raise click.BadParameter(f"{text!r}: write I/K, with I from 0 to K - 1")
    return int(index), int(parts)


class _BadRows:
    """Logs the first rows of a file that were left out, and then that there are more."""

    MOST = 20

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0

    def tell(self, line: int, reason: str) -> None:
        """A row was left out."""
        self._count += 1
        if self._count <= self.MOST:
            logging.getLogger("zsms.producer").warning("%s:%d: left out: %s", self._path, line, reason)
        elif self._count == self.MOST + 1:
            logging.getLogger("zsms.producer").warning(
                "%s: more rows were left out; the report counts them", self._path
            )


def arrivals_seed(*, seed: int | None, share: tuple[int, int], **_others: Any) -> Any:
    """The stream that draws the arrivals of this part of the messages."""
    from zsms.core.seeds import Stream, sequence

    return sequence(seed, Stream.PRODUCER, share[0], "arrivals")


def make_source(
    *,
    messages: int | None,
    share: tuple[int, int],
    input: str | None,  # noqa: A002  # the option's name
    input_format: str | None,
    skip_bad_rows: bool,
    unique: bool,
    min_length: int,
    max_length: int,
    alphabet: str | None,
    prefix: tuple[str, ...],
    seed: int | None,
) -> Any:
    """The source that the options ask for."""
    if input is not None:
        from zsms.sources.files import FileSource, check_beside_input
        from zsms.sources.stream import name_of

        check_beside_input(min_length, max_length, alphabet, prefix)
        return FileSource(
            input,
            format=input_format,
            skip_bad_rows=skip_bad_rows,
            unique=unique,
            limit=messages,
            share=share,
            on_bad=_BadRows(name_of(input)).tell,
        )
    from zsms.sources.random import MESSAGES, random_source

    return random_source(
        MESSAGES if messages is None else messages,
        seed,
        share=share,
        min_length=min_length,
        max_length=max_length,
        alphabet=alphabet,
        prefixes=prefix,
    )
