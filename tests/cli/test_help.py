"""What commands say of themselves: help, completion, effective settings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.mesh.processes import zsms
from zsms.cli import COMMANDS, cli, load_command


def all_commands() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = load_command(name)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {each}", child) for each, child in command.commands.items())


def run(*words: object, **environment: str) -> str:
    done = zsms(*words, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "command"), list(all_commands()))
def test_every_help_has_an_example_and_a_text_for_each_option(name: str, command: click.Command) -> None:
    assert command.epilog is not None and command.epilog.startswith("\b\nExamples:\n"), "no examples"
    assert f"zsms {name.split()[0]}" in command.epilog
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, f"{option.opts[0]} says nothing"


def test_the_help_lists_the_commands_by_purpose() -> None:
    text = run("--help")
    assert text.index("Run and measure:") < text.index("  run ") < text.index("Watch:") < text.index("  monitor ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_commands_options_and_values(shell: str) -> None:
    script = run("completion", shell)
    assert "_ZSMS_COMPLETE" in script

    def offered(*words: str) -> str:
        current = words[-1] if shell == "fish" else str(len(words) - 1)
        return run(_ZSMS_COMPLETE=f"{shell}_complete", COMP_WORDS=" ".join(words), COMP_CWORD=current)

    assert "sender" in offered("zsms", "sen")
    assert "--senders" in offered("zsms", "run", "--send")
    assert "lognormal" in offered("zsms", "run", "--delay", "log")


def test_bash_takes_the_script() -> None:
    script = run("completion", "bash") + "complete -p zsms"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "zsms" in done.stdout


def test_settings_are_shown_with_where_they_come_from(tmp_path: Path) -> None:
    file = tmp_path / "mesh.toml"
    file.write_text('[run]\nmessages = 7\nsd = 0.5\nmean = 3.0\n[[run.groups]]\nname = "a"\n', encoding="utf-8")
    options = ["--config", file, "--senders", 4]
    shown = json.loads(run("config", "show", "--json", "run", *options, ZSMS_RUN_SD="0.25", ZSMS_RUN_SENDERS="9"))
    rows = {name: (row["value"], row["from"]) for name, row in shown["run"].items()}
    assert rows["--senders"] == (4, "command line")
    assert rows["--sd"] == (0.25, "environment ZSMS_RUN_SD")
    assert rows["--mean"] == (3.0, f"file {file}")
    assert rows["--producers"] == (1, "default")
    assert rows["groups"] == ([{"name": "a"}], f"file {file}")
    plain = run("config", "show", "run", *options, ZSMS_RUN_SD="0.25")
    (line,) = [line for line in plain.splitlines() if "--sd " in line]
    assert line.split() == ["--sd", "0.25", "environment", "ZSMS_RUN_SD"]
    everything = json.loads(run("config", "show", "--json"))
    takes_a_file = {name for name, command in all_commands() if any(p.name == "config" for p in command.params)}
    assert set(everything) == takes_a_file
    for name in takes_a_file:
        options = load_command(name).params
        named = {max(p.opts, key=len) for p in options if isinstance(p, click.Option) and not p.hidden}
        assert set(everything[name]) == named - {"--help"}


def test_showing_wrong_settings_is_as_wrong_as_using_them() -> None:
    for words in (
        ["config", "show", "rum"],
        ["config", "show", "run", "--sender", "2"],
        ["config", "show", "keys"],
    ):
        done = zsms(*words)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr


def test_the_group_s_own_help_needs_no_heavy_import() -> None:
    code = "import sys; from zsms.cli import cli; cli.get_help(__import__('click').Context(cli)); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" not in loaded and "zmq" not in loaded
    assert cli.name == "cli"
