"""Numbers for people: Python and the pages' script say the same of the same number."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.web.browser import MISSING, find_chromium
from zsms import formats
from zsms.dashboard.report_page import asset

BOTH = ("count", "rate", "percent", "seconds", "duration", "ago", "clock", "short")
EDGES = (0, 1e-9, 2e-5, 0.001, 0.0032, 0.1, 0.5, 1, 1.005, 2.5, 9.95, 10, 12.34, 60, 99.5, 100, 999.5, 5_400, 7_200)


def numbers(name: str) -> list[float]:
    """Round ones and those beside them, halves, and many of every size."""
    rng = random.Random(name)
    sizes = [rng.uniform(0, 1) * 10.0**power for power in range(-6, 10) for _ in range(60)]
    halves = [number / 8 for number in range(200)] + [1_000.0 * number + 0.5 for number in range(20)]
    found = [*map(float, EDGES), *sizes, *halves]
    found += [float(f"{value:.5g}") * factor for value in sizes[::7] for factor in (1 - 2**-52, 1, 1 + 2**-52)]
    return [value for value in found if value <= 1] if name == "percent" else found


def evaluated(script: str, tmp_path: Path) -> Any:
    """What an expression is worth in a browser's language; by node where there is one, else by Chromium."""
    source = f"{asset('static/format.js')}\nconst said = JSON.stringify({script});"
    if node := shutil.which("node"):
        code = f"{source}\nconsole.log(said);"
        done = subprocess.run([node, "-"], input=code, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)
    chromium = find_chromium()
    if chromium is None:
        pytest.skip(MISSING)
    page = tmp_path / "page.html"
    page.write_text(f"<meta charset=utf-8><pre></pre><script>{source}\ndocument.body.textContent = said;</script>")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom")
    done = subprocess.run([chromium, *options, page.as_uri()], capture_output=True, text=True, check=True, timeout=60)
    found = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_python_and_the_pages_say_the_same_of_every_number(tmp_path: Path) -> None:
    given = {name: numbers(name) for name in BOTH}
    script = f"Object.fromEntries(Object.entries({json.dumps(given)}).map(([n, v]) => [n, v.map(zsmsFormat.as[n])]))"
    said = evaluated(script, tmp_path)
    for name, values in given.items():
        ours = [getattr(formats, name)(value) for value in values]
        wrong = [each for each in zip(values, ours, said[name], strict=True) if each[1] != each[2]]
        assert not wrong, (name, wrong[:5])


@pytest.mark.parametrize(
    ("how", "value", "text"),
    [
        ("count", 1_234.5, "1,235"), ("count", 2**62, "4,611,686,018,427,387,904"), ("narrow", 9_999_999, "9,999,999"),
        ("narrow", 10_000_000, "10.0M"), ("narrow", 340_000_000, "340.0M"), ("narrow", 12_345_678_901, "12.3G"),
        ("short", 0, "0"), ("short", 0.002, "0.002"), ("short", 0.0123, "0.0123"), ("short", 300, "300"),
        ("short", 10_000, "10k"), ("short", 2_500_000, "2.5M"), ("short", 999_999, "1M"), ("short", 0.5, "0.5"),
        ("spoken", 32_611, "32,600"), ("spoken", 3_900_000, "3.9 million"), ("rate", 0, "0"), ("rate", 4.25, "4.3"),
        ("percent", 0.99996, "99.99 %"), ("percent", 0.00001, "0.01 %"), ("percent", 0.623, "62.3 %"),
        ("seconds", 0, "0 s"), ("seconds", 0.00002, "20 µs"), ("seconds", 0.0032, "3.20 ms"),
        ("seconds", 0.9996, "1.00 s"), ("seconds", 12.34, "12.3 s"), ("seconds", 1_250, "1,250 s"),
        ("exact_seconds", 12.344, "12.34 s"), ("exact_seconds", 1_234.4, "1234 s"), ("exact_seconds", 2e-5, "20 us"),
        ("exact_seconds", 0.012, "12.0 ms"),
        ("exact_seconds", 0.99999, "1.00 s"), ("duration", 0.2, "a moment"), ("duration", 125, "2 min 05 s"),
        ("duration", 5_400, "1 h 30 min"), ("ago", -0.01, "0.0 s"), ("ago", 61, "61 s"), ("ago", 180, "3 min"),
        ("ago", 7_200, "2 h"), ("clock", 59.6, "1:00"), ("clock", 3_723, "1:02:03"), ("size", 9_999, "9,999 bytes"),
        ("size", 85.25 * 2**20, "85.3 MiB"), ("size", 4.2 * 2**30, "4.2 GiB"), ("told", None, "-"),
        ("told", 12_345.678, "12,345.7"), ("share", 0.625, "63 %"),
    ],
)  # fmt: skip
def test_figures_are_short_and_of_one_form(how: str, value: float, text: str) -> None:
    assert getattr(formats, how)(value) == text


@pytest.mark.parametrize("value", [1e300, float(2**62), 86_399.9])
def test_no_figure_is_too_large_to_be_said(value: float) -> None:
    for how in (*BOTH[:2], "seconds", "ago", "narrow", "size"):
        assert getattr(formats, how)(value)
