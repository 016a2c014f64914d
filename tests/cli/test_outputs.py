"""Nothing measured is lost: reports and older reports, standard streams, terminals and signals."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import zmq

from tests.mesh.processes import Command, environment, until, zsms
from zsms.cli import common, main, outputs, streams
from zsms.cli.outputs import Outputs
from zsms.errors import UsageError, ZsmsError
from zsms.journal.lock import boot_id
from zsms.launch.processes import Processes
from zsms.report.machine import machine
from zsms.report.making import Course, make_report
from zsms.report.report import Report
from zsms.wire.sockets import Sockets

ZSMS = f"{sys.executable} -m zsms"
RUN = "run --messages 40 --mean 0.01 --sd 0 --senders 1 --concurrency 40"
SMALL = f"{ZSMS} {RUN}"
ENDLESS = ("run", "--messages", 10**8, "--senders", 1, "--concurrency", 50, "--mean", 0.05, "--sd", 0)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path, where the run's own folders are too."""
    with tempfile.TemporaryDirectory(prefix="z") as folder:
        yield Path(folder)


def shell(script: str, place: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        env=environment({"TMPDIR": str(place), **extra}),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def quiet(options: str, place: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """A small run, for which no shell is needed."""
    return zsms(*RUN.split(), "--ui", "none", *options.split(), env={"TMPDIR": str(place), **extra}, cwd=place)


def sent(path: Path) -> int:
    count: int = json.loads(path.read_text())["messages"]["sent"]
    return count


# -- standard streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "streams",
    [
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
        ">/dev/full",
        "--ui plain 2>/dev/full",
        ">/dev/full 2>/dev/full",
        "| true",
        "2>&1 | head -1",
        "--ui plain 2>&1 >/dev/null | true",
        "1</dev/null",
    ],
)
def test_streams_that_are_closed_full_or_broken_change_nothing(place: Path, streams: str) -> None:
    done = shell(f"{SMALL} --json r.json {streams}; echo code ${{PIPESTATUS[0]}}", place)
    assert done.stdout.endswith("code 0\n"), done
    assert sent(place / "r.json") == 40
    assert "Traceback" not in done.stderr and sorted(os.listdir(place)) == ["r.json"]


@pytest.mark.parametrize("command", ["--help", "run --help", "config show run", "--version", "completion bash"])
def test_every_command_bears_a_closed_and_names_a_full_standard_output(place: Path, command: str) -> None:
    closed = shell(f"{ZSMS} {command} >&-", place)
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, "", "")
    full = shell(f"{ZSMS} {command} >/dev/full", place)
    assert full.returncode == 1
    assert full.stderr == "zsms: can't write to standard output: No space left on device\n"


@pytest.mark.parametrize("role", ["broker", "stats"])
@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_roles_run_without_standard_error(place: Path, role: str, streams: str) -> None:
    words = ["bash", "-c", f"exec {ZSMS} {role} --bind ipc://{place}/role -v {streams}"]
    with subprocess.Popen(words, env=environment({"TMPDIR": str(place)}), cwd=place) as process:
        until(lambda: list(place.glob("role*")), "its sockets")
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ('RuntimeError("can\'t start new thread")', "no thread or process more can be started"),
        ("MemoryError()", "no memory is left"),
        ("OSError(12, 'Cannot allocate memory')", "no memory is left"),
        ("BlockingIOError(11, 'Resource temporarily unavailable')", "no thread or process more"),
        ("ImportError('libopenblas.so: failed to map segment from shared object')", "no memory is left"),
        ("OSError(24, 'Too many open files')", "no file descriptors are left"),
    ],
)
def test_what_a_machine_has_no_more_of_is_a_line(place: Path, error: str, told: str) -> None:
    program = f"import zsms.cli as c\ndef fail(**_):\n    raise {error}\nc.cli.main = fail\nc.main()\n"
    (place / "program.py").write_text(program)
    done = shell(f"{sys.executable} program.py", place)
    assert done.returncode == 1 and done.stderr.startswith(f"zsms: {told}") and done.stderr.count("\n") == 1


def test_without_threads_libzmq_is_not_given_the_chance_to_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sockets = Sockets()
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ZsmsError, match="no thread or process more can be started"):
        sockets.make(zmq.DEALER)
    sockets.close_all()


def test_a_run_bears_that_its_children_are_not_to_be_waited_for(place: Path) -> None:
    done = shell(f"trap '' CHLD; {SMALL} --json r.json", place)
    assert done.returncode == 0 and sent(place / "r.json") == 40, done.stderr


class Stops:
    stops = 0

    def stop(self) -> None:
        self.stops += 1


@pytest.mark.parametrize(
    ("numbers", "stops"),
    [
        ([signal.SIGUSR1], 1), ([signal.SIGUSR2, signal.SIGUSR1], 2), ([signal.SIGXCPU] * 3, 1), ([signal.SIGQUIT], 2),
        ([signal.SIGHUP] * 2, 1), ([signal.SIGTERM] * 2, 2),
    ],
)  # fmt: skip
def test_what_batch_systems_send_asks_for_an_end(numbers: list[signal.Signals], stops: int) -> None:
    before = {number: signal.getsignal(number) for number in common.STOPPING}
    what = Stops()
    try:
        came = common.stop_on_signals(what)
        for number in numbers:
            signal.raise_signal(number)
        assert (what.stops, came) == (stops, numbers)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("options", ["--json r.json", "--journal j", "--transport mod:send"])
def test_a_current_folder_that_is_gone_is_named(place: Path, options: str) -> None:
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; {SMALL} {options}", place)
    assert (done.returncode, done.stderr) == (
        1,
        "zsms: the folder that this was started in is gone: change to another\n",
    )


@pytest.mark.parametrize("prefix", ["", "/", "reports/"])
def test_a_prefix_that_names_no_file_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="what the names of its files begin with"):
        Outputs(csv=prefix)


def test_a_log_of_messages_that_lacks_rows_is_a_problem_of_the_run(place: Path) -> None:
    done = quiet("--log-messages /dev/full --json r.json", place)
    (problem,) = json.loads((place / "r.json").read_text())["problems"]
    assert problem == "sender-1: the log of messages /dev/full lacks 40 rows" and sent(place / "r.json") == 40
    assert done.returncode == 1
    assert "problem     sender-1: the log of messages /dev/full lacks" in done.stdout


def test_a_file_that_is_opened_does_not_take_the_place_of_a_closed_stream(place: Path) -> None:
    """Else the first line that is written to standard error goes into the journal."""
    program = (
        "import os\nfrom zsms.cli import streams\nstreams.set_up()\n"
        "fd = os.open('x', os.O_CREAT | os.O_RDWR)\nimport sys\nprint('err', file=sys.stderr)\nprint('out')\n"
        "sys.exit(fd)"
    )
    (place / "program.py").write_text(program)
    done = shell(f"{sys.executable} program.py <&- >&- 2>&-", place)
    assert done.returncode >= 3 and (place / "x").read_bytes() == b""


def test_a_function_that_took_standard_output_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert streams.take_error() is None


def test_a_function_that_took_sys_exit_away_changes_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.exit", None)
    monkeypatch.setattr(streams, "set_up", lambda: None)
    monkeypatch.setattr("sys.argv", ["zsms", "config", "check", "/no/such/file"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2


def test_a_stream_that_a_function_closes_stays_open_for_others(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        raw = streams.Lasting(file.fileno(), gives_up=False)
        stream = streams.Stream(io.BufferedWriter(raw), write_through=True)  # type: ignore[arg-type]
        stream.close()
        stream.write("still\n")
        stream.flush()
    assert (tmp_path / "x").read_text() == "still\n"


@pytest.mark.parametrize("gives_up", [True, False])
def test_what_has_arrived_has_no_holes(tmp_path: Path, gives_up: bool) -> None:
    """Standard output stays silent after an error; standard error goes on when there is room again."""
    fd = os.open("/dev/full", os.O_WRONLY)
    stream = streams.Lasting(fd, gives_up=gives_up)
    assert stream.write(b"one") == 3 and stream.error is not None
    room = os.open(tmp_path / "room", os.O_WRONLY | os.O_CREAT)
    os.dup2(room, fd)
    assert stream.write(b"two") == 3
    assert (tmp_path / "room").read_bytes() == (b"" if gives_up else b"two")
    os.close(room)
    os.close(fd)


# -- files -----------------------------------------------------------------------------------------------------------


def test_an_older_report_survives_a_kill(place: Path) -> None:
    older = place / "keep.json"
    older.write_text("yesterday")
    with Command(*ENDLESS, "--json", older, "--html", place / "keep.html") as run:
        run.wait_for(r" [1-9]\d* ")
        assert older.read_text() == "yesterday" and not (place / "keep.html").exists()
        run.popen.kill()
        run.popen.wait()
    assert older.read_text() == "yesterday" and sorted(os.listdir(place)) == ["keep.json"]


def test_each_output_that_fails_is_a_line_and_the_others_are_written(place: Path) -> None:
    done = quiet("--json /dev/full --html r.html --csv r", place)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "can't write the report to /dev/full: No space left on device; it is in " in line
    kept = Path(line.rpartition(" ")[2])
    assert sent(kept) == 40 and kept.parent == place and "40 produced, 40 sent" in done.stdout
    written = {"r.html", "r-summary.csv", "r-history.csv", "r-senders.csv", kept.name}
    assert set(os.listdir(place)) == written and all((place / name).stat().st_size for name in written)


def test_a_folder_that_vanished_is_an_error_and_the_report_is_kept(place: Path) -> None:
    folder = place / "out"
    folder.mkdir()
    started = f"{SMALL} --mean 3 --ui plain --json out/r.json 2>err &"
    done = shell(f"{started} while ! [ -s err ]; do sleep 0.01; done; rmdir out; wait %1", place)
    (line,) = [line for line in (place / "err").read_text().splitlines() if "ERROR" in line]
    assert done.returncode == 1 and "out/r.json: No such file or directory; it is in" in line
    assert sent(Path(line.rpartition(" ")[2])) == 40


def report_of(config: dict[str, Any]) -> Report:
    return make_report({}, Course(config=config, elapsed_s=1.0, completed=True))


def test_without_any_room_the_report_is_printed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("zsms.saving.save_elsewhere", lambda *_: None)
    output = outputs.Outputs(json="/dev/full", html=None, csv=None)
    assert not output.write(report_of({}))
    assert json.loads(capsysbinary.readouterr().out)["schema"].startswith("zsms-report")


def test_one_form_that_can_not_be_made_costs_no_other(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(report: Any) -> str:
        raise KeyError("x")

    monkeypatch.setattr("zsms.dashboard.report_page.render", broken)
    output = outputs.Outputs(json=str(place / "r.json"), html=str(place / "r.html"), csv=None)
    assert not output.write(report_of({}))
    assert sorted(os.listdir(place)) == ["r.json"]


@pytest.mark.parametrize("paths", [("x", "x"), ("./x", "x"), ("-", "-"), ("/dev/stdout", "-"), ("link", "x")])
def test_two_forms_in_one_file_are_refused(
    tmp_path: Path, paths: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("x")
    with pytest.raises(UsageError, match="both the json and the html"):
        outputs.Outputs(json=paths[0], html=paths[1], csv=None)
    outputs.Outputs(json=os.devnull, html=os.devnull, csv=None)


def test_standard_output_by_another_name(place: Path) -> None:
    done = shell(f"{SMALL} --ui none --json /dev/stdout > r.json", place)
    assert done.returncode == 0 and sent(place / "r.json") == 40 and "40 sent" in done.stderr


def test_every_message_has_a_row_in_the_log_of_messages(place: Path) -> None:
    retries = "--failure-rate 0.3 --max-attempts 3 --retry-base 0.05 --brokers 2 --senders 2"
    done = quiet(f"--messages 3000 --json r.json --log-messages m.csv {retries}", place)
    assert done.returncode == 0, done
    messages = json.loads((place / "r.json").read_text())["messages"]
    lines = (place / "m.csv").read_text().splitlines()
    assert len(lines) == 3_001 and lines[0].startswith("time,recipient,attempts,")
    cells = [line.split(",") for line in lines[1:]]
    assert sum(cell[4] == "sent" for cell in cells) == messages["sent"]
    assert {cell[2] for cell in cells if cell[4] == "failed"} == {"3"} and {cell[8] for cell in cells} == {
        "sender-1",
        "sender-2",
    }
    again = quiet("--log-messages m.csv", place)
    assert again.returncode == 0 and (place / "m.csv").read_text().splitlines()[:3_001] == lines
    full = quiet("--log-messages /dev/full", place)
    assert full.returncode == 1 and "40 sent" in full.stdout and full.stderr.count("No space left") == 1
    assert quiet("--log-messages /no/such/folder", place).returncode == 2


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_path_that_is_not_utf_8_costs_nothing(place: Path) -> None:
    (place / "people.csv").write_text("recipient,text\n+13705550100,Water is off\n")
    script = (
        "mv people.csv $'andr\\xe9.csv'; mkdir $'\\xe9'; "
        f"{SMALL} --ui none --input $'andr\\xe9.csv' --json $'\\xe9/r.json' --html r.html --csv r; echo code $?"
    )
    done = shell(script, place)
    assert "code 0" in done.stdout, done
    report = (Path(os.fsdecode(os.fsencode(str(place)) + b"/\xe9")) / "r.json").read_text()
    assert json.loads(report)["config"]["input"] == "andr\\xe9.csv"
    for name in ("r.html", "r-summary.csv", "r-history.csv", "r-senders.csv"):
        assert (place / name).read_text(encoding="utf-8")
    shown = shell(f"{ZSMS} compare $'\\xe9/r.json' $'\\xe9/r.json'; {ZSMS} compare $'\\xff' x", place)
    assert ("Traceback" not in shown.stderr and "\\udcff" in shown.stderr) or "\\xff" in shown.stderr
    logged = shell(f"{SMALL} --input $'\\xe9.csv' --log-format json", place)
    assert logged.returncode == 2
    for line in logged.stderr.splitlines():
        json.loads(line)["message"].encode()


# -- terminals and signals -------------------------------------------------------------------------------------------


def test_a_hangup_is_a_request_to_stop_and_leaves_nothing(place: Path) -> None:
    with Command(*ENDLESS, "--secure", "--rate", 500, "--json", place / "r.json") as run:
        run.wait_for(r" [1-9]\d* ")
        (folder,) = [path for path in run.folder.iterdir() if path.name.startswith("zsms-")]
        assert (folder / "keys").is_dir()
        for _ in range(3):  # a shell and the kernel both send it
            run.popen.send_signal(signal.SIGHUP)
        assert run.end() == 130
        assert not folder.exists()
    report = json.loads((place / "r.json").read_text())
    assert report["interrupted"] and report["balanced"] and report["messages"]["unsettled"] == 0


def test_under_nohup_a_hangup_is_nothing(place: Path) -> None:
    with Command(*ENDLESS, prefix=("nohup",)) as run:
        run.wait_for(r" [1-9]\d* ")
        run.popen.send_signal(signal.SIGHUP)
        lines = run.err.count("\n")
        until(lambda: run.err.count("\n") > lines + 1, "more figures")
        assert "stopping:" not in run.err
        run.popen.send_signal(signal.SIGINT)
        run.wait_for("stopping:")
        run.popen.send_signal(signal.SIGINT)
        assert run.end() == 130


def test_a_broker_drains_at_a_hangup() -> None:
    with Command("broker", "--bind", "127.0.0.1:0") as broker:
        broker.wait_for("listening on")
        broker.popen.send_signal(signal.SIGHUP)
        assert broker.end() == 0


@pytest.mark.parametrize("ui", ["live", "plain"])
def test_a_terminal_that_goes_away_does_not_end_a_run(place: Path, ui: str) -> None:
    ours, theirs = pty.openpty()
    path = place / "r.json"
    run = subprocess.Popen(
        [*ZSMS.split(), *map(str, ENDLESS), "--messages", "60", "--mean", "0.6", "--ui", ui, "--json", str(path)],
        env=environment({"TERM": "xterm", "TMPDIR": str(place)}),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=ui == "plain",
        preexec_fn=None if ui == "plain" else lambda: (os.setsid(), __import__("fcntl").ioctl(0, 0x540E, 0), None)[2],
    )  # fmt: skip
    os.close(theirs)
    try:
        until(lambda: psutil.Process(run.pid).children() or run.poll() is not None, "its processes")
        os.read(ours, 10)
        os.close(ours)
        assert run.wait(60) in (0, 130)  # its controlling terminal's end is a SIGHUP
        told = json.loads(path.read_text())
        assert told["balanced"] and told["messages"]["sent"] == told["messages"]["produced"]
    finally:
        run.kill()
        run.wait()


def test_a_killed_run_leaves_no_process_and_the_next_one_sweeps(place: Path) -> None:
    run = subprocess.Popen(
        [*ZSMS.split(), *map(str, ENDLESS), "--secure", "--ui", "none"], env=environment({"TMPDIR": str(place)})
    )
    try:
        children = until(lambda: len(found := psutil.Process(run.pid).children()) == 4 and found, "its processes")
        (left,) = place.glob("zsms-*")
        until((left / "stats.2").exists, "its collector")
    finally:
        run.kill()
        run.wait()
    assert not psutil.wait_procs(children, timeout=25)[1]
    assert left.exists()
    assert shell(f"{SMALL} --ui none", place).returncode == 0
    assert not left.exists() and not os.listdir(place)


# -- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [75, 76, 200])
def test_temporary_folders_of_every_length_work(place: Path, length: int) -> None:
    wanted = place / ("x" * (length - len(str(place)) - 1))
    wanted.mkdir()
    done = quiet("--brokers 2 -q", place, TMPDIR=str(wanted))
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert ("TMPDIR" in done.stderr) == (length > 75) and not os.listdir(wanted)


def test_a_temporary_folder_that_is_not_there_is_named(place: Path) -> None:
    done = quiet("", place, TMPDIR=str(place / "gone"))
    assert done.returncode == 0 and done.stderr.count("TMPDIR") == 1


def test_ctrl_c_while_the_command_line_is_imported_is_no_traceback(place: Path) -> None:
    (place / "program.py").write_text(
        "import os, runpy, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'zsms.cli':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "sys.argv[:] = ['zsms', '--version']\n"
        "runpy.run_module('zsms', run_name='__main__')\n"
    )
    done = shell(f"{sys.executable} program.py", place)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_after_the_last_word_does_not_change_the_exit_code(place: Path, name: str) -> None:
    program = (
        "import atexit, os, signal\nimport zsms.cli as c\nfrom zsms.cli.common import interrupt_on_signals\n"
        f"atexit.register(os.kill, os.getpid(), signal.{name})\n"
        "def done(**_):\n    interrupt_on_signals()\n    return 3\nc.cli.main = done\nc.main()\n"
    )
    (place / "program.py").write_text(program)
    done = shell(f"{sys.executable} program.py", place)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_run_is_reported_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(psutil, "Process", missing)
    monkeypatch.setattr(psutil, "virtual_memory", missing)
    (row,) = Processes(cast(Any, None), lambda text, level: None).rows({})
    assert row.role == "run" and row.rss_max_bytes > 1_000_000 and row.cpu_s > 0
    assert machine.__wrapped__()["memory_bytes"] > 1_000_000


def test_two_starts_of_a_machine_that_nobody_can_name_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(psutil, "boot_time", missing)
    assert boot_id() != boot_id()
