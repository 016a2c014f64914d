"""A user's function before it is called: found by its name, and refused for what can't work.

Everything here is told before any message is taken: which function, what is wrong, and how it should look.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import traceback
from contextlib import redirect_stdout
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from zsms.errors import UsageError
from zsms.options import shown
from zsms.stats.failures import printable

_WANTED = "write it as `async def send(message)`"


def name_of(send: Any) -> str:
    """How a function is called in messages: its name, and where it stands."""
    while isinstance(send, functools.partial):
        send = send.func
    name = getattr(send, "__qualname__", None) or type(send).__qualname__
    code = getattr(inspect.unwrap(send) if callable(send) else send, "__code__", None)
    where = "" if code is None else f" ({os.path.basename(code.co_filename)}:{code.co_firstlineno})"
    return printable(f"{name.rpartition('<locals>.')[2]}{where}", 120)


def check_send(send: Any, name: str | None = None) -> Any:
    """The function, when it may be called with a message and awaited. Raises UsageError when it can't."""
    name = name or name_of(send)
    if inspect.isclass(send):
        raise UsageError(f"{name} is a class: give a coroutine function, {_WANTED}")
    if not callable(send):
        raise UsageError(f"{name} is {printable(shown(send), 60)}, not a function: {_WANTED}")
    if inspect.isasyncgenfunction(inspect.unwrap(send)):
        raise UsageError(f"{name} yields, so that it can't be awaited: return True or False instead")
    if _is_plain(send):
        raise UsageError(f"{name} is a plain function, which would hold up every other message: {_WANTED}")
    _check_arguments(send, name)
    return send


def _is_plain(send: Any) -> bool:
    """Whether a call surely returns no awaitable. Of objects with a `__call__` of their own nobody knows."""
    while isinstance(send, functools.partial):
        send = send.func
    send = inspect.unwrap(send)
    if inspect.iscoroutinefunction(send) or hasattr(send, "_is_coroutine"):
        return False
    return inspect.isfunction(send) or inspect.ismethod(send) or inspect.isbuiltin(send)


def _check_arguments(send: Any, name: str) -> None:
    try:
        signature = inspect.signature(send)
    except (ValueError, TypeError):
        return  # compiled code does not say
    try:
        signature.bind(object())
    except TypeError as error:
        raise UsageError(
            f"{name} takes {signature}, and is called with one argument, the message ({error}): {_WANTED}"
        ) from None


# -- by name ---------------------------------------------------------------------------------------------------


def load_function(name: str, folder: str | None = None) -> Any:
    """The coroutine function that MODULE:FUNCTION names, checked.

    The module is looked for in `folder` first (None: the current one), and only there by that name: what it imports
    comes from the folder when it is nowhere else. Raises UsageError.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise UsageError(f"--transport {name!r}: write MODULE:FUNCTION, as in mygateway:send")
    if "/" in module_name or module_name.startswith(".") or module_name.endswith(".py"):
        named = module_name.rpartition("/")[2].removesuffix(".py").lstrip(".") or "mygateway"
        raise UsageError(f"--transport {name!r}: name the module as import does, as in {named}:{function_name}")
    found: Any = _import(name, module_name, os.getcwd() if folder is None else folder)
    for part in function_name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(f"--transport {name!r}: {module_name} has no {function_name!r}") from None
    return check_send(found, f"--transport {name!r}")


def _import(name: str, module: str, folder: str) -> ModuleType:
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        with redirect_stdout(sys.stderr):  # what it prints: standard output may be the report's
            return _imported(module, folder)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not _lines(error, folder):
            raise
        raise UsageError(f"--transport {name!r}: {module} can't be imported: {_why(error, folder)}") from None


def _imported(module: str, folder: str) -> ModuleType:
    top = module.partition(".")[0]
    if top not in sys.modules:
        spec = PathFinder.find_spec(top, [folder])
        if spec is not None and spec.loader is not None:
            made = sys.modules[top] = module_from_spec(spec)
            try:
                spec.loader.exec_module(made)
            except BaseException:
                del sys.modules[top]
                raise
    return import_module(module)


def _lines(error: BaseException, folder: str) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{os.path.basename(f.filename)}:{f.lineno}" for f in frames if f.filename.startswith(folder)]


def _why(error: BaseException, folder: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return str(error)
    where = _lines(error, folder)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return printable(what, 300) + (f" ({where[-1]})" if where else "")


def spec_of(send: Any) -> tuple[str, str]:
    """MODULE:FUNCTION and the folder under which other processes can import it. Raises UsageError when they can't."""
    check_send(send)
    name, module = getattr(send, "__qualname__", ""), getattr(send, "__module__", None)
    loaded = sys.modules.get(module or "")
    found: Any = loaded
    for part in name.split("."):
        found = getattr(found, part, None)
    file = getattr(loaded, "__file__", None)
    if found is not send or file is None:
        raise UsageError(
            f"transport {name_of(send)}: the senders are processes of their own and must be able to import it, so it "
            "has to stand at the top of a module's file (a module:function by name does, too)"
        )
    assert module is not None
    path = Path(file).resolve()
    if module == "__main__":
        return f"{path.stem}:{name}", str(path.parent)
    up = module.count(".") + (path.stem == "__init__")
    return f"{module}:{name}", str(path.parents[up])
