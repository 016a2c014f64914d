"""The log of messages: which sends get a row, what is in it, and that memory is bounded."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.outcomes import Finished
from zsms.core.sender import Waiting, message_log
from zsms.core.sender.message_log import CHUNK, COLUMNS, LONGEST_S, OPEN, SPARE, Ended, OpenSends, csv_of
from zsms.message import Batch, Outcome

STAMP = b"2026-01-02T03:04:05.678901Z"
NONE = np.zeros(0, dtype=np.uint64)


def waiting(handle: int, n: int, *, attempt: int = 1, attempts: int = 1, delivery: int = 1) -> Waiting:
    batch = Batch.of([(f"+1370555{handle % 2**48 + i:04}", "x") for i in range(n)], due=90.0)
    return Waiting(handle, batch, 95.0, 0.0, attempt, delivery, attempts)


def handles(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, dtype=np.uint64)


def read(ended: Ended, sender: bytes = b"s-1") -> list[dict[str, str]]:
    text = ",".join(COLUMNS) + "\n" + csv_of(ended, STAMP, sender).decode()
    return list(csv.DictReader(io.StringIO(text)))


# -- rows ------------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 9_999, 10_000, 10**8, 10**15, 10**16, 10**19]))
SECONDS = st.one_of(st.floats(0, 1e4, width=32), st.sampled_from([0.0, 0.9999999, 9_999.9999999, 4_294.99, 1e7]))


@given(st.lists(st.tuples(NUMBERS, st.integers(1, 65_535), st.integers(1, 255), SECONDS, SECONDS, SECONDS,
                          st.integers(0, len(Outcome) - 1)), min_size=1, max_size=20))  # fmt: skip
def test_every_value_is_read_as_it_was_written(values: list[tuple[int, int, int, float, float, float, int]]) -> None:
    rows = np.zeros(len(values), dtype=OPEN)
    for row, (recipient, attempt, delivery, waited, send, total, _) in zip(rows, values, strict=True):
        row["recipient"], row["attempt"], row["delivery"] = recipient, attempt, delivery
        row["waited"], row["began"], row["due"] = waited, -send, -total
    ways = np.array([value[-1] for value in values], dtype=np.uint8)
    for line, (recipient, attempt, delivery, waited, send, total, way) in zip(
        read(Ended(rows, ways, 0.0), b'"a,b"'), values, strict=True
    ):
        assert line["time"] == STAMP.decode() and line["sender"] == "a,b"
        assert line["recipient"] == f"+{recipient}"
        assert (line["attempts"], line["deliveries"]) == (f"{attempt}", f"{delivery}")
        assert line["outcome"] == list(Outcome)[way].value
        for name, seconds in (("queue_s", waited), ("send_s", send), ("total_s", total)):
            assert float(line[name]) == pytest.approx(float(np.float32(seconds)), rel=1e-6, abs=6e-7)
            assert len(line[name].partition(".")[2]) == 6


def test_times_that_can_not_be_are_bounded() -> None:
    rows = np.zeros(3, dtype=OPEN)
    rows["waited"] = -1, 1e12, np.inf
    assert [line["queue_s"] for line in read(Ended(rows, np.zeros(3, np.uint8), 0.0))] == [
        "0.000000", f"{LONGEST_S:.6f}", f"{LONGEST_S:.6f}"
    ]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_any_number_of_rows(n: int) -> None:
    rows = np.zeros(n, dtype=OPEN)
    rows["recipient"] = np.arange(n)
    lines = csv_of(Ended(rows, np.zeros(n, np.uint8), 0.0), STAMP, b"s").splitlines()
    assert [line.split(b",")[1] for line in lines] == [b"+%d" % i for i in range(n)]


# -- which sends -----------------------------------------------------------------------------------------------------


def test_a_row_has_what_the_send_was() -> None:
    log = OpenSends()
    log.begin(waiting(7, 3, attempt=2, attempts=3, delivery=4), 100.0)
    ended = log.end(Finished(handles(8), handles(7)), 101.5)
    (line,) = read(ended)
    assert line["recipient"] == "+13705550008" and line["outcome"] == "sent"
    assert (line["attempts"], line["deliveries"]) == ("2", "4")
    assert (line["queue_s"], line["send_s"], line["total_s"]) == ("5.000000", "1.500000", "11.500000")
    assert len(log) == 1


@pytest.mark.parametrize(
    ("outcome", "attempt", "final"),
    [
        (None, 1, False), (None, 3, True),
        (Outcome.FAILED, 2, False), (Outcome.FAILED, 3, True), (Outcome.TEMPORARY, 2, False),
        (Outcome.THROTTLED, 3, False), (Outcome.REJECTED, 1, True), (Outcome.UNCERTAIN, 1, True),
    ],
)  # fmt: skip
def test_a_failure_that_is_tried_again_has_no_row(outcome: Outcome | None, attempt: int, final: bool) -> None:
    log = OpenSends()
    log.begin(waiting(0, 1, attempt=attempt, attempts=3), 100.0)
    codes = np.array([] if outcome is None else [outcome.code], dtype=np.uint8)
    lines = read(log.end(Finished(NONE, handles(0), codes), 101.0))
    assert [line["outcome"] for line in lines] == [(outcome or Outcome.FAILED).value] * final
    assert len(log) == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.sampled_from([-1_000, 0, SPARE]))
def test_every_send_has_its_own_row_in_any_order(seed: int, places: int, spare: int) -> None:
    """Against a plain dictionary: sessions that begin anew, several brokers, stragglers, and ends of strangers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_log, "SPARE", spare)  # below 0 nearly every row leaves the window while it is open
        compare_with_a_dictionary(seed, places)


def compare_with_a_dictionary(seed: int, places: int) -> None:
    rng = np.random.default_rng(seed)
    log, model = OpenSends(places), {}
    epochs, numbers = list(range(places)), [0] * places
    for step in range(40):
        place = int(rng.integers(places))
        if rng.random() < 0.1:
            epochs[place] += places
            numbers[place] = 0
        n, first = int(rng.integers(1, 50)), (epochs[place] << 48) + numbers[place]
        log.begin(waiting(first, n), float(step))
        numbers[place] += n
        model |= {first + i: f"+1370555{first % 2**48 + i:04}" for i in range(n)}
        ending = [handle for handle in model if rng.random() < 0.3]
        strangers = [int(first) + 10**6]
        found = read(log.end(Finished(handles(*ending, *strangers), NONE), float(step)))
        assert [line["recipient"] for line in found] == [model.pop(handle) for handle in ending]
        assert len(log) == len(model)
    if model:
        assert len(read(log.end(Finished(handles(*model), NONE), 50.0))) == len(model)


def test_one_send_that_never_ends_holds_nothing_else() -> None:
    log = OpenSends()
    n = 20_000
    batch = Batch.of([("+13705550100", "x")] * n)
    most = 0
    for turn in range(40):
        first = turn * n
        log.begin(Waiting(first, batch, 0.0, 0.0, 1, 1, 1), 0.0)
        ended = np.arange(first + (turn == 0), first + n, dtype=np.uint64)
        assert len(log.end(Finished(ended, NONE), 1.0).rows) == len(ended)
        most = max(most, log.nbytes)
    assert len(log) == 1 and most < 4 * OPEN.itemsize * (2 * n + SPARE)
    assert len(log.end(Finished(handles(0), NONE), 2.0).rows) == 1
