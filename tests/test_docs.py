"""The documents say what the code does: commands parse, links lead somewhere, tables agree, examples run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pytest

import zsms
from tests import module_map
from zsms import message, scenario
from zsms.cli import COMMANDS, cli, load_command, settings
from zsms.message import Batch, Mixed
from zsms.scenario import SenderGroup
from zsms.smsc.files import read_rules
from zsms.stats import book as statsbook
from zsms.stats import snapshot
from zsms.stats.histogram import BUCKETS, Histogram
from zsms.wire import codec, frames

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("**/*.md"),
        *(ROOT / "examples").glob("**/*.md"),
    ]
)
SCRIPTS = {"bin/run": "run"}
"""Which command each script of bin/ hands its options to."""


class Block(NamedTuple):
    """A fenced block of a document."""

    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if match[1] in languages:
                found.append(Block(document, text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return found


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every zsms command line of the documents: where it stands, and its words."""
    for block in blocks("sh", "console", "text"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if block.language == "text" and (not line.startswith("zsms ") or "-->" in line):
                continue  # others' commands, and pictures
            if block.language == "console":
                if not line.startswith("$ "):
                    continue
                line = line[2:]
            for part in re.split(r"\s(?:&|&&|\||>)(?:\s|$)", line):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words and words[0] in SCRIPTS:
                    words = ["zsms", SCRIPTS[words[0]], *words[1:]]
                if len(words) > 1 and words[0] == "zsms":
                    yield str(block), words[1:]


def parse(words: list[str]) -> click.Context:
    """Parse a command line as click would to run it. Raises click.UsageError and zsms.UsageError."""
    group = click.Context(cli, info_name="zsms", auto_envvar_prefix="ZSMS")
    assert isinstance(cli, click.Group)
    name, command, rest = cli.resolve_command(group, list(words))
    assert command is not None
    if rest and isinstance(command, click.Group):
        above = click.Context(command, info_name=name, parent=group)
        name, command, rest = command.resolve_command(above, rest)
        assert command is not None
        return command.make_context(name, rest, parent=above)
    return command.make_context(name, rest, parent=group)


@pytest.fixture
def reader_s_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documents tell their reader to write, and the checkout's examples."""
    for block in blocks("toml"):
        name = re.match(r"# (\S+\.toml)\n", block.text)
        assert name, f"{block}: the first line of a file is a comment with its name"
        (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("ZSMS_")]:
        monkeypatch.delenv(variable)
    return tmp_path


def test_every_command_of_the_documents_parses(reader_s_folder: Path) -> None:
    seen = set()
    for where, words in commands():
        try:
            if "--help" not in words:  # which would print, and leave
                parse(words)
            seen.add(words[0])
        except (click.ClickException, zsms.ZsmsError) as error:
            pytest.fail(f"{where}: zsms {shlex.join(words)}: {error}")
    assert seen >= set(COMMANDS), "a command that no document shows, or the parser of blocks is broken"


def test_a_command_that_is_wrong_would_be_found(reader_s_folder: Path) -> None:
    for line in ("run --sender 2", "rum", "run --messages many", "producer 7", "run --config none.toml"):
        with pytest.raises((click.ClickException, zsms.ZsmsError)):
            parse(shlex.split(line))


def test_every_option_that_is_named_anywhere_exists() -> None:
    known = {"--help", "--version"}
    for name in COMMANDS:
        command = load_command(name)
        for each in (command, *getattr(command, "commands", {}).values()):
            known |= {option for param in each.params for option in param.opts}
    for document in DOCUMENTS:
        # Blocks of plain text show commands of others.
        text = re.sub(r"^```text\n.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        named = set(re.findall(r"(?<![^\s`(])--[a-z][a-z-]*", text))
        assert named <= known, f"{document.relative_to(ROOT)} names {sorted(named - known)}"


def test_every_settings_file_is_accepted(reader_s_folder: Path) -> None:
    files = [path.name for path in reader_s_folder.glob("*.toml")]
    assert files
    scenarios = [str(path.relative_to(ROOT)) for path in (ROOT / "examples").glob("**/*.toml")]
    for name in files + scenarios:
        if name == "smsc.toml":  # the rules of a fake SMSC
            assert read_rules(reader_s_folder / name).accounts
            continue
        scenario.load(name)
        if name in PLANS:
            continue
        ctx = parse(["run", "--config", name])
        for number, group in enumerate(ctx.meta[settings.GROUPS] or ()):
            scenario.table(SenderGroup, group, f"{name} {number}", SenderGroup()).check()


PLANS = {"flood.toml"} | {
    f"examples/scenarios/{name}.toml"
    for name in ("us-ten-minutes", "campus", "uk-2020", "be-alert-test-day", "best-route-dies")
}
"""Files with tables that only a plan can carry out."""


def slug(heading: str) -> str:
    """The anchor that a heading gets on the usual forges."""
    bare = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return bare.replace(" ", "-")


def test_every_link_leads_somewhere() -> None:
    lost = []
    for document in DOCUMENTS:
        text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            linked = document.parent / path if path else document
            headings: list[str] = []
            if anchor and linked.is_file():
                headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            if not linked.exists() or (anchor and anchor not in map(slug, headings)):
                lost.append(f"{document.relative_to(ROOT)}: {target}")
    assert not lost


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_every_program_of_the_documents_runs(block: Block, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block.text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZSMS_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "a program that shows nothing teaches nothing"
    assert "Traceback" not in done.stderr


def test_the_changelog_speaks_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", text, re.MULTILINE)
    assert newest and newest[1] == zsms.__version__


# -- docs/PROTOCOL.md --------------------------------------------------------------------------------------------

PROTOCOL = (ROOT / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PROTOCOL, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The rows of the first table in the text, without its head."""
    table = re.search(r"^\|.*\n\|[-| ]+\n((?:\|.*\n)*)", text, re.MULTILINE)
    assert table, text
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def kinds_of_the_document() -> dict[str, int]:
    return {name: int(code) for name, code in re.findall(r"^### ([A-Z_]+) \((\d+)\)$", PROTOCOL, re.MULTILINE)}


def kinds_of_the_code() -> dict[str, type]:
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).upper(): cls for cls in frames.KINDS}


def test_the_document_has_the_kinds_of_the_code() -> None:
    assert kinds_of_the_document() == {name: frames.KINDS[cls].code for name, cls in kinds_of_the_code().items()}


@pytest.mark.parametrize("name", kinds_of_the_code())
def test_a_kind_s_table_has_its_fields_in_order(name: str) -> None:
    cls: Any = kinds_of_the_code()[name]
    kind = frames.KINDS[cls]
    names = {"u1": "u8", "u2": "u16", "u4": "u32", "u8": "u64", "f4": "f32", "f8": "f64", "V20": "SOURCE", "V48": "ROW"}
    types = [check.__name__.removeprefix("_") for check in kind.fields]
    types += [f"column of {names[f'{dtype.kind}{dtype.itemsize}']}" for dtype in kind.columns]
    if cls is Batch:
        columns = ("offsets", "recipients", "lengths", "text")
        expected = ("producer", "epoch", "number", "first", "due", "step", *columns)
    elif cls is Mixed:
        expected = ("sources", "rows", "text")
    else:
        expected = cls._fields
    table = rows(section(f"{name} ({kind.code})"))
    assert [(row[0], row[1]) for row in table] == list(zip(expected, types, strict=True))


def test_every_limit_is_told_with_its_value() -> None:
    told = {name: int(value.replace(",", "")) for name, value, _ in rows(section("Limits"))}
    known: dict[str, int] = {}
    for module in (frames, codec, message, snapshot, statsbook):
        known |= {name: value for name, value in vars(module).items() if name.startswith(("MAX_", "SMALL_"))}
    assert told == known


def test_a_snapshot_has_the_keys_of_its_table() -> None:
    whole = section("ANSWER (23)").split("The body of a SNAPSHOT", 1)[1]
    told = [name for row in rows(whole) for name in row[0].split(", ")]
    assert told == [field.name for field in fields(snapshot.Snapshot)]


def test_the_bytes_are_what_they_are_said_to_be() -> None:
    ping, batch = (bytes.fromhex(block.text) for block in blocks("hex"))
    assert codec.decode(ping) == frames.Ping(subject=7, sent_at=2.5)
    assert codec.encode(frames.Ping(7, 2.5)) == ping
    decoded = codec.decode(batch)
    assert (decoded.producer, decoded.epoch, decoded.number, decoded.first) == (1, 2, 3, 4)
    assert (decoded.due, decoded.step, decoded.offsets) == (0.5, 0.0, None)
    (only,) = decoded.messages()
    assert (only.recipient, only.text, only.id.seq) == ("+13705550100", "Hi", 4)
    assert codec.encode_batch(decoded) == batch
    shown = re.findall(r"^    ((?:[0-9a-f]{2} +)+)", section("An example in bytes"), re.MULTILINE)
    assert bytes.fromhex("".join(shown)) == ping + batch


def test_the_histogram_s_buckets_are_where_the_document_says() -> None:
    told = re.search(r"shifted right by (\d+), are b \+ (\d+).*the\s+last\s+one \((\d+)\)", PROTOCOL, re.DOTALL)
    assert told
    shift, first, last = map(int, told.groups())
    histogram, value = Histogram(), np.float32(1.5)
    histogram.record(np.array([value]))
    (bucket,) = np.flatnonzero(histogram.counts).tolist()
    assert int(value.view(np.int32)) >> shift == bucket + first
    assert last == BUCKETS - 1


# -- docs/RELIABILITY.md ---------------------------------------------------------------------------------------


def test_every_test_that_a_promise_rests_on_exists() -> None:
    text = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+/test_\w+\.py)::(\w+)`", text)
    assert named
    for path, name in named:
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), f"{path}::{name}"


# -- docs/ARCHITECTURE.md ----------------------------------------------------------------------------------------


def test_the_map_is_that_of_the_packages() -> None:
    assert module_map.document() == module_map.DOCUMENT.read_text(encoding="utf-8"), "run python -m tests.module_map"
