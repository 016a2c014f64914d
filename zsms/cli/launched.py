"""The ordinary `zsms` command, told what to be on its standard input: no argument, no variable and no file of anybody
else's has its settings or its keys.

    python -m zsms.cli.launched <<< LENGTH \\n JSON {"arguments": [...], "keys": {file name: text},
                                    "environment": {...}} orders ...

What comes behind that are the orders of whoever started it, as `--exit-with-parent` takes them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

from zsms.cli import common
from zsms.cli import main as run
from zsms.launch import private_folder

_MEMORY = "/dev/shm"
"""Where files are on no disk, if there is such a place."""
MAX_BYTES = 2**20


def _read(count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = os.read(0, count - len(data))
        if not piece:
            raise SystemExit(1)  # whoever started us is gone
        data += piece
    return data


def main() -> None:
    """Be that role to its end."""
    length = b""
    while (letter := _read(1)) != b"\n":
        length += letter
    if not length.isdigit() or int(length) > MAX_BYTES:
        raise SystemExit("zsms: what came on standard input is no role's settings")
    told = json.loads(_read(int(length)))
    os.environ.update(told["environment"])
    # A folder that only we can read, in memory where that can be; a key's file goes as soon as it was read.
    # One that is killed leaves it to the next one, or to the next run here, to sweep.
    with private_folder.held(_MEMORY if os.access(_MEMORY, os.W_OK) else tempfile.gettempdir()) as folder:
        for name, text in told["keys"].items():
            path = folder / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
        sys.argv = ["zsms", *told["arguments"], *(["--keys", str(folder)] if told["keys"] else [])]

        def opened(role: Any) -> None:
            for path in folder.glob("*.key"):
                path.unlink()
            if hasattr(role, "endpoint"):
                print(role.endpoint, flush=True)

        common.when_open = opened
        run()


if __name__ == "__main__":
    main()
