"""`zsms run` and `zsms monitor` on a terminal: the panel, its keys, and that the terminal is left as it was."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGTERM

import psutil
import pytest

from tests.cli.terminal import ENTER, Terminal
from tests.mesh.processes import Command, line_with, until, zsms
from zsms import Broker, DelayModel, Producer, Sender, StatsCollector

ENDLESS = ("run", "--messages", 10**8, "--senders", 2, "--concurrency", 100, "--mean", 0.05, "--sd", 0)


def test_a_run_is_shown_and_the_summary_stays() -> None:
    with Terminal("run", "--messages", 1_500, "--concurrency", 250, "--mean", 0.5, "--senders", 2) as terminal:
        terminal.wait_for(r"^ sender-2 +[1-9]\d*/s")
        lines = terminal.lines
        assert lines[0].startswith(" zsms run") and re.search(r"\d:\d\d$", lines[0])
        assert re.search(r"[━╌]+ +\d+ % +(-:--|\d:\d\d) left$", lines[1])
        text = "\n".join(lines)
        for word in ("rate", "sent", "failed", "queued", "in flight", "p50", "p90", "p99", "slots busy", "balanced"):
            assert word in text
        assert "sender joined" in text
        assert lines[-1] == " q drain and leave   s sort"
        terminal.press("s")
        terminal.wait_for("▾rate")
        assert terminal.end() == 0
        assert terminal.restored
        assert b"1,500 produced, 1,500 sent, 0 failed" in terminal.raw
        assert terminal.raw.count(b"produced, ") == 1


def test_plus_and_minus_change_the_arrival_rate_and_q_drains() -> None:
    with Terminal(*ENDLESS, "--rate", 1000) as terminal:
        terminal.wait_for("1,000/s asked for")
        assert "+ - arrival rate" in terminal.lines[-1]
        terminal.wait_for(r"rate +(9[5-9]\d|1,0[0-4]\d)/s")
        terminal.press("+++++")
        terminal.wait_for("1,611/s asked for")
        terminal.wait_for(r"rate +1,(5[5-9]|6[0-6])\d/s")
        terminal.press("-" * 10)
        terminal.wait_for("621/s asked for")
        terminal.wait_for(r"rate +(59|6[0-4])\d/s")
        terminal.press("q")
        terminal.wait_for("draining, q again ends at once")
        assert terminal.end() == 130
        assert terminal.restored
        assert b"0 lost, 0 unsettled" in terminal.raw
        assert re.search(rb"WARNING.* stopping: producers first", terminal.raw.rpartition(b"\x1b[?1049l")[2])


@pytest.mark.parametrize("how", ["q twice", "Ctrl-C", "SIGTERM", "a broker that dies"])
def test_the_terminal_is_left_as_it_was(how: str) -> None:
    with Terminal(*ENDLESS, columns=60, rows=15) as terminal:
        terminal.wait_for(r"sent +[1-9]")
        assert max(map(len, terminal.lines)) <= 60 and not terminal.restored
        match how:
            case "q twice":
                terminal.press("qq")
            case "Ctrl-C":
                terminal.press("\x03")
                terminal.wait_for("draining")
                terminal.press("\x03")
            case "SIGTERM":
                terminal.popen.send_signal(SIGTERM)
                terminal.wait_for("draining")
                terminal.popen.send_signal(SIGTERM)
            case _:
                broker(terminal.popen.pid).kill()
        assert terminal.end() == (1 if how.startswith("a broker") else 130)
        assert terminal.restored
        after = terminal.raw.rpartition(b"\x1b[?1049l")[2]
        assert (b"broker (pid" in after) == how.startswith("a broker"), "what was logged is lost with the screen"


def broker(pid: int) -> psutil.Process:
    """The broker of this `zsms run`."""
    return next(process for process in psutil.Process(pid).children() if "broker" in process.cmdline()[3:5])


def test_a_crash_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'run' in sys.argv or 'run' in sys.orig_argv:\n"
        "    import zsms.stats.trends\n"
        "    def crash(self, view):\n        raise RuntimeError('the panel is broken')\n"
        "    zsms.stats.trends.Trends.take = crash\n"
    )
    with Terminal(*ENDLESS, env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *paths()])}) as terminal:
        assert terminal.end() == 1
        assert terminal.restored
        assert b"RuntimeError: the panel is broken" in terminal.raw.rpartition(b"\x1b[?1049l")[2]


def paths() -> list[str]:
    """Where this checkout's package is found."""
    return [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() -> None:
    with Terminal(*ENDLESS) as terminal:
        terminal.wait_for(r"sent +[1-9]")
        terminal.press("\x1a")
        until(lambda: psutil.Process(terminal.popen.pid).status() == psutil.STATUS_STOPPED, "the stop")
        terminal.read()
        assert terminal.restored
        entered = terminal.raw.count(ENTER)
        terminal.popen.send_signal(SIGCONT)
        until(lambda: terminal.read() or terminal.raw.count(ENTER) > entered, "the panel")
        terminal.press("qq")
        assert terminal.end() == 130
        assert terminal.restored


def test_no_color_is_heeded_and_output_can_go_elsewhere(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    quick = ("run", "--messages", 200, "--mean", 0.01, "--sd", 0, "--json", "-")
    with (
        open(os.devnull) as nothing,
        Terminal(*quick, env={"NO_COLOR": "1"}, stdin=nothing.fileno(), stdout=report) as terminal,
    ):
        assert terminal.end() == 0
        assert terminal.restored
        assert ENTER in terminal.raw and b"q drain" not in terminal.raw, "keys that nobody reads"
        assert not re.search(rb"\x1b\[[0-9;]*[34][0-7]m", terminal.raw)
    assert json.loads(report.read_text())["messages"]["sent"] == 200


@pytest.mark.parametrize("ui", ["plain", "none"])
def test_other_ways_of_showing_it_leave_the_screen_alone(ui: str) -> None:
    with Terminal("run", "--messages", 200, "--mean", 0.01, "--sd", 0, "--ui", ui) as terminal:
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.raw and b"200 sent" in terminal.raw
        assert (b"rate/s" in terminal.raw) == (ui == "plain")


def test_a_panel_needs_a_terminal() -> None:
    done = zsms("run", "--ui", "live")
    assert done.returncode == 2
    assert "--ui live" in done.stderr and "no terminal" in done.stderr
    for term in ("dumb", ""):
        with Terminal("run", "--ui", "live", env={"TERM": term}) as terminal:
            assert terminal.end() == 2
            assert b"TERM" in terminal.raw


# -- monitor -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[str]:
    """A mesh in threads that has work for longer than a test; the collector's endpoint."""
    with (
        StatsCollector(f"ipc://{tmp_path}/stats") as stats,
        Broker(f"ipc://{tmp_path}/broker", stats=stats.endpoint, stats_interval=0.1) as core,
        Sender(
            core.endpoint, concurrency=50, delay=DelayModel("constant", 0.05), stats=stats.endpoint, name="thread-1"
        ),
        Producer(core.endpoint, messages=100_000, stats=stats.endpoint, stats_interval=0.1) as producer,
    ):
        try:
            yield stats.endpoint
        finally:
            producer.stop()
            producer.stop()
            core.stop()
            core.stop()


def test_a_monitor_shows_the_same_panel_and_q_leaves(mesh: str) -> None:
    with Terminal("monitor", "--stats", mesh, "--interval", 0.2) as terminal:
        terminal.wait_for(r"^ thread-1 +[1-9][\d,]*/s")
        terminal.wait_for(r"send time p99 +\d")
        assert mesh[:20] in terminal.lines[0] and terminal.lines[-1] == " q leave   s sort"
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.restored


def test_a_monitor_on_a_terminal_says_that_nobody_answers(tmp_path: Path) -> None:
    with Terminal("monitor", "--stats", f"ipc://{tmp_path}/stats") as terminal:
        terminal.wait_for("waiting for the first figures")
        terminal.wait_for("no answer from a collector")
        terminal.press("\x03")
        assert terminal.end() == 130
        assert terminal.restored
        assert re.search(rb"WARNING.* no answer from a collector", terminal.raw.rpartition(b"\x1b[?1049l")[2])


def test_without_a_terminal_the_header_comes_again(mesh: str) -> None:
    with Command("monitor", "--stats", mesh, "--interval", 0.05) as monitor:
        monitor.wait_for(r"(?s)rate/s.*rate/s")
        # There may be lines, too, of what nobody has said yet or says any more.
        told = re.compile(rf"    time .*|{line_with()}")
        header, *lines = (line for line in monitor.err.splitlines() if told.fullmatch(line))
        assert all(len(line) <= 80 for line in [header, *lines[:20]])
        assert lines[20] == header and header not in lines[:20]
        ends = [header.index(name) + len(name) for name in ("sent", "rate/s", "in flight")]
        # The first lines have no rate yet.
        assert any(all(line[end - 1].isdigit() and line[end : end + 1] == " " for end in ends) for line in lines[:20])
