"""Rows, which throughput of a run counts, and medians."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from study import record
from study.ladder import Plan
from tests.study.synthetic import runs_of
from zsms.errors import UsageError

MESH_RUN, BASELINE_RUN = runs_of(Plan(repeats=1, max_slots=1))


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "data" / "scaling.csv"
    runs = runs_of(Plan(repeats=2, max_slots=300))
    record.write(path, runs)
    once = path.read_bytes()
    back = record.read(path)
    assert [run.step for run in back] == [run.step for run in runs]
    assert [run.rate for run in back] == pytest.approx([run.rate for run in runs], rel=1e-5)
    assert [run.steady_s is None for run in back] == [run.steady_s is None for run in runs]
    assert all(run.balanced is True for run in back)
    record.write(path, back)
    assert path.read_bytes() == once
    assert list(path.parent.iterdir()) == [path]


def test_no_file_is_no_rows(tmp_path: Path) -> None:
    assert record.read(tmp_path / "scaling.csv") == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("design,", "colour,", "columns"), ("mesh,3,", "mesh,three,", "line 4"), (",true,", ",perhaps,", "line 2")],
)
def test_a_file_that_is_not_ours_is_refused_with_the_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "scaling.csv"
    record.write(path, runs_of(Plan(repeats=1, max_slots=3)))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UsageError, match=says):
        record.read(path)


@pytest.mark.parametrize(
    ("window_s", "steady", "counts"),
    [
        pytest.param(8.0, 98.0, 98.0, id="a window as it should be"),
        pytest.param(0.0, 0.0, 90.0, id="none: the producer was the limit"),
        pytest.param(4.0, 120.0, 90.0, id="scraps: less than half of the run"),
    ],
)
def test_which_throughput_of_a_mesh_counts(window_s: float, steady: float, counts: float) -> None:
    run = replace(
        MESH_RUN, wall_s=10.0, throughput_per_s=90.0, efficiency=0.9,
        steady_s=window_s, steady_throughput_per_s=steady, steady_efficiency=steady / 100,
    )  # fmt: skip
    assert run.rate == counts
    assert run.share == pytest.approx(counts / 100)


def test_a_window_below_a_second_does_not_count() -> None:
    run = replace(MESH_RUN, wall_s=1.0, throughput_per_s=90.0, steady_s=0.9, steady_throughput_per_s=98.0)
    assert run.rate == 90.0
    assert replace(run, wall_s=1.2, steady_s=1.0).rate == 98.0


def test_the_baseline_counts_with_its_whole_rounds_when_it_had_any() -> None:
    run = replace(BASELINE_RUN, throughput_per_s=50.0, steady_throughput_per_s=60.0)
    assert run.rate == 60.0
    assert replace(run, steady_throughput_per_s=None, steady_efficiency=None).rate == 50.0


def test_a_point_is_the_median_and_the_spread_of_its_repeats() -> None:
    rates = (70.0, 100.0, 90.0)
    runs = [replace(BASELINE_RUN, repeat=n, steady_throughput_per_s=rate) for n, rate in enumerate(rates, 1)]
    (point,) = record.points([*runs, MESH_RUN], "baseline")
    assert point.rate == record.Spread(90.0, 70.0, 100.0)
    assert point.runs == 3 and point.slot_error_p99_s is None


def test_a_step_counts_by_one_kind_of_figure_in_all_its_repeats() -> None:
    whole = replace(BASELINE_RUN, throughput_per_s=50.0, steady_throughput_per_s=None, steady_efficiency=None)
    steady = replace(BASELINE_RUN, throughput_per_s=60.0, steady_throughput_per_s=100.0)
    (point,) = record.points([whole, steady], "baseline")
    assert point.rate == record.Spread(55.0, 50.0, 60.0)


def test_a_plateau_is_where_a_curve_that_left_the_ideal_is_highest() -> None:
    curve = record.points(runs_of(Plan(repeats=1)), "mesh")
    top = record.highest(curve)
    assert top is not None and top.slots in (4_000_000, 6_000_000, 10_000_000)
    upto = [point for point in curve if point.slots <= top.slots]
    assert record.plateau(upto) is None, "nothing shows yet that it does not go on rising"
    lower = replace(top, slots=20_000_000, rate=record.Spread(3e6, 3e6, 3e6), share=record.Spread(0.15, 0.15, 0.15))
    assert record.plateau([*upto, lower]) is top
    assert record.plateau([point for point in curve if point.slots <= 1_000_000]) is None
    assert record.plateau([]) is None


def test_a_curve_of_which_twice_the_slots_bring_hardly_more_has_levelled_off() -> None:
    (point,) = record.points([BASELINE_RUN], "baseline")

    def rung(slots: int, rate: float) -> record.Point:
        return replace(point, slots=slots, rate=record.Spread(rate, rate, rate), share=record.Spread(0.2, 0.2, 0.2))

    curve = [rung(100_000, 46_000.0), rung(300_000, 65_400.0), rung(1_000_000, 62_300.0), rung(2_000_000, 65_700.0)]
    assert record.plateau(curve) is curve[-1]
    assert record.plateau([*curve[:-1], rung(2_000_000, 70_000.0)]) is None, "that is a rise"
    assert record.plateau([curve[1], rung(500_000, 65_700.0)]) is None, "not twice the slots: nothing shows it yet"


REPORT = {
    "wall_s": 10.0,
    "throughput_per_s": 1.0,
    "efficiency": 1.0,
    "steady": {"throughput_per_s": 1.0, "efficiency": 1.0, "seconds": 8.0},
    "slot_error_s": {"p99": 0.001},
    "processes": [{"rss_max_bytes": 10, "cpu_s": 1.0}, {"rss_max_bytes": 20, "cpu_s": 0.5}],
    "balanced": True,
}


@pytest.mark.parametrize(
    ("produced", "sent", "lost", "balanced"),
    [(10, 10, 0, True), (10, 8, 2, False), (9, 9, 0, False), (10, 9, 0, False)],
)
def test_a_report_of_fewer_messages_than_were_asked_for_is_a_loss(
    produced: int, sent: int, lost: int, balanced: bool
) -> None:
    report = {**REPORT, "messages": {"produced": produced, "sent": sent, "lost": lost}}
    run = record.run_of(MESH_RUN.step, {**report}, elapsed_s=12.0, at="", version="0")
    wanted = MESH_RUN.messages
    assert run.lost == lost + wanted - produced
    assert run.balanced is (balanced and sent == wanted)
    assert (run.rss_max_bytes, run.cpu_s) == (30, 1.5)
