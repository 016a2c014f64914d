"""Options of commands, made from the entries of tables of settings (:mod:`zsms.fields`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from zsms.cli import places
from zsms.fields import Setting, options_of
from zsms.kinds import whole

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """One that knows what else people call it."""

    def __init__(self, *names: Any, like: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(*names, **more)
        self.like = like


class Whole(click.types.IntParamType):
    """A whole number, which may be written as 1e6."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As of click."""
        return super().convert(whole(value), param, ctx)


class WholeRange(click.IntRange):
    """One within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As of click."""
        return super().convert(whole(value), param, ctx)


_TYPES: dict[str, Any] = {"int": Whole(), "float": float, "str": str}
_PLACES = {"file": places.READ, "folder": places.JOURNAL}


def of(command: str, *tables: type) -> Callable[[F], F]:
    """All options that a command has of these tables and their inner ones, as one decorator."""

    def apply(function: F) -> F:
        for table in reversed(tables):
            for setting in reversed(list(options_of(command, table))):
                function = _option(setting, command)(function)
        return function

    return apply


def _option(setting: Setting, command: str) -> Callable[[F], F]:
    entry, here = setting.entry, setting.entry.at(command)
    default = here.get("default", setting.field.default)
    text = here.get("help", entry.help)
    name = f"--{setting.option}"
    like = (*entry.like, *([] if entry.also is None else [entry.also]))
    if setting.type == "bool":
        return click.option(name, cls=Option, like=like, is_flag=True, default=default, help=text)
    if default is None or default == ():
        text += f"  [default: {here.get('unless', entry.unless)}]"
    told = {"default": default, "help": text, "show_default": default not in (None, ()), "metavar": entry.metavar}
    return click.option(name, cls=Option, like=like, type=_type(setting), multiple=setting.type == "tuple", **told)


def _type(setting: Setting) -> Any:
    entry = setting.entry
    if entry.completes is not None:
        return _PLACES[entry.completes]
    if entry.kind.choices is not None:
        return click.Choice(entry.kind.choices)
    if entry.strict:
        return WholeRange(min=entry.kind.bounds.get("minimum"), max=entry.kind.bounds.get("maximum"))
    return str if setting.type == "tuple" else _TYPES[setting.type]
