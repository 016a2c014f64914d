"""Producers of lists: pipes whose writers take their time, rows that can't be, and stops in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.roles.peers import totals
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, Producer, UsageError
from zsms.lists.files import FileSource

Run = Callable[[Any], Any]


def rows(count: int, first: int = 0) -> str:
    return "".join(f"+1370555{number:04},note {number}\n" for number in range(first, first + count))


def test_a_pipe_is_read_as_it_is_written_and_its_end_is_the_end(
    run: Run, address: Callable[[], str], tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    os.mkfifo(path)
    broker = run(Broker(address()))
    producer = run(Producer(broker.endpoint, source=FileSource(path)))
    with open(os.open(path, os.O_WRONLY), "wb", buffering=0) as writer:
        writer.write(("recipient,text\n" + rows(10)).encode())
        until(lambda: totals(broker.core).get("accepted") == 10, "the first rows")
        assert producer.running and not producer.unread
        writer.write(rows(5, 10).encode())
        until(lambda: totals(broker.core)["accepted"] == 15, "more rows")
    assert producer.join(DEADLINE_S) and producer.produced == 15
    assert not producer.unread


def test_a_pipe_that_nobody_writes_keeps_no_producer_from_leaving(
    run: Run, address: Callable[[], str], tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    os.mkfifo(path)
    broker = run(Broker(address()))
    producer = run(Producer(broker.endpoint, source=FileSource(path)))
    until(lambda: producer.starved, "its wait")
    producer.stop()
    assert producer.join(DEADLINE_S)
    assert producer.unread == f"{path}: lines from 1 on were not read"


def test_rows_before_one_that_cannot_be_are_handed_over(run: Run, address: Callable[[], str]) -> None:
    reading, writing = os.pipe()
    source = FileSource(f"/dev/fd/{reading}", format="csv")
    os.close(reading)
    os.write(writing, ("recipient,text\n" + rows(10) + "+13705550100.0,x\n" + rows(9, 10)).encode())
    os.close(writing)
    broker = run(Broker(address()))
    producer = Producer(broker.endpoint, source=source)
    with pytest.raises(UsageError, match=r":12: .*decimal tail.*handed over before that: 10$"):
        producer.run()
    assert totals(broker.core)["accepted"] == 10
    assert producer.snapshot(0.0).gauges["exhausted"] == 0


def test_a_producer_that_is_stopped_in_a_list_says_what_was_not_read(
    run: Run, address: Callable[[], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "people.csv"
    path.write_text("recipient,text\n" + rows(100))
    broker = run(Broker(address()))
    producer = run(Producer(broker.endpoint, source=FileSource(path), batch=10, rate=1e-3))
    until(lambda: producer.produced == 1, "the first message")
    producer.stop()
    assert producer.join(DEADLINE_S)
    assert producer.unread == f"{path}: lines from 3 on were not read"
    assert f"stopped after 1 message: {producer.unread}" in caplog.text
    assert totals(broker.core)["accepted"] == 1


def test_repeats_are_told_once_all_is_read(
    run: Run, address: Callable[[], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "people.csv"
    path.write_text("recipient,text\n" + rows(10) + rows(4))
    broker = run(Broker(address()))
    producer = run(Producer(broker.endpoint, source=FileSource(path, unique=True)))
    assert producer.join(DEADLINE_S) and producer.produced == 10
    assert "4 rows to a recipient that came before (lines 12, 13, 14, 15); left out" in caplog.text
    assert producer.snapshot(0.0).counters["repeated_rows"] == 4
