"""Settings in the environment that go wrong: variables that set nothing, and errors that come from one.

click reads the variables (ZSMS_RUN_SENDERS); what is here only tells people about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import click

from zsms.cli.commands import COMMANDS, load_command
from zsms.fields import nearest

PREFIX = "ZSMS_"
_OTHERS = ("ZSMS_DASHBOARD_TOKEN", "ZSMS_FAIL_POINT", "ZSMS_GATEWAY_PASSWORD")
"""Read by somebody else."""
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
"""What Kubernetes puts into the environment for a service that is called zsms-broker, say."""


def _variables(command: click.Command, prefix: str) -> Iterator[tuple[str, str]]:
    """(variable, option) of every option that the environment can set."""
    for option in command.params:
        if isinstance(option, click.Option) and option.name and option.allow_from_autoenv and not option.hidden:
            yield f"{prefix}_{option.name}".upper(), option.name
    for name, part in getattr(command, "commands", {}).items():
        yield from _variables(part, f"{prefix}_{name}".upper().replace("-", "_"))


def _of(name: str) -> dict[str, str]:
    return dict(_variables(load_command(name), f"{PREFIX}{name}".upper()))


def strange(name: str | None, environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each variable that looks like a setting of the command `name`, of `run` or of no command, and sets
    nothing here.

    One of another role's is not looked at: several containers are often given the same variables.
    """
    known = _of(name) if name in COMMANDS else {}
    for variable in sorted(environ):
        upper = variable.upper()
        if not upper.startswith(PREFIX) or variable in known or variable in _OTHERS or _SERVICE_LINK.fullmatch(upper):
            continue
        owner = next((each for each in COMMANDS if upper.startswith(f"{PREFIX}{each}_".upper())), None)
        if owner not in (None, name, "run"):
            continue
        if owner == "run" != name:
            yield from _of_run(variable, upper, name, known)
        else:
            yield f"{variable} in the environment is no setting{_hint(upper, owner)}"


def _of_run(variable: str, upper: str, name: str | None, known: Mapping[str, str]) -> Iterator[str]:
    """What to say of a setting of `run`, which means nothing to the command `name`."""
    own = upper.replace("_RUN_", f"_{name}_".upper(), 1)
    if own in known:
        yield f"{variable} in the environment is for `zsms run`; `zsms {name}` reads {own}"
    elif variable not in _of("run"):
        yield f"{variable} in the environment is no setting{_hint(upper, 'run')}"


def _hint(upper: str, owner: str | None) -> str:
    """The setting that was meant, perhaps: of this command, or of any."""
    if owner is not None:
        names = {each: each.removeprefix(f"{PREFIX}{owner}_".upper()) for each in _of(owner)}
        asked = upper.removeprefix(f"{PREFIX}{owner}_".upper())
    else:
        names = {each: each.removeprefix(PREFIX) for command in COMMANDS for each in _of(command)}
        asked = upper.removeprefix(PREFIX)
        names |= {f"{PREFIX}RUN_{asked}": asked} if f"{PREFIX}RUN_{asked}" in names else {}
    return nearest(asked, (), like={text: each for each, text in reversed(names.items())}, cutoff=0.7)


def origin(text: str, words: list[str], environ: Mapping[str, str]) -> str:
    """Where an error that speaks of options comes from, as a remark: the variables that set them; or nothing.

    `words` are those of the command line, the command first.
    """
    name, *rest = words or [""]
    if name not in COMMANDS:
        return ""
    given = {word.partition("=")[0].lstrip("-").replace("-", "_") for word in rest if word.startswith("-")}
    found = [
        variable
        for variable, option in _of(name).items()
        if variable in environ and option not in given and re.search(rf"\b{option.replace('_', '[ _-]')}\b", text)
    ]
    return f" (set by {', '.join(found)} in the environment)" if found else ""
