"""The map of docs/ARCHITECTURE.md, made from the packages' own first lines: `python -m tests.module_map` writes it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "ARCHITECTURE.md"
_BEGIN = "| room | what it is |\n| --- | --- |\n"


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
    """The document with the map as it is now."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, _ = text.partition(_BEGIN)
    return before + _BEGIN + rows()


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
