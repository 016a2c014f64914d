"""Commands for sweeps: their files come along, and none outlives whoever reads its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import psutil
import pytest

from tests.mesh.processes import Command, environment, gone, until
from zsms.errors import ZsmsError
from zsms.launch.execute import Execute, reason_of

_PLAN = ["plan", "there/my.toml", "--replications", "1", "--jobs", "1", "--no-variants", "--quiet", "--json", "-"]
_LONG = ("--messages", 3_000_000, "--replications", 2_000)


def test_a_file_that_is_not_there_comes_along_and_errors_name_it_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (plan,) = Execute({"there/my.toml": b"[run]\nmessages = 7\n"})([_PLAN])
    assert plan["messages"] == 7
    with pytest.raises(
        ZsmsError, match=r"zsms plan there/my.toml .* with 2: zsms: there/my.toml: \[run\]: unknown key"
    ):
        Execute({"there/my.toml": b"[run]\nmesages = 7\n"})([_PLAN])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"problems": ["nothing was sent: 9 failed"], "thresholds": []}, "nothing was sent: 9 failed"),
        (
            {"problems": [], "thresholds": [{"threshold": "a <= 1", "value": 2, "ok": False},
                                            {"threshold": "b <= 1", "value": 0, "ok": True}]},
            "a <= 1: 2",
        ),
        ({"problems": [], "thresholds": []}, "the last line"),
        (["no report"], "the last line"),
        (None, "the last line"),
    ],
)  # fmt: skip
def test_why_a_run_failed_is_what_its_report_says(said: object, why: str) -> None:
    """Its summary is for people: the last line of it may be the end of a sentence."""
    assert reason_of("" if said is None else json.dumps(said), "problem     the last\nthe last line\n") == why


def test_what_is_not_wanted_any_more_ends() -> None:
    children: list[psutil.Process] = []
    others = psutil.Process().children()  # servers that another test has left for those behind it

    def wanted() -> bool:
        children.extend(child for child in psutil.Process().children() if child not in others)
        return False

    with pytest.raises(ZsmsError, match="given up"):
        Execute()([["plan", *map(str, _LONG), "--quiet", "--json", "-"]], wanted)
    assert children and all(map(gone, children))
    stopped = Execute()
    stopped.stop()
    with pytest.raises(ZsmsError, match="given up"):
        stopped([["plan", *map(str, _LONG), "--quiet", "--json", "-"]])


@pytest.mark.parametrize("number", [SIGTERM, SIGKILL])
@pytest.mark.parametrize("command", [("sweep", "--vary", "mean=1,2", "--jobs", 1), ("plan", "--jobs", 2, "--quiet")])
def test_nothing_that_computes_outlives_who_asked_for_it(command: tuple[object, ...], number: Signals) -> None:
    with Command(*command, *_LONG) as asked:
        children = until(lambda: psutil.Process(asked.popen.pid).children(), "a child", 25.0)
        until(lambda: all(child.cpu_times().user > 0.3 for child in children), "work", 25.0)
        asked.signal(number)
        assert asked.end(25.0) == (130 if number == SIGTERM else -SIGKILL)
        until(lambda: all(map(gone, children)), "their ends", 25.0)
        assert "Traceback" not in asked.err


def test_one_whose_parent_is_gone_before_it_looks_ends_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "zsms.launch.held", "1" if os.getpid() != 1 else "2", "plan"],
        env=environment(),
        capture_output=True,
        timeout=25,
        check=False,
    )
    assert done.returncode == -SIGTERM and not done.stdout


def test_one_whose_parent_is_there_is_the_ordinary_command() -> None:
    held = [sys.executable, "-P", "-m", "zsms.launch.held", str(os.getpid()), "segments", "hello", "--json"]
    done = subprocess.run(held, env=environment(), capture_output=True, timeout=25, check=False)
    assert json.loads(done.stdout)
