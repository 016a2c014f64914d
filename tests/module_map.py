"""The map of docs/ARCHITECTURE.md, made from the packages' own first lines: `python -m tests.module_map` writes it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "ARCHITECTURE.md"
_HEAD = "## The map\n"
_INTRODUCTION = """
Imports go one way: `tests/test_house.py` holds the table of rooms, that no class, function or call grows too large, and
that nothing pure knows a socket, a thread, a file or a clock. `python -m tests.generated` writes this table.

| room | what it is |
| --- | --- |
"""


def rows() -> str:
    """A row a package, with the first sentence of its docstring."""
    told = []
    for home in sorted((ROOT / "zsms").rglob("__init__.py")):
        doc = ast.get_docstring(ast.parse(home.read_text(encoding="utf-8"))) or ""
        room = ".".join(home.parent.relative_to(ROOT).parts)
        caption = " ".join(doc.partition(".\n")[0].split()).rstrip(".")
        told.append(f"| `{room}` | {caption} |\n")
    return "".join(told)


def document() -> str:
    """The document, whose last part is made."""
    before, _, _ = DOCUMENT.read_text(encoding="utf-8").partition(_HEAD)
    return before + _HEAD + _INTRODUCTION + rows()


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
