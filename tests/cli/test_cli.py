"""The command line: help, where settings come from, and what a mistake gets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.processes import ROOT, environment, free_port, report_of, zsms
from zsms import __version__
from zsms.cli import COMMANDS, load_command, main
from zsms.cli.environment import strange

SMALL = ("--mean", 0.01, "--sd", 0)


# -- help ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_examples_that_are_no_mistakes(command: str) -> None:
    words = command.split()
    done = zsms(*words, "--help")
    assert done.returncode == 0 and done.stderr == ""
    _, _, examples = done.stdout.partition("Examples:")
    lines = [line.strip() for line in examples.splitlines() if line.strip().startswith("zsms")]
    assert lines
    for line in lines:
        assert line.startswith(" ".join(["zsms", *words])), line
    assert zsms(*words, "-h").stdout == done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_the_examples_exist(command: str) -> None:
    text = zsms(command, "--help").stdout
    options, _, examples = text.partition("Examples:")
    # The examples of a group are of its subcommands, and `config show` takes the options of the command it shows.
    options += "".join(zsms(command, each, "--help").stdout for each in getattr(load_command(command), "commands", ()))
    options += zsms("run", "--help").stdout if command in ("config", "sweep") else ""
    for word in examples.replace("|", "\n|").split():
        if word.startswith("--"):
            assert word in options, f"`zsms {command}` has no {word}"


def test_help_shows_defaults() -> None:
    text = " ".join(zsms("run", "--help").stdout.split())
    assert "[default: 100000, or all of --input]" in text and "[default: 5000]" in text


def test_help_waits_for_neither_numpy_nor_zmq() -> None:
    program = (
        "import sys, zsms.cli\n"
        "sys.argv = ['zsms', '--help']\n"
        "try:\n    zsms.cli.main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True
    )
    modules = set(done.stderr.split())
    assert "zsms.cli" in modules and "click" in modules
    assert not modules & {"numpy", "zmq", "msgpack", "psutil", "rich", "asyncio"}


def test_version() -> None:
    done = zsms("--version")
    assert done.returncode == 0 and __version__ in done.stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "zsms", "run", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        check=False,
    )
    os.close(write)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


# -- where settings come from ----------------------------------------------------------------------------------


def test_the_command_line_goes_before_the_environment_before_the_file_before_the_default(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[run]\nmessages = 30\nsenders = 3\nconcurrency = 30\nmean = 0.01\n# producers is left out\n")
    env = {"ZSMS_RUN_MESSAGES": "20", "ZSMS_RUN_SENDERS": "2"}
    config = report_of("--config", file, "--messages", 10, env=env)["config"]
    assert config["messages"] == 10
    (group,) = config["groups"]
    assert group["senders"] == 2
    assert group["concurrency"] == 30
    assert config["producers"] == 1


def test_every_kind_of_option_can_come_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    env = {
        "ZSMS_RUN_MESSAGES": "50",
        "ZSMS_RUN_MEAN": "0.01",
        "ZSMS_RUN_DELAY": "constant",
        "ZSMS_RUN_MAX_ATTEMPTS": "2",
        "ZSMS_RUN_PREFIX": "+1370 +1371",
        "ZSMS_RUN_QUIET": "1",
        "ZSMS_RUN_JSON": str(path),
    }
    done = zsms("run", env=env)
    assert done.returncode == 0
    assert done.stderr == ""
    config = json.loads(path.read_text())["config"]
    assert config["messages"] == 50
    assert config["groups"][0]["delay"] == "constant"
    assert config["limits"]["max_attempts"] == 2
    assert config["prefixes"] == ["+1370", "+1371"]


def test_every_kind_of_option_can_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[run]\nmessages = 50\nmean = 0.01\ndelay = "constant"\nmax-attempts = 2\nretry_base = 1\n'
        f'prefix = ["+1370", "+1371"]\nquiet = true\njson = "{path}"\n'
    )
    done = zsms("run", env={"ZSMS_RUN_CONFIG": str(file)})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    config = json.loads(path.read_text())["config"]
    assert config["groups"][0]["delay"] == "constant"
    assert config["limits"]["max_attempts"] == 2 and config["limits"]["retry_base"] == 1
    assert config["prefixes"] == ["+1370", "+1371"]


def test_several_brokers_can_come_from_anywhere_and_one_needs_no_brackets(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[sender]\nbroker = ["one", "two"]\n[producer]\nbroker = "one"\n')
    shown = zsms("config", "show", "--json", "sender", "--config", file)
    assert json.loads(shown.stdout)["sender"]["--broker"]["value"] == ["one", "two"], shown.stderr
    shown = zsms("config", "show", "--json", "producer", "--config", file)
    assert json.loads(shown.stdout)["producer"]["--broker"]["value"] == ["one"], shown.stderr
    shown = zsms("config", "show", "--json", "sender", env={"ZSMS_SENDER_BROKER": "three four"})
    assert json.loads(shown.stdout)["sender"]["--broker"]["value"] == ["three", "four"]
    refused = zsms("sender", "--broker", "one", "--broker", "one:5555")
    assert refused.returncode == 2 and "tcp://one:5555 is named twice" in refused.stderr


def test_groups_of_senders_differ(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        "[run]\nmessages = 2000\nconcurrency = 50\nsd = 0\n"
        '[[run.groups]]\nname = "good"\nsenders = 2\nmean = 0.05\n'
        '[[run.groups]]\nname = "bad"\nsenders = 1\nmean = 0.5\nfailure_rate = 1.0\nconcurrency = 20\n'
    )
    report = report_of("--config", file)
    senders = {sender["name"]: sender for sender in report["senders"]}
    assert set(senders) == {"good-1", "good-2", "bad-1"}
    for name in ("good-1", "good-2"):
        assert senders[name]["slots"] == 50 and senders[name]["failed_sends"] == 0 and senders[name]["sends"] > 0
        assert 0.049 <= senders[name]["send_time_s"] < 0.4  # a send ends less than a tick early or late
    assert senders["bad-1"]["slots"] == 20 and senders["bad-1"]["sends"] == senders["bad-1"]["failed_sends"]
    assert senders["bad-1"]["send_time_s"] >= 0.495
    assert report["messages"]["failed"] == senders["bad-1"]["failed_sends"] > 0
    assert report["balanced"] is True


def test_the_example_scenario_runs() -> None:
    for _ in range(3):  # a machine may pause for longer than the groups differ by
        report = report_of("--config", ROOT / "examples/scenarios/three-gateways.toml", "--messages", 4000)
        assert report["balanced"] is True and report["messages"]["produced"] == 4000
        senders = {sender["name"]: sender for sender in report["senders"]}
        assert set(senders) == {"aggregator-1", "aggregator-2", "carrier-1", "modems-1"}
        assert report["sends"]["retried"] > 0
        # The first round takes one message a slot: the rates and means of the groups show in who sent how much.
        times = [senders[name]["send_time_s"] for name in ("aggregator-1", "carrier-1", "modems-1")]
        if times == sorted(times) and senders["modems-1"]["sends"] <= 400:
            return
    raise AssertionError(senders)


# -- mistakes --------------------------------------------------------------------------------------------------


Mistake = Callable[..., str]


@pytest.fixture
def mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Mistake]:
    """Run a mistaken command to its exit 2, and get the one line that it says.

    It runs in this process, because there are many mistakes; test_a_mistake_as_a_user_sees_it has real ones.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for key in [key for key in os.environ if key.startswith("ZSMS_")]:
        monkeypatch.delenv(key)

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["zsms", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert ended.value.code == 2, captured.err
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("zsms")
        return line

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("arguments", ["runn", "run --rate nan", "broker --bind nosuchhost.invalid", "run -x"])
def test_a_mistake_as_a_user_sees_it(arguments: str) -> None:
    done = zsms(*arguments.split())
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("zsms") and arguments.split()[-1] in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("runn", ["runn", "run"]),
        ("frobnicate", ["frobnicate", "producer", "monitor"]),
        ("run --mesages 5", ["--mesages", "--messages"]),
        ("run --messages many", ["--messages", "many"]),
        ("run --messages -1", ["messages", "-1"]),
        ("run --senders 0", ["senders", "0"]),
        ("run --producers 0", ["producers", "0"]),
        ("run --concurrency 0", ["concurrency", "0"]),
        ("run --rate -5", ["rate", "-5"]),
        ("run --rate nan", ["rate", "nan"]),
        ("run --mean -1", ["mean", "-1"]),
        ("run --mean nan", ["mean", "nan"]),
        ("run --sd inf", ["sd", "inf"]),
        ("run --failure-rate 1.5", ["failure rate", "1.5"]),
        ("run --delay sometimes", ["--delay", "sometimes", "weibull"]),
        ("run --prefetch -1", ["prefetch", "-1"]),
        ("run --batch 0", ["batch", "0"]),
        ("run --window 0", ["window", "0"]),
        ("run --seed -1", ["seed", "-1"]),
        ("run --liveness nan", ["liveness", "nan"]),
        ("run --lease 0", ["lease", "0"]),
        ("run --max-messages 0", ["max messages", "0"]),
        ("run --max-attempts 0", ["max attempts", "0"]),
        ("run --retry-base -1", ["retry base", "-1"]),
        ("run --drain-timeout nan", ["drain timeout", "nan"]),
        ("run --min-length 5 --max-length 2", ["5", "2"]),
        ("run --prefix +0x", ["+0x"]),
        ("run --json /no/such/folder/report.json", ["/no/such/folder/report.json", "No such file"]),
        ("run --input people.txt", ["people.txt", "No such file"]),
        ("run --ramp nan", ["ramp", "nan"]),
        ("run --input /no/such/people.csv", ["/no/such/people.csv", "No such file"]),
        ("run --config /no/such/settings.toml", ["/no/such/settings.toml", "No such file"]),
        ("run --transport nowhere", ["nowhere", "MODULE:FUNCTION"]),
        ("run --transport no_such_module:send", ["no_such_module"]),
        ("run --gateway smpp://gw.example.org", ["gw.example.org", "random numbers"]),
        ("run --gateway smpp://gw.example.org --yes-really-send", ["random numbers", "--input"]),
        ("sender --gateway smpp://192.0.2.1", ["192.0.2.1", "--yes-really-send"]),
        ("run --gateway smpp://me:secret@localhost", ["smpp://localhost", "ZSMS_GATEWAY_PASSWORD"]),
        ("run --gateway smpp://localhost?password=secret", ["password_file"]),
        ("run --gateway smpp://localhost?windows=2", ["windows", "receipt_wait_s"]),
        ("run --gateway smpp://localhost?window=two", ["window=two", "number"]),
        ("run --gateway ftp://localhost", ["ftp://", "smpp://HOST:PORT"]),
        ("run --gateway http://gw.example.org#kannel", ["gw.example.org", "random numbers"]),
        ("sender --gateway https://192.0.2.1/send?to=1#json", ["https://192.0.2.1/send is not", "--yes-really-send"]),
        ("run --gateway http://localhost/?password=secret", ["http://localhost/", "ZSMS_GATEWAY_PASSWORD"]),
        ("run --gateway http://localhost#canal", ["#canal", "kannel"]),
        ("run --gateway localhost:2775", ["smpp://HOST:PORT"]),
        ("sender --gateway smpp://localhost --transport json:dumps", ["not both"]),
        ("producer --share 3/3", ["3/3", "I/K"]),
        ("producer --share one", ["one", "I/K"]),
        ("producer --rate -1", ["rate", "-1"]),
        ("producer --input /no/such/people.csv", ["/no/such/people.csv", "No such file"]),
        ("producer --broker 10.0.0.1:port", ["10.0.0.1:port", "port"]),
        ("producer --broker fd00::1", ["[fd00::1]"]),
        ("producer --stats-interval 0", ["stats interval", "0"]),
        ("sender --lease -1", ["lease", "-1"]),
        ("broker --bind nosuchhost.invalid", ["nosuchhost.invalid"]),
        ("broker --bind http://127.0.0.1", ["http://127.0.0.1", "tcp://"]),
        ("broker --bind 203.0.113.7", ["203.0.113.7", "--bind"]),
        ("broker --liveness -1", ["liveness", "-1"]),
        ("monitor --interval 0", ["interval", "0"]),
    ],
)
def test_a_mistake_gets_one_clear_line(mistake: Mistake, arguments: str, told: list[str]) -> None:
    line = mistake(*arguments.split())
    for word in told:
        assert word in line


@pytest.mark.parametrize("role", ["broker", "stats"])
def test_a_port_in_use(mistake: Mistake, role: str) -> None:
    port = free_port()
    with socket.socket() as other:
        # The second of the pair: an address that is half free is not free.
        other.bind(("127.0.0.1", port + 1))
        other.listen()
        line = mistake(role, "--bind", f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in line and "in use" in line and "--bind" in line


def test_a_wrong_run_leaves_an_older_report_alone(mistake: Mistake, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("the last one")
    mistake("run", "--rate", -1, "--json", path)
    assert path.read_text() == "the last one"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[run]\nmesages = 1\n", ["[run]", "'mesages'", "'messages'"]),
        ("[rum]\nmessages = 1\n", ["[rum]", "'run'"]),
        ("[sender]\nconcurency = 1\n", ["[sender]", "'concurency'", "'concurrency'"]),
        ("run = 1\n", ["run", "table"]),
        ("[run]\nmessages = 1.5\n", ["messages", "1.5", "whole number"]),
        ("[run]\nmessages = true\n", ["messages", "true", "whole number"]),
        ('[run]\nmessages = "1"\n', ["messages", '"1"', "whole number"]),
        ("[run]\nmessages = [1]\n", ["messages", "[1]", "whole number"]),
        ("[run]\nmessages = {a = 1}\n", ["messages", "whole number"]),
        ("[run]\nmean = 2024-01-01\n", ["mean", "2024-01-01", "a number"]),
        ("[run]\nquiet = 1\n", ["quiet", "true or false"]),
        ("[run]\nprefix = 1370\n", ["prefix", "a text in quotes"]),
        ('[sender]\nbroker = ["one", 2]\n', ["broker", "a text in quotes"]),
        ("[run]\ndelay = 1\n", ["delay", "text"]),
        ('[run]\ndelay = "never"\n', ["never", "weibull"]),
        ("[run]\nrate = nan\n", ["rate", "nan"]),
        ("[run\n", ["TOML", "line 1"]),
        ("[run.groups]\nmean = 1\n", ["[[run.groups]]"]),
        ("[run]\ngroups = [1]\n", ["[[run.groups]]"]),
        ("[[run.groups]]\nmaen = 1\n", ["[[run.groups]] 1", "'maen'", "'mean'"]),
        ("[[run.groups]]\n[[run.groups]]\nsenders = 1.5\n", ["[[run.groups]] 2", "senders", "whole number"]),
        ('[[run.groups]]\ntick = "x"\n', ["[[run.groups]] 1", "tick", "a time"]),
        ("[[run.groups]]\nmean = -1\n", ["mean", "-1"]),
        ('[[run.groups]]\nname = "a"\n[[run.groups]]\nname = "a"\n', ["same name", "a"]),
    ],
)
def test_a_mistake_in_the_file_is_named(mistake: Mistake, text: str, told: list[str], tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    line = mistake("run", "--config", file)
    for word in told:
        assert word in line
    if "TOML" in told or "[" in told[0]:
        assert str(file) in line


def test_a_value_in_the_environment_that_can_not_be(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSMS_RUN_SENDERS", "two")
    line = mistake("run")
    assert "two" in line and "--senders" in line and "ZSMS_RUN_SENDERS" in line
    assert "ZSMS_RUN_SENDERS" not in mistake("run", "--senders", "three"), "the command line goes before it"
    monkeypatch.setenv("ZSMS_RUN_SENDERS", "0")
    assert "ZSMS_RUN_SENDERS" in mistake("run"), "what only the mesh refuses"
    assert "ZSMS_RUN_SENDERS" not in mistake("run", "--senders", -1)


def test_a_threshold_in_the_environment_means_what_it_means_elsewhere() -> None:
    def shown(text: str) -> Any:
        done = zsms("config", "show", "--json", "run", env={"ZSMS_RUN_THRESHOLD": text})
        return json.loads(done.stdout)["run"]["--threshold"]["value"]

    assert shown("send_time_s.p99 < 1.5") == ["send_time_s.p99 < 1.5"]
    assert shown("send_time_s.p99<1.5 balanced == true") == ["send_time_s.p99<1.5", "balanced == true"]
    done = zsms("run", env={"ZSMS_RUN_THRESHOLD": "send_time_s.p99"})
    assert done.returncode == 2 and "ZSMS_RUN_THRESHOLD" in done.stderr


def test_variables_that_set_nothing_are_told_with_the_nearest_one() -> None:
    environment = {
        "ZSMS_RUN_MESAGES": "5",
        "ZSMS_MESSAGES": "5",
        "ZSMS_RUN_SEED": "1",
        "ZSMS_SENDER_NONSENSE": "not of this command",
        "ZSMS_BROKER_PORT_5555_TCP_ADDR": "10.0.0.1",
        "ZSMS_RUN_SERVICE_HOST": "10.0.0.1",
        "ZSMS_DASHBOARD_TOKEN": "x" * 16,
    }
    assert list(strange("run", environment)) == [
        "ZSMS_MESSAGES in the environment is no setting; did you mean 'ZSMS_RUN_MESSAGES'?",
        "ZSMS_RUN_MESAGES in the environment is no setting; did you mean 'ZSMS_RUN_MESSAGES'?",
    ]
    done = zsms("run", "--messages", -1, env={"ZSMS_RUN_MESAGES": "5"})
    assert done.stderr.splitlines()[0].startswith("zsms: ZSMS_RUN_MESAGES in the environment is no setting")
