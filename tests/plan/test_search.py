"""The inverse, a plan beside a run, and a plan's page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from zsms.cli import cli, load_command
from zsms.dashboard.plan_page import render
from zsms.errors import UsageError
from zsms.plan import plan
from zsms.plan.against import compared, read_report
from zsms.plan.search import solve
from zsms.scenario import Expectation, Fault, Group, Scenario

ONE = Scenario(messages=10_000, groups=(Group(senders=1, concurrency=400, delay="constant"),))


def test_the_least_slots_are_those_of_the_rounds_that_fit() -> None:
    found = solve(ONE, "slots", deadline=10.5, share=1.0, replications=20)
    assert found.least is not None
    assert 1_000 <= found.least <= 1_010  # ten rounds of a second
    assert found.probability == 1.0 and found.groups == {"sender": found.least}


def test_the_least_processes_and_routes() -> None:
    found = solve(ONE, "processes", deadline=10.5, share=1.0, replications=20)
    assert found.least == 3
    capped = Scenario(messages=10_000, groups=(Group(senders=1, cap=100.0, delay="constant", price=0.5),))
    found = solve(capped, "routes", deadline=30.0, share=0.99, replications=20)
    assert found.least == 4 and found.cost == pytest.approx(5_000, rel=0.02)


def test_what_no_number_does_is_told() -> None:
    late = Scenario(messages=100, groups=(Group(senders=1, concurrency=10, mean=20.0, delay="constant"),))
    found = solve(late, "slots", deadline=10.0, replications=20)
    assert found.least is None and found.probability == 0.0


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.5}, {"confidence": 1.0}, {"confidence": float("nan")}])
def test_what_can_t_be_asked_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        solve(ONE, "slots", deadline=10.0, **wrong)
    with pytest.raises(UsageError, match="choose one of"):
        solve(ONE, "brokers", deadline=10.0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--solve", "slots"], "--solve needs a --deadline"),
        (["--share", "0.5"], "--share means nothing without --deadline"),
        (["--confidence", "0.5"], "--confidence means nothing without --solve"),
        (["--deadline", "soon"], "give a time"),
        (["--deadline", "0"], "give a time above 0"),
        (["--deadline", "10m", "--share", "2"], "share"),
        (["--against", "nowhere.json"], "can't read the report"),
        (["--deadline", "60", "--solve", "slots", "--confidence", "0.9999999"], "give up to 0.9999"),
    ],
)
def test_a_slip_in_the_options_is_told(words: list[str], says: str) -> None:
    done = CliRunner().invoke(
        load_command("plan"), ["--messages", "100", "--jobs", "1", *words]
    )  # no fork of a process with threads
    assert isinstance(done.exception, UsageError) and says in str(done.exception)


def test_a_run_stands_beside_its_plan(tmp_path: Path) -> None:
    found = plan(ONE, replications=2, variants=False)
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"messages": {"produced": 10_000}, "reach_s": {"p50": 13.0, "p90": 23.0, "p99": None}}))
    half, most, nearly, whole = compared(found, read_report(str(file)))
    assert (half.planned_s, half.measured_s, half.within) == (13.0, 13.0, True)
    assert half.difference == 0 and most.within and nearly.difference is None and whole.measured_s is None
    file.write_text(json.dumps({"messages": {"produced": 10_000}, "reach_s": {"p50": 12.0, "p90": 24.0}}))
    half, most, *_ = compared(found, read_report(str(file)))
    assert (half.within, most.within) == (False, False) and half.difference == pytest.approx(-1 / 13, abs=1e-5)
    file.write_text(json.dumps({"messages": {"produced": 5}, "reach_s": {}}))
    with pytest.raises(UsageError, match="5 messages, the plan of 10,000"):
        compared(found, read_report(str(file)))
    groups = [{"senders": 1, "concurrency": 7}]
    body = {"messages": {"produced": 10_000}, "reach_s": {}, "config": {"groups": groups}}
    file.write_text(json.dumps(body))
    with pytest.raises(UsageError, match="of 7 slots, the plan of "):
        compared(found, read_report(str(file)))
    times = ('{"p50": NaN}', '{"p50": 1e999}', '{"p50": -1}', '{"p50": "1"}', '{"p50": 5, "p90": 4}', '{"p50": true}')
    bad = [f'{{"messages": {{"produced": 9}}, "reach_s": {each}}}' for each in times]
    bad += ['{"reach_s": {}, "messages": {"produced": true}}', '{"reach_s": {}, "messages": {"produced": -1}}']
    for text in ("[]", "{", '{"reach_s": {}}', '{"reach_s": {}, "messages": {"produced": "many"}}', *bad):
        file.write_text(text)
        with pytest.raises(UsageError, match="is no report"):
            read_report(str(file))


def test_a_run_with_plan_has_it_beside_itself(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    few = ["run", "--messages", "200", "--concurrency", "100", "--mean", "0.1", "--ui", "none"]
    done = CliRunner().invoke(cli, [*few, "--plan", "--json", str(file)])
    assert done.exit_code == 0 and "planned" in done.output
    report = json.loads(file.read_text())
    assert [row["what"] for row in report["plan"]] == ["50 %", "90 %", "99 %", "all"]
    for row, measured in zip(report["plan"], ("p50", "p90", "p99", "p100"), strict=True):
        assert row["measured_s"] == report["reach_s"][measured] and row["planned_s"] > 0.05
    jsonschema.validate(report, json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text()))


@pytest.mark.parametrize("words", [["--transport", "os:getpid"], ["--input", "people.csv"]])
def test_a_run_that_nothing_can_be_planned_of_says_so(words: list[str]) -> None:
    done = CliRunner().invoke(load_command("run"), ["--plan", *words])
    assert isinstance(done.exception, UsageError) and "--plan" in str(done.exception)


class _Page(HTMLParser):
    """Counts tags, and remembers what they could load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attributes if name in ("src", "href")]


def test_the_page_has_its_charts_and_loads_nothing() -> None:
    groups = (Group(name="<b>a</b>", senders=1, concurrency=100), Group(name="b", senders=1, concurrency=50))
    scenario = Scenario(
        name='"<script>"',
        messages=1_000,
        groups=groups,
        faults=(Fault(2.0, "kill", "b-1"),),
        expectations=(Expectation(8.0),),
    )
    body = plan(scenario, replications=3).to_json()
    page = render(body)
    parser = _Page()
    parser.feed(page)
    assert parser.tags.count("svg") == 4 and parser.tags.count("script") == 1 and parser.tags.count("b") == 0
    assert parser.loads == ["data:,"]
    assert "kill b-1 at 2 s" in page and "deadline" in page
    found = solve(scenario, "slots", deadline=8.0, share=0.5, replications=2)
    solved = render({**body, "solution": found.to_json()})
    assert f"{found.least:,} slots make 50 % in 8.00 s" in solved
    root = Path(__file__).parents[2]
    jsonschema.validate(json.loads(json.dumps(body)), json.loads((root / "docs/plan.schema.json").read_text()))


@pytest.mark.parametrize("odd", [1e999, float("nan"), "many", None, [1]])
def test_slots_of_a_report_that_are_no_number_are_not_compared(odd: object) -> None:
    report = {
        "messages": {"produced": 10_000},
        "reach_s": {"p50": 13.0},
        "config": {"groups": [{"senders": 1, "concurrency": odd}]},
    }
    assert compared(plan(ONE, replications=1, variants=False), report)[0].difference == 0
