"""What is given to a class or function of ours, compared with its annotations: what is no text, number or function is
named, and so is what is missing, or was not asked for.

    @checked                          of an `__init__`, a method, a function, or a dataclass (its own `__init__`)

An annotation is taken at its word: numbers, texts, paths, functions, sequences and mappings of these, classes, and
protocols, of which a value has all methods. Of what says more than that (`Any`, arrays) everything passes.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar, cast

from zsms.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


class _Kind(NamedTuple):
    told: str
    fits: Callable[[Any], bool]
    plain: Callable[[Any], Any] = lambda value: value
    """Of a number of numpy's, or a fraction: Python's own, which JSON and commands can hold."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:  # a whole one beyond what can be reckoned with
        return False
    return True


_ANY = _Kind("", lambda value: True)
_NONE = _Kind("None", lambda value: value is None)
_PLAIN: dict[str, _Kind] = {
    "str": _Kind("text", lambda value: isinstance(value, str)),
    "int": _Kind("a whole number", _is_whole, int),
    "float": _Kind("a number", _is_number, lambda value: value if type(value) is int else float(value)),
    "bool": _Kind("True or False", lambda value: isinstance(value, bool)),
    "Path": _Kind("a path", lambda value: _is_named("Path", value)),
    "Callable": _Kind("a function", callable),
}
_SEVERAL = ("Sequence", "Iterable", "tuple", "list")
_OPEN = ("Any", "Unpack", "Send")
"""Names that say nothing here; a function that sends has a check of its own, which says more
(:mod:`zsms.transports.checking`)."""


def checked(what: F) -> F:
    """The same, and it raises UsageError for arguments that it has not, or that are of another type than annotated."""
    if inspect.isclass(what):
        setattr(what, "__init__", checked(what.__init__))  # noqa: B010  # a type checker allows no other way
        return what
    signature = inspect.signature(what)
    kinds: dict[str, list[_Kind]] = {}

    @functools.wraps(what)
    def checking(*given: Any, **options: Any) -> Any:
        try:
            bound = signature.bind(*given, **options)
        except TypeError as error:
            raise UsageError(_misfit(what, given, str(error))) from None
        if not kinds:
            kinds.update(_kinds_of(what, signature))
        for name, value in bound.arguments.items():
            kind = next((kind for kind in kinds[name] if kind.fits(value)), None)
            if kind is None:
                told = " or ".join(kind.told for kind in kinds[name] if kind is not _NONE or len(kinds[name]) == 1)
                raise UsageError(f"{name.replace('_', ' ')} {shown(value)}: give {told}")
            bound.arguments[name] = kind.plain(value)
        return what(*bound.args, **bound.kwargs)

    return cast(F, checking)


def _misfit(what: Callable[..., Any], given: tuple[Any, ...], error: str) -> str:
    """What is wrong with a call that the signature does not fit, in words."""
    if what.__name__ == "__init__":
        name = _a(getattr(given[0], "role", "") or type(given[0]).__name__.lower())
    else:
        name = what.__name__
    if error.startswith("got an unexpected keyword argument"):
        return f"{name} has no option {error.partition('argument ')[2]}"
    return f"{name}: {error.replace('a required argument', 'a required option')}"


def _kinds_of(what: Callable[..., Any], signature: inspect.Signature) -> dict[str, list[_Kind]]:
    """By parameter, what it may be. Names are looked up when it is first called: by then all modules are there."""
    names = getattr(what, "__globals__", {})
    found = {}
    for name, each in signature.parameters.items():
        several = each.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        open_to_all = several or each.annotation is inspect.Parameter.empty
        found[name] = [_ANY] if open_to_all else _kinds(each.annotation, names)
    return found


def _kinds(annotation: Any, names: Mapping[str, Any]) -> list[_Kind]:
    """What an annotation, written or as an object, says that a value may be."""
    if isinstance(annotation, str):
        return _written(ast.parse(annotation, mode="eval").body, names)
    if annotation is None or annotation is type(None):
        return [_NONE]
    if type(annotation) is not types.GenericAlias and inspect.isclass(annotation):
        return [_of_class(annotation)]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return [kind for each in inner for kind in _kinds(each, names)]
    if origin is not None and getattr(origin, "__name__", "") == "Callable":
        return [_PLAIN["Callable"]]
    return [_ANY]


def _written(node: ast.expr, names: Mapping[str, Any]) -> list[_Kind]:
    match node:
        case ast.BinOp(left, ast.BitOr(), right):
            return _written(left, names) + _written(right, names)
        case ast.Constant(None):
            return [_NONE]
        case ast.Constant(str(text)):
            return _kinds(text, names)
        case ast.Subscript(outer, inner):
            return [_inside(_last_name(outer), inner, names)]
        case ast.Name() | ast.Attribute():
            name = _last_name(node)
            if name in _PLAIN or name in _OPEN:
                return [_PLAIN.get(name, _ANY)]
            if isinstance(node, ast.Name) and name in names:
                return _kinds(names[name], names)
            return [_ANY if isinstance(node, ast.Attribute) else _named(name)]
    return [_ANY]


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _inside(outer: str, inner: ast.expr, names: Mapping[str, Any]) -> _Kind:
    """Of `outer[inner]`: several of something, values by names, a function."""
    if outer == "Callable":
        return _PLAIN["Callable"]
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    kinds = [_written(part, names) for part in parts if ast.unparse(part) != "..."]
    if outer in ("Mapping", "dict"):
        told = "texts by their names" if [each[0] for each in kinds] == 2 * [_PLAIN["str"]] else "values by their names"
        return _Kind(told, lambda value: isinstance(value, Mapping) and _all_fit(value.items(), kinds))
    if outer in _SEVERAL and len(kinds) == 1:
        once = outer == "Iterable"
        told = f"a list of {_plural(kinds[0])}"
        return _Kind(told, lambda value: _is_several(value, once) and _all_fit(value, kinds))
    if outer == "tuple":
        told = f"({', '.join(' or '.join(kind.told for kind in each) for each in kinds)})"
        return _Kind(told, lambda value: _is_several(value) and _fits(list(value), kinds))
    if outer in names:
        return _kinds(names[outer], names)[0]
    return _named(outer) if outer == "Context" else _ANY


def _plural(kinds: list[_Kind]) -> str:
    return " or ".join(_several(kind.told) for kind in kinds)


def _several(told: str) -> str:
    if told.startswith("("):
        return told
    return told.partition(", ")[0].removeprefix("an ").removeprefix("a ") + "s"


def _is_several(value: Any, once: bool = False) -> bool:
    """Whether there is more to it than one value, and more than `once`: an iterator is spent by looking into it."""
    if isinstance(value, str | bytes | bytearray | Mapping):
        return False
    try:
        return iter(value) is not value or once
    except TypeError:  # an array without a dimension, too, which has a method for it
        return False


def _fits(row: list[Any], kinds: list[list[_Kind]]) -> bool:
    """Whether it is as long as these kinds, and each part of it is of one."""
    return len(row) == len(kinds) and _all_fit([row], kinds)


def _all_fit(values: Any, kinds: list[list[_Kind]]) -> bool:
    """Whether all values, or all pairs of them, are of these kinds; an iterator is not looked into."""
    if iter(values) is values:
        return True
    rows = values if len(kinds) > 1 else ((value,) for value in values)
    return all(any(k.fits(part) for k in each) for row in rows for part, each in zip(row, kinds, strict=True))


def _of_class(cls: type) -> _Kind:
    if cls.__name__ in _PLAIN:
        return _PLAIN[cls.__name__]
    if not getattr(cls, "_is_protocol", False):
        return _Kind(_a(cls.__name__), lambda value: isinstance(value, cls))
    wanted = [name for name, member in vars(cls).items() if not name.startswith("_") and inspect.isfunction(member)]
    about = f"{_a(cls.__name__)}, which has {', '.join(wanted)}"
    return _Kind(about, lambda value: not inspect.isclass(value) and all(hasattr(value, name) for name in wanted))


def _named(name: str) -> _Kind:
    """A class that is known by its name alone: it is imported for type checkers only."""
    return _Kind(_a(name), lambda value: _is_named(name, value))


def _is_named(name: str, value: Any) -> bool:
    return any(each.__name__ == name for each in type(value).__mro__)


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def shown(value: Any) -> str:
    """A value for an error, whatever its `repr` does."""
    try:
        text = repr(value)
    except Exception as error:  # it is the user's
        text = f"({type(value).__name__}, whose repr raises {type(error).__name__})"
    return text if len(text) <= 80 else f"{text[:77]}..."
