"""`zsms dashboard` and `zsms run --dashboard` as one types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mesh import processes
from zsms.cli.dashboard import TOKEN
from zsms.dashboard.server import Dashboard
from zsms.errors import UsageError

SECRET = "a-token_of-22-letters0"
GATE = """
import asyncio
from pathlib import Path


async def send(message):
    while not Path(__file__).with_name("open").exists():
        await asyncio.sleep(0.02)
    return message.id.seq % 10 > 0
"""
"""A transport that sends nothing until it is told to."""


@contextmanager
def zsms(*words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that serves a page, and the page's address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zsms", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("dashboard: http://"), line + process.stderr.read()
        yield process, line.removeprefix("dashboard: ").strip()
    finally:
        process.kill()
        process.communicate()


def refused(*words: str, **environment: str) -> str:
    """What a command says that can't begin."""
    done = processes.zsms(*words, env=environment)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_the_page_of_a_run_ends_with_the_run_s_own_figures(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = ("run", "--quiet", "--dashboard", "127.0.0.1:0", "--json", str(report), "--seed", "5")
    load = ("--messages", "4000", "--concurrency", "500", "--transport", "gate:send")
    (tmp_path / "gate.py").write_text(GATE)
    with zsms(*run, *load, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path])) as (process, url):
        with urllib.request.urlopen(f"{url}api/v1/stream", timeout=60) as stream:
            lines = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
            pictures = [next(lines)]
            (tmp_path / "open").touch()
            pictures += lines
        assert process.wait(60) == 0
    assert len(pictures) > 1 and not pictures[0]["ended"]
    last, told = pictures[-1], json.loads(report.read_text())
    assert last["ended"] and last["figures"]["balanced"]
    for name in ("produced", "sent", "failed", "dead", "redelivered", "duplicates"):
        assert last["figures"][name] == told["messages"][name], name
    assert last["figures"]["expected"] == last["figures"]["settled"] == 4_000
    assert last["reach"]["share_after"]["600"] == last["reach"]["share"] == told["messages"]["sent"] / 4_000
    for name, seconds in told["send_time_s"].items():
        assert last["send_time_s"]["whole"][name] == pytest.approx(seconds)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_dashboard_leaves_when_it_is_told_to_though_someone_looks(number: signal.Signals, code: int) -> None:
    with zsms("dashboard", "--bind", "127.0.0.1:0", "--stats", "127.0.0.1:1") as (process, url):
        with urllib.request.urlopen(f"{url}api/v1/stream", timeout=60) as stream:
            assert stream.readline() == b"retry: 1000\n"
            process.send_signal(number)
            stream.read()
        assert process.wait(60) == code
        assert process.stderr is not None and process.stderr.read() == ""


def test_the_token_comes_from_a_file_or_from_the_environment(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{SECRET}\n")
    token.chmod(0o600)
    common = ("dashboard", "--bind", "127.0.0.1:0", "--stats", "127.0.0.1:1")
    for words, environment in ((("--token-file", str(token)), {}), ((), {TOKEN: SECRET})):
        with zsms(*common, *words, **environment) as (process, told):
            assert SECRET not in told and "the token that was given" in told
            asked = urllib.request.Request(
                f"{told.split()[0]}api/v1/now", headers={"Authorization": f"Bearer {SECRET}"}
            )
            assert urllib.request.urlopen(asked, timeout=60).status == 200
            process.terminate()
            assert SECRET not in process.communicate(timeout=60)[1]
    token.chmod(0o644)
    wrong = subprocess.Popen(
        [sys.executable, "-m", "zsms", *common, "--token-file", str(token)], stderr=subprocess.PIPE, text=True
    )
    assert wrong.stderr is not None and "chmod 600" in wrong.stderr.readline()
    wrong.kill()
    wrong.communicate()
    token.write_text("short")
    assert "at least 16 letters" in refused(*common, "--token-file", str(token))
    assert "No such file" in refused(*common, "--token-file", str(tmp_path / "none"))


def test_an_address_that_can_not_be_had_is_told_before_the_run() -> None:
    assert "can't listen on 192.0.2.1:80" in refused("run", "--dashboard", "192.0.2.1:80", "--messages", "1")


def test_a_name_that_no_host_can_have_is_no_place_to_listen() -> None:
    with pytest.raises(UsageError, match=r"can't listen on \.\.:0"):
        Dashboard(bind="..:0")
