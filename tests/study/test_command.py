"""bin/figures: what it is asked for wrongly is a line, and the installed command knows nothing of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from zsms.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def test_it_runs_from_a_checkout_and_refuses_in_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "study", "--plots-only", "--fresh"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("bin/figures: --plots-only draws the runs that are there")
    assert "study" not in COMMANDS and not (ROOT / "zsms" / "study").exists()
