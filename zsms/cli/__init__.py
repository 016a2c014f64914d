"""The command line: a file a command, no logic.

Commands are imported when they are run, so that `zsms --help` waits for no numpy. Every option can also come from the
environment (ZSMS_RUN_SENDERS) and from a file (`--config`): see :mod:`zsms.cli.settings`.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import sys

import click

from zsms import __version__
from zsms.cli.commands import COMMANDS as COMMANDS
from zsms.cli.commands import EXIT_CODES as EXIT_CODES
from zsms.cli.commands import INTERRUPTED as INTERRUPTED
from zsms.cli.commands import SECTIONS
from zsms.cli.commands import UNREAD as UNREAD
from zsms.cli.commands import load_command as load_command
from zsms.errors import NO_THREADS, UsageError, ZsmsError
from zsms.words import in_line


class _Lazy(click.Group):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return load_command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from zsms.fields import nearest

            like = {"help": "--help", "version": "--version"}
            raise click.UsageError(f"No such command {args[0]!r}{nearest(args[0], COMMANDS, like=like)}", ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            from zsms.cli import slips

            if twice := slips.given_twice(command, rest):
                raise UsageError(f"{twice} is given twice: give one, for only the last would be used")
        return name, command, rest


@click.command(
    cls=_Lazy,
    context_settings={
        "auto_envvar_prefix": "ZSMS",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="""\b
Examples:
  zsms run                                       100,000 messages, 2 x 5,000 slots
  zsms run --senders 2 --concurrency 500000 --messages 10000000
  zsms COMMAND --help                            options, units and examples
\b
Exit codes: 0 well, 1 failed, 2 used wrongly, 3 a list was not read to its end, 99 a threshold does not hold, 130
interrupted.""",
)
@click.version_option(__version__, prog_name="zsms")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Simulate, measure and plan the sending of very many SMS alerts on a ZeroMQ mesh.

    Producers make messages and push them to a broker; the broker balances them over senders, whose slots each
    send one message at a time by sleeping; every process reports to a stats collector, which answers monitors.
    """
    from zsms.cli.environment import strange

    if "--exit-with-parent" in sys.argv:
        return  # whoever started this process has said it
    for line in strange(ctx.invoked_subcommand, os.environ):
        click.echo(f"zsms: {line}", err=True)


def _place(option: click.Parameter, context: click.Context) -> str | None:
    """The option and the variable or the file that set it; None when it was neither."""
    name = option.name or ""
    if context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT_MAP:
        file = context.params.get("config") or context.params.get("scenario")
        return f"'{max(option.opts, key=len)}' (set in {file})"
    if context.get_parameter_source(name) is not click.core.ParameterSource.ENVIRONMENT:
        return None
    variable = f"{context.auto_envvar_prefix}_{name}".upper()
    return f"'{max(option.opts, key=len)}' (set by {variable} in the environment)"


def _explained(error: click.UsageError, context: click.Context) -> str:
    """What was wrong with a command line, and what was meant."""
    from zsms.cli import slips

    if isinstance(error, click.NoSuchOption):
        return f"No such option {error.option_name!r}{slips.option_meant(error.option_name, context.command, sys.argv)}"
    message = error.format_message()
    return message + slips.dash_meant(sys.argv) if "unexpected extra argument" in message else message


def show_error(error: click.ClickException) -> None:
    """A line that says what was wrong and where to look; click's own form of it takes four."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    bad = error if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) else None
    if bad is not None and context is not None and bad.param is not None:
        place = _place(bad.param, context) or bad.param_hint
        from zsms.cli.slips import instead

        error = click.BadParameter(instead(bad.param, bad.message), context, bad.param, place)
    usage = error if isinstance(error, click.UsageError) else None
    message = _explained(usage, context) if usage and context else error.format_message()
    if usage is None or "\n" in message:
        error.show()  # such as the help, when no command was given
        return
    path = (
        context.command_path
        if context is not None
        else " ".join(["zsms", *(w for w in sys.argv[1:2] if w in COMMANDS)])
    )
    click.echo(f"{path}: {message} (see `{path} --help`)", err=True)


def main() -> None:
    """`zsms`: exits with 0, 1 (failure), 2 (bad usage), 3 (a list was not read to its end), 130 (interrupted)."""
    from zsms.cli import streams

    # Before numpy, whichever command imports it: no command multiplies matrices, each plans on a core of its own, and
    # a process with the threads of a library can't be forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    streams.set_up()
    if "_ZSMS_COMPLETE" in os.environ:
        from zsms.cli import completion  # noqa: F401  # tells click how bash divides words
    code = _call()
    if (error := streams.take_error()) is not None:
        click.echo(f"zsms: can't write to standard output: {error.strerror}", err=True)
        code = code or 1
    if signal.getsignal(signal.SIGTERM) is signal.default_int_handler:  # what it interrupts, such as a run, is over
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # and the code is to arrive
            signal.signal(number, signal.SIG_IGN)
    raise SystemExit(code)  # a function of the user's may have changed sys.exit


def _call() -> int:
    """Run the command, and tell of its errors; returns the exit code."""
    code: object
    try:
        code = cli.main(prog_name="zsms", standalone_mode=False)
    except click.ClickException as error:
        show_error(error)
        code = error.exit_code
    except ZsmsError as error:
        from zsms import logs
        from zsms.cli.environment import origin

        text = f"{error}"
        if isinstance(error, UsageError):
            text += origin(text, sys.argv[1:], os.environ)
        if logs.as_json():
            logging.getLogger("zsms").error("%s", text)
        else:
            click.echo(f"zsms: {in_line(text)}", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = 1  # who watched for ever has nobody left to tell: nothing is wrong, and nothing more can be said
    except Exception as error:
        if not (why := _out_of(error)):
            raise
        click.echo(f"zsms: {why}", err=True)
        code = 1
    except SystemExit as end:
        if "_ZSMS_COMPLETE" not in os.environ:
            raise
        code = end.code  # click ends so, and whether its answer arrived is to be looked at
    return code if isinstance(code, int) else 0


def _out_of(error: Exception) -> str:
    """What this machine, or what it lets a process have, has run out of, in words; "" where that is not it."""
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"no file descriptors are left (this process may have {limit}): raise `ulimit -n`"
    if isinstance(error, FileNotFoundError) and not _is_somewhere():
        return "the folder that this was started in is gone: change to another"
    unmapped = isinstance(error, ImportError) and "failed to map segment" in str(error.__cause__ or error)
    if unmapped or isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return "no memory is left: give it more (`ulimit -v` or a container's limit may hold it back)"
    if str(error) == "can't start new thread" or isinstance(error, BlockingIOError):
        return NO_THREADS
    return ""


def _is_somewhere() -> bool:
    """Whether there is a current folder."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True
