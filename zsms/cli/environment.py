"""Settings in the environment that go wrong: variables that set nothing, and errors that come from one.

click reads the variables (ZSMS_RUN_SENDERS); what is here only tells people about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

import click

from zsms.cli import COMMANDS, load_command

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
    """A line for each variable that looks like a setting of the command `name`, or of no command, and is none."""
    beginnings = tuple(f"{PREFIX}{each}_".upper() for each in COMMANDS)
    own = f"{PREFIX}{name}_".upper()
    looked = [
        variable
        for variable in sorted(environ)
        if variable.startswith(PREFIX)
        and variable not in _OTHERS
        and not _SERVICE_LINK.fullmatch(variable)
        and (variable.startswith(own) or not variable.startswith(beginnings))
    ]
    if not looked:
        return
    known = _of(name) if name in COMMANDS else {}
    for variable in looked:
        if variable not in known:
            all_known = (
                known if variable.startswith(own) else {each: "" for command in COMMANDS for each in _of(command)}
            )
            near = get_close_matches(variable, all_known, 1)
            yield f"{variable} in the environment is no setting{f'; did you mean {near[0]}?' if near else ''}"


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
