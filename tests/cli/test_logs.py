"""Log lines: for people and as JSON, how much of them, and that repeats are kept back."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from signal import SIGTERM
from time import monotonic
from typing import Any

import pytest

from tests.cli.terminal import Terminal
from tests.mesh.processes import Command, zsms
from zsms import logs

QUICK = ("run", "--messages", 200, "--mean", 0.01, "--sd", 0)


def record(message: str = "%s: went wrong", *args: object, at: float = 0.0, exc_info: Any = None) -> logging.LogRecord:
    made = logging.LogRecord("zsms.broker", logging.WARNING, __file__, 1, message, args, exc_info)
    made.created = at
    return made


def objects(stderr: str) -> list[dict[str, Any]]:
    """Every line of it, and each must be an object."""
    return [json.loads(line) for line in stderr.splitlines()]


# -- forms -------------------------------------------------------------------------------------------------------


def test_a_role_logs_json_on_demand(tmp_path: Path) -> None:
    with Command("stats", "--bind", f"ipc://{tmp_path}/stats", "--name", "s", "--log-format", "json") as stats:
        stats.wait_for("listening on")
        stats.signal(SIGTERM)
        assert stats.end() == 0
        line = objects(stats.err)[0]
    assert list(line) == ["time", "level", "logger", "role", "name", "message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert (line["level"], line["logger"], line["role"], line["name"]) == ("INFO", "zsms.stats", "stats", "s")
    assert line["message"].startswith("s: listening on ipc://")


def test_a_run_logs_json_and_so_does_what_its_processes_say() -> None:
    done = zsms(*QUICK, "--log-format", "json", "-v")
    assert done.returncode == 0
    assert "200 produced, 200 sent" in done.stdout
    lines = objects(done.stderr)
    assert {line["role"] for line in lines} == {"run"}
    messages = [line["message"] for line in lines]
    assert any(re.search(r"sent \d+ .* in flight \d+", text) for text in messages), "no progress"
    assert any("sender joined: sender-1" in text for text in messages)
    assert {"WARNING", "ERROR"}.isdisjoint(line["level"] for line in lines)


def test_an_error_that_ends_a_command_is_a_line_of_json_too() -> None:
    done = zsms("producer", "--input", "nowhere.csv", "--log-format", "json")
    assert done.returncode == 2
    (line,) = objects(done.stderr)
    assert line["level"] == "ERROR" and "nowhere.csv" in line["message"]


def test_an_exception_is_in_its_line() -> None:
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        text = logs.JsonLines().format(record("%s failed", "broker", exc_info=sys.exc_info()))
    (line,) = objects(text)
    assert line["message"] == "broker failed" and line["exception"].endswith("RuntimeError: boom")
    assert logs.read(text).level == logging.WARNING
    assert logs.read(text).text.splitlines()[0] == "broker failed"
    assert "RuntimeError: boom" in logs.read(text).text


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "7", "{}", '{"level": "LOUD", "message": ""}'])
def test_what_is_no_json_of_ours_is_taken_as_it_is(line: str) -> None:
    assert logs.read(line) == (logging.WARNING, line)


@pytest.mark.parametrize("no_color", ["", "1"])
def test_the_level_is_coloured_on_a_terminal_unless_asked_not_to(tmp_path: Path, no_color: str) -> None:
    env = {"NO_COLOR": no_color}
    with Terminal("monitor", "--stats", f"ipc://{tmp_path}/stats", "--ui", "plain", env=env) as terminal:
        terminal.wait_for("WARNING no answer from a collector")
        assert (b"\x1b[33mWARNING\x1b[0m no answer" in terminal.raw) != bool(no_color)
        assert (b"\x1b" in terminal.raw) != bool(no_color)


# -- how much ----------------------------------------------------------------------------------------------------


def test_a_run_says_more_when_asked() -> None:
    assert zsms(*QUICK, "--ui", "none").stderr == ""
    more = zsms(*QUICK, "--ui", "none", "-vv").stderr
    assert re.search(r"^\d\d:\d\d:\d\d INFO    zsms.mesh: broker: sender joined: sender-[12]$", more, re.MULTILINE)


def told(*records: logging.LogRecord) -> list[str]:
    repeats = logs.Repeats()
    return [each.getMessage() for each in records if repeats.filter(each)]


def test_the_same_line_comes_once_a_second_and_says_how_many_were_kept_back() -> None:
    assert told(*(record("%s: went wrong", "b", at=now / 10) for now in range(25))) == [
        "b: went wrong",
        "b: went wrong (9 more since the last such line)",
        "b: went wrong (9 more since the last such line)",
    ]


def test_lines_that_differ_are_let_through_until_they_flood() -> None:
    flood = [record("%s: sender lost: %s", "b", i, at=0.5) for i in range(1_000)]
    lines = told(*flood, record("another thing", at=0.5), record("%s: sender lost: %s", "b", "last", at=2.0))
    assert lines[: logs.BURST] == [f"b: sender lost: {i}" for i in range(logs.BURST)]
    assert lines[logs.BURST :] == ["another thing", "b: sender lost: last (980 more since the last such line)"]


def test_lines_are_kept_while_something_else_has_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up()
    seen: list[str] = []
    with logs.diverted(lambda: seen.append("drawn")) as records:
        logging.getLogger("zsms.test").warning("%s happened", "it")
        assert capsys.readouterr().err == "" and seen == ["drawn"]
        assert [each.getMessage() for each in records] == ["it happened"]
        assert 0 <= monotonic() - records[0].__dict__["heard_at"] < 60, "whatever the wall clock says"
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING it happened\n", capsys.readouterr().err)


def test_of_very_many_kept_lines_the_last_are_written_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up()
    with logs.diverted(lambda: None):
        for number in range(logs.KEPT_LINES + 7):
            logging.getLogger("zsms.test").warning(f"{number} happened")  # a template of its own each
    first, *lines = capsys.readouterr().err.splitlines()
    assert "7 lines that came before these are gone" in first
    assert len(lines) == logs.KEPT_LINES and lines[-1].endswith(f"{logs.KEPT_LINES + 6} happened")


@pytest.mark.parametrize("relayed", [False, True])
def test_many_of_one_kind_swallow_none_of_another(capsys: pytest.CaptureFixture[str], relayed: bool) -> None:
    """Of a broker, and of a broker whose lines a mesh hands on."""
    logs.set_up()
    log = logging.getLogger("zsms.test")

    def tell(kind: str, subject: str, level: int) -> None:
        if relayed:
            log.log(level, "%s", f"broker: {kind}: {subject}, 5 messages")
        else:
            log.log(level, f"%s: {kind}: %s", "broker", subject)

    for number in range(100):
        tell("sender joined", f"sender-{number}", logging.INFO)
    tell("sender lost", "sender-7", logging.WARNING)
    lines = capsys.readouterr().err.splitlines()
    assert "sender lost: sender-7" in lines[-1] and len(lines) == logs.BURST + 1
