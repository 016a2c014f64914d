"""A setting is one entry of a table: everything else that knows of it is made from there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tests import generated
from zsms import kinds
from zsms.cli import load_command, options
from zsms.core.broker import BrokerLimits
from zsms.errors import UsageError
from zsms.fields import arguments, chosen, document, entry, options_of, schema_of, settings_of, table_entry
from zsms.launch.arguments import of_broker, of_producer, of_sender
from zsms.scenario import MeshConfig, SenderGroup, read, table


@dataclass(frozen=True, slots=True)
class Flavoured(SenderGroup):
    """A table with one entry more: nothing else is said of it anywhere."""

    flavour: str | None = entry(
        None,
        "What sends taste of.",
        kinds.one_of("salt", "sugar"),
        unless="nothing",
        on=("run", "sender"),
        also="taste",
    )


@dataclass(frozen=True, slots=True)
class Mesh(MeshConfig):
    """A run of such groups."""

    groups: tuple[SenderGroup, ...] = table_entry(Flavoured, "The senders.", default=(Flavoured(),))


def command(name: str) -> click.Command:
    @click.command(name)
    @options.of(name, Mesh)
    def made(**given: Any) -> None:
        click.echo(chosen(Flavoured, name, given).flavour)

    return made


def test_an_entry_is_an_option_of_its_commands_and_a_variable_of_the_environment() -> None:
    runner = CliRunner()
    for name in ("run", "sender"):
        assert runner.invoke(command(name), ["--flavour", "salt"]).output == "salt\n"
        done = runner.invoke(command(name), [], auto_envvar_prefix="ZSMS", env={"ZSMS_FLAVOUR": "sugar"})
        assert done.output == "sugar\n"
        said = " ".join(runner.invoke(command(name), ["--help"]).output.split())
        assert "--flavour [salt|sugar] What sends taste of. [default: nothing]" in said
    assert "flavour" not in runner.invoke(command("plan"), ["--help"]).output
    assert runner.invoke(command("run"), ["--flavour", "chili"]).exit_code == 2


def test_an_entry_is_a_key_of_a_file_by_either_name() -> None:
    assert table(Flavoured, {"taste": "salt"}, "x").flavour == table(Flavoured, {"flavour": "salt"}, "x").flavour
    with pytest.raises(UsageError, match=r"x: flavour = 'chili': choose one of salt, sugar"):
        table(Flavoured, {"flavour": "chili"}, "x")


def test_an_entry_is_what_a_child_is_started_with() -> None:
    config = Mesh(groups=(Flavoured(flavour="salt"),))
    told = of_sender(config, "sender-2")
    assert told[told.index("--flavour") + 1] == "salt"
    assert "--flavour" not in of_sender(Mesh(), "sender-1") + of_producer(config, 0, None)


def test_an_entry_is_in_the_report_its_schema_and_the_documents() -> None:
    config = Mesh(groups=(Flavoured(flavour="salt"),)).to_json()
    assert config["groups"][0]["flavour"] == "salt"
    described = schema_of(Mesh, "x")["properties"]["groups"]["items"]["properties"]["flavour"]
    assert described == {
        "type": ["string", "null"],
        "enum": ["salt", "sugar", None],
        "description": "What sends taste of. Null: nothing.",
    }
    assert "| `flavour` or `taste` | nothing | What sends taste of. |" in document(Flavoured)
    assert "| `flavour` | nothing | What sends taste of. |" in document(Mesh, "run")


@pytest.mark.parametrize("path", generated.MADE, ids=lambda path: path.name)
def test_the_documents_are_as_the_code_has_them(path: Any) -> None:
    assert path.read_text(encoding="utf-8") == generated.MADE[path](), "run python -m tests.generated"


@pytest.mark.parametrize("role", ["broker", "producer", "sender"])
def test_a_child_has_every_option_that_its_settings_are_given_by(role: str) -> None:
    have = {option for param in load_command(role).params for option in param.opts}
    config = MeshConfig(input="x.csv", unique=True, prefixes=("+1", "+44"), rate=10.0, producers=2, standby=True)
    told = {"broker": of_broker(config, "broker"), "producer": of_producer(config, 1, "x.csv"),
            "sender": of_sender(config, "sender-1")}[role]  # fmt: skip
    assert {word for word in told if word.startswith("--")} <= have
    assert {f"--{each.option}" for each in options_of(role, MeshConfig)} <= have


def test_what_a_group_has_together_is_divided_among_its_processes() -> None:
    group = SenderGroup(senders=4, cap=100.0, burst=8.0)
    told = of_sender(MeshConfig(groups=(group,), seed=7), "sender-3")
    for option, value in (("--cap", "25.0"), ("--burst", "2.0"), ("--seed", "7")):
        assert told[told.index(option) + 1] == value
    told = of_producer(MeshConfig(rate=10.0, producers=4), 1, None)
    assert told[told.index("--rate") + 1] == "2.5" and told[told.index("--share") + 1] == "1/4"


def test_several_values_are_several_options_and_nothing_is_none() -> None:
    told = arguments(MeshConfig(prefixes=("+1", "+44"), unique=True), "producer")
    assert [told[place + 1] for place, word in enumerate(told) if word == "--prefix"] == ["+1", "+44"]
    assert "--unique" in told and "--input" not in told


def test_a_cap_of_the_options_counts_for_a_plan_and_for_a_file_s_groups() -> None:
    (group,) = read({"run": {"cap": 100.0, "burst": 5.0}}).groups
    assert (group.cap, group.burst) == (100.0, 5.0)
    one, two = read({"run": {"cap": 100.0}, "group": [{"name": "a"}, {"name": "b", "cap": 7}]}).groups
    assert (one.cap, two.cap) == (100.0, 7.0)


def test_a_plan_opens_slots_as_a_run_does() -> None:
    scenario = read({"group": [{"name": "a", "slots": 200_000, "mean": 90}]})
    run = MeshConfig(groups=(replace(SenderGroup(), concurrency=200_000, mean=90.0),))
    assert scenario.ramp_of(scenario.groups[0]) == run.ramp_of(run.groups[0]) == 90.0


def test_every_setting_says_what_it_is() -> None:
    for each in settings_of(BrokerLimits):
        assert each.entry.help.endswith(".") and set(each.entry.on) == {"run", "plan", "broker"}


def test_a_scenario_is_checked_without_sockets() -> None:
    code = "import sys, zsms.scenario as s; s.MeshConfig().check(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"zmq", "asyncio", "sqlite3", "psutil", "zsms.roles.base"} & set(loaded)
