"""Functions that can't be called are refused before anything starts, in one line that says what is wrong."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.roles import test_callable
from zsms import Mesh, Message, Sender, UsageError
from zsms.transports.checking import check_send, load_function, spec_of


async def good(message: Message) -> bool:
    return True


async def more(message: Message, key: str = "") -> bool:
    return True


class Gateway:
    async def send(self, message: Message) -> bool:
        return True

    async def __call__(self, message: Message) -> bool:
        return True


def wrapped(send: Any) -> Any:
    @functools.wraps(send)
    def call(*arguments: Any) -> Any:
        return send(*arguments)

    return call


@pytest.mark.parametrize(
    "send", [good, more, Gateway().send, Gateway(), functools.partial(more, key="k"), wrapped(good)]
)
def test_what_can_be_awaited_is_taken(send: Any) -> None:
    assert check_send(send) is send


def plain(message: Message) -> bool:
    return True


async def none() -> bool:
    return True


async def two(message: Message, key: str) -> bool:
    return True


async def yields(message: Message) -> Any:
    yield True


@pytest.mark.parametrize(
    ("send", "said"),
    [
        (plain, "plain (test_checking.py:"),
        (lambda message: True, "async def"),
        (functools.partial(plain), "async def"),
        (print, "plain function"),
        (Gateway, "is a class"),
        (none, "called with one argument"),
        (two, "called with one argument"),
        (yields, "yields"),
        ("mygateway:send", "not a function"),
    ],
)
def test_what_can_not_is_refused(send: Any, said: str) -> None:
    with pytest.raises(UsageError, match=r".") as caught:
        Sender(send=send)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("def send(m):\n    return True\n", "gate_way:send", "plain function"),
        ("raise RuntimeError('no settings here')\n", "gate_way:send", "RuntimeError: no settings here (gate_way.py:1)"),
        ("import sys\nsys.exit(3)\n", "gate_way:send", "SystemExit: 3 (gate_way.py:2)"),
        ("async def send(m:\n", "gate_way:send", "SyntaxError"),
        ("import nothing_of_that_name\n", "gate_way:send", "No module named 'nothing_of_that_name'"),
        ("", "gate_way:send", "gate_way has no 'send'"),
        ("", "gate_way", "write MODULE:FUNCTION"),
        ("", "gate_way.py:send", "name the module as import does, as in gate_way:send"),
        ("", "../other/gate_way:send", "name the module as import does, as in gate_way:send"),
        ("", ".gate_way:send", "name the module as import does, as in gate_way:send"),
        ("", "no_such_gate_way:send", "No module named 'no_such_gate_way'"),
    ],
)
def test_a_name_that_can_not_be_had_is_one_line(folder: Path, text: str, name: str, said: str) -> None:
    folder.joinpath("gate_way.py").write_text(text)
    for make in (lambda: load_function(name), lambda: Mesh(messages=1, transport=name)):
        with pytest.raises(UsageError) as caught:
            make()
        assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_module_prints_is_not_in_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.joinpath("gate_way.py").write_text("print('hello')\nasync def send(m):\n    return True\n")
    load_function("gate_way:send")
    assert capsys.readouterr() == ("", "hello\n")


def test_only_the_named_module_is_taken_from_the_folder_first(folder: Path) -> None:
    folder.joinpath("json.py").write_text("raise SystemExit('mine')\n")
    folder.joinpath("gate_way_help.py").write_text("VALUE = True\n")
    folder.joinpath("gate_way.py").write_text(
        "import json\nimport gate_way_help\nclass G:\n    @staticmethod\n    async def send(m):\n"
        "        return gate_way_help.VALUE\n"
    )
    sys.modules.pop("json.tool", None)
    assert load_function("gate_way:G.send").__name__ == "send"


def test_a_mesh_takes_a_function_that_others_can_import() -> None:
    name, folder = spec_of(test_callable.exits)
    assert name == "tests.roles.test_callable:exits" and Path(folder, "tests").is_dir()

    async def inner(message: Message) -> bool:
        return True

    for send in (inner, Gateway().send):
        with pytest.raises(UsageError, match="must be able to import it"):
            Mesh(messages=1, transport=send)


def test_a_mesh_calls_the_function_and_its_report_says_why_sends_failed() -> None:
    report = Mesh(messages=40, senders=1, concurrency=4, transport=test_callable.exits).run()
    assert (report.messages.sent, report.messages.failed) == (36, 4)
    (row,) = report.failures
    assert (row["reason"], row["sends"]) == ("raised SystemExit", 4) and "no settings (test_callable.py:" in row[
        "example"
    ]
    assert report.senders[0]["blocked_s"] == 0.0
