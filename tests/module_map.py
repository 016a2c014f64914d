"""The map of docs/ARCHITECTURE.md, made from the packages' own first lines: `python -m tests.module_map` writes it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "ARCHITECTURE.md"
_BEGIN = "| room | what it is | its modules |\n| --- | --- | --- |\n"


def rows() -> str:
    """A row a package, with the first sentence of its docstring and the names of its modules."""
    told = []
    for home in sorted((ROOT / "zsms").rglob("__init__.py")):
        doc = ast.get_docstring(ast.parse(home.read_text(encoding="utf-8"))) or ""
        names = sorted(path.stem for path in home.parent.glob("*.py") if path != home)
        room = ".".join(home.parent.relative_to(ROOT).parts)
        caption = " ".join(doc.partition(".\n")[0].split()).rstrip(".")
        told.append(f"| `{room}` | {caption} | {', '.join(names)} |\n")
    return "".join(told)


def document() -> str:
    """The document with the map as it is now."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, after = text.partition(_BEGIN)
    return before + _BEGIN + rows() + after[after.find("\n## ") :]


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
