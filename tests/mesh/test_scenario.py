"""A scenario file that is run: what a run takes from it, what it refuses, and one that is carried out."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from zsms.cli import cli
from zsms.core.sender.cap import CLOSED
from zsms.core.sender.route import RouteLaw
from zsms.core.stages import Stage, rate_at
from zsms.errors import UsageError
from zsms.launch.caps import CapKeeper, keeper_of, part_of
from zsms.launch.carried import carried
from zsms.launch.commands import Commands
from zsms.roles.caps import Caps
from zsms.scenario import MeshConfig, read
from zsms.scenario.caps import SharedCap
from zsms.sources.random import mean_segments

FILE = """
[scenario]
start = 2026-11-28T12:00:00+00:00

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
daily-cap = 300
price = 0.01
[[group]]
name = "c"
slots = 100
processes = 1
mean = 0.05
quiet = "11:00-12:00:01"

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
    for attempt in range(3):  # on a machine that pauses times and shares are others
        told, sends, opened = carried_out(tmp_path, attempt)
        assert told["messages"]["sent"] == 4_000 and told["messages"]["lost"] == 0
        assert [row["whom"] for row in told["faults"]] == ["a-1"]
        assert [(row["ok"], "reach_s.p99" in json.dumps(row)) for row in told["thresholds"]] == [(True, True)]
        assert [(cap["name"], cap["groups"]) for cap in told["config"]["caps"]] == [
            ("acme", ["a"]),
            ("b", ["b"]),
            ("c", ["c"]),
        ]
        assert sends["b-1"] <= 300, "a day's cap"
        # As long as the stages; open from 1 s on, where the first of the others may itself be late.
        if told["wall_s"] > 1.4 and sends["b-1"] == 300 and sends["c-1"] and opened > timedelta(seconds=0.3):
            return
    raise AssertionError((told["wall_s"], sends, opened))


def carried_out(tmp_path: Path, attempt: int) -> tuple[dict[str, Any], dict[str, int], timedelta]:
    """The report, who sent how much, and how long after the first of all the first of the closed group was sent."""
    report, log = tmp_path / f"report-{attempt}.json", tmp_path / f"log-{attempt}.csv"
    words = ["run", "--config", str(tmp_path / "flood.toml"), "--seed", "1", "--ui", "none", "--json", str(report)]
    words += ["--log-messages", str(log)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    told = json.loads(report.read_text())
    ends = [
        (datetime.fromisoformat(row["time"]), row["sender"]) for row in csv.DictReader(log.read_text().splitlines())
    ]
    first_of_c = min((at for at, sender in ends if sender == "c-1"), default=min(ends)[0])
    return told, {row["name"]: row["sends"] for row in told["senders"]}, first_of_c - min(ends)[0]


def tables(**more: object) -> dict[str, object]:
    return {"run": {"messages": 100}, **more}


def test_caps_of_accounts_are_shared_and_a_throttle_knows_its_part() -> None:
    groups = [
        {"name": "a", "processes": 1, "slots": 300, "account": "acme"},
        {"name": "b", "processes": 1, "slots": 100, "account": "acme", "cap": 10, "from": 5, "until": 9},
        {"name": "c", "processes": 2, "cap": 60, "daily-cap": 7, "daily-reset": "00:00"},
    ]
    faults = [{"at": 1, "what": "throttle", "whom": "c", "factor": 0.5, "for": 2}]
    head = {"start": "2026-11-28T23:59:50+00:00"}
    scenario = read(tables(group=groups, account=[{"name": "acme", "cap": 400}], faults=faults, scenario=head))
    found = carried(scenario, "x.toml")
    assert [group.cap for group in found.groups] == [None, 10.0, 60.0]
    assert [fault.cap for fault in found.faults] == [30.0]
    account, hours, day = found.caps
    assert account == SharedCap("acme", ("a", "b"), 400.0)
    assert hours.hours == ((5.0, True), (9.0, False)) and (hours.gate, hours.ends) == (CLOSED, 9.0)
    assert (day.groups, day.budget, day.renewed[:2]) == (("c",), 7.0, (10.0, 86_410.0))
    config = MeshConfig(groups=found.groups, caps=(account,))
    parts = [part_of(config, group) for group in found.groups]
    assert parts == [(300.0, 0.0), (10.0, 0.0), (30.0, 0.0)]  # where senders share no memory
    with pytest.raises(UsageError, match="kept on one machine"):
        part_of(replace(config, caps=found.caps), found.groups[0])


def test_a_run_s_texts_are_as_many_segments_as_the_scenario_says() -> None:
    assert carried(read(tables()), "x.toml").texts == ()
    one = carried(read(tables(scenario={"segments": 2})), "x.toml").texts
    assert mean_segments(one) == 2
    audiences = [{"name": "a", "share": 0.25, "segments": 3}, {"name": "b", "share": 0.75}]
    several = carried(read(tables(audience=audiences, scenario={"segments": 1.5})), "x.toml").texts
    assert mean_segments(several) == pytest.approx(0.25 * 3 + 0.75 * 1.5, rel=0.01)
    planned = read({"run": {"messages": 100, "texts": ["en:153-153=0.5", "ru:67-134=0.5"]}})
    assert 1.0 < planned.segments < 2.0
    with pytest.raises(UsageError, match=re.escape("[run]: texts 'xx:1-2'")):
        read({"run": {"texts": ["xx:1-2"]}})


ROUTES = [
    {"name": "town", "messages": 300, "routes": ["a"]},
    {"name": "land", "messages": 200, "segments": 2, "routes": {"a": 0.25, "b": 0.75}},
]
AB = [{"name": name, "processes": 1, "slots": 50, "mean": 0.05} for name in "ab"]


def test_each_line_of_messages_has_brokers_and_producers_of_its_own() -> None:
    faults = [{"at": 1, "what": "stop", "for": 1, "whom": "broker-2"}]
    run = {"messages": 500, "brokers": 2}
    found = carried(read({"run": run, "group": AB, "audience": ROUTES, "faults": faults}), "x.toml")
    assert [(line.groups, line.messages) for line in found.lines] == [(("a",), 350), (("b",), 150)]
    assert mean_segments(found.lines[0].texts) == pytest.approx(350 / 300, rel=0.05)
    assert mean_segments(found.lines[1].texts) == 2
    assert [fault.whom for fault in found.faults] == ["broker-2", "broker-4"]
    config = MeshConfig(messages=500, groups=found.groups, lines=found.lines, brokers=2, producers=2, rate=50.0, seed=1)
    config.check()
    commands, at = Commands(config), ["A", "B", "C", "D"]
    assert [commands.slots_at(name) for name in config.broker_names] == [50] * 4
    told = [commands.producer(index, "S", at, None) for index in range(4)]
    of = [[told[n][place + 1] for place, word in enumerate(told[n]) if word == "--broker"] for n in range(4)]
    assert of == [["A", "B"], ["A", "B"], ["C", "D"], ["C", "D"]]
    assert [words[words.index("--messages") + 1] for words in told] == ["350", "350", "150", "150"]
    assert [float(words[words.index("--rate") + 1]) for words in told] == pytest.approx([17.5, 17.5, 7.5, 7.5])
    seeds = [words[words.index("--seed") + 1] for words in told]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]  # or two lines would have the same messages
    senders = [commands.sender(number, "S", at) for number in (1, 2)]
    of = [[words[place + 1] for place, word in enumerate(words) if word == "--broker"] for words in senders]
    assert of == [["A", "B"], ["C", "D"]]
    with pytest.raises(UsageError, match="beside --input"):
        replace(config, input="people.csv").check()


def test_messages_of_an_audience_go_only_by_its_routes(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text(
        "".join(f"[[group]]\n{_toml(group)}" for group in AB)
        + "".join(f"[[audience]]\n{_toml({**row, 'segments': 1})}" for row in ROUTES)
    )
    report = tmp_path / "report.json"
    words = ["run", "--config", str(tmp_path / "two.toml"), "--seed", "1", "--ui", "none", "--json", str(report)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    told = json.loads(report.read_text())
    assert {row["name"]: row["sends"] for row in told["senders"]} == {"a-1": 350, "b-1": 150}
    assert [line["messages"] for line in told["config"]["lines"]] == [350, 150]


def test_a_route_s_queue_is_one_of_all_its_senders(tmp_path: Path) -> None:
    (tmp_path / "queue.toml").write_text(
        "[run]\nmessages = 400\n[[group]]\nprocesses = 2\nslots = 100\nmean = 0.1\ncap = 100\nqueue = 1\n"
        'when-full = "expire"\ndelivered = 0.5\n'
    )
    report = tmp_path / "report.json"
    words = ["run", "--config", str(tmp_path / "queue.toml"), "--seed", "1", "--ui", "none", "--json", str(report)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    told = json.loads(report.read_text())
    receipts = told["receipts"]
    passed = receipts["delivered"] + receipts["undelivered"]
    # A hundred at once, and a hundred a second until the last send ended: two queues would have taken twice as many.
    assert 100 <= passed <= 101 + 100 * told["wall_s"]
    assert receipts["expired"] == 400 - passed and told["messages"]["sent"] == 400
    assert receipts["delivered"] / passed == pytest.approx(0.5, abs=0.2)


def test_senders_are_told_of_the_queue_that_they_share(tmp_path: Path) -> None:
    group = {"name": "a", "processes": 2, "cap": 60, "queue": 5, "when-full": "throttle"}
    found = carried(read(tables(group=[group])), "x.toml")
    config = MeshConfig(groups=found.groups, seed=1)
    keeper = keeper_of(config, str(tmp_path / "caps"))
    assert keeper is not None
    commands = Commands(config)
    alone = commands.sender(1, "S", ["A"])
    commands.keeper = keeper
    shared = commands.sender(2, "S", ["A"])

    def given(words: list[object]) -> list[str]:
        return [str(words[words.index(f"--{key}") + 1]) for key in ("cap", "route-queue", "when-full")]

    assert given(alone) == ["30.0", "5.0", "throttle"] and given(shared) == ["60.0", "5.0", "throttle"]
    both = [Caps(None, keeper.options("a", number)[1], RouteLaw(60.0, 5.0)).route for number in (1, 2)]
    assert both[0] is not None and both[1] is not None
    ones, rng = np.ones(200, np.int64), np.random.default_rng(1)
    assert [int(route.answer(ones, 0.0, rng).refused.sum()) for route in both] == [0, 100]  # of 300 in all
    keeper.close()


def _toml(table: dict[str, object]) -> str:
    def value(each: object) -> str:
        if isinstance(each, dict):
            return "{" + ", ".join(f"{name} = {part}" for name, part in each.items()) + "}"
        return json.dumps(each)

    return "".join(f"{key} = {value(each)}\n" for key, each in table.items())


def test_the_keeper_opens_and_renews_at_its_times(tmp_path: Path) -> None:
    caps = [
        SharedCap("a", ("a",), budget=5.0, renewed=(2.0,)),
        SharedCap("a", ("a",), hours=((1.0, True), (3.0, False))),
    ]
    keeper = CapKeeper(str(tmp_path / "caps"), caps, [("a", 1), ("b", 2)])
    assert keeper.options("b", 3) == [] and keeper.ends == inf
    word, shared = keeper.options("a", 1)
    own = Caps(None, shared)
    assert (word, own.room(0.0), own.ahead(0), own.shut) == ("--caps", 0, 0, True)
    assert keeper.keep(1.5) == pytest.approx(0.5)
    assert (own.room(1.5), own.ahead(0), own.shut) == (5, 5, False)
    own.spend(5, 1.5)
    assert own.room(1.6) == 0
    keeper.keep(2.0)
    assert own.room(2.0) == 5
    keeper.keep(2.985)
    assert (own.room(2.985), own.ahead(0)) == (5, 0)  # about to close: nothing more is asked for
    assert keeper.keep(3.0) == inf and own.room(3.0) == 0
    own.close()
    keeper.close()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"expect": [{"deadline": 60, "share": 0.85}]}, "share 0.85"),
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
