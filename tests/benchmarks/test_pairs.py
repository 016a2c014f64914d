"""What benchmarks/pairs.py makes of reports, of this version and of earlier ones."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from zsms.cli import load_command

_FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(_FOLDER))
    spec = importlib.util.spec_from_file_location("benchmarks_pairs", _FOLDER / "pairs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def report(**more: Any) -> dict[str, Any]:
    processes = [{"role": role, "cpu_s": 2.0, "rss_max_bytes": 2**20} for role in ("broker", "sender")]
    messages = {"settled": 3_000_000, "retried": 1_000_000}
    return {
        "processes": processes,
        "messages": messages,
        "throughput_per_s": 5.0,
        "efficiency": 0.5,
        "wall_s": 7.0,
        **more,
    }


def test_figures_of_a_report(pairs: Any) -> None:
    steady = {"throughput_per_s": 6.0, "efficiency": 0.75}
    assert list(pairs.figures(report(steady=steady)).values()) == [6.0, 0.75, 7.0, 0.5, 1.0]
    assert list(pairs.figures(report()).values()) == [5.0, 0.5, 7.0, 0.5, 1.0]
    assert list(pairs.figures(report(steady=dict.fromkeys(steady))).values()) == [5.0, 0.5, 7.0, 0.5, 1.0]


def test_a_line_has_the_medians_of_what_was_measured(pairs: Any) -> None:
    none = dict.fromkeys(pairs.FIGURES)
    some = [dict.fromkeys(pairs.FIGURES, value) for value in (1.0, 2.0, 4.0)]
    assert pairs.row("x", [none, *some]).split() == ["x", *["2.000"] * 5]
    assert pairs.row("x", [none]).split() == ["x", *["-"] * 5]


def test_every_run_is_one_that_zsms_takes(pairs: Any) -> None:
    command = load_command("run")
    for options in pairs.RUNS.values():
        given = command.make_context("run", list(options)).params
        assert all(given[option[2:].replace("-", "_")] is not None for option in options[::2])
