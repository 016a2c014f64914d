"""The house's rules: how large a class, a function and a call may be, and who may import what.

There are no exceptions. What a room may import stands in a table, and what it need not is no longer in it.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_CLASS, MOST_FUNCTION, MOST_ARGUMENTS = 300, 60, 5
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "zsms").rglob("*.py")
}

LOGGED = ("debug", "info", "warning", "error", "log")
"""Of a logger, whose arguments are those of its text."""

BARE = ("", "errors", "message", "fields", "kinds", "words", "options", "reading", "saving", "extras", "logs")
"""What any room may import."""
ROOMS: dict[str, tuple[str, ...]] = {
    "carriers": (),
    "core": (),
    "errors": (),
    "extras": (),
    "fields": (),
    "formats": (),
    "kinds": (),
    "listening": (),
    "message": (),
    "reading": (),
    "saving": (),
    "security": (),
    "stats": (),
    "options": (),
    "words": (),
    "core.broker": ("core", "stats"),
    "core.producer": ("core",),
    "core.sender": ("carriers", "core", "stats"),
    "core.smpp": ("carriers", "core"),
    "logs": ("core",),
    "report": ("formats", "stats"),
    "sources": ("carriers",),
    "lists": ("carriers", "sources"),
    "wire": ("security",),
    "journal": ("core.broker", "wire"),
    "scenario": ("carriers", "core", "core.broker", "core.producer", "core.sender", "sources", "stats"),
    "transports": ("carriers", "core", "core.sender", "core.smpp", "listening", "stats"),
    "plan": ("core", "scenario", "stats"),
    "roles": (
        "core",
        "core.broker",
        "core.producer",
        "core.sender",
        "journal",
        "report",
        "security",
        "sources",
        "stats",
        "transports",
        "wire",
    ),
    "testing": ("core", "core.broker", "core.producer", "core.sender", "sources", "stats", "transports"),
    "dashboard": ("formats", "report", "roles", "stats", "wire"),
    "smsc": ("carriers", "core", "core.sender", "core.smpp", "listening", "roles", "stats"),
    "launch": (
        "core",
        "core.broker",
        "core.producer",
        "core.sender",
        "dashboard",
        "journal",
        "lists",
        "plan",
        "report",
        "roles",
        "scenario",
        "security",
        "sources",
        "stats",
        "transports",
        "wire",
    ),
    "cli": (
        "carriers",
        "core",
        "core.broker",
        "dashboard",
        "formats",
        "journal",
        "launch",
        "lists",
        "plan",
        "report",
        "roles",
        "scenario",
        "security",
        "smsc",
        "stats",
        "transports",
    ),
    "entry": ("cli",),
    "__main__": ("entry",),
}
"""What each room may import besides."""
IMPURE = {"zmq", "asyncio", "threading", "os", "time", "socket", "subprocess", "select", "sqlite3", "psutil"}
PURE = ("core", "stats", "carriers", "scenario", "plan", "sources", *set(BARE) - {"logs", "saving"})

OTHERS_PRIVATE = {"_exit", "_instance", "_replace", "_fields", "_asdict"}
"""Of the standard library and of pyzmq."""


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def named(module: str, kinds: tuple[type, ...]) -> Iterator[tuple[str, ast.stmt]]:
    """Every class or function of a module, with its name as Python has it."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.stmt]]:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}.{node.name}"
                if isinstance(node, kinds):
                    yield name, node
                yield from walk(node.body, name)

    yield from walk(tree(module).body, module)


def imported(module: str) -> Iterator[str]:
    """What a module imports when it runs, not only for its types."""
    typing = {
        id(inner)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree(module)):
        if id(node) in typing:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in FILES else node.module for name in names)


def room(module: str) -> str:
    """core.broker, core.sender ...; else the first part behind `zsms`."""
    parts = module.split(".")[1:]
    if parts[:1] == ["core"] and (len(parts) > 2 or FILES[module].name == "__init__.py"):
        return ".".join(parts[:2])
    return parts[0] if parts else ""


def test_no_class_is_larger_than_a_room() -> None:
    found = {name for module in FILES for name, node in named(module, (ast.ClassDef,)) if lines(node) > MOST_CLASS}
    assert found == set()


def test_no_function_is_longer_than_a_page() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {name for module in FILES for name, node in named(module, kinds) if lines(node) > MOST_FUNCTION}
    assert found == set()


def test_no_call_has_more_arguments_by_place_than_one_can_count() -> None:
    found = Counter(
        module
        for module in FILES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call)
        and len(node.args) > MOST_ARGUMENTS
        and not any(isinstance(each, ast.Starred) for each in node.args)
        and not (isinstance(node.func, ast.Attribute) and node.func.attr in LOGGED)
    )
    assert dict(found) == {}


@pytest.mark.parametrize("name", sorted({room(module) for module in FILES} - {""}))
def test_a_room_imports_what_the_table_says(name: str) -> None:
    allowed = {*BARE, *ROOMS[name], name}
    used = {room(each) for module in FILES if room(module) == name for each in imported(module) if each in FILES}
    assert used - allowed == set(), "what it may not"
    assert set(ROOMS[name]) - used == set(), "what it need not"


def test_nothing_pure_knows_a_socket_a_thread_or_a_clock() -> None:
    found = {
        module: bad
        for module in FILES
        if module.split(".")[1:2] and module.split(".")[1] in PURE
        and (bad := {each.split(".")[0] for each in imported(module)} & IMPURE)
    }  # fmt: skip
    assert found == {}


def test_the_core_opens_no_file_and_logs_nothing() -> None:
    for module in FILES:
        if room(module).partition(".")[0] in ("core", "stats", "message"):
            found = {each.split(".")[0] for each in imported(module)}
            assert not found & {"logging", "pathlib", "random", "tempfile"}, module


def circle(arrows: dict[str, set[str]]) -> set[str]:
    """Who is left when all that lead nowhere are taken away, again and again."""
    while leaves := {name for name, to in arrows.items() if not to & arrows.keys()}:
        arrows = {name: to for name, to in arrows.items() if name not in leaves}
    return set(arrows)


def test_no_rooms_import_one_another_in_a_circle() -> None:
    assert circle({name: set(ROOMS[name]) for name in ROOMS}) == set()


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circle({module: set(imported(module)) - {module} for module in FILES}) == set()


def reached_into(path: Path) -> Iterator[str]:
    """What begins with one underscore and is used of anything but `self`: an attribute, an import, a name to patch."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found: list[str] = []
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            found = [] if own else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setattr", "delattr", "object"):
            names = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
            found = [str(name).rpartition(".")[2] for name in names]
        for name in found:
            if name.startswith("_") and not name.startswith("__") and name not in OTHERS_PRIVATE:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {name}"


def test_tests_see_what_a_user_sees() -> None:
    assert [each for path in sorted((ROOT / "tests").rglob("*.py")) for each in reached_into(path)] == []
