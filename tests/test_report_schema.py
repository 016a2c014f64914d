"""docs/report.schema.json is what `Report.to_json` really writes, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.core.test_audit import Mesh as Books
from zsms import Mesh
from zsms.core.broker import BrokerLimits
from zsms.fields import settings_of
from zsms.report.making import Course, make_report
from zsms.report.report import SCHEMA, Messages, ProcessRow, Report, Sends
from zsms.report.summary import summary_lines
from zsms.report.thresholds import Verdict
from zsms.scenario import MeshConfig, SenderGroup
from zsms.stats.series import COLUMNS, MOST_POINTS

SCHEMA_FILE = Path(__file__).parent.parent / "docs" / "report.schema.json"


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def objects(schema: Any, path: str = "report") -> Iterator[tuple[str, Any]]:
    """Every object of the schema, by its path."""
    if "properties" in schema:
        yield path, schema
        for name, inner in schema["properties"].items():
            yield from objects(inner, f"{path}.{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


def assert_all_described(schema: Any, value: Any, path: str = "report") -> None:
    """The value has the fields of the schema, and no other, at every depth."""
    if isinstance(value, dict):
        assert set(value) == set(schema["properties"]), path
        for name, inner in value.items():
            assert_all_described(schema["properties"][name], inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            assert_all_described(schema["items"], inner, f"{path}[]")


def empty_report() -> Report:
    """Of a run that nobody has said anything about."""
    config = MeshConfig(seed=1).to_json()
    course = Course(
        config=config,
        elapsed_s=1.0,
        started="2026-01-01T00:00:00+00:00",
        brokers_lost={"broker"},
        interrupted=True,
        problems=["broker (pid 1) was killed by SIGKILL; the run can't go on without it"],
    )
    return make_report({}, course)


def test_the_schema_is_one_and_says_what_every_field_is(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA
    for path, each in objects(schema):
        assert sorted(each["required"]) == sorted(each["properties"]), path
        for name, field in each["properties"].items():
            assert field.get("description", "").endswith("."), f"{path}.{name}"


def test_schema_and_dataclasses_list_the_same_fields(schema: Any) -> None:
    listed = {path: set(each["properties"]) for path, each in objects(schema)}
    for path, cls, more in (
        ("report", Report, set()),
        ("report.messages", Messages, {"settled"}),
        ("report.sends", Sends, set()),
        ("report.processes[]", ProcessRow, set()),
        ("report.config", MeshConfig, set()),
        ("report.thresholds[]", Verdict, set()),
        ("report.config.groups[]", SenderGroup, set()),
        ("report.config.limits", BrokerLimits, set()),
    ):
        named = {each.field.name for each in settings_of(cls)} or {field.name for field in fields(cls)}
        assert listed[path] == named | more, path
    columns = schema["properties"]["series"]["properties"]
    assert tuple(columns) == COLUMNS
    assert {column["maxItems"] for column in columns.values()} == {MOST_POINTS}


def test_a_run_s_report_is_valid_and_wholly_described(schema: Any) -> None:
    small = {"messages": 300, "senders": 1, "concurrency": 100, "mean": 0.01, "sd": 0.001, "seed": 3}
    report = Mesh(**small, failure_rate=0.1, thresholds=["messages.lost==0"]).run()
    body = json.loads(report.dumps())
    Draft202012Validator(schema).validate(body)
    assert_all_described(schema, body)
    assert body["messages"]["settled"] == 300
    assert len(body["processes"]) == 5
    assert len(body["senders"]) == 1
    assert body["thresholds"] == [{"threshold": "messages.lost == 0", "value": 0, "ok": True}]
    assert body["series"]["sent"][-1] == body["messages"]["sent"]


def test_the_report_of_a_run_without_figures_is_valid(schema: Any) -> None:
    body = json.loads(empty_report().dumps())
    Draft202012Validator(schema).validate(body)
    assert_all_described(schema, body)
    assert not body["balanced"]


@pytest.mark.parametrize(
    ("path", "value"),
    [("schema", "zsms-report/0"), ("wall_s", -1), ("balanced", "yes"), ("messages", {}), ("efficiency", "much")],
)
def test_the_schema_refuses_what_is_no_report(schema: Any, path: str, value: Any) -> None:
    body = json.loads(empty_report().dumps())
    body[path] = value
    assert not Draft202012Validator(schema).is_valid(body)


def counted(**figures: int) -> Report:
    """A report of a run that ended by itself."""
    report = empty_report()
    report.messages = Messages(**figures)
    report.balanced, report.completed, report.interrupted, report.problems = True, True, False, []
    return report


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"produced": 100, "failed": 100}, "nothing was sent: 100 failed"),
        ({"produced": 100, "dead": 99, "failed": 1}, "nothing was sent: 1 failed, 99 dead"),
        ({"skipped_rows": 50}, "nothing was sent: 50 rows, and none of them good"),
    ],
)
def test_a_run_that_sends_nothing_does_not_end_well(figures: dict[str, int], why: str) -> None:
    report = counted(**figures)
    report.ask_for_success()
    assert report.exit_code == 1 and report.problems[0].startswith(why)
    judged = counted(**figures)
    judged.thresholds = [Verdict("messages.failed <= 100", 100, True)]
    judged.ask_for_success()
    assert judged.exit_code == 0 and not judged.problems
    judged.thresholds = [Verdict("messages.lost == 0", 0, True)]
    judged.ask_for_success()
    assert judged.exit_code == 1


def test_a_run_that_sends_something_or_was_asked_for_nothing_ends_well() -> None:
    for figures in ({"produced": 100, "failed": 99, "sent": 1}, {}):
        report = counted(**figures)
        report.ask_for_success()
        assert report.exit_code == 0 and not report.problems


def test_an_input_is_not_called_empty_when_nobody_came_to_read_it() -> None:
    for completed, why in ((True, "the input has no rows"), (False, "no message was made")):
        report = counted()
        report.config["input"], report.completed = "list.csv", completed
        report.ask_for_success()
        assert report.problems[0].startswith(f"nothing was sent: {why}")


def test_the_summary_says_first_that_a_run_was_interrupted() -> None:
    report = counted(produced=100, sent=60, unsettled=40)
    assert not summary_lines(report)[0].startswith("run ")
    report.interrupted = True
    assert summary_lines(report)[0] == "run         interrupted after 1.0 s; 40 messages were not settled"


def made_of(**answer: Any) -> Report:
    """A report of what a collector's last answer says, of processes that all ended well."""
    rows = [ProcessRow(role, role, 1, 0.0, 0, 0) for role in ("producer", "broker")]
    return make_report(answer, Course(config={}, processes=rows, elapsed_s=1.0, completed=True))


def test_what_a_broker_confirmed_and_dropped_is_lost() -> None:
    totals = {"producer": {"produced": 100, "confirmed": 100}, "broker": {"accepted": 60, "sent": 60}}
    report = made_of(totals=totals, processes=[])
    assert report.messages.lost == 40 and not report.messages.unsettled
    assert not report.balanced and report.exit_code == 1


def test_what_a_broker_settled_and_nobody_made_is_seen() -> None:
    books = Books()
    books.say("producer", produced=100, confirmed=100, state="done", last=True)
    books.say("broker", accepted=103, sent=103)
    report = made_of(**books.book.answer("all", books.now))
    assert report.messages.lost == -3 and not report.balanced and report.messages.produced == 100


def test_what_a_producer_could_no_longer_say_is_not_lost() -> None:
    """The collector died before it: brokers' figures are newer than the producer's."""
    books = Books()
    books.say("producer", produced=100, confirmed=100)
    books.say("broker", accepted=112, sent=90, queued=22, in_flight=0)
    report = made_of(**books.book.answer("all", books.now))
    assert report.messages.lost == 0 and report.messages.produced == 112 and report.messages.unsettled == 22


def test_what_was_never_confirmed_is_unsettled_and_not_lost() -> None:
    totals = {"producer": {"produced": 100, "confirmed": 90}, "broker": {"accepted": 95, "sent": 95}}
    report = made_of(totals=totals, processes=[])
    assert (report.messages.lost, report.messages.unsettled, report.balanced) == (0, 5, True)
