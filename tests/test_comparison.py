"""`zsms compare`: what differs, which way, and whether chance would do."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Sequence
from itertools import combinations
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.mesh.processes import zsms
from zsms import UsageError
from zsms.cli.compare import command
from zsms.report.comparison import (
    CERTAIN,
    FIGURES,
    SIGNIFICANT,
    compare,
    figures_of,
    not_in_all,
    permutation_ps,
    settings_apart,
    smallest_p,
    unlike,
)
from zsms.report.making import Course, make_report
from zsms.report.report import ProcessRow
from zsms.scenario import MeshConfig


@pytest.fixture(scope="module")
def blank() -> dict[str, Any]:
    course = Course(
        config=MeshConfig(seed=1).to_json(),
        processes=[ProcessRow("broker", "broker", 1, 2.0, 2**20), ProcessRow("run", "run", 2, 0.5, 2**20)],
        elapsed_s=1.0,
        started="2026-01-01T00:00:00+00:00",
        completed=True,
    )
    return make_report({}, course).to_json()


def run(blank: dict[str, Any], throughput: float, lost: int = 0) -> dict[str, Any]:
    report = copy.deepcopy(blank)
    report["throughput_per_s"] = throughput
    report["messages"]["lost"] = lost
    return report


def test_every_figure_is_one_of_a_report(blank: dict[str, Any]) -> None:
    steady = copy.deepcopy(blank)
    for name, value in steady.items():
        if isinstance(value, dict) and name != "config":
            steady[name] = {key: 5.0 if each is None else each for key, each in value.items()}
        elif name == "rate":
            steady[name] = {"reached_per_s": 5.0, "late_s": dict.fromkeys(("mean", "p50", "p90", "p99", "max"), 5.0)}
        elif value is None:
            steady[name] = 5.0
    assert list(figures_of(steady)) == [figure.name for figure in FIGURES]
    assert "steady.efficiency" not in figures_of(blank), "of no time at all"
    assert figures_of(blank)["processor_s"] == 2.5
    assert figures_of(blank)["memory_bytes"] == 2**21


def p_of(one: Sequence[float], other: Sequence[float]) -> float:
    """Of one figure."""
    return permutation_ps(np.array([[*one, *other]], dtype=np.float64).T, len(one))[0]


def test_a_p_that_is_reckoned_by_hand() -> None:
    # 20 divisions of six runs; these two and their mirror images are as far apart as can be.
    assert p_of([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20) == smallest_p(3, 3)
    # Sums of two of 1, 2, 3, 4, 9: 13 is only reached by 4 + 9; means 6.5 and 2, and nothing else is 4.5 apart.
    assert p_of([4, 9], [1, 2, 3]) == pytest.approx(1 / 10) == smallest_p(2, 3)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
def test_p_does_not_depend_on_order_or_side(one: list[float], other: list[float]) -> None:
    assume(len({*one, *other}) > 1)
    p = p_of(one, other)
    assert smallest_p(len(one), len(other)) / 2 < p <= 1
    assert p_of(other[::-1], one[::-1]) == pytest.approx(p)


def by_hand(columns: list[list[float]], n: int) -> list[float]:
    """The step-down maximum statistic over Student's |t|, as in the book: a loop over all divisions."""

    def t(values: list[float], side: tuple[int, ...]) -> float:
        one = [values[i] for i in side]
        other = [value for i, value in enumerate(values) if i not in side]
        spread = sum((x - fmean(part)) ** 2 for part in (one, other) for x in part)
        pooled = spread / (len(values) - 2) * (1 / len(one) + 1 / len(other))
        return abs(fmean(one) - fmean(other)) / sqrt(pooled)

    here = [t(values, tuple(range(n))) for values in columns]
    order = sorted(range(len(columns)), key=lambda j: -here[j])
    sides = list(combinations(range(len(columns[0])), n))
    tables = [[t(values, side) for side in sides] for values in columns]
    found, floor = [0.0] * len(columns), 0.0
    for place, j in enumerate(order):
        rest = order[place:]
        as_far = sum(max(tables[i][k] for i in rest) >= here[j] * (1 - 1e-9) for k in range(len(sides)))
        found[j] = floor = max(floor, as_far / len(sides))
    return found


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 5), (2, 6)])
def test_the_correction_is_the_maximum_statistic(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    columns = rng.normal(size=(n + m, 5)) * [1, 100, 1e-6, 5, 5]
    columns[n:, 4] += 40
    assert permutation_ps(columns, n) == pytest.approx(by_hand(columns.T.tolist(), n))


def test_of_many_figures_alike_hardly_ever_one_differs() -> None:
    """All 35 divisions of eight runs into four and four; without a correction, 26 in 100 find something."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        common = rng.normal(size=(8, 1))  # figures go together, as they do in reports
        columns = rng.lognormal(size=(8, 34)) + common * rng.random(34)
        found = 0
        for side in combinations(range(8), 4):
            rest = [run for run in range(8) if run not in side]
            found += min(permutation_ps(columns[[*side, *rest]], 4)) <= SIGNIFICANT
        assert found / 70 < 0.05


def test_what_is_clear_is_found_among_many() -> None:
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        columns = rng.normal(size=(8, 34))
        columns[4:, 7] += 15
        found += permutation_ps(columns, 4)[7] <= SIGNIFICANT
    assert found >= 90
    constant = np.ones((8, 3))
    constant[4:, 0] = 2
    constant[0, 1] = constant[5, 2] = 3
    assert permutation_ps(constant, 4)[0] == pytest.approx(2 / 70), "no spread is no hindrance"


def test_many_runs_are_drawn_and_p_is_never_0() -> None:
    assert p_of(list(range(15)), list(range(1_000, 1_015))) == pytest.approx(1 / 50_001)


def test_a_hundred_runs_a_side_need_little_memory() -> None:
    columns = np.random.default_rng(3).normal(size=(200, 34))
    tracemalloc.start()
    try:
        assert 0 < min(permutation_ps(columns, 100)) <= 1
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


Found = dict[str, Any]


def found(base: list[dict[str, Any]], new: list[dict[str, Any]]) -> Found:
    return {each.figure.name: each for each in compare(base, new)}


def test_better_and_worse_go_by_the_figure(blank: dict[str, Any]) -> None:
    noisy = found([run(blank, x) for x in (90, 100, 110, 95)], [run(blank, x) for x in (89, 99, 111, 94)])
    assert noisy["throughput_per_s"].verdict == "same" and not noisy["throughput_per_s"].worse_than(0)
    base, less = [run(blank, x) for x in (90, 100, 110, 95)], [run(blank, x) for x in (60, 70, 80, 75)]
    clear = found(base, less)["throughput_per_s"]
    assert clear.verdict == "worse" and clear.p == pytest.approx(2 / 70)
    assert clear.worse_than(0.2) and not clear.worse_than(0.4)
    assert found(less, base)["throughput_per_s"].verdict == "better"


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 2), (2, 2), (3, 3), (1, 18)])
def test_too_few_runs_are_no_verdict(blank: dict[str, Any], n: int, m: int) -> None:
    few = found([run(blank, 100.0 + i) for i in range(n)], [run(blank, 10.0 + i) for i in range(m)])
    assert few["throughput_per_s"].p is None and few["throughput_per_s"].verdict == "same"


def test_what_is_lost_needs_no_significance(blank: dict[str, Any]) -> None:
    assert set(CERTAIN) <= {figure.name for figure in FIGURES}
    lossy = found([run(blank, 100)], [run(blank, 90, lost=3)])
    assert lossy["messages.lost"].verdict == "worse" and lossy["messages.lost"].worse_than(1e9)
    crooked = run(blank, 100)
    crooked["balanced"] = not blank["balanced"]
    sides = ([run(blank, 100)], [crooked]) if blank["balanced"] else ([crooked], [run(blank, 100)])
    assert found(*sides)["unbalanced"].worse_than(0)
    more = found([run(blank, 100, lost=100)], [run(blank, 100, lost=101)])
    assert more["messages.lost"].worse_than(0.05), "any increase"
    beyond = found([run(blank, 100)], [run(blank, 100, lost=-3)])
    assert beyond["messages.lost"].verdict == "worse", "settled, and made by nobody"
    assert found([run(blank, 100, lost=-3)], [run(blank, 100)])["messages.lost"].verdict == "better"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, None, "fast"])
def test_what_is_no_number_decides_nothing(blank: dict[str, Any], value: Any) -> None:
    base, odd = [run(blank, 1.0) for _ in range(4)], [run(blank, 1.0) for _ in range(3)]
    differences = found(base, [*odd, run(blank, value)])
    assert "throughput_per_s" not in differences
    assert not_in_all([*base, run(blank, value)]) == ["throughput_per_s"]


def test_what_was_asked_differently_is_told_but_not_the_seed(blank: dict[str, Any]) -> None:
    other = copy.deepcopy(blank)
    other["config"]["seed"] = 99
    assert settings_apart(blank, other) == []
    other["config"]["groups"][0]["mean"] = 2.0
    other["versions"]["python"] = "3.99"
    said = settings_apart(blank, other)
    assert said[0] == "config.groups.0.mean: 1.0 and 2.0"
    assert len(said) == 2 and said[1].startswith("versions.python: ")
    assert unlike([blank, blank], [blank, other]) == unlike([blank, other], [blank]) == said, "any of them"
    assert unlike([blank], [blank]) == []


def test_a_figure_that_is_none_is_told_with_the_nearest(blank: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="did you mean 'throughput_per_s'"):
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
    assert equal.startswith("equal in all runs: elapsed_s, ") and "messages.lost" in equal

    few = zsms("compare", "before/[012].json", "after/[012].json", "--figure", "throughput_per_s", cwd=folder)
    assert few.stdout.splitlines()[-1].startswith("too few runs to judge: 3 and 3 can't show a difference")
    single = zsms("compare", "before/0.json", "after/0.json", cwd=folder)
    assert single.returncode == 0 and "worse" not in single.stdout


def test_worse_by_more_than_allowed_exits_1(folder: Path) -> None:
    assert zsms("compare", "before", "after", "--fail-if-worse", 25, cwd=folder).returncode == 0
    done = zsms("compare", "before", "after", "--fail-if-worse", 15, cwd=folder)
    assert done.returncode == 1
    assert "throughput_per_s is worse by more than 15 %" in done.stderr
    assert zsms("compare", "after", "before", "--fail-if-worse", 0, cwd=folder).returncode == 0


def test_too_few_runs_exit_2_unless_something_was_lost(folder: Path, blank: dict[str, Any]) -> None:
    done = zsms("compare", "before/0.json", "after/0.json", "--fail-if-worse", 1, cwd=folder)
    assert done.returncode == 2 and "too few to judge" in done.stderr
    (folder / "lossy.json").write_text(json.dumps(run(blank, 100, lost=1)))
    lossy = zsms("compare", "before/0.json", "lossy.json", "--figure", "wall_s", "--fail-if-worse", 50, cwd=folder)
    assert lossy.returncode == 1 and "messages.lost is worse\n" in lossy.stderr
    (folder / "nan.json").write_text(json.dumps(run(blank, float("nan"))))
    odd = zsms("compare", "before", "nan.json", "--figure", "throughput_per_s", "--fail-if-worse", 5, cwd=folder)
    assert odd.returncode == 2


@pytest.mark.parametrize(("figure", "value"), [("lost", None), ("lost", float("nan")), ("throughput_per_s", None)])
def test_what_was_not_measured_passes_no_gate(folder: Path, blank: dict[str, Any], figure: str, value: Any) -> None:
    """Who can't say what was lost has not shown that nothing was."""
    for number in range(4):
        body = run(blank, 100.0)
        (body["messages"] if figure == "lost" else body)[figure] = value
        (folder / "after" / f"{number}.json").write_text(json.dumps(body))
    done = zsms("compare", "before", "after", "--fail-if-worse", 5, cwd=folder)
    assert done.returncode == 2 and f"not judged: {'messages.' * (figure == 'lost')}{figure}" in done.stderr
    assert zsms("compare", "before", "after", cwd=folder).returncode == 0


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("messages", None, "its `messages` is no object"),
        ("processes", {}, "its `processes` is no list"),
        ("senders", 5, "its `senders` is no list"),
        ("config", "x", "its `config` is no object"),
    ],
)
def test_a_damaged_report_is_none(blank: dict[str, Any], part: str, value: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        figures_of({**blank, part: value})


def test_processes_that_nobody_told_of_took_no_figure_of_0(blank: dict[str, Any]) -> None:
    assert not {"processor_s", "memory_bytes"} & figures_of({**blank, "processes": []}).keys()


def test_a_number_beyond_all_numbers_is_no_figure(blank: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no report: a figure in it is no number"):
        figures_of(
            run(blank, 100.0) | {"processes": [{"cpu_s": cpu_s, "rss_max_bytes": 1} for cpu_s in (0.5, 10**400)]}
        )


@pytest.mark.parametrize("odd", [{"title": 5}, {"tags": [1]}, {"tags": "a=b"}, {"tags": {"a": 5}}])
def test_names_of_a_run_that_are_no_texts_are_told(tmp_path: Path, blank: dict[str, Any], odd: dict[str, Any]) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(run(blank, 100) | odd))
    done = CliRunner().invoke(command, [str(path), str(path), "--html", str(tmp_path / "c.html")])
    assert str(done.exception) == f"{path}: no report: its title or its tags are no texts"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("gone.json", "gone.json: can't be read: No such file or directory"),
        ("gone-*.json", "gone-*.json: no file of such a name"),
        ("before/other.json", "before/other.json: no report: its `schema` is not zsms-report/2"),
        (".", ".: no report in this folder"),
        ('{"schema": "zsms-plan/1"}', "odd.json: no report, but a plan: zsms plan --against"),
        ('{"schema": "zsms-report/1"}', "odd.json: no report: its `schema` is 'zsms-report/1', not zsms-report/2"),
        ('{"schema": "zsms-report/2", "messages": {}}', "odd.json: no report: it has no `processes`"),
        ('{"schema": "zsms-report/2"', "odd.json: no report: is not JSON: "),
    ],
)
def test_what_is_no_report_is_told(folder: Path, what: str, told: str) -> None:
    if what.startswith("{"):
        (folder / "odd.json").write_text(what)
        what = "odd.json"
    done = zsms("compare", what, "after", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith(f"zsms: {told}")
