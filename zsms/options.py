"""What is given to a class of ours, compared with its annotations: what is no text, number or function is named.

Only what an annotation says plainly is checked (`str`, `int`, `float`, `bool`, `None`, `Path`, `Callable` and some
classes of options, alone or as alternatives); everything else is the class's own business.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from zsms.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")


def _number(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind) and not isinstance(value, bool)


def _named(name: str) -> Callable[[Any], bool]:
    return lambda value: any(each.__name__ == name for each in type(value).__mro__)


_PLAIN: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("text", lambda value: isinstance(value, str)),
    "Path": ("a path", lambda value: isinstance(value, Path)),
    "int": ("a whole number", _number(Integral)),
    "float": ("a number", _number(Real)),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "None": ("None", lambda value: value is None),
    "Callable": ("a function", callable),
    "Mapping[str, str]": (
        "texts by their names",
        lambda value: (
            isinstance(value, Mapping) and all(isinstance(each, str) for pair in value.items() for each in pair)
        ),
    ),
    **{name: (f"a {name}", _named(name)) for name in ("BrokerLimits", "DelayModel", "MeshConfig")},
}


def checked(init: Callable[P, R]) -> Callable[P, R]:
    """An `__init__` that raises UsageError for an option that it has not, or that is of another type than annotated."""
    signature = inspect.signature(init)
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in signature.parameters.values())
    kinds = {name: found for name, each in signature.parameters.items() if (found := _kinds(each.annotation))}

    @functools.wraps(init)
    def checking(*given: P.args, **options: P.kwargs) -> R:
        unknown = None if takes_any else next((name for name in options if name not in signature.parameters), None)
        if unknown is not None:
            what = getattr(given[0], "role", type(given[0]).__name__.lower())
            raise UsageError(f"a {what} has no option {unknown!r}")
        for name, value in {**dict(zip(signature.parameters, given, strict=False)), **options}.items():
            wanted = kinds.get(name, [])
            if wanted and not any(fits(value) for _, fits in wanted):
                told = " or ".join(told for told, _ in wanted if told != "None" or len(wanted) == 1)
                raise UsageError(f"{name.replace('_', ' ')} {_shown(value)}: give {told}")
        return init(*given, **options)

    return checking


def _kinds(annotation: Any) -> list[tuple[str, Callable[[Any], bool]]]:
    """What an annotation, as it is written, plainly says that a value may be; nothing where it says more than that."""
    if not isinstance(annotation, str):
        return []
    if annotation.startswith("Callable["):
        annotation = "Callable" + (" | None" if annotation.endswith("] | None") else "")
    parts = re.split(r"\s*\|\s*", annotation)
    return [_PLAIN[part] for part in parts] if all(part in _PLAIN for part in parts) else []


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
