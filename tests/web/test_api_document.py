"""docs/API.md names what is served, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.web.snapshots import mesh
from zsms.dashboard import app, picture
from zsms.stats.book import StatsBook

TEXT = (Path(__file__).parents[2] / "docs" / "API.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"\n#+ ", TEXT.split(f"# {title}\n", 1)[1])[0]


def fields(title: str) -> set[str]:
    """The first cells of a section's table."""
    rows = [line.split(" | ")[0] for line in section(title).splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def named(title: str, row: str) -> set[str]:
    """What the second cell of a row names."""
    (line,) = [line for line in section(title).splitlines() if line.startswith(f"| `{row}`")]
    return set(re.findall(r"`\"?([\w/]+)\"?`", line.split(" | ", 1)[1]))


def now() -> dict[str, Any]:
    watch, book = picture.Picture("", 1.0, 0.0), StatsBook()
    for second in (1, 2):
        mesh(book, second, float(second))
        watch.take(book.answer("all", float(second)), float(second))
    return watch.picture(2.0)


def test_the_tables_have_the_fields() -> None:
    told = now()
    assert fields("now") == set(told)
    figures = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]+)", section("figures"), re.M))))
    assert figures | {"retrying"} == set(told["figures"])
    assert set(told["senders"][0]) - {"role"} <= named("now", "senders") | named("now", "processes")
    assert named("now", "processes") == set(told["processes"][0])
    assert set(told["collector"]) <= named("now", "collector")
    assert {*told["reach"], *told["reach"]["share_after"]} <= named("now", "reach")
    assert {"now", "whole", *told["send_time_s"]["whole"]} <= named("now", "send_time_s")


def test_the_series_has_its_columns() -> None:
    watch = picture.Picture("", 1.0, 0.0)
    served = watch.columns("recent")
    named_there = set(re.findall(r"`(\w+)`", section("series")))
    assert {*served["columns"], *served} - {"api", "span", "columns"} <= named_there
    assert f"{picture.MOST_POINTS:,} rows" in section("series") and picture.RECENT_S == 1_800


def test_the_paths_and_limits_are_served() -> None:
    served = {getattr(route, "path", "") for route in app.Pages(picture.Picture("", 1.0, 0.0)).routes()}
    paths = set(re.findall(r"^\| `(/[^`]*)`", TEXT, re.M))
    assert paths == served - {"/static"}
    assert f"{app.MOST_STREAMS} browsers" in TEXT and f"the {picture.MOST_ROWS} busiest" in TEXT
    assert f"the last {picture.MOST_EVENTS}," in TEXT
