"""Options of `zsms run` and `zsms compare` that say what a run is, check it, and hand its verdict on."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from tests.cli.test_help import all_commands
from tests.cli.test_outputs import SMALL, shell
from tests.mesh.processes import ROOT, zsms
from zsms import extras
from zsms.cli import EXIT_CODES, INTERRUPTED, UNREAD, cli, load_command, outputs
from zsms.cli.dry_run import lines
from zsms.dashboard import compare_page, report_page
from zsms.errors import UsageError, ZsmsError
from zsms.launch.mesh import Mesh
from zsms.report.comparison import compare
from zsms.report.making import Course, make_report
from zsms.report.report import THRESHOLD_FAILED, Report
from zsms.report.summary import WIDTH, summary_lines, wrapped
from zsms.report.thresholds import Verdict
from zsms.report.verdicts import annotation, junit, workflow_commands
from zsms.scenario import MeshConfig

CONFIG = MeshConfig().to_json()


def blank(**fields: Any) -> Report:
    report = make_report({}, Course(config=CONFIG, elapsed_s=1.25, started="2026-01-02T03:04:05+00:00", completed=True))
    for name, value in fields.items():
        setattr(report, name, value)
    return report


# -- a title, tags, and lines that fit -------------------------------------------------------------------------------

HOSTILE = "</script><img src=x onerror=alert(1)> & ]]> ::error::x %0A"


def test_title_and_tags_are_in_report_summary_and_page() -> None:
    report = blank(title=HOSTILE, tags={"commit": "ab1", HOSTILE: HOSTILE})
    body = report.to_json()
    assert body["title"] == HOSTILE and body["tags"][HOSTILE] == HOSTILE
    text = "\n".join(summary_lines(report))
    assert text.startswith("title       </script>") and "commit=ab1" in text
    page = report_page.render(body)
    assert "<img" not in page and page.count("</script>") == 3 and "commit=ab1" in page


@pytest.mark.parametrize(
    ("title", "tags"),
    [
        ("x" * 201, ()),
        ("two\nlines", ()),
        ("\x1b[2J", ()),
        ("", (("a", "1"), ("a", "2"))),
        ("", (("a", "\x07"),)),
        ("", (("\n", "a"),)),
        ("", tuple((f"{n}", "") for n in range(51))),
    ],
)
def test_words_that_can_not_be_shown_are_refused(title: str, tags: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(UsageError) as caught:
        Mesh(title=title, tags=outputs.tags_of(tags))
    assert str(caught.value).isprintable()


def test_what_others_say_moves_no_terminal_in_a_summary() -> None:
    """A function's last words on its stderr are a problem of the run."""
    report = blank(problems=["sender-1 exited with 1: \x1b[2J\r\n::error::x\x07"], title="a\tb")
    lines = summary_lines(report)
    assert all(line.isprintable() for line in lines) and "\\x1b[2J ::error::x\\x07" in "".join(lines)


@pytest.mark.parametrize("tag", ["x", "=x", " =x"])
def test_a_tag_is_a_name_and_a_value(tag: str) -> None:
    done = CliRunner().invoke(load_command("run"), ["--tag", tag, "--dry-run"])
    assert done.exit_code == 2 and "NAME=VALUE" in done.output


def test_words_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[run]\ntitle = "T"\ntag = ["a=1", "b=x=y"]\n')
    shown = json.loads(zsms("config", "show", "--json", "run", "--config", tmp_path / "s.toml").stdout)["run"]
    assert shown["--title"]["value"] == "T" and shown["--tag"]["value"] == [["a", "1"], ["b", "x=y"]]


def test_no_line_of_a_summary_is_wider_than_a_terminal() -> None:
    huge = 123_456_789_012
    report = blank(
        problems=["word " * 40], title="t " * 80, warnings=["w " * 90], tags={f"k{n}": "v" for n in range(40)}
    )
    for name in ("produced", "sent", "failed", "dead", "lost", "unsettled", "redelivered", "duplicates"):
        setattr(report.messages, name, huge)
    for value in (1.0, 123.456, 9_999.9, 0.0123456, 0.123456, 0.99999, 1e-5, 0.0):
        for times in ("send_time_s", "queue_time_s", "total_time_s", "slot_error_s"):
            setattr(report, times, dict.fromkeys(("mean", "p50", "p90", "p99", "max"), value))
        lines = summary_lines(report)
        assert max(map(len, lines)) <= WIDTH == 80
        assert sum(line.startswith("send time") for line in lines) == 1
        assert not any(re.match(" {12}(ms|s|us)$", line) for line in lines), "a unit alone on a line"
    assert "".join(wrapped("problem", "/" + "x" * 100)).endswith("/" + "x" * 100)
    reach = "50 % 34.99 s  90 % 62.19 s  99 % 68.30 s  99.9 % 68.94 s  all 69.41 s"
    assert wrapped("reach", reach) == [f"{'reach':<12}{reach[:-13]}", f"{'':<12}all 69.41 s"]
    assert all(len(line) <= WIDTH for line in wrapped("warning", "a  " + "word " * 40))


# -- verdicts --------------------------------------------------------------------------------------------------------


def test_junit_has_a_case_for_each_expectation() -> None:
    verdicts = [Verdict("a < 1", 2.0, False), Verdict("b == true", True, True), Verdict("c < 1", None, False)]
    text = junit(blank(thresholds=verdicts, title=HOSTILE + "\x00\x0b\ud800", tags={"k": HOSTILE}).to_json())
    (suite,) = ElementTree.fromstring(text.encode())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "2", "0")
    cases = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    assert cases["b == true"] is None and cases["the ledger balances"] is None
    assert cases["a < 1"] is not None and cases["a < 1"].get("message") == "measured: 2.0"
    assert cases["c < 1"] is not None and cases["c < 1"].get("message") == "measured: nothing"


def test_a_run_that_failed_by_itself_fails_in_junit_too() -> None:
    report = blank(balanced=False, completed=False, problems=["the broker has gone"], nothing_sent=True)
    (suite,) = ElementTree.fromstring(junit(report.to_json()))
    assert suite.get("failures") == "3" and "the broker has gone" in (suite[2][0].text or "")


def test_rows_that_a_log_lacks_fail_a_run_wherever_it_is_judged() -> None:
    whole, lacking = blank(), blank(log_lacks_rows=True, problems=["sender-1: the log of messages lacks 2 rows"])
    assert (whole.exit_code, lacking.exit_code) == (0, 1)
    assert not list(workflow_commands(whole.to_json()))
    (line,) = workflow_commands(lacking.to_json())
    assert "the log of messages is whole: sender-1: the log of messages lacks 2 rows" in line


def test_annotations_are_one_line_each_and_nothing_else() -> None:
    report = blank(thresholds=[Verdict("a < 1", 2.0, False)], title="x\n::warning::,y:%")
    (line,) = workflow_commands(report.to_json())
    assert line == "::error title=x%0A%3A%3Awarning%3A%3A%2Cy%3A%25::a < 1: measured: 2.0"
    assert "\n" not in annotation("t", "a\r\nb") and not list(workflow_commands(blank().to_json()))


def test_a_workflow_of_github_is_told(tmp_path: Path) -> None:
    options = "--ui none --threshold 'send_time_s.p99<0.000001' --threshold 'messages.lost==0' --junit j.xml --title T"
    done = shell(f"{SMALL} {options}", tmp_path, GITHUB_ACTIONS="true")
    assert done.returncode == THRESHOLD_FAILED
    first, last, line = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert first.startswith("::stop-commands::") and last == f"::{first.rpartition(':')[2]}::"
    assert done.stdout.index(first) < done.stdout.index("\nmessages ") < done.stdout.index(last)
    assert re.match(r"::error title=T::send_time_s.p99 < 1e-06: measured: \d+\.\d", line)
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "1"


# -- a dry run -------------------------------------------------------------------------------------------------------


def dry(*options: object, code: int = 0) -> str:
    done = zsms("run", "--dry-run", *options)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_a_dry_run_misses_what_a_run_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    for options, told in (
        ({"gateway": "http://127.0.0.1:1/x"}, "a gateway over HTTP needs aiohttp: "),
        ({"journal": "nats://127.0.0.1/x"}, "a journal on NATS servers needs nats: "),
    ):
        with pytest.raises(UsageError, match=told):
            Mesh(messages=1, **options)


def test_a_dry_run_knows_no_time_of_a_gateway_s() -> None:
    text = "\n".join(lines(Mesh(messages=2_000, gateway="smpp://127.0.0.1:1"), []))
    assert "127.0.0.1:1)" in text and "of the sends alone" not in text
    assert "about 1,000 s, of" in "\n".join(lines(Mesh(messages=2_000, senders=1, concurrency=2, mean=1.0), []))


def test_a_dry_run_says_what_would_be_started_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("recipient,text\n" + "+13705550100,x\n" * 70)
    text = dry("--input", tmp_path / "p.csv", "--senders", 2, "--concurrency", 7, "--brokers", 2, "--mean", 2,
               "--json", tmp_path / "r.json", "--journal", tmp_path / "j",
               "--threshold", "messages.lost==0")  # fmt: skip
    for words in ("70 of", "6: stats, broker-1, broker-2, producer-1, sender-1, sender-2", "14: 2 x 7", "about 10 s",
                  "json to", "messages.lost == 0", "nothing was started"):  # fmt: skip
        assert words in text, words
    assert os.listdir(tmp_path) == ["p.csv"] and max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--json", "/no-such-folder/r.json"), "/no-such-folder"),
        (("--threshold", "messages.lots==0"), "messages.lost"),
        (("--senders", 0), "1 to 1000"),
        (("--transport", "no_such_module:send"), "no_such_module"),
        (("--metrics", "0.0.0.0:0"), "--insecure"),
        (("--config", "/no-such-file"), "/no-such-file"),
    ],
)
def test_a_dry_run_finds_what_a_run_would_refuse(options: tuple[object, ...], word: str) -> None:
    assert word in dry(*options, code=2)


def test_a_dry_run_reads_the_whole_list(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("recipient,text\n" + "+13705550100,x\n" * 40_000 + "none,x\n")
    assert "line 40002" in dry("--input", tmp_path / "p.csv", code=2).replace(",", "").replace(":40002", "line 40002")
    assert "40,000 of" in dry("--input", tmp_path / "p.csv", "--skip-bad-rows")


# -- refusals --------------------------------------------------------------------------------------------------------

NUMBERS = [
    max(option.opts, key=len)
    for option in load_command("run").params
    if not getattr(option, "count", False)
    and getattr(option.type, "name", "") in ("integer", "float", "integer range", "float range")
]


@pytest.mark.parametrize("value", ["-7", "nan", "1e300"])
def test_every_number_that_is_refused_says_what_may_be_given(value: str) -> None:
    runner, refused = CliRunner(), 0
    for option in NUMBERS:
        done = runner.invoke(cli, ["run", "--dry-run", "--messages", "10", option, value], prog_name="zsms")
        if done.exit_code == 0:
            continue
        refused += 1
        text = f"{done.exception or ''}" if isinstance(done.exception, ZsmsError) else done.output.splitlines()[-1]
        rest = text.replace(value, "").replace(option, "")
        assert re.search(r"\d|is not a valid|finite|above|more", rest), f"{option} {value}: {text}"
    assert refused > len(NUMBERS) / 2


# -- exit codes, hints, completion -----------------------------------------------------------------------------------


def test_the_table_of_exit_codes_is_theirs() -> None:
    text = (ROOT / "docs" / "roles.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", text.partition("## Exit codes")[2].partition("\n## ")[0], re.MULTILINE)
    assert {int(code): words for code, words in rows} == EXIT_CODES
    used = {ZsmsError.exit_code, UsageError.exit_code, INTERRUPTED, UNREAD, THRESHOLD_FAILED, 0}
    assert used == set(EXIT_CODES)
    assert re.findall(r"(\d+) \w", " ".join(zsms("--help").stdout.partition("Exit codes:")[2].split())) == [
        str(code) for code in EXIT_CODES
    ]


def not_found(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def test_hints_name_a_command_that_works_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/a b/python")
    assert extras.command("web") == "'/a b/python' -m pip install 'zsms[web]'"
    monkeypatch.setattr("importlib.metadata.version", not_found)
    assert extras.command("web") == f"'/a b/python' -m pip install -e '{ROOT}[web]'"
    assert f"{extras.missing('x needs y', 'web')}".startswith("x needs y: ")


@pytest.mark.parametrize(
    ("words", "env", "wanted"),
    [
        ((), {}, ""),
        (("--dashboard",), {}, "[web]"),
        (("--messages", "1", "--dashboard=:0", "--metrics", "1"), {}, "[web,metrics]"),
        ((), {"ZSMS_RUN_METRICS": "1"}, "[metrics]"),
        (("--journal", "nats://x/y"), {}, "[jetstream]"),
        (("--cluster=local:2",), {}, "[cluster]"),
        (("--gateway", "http://127.0.0.1/x"), {}, "[http]"),
        (("--config", "settings.toml"), {}, "[web,http]"),
    ],
)
def test_bin_run_sets_up_what_its_options_need(
    tmp_path: Path, words: tuple[str, ...], env: dict[str, str], wanted: str
) -> None:
    for name in ("run", "zsms", "setup.sh"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_bytes((ROOT / "bin" / name).read_bytes())
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "settings.toml").write_text(
        '[run]\ndashboard = ":0"\n# metrics = 1\n[[group]]\ngateway = "http://x/"\n'
    )
    venv = tmp_path / ".venv" / "bin"
    venv.mkdir(parents=True)
    for name, script in (("python", f'echo "$@" >>"{tmp_path}/pip"'), ("zsms", 'echo "$@"')):
        (venv / name).write_text(f"#!/bin/sh\n{script}\n")
        (venv / name).chmod(stat.S_IRWXU)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ZSMS_")}
    for _ in range(2):
        done = subprocess.run(
            [tmp_path / "bin" / "run", *words],
            capture_output=True,
            text=True,
            check=True,
            env={**kept, **env},
            cwd=tmp_path,
        )
        assert done.stdout.split() == ["run", *words]
    installs = [line for line in (tmp_path / "pip").read_text().splitlines() if "install" in line]
    assert len(installs) == 1 and installs[0].endswith(f"--editable {tmp_path.resolve()}{wanted}")


def complete(line: str) -> list[str]:
    words = {"_ZSMS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return zsms(env=words).stdout.split()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("zsms run --json kee", "file,kee"),
        ("zsms run --html kee", "file,kee"),
        ("zsms run --junit kee", "file,kee"),
        ("zsms run --csv kee", "file,kee"),
        ("zsms run --input peo", "file,peo"),
        ("zsms run --config x", "file,x"),
        ("zsms run --journal x", "dir,x"),
        ("zsms compare kee", "file,kee"),
        ("zsms compare a kee", "file,kee"),
        ("zsms broker --keys x", "file,x"),
        ("zsms dashboard --token-file x", "file,x"),
        ("zsms config show r", "plain,run"),
        ("zsms config check x", "file,x"),
        ("zsms run --resume x", "dir,x"),
        ("zsms run --delay=log", "plain,lognormal"),
        ("zsms run --delay = log", "plain,lognormal"),  # as bash divides it
        ("zsms run --json = kee", "file,kee"),
        ("zsms run --delay log", "plain,lognormal"),
        ("zsms mon", "plain,monitor"),
    ],
)
def test_a_shell_completes_files_folders_and_words(line: str, wanted: str) -> None:
    assert wanted in complete(line)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_shells_that_take_an_option_and_its_value_for_one_word_are_given_both(shell: str, tmp_path: Path) -> None:
    (tmp_path / "kept.json").touch()
    (tmp_path / "kept").mkdir()

    def offered(word: str) -> str:
        current = word if shell == "fish" else "2"
        words = {"_ZSMS_COMPLETE": f"{shell}_complete", "COMP_WORDS": f"zsms run {word}", "COMP_CWORD": current}
        return zsms(env=words).stdout

    assert "--delay=lognormal" in offered("--delay=log")
    assert f"--json={tmp_path}/kept.json" in offered(f"--json={tmp_path}/ke")
    folders = offered(f"--journal={tmp_path}/ke")
    assert f"--journal={tmp_path}/kept/" in folders and "json" not in folders


def test_a_line_that_is_wrong_so_far_is_completed_without_a_word() -> None:
    words = {"_ZSMS_COMPLETE": "bash_complete", "COMP_WORDS": "zsms nosuch ", "COMP_CWORD": "2"}
    done = zsms(env=words)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_option_that_is_a_path_completes() -> None:
    for name, command in all_commands():
        for option in command.params:
            metavar = f"{getattr(option, 'metavar', '')}"
            if metavar in ("PATH", "FILE", "DIR", "FOLDER", "PREFIX", "DIR|URL"):
                assert option.type.name in ("text", "file", "path", "directory", "filename")
                items = option.type.shell_complete(None, option, "x")  # type: ignore[arg-type]
                folder = metavar.startswith("DIR") or metavar == "FOLDER"
                assert items and items[0].type == ("dir" if folder else "file"), f"{name} {option.name}"


# -- a page that compares --------------------------------------------------------------------------------------------


def test_compare_writes_a_page(tmp_path: Path) -> None:
    for number, rate in ((1, 100.0), (2, 150.0)):
        body = blank(title=HOSTILE, throughput_per_s=rate, tags={"n": f"{number}"}).to_json()
        (tmp_path / f"{number}.json").write_text(json.dumps(body))
    page = tmp_path / "page.html"
    page.write_text("older")
    done = zsms("compare", tmp_path / "1.json", tmp_path / "2.json", "--html", page)
    assert done.returncode == 0 and "throughput_per_s" in done.stdout
    text = page.read_text()
    assert "<img" not in text and "<script" not in text
    assert "throughput_per_s" in text and "+50.0%" in text and text.count("<circle") == 2 + 2 and "n=1" in text
    assert zsms("compare", tmp_path / "1.json", tmp_path / "2.json", "--html", "/dev/full").returncode == 1
    assert zsms("compare", tmp_path / "1.json", tmp_path / "2.json", "--html", "/no/x").returncode == 2


def test_dots_of_all_numbers_lie_on_the_page() -> None:
    for base, new in (([1.0], [1.0]), ([-1e308], [1e308]), ([0.0, 5e-324], [0.0])):
        places = re.findall(r'cx="([^"]*)"', compare_page.strip(base, new))
        assert len(places) == len(base) + len(new) and all(0 <= float(x) <= 240 for x in places)
    assert compare([blank().to_json()], [blank().to_json()], ())
