"""Sweeps: every combination once, its figures with their spread, and nothing twice after an interruption."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mesh.processes import zsms
from zsms.errors import UsageError
from zsms.launch.sweep import Record, commands_of, figures_of, parse_vary, points_of, to_csv, to_lines
from zsms.report.spread import Spread


def test_points_are_every_combination_and_whole_numbers_are_digits() -> None:
    varied = parse_vary(["concurrency=1e3,2.5e4", "--failure_rate=0,0.05"])
    assert varied == [("concurrency", ["1000", "25000"]), ("failure-rate", ["0", "0.05"])]
    points = points_of(varied)
    assert len(points) == 4 and points[1] == (("concurrency", "1000"), ("failure-rate", "0.05"))


@pytest.mark.parametrize("text", ["concurrency", "=1", "a=1,,2", "a=1,1", "a=1,1e0", "a=", ""])
def test_what_is_no_list_of_values_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="--vary"):
        parse_vary([text])


def test_a_setting_varies_once_and_points_are_bounded() -> None:
    with pytest.raises(UsageError, match="varies already"):
        parse_vary(["a=1", "a=2"])
    with pytest.raises(UsageError, match="points"):
        points_of([(name, [str(number) for number in range(200)]) for name in "ab"])


def test_each_replication_of_a_run_has_a_seed_of_its_own() -> None:
    point = (("concurrency", "10"),)
    runs = commands_of(point, ["--messages", "5"], 3, True, 7)
    seeds = [run[run.index("--seed") + 1] for run in runs]
    assert len(set(seeds)) == 3 and runs == commands_of(point, ["--messages", "5"], 3, True, 7)
    (other,) = commands_of(point, ["--messages", "5"], 1, True, 8)  # 7 + 1 would be the second of the other sweep
    assert other[other.index("--seed") + 1] not in seeds
    assert all(run[:5] == ["run", "--messages", "5", "--concurrency", "10"] for run in runs)
    (plan,) = commands_of(point, [], 3, False, 7)
    assert plan[0] == "plan" and plan[plan.index("--replications") + 1] == "3"


@given(st.lists(st.floats(-1e9, 1e9) | st.none(), max_size=40))
def test_a_spread_is_in_order_and_leaves_out_what_was_not_measured(values: list[float | None]) -> None:
    spread = Spread.of(values)
    known = [value for value in values if value is not None]
    if not known:
        assert spread == (None, None, None)
        return
    assert min(known) <= spread.low <= spread.median <= spread.high <= max(known)
    if len(known) < 10:
        assert (spread.low, spread.high) == (min(known), max(known))


def test_the_bands_of_a_plan_are_its_spread() -> None:
    plan = {"reach_s": {"p99": {"p10": 1.0, "p50": 2.0, "p90": 3.0}}, "counts": {"delivered": 10.0, "failed": 0.0}}
    figures = figures_of([plan], live=False)
    assert figures["reach_p99_s"] == (1.0, 2.0, 3.0) and figures["delivered"].median == 10.0
    assert "unsent" not in figures


def test_a_record_goes_on_after_a_line_that_was_cut_and_refuses_another_sweep(tmp_path: Path) -> None:
    path, point = tmp_path / "record", (("a", "1"),)
    Record(str(path), {"seed": 1}).add(point, {"x": Spread(1.0, 2.0, None)})
    with path.open("a") as file:
        file.write('{"point": [["a", "2"]], "fig')
    again = Record(str(path), {"seed": 1})
    assert again.done == {point: {"x": Spread(1.0, 2.0, None)}}
    again.add((("a", "2"),), {"x": Spread(3.0, 3.0, 3.0)})
    assert len(Record(str(path), {"seed": 1}).done) == 2
    with pytest.raises(UsageError, match=r"another sweep \(seed differ\)"):
        Record(str(path), {"seed": 2})
    path.write_text("nonsense\n")
    with pytest.raises(UsageError, match="no record of a sweep"):
        Record(str(path), {"seed": 1})


def test_tables_have_a_row_a_point_that_is_done() -> None:
    points = points_of([("a", ["1", "2", "3"])])
    done = {points[2]: {"x": Spread(1.0, 2.0, 4.0)}, points[0]: {"x": Spread(None, None, None)}}
    assert [row["a"] for row in csv.DictReader(io.StringIO(to_csv(points, done)))] == ["1", "3"]
    assert to_lines(points, done) == ["a     x", "1     -", "3  2 ±2"]


def test_a_sweep_of_runs_is_recorded_and_not_run_again(tmp_path: Path) -> None:
    record = tmp_path / "record"
    sweep = ("sweep", "--live", "--vary", "concurrency=50,100", "--record", record, "--messages", 200, "--mean", 0.05)
    done = zsms(*sweep, "--csv", tmp_path / "table.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [(row["concurrency"], row["sent"], row["lost"]) for row in rows] == [("50", "200", "0"), ("100", "200", "0")]
    before = record.read_text()
    assert len(before.splitlines()) == 3 and json.loads(before.splitlines()[1])["point"] == [["concurrency", "50"]]
    again = zsms(*sweep)
    assert again.returncode == 0 and not again.stderr and record.read_text() == before


def test_a_point_that_fails_is_told_and_the_others_go_on() -> None:
    done = zsms("sweep", "--live", "--vary", "concurrency=0,50", "--messages", 100, "--mean", 0.05)
    assert done.returncode == 1
    assert "concurrency=0: zsms run" in done.stderr and "exited with 2" in done.stderr
    assert "50" in done.stdout and "Traceback" not in done.stderr


def test_an_output_that_fails_is_a_line_and_keeps_neither_the_others_nor_the_table(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    sweep = ("sweep", "--vary", "concurrency=50,100", "--messages", 100, "--mean", 0.05)
    done = zsms(*sweep, "--csv", "/dev/full", "--html", page)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "zsms: can't write the table to /dev/full: No space left on device"
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["concurrency", "50", "100"]
    assert "</html>" in page.read_text()
    for asked, why in (
        (("--csv", tmp_path / "no" / "table"), "--csv: can't write to"),
        (("--csv", "-", "--html", "-"), "only one of them"),
        (("--record", "/dev/zero"), "that is no file"),
    ):
        done = zsms(*sweep, *asked)
        assert (done.returncode, done.stdout) == (2, "") and why in done.stderr and "Traceback" not in done.stderr


def test_a_record_that_can_not_be_gone_on_with_costs_no_point(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    record = Record(str(folder / "record"), {"seed": 1})
    shutil.rmtree(folder)
    for value in "12":
        record.add((("a", value),), {"x": Spread(1.0, 1.0, 1.0)})
    assert len(record.done) == 2 and "No such file" in record.trouble


def test_a_plan_that_can_not_be_written_is_a_line_and_is_shown(tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    done = zsms("plan", "--messages", 100, "--no-variants", "--json", "/dev/full", "--csv", curve)
    assert done.returncode == 1 and "reached" in done.stdout and curve.read_text().count("\n") > 2
    assert "can't write the plan to /dev/full" in done.stderr
