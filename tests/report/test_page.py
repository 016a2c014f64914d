"""`zsms run --html`: one file, true to the report, and without an error in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.processes import zsms
from zsms import Mesh
from zsms.core.broker import BrokerLimits
from zsms.dashboard.report_page import render, seconds
from zsms.scenario import MeshConfig, SenderGroup

HOSTILE = '</script><script>document.title="taken"</script><b>&'


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Of a run with retries, two groups, thresholds, and what a user could have named badly."""
    groups = (
        SenderGroup(name="fast", senders=1, concurrency=400, mean=0.1, sd=0.01, failure_rate=0.2),
        SenderGroup(name="slow", senders=1, concurrency=50, mean=0.3, sd=0.05),
    )
    config = MeshConfig(messages=3_000, groups=groups, limits=BrokerLimits(max_attempts=2, retry_base=0.05), seed=3)
    made = Mesh(config, thresholds=["send_time_s.p99<0.2", "messages.lost==0"]).run()
    made.problems.append(HOSTILE)
    made.config["groups"][0]["name"] = HOSTILE
    return json.loads(made.dumps())  # type: ignore[no-any-return]


def cells(page: str, table: str) -> dict[str, list[str]]:
    """The rows of a table by their headings, as text."""
    found = re.search(rf'<table id="?{table}"?>.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert found, table
    rows = {}
    for row in re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL):
        head, *rest = (
            unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        )
        rows[head] = rest
    return rows


def test_the_tables_say_what_the_report_says(report: dict[str, Any]) -> None:
    page = render(report)
    ledger = cells(page, "ledger")
    for name, count in report["messages"].items():
        if name != "settled":
            assert ledger[name.replace("_", " ")][0] == f"{count:,}"
    senders = cells(page, "senders")
    for sender in report["senders"]:
        figures = [f"{sender[name]:,}" for name in ("slots", "sends", "failed_sends")]
        assert senders[sender["name"]][:4] == [*figures, seconds(sender["send_time_s"])]
    times = cells(page, "times")
    send = next(row for head, row in times.items() if head.startswith("Send time"))
    assert send == [seconds(report["send_time_s"][key]) for key in ("mean", "p50", "p90", "p95", "p99", "p999", "max")]
    assert set(cells(page, "processes")) == {process["name"] for process in report["processes"]}
    assert cells(page, "configuration")["seed"] == ["3"]
    assert cells(page, "machine")["zsms"] == [report["version"]]
    thresholds = re.search(r'<table id="?thresholds"?>(.*?)</table>', page, re.DOTALL)
    assert thresholds and thresholds[1].count(">pass<") == 1 and thresholds[1].count(">FAIL<") == 1
    assert "1 of 2 thresholds failed" in page


def test_the_file_needs_no_other(report: dict[str, Any]) -> None:
    page = render(report)
    assert not re.search(r"<(?:script|link|img)[^>]*\s(?:src|href)=\"(?!data:)", page)
    assert not re.search(r"@import|url\((?!data:)", page)
    assert "default-src 'none'" in page
    assert "Permission is hereby granted" in page and "Leon Sorokin" in page, "uPlot's licence goes with it"


def test_what_a_user_names_stays_text(report: dict[str, Any]) -> None:
    page = render(report)
    assert page.count("<script") == 3  # the report, the libraries, the page's own
    assert HOSTILE not in page
    embedded = re.search(r'<script type="application/json" id="report">(.*?)</script>', page, re.DOTALL)
    assert embedded and json.loads(embedded[1]) == report


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (0.00002, "20 µs"), (0.00123, "1.23 ms"), (0.5, "500 ms"), (1.234, "1.23 s"), (1250, "1,250 s")],
)
def test_seconds_have_a_unit_that_suits_them(value: float, text: str) -> None:
    assert seconds(value) == text


def browse(page: Path, *options: str) -> tuple[str, str]:
    """The page's document after its scripts have run in Chromium, and what was said on the console."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is missing: apt-get install chromium (bin/test does it as root)")
    done = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--enable-logging=stderr", "--virtual-time-budget=5000", f"--user-data-dir={page.parent / 'profile'}"),
            *(*options, "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def test_chromium_draws_every_chart_without_an_error(report: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(report), encoding="utf-8")
    document, console = browse(path, "--window-size=500,800")
    assert console == ""
    assert "<title>zsms run: 3,000 messages" in document
    charts = dict(re.findall(r'<figure[^>]* data-chart="(\w+)">(.*?)</figure>', document, re.DOTALL))
    assert list(charts) == ["reach", "rate", "queue", "times", "failures"]
    assert all("<canvas" in chart for chart in charts.values())
    assert all(int(width) <= 500 for width in re.findall(r'<canvas width="(\d+)"', document)), "wider than the window"

    # Their newest figures are those of the series' last point.
    legend = {
        name: re.findall(r"</i>([^<]+) <b>([^<]+)</b>", chart.partition('class="plot"')[0])
        for name, chart in charts.items()
    }
    series, messages = report["series"], report["messages"]
    assert legend["reach"] == [("delivered", f"{100 * messages['sent'] / messages['produced']:.1f} %")]
    assert legend["queue"] == [("queued", "0"), ("in flight", "0")]
    assert legend["failures"] == [("failed", "0"), ("given up", str(messages["dead"]))]
    assert series["sent"][-1] == messages["sent"] and series["dead"][-1] == messages["dead"] > 0

    # When half had been delivered, by the page and by the series.
    half = messages["produced"] / 2
    t, sent = [0.0, *series["t_s"]], [0, *series["sent"]]
    i = next(i for i, count in enumerate(sent) if count >= half)
    at = t[i - 1] + (t[i] - t[i - 1]) * (half - sent[i - 1]) / (sent[i] - sent[i - 1])
    said = re.search(r"50 % after ([\d.]+) s", charts["reach"])
    assert said and float(said[1]) == pytest.approx(at, abs=0.06)


def test_an_error_would_be_noticed(report: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(report).replace('"send_time_p99_s":', '"send_time_p98_s":', 1), encoding="utf-8")
    assert "Uncaught TypeError" in browse(path)[1]


def test_a_run_that_sent_nothing_has_a_page_too(report: dict[str, Any], tmp_path: Path) -> None:
    empty = Mesh(messages=0, senders=1, concurrency=10).run()
    empty.series = {name: [] for name in empty.series}
    path = tmp_path / "report.html"
    path.write_text(render(json.loads(empty.dumps())), encoding="utf-8")
    document, console = browse(path)
    assert console == "" and "No message has failed." in document


# -- the files of a run ------------------------------------------------------------------------------------------


def test_a_run_writes_every_file_that_was_asked_for(tmp_path: Path) -> None:
    options = ("--messages", 500, "--mean", 0.02, "--senders", 1, "--concurrency", 100)
    done = zsms("run", *options, "--json", "r.json", "--html", "r.html", "--csv", "r", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert (tmp_path / "r.html").read_text() == render(report)

    summary = dict(line.split(",", 1) for line in (tmp_path / "r-summary.csv").read_text().splitlines())
    assert summary.pop("figure") == "value" and summary["schema"] == report["schema"]
    assert summary["messages.sent"] == "500" and summary["balanced"] == "true"
    assert float(summary["send_time_s.p99"]) == report["send_time_s"]["p99"]
    head, *rows = (line.split(",") for line in (tmp_path / "r-history.csv").read_text().splitlines())
    assert head == list(report["series"])
    assert [float(row[0]) for row in rows] == report["series"]["t_s"]
    assert [row[head.index("sent")] for row in rows] == [str(count) for count in report["series"]["sent"]]
    assert (tmp_path / "r-senders.csv").read_text().splitlines()[1].startswith("sender-1,100,500,0,")


def test_a_threshold_that_fails_exits_99_and_is_in_summary_and_report() -> None:
    options = ("--messages", 50, "--mean", 0.01, "--senders", 1, "--concurrency", 50)
    done = zsms("run", *options, "--threshold", "messages.sent>=50", "--threshold", "wall_s>60", "--json", "-")
    assert done.returncode == 99
    assert re.search(r"^threshold   pass  messages.sent >= 50: 50$", done.stderr, re.MULTILINE)
    assert re.search(r"^threshold   FAIL  wall_s > 60: \d+\.\d+$", done.stderr, re.MULTILINE)
    assert [verdict["ok"] for verdict in json.loads(done.stdout)["thresholds"]] == [True, False]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--html", "no/r.html"), "can't write the report to no/r.html"),
        (("--csv", "no/r"), "can't write the report to no/r-summary.csv"),
        (("--threshold", "send_time.p99<1"), "did you mean 'send_time_s.p99'?"),
    ],
)
def test_a_mistake_is_told_before_the_run(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    done = zsms("run", *options, cwd=tmp_path)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1


def test_groups_and_limits_are_shown(report: dict[str, Any]) -> None:
    page = render(report)
    assert cells(page, "groups")["slow"][:2] == ["1", "50"]
    assert cells(page, "configuration")["max attempts"] == ["2"]
