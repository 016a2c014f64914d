"""What of the documents is made from the code: `python -m tests.generated` writes it, a test holds it.

- docs/report.schema.json: its `config` part
- docs/settings.md: a table of each command's settings, and of each table of a scenario
- docs/ARCHITECTURE.md: the map
"""

from __future__ import annotations

import json
from pathlib import Path

from tests import module_map
from zsms.fields import document, schema_of
from zsms.scenario import tables
from zsms.scenario.run import MeshConfig

DOCS = Path(__file__).parent.parent / "docs"

_HEAD = """# Settings

Every setting of `zsms run`, and every field of a scenario file. Made from the code, by `python -m tests.generated`.

A setting is an option (`--max-attempts`), a key of a file's table `[run]` (`max-attempts` or `max_attempts`) and a
variable of the environment (`ZSMS_RUN_MAX_ATTEMPTS`). The other commands have those that are theirs, each in a table of
its own name: `zsms COMMAND --help` has them all. How files are written is told in [scenarios](scenarios.md).

## [run]

"""
_TABLES = (
    ("[[group]] or [[run.groups]]", tables.Group),
    ("[scenario]", tables.Head),
    ("[[audience]]", tables.Audience),
    ("[[arrival]]", tables.Stage),
    ("[[account]]", tables.Account),
    ("[retries]", tables.Retries),
    ("[[faults]]", tables.Fault),
    ("[[expect]]", tables.Expectation),
)


def settings() -> str:
    """docs/settings.md."""
    text = _HEAD + document(MeshConfig, "run")
    for title, table in _TABLES:
        about = " ".join((table.__doc__ or "").split())
        text += f"\n## {title}\n\n{about}\n\n{document(table)}"
    return text


def schema() -> str:
    """docs/report.schema.json with the configuration's part as it is now."""
    path = DOCS / "report.schema.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    body["properties"]["config"] = schema_of(MeshConfig, "What the run was asked to do, defaults included.")
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


MADE = {
    DOCS / "settings.md": settings,
    DOCS / "report.schema.json": schema,
    module_map.DOCUMENT: module_map.document,
}

if __name__ == "__main__":
    for path, make in MADE.items():
        path.write_text(make(), encoding="utf-8")
