"""A scenario file that is run: what a run takes from it, what it refuses, and one that is carried out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from zsms.cli import cli
from zsms.core.stages import Stage, rate_at
from zsms.errors import UsageError
from zsms.launch.carried import carried
from zsms.scenario import read

FILE = """
[run]
max-attempts = 3
retry-base = 0.2
liveness = 1.0

[[arrival]]
for = "500ms"
rate = 1000
to = 3000
[[arrival]]
for = "1s"
rate = 3000

[[group]]
name = "a"
processes = 2
slots = 300
mean = 0.1
account = "acme"
[[group]]
name = "b"
slots = 100
processes = 1
mean = 0.05
cap = 800
price = 0.01

[[account]]
name = "acme"
cap = 4000

[[faults]]
at = "500ms"
what = "restart"
for = "500ms"
whom = "a-1"

[[expect]]
deadline = "20s"
share = 0.99
"""


def test_a_scenario_is_carried_out(tmp_path: Path) -> None:
    (tmp_path / "flood.toml").write_text(FILE)
    report = tmp_path / "report.json"
    words = ["run", "--config", str(tmp_path / "flood.toml"), "--seed", "1", "--ui", "none", "--json", str(report)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    told = json.loads(report.read_text())
    assert told["messages"]["sent"] == 4_000 and told["messages"]["lost"] == 0
    assert [row["whom"] for row in told["faults"]] == ["a-1"]
    assert [(row["ok"], "reach_s.p99" in json.dumps(row)) for row in told["thresholds"]] == [(True, True)]
    assert told["wall_s"] > 1.4  # as long as the stages


def tables(**more: object) -> dict[str, object]:
    return {"run": {"messages": 100}, **more}


def test_caps_of_accounts_are_divided_by_slots_and_a_throttle_knows_its_part() -> None:
    groups = [
        {"name": "a", "processes": 1, "slots": 300, "account": "acme"},
        {"name": "b", "processes": 1, "slots": 100, "account": "acme", "cap": 10},
        {"name": "c", "processes": 2, "cap": 60},
    ]
    faults = [{"at": 1, "what": "throttle", "whom": "c", "factor": 0.5, "for": 2}]
    scenario = read(tables(group=groups, account=[{"name": "acme", "cap": 400}], faults=faults))
    found = carried(scenario, "x.toml")
    assert [group.cap for group in found.groups] == [300.0, 10.0, 60.0]
    assert [fault.cap for fault in found.faults] == [30.0]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"group": [{"name": "a", "cap": 1, "queue": 9}]}, "[[group]] 1: queue"),
        ({"group": [{"name": "a", "permanent_rate": 0.1}]}, "[[group]] 1: permanent-rate"),
        ({"group": [{"name": "a", "from": 10}]}, "[[group]] 1: from"),
        ({"expect": [{"deadline": 60, "share": 0.85}]}, "share 0.85"),
        ({"audience": [{"name": "x", "share": 1.0, "routes": ["sender"]}]}, "routes"),
    ],
)
def test_what_a_run_can_not_do_is_refused_by_name(more: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        carried(read(tables(**more)), "x.toml")


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=5))
def test_the_rate_goes_through_its_stages(parts: list[tuple[float, float, float]]) -> None:
    stages = [Stage(*part) for part in parts]
    assert rate_at(stages, 0.0) == stages[0].rate and rate_at(stages, -1.0) == stages[0].rate
    begin = 0.0
    for stage in stages:
        middle = rate_at(stages, begin + stage.lasts / 2)
        assert middle == pytest.approx((stage.rate + stage.to) / 2, abs=1e-6)
        begin += stage.lasts
    assert rate_at(stages, begin + 0.001) is None
