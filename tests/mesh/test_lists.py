"""Lists from the command line: pipes, standard input, the first N, what is said, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import pytest

from tests.mesh.processes import SOME, ZSMS, ByHand, Command, environment, line_with, zsms

QUICK = ("--mean", 0.01, "--senders", 1, "--concurrency", 100, "--json", "-")


def people(count: int) -> str:
    return "recipient,text\n" + "".join(f"+1370555{number:04},note {number}\n" for number in range(count))


def run(text: str, *arguments: object, cwd: Path, pipe: bool = False) -> dict[str, Any]:
    """The report of `zsms run`, its standard input this text."""
    command = [*ZSMS, "run", *map(str, (*QUICK, *arguments))]
    if pipe:
        command = ["sh", "-c", 'exec 3<&0; cat <&3 >people.csv & "$@"; code=$?; wait; exit $code', "sh", *command]
        os.mkfifo(cwd / "people.csv")
    done = subprocess.run(
        command, input=text, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    report["stderr"] = done.stderr
    return report


@pytest.mark.parametrize("how", ["fork", "process"])
def test_standard_input_is_a_list(tmp_path: Path, how: str) -> None:
    (tmp_path / "gateway.py").write_text("async def send(message):\n    return True\n")
    transport = ("--transport", "gateway:send") if how == "process" else ()
    report = run(people(300) + people(7).split("\n", 1)[1], "--input", "-", *transport, cwd=tmp_path)
    assert report["messages"]["sent"] == 307 and report["messages"]["repeated_rows"] == 7
    assert "standard input: 7 rows to a recipient that came before" in report["stderr"]
    assert report["config"]["messages"] is None


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    report = run(people(300), "--input", "people.csv", "--messages", 120, "--unique", cwd=tmp_path, pipe=True)
    assert report["messages"]["sent"] == report["config"]["messages"] == 120


def test_the_first_so_many_of_a_list_over_several_producers(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(people(50))
    report = run("", "--input", "people.csv", "--messages", 10, "--producers", 3, cwd=tmp_path)
    assert report["messages"]["produced"] == report["messages"]["sent"] == 10


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT])
def test_a_producer_that_is_stopped_in_the_middle_of_a_list_exits_with_3(
    mesh: ByHand, tmp_path: Path, signal: Signals
) -> None:
    (tmp_path / "people.csv").write_text(people(1000))
    mesh.start("stats")
    mesh.start("broker")
    producer = mesh.start("producer", "--input", tmp_path / "people.csv", "--rate", 1, "--stats-interval", 0.1)
    mesh.when(lambda view: view.made > 0, "a message")
    producer.signal(signal)
    assert producer.end() == 3
    assert "lines from" in producer.err and "on were not read" in producer.err


def test_a_run_that_is_stopped_in_the_middle_of_a_list_says_so_in_its_report(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(people(1000))
    with Command("run", *QUICK, "--input", "people.csv", "--rate", 20, cwd=tmp_path) as running:
        running.wait_for(line_with(produced=SOME))
        running.signal(SIGINT)
        assert running.end() == 130
        report = json.loads(running.out)
    (problem,) = report["problems"]
    assert "producer-1: stopped after" in problem and problem.endswith("on were not read")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--input - --input-format csv --producers 2", "only by one producer, not 2"),
        ("--input people.csv --alphabet ab", "--alphabet is about random messages"),
        ("--input people.csv --messages -1", "messages -1"),
        ("--input people.csv --input-format xml", "'xml' is not one of 'csv', 'jsonl'"),
        ("--input folder.csv", "Is a directory"),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(tmp_path: Path, arguments: str, told: str) -> None:
    (tmp_path / "people.csv").write_text(people(3))
    (tmp_path / "folder.csv").mkdir()
    done = zsms("run", *arguments.split(), cwd=tmp_path)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
