"""`zsms man`: manual pages made from the commands, so that they can't disagree with `--help`.

The form is that of man(7): https://man7.org/linux/man-pages/man7/man.7.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from zsms import __version__
from zsms.cli import COMMANDS, SECTIONS, load_command
from zsms.errors import ZsmsError

EXIT_STATUS = {
    "0": "Success.",
    "1": "Failure: the work was not done, or the ledger does not balance.",
    "2": "Bad usage: an option or a file of settings is wrong.",
    "3": "A producer was stopped before it had read all of its list.",
    "99": "A threshold of `zsms run` failed.",
    "130": "Interrupted.",
}


@click.command(
    "man",
    epilog="""\b
Examples:
  zsms man ~/.local/share/man/man1 && man zsms-run
  zsms man build/man""",
)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """Write the manual pages zsms.1, zsms-run.1, ... into DIR, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages(ctx.find_root()):
            (folder / f"{name}.1").write_text(text, encoding="utf-8")
    except OSError as error:
        raise ZsmsError(f"can't write manual pages to {folder}: {error.strerror}") from None


def pages(root: click.Context) -> Iterator[tuple[str, str]]:
    """Each page's name, without its section, and its text."""
    root.info_name = "zsms"
    commands = [f".SH {quoted(title.upper())}\n" + listed(names) for title, names in SECTIONS.items()]
    yield "zsms", page(root, "zsms", "simulate, measure and plan the sending of very many SMS alerts", commands)
    for name in COMMANDS:
        yield from pages_of(root, name, load_command(name), COMMANDS[name])


def pages_of(parent: click.Context, name: str, target: click.Command, line: str) -> Iterator[tuple[str, str]]:
    """The page of a command, then those of its subcommands."""
    ctx = click.Context(target, info_name=name, parent=parent)
    path = ctx.command_path.replace(" ", "-")
    parts = []
    children = target.commands if isinstance(target, click.Group) else {}
    if children:
        lines = {f"{name} {each}": child.get_short_help_str(200) for each, child in children.items()}
        parts.append(".SH COMMANDS\n" + listed(lines))
    yield path, page(ctx, path, line.rstrip("."), parts)
    for each, child in children.items():
        yield from pages_of(ctx, each, child, child.get_short_help_str(200))


def page(ctx: click.Context, path: str, line: str, parts: list[str]) -> str:
    """One page in roff. `parts` are finished sections that come after the options."""
    target = ctx.command
    usage = " ".join(target.collect_usage_pieces(ctx))
    sections = [
        f'.TH "{path.upper()}" 1 "" "zsms {__version__}" "User Commands"\n.nh',  # a divided name can't be copied
        f".SH NAME\n{escaped(path)} \\- {escaped(line[0].lower() + line[1:])}",
        f".SH SYNOPSIS\n.B {escaped(ctx.command_path)}\n{escaped(usage)}",
        ".SH DESCRIPTION\n" + prose(target.help or ""),
    ]
    options = [record for param in target.get_params(ctx) if (record := param.get_help_record(ctx)) is not None]
    if options:
        sections.append(".SH OPTIONS\n" + "".join(f".TP\n.B {escaped(a)}\n{escaped(b)}\n" for a, b in options))
    sections += parts
    if variables := environment(ctx):
        sections.append(".SH ENVIRONMENT\n" + variables)
    sections.append(".SH EXIT STATUS\n" + "".join(f".TP\n.B {a}\n{escaped(b)}\n" for a, b in EXIT_STATUS.items()))
    if target.epilog:
        title, _, examples = target.epilog.replace("\b", "").strip().partition("\n")
        sections.append(f".SH {title.rstrip(':').upper()}\n.nf\n{escaped(examples)}\n.fi")
    if path != "zsms":
        sections.append(".SH SEE ALSO\n.BR zsms (1)")
    return "\n".join(section.rstrip("\n") for section in sections) + "\n"


def environment(ctx: click.Context) -> str:
    """The variables that set the command's options."""
    names = [option for option in ctx.command.params if isinstance(option, click.Option) and not option.hidden]
    if ctx.parent is None or not names:
        return ""
    prefix = re.sub(r"[ -]", "_", ctx.command_path).upper()
    first = max(names[0].opts, key=len)
    variable = f"{prefix}_{first.lstrip('-').replace('-', '_').upper()}"
    return escaped(f"Each option can be given as {prefix}_OPTION too, such as {variable} for {first}.") + "\n"


def listed(lines: dict[str, str]) -> str:
    """Commands with a line each."""
    return "".join(
        f".TP\n.BR {escaped('zsms-' + name.replace(' ', '-'))} (1)\n{escaped(a)}\n" for name, a in lines.items()
    )


def prose(text: str) -> str:
    """A docstring's paragraphs."""
    paragraphs = [" ".join(part.split()) for part in text.replace("\b", "").split("\n\n")]
    return "\n.PP\n".join(escaped(part) for part in paragraphs if part)


def quoted(text: str) -> str:
    """One argument of a macro."""
    return '"' + escaped(text).replace('"', '""') + '"'


def escaped(text: str) -> str:
    """Text that roff prints as it is: no escapes, hyphens that can be copied, no line that is a request."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", safe, flags=re.MULTILINE)
