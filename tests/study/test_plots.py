"""The pictures: that they are drawn, that both curves are in them, and that nothing is written over another."""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from study.__main__ import command
from study.ladder import Plan
from tests.study import synthetic
from zsms.errors import UsageError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402  # after importorskip
from matplotlib.image import imread  # noqa: E402

from study import diagram, plots  # noqa: E402
from study.style import COLOUR, Label, name_curves, new_axes, style  # noqa: E402
from zsms.formats import short, spoken  # noqa: E402

REAL = {
    "messages": {"sent": 340_000_000, "lost": 0},
    "senders": [{"slots": 2_000_000}] * 2,
    "wall_s": 92.0,
    "balanced": True,
}


def share_of(picture: np.ndarray[Any, Any], colour: str) -> float:
    """The share of the pixels that are nearly `colour`."""
    wanted = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return float((np.abs(picture[..., :3] - wanted).max(axis=2) < 0.02).mean())


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(), id="all"),
        pytest.param(Plan(quick=True), id="quick"),
        pytest.param(Plan(repeats=1, max_slots=1), id="a single point"),
        pytest.param(Plan(repeats=1, max_slots=3_000_000, baseline_max=0), id="no baseline"),
    ],
)
def test_every_chart_is_drawn_with_its_curves(tmp_path: Path, plan: Plan) -> None:
    runs = synthetic.runs_of(plan)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "us-340m.json").write_text(json.dumps(REAL))
    pictures = plots.draw(runs, None, tmp_path)
    assert [path.name for path in pictures] == ["throughput.png", "throughput-per.png", "us-pop-send.png"]
    for path in pictures:
        picture = imread(path)
        assert picture.shape[:2] == (1080, 1800)
        assert 10_000 < path.stat().st_size < 400_000
        assert share_of(picture, "#ffffff") > 0.75
        for design, colour in COLOUR.items():
            drawn = any(run.design == design for run in runs)
            assert (share_of(picture, colour) > 2e-4) == drawn, (path.name, design)


def test_the_same_rows_draw_the_same_bytes(tmp_path: Path) -> None:
    runs = synthetic.runs_of(Plan(repeats=2, max_slots=100_000))
    first, second = (plots.draw(runs, None, tmp_path / name)[0].read_bytes() for name in "ab")
    assert first == second


def test_the_diagram_is_drawn(tmp_path: Path) -> None:
    picture = imread(diagram.draw(tmp_path))
    assert picture.shape[:2] == (1160, 2000)
    assert 0.6 < share_of(picture, "#ffffff") < 0.97


def test_names_of_curves_that_end_together_do_not_overlap() -> None:
    with style():
        figure, axes = new_axes("title", "subtitle", "source")
        axes.set_ylim(0, 1)
        before = len(axes.texts)
        name_curves(axes, [Label(height, "asyncio baseline\nplateau at\n3.72 million/s", "k") for height in (1, 0, 1)])
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in axes.texts[before:]]
        page = figure.bbox
    assert len(boxes) == 6
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)


def test_the_real_run_is_read_from_its_report(tmp_path: Path) -> None:
    path = tmp_path / "us-340m.json"
    assert plots.real_run(path) is None
    path.write_text(json.dumps(REAL))
    assert plots.real_run(path) == plots.RealRun(340_000_000, 4_000_000, 92.0)


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({**REAL, "balanced": False}), json.dumps({**REAL, "messages": {"sent": 1}})]
)
def test_a_real_run_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "us-340m.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"us-340m\.json"):
        plots.real_run(path)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.9, "1.9 s"),
        (59.9, "60 s"),
        (91.6, "1 min 32 s"),
        (3_599.7, "1 h 0 min"),
        (10_440, "2 h 54 min"),
        (345_600, "4 days"),
        (340e6, "11 years"),
    ],
)
def test_times_are_told_as_people_do(seconds: float, text: str) -> None:
    assert plots.duration(seconds) == text


def test_counts_are_told_as_people_do() -> None:
    assert [spoken(value) for value in (0.987, 931.4, 32_567, 3_718_810)] == ["0.987", "931", "32,600", "3.72 million"]
    assert [short(value) for value in (1, 300, 10_000, 2.5e6)] == ["1", "300", "10k", "2.5M"]


def test_plots_only_draws_what_is_there_and_prints_the_medians(tmp_path: Path) -> None:
    synthetic.write(tmp_path, Plan(repeats=3, max_slots=100))
    done = CliRunner().invoke(command, ["--plots-only", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "throughput.png", "throughput-per.png", "us-pop-send.png", "system-diagram.png",
    }  # fmt: skip
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0][0] == "design"
    assert [row[:3] for row in rows[1:3]] == [["mesh", "1", "3"], ["mesh", "3", "3"]]


@pytest.mark.parametrize("options", [["--plots-only"], ["--plots-only", "--fresh"]])
def test_plots_only_needs_rows(tmp_path: Path, options: list[str]) -> None:
    done = CliRunner().invoke(command, ["--out", str(tmp_path), *options])
    assert isinstance(done.exception, UsageError)


def test_without_matplotlib_the_study_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = CliRunner().invoke(command, ["--out", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert "pip install 'zsms[plots]'" in str(done.exception)


def test_where_a_chart_comes_from_is_within_it() -> None:
    source = "median of 3 runs, band from lowest to highest  ·  AMD EPYC 7003 64-Core Processor @ 2.80GHz"
    source += ", 64 cores, 256 GiB, Linux"
    source += "  ·  Python 3.13.10  ·  zsms 0.10.10  ·  2026-11-28"
    with style():
        figure, _ = new_axes("title", "what is shown", source)
        FigureCanvasAgg(figure).draw()
        assert figure.texts[-1].get_window_extent().x1 < figure.bbox.x1
