"""What `zsms recipients check` finds in a list."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from zsms.cli import cli
from zsms.errors import UsageError
from zsms.lists import checking
from zsms.lists.checking import check, kind_of, lines_of

LIST = (
    "recipient,text\n"
    "+13705550100,Water is off\n"
    "+13705550101.0,Water is off\n"
    f"+1 370 555 0102,{'x' * 161}\n"
    "+13705550103.00,Water is off\n"
    '+13705550104,"a\n+13705550105,b\nc"\n'
    "+1-370-555-0100,Water is öff: ж\n"
    "13705550106,Water is off\n"
    "+13705550107\n"
    "+447700900123,a\n"
)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


def test_everything_of_a_list_is_counted(people: Path) -> None:
    found = check(str(people))
    assert (found.rows, found.good, found.bad_rows, found.bad_lines) == (10, 4, 6, 7)
    assert [(reason.rows, reason.lines) for reason in found.reasons] == [(2, [3, 5]), (1, [6]), (1, [10]), (1, [11])]
    assert found.reasons[0].reason == "recipient has a decimal tail"
    assert "hold what looks like other rows (lines 6 to 8)" in found.reasons[1].example
    assert (found.repeated_rows, found.repeated_lines) == (1, [9])
    assert (found.segments, found.most_segments, found.gsm7, found.ucs2) == (5, 2, 3, 1)


def test_it_is_told_for_people(people: Path) -> None:
    told = "\n".join(lines_of(check(str(people)), "people.csv"))
    assert "rows      10\ngood      4\nbad       6 on 7 lines\n" in told
    assert "2: recipient has a decimal tail (lines 3, 5)\n" in told
    assert "1: recipient '13705550106' is no E.164 number: a plus and the country's code are missing (line 10)" in told
    assert "repeated  1 row to a recipient that came before (line 9)" in told
    assert "segments  5 in all, at most 2 a text; 3 texts in GSM-7, 1 in UCS-2" in told


def test_plans_are_asked_where_they_are_known(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "plans", lambda: None)
    found = check(str(people))
    assert found.to_json()["numbers"] == {"judge": None, "judged": None, "not_in_use": None, "example": None}
    assert "judged by form only" in lines_of(found, "x")[-1]
    monkeypatch.undo()
    pytest.importorskip("phonenumbers")
    found = check(str(people))
    assert found.judge is not None and (found.judged, found.not_in_use) == (4, 4)
    assert found.not_in_use_example == "+13705550100"


def test_reasons_of_one_kind_are_one() -> None:
    for some in (
        ("recipient '+1.0' has a decimal tail (.0)", 'recipient "it\'s" has a decimal tail (.00)'),
        ("3 fields where the header has 2", "1 field where the header has 2"),
        ("not JSON: Extra data at column 43", "not JSON: Extra data at column 9"),
        ("recipient '+1\\u200e' holds a mark (U+200E)", "recipient '...' holds a mark (U+200B)"),
        ("recipient '+1 370 555 0100 and something l... is too long", "recipient 'x' is too long"),
    ):
        assert len({kind_of(reason) for reason in some}) == 1, some
    assert kind_of("1 field where the header has 2") == "not as many fields as the header, which has 2"


def test_reasons_and_lines_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("recipient,text\n+13705550100,a\n" + "".join(f"+1370555{'é' * n},a\n" for n in range(60)) * 3)
    found = check(str(path))
    assert found.bad_rows == 180 and len(found.reasons) <= checking.MAX_REASONS + 1
    assert sum(reason.rows for reason in found.reasons) == 180
    assert all(len(reason.lines) <= 5 for reason in found.reasons)


def test_kinds_beyond_the_most_are_told_together(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "MAX_REASONS", 2)
    found = check(str(people))
    assert [(reason.reason, reason.lines) for reason in found.reasons if reason.reason == "other reasons"] == [
        ("other reasons", [10, 11])
    ]
    assert len(found.reasons) == 3 and sum(reason.rows for reason in found.reasons) == 5


def test_a_pipe_can_be_checked(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(LIST, "utf-8"))
    writer.start()
    found = check(str(path))
    writer.join()
    assert found.rows == 10


@pytest.mark.parametrize("content", [LIST, "recipient,text\nbad,a\n"])
def test_segments_of_a_pipe_are_those_of_a_file_and_bad_rows_are_counted(tmp_path: Path, content: str) -> None:
    def segments(path: Path) -> tuple[int, dict[str, int]]:
        asked = ["segments", "--json", "--skip-bad-rows", "--input", str(path)]
        done = CliRunner().invoke(cli, asked, standalone_mode=False)
        assert done.exception is None
        return done.return_value, json.loads(done.stdout)

    path, pipe = tmp_path / "people.csv", tmp_path / "pipe.csv"
    path.write_text(content, encoding="utf-8")
    os.mkfifo(pipe)
    opened = threading.Timer(0.2, pipe.write_text, args=(content, "utf-8"))  # later than the first look
    opened.start()
    piped = segments(pipe)
    opened.join()
    found = check(str(path))
    code, body = segments(path)
    assert piped == (code, body) and code == (0 if found.good else 1)
    assert (body["messages"], body["segments"]) == (found.good, found.segments)
    assert (body["skipped_rows"], body["skipped_lines"]) == (found.bad_rows, found.bad_lines)


@pytest.mark.parametrize(("content", "code"), [(LIST, 1), ("recipient,text\n+13705550100,a\n+13705550100,a\n", 0)])
def test_the_command_exits_with_1_for_bad_rows(tmp_path: Path, content: str, code: int) -> None:
    path = tmp_path / "people.csv"
    path.write_text(content, encoding="utf-8")
    done = CliRunner().invoke(cli, ["recipients", "check", "--json", str(path)], standalone_mode=False)
    assert done.return_value == code and done.exception is None
    found = json.loads(done.stdout)
    assert found["list"] == str(path) and found["bad"]["rows"] == found["rows"] - found["good"] == (6 if code else 0)
    assert CliRunner().invoke(cli, ["recipients", "check", str(path)], standalone_mode=False).return_value == code


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("recipient,text\n")
    for path, told in ((tmp_path / "a.csv", "holds no rows"), (tmp_path / "b.csv", "No such file")):
        with pytest.raises(UsageError, match=told):
            check(str(path))


def test_no_name_of_a_list_moves_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[31m.csv"
    path.write_text("recipient,text\n+13705550100,a\n")
    done = CliRunner().invoke(cli, ["recipients", "check", str(path)], standalone_mode=False)
    assert done.output.splitlines()[0].endswith("a\\nb\\x1b[31m.csv")
