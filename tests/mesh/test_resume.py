"""`zsms run --resume`: an interrupted run with a journal is gone on with, to a report of all of it."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from signal import SIGINT, SIGKILL

import pytest

from tests.journal.making import Hand
from tests.mesh.processes import Command, until, zsms
from zsms.errors import UsageError
from zsms.journal import open_journal
from zsms.journal.mark import MARK
from zsms.journal.wal import Log
from zsms.launch.resume import load, note
from zsms.roles.producer import Producer
from zsms.scenario import MeshConfig
from zsms.sources.random import RandomSource

RECORDING = """
import asyncio
import os

calls = 0


async def send(message):
    global calls
    calls += 1
    with open("sent.txt", "a") as file:
        file.write(f"{message.recipient} {message.text}\\n")
    while calls > 60 and os.path.exists("hold"):
        await asyncio.sleep(0.02)
    return True
"""
"""After 60 messages all slots are held until they are let go."""


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("how", [SIGINT, SIGKILL])
def test_every_row_of_a_list_is_sent_over_an_interruption(tmp_path: Path, how: int) -> None:
    (tmp_path / "recording.py").write_text(RECORDING)
    rows = [f"+1370555{number:04},note {number}" for number in range(400)]
    (tmp_path / "people.csv").write_text("recipient,text\n" + "\n".join(rows) + "\n")
    run = ("--journal", "j", "--input", "people.csv", "--producers", 2, "--rate", 200, "--batch", 20, "--senders", 1)
    slots = ("--concurrency", 20, "--transport", "recording:send", "--drain-timeout", 1)
    sent, hold = tmp_path / "sent.txt", tmp_path / "hold"
    hold.touch()
    with Command("run", *run, *slots, cwd=tmp_path) as first:
        until(lambda: len(lines(sent)) > 60, "some that are sent")
        first.signal(how)
        assert first.end() == (130 if how == SIGINT else -SIGKILL)
        if how == SIGINT:
            assert "zsms run --resume j goes on with this run" in first.err
    before = lines(sent)
    assert len(before) <= 60 + 20
    hold.unlink()

    done = zsms("run", "--resume", "j", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["balanced"] and report["completed"]
    assert report["messages"]["produced"] == report["messages"]["sent"] == 400
    assert any("goes on with the run of" in warning for warning in report["warnings"])
    counts = Counter(lines(sent))
    assert counts.keys() == {row.replace(",", " ") for row in rows}
    again = sum(counts.values()) - 400
    # Who is killed may not have written of the last that were sent.
    assert again <= (report["messages"]["redelivered"] if how == SIGINT else len(before))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--resume nowhere", "no interrupted run in nowhere"),
        ("--resume j --senders 3", "--senders beside --resume"),
        ("--resume j --messages 3", "--messages beside --resume"),
        ("--journal j", "zsms run --resume j"),
    ],
)
def test_what_cannot_be_gone_on_with_is_told(tmp_path: Path, arguments: str, told: str) -> None:
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "journal.sqlite").touch()
    done = zsms("run", *arguments.split(), cwd=tmp_path)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1


def test_a_dry_run_says_what_would_be_gone_on_with(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j"):
        pass
    note(MeshConfig(messages=300, seed=7, journal=str(tmp_path / "j")), "2026-11-28T00:00:00+00:00")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "j").iterdir()}
    done = zsms("run", "--resume", "j", "--dry-run", "--json", "r.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the run of 2026-11-28T00:00:00+00:00, of which 0 messages were taken over" in " ".join(done.stdout.split())
    assert "300 random" in done.stdout and "nothing was started" in done.stdout
    assert {path.name for path in (tmp_path / "j").iterdir()} == kept.keys()
    assert (tmp_path / "j" / "run.json").read_bytes() == kept["run.json"]
    assert not (tmp_path / "r.json").exists()


def test_a_configuration_comes_back_as_it_was(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("recipient,text\n+13705550100,a\n")
    with open_journal(tmp_path / "j"):
        pass
    config = MeshConfig(input=str(people), seed=7, producers=3, journal=str(tmp_path / "j"), unique=True)
    note(config, "2026-11-28T00:00:00+00:00")
    found, before = load(str(tmp_path / "j"))
    assert found == config
    assert before.taken == {"producer-1": 0, "producer-2": 0, "producer-3": 0} and before.settled == 0
    people.write_text("recipient,text\n+13705550100,b\n+13705550101,c\n")
    with pytest.raises(UsageError, match=r"people.csv is not what it was"):
        load(str(tmp_path / "j"))
    for changed, told in (({"brokers": 2}, "several brokers"), ({"input": "/dev/fd/0"}, "from a stream")):
        fields = {"seed": 7, "journal": str(tmp_path / "j"), "input_format": "csv", **changed}
        note(MeshConfig(**fields), "x")
        with pytest.raises(UsageError, match=told):
            load(str(tmp_path / "j"))
    with pytest.raises(UsageError, match="with NATS servers a standby"):
        load("nats://somewhere/alerts")
    (tmp_path / "j" / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="is not of a run that this program knows"):
        load(str(tmp_path / "j"))
    shutil.rmtree(tmp_path / "j")
    note(config, "x")  # made again
    assert (tmp_path / "j" / "run.json").exists()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The journal of a run of 20 messages that was killed when five of them were taken over, in two groups."""
    folder = tmp_path / "killed"
    note(MeshConfig(messages=20, seed=7, journal=str(folder)), "2026-11-28T00:00:00+00:00")
    with open_journal(folder) as store:
        hand = Hand(store, name="producer-1")
        hand.put(2)
        hand.commit()
        mark = (folder / MARK).read_bytes()
        hand.put(3)
        hand.commit()
        shutil.copytree(folder, tmp_path / "j")
    (tmp_path / "j" / MARK).write_bytes(mark)  # of the second group nobody had heard yet
    return tmp_path / "j"


def test_what_could_not_be_read_of_the_journal_is_told(kept: Path) -> None:
    log = kept / "journal.sqlite-wal"
    os.truncate(log, Log.of(log).read - 100)
    _, before = load(str(kept))
    assert before.taken == {"producer-1": 2}
    assert "dropped the last group" in before.remark and "dropped the last group" in before.come_to


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": "zsms-interrupted-run/2"}, "it says schema 'zsms-interrupted-run/2'"),
        ({"config": None}, "parts of it are missing"),
        ({"messages": 4}, "is of another run: 5 messages were taken over, and its run has 4"),
        ("[" * 100_000, "its brackets are too deep"),
    ],
)
def test_a_run_that_is_not_of_this_journal_or_program_is_refused(kept: Path, change: object, told: str) -> None:
    path = kept / "run.json"
    if isinstance(change, dict):
        said = json.loads(path.read_text())
        (said["config"] if "messages" in change else said).update(change)
        path.write_text(json.dumps(said))
    else:
        path.write_text(str(change))
    with pytest.raises(UsageError, match=told):
        load(str(kept))


def test_what_a_run_is_to_send_is_nobody_else_s_business(kept: Path) -> None:
    assert (kept / "run.json").stat().st_mode & 0o077 == 0
    (kept / "run.json").unlink()
    os.mkfifo(kept / "run.json")
    with pytest.raises(UsageError, match="it is no file"):
        load(str(kept))


@pytest.mark.parametrize("before", [0, 1, 5, 100, 200])
def test_a_producer_goes_on_where_an_earlier_start_was(before: int) -> None:
    source, whole = RandomSource(100, seed=3), RandomSource(100, seed=3)
    producer = Producer("ipc:///nowhere", source=source, before=before)
    everything = whole.take(100)
    rest = source.take(100)
    assert rest.recipients.tolist() == everything.recipients[before:].tolist()
    assert producer.before == min(before, 100)
