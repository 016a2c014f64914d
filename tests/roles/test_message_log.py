"""The file of the log of messages: whole rows from several senders, and disks that are full."""

from __future__ import annotations

import csv
import errno
import fcntl
import logging
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.test_message_log import NONE, handles, waiting
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, DelayModel, Producer, Sender
from zsms.core.outcomes import Finished
from zsms.errors import UsageError
from zsms.launch.processes import LACKS
from zsms.roles import message_log
from zsms.roles.message_log import HEADER, MessageLog, check
from zsms.words import many

LOG = logging.getLogger("zsms.test")


def logged(path: Path, *, turns: int = 3, n: int = 10, name: str = "s") -> MessageLog:
    log = MessageLog(str(path), name, 1, LOG)
    log.open(0.0)
    for turn in range(turns):
        log.begin(waiting(turn * n, n), 100.0)
        log.end(Finished(np.arange(turn * n, (turn + 1) * n, dtype=np.uint64), NONE), 101.0)
    log.close()
    return log


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_rows_of_several_senders_under_one_header_behind_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    logged(path)
    threads = [threading.Thread(target=logged, args=(path,), kwargs={"name": f"s,{i}", "turns": 50}) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = read(path)
    assert len(rows) == 30 + 4 * 500 and path.read_bytes().count(HEADER) == 1
    assert {row["sender"] for row in rows} == {"s", "s,0", "s,1", "s,2", "s,3"}
    assert all(len(row) == 9 and None not in row.values() for row in rows)


def test_a_name_that_is_a_formula_is_none(tmp_path: Path) -> None:
    logged(tmp_path / "m.csv", name="=1+1")
    assert {row["sender"] for row in read(tmp_path / "m.csv")} == {"'=1+1"}


@pytest.mark.parametrize("path", ["-", "/dev/stdout", "/no/such/folder", "", "/"])
def test_what_can_not_be_one_is_refused_before(path: str) -> None:
    with pytest.raises(UsageError, match="log of messages"):
        check(path)


def test_a_full_disk_costs_rows_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    log = logged(Path("/dev/full"))
    assert log.lost == 30
    assert [record.getMessage() for record in caplog.records] == [
        "the log of messages /dev/full: No space left on device; rows are lost",
        "the log of messages /dev/full lacks 30 rows",
    ]


@pytest.mark.parametrize(("fate", "lost"), [("deleted", 30), ("replaced", 30), ("renamed", 0)])
def test_a_file_that_was_deleted_lacks_all_its_rows(tmp_path: Path, fate: str, lost: int) -> None:
    path, other = tmp_path / "m.csv", tmp_path / "other.csv"
    log = MessageLog(str(path), "s", 1, LOG)
    log.open(0.0)
    for turn in range(3):
        log.begin(waiting(turn * 10, 10), 100.0)
        log.end(Finished(np.arange(turn * 10, turn * 10 + 10, dtype=np.uint64), NONE), 101.0)
        until(lambda: not log.written(101.0) and log.next_time() is None)
        if turn == 1 and fate == "replaced":
            other.write_bytes(HEADER)
            other.replace(path)
        elif turn == 1:
            path.rename(other) if fate == "renamed" else path.unlink()
    log.close()
    assert log.lost == lost
    if fate == "renamed":
        assert len(read(other)) == 30


def test_a_sender_that_can_t_write_the_header_lets_the_next_one_in(monkeypatch, tmp_path: Path) -> None:
    def full(file: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    path = tmp_path / "m.csv"
    monkeypatch.setattr(message_log.os, "write", full)
    log = MessageLog(str(path), "s", 1, LOG)
    log.open(0.0)
    with path.open() as next_one:
        fcntl.flock(next_one, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while the first one has it
    log.close()


@pytest.mark.parametrize(("rows", "said"), [(1, "lacks 1 row"), (2, "lacks 2 rows"), (12_345, "lacks 12,345 rows")])
def test_what_a_sender_says_of_its_log_is_known_where_its_end_is_awaited(rows: int, said: str) -> None:
    told = f"the log of messages a b.csv lacks {many(rows, 'row')}"
    assert LACKS.search(told) and told.endswith(said)


def test_the_log_goes_on_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.write, iter(range(1_000))

    def write(file: int, data: Any) -> int:
        match next(calls):
            case 1:
                return real(file, data[:100])  # in the middle of a row
            case 2 | 3:
                raise OSError(errno.ENOSPC, "full")
        return real(file, data)

    path = tmp_path / "m.csv"
    monkeypatch.setattr(message_log.os, "write", write)
    log = logged(path, turns=4)
    monkeypatch.undo()
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines[1:] if line.count(b",") == 8 and line.endswith(b"s\n")]
    assert len(whole) + log.lost == 40 and 20 <= len(whole) < 40
    assert len(lines) - 1 - len(whole) == 1, "one row that was cut off"


def test_a_pipe_takes_whole_rows(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    log = logged(pipe, turns=20, n=100)
    reader.join(DEADLINE_S)
    assert log.lost == 0 and got[0].count(b"\n") == 2_000


def test_what_has_ended_is_acknowledged_when_its_rows_are_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one that is killed has a row of all that it has acknowledged."""
    go, wrote = threading.Semaphore(0), threading.Semaphore(0)
    real = os.write
    log = MessageLog(str(tmp_path / "m.csv"), "s", 1, LOG)
    log.open(0.0, wrote.release)
    monkeypatch.setattr(message_log.os, "write", lambda file, data: go.acquire(timeout=25) and real(file, data))
    parts = [Finished(np.arange(turn * 10, turn * 10 + 10, dtype=np.uint64), NONE) for turn in range(5)]

    def end(turn: int, now: float) -> None:
        log.begin(waiting(turn * 10, 10), now)
        log.end(parts[turn], now)

    end(0, 100.0)
    end(1, 100.1)
    assert log.written(100.15) == [] and log.next_time() == pytest.approx(100.2)
    go.release()
    assert wrote.acquire(timeout=25)
    assert log.written(100.15) == [parts[0]] and log.next_time() == pytest.approx(100.3)
    # The disk is slow: it is waited for no longer, and again when it has caught up.
    assert log.written(100.3) == [parts[1]]
    end(2, 100.4)
    assert log.written(100.4) == [parts[2]] and log.next_time() is None
    for _ in range(2):
        go.release()
        assert wrote.acquire(timeout=25)
    assert log.written(100.5) == []
    end(3, 100.5)
    assert log.written(100.5) == []
    go.release()
    assert wrote.acquire(timeout=25) and log.written(100.6) == [parts[3]]
    # What leaves no row waits for nothing but those before it.
    log.end(Finished(NONE, NONE), 100.6)
    assert len(log.written(100.6)) == 1
    log.close()
    assert len(read(tmp_path / "m.csv")) == 40


def test_a_sender_acknowledges_nothing_of_which_there_is_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    real = os.write
    monkeypatch.setattr(message_log, "HOLD_S", 60.0)
    path = str(tmp_path / "m.csv")
    Path(path).write_bytes(HEADER)
    monkeypatch.setattr(message_log.os, "write", lambda file, data: go.wait(25) and real(file, data))
    with (
        Broker("127.0.0.1:0") as broker,
        Sender(broker.endpoint, concurrency=10, delay=DelayModel("constant", 0.001), log_messages=path) as sender,
    ):
        Producer(broker.endpoint, messages=10).run()
        until(lambda: sender.turn.sent == 10, "all are sent")
        assert broker.core.totals()["sent"] == 0
        go.set()
        until(lambda: broker.core.totals()["sent"] == 10, "all are acknowledged")
    assert len(read(Path(path))) == 10


def test_a_disk_that_is_too_slow_costs_rows_and_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    real = os.write
    monkeypatch.setattr(message_log, "MOST_ROWS", 25)
    log = MessageLog(str(tmp_path / "m.csv"), "s", 1, LOG)
    log.open(0.0)
    monkeypatch.setattr(message_log.os, "write", lambda file, data: go.wait(10) and real(file, data))
    for turn in range(6):
        log.begin(waiting(turn * 10, 10), 100.0)
        log.end(Finished(np.arange(turn * 10, turn * 10 + 10, dtype=np.uint64), NONE), 101.0)
    go.set()
    log.close()
    assert log.lost == 30 and len(read(tmp_path / "m.csv")) == 30
    assert handles(1)[0] == 1
