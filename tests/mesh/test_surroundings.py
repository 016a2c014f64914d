"""Where a process finds itself: odd folders, few descriptors, containers, two processes of one name."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wire.frames import snapshot_body
from zsms import Producer, Sender, StatsCollector
from zsms.cli import common

ZSMS = str(Path(sys.executable).with_name("zsms"))
SMALL = ("run", "--messages", "100", "--mean", "0.01", "--ui", "none")
# What zsms or what it uses imports, and late: nothing of the current folder may run in their place.
NAMES = (
    "random", "select", "socket", "json", "numpy", "subprocess", "email", "queue", "struct", "secrets", "msgpack",
    "psutil", "statistics", "copy", "resource", "ssl", "html", "csv", "tomllib",
)  # fmt: skip


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


def test_nothing_of_the_current_folder_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for name in NAMES:
        code = f"open({str(mark)!r}, 'a').write('{name} ')\nraise SystemExit('mine')\n"
        (tmp_path / f"{name}.py").write_text(code)
    small = (*SMALL, "--senders", "1", "--concurrency", "50", "--json", "r.json")
    done = run(ZSMS, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not mark.exists() and (tmp_path / "r.json").stat().st_size > 100


@pytest.mark.parametrize("module", ["zsms", "zsms.cli.launched"])
def test_nothing_of_the_current_folder_runs_by_hand_either(tmp_path: Path, module: str) -> None:
    mark = tmp_path / "ran"
    for name in (*NAMES, "typing", "re", "enum", "functools", "click", "zmq", "contextlib", "logging", "runpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write('{name} ')\nraise SystemExit('mine')\n")
    done = run(sys.executable, "-m", module, "--version", cwd=tmp_path)
    assert not mark.exists(), mark.read_text()
    assert done.returncode == 0 or module != "zsms"


def test_few_descriptors_are_raised_and_too_few_are_a_line(tmp_path: Path) -> None:
    small = " ".join((*SMALL, "--senders", "6", "--concurrency", "10"))
    soft = run("bash", "-c", f"ulimit -Sn 24; exec {ZSMS} {small}", cwd=tmp_path)
    assert soft.returncode == 0, soft.stderr
    hard = run("bash", "-c", f"ulimit -n 24; exec {ZSMS} {small}", cwd=tmp_path)
    assert hard.returncode == 1 and "Traceback" not in hard.stderr
    assert "descriptors" in hard.stderr and "ulimit -n" in hard.stderr
    for role in ("broker --bind 127.0.0.1:0", "monitor --once --timeout 1", "queue show --timeout 1"):
        done = run("bash", "-c", f"ulimit -n 12; exec {ZSMS} {role}", cwd=tmp_path)
        assert done.returncode == 1 and done.stderr.startswith("zsms: this process may have 12 file descriptors"), role


@pytest.mark.parametrize("most", [10_240, 4_096, 2_000])
def test_a_limit_that_is_refused_is_tried_lower(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """As on a Mac, whose hard limit says "infinity"."""
    granted: list[int] = []

    def setrlimit(what: int, limits: tuple[int, int]) -> None:
        if limits[0] > most:
            raise ValueError("current limit exceeds maximum limit")
        granted.append(limits[0])

    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    common.allow_many_descriptors()
    assert len(granted) == 1 and most / 2 < granted[0] <= most


def test_names_that_nobody_gave_differ_between_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr("platform.node", lambda: "host-" + "x" * 59 + ".example.org")
    names = {Sender("127.0.0.1:1").name for _ in range(20)} | {Producer("127.0.0.1:1").name for _ in range(20)}
    assert len(names) == 40 and all(len(name) <= 64 for name in names)


def test_two_processes_of_one_name_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    collector: Any = StatsCollector("127.0.0.1:0")
    # One that starts again: what was on its way from before may still come.
    for start, seq in ((1, 1), (2, 1), (1, 2), (2, 2), (2, 3)):
        collector.take(snapshot_body(role="sender", name="s", start=start, seq=seq), "", 1.0)
    assert not caplog.records
    for seq in range(4, 10):
        for start in (1, 2):
            collector.take(snapshot_body(role="sender", name="s", start=start, seq=seq, pid=start), "", 1.0 + seq / 9)
    (told,) = {record.getMessage() for record in caplog.records}
    assert "two processes call themselves sender 's'" in told and "--name" in told


ROLE = """
import logging, os, sys
from zsms.cli import common, streams

class Role:
    role = name = "sender"

    def run(self):
        print("read", repr(sys.stdin.read()), flush=True)
        os.close(2)
        with open(sys.argv[1], "w") as mine:
            print("opened", mine.fileno(), flush=True)
            logging.getLogger("zsms").warning("said by zsms")

    def stop(self):
        print("told to stop", flush=True)
        self.stopped = True

    def wake_on_signals(self):
        pass

streams.set_up()
raise SystemExit(common.run_role(Role, quiet=False, verbose=0, exit_with_parent=True))
"""


def test_what_a_function_does_with_its_streams_is_its_own(tmp_path: Path) -> None:
    """It may read, and close 2 and open its file there: orders stay ours, and so do log lines."""
    mine = tmp_path / "mine"
    process = subprocess.Popen(
        [sys.executable, "-c", ROLE, str(mine)], stdin=-1, stdout=-1, stderr=-1, text=True, cwd=tmp_path
    )
    assert process.stdin is not None  # open to the end: who reads there must not wait for it
    try:
        code = process.wait(60)
        out, err = process.communicate()
    finally:
        process.kill()
    assert code == 0 and out.splitlines()[:2] == ["read ''", "opened 2"]
    assert "said by zsms" in err and mine.read_text() == ""
