"""`--set` and a sweep's `NAME.FIELD`: what a file says of one group, account or audience, changed."""

from __future__ import annotations

import copy
import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zsms.cli import load_command
from zsms.errors import UsageError
from zsms.scenario import changed, names_of, read

TABLES = {
    "run": {"messages": 400},
    "group": [
        {"name": "a_1", "processes": 1, "slots": 100, "mean": 0.1},
        {"concurrency": 50, "cap": 500, "account": "acme"},
        {"name": "v2.x", "mean": 0.3},
    ],
    "account": [{"name": "acme", "cap": 100}],
    "audience": [{"name": "all", "share": 1.0}],
}


def test_a_field_is_changed_by_either_of_its_keys_and_the_file_s_tables_stay() -> None:
    before = copy.deepcopy(TABLES)
    changes = ["a_1.concurrency=7", "a_1.processes=2e0", "group2.failure-rate=0.5", "v2.x.slots=1_000", "acme.cap=20"]
    found = read(changed(TABLES, [*changes, "all.text=Leave now"], "x.toml"))
    a, b, c = found.groups
    assert (a.concurrency, a.senders, b.failure_rate, b.cap, c.concurrency) == (7, 2, 0.5, 500, 1_000)
    assert found.accounts[0].cap == 20 and found.audiences[0].text == "Leave now"
    assert before == TABLES
    assert changed(TABLES, ["group2.quiet=21:00-08:00"], "x")["group"][1]["quiet"] == "21:00-08:00"
    assert names_of(TABLES, "group") == ["a_1", "group2", "v2.x"]


@pytest.mark.parametrize(
    ("change", "words"),
    {
        "a_1.cap": "write NAME.FIELD=VALUE",
        "cap=5": "write NAME.FIELD=VALUE",
        ".cap=5": "write NAME.FIELD=VALUE",
        "a_1.cap=": "write NAME.FIELD=VALUE",
        "a_2.cap=5": "x.toml has no group, account or audience 'a_2'; did you mean 'a_1'?",
        "a_1.capp=5": "no field of a [[group]] that could be set; did you mean 'cap'?",
        "acme.daily-cups=5": "no field of a [[account]] that could be set; did you mean 'daily_cap'?",
        "a_1.name=b": "no field of a [[group]] that could be set",
        "a_1.slots=07": "give a whole number from 1",
        "acme.cap=fast": "give a number",
    }.items(),
)
def test_what_can_t_be_changed_is_told(change: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(TABLES, [change], "x.toml")
    assert str(caught.value).startswith(f"--set {change}: ") and words in str(caught.value)


def test_a_name_of_two_tables_is_none() -> None:
    with pytest.raises(UsageError, match=r"has that name in \[\[group\]\] and \[\[account\]\]"):
        changed({"group": [{"name": "x"}], "account": [{"name": "x", "cap": 1}]}, ["x.cap=5"], "x.toml")


@pytest.mark.parametrize("groups", ["[[group]]", "[[run.groups]]"])
def test_a_plan_and_a_sweep_change_what_the_file_says(tmp_path: Path, groups: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'[run]\nmessages = 100\n{groups}\nname = "a"\nsenders = 1\nslots = 10\nmean = 0.1\nsd = 0\n')
    plain = [str(path), "--replications", "1", "--jobs", "1", "--no-variants", "--json", "-"]
    done = _invoke("plan", *plain, "--set", "a.slots=20", "--set", "a.mean=0.2")
    assert json.loads(done.stdout)["slots"] == 20
    done = _invoke("sweep", str(path), "--vary", "a.concurrency=10,20", "--jobs", "1", "--csv", "-")
    ten, twenty = csv.DictReader(io.StringIO(done.stdout))
    assert (ten["a.concurrency"], twenty["a.concurrency"]) == ("10", "20")
    assert float(ten["reach_p100_s"]) == pytest.approx(2 * float(twenty["reach_p100_s"]), rel=0.05)


def test_an_option_that_a_change_leaves_nothing_to_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[run]\nmessages = 100\n[[group]]\nname = "a"\nsenders = 1\nslots = 10\nmean = 0.1\nsd = 0\n')
    said = ["--set", "a.cap=5", "--cap", "7"]
    for words in (["plan", str(path), *said], ["run", "--config", str(path), *said, "--dry-run"]):
        assert f"--cap beside {path}: every group sets its own" in str(_invoke(*words).exception)


def test_what_there_is_no_file_for_is_told() -> None:
    assert "--vary a.cap=1: that is a field of a file's" in str(_invoke("sweep", "--vary", "a.cap=1,2").exception)
    for name in ("plan", "run"):
        assert "it changes what a file says" in str(_invoke(name, "--set", "a.cap=1").exception)


def _invoke(name: str, *words: str) -> Result:
    return CliRunner().invoke(load_command(name), words, standalone_mode=False)
