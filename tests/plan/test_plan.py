"""`plan` and `zsms plan`: what a planner reads."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from tests.mesh.processes import zsms
from zsms.cli.plan import lines
from zsms.dashboard.plan_page import render
from zsms.errors import UsageError
from zsms.plan import plan
from zsms.report.planned import chance, counts_of, effect_of
from zsms.scenario import Account, Expectation, Fault, Group, Retries, Scenario

ROOT = Path(__file__).parents[2]
SMALL = Scenario(
    messages=500,
    groups=(Group(name="a", concurrency=50, failure_rate=0.1), Group(name="b", concurrency=50, cap=20.0, price=0.01)),
    retries=Retries(3),
    faults=(Fault(3.0, "kill", "a-1"),),
    expectations=(Expectation(20.0, 0.9), Expectation(4.0, 0.9)),
)


def test_a_plan_fits_its_schema_and_its_figures_agree() -> None:
    found = plan(SMALL, replications=5)
    body = json.loads(found.dumps())
    schema = json.loads((ROOT / "docs/plan.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(body, schema)
    assert set(body) == set(schema["properties"])
    assert body["counts"]["accepted"] + body["counts"]["failed"] == pytest.approx(500)
    assert sum(route["delivered"] for route in body["routes"]) == pytest.approx(body["counts"]["delivered"])
    a, b = found.routes
    assert (a.binds, b.binds, b.next) == ("slots", "cap", "slots")
    assert b.cost == pytest.approx(b.segments * 0.01) and a.cost == 0
    (fault,) = found.faults
    assert fault.later_s is not None and fault.later_s > 1
    early, late = found.deadlines[1].probability, found.deadlines[0].probability
    assert (early, late) == (0.0, 1.0)
    assert found.curve["p50"] == sorted(found.curve["p50"]) and len(found.curve["routes"]) == 2


def test_the_same_seed_gives_the_same_plan_whatever_computes_it() -> None:
    one, other = (
        plan(SMALL, replications=12, seed=3, variants=False),
        plan(
            SMALL, replications=12, seed=3, variants=False, mapped=lambda of, tasks: [of(task) for task in list(tasks)]
        ),
    )
    assert one == other
    assert plan(SMALL, replications=12, seed=4, variants=False).reach_s != one.reach_s


def test_progress_goes_from_0_to_1() -> None:
    told: list[float] = []
    plan(SMALL, replications=21, variants=False, progress=told.append)
    assert told == sorted(told) and told[-1] == 1 and len(told) == 3


@pytest.mark.parametrize(
    "scenario",
    [Scenario(messages=0), Scenario(groups=()), Scenario(groups=(Group(failure_rate=0.6, permanent_rate=0.6),))],
)
def test_what_can_t_be_planned_is_refused(scenario: Scenario) -> None:
    with pytest.raises(UsageError):
        plan(scenario)
    with pytest.raises(UsageError, match="replications"):
        plan(SMALL, replications=0)


def test_importing_plans_loads_no_zmq() -> None:
    program = "import sys, zsms.plan; print(sorted({'zmq', 'asyncio', 'threading', 'msgpack'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "zmq" not in loaded and "asyncio" not in loaded and "msgpack" not in loaded


def test_the_command_prints_a_plan_and_writes_it(tmp_path: Path) -> None:
    words = ("plan", "--messages", 1_000, "--concurrency", 100, "--replications", 5, "--no-variants", "--jobs", 1)
    done = zsms(*words, "--json", tmp_path / "plan.json", "--csv", tmp_path / "curve.csv")
    assert done.returncode == 0 and done.stderr == ""
    assert "1,000 messages, 200 slots, 5 replications" in done.stdout and "slots of sender" in done.stdout
    assert json.loads((tmp_path / "plan.json").read_text())["messages"] == 1_000
    rows = list(csv.reader(io.StringIO((tmp_path / "curve.csv").read_text())))
    assert rows[0] == ["at_s", "p10", "p50", "p90", "sender"] and float(rows[-1][2]) == 1.0
    assert json.loads(zsms(*words, "--json", "-").stdout)["replications"] == 5


def test_what_all_routes_cost_is_told() -> None:
    groups = tuple(Group(name=name, senders=1, concurrency=10, price=0.5) for name in ("one", "two"))
    both = lines(plan(Scenario(messages=1_000, groups=groups), replications=1, variants=False))
    assert any(line.split() == ["all", "500.00"] for line in both)
    one = lines(plan(Scenario(messages=1_000, groups=groups[:1]), replications=1, variants=False))
    assert not any(line.startswith("all ") for line in one)


def test_options_come_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("[run]\nmessages = 500\nconcurrency = 10\n")
    body = json.loads(zsms("plan", file, "--messages", 700, "--replications", 1, "--no-variants", "--json", "-").stdout)
    assert (body["messages"], body["slots"]) == (700, 20)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("plan", "--mean", "-1"), "mean"),
        (("plan", "nowhere.toml"), "can't read"),
        (("plan", "--duration", "5"), "a duration needs a rate"),
        (("plan", "--json", "-", "--csv", "-"), "only one"),
        (("plan", "--json", "/nowhere/x.json", "--messages", "10", "--no-variants"), "can't write"),
        (("config", "check", "nowhere.toml"), "can't read"),
        (("carriers", "show", "us-short"), "did you mean 'us-short-code'?"),
        (("segments",), "give a text or --input"),
        (("segments", "--input", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_a_slip_is_told_in_a_line(words: tuple[str, ...], says: str) -> None:
    done = zsms(*words)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and says in done.stderr


def test_where_so_many_are_never_reached_changes_are_told_by_half_of_them() -> None:
    groups = (Group(name="a", senders=2, concurrency=50, mean=0.1, cap=100.0, delivered=0.9),)
    made = plan(Scenario(messages=2_000, groups=groups, faults=(Fault(1.0, "kill", "a-1"),)), replications=2)
    told = [line for line in lines(made) if line.startswith(("fault", "if"))]
    assert len(told) == 6 and not [line for line in told if "never" in line]
    assert any("caps doubled" in line and "50 % 5." in line and "earlier, at 5." in line for line in told), told
    assert made.counts["unsent"] == 0
    page = render(made.to_json())
    assert "never" not in page.split("What faults cost")[1] and page.count("(50 %)") == 6
    assert counts_of(made.to_json()) in page and '<td class="number">never</td>' in page
    assert len(repr(made)) < 4_000, "without the points of its curve"


def test_the_limit_that_is_next_binds_when_the_first_is_lifted() -> None:
    at = datetime(2026, 11, 28, 9, tzinfo=UTC)
    group = Group(name="a", senders=1, concurrency=400, mean=0.2, cap=1_500.0, daily_cap=50_000_000)
    made = plan(Scenario(messages=5_000, start=at, groups=(group,)), replications=2, variants=False)
    lifted = replace(group, cap=None)
    other = plan(Scenario(messages=5_000, start=at, groups=(lifted,)), replications=2, variants=False)
    assert (made.routes[0].binds, made.routes[0].next) == ("cap", "slots") and other.routes[0].binds == "slots"
    few = replace(lifted, daily_cap=1_250)
    scarce = plan(
        Scenario(messages=5_000, start=at, groups=(replace(few, cap=1_500.0),)), replications=2, variants=False
    )
    assert "daily cap" in {scarce.routes[0].binds, scarce.routes[0].next}
    account = Account("acme", daily_cap=50_000_000)
    shared = replace(group, daily_cap=None, account="acme")
    made = plan(Scenario(messages=5_000, start=at, groups=(shared,), accounts=(account,)), replications=2)
    assert made.routes[0].next == "slots"


@pytest.mark.parametrize(
    ("probability", "told"),
    [(0.0, "0 %"), (0.001, "less than 1 %"), (0.5, "50 %"), (0.994, "99 %"), (0.999, "more than 99 %"), (1.0, "100 %")],
)
def test_what_some_replications_miss_is_not_sure(probability: float, told: str) -> None:
    assert chance(probability) == told


def test_what_a_fault_takes_is_reached_without_it() -> None:
    plan_of = {"reach_s": {"p99": {"p50": None}, "p50": {"p50": 5.0}}}
    row = {"later_s": None, "p99_s": 9.0, "p50_s": 4.0}
    assert effect_of(plan_of, row, fault=True).never == "99 % are reached only without it"
    assert effect_of(plan_of, row, fault=False).never == "99 % are reached only so"


def test_of_many_groups_only_the_ablest_are_tried_without() -> None:
    groups = tuple(Group(name=f"g{n}", concurrency=1 + n, mean=0.1) for n in range(15))
    found = plan(Scenario(messages=100, groups=groups), replications=1)
    without = [row.change for row in found.sensitivity if row.change.startswith("without ")]
    assert without == [f"without g{n}" for n in range(3, 15)]


@pytest.mark.parametrize("short_of", ["semaphores", "threads"])
def test_a_plan_that_can_have_no_processes_is_made_by_this_one(short_of: str) -> None:
    error, where = {
        "semaphores": ("OSError(28, 'No space left on device')", "multiprocessing.synchronize.SemLock.__init__"),
        "threads": ("RuntimeError('no thread')", "threading.Thread.start"),
    }[short_of]
    program = (
        "import multiprocessing.synchronize, sys, threading\nfrom zsms.cli import main\n"
        f"def fail(*_, **__):\n    raise {error}\n{where} = fail\n"
        "sys.argv[:] = 'zsms plan --messages 500 --replications 2 --no-variants --jobs 2'.split()\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and "2 replications" in done.stdout, done.stderr
    assert done.stderr.startswith("zsms: no processes can be had to share the work (") and done.stderr.count("\n") == 1
