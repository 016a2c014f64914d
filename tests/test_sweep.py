"""Sweeps: every combination once, its figures with their spread, and nothing twice after an interruption."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.mesh.processes import zsms
from zsms import __version__
from zsms.cli.commands import load_command
from zsms.cli.sweep import command
from zsms.errors import UsageError
from zsms.launch.record import Record
from zsms.launch.sweep import commands_of, figures_of, parse_vary, points_of, to_csv, to_lines
from zsms.report.spread import Point, Spread


def test_points_are_every_combination_and_whole_numbers_are_digits() -> None:
    varied = parse_vary(["concurrency=1e3,2.5e4", "--failure_rate=0,0.05"])
    assert varied == [("concurrency", ["1000", "25000"]), ("failure-rate", ["0", "0.05"])]
    assert parse_vary(["tag=007,+1,1_0,7.0"]) == [("tag", ["007", "+1", "1_0", "7"])]
    points = points_of(varied)
    assert len(points) == 4 and points[1] == (("concurrency", "1000"), ("failure-rate", "0.05"))


@pytest.mark.parametrize("text", ["concurrency", "=1", "a=1,,2", "a=1,1", "a=1,1e0", "a=", ""])
def test_what_is_no_list_of_values_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="--vary"):
        parse_vary([text])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--vary", "concurency=1,2"], "did you mean '--concurrency'?"),
        (["--vary", "seed=1,2"], "--vary seed: a sweep has that option itself"),
        (["--vary", "json=a,b"], "--vary json: a sweep has that option itself"),
        (["--vary", "yes-really-send=1,2", "--live"], "that takes no values"),
        (
            ["--vary", "mean=1,2", "--mesages", "5"],
            "--mesages: `zsms plan` has no such option; did you mean",
        ),
        (["--vary", "mean=1,2", "--json=x"], "--json: a sweep has that option itself"),
        (["--vary", "mean=1,2", "--live", "--dry-run"], "--dry-run: a sweep has that option itself"),
        (["--vary", "mean=1,2", "--live", "--share", "0.5"], "`zsms run` has no such option"),
    ],
)
def test_an_option_that_no_point_could_take_is_told_before_the_first(options: list[str], why: str) -> None:
    done = CliRunner().invoke(command, options, standalone_mode=False)
    assert isinstance(done.exception, UsageError) and why in str(done.exception)


@pytest.mark.parametrize(
    ("groups", "head"),
    [
        ('[[group]]\nname = "a"\nslots = 9\n[[group]]\nname = "b"\nconcurrency = 9\n', None),
        ('[[run.groups]]\nname = "a"\nconcurrency = 9\n', "a.concurrency"),
        ("[[group]]\nslots = 9\n", "group1.concurrency"),
        ('[[group]]\nname = "a"\nslots = 9\n[[group]]\nname = "b"\n', "concurrency"),
        ("[run]\nconcurrency = 9\n", "concurrency"),
    ],
)
def test_what_every_group_sets_for_itself_varies_where_there_is_one(
    tmp_path: Path, groups: str, head: str | None
) -> None:
    file = tmp_path / "x.toml"
    file.write_text(groups)
    options = [str(file), "--vary", "concurrency=5,6", "--messages", "10", "--jobs", "1", "--csv", "-"]
    done = CliRunner().invoke(command, options, standalone_mode=False)
    if head is None:
        assert "every group of" in str(done.exception) and "such as --vary a.concurrency=5,6" in str(done.exception)
    else:
        (one, other) = csv.DictReader(io.StringIO(done.stdout))
        assert (one[head], other[head]) == ("5", "6") and float(one["reach_p50_s"]) > float(other["reach_p50_s"]) / 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--vary", "mean=1,500ms"], "'500ms' is not a valid float"),
        (["--vary", "delay=normal,gama"], "'gama' is not one of"),
        (["--vary", "mean=1,2", "--messages", "many"], "'many' is not a valid integer"),
        (["--live", "--vary", "senders=1,two"], "'two' is not a valid integer"),
        (["--vary", "failure-rate=0.5,.5"], "0.5 and .5 are the same"),
        (["--vary", "mean=1,2", "--vary", "concurrency=7,07"], "7 and 07 are the same"),
    ],
)
def test_a_value_that_no_point_could_take_is_told_before_the_first(options: list[str], why: str) -> None:
    done = CliRunner().invoke(command, options, standalone_mode=False)
    assert isinstance(done.exception, (click.UsageError, UsageError))
    told = done.exception.format_message() if isinstance(done.exception, click.UsageError) else f"{done.exception}"
    assert why in told and not done.output


@pytest.mark.parametrize(
    ("vary", "why"),
    [
        ("a.failure-rate=0.5,0.50", "a.failure-rate: 0.5 and 0.50 are the same"),
        ("concurrency=1_000,1e3", "a.concurrency: 1_000 and 1000 are the same"),
        ("a.concurrency=10,07", "a.concurrency=07: give a whole number from 1"),
    ],
)
def test_values_of_a_group_s_field_are_given_once_however_they_are_written(tmp_path: Path, vary: str, why: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[[group]]\nname = "a"\nconcurrency = 9\n')
    done = CliRunner().invoke(command, [str(file), "--vary", vary, "--messages", "10"], standalone_mode=False)
    assert why in str(done.exception) and not done.output


@pytest.mark.parametrize("live", [[], ["--live"]])
def test_what_no_point_could_be_planned_with_is_told_once(tmp_path: Path, live: list[str]) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[[group]]\nname = "a"\nprofile = "us-shrt-code"\n')
    done = CliRunner().invoke(command, [str(file), "--vary", "mean=1,2", *live], standalone_mode=False)
    assert f"{file}: [[group]] 1: profile = 'us-shrt-code': there is no such" in str(done.exception) and not done.output
    done = CliRunner().invoke(command, ["--vary", "mean=1,2", *live, "--throttled-rate", "2"], standalone_mode=False)
    assert "throttled_rate = 2.0: give a share" in str(done.exception) and not done.output


@pytest.mark.parametrize(
    ("tables", "options", "why"),
    [
        (
            '[[group]]\nslots = 9\n[[group]]\nname = "b"\nconcurrency = 9\n',
            "--concurrency 5",
            "every group sets its own",
        ),
        ('[[run.groups]]\nname = "a"\nconcurrency = 9\n', "--concurrency 5", "every group sets its own"),
        ("[[group]]\ncap = 5\nqueue = 9\n", "--route-queue 5", "every group sets its own"),
        ('[[group]]\nprofile = "us-short-code"\n', "--cap 5", "every group sets its own"),
        ("[retries]\nattempts = 3\n[[group]]\n", "--max-attempts 5", "[retries] says that"),
        ('[[group]]\nslots = 9\n[[group]]\nname = "b"\n', "--concurrency 5", ""),
        ("[run]\nconcurrency = 9\n", "--concurrency 5", ""),
        ("retries = 5\ngroup = 5\n", "--concurrency 5", "write"),
    ],
)
def test_an_option_that_changes_nothing_beside_a_file_is_refused(
    tmp_path: Path, tables: str, options: str, why: str
) -> None:
    """By `zsms plan`, `zsms run` and `zsms sweep` alike."""
    file = tmp_path / "x.toml"
    file.write_text(tables)
    name, value = options.split()
    asked = ("--messages", "10", name, value)
    points = [("plan", str(file), *asked, "--quiet", "--jobs", "1", "--replications", "1")]
    points.append(("run", "--config", str(file), *asked, "--dry-run"))
    if why:
        points.append(("sweep", str(file), "--vary", "lease=5,6", "--live", *asked))
    for words in points:
        done = CliRunner().invoke(load_command(words[0]), list(words[1:]), standalone_mode=False)
        if why and "write" not in why:
            assert isinstance(done.exception, UsageError) and f"{name} beside {file}: {why}" in str(done.exception)
        else:
            assert why in f"{done.exception}{done.output}" and "beside" not in f"{done.exception}"


def test_a_setting_varies_once_and_points_are_bounded() -> None:
    with pytest.raises(UsageError, match="varies already"):
        parse_vary(["a=1", "a=2"])
    with pytest.raises(UsageError, match="points"):
        points_of([(name, [str(number) for number in range(200)]) for name in "ab"])
    with pytest.raises(UsageError, match="10,000,000,000 points"):  # which are never made
        points_of([(name, list("0123456789")) for name in "abcdefghij"])


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
    figures = figures_of([{**plan, "deadlines": [], "solution": None}], live=False)
    assert figures["reach_p99_s"] == (1.0, 2.0, 3.0) and figures["delivered"].median == 10.0
    assert "unsent" not in figures


def test_points_that_differ_by_a_deadline_or_a_solution_differ_in_their_table() -> None:
    bands: dict[str, object] = {"reach_s": {}, "counts": {}, "deadlines": [], "solution": None}
    wish = {"reached": {"p10": 0.4, "p50": 0.5, "p90": 0.6}, "probability": 0.25}
    asked = figures_of([{**bands, "deadlines": [wish], "solution": {"what": "slots", "least": 70}}], live=False)
    assert asked == {
        "reached_at_deadline": Spread(0.4, 0.5, 0.6),
        "probability": Spread(None, 0.25, None),
        "least_slots": Spread(None, 70, None),
    }
    # Not each point is asked the same, and a record may hold less.
    points = points_of(parse_vary(["solve=slots,routes,processes"]))
    other = figures_of([{**bands, "solution": {"what": "routes", "least": None}}], live=False)
    done: dict[Point, dict[str, Spread]] = dict(zip(points, (asked, other, {}), strict=True))
    rows = list(csv.DictReader(io.StringIO(to_csv(points, done))))
    assert [(row["least_slots"], row["least_routes"]) for row in rows] == [("70", ""), ("", ""), ("", "")]
    assert [line.split()[-2:] for line in to_lines(points, done)[1:]] == [["70", "-"], ["-", "-"], ["-", "-"]]


def test_a_record_goes_on_after_a_line_that_was_cut_and_refuses_another_sweep(tmp_path: Path) -> None:
    path, point, other = tmp_path / "record", (("a", "1"),), (("a", "2"),)
    with Record(str(path), {"seed": 1}) as record:
        record.add(point, {"x": Spread(1.0, 2.0, None)})
    whole = path.read_bytes()
    line = json.dumps({"point": other, "figures": {"x": [3.0, 3.0, 3.0]}})
    for end in range(len(line) + 1):  # the last of them lacks its line break only
        path.write_bytes(whole + line[:end].encode())
        with Record(str(path), {"seed": 1}) as record:
            assert record.done.keys() == {point} | ({other} if end == len(line) else set())
            record.add((("a", "3"),), {"x": Spread(3.0, 3.0, 3.0)})
        with Record(str(path), {"seed": 1}) as record:
            assert (("a", "3"),) in record.done and record.done[point] == {"x": Spread(1.0, 2.0, None)}
    for begin in range(whole.index(b"\n") + 1):  # killed while it wrote whose sweep it is
        path.write_bytes(whole[:begin])
        with Record(str(path), {"seed": 1}) as record:
            assert not record.done
        assert path.read_bytes() == whole[: whole.index(b"\n") + 1]
    with pytest.raises(UsageError, match=r"another sweep \(seed differ\)"):
        Record(str(path), {"seed": 2})


@pytest.mark.parametrize(
    ("version", "told"),
    [("0.0.9", "was begun by zsms 0.0.9, this is"), (None, "by an earlier zsms"), (__version__, "")],
)
def test_a_record_of_another_version_is_gone_on_with_and_told_of(
    tmp_path: Path, version: str | None, told: str
) -> None:
    record = tmp_path / "record"
    options = ["--vary", "mean=1,2", "--messages", "10", "--record", str(record)]
    with Record(str(record), {"vary": ["mean=1,2"], "replications": 1, "live": False, "seed": 0,
                              "always": ["--messages", "10"], "scenario": None}) as kept:  # fmt: skip
        for value in "12":
            kept.add((("mean", value),), {"x": Spread(1.0, 2.0, 3.0)})
    head, *lines = record.read_text().splitlines()
    found = json.loads(head)
    assert found.pop("version") == __version__
    head = json.dumps(found if version is None else {**found, "version": version})
    record.write_text("\n".join([head, *lines, ""]))
    done = CliRunner().invoke(command, options, standalone_mode=False)
    assert done.exception is None and done.stdout.count("\n") == 3, done.exception
    assert told in done.stderr if told else not done.stderr


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"nonsense\n", "no record of a sweep"),
        (b"my notes, which end without a line break", "no record of a sweep"),
        (b"[1, 2]\nand more", "no record of a sweep"),
        (b"\xff\xfe\x00binary", "no record of a sweep"),
        (b'{"sweep": 1, "seed": 1}\n{}\n', "line 2 is damaged"),
        (b'{"sweep": 1, "seed": 1}\n\xff\n{"point": [["a", "1"]], "figures": {}}\n', "line 2 is damaged"),
        (b'{"sweep": 1, "seed": 1}\n{"point": [["a", "1"]], "figures": {"x": [1, NaN, 2]}}\n', "line 2 is damaged"),
        (b'{"sweep": 1, "seed": 1}\n{"point": [["a", "1"]], "figures": {"x": [1]}}\n', "line 2 is damaged"),
    ],
)
def test_a_file_that_is_no_record_is_told_of_and_left_as_it_is(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=why):
        Record(str(path), {"seed": 1})
    assert path.read_bytes() == content


def test_a_record_is_for_one_sweep_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "record")
    with Record(path, {"seed": 1}), pytest.raises(UsageError, match="in use by another sweep"):
        Record(path, {"seed": 1})
    Record(path, {"seed": 1}).close()


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
    with Record(str(folder / "record"), {"seed": 1}) as record:
        shutil.rmtree(folder)
        for value in "12":
            record.add((("a", value),), {"x": Spread(1.0, 1.0, 1.0)})
    assert len(record.done) == 2 and "No such file" in record.trouble


def test_a_plan_that_can_not_be_written_is_a_line_and_is_shown(tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    done = zsms("plan", "--messages", 100, "--no-variants", "--json", "/dev/full", "--csv", curve)
    assert done.returncode == 1 and "reached" in done.stdout and curve.read_text().count("\n") > 2
    assert "can't write the plan to /dev/full" in done.stderr
