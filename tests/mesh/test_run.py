"""`zsms run`: what it prints, what it reports, and that every message is accounted for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.processes import line_with, report_of, zsms

QUICK = ("--messages", 1000, "--mean", 0.01, "--sd", 0)

RECORDING = """
async def send(message):
    with open("sent.txt", "a") as file:
        file.write(f"{message.recipient} {message.text!r}\\n")
    return True
"""
"""A transport that writes down what it is given."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, dict[str, Any]]:
    """stdout, stderr and report of one small run."""
    path = tmp_path_factory.mktemp("quick") / "report.json"
    done = zsms("run", *QUICK, "--json", path)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr, json.loads(path.read_text())


def test_the_summary_is_on_stdout_and_the_progress_on_stderr(quick: tuple[str, str, dict[str, Any]]) -> None:
    out, err, _ = quick
    assert "1,000 produced, 1,000 sent, 0 failed, 0 dead" in out
    assert "balanced: 0 lost" in out and "throughput" in out and "slot error" in out
    assert re.search(line_with(), err, re.MULTILINE)
    assert "rate/s" in err.splitlines()[0], "figures without a header"
    assert "\x1b" not in out + err, "colours although nobody reads this on a terminal"
    assert "\r" not in out + err
    assert "  in flight " not in out


def test_json_on_stdout_is_alone_there() -> None:
    done = zsms("run", *QUICK, "--json", "-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["messages"]["sent"] == 1000
    assert "1,000 produced, 1,000 sent" in done.stderr


def test_quiet_leaves_the_summary_alone() -> None:
    done = zsms("run", *QUICK, "--quiet")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "1,000 sent" in done.stdout


def test_the_report_is_whole_and_adds_up(quick: tuple[str, str, dict[str, Any]]) -> None:
    report = quick[2]
    assert list(report)[:2] == ["schema", "version"]
    messages = report["messages"]
    assert messages["produced"] == 1000 == messages["sent"] + messages["failed"] + messages["dead"]
    assert messages["lost"] == messages["unsettled"] == messages["duplicates"] == messages["redelivered"] == 0
    assert report["balanced"] is True
    assert report["problems"] == [] and not report["interrupted"] and report["completed"]
    assert report["config"]["messages"] == 1000 and report["config"]["groups"][0]["mean"] == 0.01

    for name in ("send_time_s", "queue_time_s", "total_time_s"):
        figures = report[name]
        assert set(figures) == {"mean", "p50", "p90", "p95", "p99", "p999", "max"}
        assert 0 <= figures["p50"] <= figures["p90"] <= figures["p99"] <= figures["max"]
    assert set(report["slot_error_s"]) == {"p50", "p99", "max"}
    assert report["asked_time_s"] == pytest.approx(0.01, rel=1e-3)
    assert report["send_time_s"]["mean"] > 0.008
    assert report["total_time_s"]["mean"] >= report["send_time_s"]["mean"]
    assert set(report["steady"]) == {"throughput_per_s", "sends_per_s", "efficiency", "seconds"}
    assert report["throughput_per_s"] == pytest.approx(1000 / report["wall_s"])
    assert report["efficiency"] == pytest.approx(report["throughput_per_s"] * report["asked_time_s"] / 10_000)
    assert 0 < report["wall_s"] < report["elapsed_s"]

    roles = sorted(process["role"] for process in report["processes"])
    assert roles == ["broker", "producer", "run", "sender", "sender", "stats"]
    for process in report["processes"]:
        assert process["pid"] > 0 and process["cpu_s"] > 0 and process["rss_max_bytes"] > 2**20
        assert process["exit_code"] == (None if process["role"] == "run" else 0)
    assert sum(sender["sends"] for sender in report["senders"]) == 1000
    assert [sender["slots"] for sender in report["senders"]] == [5000, 5000]


def test_nothing_to_send_is_no_error() -> None:
    report = report_of("--messages", 0)
    assert report["messages"]["produced"] == 0
    assert report["balanced"] is True


def test_a_failed_send_is_final_unless_attempts_are_allowed() -> None:
    messages = report_of(*QUICK, "--failure-rate", 0.5)["messages"]
    assert 350 < messages["failed"] < 650
    assert messages["sent"] + messages["failed"] == 1000
    assert messages["dead"] == 0


def test_failed_sends_are_tried_again_and_dead_after_the_last_attempt() -> None:
    report = report_of(*QUICK, "--failure-rate", 0.5, "--max-attempts", 3, "--retry-base", 0.05)
    messages = report["messages"]
    # An eighth fails three times; half are tried a second time, and half of these a third.
    assert 60 < messages["dead"] < 200
    assert 600 < report["sends"]["retried"] < 900
    assert messages["failed"] == 0
    assert messages["sent"] + messages["dead"] == 1000
    assert report["balanced"] is True
    assert report["sends"]["ended"] == sum(sender["sends"] for sender in report["senders"])
    assert report["sends"]["ended"] == 1000 + report["sends"]["retried"]
    assert report["sends"]["failed"] == report["sends"]["retried"] + messages["dead"]


def test_waits_for_a_retry_are_of_the_message_and_not_of_the_queue() -> None:
    # A slot for every message: none ever waits for one. Attempts of 0.2 s, and waits of up to 0.5 and 1 s between them.
    options = ("--failure-rate", 0.5, "--max-attempts", 3, "--retry-base", 0.5, "--delay", "constant", "--mean", 0.2)
    waits = 0.25 / 2 + 0.5 / 4
    right = 0.2 * (1 + 1 / 2 + 1 / 4) + waits
    for _ in range(3):
        report = report_of("--messages", 4_000, "--concurrency", 2_000, *options)
        queued, total = report["queue_time_s"]["mean"], report["total_time_s"]["mean"]
        assert 0.95 * right < total, "the waits are not in it"
        assert report["total_time_s"]["max"] > 1.2  # through three attempts, those that failed for good too
        # A busy machine makes all of them longer, by what is far from a whole part of them; but one that pauses.
        if queued < 0.5 * waits and total < right + 0.5 * waits:
            return
    raise AssertionError(f"the waits are in a queue time of {queued} s, or twice in a total of {total} s")


def test_several_producers_share_the_messages() -> None:
    report = report_of("--messages", 1001, "--mean", 0.01, "--producers", 3)
    assert report["messages"]["produced"] == report["messages"]["sent"] == 1001
    assert report["balanced"] is True
    producers = [process["name"] for process in report["processes"] if process["role"] == "producer"]
    assert producers == ["producer-1", "producer-2", "producer-3"]


def test_a_rate_is_kept_and_total_time_counts_from_when_a_message_was_due() -> None:
    for _ in range(3):  # on a machine that pauses the first is taken late, and many others
        report = report_of("--rate", 500, "--messages", 1000, "--mean", 0.01, "--sd", 0)
        assert report["messages"]["sent"] == 1000 and report["total_time_s"]["p50"] >= 0.01
        # The last is due 1.998 s after the first. From the start of the run on, half would have taken a second or more.
        if report["wall_s"] > 1.5 and report["throughput_per_s"] < 1000 / 1.5 and report["total_time_s"]["p50"] < 0.7:
            return
    raise AssertionError((report["wall_s"], report["total_time_s"]))


def test_a_rate_above_what_the_slots_can_do_shows_in_the_total_time() -> None:
    # 100 slots of 0.1 s are good for 1,000 a second. At 2,000 the last of 2,000 waits a second.
    report = report_of(
        *("--rate", 2000, "--messages", 2000, "--mean", 0.1, "--sd", 0, "--senders", 1, "--concurrency", 100)
    )
    assert report["total_time_s"]["max"] > 0.8
    assert report["send_time_s"]["p50"] < report["total_time_s"]["max"] / 2


def sent_by(directory: Path, *arguments: object) -> list[str]:
    """What the transport was given, in some order, by a run in this directory."""
    directory.mkdir()
    (directory / "recording.py").write_text(RECORDING)
    report = report_of("--transport", "recording:send", "--senders", 1, "--concurrency", 50, *arguments, cwd=directory)
    assert report["balanced"] is True
    return sorted((directory / "sent.txt").read_text().splitlines())


def test_a_seed_makes_the_same_messages_whatever_the_number_of_producers(tmp_path: Path) -> None:
    one = sent_by(tmp_path / "one", "--messages", 300, "--seed", 7)
    three = sent_by(tmp_path / "three", "--messages", 300, "--seed", 7, "--producers", 3)
    other = sent_by(tmp_path / "other", "--messages", 300, "--seed", 8)
    assert len(one) == 300
    assert one == three
    assert not set(one) & set(other)
    for line in one:  # no random number reaches anybody
        number = line.partition(" ")[0]
        assert len(number) == 12 and number.startswith(("+137", "+196"))


# -- real messages -----------------------------------------------------------------------------------------------


PEOPLE = [
    ("+13705550100", "Water is unsafe: boil it."),
    ("+19605550101", 'He said "stay in", twice.'),
    ("+4917012345678", "Grüße"),
]


def write_people(path: Path, rows: int, bad: dict[int, str] | None = None) -> list[str]:
    """A CSV file of that many rows, some of them replaced by bad ones; what the good ones say."""
    lines, good = ["recipient,text"], []
    for number in range(rows):
        recipient, text = PEOPLE[number % len(PEOPLE)]
        text = f"{number}: {text}"
        quoted = text.replace('"', '""')
        line = (bad or {}).get(number)
        lines.append(f'{recipient},"{quoted}"' if line is None else line)
        if line is None:
            good.append(f"{recipient} {text!r}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sorted(good)


@pytest.mark.parametrize("producers", [1, 3])
def test_the_rows_of_a_file_are_what_is_sent(tmp_path: Path, producers: int) -> None:
    good = write_people(tmp_path / "people.csv", 100)
    sent = sent_by(tmp_path / "run", "--input", tmp_path / "people.csv", "--producers", producers)
    assert sent == good


def test_a_bad_row_near_the_beginning_is_named_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    write_people(path, 100, {41: "not a number,hello"})
    done = zsms("run", "--input", path, "--mean", 0.01, "--json", "-")
    assert done.returncode == 2 and done.stdout == ""
    assert f"{path}:43: " in done.stderr and "not a number" in done.stderr  # rows begin on line 2
    assert done.stderr.count("\n") == 1


def test_bad_rows_are_left_out_and_counted_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    good = write_people(path, 100, {0: "+0123,hello", 41: "not a number,hello", 99: "+13705550100"})
    sent = sent_by(tmp_path / "run", "--input", path, "--skip-bad-rows", "--producers", 2)
    assert sent == good and len(good) == 97
    done = zsms("run", "--input", path, "--skip-bad-rows", "--mean", 0.01, "--json", "-")
    assert done.returncode == 0
    messages = json.loads(done.stdout)["messages"]
    assert messages["skipped_rows"] == 3
    assert messages["produced"] == messages["sent"] == 97
    for line in (2, 43, 101):
        assert f"{path}:{line}: " in done.stderr
