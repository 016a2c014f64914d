"""The examples of embedding run as programs of their own, and say what they should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "said", "messages"),
    [
        (
            "embed_roles.py",
            r"^5,000 of 5,000 sent at [\d,]+ messages/s; balanced: True\n  fast: ([\d,]+)\n  slow: ([\d,]+)\n$",
            5_000,
        ),
        ("embed_asyncio.py", r"^([\d,]+) sent and ([\d,]+) given up, in 2,[01]\d\d calls\n$", 2_000),
        (
            "embed_mesh.py",
            r"\n([\d,]+) sent, ([\d,]+) failed, 0 lost\np99 .* balanced: True\n  city-1: .*\n  country-1: .*\n$",
            10_000,
        ),
    ],
)
def test_an_example_does_what_it_says(name, said, messages):
    """What it says is what it should, and the figures in it add up to the messages."""
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    figures = re.search(said, done.stdout)
    assert figures, done.stdout
    assert sum(int(figure.replace(",", "")) for figure in figures.groups()) == messages
    assert not done.stderr
