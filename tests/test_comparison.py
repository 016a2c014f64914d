"""`zsms compare`: what differs, which way, and whether chance would do."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mesh.processes import zsms
from zsms import UsageError
from zsms.comparison import FIGURES, compare, figures_of, permutation_p, settings_apart, smallest_p
from zsms.core.series import Series
from zsms.mesh import MeshConfig
from zsms.report import ProcessRow, make_report


@pytest.fixture(scope="module")
def blank() -> dict[str, Any]:
    return make_report(
        {},
        config=MeshConfig(seed=1).to_json(),
        processes=[ProcessRow("broker", "broker", 1, 2.0, 2**20), ProcessRow("run", "run", 2, 0.5, 2**20)],
        elapsed_s=1.0,
        started="2026-01-01T00:00:00+00:00",
        started_at=0.0,
        brokers_lost=(),
        completed=True,
        interrupted=False,
        aborted=False,
        problems=[],
        series=Series(),
    ).to_json()


def run(blank: dict[str, Any], throughput: float, lost: int = 0) -> dict[str, Any]:
    report = copy.deepcopy(blank)
    report["throughput_per_s"] = throughput
    report["messages"]["lost"] = lost
    return report


def test_every_figure_is_one_of_a_report(blank: dict[str, Any]) -> None:
    steady = copy.deepcopy(blank)
    steady["steady"]["seconds"] = 5.0
    assert list(figures_of(steady)) == [figure.name for figure in FIGURES]
    assert "steady.efficiency" not in figures_of(blank), "of no time at all"
    assert figures_of(blank)["processor_s"] == 2.5
    assert figures_of(blank)["memory_bytes"] == 2**21


def test_a_p_that_is_reckoned_by_hand() -> None:
    # 20 divisions of six runs; these two and their mirror images are as far apart as can be.
    assert permutation_p([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20) == smallest_p(3, 3)
    # Sums of two of 1, 2, 3, 4, 9: 13 is only reached by 4 + 9; means 6.5 and 2, and nothing else is 4.5 apart.
    assert permutation_p([4, 9], [1, 2, 3]) == pytest.approx(1 / 10) == smallest_p(2, 3)
    assert permutation_p([5, 5], [5, 5, 5]) == 1.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=5), st.lists(st.floats(0, 1e6), min_size=1, max_size=5))
def test_p_does_not_depend_on_order_or_side(one: list[float], other: list[float]) -> None:
    p = permutation_p(one, other)
    assert smallest_p(len(one), len(other)) / 2 < p <= 1
    assert permutation_p(other[::-1], one[::-1]) == pytest.approx(p)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 100))
def test_of_sets_that_are_alike_one_in_twenty_differs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = sum(permutation_p(rng.normal(size=5), rng.normal(size=5)) <= 0.05 for _ in range(400))
    assert 4 <= found <= 45  # 5 % of 400 are 20, with a standard deviation of 4.4


def test_many_runs_are_drawn_and_p_is_never_0() -> None:
    far = permutation_p(list(range(15)), list(range(1_000, 1_015)))
    assert far == pytest.approx(1 / 200_001)


def test_better_and_worse_go_by_the_figure(blank: dict[str, Any]) -> None:
    def found(base: list[dict[str, Any]], new: list[dict[str, Any]]) -> dict[str, Any]:
        return {each.figure.name: each for each in compare(base, new)}

    slower = found([run(blank, 100)], [run(blank, 90, lost=3)])
    assert slower["throughput_per_s"].verdict == "worse"
    assert slower["throughput_per_s"].worse_by() == pytest.approx(0.1)
    assert slower["throughput_per_s"].p is None, "no repeats: no significance"
    assert slower["messages.lost"].verdict == "worse" and slower["messages.lost"].change == float("inf")
    assert slower["wall_s"].verdict == "same"
    assert found([run(blank, 90)], [run(blank, 100)])["throughput_per_s"].verdict == "better"

    noisy = found([run(blank, x) for x in (90, 100, 110, 95)], [run(blank, x) for x in (89, 99, 111, 94)])
    assert noisy["throughput_per_s"].verdict == "same" and noisy["throughput_per_s"].worse_by() == 0
    clear = found([run(blank, x) for x in (90, 100, 110, 95)], [run(blank, x) for x in (60, 70, 80, 75)])
    assert clear["throughput_per_s"].verdict == "worse" and clear["throughput_per_s"].p == pytest.approx(2 / 70)


def test_what_was_asked_differently_is_told_but_not_the_seed(blank: dict[str, Any]) -> None:
    other = copy.deepcopy(blank)
    other["config"]["seed"] = 99
    assert settings_apart(blank, other) == []
    other["config"]["groups"][0]["mean"] = 2.0
    other["versions"]["python"] = "3.99"
    said = settings_apart(blank, other)
    assert said[0] == "config.groups.0.mean: 1.0 and 2.0"
    assert len(said) == 2 and said[1].startswith("versions.python: ")


def test_a_figure_that_is_none_is_told_with_the_nearest(blank: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="did you mean throughput_per_s"):
        compare([blank], [blank], ["troughput_per_s"])


# -- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, blank: dict[str, Any]) -> Path:
    """before/ and after/ of four runs each, after/ being a fifth slower."""
    for name, factor in (("before", 1.0), ("after", 0.8)):
        (tmp_path / name).mkdir()
        for number, throughput in enumerate((100, 101, 102, 103)):
            (tmp_path / name / f"{number}.json").write_text(json.dumps(run(blank, throughput * factor)))
    (tmp_path / "before" / "other.json").write_text("[1, 2]")
    return tmp_path


def test_folders_patterns_and_files(folder: Path) -> None:
    done = zsms("compare", "before", "after", cwd=folder)
    assert done.returncode == 0 and done.stderr == ""
    head, row, equal = done.stdout.splitlines()
    assert head.split() == ["figure", "base", "(4)", "new", "(4)", "change", "p"]
    assert row.split() == ["throughput_per_s", "101.5", "±", "1.3", "81.2", "±", "1", "-20.0%", "0.029", "worse"]
    assert equal.startswith("equal in all runs: efficiency, ") and "messages.lost" in equal

    few = zsms("compare", "before/[012].json", "after/[012].json", "--figure", "throughput_per_s", cwd=folder)
    assert few.stdout.splitlines()[-1] == "3 and 3 runs can't show a difference at p = 0.05: 4 and 4 can"
    single = zsms("compare", "before/0.json", "after/0.json", cwd=folder)
    assert single.stdout.splitlines()[-1] == "no repeats: no significance"


def test_worse_by_more_than_allowed_exits_1(folder: Path) -> None:
    assert zsms("compare", "before", "after", "--fail-if-worse", 25, cwd=folder).returncode == 0
    done = zsms("compare", "before", "after", "--fail-if-worse", 15, cwd=folder)
    assert done.returncode == 1
    assert "throughput_per_s is worse by more than 15 %" in done.stderr
    assert zsms("compare", "after", "before", "--fail-if-worse", 0, cwd=folder).returncode == 0


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("gone.json", "gone.json: can't be read: No such file or directory"),
        ("gone-*.json", "gone-*.json: no file of such a name"),
        ("before/other.json", "before/other.json: no report: its `schema` is not zsms-report/1"),
        (".", ".: no report in this folder"),
    ],
)
def test_what_is_no_report_is_told(folder: Path, what: str, told: str) -> None:
    done = zsms("compare", what, "after", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith(f"zsms: {told}")
