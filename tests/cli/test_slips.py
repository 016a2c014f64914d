"""Slips of the hand: units, separators, misspelt variables, one file for two things. All are told before the start."""

from __future__ import annotations

import codecs
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from zsms.cli import cli
from zsms.cli.environment import strange
from zsms.cli.slips import meant
from zsms.core.broker import BrokerLimits
from zsms.core.producer.pace import check_pushing
from zsms.core.sender.cap import Cap
from zsms.errors import UsageError
from zsms.reading import json_of, text_of, toml_of
from zsms.scenario import MeshConfig, SenderGroup
from zsms.sources.random import check_total


def told(*arguments: object, env: dict[str, str] | None = None) -> str:
    """What `zsms` has to say about arguments that it refuses, as people see it."""
    from zsms.cli import show_error

    done = CliRunner().invoke(cli, [f"{a}" for a in arguments], prog_name="zsms", standalone_mode=False, env=env or {})
    error: Any = done.exception
    if isinstance(error, UsageError):
        return f"{error}"
    with patch("sys.argv", ["zsms", *map(str, arguments)]), CliRunner().isolation() as (_, err, _):
        show_error(error)
        return err.getvalue().decode()


@pytest.mark.parametrize(
    ("text", "whole", "seconds", "instead"),
    [
        ("1s", False, True, "1"),
        ("1000 ms", False, True, "1"),
        ("1,5", False, True, "1.5"),
        ("10m", False, True, "600"),
        ("1h", False, True, "3600"),
        ("5%", False, False, "0.05"),
        ("60/min", False, False, "1"),
        ("1e6", True, False, "1000000"),
        ("100k", True, False, "100000"),
        ("10M", True, False, "10000000"),
        ("1.000.000", True, False, "1000000"),
        ("1,000,000", True, False, "1000000"),
        ("1 000 000", True, False, "1000000"),
        ("1'000", True, False, "1000"),
        ("256MiB", True, False, "268435456"),
        ("2.5", True, False, ""),
        ("1,000", False, False, ""),
        ("1.5.2", False, False, ""),
        ("1e400", True, False, ""),
        ("many", True, False, ""),
        ("", False, True, ""),
        ("5 apples", False, True, ""),
    ],
)
def test_a_number_with_a_unit_or_separators_is_read_for_the_hint_only(
    text: str, whole: bool, seconds: bool, instead: str
) -> None:
    assert meant(text, whole=whole, seconds=seconds) == instead


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run --mean 500ms", ["'--mean'", "500ms", "seconds, such as 0.5", "Mean time of a send"]),
        ("run --lease 1h", ["'1h'", "3600"]),
        ("run --messages 100k", ["'100k'", "a whole number, such as 100000"]),
        ("run --rate often", ["'often'", "give a number, without a unit"]),
        ("run -messages 5", ["'-m'; did you mean '--messages'?"]),
        ("run --mesages 5", ["No such option '--mesages'; did you mean '--messages'?"]),
        ("run --slots 5", ["did you mean '--concurrency'?"]),
        ("run --threads 5", ["did you mean '--concurrency'?"]),
        ("plan --tps 5", ["did you mean '--cap'?"]),
        ("RUN", ["did you mean 'run'?"]),
        ("run \u2014messages 5", ["'\u2014messages' begins with another dash", "type --"]),
        ("run \u2013-messages 5", ["begins with another dash"]),
        ("run --messages", ["zsms run: Option '--messages' requires an argument"]),
        ("run --input a.csv --input=b.csv", ["--input is given twice"]),
        ("run --csv - --dry-run", ["--csv '-': give what the names of its files begin with"]),
        ("run --input https://example.org/a.csv", ["that is an address: fetch it first"]),
        ("run --failure-rate ,05", ["such as 0.05"]),
        ("compare a b --fail-if-worse 5%", ["'5%' is no number: give a number, such as 5 ("]),
        ("run --journal d --json d/journal.sqlite", ["d/journal.sqlite is the file that --journal writes to"]),
        ("run --html d/../d/run.json --journal d", ["is the file that --html writes to"]),
        ("run --resume d --log-messages d/lock", ["d/lock is the file that --resume writes to"]),
        ("run --resume d --journal d", ["--journal beside --resume"]),
        ("help", ["No such command 'help'; did you mean '--help'?"]),
        ("compare a.json", ["Missing argument 'NEW'"]),
    ],
)
def test_a_number_that_is_none_gets_what_to_write_instead(arguments: str, words: list[str]) -> None:
    line = told(*arguments.split())
    assert line.strip().count("\n") == 0 and all(word in line for word in words), line


def test_a_value_of_the_file_in_quotes_gets_it_too(tmp_path: Path) -> None:
    for text, words in (
        ('mean = "1.5s"', "seconds, such as 1.5"),
        ('messages = "1 000"', "a whole number, such as 1000"),
    ):
        (tmp_path / "a.toml").write_text(f"[run]\n{text}\n")
        assert words in told("run", "--config", tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("messages = 5\n", ["messages is set outside of any table: write it under [run]"]),
        ("[plan]\nmessages = 5\n", ["unknown table [plan]; did you mean 'run'?"]),
        ("[run]\nmax-attempts = 2\nmax_attempts = 3\n", ["max_attempts is given twice"]),
        ('[run]\ndelay = "gama"\n', ["'--delay' (set in ", "a.toml): 'gama' is not one of"]),
    ],
)
def test_a_slip_in_a_file_is_told_with_its_place(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "a.toml").write_text(text)
    for command in (("run", "--config"), ("plan",)):
        line = told(*command, tmp_path / "a.toml")
        assert all(word in line for word in words), line


def test_tags_of_the_environment_may_have_blanks_in_their_texts() -> None:
    assert told("run", "--dry-run", env={"ZSMS_RUN_TAG": " a=Big Run  b=c d a=e "}) == "--tag a is given twice"


@pytest.mark.parametrize("value", [-1.0, 0.0, 1e9, 1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["lease", "max_lease", "liveness", "retry_base", "retry_cap"])
def test_no_time_is_longer_than_peers_believe(name: str, value: float) -> None:
    if name.startswith("retry") and value == 0.0:
        value = -1e-9
    with pytest.raises(UsageError, match=r"31622400|at least 0\.25"):
        BrokerLimits(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "check",
    [
        lambda: BrokerLimits(max_attempts=10**30),
        lambda: BrokerLimits(max_bytes=10**30),
        lambda: check_pushing(1e-300, None, None),
        lambda: check_pushing(1e300, None, None),
        lambda: check_total(10**26),
        lambda: Cap(1e-300),
        lambda: Cap(1.0, 1e300),
    ],
)
def test_what_no_figure_can_tell_is_refused_with_its_range(check: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=r"1,000,000|4,294,967,295|9,007"):
        check()


def test_what_means_nothing_without_another_setting_is_told() -> None:
    group = SenderGroup(burst=5.0, mean=1000.0)
    said = MeshConfig(arrivals="poisson", unique=True, skip_bad_rows=True, groups=(group,)).warnings()
    for words in ("skip bad rows is about", "unique is about", "give --rate", "give --cap", "1000 s on average"):
        assert any(words in line for line in said), words
    assert MeshConfig(arrivals="poisson", rate=5.0).warnings() == [] == MeshConfig().warnings()


@pytest.mark.parametrize("timeout", ["inf", "nan", "-1", "1e300"])
def test_a_time_to_wait_that_can_not_be_is_refused(timeout: str) -> None:
    for command in ("queue show", "health stats 127.0.0.1:1", "producer --messages 0", "monitor --once"):
        assert "give seconds from 0" in told(*command.split(), "--timeout", timeout), command


# -- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "variable", "words"),
    [
        ("run", "zsms_run_messages", "did you mean 'ZSMS_RUN_MESSAGES'?"),
        ("run", "ZSMS_RUN_LOG-FORMAT", "did you mean 'ZSMS_RUN_LOG_FORMAT'?"),
        ("run", "ZSMS_JOURNAL", "did you mean 'ZSMS_RUN_JOURNAL'?"),
        ("run", "ZSMS_LOG_LEVEL", "is no setting"),
        ("producer", "ZSMS_RUN_MESSAGES", "is for `zsms run`; `zsms producer` reads ZSMS_PRODUCER_MESSAGES"),
        ("plan", "ZSMS_RUN_SENDERS", "is for `zsms run`; `zsms plan` reads ZSMS_PLAN_SENDERS"),
        ("producer", "ZSMS_RUN_MESAGES", "did you mean 'ZSMS_RUN_MESSAGES'?"),
    ],
)
def test_a_variable_that_sets_nothing_here_is_told(command: str, variable: str, words: str) -> None:
    (line,) = strange(command, {variable: "5"})
    assert line.startswith(variable) and line.endswith(words)


def test_variables_of_other_containers_are_not() -> None:
    others = {"ZSMS_BROKER_JOURNAL": "j", "ZSMS_PRODUCER_MESAGES": "5", "ZSMS_RUN_MESSAGES": "5"}
    assert list(strange("sender", others)) == []


# -- files -----------------------------------------------------------------------------------------------------------


def test_what_one_option_writes_is_no_other_option_s_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    people, settings = Path("people.csv"), Path("a.toml")
    people.write_text("recipient,text\n+13705550100,a\n")
    settings.write_text("[run]\nmessages = 1\n")
    os.link(people, "hard.csv")
    Path("link.csv").symlink_to(people)
    for arguments in (
        "run --input people.csv --json people.csv",
        "run --html link.csv --input people.csv",
        "run --input people.csv --log-messages hard.csv",
        "run --config a.toml --junit ./a.toml",
        "run --json new.json --log-messages ./new.json",
        "run --csv x --json x-history.csv",
        "plan a.toml --html a.toml",
        "compare a.toml people.csv --html link.csv",
    ):
        line = told(*arguments.split())
        assert "is the file that" in line and "give another one" in line, arguments
    line = told("run", "--input", people, env={"ZSMS_RUN_JSON": "people.csv"})
    assert "set by ZSMS_RUN_JSON" in line
    assert people.read_text().startswith("recipient")
    well = CliRunner().invoke(cli, ["run", "--dry-run", "--json", os.devnull, "--html", os.devnull])
    assert well.exit_code == 0


@pytest.mark.parametrize(
    ("journal", "words"),
    [
        ("", "is a variable not set?"),
        ("s3://bucket", "give a folder"),
        ("file", "is no folder"),
        ("file/x", "is no folder"),
    ],
)
def test_a_journal_that_can_not_be_is_told_by_a_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert words in told("run", "--dry-run", "--journal", journal)


TEXT = "a = 'é'\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.replace("\n", "\r\n").encode(),
    ],
)
def test_a_file_of_settings_may_come_from_any_editor(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert toml_of(str(path)) == {"a": "é"}


@pytest.mark.parametrize(
    ("read", "data", "words"),
    [
        (toml_of, "a = é".encode("latin-1"), "not UTF-8 in line 1"),
        (toml_of, TEXT.encode("utf-16-le"), "zero bytes"),
        (toml_of, codecs.BOM_UTF16_LE + b"\x00\xd8\n", "begins as UTF-16"),
        (toml_of, b"a = " + b"[" * 5_000, "brackets are too deep"),
        (toml_of, b"#" * 2**22 + b"##", "too large"),
        (toml_of, b"a = b", "not TOML: .*line 1"),
        (toml_of, b"[run]\nmean = 0,5\n", r"\(at line 2, column 9\): mean = 0,5\Z"),
        (toml_of, b"[run]\na = \x1b[1m\n", r"at line 2, column [0-9]+\): a = \\x1b\[1m\Z"),
        (toml_of, b"password = hunter2\n", r"\(at line 1, column [0-9]+\)\Z"),
        (json_of, b"[" * 100_000, "too deep|not JSON"),
        (json_of, b"9" * 5_000, "not JSON"),
        (json_of, gzip.compress(b"{}", mtime=0), r"is compressed \(gzip\): unpack it first"),
    ],
)
def test_a_file_that_can_not_be_read_is_named(
    tmp_path: Path, read: Callable[[str], object], data: bytes, words: str
) -> None:
    path = tmp_path / "named"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=f"named .*({words})"):
        read(str(path))


def test_a_file_without_end_is_no_file_of_settings() -> None:
    with pytest.raises(UsageError, match="/dev/zero is too large"):
        text_of("/dev/zero", most=1_000)
